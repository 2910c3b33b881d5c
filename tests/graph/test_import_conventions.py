"""What exporters do with weights, shapes, batches and functions: a `Graph` has none of it left, and computes the same."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from graph_models import BOOL, FLOAT, INT64, constant, draw, model, node, run_as_is
from onnx import helper, numpy_helper

from fxnorm.errors import ModelError, UnsupportedError, UsageError
from fxnorm.graph.graph import Graph
from fxnorm.graph.onnx_import import load
from fxnorm.graph.reference import Reference

X = draw((2, 3, 4), 9)
W = draw((4, 5), 1)


def ops(graph: Graph) -> list[str]:
    return [item.op for item in graph.nodes]


def assert_same(proto: onnx.ModelProto, feeds: dict[str, np.ndarray], **options: Any) -> Graph:
    """Import a model and compare it with onnxruntime on the model as it is."""
    graph = load(proto, **options)
    found = Reference(graph).run({name: array[None] for name, array in feeds.items()})
    for name, array in run_as_is(proto, feeds).items():
        np.testing.assert_allclose(found[name][0], array, rtol=1e-5, atol=1e-6)
        assert graph.shape(name) == array.shape
    return graph


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


def torch_flatten() -> onnx.ModelProto:
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
            node("Reshape", ["x", "target"], ["y"], name="flatten"),
        ],
        {"x": ("n", 3, 4)},
        {"y": ("n", 12)},
    )


def test_shape_arithmetic_is_folded() -> None:
    graph = assert_same(torch_flatten(), {"x": X[:1]})
    assert ops(graph) == ["Reshape"]
    assert graph.shape("y") == (1, 12)
    assert (graph.batch, graph.free_batch) == (1, True)


def test_a_folded_batch_stays_free_for_the_reference() -> None:
    graph = load(torch_flatten())
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
    "Shape with start": (
        [
            node("Shape", ["x"], ["s"], start=1),
            node("ConstantOfShape", ["s"], ["c"], value=numpy_helper.from_array(np.float32([2]))),
            node("Add", ["x", "c"], ["y"]),
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


def test_identity_dropout_and_casts_to_the_same_type_are_dropped() -> None:
    nodes = [
        node("Identity", ["x"], ["a"]),
        node("Dropout", ["a"], ["b"]),
        node("Cast", ["b"], ["c"], to=FLOAT),
        node("Relu", ["c"], ["d"], name="relu"),
        node("Identity", ["d"], ["y"]),
    ]
    graph = assert_same(model(nodes, {"x": (2, 3)}, ["y"]), {"x": draw((2, 3))})
    assert [str(item) for item in graph.nodes] == ["relu (Relu)"]
    assert graph.nodes[0].inputs == ("x",)
    assert graph.nodes[0].outputs == ("y",)


def test_an_identity_between_input_and_output_stays() -> None:
    nodes = [node("Identity", ["x"], ["y"]), node("Relu", ["x"], ["a"]), node("Identity", ["a"], ["b"])]
    graph = assert_same(model(nodes, {"x": (2, 3)}, ["y", "a", "b"]), {"x": draw((2, 3))})
    assert graph.outputs == ("y", "a", "b")
    assert ops(graph) == ["Identity", "Relu", "Identity"]


def test_outputs_that_are_inputs_or_constants_are_kept() -> None:
    proto = model([constant("c", np.float32([1, 2])), node("Relu", ["x"], ["y"])], {"x": (1, 2)}, ["y", "c", "x"])
    graph = load(proto)
    assert graph.outputs == ("y", "c", "x")
    results = Reference(graph).run({"x": draw((3, 1, 2))})
    np.testing.assert_array_equal(results["c"], [[1, 2]] * 3)
    np.testing.assert_array_equal(results["x"], draw((3, 1, 2)))


def test_dropout_in_training_mode_is_left_for_lowering_to_refuse() -> None:
    proto = model(
        [node("Dropout", ["x", "r", "t"], ["y"])], {"x": (2, 3)}, ["y"], {"r": np.float32(0.5), "t": np.bool_(True)}
    )
    assert ops(load(proto)) == ["Dropout"]


def test_transposes_are_merged() -> None:
    nodes = [
        node("Transpose", ["x"], ["a"], perm=[0, 3, 1, 2]),
        node("Transpose", ["a"], ["b"], perm=[0, 2, 3, 1]),
        node("Relu", ["b"], ["c"]),
        node("Transpose", ["c"], ["d"], perm=[1, 0, 2, 3]),
        node("Transpose", ["d"], ["e"], perm=[0, 1, 3, 2]),
        node("Transpose", ["e"], ["y"]),
    ]
    graph = assert_same(model(nodes, {"x": (2, 3, 4, 5)}, ["y"]), {"x": draw((2, 3, 4, 5))})
    assert ops(graph) == ["Relu", "Transpose"]


def test_a_transpose_with_two_readers_serves_the_other_one_too() -> None:
    nodes = [
        node("Transpose", ["x"], ["a"], perm=[1, 0]),
        node("Transpose", ["a"], ["b"], perm=[1, 0]),
        node("Relu", ["a"], ["y"]),
        node("Neg", ["b"], ["z"]),
    ]
    graph = assert_same(model(nodes, {"x": (2, 3)}, ["y", "z"]), {"x": draw((2, 3))})
    assert sorted(ops(graph)) == ["Neg", "Relu", "Transpose"]


def function_model(opset_of_function: int = 21) -> onnx.ModelProto:
    body = helper.make_function(
        "local",
        "Half",
        ["a"],
        ["b"],
        [
            node("Constant", [], ["h"], value=numpy_helper.from_array(np.float32(0.5))),
            node("Mul", ["a", "h"], ["m"]),
            node("ReduceMean", ["m"], ["b"], axes=[1], keepdims=1)
            if opset_of_function < 18
            else node("Relu", ["m"], ["b"]),
        ],
        [helper.make_opsetid("", opset_of_function)],
    )
    outer = helper.make_function(
        "local",
        "Twice",
        ["a"],
        ["c"],
        [node("Half", ["a"], ["b"], domain="local"), node("Half", ["b"], ["c"], domain="local")],
        [helper.make_opsetid("", opset_of_function), helper.make_opsetid("local", 1)],
    )
    nodes = [node("Twice", ["x"], ["h"], domain="local", name="call"), node("Neg", ["h"], ["y"])]
    return model(nodes, {"x": (2, 3)}, ["y"], functions=[body, outer], imports={"local": 1})


def test_model_local_functions_are_inlined() -> None:
    graph = assert_same(function_model(), {"x": draw((2, 3))})
    assert ops(graph) == ["Mul", "Relu", "Mul", "Relu", "Neg"]
    assert len({item.name for item in graph.nodes}) == 5


def test_functions_of_an_older_opset_are_read_by_it() -> None:
    graph = load(function_model(opset_of_function=13))
    assert ops(graph) == ["Mul", "ReduceMean", "Mul", "ReduceMean", "Neg"]
    found = Reference(graph).run({"x": draw((1, 2, 3))})["y"][0]
    np.testing.assert_allclose(found, -draw((2, 3)).mean(axis=1, keepdims=True) / 4, rtol=1e-5)


def test_a_function_that_returns_its_input_renames_nothing() -> None:
    body = helper.make_function("local", "Same", ["a"], ["a"], [], [helper.make_opsetid("", 21)])
    nodes = [node("Same", ["x"], ["h"], domain="local"), node("Relu", ["h"], ["y"])]
    graph = load(model(nodes, {"x": (1, 2)}, ["y"], functions=[body], imports={"local": 1}))
    assert (graph.inputs, graph.outputs, ops(graph)) == (("x",), ("y",), ["Relu"])


def test_unknown_operators_are_expanded_by_their_definition() -> None:
    proto = model([node("HardSwish", ["x"], ["y"], name="act")], {"x": (2, 3)}, ["y"])
    assert ops(load(proto, known=None)) == ["HardSwish"]
    graph = assert_same(proto, {"x": draw((2, 3))}, known=lambda domain, op, version: op != "HardSwish")
    assert ops(graph) == ["HardSigmoid", "Mul"]
    deeper = assert_same(
        proto, {"x": draw((2, 3))}, known=lambda domain, op, version: op not in ("HardSwish", "HardSigmoid")
    )
    assert "HardSigmoid" not in ops(deeper)


def test_definitions_that_depend_on_types_are_expanded_too() -> None:
    nodes = [node("LayerNormalization", ["x", "s"], ["y", "", "d"], axis=-1)]
    proto = model(nodes, {"x": (2, 3, 8)}, ["y", "d"], {"s": draw((8,), 1)})
    graph = assert_same(proto, {"x": draw((2, 3, 8))}, known=lambda domain, op, version: op != "LayerNormalization")
    assert "ReduceMean" in ops(graph)


def test_if_with_a_constant_condition_is_its_branch() -> None:
    def branch(op: str) -> onnx.GraphProto:
        return helper.make_graph(
            [node(op, ["x"], ["t"]), node("Mul", ["t", "k"], ["out"])],
            op,
            [],
            [helper.make_tensor_value_info("out", FLOAT, None)],
            [numpy_helper.from_array(np.float32(3), "k")],
        )

    nodes = [
        node("Shape", ["x"], ["s"]),
        node("Size", ["s"], ["r"]),
        constant("two", np.int64(2)),
        node("Equal", ["r", "two"], ["c"]),
        node("If", ["c"], ["t"], then_branch=branch("Relu"), else_branch=branch("Neg")),
        node("Exp", ["t"], ["y"]),
    ]
    graph = assert_same(model(nodes, {"x": (2, 3)}, ["y"]), {"x": draw((2, 3))})
    assert ops(graph) == ["Relu", "Mul", "Exp"]


def test_if_on_data_is_left_for_lowering_to_refuse() -> None:
    def branch(op: str) -> onnx.GraphProto:
        return helper.make_graph(
            [node(op, ["x"], ["out"])], op, [], [helper.make_tensor_value_info("out", FLOAT, None)]
        )

    nodes = [
        node("ReduceSum", ["x"], ["s"], keepdims=0),
        node("Cast", ["s"], ["c"], to=BOOL),
        node("If", ["c"], ["y"], then_branch=branch("Relu"), else_branch=branch("Neg")),
    ]
    assert ops(assert_same(model(nodes, {"x": (2, 3)}, ["y"]), {"x": draw((2, 3))}))[-1] == "If"


SEQUENCES = {
    "split in equal parts": [
        constant("two", np.int64(2)),
        node("SplitToSequence", ["x", "two"], ["s"], axis=2),
    ],
    "split by sizes": [constant("sizes", [2, 2]), node("SplitToSequence", ["x", "sizes"], ["s"], axis=-1)],
    "construct": [node("Relu", ["x"], ["p"]), node("Neg", ["x"], ["q"]), node("SequenceConstruct", ["p", "q"], ["s"])],
}


@pytest.mark.parametrize("name", SEQUENCES)
def test_sequences_are_resolved(name: str) -> None:
    nodes = [
        *SEQUENCES[name],
        constant("first", np.int64(0)),
        constant("last", np.int64(-1)),
        node("SequenceAt", ["s", "first"], ["a"]),
        node("SequenceAt", ["s", "last"], ["b"]),
        node("Sub", ["a", "b"], ["d"]),
        node("ConcatFromSequence", ["s"], ["c"], axis=0),
        node("SequenceLength", ["s"], ["n"]),
    ]
    graph = assert_same(model(nodes, {"x": (2, 3, 4)}, {"d": None, "c": None, "n": (INT64, None)}), {"x": X})
    assert not [op for op in ops(graph) if "Sequence" in op]


def test_splitting_entry_by_entry_drops_the_axis() -> None:
    nodes = [
        node("SplitToSequence", ["x"], ["s"], axis=1, keepdims=0),
        constant("one", np.int64(1)),
        node("SequenceAt", ["s", "one"], ["a"]),
        node("ConcatFromSequence", ["s"], ["y"], axis=1, new_axis=1),
    ]
    graph = assert_same(model(nodes, {"x": (2, 3, 4)}, ["a", "y"]), {"x": X})
    assert graph.shape("a") == (2, 4)


def test_a_sequence_that_is_read_at_a_computed_place_is_refused() -> None:
    nodes = [node("SequenceConstruct", ["x", "x"], ["s"]), node("SequenceAt", ["s", "i"], ["y"], name="at")]
    with pytest.raises(UnsupportedError, match="at \\(SequenceAt\\)"):
        load(model(nodes, {"x": (1, 2), "i": (INT64, ())}, ["y"]))


def test_classical_operators_become_arithmetic() -> None:
    nodes = [
        node("Scaler", ["x"], ["s"], domain="ai.onnx.ml", offset=[1.0, 2.0, 3.0], scale=[0.5, 0.25, 2.0]),
        node(
            "LinearRegressor",
            ["s"],
            ["h"],
            domain="ai.onnx.ml",
            coefficients=[1.0, 2.0, 3.0, -1.0, 0.5, 4.0],
            intercepts=[0.1, 0.2],
            targets=2,
        ),
        node(
            "LinearClassifier",
            ["h"],
            ["label", "scores"],
            domain="ai.onnx.ml",
            coefficients=[1.0, -1.0, 0.5, 0.25, 2.0, -0.5],
            intercepts=[0.0, 0.5, -0.5],
            classlabels_ints=[0, 1, 2],
            post_transform="SOFTMAX",
        ),
        node("Normalizer", ["scores"], ["n"], domain="ai.onnx.ml", norm="L1"),
        node("ZipMap", ["n"], ["z"], domain="ai.onnx.ml", classlabels_int64s=[0, 1, 2]),
    ]
    proto = model(nodes, {"x": (2, 3)}, ["n"], imports={"ai.onnx.ml": 3})
    graph = assert_same(proto, {"x": draw((2, 3))}, known=lambda domain, op, version: not domain)
    assert {item.domain for item in graph.nodes} == {""}
    zipped = load(model(nodes, {"x": (2, 3)}, ["z"], imports={"ai.onnx.ml": 3}), known=lambda d, o, v: not d)
    assert zipped.outputs == ("z",)
    assert zipped.shape("z") == (2, 3)


@pytest.mark.parametrize(("kind", "dtype"), [("FLOAT16", np.float16), ("DOUBLE", np.float64), ("BFLOAT16", None)])
def test_other_floating_types_are_computed_in_float32(kind: str, dtype: Any) -> None:
    element = getattr(onnx.TensorProto, kind)
    weight = ir.tensor(W, dtype=ir.DataType.FLOAT).numpy()
    proto = model(
        [
            node("Cast", ["v"], ["w"], to=element),
            node("MatMul", ["x", "w"], ["h"]),
            node("Cast", ["h"], ["f"], to=FLOAT),
            node("Cast", ["f"], ["y"], to=element),
        ],
        {"x": (element, (2, 3, 4))},
        {"y": (element, None)},
        {"v": weight if dtype is None else weight.astype(dtype)},
    )
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


def test_names_are_unique_and_the_models_own_where_they_can_be() -> None:
    nodes = [
        node("Relu", ["x"], ["a"], name="same"),
        node("Relu", ["a"], ["b"], name="same"),
        node("Relu", ["b"], ["c"]),
        node("Relu", ["c"], ["y\x1b[31m{{x}}\n"], name="hostile\x1b[31m{{ 7 }}"),
    ]
    graph = load(model(nodes, {"x": (1, 2)}, ["y\x1b[31m{{x}}\n"]))
    assert [item.name for item in graph.nodes] == ["same", "Relu_b", "Relu_c", "hostile\x1b[31m{{ 7 }}"]
    assert graph.outputs == ("y\x1b[31m{{x}}\n",)


def test_nodes_in_any_order_are_sorted() -> None:
    nodes = [node("Neg", ["a"], ["y"]), node("Relu", ["x"], ["a"])]
    assert ops(load(model(nodes, {"x": (1, 2)}, ["y"]))) == ["Relu", "Neg"]


def test_unused_nodes_and_constants_are_dropped() -> None:
    nodes = [node("Relu", ["x"], ["y"]), node("MatMul", ["x", "w"], ["unused"])]
    graph = load(model(nodes, {"x": (1, 4)}, ["y"], {"w": W}))
    assert ops(graph) == ["Relu"]
    assert not graph.constants


def test_outputs_can_be_chosen() -> None:
    proto = model([node("Relu", ["x"], ["y"]), node("Neg", ["x"], ["z"])], {"x": (1, 2)}, ["y", "z"])
    graph = load(proto, outputs=["z"])
    assert (graph.outputs, ops(graph)) == (("z",), ["Neg"])
    with pytest.raises(UsageError, match="'q': the model has no such output; it has: y, z"):
        load(proto, outputs=["q"])


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
