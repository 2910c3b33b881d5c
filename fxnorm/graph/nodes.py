"""Access to a node's attributes and inputs, with the one message that a damaged node deserves."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fxnorm.errors import ModelError
from fxnorm.graph.graph import printable

if TYPE_CHECKING:
    import onnx_ir as ir


def label(node: ir.Node) -> str:
    """How messages name a node."""
    return printable(f"{node.name} ({node.op_type})")


def opset(node: ir.Node) -> int:
    """Opset version by which a node is to be read."""
    if node.version is None:
        raise ModelError(f"{label(node)}: its opset version is not known; declare the opset of domain {node.domain!r}")
    return node.version


def integer(node: ir.Node, name: str, default: int) -> int:
    """Value of an integer attribute."""
    attribute = node.attributes.get(name)
    return default if attribute is None else attribute.as_int()


def text(node: ir.Node, name: str, default: str) -> str:
    """Value of a string attribute."""
    attribute = node.attributes.get(name)
    return default if attribute is None else attribute.as_string()


def take(node: ir.Node, name: str) -> ir.Attr | None:
    """Remove an attribute and return it."""
    return node.attributes.pop(name, None)


def take_ints(node: ir.Node, name: str) -> tuple[int, ...] | None:
    """Remove a list of integers among the attributes and return it; None where there is none."""
    attribute = take(node, name)
    return None if attribute is None else tuple(attribute.as_ints())


def given(node: ir.Node, index: int) -> ir.Value:
    """An input that must not be left out."""
    value = node.inputs[index] if index < len(node.inputs) else None
    if value is None:
        raise ModelError(f"{label(node)}: input {index} must be given; the model is damaged")
    return value


def optional(node: ir.Node, index: int) -> ir.Value | None:
    """An input that may be left out."""
    return node.inputs[index] if index < len(node.inputs) else None


def set_input(node: ir.Node, index: int, value: ir.Value | None) -> None:
    """Set an input, making room where the node has fewer."""
    if len(node.inputs) <= index:
        node.resize_inputs(index + 1)
    node.replace_input_with(index, value)


def subgraphs(node: ir.Node) -> list[ir.Graph]:
    """Graphs among a node's attributes."""
    import onnx_ir as ir

    found: list[ir.Graph] = []
    for attribute in node.attributes.values():
        if attribute.type == ir.AttributeType.GRAPH:
            found.append(attribute.as_graph())
        elif attribute.type == ir.AttributeType.GRAPHS:
            found.extend(attribute.as_graphs())
    return found


def has_subgraph(node: ir.Node) -> bool:
    """Whether a node runs graphs of its own (If, Loop, Scan)."""
    return bool(subgraphs(node))


def captured_values(node: ir.Node) -> list[ir.Value]:
    """Values that a node's subgraphs read from outside of them."""
    found: dict[ir.Value, None] = {}
    for graph in subgraphs(node):
        inner = set(graph.inputs) | set(graph.initializers.values())
        inner |= {value for child in graph.all_nodes() for value in child.outputs}
        for deeper in graph.subgraphs():
            inner |= set(deeper.inputs) | set(deeper.initializers.values())
        reads = [value for child in graph.all_nodes() for value in child.inputs] + list(graph.outputs)
        found |= {value: None for value in reads if value is not None and value not in inner}
    return list(found)
