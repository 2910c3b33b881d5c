"""Reciprocals and reciprocal square roots of positive integers: leading-one detection, a table, one Newton step.

Both return a mantissa r and an exponent e with ``r · 2^-e`` close to the true value, for integers of any size: softmax
and division use the first, the normalization layers the second.  The table holds straight lines, so that about
2^(bits/4) entries suffice for a start that one Newton step, which squares the error, turns into `bits` bits.

The datapath of a reciprocal, with the constants of `_Constants`::

    k    = position of the leading one of n                  n = m · 2^k, 1 ≤ m < 2
    m    = n, shifted to position_bits fraction bits          low bits dropped
    i, t = top index_bits fraction bits of m, and the next slope_bits of it
    r0   = intercepts[i] − floor(slopes[i] · t / 2^slope_bits)                 start_bits fraction bits
    p    = floor(m · r0 / 2^…)                                                inner_bits fraction bits
    r1   = r0 · 2^(inner_bits − start_bits) + floor(r0 · (2^inner_bits − p) / 2^start_bits)
    r    = (r1, rounded half up to bits fraction bits), at most 2^bits − 1
    1/n  ≈ r · 2^-(bits + k)

For the reciprocal root the leading one is brought to an even place: n = u · 4^j with 1 ≤ u < 4, and the table has a
half for u below 2 and one for the rest; ``p = floor(floor(u · r0 / 2^…) · r0 / 2^start_bits)`` and the Newton step
halves the correction.  1/√n ≈ r · 2^-(bits + j).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from fxnorm.fixed.words import Comparable, Words, bit_length, integers, multiply_shift

Reals = npt.NDArray[np.float64]

MIN_BITS: Final = 4
MAX_BITS: Final = 40


class _Constants(NamedTuple):
    """Widths that follow from the bits of the result.

    With b bits the start must be good to 2^-(b/2 + 2).  A line over 2^-index_bits of the octave errs by at most
    2^-(2·index_bits + 3), its integers by 2 units of 2^-start_bits.
    """

    index_bits: int
    slope_bits: int
    start_bits: int
    position_bits: int
    inner_bits: int

    @classmethod
    def of(cls, bits: int) -> _Constants:
        index, start = (bits + 3) // 4, (bits + 1) // 2 + 5
        return cls(index, start - index, start, bits + 3, bits + 5)


def _lines(values: Reals, middles: Reals, bits: int) -> tuple[Words, Words]:
    """Return intercepts and (falling) slopes of lines through a convex function.

    Parameters
    ----------
    values
        The function at the ends of the segments, shape (…, segments + 1).
    middles
        The function in the middle of the segments.
    bits
        Fraction bits of the integers.
    """
    left, right = values[..., :-1], values[..., 1:]
    # A chord lies above a convex function; half the gap down, the error is the same on both sides.
    gap = (left + right) / 2 - middles
    slopes = np.rint(np.ldexp(left - right, bits)).astype(np.int64)
    intercepts = np.rint(np.ldexp(left - gap / 2, bits)).astype(np.int64)
    return intercepts.ravel(), slopes.ravel()


def _empty() -> Words:
    return np.zeros(0, dtype=np.int64)


def _check_bits(bits: int) -> None:
    if not MIN_BITS <= bits <= MAX_BITS:
        raise ValueError(f"a reciprocal must have {MIN_BITS} to {MAX_BITS} bits, not {bits}")


def _normalize(n: npt.NDArray[Any], bits: int) -> tuple[Words, Words]:
    """Return positive integers with their leading one at place `bits`, low bits dropped, and where it was."""
    if n.size and n.min() <= 0:
        raise ValueError(f"a reciprocal needs positive integers, not {n.min()}")
    place = bit_length(n) - 1
    left, right = np.maximum(bits - place, 0), np.maximum(place - bits, 0)
    if n.dtype.kind == "O":
        return np.asarray((n << left.astype(object)) >> right.astype(object)).astype(np.int64), place
    return np.asarray((n << left) >> right, dtype=np.int64), place


@dataclass(frozen=True, eq=False)
class _Mantissa(Comparable, ABC):
    """What both have in common: the table of the start, and the widths of the datapath.

    Parameters
    ----------
    bits
        Width of the mantissa, 4 to 40.
    intercepts, slopes
        Table of the start, one octave after the other; made from `bits` where they are not given.

    Raises
    ------
    ValueError
        If `bits` is out of range.
    """

    octaves: ClassVar[tuple[float, ...]]
    """Where the octaves of the table begin."""

    bits: int
    intercepts: Words = field(default_factory=_empty)
    slopes: Words = field(default_factory=_empty)

    def __post_init__(self) -> None:
        _check_bits(self.bits)
        if self.intercepts.size == 0:
            constants = _Constants.of(self.bits)
            count = 1 << constants.index_bits
            octaves = np.array(self.octaves)[:, None]
            ends = self._real(octaves * (1 + np.arange(count + 1) / count))
            middles = self._real(octaves * (1 + (np.arange(count) + 0.5) / count))
            intercepts, slopes = _lines(ends, middles, constants.start_bits)
            object.__setattr__(self, "intercepts", intercepts)
            object.__setattr__(self, "slopes", slopes)

    @staticmethod
    @abstractmethod
    def _real(x: Reals) -> Reals:
        """The function, in float64."""

    @property
    def constants(self) -> _Constants:
        """Widths of the datapath."""
        return _Constants.of(self.bits)

    def _start(self, m: Words, octave: Words | int) -> Words:
        """r0 of mantissas with `position_bits` fraction bits, in the octaves of these numbers."""
        index_bits, slope_bits, _, position_bits, _ = self.constants
        fraction = (m - (1 << position_bits)) >> (position_bits - index_bits - slope_bits)
        index, t = (octave << index_bits) + (fraction >> slope_bits), fraction & ((1 << slope_bits) - 1)
        return self.intercepts[index] - ((self.slopes[index] * t) >> slope_bits)


@dataclass(frozen=True, eq=False)
class Reciprocal(_Mantissa):
    """1/n of positive integers, with a relative error below 2^-(bits − 1); see `_Mantissa` for its parameters."""

    kind: ClassVar[str] = "reciprocal"
    octaves: ClassVar[tuple[float, ...]] = (1.0,)

    @staticmethod
    def _real(x: Reals) -> Reals:
        return 1 / x

    def run(self, n: npt.ArrayLike) -> tuple[Words, Words]:
        """Return the reciprocals.

        Parameters
        ----------
        n
            Positive integers of any shape: int64, or Python integers of any size (``dtype=object``).

        Returns
        -------
        mantissa, exponent
            ``1/n ≈ mantissa · 2^-exponent``, with ``2^(bits−1) ≤ mantissa < 2^bits``.

        Raises
        ------
        ValueError
            If an integer is not positive.
        """
        _, _, start_bits, position_bits, inner_bits = self.constants
        m, place = _normalize(integers(n), position_bits)
        r0 = self._start(m, 0)
        drop = position_bits + start_bits - inner_bits
        p = multiply_shift(m, r0, drop, position_bits + 1, start_bits + 1)
        r1 = (r0 << (inner_bits - start_bits)) + ((r0 * ((1 << inner_bits) - p)) >> start_bits)
        return _mantissa(r1, inner_bits, self.bits), place + self.bits


@dataclass(frozen=True, eq=False)
class ReciprocalRoot(_Mantissa):
    """1/√n of positive integers, with a relative error below 2^-(bits − 1); see `_Mantissa` for its parameters.

    Its table is first for 1 ≤ u < 2 and then for 2 ≤ u < 4.
    """

    kind: ClassVar[str] = "reciprocal_root"
    octaves: ClassVar[tuple[float, ...]] = (1.0, 2.0)

    @staticmethod
    def _real(x: Reals) -> Reals:
        return 1 / np.sqrt(x)

    def run(self, n: npt.ArrayLike) -> tuple[Words, Words]:
        """Return the reciprocal roots.

        Parameters
        ----------
        n
            Positive integers of any shape: int64, or Python integers of any size (``dtype=object``).

        Returns
        -------
        mantissa, exponent
            ``1/√n ≈ mantissa · 2^-exponent``, with ``2^(bits−1) ≤ mantissa < 2^bits``.

        Raises
        ------
        ValueError
            If an integer is not positive.
        """
        _, _, start_bits, position_bits, inner_bits = self.constants
        m, place = _normalize(integers(n), position_bits)
        odd = place & 1
        r0 = self._start(m, odd)
        drop = position_bits + start_bits - inner_bits
        root = multiply_shift(m << odd, r0, drop, position_bits + 2, start_bits + 1)
        p = multiply_shift(root, r0, start_bits, inner_bits + 2, start_bits + 1)
        r1 = (r0 << (inner_bits - start_bits)) + ((r0 * ((1 << inner_bits) - p)) >> (start_bits + 1))
        return _mantissa(r1, inner_bits, self.bits), (place >> 1) + self.bits


def _mantissa(value: Words, inner_bits: int, bits: int) -> Words:
    drop = inner_bits - bits
    return np.asarray(np.minimum((value + (1 << (drop - 1))) >> drop, (1 << bits) - 1), dtype=np.int64)
