"""Counting codes by the part of the range that they lie in, compiled: NumPy would hold the interpreter, for which other threads wait."""

from __future__ import annotations

from typing import Any

import numpy as np

from fxnorm.engine.machine_code import compiled

Array = np.ndarray[Any, Any]


@compiled
def count_places(codes: Array, bottom: int, shift: int, counts: Array) -> None:
    """Count whole numbers by place, which is (code - bottom) >> shift.

    Parameters
    ----------
    codes
        One axis, contiguous; integers, or floating-point numbers that are whole.
    counts
        int64 [4, places], added to; which of the four rows counts a code means nothing. One row alone would make every code wait for the
        one before it, as equal ones often follow one another.
    """
    whole = codes.size - codes.size % 4
    for i in range(0, whole, 4):
        counts[0, (np.int64(codes[i]) - bottom) >> shift] += 1
        counts[1, (np.int64(codes[i + 1]) - bottom) >> shift] += 1
        counts[2, (np.int64(codes[i + 2]) - bottom) >> shift] += 1
        counts[3, (np.int64(codes[i + 3]) - bottom) >> shift] += 1
    for i in range(whole, codes.size):
        counts[0, (np.int64(codes[i]) - bottom) >> shift] += 1
