"""Threshold of least information loss: the clipped distribution against what is left of it after quantization.

S. Migacz, "8-bit Inference with TensorRT", GTC 2017: magnitudes are counted in 2,048 bins of one width. For every threshold from as
many bins as there are quantization levels up to all of them, P is the distribution up to the threshold with everything beyond it put
into its last bin, and Q is that part of the distribution merged into the levels and spread again over the bins that were not empty.
The threshold with the least Kullback-Leibler divergence of P from Q is kept. Where that last bin was empty, Q gives it one number: else
the divergence would be infinite, and an outlier that stands alone could never be clipped. The bin at zero counts as much as its
neighbour, as in NVIDIA's pytorch-quantization: zeros are held exactly under any threshold, and the many that a ReLU makes would
otherwise decide alone.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from fxnorm.calibration.histogram import Histogram

Array = np.ndarray

BINS: Final = 2048
NUMBERS_A_BIN: Final = 8
"""Numbers that a bin holds on average where there are too few for all bins: thinner histograms say nothing about a distribution."""


def entropy_threshold(histogram: Histogram, levels: int) -> float:
    """Magnitude at which values are best clipped.

    Parameters
    ----------
    levels
        Magnitudes that the format tells apart: 128 for signed 8 bits. With as many of them as bins there is nothing to lose,
        and nothing is clipped; so it is with fewer than 1,024 numbers at 8 bits.

    Returns
    -------
    At most the largest magnitude.
    """
    bins = max(1, min(BINS, histogram.total // NUMBERS_A_BIN))
    counts, width = histogram.magnitudes(bins)
    if levels >= bins:
        return width * bins
    counts[0] = counts[1]
    if not counts.any():
        return width * bins
    divergences = _divergences(counts, levels)
    return width * (levels + int(np.argmin(divergences)))


def _divergences(counts: Array, levels: int) -> Array:
    """Divergence of P from Q in nats for every threshold from `levels` bins up.

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
        shared[quotients == quotient] = logs[edges[-1]] - (_xlogx(merged) - merged * _log(bins)).sum()
    start = (levels - 1) * quotients
    last = counts[lengths - 1]
    spread = _log(sums[lengths] - sums[start]) - _log(filled[lengths] - filled[start])
    final = logs[lengths - 1] - logs[start] - (sums[lengths - 1] - sums[start]) * spread
    beyond = last + sums[-1] - sums[lengths]
    alone = (last == 0.0) & (beyond > 0.0)
    final += _xlogx(beyond) - beyond * np.where(alone, 0.0, spread)
    return np.asarray((shared + final) / sums[-1] - _log(sums[-1] / (sums[lengths] + alone)))


def _cumulated(terms: Array) -> Array:
    return np.concatenate([[0.0], np.cumsum(terms, dtype=np.float64)])


def _log(x: Array) -> Array:
    """Natural logarithm, 0 where there is nothing, which is then multiplied by nothing."""
    return np.asarray(np.log(np.where(x > 0.0, x, 1.0)))


def _xlogx(x: Array) -> Array:
    return np.asarray(x * _log(x))
