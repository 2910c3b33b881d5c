"""Add, Sub, Mul, Div, Sum, Mean, Neg, Min, Max, Where, Pow: what happens element by element between tensors."""

from __future__ import annotations

from typing import Final

import numpy as np

from fxnorm.graph.graph import Node
from fxnorm.kernels.divide import DivideOperation
from fxnorm.kernels.elementwise import ElementwiseOperation
from fxnorm.kernels.movement import Broadcast, ConcatOperation, MoveOperation, Reshape, Take
from fxnorm.kernels.table import FunctionOperation
from fxnorm.lowering.builder import Builder
from fxnorm.lowering.network import Refusal

Array = np.ndarray

MOST_EXPONENTS: Final = 64
"""Tables that one Pow may need."""


def channels(constant: Array, shape: tuple[int, ...], output: tuple[int, ...]) -> tuple[Array, int | None] | None:
    """A constant as one number a channel, with the axis of the channels in `shape`; None where it is anything else.

    Parameters
    ----------
    shape, output
        Of the other operand and of the result: where they differ, the constant widens the data and is no mere scale.
    """
    if shape != output:
        return None
    if constant.size == 1:
        return constant.astype(np.float64).reshape(1), None
    aligned = (1,) * (len(shape) - constant.ndim) + constant.shape
    axes = [axis for axis, length in enumerate(aligned) if length > 1]
    if len(axes) != 1:
        return None
    return constant.astype(np.float64).reshape(-1), axes[0]


def _one_constant(builder: Builder, node: Node) -> tuple[Array, int | None, str] | None:
    """Per-channel constant of a binary node, its axis, and the other operand; None where the node is not of that kind."""
    constants, inputs = builder.operands(node)
    if len(constants) != 2 or len(inputs) != 1:
        return None
    constant = constants[0] if constants[0] is not None else constants[1]
    assert constant is not None
    found = channels(constant, builder.shape(inputs[0]), builder.graph.shape(node.outputs[0]))
    return None if found is None else (*found, inputs[0])


def add(builder: Builder, node: Node) -> None:
    """Add, Sub, Sum: a bias where a linear layer comes before, else an addition with operands brought to one step."""
    constants, inputs = builder.operands(node)
    signs = (1, -1) if node.op == "Sub" else (1,) * len(constants)
    found = _one_constant(builder, node)
    if found is not None and builder.host(found[2], found[1]) is not None:
        constant, axis, x = found
        scale = np.full(constant.shape, -1.0 if node.op == "Sub" and constants[0] is not None else 1.0)
        shift = -constant if node.op == "Sub" and constants[0] is None else constant
        builder.scale(node, x, scale, shift, axis)
        return
    builder.add(node, ElementwiseOperation("add", constants, signs), inputs)


def multiply(builder: Builder, node: Node) -> None:
    """Mul: a rescale for a constant per channel, else a product with one rounding."""
    found = _one_constant(builder, node)
    if found is not None:
        constant, axis, x = found
        builder.scale(node, x, constant, np.zeros_like(constant), axis)
        return
    constants, inputs = builder.operands(node)
    builder.add(node, ElementwiseOperation("mul", constants), inputs)


def divide(builder: Builder, node: Node) -> None:
    """Div: a constant divisor becomes a factor, a computed one goes through a reciprocal."""
    constants, inputs = builder.operands(node)
    divisor = constants[1]
    if divisor is not None:
        if np.any(divisor == 0.0):
            raise Refusal("a constant divisor must not be zero")
        found = channels(divisor, builder.shape(inputs[0]), builder.graph.shape(node.outputs[0]))
        if found is not None:
            factors, axis = 1.0 / found[0], found[1]
            builder.scale(node, inputs[0], factors, np.zeros_like(factors), axis)
            return
        builder.add(node, ElementwiseOperation("mul", (None, 1.0 / divisor)), inputs)
        return
    one = constants[0] is not None and constants[0].size == 1 and float(constants[0].flat[0]) == 1.0
    if one and builder.shape(inputs[0]) == builder.graph.shape(node.outputs[0]):
        builder.add(node, FunctionOperation("reciprocal"), inputs)
        return
    builder.add(node, DivideOperation(constants[0]), inputs)


def mean(builder: Builder, node: Node) -> None:
    """Mean: a sum whose one rounding divides."""
    constants, inputs = builder.operands(node)
    builder.add(node, ElementwiseOperation("add", constants, (1,) * len(constants), divisor=len(constants)), inputs)


def negate(builder: Builder, node: Node) -> None:
    """Neg."""
    builder.require_float(node)
    builder.add(node, ElementwiseOperation("add", (None,), (-1,)), node.inputs[:1])


def extreme(builder: Builder, node: Node) -> None:
    """Min and Max: a clip where one operand is a constant scalar, else a comparison."""
    constants, inputs = builder.operands(node)
    found = _one_constant(builder, node)
    if found is not None and found[1] is None:
        bound = float(found[0][0])
        builder.clip(node, found[2], *((None, bound) if node.op == "Min" else (bound, None)))
        return
    if len(constants) == 1:
        builder.same(node.outputs[0], inputs[0])
        return
    builder.add(node, ElementwiseOperation(node.op.lower(), constants), inputs)


def where(builder: Builder, node: Node) -> None:
    """Where with a constant condition: elements chosen when the plan is made."""
    mask = builder.required(node, 0, "the condition")
    operands, inputs = builder.operands(node, 1)
    wide = np.array(np.broadcast_to(mask.astype(bool), builder.graph.shape(node.outputs[0])))
    builder.add(node, ElementwiseOperation("select", operands, mask=wide), inputs)


def power(builder: Builder, node: Node) -> None:
    """Pow with constant exponents: a product for 2, tables otherwise."""
    builder.require_float(node)
    exponent = builder.required(node, 1, "the exponent")
    values = np.unique(exponent.astype(np.float64))
    if values.size != 1 or builder.shape(node.inputs[0]) != builder.graph.shape(node.outputs[0]):
        _powers(builder, node, exponent.astype(np.float64))
        return
    p = float(values[0])
    x = node.inputs[0]
    if p == 1.0:
        builder.same(node.outputs[0], x)
    elif p == 2.0:
        builder.add(node, ElementwiseOperation("mul", (None, None)), (x, x))
    elif p == 0.5:
        builder.add(node, FunctionOperation("sqrt"), (x,))
    elif p == -1.0:
        builder.add(node, FunctionOperation("reciprocal"), (x,))
    else:
        builder.add(node, FunctionOperation("pow", (("exponent", p),)), (x,))


def _powers(builder: Builder, node: Node, exponent: Array) -> None:
    """An exponent of its own for every element, or one that widens the data: each table gets its elements, which then go back."""
    shape, wide = builder.shape(node.inputs[0]), builder.graph.shape(node.outputs[0])
    aligned = (*(1,) * (len(wide) - len(shape)), *shape)
    spread = np.broadcast_to(exponent, wide).reshape(-1)
    values = np.unique(spread)
    if values.size > MOST_EXPONENTS:
        raise Refusal(f"there may be up to {MOST_EXPONENTS} different exponents, a table for each, not {values.size}")
    flat = (Reshape(aligned), Broadcast(wide), Reshape((spread.size,)))
    parts, places = [], []
    for p in values:
        indices = np.flatnonzero(spread == p)
        taken = MoveOperation((*flat, Take(0, indices)), keeps=True)
        x = builder.between(node, taken, node.inputs[:1], (indices.size,))
        function = FunctionOperation("pow", (("exponent", float(p)),))
        parts.append(builder.between(node, function, (x,), (indices.size,), range_of=node.outputs[0]))
        places.append(indices)
    joined = parts[0]
    if len(parts) > 1:
        joined = builder.between(node, ConcatOperation(0, (None,) * len(parts)), tuple(parts), (spread.size,))
    order = np.argsort(np.concatenate(places))
    builder.add(node, MoveOperation((Take(0, order), Reshape(wide)), keeps=True), (joined,))
