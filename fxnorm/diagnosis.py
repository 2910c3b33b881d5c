"""What is wrong with how a value uses its format: saturation, piles at the ends, empty range, outliers.

Everything is judged by the counts of a run; nothing is dropped, an outlier is reported and kept.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from fxnorm.fixed.format import Format
from fxnorm.metrics import Usage, ValueReport

PILE_SHARE: Final = 0.01
"""Share of the values at one end of the range from which on they are called a pile."""

SATURATION_SHARE: Final = 0.001
"""Share of the values that overflow from which on a layer is said to saturate: single ones are noise that met the end of the range."""

EMPTY_BITS: Final = 2
"""Bits of the format that may stay unused before the range is called empty: 2 leave three quarters of it unused."""

BODY_SHARE: Final = 0.999
"""Share of the values that are the body of a distribution; what lies far outside of it are outliers."""

OUTLIER_BITS: Final = 2
"""Bits by which the farthest value may exceed the body before it is called an outlier."""

OUTLIER_COUNT: Final = 1000
"""Values below which a body cannot be told from outliers."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong.

    Attributes
    ----------
    problem
        "overflow", "pile at low", "pile at high", "one code", "empty range" or "outliers".
    amount
        Share of the values (overflow, piles, outliers) or bits (empty range, one code).
    text
        In words, for a table.
    """

    problem: str
    amount: float
    text: str


def diagnose(report: ValueReport, format_: Format, zero: int = 0) -> tuple[Finding, ...]:
    """Findings for one value, the worst first; none where nothing is wrong or nothing was seen.

    Parameters
    ----------
    report
        What was counted.
    format_
        Format of the value.
    zero
        Code of the real number 0. An activation's zeros at an end of the range are where they belong.
    """
    usage = report.usage
    if usage.count == 0:
        return ()
    found = []
    if usage.overflow:
        share = usage.overflow / usage.count
        found.append(Finding("overflow", share, f"{_percent(share)} overflow"))
    for end, code, number in (("low", format_.lowest_code, usage.at_low), ("high", format_.max_code, usage.at_high)):
        share = number / usage.count
        if share >= PILE_SHARE and code != zero and usage.low < usage.high:
            found.append(Finding(f"pile at {end}", share, f"{_percent(share)} at the {end} end"))
    if usage.low == usage.high:
        exact = report.error is not None and report.error.noise == 0.0  # FP32 has one number there too
        if usage.count > 1 and not exact:
            found.append(Finding("one code", float(format_.width), f"all {usage.low}"))
        return tuple(found)
    empty = unused_bits(usage, format_)
    if empty >= EMPTY_BITS:
        found.append(Finding("empty range", float(empty), f"{empty} bits empty"))
    outliers = _outliers(usage, format_, zero) if usage.histogram.size else None
    if outliers is not None:
        found.append(outliers)
    return tuple(found)


def unused_bits(usage: Usage, format_: Format) -> int:
    """Bits by which the format could be narrower and still hold every code seen, its zero and its step staying where they are."""
    return max(0, format_.width - usage.bits_used(format_.signed))


def _outliers(usage: Usage, format_: Format, zero: int) -> Finding | None:
    """Values far outside of where all but one in a thousand lie; distances are counted in parts of the histogram."""
    if usage.count < OUTLIER_COUNT:
        return None
    bins = len(usage.histogram)
    width = (1 << format_.width) // bins
    center = min(max((zero - format_.min_code) // width, 0), bins - 1)
    distance = np.abs(np.arange(bins) - center)
    counts = np.bincount(distance, weights=usage.histogram)
    body = int(np.searchsorted(np.cumsum(counts), BODY_SHARE * usage.count))
    # A body narrower than one part of the range is still taken to fill it.
    limit = (body + 1) * 2**OUTLIER_BITS
    beyond = int(counts[limit:].sum())
    if not beyond:
        return None
    farthest = int(np.flatnonzero(counts)[-1]) + 1
    bits = math.log2(farthest / (body + 1))
    text = f"{beyond} outlier{'s' if beyond > 1 else ''}, {bits:.0f} bits beyond the rest"
    return Finding("outliers", beyond / usage.count, text)


def _percent(share: float) -> str:
    return f"{share:.1%}" if share >= 0.0005 else "<0.1%"
