"""Center and reciprocal deviation of groups, in 64-bit integers; see `fxnorm.kernels.norm_exact` and `norm_staged`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fxnorm.exact_onnx.numbers import Arithmetic, Inexact, Kind, Number
from fxnorm.exact_onnx.rounding import fit, stage
from fxnorm.exact_onnx.words import raised, reciprocal, reciprocal_root, shift_round
from fxnorm.fixed.format import Overflow
from fxnorm.kernels.norm_exact import ExactMoments, MagnitudeSum
from fxnorm.kernels.norm_staged import StagedMoments


@dataclass(frozen=True, slots=True)
class Normalizer:
    """x̂ = (factor · x − center) · mantissa · 2^-exponent, of numbers and centers moved to one step.

    Attributes
    ----------
    center
        None where nothing is centered.
    mantissa, exponent
        Numbers whose reduced axes have length 1.
    infinite
        Name of where nothing deviates and there is no ε; None where that cannot be.
    scale
        Factor of x, and places by which x and the center go to the left.
    """

    center: Number | None
    mantissa: Number
    exponent: Number
    infinite: str | None
    scale: tuple[int, tuple[int, int]]

    def numerator(self, ops: Arithmetic, x: Number) -> Number:
        """factor · x − center."""
        factor, (up_x, up_center) = self.scale
        term = raised(ops, x if factor == 1 else ops.multiply(x, factor), up_x)
        return term if self.center is None else ops.subtract(term, raised(ops, self.center, up_center))


def moments_of(
    ops: Arithmetic, block: ExactMoments | StagedMoments | MagnitudeSum, x: Number, axes: Sequence[int], count: int
) -> Normalizer:
    """Normalizer of groups of `count` numbers over axes."""
    match block:
        case ExactMoments():
            return _exact(ops, block, x, axes, count)
        case StagedMoments():
            return _staged(ops, block, x, axes, count)
        case MagnitudeSum():
            total = ops.total(ops.magnitude(x), axes, count, keep=True)
            mantissa, exponent = reciprocal(
                ops, block.reciprocal, ops.within(ops.maximum(total, 1), 1, max(total.high, 1))
            )
            return Normalizer(None, mantissa, exponent, ops.compare("Equal", total, 0), (1, (0, 0)))


def _exact(ops: Arithmetic, block: ExactMoments, x: Number, axes: Sequence[int], count: int) -> Normalizer:
    squares = ops.total(ops.square(x), axes, count, keep=True)
    deviation = ops.multiply(squares, block.factor)
    center = None
    if block.centered:
        center = ops.total(x, axes, count, keep=True)
        deviation = ops.subtract(deviation, ops.square(center))
    deviation = ops.within(deviation, 0, max((block.bound - block.epsilon) >> block.fraction_bits, 0))
    mantissa, exponent = _root(ops, block, deviation)
    infinite = ops.compare("Equal", deviation, 0) if block.epsilon == 0 else None
    return Normalizer(center, mantissa, exponent, infinite, (block.factor, (0, 0)))


def _root(ops: Arithmetic, block: ExactMoments, deviation: Number) -> tuple[Number, Number]:
    """Mantissa and exponent of the reciprocal root of D · 2^k + E."""
    k = block.fraction_bits
    if block.bound <= Kind.INT64.limit:
        radicand = ops.maximum(ops.add(raised(ops, deviation, k), block.epsilon), block.least)
        radicand = ops.within(radicand, block.least, max(radicand.high, block.least))
        mantissa, exponent = reciprocal_root(ops, block.root, radicand)
        return mantissa, ops.subtract(exponent, k // 2)
    position = block.root.constants.position_bits
    places = position + position % 2
    whole_bound = (block.bound >> k) + 1
    if whole_bound > Kind.INT64.limit or position + places >= 62 or block.least != 1 << k:
        raise Inexact(f"the deviation of a group needs {block.bound.bit_length()} bits, and 64-bit integers hold 62")
    # The root reads the leading one and the bits right behind it: the multiple of 2^k in the radicand has them all, or that is so small
    # that it fits with zeros behind it, up to where the root reads.
    whole = ops.add(deviation, block.epsilon >> k)
    rest = ops.constant(np.asarray((block.epsilon & ((1 << k) - 1)) << (places - k)), Kind.INT64)
    fraction = ops.where(ops.compare("Greater", whole, 0), rest, 0)
    whole = ops.within(ops.maximum(whole, 1), 1, whole_bound)
    small = ops.compare("Less", whole, 1 << position)
    near = ops.minimum(whole, 1 << position)
    moved = ops.add(raised(ops, near, places), fraction)
    radicand = ops.where(small, moved, whole)
    mantissa, exponent = reciprocal_root(ops, block.root, ops.within(radicand, 1, radicand.high))
    return mantissa, ops.subtract(exponent, ops.where(small, ops.constant(np.asarray(places // 2), Kind.INT64), 0))


def staged_mean(ops: Arithmetic, block: StagedMoments, x: Number, axes: Sequence[int], count: int) -> Number:
    """Code of the mean of every group."""
    assert block.mean_stage is not None
    return ops.words(stage(ops, block.mean_stage, ops.total(x, axes, count, keep=True)))


def _staged(ops: Arithmetic, block: StagedMoments, x: Number, axes: Sequence[int], count: int) -> Normalizer:
    center = staged_mean(ops, block, x, axes, count) if block.centered else None
    shape = 1, block.shifts
    centered = Normalizer(center, x, x, None, shape).numerator(ops, x)
    squares = stage(ops, block.square, ops.square(x if block.one_pass else centered))
    variance = stage(ops, block.variance, ops.total(ops.words(squares), axes, count, keep=True))
    if block.squared_mean is not None:
        assert center is not None
        variance = ops.subtract(ops.words(variance), stage(ops, block.squared_mean, ops.square(center)))
    root = _staged_root(ops, block, ops.maximum(ops.words(variance), 0))
    exponent = ops.constant(np.asarray(block.exponent), Kind.INT64)
    return Normalizer(center, root, exponent, None, shape)


def _staged_root(ops: Arithmetic, block: StagedMoments, variance: Number) -> Number:
    """Code of 1 / √(v + ε) in its format; its largest code where that is 1 / 0."""
    format_ = block.root_format
    wide = raised(ops, ops.add(variance, block.epsilon), block.odd)
    infinite = ops.compare("Equal", wide, 0)
    mantissa, exponent = reciprocal_root(ops, block.root, ops.within(ops.maximum(wide, 1), 1, max(wide.high, 1)))
    shift = ops.add(exponent, block.root_shift)
    bound = mantissa.bound << max(-shift.low, 0)
    rounded = shift_round(ops, mantissa, shift, format_.rounding, bound)
    end = 0 if format_.overflow is Overflow.SAT_ZERO else format_.max_code
    return ops.words(ops.where(infinite, end, fit(ops, rounded, format_)))
