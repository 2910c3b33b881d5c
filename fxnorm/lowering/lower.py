"""From ONNX nodes to the steps of the hardware."""

from __future__ import annotations

from fxnorm.errors import UnsupportedError
from fxnorm.graph.graph import Graph
from fxnorm.lowering.builder import Builder
from fxnorm.lowering.masks import computed_masks, fold_masks
from fxnorm.lowering.network import Network, Refusal
from fxnorm.lowering.operators import LOWERINGS, OWN
from fxnorm.lowering.recognize import recognize
from fxnorm.lowering.regions import OWN_DOMAIN


def lower(graph: Graph, *, fold_batchnorm: bool = True, fuse_patterns: bool = True) -> Network:
    """Lower every node of a graph.

    Parameters
    ----------
    graph
        An imported model.
    fold_batchnorm
        Whether a BatchNormalization behind a linear layer goes into its weights; otherwise it is a rescale of its own.
    fuse_patterns
        Whether normalizations and activations that are spelled out in several nodes become one; otherwise they are run as spelled.

    Raises
    ------
    UnsupportedError
        If nodes cannot be lowered; it lists all of them.
    """
    reasons = [*_unreadable(graph), *computed_masks(graph)]
    own = {node.name for node in graph.nodes if node.domain == OWN_DOMAIN}
    if fuse_patterns:
        graph = recognize(graph)
    graph = fold_masks(graph)
    builder = Builder(graph, fold_batchnorm=fold_batchnorm)
    for node in graph.nodes:
        operator = LOWERINGS.get(node.op) if node.domain in ("", "ai.onnx") else None
        if node.domain == OWN_DOMAIN and node.name not in own:
            operator = OWN[node.op]
        if operator is None:
            where = f" of domain {node.domain}" if node.domain not in ("", "ai.onnx") else ""
            reasons.append(f"{node}: operator {node.op}{where} is not supported")
            continue
        try:
            operator.lower(builder, node)
        except Refusal as refusal:
            reasons.append(f"{node}: {refusal}")
    if reasons:
        raise UnsupportedError(reasons)
    return _network(graph, builder)


def _unreadable(graph: Graph) -> list[str]:
    """Inputs whose elements are no numbers that samples can hold."""
    dtypes = {name: graph.values[name].dtype for name in graph.inputs}
    return [
        f"input {name}: its elements must be floating point or integers of 8 bits and more, not {dtype}"
        for name, dtype in dtypes.items()
        if dtype.kind not in "fiub"
    ]


def _network(graph: Graph, builder: Builder) -> Network:
    constant = [name for name in graph.outputs if name in graph.constants]
    if constant:
        raise UnsupportedError(
            [f"output {name}: it does not depend on the inputs, nothing is computed" for name in constant]
        )
    steps = tuple(builder.steps.values())
    integers = {name: graph.values[name].dtype for name in graph.inputs if graph.values[name].dtype.kind in "iub"}
    outputs = {name: builder.value(name) for name in graph.outputs}
    return Network(steps, graph.inputs, outputs, dict(builder.shapes), integers)
