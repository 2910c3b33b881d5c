"""Integer primitives of the function blocks: leading-one detection, and products that need more than 64 bits."""

from __future__ import annotations

from dataclasses import fields
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Words: TypeAlias = npt.NDArray[np.int64]
"""Integers of 64 bits."""


def integers(codes: npt.ArrayLike) -> npt.NDArray[Any]:
    """Return codes as int64, or as they are if they are Python integers (``dtype=object``).

    Raises
    ------
    TypeError
        If they are no integers: a float is a value, not a code.
    """
    array = np.asarray(codes)
    if array.dtype.kind == "O":
        return array
    if array.dtype.kind not in "iu" and array.size:
        raise TypeError(f"codes must be integers, not {array.dtype}")
    return array.astype(np.int64, copy=False)


def bit_length(codes: npt.NDArray[Any]) -> Words:
    """Return the number of bits of non-negative integers: one more than the position of the leading one, 0 for 0.

    Parameters
    ----------
    codes
        int64, or Python integers of any size (``dtype=object``), of any shape.

    Returns
    -------
    numpy.ndarray
        int64, exact for every integer.

    Raises
    ------
    ValueError
        If a code is negative.
    """
    x = integers(codes)
    if x.size and x.min() < 0:
        raise ValueError("the leading one of a negative integer is not defined")
    if x.dtype.kind == "O":
        return np.array([int(n).bit_length() for n in x.ravel()], dtype=np.int64).reshape(x.shape)
    # float64 holds integers below 2^53 exactly, and frexp reads its exponent; wider ones go in two halves, because
    # 2^54 - 1 would be rounded up to the next power of two.
    if x.size == 0 or x.max() < 1 << 53:
        return np.frexp(x.astype(np.float64))[1].astype(np.int64)
    high = x >> 32
    top = np.where(high != 0, high, x)
    return np.where(high != 0, 32, 0) + np.frexp(top.astype(np.float64))[1]


def multiply_shift(a: Words, b: Words, shift: int, a_bits: int, b_bits: int) -> Words:
    """Return ``floor(a · b / 2^shift)``, exact, in 64-bit words.

    Where the product needs more than 62 bits, `b` is split in a high and a low part of h bits:
    ``floor((a·b_high + floor(a·b_low / 2^h)) / 2^(shift - h))`` is the same integer, because floors of quotients nest.

    Parameters
    ----------
    a
        Signed integers of a magnitude up to ``2^a_bits``.
    b
        Non-negative integers below ``2^b_bits``.
    shift
        Bits to drop.
    a_bits, b_bits
        Proven by the caller.

    Raises
    ------
    OverflowError
        If even the parts do not fit.
    """
    if a_bits + b_bits <= 62:
        return (a * b) >> shift
    low_bits = product_split(shift, a_bits, b_bits)
    low = b & ((1 << low_bits) - 1)
    return np.asarray((a * (b >> low_bits) + ((a * low) >> low_bits)) >> (shift - low_bits), dtype=np.int64)


def product_split(shift: int, a_bits: int, b_bits: int) -> int:
    """Return how many low bits of `b` are multiplied apart in `multiply_shift`; 0 if the product fits as it is."""
    if a_bits + b_bits <= 62:
        return 0
    low_bits = min(shift, (b_bits + 1) // 2)
    if a_bits + max(low_bits, b_bits - low_bits) > 62:
        raise OverflowError(f"a product of {a_bits} and {b_bits} bits less {shift} does not fit into 64-bit words")
    return low_bits


def horner(coefficients: Words, segment: Words, u: Words, position_bits: int, multiplicand_bits: int) -> Words:
    """Evaluate polynomials in integers: ``acc = c[k, segment] + floor(acc · u / 2^position_bits)``, k descending to 0.

    Parameters
    ----------
    coefficients
        Shape (degree + 1, segments); row k multiplies u^k.
    segment, u
        Segment and position of every value, of one shape; ``0 ≤ u < 2^position_bits``.
    position_bits, multiplicand_bits
        Bits of `u`, and of the magnitude of every accumulator that is multiplied by it.
    """
    accumulator: Words = coefficients[-1][segment]
    for row in coefficients[-2::-1]:
        accumulator = row[segment] + multiply_shift(accumulator, u, position_bits, multiplicand_bits, position_bits)
    return accumulator


def horner_bits(coefficients: Words) -> tuple[int, int]:
    """Return the bits of magnitude that bound every multiplied accumulator of `horner`, and every accumulator."""
    bound = np.abs(coefficients[-1])
    multiplicand = 0
    largest = int(bound.max())
    for row in coefficients[-2::-1]:
        multiplicand = largest
        bound = bound + np.abs(row) + 1
        largest = max(largest, int(bound.max()))
    return multiplicand.bit_length(), largest.bit_length()


class Comparable:
    """Equality of dataclasses that hold arrays: same class, same fields, arrays of the same shape and integers.

    A mixin: it is no dataclass itself, whatever is one inherits from it, hence `type: ignore` at `fields`.
    """

    def __eq__(self, other: object) -> bool:
        if other.__class__ is not self.__class__:
            return NotImplemented
        for item in fields(self):  # type: ignore[arg-type]
            mine, others = getattr(self, item.name), getattr(other, item.name)
            if isinstance(mine, np.ndarray) or isinstance(others, np.ndarray):
                if not np.array_equal(mine, others):
                    return False
            elif mine != others:
                return False
        return True

    def __hash__(self) -> int:
        return hash(
            tuple(
                value.astype(np.int64).tobytes() if isinstance(value, np.ndarray) else value
                for value in (getattr(self, item.name) for item in fields(self))  # type: ignore[arg-type]
            )
        )
