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
from fxnorm.graph.nodes import label, opset

if TYPE_CHECKING:
    import onnx
    import onnx_ir as ir

DATA_LIMIT: Final = 4096  # constants with more elements than this are never shapes, axes or scales
LIKE_INPUT: Final = frozenset({("", "GroupNormalization"), ("", "MeanVarianceNormalization")})
"""Operators that onnx defines without inference; their output has the type and shape of their first input."""
LIKE_ANOTHER: Final = {("", "GreaterOrEqual"): "Greater", ("", "LessOrEqual"): "Less"}
"""Operators that older releases of onnx define without inference, and one that has the same output types."""
_LEGACY: Final = ("consumed_inputs",)  # optimizer hints of opset 1 that later exporters went on writing


@functools.cache
def schema(domain: str, op: str, version: int) -> Any:
    """onnx's definition (`OpSchema`) of an operator at an opset version; None where it has none, or has withdrawn it."""
    import onnx

    try:
        found = onnx.defs.get_schema(op, version, domain)
    except onnx.defs.SchemaError:
        return None
    return None if found.deprecated else found


def check_form(node: ir.Node) -> None:
    """Check a node's attributes, and how many inputs and outputs it has, against its operator's definition.

    Raises
    ------
    ModelError
        If it does not follow the definition at its own opset version, where onnx has one.
    """
    version = opset(node)
    definition = schema(node.domain, node.op_type, version)
    if definition is None:
        return
    known = definition.attributes
    for name, attribute in node.attributes.items():
        if name not in known and name not in _LEGACY:
            raise ModelError(f"{label(node)}: has no attribute {name!r} in opset {version}; export the model again")
        if name in known and int(known[name].type) != int(attribute.type):
            wanted = str(known[name].type).rpartition(".")[2]
            raise ModelError(f"{label(node)}: attribute {name!r} must be of type {wanted}, not {attribute.type.name}")
    missing = [name for name, attribute in known.items() if attribute.required and name not in node.attributes]
    if missing:
        raise ModelError(f"{label(node)}: the attribute {missing[0]!r} must be given; the model is damaged")
    for what, count, least, most in (
        ("input", len(node.inputs), definition.min_input, definition.max_input),
        ("output", len(node.outputs), definition.min_output, definition.max_output),
    ):
        if not least <= count <= most:
            raise ModelError(f"{label(node)}: must have {least} to {most} {what}s in opset {version}, not {count}")


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

    if (node.domain, node.op_type) in LIKE_INPUT and node.inputs[0] is not None and node.inputs[0].type is not None:
        return [ir.TypeAndShape(node.inputs[0].type, node.inputs[0].shape)]
    proto = ir.serde.serialize_node(node)
    proto.op_type = LIKE_ANOTHER.get((node.domain, node.op_type), node.op_type)
    definition = schema(node.domain, proto.op_type, version)
    if definition is None or not definition.has_type_and_shape_inference_function:
        return [None] * len(node.outputs)
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
            max(versions), ir.serde.serialize_node(node).SerializeToString(), types
        )
    return onnx.FunctionProto.FromString(body) if body else None


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
    if proto.HasField("tensor_type"):
        tensor = proto.tensor_type
        if not tensor.elem_type:
            return None
        sizes = [size.dim_value if size.HasField("dim_value") else None for size in tensor.shape.dim]
        return ir.TypeAndShape(
            ir.TensorType(ir.DataType(tensor.elem_type)), ir.Shape(sizes) if tensor.HasField("shape") else None
        )
    kind = ir.serde.deserialize_type_proto_for_type(proto)
    return None if kind is None else ir.TypeAndShape(kind, None)


def _reason(error: BaseException) -> str:
    text = first_line(error)
    return text.rpartition("] ")[2] if text.startswith("[") else text
