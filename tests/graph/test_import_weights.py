"""Wherever an exporter puts weights, a `Graph` has them as constants, in float32 and with their own bits."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from graph_models import FLOAT, assert_same, constant, draw, model, node, ops
from onnx import helper, numpy_helper

from fxnorm.graph.onnx_import import load
from fxnorm.graph.reference import Reference

X = draw((2, 3, 4), 9)
W = draw((4, 5), 1)


def matmul(weight: list[onnx.NodeProto], constants: dict[str, Any] | None = None, **options: Any) -> onnx.ModelProto:
    """Relu(x · w) where `weight` makes w."""
    nodes = [*weight, node("MatMul", ["x", "w"], ["h"]), node("Relu", ["h"], ["y"])]
    return model(nodes, {"x": (2, 3, 4)}, ["y"], constants, **options)


SCALE, ZERO = np.float32(0.02), np.int8(3)
CODES = np.arange(20, dtype=np.int8).reshape(4, 5)
WEIGHTS: dict[str, onnx.ModelProto] = {
    "initializer": matmul([], {"w": W}),
    "initializer that is an input": matmul([], {"w": W}, constants_are_inputs=True, ir_version=3, opset=8),
    "Constant": matmul([constant("w", W)]),
    "Constant of floats": matmul(
        [
            node("Constant", [], ["f"], value_floats=W.reshape(-1).tolist()),
            constant("s", [4, 5]),
            node("Reshape", ["f", "s"], ["w"]),
        ]
    ),
    "Identity": matmul([node("Identity", ["v"], ["u"]), node("Identity", ["u"], ["w"])], {"v": W}),
    "Cast": matmul([node("Cast", ["v"], ["w"], to=FLOAT)], {"v": (W * 100).astype(np.int32)}),
    "Cast from float64": matmul([node("Cast", ["v"], ["w"], to=FLOAT)], {"v": W.astype(np.float64)}),
    "Transpose": matmul([node("Transpose", ["v"], ["w"])], {"v": np.ascontiguousarray(W.T)}),
    "ConstantOfShape": matmul(
        [node("ConstantOfShape", ["s"], ["w"], value=numpy_helper.from_array(np.float32([0.25])))],
        {"s": np.array([4, 5])},
    ),
    "DequantizeLinear": matmul([node("DequantizeLinear", ["c", "s", "z"], ["w"])], {"c": CODES, "s": SCALE, "z": ZERO}),
    "DequantizeLinear behind QuantizeLinear": matmul(
        [node("QuantizeLinear", ["v", "s", "z"], ["q"]), node("DequantizeLinear", ["q", "s", "z"], ["w"])],
        {"v": W, "s": SCALE, "z": ZERO},
    ),
    "arithmetic": matmul(
        [node("Mul", ["v", "s"], ["m"]), node("Sqrt", ["m"], ["w"])], {"v": np.abs(W), "s": np.float32(4)}
    ),
}


@pytest.mark.parametrize("name", WEIGHTS)
def test_weights_become_constants(name: str) -> None:
    graph = assert_same(WEIGHTS[name], {"x": X})
    assert ops(graph) == ["MatMul", "Relu"]
    assert graph.inputs == ("x",)
    weight = graph.constant(graph.nodes[0].inputs[1])
    assert weight is not None
    assert (weight.shape, weight.dtype) == ((4, 5), np.float32)
    assert graph.constant("x") is None


def test_weights_keep_their_bits() -> None:
    graph = load(WEIGHTS["initializer"])
    assert np.array_equal(graph.constants["w"].view(np.int32), W.view(np.int32))


def test_large_equal_weights_take_no_memory() -> None:
    weight = node("ConstantOfShape", ["s"], ["w"], value=numpy_helper.from_array(np.float32([0.5])))
    proto = model([weight, node("MatMul", ["x", "w"], ["y"])], {"x": (1, 25088)}, ["y"], {"s": np.array([25088, 4096])})
    graph = load(proto)
    assert graph.shape("w") == (25088, 4096)
    assert graph.constants["w"].strides == (0, 0)


@pytest.mark.parametrize("kind", ["FLOAT16", "DOUBLE", "BFLOAT16"])
def test_other_floating_types_are_computed_in_float32(kind: str) -> None:
    dtype = ir.DataType[kind]
    element, weight = int(dtype), ir.tensor(W.astype(dtype.numpy()), name="v")
    proto = model(
        [
            node("MatMul", ["x", "v"], ["h"]),
            node("Cast", ["h"], ["f"], to=FLOAT),
            node("Cast", ["f"], ["y"], to=element),
        ],
        {"x": (element, (2, 3, 4))},
        {"y": (element, None)},
    )
    proto.graph.initializer.append(ir.to_proto(weight))
    graph = load(proto)
    assert ops(graph) == ["MatMul"]
    assert {value.dtype for value in graph.values.values()} == {np.dtype(np.float32)}
    expected = X @ graph.constants[graph.nodes[0].inputs[1]]
    np.testing.assert_allclose(Reference(graph).run({"x": X[None]})["y"][0], expected, rtol=1e-5, atol=1e-6)


def test_sparse_weights_become_dense() -> None:
    values = numpy_helper.from_array(np.float32([1.5, -2]), "w")
    indices = numpy_helper.from_array(np.array([[0, 1], [3, 4]]), "w_indices")
    proto = matmul([], {})
    proto.graph.sparse_initializer.append(helper.make_sparse_tensor(values, indices, [4, 5]))
    dense = np.zeros((4, 5), np.float32)
    dense[0, 1], dense[3, 4] = 1.5, -2
    np.testing.assert_array_equal(load(proto).constants["w"], dense)
    linear = helper.make_sparse_tensor(
        numpy_helper.from_array(np.float32([1.5, -2]), "v"), numpy_helper.from_array(np.array([1, 19]), "i"), [4, 5]
    )
    node_form = matmul([node("Constant", [], ["w"], sparse_value=linear)])
    np.testing.assert_array_equal(load(node_form).constants["w"], dense)


def test_unused_nodes_and_constants_are_dropped() -> None:
    nodes = [node("Relu", ["x"], ["y"]), node("MatMul", ["x", "w"], ["unused"])]
    graph = load(model(nodes, {"x": (1, 4)}, ["y"], {"w": W}))
    assert ops(graph) == ["Relu"]
    assert not graph.constants


def test_infinite_bounds_and_masks_are_kept() -> None:
    mask = np.where(np.tri(3, dtype=bool), 0, -np.inf).astype(np.float32)
    nodes = [
        node("Add", ["x", "m"], ["a"]),
        node("Softmax", ["a"], ["s"], axis=-1),
        node("Clip", ["s", "low", "high"], ["y"]),
    ]
    constants = {"m": mask, "low": np.float32(0.1), "high": np.float32(np.inf)}
    assert ops(assert_same(model(nodes, {"x": (2, 3, 3)}, ["y"], constants), {"x": draw((2, 3, 3))})) == [
        "Add",
        "Softmax",
        "Clip",
    ]


def test_opset_9_clip_with_infinite_bounds_is_kept() -> None:
    proto = model([node("Clip", ["x"], ["y"], min=0.0, max=float("inf"))], {"x": (2, 3)}, ["y"], opset=9)
    assert_same(proto, {"x": draw((2, 3))})
