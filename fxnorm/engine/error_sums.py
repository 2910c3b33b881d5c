"""Sums of squares, products and differences of two arrays in one pass, compiled: NumPy would go over them nine times."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from fxnorm.engine.machine_code import compiled_in_any_order

Array = np.ndarray[Any, Any]

BLOCK: Final = 2048
"""Elements that are taken at a time: in float64 they stay in the first cache."""


@compiled_in_any_order
def error_sums(wanted: Array, got: Array, unit: float, sums: Array) -> None:
    """Add to sums over the elements of two arrays.

    Numbers become float64 first, block by block, so that the sums of equal numbers are the same bits whatever type held them.

    Parameters
    ----------
    wanted
        Reference w, one axis, contiguous.
    got
        As many numbers, likewise; each stands for g = number · unit.
    sums
        float64 [6], added to: w·w, (g - w)·(g - w), g·g, w·g, |g - w|; the last one becomes the largest |g - w| if that is larger, or
        not a number if one of them is none.
    """
    reference, value, size = np.empty(BLOCK), np.empty(BLOCK), np.empty(BLOCK)
    # Numbers that are not negative are in the order of their bits, of which maxima are quick.
    bits = size.view(np.int64)
    top = np.empty(1)
    top[0] = sums[5]
    largest = top.view(np.int64)[0]
    for start in range(0, wanted.size, BLOCK):
        count = min(BLOCK, wanted.size - start)
        for i in range(count):
            reference[i] = wanted[start + i]
        for i in range(count):
            value[i] = got[start + i] * unit
        signal, noise, fixed, product, absolute = 0.0, 0.0, 0.0, 0.0, 0.0
        for i in range(count):
            w, g = reference[i], value[i]
            difference = g - w
            size[i] = abs(difference)
            signal += w * w
            noise += difference * difference
            fixed += g * g
            product += w * g
            absolute += abs(difference)
        for i in range(count):
            largest = max(largest, bits[i])
        sums[0] += signal
        sums[1] += noise
        sums[2] += fixed
        sums[3] += product
        sums[4] += absolute
    top.view(np.int64)[0] = largest
    sums[5] = top[0]
