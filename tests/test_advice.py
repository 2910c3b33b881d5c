"""The recommendation: what is measured, what is chosen, what it costs, and the hint under a run."""

from __future__ import annotations

import math

import numpy as np
import onnx
import pytest
from commandline import read_json, run
from onnx import TensorProto, helper, numpy_helper

import fxnorm as fx
from fxnorm.advice import Trial, advise, choose, local_sqnr
from fxnorm.calibration.histogram import HistogramCounter
from fxnorm.data import Data
from fxnorm.evaluation import Evaluation, calibrate, evaluate, evaluate_all
from fxnorm.fixed.format import Format
from fxnorm.kernels.encoding import Encoding
from fxnorm.metrics import Error, ValueReport
from fxnorm.output_digest import OutputDigest
from fxnorm.planning.options import Options
from fxnorm.planning.planner import make_plan
from fxnorm.planning.price import Cost, rescale_cost
from fxnorm.report.hint import hint

RNG = np.random.default_rng(11)
SAMPLES = 64


def save_network(path, scale, offset):
    """Two classes from eight numbers: a hidden layer that lies around an offset, its ReLU, and logits that take the offset off again."""
    hidden, out = RNG.normal(size=(8, 6)) * scale, RNG.normal(size=(6, 2)) / scale
    constants = {
        "w0": hidden,
        "b0": np.full(6, offset) + 3 * scale,
        "w1": out,
        "b1": -(np.full(6, offset) + 3 * scale) @ out,
    }
    nodes = [
        helper.make_node("Gemm", ["x", "w0", "b0"], ["hidden"], name="first"),
        helper.make_node("Relu", ["hidden"], ["relu"], name="activation"),
        helper.make_node("Gemm", ["relu", "w1", "b1"], ["logits"], name="second"),
    ]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 8])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", 2])],
        [numpy_helper.from_array(array.astype(np.float32), name) for name, array in constants.items()],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]), path)
    return path


def save_samples(path, model):
    x = RNG.normal(size=(SAMPLES, 8)).astype(np.float32)
    logits = fx.reference(fx.load(model), x)["logits"]
    labels = logits.argmax(axis=1)
    labels[:4] = 1 - labels[:4]  # FP32 is not always right either
    np.savez(path, x=x, labels=labels)
    return path


@pytest.fixture(scope="module")
def far(tmp_path_factory):
    """A network whose hidden layer lies at 215 ± 50 or so."""
    folder = tmp_path_factory.mktemp("far")
    model = save_network(folder / "far.onnx", 5.0, 200.0)
    return model, save_samples(folder / "far.npz", model)


@pytest.fixture(scope="module")
def near(tmp_path_factory):
    """A network whose numbers all fit ±16, and fill it."""
    folder = tmp_path_factory.mktemp("near")
    model = save_network(folder / "near.onnx", 1.0, 0.0)
    return model, save_samples(folder / "near.npz", model)


def measured(network, format_="q5.3", **options):
    model, samples = network
    graph = fx.load(model)
    data = Data.open(samples, graph)
    ranges = calibrate(graph, data, histograms=True)
    return advise(graph, ranges, data, Options.make(format_, **options)), graph, data, ranges


def test_trials_are_what_each_plan_gives_alone(far):
    advice, graph, data, ranges = measured(far)
    assert [trial.normalize for trial in advice.trials][:3] == ["none", "pow2", "affine"]
    for trial in advice.trials[:3]:
        plan = make_plan(graph, ranges, Options.make("q5.3", normalize=trial.normalize))
        alone = evaluate(plan, graph, data)
        assert trial.plan.digest == plan.digest
        assert trial.evaluation.accuracy == alone.accuracy
        assert trial.sqnr_db == alone.output_error("logits").sqnr_db
        for name, report in alone.reports.items():
            assert report.usage.overflow == trial.evaluation.reports[name].usage.overflow


def test_data_far_from_zero_is_worth_an_offset(far):
    # Wide weights: what is lost is lost where data is held.
    advice, *_ = measured(far, weight_format="q4.12")
    found = {trial.normalize: trial for trial in advice.trials}
    assert found["none"].accuracy < 0.7
    assert found["affine"].sqnr_db > found["pow2"].sqnr_db + 6
    layers = {layer.value: layer for layer in advice.layers}
    assert layers["relu"].normalize == "affine"
    assert "leaves -16 to 15.88" in layers["relu"].reason
    assert {finding.problem for finding in found["none"].findings("relu")} >= {"overflow", "one code"}
    assert found["affine"].accuracy > found["pow2"].accuracy - 0.001
    assert advice.chosen is choose(advice.trials)
    assert advice.reason.startswith(f"{advice.chosen.normalize}: ")
    assert "none gives" in advice.reason


def test_data_that_fits_needs_nothing(near):
    advice, *_ = measured(near, "q6.10")
    assert advice.chosen.cost == Cost(0, 0, 0, 0)
    assert advice.chosen.normalize in {"none", "pow2"}
    layers = {layer.value: layer for layer in advice.layers}
    assert "affine" not in {layer.normalize for layer in layers.values()} or layers["relu"].normalize == "affine"


def test_rules_of_the_user_hold_in_every_trial(far):
    advice, *_ = measured(far, layers=["first:normalize=pow2", "first:format=q8.8"])
    for trial in advice.trials:
        encoding = trial.plan.values["relu"].encoding
        assert encoding.plain
        assert encoding.format.width == 16


def trial(how, sqnr_db, accuracy=None, multiplications=0, samples=100):
    """A trial of one output with some SQNR."""
    error = Error()
    error.add(np.array([1.0]), np.array([1.0 + 10 ** (-sqnr_db / 20)]))
    report = ValueReport(error=error)
    plan = type("P", (), {"outputs": {"y": "y"}})()
    shares = None if accuracy is None else {"fp32": 1.0, "fixed": accuracy}
    return Trial(
        how, Evaluation(plan, samples, {"y": report}, shares, OutputDigest(), {}), Cost(0, 0, multiplications, 0)
    )


@pytest.mark.parametrize(
    ("trials", "wanted"),
    [
        ([("none", 10), ("pow2", 40), ("affine", 41.5, None, 9)], "pow2"),
        ([("none", 10), ("pow2", 40), ("affine", 44, None, 9)], "affine"),
        ([("none", 39), ("pow2", 40), ("affine", 41, None, 9)], "pow2"),
        ([("none", 10), ("pow2", 30), ("affine", 44, None, 9), ("mixed", 42, None, 4)], "mixed"),
        ([("none", 10, 0.5), ("pow2", 25, 0.91), ("affine", 35, 0.91, 9)], "pow2"),
        ([("none", 10, 0.5), ("pow2", 25, 0.90), ("affine", 35, 0.91, 9)], "pow2"),
        ([("none", 10, 0.5), ("pow2", 25, 0.89), ("affine", 35, 0.91, 9)], "affine"),
        ([("none", 10, 0.91), ("pow2", 15, 0.91), ("affine", 17, 0.91, 9)], "pow2"),
        ([("none", 10, 0.91), ("pow2", 12, 0.5), ("affine", 30, 0.5, 9)], "affine"),
    ],
)
def test_the_cheapest_of_the_good_ones_is_chosen(trials, wanted):
    assert choose([trial(*values) for values in trials]).normalize == wanted


def test_costs_are_counted_by_hand(far):
    advice, *_ = measured(far)
    costs = {t.normalize: t.cost for t in advice.trials}
    assert costs["none"] == costs["pow2"] == Cost(0, 0, 0, 0)
    # Six hidden values and two logits, each with a multiplier and a zero.
    assert costs["affine"] == Cost(2, 2, 8, 8)


def test_costs_of_operands():
    nodes = [
        helper.make_node("Gemm", ["x", "w"], ["a"], name="a"),
        helper.make_node("Gemm", ["x", "v"], ["b"], name="b"),
        helper.make_node("Concat", ["a", "b"], ["both"], name="both", axis=1),
        helper.make_node("Add", ["a", "b"], ["sum"], name="sum"),
    ]
    weights = {"w": RNG.normal(size=(3, 5)) * 9, "v": RNG.normal(size=(3, 5))}
    graph = fx.load(
        helper.make_model(
            helper.make_graph(
                nodes,
                "g",
                [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3])],
                [
                    helper.make_tensor_value_info("both", TensorProto.FLOAT, ["n", 10]),
                    helper.make_tensor_value_info("sum", TensorProto.FLOAT, ["n", 5]),
                ],
                [numpy_helper.from_array(array.astype(np.float32), name) for name, array in weights.items()],
            ),
            opset_imports=[helper.make_opsetid("", 17)],
        )
    )
    plan = fx.plan(graph, fx.calibrate(graph, RNG.normal(size=(40, 3))), "q5.3", normalize="affine")
    kernels = {layer.output: layer.kernel for layer in plan.layers}
    wanted = 5 * sum(bool(np.any(kernels[name].stage.multiplier != 1)) for name in ("a", "b"))
    wanted += sum(5 * (stage is not None and stage.multiplier != 1) for stage in kernels["both"].stages)
    wanted += 5 * sum(m != 1 for m in (*kernels["sum"].multipliers, kernels["sum"].stage.multiplier))
    assert rescale_cost(plan).multiplications == wanted > 10


@pytest.mark.parametrize(
    "encoding", [Encoding(Format(8, 5)), Encoding(Format(8, 5), -2), Encoding(Format(8, 5), -3, 1.3, -40)]
)
def test_what_a_format_costs_a_distribution(encoding):
    x = (RNG.normal(size=50_000) + 1.5).astype(np.float32)
    counter = HistogramCounter()
    counter.add(x)
    found = local_sqnr(counter.histogram(float(x.min()), float(x.max())), encoding)
    noise = encoding.decode(encoding.encode(x)) - x
    assert found == pytest.approx(10 * math.log10(float((x**2).mean() / (noise**2).mean())), abs=0.2)


def test_several_plans_share_one_reference(far):
    model, samples = far
    graph = fx.load(model)
    data = Data.open(samples, graph)
    ranges = calibrate(graph, data)
    plans = [make_plan(graph, ranges, Options.make(text)) for text in ("q5.3", "q8.8")]
    together = evaluate_all(plans, graph, data)
    for plan, evaluation in zip(plans, together, strict=True):
        alone = evaluate(plan, graph, data)
        assert evaluation.plan is plan
        assert evaluation.accuracy == alone.accuracy
        assert evaluation.output_error("logits").sqnr_db == alone.output_error("logits").sqnr_db


def test_a_run_that_loses_accuracy_gets_a_hint(far):
    model, samples = far
    graph = fx.load(model)
    data = Data.open(samples, graph)
    ranges = calibrate(graph, data)
    lost = hint(evaluate(make_plan(graph, ranges, Options.make("q5.3", normalize="none")), graph, data))
    assert "overflow" in lost
    assert "first (9" in lost or "first (100" in lost
    assert "accuracy falls by" in lost
    assert hint(evaluate(make_plan(graph, ranges, Options.make("q8.8")), graph, data)) is None


# On the command line


def test_plan_auto_measures_writes_and_says_why(far, tmp_path):
    model, samples = far
    done = run(
        "plan",
        model,
        "--data",
        samples,
        "--format",
        "q5.3",
        "--auto",
        "-o",
        tmp_path / "p",
        "--json",
        tmp_path / "a.json",
    )
    assert done.code == 0
    assert "recommended: " in done.out
    record = read_json((tmp_path / "a.json").read_text())
    plan = fx.load_plan(tmp_path / "p")
    assert record["plan"]["digest"] == plan.digest
    chosen = record["recommendation"]["normalize"]
    assert plan.digest in {t["digest"] for t in record["trials"] if t["normalize"] == chosen}
    by_name = {t["normalize"]: t for t in record["trials"]}
    assert set(by_name) >= {"none", "pow2", "affine"}
    assert by_name["none"]["accuracy"]["fp32"] == pytest.approx(60 / 64)
    assert "first" in by_name["none"]["saturating_layers"]
    assert by_name["affine"]["cost"]["multiplications"] == 8
    layer = next(layer for layer in record["layers"] if layer["output"] == "relu")
    assert layer["normalize"] == "affine"
    assert layer["own_sqnr_db"]["affine"] > layer["own_sqnr_db"]["pow2"] > layer["own_sqnr_db"]["none"]
    again = run("simulate", tmp_path / "p", "--data", samples, "--json", "-")
    assert again.json["outputs"]["logits"]["sqnr_db"] == by_name[chosen]["outputs"]["logits"]["sqnr_db"]


def test_json_alone_on_standard_output(near, tmp_path):
    model, samples = near
    done = run("plan", model, "--data", samples, "--format", "q5.3", "--auto", "-o", tmp_path / "p", "--json", "-")
    assert done.json["samples"] == SAMPLES
    assert run("plan", model, "--data", samples, "--format", "q5.3", "-o", tmp_path / "q", "--json", "-").json["layers"]


def test_auto_finds_the_normalization_itself(near, tmp_path):
    model, samples = near
    arguments = ("plan", model, "--data", samples, "--format", "q5.3", "--auto", "-o", tmp_path / "p")
    done = run(*arguments, "--normalize", "affine")
    assert done.code == 2
    assert "--auto" in done.message
    assert not (tmp_path / "p").exists()


def test_a_hint_stands_under_a_run(far):
    model, samples = far
    done = run("simulate", model, "--data", samples, "--format", "q5.3", "--normalize", "none")
    assert "hint: " in done.out
    assert "fxnorm plan --auto" in done.out
    assert run("simulate", model, "--data", samples, "--format", "q5.3", "--normalize", "none", "--json", "-").json[
        "hint"
    ]
    assert run("simulate", model, "--data", samples, "--format", "q8.8", "--json", "-").json["hint"] is None
