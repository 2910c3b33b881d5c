"""One weight, shift, rounding mode, expected code, FIFO depth, counter or trace that is wrong: cosim fails, on either target."""

from __future__ import annotations

import random
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from emission import needs_gxx
from onnx import helper
from planting import changed, compile_once, run
from small_models import floats, model
from small_networks import plan_of

from fxnorm.hls.choices import Choices
from fxnorm.hls.cosim_report import CosimReport
from fxnorm.hls.design import Design, make_design
from fxnorm.hls.emit import emit
from fxnorm.hls.vectors import parse
from fxnorm.kernels.linear import Linear
from fxnorm.planning.plan import Plan

TARGETS = ("vitis", "catapult")
FRAMES = 12
WEIGHT = r"(l00_linear_weights\[\d+\] = \{(?:\s*-?\d+,){%d}\s*)(-?\d+)"
pytestmark = needs_gxx


@cache
def branches() -> Plan:
    """A convolution and ReLU beside a straight way, and their sum."""
    rng = np.random.default_rng(5)
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["a"], pads=[4, 4]),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("Add", ["x", "b"], ["y"]),
    ]
    weights = {"w": rng.normal(size=(2, 2, 9)).astype(np.float32) / 6}
    proto = model(nodes, [floats("x", [1, 2, 8])], [floats("y", [1, 2, 8])], weights)
    return plan_of(proto, rng.normal(size=(12, 2, 8)).astype(np.float32) * 2)


@cache
def design() -> Design:
    return make_design(branches(), Choices.make("all"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The project, both targets; objects of sources are kept between tests."""
    project = tmp_path_factory.mktemp("planted") / "net"
    emit(branches(), project, Choices.make("all"), frames=FRAMES)
    with pytest.MonkeyPatch.context() as patch:
        compile_once(patch, tmp_path_factory.mktemp("objects"))
        yield project


@pytest.fixture(params=TARGETS)
def target(request: pytest.FixtureRequest) -> str:
    return str(request.param)


# ap_ types take twice as long to compile.
each_target = pytest.mark.parametrize("target", [pytest.param("vitis", marks=pytest.mark.slow), "catapult"])


def verdicts(report: CosimReport) -> dict[str, bool]:
    return {own.target: own.passed for own in report.targets}


def flavours(report: CosimReport, target: str) -> dict[str, int]:
    """Output codes that differ, by flavour."""
    (own,) = [own for own in report.targets if own.target == target]
    return {flavour.flavour: sum(output.differing for output in flavour.outputs) for flavour in own.flavours}


def test_what_is_sound_passes(folder: Path) -> None:
    report = run(folder, layers=True)
    assert report.passed
    assert verdicts(report) == {"vitis": True, "catapult": True}
    assert all(int(count) for count in (folder / "vectors/counts.txt").read_text().split())


def other_weight(place: int) -> tuple[str, str]:
    """A weight moved by one: of the least bit, no more."""
    kernel = branches().layers[0].kernel
    assert isinstance(kernel, Linear)
    weight = int(kernel.weights.reshape(-1)[place])
    return WEIGHT % place, rf"\g<1>{weight + (1 if weight < 0 else -1)}"


# What stands in the file of a layer, and what is put there instead.
FAULTS = {
    "weight": ("src/l00_linear.cpp", *other_weight(random.Random(7).randrange(36))),
    "shift": ("src/l00_linear.cpp", r"(shift_round<fx::RND, )(\d)", r"\g<1>1\g<2>"),
    "rounding": ("src/l00_linear.cpp", r"shift_round<fx::RND,", "shift_round<fx::TRN,"),
    "overflow": ("src/l01_elementwise.cpp", r"fx::fit<fx::SAT,", "fx::fit<fx::WRAP,"),
    "sign": ("src/l01_elementwise.cpp", r"result \+ term1", "result - term1"),
}
MORE = {
    "first weight": ("src/l00_linear.cpp", *other_weight(0)),
    "last weight": ("src/l00_linear.cpp", *other_weight(35)),
    "shift by one": ("src/l00_linear.cpp", r"(shift_round<fx::RND, )7", r"\g<1>6"),
    "clip": ("src/l00_linear.cpp", r"(if \(rounded < fx_int<\d+>\(0\)\) rounded = fx_int<\d+>)\(0\)", r"\g<1>(1)"),
    "window": ("src/l00_linear.cpp", r"at_w = out_w \+ tap_w - 4", "at_w = out_w + tap_w - 3"),
}


@pytest.mark.parametrize("fault", [*FAULTS, *(pytest.param(name, marks=pytest.mark.slow) for name in MORE)])
def test_a_fault_of_a_layer_is_found(folder: Path, target: str, fault: str) -> None:
    """In its own layer, and by the testbench as well."""
    file, pattern, change = (FAULTS | MORE)[fault]
    with changed(folder / target / file, pattern, change):
        report = run(folder, targets=[target], layers=True, patience=0.0)
    assert not report.passed
    assert report.vectors == ""
    (own,) = report.targets
    assert own.exit_code == 1
    if fault == "window":
        assert flavours(report, target).keys() == {"design", "raw"}
        assert flavours(report, target)["raw"]
        return
    assert all(flavours(report, target).values())
    for flavour in own.flavours:
        assert flavour.first_layer is not None
        assert flavour.first_layer.block == Path(file).stem


@each_target
def test_a_fault_of_one_target_is_not_one_of_the_other(folder: Path, target: str) -> None:
    file, pattern, change = FAULTS["sign"]
    with changed(folder / target / file, pattern, change):
        report = run(folder, layers=True, patience=0.0)
    assert not report.passed
    assert verdicts(report) == {own: own != target for own in TARGETS}


@pytest.mark.parametrize(
    ("frame", "place"), [(0, 0), (FRAMES - 1, 15), (2, 5)], ids=["the first", "the last", "in between"]
)
def test_an_expected_code_is_found(folder: Path, frame: int, place: int) -> None:
    """On both targets, in both flavours, at its place; by one is enough."""
    path = folder / "vectors/out0.txt"
    held = parse(path.read_bytes())
    code = int(held[frame, place])
    pattern = rf"(\A(?:.*\n){{{frame}}}(?:-?\d+ ){{{place}}})-?\d+"
    with changed(path, pattern, rf"\g<1>{code - 1 if code > 0 else code + 1}"):
        report = run(folder, layers=True, patience=0.0)
    assert not any(verdicts(report).values())
    for own in report.targets:
        for flavour in own.flavours:
            (output,) = flavour.outputs
            assert output.differing == 1
            assert output.first is not None
            assert output.first[:2] == (frame, place)
    assert f"frame {frame}, index {place}" in report.vectors


def test_a_depth_is_found(folder: Path, target: str) -> None:
    """One entry less than the deepest channel has to have: every code is still right, and a frame does not pass."""
    deepest = max(design().channels, key=lambda own: own.least)
    assert deepest.least == 3
    places = {
        "vitis": ("src/net.cpp", rf"(STREAM variable={deepest.name} depth=)\d+"),
        "catapult": ("directives.tcl", rf"(/net/{deepest.name}:cns -FIFO_DEPTH )\d+"),
    }
    file, pattern = places[target]
    for depth in (deepest.least - 1, deepest.least):
        with changed(folder / target / file, pattern, rf"\g<1>{depth}"):
            report = run(folder, targets=[target], layers=True)
        assert report.differing == 0
        assert report.passed is (depth == deepest.least)
        assert (f"waits for room in {deepest.name} (full: {depth})" in report.targets[0].streams) is not report.passed


@each_target
def test_a_fault_of_the_plain_top_alone_is_found(folder: Path, target: str) -> None:
    with changed(
        folder / target / "src/net_raw.cpp", r"l01_elementwise_array\(t00, t01", "l01_elementwise_array(t00, t00"
    ):
        report = run(folder, targets=[target], layers=True, patience=0.0)
    assert not report.passed
    assert {name: bool(count) for name, count in flavours(report, target).items()} == {"design": False, "raw": True}


@each_target
def test_a_fault_of_the_streams_alone_is_found(folder: Path, target: str) -> None:
    with changed(folder / target / "src/net.cpp", r"l01_elementwise\(t00_1, t01", "l01_elementwise(t00_0, t01"):
        report = run(folder, targets=[target], layers=True, patience=0.0)
    assert not report.passed


@each_target
def test_state_that_one_frame_leaves_behind_is_found(folder: Path, target: str) -> None:
    """A sum that starts where the last frame left it: the first frame is right."""
    path = folder / target / "src/l01_elementwise.cpp"
    with changed(
        path, r"(fx_int<\d+>) result = 0;", r"static int calls = 0; \g<1> result = calls++ / 16 % 12 ? 1 : 0;"
    ):
        report = run(folder, targets=[target], layers=True, patience=0.0)
    assert not report.passed
    for flavour in report.targets[0].flavours:
        first = flavour.outputs[0].first
        assert first is not None
        assert first[0] == 1


@each_target
def test_a_trace_is_found(folder: Path, target: str) -> None:
    """The outputs are right, and what a layer shows is not."""
    with changed(
        folder / target / "src/l00_linear.cpp", r"FX_TRACE\(t01, result\[lane\]\)", "FX_TRACE(t01, result[0])"
    ):
        report = run(folder, targets=[target], layers=True, patience=0.0)
    assert not report.passed
    assert not any(flavours(report, target).values())
    (own,) = report.targets
    wrong = {flavour.flavour: flavour.first_layer for flavour in own.flavours}
    assert wrong["raw"] is None
    assert wrong["design"] is not None
    assert wrong["design"].block == "l00_linear"


@each_target
def test_a_counter_is_found(folder: Path, target: str) -> None:
    """The codes are right, and one overflow too few is counted, or another number is expected."""
    with changed(folder / target / "src/l01_elementwise.cpp", r"FX_COUNT\((\w+), \(", r"FX_COUNT(\g<1>, 2 * ("):
        report = run(folder, targets=[target], layers=True, patience=0.0)
    assert not report.passed
    assert report.differing == 0
    (own,) = report.targets
    assert [list(flavour.counters) for flavour in own.flavours] == [["l01_elementwise_overflow"]] * 2
    first = int((folder / "vectors/counts.txt").read_text().split()[0])
    with changed(folder / "vectors/counts.txt", r"\A\d+", str(first + 1)):
        report = run(folder, targets=[target], layers=True)
    assert not report.passed
    assert [flavour.counters for flavour in report.targets[0].flavours] == [
        {"l00_linear_overflow": (first, first + 1)}
    ] * 2
