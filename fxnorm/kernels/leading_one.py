"""Numbers by their leading one: place and mantissa of a float32 word, and logarithms of them."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Final

import numpy as np

from fxnorm.engine import products
from fxnorm.fixed.format import Format, Overflow, Rounding
from fxnorm.fixed.functions import Table, build
from fxnorm.fixed.reals import real_function
from fxnorm.fixed.words import bit_length

Array = np.ndarray

FRACTION: Final = 23
"""Fraction bits of a float32 word."""
BIAS: Final = 127
LEAST_EXPONENT: Final = -149


@dataclass(frozen=True, eq=False)
class Line:
    """t = e · octave + ln(m) · slope, exact integers but for the table's own rounding.

    Attributes
    ----------
    table
        ln of mantissas in [1, 2).
    places
        Fraction bits of m that the table is read with.
    octave, slope
        Integers.
    fraction_bits
        Of t.
    bound
        Largest magnitude of t.
    """

    table: Table
    places: int
    octave: int
    slope: int
    fraction_bits: int
    bound: int

    @classmethod
    def decide(cls, octave: Fraction, slope: Fraction, bits: int, slope_bits: int) -> Line:
        """Integers of real factors.

        Parameters
        ----------
        bits
            Fraction bits of the table. What is cut off m is smaller than half a unit of it.
        slope_bits
            Fraction bits of the slope.
        """
        places = min(FRACTION, bits + 1)
        fraction_bits = bits + slope_bits
        factors = round(octave * 2**fraction_bits), round(slope * 2**slope_bits)
        bound = (1 - LEAST_EXPONENT) * abs(factors[0]) + (abs(factors[1]) << bits)
        return cls(_logarithms(places, bits), places, *factors, fraction_bits, bound)

    def run(self, codes: Array) -> tuple[Array, Array]:
        """t of words, and where they are zero."""
        mantissa, exponent, zero = leading_one(codes)
        logarithm, _ = self.table.run(mantissa >> (FRACTION - self.places))
        wide = products.integers(exponent, self.bound) * self.octave
        return np.asarray(wide + products.integers(logarithm, self.bound) * self.slope), zero


def words(values: Array) -> Array:
    """float32 numbers as the integers that their 32 bits are, int64; there is one zero, without a sign."""
    held = np.ascontiguousarray(values, np.float32) + np.float32(0.0)
    return held.view(np.uint32).astype(np.int64)


def leading_one(codes: Array) -> tuple[Array, Array, Array]:
    """Mantissa (24 bits, the upper one set), exponent of the leading one, and where the number is zero; of words of no sign."""
    fraction = codes & ((1 << FRACTION) - 1)
    field = codes >> FRACTION
    subnormal = field == 0
    zero = subnormal & (fraction == 0)
    # A subnormal word has its leading one somewhere in the fraction.
    places = np.where(subnormal, FRACTION + 1 - bit_length(np.where(zero, 1, fraction)), 0)
    mantissa = np.where(subnormal, fraction << places, fraction | (1 << FRACTION))
    return np.where(zero, 1 << FRACTION, mantissa), np.where(subnormal, 1 - BIAS - places, field - BIAS), zero


@lru_cache(maxsize=8)
def _logarithms(places: int, bits: int) -> Table:
    """ln of mantissas in [1, 2) with some fraction bits in and out; a wide one takes a second to size."""
    target = Format(bits, 0, False, Rounding.RND, Overflow.SAT)
    return build(real_function("log"), Format(places + 1, 1, False), -places, target, -bits)
