"""Shape arithmetic is gone from a `Graph`, every shape is known, and the batch is what it should be."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from graph_models import FLOAT, assert_same, constant, draw, model, node, ops
from onnx import helper

from fxnorm.errors import ModelError, UsageError
from fxnorm.graph.onnx_import import load
from fxnorm.graph.reference import Reference

X = draw((2, 3, 4), 9)
W = draw((4, 5), 1)


def torch_flatten(allowzero: int = 0) -> onnx.ModelProto:
    """Flattening as PyTorch exports it: the batch is read from the shape."""
    return model(
        [
            node("Shape", ["x"], ["shape"]),
            constant("zero", np.int64(0)),
            node("Gather", ["shape", "zero"], ["batch"], axis=0),
            constant("axes", [0]),
            node("Unsqueeze", ["batch", "axes"], ["first"]),
            constant("rest", [-1]),
            node("Concat", ["first", "rest"], ["target"], axis=0),
            node("Reshape", ["x", "target"], ["y"], name="flatten", allowzero=allowzero),
        ],
        {"x": ("n", 3, 4)},
        {"y": ("n", 12)},
    )


def test_shape_arithmetic_is_folded() -> None:
    graph = assert_same(torch_flatten(), {"x": X[:1]})
    assert ops(graph) == ["Reshape"]
    assert graph.shape("y") == (1, 12)
    assert (graph.batch, graph.free_batch) == (1, True)


@pytest.mark.parametrize("allowzero", [0, 1])
def test_a_folded_batch_stays_free_for_the_reference(allowzero: int) -> None:
    graph = load(torch_flatten(allowzero))
    reference = Reference(graph)
    samples = draw((7, 1, 3, 4))
    np.testing.assert_array_equal(reference.run({"x": samples})["y"], samples.reshape(7, 1, 12))
    assert reference.together is True


def test_keras_batch_times_space_stays_free_for_the_reference() -> None:
    shape = [
        node("Shape", ["x"], ["shape"]),
        constant("zero", [0]),
        constant("one", [1]),
        node("Slice", ["shape", "zero", "one"], ["batch"]),
        constant("three", [3]),
        node("Mul", ["batch", "three"], ["rows"]),
        constant("four", [4]),
        node("Concat", ["rows", "four"], ["flat"], axis=0),
        node("Concat", ["batch", "three", "four"], ["back"], axis=0),
        node("Reshape", ["x", "flat"], ["f"]),
        node("Relu", ["f"], ["r"]),
        node("Reshape", ["r", "back"], ["y"]),
    ]
    graph = assert_same(model(shape, {"x": ("n", 3, 4)}, ["y"]), {"x": X[:1]})
    reference = Reference(graph, ["r", "y"])
    samples = draw((5, 1, 3, 4))
    results = reference.run({"x": samples})
    np.testing.assert_array_equal(results["y"], np.maximum(samples, 0))
    assert results["r"].shape == (5, 3, 4)
    assert reference.together is True


SHAPES: dict[str, tuple[list[onnx.NodeProto], dict[str, Any]]] = {
    "zero and minus one": ([node("Reshape", ["x", "s"], ["y"])], {"s": np.array([0, -1])}),
    "Range": (
        [
            constant("zero", 0),
            constant("three", 3),
            constant("one", 1),
            node("Range", ["zero", "three", "one"], ["i"]),
            node("Gather", ["x", "i"], ["y"], axis=1),
        ],
        {},
    ),
    "Size and Div": (
        [
            node("Size", ["x"], ["n"]),
            constant("four", 4),
            node("Div", ["n", "four"], ["rows"]),
            constant("axes", [0]),
            node("Unsqueeze", ["rows", "axes"], ["r"]),
            constant("minus", [-1]),
            node("Concat", ["r", "minus"], ["s"], axis=0),
            node("Reshape", ["x", "s"], ["y"]),
        ],
        {},
    ),
    "Shape with start and end": (
        [
            node("Shape", ["x"], ["s"], start=-2, end=3),
            constant("minus", [-1]),
            node("Concat", ["s", "minus"], ["t"], axis=0),
            node("Reshape", ["x", "t"], ["y"]),
        ],
        {},
    ),
    "Expand": (
        [node("Shape", ["x"], ["s"]), node("Expand", ["b", "s"], ["e"]), node("Mul", ["x", "e"], ["y"])],
        {"b": np.float32([3])},
    ),
    "Where and Equal": (
        [
            node("Equal", ["t", "m"], ["e"]),
            node("Shape", ["x"], ["s"]),
            node("Where", ["e", "s", "t"], ["u"]),
            node("Reshape", ["x", "u"], ["y"]),
        ],
        {"t": np.array([-1, 12, 1]), "m": np.array(-1)},
    ),
    "Slice to the end": (
        [node("Slice", ["x", "b", "e", "a", "st"], ["y"])],
        {"b": np.array([1]), "e": np.array([2**63 - 1]), "a": np.array([2]), "st": np.array([2])},
    ),
    "NonZero of a constant": (
        [
            node("NonZero", ["m"], ["n"]),
            constant("axis", [0]),
            node("Squeeze", ["n", "axis"], ["i"]),
            node("Gather", ["x", "i"], ["y"], axis=2),
        ],
        {"m": np.array([True, False, True, True])},
    ),
}


@pytest.mark.parametrize("name", SHAPES)
def test_shapes_follow(name: str) -> None:
    nodes, constants = SHAPES[name]
    graph = assert_same(model(nodes, {"x": (2, 3, 4)}, ["y"], constants), {"x": X})
    assert len(graph.nodes) == 1


def test_models_in_memory_are_left_as_they_are() -> None:
    proto = torch_flatten()
    before = proto.SerializeToString()
    first = load(proto)
    assert proto.SerializeToString() == before
    held = ir.from_proto(proto)
    second = load(held)
    assert len(held.graph) == len(proto.graph.node)
    assert [item.op for item in second.nodes] == [item.op for item in first.nodes]
    assert first.path is None


def batch_model(first: Any, target: list[int]) -> onnx.ModelProto:
    nodes = [node("Reshape", ["x", "s"], ["f"]), node("MatMul", ["f", "w"], ["y"])]
    return model(nodes, {"x": (first, 2, 2)}, {"y": (first, 5)}, {"s": np.array(target), "w": W})


def test_a_free_batch_is_one_or_what_is_asked_for() -> None:
    proto = batch_model("n", [-1, 4])
    assert load(proto).shape("y") == (1, 5)
    graph = load(proto, batch=6)
    assert (graph.batch, graph.free_batch, graph.shape("x"), graph.shape("y")) == (6, True, (6, 2, 2), (6, 5))


@pytest.mark.parametrize("target", [[3, 4], [3, -1], [0, -1], [-1, 4]])
def test_a_fixed_batch_can_be_changed(target: list[int]) -> None:
    proto = batch_model(3, target)
    del proto.graph.value_info[:]
    proto.graph.value_info.append(helper.make_tensor_value_info("f", FLOAT, [3, 4]))
    assert load(proto).shape("f") == (3, 4)
    graph = load(proto, batch=1)
    assert (graph.batch, graph.shape("x"), graph.shape("f"), graph.shape("y")) == (1, (1, 2, 2), (1, 4), (1, 5))
    x = draw((1, 1, 2, 2))
    np.testing.assert_allclose(Reference(graph).run({"x": x})["y"][0], x.reshape(1, 4) @ W, rtol=1e-5)


def test_a_fixed_batch_within_is_refused_by_name() -> None:
    nodes = [node("Add", ["x", "b"], ["a"], name="bias"), node("Relu", ["a"], ["y"])]
    proto = model(nodes, {"x": (4, 2)}, {"y": (4, 2)}, {"b": draw((4, 2))})
    with pytest.raises(
        ModelError, match=r"output 'y': the batch of 4 that the model fixes cannot be replaced by 1.*free batch"
    ):
        load(proto, batch=1)
    with pytest.raises(ModelError, match=r"bias \(Add\)"):
        load(proto, batch=3)


def test_named_dimensions_need_a_size() -> None:
    proto = model([node("Relu", ["x"], ["y"])], {"x": ("n", "length", 4)}, ["y"])
    with pytest.raises(ModelError, match=r"input 'x': dimension 1 \(length\) is free.*--dim length=SIZE"):
        load(proto)
    assert load(proto, dims={"length": 7}).shape("y") == (1, 7, 4)
    graph = load(proto, dims={"length": 7, "n": 2})
    assert (graph.batch, graph.free_batch) == (2, True)
    with pytest.raises(
        UsageError, match="'width': the model's inputs have no such free dimension; they have: length, n"
    ):
        load(proto, dims={"width": 7})
    with pytest.raises(UsageError, match="'length': must be a positive number, not 0"):
        load(proto, dims={"length": 0})
    with pytest.raises(UsageError, match="batch: must be a positive number, not 0"):
        load(proto, batch=0)


def test_inputs_of_one_batch_share_it() -> None:
    nodes = [node("Add", ["a", "b"], ["y"])]
    graph = load(model(nodes, {"a": ("n", 3), "b": (None, 3)}, ["y"]), batch=2)
    assert (graph.batch, graph.free_batch) == (2, True)
    mixed = load(model(nodes, {"a": ("n", 3), "b": (3,)}, ["y"]), batch=2)
    assert (mixed.batch, mixed.free_batch, mixed.shape("y")) == (None, False, (2, 3))
    with pytest.raises(
        ModelError, match=r"the batch can be set to 2 only where all inputs share it, but they are 'a' 4 × 3, 'b' 3"
    ):
        load(model(nodes, {"a": (4, 3), "b": (3,)}, ["y"]), batch=2)
