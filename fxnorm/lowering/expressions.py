"""ONNX nodes as expressions: which operators the algebra knows, and what each of them is in it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Final

import numpy as np

from fxnorm.graph.graph import Graph, Node
from fxnorm.lowering.algebra import Algebra
from fxnorm.lowering.polynomial import NoForm, Polynomial

# Values that are one another in inference, as far as one input and one output are concerned.
TRANSPARENT: Final = frozenset({"Identity", "Dropout", "Cast"})


MOST_ELEMENTS: Final = 1 << 20
"""Elements of the largest constant that is taken for a scale or a bias."""


class Reader:
    """Expressions of the values of a graph, as functions of one of them.

    Parameters
    ----------
    graph
        Where the nodes are.
    x
        Name of the value that everything is to be a function of.
    """

    def __init__(self, graph: Graph, x: str) -> None:
        self.graph = graph
        self.algebra = Algebra(graph.shape(x))
        self.known: dict[str, Polynomial] = {x: self.algebra.x}

    def read(self, node: Node) -> None:
        """Find the expression of a node's first output; those of its inputs are known.

        Raises
        ------
        NoForm
            If the algebra cannot express it.
        """
        rule = RULES.get(node.op)
        output = node.outputs[0]
        if rule is None or not self._fits(output):
            raise NoForm
        self.known[output] = rule(self, node)

    def _fits(self, name: str) -> bool:
        """Whether a value is floating point and, aligned from the last axis, no wider than x."""
        shape, own = self.graph.shape(name), self.algebra.shape
        if self.graph.values[name].dtype.kind != "f" or len(shape) > len(own):
            return False
        return all(length in (1, at) for length, at in zip(reversed(shape), reversed(own), strict=False))

    def input(self, node: Node, index: int) -> Polynomial:
        """Expression of an input."""
        name = node.inputs[index] if index < len(node.inputs) else ""
        constant = self.graph.constant(name)
        if constant is not None:
            if constant.size > MOST_ELEMENTS:
                raise NoForm
            return self.algebra.number(constant.astype(np.float64))
        if name not in self.known:
            raise NoForm
        return self.known[name]

    def scalar(self, node: Node, index: int) -> float | None:
        """A constant input that is one number; None where it is left out."""
        if index >= len(node.inputs) or not node.inputs[index]:
            return None
        constant = self.graph.constant(node.inputs[index])
        if constant is None or constant.size != 1:
            raise NoForm
        number = float(constant.reshape(()))
        if not math.isfinite(number):
            raise NoForm
        return number

    def axes(self, node: Node) -> tuple[int, ...]:
        """Axes of a reduction that keeps its input's rank, which is that of x."""
        shape = self.graph.shape(node.inputs[0])
        given = self.graph.constant(node.inputs[1]) if len(node.inputs) > 1 and node.inputs[1] else None
        if len(node.inputs) > 1 and node.inputs[1] and given is None:
            raise NoForm
        rank = len(shape)
        chosen = [] if given is None else [int(axis) for axis in given.reshape(-1)]
        axes = tuple(sorted({axis % rank for axis in chosen})) if rank and chosen else tuple(range(rank))
        if rank != len(self.algebra.shape) or (not chosen and node.attributes.get("noop_with_empty_axes", 0)):
            raise NoForm
        if not node.attributes.get("keepdims", 1):
            # Without them only what is left of a trailing axis of length 1 still lines up: nothing of use.
            raise NoForm
        return axes

    def count(self, axes: tuple[int, ...]) -> int:
        """Values that a reduction over axes takes together."""
        return math.prod(self.algebra.shape[axis] for axis in axes)


Rule = Callable[[Reader, Node], Polynomial]


def _add(reader: Reader, node: Node) -> Polynomial:
    return reader.algebra.add(*(reader.input(node, index) for index in range(len(node.inputs))))


def _subtract(reader: Reader, node: Node) -> Polynomial:
    return reader.algebra.add(reader.input(node, 0), reader.algebra.scale(reader.input(node, 1), -1.0))


def _multiply(reader: Reader, node: Node) -> Polynomial:
    return reader.algebra.multiply(reader.input(node, 0), reader.input(node, 1))


def _divide(reader: Reader, node: Node) -> Polynomial:
    divisor = reader.algebra.power(reader.input(node, 1), Fraction(-1))
    return reader.algebra.multiply(reader.input(node, 0), divisor)


def _negate(reader: Reader, node: Node) -> Polynomial:
    return reader.algebra.scale(reader.input(node, 0), -1.0)


def _power(reader: Reader, node: Node) -> Polynomial:
    exponent = reader.scalar(node, 1)
    if exponent is None:
        raise NoForm
    return reader.algebra.power(reader.input(node, 0), Fraction(exponent))


def _root(reader: Reader, node: Node) -> Polynomial:
    return reader.algebra.power(reader.input(node, 0), Fraction(1, 2))


def _reciprocal(reader: Reader, node: Node) -> Polynomial:
    return reader.algebra.power(reader.input(node, 0), Fraction(-1))


def _function(name: str) -> Rule:
    return lambda reader, node: reader.algebra.function(name, reader.input(node, 0))


def _number(node: Node, name: str, default: float) -> float:
    value = node.attributes.get(name, default)
    if not isinstance(value, int | float):
        raise NoForm
    return float(value)


def _hard_sigmoid(reader: Reader, node: Node) -> Polynomial:
    alpha, beta = _number(node, "alpha", 0.2), _number(node, "beta", 0.5)
    inner = reader.algebra.add(reader.algebra.scale(reader.input(node, 0), alpha), reader.algebra.number(beta))
    return reader.algebra.clip(inner, 0.0, 1.0)


def _clip(reader: Reader, node: Node) -> Polynomial:
    return reader.algebra.clip(reader.input(node, 0), reader.scalar(node, 1), reader.scalar(node, 2))


def _relu(reader: Reader, node: Node) -> Polynomial:
    return reader.algebra.clip(reader.input(node, 0), 0.0, None)


def _extreme(reader: Reader, node: Node) -> Polynomial:
    """Max or Min of two, one of them a constant number."""
    constants = [index for index, name in enumerate(node.inputs) if reader.graph.constant(name) is not None]
    if len(node.inputs) != 2 or len(constants) != 1:
        raise NoForm
    argument, bound = reader.input(node, 1 - constants[0]), reader.scalar(node, constants[0])
    return reader.algebra.clip(argument, *((bound, None) if node.op == "Max" else (None, bound)))


def _swish(reader: Reader, node: Node) -> Polynomial:
    alpha = _number(node, "alpha", 1.0)
    x = reader.input(node, 0)
    return reader.algebra.multiply(x, reader.algebra.function("sigmoid", reader.algebra.scale(x, alpha)))


def _mean(reader: Reader, node: Node) -> Polynomial:
    return reader.algebra.mean(reader.input(node, 0), reader.axes(node))


def _sum(reader: Reader, node: Node) -> Polynomial:
    axes = reader.axes(node)
    return reader.algebra.scale(reader.algebra.mean(reader.input(node, 0), axes), float(reader.count(axes)))


def _sum_of_squares(reader: Reader, node: Node) -> Polynomial:
    axes = reader.axes(node)
    square = reader.algebra.power(reader.input(node, 0), Fraction(2))
    return reader.algebra.scale(reader.algebra.mean(square, axes), float(reader.count(axes)))


def _euclidean(reader: Reader, node: Node) -> Polynomial:
    return reader.algebra.power(_sum_of_squares(reader, node), Fraction(1, 2))


def _spatial_mean(reader: Reader, node: Node) -> Polynomial:
    rank = len(reader.graph.shape(node.inputs[0]))
    if rank != len(reader.algebra.shape):
        raise NoForm
    return reader.algebra.mean(reader.input(node, 0), tuple(range(2, rank)))


def _maximum_over(reader: Reader, node: Node) -> Polynomial:
    return reader.algebra.maximum(reader.input(node, 0), reader.axes(node))


def _same(reader: Reader, node: Node) -> Polynomial:
    """What passes a value on; also a Reshape, Unsqueeze or Expand that only repeats what broadcasting repeats."""
    before, after = reader.graph.shape(node.inputs[0]), reader.graph.shape(node.outputs[0])
    own = reader.algebra.shape
    if len(before) != len(own) or len(after) != len(own):
        raise NoForm
    if any(a != b and not (a == 1 and b == c) for a, b, c in zip(before, after, own, strict=True)):
        raise NoForm
    return reader.input(node, 0)


RULES: Final[Mapping[str, Rule]] = {
    **dict.fromkeys(sorted(TRANSPARENT), _same),
    "Add": _add,
    "Clip": _clip,
    "Div": _divide,
    "Erf": _function("erf"),
    "Exp": _function("exp"),
    "Expand": _same,
    "GlobalAveragePool": _spatial_mean,
    "HardSigmoid": _hard_sigmoid,
    "Log": _function("log"),
    "Max": _extreme,
    "Min": _extreme,
    "Mul": _multiply,
    "Neg": _negate,
    "Pow": _power,
    "Reciprocal": _reciprocal,
    "ReduceL2": _euclidean,
    "ReduceMax": _maximum_over,
    "ReduceMean": _mean,
    "ReduceSum": _sum,
    "ReduceSumSquare": _sum_of_squares,
    "Relu": _relu,
    "Sigmoid": _function("sigmoid"),
    "Softplus": _function("softplus"),
    "Sqrt": _root,
    "Sub": _subtract,
    "Sum": _add,
    "Swish": _swish,
    "Tanh": _function("tanh"),
}
