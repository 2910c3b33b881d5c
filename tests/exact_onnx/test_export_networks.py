"""Whole networks as ONNX files of exact arithmetic: all codes of onnxruntime are the simulator's."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from commandline import run
from onnx import helper
from oracles import networks
from oracles.onnx_runs import agree, outputs
from small_models import dense, samples, save

import fxnorm as fx
from fxnorm.errors import UnsupportedError, UsageError
from fxnorm.exact_onnx.export import CODES, exact_model

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"
MODELS = ROOT.parent / "shared" / "models"
FORMATS = ("q5.3", "q8.8")

PLANS = {
    "all kernels": (networks.every_kernel, {"format": "q5.3"}),
    "modes": (networks.every_kernel, {"format": "uq4.4:rnd_conv_odd,wrap", "batchnorm": "rescale"}),
    "zeroing": (networks.every_kernel, {"format": "q4.4:trn_zero,sat_zero"}),
    "wide": (networks.every_kernel, {"format": "q6.10", "layers": ["scaled:format=uq3.13:rnd_inf"]}),
    "wrapping accumulators": (networks.every_kernel, {"format": "q4.4", "accumulator": "q5.8:trn,wrap"}),
    "saturating accumulators": (networks.every_kernel, {"format": "q4.4", "accumulator": "q4.8", "normalize": "none"}),
    "rounding accumulators": (
        networks.every_kernel,
        {"format": "q4.4", "accumulator": "q5.5:rnd_conv,sat_zero", "product_format": "q3.6:trn,wrap"},
    ),
    "affine": (networks.every_kernel, {"format": "q5.3", "normalize": "affine"}),
    "normalizations": (networks.normalizations, {"format": "q4.8"}),
    "staged": (networks.normalizations, {"format": "q4.8", "norm_algorithm": "two_pass"}),
    "one pass": (networks.normalizations, {"format": "q5.3", "norm_algorithm": "one_pass"}),
    "masked": (networks.masked, {"format": "q4.6"}),
    "clips": (networks.clipped, {"format": "q4.4", "normalize": "none"}),
}


def drawn(make, count, seed=0):
    """Samples of a network by name, some of them far beyond what it was calibrated on."""
    if make is networks.every_kernel:
        found = networks.samples(count, seed)
        return {**found, "image": found["image"] * np.float32([[[[1.0]]], [[[40.0]]]] * (count // 2))}
    x = networks.samples(count, seed, proto=make())
    return {"x": x * np.resize(np.float32([1.0, 40.0]), (count, *(1,) * (x.ndim - 1)))}


@pytest.mark.parametrize("name", list(PLANS))
def test_every_code_of_a_network(name):
    make, options = PLANS[name]
    graph = fx.load(make())
    calibration = networks.samples(6) if make is networks.every_kernel else {"x": networks.samples(6, proto=make())}
    plan = fx.plan(graph, fx.calibrate(graph, calibration), **options)
    got = agree(plan, {input_: x.reshape(-1, *plan.values[input_].shape) for input_, x in drawn(make, 10).items()})
    assert any(len(np.unique(codes)) > 3 for codes in got.values())
    onnx.checker.check_model(exact_model(plan), full_check=True)


def test_eights_and_single_numbers():
    """A batch that is part of the model, outputs of no dimension beside it, and an output that is an input."""
    nodes = [
        helper.make_node("ReduceSum", ["x"], ["total"], keepdims=0),
        helper.make_node("Relu", ["x"], ["y"]),
        helper.make_node("ReduceMean", ["y"], ["rows"], axes=[1], keepdims=0),
    ]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", 1, [3, 4])],
        [
            helper.make_tensor_value_info(name, 1, shape)
            for name, shape in (("total", []), ("y", [3, 4]), ("rows", [3]))
        ],
    )
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    x = np.random.default_rng(0).normal(0, 2, (6, 4)).astype(np.float32)
    graph_ = fx.load(proto)
    plan = fx.plan(graph_, fx.calibrate(graph_, x), "q5.3")
    got = agree(plan, {"x": x.reshape(2, 3, 4)})
    assert {name: codes.shape for name, codes in got.items()} == {"total": (2,), "y": (6, 4), "rows": (6,)}


def test_inputs_over_many_decades():
    proto = dense()
    graph = fx.load(proto)
    x = np.exp2(np.random.default_rng(2).uniform(-40, 40, (50, 4))).astype(np.float32)
    for how in ("log", "sqrt"):
        plan = fx.plan(graph, fx.calibrate(graph, x, input_transform=how), "q6.6", input_transform=how)
        agree(plan, {"x": x.reshape(50, 1, 4)})


def example(name):
    data = "digits_dense_test.npz" if name == "digits_dense" else "digits_conv_test.npz"
    with np.load(EXAMPLES / data) as saved:
        return next(saved[key] for key in saved.files if key != "labels")


@pytest.mark.parametrize("format_", FORMATS)
@pytest.mark.parametrize(
    "name", ["digits_dense", "digits_conv", "digits_groupnorm", "digits_instancenorm", "digits_vit"]
)
def test_the_examples(name, format_):
    graph = fx.load(EXAMPLES / f"{name}.onnx")
    x = example(name)
    plan = fx.plan(graph, fx.calibrate(graph, x[:64], histograms=False), format_)
    agree(plan, {plan.inputs[0]: x[:100].reshape(-1, *plan.values[plan.inputs[0]].shape)})


def real_inputs(name):
    if name == "sww":
        with np.load(MODELS / "sww_samples.npz") as saved:
            return np.asarray(saved["input_1"])
    shape, low, high = {
        "resnet8": ((32, 32, 3), 0, 255),
        "dscnn": ((49, 10, 1), -120, 30),
        "ad_autoencoder": ((640,), -80, 0),
    }[name]
    return np.random.default_rng(0).uniform(low, high, (24, *shape)).astype(np.float32)


@pytest.mark.slow
@pytest.mark.skipif(not MODELS.is_dir(), reason=f"the real models are not at {MODELS}")
@pytest.mark.parametrize("normalize", ["none", "pow2", "affine"])
@pytest.mark.parametrize("format_", FORMATS)
@pytest.mark.parametrize("name", ["sww", "dscnn", "ad_autoencoder", "resnet8"])
def test_real_models(name, format_, normalize):
    graph = fx.load(MODELS / f"{name}.onnx")
    x = real_inputs(name)
    plan = fx.plan(graph, fx.calibrate(graph, x, histograms=False), format_, normalize=normalize)
    agree(plan, {plan.inputs[0]: x.reshape(-1, *plan.values[plan.inputs[0]].shape)})


@pytest.mark.slow
@pytest.mark.skipif(not MODELS.is_dir(), reason=f"the real models are not at {MODELS}")
def test_a_real_model_with_an_accumulator_that_is_too_narrow():
    """Addition by addition through a whole network."""
    graph = fx.load(MODELS / "sww.onnx")
    x = real_inputs("sww")[:8]
    plan = fx.plan(graph, fx.calibrate(graph, x, histograms=False), "q5.3", accumulator="q6.6")
    agree(plan, {plan.inputs[0]: x.reshape(-1, *plan.values[plan.inputs[0]].shape)})
    overflows = fx.simulate(plan, x).reports
    assert sum(report.usage.accumulator_overflow for report in overflows.values()) > 0


@pytest.fixture
def planned():
    graph = fx.load(dense())
    return fx.plan(graph, fx.calibrate(graph, samples()), "q5.3")


def test_a_file_runs_as_it_is(planned, tmp_path):
    path = fx.export(planned, tmp_path / "exact.onnx")
    got = outputs(path.read_bytes(), {"x": samples(7)})
    result = fx.simulate(planned, samples(7))
    assert np.array_equal(got["y"], result["y"].values)
    assert np.array_equal(got["y" + CODES], result["y"].codes)
    assert path.read_bytes() == fx.export(planned, tmp_path / "again.onnx").read_bytes()
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["again.onnx", "exact.onnx"]


def test_what_the_file_says_of_itself(planned):
    model = exact_model(planned)
    notes = {entry.key: entry.value for entry in model.metadata_props}
    assert model.producer_name == "fxnorm"
    assert notes["fxnorm.plan"] == planned.digest
    assert notes["fxnorm.model"] == planned.model_sha256
    assert notes["fxnorm.format"] == "q5.3"
    encodings = json.loads(notes["fxnorm.encodings"])
    encoding = planned.values[planned.outputs["y"]].encoding
    assert encodings["y"] == {"format": "q5.3", "scale": encoding.scale, "offset": 0.0}
    assert [layer["kernel"] for layer in json.loads(notes["fxnorm.layers"])] == ["linear"]
    assert {entry.domain for entry in model.opset_import} == {""}
    assert {node.domain for node in model.graph.node} == {""}


def test_nothing_of_the_model_s_text_becomes_a_name():
    """Inputs and outputs have the names of the model; all others are made up here."""
    graph = fx.load(dense(name="evil\n../../etc"))
    model = exact_model(fx.plan(graph, fx.calibrate(graph, samples()), "q5.3"))
    names = {name for node in model.graph.node for name in (node.name, *node.input, *node.output)}
    assert not any("evil" in name for name in names)


def test_names_that_are_taken_are_left_alone():
    graph = fx.load(dense(x="constant.0", y="0.linear/Gemm.0"))
    plan = fx.plan(graph, fx.calibrate(graph, samples()), "q5.3")
    agree(plan, {"constant.0": samples(5).reshape(5, 1, 4)})


def test_every_part_that_cannot_be_exact_is_named():
    graph = fx.load(networks.every_kernel())
    plan = fx.plan(graph, fx.calibrate(graph, networks.samples(6)), "q16.16")
    with pytest.raises(UnsupportedError) as refused:
        exact_model(plan)
    reasons = refused.value.reasons
    assert refused.value.exit_code == 3
    assert len(reasons) >= 3
    assert any(reason.startswith("conv (Conv") and "accumulator reaches 2^6" in reason for reason in reasons)
    assert any(reason.startswith("weights (Softmax") for reason in reasons)


def test_names_that_collide_are_refused():
    proto = dense(y="y.codes")
    proto.graph.node.append(helper.make_node("Neg", ["y.codes"], ["y"], name="neg"))
    proto.graph.output.append(helper.make_tensor_value_info("y", 1, ["N", 3]))
    graph = fx.load(proto)
    plan = fx.plan(graph, fx.calibrate(graph, samples()), "q5.3")
    with pytest.raises(UnsupportedError, match=r"y\.codes: inputs and outputs need names of their own"):
        exact_model(plan)


def test_a_file_that_cannot_be_written(planned, tmp_path):
    with pytest.raises(UsageError, match="cannot be written"):
        fx.export(planned, tmp_path / "nowhere" / "exact.onnx")


# the command


@pytest.fixture
def model(tmp_path):
    np.save(tmp_path / "x.npy", samples())
    return save(dense(), tmp_path / "m.onnx")


@pytest.mark.parametrize("flag_first", [True, False])
def test_the_command_takes_its_flag_anywhere(model, flag_first):
    words = ("--exact-onnx", model) if flag_first else (model, "--exact-onnx")
    target = model.parent / "exact.onnx"
    ran = run("export", *words, "--format", "q5.3", "--data", model.parent / "x.npy", "-o", target)
    assert ran.code == 0, ran.err
    assert str(target) in ran.out
    assert "output y.codes: int64 samples×3" in ran.out
    plan = model.parent / "plan"
    assert run("plan", model, "--format", "q5.3", "--data", model.parent / "x.npy", "-o", plan).code == 0
    again = run("export", plan, "--exact-onnx", "-o", model.parent / "again.onnx", "--json", "-")
    assert again.code == 0
    record = again.json
    assert (model.parent / "again.onnx").read_bytes() == target.read_bytes()
    assert record["file"]["bytes"] == target.stat().st_size
    assert [port["name"] for port in record["outputs"]] == ["y", "y.codes"]
    assert record["inputs"] == [{"name": "x", "shape": ["samples", 4], "dtype": "float32"}]


def test_a_refused_plan_writes_nothing(model):
    target = model.parent / "exact.onnx"
    target.write_text("older")
    ran = run("export", model, "--exact-onnx", "--format", "q16.16", "-o", target)
    assert ran.code == 3
    assert "dense (Gemm+Relu): the accumulator reaches 2^6" in ran.err
    assert target.read_text() == "older"
    assert {entry.name for entry in model.parent.iterdir()} == {"m.onnx", "x.npy", "exact.onnx"}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--format", "q5.3", "-o", "e.onnx"), "give --exact-onnx"),
        (("--exact-onnx", "-o", "e.onnx"), "--format: is missing"),
        (("--exact-onnx", "--format", "q5.3"), "Missing option"),
        (("--exact-onnx", "--format", "q5.3", "-o", "nowhere/e.onnx"), "there is no folder"),
        (("--exact-onnx", "--format", "q5.3", "-o", "m.onnx"), "must not be"),
    ],
)
def test_wrong_words(model, words, message, monkeypatch):
    monkeypatch.chdir(model.parent)
    ran = run("export", "m.onnx", *words)
    assert ran.code == 2
    assert message in ran.message


def test_a_plan_takes_no_options_of_plans(model):
    plan = model.parent / "plan"
    assert run("plan", model, "--format", "q5.3", "-o", plan).code == 0
    ran = run("export", plan, "--exact-onnx", "--format", "q5.3", "-o", model.parent / "e.onnx")
    assert ran.code == 2
    assert "--format goes with a MODEL" in ran.message
