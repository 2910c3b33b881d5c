"""Small ONNX models by hand, and what onnxruntime makes of a model as it is: the oracle of the import tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from fxnorm.graph.graph import Graph
from fxnorm.graph.onnx_import import load
from fxnorm.graph.reference import Reference

FLOAT, INT64, BOOL = TensorProto.FLOAT, TensorProto.INT64, TensorProto.BOOL

Shape = Sequence[int | str | None] | None
node = helper.make_node


def model(
    nodes: Sequence[onnx.NodeProto],
    inputs: Mapping[str, Shape | tuple[int, Shape]],
    outputs: Sequence[str] | Mapping[str, Shape | tuple[int, Shape]],
    constants: Mapping[str, Any] | None = None,
    *,
    opset: int = 21,
    ir_version: int | None = None,
    imports: Mapping[str, int] | None = None,
    functions: Sequence[onnx.FunctionProto] = (),
    constants_are_inputs: bool = False,
) -> onnx.ModelProto:
    """A model; shapes stand for float32 tensors, pairs of an element type and a shape for others."""
    initializers = [numpy_helper.from_array(np.asarray(array), name) for name, array in (constants or {}).items()]
    infos = [_info(name, spec) for name, spec in inputs.items()]
    if constants_are_inputs:
        infos += [helper.make_tensor_value_info(t.name, t.data_type, t.dims) for t in initializers]
    specs = outputs if isinstance(outputs, Mapping) else dict.fromkeys(outputs)
    graph = helper.make_graph(nodes, "graph", infos, [_info(name, spec) for name, spec in specs.items()], initializers)
    opsets = [helper.make_opsetid("", opset), *(helper.make_opsetid(*item) for item in (imports or {}).items())]
    made = helper.make_model(graph, opset_imports=opsets, functions=list(functions))
    made.ir_version = ir_version or (3 if opset < 9 else 10)
    return made


def _info(name: str, spec: Any) -> onnx.ValueInfoProto:
    dtype, shape = (
        spec if isinstance(spec, tuple) and len(spec) == 2 and not isinstance(spec[1], int) else (FLOAT, spec)
    )
    return helper.make_tensor_value_info(name, dtype, shape)


def constant(name: str, array: Any) -> onnx.NodeProto:
    """A Constant node."""
    return node("Constant", [], [name], value=numpy_helper.from_array(np.asarray(array)))


def draw(shape: Sequence[int], seed: int = 0) -> np.ndarray:
    """Normal float32 numbers."""
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def run_as_is(proto: onnx.ModelProto | bytes, feeds: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """What onnxruntime computes from a model that nothing has touched."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    data = proto if isinstance(proto, bytes) else proto.SerializeToString()
    session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, dict(feeds)), strict=True))


def ops(graph: Graph) -> list[str]:
    """Operators of a graph in their order."""
    return [item.op for item in graph.nodes]


def assert_same(proto: onnx.ModelProto, feeds: Mapping[str, np.ndarray], **options: Any) -> Graph:
    """Import a model and compare it with onnxruntime on the model as it is."""
    graph = load(proto, **options)
    found = Reference(graph).run({name: array[None] for name, array in feeds.items()})
    for name, array in run_as_is(proto, feeds).items():
        np.testing.assert_allclose(found[name][0], array, rtol=1e-5, atol=1e-6)
        assert graph.shape(name) == array.shape
    return graph
