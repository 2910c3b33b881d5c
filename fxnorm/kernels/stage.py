"""The rescale stage at the end of a kernel: the one rounding, the activation's clip, and the overflow of the output format."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any, Final

import numpy as np

from fxnorm.fixed import arith
from fxnorm.fixed.format import Format, Rounding
from fxnorm.kernels.encoding import Encoding

Array = np.ndarray


@dataclass(slots=True)
class Tally:
    """What a kernel counts while it runs.

    Attributes
    ----------
    overflow
        Outputs that the overflow mode changed.
    accumulator_overflow
        Additions whose result the accumulator's format could not hold.
    additions
        Additions of the accumulator, all of them.
    extent
        Smallest and largest output code, where the kernel found them on its way; None: nobody looked.
    ends
        How many output codes lie at the lower and at the upper end of the format, likewise.
    stages
        What stages before the last one could not hold, by their names.
    """

    overflow: int = 0
    accumulator_overflow: int = 0
    additions: int = 0
    extent: tuple[int, int] | None = None
    ends: tuple[int, int] | None = None
    stages: dict[str, int] = field(default_factory=dict)

    def count_stage(self, name: str, count: int) -> None:
        """Add what a stage before the last one could not hold."""
        self.stages[name] = self.stages.get(name, 0) + count


# Rounding modes that do the same everywhere on the line, so that an integer may be added before or after.
_SAME_EVERYWHERE = frozenset({Rounding.TRN, Rounding.RND, Rounding.RND_MIN_INF})


@dataclass(frozen=True, slots=True)
class Rescale:
    """y = overflow(clip(round((accumulator - origin) · multiplier / (divisor · 2**shift) + zero))).

    Attributes
    ----------
    output
        Format of the result; its rounding mode rounds, its overflow mode ends the stage.
    shift
        Places to the right (negative: to the left), an integer or an int64 array that broadcasts against the accumulator.
    divisor
        Constant by which a mean divides, an integer or an int64 array likewise; the quotient is rounded exactly once.
    low, high
        Codes to which an activation clips the rounded value before overflow is looked at: what a ReLU cuts off has not
        overflowed. None: no limit.
    bound
        Largest magnitude that the accumulator can have, with the origin taken off or not; it decides whether 64-bit integers hold
        every step.
    multiplier
        Positive integer, or an array of them likewise; 1 where all steps are powers of two.
    zero
        Code of the output that stands for 0.
    origin
        Accumulator that stands for 0. Together with `zero` it is one constant in front of the rounding, one adder in hardware.
    """

    output: Format
    shift: int | Array = 0
    divisor: int | Array = 1
    low: int | None = None
    high: int | None = None
    bound: int = 0
    multiplier: int | Array = 1
    zero: int = 0
    origin: int = 0

    @property
    def multiplies(self) -> bool:
        """Whether anything is multiplied at all."""
        return bool(np.any(np.asarray(self.multiplier) != 1))

    @property
    def largest_multiplier(self) -> int:
        """Of all channels."""
        return int(np.max(self.multiplier))

    def spread(self, shape: tuple[int, ...]) -> Rescale:
        """The stage with what differs from channel to channel in a shape that broadcasts against accumulators."""

        def spread(numbers: int | Array) -> int | Array:
            return np.reshape(numbers, shape) if np.ndim(numbers) else numbers

        return replace(self, shift=spread(self.shift), multiplier=spread(self.multiplier))

    def run(self, accumulator: Array, tally: Tally) -> Array:
        """Codes in the output format, as int64 (Python integers where it has more bits), of exact accumulators of either kind."""
        rounded = self._round(accumulator)
        if self.low is not None or self.high is not None:
            rounded = np.clip(rounded, self.low, self.high)
        lost = arith.overflowed(rounded, self.output)
        count = int(np.count_nonzero(lost))
        # Only formats of inner stages can be wider than 64 bits.
        wide = self.output.max_code > arith.INT64_MAX
        if count:
            tally.overflow += count
            rounded = arith.fit(rounded.astype(object) if wide else rounded, self.output)
        return rounded if wide else rounded.astype(np.int64, copy=False)

    def _round(self, accumulator: Array) -> Array:
        left = -int(np.min(self.shift))
        divides = not (isinstance(self.divisor, int) and self.divisor == 1)
        if accumulator.dtype != object and self._needs_wide(max(left, 0), divides):
            accumulator = accumulator.astype(object)
        if self.origin:
            accumulator = accumulator - self.origin
        if self.multiplies:
            accumulator = accumulator * self.multiplier
        shift = self.shift
        before = self.zero != 0 and self.output.rounding not in _SAME_EVERYWHERE
        if before:
            # The constant comes in at the step of the product, because ties must be seen where they are.
            accumulator = arith.shift_round(accumulator, np.minimum(shift, 0), self.output.rounding)
            shift = np.maximum(shift, 0)
            accumulator = accumulator + self.zero * self._powers(shift, accumulator.dtype) * self.divisor
        rounded = self._quotient(accumulator, shift, divides)
        return rounded if before or not self.zero else np.asarray(rounded + self.zero)

    def _quotient(self, accumulator: Array, shift: int | Array, divides: bool) -> Array:
        if not divides:
            return arith.shift_round(accumulator, shift, self.output.rounding)
        # (a / d) / 2**s is one quotient: a / (d · 2**s), or (a · 2**-s) / d where s is negative.
        numerator = arith.shift_round(accumulator, np.minimum(shift, 0), self.output.rounding)
        divisor = np.asarray(self.divisor, dtype=object if accumulator.dtype == object else np.int64)
        return arith.divide_round(
            numerator, divisor * self._powers(np.maximum(shift, 0), accumulator.dtype), self.output.rounding
        )

    @staticmethod
    def _powers(shift: int | Array, dtype: np.dtype[Any]) -> Array:
        places = np.asarray(shift)
        if dtype.kind == "O":
            # Without the dtype NumPy makes 64 bits of one power that fits them, and what it is multiplied with may not fit.
            return np.asarray(2 ** places.astype(object), dtype=object)
        return np.asarray(np.int64(1) << places)

    def _needs_wide(self, left: int, divides: bool) -> bool:
        bound = (self.bound * self.largest_multiplier << left) + abs(self.zero)
        right = max(int(np.max(self.shift)), 0)
        if self.zero and self.output.rounding not in _SAME_EVERYWHERE:
            bound += abs(self.zero) * int(np.max(self.divisor)) << right
        if not divides:
            return bound >= 1 << 62
        return 2 * bound >= 1 << 62 or int(np.max(self.divisor)) << right >= 1 << 61


def stage_for(
    output: Encoding,
    lsb: int | Array,
    bound: int,
    factor: Fraction | float = 1.0,
    *,
    divisor: int | Array = 1,
    low: int | None = None,
    high: int | None = None,
    origin: int = 0,
) -> Rescale:
    """Stage that brings accumulators into an encoding.

    Parameters
    ----------
    lsb, factor
        Step of the accumulator: factor · 2**lsb, where lsb may be an array and the factor is any positive number.
    bound, divisor, low, high, origin
        As in `Rescale`.
    """
    multiplier, places = nearest_multiplier(Fraction(factor) / Fraction(output.factor), multiplier_bits(output))
    shift = output.place - lsb + places
    # What is only moved or chosen keeps its codes: nothing is taken off to be added again.
    keeps = (
        multiplier == 1 and origin == output.zero and not np.any(shift) and isinstance(divisor, int) and divisor == 1
    )
    return Rescale(
        output.format,
        shift,
        divisor=divisor,
        low=low,
        high=high,
        bound=bound,
        multiplier=multiplier,
        zero=0 if keeps else output.zero,
        origin=0 if keeps else origin,
    )


MULTIPLIER_BITS: Final = 16


def multiplier_bits(output: Encoding) -> int:
    """Bits of a rescale's multiplier: 16, or as many as keep its error below half an LSB wherever the output does not overflow."""
    return max(MULTIPLIER_BITS, output.limit.bit_length())


def nearest_multiplier(ratio: Fraction, bits: int) -> tuple[int, int]:
    """Positive number as multiplier / 2**places: the nearest one whose multiplier has some bits, in lowest terms.

    A ratio that fewer bits can express is met exactly, a power of two by the multiplier 1.
    """
    places = bits - floor_log2(ratio) - 1
    scaled = ratio * Fraction(2) ** places
    multiplier = round(scaled)
    spare = (multiplier & -multiplier).bit_length() - 1
    return multiplier >> spare, places - spare


def floor_log2(number: Fraction) -> int:
    """Largest n with 2**n not above a positive number."""
    n = number.numerator.bit_length() - number.denominator.bit_length()
    return n if Fraction(2) ** n <= number else n - 1
