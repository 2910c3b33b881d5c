"""Rounding shifts and quotients of integers, in all eight modes.

All modes have one form.  With the exact value between two neighbours, the floor is kept, and one is added if the
remainder exceeds one half, or equals it and the mode sends this tie upward; so a mode is nothing but the set of its
upward ties (see `Rounding`).  TRN and TRN_ZERO look at the remainder in another way.
"""

from __future__ import annotations

import math
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from fxnorm.fixed.modes import Rounding

Codes: TypeAlias = npt.NDArray[Any]
"""Stored integers: dtype int64, or object holding Python integers."""

Integers: TypeAlias = int | npt.NDArray[Any]
"""One integer for all codes, or an array of them that broadcasts against the codes."""

INT64_MIN: Final = -(1 << 63)
INT64_MAX: Final = (1 << 63) - 1

_MAX_SHIFT: Final = 62  # 2^62 is the largest power of two in an int64


def int_dtype(bound: int) -> type[Any]:
    """Return the dtype for integers whose magnitude is at most `bound`: ``np.int64`` up to 2^62, else ``object``.

    One bit of head room is left, so that the sum of any two such integers still fits.
    """
    return np.int64 if abs(bound) <= 1 << _MAX_SHIFT else object


def shift_round(codes: Codes, shift: Integers, rounding: Rounding) -> Codes:
    """Return ``codes / 2^shift``, rounded.

    Parameters
    ----------
    codes
        Integers of any shape.
    shift
        Bits to drop; any size, also above 63.  Negative shifts are exact left shifts; with int64 codes the caller
        guarantees that their results fit (`requantize` checks it).
    rounding
        What to do with the dropped bits.

    Returns
    -------
    Codes
        Broadcast shape of `codes` and `shift`.  May be `codes` itself if nothing is to be done.
    """
    x, amount, shape = _at_least_1d(as_codes(codes), int_array(shift))
    dtype = x.dtype
    wide = dtype.kind == "O"
    amount = amount.astype(dtype, copy=False)
    least = lowest(amount)
    if least < 0:
        left = np.maximum(-amount, 0)
        x = x << (left if wide else np.minimum(left, 63))
        amount = np.maximum(amount, 0)
    if not amount.any():
        return (x if x.size == math.prod(shape) else np.broadcast_to(x, shape).copy()).reshape(shape)
    if rounding is Rounding.TRN:
        return np.asarray(x >> (amount if wide else np.minimum(amount, 63))).reshape(shape)
    if not wide:
        x, amount = _within_int64(x, amount)
    if rounding is Rounding.RND and least >= 2:
        # Two or more dropped bits: the one kept here leaves room for the carry, which then cannot overflow.
        return np.asarray(((x >> (amount - 1)) + 1) >> 1).reshape(shape)
    unit = np.ones_like(amount) << amount
    floor = x >> amount
    remainder = x & (unit - 1)
    # Where nothing is dropped, the remainder 0 must stay below the half: hence a half of 1 there.
    half = np.maximum(unit >> 1, 1)
    return np.asarray(floor + _carry(x, floor, remainder, half, rounding)).reshape(shape)


def divide_round(numerator: Codes, denominator: Integers, rounding: Rounding) -> Codes:
    """Return ``numerator / denominator``, exactly rounded.

    Parameters
    ----------
    numerator
        Integers of any shape.
    denominator
        Positive integers that broadcast against the numerators.
    rounding
        What to do with the fraction: ``qb`` of `Rounding` reads "at least one half", ``r`` "neither 0 nor one half".

    Returns
    -------
    Codes
        Dtype of `numerator`.

    Raises
    ------
    ValueError
        If a denominator is not positive.
    """
    x = as_codes(numerator)
    dtype = x.dtype
    by = as_codes(np.array(denominator, dtype=object) if isinstance(denominator, int) else denominator)
    if np.any(by <= 0):
        raise ValueError("denominators must be positive")
    narrow = dtype.kind != "O" and (not by.size or by.max() <= INT64_MAX)
    x, by, shape = _at_least_1d(x, by.astype(np.int64 if narrow else object, copy=False))
    x = x.astype(by.dtype, copy=False)
    floor = x // by
    if rounding is not Rounding.TRN:
        remainder = x - floor * by
        # remainder > by - remainder means "more than one half", and cannot overflow as 2 * remainder could.
        floor = floor + _carry(x, floor, remainder, by - remainder, rounding)
    return floor.astype(dtype, copy=False).reshape(shape)


def as_codes(codes: npt.ArrayLike) -> Codes:
    """Return integers as an array of int64, or of Python integers if that is what they are; TypeError for others."""
    array = np.asarray(codes)
    if array.dtype.kind == "O" or array.dtype == np.int64:
        return array
    if array.dtype == np.uint64:
        return array.astype(object)
    if array.dtype.kind in "iub":
        return array.astype(np.int64)
    raise TypeError(f"codes must be integers, not {array.dtype}")


def int_array(numbers: Integers) -> npt.NDArray[np.int64]:
    """Return shifts or exponents as an array of int64; TypeError if they are no integers."""
    array = np.asarray(numbers)
    if array.dtype.kind not in "iuO":
        raise TypeError(f"shifts and exponents must be integers, not {array.dtype}")
    return array.astype(np.int64)


def lowest(numbers: Integers) -> int:
    """Return the smallest of some integers, 0 if there are none."""
    return int(np.min(numbers)) if np.size(numbers) else 0


def _at_least_1d(x: Codes, y: Codes) -> tuple[Codes, Codes, tuple[int, ...]]:
    """Return both with at least one axis, and the shape of the result.

    NumPy turns what it computes from arrays without axes into scalars, and big Python integers then into errors.
    """
    return np.atleast_1d(x), np.atleast_1d(y), np.broadcast_shapes(x.shape, y.shape)


def _carry(x: Codes, floor: Codes, remainder: Codes, half: Codes, rounding: Rounding) -> npt.NDArray[np.bool_]:
    """Return where one is added to the floor: remainder above `half`, or at it and tied upward."""
    carry: npt.NDArray[np.bool_]
    match rounding:
        case Rounding.TRN:
            carry = np.zeros(np.shape(floor), dtype=np.bool_)
        case Rounding.TRN_ZERO:
            carry = (x < 0) & (remainder != 0)
        case Rounding.RND:
            carry = remainder >= half
        case Rounding.RND_MIN_INF:
            carry = remainder > half
        case Rounding.RND_ZERO:
            carry = remainder > half - (x < 0)
        case Rounding.RND_INF:
            carry = remainder > half - (x >= 0)
        case Rounding.RND_CONV:
            carry = remainder > half - (floor & 1)
        case Rounding.RND_CONV_ODD:
            carry = remainder > half - (~floor & 1)
    return carry


def _within_int64(x: Codes, amount: Codes) -> tuple[Codes, Codes]:
    """Bring int64 codes and their right shifts to at most 62 bits of shift, with the same rounded result.

    The lowest bits are dropped, and the new lowest bit is set if any of them was: it only tells "something is there",
    as long as it stays below the first dropped bit, which 62 bits of shift leave far above.  From 65 bits on the
    result no longer depends on the shift: the value lies within ±1/4.
    """
    surplus = np.minimum(amount, 65) - _MAX_SHIFT
    if not np.any(surplus > 0):
        return x, amount
    surplus = np.maximum(surplus, 0)
    sticky = (x & ((np.int64(1) << surplus) - 1)) != 0
    return np.asarray((x >> surplus) | sticky), np.asarray(np.minimum(amount, _MAX_SHIFT))
