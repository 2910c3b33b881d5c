"""The rescale stage at the end of a kernel: the one rounding, the activation's clip, and the overflow of the output format."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from fxnorm.fixed import arith
from fxnorm.fixed.format import Format

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


@dataclass(frozen=True, slots=True)
class Rescale:
    """y = overflow(clip(round(accumulator · multiplier / (divisor · 2**shift)))).

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
        Largest magnitude that the accumulator can have; it decides whether 64-bit integers hold every step.
    """

    output: Format
    shift: int | Array = 0
    divisor: int | Array = 1
    low: int | None = None
    high: int | None = None
    bound: int = 0

    def run(self, accumulator: Array, tally: Tally) -> Array:
        """Codes in the output format, as int64 (Python integers where it has more bits), of exact accumulators of either kind."""
        rounded = self._round(accumulator)
        if self.low is not None or self.high is not None:
            rounded = np.clip(rounded, self.low, self.high)
        lost = arith.overflowed(rounded, self.output)
        count = int(np.count_nonzero(lost))
        if count:
            tally.overflow += count
            rounded = arith.fit(rounded, self.output)
        # Only formats of inner stages can be wider than 64 bits.
        return rounded if self.output.max_code > arith.INT64_MAX else rounded.astype(np.int64, copy=False)

    def _round(self, accumulator: Array) -> Array:
        left = -int(np.min(self.shift))
        divides = not (isinstance(self.divisor, int) and self.divisor == 1)
        if accumulator.dtype != object and self._needs_wide(max(left, 0), divides):
            accumulator = accumulator.astype(object)
        if not divides:
            return arith.shift_round(accumulator, self.shift, self.output.rounding)
        # (a / d) / 2**s is one quotient: a / (d · 2**s), or (a · 2**-s) / d where s is negative.
        numerator = arith.shift_round(accumulator, np.minimum(self.shift, 0), self.output.rounding)
        divisor = np.asarray(self.divisor, dtype=object if accumulator.dtype == object else np.int64)
        right = np.maximum(self.shift, 0)
        denominator = divisor * (2 ** right.astype(object) if accumulator.dtype == object else np.int64(1) << right)
        return arith.divide_round(numerator, denominator, self.output.rounding)

    def _needs_wide(self, left: int, divides: bool) -> bool:
        if not divides:
            return (self.bound << left) >= 1 << 62
        largest_divisor = int(np.max(self.divisor)) << max(int(np.max(self.shift)), 0)
        return (self.bound << (left + 1)) >= 1 << 62 or largest_divisor >= 1 << 61
