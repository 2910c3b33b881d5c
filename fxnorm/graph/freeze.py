"""From the simplified model to the `Graph` that the rest of the program reads."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

import numpy as np

from fxnorm.errors import ModelError
from fxnorm.graph.graph import Attribute, Graph, Node, Value
from fxnorm.graph.nodes import integer, label, set_input, take

if TYPE_CHECKING:
    import onnx_ir as ir

    from fxnorm.graph.binding import Binding
    from fxnorm.graph.model_file import ModelFile
    from fxnorm.graph.simplify import Simplifier


INFINITE: Final[Mapping[str, tuple[int, ...] | None]] = {
    "Add": (0, 1),
    "Clip": (1, 2),
    "Max": None,
    "Min": None,
    "Pad": (2,),
    "Sub": (1,),
    "Where": (1, 2),
    **dict.fromkeys(("Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual")),
}
"""Operators whose constant inputs may be infinite, as bounds, masks or in comparisons, and which; None for all."""


def check_finite(walk: Simplifier) -> None:
    """Refuse NaN in any constant that is used, and infinity in all but bounds and masks.

    Raises
    ------
    ModelError
        Naming the constant of the file that the elements come from.
    """
    for value, origin in walk.nonfinite.items():
        if not walk.is_used(value):
            continue
        nan = bool(np.isnan(walk.constants[value]).any())
        if not nan and value.uses() and all(_may_be_infinite(node, index) for node, index in value.uses()):
            continue
        users = ", ".join(label(node) for node in value.consumers()[:3]) or "a model output"
        raise ModelError(
            f"initializer {origin!r}: weights must be finite numbers, but it holds {'NaN' if nan else 'infinite'} values, "
            f"which {users} reads; train or export again"
        )


def _may_be_infinite(node: ir.Node, index: int) -> bool:
    if node.domain or node.op_type not in INFINITE:
        return False
    places = INFINITE[node.op_type]
    return places is None or index in places


def freeze(model: ir.Model, file: ModelFile, binding: Binding, walk: Simplifier) -> Graph:
    """Describe the simplified model as a `Graph`.

    The model itself is left ready for the reference: where the batch is free, it takes any number of samples at once.
    """
    import onnx_ir as ir

    graph = model.graph
    if binding.free_batch:
        _free_reshapes(walk)
    made = [value for node in graph for value in node.outputs if value.name]
    everything = [*graph.inputs, *graph.initializers.values(), *made]
    values = {value.name or "": _value(value, walk) for value in everything}
    names: set[str] = set()
    for node in graph:
        node.name = _unique_name(node, names)
    nodes = tuple(_node(node, walk) for node in graph)
    constants = {value.name: array for value, array in walk.constants.items() if value.is_initializer() and value.name}
    for value in made:
        value.shape = None  # of one sample
    if binding.free_batch:
        for value in graph.inputs:
            rest = () if value.shape is None else value.shape[1:]
            value.shape = ir.Shape(["batch", *rest])
    return Graph(
        nodes=nodes,
        inputs=tuple(value.name or "" for value in graph.inputs),
        outputs=tuple(value.name or "" for value in graph.outputs),
        values=values,
        constants=constants,
        path=file.path,
        sha256=file.sha256,
        batch=binding.batch,
        free_batch=binding.free_batch,
        model=model,
    )


def _free_reshapes(walk: Simplifier) -> None:
    """Let Reshapes whose target was computed from the batch size keep whatever first dimension they meet."""
    for node in walk.graph:
        if node.domain or node.op_type != "Reshape":
            continue
        source, target = node.inputs[0], walk.array(node.inputs[1])
        if source is None or target is None or not target.size or int(target[0]) <= 0:
            continue
        dims = walk.shape(source)
        if 0 not in target:
            take(node, "allowzero")  # makes no difference, and below a zero is to copy the dimension
        keeps = bool(dims) and dims[0] == int(target[0]) and not integer(node, "allowzero", 0)
        if not keeps and (-1 in target or math.prod(dims) == 0):
            continue
        changed = np.array(target, dtype=np.int64)
        changed[0] = 0 if keeps else -1
        set_input(node, 1, walk.constant(changed, f"{node.name}_shape"))
    for value in list(walk.graph.initializers.values()):
        if not walk.is_used(value):
            walk.graph.initializers.pop(value.name or "")


def _value(value: ir.Value, walk: Simplifier) -> Value:
    import onnx_ir as ir

    name = value.name or ""
    dtype = value.dtype
    if dtype is None or dtype == ir.DataType.STRING:
        raise ModelError(f"value {name!r}: must hold numbers; cut the text processing off the model")
    return Value(name, walk.shape(value), np.dtype(dtype.numpy()))


def _unique_name(node: ir.Node, names: set[str]) -> str:
    name = node.name or ""
    if not name or name in names:
        name = f"{node.op_type}_{next((value.name for value in node.outputs if value.name), '')}"
    candidate, count = name, 1
    while candidate in names:
        count += 1
        candidate = f"{name}_{count}"
    names.add(candidate)
    return candidate


def _node(node: ir.Node, walk: Simplifier) -> Node:
    return Node(
        op=node.op_type,
        name=node.name or "",
        inputs=tuple("" if value is None else value.name or "" for value in node.inputs),
        outputs=tuple(value.name or "" for value in node.outputs),
        attributes=_attributes(node),
        version=walk.version(node),
        domain=node.domain,
    )


def _attributes(node: ir.Node) -> dict[str, Attribute]:
    """Attributes by name; subgraphs and types, which no lowering reads, are left out."""
    import onnx_ir as ir

    kinds = ir.AttributeType
    found: dict[str, Attribute] = {}
    for name, attribute in node.attributes.items():
        match attribute.type:
            case kinds.INT | kinds.STRING:
                found[name] = attribute.value
            case kinds.FLOAT:
                found[name] = _finite(node, name, attribute.value)
            case kinds.FLOATS:
                found[name] = tuple(_finite(node, name, number) for number in attribute.value)
            case kinds.INTS | kinds.STRINGS:
                found[name] = tuple(attribute.value)
            case kinds.TENSOR:
                found[name] = np.asarray(attribute.as_tensor().numpy())
    return found


def _finite(node: ir.Node, name: str, number: float) -> float:
    if not math.isfinite(number):
        raise ModelError(
            f"{label(node)}: attribute {name!r} must be a finite number, not {number}; export the model again"
        )
    return float(number)
