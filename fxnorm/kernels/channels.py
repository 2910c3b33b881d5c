"""Weights whose every output channel has a step and a multiplier of its own, so that its largest weight is the largest code.

The step follows from the multiplier: it is the smallest one that holds the channel's weights and of which the accumulator's step is
M · 2^-s output steps, M an integer of 16 bits. So the multiplication adds no error; the price is a step that is coarser by less than 2^-9.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

import numpy as np

from fxnorm.fixed.format import Format, Rounding
from fxnorm.kernels.encoding import Encoding, code_dtype, round_quotients
from fxnorm.kernels.stage import MULTIPLIER_BITS, Rescale, floor_log2

Array = np.ndarray

LEAST_BITS: Final = 10
"""Bits that a multiplier must have: a channel whose weights are so small that fewer would be left gets a shift of its own."""


@dataclass(frozen=True, slots=True)
class ChannelScales:
    """Steps of weights and the multipliers that go with them, one an output channel.

    Attributes
    ----------
    steps
        Real numbers that one code of a weight stands for.
    multipliers, shifts
        The accumulator's step in output steps: multiplier / 2**shift.
    """

    steps: tuple[Fraction, ...]
    multipliers: tuple[int, ...]
    shifts: tuple[int, ...]

    @classmethod
    def of(
        cls, weights: Array, format_: Format, floor: Array, unit: Fraction, output: Fraction
    ) -> ChannelScales | None:
        """Find them; None where all weights are 0, or become 0 in any case, so that any step does.

        Parameters
        ----------
        weights
            Real numbers, output channels first.
        format_
            Of the codes.
        floor
            Exponents below which a channel's scale is of no use, int64 [channels].
        unit
            What one code of the accumulator stands for where one code of a weight stands for 1.
        output
            Step of the output.
        """
        least = smallest_steps(weights, format_)
        if not any(least):
            return None
        finest = [Fraction(2) ** (int(e) - format_.fraction_bits) for e in floor]
        # A channel of zeros takes what the largest one has.
        ratios = [max(step or max(least), fine) * unit / output for step, fine in zip(least, finest, strict=True)]
        shared = _places(max(ratios))
        pairs = [_rounded_up(ratio, shared) for ratio in ratios]
        found = unit / output
        steps = [Fraction(multiplier) / Fraction(2) ** shift / found for multiplier, shift in pairs]
        return cls(tuple(steps), tuple(m for m, _ in pairs), tuple(s for _, s in pairs))

    def encode(self, weights: Array, format_: Format) -> Array:
        """Codes of the weights, rounded to nearest even; none overflows."""
        flat = weights.reshape(len(weights), -1)
        codes = np.empty(flat.shape, code_dtype(format_))
        for channel, step in enumerate(self.steps):
            codes[channel] = np.clip(_nearest(flat[channel], step), format_.min_code, format_.max_code)
        return codes.reshape(weights.shape)

    def stage(self, output: Encoding, bound: int, low: int | None, high: int | None) -> Rescale:
        """Stage that brings accumulators of these channels into an encoding; one integer where all have the same multiplier."""
        spare = [(m & -m).bit_length() - 1 for m in self.multipliers]
        reduced = [m >> places for m, places in zip(self.multipliers, spare, strict=True)]
        multiplier: int | Array = np.array(self.multipliers, np.int64)
        shifts = np.array(self.shifts, np.int64)
        if len(set(reduced)) == 1:
            multiplier, shifts = reduced[0], shifts - np.array(spare, np.int64)
        return Rescale(output.format, shifts, low=low, high=high, bound=bound, multiplier=multiplier, zero=output.zero)


# Quotients closer to a tie than this are decided in fractions: float64 is off by less, as codes have 32 bits at most.
_DOUBT: Final = 2.0**-16


def _nearest(values: Array, step: Fraction) -> Array:
    """Integers nearest to values / step, exactly, ties to even; int64 or Python integers."""
    # Half a unit may be far more than all of a double's places where steps are next to nothing.
    if not 2.0**-900 < step < 2.0**900:
        return round_quotients(values, step, 0, Rounding.RND_CONV)
    quotient = values.astype(np.float64) / float(step)
    if np.abs(quotient).max(initial=0.0) >= 2.0**33:
        return round_quotients(values, step, 0, Rounding.RND_CONV)
    codes = np.rint(quotient).astype(np.int64)
    doubtful = np.flatnonzero(np.abs(np.abs(quotient - codes) - 0.5) < _DOUBT)
    for place in doubtful.tolist():
        codes[place] = round(Fraction(float(values[place])) / step)
    return codes


def smallest_steps(weights: Array, format_: Format) -> list[Fraction]:
    """Smallest step of each channel under which its weights lie within the codes of a format; 0 for a channel of zeros.

    Raises
    ------
    ValueError
        If weights are not finite.
    """
    flat = weights.reshape(len(weights), -1)
    if not flat.size or not format_.max_code:
        return [Fraction(0)] * len(weights)
    if not np.isfinite(flat).all():
        raise ValueError("weights must be finite")
    found = []
    for low, high in zip(flat.min(axis=1).tolist(), flat.max(axis=1).tolist(), strict=True):
        step = max(Fraction(0), Fraction(high) / format_.max_code)
        # Without a sign there is no code for what is negative; it saturates.
        found.append(max(step, Fraction(low) / format_.min_code) if format_.min_code else step)
    return found


def _places(ratio: Fraction) -> int:
    """Places for which a ratio, rounded up, has the bits of a multiplier."""
    places = MULTIPLIER_BITS - 1 - floor_log2(ratio)
    return places if math.ceil(ratio * Fraction(2) ** places) < 1 << MULTIPLIER_BITS else places - 1


def _rounded_up(ratio: Fraction, shared: int) -> tuple[int, int]:
    """Smallest multiplier / 2**places that is not below a ratio, with the places that channels share wherever they leave enough bits."""
    multiplier = math.ceil(ratio * Fraction(2) ** shared)
    if multiplier >= 1 << (LEAST_BITS - 1):
        return multiplier, shared
    places = _places(ratio)
    return math.ceil(ratio * Fraction(2) ** places), places
