"""Normalizer of groups in exact integers: all that is rounded is the reciprocal (root).

The datapath, for codes x of one group, with a = N (or 1 where nothing is divided by N)::

    S = Σ x        Q = Σ x²        D = a·Q − S²       exact (D = a·Q where nothing is centered)
    V = D · 2^k + E                                   E = ε · a² / step² with k fraction bits, k even
    r · 2^-e ≈ 1 / √V                                 leading-one detection, table, Newton step
    x̂ = (a·x − S) · r · 2^-(e − k/2)

There is no division by N and no cancellation. D is an integer, so that it is 0, where a·x − S is 0 as well, or at least 1: k fraction bits
hold every ε to a relative error of 2^-(k + 1) of V, however far ε lies below one code. k is at least the bits of r.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple

import numpy as np

from fxnorm.engine import products
from fxnorm.fixed.format import Format
from fxnorm.fixed.roots import Reciprocal, ReciprocalRoot
from fxnorm.kernels.linear import signed_format
from fxnorm.kernels.stage import Tally

Array = np.ndarray

_SAFE = 1 << 62
_LIMB = 16


class Normalizer(NamedTuple):
    """What the elements of a group are normalized with: x̂ = (a·x − center) · mantissa · 2^-exponent.

    All are arrays whose reduced axes have length 1. `infinite` tells where nothing deviates and there is no ε, so that 1 / 0 is asked for.
    """

    center: Array
    mantissa: Array
    exponent: Array
    infinite: Array


@dataclass(frozen=True, eq=False)
class ExactMoments:
    """Center and reciprocal deviation of groups, in exact integers.

    Attributes
    ----------
    factor
        a.
    centered
        Whether the mean is subtracted.
    fraction_bits
        k, even.
    epsilon
        E.
    least
        Smallest radicand. 2^k where the result multiplies a·x − S: groups of equal values have D = 0, and any r will do.
    root
        Reciprocal root.
    square_bound
        Largest Q.
    bound
        Largest V.
    numerator_bound
        Largest |a·x − S|.
    """

    factor: int
    centered: bool
    fraction_bits: int
    epsilon: int
    least: int
    root: ReciprocalRoot
    square_bound: int
    bound: int
    numerator_bound: int

    @classmethod
    def decide(
        cls,
        x: Format,
        step: Fraction,
        count: int,
        epsilon: Fraction,
        bits: int,
        *,
        centered: bool,
        mean: bool,
        alone: bool,
    ) -> ExactMoments:
        """Widths for groups of `count` codes.

        Parameters
        ----------
        step
            Real number that one code step stands for.
        bits
            Bits of r.
        mean
            Whether squares are averaged; otherwise they are added.
        alone
            Whether r is asked for itself: then a group of equal values needs ε to as many bits.
        """
        factor = count if mean else 1
        largest = max(-x.min_code, x.max_code)
        spread = x.max_code - x.min_code
        scaled = epsilon * factor**2 / step**2
        fraction_bits = bits + bits % 2
        if alone and scaled:
            fraction_bits = max(
                fraction_bits, bits + scaled.denominator.bit_length() - scaled.numerator.bit_length() + 1
            )
            fraction_bits += fraction_bits % 2
        code = round(scaled * (1 << fraction_bits))
        square_bound = count * largest**2
        # N values in an interval vary most with half of them at each end.
        deviation = count**2 * spread**2 // 4 if centered else factor * square_bound
        return cls(
            factor=factor,
            centered=centered,
            fraction_bits=fraction_bits,
            epsilon=code,
            least=1 if alone else 1 << fraction_bits,
            root=ReciprocalRoot(bits),
            square_bound=square_bound,
            bound=(max(deviation, 1) << fraction_bits) + code,
            numerator_bound=(count - 1) * spread if centered else factor * largest,
        )

    @property
    def mantissa_bound(self) -> int:
        """Largest mantissa."""
        return (1 << self.root.bits) - 1

    def moments(self, rows: Array, axes: tuple[int, ...], tally: Tally) -> Normalizer:
        """Normalizer of groups over axes of [rows, *layout] (axes counted in the layout)."""
        center, deviation = self.sums(rows, axes)
        mantissa, exponent = self._reciprocal_root(deviation)
        infinite = np.asarray(deviation == 0) if self.epsilon == 0 else np.zeros(center.shape, np.bool_)
        return Normalizer(center, mantissa, exponent, infinite)

    def sums(self, rows: Array, axes: tuple[int, ...]) -> tuple[Array, Array]:
        """S (zeros where nothing is centered) and D."""
        squares = sum_squares(rows, axes, self.square_bound)
        if not self.centered:
            total = np.zeros(squares.shape, np.int64)
            return total, products.integers(squares, self.factor * self.square_bound) * self.factor
        total = rows.sum(axis=inner(axes), keepdims=True)
        wide = products.integers(total, self.factor * self.square_bound)
        return total, products.integers(squares, self.factor * self.square_bound) * self.factor - wide * wide

    def numerator(self, rows: Array, center: Array) -> Array:
        """a·x − S, in a new array."""
        result = rows * self.factor
        if self.centered:
            result -= center
        return result

    def deviation_format(self, fraction_bits: int) -> Format:
        """Narrowest format of D for codes with some fraction bits."""
        return signed_format(0, max(self.bound - self.epsilon, 0) >> self.fraction_bits, 2 * fraction_bits)

    def _reciprocal_root(self, deviation: Array) -> tuple[Array, Array]:
        k, half = self.fraction_bits, self.fraction_bits // 2
        if self.bound < _SAFE or not self._is_compact:
            wide = products.integers(deviation, self.bound)
            radicand = np.maximum((wide << k) + self.epsilon, self.least)
            mantissa, exponent = self.root.run(radicand)
            return mantissa, exponent - half
        # The root reads the leading one and the bits right behind it: either the multiple of 2^k in V has them all, or V is so small
        # that it fits, with zeros behind it up to where the root reads.
        whole = deviation + (self.epsilon >> k)
        fraction = np.where(whole > 0, self.epsilon & ((1 << k) - 1), 0)
        whole = np.maximum(whole, 1)
        places = self._places
        small = whole < 1 << self.root.constants.position_bits
        mantissa, exponent = self.root.run(np.where(small, (whole << places) + (fraction << (places - k)), whole))
        return mantissa, exponent - np.where(small, places // 2, 0)

    @property
    def _places(self) -> int:
        """Fraction bits, an even number, that bring the leading one of an integer to where the root reads it."""
        position = self.root.constants.position_bits
        return position + position % 2

    @property
    def _is_compact(self) -> bool:
        whole_bound = (self.bound >> self.fraction_bits) + 1
        position = self.root.constants.position_bits
        return whole_bound < _SAFE and position + self._places < 62 and self.least == 1 << self.fraction_bits


@dataclass(frozen=True, eq=False)
class MagnitudeSum:
    """Reciprocal of Σ|x|; 1 stands in for the sum of a group of zeros.

    Attributes
    ----------
    reciprocal
        Table and Newton step.
    bound
        Largest sum.
    numerator_bound
        Largest |x|.
    """

    reciprocal: Reciprocal
    bound: int
    numerator_bound: int

    @classmethod
    def decide(cls, x: Format, count: int, bits: int) -> MagnitudeSum:
        """Widths for groups of `count` codes and a reciprocal of some bits."""
        largest = max(-x.min_code, x.max_code)
        return cls(Reciprocal(bits), count * largest, largest)

    @property
    def mantissa_bound(self) -> int:
        """Largest mantissa."""
        return (1 << self.reciprocal.bits) - 1

    def moments(self, rows: Array, axes: tuple[int, ...], tally: Tally) -> Normalizer:
        """Normalizer of groups over axes of [rows, *layout] (axes counted in the layout)."""
        total = np.abs(rows).sum(axis=inner(axes), keepdims=True)
        mantissa, exponent = self.reciprocal.run(np.maximum(total, 1))
        return Normalizer(np.zeros_like(total), mantissa, exponent, total == 0)

    def numerator(self, rows: Array, center: Array) -> Array:
        """x, in a new array."""
        return rows.copy()


def inner(axes: tuple[int, ...]) -> tuple[int, ...]:
    """Axes of a layout as axes of an array with rows in front."""
    return tuple(axis + 1 for axis in axes)


def sum_squares(rows: Array, axes: tuple[int, ...], bound: int) -> Array:
    """Σ x² over axes, exact, reduced axes kept: int64, or Python integers where 64 bits do not hold the bound."""
    if rows.dtype == object:
        return np.asarray((rows * rows).sum(axis=inner(axes), keepdims=True))
    if bound < _SAFE:
        return _dot(rows, rows, axes)
    high = rows >> _LIMB
    low = rows - (high << _LIMB)
    parts = (_dot(high, high, axes), 2 * _dot(high, low, axes), _dot(low, low, axes))
    return np.asarray(sum(part.astype(object) << (2 - i) * _LIMB for i, part in enumerate(parts)))


def _dot(a: Array, b: Array, axes: tuple[int, ...]) -> Array:
    rank = a.ndim
    kept = tuple(1 if axis - 1 in axes else size for axis, size in enumerate(a.shape))
    if inner(axes) == tuple(range(rank - len(axes), rank)):
        count = math.prod(a.shape[rank - len(axes) :])
        return np.asarray(np.einsum("ij,ij->i", a.reshape(-1, count), b.reshape(-1, count))).reshape(kept)
    return np.asarray((a * b).sum(axis=inner(axes), keepdims=True))
