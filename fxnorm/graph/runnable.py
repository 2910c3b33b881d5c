"""The simplified model as a protobuf that a runtime takes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import numpy as np

from fxnorm.graph.folding import is_uniform
from fxnorm.graph.inference import schema
from fxnorm.graph.nodes import subgraphs

if TYPE_CHECKING:
    import onnx
    import onnx_ir as ir

    from fxnorm.graph.graph import Graph

PLAIN: Final = frozenset({"bool", "float32", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"})
"""Types that NumPy has and that runtimes take as they lie in memory."""
INLINE_LIMIT: Final = 1 << 16
"""Constants with more bytes are handed to the runtime as they lie in memory instead of being copied into the model."""


def model_proto(
    graph: Graph, outputs: Sequence[str], inline_limit: int | None = INLINE_LIMIT
) -> tuple[onnx.ModelProto, dict[str, np.ndarray]]:
    """The simplified model with other outputs, to be run.

    Parameters
    ----------
    graph
        The imported model.
    outputs
        Names of computed values.
    inline_limit
        Constants with more bytes are left out of the model and returned beside it. None keeps all inside.

    Returns
    -------
    tuple
        The model, under the lowest opset by which its operators mean the same, and the large constants.
    """
    import onnx
    import onnx_ir as ir

    source = graph.model.graph
    body = onnx.GraphProto(name="reference")
    large: dict[str, np.ndarray] = {}
    for value in source.inputs:
        body.input.append(ir.serde.serialize_value(value))
    used = {value for node in source for value in node.inputs}
    used |= {value for node in source for inner in _inner_nodes(node) for value in inner.inputs}
    for name, array in graph.constants.items():
        if source.initializers[name] not in used:
            continue
        if is_uniform(array) and array.nbytes > (inline_limit or INLINE_LIMIT):
            _fill(body, name, array)
        elif inline_limit is not None and array.nbytes > inline_limit and array.dtype.name in PLAIN:
            large[name] = np.ascontiguousarray(array)
            body.initializer.append(_external(name, array))
        else:
            body.initializer.append(
                onnx.numpy_helper.from_array(np.ascontiguousarray(array).reshape(array.shape), name)
            )
    body.node.extend(ir.serde.serialize_node(node) for node in source)
    for name in outputs:
        dtype = int(ir.DataType.from_numpy(graph.values[name].dtype))
        body.output.append(onnx.helper.make_tensor_value_info(name, dtype, None))
    imports = [onnx.helper.make_opsetid(domain, version) for domain, version in _lowest_opsets(graph).items()]
    return onnx.helper.make_model(body, opset_imports=imports, ir_version=10), large


def _inner_nodes(node: ir.Node) -> list[ir.Node]:
    return [inner for graph in subgraphs(node) for inner in graph.all_nodes()]


def _lowest_opsets(graph: Graph) -> dict[str, int]:
    """Lowest opset under which every operator has the definition it has in the model; older runtimes know it too."""
    opsets = dict(graph.model.opset_imports)
    oldest = 13  # ConstantOfShape, which this module adds, and the first opset that onnxruntime supports fully
    versions = [oldest]
    for node in graph.model.graph.all_nodes():
        if node.domain == "":
            definition = schema("", node.op_type, opsets[""])
            versions.append(opsets[""] if definition is None else definition.since_version)
    opsets[""] = max(versions)
    return opsets


def _fill(body: onnx.GraphProto, name: str, array: np.ndarray) -> None:
    """Write a constant whose elements are equal as the node that makes it."""
    import onnx

    shape = f"{name}__shape"
    body.initializer.append(onnx.numpy_helper.from_array(np.asarray(array.shape, dtype=np.int64), shape))
    value = onnx.numpy_helper.from_array(np.asarray(array[(0,) * array.ndim]).reshape(1))
    body.node.append(onnx.helper.make_node("ConstantOfShape", [shape], [name], value=value))


def _external(name: str, array: np.ndarray) -> onnx.TensorProto:
    import onnx
    import onnx_ir as ir

    tensor = onnx.TensorProto(name=name, dims=array.shape, data_type=int(ir.DataType.from_numpy(array.dtype)))
    tensor.data_location = onnx.TensorProto.EXTERNAL
    for key, value in (("location", "memory"), ("offset", "0"), ("length", str(array.nbytes))):
        tensor.external_data.add(key=key, value=value)
    return tensor
