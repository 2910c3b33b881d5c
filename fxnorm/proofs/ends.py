"""Arithmetic of ends: smallest and largest integers, as arrays of Python integers of any size."""

from __future__ import annotations

from dataclasses import replace
from functools import reduce
from typing import Final

import numpy as np

from fxnorm.engine import products
from fxnorm.fixed import arith
from fxnorm.fixed.format import Format, Overflow
from fxnorm.kernels.stage import Rescale, Tally

Array = np.ndarray
Ends = tuple[Array, Array]

_WIDE_BITS: Final = 1000


def settled(stage: Rescale, low: Array, high: Array, shift: Array | None = None) -> tuple[Array, Array]:
    """Codes between which a rescale's results lie, of accumulators between two ends.

    Every step of a rescale but the last keeps the order of numbers, so that the ends say all; an overflow mode may not.

    Parameters
    ----------
    low, high
        Integers of any size, of one shape.
    shift
        The stage's shift as it broadcasts against them.
    """
    output = stage.output
    wide = Format(_WIDE_BITS, _WIDE_BITS, True, output.rounding, Overflow.SAT)
    free = replace(stage, output=wide, shift=stage.shift if shift is None else shift)
    low, high = np.asarray(low), np.asarray(high)
    bound = max(stage.bound, products.largest(low), products.largest(high))
    free = replace(free, bound=bound)
    ends = [free.run(products.integers(end, bound), Tally()) for end in (low, high)]
    return fitted(output, *ends)


def fitted(format_: Format, low: Array, high: Array) -> tuple[Array, Array]:
    """Ends of what an overflow mode makes of integers between two ends."""
    lowest, highest = format_.lowest_code, format_.max_code
    if highest > arith.INT64_MAX:
        low, high = low.astype(object), high.astype(object)
    clipped = np.clip(low, lowest, highest), np.clip(high, lowest, highest)
    if format_.overflow in (Overflow.SAT, Overflow.SAT_SYM):
        return clipped
    inside = ~(arith.overflowed(low, format_) | arith.overflowed(high, format_))
    if format_.overflow is Overflow.WRAP:
        return np.where(inside, clipped[0], format_.min_code), np.where(inside, clipped[1], highest)
    return np.where(inside, clipped[0], np.minimum(clipped[0], 0)), np.where(
        inside, clipped[1], np.maximum(clipped[1], 0)
    )


def sorted_ends(a: Array, b: Array) -> Ends:
    """The smaller and the larger of two ends, Python integers; of single numbers too, which NumPy would take for 64-bit ones."""
    a, b = plain(a), plain(b)
    return np.minimum(a, b), np.maximum(a, b)


def product_ends(a: Ends, b: Ends) -> Ends:
    """Ends of a · b, Python integers; of single numbers too, which NumPy would multiply in 64 bits."""
    corners = [plain(plain(x) * plain(y)) for x in a for y in b]
    return plain(reduce(np.minimum, corners)), plain(reduce(np.maximum, corners))


def square_ends(low: Array, high: Array) -> Ends:
    """Ends of x²."""
    least, most = magnitude_ends(low, high)
    return least * least, most * most


def magnitude_ends(low: Array, high: Array) -> Ends:
    """Ends of |x|."""
    return np.maximum(np.maximum(low, -high), 0), np.maximum(-low, high)


def uniform_ends(low: int, high: int, shape: tuple[int, ...]) -> Ends:
    """The same ends at every place of a shape."""
    ones = (1,) * len(shape)
    return np.full(ones, low, dtype=object), np.full(ones, high, dtype=object)


def plain(numbers: Array) -> Array:
    """Python integers."""
    return np.asarray(numbers).astype(object)
