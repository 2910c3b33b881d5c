"""Functions that an exporter spelled out in many nodes, put together again into one.

A region of the graph is one function of one value if every path into it comes from that value or from constants, and nobody outside
reads what is computed within. Such a region is written as an expression (`expressions`, `algebra`) and compared with what `patterns`
declares. What is not the same function for certain stays as it is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final

import numpy as np

from fxnorm.graph.graph import Graph, Node, Value
from fxnorm.lowering.expressions import RULES, TRANSPARENT, Reader
from fxnorm.lowering.groups import affine_tail, grouped, logarithm
from fxnorm.lowering.patterns import PATTERNS
from fxnorm.lowering.polynomial import NoForm
from fxnorm.lowering.regions import Found, Region, Surroundings, is_onnx

Array = np.ndarray
Finder = Callable[[Surroundings, Node], tuple[Region, Found] | None]

VERSION: Final = 24
"""Opset version by which the attributes of the new nodes are to be read."""
SIGNS: Final = frozenset(
    {"Clip", "Erf", "Exp", "HardSigmoid", "Min", "Pow", "Reciprocal", "ReduceL2", "Sigmoid", "Softplus", "Sqrt", "Tanh"}
)
"""Operators without one of which nothing is spelled that `patterns` knows."""


def recognize(graph: Graph) -> Graph:
    """The same function with spelled-out normalizations and activations as one node each.

    Parameters
    ----------
    graph
        An imported model; it stays as it is. Every value that is left keeps its name.
    """
    for find in (spelled, grouped, affine_tail, logarithm):
        graph = _fuse(graph, find)
    return graph


def spelled(around: Surroundings, root: Node) -> tuple[Region, Found] | None:
    """What one of `PATTERNS` spells and ends in a node; the largest, for x/√(mean(x²) + ε) is part of a layer normalization too."""
    if not is_onnx(root, RULES):
        return None
    largest = None
    for region in around.regions(root):
        if sum(node.op not in TRANSPARENT for node in region.nodes) < 2:
            continue
        if not any(node.op in SIGNS for node in region.nodes):
            continue
        found = _match(around.graph, region)
        if found is not None:
            largest = region, found
    return largest


def _match(graph: Graph, region: Region) -> Found | None:
    output = region.nodes[-1].outputs[0]
    if graph.shape(output) != graph.shape(region.x) or graph.values[region.x].dtype.kind != "f":
        return None
    reader = Reader(graph, region.x)
    try:
        for node in region.nodes:
            reader.read(node)
        y = reader.known[output]
        return next((found for pattern in PATTERNS if (found := pattern(reader.algebra, y)) is not None), None)
    except NoForm:
        return None


def _fuse(graph: Graph, find: Finder) -> Graph:
    """Replace what is found, from the last node to the first, so that the largest region wins."""
    around = Surroundings(graph)
    constants, values = dict(graph.constants), dict(graph.values)
    made: dict[str, Node] = {}
    gone: set[str] = set()
    for node in reversed(graph.nodes):
        match = None if node.name in gone else find(around, node)
        if match is None:
            continue
        region, found = match
        output = node.outputs[0]
        inputs = [region.x]
        for index, array in enumerate(found.constants):
            inputs.append("" if array is None else _constant(f"{output}/{index + 1}", array, values, constants))
        first = next(inner for inner in region.nodes if inner.op not in TRANSPARENT)
        made[node.name] = Node(
            found.op, first.name, tuple(inputs), (output,), found.attributes, VERSION, domain=found.domain
        )
        gone |= {inner.name for inner in region.nodes}
    nodes = tuple(made.get(node.name, node) for node in graph.nodes if node.name in made or node.name not in gone)
    return replace(graph, nodes=nodes, values=values, constants=constants)


def _constant(name: str, array: Array, values: dict[str, Value], constants: dict[str, Array]) -> str:
    """Put a constant of a new node into the graph; its name."""
    while name in values:
        name += "'"
    values[name] = Value(name, array.shape, np.dtype(np.float64))
    constants[name] = np.ascontiguousarray(array)
    return name
