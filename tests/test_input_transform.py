"""Nonlinear normalization of inputs, from the command line to the codes: every decade as precise as the others."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import numpy as np
import onnx
import pytest
from commandline import run
from onnx import helper
from small_models import floats, model

import fxnorm as fx
from fxnorm.errors import DataError
from fxnorm.planning.storage import load, save

Array = np.ndarray
ROOT = Path(__file__).resolve().parents[1]
DECADES = range(-12, 12)


def network() -> onnx.ModelProto:
    """Three stresses (as logarithms) and three displacements, each through a dense layer of its own, then together."""
    rng = np.random.default_rng(0)
    nodes = [
        helper.make_node("Gemm", ["stress", "A", "a"], ["s"], name="of_stress"),
        helper.make_node("Gemm", ["displacement", "B", "b"], ["d"], name="of_displacement"),
        helper.make_node("Add", ["s", "d"], ["h"], name="together"),
        helper.make_node("Tanh", ["h"], ["t"], name="tanh"),
        helper.make_node("MatMul", ["t", "C"], ["y"], name="out"),
    ]
    constants = {
        "A": rng.normal(0, 0.03, (3, 8)),
        "a": rng.normal(0, 0.2, 8),
        "B": rng.normal(0, 0.6, (3, 8)),
        "b": rng.normal(0, 0.2, 8),
        "C": rng.normal(0, 0.5, (8, 2)),
    }
    constants = {name: array.astype(np.float32) for name, array in constants.items()}
    return model(
        nodes, [floats("stress", ["n", 3]), floats("displacement", ["n", 3])], [floats("y", ["n", 2])], constants
    )


def samples(count: int = 480, seed: int = 1) -> dict[str, Array]:
    """Stresses of all decades between 1e-12 and 1e12, displacements between 0 and 1."""
    rng = np.random.default_rng(seed)
    stress = 10.0 ** rng.uniform(-12, 12, (count, 3))
    stress[0] = 1e-12, 1.0, 1e12
    return {"stress": stress.astype(np.float32), "displacement": rng.random((count, 3)).astype(np.float32)}


HOW = "stress=log"


def planned(format_: str, how: str | None = HOW, **options: str) -> tuple[fx.api.Plan, dict[str, Array]]:
    graph, x = fx.load(network()), samples()
    ranges = fx.calibrate(graph, x, input_transform=how)
    return fx.plan(graph, ranges, format_, input_transform=how, **options), x


@pytest.mark.parametrize(
    ("format_", "normalize"), [("q5.3", "pow2"), ("q8.8", "pow2"), ("q8.8", "affine"), ("q4.20", "pow2")]
)
def test_relative_precision_is_the_same_in_every_decade(format_: str, normalize: str) -> None:
    """Read back from its code, a number differs from what it was by half a step of the logarithm, wherever it lies."""
    plan, _ = planned(format_, normalize=normalize)
    encoding = plan.values["stress"].encoding
    step = float(encoding.step)
    worst = []
    for decade in DECADES:
        x = (10.0 ** (decade + np.arange(600).reshape(-1, 3) / 600)).astype(np.float32)
        result = fx.simulate(plan, {"stress": x, "displacement": np.zeros_like(x)}, trace=True)
        back = np.exp(result.traces["stress"].values).reshape(x.shape)
        worst.append(np.abs(np.log(back / x.astype(np.float64))).max())
        # As good as rounding the logarithm once, but for 5 % of a step (an affine scale's multiplier has up to half a step more);
        # 2^-24 is float32's own precision.
        assert worst[-1] <= (1.05 if normalize == "affine" else 0.55) * step + 2.0**-24
    if step > 1e-3:
        assert max(worst) <= 1.25 * min(worst)


@pytest.mark.parametrize(("format_", "least"), [("q5.3", 20.0), ("q8.8", 65.0)])
def test_stresses_meet_displacements(format_: str, least: float) -> None:
    plan, x = planned(format_)
    expected = fx.reference(fx.load(network()), x, input_transform=HOW)
    found = fx.simulate(plan, x)
    assert fx.compare(expected, found)["y"].sqnr_db > least


def test_without_it_small_stresses_are_nothing() -> None:
    plan, x = planned("q8.8", None)
    traces = fx.simulate(plan, x, trace=True).traces["stress"].codes.reshape(-1, 3)
    assert not traces[x["stress"] < 1e6].any()


def test_every_decade_moves_the_output_alike() -> None:
    """A factor of 2 on one stress changes what the first layer gets by the same number of codes, in every decade."""
    plan, _ = planned("q8.8")
    moves = []
    for decade in DECADES:
        x = np.full((2, 3), 10.0**decade, np.float32)
        x[1, 0] *= 2
        codes = fx.simulate(plan, {"stress": x, "displacement": np.full((2, 3), 0.5, np.float32)}, trace=True)
        stress = codes.traces["stress"].codes.reshape(2, 3)
        moves.append(int(stress[1, 0] - stress[0, 0]))
    expected = np.log(2.0) / float(plan.values["stress"].encoding.step)
    assert all(abs(move - expected) <= 1 for move in moves)


def test_it_is_part_of_the_plan(tmp_path: Path) -> None:
    plan, x = planned("q8.8")
    plain, _ = planned("q8.8", "stress=log2")
    assert plan.digest != plain.digest
    again = load(save(plan, tmp_path / "plan"))
    assert again.digest == plan.digest
    assert np.array_equal(fx.simulate(again, x)["y"].codes, fx.simulate(plan, x)["y"].codes)


def test_the_command_line(tmp_path: Path) -> None:
    path, data, folder = tmp_path / "model.onnx", tmp_path / "x.npz", tmp_path / "plan"
    onnx.save(network(), path)
    np.savez(data, **samples())
    ran = run("simulate", path, "--format", "q8.8", "--data", data, "--input-transform", HOW, "--json", "-")
    assert ran.code == 0
    record = ran.json
    stress, displacement = record["layers"][:2]
    assert (stress["transform"], stress["kernel"]) == ("log", "log_transform")
    assert "transform" not in displacement
    assert record["outputs"]["y"]["sqnr_db"] > 65
    assert stress["sqnr_db"] > 80
    # The plan needs no option, and takes none.
    assert run("plan", path, "--format", "q8.8", "--data", data, "--input-transform", HOW, "-o", folder).code == 0
    assert run("simulate", folder, "--data", data, "--json", "-").json["outputs"] == record["outputs"]
    assert "--input-transform" in run("simulate", folder, "--data", data, "--input-transform", HOW).message
    assert "Input log" in run("inspect", folder).out


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("strain=log", "the model has no floating-point input 'strain'; its inputs are stress, displacement"),
        ("stress=ln", "must be log, log2, log10, sqrt or power:P"),
        ("stress=log,stress=sqrt", "'stress' is given twice"),
        ("log", "input 'displacement': log takes positive numbers, not 0"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, how: str, message: str) -> None:
    path, data = tmp_path / "model.onnx", tmp_path / "x.npz"
    onnx.save(network(), path)
    x = samples(8)
    x["displacement"][3] = 0.0
    np.savez(data, **x)
    ran = run("simulate", path, "--format", "q8.8", "--data", data, "--input-transform", how)
    assert ran.code == 2
    assert message in ran.message


def test_a_plan_refuses_numbers_without_a_logarithm() -> None:
    plan, x = planned("q8.8")
    x["stress"][5, 1] = -3.0
    with pytest.raises(DataError, match="input 'stress': log takes positive numbers, not -3"):
        fx.simulate(plan, x)


def test_all_inputs_at_once() -> None:
    graph, x = fx.load(network()), samples()
    x["displacement"] += 0.01
    plan = fx.plan(graph, fx.calibrate(graph, x, input_transform="power:0.1"), "q8.8", input_transform="power:0.1")
    assert set(plan.transforms) == {"stress", "displacement"}
    expected = fx.reference(graph, x, input_transform="power:0.1")
    assert fx.compare(expected, fx.simulate(plan, x))["y"].sqnr_db > 55


@pytest.fixture(scope="module")
def decades() -> ModuleType:
    import importlib.util

    spec = importlib.util.spec_from_file_location("decades", ROOT / "examples" / "decades.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    import sys

    sys.modules["decades"] = module
    spec.loader.exec_module(module)
    return module


def test_the_figure_is_what_the_command_draws(decades: ModuleType) -> None:
    wanted = (("q8.8", "log"), ("q8.8", "sqrt"), ("q8.8", "none"), ("q5.3", "log"), ("q5.3", "none"))
    curves = [decades.curve(*one) for one in wanted]
    assert decades.drawing(curves) == (ROOT / "docs" / "nonlinear.svg").read_text()
    of_log, _, plain, *_ = curves
    assert max(of_log.errors) < 1.05 * min(of_log.errors) < 0.001
    assert plain.errors[0] == 1.0
