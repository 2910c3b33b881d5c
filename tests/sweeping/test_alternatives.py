"""Lists of alternatives, and the configurations that they stand for."""

from __future__ import annotations

from fractions import Fraction
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fxnorm.errors import FormatError, PlanError, UsageError
from fxnorm.fixed.format import Format
from fxnorm.planning.options import Options
from fxnorm.sweeping.alternatives import alternatives, numbers
from fxnorm.sweeping.configuration import command_line, identity
from fxnorm.sweeping.grid import Grid, configurations, fitting_bits

FORMATS = (
    "q5.3",
    "q4.4",
    "uq8.0",
    "q-2.10",
    "q5.3:trn,wrap",
    "q5.3:trn",
    "ac_fixed<8,5,true>",
    "ap_fixed<8,5,AP_TRN,AP_WRAP>",
)

MANY = ",".join(f"percentile:{number}" for number in range(1, 99))


@given(st.lists(st.sampled_from(FORMATS), min_size=1, max_size=6, unique=True))
def test_formats_come_out_as_they_went_in(texts: list[str]) -> None:
    assert alternatives(",".join(texts)) == texts
    assert alternatives(" , ".join(texts)) == texts
    if len(texts) > 1:
        assert alternatives(";".join(texts)) == texts
    for text in texts:
        Format.parse(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("rnd,trn,wrap", ["rnd", "trn", "wrap"]),
        ("minmax,percentile:99.9,mse", ["minmax", "percentile:99.9", "mse"]),
        ("q5.3,q5.3", ["q5.3"]),
        ("default,a=log;b=sqrt", ["default,a=log", "b=sqrt"]),
        ("q5.3:trn,q4.4:wrap", ["q5.3:trn", "q4.4:wrap"]),
        ("", [""]),
    ],
)
def test_what_a_comma_separates(text: str, expected: list[str]) -> None:
    assert alternatives(text) == expected


def test_inputs_are_transformed_in_lists_of_their_own() -> None:
    assert alternatives("a=log,b=sqrt", separator=";") == ["a=log,b=sqrt"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("8", [8]),
        ("4:7", [4, 5, 6, 7]),
        ("4:9:2", [4, 6, 8]),
        ("8,4:6,5", [8, 4, 5, 6]),
        ("-2:1", [-2, -1, 0, 1]),
        ("5:5", [5]),
    ],
)
def test_numbers(text: str, expected: list[int]) -> None:
    assert numbers("--width", text) == expected


@pytest.mark.parametrize("text", ["", "a", "4:", ":4", "4:2", "4:8:0", "4-8", "1.5", "4::8", "0:9999", "٤", "4:8:-1"])
def test_what_is_no_list_of_numbers(text: str) -> None:
    with pytest.raises(UsageError, match=r"^--width: .*(must|range)"):
        numbers("--width", text)


def expanded(grid: Grid, bits: int | None = None) -> list[Any]:
    return configurations(grid, lambda options: command_line(options, ["m.onnx"]), lambda options: None, bits)


def test_every_combination_comes_once_the_last_option_fastest() -> None:
    grid = Grid.read(
        {"format": "q5.3,q4.4", "normalize": "none,pow2", "layers": ["conv*:format=default,q8.8", "fc:rounding=trn"]}
    )
    found = expanded(grid)
    assert len(found) == len(grid) == 8
    assert [one.number for one in found] == list(range(8))
    assert [one.name for one in found[:3]] == [
        "q5.3 none conv*:format=default",
        "q5.3 none conv*:format=q8.8",
        "q5.3 pow2 conv*:format=default",
    ]
    assert found[1].options["layers"] == ["conv*:format=q8.8", "fc:rounding=trn"]
    assert found[0].options["layers"] == ["fc:rounding=trn"]
    assert list(found[1].varied) == ["format", "normalize", "layer conv*:format"]
    assert grid.axes == {
        "format": ["q5.3", "q4.4"],
        "normalize": ["none", "pow2"],
        "layer conv*:format": [None, "q8.8"],
    }
    assert len({one.id for one in found}) == 8


def test_widths_are_split_as_they_are_told() -> None:
    found = expanded(Grid.read({}, "4:8:2", "3,5"))
    assert [one.format for one in found] == ["q3.1", "q5.-1", "q3.3", "q5.1", "q3.5", "q5.3"]
    assert [(one.width, one.integer_bits, one.fraction_bits) for one in found][1] == (4, 5, -1)
    fitting = expanded(Grid.read({}, [8, 12]), bits=9)
    assert [one.format for one in fitting] == ["q9.-1", "q9.3"]
    assert all(Format.parse(one.format).width == one.width for one in (*found, *fitting))


def test_a_configuration_that_means_the_same_comes_once() -> None:
    found = expanded(Grid.read({"format": "q5.3", "normalize": "default,pow2,none"}))
    assert [one.normalize for one in found] == ["pow2", "none"]
    assert [one.number for one in found] == [0, 1]


def test_what_contradicts_itself_is_a_refusal_and_what_never_holds_an_error() -> None:
    found = expanded(Grid.read({"format": "q5.3", "norm_algorithm": "exact,two_pass", "mean_format": "q8.8"}))
    assert [one.reason is None for one in found] == [False, True]
    assert "exact algorithm" in (found[0].reason or "")
    assert found[0].command == ""
    with pytest.raises(UsageError, match="must be one of none, pow2, affine, not 'no'"):
        expanded(Grid.read({"format": "q5.3,q4.4", "normalize": "no,pow2"}))
    with pytest.raises(FormatError, match="--format"):
        expanded(Grid.read({"format": "q5.3,five"}))
    with pytest.raises(UsageError):
        expanded(Grid.read({"format": "q5.3", "norm_algorithm": "exact", "mean_format": "q8.8"}))


def test_what_the_network_refuses_everywhere_is_an_error() -> None:
    def check(options: Options) -> None:
        if options.normalize == "affine":
            raise PlanError("not affine")

    grid = Grid.read({"format": "q5.3", "normalize": "pow2,affine"})
    with pytest.raises(PlanError, match="not affine"):
        configurations(grid, lambda options: "", check)


@pytest.mark.parametrize(
    ("given", "width", "bits", "words"),
    [
        ({}, None, None, "--width or --formats must say"),
        ({"format": "q5.3"}, "8", None, "give one of them"),
        ({"format": "q5.3"}, None, "5", "--integer-bits goes with --width"),
        ({"format": "default"}, None, None, "--formats: must be formats"),
        ({"format": []}, None, None, "must have one value at least"),
        ({"format": "q5.3,"}, None, None, "separated by commas"),
        ({"formt": "q5.3"}, "8", None, "there is no option 'formt'"),
        ({}, "0", None, r"must lie in 1\.\.32, not 0"),
        ({}, "33", None, r"must lie in 1\.\.32, not 33"),
        ({}, [], None, "must be whole numbers"),
        ({}, [True], None, "must be whole numbers"),
        ({}, 8.5, None, "must be whole numbers"),
        ({"layers": ["conv:format"]}, "8", None, "NAME:KEY=VALUE"),
        ({"rounding": "rnd,trn", "calibration": MANY}, "1:32", "1:32", "at most 100,000"),
    ],
)  # fmt: skip
def test_what_cannot_be_asked_for(given: dict[str, Any], width: Any, bits: Any, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        Grid.read(given, width, bits)


def test_numbers_may_be_one_number() -> None:
    assert Grid.read({}, 8, 3).widths == (8,)
    assert Grid.read({}, range(4, 6)).widths == (4, 5)


def test_an_identity_does_not_depend_on_defaults() -> None:
    record = dict(Options.make("q5.3").record())
    assert identity(record) == identity({**record, "normalize": "pow2"}) == identity({"format": "q5.3"})
    assert identity(record) != identity({**record, "normalize": "none"})
    assert identity(record) != identity({**record, "layers": ["a:format=q5.3"]})


def test_a_command_line_names_what_is_not_a_default() -> None:
    options = Options.make("q5.3", normalize="affine", layers=["a b*:format=q8.8", "$(x):rounding=trn"])
    assert command_line(options, ["my model.onnx", "--data", "x.npz"]) == (
        "fxnorm simulate 'my model.onnx' --data x.npz --format q5.3 --normalize affine "
        "--layer 'a b*:format=q8.8' --layer '$(x):rounding=trn'"
    )


ENDS = st.floats(-1e6, 1e6, allow_subnormal=False) | st.sampled_from([0.0, -16.0, 16.0, 15.875, -0.5, 0.25, -1.0, 1.0])


@given(ENDS, ENDS)
def test_fitting_bits_hold_the_values_and_one_bit_less_does_not(a: float, b: float) -> None:
    low, high = min(a, b), max(a, b)
    network = SimpleNamespace(inputs=("x",), integers={}, steps=())
    bits = fitting_bits([(network, SimpleNamespace(low={"x": low}, high={"x": high}))])  # type: ignore[list-item]

    def holds(integer_bits: int) -> bool:
        end = Fraction(2) ** (integer_bits - 1)
        return -end <= Fraction(low) and Fraction(high) < end

    if low == high == 0.0:
        assert bits == 1
    else:
        assert holds(bits)
        assert not holds(bits - 1)


def test_fitting_bits_leave_out_what_is_no_number() -> None:
    network = SimpleNamespace(
        inputs=("x", "i"),
        integers={"i": None},
        steps=(
            SimpleNamespace(output="y", traced=True),
            SimpleNamespace(output="z", traced=True),
            SimpleNamespace(output="own", traced=False),
        ),
    )
    ranges = SimpleNamespace(
        low={"x": -1.0, "i": 0.0, "y": float("-inf"), "z": float("nan"), "own": 0.0, "other": -999.0},
        high={"x": 3.0, "i": 500.0, "y": 1.0, "z": float("nan"), "own": 900.0, "other": 999.0},
    )
    assert fitting_bits([(network, ranges)]) == 3  # type: ignore[list-item]
