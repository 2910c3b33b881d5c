"""Whether every layer by itself gives what onnx's reference implementation makes of the same numbers.

Where an operator is defined by several others, a value between them can span more than the format holds (`SPAN_EXAMPLE`). Then the output
cannot meet what floating point gives, and the layers are judged one by one instead.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator

from fxnorm.graph.graph import Graph, Node
from fxnorm.simulation import Output

Array = np.ndarray

SPAN_EXAMPLE = "ReduceLogSumExp of 1 and 60 adds e¹ and e⁶⁰, which are 85 bits apart"


def layers_agree(graph: Graph, traces: Mapping[str, Output], allowed: Callable[[Output, Array], Array]) -> bool:
    """Compute every node in float64 from what the simulator had, and compare with what the simulator made of it.

    Parameters
    ----------
    traces
        Every value of the simulation, one sample.
    allowed
        Tolerance of one layer's output, given what is expected of it.
    """
    known: dict[str, Array] = {name: _real(array) for name, array in graph.constants.items()}
    known |= {name: traces[name].values.reshape(graph.shape(name)) for name in graph.inputs if name in traces}
    for node in graph.nodes:
        for name, array in zip(node.outputs, _evaluate(node, [known.get(name) for name in node.inputs]), strict=True):
            known[name] = array
            if name not in traces:
                continue
            trace = traces[name]
            found = trace.values.reshape(array.shape)
            lowest, highest = (
                trace.encoding.decode(np.array(code)) for code in (trace.format.lowest_code, trace.format.max_code)
            )
            held = np.clip(array, lowest, highest)
            if np.any(np.abs(found - held) > allowed(trace, held)):
                return False
            known[name] = found
    return True


def _real(array: Array) -> Array:
    return array.astype(np.float64) if array.dtype.kind == "f" else array


def _evaluate(node: Node, inputs: list[Array | None]) -> list[Array]:
    names = ["" if array is None else f"input_{index}" for index, array in enumerate(inputs)]
    attributes: dict[str, Any] = {key: _plain(value) for key, value in node.attributes.items()}
    proto = helper.make_node(node.op, names, [f"output_{index}" for index in range(len(node.outputs))], **attributes)
    feeds = {name: array for name, array in zip(names, inputs, strict=True) if array is not None}
    graph = helper.make_graph(
        [proto],
        "layer",
        [
            helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(a.dtype), a.shape)
            for name, a in feeds.items()
        ],
        [helper.make_tensor_value_info(name, TensorProto.UNDEFINED, None) for name in proto.output],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid(node.domain, node.version)])
    with np.errstate(all="ignore"):
        return [np.asarray(array) for array in ReferenceEvaluator(model).run(None, feeds)]


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
