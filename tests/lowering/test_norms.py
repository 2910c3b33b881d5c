"""ONNX's normalization operators from file to codes: geometry, parameters, further outputs, options, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from commandline import run
from onnx import TensorProto, helper, numpy_helper

import fxnorm as fx
from fxnorm.errors import UnsupportedError, UsageError
from fxnorm.kernels.norm import Norm
from fxnorm.kernels.norm_exact import ExactMoments
from fxnorm.kernels.norm_staged import StagedMoments

Array = np.ndarray
LIGHT = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light"


def single(
    op: str, shapes: list[tuple[int, ...]], outputs: int = 1, opset: int = 21, data: int = 1, **attributes: Any
) -> onnx.ModelProto:
    """One node; the first inputs are data, the rest constants."""
    rng = np.random.default_rng(5)
    names = ["x", "scale", "bias"][: len(shapes)]
    results = ["y", "mean", "inverse"][:outputs]
    constants = [
        numpy_helper.from_array(rng.normal(float(name == "scale"), 0.4, shape).astype(np.float32), name)
        for name, shape in list(zip(names, shapes, strict=True))[data:]
    ]
    graph = helper.make_graph(
        [helper.make_node(op, names, results, name="norm", **attributes)],
        "g",
        [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
            for name, shape in list(zip(names, shapes, strict=True))[:data]
        ],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in results],
        constants,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10)


def simulated(
    model: onnx.ModelProto, format: str = "q8.24", seed: int = 0, samples: int = 3, **options: Any
) -> tuple[fx.Plan, dict[str, tuple[Array, Array, float]]]:
    """The plan, and of every output its fixed-point values, those of FP32, and its step."""
    graph = fx.load(model)
    rng = np.random.default_rng(seed)
    x = {name: rng.normal(1.5, 1.2, (samples, *graph.shape(name))).astype(np.float32) for name in graph.inputs}
    plan = fx.plan(graph, fx.calibrate(graph, x), format=format, **options)
    result = fx.simulate(plan, x)
    expected = fx.reference(graph, x)
    return plan, {name: (result[name].values, expected[name], 2.0 ** result[name].encoding.lsb) for name in result}


CASES = {
    "layer": ("LayerNormalization", [(2, 3, 8), (8,), (8,)], {}),
    "layer without a bias": ("LayerNormalization", [(2, 3, 8), (8,)], {}),
    "layer over two axes": ("LayerNormalization", [(2, 3, 8), (3, 8), (3, 8)], {"axis": 1, "epsilon": 0.01}),
    "layer over everything": ("LayerNormalization", [(2, 3, 8), (2, 3, 8), (1,)], {"axis": -3}),
    "layer, scale varies outside of the group": ("LayerNormalization", [(2, 3, 8), (3, 1), (8,)], {}),
    "layer, bias varies with the batch": ("LayerNormalization", [(2, 3, 8), (8,), (2, 1, 1)], {}),
    "layer, one scale for all": ("LayerNormalization", [(2, 3, 8), (1,), (1,)], {}),
    "layer at opset 17": ("LayerNormalization", [(2, 3, 8), (8,), (8,)], {"opset": 17}),
    "RMS": ("RMSNormalization", [(2, 3, 8), (8,)], {"opset": 23}),
    "RMS over two axes": ("RMSNormalization", [(2, 3, 8), (3, 8)], {"opset": 23, "axis": 1, "epsilon": 0.1}),
    "instance": ("InstanceNormalization", [(2, 3, 4, 5), (3,), (3,)], {"epsilon": 0.02}),
    "instance in one dimension": ("InstanceNormalization", [(2, 3, 9), (3,), (3,)], {}),
    "group": ("GroupNormalization", [(2, 6, 4, 5), (6,), (6,)], {"num_groups": 2}),
    "group, opset 18: one scale a group": (
        "GroupNormalization",
        [(2, 6, 4, 5), (2,), (2,)],
        {"num_groups": 2, "opset": 18},
    ),
    "one group": ("GroupNormalization", [(2, 6, 4), (6,), (6,)], {"num_groups": 1}),
    "as many groups as channels": ("GroupNormalization", [(2, 6, 12), (6,), (6,)], {"num_groups": 6}),
    "L2": ("LpNormalization", [(2, 3, 8)], {}),
    "L1 along a middle axis": ("LpNormalization", [(2, 5, 8)], {"p": 1, "axis": 1}),
    "L2 along the first axis": ("LpNormalization", [(4, 5)], {"p": 2, "axis": 0}),
    "mean and variance": ("MeanVarianceNormalization", [(2, 3, 4, 5)], {}),
    "mean and variance, other axes": ("MeanVarianceNormalization", [(2, 3, 4, 5)], {"axes": [1, -1]}),
    "local response": ("LRN", [(2, 7, 3, 4)], {"size": 5, "alpha": 0.3, "beta": 0.6, "bias": 1.5}),
    "local response, defaults": ("LRN", [(2, 7, 3, 4)], {"size": 3}),
}


@pytest.mark.parametrize("case", CASES)
def test_every_operator_meets_fp32_at_32_bits(case):
    op, shapes, attributes = CASES[case]
    plan, outputs = simulated(single(op, shapes, **attributes))
    (layer,) = plan.layers
    assert layer.kernel.kind == ("local_response" if op == "LRN" else "norm")
    values, expected, _ = outputs["y"]
    assert values.shape == (3 * shapes[0][0], *shapes[0][1:])
    assert np.abs(values - expected).max() < 3e-6


@pytest.mark.parametrize("case", CASES)
def test_every_operator_is_within_a_step_at_8_bits(case):
    """Of FP32 on the same quantized input; constants are as exact as 16 bits hold them."""
    op, shapes, attributes = CASES[case]
    model = single(op, shapes, **attributes)
    graph = fx.load(model)
    x = np.random.default_rng(3).normal(1.5, 1.2, (4, *shapes[0])).astype(np.float32)
    plan = fx.plan(graph, fx.calibrate(graph, x), format="q5.3", weight_format="q4.12")
    held = plan.values["x"].encoding
    quantized = held.decode(held.encode(x)).astype(np.float32)
    result = fx.simulate(plan, x)["y"]
    expected = result.encoding.round(fx.reference(graph, quantized)["y"].astype(np.float64))
    assert np.abs(np.clip(expected, -128, 127) - result.codes).max() <= 1
    assert (np.clip(expected, -128, 127) == result.codes).mean() > 0.95


@pytest.mark.parametrize(
    "op", ["LayerNormalization", "RMSNormalization", "InstanceNormalization", "GroupNormalization"]
)
@pytest.mark.parametrize("data", [2, 3])
def test_scale_and_bias_may_be_computed(op, data):
    shapes = {
        "LayerNormalization": [(2, 3, 8), (3, 8), (8,)],
        "RMSNormalization": [(2, 3, 8), (8,)],
        "InstanceNormalization": [(2, 4, 5), (4,), (4,)],
        "GroupNormalization": [(2, 4, 5), (4,), (4,)],
    }[op]
    data = min(data, len(shapes))
    attributes = {"num_groups": 2} if op == "GroupNormalization" else {}
    plan, outputs = simulated(single(op, shapes, opset=23, data=data, **attributes))
    (layer,) = plan.layers
    assert len(layer.inputs) == data
    values, expected, _ = outputs["y"]
    assert np.abs(values - expected).max() < 1e-5


@pytest.mark.parametrize("algorithm", ["exact", "two_pass", "one_pass"])
@pytest.mark.parametrize(("axis", "shape"), [(-1, (2, 3, 1)), (1, (2, 1, 1)), (0, (1, 1, 1))])
def test_mean_and_inverse_deviation_are_outputs_of_their_own(algorithm, axis, shape):
    model = single("LayerNormalization", [(2, 3, 8), (8,), (8,)], outputs=3, axis=axis)
    plan, outputs = simulated(model, norm_algorithm=algorithm)
    assert [layer.output for layer in plan.layers] == ["y", "mean", "inverse"]
    assert plan.values["mean"].shape == plan.values["inverse"].shape == shape
    for name in ("y", "mean", "inverse"):
        values, expected, _ = outputs[name]
        assert np.abs(values - expected).max() < 1e-5, name


def test_further_outputs_that_nobody_reads_cost_nothing():
    model = single("LayerNormalization", [(2, 3, 8), (8,), (8,)], outputs=3)
    del model.graph.output[1:]
    assert len(simulated(model)[0].layers) == 1


def test_a_relu_behind_goes_into_the_stage():
    model = single("GroupNormalization", [(2, 4, 5), (4,), (4,)], num_groups=2)
    model.graph.node.append(helper.make_node("Relu", ["y"], ["z"], name="relu"))
    model.graph.output[0].name = "z"
    plan, outputs = simulated(model, "q5.3")
    (layer,) = plan.layers
    assert layer.op == "GroupNormalization+Relu"
    assert layer.kernel.stage.low == 0
    assert outputs["z"][0].min() == 0.0
    assert plan.layers[0].kernel.stage.output.signed


def test_refusals_name_their_reason():
    cases = [
        (single("LRN", [(1, 4, 2, 2)], size=3, alpha=-1.0), "alpha must not be negative"),
        (single("LRN", [(1, 4, 2, 2)], size=3, bias=-1.0), "bias must not be negative"),
        (single("LRN", [(1, 4, 2, 2)], size=3, beta=9.5), "beta must lie within ±8"),
        (single("InstanceNormalization", [(1, 4, 2), (4,), (4,)], epsilon=-1.0), "epsilon must not be negative"),
    ]
    for model, reason in cases:
        graph = fx.load(model)
        with pytest.raises(UnsupportedError, match=reason):
            fx.plan(graph, fx.calibrate(graph, np.zeros((1, *graph.shape("x")), np.float32)), format="q5.3")


# Options


def two_norms() -> onnx.ModelProto:
    model = single("LayerNormalization", [(1, 6, 16), (16,), (16,)])
    model.graph.node.append(helper.make_node("LpNormalization", ["y"], ["l1"], name="l1", p=1))
    model.graph.output[0].name = "l1"
    return model


def test_the_algorithm_is_an_option_and_a_rule_of_single_layers():
    def moments(**options: Any) -> Any:
        return simulated(two_norms(), "q5.3", **options)[0].layers[0].kernel.moments

    assert isinstance(moments(), ExactMoments)
    assert isinstance(moments(norm_algorithm="two_pass"), StagedMoments)
    assert moments(layers=["norm:norm-algorithm=one_pass"]).one_pass
    assert isinstance(moments(norm_algorithm="one_pass", layers=["no*:norm-algorithm=exact"]), ExactMoments)


def test_formats_of_stages_are_options_and_rules():
    def formats(**options: Any) -> dict[str, str]:
        kernel = simulated(two_norms(), "q5.3", **options)[0].layers[0].kernel
        assert isinstance(kernel, Norm)
        return {name: str(format_) for name, format_ in kernel.inner_formats().items()}

    usual = {"mean": "q5.3", "square": "uq10.6", "variance": "uq10.6", "root": "uq4.12"}
    assert formats(norm_algorithm="two_pass") == usual
    assert formats(norm_algorithm="two_pass", root_format="uq4.4", rounding="trn") == {
        "mean": "q5.3:trn,sat",
        "square": "uq10.6:trn,sat",
        "variance": "uq10.6:trn,sat",
        "root": "uq4.4:trn,sat",
    }
    rules = ["norm:norm-algorithm=one_pass", "norm:mean-format=q6.7:trn,wrap", "norm:variance-format=q20.4"]
    assert formats(layers=rules) == {**usual, "mean": "q6.7:trn,wrap", "variance": "q20.4"}
    assert formats(norm_algorithm="one_pass", layers=["norm:square-format=uq40.30"])["square"] == "uq40.30"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"norm_algorithm": "three_pass"}, "--norm-algorithm: must be one of exact, two_pass, one_pass"),
        ({"mean_format": "q5.3"}, "--mean-format: goes with --norm-algorithm two_pass or one_pass"),
        ({"layers": ["norm:root-format=q5.3"]}, "norm:root-format=q5.3: no layer of that name has such a stage"),
        (
            {"layers": ["l1:norm-algorithm=two_pass"]},
            "l1:norm-algorithm=two_pass: no layer of that name has such a stage",
        ),
        ({"norm_algorithm": "two_pass", "layers": ["l1:mean-format=q5.3"]}, "no layer of that name has such a stage"),
        ({"layers": ["norm:norm-algorithm=fast"]}, "norm-algorithm: must be one of"),
    ],
)
def test_options_that_would_do_nothing_are_refused(options, message):
    with pytest.raises(UsageError, match=message):
        simulated(two_norms(), "q5.3", **options)


def test_what_stages_lose_is_in_the_record_and_in_the_table(tmp_path):
    onnx.save(two_norms(), tmp_path / "m.onnx")
    np.savez(tmp_path / "x.npz", x=np.random.default_rng(0).normal(12.0, 0.25, (20, 1, 6, 16)).astype(np.float32))
    arguments = [
        "simulate",
        str(tmp_path / "m.onnx"),
        "--data",
        str(tmp_path / "x.npz"),
        "--format",
        "q5.3",
        "--normalize",
        "none",
    ]
    staged = [*arguments, "--norm-algorithm", "one_pass", "--variance-format", "uq7.6"]
    layer = run(*staged, "--json", "-").json["layers"][1]
    stages = layer["stages"]
    assert [(name, stage["format"]) for name, stage in stages.items()] == [
        ("mean", "q5.3"),
        ("square", "uq10.6"),
        ("variance", "uq7.6"),
        ("root", "uq4.12"),
    ]
    assert stages["variance"]["overflow_count"] > 100  # 12² = 144 does not fit 7 bits
    assert stages["root"]["overflow_count"] > 0
    assert stages["mean"]["overflow_count"] == 0
    unfolded = run(*arguments, "--norm-algorithm", "one_pass", "--json", "-").json["layers"][1]["stages"]
    assert unfolded["variance"]["negative_count"] > 20
    assert "variance" in run(*staged).out
    assert "lost in stages" in run(*staged).out
    assert "stages" not in run(*arguments, "--json", "-").json["layers"][1]


@pytest.mark.parametrize("algorithm", ["exact", "one_pass"])
def test_plans_of_normalizations_are_saved_and_read_without_loss(tmp_path, algorithm):
    model = single("LayerNormalization", [(2, 3, 2, 8), (8,), (8,)], outputs=3)
    model.graph.node.append(helper.make_node("LRN", ["y"], ["r"], name="lrn", size=3))
    model.graph.node.append(helper.make_node("LpNormalization", ["r"], ["n"], name="lp", p=1))
    model.graph.output.append(helper.make_tensor_value_info("n", TensorProto.FLOAT, None))
    plan, _ = simulated(model, norm_algorithm=algorithm)
    fx.save_plan(plan, tmp_path / "plan")
    again = fx.load_plan(tmp_path / "plan")
    assert again.digest == plan.digest
    x = np.random.default_rng(9).normal(0, 2, (4, 2, 3, 2, 8)).astype(np.float32)
    for name, output in fx.simulate(plan, x).items():
        assert np.array_equal(output.codes, fx.simulate(again, x)[name].codes)
    assert json.loads((tmp_path / "plan" / "plan.json").read_text())["options"]["norm_algorithm"] == algorithm


@pytest.mark.slow
@pytest.mark.parametrize("name", ["bvlc_alexnet", "inception_v1", "zfnet512"])
def test_architectures_with_local_response_normalization(name):
    """From onnx's own data: structure with random weights, one random image, at q8.8."""
    path = LIGHT / f"light_{name}.onnx"
    if not path.exists():
        pytest.skip(f"this onnx has no {path.name}")
    graph = fx.load(path)
    (data,) = graph.inputs
    x = np.random.default_rng(0).normal(0, 1, (1, *graph.shape(data))).astype(np.float32)
    plan = fx.plan(graph, fx.calibrate(graph, x), format="q8.8")
    assert sum(layer.kernel.kind == "local_response" for layer in plan.layers) == 2
    result = fx.simulate(plan, x, trace=True)
    assert all(np.isfinite(output.values).all() for output in result.values())
    expected = fx.reference(graph, x)
    for output, values in expected.items():
        assert np.abs(result[output].values - values).max() <= 0.05 * max(float(np.abs(values).max()), 2.0**-8)
