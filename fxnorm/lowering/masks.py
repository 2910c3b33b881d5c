"""Masks and biases of attention scores: constants between scores and softmax go into the softmax, computed masks are refused.

A mask adds a number so low that the exponential vanishes, or puts one in the place of a score. Held as a value of its own, a masked
score would take the whole range of a fixed-point format (−10000 next to scores of ±5), or have no number at all (−inf). So the additions
and selections in front of a softmax are taken together, `z = (x where it counts, else 0) + bias`, and given to the softmax as constants:
its node then reads the scores themselves and has the inputs `bias` and `keep` behind them, which ONNX's Softmax does not have.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from fxnorm.graph.graph import Graph, Node, Value
from fxnorm.lowering.regions import Surroundings, is_onnx

Array = np.ndarray

LOW: Final = -1e3
"""A constant at most this far down is a mask; what it is taken for does not depend on it, only whether it is left to a layer before."""
LOWEST: Final = -1e30
"""A lower bound at most this far down bounds nothing that fixed point can hold."""
SOFTMAXES: Final = frozenset({"Softmax", "LogSoftmax"})
RESHAPES: Final = frozenset({"Reshape", "Flatten", "Unsqueeze", "Squeeze"})
SCALINGS: Final = frozenset({"Mul", "Div"})
MOVES: Final = RESHAPES | {"Transpose", "Expand", "Cast", "Identity"}
ARITHMETIC: Final = MOVES | {
    "Add",
    "Sub",
    "Mul",
    "Div",
    "Neg",
    "Where",
    "Not",
    "Gather",
    "Slice",
    "Concat",
    "Clip",
    "Min",
    "Max",
}
"""Operators that a mask is computed by."""


@dataclass(frozen=True, slots=True)
class _Scores:
    """What lies in front of a softmax.

    Attributes
    ----------
    x
        The scores.
    keep, bias
        z = (x where keep, else 0) + bias; with the softmax's axes.
    gone
        Nodes between that are not needed any more.
    """

    x: str
    keep: Array
    bias: Array
    gone: tuple[Node, ...]


def fold_masks(graph: Graph) -> Graph:
    """Give every softmax the constants that are added to its scores, or put in their place."""
    around = Surroundings(graph)
    constants, values = dict(graph.constants), dict(graph.values)
    made: dict[str, Node] = {}
    gone: set[str] = set()
    for node in graph.nodes:
        found = _scores(around, node) if is_onnx(node, SOFTMAXES) and len(node.inputs) == 1 else None
        if found is None:
            continue
        names = []
        for what, full in (("bias", found.bias), ("keep", found.keep)):
            array = _compact(full)
            name = f"{node.outputs[0]}/{what}"
            while name in values:
                name += "'"
            values[name], constants[name] = Value(name, array.shape, array.dtype), array
            names.append(name)
        made[node.name] = replace(node, inputs=(found.x, *names))
        gone |= {inner.name for inner in found.gone}
    nodes = tuple(made.get(node.name, node) for node in graph.nodes if node.name not in gone)
    return replace(graph, nodes=nodes, values=values, constants=constants)


def _scores(around: Surroundings, softmax: Node) -> _Scores | None:
    """Constants in front of a softmax, from the last to the first; None where there are none for it."""
    graph = around.graph
    rank = len(graph.shape(softmax.inputs[0]))
    best = None
    name, reader = softmax.inputs[0], softmax
    keep, bias = np.ones((1,) * rank, bool), np.zeros((1,) * rank)
    gone: list[Node] = []
    while (found := around.before(name, reader)) is not None:
        node, passed = found
        wide = graph.shape(node.outputs[0])
        gone += [*passed, node]
        if is_onnx(node, RESHAPES):
            # The softmax's own shape is kept: constants met further on are brought to it.
            name, reader = node.inputs[0], node
            continue
        constant = _constant(graph, node)
        if constant is None:
            break
        x, terms, counts = constant
        if graph.shape(x) != wide:
            break
        terms, counts = (_brought(array, wide, graph.shape(softmax.inputs[0])) for array in (terms, counts))
        with np.errstate(invalid="ignore"):
            bias = bias + np.where(keep, terms, 0.0)
        if np.isnan(bias).any() or np.isposinf(bias).any():
            break
        keep = keep & counts
        name, reader = x, node
        if np.any(terms <= LOW) or _is_product(around, name, reader):
            best = _Scores(name, keep, bias, tuple(gone))
    return best


def _constant(graph: Graph, node: Node) -> tuple[str, Array, Array] | None:
    """A node as (x where it counts, else 0) + term: x, the terms, and where it counts; None where it is no such node."""
    arrays = [graph.constant(name) if name else None for name in node.inputs]
    computed = [name for name, array in zip(node.inputs, arrays, strict=True) if name and array is None]
    if len(computed) != 1:
        return None
    everywhere = np.ones((), bool)
    if is_onnx(node, {"Add", "Sum"}):
        given = [array.astype(np.float64) for array in arrays if array is not None]
        return computed[0], np.asarray(sum(given[1:], start=given[0])), everywhere
    if is_onnx(node, {"Sub"}) and arrays[1] is not None:
        return computed[0], -arrays[1].astype(np.float64), everywhere
    if is_onnx(node, {"Where"}) and arrays[0] is not None:
        chosen = arrays[0].astype(bool)
        filler, counts = (arrays[2], chosen) if arrays[1] is None else (arrays[1], ~chosen)
        assert filler is not None
        return computed[0], np.where(counts, 0.0, filler.astype(np.float64)), counts
    if is_onnx(node, {"Max", "Clip"}):
        bounds = [array for array in arrays if array is not None]
        upper = is_onnx(node, {"Clip"}) and len(node.inputs) > 2 and bool(node.inputs[2])
        if len(bounds) == 1 and not upper and np.all(bounds[0] <= LOWEST):
            return computed[0], np.zeros(()), everywhere
    return None


def _brought(array: Array, wide: tuple[int, ...], shape: tuple[int, ...]) -> Array:
    """A constant that broadcasts against one shape, as one that broadcasts against a reshaped one, of the same number of axes."""
    aligned = array.reshape((1,) * (len(wide) - array.ndim) + array.shape)
    if wide == shape:
        return aligned
    return np.broadcast_to(aligned, wide).reshape(shape)


def _compact(array: Array) -> Array:
    """The same constant with an axis of length 1 where all of an axis is the same: exporters write masks out for every head."""
    for axis, length in enumerate(array.shape):
        if length > 1:
            first = array.take([0], axis)
            array = first if np.array_equal(array, np.broadcast_to(first, array.shape)) else array
    return np.ascontiguousarray(array)


def _is_product(around: Surroundings, name: str, reader: Node) -> bool:
    """Whether a value is the product of two computed ones, scaled and reshaped at most: attention scores."""
    graph = around.graph
    while (found := around.before(name, reader)) is not None:
        node, _ = found
        computed = around.inputs(node)
        if is_onnx(node, {"MatMul", "Gemm"}):
            return len(computed) == 2
        if not is_onnx(node, RESHAPES | SCALINGS) or len(computed) != 1:
            return False
        if graph.shape(computed[0]) != graph.shape(node.outputs[0]) and is_onnx(node, SCALINGS):
            return False
        name, reader = computed[0], node
    return False


def computed_masks(graph: Graph) -> list[str]:
    """Why masks that depend on the input cannot be run: one sentence for each softmax that adds one."""
    reasons = []
    for node in graph.nodes:
        if not is_onnx(node, SOFTMAXES):
            continue
        producer = graph.producers.get(node.inputs[0])
        while producer is not None and is_onnx(producer, RESHAPES | {"Cast", "Identity", "Max", "Clip"}):
            producer = graph.producers.get(producer.inputs[0])
        if producer is None or not is_onnx(producer, {"Add", "Sub"}):
            continue
        for name in producer.inputs:
            source = _mask_source(graph, name)
            if source is not None:
                reasons.append(
                    f"{producer}: the mask that it adds to the scores of {node} is computed from the input {source!r}, and a masked "
                    "score has no place in a fixed-point format; export the model with the mask as a constant, or without one"
                )
    return reasons


def _mask_source(graph: Graph, name: str) -> str | None:
    """Input from which a mask is computed: nothing but moves and arithmetic with a constant far down; None where it is something else."""
    low, source = False, None
    pending, seen = [name], {name}
    while pending:
        value = pending.pop()
        constant = graph.constant(value)
        if constant is not None:
            low = low or bool(constant.dtype.kind == "f" and constant.size and float(np.min(constant)) <= LOW)
            continue
        producer = graph.producers.get(value)
        if producer is None:
            source = value
            continue
        if not is_onnx(producer, ARITHMETIC):
            return None
        new = [entry for entry in producer.inputs if entry and entry not in seen]
        seen.update(new)
        pending.extend(new)
    return source if low else None
