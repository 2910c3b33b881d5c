"""What the node tests of onnx leave out: bounds beyond the data, operators that do nothing, scalars, indices, attributes in pairs.

Every model runs in 32 bits and is compared with onnxruntime.
"""

from __future__ import annotations

import numpy as np
import onnx
import pytest

from fxnorm import api
from fxnorm.errors import UnsupportedError
from fxnorm.graph.graph import Graph

MODELS = {
    "pad beyond the data": "(float[2,3] x) => (float[3,4] y) { p = Constant<value_ints=[1,0,0,1]>() "
    "v = Constant<value_float=50.0>() y = Pad(x, p, v) }",
    "crop and pad beyond the data": "(float[2,3] x) => (float[3,3] y) { p = Constant<value_ints=[1,-1,0,1]>() "
    "v = Constant<value_float=-50.0>() y = Pad(x, p, v) }",
    "lower bound above the data": "(float[2,3] x) => (float[2,3] y) { b = Constant<value_float=50.0>() y = Clip(x, b) }",
    "upper bound below the data": "(float[2,3] x) => (float[2,3] y) { b = Constant<value_float=-50.0>() y = Clip(x, , b) }",
    "maximum with more than the data": "(float[2,3] x) => (float[2,3] y) { b = Constant<value_float=50.0>() y = Max(x, b) }",
    "clip behind a maximum": "(float[2,3] x) => (float[1,1] y) { m = ReduceMax(x) b = Constant<value_float=50.0>() "
    "y = Clip(m, b) }",
    "clip behind a comparison": "(float[2,3] x) => (float[2,3] y) { n = Neg(x) m = Max(x, n) b = Constant<value_float=50.0>() "
    "y = Clip(m, b) }",
    "nothing between a layer and two readers": "(float[2,3] x) => (float[2,3] y, float[2,3] z) "
    "{ w = Constant<value = float[3,3] {1,2,3,4,5,6,7,8,9}>() a = MatMul(x, w) b = Max(a) y = Relu(b) z = Neg(b) }",
    "nothing between a layer and an output": "(float[2,3] x) => (float[2,3] y, float[2,3] b) "
    "{ w = Constant<value = float[3,3] {1,2,3,4,5,6,7,8,9}>() a = MatMul(x, w) b = Clip(a) y = Relu(b) }",
    "no axes, square": "(float[2,3] x) => (float[2,3] y) { y = ReduceSumSquare<noop_with_empty_axes=1>(x) }",
    "no axes, magnitude": "(float[2,3] x) => (float[2,3] y) { y = ReduceL1<noop_with_empty_axes=1>(x) }",
    "no axes, sum": "(float[2,3] x) => (float[2,3] y) { y = ReduceSum<noop_with_empty_axes=1>(x) }",
    "reciprocal that widens": "(float[2,3] x) => (float[1,2,3] y) { o = Constant<value = float[1,1,1] {1}>() a = Exp(x) "
    "y = Div(o, a) }",
    "slope of constant data": "(float[3] x) => (float[2,3] y) { d = Constant<value = float[2,3] {-1,2,-3,4,-5,6}>() "
    "y = PRelu(d, x) }",
    "product of constants and a computed addend": "(float[3] x) => (float[1,3] y) { a = Constant<value = float[1,1] {2}>() "
    "b = Constant<value = float[1,3] {1,2,3}>() y = Gemm<alpha=0.3, beta=0.7>(a, b, x) }",
    "an addend for every row": "(float[2,3] x) => (float[2,2] y) { w = Constant<value = float[3,2] {1,-2,3,4,-5,6}>() "
    "c = Constant<value = float[2,1] {100,-3}>() y = Gemm<beta=0.3>(x, w, c) }",
    "slice from before the start, backwards": "(float[2,3] x) => (float[2,1] y) { s = Constant<value_ints=[-100]>() "
    "e = Constant<value_ints=[-1000]>() a = Constant<value_ints=[1]>() t = Constant<value_ints=[-1]>() y = Slice(x, s, e, a, t) }",
    "slice to the smallest integer": "(float[2,3] x) => (float[2,2] y) { s = Constant<value_ints=[2]>() "
    "e = Constant<value_ints=[-9223372036854775807]>() a = Constant<value_ints=[1]>() t = Constant<value_ints=[-2]>() "
    "y = Slice(x, s, e, a, t) }",
    "scalar choice": "(float x) => (float y) { c = Constant<value = bool {0}>() o = Constant<value_float=2.5>() y = Where(c, x, o) }",
    **{
        f"scalar {op}": f"(float x) => (float y) {{ y = {op}(x) }}"
        for op in ("LeakyRelu", "HardSigmoid", "HardSwish", "Exp", "Abs")
    },
    **{
        f"scalar {op}": f"(float x) => (float y) {{ c = Constant<value_float=3.0>() y = {op}(x, c) }}"
        for op in ("Add", "Div", "Max", "Mul", "PRelu", "Pow", "Sub")
    },
    "reflect both ends": "(float[2,3] x) => (float[2,7] y) { p = Constant<value_ints=[0,2,0,2]>() "
    'y = Pad<mode="reflect">(x, p) }',
}

INDEX_MODELS = {
    "squeezed": "(int64[3,1] i) => (float[3,2] y) { a = Constant<value_ints=[1]>() j = Squeeze(i, a) "
    "t = Constant<value = float[4,2] {1,2,3,4,5,6,7,8}>() y = Gather(t, j) }",
    "of another type": "(int64[3,1] i) => (float[3,1,2] y) { j = Cast<to=6>(i) "
    "t = Constant<value = float[4,2] {1,2,3,4,5,6,7,8}>() y = Gather(t, j) }",
    "as numbers": "(int64[3,1] i) => (float[3,1] y) { j = Cast<to=1>(i) c = Constant<value_float=1.5>() y = Mul(j, c) }",
}

REFUSED = {
    "(float[2,3] x) => (float[2,3] y) { r = Constant<value_float=0.5>() t = Constant<value = bool {1}>() y = Dropout(x, r, t) }": (
        "training_mode must be false"
    ),
    "(int64[2] i) => (int64[2] y) { y = Max(i, i) }": "input 0 must be floating point, not int64",
    "(int64[2] i) => (bool[2] y) { y = Cast<to=9>(i) }": "not from int64 to bool",
    "(float[2] x) => (float[2] y) { c = Constant<value_float=2.0>() y = Pow(c, x) }": "the exponent must be constant",
}


def load(text: str) -> Graph:
    """Import a model from onnx's text format."""
    return api.load(onnx.parser.parse_model(f'<ir_version: 10, opset_import: ["" : 21]> model {text}'))


def agree(graph: Graph, samples: dict[str, np.ndarray], **options: object) -> None:
    """Simulate in 32 bits and compare with onnxruntime: 2^-19 of the largest number, three LSBs of 22 bits."""
    plan = api.plan(graph, api.calibrate(graph, samples), "q16.16", **options)  # type: ignore[arg-type]
    result, expected = api.simulate(plan, samples), api.reference(graph, samples)
    for name, output in result.items():
        assert output.values.shape == expected[name].shape
        np.testing.assert_allclose(output.values, expected[name], rtol=0, atol=2.0**-19 * np.abs(expected[name]).max())


@pytest.mark.parametrize("name", MODELS)
def test_edges_agree_with_float(name: str) -> None:
    graph = load(MODELS[name])
    values = np.random.default_rng(5).uniform(-0.9, 0.9, (4, *graph.shape("x"))).astype(np.float32)
    agree(graph, {"x": values})


@pytest.mark.parametrize("name", INDEX_MODELS)
def test_indices_may_be_moved_and_cast(name: str) -> None:
    agree(load(INDEX_MODELS[name]), {"i": np.array([[[1], [3], [0]], [[2], [2], [-1]]])})


@pytest.mark.parametrize("text", REFUSED)
def test_what_is_not_there_is_named(text: str) -> None:
    graph = load(text)
    name = graph.inputs[0]
    samples = {name: np.ones((1, *graph.shape(name)), graph.values[name].dtype)}
    with pytest.raises(UnsupportedError, match=REFUSED[text]):
        api.plan(graph, api.calibrate(graph, samples), "q8.8")


@pytest.mark.parametrize(
    "text",
    [
        "(float[1,1,2,2] x) => (float[1,1,5,5] y) { r = Relu(x) w = Constant<value = float[1,1,3,3] {1,2,3,4,5,6,7,8,9}>() "
        "y = ConvTranspose<strides=[2,2]>(r, w) }",
        "(float[3,2] x) => (float[2,2] y) { r = Relu(x) w = Constant<value = float[3,2] {1,2,3,4,5,6}>() y = Gemm<transA=1>(r, w) }",
    ],
)
def test_a_layer_of_another_format_moves_its_data_first(text: str) -> None:
    graph = load(text)
    last = graph.nodes[-1].name
    values = np.random.default_rng(5).uniform(-0.9, 0.9, (4, *graph.shape("x"))).astype(np.float32)
    agree(graph, {"x": values}, layers=[f"{last}:format=q8.20"])
