"""LogSoftmax behind a constant mask: no range for what is hidden, precision as without a mask, and reports that say something."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from commandline import run
from spelling import Speller

import fxnorm as fx
from fxnorm.kernels.softmax import LogSoftmax
from fxnorm.lowering.hidden import visible_logarithms
from fxnorm.simulation import Simulator

Array = np.ndarray
ROWS, WIDTH = 3, 6
HIDDEN = np.zeros((ROWS, WIDTH), bool)
HIDDEN[0, 4:] = HIDDEN[2, ::2] = True
LOW = [-1e4, -1e9, float(np.finfo(np.float32).min), -np.inf]


def masked(how: str, low: float, *, spelled: bool = False, moved: bool = False) -> onnx.ModelProto:
    """A dense layer, a mask, a logarithm of a softmax; moved about, if need be."""
    s = Speller(1, ROWS, 4)
    scores = s.MatMul("x", np.random.default_rng(1).normal(0, 1.5, (4, WIDTH)))
    if how == "add":
        scores = s.Add(scores, np.where(HIDDEN, low, 0.0))
    elif how == "where":
        scores = s.Where(s.constant(~HIDDEN, bool), scores, low)
    y = s.Log(s.Softmax(scores, axis=-1)) if spelled else s.LogSoftmax(scores, axis=-1)
    return s.model(s.reshape(s.Transpose(y, perm=[0, 2, 1]), 1, -1) if moved else y)


def samples() -> Array:
    return np.random.default_rng(2).normal(0, 1, (40, 1, ROWS, 4)).astype(np.float32)


@pytest.mark.parametrize(("spelled", "moved"), [(False, False), (False, True), (True, False)])
@pytest.mark.parametrize("low", LOW)
@pytest.mark.parametrize("how", ["add", "where"])
def test_masks_leave_the_logarithms_alone(how: str, low: float, spelled: bool, moved: bool) -> None:
    graph, x = fx.load(masked(how, low, spelled=spelled, moved=moved)), samples()
    ranges = fx.calibrate(graph, x)
    plan = fx.plan(graph, ranges, "q5.3")
    (logarithm,) = (layer for layer in plan.layers if isinstance(layer.kernel, LogSoftmax))
    assert np.array_equal(np.broadcast_to(logarithm.kernel.hidden, (1, ROWS, WIDTH))[0], HIDDEN)
    assert plan.values[logarithm.output].encoding.scale <= 1.0
    plain = fx.load(masked("none", 0.0, moved=moved))
    other = fx.plan(plain, fx.calibrate(plain, x), "q5.3")
    found = {
        name: fx.compare(fx.reference(g, x), fx.simulate(p, x))["y0"]
        for name, g, p in (("masked", graph, plan), ("plain", plain, other))
    }
    # What FP32 gives where nothing is seen counts as the lowest number, and is met; all else is as near as without a mask.
    assert found["masked"].largest <= found["plain"].largest + 0.01
    assert found["masked"].sqnr_db > found["plain"].sqnr_db - 1.0
    codes = fx.simulate(plan, x)["y0"].codes
    gone = np.broadcast_to((HIDDEN.T if moved else HIDDEN).reshape(codes.shape[1:]), codes.shape)
    assert np.all(codes[gone] == -128)
    histogram = ranges.histogram(logarithm.output)  # its parts, and how many numbers lie in each
    assert histogram.low.min() > -100
    assert histogram.counts.sum() == 40 * (~HIDDEN).sum()


@pytest.mark.parametrize("low", LOW[:2])
def test_fast_and_slow_count_alike(low: float) -> None:
    graph, x = fx.load(masked("add", low, moved=True)), samples()
    plan = fx.plan(graph, fx.calibrate(graph, x), "q3.2:trn,wrap")
    result, slow = fx.simulate(plan, x), Simulator(plan, fast=False)
    codes = slow.run({"x": x})
    assert np.array_equal(codes[plan.outputs["y0"]].reshape(-1), result["y0"].codes.reshape(-1))
    assert {name: report.usage.overflow for name, report in slow.reports.items()} == {
        name: report.usage.overflow for name, report in result.reports.items()
    }


def test_what_is_visible_is_told_by_the_mask_alone() -> None:
    assert visible_logarithms(fx.load(masked("none", 0.0))) == {}
    assert visible_logarithms(fx.load(masked("add", -5.0))) == {}
    (visible,) = visible_logarithms(fx.load(masked("add", -1e9))).values()
    assert np.array_equal(np.broadcast_to(visible, (1, ROWS, WIDTH))[0], ~HIDDEN)


def test_the_command_line_has_numbers_for_it(tmp_path: Path) -> None:
    onnx.save(masked("add", -np.inf), tmp_path / "m.onnx")
    np.savez(tmp_path / "x.npz", x=samples()[:, 0])
    record = run("simulate", tmp_path / "m.onnx", "--data", tmp_path / "x.npz", "--format", "q5.3", "--json", "-").json
    assert record["outputs"]["y0"]["sqnr_db"] > 30
    assert record["outputs"]["y0"]["max_abs_error"] < 0.5
    assert record["layers"][-1]["overflow_count"] == 0
    assert record["layers"][-1]["at_low_fraction"] == pytest.approx(HIDDEN.mean())


def test_a_plan_is_saved_and_read_with_what_it_hides(tmp_path: Path) -> None:
    graph, x = fx.load(masked("where", -1e9)), samples()
    plan = fx.plan(graph, fx.calibrate(graph, x), "q5.3")
    again = fx.load_plan(fx.save_plan(plan, tmp_path / "plan"))
    assert again.digest == plan.digest
    assert (
        again.floors
        == plan.floors
        == {plan.outputs["y0"]: plan.values[plan.outputs["y0"]].encoding.decode(np.array(-128))}
    )
    assert np.array_equal(fx.simulate(again, x)["y0"].codes, fx.simulate(plan, x)["y0"].codes)
