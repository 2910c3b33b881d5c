"""Step-by-step accumulation, compiled: what `replay` does, in machine code.

numba compiles each loop at its first use and keeps the result on disk. The innermost loop runs over outputs that lie side by side, so that
the processor takes many of them at once. numba widens 32 bits to 64 wherever it adds or multiplies; there the loops go back to the type of
the accumulator, which holds every step, and counts of one row of additions take 32 bits.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from fxnorm.engine.intrinsics import as_type_of
from fxnorm.engine.machine_code import compiled
from fxnorm.fixed.format import Format, Overflow, Rounding

Array = np.ndarray

ROUNDINGS: Final = {mode: number for number, mode in enumerate(Rounding)}
OVERFLOWS: Final = {mode: number for number, mode in enumerate(Overflow)}
TRN, TRN_ZERO, RND, RND_ZERO, RND_INF, RND_MIN_INF, RND_CONV, RND_CONV_ODD = range(8)
WRAP, SAT, SAT_ZERO, SAT_SYM = range(4)


@compiled
def saturate(
    a: Array, ia: Array, b: Array, ib: Array, total: Array, low: np.signedinteger[Any], high: np.signedinteger[Any]
) -> int:
    """Add products to totals, clamping after every addition; return how many additions were clamped.

    Parameters
    ----------
    a, b
        Codes [batches of a, m, k] and [batches of b, k, n].
    ia, ib
        Which batch of each operand every batch of the result takes.
    total
        Accumulators [batches, m, n], in and out; every step fits its type.
    low, high
        Ends of the accumulator's format, of the type of `total`: a wider one would halve the speed.
    """
    count = 0
    for j in range(total.shape[0]):
        left, right = a[ia[j]], b[ib[j]]
        for m in range(total.shape[1]):
            row = total[j, m]
            for k in range(left.shape[1]):
                factor = left[m, k]
                # A product of zero leaves an accumulator that is in range as it is.
                if factor != 0:
                    column = right[k]
                    lost = np.int32(0)
                    for n in range(row.shape[0]):
                        exact = as_type_of(row[n] + factor * column[n], low)
                        held = min(max(exact, low), high)
                        lost = np.int32(lost + (exact != held))
                        row[n] = held
                    count += int(lost)
    return count


@compiled
def wrap(
    a: Array, ia: Array, b: Array, ib: Array, total: Array, low: np.signedinteger[Any], mask: np.signedinteger[Any]
) -> int:
    """Add products to totals, keeping the low bits after every addition; return how many additions lost bits.

    Parameters
    ----------
    a, ia, b, ib, total
        As for `saturate`.
    low, mask
        Lowest code of the accumulator, and all of its bits.
    """
    count = 0
    for j in range(total.shape[0]):
        left, right = a[ia[j]], b[ib[j]]
        for m in range(total.shape[1]):
            row = total[j, m]
            for k in range(left.shape[1]):
                factor = left[m, k]
                if factor != 0:
                    column = right[k]
                    lost = np.int32(0)
                    for n in range(row.shape[0]):
                        exact = as_type_of(row[n] + factor * column[n], low)
                        held = as_type_of(((exact - low) & mask) + low, low)
                        lost = np.int32(lost + (exact != held))
                        row[n] = held
                    count += int(lost)
    return count


@compiled
def _round(x: int, shift: int, mode: int) -> int:
    """x / 2**shift, rounded; shift may be negative."""
    if shift <= 0:
        return x << -shift
    floor = x >> shift
    if mode == TRN:
        return floor
    rest = x - (floor << shift)
    half = 1 << (shift - 1)
    if mode == TRN_ZERO:
        up = x < 0 and rest != 0
    elif mode == RND:
        up = rest >= half
    elif mode == RND_MIN_INF:
        up = rest > half
    elif mode == RND_ZERO:
        up = rest > half or (rest == half and x < 0)
    elif mode == RND_INF:
        up = rest > half or (rest == half and x >= 0)
    elif mode == RND_CONV:
        up = rest > half or (rest == half and (floor & 1) == 1)
    else:
        up = rest > half or (rest == half and (floor & 1) == 0)
    return floor + (1 if up else 0)


@compiled
def _fit(x: int, mode: int, low: int, high: int) -> int:
    """x brought into [low, high] by an overflow mode."""
    if low <= x <= high:
        return x
    if mode == WRAP:
        return ((x - low) & (high - low)) + low
    if mode == SAT_ZERO:
        return 0
    return low if x < low else high


@compiled
def quantize(
    a: Array,
    ia: Array,
    b: Array,
    ib: Array,
    total: Array,
    product: tuple[int, int, int, int, int],
    addend_up: int,
    total_up: int,
    accumulator: tuple[int, int, int, int, int],
) -> int:
    """Add products to totals, each product and each sum quantized; return how many sums overflowed.

    Parameters
    ----------
    a, ia, b, ib, total
        As for `saturate`.
    product
        Shift, rounding, overflow, low and high of a product; an overflow mode of -1 leaves products exact.
    addend_up, total_up
        Places to the left that bring product and total to one step.
    accumulator
        Shift, rounding, overflow, low and high of the sum.
    """
    count = 0
    p_shift, p_rounding, p_overflow, p_low, p_high = product
    shift, rounding, overflow, low, high = accumulator
    for j in range(total.shape[0]):
        left, right = a[ia[j]], b[ib[j]]
        for m in range(total.shape[1]):
            for k in range(left.shape[1]):
                for n in range(total.shape[2]):
                    addend = left[m, k] * right[k, n]
                    if p_overflow >= 0:
                        addend = _fit(_round(addend, p_shift, p_rounding), p_overflow, p_low, p_high)
                    exact = (total[j, m, n] << total_up) + (addend << addend_up)
                    rounded = _round(exact, shift, rounding)
                    held = _fit(rounded, overflow, low, high)
                    count += rounded != held
                    total[j, m, n] = held
    return count


def modes(format_: Format, shift: int) -> tuple[int, int, int, int, int]:
    """A format's modes and ends as the loops take them."""
    return shift, ROUNDINGS[format_.rounding], OVERFLOWS[format_.overflow], format_.lowest_code, format_.max_code
