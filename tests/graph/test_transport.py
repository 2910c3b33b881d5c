"""A graph that went through bytes is the same graph."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

import fxnorm as fx
from fxnorm.graph.graph import Graph
from fxnorm.graph.runnable import model_proto
from fxnorm.graph.transport import from_bytes, to_bytes

EXAMPLES = sorted((Path(__file__).resolve().parents[2] / "examples").glob("*.onnx"))


def same(first: Graph, second: Graph) -> None:
    names = ("inputs", "outputs", "path", "sha256", "batch", "free_batch", "values")
    assert all(getattr(first, name) == getattr(second, name) for name in names)
    assert [(str(node), node.inputs, node.outputs, node.version, node.domain) for node in first.nodes] == [
        (str(node), node.inputs, node.outputs, node.version, node.domain) for node in second.nodes
    ]
    for one, other in zip(first.nodes, second.nodes, strict=True):
        assert one.attributes.keys() == other.attributes.keys()
        for name, value in one.attributes.items():
            np.testing.assert_array_equal(value, other.attributes[name])
    assert list(first.constants) == list(second.constants)
    for name, array in first.constants.items():
        assert array.dtype == second.constants[name].dtype
        np.testing.assert_array_equal(array, second.constants[name])
    computed = [name for name in first.values if name not in first.inputs and name not in first.constants]
    runs, large = model_proto(first, computed)
    again, others = model_proto(second, computed)
    assert runs.SerializeToString(deterministic=True) == again.SerializeToString(deterministic=True)
    assert {name: array.tobytes() for name, array in large.items()} == {n: a.tobytes() for n, a in others.items()}


def model(nodes: list[onnx.NodeProto], output: str, weights: dict[str, np.ndarray], width: int) -> onnx.ModelProto:
    body = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", 1, ["N", width])],
        [helper.make_tensor_value_info(output, 1, None)],
        [numpy_helper.from_array(array, name) for name, array in weights.items()],
    )
    return helper.make_model(body, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_examples(path: Path) -> None:
    graph = fx.load(path)
    same(graph, from_bytes(to_bytes(graph)))


def test_a_chain_deeper_than_pickle_follows() -> None:
    nodes = [helper.make_node("Add", [f"v{i}", "b"], [f"v{i + 1}"]) for i in range(1, 1000)]
    first = helper.make_node("Add", ["x", "b"], ["v1"])
    graph = fx.load(model([first, *nodes], "v1000", {"b": np.full((3,), 1.5, np.float32)}, 3))
    same(graph, from_bytes(to_bytes(graph)))


def test_weights_in_other_files_come_along(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    weights = np.random.default_rng(3).normal(size=(200, 150)).astype(np.float32)
    proto = model([helper.make_node("Gemm", ["x", "w"], ["y"])], "y", {"w": weights}, 200)
    onnx.save(proto, folder / "m.onnx", save_as_external_data=True, location="w.bin", size_threshold=0)
    graph = fx.load(folder / "m.onnx")
    given = np.random.default_rng(4).normal(size=(5, 200)).astype(np.float32)
    wanted = fx.reference(graph, given)["y"]
    data = to_bytes(graph)
    assert weights.nbytes < len(data) < 1.1 * weights.nbytes
    shutil.rmtree(folder)
    found = from_bytes(data)
    assert np.array_equal(fx.reference(found, given)["y"], wanted)
    assert np.array_equal(found.constants["w"], weights)


def test_a_constant_that_is_one_number_stays_small() -> None:
    graph = fx.load(
        model(
            [helper.make_node("ConstantOfShape", ["s"], ["c"]), helper.make_node("Add", ["x", "c"], ["y"])],
            "y",
            {"s": np.array([1, 1 << 20], np.int64)},
            1 << 20,
        )
    )
    assert any(array.nbytes > 1 << 20 for array in graph.constants.values())
    data = to_bytes(graph)
    assert len(data) < 10_000
    same(graph, from_bytes(data))


def test_branches() -> None:
    def branch(op: str) -> onnx.GraphProto:
        return helper.make_graph(
            [helper.make_node(op, ["x"], [f"{op}_out"])], op, [], [helper.make_tensor_value_info(f"{op}_out", 1, None)]
        )

    nodes = [
        helper.make_node("ReduceSum", ["x"], ["sum"], keepdims=0),
        helper.make_node("Cast", ["sum"], ["c"], to=9),
        helper.make_node("If", ["c"], ["y"], then_branch=branch("Relu"), else_branch=branch("Neg")),
    ]
    graph = fx.load(model(nodes, "y", {}, 4))
    same(graph, from_bytes(to_bytes(graph)))
