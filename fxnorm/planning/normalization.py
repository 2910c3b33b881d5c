"""The normalization of one value: the scale and offset that bring its range into a format."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from fxnorm.calibration.histogram import Histogram
from fxnorm.calibration.noise import squared_error
from fxnorm.fixed.format import Format
from fxnorm.kernels.encoding import Encoding, fitting_exponent
from fxnorm.kernels.stage import MULTIPLIER_BITS, floor_log2

MANTISSA_BITS: Final = 53
"""Bits of a step: what float64 holds."""

NEIGHBOURS: Final = 3
"""Zeros that are tried on either side of the one that would fit best if it needed not be an integer."""

SLACK: Final = Fraction(9, 8)
"""Ratio of steps up to which a coarser one is taken where it spares a multiplier: 1 dB."""

PATIENCE: Final = 12
"""Clips, each an eighth of a bit more than the last, after which an error that does not shrink is taken to grow."""

FINER: Final = 1 + Fraction(1, 1 << 20)
"""Ratio of steps that are tried one after the other where no multiplier limits them."""


def fit_power(low: float, high: float, format_: Format, histogram: Histogram | None = None) -> Encoding:
    """Encoding with the smallest power of two by which an interval must be divided to round into a format without overflow.

    Parameters
    ----------
    low, high
        Ends of the interval, finite.
    histogram
        Where the mean square error decides: the distribution, of which the format may then clip what costs less than a finer step gains.
    """
    exponent = fitting_exponent(low, high, format_)
    if histogram is None:
        return Encoding(format_, exponent)
    # The first of equals is the largest, which clips least.
    candidates = [Encoding(format_, e) for e in range(exponent, exponent - format_.width - 1, -1)]
    return min(candidates, key=lambda encoding: _error(encoding, histogram))


@dataclass(frozen=True, slots=True)
class Affine:
    """What an affine normalization must heed.

    Attributes
    ----------
    zero
        Whether the number 0 must be one of the codes.
    unit
        Step of the accumulator that the value comes from, but for a power of two: the step is then one that a multiplier of `bits`
        bits meets exactly, so that the multiplication adds no error. None: any step.
    bits
        Bits of that multiplier; 1 leaves powers of two.
    """

    zero: bool
    unit: Fraction | None = None
    bits: int = MULTIPLIER_BITS

    def fit(self, low: float, high: float, format_: Format, histogram: Histogram | None = None) -> Encoding:
        """Encoding with the smallest step that holds an interval; or the one of least error, as in `fit_power`.

        The ends of the interval lie within the codes before anything is rounded, so that no rounding mode lets them overflow.
        """
        widest = self._fit(low, high, format_)
        if histogram is None or not histogram.counts.size:
            return widest
        return self._least_error(low, high, widest, histogram)

    def _fit(self, low: float, high: float, format_: Format) -> Encoding:
        if self.zero or low == high:
            low, high = min(low, 0.0), max(high, 0.0)
        if low == high:
            return Encoding(format_)
        bottom, top = Fraction(low), Fraction(high)
        lowest, highest = format_.lowest_code, format_.max_code
        least = (top - bottom) / (highest - lowest)
        middle = round(lowest - bottom / least)
        found = []
        for zero in range(middle - NEIGHBOURS, middle + NEIGHBOURS + 1):
            window = _window(bottom, top, lowest - zero, highest - zero)
            if window is not None:
                step = next(self._steps(window[0]))
                found += [(step, zero)] if window[1] is None or step <= window[1] else []
        if not found:
            # Data far from 0: the zero moves by many codes from one step to the next, and some step soon meets both ends.
            tried = ((step, math.ceil(lowest - bottom / step)) for step in self._steps(least))
            found = [next((step, zero) for step, zero in tried if top / step + zero <= highest)]
        return _encoding(format_, *min(found))

    def _steps(self, least: Fraction) -> Iterator[Fraction]:
        """Steps from a least one on, ascending."""
        if self.unit is None:
            step = _rounded_up(least)
            while True:
                yield step
                step = _rounded_up(step * FINER)
        # unit · 2**k / multiplier, the multiplier descending.
        largest = (1 << self.bits) - 1
        k = floor_log2(least / self.unit) + self.bits
        multiplier = math.floor(self.unit * Fraction(2) ** k / least)
        if multiplier > largest:
            k -= 1
            multiplier = math.floor(self.unit * Fraction(2) ** k / least)
        while True:
            yield _rounded_up(self.unit * Fraction(2) ** k / multiplier)
            if multiplier > 1 << (self.bits - 1):
                multiplier -= 1
            else:
                k, multiplier = k + 1, largest

    def _least_error(self, low: float, high: float, widest: Encoding, histogram: Histogram) -> Encoding:
        """Clip one end, then the other, as long as the error shrinks; distances are taken from 0, or from the median where 0 is outside."""
        center = 0.0 if self.zero or low <= 0.0 <= high else histogram.quantile(0.5)
        best, least = widest, _error(widest, histogram)
        ends = [low, high]
        for index in (1, 0, 1, 0):
            full, last = ends[index] - center, 0
            for eighths in range(1, PATIENCE * widest.format.width):
                tried = list(ends)
                tried[index] = center + full * 2.0 ** (-eighths / 8)
                if tried[0] >= tried[1] or eighths - last > PATIENCE:
                    break
                encoding = self._fit(tried[0], tried[1], widest.format)
                error = _error(encoding, histogram)
                if error < least:
                    best, least, ends, last = encoding, error, tried, eighths
        return best


def cheapest(
    found: Encoding, interval: tuple[float, float], inputs: Sequence[Encoding], *, zero: bool, passes: bool
) -> Encoding:
    """Encoding of a result of several operands that spares multipliers at the price of at most `SLACK` of its step.

    Parameters
    ----------
    found
        The encoding that would fit best.
    interval
        What it must hold.
    inputs
        Encodings of the operands.
    zero
        Whether 0 must be one of the codes.
    passes
        Whether the operation moves or chooses data: then the encoding of an operand leaves that operand as it is.
    """
    low, high = (Fraction(end) for end in interval)
    limit = found.step * SLACK
    if passes:
        holding = [
            encoding
            for encoding in inputs
            if encoding.format == found.format
            and encoding.step <= limit
            and (encoding.format.lowest_code - encoding.zero) * encoding.step <= low
            and high <= (encoding.format.max_code - encoding.zero) * encoding.step
            and (encoding.holds_zero or not zero)
        ]
        if holding:
            return min(holding, key=lambda encoding: encoding.step)
    shared = [Affine(zero, Fraction(encoding.factor), bits=1).fit(*interval, found.format) for encoding in inputs]
    best = min(shared, key=lambda encoding: encoding.step)
    return best if best.step <= limit else found


def _window(bottom: Fraction, top: Fraction, first: int, last: int) -> tuple[Fraction, Fraction | None] | None:
    """Least and largest step for which an interval lies between two codes that are counted from 0.

    Returns
    -------
    The steps with first · step <= bottom and top <= last · step; the largest is None where all above the least will do.
    """
    least: Fraction = Fraction(0)
    most: Fraction | None = None
    for code, end in ((last, top), (-first, -bottom)):  # end <= code · step
        if code > 0:
            least = max(least, end / code)
        elif end >= 0 and (code < 0 or end > 0):
            return None
        elif code < 0:
            most = end / code if most is None else min(most, end / code)
    return None if most is not None and most < least else (least, most)


def _error(encoding: Encoding, histogram: Histogram) -> float:
    return squared_error(histogram, float(encoding.step), encoding.zero, encoding.format)


def _rounded_up(step: Fraction) -> Fraction:
    """Smallest number of `MANTISSA_BITS` bits that is not below another."""
    unit = Fraction(2) ** (floor_log2(step) - MANTISSA_BITS + 1)
    return math.ceil(step / unit) * unit


def _encoding(format_: Format, step: Fraction, zero: int) -> Encoding:
    place = floor_log2(step)
    return Encoding(format_, place + format_.fraction_bits, float(step / Fraction(2) ** place), zero)
