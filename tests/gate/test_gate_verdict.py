"""Verdicts: what passes, what fails, by how much and where."""

from __future__ import annotations

import copy
import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fxnorm.errors import DataError, UsageError
from fxnorm.gate.baseline import Baseline
from fxnorm.gate.limits import Limits
from fxnorm.gate.subject import Subject
from fxnorm.gate.verdict import Verdict, judge, sqnr

MODEL, DATA = "a" * 64, "b" * 64


def layer(name: str, ratio: float | None = 40.0, overflow: int = 0, **more: Any) -> dict[str, Any]:
    return {"name": name, "sqnr_db": ratio, "overflow_count": overflow, **more}


def record(
    *,
    fixed: float | None = 0.9,
    fp32: float = 0.95,
    ratio: float | None = 30.0,
    largest: float | None = 0.5,
    agreement: float | None = 0.97,
    layers: list[dict[str, Any]] | None = None,
) -> dict[str, Any]:
    output = {"sqnr_db": ratio, "max_abs_error": largest}
    if agreement is not None:
        output["argmax_agreement"] = agreement
    made: dict[str, Any] = {
        "model": {"path": "m.onnx", "sha256": MODEL},
        "data": {"description": "x.npz", "sha256": DATA},
        "outputs": {"logits": output},
        "layers": [layer("input", 50.0), layer("conv", 45.0), layer("fc", 31.0)] if layers is None else layers,
    }
    if fixed is not None:
        made["accuracy"] = {"fp32": fp32, "fixed": fixed}
    return made


def verdict(limits: Limits, **made: Any) -> Verdict:
    return judge(limits, [Subject("q5.3 pow2", record(**made))])


PASSING = [
    (Limits(min_accuracy=0.9), {}),
    (Limits(min_accuracy=0.0), {"fixed": 0.0}),
    (Limits(max_drop=0.05), {}),
    (Limits(max_drop=0.0), {"fixed": 0.95}),
    (Limits(max_drop=0.0), {"fixed": 0.96}),
    (Limits(max_drop=0.01), {"fixed": 0.94, "fp32": 0.95}),  # 0.95 - 0.94 is above 0.01 in floating point
    (Limits(min_sqnr=30.0), {}),
    (Limits(min_sqnr=300.0), {"ratio": None, "largest": 0.0}),
    (Limits(min_agreement=0.97), {}),
    (Limits(max_overflow=0), {}),
    (Limits(max_overflow=3), {"layers": [layer("a", overflow=3)]}),
]


@pytest.mark.parametrize(("limits", "made"), PASSING)
def test_what_meets_its_limit_passes(limits: Limits, made: dict[str, Any]) -> None:
    found = verdict(limits, **made)
    assert found.passed
    assert len(found.checks) == 1


MISSED = [
    (Limits(min_accuracy=0.95), {}, "",
     "--min-accuracy: the accuracy must be at least 95.00%, and is 90.00%, 5.00 points less; "
     "the SQNR falls most at layer 'fc', from 45.0 to 31.0 dB"),
    (Limits(min_accuracy=0.9001), {}, "", "at least 90.01%, and is 90.00%, 0.01 points less"),
    (Limits(max_drop=0.01), {}, "",
     "--max-drop: the accuracy may lie 1.00 points below FP32's 95.00%, and is 90.00%, 5.00 points below it"),
    (Limits(min_sqnr=35.5), {}, "output 'logits'",
     "--min-sqnr: the SQNR must be at least 35.5 dB, and is 30.00 dB, 5.50 dB less; the first layer below it is 'fc' (31.0 dB)"),
    (Limits(min_sqnr=30.5), {"layers": [layer("a", 40.0)]}, "output 'logits'", "and is 30.00 dB, 0.50 dB less"),
    (Limits(min_sqnr=1.0), {"ratio": None, "largest": 2.0}, "output 'logits'", "and FP32 is zero throughout where the output is not"),
    (Limits(min_sqnr=1.0), {"ratio": None, "largest": None}, "output 'logits'", "and FP32 itself is no finite number there"),
    (Limits(min_agreement=0.99), {}, "output 'logits'",
     "--min-agreement: the arg-max must be FP32's in at least 99.00%, and is in 97.00%, 2.00 points less"),
    (Limits(max_overflow=0), {"layers": [layer("a", overflow=3)]}, "layer 'a'",
     "--max-overflow: at most 0 values may overflow, and 3 do, 3 too many: 3 in layer 'a'"),
    (
        Limits(max_overflow=1_000),
        {
            "layers": [
                layer("a", overflow=1),
                layer("b", accumulator={"overflow_count": 4_000}),
                layer("c", overflow=2, stages={"mean": {"overflow_count": 5}, "square": {"overflow_count": 0}}),
            ]
        },
        "",
        "and 4,008 do, 3,008 too many: 4,000 in accumulator of layer 'b', 5 in mean of layer 'c', 2 in layer 'c' and 1 more places",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("limits", "made", "where", "words"), MISSED)
def test_what_misses_its_limit_says_by_how_much_and_where(
    limits: Limits, made: dict[str, Any], where: str, words: str
) -> None:
    found = verdict(limits, **made)
    (violation,) = found.violations
    assert violation.where == where
    assert words in violation.message
    assert violation.message.startswith("q5.3 pow2" + (f", {where}: " if where else ": "))


def test_every_limit_is_checked_for_every_configuration_and_output() -> None:
    two = record()
    two["outputs"]["boxes"] = {"sqnr_db": 3.0, "max_abs_error": 1.0}
    limits = Limits(min_accuracy=0.5, max_drop=0.5, min_sqnr=10.0, min_agreement=0.5, max_overflow=0)
    found = judge(limits, [Subject("a", two), Subject("b", record())])
    assert [(check.subject, check.rule, check.where) for check in found.checks] == [
        ("a", "--min-accuracy", ""),
        ("a", "--max-drop", ""),
        ("a", "--min-sqnr", "output 'logits'"),
        ("a", "--min-sqnr", "output 'boxes'"),
        ("a", "--min-agreement", "output 'logits'"),
        ("a", "--max-overflow", ""),
        ("b", "--min-accuracy", ""),
        ("b", "--max-drop", ""),
        ("b", "--min-sqnr", "output 'logits'"),
        ("b", "--min-agreement", "output 'logits'"),
        ("b", "--max-overflow", ""),
    ]
    assert [check.where for check in found.violations] == ["output 'boxes'"]
    plain = found.record()
    assert plain["passed"] is False
    assert [entry["passed"] for entry in plain["checks"]].count(False) == 1


@given(st.integers(1, 2000), st.data())
def test_limits_of_accuracy_are_met_as_counts_are(count: int, data: st.DataObject) -> None:
    """Counts of right answers decide, not the last bits of their quotients."""
    fixed, fp32, asked = (data.draw(st.integers(0, count)) for _ in range(3))
    made = {"fixed": fixed / count, "fp32": fp32 / count}
    assert verdict(Limits(min_accuracy=asked / count), **made).passed == (fixed >= asked)
    assert verdict(Limits(max_drop=asked / count), **made).passed == (fp32 - fixed <= asked)


def test_nothing_to_judge_is_an_error() -> None:
    with pytest.raises(DataError, match="there must be a result to judge, and there is none"):
        judge(Limits(min_accuracy=0.5), [])


def test_a_configuration_that_cannot_be_run_does_not_pass() -> None:
    found = judge(Limits(min_sqnr=1.0), [Subject("q99.0", None, reason="too wide")])
    assert [check.message for check in found.violations] == ["q99.0: run: cannot be run: too wide"]


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        (Limits(min_accuracy=0.9), "--min-accuracy: needs labels"),
        (Limits(max_drop=0.1), "--max-drop: needs labels"),
    ],
)
def test_missing_labels_are_an_error(limits: Limits, words: str) -> None:
    with pytest.raises(DataError, match=f"{words}, and the data has none; add an integer array 'labels'"):
        verdict(limits, fixed=None)


def test_an_agreement_without_classes_is_an_error() -> None:
    with pytest.raises(DataError, match="--min-agreement: needs an output with more than one class"):
        verdict(Limits(min_agreement=0.5), agreement=None)


@pytest.mark.parametrize(
    ("chosen", "words"),
    [
        ({"min_accuracy": 90.0}, "--min-accuracy: must be a share from 0 to 1, not 90; for 90 % give 0.9"),
        ({"min_accuracy": -0.1}, "must be a share from 0 to 1, not -0.1"),
        ({"max_drop": math.nan}, "--max-drop: must be a share from 0 to 1, not nan"),
        ({"min_agreement": 1.5}, "for 1.5 % give 0.015"),
        ({"min_sqnr": math.inf}, "--min-sqnr: must be a number of dB"),
        ({"min_sqnr": math.nan}, "--min-sqnr: must be a number of dB"),
        ({"max_overflow": -1}, "--max-overflow: must be a count from 0 on"),
        ({"baseline_drop": 2.0}, "--baseline-drop: must be a share"),
        ({"baseline_sqnr_drop": -1.0}, "--baseline-sqnr-drop: must be a number of dB from 0 on"),
    ],
)
def test_limits_that_mean_nothing_are_refused(chosen: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError) as refused:
        Limits(**chosen)
    assert words in str(refused.value)


# Baselines


def results(*rows: dict[str, Any], version: int = 1) -> dict[str, Any]:
    return {"version": version, "model": {"sha256": MODEL}, "data": {"sha256": DATA}, "rows": list(rows)}


def row(id_: str = "1", **made: Any) -> dict[str, Any]:
    whole = record(**made)
    found = {"id": id_, "status": "done", "outputs": whole["outputs"]}
    return {**found, "accuracy": whole["accuracy"]} if "accuracy" in whole else found


def baseline(tmp_path: Path, content: Any) -> Baseline:
    path = tmp_path / "base.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return Baseline.read(path)


def against(tmp_path: Path, before: dict[str, Any], limits: Limits | None = None, **made: Any) -> Verdict:
    return judge(
        limits or Limits(), [Subject("q5.3 pow2", record(**made), id="1")], baseline(tmp_path, results(before))
    )


@pytest.mark.parametrize(
    ("before", "now", "limits"),
    [
        ({}, {}, Limits()),
        ({}, {"fixed": 0.92, "ratio": 35.0}, Limits()),
        ({"ratio": 30.09}, {}, Limits()),
        ({"ratio": 33.0}, {}, Limits(baseline_sqnr_drop=3.0)),
        ({"fixed": 0.91}, {}, Limits(baseline_drop=0.01)),
        ({"ratio": None, "largest": 0.0}, {"ratio": None, "largest": 0.0}, Limits()),
        ({"ratio": None, "largest": None}, {"ratio": None, "largest": None}, Limits()),
        ({"agreement": 0.99}, {}, Limits()),  # with labels the accuracy decides
        ({"fixed": None}, {"fixed": None}, Limits()),
        ({"fixed": None}, {}, Limits()),
    ],
)
def test_what_is_no_worse_than_before_passes(
    tmp_path: Path, before: dict[str, Any], now: dict[str, Any], limits: Limits
) -> None:
    found = against(tmp_path, row(**before), limits, **now)
    assert found.passed, [check.message for check in found.violations]
    assert found.checks


@pytest.mark.parametrize(
    ("before", "now", "limits", "words"),
    [
        ({"fixed": 0.91}, {}, Limits(),
         "--baseline: the accuracy was 91.00%, and is 90.00%, 1.00 points less, where 0.00 points may be lost; the SQNR falls "
         "most at layer 'fc'"),
        ({"fixed": 0.92}, {}, Limits(baseline_drop=0.01), "2.00 points less, where 1.00 points may be lost"),
        ({"ratio": 30.2}, {}, Limits(), "the SQNR was 30.20 dB, and is 30.00 dB, 0.20 dB less, where 0.1 dB may be lost"),
        ({"ratio": 30.001}, {}, Limits(baseline_sqnr_drop=0.0), "0.00 dB less, where 0 dB may be lost"),
        ({"ratio": None, "largest": 0.0}, {}, Limits(), "the SQNR was exact, and is 30.00 dB"),
        ({}, {"ratio": None, "largest": None}, Limits(), "the SQNR was 30.00 dB, and is no number"),
        ({"fixed": None, "agreement": 0.99}, {"fixed": None}, Limits(),
         "the share of FP32's arg-max was 99.00%, and is 97.00%, 2.00 points less"),
    ],
)  # fmt: skip
def test_what_is_worse_than_before_fails(
    tmp_path: Path, before: dict[str, Any], now: dict[str, Any], limits: Limits, words: str
) -> None:
    (violation,) = against(tmp_path, row(**before), limits, **now).violations
    assert words in violation.message


def test_a_configuration_or_an_output_that_the_baseline_lacks_does_not_pass(tmp_path: Path) -> None:
    (violation,) = against(tmp_path, row("2")).violations
    assert "has no result of this configuration; make it anew" in violation.message
    other = row()
    other["outputs"] = {"boxes": other["outputs"]["logits"]}
    assert [v.where for v in against(tmp_path, other).violations] == ["output 'logits'"]


def test_what_was_refused_before_and_is_run_now_passes(tmp_path: Path) -> None:
    refused = {"id": "1", "status": "refused", "reason": "too wide"}
    before = baseline(tmp_path, results(refused, row("2")))
    found = judge(Limits(), [Subject("q5.3", record(), id="1")], before)
    assert found.passed
    assert found.notes == ("1 configuration of the baseline was not judged",)


def test_labels_that_went_missing_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="has an accuracy, and the data has no labels now"):
        against(tmp_path, row(), fixed=None)


def test_a_single_run_is_held_against_any_other(tmp_path: Path) -> None:
    whole = record(fixed=0.99)
    found = judge(Limits(), [Subject("q4.4", record(), id="whatever")], baseline(tmp_path, whole))
    assert [check.rule for check in found.violations] == ["--baseline"]
    assert found.notes == ()


def test_a_baseline_of_another_model_is_refused_unless_it_is_meant(tmp_path: Path) -> None:
    made = baseline(tmp_path, results(row()))
    made.check(MODEL, DATA)
    with pytest.raises(DataError, match=r"is of another model \(SHA-256 aaaaaaaaaaaaaaaa…, not cccccccccccccccc…\)"):
        made.check("c" * 64, DATA)
    made.check("c" * 64, DATA, other_model=True)
    with pytest.raises(DataError, match="was made with other data"):
        made.check(MODEL, "c" * 64, other_model=True)


def _without(content: dict[str, Any], *path: Any) -> dict[str, Any]:
    changed: Any = copy.deepcopy(content)
    place = changed
    for key in path[:-1]:
        place = place[key]
    del place[path[-1]]
    return changed  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "is not JSON"),
        ("[" * 100_000, "is not JSON"),
        ("[]", "must be a JSON object with results, not list"),
        ("{}", "it is neither"),
        (results(), "must hold results, and there is none"),
        (results({"id": "1", "status": "refused", "reason": "x"}), "must hold results, and there is none"),
        (results(row(), version=2), "must be of version 1, not 2"),
        (_without(results(row()), "model"), "it is neither"),
        (_without(results(row()), "data", "sha256"), "it is neither"),
        (_without(results(row()), "rows", 0, "id"), "it is neither"),
        (_without(results(row()), "rows", 0, "outputs", "logits", "sqnr_db"), "it is neither"),
        (results({**row(), "accuracy": {"fixed": "0.9"}}), "is no number"),
        (results({**row(), "accuracy": {"fixed": True}}), "is no number"),
        (results({**row(), "accuracy": 0.9}), "it is neither"),
        (json.dumps(results(row(ratio=math.nan))), "is no number"),
        ({**results(row()), "rows": 7}, "it is neither"),
        ({**results(row()), "rows": [7]}, "it is neither"),
    ],
)  # fmt: skip
def test_what_is_no_baseline(tmp_path: Path, content: Any, words: str) -> None:
    with pytest.raises(DataError) as refused:
        baseline(tmp_path, content)
    assert str(refused.value).startswith(f"--baseline {tmp_path / 'base.json'}: ")
    assert words in str(refused.value)


def test_a_baseline_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read"):
        Baseline.read(tmp_path / "gone.json")
    with pytest.raises(DataError, match="cannot be read"):
        Baseline.read(tmp_path)


def test_sqnr_of_a_record() -> None:
    assert sqnr({"sqnr_db": 3.0, "max_abs_error": 1.0}) == 3.0
    assert sqnr({"sqnr_db": None, "max_abs_error": 0.0}) == math.inf
    assert sqnr({"sqnr_db": None, "max_abs_error": 1.0}) == -math.inf
    assert sqnr({"sqnr_db": None, "max_abs_error": None}) is None
