"""Cycles, latency and resources of designs: worked out by hand, against the token programs, and against FINN's formulas."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import helper
from small_models import floats, model, save

import fxnorm as fx
from fxnorm.cost import NetworkEstimate, estimate, plan_cost
from fxnorm.cost.datapath import Datapath
from fxnorm.cost.resources import Resources, units
from fxnorm.cost.structure import Structure, sites
from fxnorm.cost.work import Memory, add, multiply
from fxnorm.errors import UsageError
from fxnorm.fixed.format import Format
from fxnorm.hls import tokens
from fxnorm.hls.block import Frame, Port, Rows, Site, Sliding
from fxnorm.hls.choices import Choices
from fxnorm.hls.design import make_design
from fxnorm.hls.folding import Folding, fold
from fxnorm.hls.layout import layout
from fxnorm.kernels.linear import Window
from fxnorm.planning.plan import Plan

Array = np.ndarray
Q5_3 = Format.parse("q5.3")
EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def port(shape: Sequence[int], *, pixels: bool = False) -> Port:
    return Port("t00", Q5_3, tuple(shape), layout(tuple(shape), 8, pixels=pixels))


def structure(
    style: Rows | Sliding | Frame, path: Datapath, folding: Folding, inputs: Sequence[Port], output: Port
) -> Structure:
    kernel = None
    return Structure(Site("l00", kernel, tuple(inputs), output), path, style, folding)  # type: ignore[arg-type]


def test_rows() -> None:
    own = structure(Rows(), Datapath(5, 6, 8), Folding(2, 4, 3, 2), [port([5, 8])], port([5, 6]))
    # Five rows in six steps each, a beat in and a beat out.
    assert (own.kind, own.steps, own.cycles, own.interval) == ("rows", 6, 30, 40)
    assert own.needed(0) == 1
    assert own.first == 7


def test_passes_are_steps() -> None:
    path = Datapath(5, 6, 8, passes=3)
    own = structure(Rows(), path, Folding(2, 4, 3, 2), [port([5, 8])], port([5, 6]))
    assert (own.steps, own.cycles, own.interval, own.first) == (18, 90, 100, 19)


def test_rows_that_are_wider_than_a_stream() -> None:
    own = structure(Rows(), Datapath(1, 100, 128), Folding(1, 1, 100, 128), [port([1, 128])], port([1, 100]))
    # 64 lanes at most: 128 values in two beats, 100 in two of 50.
    assert own.interval == 12800 + 2 + 2
    assert own.needed(0) == 2


def test_pipelined_rows() -> None:
    own = structure(Rows(pipelined=True), Datapath(9, 128), fold(128, 1, None), [port([9, 128])] * 2, port([9, 128]))
    assert (own.steps, own.cycles, own.interval) == (1, 9, 18)


def test_windows() -> None:
    window = Window((3, 3), (1, 1), (1, 1), (1, 1), (1, 1))
    style = Sliding.of(window, (1, 2, 4, 5), 0)
    image = port([1, 2, 4, 5], pixels=True)
    own = structure(style, Datapath(20, 4, 18), Folding(2, 9, 2, 2), [image], port([1, 4, 4, 5], pixels=True))
    # Twenty outputs of four steps, 6 × 7 places to pass, twenty beats out.
    assert (own.kind, own.cycles, own.interval) == ("sliding", 80, 80 + 42 + 20)
    assert own.needed(0) == 5 + 2
    assert own.first == 5


def test_frames() -> None:
    own = structure(Frame(), Datapath(4, 6, 3), Folding(3, 1, 2, 3), [port([3, 4]), port([6])], port([4, 6]))
    assert (own.kind, own.cycles, own.interval) == ("frame", 24, 24 + 3 + 1 + 4)
    assert own.needed(0) == 3
    assert own.first == 25


@given(st.data())
def test_what_a_window_needs_is_what_its_token_program_reads(data: st.DataObject) -> None:
    axes = []
    for _ in range(data.draw(st.integers(1, 2))):
        kernel, stride, dilation = (data.draw(st.integers(1, 3)) for _ in range(3))
        before, after = data.draw(st.integers(0, 3)), data.draw(st.integers(0, 3))
        size = data.draw(st.integers(max(1, dilation * (kernel - 1) + 1 - before - after), 9))
        axes.append((size, kernel, stride, dilation, before, after))
    space, *others = zip(*axes, strict=True)
    window = Window(*others)
    style = Sliding.of(window, (1, 2, *space), 0)
    out = tuple(axis.outputs for axis in style.axes)
    own = structure(
        style, Datapath(1, 1), Folding(1, 1, 1, 1), [port([1, 2, *space], pixels=True)], port([1, 2, *out], pixels=True)
    )
    reads = 0
    for event in tokens.events(tokens.window(0, 1, space, window)):
        if isinstance(event, tokens.Write):
            break
        reads += event.count
    # An output that lies in the padding alone comes before any pixel; the estimate takes one then.
    assert own.needed(0) == max(reads, 1)


def test_resources_of_a_folded_layer() -> None:
    memories = (
        Memory("weights", 600, 8, "product"),
        Memory("weights", 100, 20, "output"),
        Memory("table", 256, 8, "copy"),
        Memory("buffer", 70, 8),
    )
    path = Datapath(7, 100, 6, multiply(16, 8) + add(25), multiply(30, 17), multiply(9, 9), 7, memories=memories)
    own = structure(Rows(), path, Folding(5, 2, 20, 3), [port([7, 6])], port([7, 100]))
    # Ten products: 16×8 is one DSP; five outputs: 30×17 is two (⌈30/27⌉·⌈17/18⌉); a group: 9×9 in LUTs.
    assert own.multipliers == 10 + 5 + 1
    assert own.multiplier_area == 10 * 128 + 5 * 510 + 81
    found = own.resources()
    assert found.dsp == 10 + 10
    # Ten adders; 9×9 in LUTs; weights: 60 words of 80 bits; biases: 20 words of 100 bits.
    luts = 10 * 25 + (2 * 3 - 1) * 18 + 80 + 100
    assert found.lut == 300 + math.ceil(1.1 * luts)
    # The table once for every two of five outputs, and the buffer.
    assert found.bram18 == 3 + 1


@given(st.integers(1, 60), st.integers(1, 60), st.none() | st.integers(1, 200))
def test_more_parallelism_never_takes_more_cycles(outputs: int, inputs: int, parallelism: int | None) -> None:
    path = Datapath(3, outputs, inputs, multiply(8, 8), add(9))
    own = structure(Rows(), path, fold(outputs, inputs, parallelism), [port([3, inputs])], port([3, outputs]))
    single = structure(Rows(), path, fold(outputs, inputs, 1), [port([3, inputs])], port([3, outputs]))
    assert own.cycles <= single.cycles == 3 * outputs * inputs
    assert own.folding.width <= (parallelism or outputs * inputs)
    # Units times cycles hold the work.
    assert own.multipliers * own.cycles == path.work.multiplications
    assert own.resources().lut >= single.resources().lut


# Networks.


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    """A convolution, ReLU, another one with a stride, a dense layer."""
    generator = np.random.default_rng(0)

    def weights(*shape: int) -> Array:
        return generator.normal(size=shape).astype(np.float32)

    nodes = [
        helper.make_node("Conv", ["x", "w0"], ["a"], name="one", pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["a"], ["b"], name="relu"),
        helper.make_node("Conv", ["b", "w1"], ["c"], name="two", pads=[1, 1, 1, 1], strides=[2, 2]),
        helper.make_node("Flatten", ["c"], ["d"], name="flat"),
        helper.make_node("Gemm", ["d", "w2"], ["y"], name="dense"),
    ]
    proto = model(
        nodes,
        [floats("x", [1, 2, 6, 6])],
        [floats("y", [1, 5])],
        {"w0": weights(4, 2, 3, 3), "w1": weights(3, 4, 3, 3), "w2": weights(27, 5)},
    )
    graph = fx.load(save(proto, tmp_path / "net.onnx"))
    x = generator.normal(size=(8, 2, 6, 6)).astype(np.float32)
    return fx.plan(graph, fx.calibrate(graph, x), format="q5.3")


def rows_of(found: NetworkEstimate) -> Mapping[str, tuple[int, ...]]:
    return {own.name: (own.pe, own.simd, own.vectors, own.folds, own.cycles, own.interval) for own in found.layers}


def test_a_network_by_hand(plan: Plan) -> None:
    found = estimate(plan)
    rows = rows_of(found)
    # 36 pixels of 4 · 18 products; 8 × 8 places; 36 beats out.
    assert rows["one"] == (1, 1, 36, 72, 2592, 2592 + 64 + 36)
    # 9 pixels of 3 · 36 products; 8 × 8 places; 9 beats out.
    assert rows["two"] == (1, 1, 9, 108, 972, 972 + 64 + 9)
    # 27 inputs of 5 outputs; one beat each way.
    assert rows["dense"] == (1, 1, 1, 135, 135, 137)
    assert found.interval == 2692
    assert found.io == "stream"
    first = {own.name: own.fill for own in found.layers}
    # The first window ends with pixel 6 + 2; the next cycles are 72 steps and the one that writes.
    assert first["one"] == 7 + 73
    # The second waits for pixel 6 + 2 of the first, which gives one in ⌈2692 / 36⌉ = 75 cycles.
    assert first["two"] == 7 * 75 + 109
    assert sum(first.values()) + 1 == found.first_output == found.latency
    assert found.resources == sum((own.resources for own in found.layers), Resources())
    assert found.cost == plan_cost(plan)
    assert found.multipliers == 3


def test_a_slow_layer_slows_what_follows(plan: Plan) -> None:
    """The first convolution has most of the work: with the rest at full speed they still take a frame as seldom."""
    found = estimate(plan, ["full", "one=1"])
    slow, *_ = intervals = [own.interval for own in found.layers]
    assert found.interval == slow == max(intervals)
    fills = {own.name: own.fill for own in found.layers}
    # The second convolution waits for pixel 6 + 2 at 75 cycles each. Its nine beats come in a frame's time: ⌈2692 / 9⌉ = 300 cycles
    # each, so that the last of them is eight times as far behind the first.
    names = [own.name for own in found.layers]
    assert fills["two"] == 7 * 75 + 1 + 1
    assert fills[names[names.index("two") + 1]] >= 8 * 300


def test_parallelism_of_one_layer(plan: Plan) -> None:
    rows = rows_of(estimate(plan, ["2", "two=12", "dense=full"]))
    assert rows["one"][:4] == (1, 2, 36, 36)
    assert rows["two"][:4] == (1, 12, 9, 9)
    assert rows["dense"][:4] == (5, 27, 1, 1)
    assert rows_of(estimate(plan, ["full"]))["one"][:5] == (4, 18, 36, 1, 36)


def test_one_function_after_the_other(plan: Plan) -> None:
    found = estimate(plan, ["1"], io="parallel")
    assert found.interval == found.latency == sum(own.cycles for own in found.layers)
    assert rows_of(estimate(plan, io="parallel"))["one"][3] == 1


@pytest.mark.parametrize(
    ("parallelism", "io"), [(["0"], None), (["x=y"], None), (["no-such=2"], None), ([], "sideways")]
)
def test_what_is_wrong_is_refused(plan: Plan, parallelism: list[str], io: str | None) -> None:
    with pytest.raises(UsageError):
        estimate(plan, parallelism, io=io)


def test_the_record_is_plain_data(plan: Plan) -> None:
    found = estimate(plan, ["4"])
    record = json.loads(json.dumps(found.record()))
    assert record["interval"] == found.interval
    assert record["note"].startswith("estimates before synthesis")
    assert [own["name"] for own in record["layers"]] == [own.name for own in found.layers]
    assert record["dsp"] == sum(own["dsp"] for own in record["layers"])
    assert record["cost"]["multiplier_area"] == sum(own["cost"]["multiplier_area"] for own in record["layers"])


def finn_mvau(pe: int, simd: int, inputs: int, outputs: int, vectors: int, w: int, a: int) -> tuple[int, int, int]:
    """Cycles, LUTs and DSPs of FINN's matrix-vector unit (MVAU.get_exp_cycles, lut_estimation, dsp_estimation; after FINN-R)."""
    cycles = (outputs // pe) * (inputs // simd) * vectors
    products = simd * (2 * math.ceil((w + a) / 6) - 1) * (w + a)
    tree = (w + a) * (2 * simd - 1)
    alpha = math.log2(inputs) + w + a - 1 - 1
    accumulator = math.ceil(alpha + math.log2(1 + 2**-alpha) + 1)
    luts = 300 + 1.1 * pe * (products + tree + accumulator)
    return cycles, int(luts), pe * simd * math.ceil((w + a) / 48)


@pytest.mark.parametrize("parallelism", ["1", "4", "16", "64", "full"])
def test_dense_and_convolution_beside_finn(plan: Plan, parallelism: str) -> None:
    for own, site in zip(estimate(plan, [parallelism]).layers, sites(plan, Choices.make()), strict=True):
        if own.kernel != "linear":
            continue
        kernel: Any = site.kernel
        weights = kernel.weights
        outputs, inputs = len(weights), weights[0].size
        cycles, luts, _ = finn_mvau(own.pe, own.simd, inputs, outputs, own.vectors, 8, site.inputs[0].bits)
        assert own.cycles == cycles
        assert own.resources.dsp == 0
        # A second opinion: within a factor of two, rescale stages and small memories included here.
        assert luts / 2 < own.resources.lut < 2 * luts + 700


def test_dsp_beside_finn(tmp_path: Path) -> None:
    proto = model(
        [helper.make_node("Gemm", ["x", "w"], ["y"], name="dense")],
        [floats("x", [1, 16])],
        [floats("y", [1, 8])],
        {"w": np.random.default_rng(0).normal(size=(16, 8)).astype(np.float32)},
    )
    graph = fx.load(save(proto, tmp_path / "net.onnx"))
    ranges = fx.calibrate(graph, np.random.default_rng(1).normal(size=(9, 16)).astype(np.float32))
    (own,) = estimate(fx.plan(graph, ranges, format="q8.8"), ["32"]).layers
    assert own.resources.dsp == finn_mvau(own.pe, own.simd, 16, 8, 1, 16, 16)[2] == 32


@pytest.mark.parametrize("name", ["digits_conv.onnx", "digits_dense.onnx"])
def test_sites_are_those_of_the_emitted_design(name: str) -> None:
    graph = fx.load(EXAMPLES / name)
    shape = next(iter(graph.values[own].shape for own in graph.inputs))
    x = np.random.default_rng(0).normal(size=(8, *shape[1:])).astype(np.float32)
    plan = fx.plan(graph, fx.calibrate(graph, x), format="q5.3")
    choices = Choices.make(parallelism=["8"])
    try:
        design = make_design(plan, choices)
    except fx.FxnormError as error:
        pytest.skip(f"not emitted yet: {error}")
    found = estimate(plan, ["8"])
    for unit, own, site in zip(design.units, found.layers, sites(plan, choices), strict=True):
        assert [other.layout for other in site.inputs] == [other.layout for other in unit.site.inputs]
        assert site.output.layout == unit.site.output.layout
        assert (site.name, site.parallelism) == (unit.site.name, unit.site.parallelism)
        assert own.structure == (unit.block.style.kind if unit.block.style.streams else "frame")
        folding = getattr(unit.block.view, "folding", None)
        if folding is not None:
            assert (own.pe, own.simd, own.folds) == (folding.pe, folding.simd, folding.steps)


def test_units_hold_the_work_of_every_layer() -> None:
    """What is built, times the cycles it has, suffices for the work."""
    graph = fx.load(EXAMPLES / "digits_vit.onnx")
    shape = next(iter(graph.values[own].shape for own in graph.inputs))
    x = np.random.default_rng(0).normal(size=(4, *shape[1:])).astype(np.float32)
    plan = fx.plan(graph, fx.calibrate(graph, x), format="q5.3")
    for parallelism in ("1", "16", "full"):
        for own in estimate(plan, [parallelism]).layers:
            assert own.multipliers * own.cycles >= own.cost.work.multiplications, own.name
            assert own.interval >= own.cycles or own.structure != "frame"
            assert units(own.cost.work).dsp >= own.resources.dsp
