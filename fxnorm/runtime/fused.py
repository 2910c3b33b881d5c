"""Rounding, clipping, overflow and counting in one pass over an accumulator, compiled.

Counts, minima and maxima are kept as 32-bit integers: the compiler then takes sixteen elements at a time, which it does not for
floating-point minima. Formats of up to 24 bits and pieces below 2**31 elements leave them room.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from fxnorm.engine.machine_code import compiled_without_nan
from fxnorm.fixed.modes import Rounding

Array = np.ndarray
Real = np.floating[Any]
Counts = tuple[int, int, int, int, int]

QUICK_ROUNDINGS: Final = {Rounding.TRN: 0, Rounding.RND: 1, Rounding.RND_CONV: 2}
"""Roundings that `quantize` knows, by its numbers for them."""

HUGE: Final = 3.0e38
"""Where an activation does not clip."""


@compiled_without_nan
def floor_and_saturate(y: Array, low: Real, high: Real, lowest: Real, highest: Real) -> Counts:
    """y = saturate(clip(floor(y))), in place.

    Parameters
    ----------
    y
        Contiguous, one axis, float32 or float64.
    low, high
        The activation's clip, of y's type.
    lowest, highest
        Ends of the output's format, of y's type.

    Returns
    -------
    How many overflowed, how many lie at the lower and at the upper end, the smallest and the largest of the results.
    """
    overflowed, at_low, at_high = np.int32(0), np.int32(0), np.int32(0)
    bottom, top = np.int32(lowest), np.int32(highest)
    smallest, largest = top, bottom
    for i in range(y.size):
        clipped = np.floor(y[i])
        clipped = low if clipped < low else clipped
        clipped = high if clipped > high else clipped
        held = lowest if clipped < lowest else clipped
        held = highest if held > highest else held
        code = np.int32(held)
        overflowed = np.int32(overflowed + (held != clipped))
        at_low = np.int32(at_low + (code <= bottom))
        at_high = np.int32(at_high + (code >= top))
        smallest = min(smallest, code)
        largest = max(largest, code)
        y[i] = held
    return int(overflowed), int(at_low), int(at_high), int(smallest), int(largest)


@compiled_without_nan
def round_and_saturate(y: Array, low: Real, high: Real, lowest: Real, highest: Real) -> Counts:
    """`floor_and_saturate` with rounding to nearest even instead of the floor."""
    overflowed, at_low, at_high = np.int32(0), np.int32(0), np.int32(0)
    bottom, top = np.int32(lowest), np.int32(highest)
    smallest, largest = top, bottom
    for i in range(y.size):
        clipped = np.rint(y[i])
        clipped = low if clipped < low else clipped
        clipped = high if clipped > high else clipped
        held = lowest if clipped < lowest else clipped
        held = highest if held > highest else held
        code = np.int32(held)
        overflowed = np.int32(overflowed + (held != clipped))
        at_low = np.int32(at_low + (code <= bottom))
        at_high = np.int32(at_high + (code >= top))
        smallest = min(smallest, code)
        largest = max(largest, code)
        y[i] = held
    return int(overflowed), int(at_low), int(at_high), int(smallest), int(largest)


@compiled_without_nan
def quantize(x: Array, out: Array, factor: Real, lowest: Real, highest: Real, rounding: int) -> Counts:
    """out = saturate(round(x · factor)) for real numbers.

    Every step is exact: the factor is a power of two, and what lies far outside is moved to just outside first, so that the distance
    from the floor has no more bits than the number has, or is nearer to 1 than to 1/2.

    Parameters
    ----------
    x
        float32, contiguous, one axis.
    out
        Of the same size, any type that holds the codes.
    factor
        1 / step; its type, float32 or float64, is that of every step.
    lowest, highest
        Ends of the format, of the same type.
    rounding
        One of `QUICK_ROUNDINGS`.

    Returns
    -------
    As `floor_and_saturate`.
    """
    overflowed, at_low, at_high = np.int32(0), np.int32(0), np.int32(0)
    bottom, top = np.int32(lowest), np.int32(highest)
    smallest, largest = top, bottom
    one = factor / factor
    below, above, half = lowest - one, highest + one, one / (one + one)
    for i in range(x.size):
        scaled = x[i] * factor
        scaled = below if scaled < below else scaled
        scaled = above if scaled > above else scaled
        floor = np.floor(scaled)
        if rounding == 1:
            floor = floor + one if scaled - floor >= half else floor
        elif rounding == 2:
            floor = np.rint(scaled)
        held = lowest if floor < lowest else floor
        held = highest if held > highest else held
        code = np.int32(held)
        overflowed = np.int32(overflowed + (held != floor))
        at_low = np.int32(at_low + (code <= bottom))
        at_high = np.int32(at_high + (code >= top))
        smallest = min(smallest, code)
        largest = max(largest, code)
        out[i] = code
    return int(overflowed), int(at_low), int(at_high), int(smallest), int(largest)
