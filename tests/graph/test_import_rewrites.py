"""What does nothing is dropped, functions and sequences are resolved, and the model computes the same."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from graph_models import BOOL, FLOAT, INT64, assert_same, constant, draw, model, node, ops
from hypothesis import given
from hypothesis import strategies as st
from onnx import helper, numpy_helper

from fxnorm.errors import UnsupportedError, UsageError
from fxnorm.graph.onnx_import import load
from fxnorm.graph.reference import Reference

X = draw((2, 3, 4), 9)


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


@given(st.permutations(range(4)), st.permutations(range(4)), st.permutations(range(4)))
def test_any_transposes_are_merged(first: list[int], second: list[int], third: list[int]) -> None:
    nodes = [
        node("Transpose", ["x"], ["a"], perm=first),
        node("Transpose", ["a"], ["b"], perm=second),
        node("Transpose", ["b"], ["c"], perm=third),
        node("Relu", ["c"], ["y"]),
    ]
    x = draw((2, 3, 4, 5))
    graph = load(model(nodes, {"x": x.shape}, ["y"]))
    assert len(graph.nodes) <= 2
    expected = np.maximum(x.transpose(first).transpose(second).transpose(third), 0)
    np.testing.assert_array_equal(Reference(graph).run({"x": x[None]})["y"][0], expected)


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


def test_outputs_can_be_chosen() -> None:
    proto = model([node("Relu", ["x"], ["y"]), node("Neg", ["x"], ["z"])], {"x": (1, 2)}, ["y", "z"])
    graph = load(proto, outputs=["z"])
    assert (graph.outputs, ops(graph)) == (("z",), ["Neg"])
    with pytest.raises(UsageError, match="'q': the model has no such output; it has: y, z"):
        load(proto, outputs=["q"])


def test_comparisons_have_types_whichever_onnx_is_installed() -> None:
    nodes = [node("GreaterOrEqual", ["x", "c"], ["g"]), node("LessOrEqual", ["x", "c"], ["y"])]
    outputs = {"g": (BOOL, None), "y": (BOOL, None)}
    graph = assert_same(model(nodes, {"x": (2, 3, 1)}, outputs, {"c": draw((4,), 1)}), {"x": draw((2, 3, 1))})
    assert graph.shape("y") == (2, 3, 4)
    assert graph.values["y"].dtype == np.bool_
