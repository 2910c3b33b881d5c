"""Distribution of one value in one pass and in bounded memory: bins that are as fine as the numbers in them are small.

A bin holds the float32 numbers that share sign, exponent and the first seven bits of the mantissa (the upper half of the word, which
is a bfloat16), so that its width is at most 1/128 of its numbers, whatever range they turn out to have. There are at most 65,536 bins,
whatever the number of samples; only those that were met are kept. Bins of this kind need no range beforehand and add up over
chunks; a High Dynamic Range Histogram works in the same way. The number at a bin's own end is counted apart, because data often has
whole numbers, zeros and the bounds of activations in it, which a format holds exactly or not at all.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

Array = np.ndarray

BINS = 1 << 16
_SIGN = 1 << 15
_INFINITE = 0x7F80
_BLOCK = 1 << 20


@dataclass(frozen=True, eq=False)
class Histogram:
    """Counts of adjacent bins, ascending; numbers are taken to lie evenly within a bin.

    Attributes
    ----------
    low, high
        Ends of the bins, float64; equal where a bin is one number.
    counts
        How many numbers lie in each, int64.
    """

    low: Array
    high: Array
    counts: Array

    @property
    def total(self) -> int:
        """How many numbers there are."""
        return int(self.counts.sum())

    def quantile(self, share: float) -> float:
        """Number below which a share of the data lies, interpolated within its bin.

        Parameters
        ----------
        share
            0 gives the smallest number, 1 the largest.
        """
        cumulated = np.cumsum(self.counts)
        rank = share * cumulated[-1]
        place = min(int(np.searchsorted(cumulated, rank, side="left")), len(cumulated) - 1)
        inside = float(1.0 - (cumulated[place] - rank) / self.counts[place])
        low, high = float(self.low[place]), float(self.high[place])
        return low + (high - low) * min(max(inside, 0.0), 1.0)

    def magnitudes(self, bins: int) -> tuple[Array, float]:
        """Histogram of absolute values in bins of one width from 0 to the largest.

        Returns
        -------
        counts
            float64 [bins]: a bin of this histogram is shared among those that it overlaps.
        width
            Of a bin.
        """
        largest = float(np.maximum(np.abs(self.low), np.abs(self.high)).max(initial=0.0))
        if largest == 0.0:
            return np.r_[float(self.total), np.zeros(bins - 1)], 0.0
        width = largest / bins
        edges = np.arange(bins + 1) * width
        edges[-1] = largest
        single = self.high <= self.low
        cumulated = np.zeros(bins + 1)
        for side in (~single & (self.low >= 0.0), ~single & (self.low < 0.0)):
            ends = np.stack([self.low[side], self.high[side]], axis=1).reshape(-1)
            if not ends.size:
                continue
            after = np.cumsum(self.counts[side])
            until = np.stack([after - self.counts[side], after], axis=1).reshape(-1).astype(np.float64)
            if ends[0] < 0.0:
                ends, until = -ends[::-1], until[-1] - until[::-1]
            cumulated += np.interp(edges, ends, until)
        counts = np.diff(cumulated)
        places = np.minimum((np.abs(self.low[single]) / width).astype(np.int64), bins - 1)
        np.add.at(counts, places, self.counts[single])
        return counts, width


@dataclass(slots=True)
class HistogramCounter:
    """Counts the numbers of one value, chunk by chunk.

    Attributes
    ----------
    keys, counts
        Bins met so far (upper halves of float32 words, ascending) and how many numbers they hold.
    ends
        How many of them are the number of least magnitude in their bin.
    """

    keys: Array = field(default_factory=lambda: np.zeros(0, np.int64))
    counts: Array = field(default_factory=lambda: np.zeros(0, np.int64))
    ends: Array = field(default_factory=lambda: np.zeros(0, np.int64))

    def add(self, array: Array) -> None:
        """Take in numbers of any shape; infinities and NaN count nowhere."""
        flat = np.ascontiguousarray(array).reshape(-1)
        counts, ends = np.zeros(BINS, np.int64), np.zeros(BINS, np.int64)
        for start in range(0, flat.size, _BLOCK):
            with np.errstate(over="ignore"):
                words = flat[start : start + _BLOCK].astype(np.float32).view(np.uint32)
            keys = words >> 16
            counts += np.bincount(keys, minlength=BINS)
            ends += np.bincount(keys[(words & 0xFFFF) == 0], minlength=BINS)
        counts[self.keys] += self.counts
        ends[self.keys] += self.ends
        for fresh in (counts, ends):
            fresh[0] += fresh[_SIGN]  # minus zero
            fresh[_SIGN] = 0
        self.keys = np.flatnonzero(counts)
        self.counts, self.ends = counts[self.keys], ends[self.keys]

    def histogram(self, low: float, high: float) -> Histogram:
        """What was counted, between the smallest and the largest number, which are known exactly."""
        magnitude = self.keys & (_SIGN - 1)
        kept = magnitude < _INFINITE
        magnitude, counts, ends = magnitude[kept], self.counts[kept], self.ends[kept]
        negative = self.keys[kept] >= _SIGN
        near, far = _number(magnitude), _number(magnitude + 1)
        # The bin at zero reaches up to 2^-133; the least float32 numbers in it are as good as zero.
        far = np.where(magnitude == 0, 0.0, far)
        ends = np.where(magnitude == 0, counts, ends)
        lower, upper = np.where(negative, -far, near), np.where(negative, -near, far)
        alone = np.where(negative, -near, near)
        spread, single = counts > ends, ends > 0
        lower = np.clip(np.concatenate([lower[spread], alone[single]]), low, high)
        upper = np.clip(np.concatenate([upper[spread], alone[single]]), low, high)
        order = np.lexsort((upper, lower))
        return Histogram(lower[order], upper[order], np.concatenate([(counts - ends)[spread], ends[single]])[order])


def _number(keys: Array) -> Array:
    """Smallest magnitude of a bin, float64; that of infinity is 2^128."""
    words = (keys.astype(np.uint32) << 16).view(np.float32).astype(np.float64)
    return np.where(keys >= _INFINITE, 2.0**128, words)
