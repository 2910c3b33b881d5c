"""Regions of a graph that compute one value from another, and what takes their place."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from fxnorm.graph.graph import Attribute, Graph, Node
from fxnorm.lowering.expressions import RULES, TRANSPARENT

Array = np.ndarray

OWN_DOMAIN: Final = "fxnorm"
"""Domain of nodes that ONNX has no operator for."""
MOST_NODES: Final = 28
"""Nodes of the largest region that is looked at."""


@dataclass(frozen=True, slots=True)
class Region:
    """Nodes that compute one value from another, and that nobody else reads from.

    Attributes
    ----------
    x
        The value that they read.
    nodes
        In their order; the last one makes the result.
    """

    x: str
    nodes: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Found:
    """A node that computes what a region spells out.

    Attributes
    ----------
    op, domain, attributes
        Of the node.
    constants
        Its inputs behind the first; None where one is left out.
    """

    op: str
    attributes: Mapping[str, Attribute] = field(default_factory=dict)
    constants: tuple[Array | None, ...] = ()
    domain: str = ""


def is_onnx(node: Node, operators: Container[str]) -> bool:
    """Whether a node is one of some operators of ONNX's own domain."""
    return node.domain in ("", "ai.onnx") and node.op in operators


class Surroundings:
    """A graph with what is asked again and again: the order of its nodes, and who reads a value.

    Attributes
    ----------
    graph
        The graph.
    order
        Place of every node, by name (names are unique).
    """

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.order = {node.name: place for place, node in enumerate(graph.nodes)}

    def read_only_in(self, name: str, nodes: set[str]) -> bool:
        """Whether a value is read by some nodes alone."""
        if name in self.graph.outputs:
            return False
        return all(node.name in nodes for node in self.graph.consumers.get(name, ()))

    def inputs(self, node: Node) -> list[str]:
        """Inputs that are computed."""
        return [name for name in node.inputs if name and name not in self.graph.constants]

    def regions(self, root: Node) -> Iterator[Region]:
        """Regions of known operators that end in a node, the smallest first."""
        inside, nodes = {root.name}, [root]
        frontier = set(self.inputs(root))
        while frontier and len(nodes) <= MOST_NODES:
            if len(frontier) == 1:
                (x,) = frontier
                yield Region(x, tuple(sorted(nodes, key=lambda node: self.order[node.name])))
            # Only what is made last can be made inside: all that read it are there already.
            producers = {name: self.graph.producers.get(name) for name in frontier}
            last = max(frontier, key=lambda name: -1 if (made := producers[name]) is None else self.order[made.name])
            producer = producers[last]
            if producer is None or not is_onnx(producer, RULES) or not self.read_only_in(last, inside):
                return
            if any(other and other != last for other in producer.outputs):
                return
            inside.add(producer.name)
            nodes.append(producer)
            frontier.discard(last)
            frontier.update(self.inputs(producer))

    def before(self, name: str, reader: Node) -> tuple[Node, list[Node]] | None:
        """The node that makes a value for one reader alone, and what lies between that passes values on; None where it is not so."""
        passed: list[Node] = []
        while self.read_only_in(name, {reader.name}):
            producer = self.graph.producers.get(name)
            if producer is None:
                return None
            if not is_onnx(producer, TRANSPARENT):
                return producer, passed
            passed.append(producer)
            name, reader = producer.inputs[0], producer
        return None
