"""A graph as bytes, for another process or another machine: nothing of it stays in files."""

from __future__ import annotations

import pickle
from dataclasses import fields
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from fxnorm.graph.folding import is_uniform
from fxnorm.graph.graph import Graph

if TYPE_CHECKING:
    import onnx
    import onnx_ir as ir

_PROTOCOL: Final = 5


def to_bytes(graph: Graph) -> bytes:
    """Everything that a graph is, weights that lay in other files included.

    They are for `from_bytes` of the same version of fxnorm, and for bytes that come from where code may come from too: reading them can
    run code, as every pickle can.
    """
    plain = {
        field.name: getattr(graph, field.name) for field in fields(Graph) if field.name not in ("model", "constants")
    }
    # Nodes in memory point at one another, in chains deeper than pickle can follow; as a protobuf they lie side by side.
    model = _structure(graph).SerializeToString()
    constants = {name: _packed(array) for name, array in graph.constants.items()}
    return pickle.dumps((plain, constants, model), _PROTOCOL)


def from_bytes(data: bytes) -> Graph:
    """The graph that `to_bytes` wrote."""
    import onnx

    plain, packed, model = pickle.loads(data)
    constants = {name: _unpacked(entry) for name, entry in packed.items()}
    return Graph(**plain, constants=constants, model=_model(onnx.ModelProto.FromString(model), constants))


def _structure(graph: Graph) -> onnx.ModelProto:
    """The simplified model without the elements of its constants."""
    import onnx
    import onnx_ir as ir

    source = graph.model.graph
    body = onnx.GraphProto(name=source.name or "graph")
    body.input.extend(ir.serde.serialize_value(value) for value in source.inputs)
    body.output.extend(ir.serde.serialize_value(value) for value in source.outputs)
    for name, value in source.initializers.items():
        if name in graph.constants:
            # A place for it: `_model` puts the constant there.
            body.initializer.append(onnx.TensorProto(name=name, data_type=onnx.TensorProto.FLOAT, dims=[0]))
        elif value.const_value is not None:
            body.initializer.append(ir.serde.serialize_tensor(value.const_value))
    body.node.extend(ir.serde.serialize_node(node) for node in source)
    opsets = [onnx.helper.make_opsetid(domain, version) for domain, version in graph.model.opset_imports.items()]
    return onnx.helper.make_model(body, opset_imports=opsets, ir_version=graph.model.ir_version)


def _model(proto: onnx.ModelProto, constants: dict[str, np.ndarray]) -> ir.Model:
    import onnx_ir as ir

    model = ir.serde.deserialize_model(proto)
    for name, value in model.graph.initializers.items():
        if name in constants:
            tensor = ir.tensor(constants[name], name=name)
            value.const_value, value.shape, value.dtype = tensor, ir.Shape(constants[name].shape), tensor.dtype
    return model


def _packed(array: np.ndarray) -> Any:
    """One number and a shape where that is all that an array is: its elements may be more than memory holds."""
    return (array.reshape(-1)[:1].copy(), array.shape) if is_uniform(array) else array


def _unpacked(entry: Any) -> np.ndarray:
    if isinstance(entry, tuple):
        element, shape = entry
        return np.broadcast_to(element.reshape((1,) * len(shape)), shape)
    return np.asarray(entry)
