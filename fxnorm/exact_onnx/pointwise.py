"""Kernels that compute element by element: aligned operands, scales a channel, quotients, functions of one code."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce

import numpy as np

from fxnorm.exact_onnx.numbers import Arithmetic, Inexact, Kind, Number
from fxnorm.exact_onnx.rounding import stage
from fxnorm.exact_onnx.value import Value, aligned, integers
from fxnorm.exact_onnx.words import power, raised, reciprocal, table
from fxnorm.kernels.divide import Divide
from fxnorm.kernels.elementwise import Elementwise
from fxnorm.kernels.rescale import ScaleAndShift
from fxnorm.kernels.table import Function

Array = np.ndarray
Shape = tuple[int, ...]


def elementwise(ops: Arithmetic, kernel: Elementwise, inputs: Sequence[Value], shape: Shape) -> Number:
    """Functions of aligned operands."""
    terms = []
    moved = zip(kernel.zeros, kernel.multipliers, kernel.shifts, strict=True)
    rank = 0 if kernel.mask is None else kernel.mask.ndim
    for number, (zero, multiplier, shift) in zip(_operands(ops, kernel.operands, inputs, rank), moved, strict=True):
        term = ops.subtract(number, zero) if zero else number
        term = ops.multiply(term, multiplier) if multiplier != 1 else term
        terms.append(raised(ops, term, shift))
    return ops.reshape(stage(ops, kernel.stage, _accumulated(ops, kernel, terms)), [-1, *shape])


def _operands(
    ops: Arithmetic, constants: Sequence[Array | None], inputs: Sequence[Value], rank: int = 0
) -> list[Number]:
    """Operands of one rank, at least of a given one, samples first; constants have one sample."""
    given = iter(inputs)
    ranks = [constant.ndim for constant in constants if constant is not None]
    rank = max(rank, *(len(value.shape) for value in inputs), *ranks)
    found = []
    for constant in constants:
        if constant is None:
            value = next(given)
            ((number, _),) = aligned(ops, [(value.number, value.shape)], rank)
            found.append(number)
        else:
            found.append(integers(ops, constant.reshape((1,) * (rank + 1 - constant.ndim) + constant.shape)))
    return found


def _accumulated(ops: Arithmetic, kernel: Elementwise, terms: list[Number]) -> Number:
    first, parameters = terms[0], kernel.parameters
    match kernel.function:
        case "add":
            total = first if kernel.signs[0] > 0 else ops.negate(first)
            for term, sign in zip(terms[1:], kernel.signs[1:], strict=True):
                total = ops.add(total, term) if sign > 0 else ops.subtract(total, term)
            return total
        case "mul":
            return reduce(ops.multiply, terms)
        case "min":
            return reduce(ops.minimum, terms)
        case "max":
            return reduce(ops.maximum, terms)
        case "select":
            assert kernel.mask is not None
            return ops.where(ops.graph.constant(np.asarray(kernel.mask)[None]), first, terms[1])
        case "abs":
            return ops.magnitude(first)
        case "prelu":
            positive = raised(ops, ops.maximum(first, 0), parameters[0])
            negative = ops.multiply(ops.minimum(first, 0), terms[1])
            return ops.where(ops.compare("GreaterOrEqual", first, 0), positive, negative)
        case "threshold":
            if not first.low <= parameters[0] < first.high:
                return first if parameters[0] < first.low else ops.multiply(first, 0)
            return ops.where(ops.compare("Greater", first, parameters[0]), first, 0)
        case "hard_swish":
            return ops.multiply(first, ops.clip(ops.add(first, parameters[0]), 0, parameters[1]))
    raise AssertionError(kernel.function)


def scale(ops: Arithmetic, kernel: ScaleAndShift, inputs: Sequence[Value], shape: Shape) -> Number:
    """multiplier · x + bias, a channel."""
    spread = [1] * (len(shape) + 1)
    if kernel.axis is not None:
        spread[kernel.axis + 1] = len(kernel.multiplier)
    x = inputs[0].number
    acc = x if np.all(kernel.multiplier == 1) else ops.multiply(x, integers(ops, kernel.multiplier.reshape(spread)))
    if np.any(kernel.bias):
        acc = ops.add(acc, integers(ops, kernel.bias.reshape(spread)))
    return stage(ops, kernel.stage.spread(tuple(spread)), acc)


def divide(ops: Arithmetic, kernel: Divide, inputs: Sequence[Value], shape: Shape) -> Number:
    """Quotients through a reciprocal."""
    if kernel.bound > Kind.INT64.limit:
        raise Inexact(
            f"a quotient reaches 2^{kernel.bound.bit_length() - 1}, and 64-bit integers hold no more than 2^62"
        )
    operands = [kernel.dividend, None] if kernel.dividend is not None else [None, None]
    a, b = (ops.words(number) for number in _operands(ops, operands, inputs))
    zero = ops.compare("Equal", b, 0)
    mantissa, exponent = reciprocal(
        ops, kernel.reciprocal, ops.within(ops.where(zero, 1, ops.magnitude(b)), 1, max(b.bound, 1))
    )
    signed = ops.where(ops.compare("Less", b, 0), ops.negate(a), a)
    product = ops.multiply(signed, mantissa)
    up = power(ops, ops.subtract(kernel.fraction_bits, exponent))
    moved = ops.multiply(product, up, (-kernel.bound if signed.low < 0 else 0, kernel.bound))
    # Beyond every format, to the side that the dividend's sign points to.
    acc = ops.where(zero, ops.multiply(ops.sign(signed), kernel.bound), moved)
    return ops.reshape(stage(ops, kernel.stage, acc), [-1, *shape])


def function(ops: Arithmetic, kernel: Function, inputs: Sequence[Value], shape: Shape) -> Number:
    """A table, or a piecewise polynomial."""
    return table(ops, kernel.table, inputs[0].number)
