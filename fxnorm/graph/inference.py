"""Shape and type of a node's outputs, from onnx's own inference, one node at a time.

Nodes are visited in order and every dimension of the inputs is known, so that shapes follow without iteration: whatever a shape
is computed from has been folded into a constant by the time it is asked for.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from fxnorm.errors import ModelError
from fxnorm.graph.model_file import first_line
from fxnorm.graph.nodes import label

if TYPE_CHECKING:
    import onnx
    import onnx_ir as ir

DATA_LIMIT: Final = 4096  # constants with more elements than this are never shapes, axes or scales


@functools.cache
def schema(domain: str, op: str, version: int) -> Any:
    """onnx's definition (`OpSchema`) of an operator at an opset version; None where it has none, or has withdrawn it."""
    import onnx

    try:
        found = onnx.defs.get_schema(op, version, domain)
    except onnx.defs.SchemaError:
        return None
    return None if found.deprecated else found


def infer_types(
    node: ir.Node, version: int, constants: Mapping[ir.Value, np.ndarray], captured: Sequence[ir.Value] = ()
) -> list[ir.TypeAndShape | None]:
    """Type and shape of each output, as far as onnx can tell; None where it cannot.

    Parameters
    ----------
    node
        A node whose inputs have types and shapes.
    version
        Opset version of its domain.
    constants
        Arrays of the inputs that are constant.
    captured
        Values that its subgraphs read from outside.

    Raises
    ------
    ModelError
        If the inputs do not fit the operator.
    """
    import onnx
    import onnx_ir as ir

    definition = schema(node.domain, node.op_type, version)
    if definition is None:
        return [None] * len(node.outputs)
    proto = ir.to_proto(node)
    types = {}
    data = {}
    for value in (*node.inputs, *captured):
        if value is None or value.name is None:
            continue
        types[value.name] = type_proto(value)
        array = constants.get(value)
        if array is not None and array.size <= DATA_LIMIT:
            data[value.name] = onnx.numpy_helper.from_array(np.ascontiguousarray(array).reshape(array.shape))
    try:
        found = onnx.shape_inference.infer_node_outputs(
            definition, proto, types, data, opset_imports=[onnx.helper.make_opsetid(node.domain, version)]
        )
        if not definition.has_type_and_shape_inference_function:
            found = _infer_by_function(node, version)
    except Exception as error:  # the C++ inference raises RuntimeError, IndexError, ValueError and kinds of its own
        raise ModelError(f"{label(node)}: its inputs or attributes do not fit the operator: {_reason(error)}") from None
    return [_from_proto(found.get(value.name or "")) for value in node.outputs]


def function_proto(node: ir.Node, version: int) -> onnx.FunctionProto | None:
    """The operators by which onnx defines a node's operator, for the types of its inputs; None where it does not.

    Attributes that the node leaves out are given it with their defaults, because the definition refers to them.
    """
    import onnx
    import onnx_ir as ir

    definition = schema(node.domain, node.op_type, version)
    if definition is None:
        return None
    for name, attribute in definition.attributes.items():
        if name not in node.attributes and attribute.default_value.type != onnx.AttributeProto.UNDEFINED:
            node.attributes[name] = ir.serde.deserialize_attribute(attribute.default_value)
    versions = [number for number in definition.function_opset_versions if number <= version]
    if versions:
        body = definition.get_function_with_opset_version(max(versions))
    else:
        versions = [number for number in definition.context_dependent_function_opset_versions if number <= version]
        if not versions:
            return None
        types = [
            (onnx.TypeProto() if value is None else type_proto(value)).SerializeToString() for value in node.inputs
        ]
        body = definition.get_context_dependent_function_with_opset_version(
            max(versions), ir.to_proto(node).SerializeToString(), types
        )
    return onnx.FunctionProto.FromString(body) if body else None


def _infer_by_function(node: ir.Node, version: int) -> dict[str, onnx.TypeProto]:
    """Types of the outputs of an operator that onnx infers only through its definition by others."""
    import onnx
    import onnx_ir as ir

    function = function_proto(node, version)
    if function is None or any(value is None for value in node.inputs):
        return {}
    types = [type_proto(value) for value in node.inputs if value is not None]
    attributes = list(ir.to_proto(node).attribute)
    found = onnx.shape_inference.infer_function_output_types(function, types, attributes)
    return {value.name or "": kind for value, kind in zip(node.outputs, found, strict=False)}


def type_proto(value: ir.Value) -> onnx.TypeProto:
    """ONNX type of a value whose type is known."""
    import onnx_ir as ir

    if isinstance(value.type, ir.TensorType) and (value.shape is None or value.shape.is_static()):
        return _tensor_proto(int(value.type.dtype), None if value.shape is None else tuple(value.shape.numpy()))
    if value.type is None:
        raise ModelError(f"value {value.name!r}: its type cannot be found; export the model with shape inference")
    return ir.serde.serialize_type(value.type)


@functools.lru_cache(maxsize=4096)
def _tensor_proto(dtype: int, shape: tuple[int, ...] | None) -> onnx.TypeProto:
    import onnx

    return onnx.helper.make_tensor_type_proto(dtype, shape)


def _from_proto(proto: onnx.TypeProto | None) -> ir.TypeAndShape | None:
    import onnx_ir as ir

    if proto is None or proto.WhichOneof("value") is None:
        return None
    kind = ir.serde.deserialize_type_proto_for_type(proto)
    if kind is None:
        return None
    shape = ir.serde.deserialize_type_proto_for_shape(proto) if isinstance(kind, ir.TensorType) else None
    return ir.TypeAndShape(kind, shape)


def _reason(error: BaseException) -> str:
    text = first_line(error)
    return text.rpartition("] ")[2] if text.startswith("[") else text
