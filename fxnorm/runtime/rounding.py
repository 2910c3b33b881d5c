"""The rescale stage on floating-point accumulators that are exact integers times a power of two."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from fxnorm.fixed import arith
from fxnorm.fixed.format import Format, Overflow, Rounding
from fxnorm.kernels.stage import Rescale, Tally
from fxnorm.runtime import fused

Array = np.ndarray

EXACT = {np.dtype(np.float32): 1 << 24, np.dtype(np.float64): 1 << 53}
EXACT_CODE = EXACT[np.dtype(np.float32)]
# Roundings that are one floating-point operation on (value + addend).
_ADDENDS = {Rounding.TRN: 0.0, Rounding.RND: 0.5, Rounding.RND_CONV: 0.0}


def smallest_float(bound: int) -> type[np.float32 | np.float64] | None:
    """Narrowest floating-point type that holds all integers up to a bound; None where none does."""
    if bound <= EXACT[np.dtype(np.float32)]:
        return np.float32
    return np.float64 if bound <= EXACT[np.dtype(np.float64)] else None


@dataclass(frozen=True, slots=True)
class FloatStage:
    """Rounds, clips and counts accumulators that were already multiplied by multiplier · 2**-shift and got `addend` added.

    Attributes
    ----------
    rounding
        One of TRN, RND, RND_CONV.
    rounds
        Whether anything is dropped at all.
    low, high
        The activation's clip; huge where there is none.
    output
        Format of the result.
    zero
        Code of the output that stands for 0.
    """

    rounding: Rounding
    rounds: bool
    low: float
    high: float
    output: Format
    zero: int

    @classmethod
    def of(cls, stage: Rescale, bound: int) -> tuple[Self, Array, type[np.float32 | np.float64]] | None:
        """Stage, factors multiplier · 2**-shift and accumulator type for a stage; None where only integers will do.

        Parameters
        ----------
        bound
            Largest magnitude of the accumulator in its own units.
        """
        # Whatever a stage may come to do beyond this keeps it away from here until it is proven.
        plain = Rescale(
            stage.output,
            stage.shift,
            low=stage.low,
            high=stage.high,
            bound=stage.bound,
            multiplier=stage.multiplier,
            zero=stage.zero,
        )
        known = all(_same(getattr(stage, name), getattr(plain, name)) for name in stage.__dataclass_fields__)
        output = stage.output
        if not known or output.rounding not in _ADDENDS or output.width > 24:
            return None
        shifts = np.asarray(stage.shift)
        bound *= stage.largest_multiplier
        right, left = max(int(shifts.max()), 0), max(-int(shifts.min()), 0)
        half = (1 << max(right - 1, 0)) + (abs(stage.zero) << right)
        # A channel that is not shifted to the right still gets the half that others round with: one more bit.
        needed = max(bound + half, 2 * ((bound << left) + abs(stage.zero)) + 1)
        dtype = smallest_float(needed)
        # Scaled weights must stay normal numbers.
        if dtype is None or int(shifts.min()) < -100 or int(shifts.max()) > 100:
            return None
        if (stage.low or 0) > EXACT_CODE or (stage.high or 0) < -EXACT_CODE:
            return None
        # No accumulator reaches further, so that a clip beyond does nothing.
        low = -fused.HUGE if stage.low is None or stage.low < -EXACT_CODE else float(stage.low)
        high = fused.HUGE if stage.high is None or stage.high > EXACT_CODE else float(stage.high)
        found = cls(output.rounding, bool((shifts > 0).any()), low, high, output, stage.zero)
        return found, np.ldexp(np.asarray(stage.multiplier, np.float64), -shifts), dtype

    @property
    def addend(self) -> float:
        """What is to be added to the scaled accumulator before it comes here."""
        return self.zero + (_ADDENDS[self.rounding] if self.rounds else 0.0)

    def run(self, scaled: Array, tally: Tally) -> Array:
        """Codes as float32; the argument is used up."""
        # What was computed from a transposed view lies in memory as that did: only then is this a copy.
        scaled = np.ascontiguousarray(scaled)
        flat = scaled.reshape(-1)
        kind = scaled.dtype.type
        lowest, highest = kind(self.output.lowest_code), kind(self.output.max_code)
        if self.output.overflow in (Overflow.SAT, Overflow.SAT_SYM):
            one_pass = fused.round_and_saturate if self._to_even else fused.floor_and_saturate
            count_into(tally, one_pass(flat, kind(self.low), kind(self.high), lowest, highest))
            return scaled.astype(np.float32, copy=False)
        (np.rint if self._to_even else np.floor)(flat, out=flat)
        np.clip(flat, kind(self.low), kind(self.high), out=flat)
        lost = (flat < lowest) | (flat > highest)
        if lost.any():
            tally.overflow += int(np.count_nonzero(lost))
            flat[lost] = arith.fit(flat[lost].astype(np.int64), self.output)
        return scaled.astype(np.float32, copy=False)

    @property
    def _to_even(self) -> bool:
        return self.rounds and self.rounding is Rounding.RND_CONV


def count_into(tally: Tally, counts: tuple[int, int, int, int, int]) -> None:
    """Add what a fused pass returned."""
    overflowed, at_low, at_high, smallest, largest = counts
    tally.overflow += int(overflowed)
    tally.ends = int(at_low), int(at_high)
    tally.extent = int(smallest), int(largest)


def _same(a: object, b: object) -> bool:
    return a is b or bool(np.array_equal(np.asarray(a), np.asarray(b)))
