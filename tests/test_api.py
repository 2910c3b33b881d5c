"""The Python interface, as the documentation shows it."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from commandline import run
from onnx import helper
from small_models import dense, floats, model, samples, save

import fxnorm as fx
from fxnorm.errors import DataError, ModelError, PlanError, UnsupportedError, UsageError

Array = np.ndarray


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return save(dense(), tmp_path / "dense.onnx")


def test_the_whole_way(path: Path) -> None:
    x = samples()
    graph = fx.load(path)
    plan = fx.plan(graph, fx.calibrate(graph, x), format="q5.3", normalize="pow2")
    result = fx.simulate(plan, x)
    output = result["y"]
    assert list(result) == ["y"]
    assert output.codes.dtype == np.int64
    assert output.codes.shape == (10, 3)
    assert output.format == fx.Format.parse("q5.3")
    encoding = plan.values["y"].encoding
    assert np.array_equal(output.values, output.codes / 8 * encoding.scale + encoding.offset)
    assert np.array_equal(np.asarray(output.to_fxp().val), output.codes)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (wanted,) = session.run(None, {"x": x})
    reference = fx.reference(graph, x)
    assert np.allclose(reference["y"], wanted, rtol=1e-6, atol=1e-6)
    error = fx.compare(reference, result)["y"]
    noise = ((output.values - reference["y"]) ** 2).sum()
    assert error.sqnr_db == pytest.approx(10 * math.log10((reference["y"].astype(float) ** 2).sum() / noise))
    assert error.argmax_agreement == np.mean(output.values.argmax(1) == reference["y"].argmax(1))


def test_a_comparison_prints_a_line_an_output(path: Path) -> None:
    graph = fx.load(path)
    plan = fx.plan(graph, fx.calibrate(graph, samples()), format="q5.3")
    comparison = fx.compare(fx.reference(graph, samples()), fx.simulate(plan, samples()))
    assert str(comparison).startswith(f"y: SQNR {comparison['y'].sqnr_db:.1f} dB")
    assert "arg-max agrees" in str(comparison)
    assert len(comparison) == len(list(comparison)) == 1


def test_the_command_line_computes_the_same(path: Path, tmp_path: Path) -> None:
    x = samples(300)
    np.savez(tmp_path / "x.npz", x=x)
    graph = fx.load(path)
    plan = fx.plan(graph, fx.calibrate(graph, x[:256]), format="q5.3", layers=["dense:format=q4.6"], rounding="trn")
    result = fx.simulate(plan, x, trace=True)
    options = ("--format", "q5.3", "--layer", "dense:format=q4.6", "--rounding", "trn")
    ran = run("simulate", path, *options, "--data", tmp_path / "x.npz", "--trace", tmp_path / "t.npz", "--json", "-")
    assert ran.code == 0
    with np.load(tmp_path / "t.npz") as trace:
        for name, output in result.traces.items():
            assert np.array_equal(trace[f"{name}.codes"], output.codes)
            assert np.array_equal(trace[f"{name}.values"], output.values)
    error = fx.compare(fx.reference(graph, x), result)["y"]
    record = ran.json["outputs"]["y"]
    assert record["sqnr_db"] == pytest.approx(error.sqnr_db)
    assert record["argmax_agreement"] == error.argmax_agreement


def test_plans_are_saved_and_loaded_without_loss(path: Path, tmp_path: Path) -> None:
    graph = fx.load(path)
    plan = fx.plan(graph, fx.calibrate(graph, samples()), format="q5.3:rnd_conv,sat_sym")
    folder = fx.save_plan(plan, tmp_path / "plan")
    again = fx.load_plan(folder)
    assert again.digest == plan.digest
    assert np.array_equal(fx.simulate(again, samples())["y"].codes, fx.simulate(plan, samples())["y"].codes)
    ran = run("simulate", folder, "--json", "-")
    assert ran.code == 0
    assert ran.json["plan"]["digest"] == plan.digest


def test_a_model_in_memory(tmp_path: Path) -> None:
    graph = fx.load(dense())
    plan = fx.plan(graph, fx.calibrate(graph, samples()), format="q8.8")
    assert fx.compare(fx.reference(graph, samples()), fx.simulate(plan, samples()))["y"].sqnr_db > 50
    fx.save_plan(plan, tmp_path / "plan")
    message = run("simulate", tmp_path / "plan").message
    assert "--model" in message


def test_batches(path: Path) -> None:
    whole, pairs = fx.load(path), fx.load(path, batch=2)
    codes = []
    for graph in (whole, pairs):
        plan = fx.plan(graph, fx.calibrate(graph, samples()), format="q5.3")
        codes.append(fx.simulate(plan, samples())["y"].codes)
    assert np.array_equal(*codes)


def test_free_dimensions() -> None:
    nodes = [helper.make_node("Relu", ["x"], ["y"])]
    graph = fx.load(model(nodes, [floats("x", ["N", "T"])], [floats("y", ["N", "T"])]), dims={"T": 5})
    assert fx.reference(graph, np.ones((3, 5)))["y"].shape == (3, 5)


def scalar_model(shape: tuple[int, ...]) -> object:
    nodes = [
        helper.make_node("ReduceSum", ["x", "axes"], ["s"], keepdims=0),
        helper.make_node("Reshape", ["s", "shape"], ["r"]),
        helper.make_node("Add", ["r", "c"], ["y"]),
    ]
    c = np.arange(math.prod(shape), dtype=np.float32).reshape(shape)
    constants: dict[str, Array] = {"axes": np.array([0]), "shape": np.array([1] * len(shape), np.int64), "c": c}
    return model(nodes, [floats("x", [4])], [floats("y", shape)], constants)


@pytest.mark.parametrize(
    ("shape", "agrees"), [((), False), ((1,), False), ((3,), True), ((2, 1), False), ((1, 3), True)]
)
def test_agreement_is_over_the_models_own_axis(shape: tuple[int, ...], agrees: bool) -> None:
    graph = fx.load(scalar_model(shape))  # type: ignore[arg-type]
    x = samples(6)
    plan = fx.plan(graph, fx.calibrate(graph, x), format="q5.3")
    error = fx.compare(fx.reference(graph, x), fx.simulate(plan, x))["y"]
    assert (error.argmax_agreement is not None) == agrees


def test_comparing_what_does_not_belong_together(path: Path) -> None:
    graph = fx.load(path)
    result = fx.simulate(fx.plan(graph, fx.calibrate(graph, samples()), format="q5.3"), samples())
    with pytest.raises(DataError, match="'y' is missing"):
        fx.compare({}, result)
    with pytest.raises(DataError, match=r"\[10, 3\], not \[5, 3\]"):
        fx.compare(fx.reference(graph, samples(5)), result)


def test_the_digest_of_samples_is_that_of_their_numbers(path: Path) -> None:
    graph = fx.load(path)
    x = samples()
    digests = [
        fx.calibrate(graph, given).data_sha256
        for given in (x, x.astype(np.float64), {"x": x}, x.reshape(10, 1, 4), x + 1)
    ]
    assert len(set(digests[:4])) == 1
    assert digests[4] != digests[0]


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"format": "q0.0"}, UsageError),
        ({"format": "q5.3", "normalize": "sideways"}, UsageError),
        ({"format": "q5.3", "colour": "red"}, UsageError),
        ({"format": "q5.3", "layers": ["nothing:format=q5.3"]}, UsageError),
        ({"format": "q5.3", "layers": ["dense"]}, UsageError),
        ({"format": "q5.3:trn", "rounding": "rnd"}, UsageError),
    ],
)
def test_wrong_options(path: Path, options: dict[str, object], error: type[Exception]) -> None:
    graph = fx.load(path)
    ranges = fx.calibrate(graph, samples())
    with pytest.raises(error):
        fx.plan(graph, ranges, **options)  # type: ignore[arg-type]


def test_ranges_of_another_model(path: Path) -> None:
    graph = fx.load(path)
    ranges = fx.calibrate(fx.load(dense(name="other")), samples())
    with pytest.raises(PlanError, match="another model"):
        fx.plan(graph, ranges, "q5.3")


def test_errors_are_of_one_family(tmp_path: Path) -> None:
    with pytest.raises(ModelError):
        fx.load(tmp_path / "gone.onnx")
    nodes = [helper.make_node("Sin", ["x"], ["y"], name="s")]
    graph = fx.load(model(nodes, [floats("x", ["N", 4])], [floats("y", ["N", 4])]))
    with pytest.raises(UnsupportedError) as caught:
        fx.plan(graph, fx.calibrate(graph, samples()), "q5.3")
    assert caught.value.reasons == ("s (Sin): operator Sin is not supported",)
    assert issubclass(UnsupportedError, fx.FxnormError)


def test_the_public_names() -> None:
    for name in fx.__all__:
        assert getattr(fx, name) is not None
    assert set(fx.__all__) <= set(dir(fx))
    with pytest.raises(AttributeError, match="nothing_such"):
        fx.nothing_such  # noqa: B018
