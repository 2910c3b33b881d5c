"""Moments of groups as datapaths of fixed-point stages compute them: every stage rounds into a format of its own, and may overflow it.

Two passes over the data, for codes x of one group of N values (all numbers in the units of the fixed-point value of x)::

    µ = mean(Σ x / N)          c = x − µ          q = square(c²)          v = variance(Σ q / N)

One pass::

    µ = mean(Σ x / N)          q = square(x²)     v = variance(Σ q / N) − variance(µ²)          c = x − µ

Both end with::

    r = root(1 / √(max(v, 0) + ε))          x̂ = c · r

where `mean(…)`, `square(…)`, `variance(…)` and `root(…)` are conversions into the formats of these names, with their rounding and overflow
modes; sums, differences and the last product are exact. ε is a constant of the variance's step, rounded to nearest even: one below half a
step is zero. A variance below zero is taken for zero and counted. 1 / √0 is the largest code of the root's format, and an overflow.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple

import numpy as np

from fxnorm.engine import products
from fxnorm.fixed import arith
from fxnorm.fixed.format import Format, Overflow
from fxnorm.fixed.roots import MAX_BITS, ReciprocalRoot
from fxnorm.kernels.kernel import NormPolicy
from fxnorm.kernels.norm_exact import Normalizer, inner
from fxnorm.kernels.stage import Rescale, Tally

Array = np.ndarray

_ROOT_GUARD = 4


@dataclass(frozen=True, eq=False)
class StagedMoments:
    """Mean, variance and reciprocal deviation of groups, each in its format.

    Attributes
    ----------
    one_pass
        Whether the variance is the mean of squares less the square of the mean.
    centered
        Whether the mean is subtracted at all.
    mean, square, variance
        Stages; the dividing ones divide by N. The mean's is None where nothing is centered.
    squared_mean
        µ² into the variance's format; None but in one pass.
    shifts
        Places by which x and µ go to the left to share one step.
    epsilon
        ε, a code of the variance's step.
    root
        Reciprocal root, of a few bits more than its format where there are so many.
    odd
        1 where the variance has an odd number of fraction bits, which the radicand then gets one more of.
    root_format
        Format of r.
    root_shift
        r's code is mantissa / 2^(exponent + root_shift).
    exponent
        Fraction bits of c · r.
    variance_bound
        Largest v + ε, as a code.
    numerator_bound
        Largest |c|, as a code.
    """

    one_pass: bool
    centered: bool
    mean_stage: Rescale | None
    square: Rescale
    variance: Rescale
    squared_mean: Rescale | None
    shifts: tuple[int, int]
    epsilon: int
    root: ReciprocalRoot
    odd: int
    root_format: Format
    root_shift: int
    exponent: int
    variance_bound: int
    numerator_bound: int

    @classmethod
    def decide(
        cls, x: Format, scale: Fraction, count: int, epsilon: Fraction, norms: NormPolicy, *, centered: bool, mean: bool
    ) -> StagedMoments:
        """Widths for groups of `count` codes.

        Parameters
        ----------
        x
            Format of the data, with the modes that stages have by default.
        scale
            Real number that the difference of 1 in fixed point stands for.
        mean
            Whether squares are averaged; otherwise they are added.
        """
        divisor = count if mean else 1
        formats = stage_formats(x, norms)
        mean_bits = formats.mean.fraction_bits if centered else x.fraction_bits
        step = max(x.fraction_bits, mean_bits)
        largest = max(-x.min_code, x.max_code)
        mean_largest = max(-formats.mean.min_code, formats.mean.max_code) if centered else 0
        shifts = (step - x.fraction_bits, step - mean_bits)
        numerator = (largest << shifts[0]) + (mean_largest << shifts[1])
        one_pass = norms.algorithm == "one_pass"
        squared, squared_bits = (largest, x.fraction_bits) if one_pass else (numerator, step)
        square_largest = max(-formats.square.min_code, formats.square.max_code)
        code = round(epsilon / scale**2 * Fraction(2) ** formats.variance.fraction_bits)
        odd = formats.variance.fraction_bits % 2
        variance_bound = 2 * max(-formats.variance.min_code, formats.variance.max_code) + code
        bits = min(formats.root.width + _ROOT_GUARD, MAX_BITS)
        return cls(
            one_pass=one_pass,
            centered=centered,
            mean_stage=_stage(formats.mean, x.fraction_bits, largest * count, count) if centered else None,
            square=_stage(formats.square, 2 * squared_bits, squared * squared),
            variance=_stage(formats.variance, formats.square.fraction_bits, square_largest * count, divisor),
            squared_mean=_stage(formats.variance, 2 * mean_bits, mean_largest**2) if one_pass and centered else None,
            shifts=shifts,
            epsilon=code,
            root=ReciprocalRoot(bits),
            odd=odd,
            root_format=formats.root,
            # 1/√(n · 2^-F) = 1/√(n · 2^odd) · 2^((F + odd) / 2)
            root_shift=-(formats.variance.fraction_bits + odd) // 2 - formats.root.fraction_bits,
            exponent=step + formats.root.fraction_bits,
            variance_bound=variance_bound << odd,
            numerator_bound=numerator,
        )

    @property
    def mantissa_bound(self) -> int:
        """Largest magnitude of a root's code."""
        return max(-self.root_format.min_code, self.root_format.max_code)

    @property
    def formats(self) -> dict[str, Format]:
        """Format of every stage by name."""
        mean = {} if self.mean_stage is None else {"mean": self.mean_stage.output}
        return {**mean, "square": self.square.output, "variance": self.variance.output, "root": self.root_format}

    def moments(self, rows: Array, axes: tuple[int, ...], tally: Tally) -> Normalizer:
        """Moments of groups over axes of [rows, *layout] (axes counted in the layout)."""
        center = self.mean(rows, axes, tally)
        base = rows if self.one_pass else self.numerator(rows, center)
        wide = products.integers(base, self.square.bound)
        squares = _counted("square", self.square, wide * wide, tally)
        squares = products.integers(squares, self.variance.bound)
        total = np.asarray(squares.sum(axis=inner(axes), keepdims=True))
        variance = products.integers(_counted("variance", self.variance, total, tally), self.variance_bound)
        if self.squared_mean is not None:
            wide = products.integers(center, self.squared_mean.bound)
            variance = variance - _counted("variance", self.squared_mean, wide * wide, tally)
        root = self._root(self._clamped(variance, tally), tally)
        exponent = np.full(root.shape, self.exponent, np.int64)
        return Normalizer(center, root, exponent, np.zeros(root.shape, np.bool_))

    def mean(self, rows: Array, axes: tuple[int, ...], tally: Tally) -> Array:
        """Codes of the mean; zeros where nothing is centered."""
        total = np.asarray(rows.sum(axis=inner(axes), keepdims=True))
        return np.zeros_like(total) if self.mean_stage is None else _counted("mean", self.mean_stage, total, tally)

    def numerator(self, rows: Array, center: Array) -> Array:
        """Codes of c, in a new array."""
        wide = products.integers(rows, self.numerator_bound) << self.shifts[0]
        if self.centered:
            wide = wide - (products.integers(center, self.numerator_bound) << self.shifts[1])
        return wide

    @staticmethod
    def _clamped(variance: Array, tally: Tally) -> Array:
        negative = int(np.count_nonzero(variance < 0))
        if negative:
            tally.count_stage("negative variance", negative)
        return np.asarray(np.maximum(variance, 0))

    def _root(self, variance: Array, tally: Tally) -> Array:
        wide = (variance + self.epsilon) << self.odd
        infinite = np.asarray(wide == 0)
        mantissa, exponent = self.root.run(np.where(infinite, 1, wide))
        shift = exponent + self.root_shift
        if (self.root.bits - int(shift.min(initial=0))) > 62:
            mantissa = mantissa.astype(object)
        rounded = arith.shift_round(mantissa, shift, self.root_format.rounding)
        lost = arith.overflowed(rounded, self.root_format) | infinite
        tally.count_stage("root", int(np.count_nonzero(lost)))
        root: Array = arith.fit(rounded, self.root_format).astype(arith.int_dtype(self.mantissa_bound))
        root[infinite] = 0 if self.root_format.overflow is Overflow.SAT_ZERO else self.root_format.max_code
        return root


class StageFormats(NamedTuple):
    """Format of every stage."""

    mean: Format
    square: Format
    variance: Format
    root: Format


def stage_formats(x: Format, norms: NormPolicy) -> StageFormats:
    """Formats of all stages: those that were chosen, else the usual ones.

    The mean has the data's format. Squares and variance have twice its bits on both sides of the point, unsigned: no square of a difference
    of two codes overflows. The root, unsigned as well, has twice its width too, and its point is where it holds one over every deviation
    from one step to the whole range.
    """
    width, whole, fraction = x.width, x.integer_bits, x.fraction_bits
    square = Format(2 * width, 2 * whole, False, x.rounding, x.overflow)
    root = Format(2 * width, fraction + 1, False, x.rounding, x.overflow)
    return StageFormats(norms.mean or x, norms.square or square, norms.variance or square, norms.root or root)


def _stage(format_: Format, fraction_bits: int, bound: int, divisor: int = 1) -> Rescale:
    return Rescale(format_, fraction_bits - format_.fraction_bits, divisor, bound=bound)


def _counted(name: str, stage: Rescale, accumulator: Array, tally: Tally) -> Array:
    inside = Tally()
    codes = stage.run(products.integers(accumulator, stage.bound), inside)
    tally.count_stage(name, inside.overflow)
    return codes
