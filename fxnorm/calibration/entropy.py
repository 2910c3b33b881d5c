"""Threshold of least information loss: the clipped distribution against what is left of it after quantization.

S. Migacz, "8-bit Inference with TensorRT", GTC 2017: magnitudes are counted in 2,048 bins of one width. For every threshold from as
many bins as there are quantization levels up to all of them, P is the distribution up to the threshold with everything beyond it put
into its last bin, and Q is that part of the distribution merged into the levels and spread again over the bins that were not empty.
The threshold with the least Kullback-Leibler divergence of P from Q is kept.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from fxnorm.calibration.histogram import Histogram

Array = np.ndarray

BINS: Final = 2048


def entropy_threshold(histogram: Histogram, levels: int, bins: int = BINS) -> float:
    """Magnitude at which values are best clipped.

    Parameters
    ----------
    levels
        Magnitudes that the format tells apart: 128 for signed 8 bits. With as many of them as bins there is nothing to lose,
        and nothing is clipped.

    Returns
    -------
    At most the largest magnitude.
    """
    counts, width = histogram.magnitudes(bins)
    if levels >= bins:
        return width * bins
    divergences = _divergences(counts, levels)
    return width * (levels + int(np.argmin(divergences)))


def _divergences(counts: Array, levels: int) -> Array:
    """Divergence of P from Q in nats for every threshold from `levels` bins up; infinite where P has numbers and Q has none.

    Each level merges length // levels bins, the last one the remainder too. All levels but the last are the same for every
    length of one quotient, so that cumulated sums give all thresholds at once.
    """
    lengths = np.arange(levels, len(counts) + 1)
    sums, logs, filled = (_cumulated(terms) for terms in (counts, _xlogx(counts), counts > 0.0))
    quotients = lengths // levels
    shared = np.zeros(len(lengths))
    for quotient in np.unique(quotients):
        edges = np.arange(levels) * quotient
        merged, bins = np.diff(sums[edges]), np.diff(filled[edges])
        # Σ q·log(q / spread), where the spread of a level is its sum over its bins that were not empty.
        loss = logs[edges[-1]] - (_xlogx(merged) - merged * np.log(np.maximum(bins, 1.0))).sum()
        shared[quotients == quotient] = loss
    start = (levels - 1) * quotients
    inside, bins = sums[lengths] - sums[start], filled[lengths] - filled[start]
    last = counts[lengths - 1]
    beyond = last + sums[-1] - sums[lengths]
    with np.errstate(divide="ignore", invalid="ignore"):
        log_spread = np.log(inside) - np.log(bins)
        final = logs[lengths - 1] - logs[start] + _xlogx(beyond) - (inside - last + beyond) * log_spread
        final = np.where(inside - last + beyond > 0.0, final, 0.0)
        found = (shared + final) / sums[-1] - np.log(sums[-1] / sums[lengths])
    return np.where((last == 0.0) & (beyond > 0.0), np.inf, found)


def _cumulated(terms: Array) -> Array:
    return np.r_[0.0, np.cumsum(terms, dtype=np.float64)]


def _xlogx(x: Array) -> Array:
    return np.asarray(x * np.log(np.where(x > 0.0, x, 1.0)))
