"""Expected squared error of a distribution in a format, rounding and clipping both counted."""

from __future__ import annotations

import numpy as np

from fxnorm.calibration.histogram import Histogram
from fxnorm.fixed.format import Format, Overflow, Rounding

Array = np.ndarray

_TRUNCATING = (Rounding.TRN, Rounding.TRN_ZERO)


def squared_error(histogram: Histogram, step: float, zero: int, format_: Format) -> float:
    """Mean of (x - step · (code - zero))² over a distribution, code = overflow(round(x / step + zero)).

    Numbers lie evenly within a bin, over which the error is integrated exactly: with u = x / step + zero it is u - round(u) inside
    the range of codes, and u less the end of the range, or less what else the overflow mode makes of it, outside. All roundings to
    nearest are the same here.

    Parameters
    ----------
    step
        What one code stands for, positive.
    zero
        Code of the number 0.
    """
    if not histogram.counts.size:
        return 0.0
    low, high = histogram.low / step + zero, histogram.high / step + zero
    bottom, top = float(format_.lowest_code), float(format_.max_code)
    length = np.where(high > low, high - low, 1.0)
    inner_low, inner_high = np.clip(low, bottom, top), np.clip(high, bottom, top)
    inside = _rounding(inner_high, format_.rounding) - _rounding(inner_low, format_.rounding)
    above = _beyond(np.maximum(low, top), np.maximum(high, top), True, format_)
    below = _beyond(np.minimum(low, bottom), np.minimum(high, bottom), False, format_)
    mean = (inside + above + below) / length
    single = high <= low
    if single.any():
        mean[single] = _at(low[single], bottom, top, format_)
    return float((mean * histogram.counts).sum() / histogram.counts.sum()) * step * step


def _rounding(u: Array, rounding: Rounding) -> Array:
    """Integral from 0 to u of the squared rounding error."""
    if rounding is Rounding.TRN:
        whole = np.floor(u)
        return np.asarray(whole / 3.0 + (u - whole) ** 3 / 3.0)
    if rounding is Rounding.TRN_ZERO:
        whole = np.trunc(u)
        return np.asarray(whole / 3.0 + (u - whole) ** 3 / 3.0)
    whole = np.floor(u + 0.5)
    return np.asarray(whole / 12.0 + (u - whole) ** 3 / 3.0)


def _beyond(low: Array, high: Array, above: bool, format_: Format) -> Array:
    """Integral of the squared error over a stretch outside the range."""
    target = _target(0.5 * (low + high), above, format_)
    return np.asarray(((high - target) ** 3 - (low - target) ** 3) / 3.0)


def _target(u: Array, above: bool, format_: Format) -> Array:
    """What numbers outside the range become; a wrap is the one that the middle of the stretch meets."""
    if format_.overflow is Overflow.SAT_ZERO:
        return np.zeros_like(u)
    if format_.overflow is Overflow.WRAP:
        span = float(1 << format_.width)
        turns = np.floor((u - format_.min_code) / span)
        return np.asarray(u - span * (np.maximum(turns, 1.0) if above else np.minimum(turns, -1.0)))
    return np.full_like(u, format_.max_code if above else format_.lowest_code)


def _at(u: Array, bottom: float, top: float, format_: Format) -> Array:
    """Squared error of single numbers."""
    match format_.rounding:
        case Rounding.TRN:
            code = np.floor(u)
        case Rounding.TRN_ZERO:
            code = np.trunc(u)
        case _:
            code = np.floor(u + 0.5)
    code = np.where(code > top, _target(u, True, format_), np.where(code < bottom, _target(u, False, format_), code))
    return np.asarray((u - code) ** 2)
