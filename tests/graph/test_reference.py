"""The FP32 reference: every value, in one run or one by one, on either engine."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
from graph_models import FLOAT, INT64, draw, model, node, run_as_is
from onnx import helper, numpy_helper

from fxnorm.errors import DataError, ModelError, UsageError
from fxnorm.graph import runnable
from fxnorm.graph.onnx_import import load
from fxnorm.graph.reference import Reference, evaluate
from fxnorm.graph.runnable import model_proto

W = draw((4, 5), 1)


def dense(batch: object = "n", opset: int = 21) -> onnx.ModelProto:
    nodes = [node("MatMul", ["x", "w"], ["h"]), node("Add", ["h", "b"], ["a"]), node("Relu", ["a"], ["y"])]
    return model(nodes, {"x": (batch, 4)}, ["y"], {"w": W, "b": draw((5,), 2)}, opset=opset)


def test_every_value_is_at_hand() -> None:
    graph = load(dense())
    x = draw((3, 1, 4))
    results = evaluate(graph, {"x": x}, ["y", "h", "x", "w", "b", "a", "y"])
    assert list(results) == ["y", "h", "x", "w", "b", "a"]
    np.testing.assert_allclose(results["h"], x @ W, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(results["a"], x @ W + draw((5,), 2), rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(results["y"], np.maximum(results["a"], 0))
    np.testing.assert_array_equal(results["x"], x)
    np.testing.assert_array_equal(results["w"], np.stack([W] * 3))


def test_the_outputs_are_the_default() -> None:
    assert list(evaluate(load(dense()), {"x": draw((2, 1, 4))})) == ["y"]


@pytest.mark.parametrize("batch", ["n", 1, 3])
def test_samples_are_full_batches(batch: object) -> None:
    graph = load(dense(batch))
    rows = graph.batch or 0
    x = draw((4, rows, 4))
    reference = Reference(graph)
    results = reference.run({"x": x})
    assert results["y"].shape == (4, rows, 5)
    assert reference.together is (batch == "n")
    np.testing.assert_allclose(results["y"], np.maximum(x @ W + draw((5,), 2), 0), rtol=1e-5, atol=1e-6)


def test_a_bound_batch_stays_free() -> None:
    graph = load(dense(), batch=3)
    x = draw((4, 3, 4))
    reference = Reference(graph)
    np.testing.assert_allclose(reference.run({"x": x})["y"], np.maximum(x @ W + draw((5,), 2), 0), rtol=1e-5, atol=1e-6)
    assert reference.together is True


def mixing() -> onnx.ModelProto:
    """Takes the mean over the batch away: samples run together would see one another."""
    nodes = [node("ReduceMean", ["x", "axes"], ["m"]), node("Sub", ["x", "m"], ["y"])]
    return model(nodes, {"x": ("n", 4)}, ["y"], {"axes": np.array([0])})


def test_samples_that_see_one_another_run_alone() -> None:
    graph = load(mixing(), batch=2)
    x = draw((3, 2, 4))
    reference = Reference(graph)
    np.testing.assert_allclose(reference.run({"x": x})["y"], x - x.mean(axis=1, keepdims=True), rtol=1e-5, atol=1e-6)
    assert reference.together is False


def test_equal_samples_decide_nothing() -> None:
    graph = load(mixing(), batch=2)
    reference = Reference(graph)
    same = np.stack([draw((2, 4))] * 3)
    expected = same - same.mean(axis=1, keepdims=True)
    np.testing.assert_allclose(reference.run({"x": same})["y"], expected, rtol=1e-5, atol=1e-6)
    assert reference.together is None
    x = draw((3, 2, 4))
    np.testing.assert_allclose(reference.run({"x": x})["y"], x - x.mean(axis=1, keepdims=True), rtol=1e-5, atol=1e-6)
    assert reference.together is False


def test_a_value_without_a_batch_runs_alone() -> None:
    nodes = [node("ReduceSum", ["x"], ["t"], keepdims=0), node("Relu", ["x"], ["y"])]
    graph = load(model(nodes, {"x": ("n", 4)}, ["y", "t"]))
    x = draw((3, 1, 4))
    reference = Reference(graph)
    np.testing.assert_allclose(reference.run({"x": x})["t"], x.sum(axis=(1, 2)), rtol=1e-5)
    assert reference.together is False


def test_scalar_inputs_are_samples_too() -> None:
    graph = load(model([node("Mul", ["x", "s"], ["y"])], {"x": (2,), "s": ()}, ["y"]))
    x, s = draw((3, 2)), draw((3,), 1)
    np.testing.assert_allclose(evaluate(graph, {"x": x, "s": s})["y"], x * s[:, None], rtol=1e-6)


def test_integers_and_booleans_keep_their_types() -> None:
    nodes = [node("ArgMax", ["x"], ["i"], axis=1, keepdims=0), node("Greater", ["x", "z"], ["g"])]
    graph = load(
        model(nodes, {"x": ("n", 4)}, {"i": (INT64, None), "g": (onnx.TensorProto.BOOL, None)}, {"z": np.float32(0)})
    )
    x = draw((5, 1, 4))
    results = evaluate(graph, {"x": x})
    np.testing.assert_array_equal(results["i"], x.argmax(axis=2))
    np.testing.assert_array_equal(results["g"], x > 0)
    assert results["i"].dtype == np.int64


def test_operators_that_onnxruntime_lacks_run_on_onnx() -> None:
    graph = load(model([node("Det", ["x"], ["d"]), node("Add", ["d", "d"], ["y"])], {"x": (2, 3, 3)}, ["y"]))
    assert Reference(graph).engine == "onnxruntime"
    strange = load(model([node("CenterCropPad", ["x", "s"], ["y"])], {"x": (5, 5)}, ["y"], {"s": np.array([3, 3])}))
    reference = Reference(strange, ["y", "x"])
    x = draw((2, 5, 5))
    np.testing.assert_array_equal(reference.run({"x": x})["y"], x[:, 1:4, 1:4])


def test_the_engine_is_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise RuntimeError("no kernel for it")

    graph = load(dense())
    x = draw((3, 1, 4))
    expected = evaluate(graph, {"x": x}, ["h", "y"])
    monkeypatch.setattr(onnxruntime, "InferenceSession", refuse)
    reference = Reference(graph, ["h", "y"])
    found = reference.run({"x": x})
    assert reference.engine == "onnx.reference"
    for name in ("h", "y"):
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-5, atol=1e-6)
    monkeypatch.setattr("onnx.reference.ReferenceEvaluator", refuse)
    with pytest.raises(ModelError, match="neither onnxruntime \\(no kernel for it\\) nor onnx's reference"):
        Reference(graph)


def test_the_lowest_opset_of_the_same_meaning_is_run() -> None:
    newest = onnx.defs.onnx_opset_version()
    graph = load(dense(opset=newest))
    assert graph.nodes[0].version == newest
    proto, _ = model_proto(graph, ["y"])
    assert proto.opset_import[0].version == 14  # of Add and Relu; MatMul's definition is older
    assert Reference(graph).engine == "onnxruntime"
    grown = load(
        model([node("ReduceSumSquare", ["x", "a"], ["y"])], {"x": (2, 3)}, ["y"], {"a": np.array([1])}, opset=newest)
    )
    assert model_proto(grown, ["y"])[0].opset_import[0].version == 18


def test_large_constants_stay_outside_and_equal_ones_become_a_node() -> None:
    big = draw((200, 200), 3)
    fill = node("ConstantOfShape", ["s"], ["c"], value=numpy_helper.from_array(np.float32([0.5])))
    nodes = [fill, node("MatMul", ["x", "w"], ["h"]), node("MatMul", ["h", "c"], ["y"])]
    graph = load(model(nodes, {"x": ("n", 200)}, ["y"], {"w": big, "s": np.array([200, 300])}))
    proto, large = model_proto(graph, ["y"])
    assert list(large) == ["w"]
    assert len(proto.SerializeToString()) < 2000
    assert proto.graph.node[0].op_type == "ConstantOfShape"
    whole, none = model_proto(graph, ["y"], inline_limit=None)
    assert not none
    x = draw((2, 1, 200))
    expected = x @ big @ np.full((200, 300), 0.5, np.float32)
    scale = float(np.abs(expected).max())
    np.testing.assert_allclose(evaluate(graph, {"x": x})["y"], expected, rtol=1e-4, atol=1e-5 * scale)
    alone = run_as_is(whole, {"x": x[0]})["y"]
    np.testing.assert_allclose(alone, expected[0], rtol=1e-4, atol=1e-5 * scale)
    assert big.nbytes > runnable.INLINE_LIMIT


def test_quantized_pairs_are_computed_in_float() -> None:
    """onnxruntime would run a Softmax between such pairs on integers."""
    nodes = [
        node("QuantizeLinear", ["x", "s", "z"], ["q"]),
        node("DequantizeLinear", ["q", "s", "z"], ["d"]),
        node("Softmax", ["d"], ["h"], axis=1),
        node("QuantizeLinear", ["h", "t", "z"], ["p"]),
        node("DequantizeLinear", ["p", "t", "z"], ["y"]),
    ]
    constants = {"s": np.float32(0.05), "t": np.float32(0.031), "z": np.int8(3)}
    proto = model(nodes, {"x": (2, 3, 8, 8)}, ["y"], constants)
    x = 2 * draw((2, 3, 8, 8))
    found = evaluate(load(proto), {"x": x[None]})["y"][0]
    np.testing.assert_allclose(found, run_as_is(proto, {"x": x})["y"], atol=1e-6)


def test_wrong_use_is_named() -> None:
    graph = load(dense())
    with pytest.raises(UsageError, match="value 'ghost': the model has no such value"):
        Reference(graph, ["ghost"])
    reference = Reference(graph)
    with pytest.raises(DataError, match="input 'x': must be given, but only z is"):
        reference.run({"z": draw((1, 1, 4))})
    with pytest.raises(DataError, match=r"input 'x': must have the shape samples × \[1, 4\], not \[3, 4\]"):
        reference.run({"x": draw((3, 4))})
    with pytest.raises(DataError, match="at least one, not \\[0\\]"):
        reference.run({"x": draw((0, 1, 4))})


def test_a_subgraph_that_stays_is_run() -> None:
    def branch(op: str) -> onnx.GraphProto:
        nodes = [node(op, ["x"], ["t"]), node("MatMul", ["t", "w"], ["out"])]
        return helper.make_graph(nodes, op, [], [helper.make_tensor_value_info("out", FLOAT, None)])

    nodes = [
        node("ReduceSum", ["x"], ["s"], keepdims=0),
        node("Greater", ["s", "z"], ["c"]),
        node("If", ["c"], ["y"], then_branch=branch("Relu"), else_branch=branch("Neg")),
    ]
    graph = load(model(nodes, {"x": (2, 4)}, ["y"], {"w": W, "z": np.float32(0)}))
    for seed in range(4):
        x = draw((2, 4), seed)
        expected = (np.maximum(x, 0) if x.sum() > 0 else -x) @ W
        np.testing.assert_allclose(evaluate(graph, {"x": x[None]})["y"][0], expected, rtol=1e-5, atol=1e-5)
