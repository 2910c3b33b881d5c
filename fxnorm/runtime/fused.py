"""Rounding, clipping, overflow and counting in one pass over an accumulator, compiled.

Counts, minima and maxima are kept as 32-bit integers: the compiler then takes sixteen elements at a time, which it does not for
floating-point minima. Formats of up to 24 bits and pieces below 2**31 elements leave them room.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeVar, cast

import numba
import numpy as np

Array = np.ndarray
Real = np.floating[Any]
Counts = tuple[int, int, int, int, int]
F = TypeVar("F", bound=Callable[..., Any])

HUGE: Final = 3.0e38
"""Where an activation does not clip."""


def _compiled(function: F) -> F:
    # Accumulators are never NaN, and the sign of zero means nothing.
    return cast(F, numba.njit(nogil=True, cache=True, fastmath={"nnan", "nsz"}, error_model="numpy")(function))


@_compiled
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
        overflowed += np.int32(held != clipped)
        at_low += np.int32(code <= bottom)
        at_high += np.int32(code >= top)
        smallest = min(smallest, code)
        largest = max(largest, code)
        y[i] = held
    return int(overflowed), int(at_low), int(at_high), int(smallest), int(largest)


@_compiled
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
        overflowed += np.int32(held != clipped)
        at_low += np.int32(code <= bottom)
        at_high += np.int32(code >= top)
        smallest = min(smallest, code)
        largest = max(largest, code)
        y[i] = held
    return int(overflowed), int(at_low), int(at_high), int(smallest), int(largest)


@_compiled
def quantize(x: Array, out: Array, factor: float, addend: float, lowest: float, highest: float) -> Counts:
    """out = saturate(floor(x · factor + addend)) for real numbers, in float64 inside.

    Parameters
    ----------
    x
        float32, contiguous, one axis.
    out
        float32 of the same size.
    factor, addend
        1 / step, and what the rounding adds.
    lowest, highest
        Ends of the format.

    Returns
    -------
    As `floor_and_saturate`.
    """
    overflowed, at_low, at_high = np.int32(0), np.int32(0), np.int32(0)
    bottom, top = np.int32(lowest), np.int32(highest)
    smallest, largest = top, bottom
    for i in range(x.size):
        rounded = np.floor(np.float64(x[i]) * factor + addend)
        held = lowest if rounded < lowest else rounded
        held = highest if held > highest else held
        code = np.int32(held)
        overflowed += np.int32(held != rounded)
        at_low += np.int32(code <= bottom)
        at_high += np.int32(code >= top)
        smallest = min(smallest, code)
        largest = max(largest, code)
        out[i] = np.float32(code)
    return int(overflowed), int(at_low), int(at_high), int(smallest), int(largest)
