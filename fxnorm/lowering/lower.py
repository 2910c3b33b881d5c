"""From ONNX nodes to the steps of the hardware."""

from __future__ import annotations

from fxnorm.errors import UnsupportedError
from fxnorm.graph.graph import Graph
from fxnorm.lowering.builder import Builder
from fxnorm.lowering.network import Network, Refusal
from fxnorm.lowering.operators import LOWERINGS


def lower(graph: Graph, *, fold_batchnorm: bool = True) -> Network:
    """Lower every node of a graph.

    Parameters
    ----------
    graph
        An imported model.
    fold_batchnorm
        Whether a BatchNormalization behind a linear layer goes into its weights; otherwise it is a rescale of its own.

    Raises
    ------
    UnsupportedError
        If nodes cannot be lowered; it lists all of them.
    """
    builder = Builder(graph, fold_batchnorm=fold_batchnorm)
    reasons = []
    for node in graph.nodes:
        operator = LOWERINGS.get(node.op) if node.domain in ("", "ai.onnx") else None
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
