"""Spelled-out functions are recognized however they are spelled, compute the same, and nothing else is taken for one."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator
from spelling import Speller

import fxnorm as fx
from fxnorm.errors import PlanError
from fxnorm.graph.graph import Graph, Node
from fxnorm.lowering.recognize import recognize

Array = np.ndarray
EXPORTED = Path(__file__).resolve().parents[1] / "data" / "exported"


def recognized(model: onnx.ModelProto) -> tuple[Graph, Graph]:
    graph = fx.load(model)
    return graph, recognize(graph)


def operators(graph: Graph) -> list[str]:
    return [node.op for node in graph.nodes if node.op != "Identity"]


def evaluate(node: Node, graph: Graph, x: Array) -> Array:
    """What a recognized node computes: ONNX's own reference implementation, or the formula where ONNX has no operator."""
    arrays = [graph.constants[name] if name else None for name in node.inputs[1:]]
    if node.domain == "fxnorm":
        return formula(node, x.astype(np.float64), arrays)
    attributes = {key: value for key, value in node.attributes.items() if key != "floor"}
    names = ["x", *(f"c{index}" if array is not None else "" for index, array in enumerate(arrays))]
    proto = helper.make_node(node.op, names, ["y"], **attributes)
    initializers = [
        numpy_helper.from_array(array.astype(np.float32), f"c{index}")
        for index, array in enumerate(arrays)
        if array is not None
    ]
    value = helper.make_tensor_value_info
    body = helper.make_graph([proto], "one", [value("x", 1, x.shape)], [value("y", 1, None)], initializers)
    model = helper.make_model(body, opset_imports=[helper.make_opsetid("", node.version)])
    return np.asarray(ReferenceEvaluator(model).run(None, {"x": x})[0])


def formula(node: Node, x: Array, arrays: list[Array | None]) -> Array:
    axes, epsilon = tuple(node.attributes["axes"]), float(node.attributes.get("epsilon", 0.0))
    square = np.mean(x**2, axes, keepdims=True)
    match node.attributes["form"]:
        case "variance":
            hat = (x - x.mean(axes, keepdims=True)) / np.sqrt(x.var(axes, keepdims=True) + epsilon)
        case "mean_square":
            hat = x / np.sqrt(square + epsilon)
        case "sum_square":
            norm = np.sqrt(np.sum(x**2, axes, keepdims=True))
            return x / np.maximum(norm, float(node.attributes.get("floor", 0.0)))
    scale, bias = arrays
    return hat * scale + bias


def check(model: onnx.ModelProto, op: str, shape: tuple[int, ...], tolerance: float = 2e-5, **attributes: Any) -> None:
    """A model is recognized as one node, which computes what the model does."""
    graph, fused = recognized(model)
    assert operators(fused) == [op]
    (node,) = (node for node in fused.nodes if node.op != "Identity")
    for key, expected in attributes.items():
        found = node.attributes[key]
        assert found == (pytest.approx(expected, rel=1e-5) if isinstance(expected, float) else expected)
    x = np.random.default_rng(0).normal(0.3, 1.5, shape).astype(np.float32)
    expected = fx.reference(graph, {"x": x[None]})["y0"].reshape(shape)
    np.testing.assert_allclose(evaluate(node, fused, x), expected, rtol=tolerance, atol=tolerance)
    assert graph.nodes == fx.load(model).nodes  # what was given stays as it was


def left_alone(model: onnx.ModelProto) -> None:
    """Nothing at all is recognized."""
    graph, fused = recognized(model)
    assert operators(fused) == operators(graph)


# Layer normalization and its relatives, drawn from everything that exporters do


class Draws:
    """Choices of one example."""

    def __init__(self, data: st.DataObject) -> None:
        self.data = data

    def one(self, *choices: Any) -> Any:
        return self.data.draw(st.sampled_from(choices))

    def commuted(self, s: Speller, op: str, a: Any, b: Any) -> str:
        return s.node(op, b, a) if self.one(False, True) else s.node(op, a, b)


def square(d: Draws, s: Speller, value: str) -> str:
    return s.Mul(value, value) if d.one(False, True) else s.Pow(value, 2.0)


def mean(d: Draws, s: Speller, value: str, axes: tuple[int, ...], count: int) -> str:
    match d.one("mean", "mean", "sum", "product"):
        case "sum":
            return s.Div(s.reduce("ReduceSum", value, axes), float(count))
        case "product":
            return d.commuted(s, "Mul", s.reduce("ReduceSum", value, axes), 1.0 / count)
    return s.reduce("ReduceMean", value, axes)


def over_root(d: Draws, s: Speller, value: str, variance: str, epsilon: float, gamma: Array | None) -> str:
    """γ · value / √(variance + ε), each factor where exporters put it."""
    inside = d.commuted(s, "Add", variance, epsilon) if epsilon else variance
    how = d.one("divide", "reciprocal", "one over", "power", "scaled root")
    if how == "divide":
        result = s.Div(value, s.Sqrt(inside))
        return result if gamma is None else d.commuted(s, "Mul", result, gamma)
    match how:
        case "reciprocal":
            root = s.Reciprocal(s.Sqrt(inside))
        case "one over":
            root = s.Div(1.0, s.Sqrt(inside))
        case _:
            root = s.Pow(inside, -0.5)
    if how == "scaled root" and gamma is not None:
        return d.commuted(s, "Mul", value, d.commuted(s, "Mul", root, gamma))
    result = d.commuted(s, "Mul", value, root)
    return result if gamma is None else d.commuted(s, "Mul", result, gamma)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_layer_normalization_in_every_spelling(data: st.DataObject) -> None:
    d = Draws(data)
    shape, axes = d.one(((2, 3, 6), (2,)), ((2, 3, 6), (1, 2)), ((1, 5), (1,)), ((2, 2, 3, 4), (2, 3)))
    count = int(np.prod([shape[axis] for axis in axes]))
    inner = tuple(shape[axis] for axis in axes)
    rng = np.random.default_rng(d.one(1, 2, 3))
    gamma = d.one(None, rng.normal(1.0, 0.5, inner).astype(np.float32))
    beta = d.one(None, rng.normal(0.0, 0.5, inner).astype(np.float32))
    epsilon = d.one(1e-5, 1e-6, 1e-3)
    s = Speller(*shape, opset=d.one(13, 18))
    negative = d.one(False, True)
    chosen = tuple(axis - len(shape) for axis in axes) if negative else axes
    m = mean(d, s, "x", chosen, count)
    deviation = s.Sub("x", m)
    if d.one("centered", "centered", "moments") == "centered":
        again = deviation if d.one(True, False) else s.Sub("x", m)
        variance = mean(d, s, square(d, s, again), chosen, count)
    else:
        variance = s.Sub(mean(d, s, square(d, s, "x"), chosen, count), square(d, s, m))
    if d.one(False, True):
        deviation = s.Sub("x", m)
    y = over_root(d, s, deviation, variance, epsilon, gamma)
    y = y if beta is None else d.commuted(s, "Add", y, beta)
    model = s.model(y)
    instance = gamma is None and beta is None and len(shape) == 4  # either name is right then
    check(model, "LayerNormalization", shape, epsilon=epsilon, axis=axes[0])
    assert not instance or operators(recognized(model)[1]) == ["LayerNormalization"]


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_rms_normalization_in_every_spelling(data: st.DataObject) -> None:
    d = Draws(data)
    shape, axes, count = (2, 3, 6), (2,), 6
    gamma = d.one(None, np.linspace(-1.0, 2.0, 6).astype(np.float32))
    epsilon = d.one(1e-5, 1e-6)
    s = Speller(*shape)
    if d.one(False, True):
        total = s.reduce("ReduceSumSquare", "x", axes)
        variance = s.Div(total, float(count))
    else:
        variance = mean(d, s, square(d, s, "x"), axes, count)
    check(s.model(over_root(d, s, "x", variance, epsilon, gamma)), "RMSNormalization", shape, epsilon=epsilon, axis=2)


def test_batch_normalization_style_of_tensorflow() -> None:
    """x·(γ·r) + (β − m·(γ·r)), the variance from the difference squared."""
    s = Speller(2, 3, 6)
    m = s.reduce("ReduceMean", "x", (2,))
    difference = s.Sub("x", m)
    variance = s.reduce("ReduceMean", s.Mul(difference, difference), (2,))
    gamma, beta = np.linspace(0.5, 2.0, 6), np.linspace(-1.0, 1.0, 6)
    factor = s.Mul(s.Reciprocal(s.Sqrt(s.Add(variance, 1e-3))), gamma)
    y = s.Add(s.Mul("x", factor), s.Sub(beta, s.Mul(m, factor)))
    check(s.model(y), "LayerNormalization", (2, 3, 6), epsilon=1e-3)


def test_unbiased_variance_is_a_scale() -> None:
    s = Speller(2, 3, 6)
    difference = s.Sub("x", s.reduce("ReduceMean", "x", (2,)))
    variance = s.Div(s.reduce("ReduceSumSquare", difference, (2,)), 5.0)
    check(s.model(s.Div(difference, s.Sqrt(s.Add(variance, 1e-5)))), "LayerNormalization", (2, 3, 6))


def test_scale_and_bias_of_a_convolution_net() -> None:
    """Over space with one γ and β a channel: InstanceNormalization; over channels: no ONNX operator."""
    gamma, beta = np.linspace(0.5, 2.0, 3).reshape(3, 1, 1), np.linspace(-1.0, 1.0, 3).reshape(3, 1, 1)
    for axes, op in (((2, 3), "InstanceNormalization"), ((1,), "Normalization"), ((1, 2, 3), "LayerNormalization")):
        s = Speller(2, 3, 4, 5)
        difference = s.Sub("x", s.reduce("ReduceMean", "x", axes))
        variance = s.reduce("ReduceMean", s.Pow(difference, 2.0), axes)
        y = s.Add(s.Mul(s.Div(difference, s.Sqrt(s.Add(variance, 1e-6))), gamma), beta)
        check(s.model(y), op, (2, 3, 4, 5), epsilon=1e-6)


def test_global_pool_as_mean() -> None:
    s = Speller(2, 3, 4, 5)
    difference = s.Sub("x", s.GlobalAveragePool("x"))
    variance = s.GlobalAveragePool(s.Mul(difference, difference))
    y = s.Div(difference, s.Sqrt(s.Add(variance, 1e-5)))
    check(s.model(y), "LayerNormalization", (2, 3, 4, 5), axis=2)


def test_casts_and_identities_lie_between() -> None:
    s = Speller(2, 3, 6)
    x = s.Identity("x")
    difference = s.Sub(x, s.Cast(s.reduce("ReduceMean", s.Cast(x, to=11), (2,)), to=1))
    variance = s.reduce("ReduceMean", s.Pow(s.Cast(difference, to=1), 2.0), (2,))
    y = s.Cast(s.Div(difference, s.Cast(s.Sqrt(s.Identity(s.Add(variance, 1e-5))), to=1)), to=1)
    check(s.model(y), "LayerNormalization", (2, 3, 6), epsilon=1e-5)


def test_half_precision_model() -> None:
    s = Speller(2, 3, 6)
    x = s.Cast("x", to=10)
    half = {"dtype": np.float16}
    wide = s.Cast(x, to=1)
    difference = s.Sub(wide, s.reduce("ReduceMean", wide, (2,)))
    variance = s.reduce("ReduceMean", s.Pow(difference, 2.0), (2,))
    normal = s.Cast(s.Div(difference, s.Sqrt(s.Add(variance, 1e-5))), to=10)
    y = s.Cast(s.Mul(normal, s.constant(np.linspace(0.5, 1.5, 6), **half)), to=1)
    assert operators(recognized(s.model(y))[1]) == ["LayerNormalization"]


@pytest.mark.parametrize("how", ["clip", "max", "inside", "plain", "reduce"])
def test_l2_normalization(how: str) -> None:
    s = Speller(2, 3, 6)
    norm = s.reduce("ReduceL2", "x", (1,)) if how != "reduce" else s.Sqrt(s.reduce("ReduceSumSquare", "x", (1,)))
    match how:
        case "clip":
            norm = s.Expand(s.Clip(norm, 1e-12), s.constant((2, 3, 6), np.int64))
        case "max" | "reduce":
            norm = s.Max(norm, 1e-12)
        case "inside":
            norm = s.Sqrt(s.Max(s.reduce("ReduceSum", s.Mul("x", "x"), (1,)), 1e-12))
    extra = {} if how == "plain" else {"floor": 1e-6 if how == "inside" else 1e-12}
    check(s.model(s.Div("x", norm)), "LpNormalization", (2, 3, 6), axis=1, p=2, **extra)


def test_a_floor_that_steps_of_the_input_reach_below_is_refused() -> None:
    """x / max(‖x‖, ε) is x / ‖x‖ only where nothing but zeros has a norm below ε."""
    s = Speller(2, 6)
    model = s.model(s.Div("x", s.Max(s.reduce("ReduceL2", "x", (1,)), 1e-3)))
    x = np.random.default_rng(0).normal(0, 1, (8, 2, 6)).astype(np.float32)
    graph = fx.load(model)
    ranges = fx.calibrate(graph, x)
    with pytest.raises(PlanError, match="no step of x is smaller"):
        fx.plan(graph, ranges, "q4.12")
    result = fx.simulate(fx.plan(graph, ranges, "q5.3"), np.zeros((1, 2, 6), np.float32))
    assert not result["y0"].codes.any()


def test_l2_normalization_over_two_axes_and_with_epsilon() -> None:
    s = Speller(2, 3, 6)
    norm = s.Max(s.reduce("ReduceL2", "x", (1, 2)), 1e-12)
    check(s.model(s.Div("x", norm)), "Normalization", (2, 3, 6), form="sum_square", axes=(1, 2))
    s = Speller(2, 3, 6)
    y = s.Div("x", s.Sqrt(s.Add(s.reduce("ReduceSumSquare", "x", (2,)), 6e-5)))
    check(s.model(y), "RMSNormalization", (2, 3, 6), epsilon=1e-5)


# Groups


@pytest.mark.parametrize("affine", [False, True])
@pytest.mark.parametrize("inner", [(2, 3, -1), (0, 3, -1), (2, 3, 4, 5)])
def test_group_normalization_by_way_of_instances(inner: tuple[int, ...], affine: bool) -> None:
    s = Speller(2, 6, 2, 5)
    scale, bias = np.array([1.0, 2.0, 0.5]), np.array([0.0, 0.5, -0.5])
    grouped = s.InstanceNormalization(s.reshape("x", *inner), scale, bias, epsilon=1e-3)
    y = s.reshape(grouped, 2, 6, 2, 5)
    if affine:
        y = s.Add(s.Mul(y, np.linspace(0.5, 2, 6).reshape(6, 1, 1)), np.linspace(-1, 1, 6).reshape(1, 6, 1, 1))
    check(s.model(y), "GroupNormalization", (2, 6, 2, 5), num_groups=3, epsilon=1e-3)


def test_group_normalization_by_way_of_means() -> None:
    s = Speller(2, 6, 2, 5)
    x = s.reshape("x", 2, 3, -1)
    difference = s.Sub(x, s.reduce("ReduceMean", x, (2,)))
    variance = s.reduce("ReduceMean", s.Mul(difference, difference), (2,))
    y = s.reshape(s.Div(difference, s.Sqrt(s.Add(variance, 1e-5))), 2, 6, 2, 5)
    y = s.Add(s.Mul(y, np.linspace(0.5, 2, 6).reshape(6, 1, 1)), 0.25)
    check(s.model(y), "GroupNormalization", (2, 6, 2, 5), num_groups=3, epsilon=1e-5)


def test_scale_and_bias_behind_a_layer_normalization() -> None:
    s = Speller(2, 3, 6)
    y = s.LayerNormalization("x", np.ones(6), epsilon=1e-5)
    y = s.Sub(s.Div(y, np.linspace(1, 2, 6)), np.linspace(-1, 1, 6))
    check(s.model(y), "LayerNormalization", (2, 3, 6))


def test_scale_of_another_axis_stays_behind() -> None:
    s = Speller(2, 3, 6)
    y = s.Mul(s.LayerNormalization("x", np.ones(6)), np.linspace(1, 2, 3).reshape(3, 1))
    assert operators(recognized(s.model(y))[1]) == ["LayerNormalization", "Mul"]


@pytest.mark.parametrize(
    ("inner", "outer"),
    [
        ((1, 6, -1), (2, 6, 2, 5)),  # both samples in one group
        ((2, 4, -1), (2, 6, 2, 5)),  # a group that is no number of channels
        ((2, 3, -1), (2, 3, 4, 5)),  # another shape behind
        ((3, 2, -1), (2, 6, 2, 5)),
    ],
)
def test_other_reshapes_make_no_group_normalization(inner: tuple[int, ...], outer: tuple[int, ...]) -> None:
    s = Speller(2, 6, 2, 5)
    groups = inner[1]
    y = s.reshape(s.InstanceNormalization(s.reshape("x", *inner), np.ones(groups), np.zeros(groups)), *outer)
    left_alone(s.model(y))


# Activations


def products(d: Draws, s: Speller, factors: list[Any]) -> str:
    """A product of factors in any order and any parentheses."""
    factors = list(factors)
    while len(factors) > 1:
        first = factors.pop(d.data.draw(st.integers(0, len(factors) - 1)))
        second = factors.pop(d.data.draw(st.integers(0, len(factors) - 1)))
        if not isinstance(first, str) and not isinstance(second, str):
            first = s.constant(first)
        factors.append(s.Mul(first, second))
    return factors[0]


def half(d: Draws, s: Speller, value: str) -> str:
    return s.Div(value, 2.0) if d.one(False, True) else d.commuted(s, "Mul", value, 0.5)


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_gelu_in_every_order(data: st.DataObject) -> None:
    d, s = Draws(data), Speller(2, 5)
    inner = s.Div("x", 2.0**0.5) if d.one(False, True) else d.commuted(s, "Mul", "x", 0.5**0.5)
    gate = d.commuted(s, "Add", s.Erf(inner), 1.0)
    match d.one("factors", "gate", "x"):
        case "factors":
            y = products(d, s, ["x", gate, 0.5])
        case "gate":
            y = d.commuted(s, "Mul", "x", half(d, s, gate))
        case _:
            y = d.commuted(s, "Mul", half(d, s, "x"), gate)
    check(s.model(y), "Gelu", (2, 5), approximate="none")


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_gelu_by_tanh_in_every_order(data: st.DataObject) -> None:
    d, s = Draws(data), Speller(2, 5)
    cube = s.Pow("x", 3.0) if d.one(False, True) else d.commuted(s, "Mul", "x", s.Mul("x", "x"))
    inner = d.commuted(s, "Add", "x", d.commuted(s, "Mul", cube, 0.044715))
    if d.one(False, True):
        inner = d.commuted(s, "Mul", "x", d.commuted(s, "Add", 1.0, s.Mul(s.Mul("x", "x"), 0.044715)))
    inner = d.commuted(s, "Mul", inner, d.one((2 / np.pi) ** 0.5, 0.7978846))
    y = products(d, s, ["x", d.commuted(s, "Add", s.Tanh(inner), 1.0), 0.5])
    check(s.model(y), "Gelu", (2, 5), approximate="tanh")


def test_silu_and_its_relatives() -> None:
    s = Speller(2, 5)
    check(s.model(s.Mul("x", s.Sigmoid("x"))), "Swish", (2, 5), alpha=1.0)
    s = Speller(2, 5)
    check(s.model(s.Mul(s.Sigmoid(s.Mul("x", 1.702)), "x")), "Swish", (2, 5), alpha=1.702)
    s = Speller(2, 5)
    check(s.model(s.Div("x", s.Add(s.Exp(s.Neg("x")), 1.0))), "Swish", (2, 5), alpha=1.0)
    s = Speller(2, 5)
    gate = s.Add(s.Mul(s.Tanh(s.Mul("x", 0.5)), 0.5), 0.5)
    check(s.model(s.Mul("x", gate)), "Swish", (2, 5), alpha=1.0)
    s = Speller(2, 5)
    check(s.model(s.Reciprocal(s.Add(1.0, s.Exp(s.Neg("x"))))), "Sigmoid", (2, 5))


def test_mish() -> None:
    s = Speller(2, 5)
    check(s.model(s.Mul("x", s.Tanh(s.Softplus("x")))), "Mish", (2, 5))
    s = Speller(2, 5)
    check(s.model(s.Mul(s.Tanh(s.Log(s.Add(s.Exp("x"), 1.0))), "x")), "Mish", (2, 5))


@pytest.mark.parametrize("how", ["hard sigmoid", "clip", "relu6", "min max"])
def test_hard_swish(how: str) -> None:
    s = Speller(2, 5)
    moved = s.Add("x", 3.0)
    match how:
        case "hard sigmoid":
            y = s.Mul("x", s.HardSigmoid("x", alpha=1 / 6, beta=0.5))
        case "clip":
            y = s.Mul("x", s.Div(s.Clip(moved, 0.0, 6.0), 6.0))
        case "relu6":
            y = s.Div(s.Mul("x", s.Min(s.Relu(moved), 6.0)), 6.0)
        case _:
            y = s.Mul(s.Mul(s.Min(s.Max(0.0, moved), 6.0), 1 / 6), "x")
    check(s.model(y), "HardSwish", (2, 5))


@pytest.mark.parametrize("shifted", [False, True])
@pytest.mark.parametrize("axis", [1, 2])
def test_softmax(axis: int, shifted: bool) -> None:
    s = Speller(2, 3, 6)
    x = s.Sub("x", s.reduce("ReduceMax", "x", (axis,))) if shifted else "x"
    e = s.Exp(x)
    check(s.model(s.Div(e, s.reduce("ReduceSum", e, (axis,)))), "Softmax", (2, 3, 6), axis=axis)
    s = Speller(2, 3, 6)
    x = s.Sub("x", s.reduce("ReduceMax", "x", (axis,))) if shifted else "x"
    check(s.model(s.Sub(x, s.Log(s.reduce("ReduceSum", s.Exp(x), (axis,))))), "LogSoftmax", (2, 3, 6), axis=axis)


@pytest.mark.parametrize("cast", [False, True])
@pytest.mark.parametrize("axis", [1, -1])
def test_logarithm_of_a_softmax(axis: int, cast: bool) -> None:
    s = Speller(2, 3, 6)
    probabilities = s.Softmax("x", axis=axis)
    check(s.model(s.Log(s.Identity(probabilities) if cast else probabilities)), "LogSoftmax", (2, 3, 6), axis=axis % 3)
    s = Speller(2, 3, 6)
    e = s.Exp("x")
    check(s.model(s.Log(s.Div(e, s.reduce("ReduceSum", e, (1,))))), "LogSoftmax", (2, 3, 6), axis=1)


def test_a_softmax_that_somebody_else_reads_stays() -> None:
    s = Speller(2, 3, 6)
    probabilities = s.Softmax("x", axis=1)
    left_alone(s.model(s.Log(probabilities), s.Neg(probabilities)))
    s = Speller(2, 3, 6)
    left_alone(s.model(s.Log(s.Add(s.Softmax("x", axis=1), 0.1))))


# What must not be taken for one


def broken_normalization(what: str) -> onnx.ModelProto:
    s = Speller(2, 3, 6)
    axes = (2,)
    m = s.reduce("ReduceMean", "x", (1,) if what == "mean over another axis" else axes)
    difference = s.Sub("x", m)
    power = 3.0 if what == "a cube" else 2.0
    variance = s.reduce("ReduceMean", s.Pow(difference, power), axes)
    if what == "a variance over another axis":
        variance = s.reduce("ReduceMean", s.Pow(difference, 2.0), (1,))
    match what:
        case "an ε that differs":
            inside = s.Add(variance, np.array([[1e-5], [1e-5], [2e-5]]))
        case "a negative ε":
            inside = s.Sub(variance, 1e-5)
        case _:
            inside = s.Add(variance, 1e-5)
    match what:
        case "no root":
            root = inside
        case "ε outside the root":
            root = s.Add(s.Sqrt(variance), 1e-5)
        case "another power":
            root = s.Pow(inside, 0.25)
        case _:
            root = s.Sqrt(inside)
    if what == "another numerator":
        difference = s.Sub("x", s.Mul(m, 0.999))
    if what == "a product":
        return s.model(s.Mul(difference, root))
    if what == "another value":
        s.inputs["z"] = s.shape
        difference = s.Sub("z", m)
    y = s.Div(difference, root)
    match what:
        case "an intermediate output":
            return s.model(y, variance)
        case "a second reader":
            return s.model(y, s.Relu(root))
        case "a γ that widens":
            return s.model(s.Mul(y, np.ones((4, 1, 1, 1)) * 2.0))
    return s.model(y)


@pytest.mark.parametrize(
    "what",
    [
        "mean over another axis",
        "a cube",
        "a variance over another axis",
        "an ε that differs",
        "a negative ε",
        "no root",
        "ε outside the root",
        "another power",
        "another numerator",
        "a product",
        "another value",
        "an intermediate output",
        "a second reader",
    ],
)
def test_what_is_no_layer_normalization(what: str) -> None:
    _, fused = recognized(broken_normalization(what))
    assert "LayerNormalization" not in operators(fused)
    # x less any mean, divided by the root of its own mean square, is still that.
    assert all(node.attributes["form"] == "mean_square" for node in fused.nodes if node.op == "Normalization")
    if what not in {
        "a variance over another axis",
        "an intermediate output",
        "a second reader",
        "mean over another axis",
    }:
        left_alone(broken_normalization(what))


def test_a_scale_that_widens_stays_behind() -> None:
    _, fused = recognized(broken_normalization("a γ that widens"))
    assert operators(fused) == ["LayerNormalization", "Mul"]


def almost(what: str) -> onnx.ModelProto:
    s = Speller(2, 5)
    s.inputs["z"] = s.shape
    gate = s.Sigmoid("x")
    match what:
        case "gelu with 0.7071":
            y = s.Mul(s.Mul("x", 0.5), s.Add(s.Erf(s.Mul("x", 0.70711)), 1.0))
        case "gelu with 1.00001":
            y = s.Mul(s.Mul("x", 0.5), s.Add(s.Erf(s.Mul("x", 0.5**0.5)), 1.00001))
        case "gelu with 0.044716":
            cube = s.Mul(s.Pow("x", 3.0), 0.044716)
            inner = s.Mul(s.Add("x", cube), (2 / np.pi) ** 0.5)
            y = s.Mul(s.Mul("x", 0.5), s.Add(s.Tanh(inner), 1.0))
        case "gelu of two values":
            y = s.Mul(s.Mul("z", 0.5), s.Add(s.Erf(s.Mul("x", 0.5**0.5)), 1.0))
        case "gate of another value":
            y = s.Mul("z", gate)
        case "swish with a read gate":
            return s.model(s.Mul("x", gate), s.Neg(gate))
        case "swish with a factor":
            y = s.Mul(s.Mul("x", gate), 1.5)
        case "hard swish of fifths":
            y = s.Mul("x", s.HardSigmoid("x", alpha=0.2, beta=0.5))
        case "hard swish to 5":
            y = s.Div(s.Mul("x", s.Clip(s.Add("x", 3.0), 0.0, 5.0)), 6.0)
        case "mish of two values":
            y = s.Mul("z", s.Tanh(s.Softplus("x")))
        case "root of a square":
            magnitude = s.Sqrt(s.Mul("x", "x"))  # |x|, not x
            y = s.Mul(s.Mul(magnitude, 0.5), s.Add(s.Erf(s.Mul("x", 0.5**0.5)), 1.0))
        case "softmax of two sums":
            e = s.Exp(s.Sub("x", s.reduce("ReduceMax", "x", (0,))))
            y = s.Div(s.Exp("x"), s.reduce("ReduceSum", e, (1,)))
        case "a share of exponentials that is no softmax":
            e = s.Exp("x")
            y = s.Div(e, s.Add(s.reduce("ReduceSum", e, (1,)), 1.0))
        case "l2 with ε added":
            y = s.Div("x", s.Add(s.reduce("ReduceL2", "x", (1,)), 1e-12))
        case "l2 of another value":
            y = s.Div("x", s.reduce("ReduceL2", "z", (1,)))
        case _:
            raise AssertionError(what)
    return s.model(y)


@pytest.mark.parametrize(
    "what",
    [
        "gelu with 0.7071",
        "gelu with 1.00001",
        "gelu with 0.044716",
        "gelu of two values",
        "gate of another value",
        "swish with a read gate",
        "hard swish of fifths",
        "hard swish to 5",
        "mish of two values",
        "root of a square",
        "softmax of two sums",
        "a share of exponentials that is no softmax",
        "l2 with ε added",
        "l2 of another value",
    ],
)
def test_what_is_almost_an_activation(what: str) -> None:
    left_alone(almost(what))


def test_softmax_of_a_difference_is_a_softmax() -> None:
    s = Speller(2, 5)
    e = s.Exp(s.Sub("x", s.reduce("ReduceMax", "x", (0,))))
    model = s.model(s.Div(e, s.reduce("ReduceSum", e, (1,))))
    assert operators(recognized(model)[1]) == ["ReduceMax", "Sub", "Softmax"]


def test_a_factor_behind_an_activation_stays() -> None:
    assert operators(recognized(almost("swish with a factor"))[1]) == ["Swish", "Mul"]


# Whole models


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("torch_script_encoder_opset16", {"LayerNormalization": 2, "RMSNormalization": 1, "Gelu": 1, "Swish": 1}),
        ("torch_script_encoder_opset17", {"LayerNormalization": 2, "RMSNormalization": 1, "Gelu": 1, "Swish": 1}),
        ("torch_dynamo_encoder_opset18", {"LayerNormalization": 2, "RMSNormalization": 1, "Gelu": 1, "Swish": 1}),
        ("torch_dynamo_encoder_opset23", {"LayerNormalization": 2, "RMSNormalization": 1, "Gelu": 1, "Swish": 1}),
        *(
            (
                f"torch_{how}",
                {
                    "GroupNormalization": 2,
                    "InstanceNormalization": 1,
                    "LpNormalization": 1,
                    "Mish": 1,
                    "HardSwish": 1,
                    "Mul": 0,
                    "Div": 0,
                    "Reshape": 0,
                },
            )
            for how in ("script_groups_opset13", "script_groups_opset17", "dynamo_groups_opset18")
        ),
        ("torch_script_tokens_opset12", {"Gelu": 1, "Erf": 0}),
    ],
)
def test_exported_models(name: str, expected: dict[str, int]) -> None:
    found = Counter(operators(recognize(fx.load(EXPORTED / f"{name}.onnx"))))
    assert {op: found[op] for op in expected} == expected
    assert not {"ReduceMean", "Sqrt", "Tanh", "Erf", "Sigmoid"} & (set(found) - {"Sigmoid", "ReduceMean"})


@pytest.mark.parametrize("how", ["fuse", "keep"])
@pytest.mark.parametrize("name", ["torch_script_groups_opset13", "torch_script_tokens_opset12"])
def test_both_ways_compute_what_the_framework_does(name: str, how: str) -> None:
    with np.load(EXPORTED / f"{name}.npz") as archive:
        inputs = {key.removeprefix("input."): archive[key] for key in archive if key.startswith("input.")}
        expected = archive["output.scores"]
    graph = fx.load(EXPORTED / f"{name}.onnx")
    plan = fx.plan(graph, fx.calibrate(graph, inputs), "q8.8", patterns=how)
    found = fx.simulate(plan, inputs)["scores"].values
    noise = float(np.sum((found - expected) ** 2) / np.sum(expected**2))
    assert -10 * np.log10(noise) > 60
    operations = {layer.op for layer in plan.layers}
    if "groups" in name:
        assert ("GroupNormalization" in operations) == (how == "fuse")
    assert ("Erf" in operations) == (how == "keep" and "tokens" in name)


def test_a_recognized_layer_has_the_name_of_its_first_node() -> None:
    s = Speller(2, 5)
    y = s.Mul(s.Mul("x", 0.5), s.Add(s.Erf(s.Mul("x", 0.5**0.5)), 1.0))
    graph, fused = recognized(s.model(y))
    (node,) = (node for node in fused.nodes if node.op == "Gelu")
    assert node.name == next(inner.name for inner in graph.nodes if inner.op in {"Mul", "Erf"})
