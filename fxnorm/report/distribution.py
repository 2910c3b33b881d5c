"""How the real numbers of the FP32 model lie, in a few hundred bytes a value: what a format has to hold before any normalization."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final

import numpy as np

from fxnorm.calibration.histogram import Histogram
from fxnorm.calibration.ranges import Ranges

DISTRIBUTION_PARTS: Final = 96


def distribution_records(ranges: Ranges, values: Collection[str]) -> dict[str, dict[str, Any]]:
    """Distributions by value name, of those among `values` that have one.

    Parameters
    ----------
    ranges
        Taken with histograms.
    values
        Names, usually those of a plan's values.
    """
    return {
        name: distribution_record(histogram)
        for name, histogram in ranges.histograms.items()
        if name in values and histogram.counts.size
    }


def distribution_record(histogram: Histogram, parts: int = DISTRIBUTION_PARTS) -> dict[str, Any]:
    """Smallest and largest number, and how many lie in each of equal parts between them.

    Numbers are taken to lie evenly within a bin of the histogram, so single counts may be off by some; their sum is exact.

    Parameters
    ----------
    histogram
        Of at least one number.
    parts
        How many; a value that is one number has one.
    """
    low, high = float(histogram.low.min()), float(histogram.high.max())
    if not low < high:
        return {"low": low, "high": high, "counts": [histogram.total]}
    edges = np.linspace(low, high, parts + 1)
    single = histogram.high <= histogram.low
    starts, ends, counts = histogram.low[~single], histogram.high[~single], histogram.counts[~single]
    spread = counts / np.where(ends > starts, ends - starts, 1.0)
    below = np.array([np.sum(spread * (np.clip(edge, starts, ends) - starts)) for edge in edges])
    # Rounded where they add up, so that what one part loses the next one has.
    found = np.diff(np.rint(below)).astype(np.int64)
    places = np.minimum(((histogram.low[single] - low) / (high - low) * parts).astype(np.int64), parts - 1)
    np.add.at(found, places, histogram.counts[single])
    return {"low": low, "high": high, "counts": [int(count) for count in found]}
