"""Rules of interval analysis for kernels that compute element by element."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from typing import Final

import numpy as np

from fxnorm.fixed.functions import DirectTable
from fxnorm.fixed.segments import SegmentTable
from fxnorm.kernels.divide import Divide
from fxnorm.kernels.elementwise import Elementwise
from fxnorm.kernels.table import Function
from fxnorm.proofs.ends import Ends, fitted, magnitude_ends, plain, product_ends, settled
from fxnorm.proofs.interval import Interval

Array = np.ndarray
Shape = tuple[int, ...]

ENUMERATED_WIDTH: Final = 16
"""Widest code of a piecewise polynomial that is looked up for every code, in bits."""


def elementwise(kernel: Elementwise, inputs: Sequence[Interval], shape: Shape) -> Ends:
    """Functions of aligned operands."""
    given = iter(inputs)
    terms: list[Ends] = []
    for constant, zero, multiplier, shift in zip(
        kernel.operands, kernel.zeros, kernel.multipliers, kernel.shifts, strict=True
    ):
        if constant is None:
            interval = next(given)
            ends = interval.low, interval.high
        else:
            ends = constant, constant
        terms.append(((plain(ends[0]) - zero) * multiplier << shift, (plain(ends[1]) - zero) * multiplier << shift))
    return settled(kernel.stage, *_accumulated(kernel, terms))


def _accumulated(kernel: Elementwise, terms: list[Ends]) -> Ends:
    (low, high), parameters = terms[0], kernel.parameters
    match kernel.function:
        case "add":
            signed = [
                term if sign > 0 else (-term[1], -term[0]) for term, sign in zip(terms, kernel.signs, strict=True)
            ]
            return reduce(np.add, [term[0] for term in signed]), reduce(np.add, [term[1] for term in signed])
        case "mul":
            return reduce(product_ends, terms)
        case "min":
            return reduce(np.minimum, [term[0] for term in terms]), reduce(np.minimum, [term[1] for term in terms])
        case "max":
            return reduce(np.maximum, [term[0] for term in terms]), reduce(np.maximum, [term[1] for term in terms])
        case "select":
            assert kernel.mask is not None
            return np.where(kernel.mask, low, terms[1][0]), np.where(kernel.mask, high, terms[1][1])
        case "abs":
            return magnitude_ends(low, high)
        case "prelu":
            negative = product_ends((np.minimum(low, 0), np.minimum(high, 0)), terms[1])
            positive = np.maximum(low, 0) << parameters[0], np.maximum(high, 0) << parameters[0]
            # One of both branches at least; which ones, the signs of the ends say.
            some_negative, some_positive = low < 0, high >= 0
            least = np.where(
                some_negative, np.where(some_positive, np.minimum(negative[0], positive[0]), negative[0]), positive[0]
            )
            most = np.where(
                some_negative, np.where(some_positive, np.maximum(negative[1], positive[1]), negative[1]), positive[1]
            )
            return least, most
        case "threshold":
            all_kept = low > parameters[0]
            return np.where(all_kept, low, np.minimum(low, 0)), np.where(all_kept, high, np.maximum(high, 0))
        case "hard_swish":
            three, six = parameters
            return product_ends((low, high), (np.clip(low + three, 0, six), np.clip(high + three, 0, six)))
    raise AssertionError(kernel.function)


def divide(kernel: Divide, inputs: Sequence[Interval], shape: Shape) -> Ends:
    """Quotients."""
    if kernel.dividend is None:
        dividend, divisor = (inputs[0].low, inputs[0].high), inputs[1]
    else:
        dividend, divisor = (kernel.dividend, kernel.dividend), inputs[0]
    # The sign of a quotient is that of both; how large it is, only the bound says. Large divisors bring it down to nothing.
    signs = product_ends(
        (np.sign(plain(dividend[0])), np.sign(plain(dividend[1]))),
        (np.where(divisor.low < 0, -1, 1), np.where(divisor.high < 0, -1, 1)),
    )
    return settled(kernel.stage, np.minimum(signs[0], 0) * kernel.bound, np.maximum(signs[1], 0) * kernel.bound)


def function(kernel: Function, inputs: Sequence[Interval], shape: Shape) -> Ends:
    """Functions of one code: what occurs among the codes of the interval."""
    x = inputs[0]
    table = kernel.table
    if isinstance(table, SegmentTable) and table.input.width > ENUMERATED_WIDTH:
        low, high = (np.full((1,) * len(shape), end) for end in (table.low, table.high))
        return fitted(table.output, low, high)
    ends = np.broadcast_arrays(x.low, x.high)
    pairs, places = np.unique(np.stack([end.reshape(-1) for end in ends], axis=1), axis=0, return_inverse=True)
    found = np.array([_looked_up(table, int(low), int(high)) for low, high in pairs], np.int64).reshape(-1, 2)
    shape = ends[0].shape
    return found[places.reshape(-1), 0].reshape(shape), found[places.reshape(-1), 1].reshape(shape)


def _looked_up(table: DirectTable | SegmentTable, low: int, high: int) -> tuple[int, int]:
    codes = table.run(np.arange(low, high + 1))[0]
    return int(codes.min()), int(codes.max())
