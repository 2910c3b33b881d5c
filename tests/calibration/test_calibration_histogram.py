"""Histograms without a range given beforehand: every number in its bin, sums over chunks, quantiles to one part in 128."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fxnorm.calibration.histogram import BINS, HistogramCounter

floats = st.floats(width=32, allow_nan=False, allow_infinity=False)
arrays = st.lists(st.one_of(floats, st.sampled_from([0.0, -0.0, 1.0, -1.0, 2.0**-140])), min_size=1, max_size=60)


def counted(numbers, pieces=1):
    counter = HistogramCounter()
    for piece in np.array_split(np.asarray(numbers, np.float32), pieces):
        counter.add(piece)
    return counter.histogram(float(np.min(np.float32(numbers))), float(np.max(np.float32(numbers))))


@given(arrays)
def test_every_number_lies_in_a_bin_of_its_own_size(numbers):
    found = counted(numbers)
    assert found.total == len(numbers)
    assert np.all(found.low <= found.high)
    assert np.all(found.high[:-1] <= found.low[1:])
    for number in np.float64(np.float32(numbers)):
        tiny = 2.0**-133
        inside = (found.low - tiny <= number) & (number <= found.high + tiny)
        assert inside.any()
        widths = (found.high - found.low)[inside]
        assert widths.min() <= max(abs(number) / 128, tiny)


@given(arrays, st.integers(2, 5))
def test_chunks_add_up(numbers, pieces):
    whole, parts = counted(numbers), counted(numbers, pieces)
    assert np.array_equal(whole.counts, parts.counts)
    assert np.array_equal(whole.low, parts.low)
    assert np.array_equal(whole.high, parts.high)


@given(arrays, st.floats(0.0, 1.0))
def test_quantiles_lie_in_the_bin_of_the_ranked_number(numbers, share):
    found = counted(numbers)
    ordered = np.sort(np.float64(np.float32(numbers)))
    rank = min(int(np.ceil(share * len(ordered))), len(ordered))
    true = ordered[max(rank - 1, 0)]
    assert abs(found.quantile(share) - true) <= abs(true) / 128 + 2.0**-133


@given(arrays)
def test_the_ends_are_exact(numbers):
    found = counted(numbers)
    small = 2.0**-133  # what lies below is counted as zero
    assert found.quantile(1.0) == pytest.approx(float(np.max(np.float32(numbers))), rel=0, abs=small)
    assert found.quantile(0.0) == pytest.approx(float(np.min(np.float32(numbers))), rel=0, abs=small)


def test_numbers_without_a_value_count_nowhere():
    counter = HistogramCounter()
    counter.add(np.array([1.0, np.inf, -np.inf, np.nan, 2.0], np.float32))
    assert counter.histogram(-np.inf, np.inf).total == 2


def test_memory_does_not_grow_with_samples():
    counter, rng = HistogramCounter(), np.random.default_rng(0)
    sizes = []
    for _ in range(40):
        words = rng.integers(0, 2**32, 50_000, np.uint64).astype(np.uint32)
        counter.add(words.view(np.float32))
        sizes.append(len(counter.keys))
    assert sizes[-1] == sizes[20]  # every bin there is was met long before
    assert sizes[-1] <= BINS


@given(st.lists(st.floats(-100, 100, width=32), min_size=20, max_size=200), st.integers(4, 40))
def test_magnitudes_are_shared_among_bins_of_one_width(numbers, bins):
    found = counted(numbers)
    counts, width = found.magnitudes(bins)
    magnitudes = np.abs(np.float64(np.float32(numbers)))
    assert counts.sum() == pytest.approx(len(numbers))
    assert np.all(counts >= -1e-9)
    assert width * bins == pytest.approx(magnitudes.max())
    if width:
        # A number may move to a neighbour only if its own bin reaches there.
        for edge in range(1, bins):
            sure_below = np.count_nonzero(magnitudes * (1 + 1 / 64) < edge * width)
            maybe_below = np.count_nonzero(magnitudes * (1 - 1 / 64) <= edge * width)
            assert sure_below - 1e-6 <= counts[:edge].sum() <= maybe_below + 1e-6


def test_whole_numbers_are_bins_of_their_own():
    numbers = np.r_[np.arange(-256, 257), np.full(50, 6.0), np.random.default_rng(0).normal(size=200)]
    found = counted(numbers)
    single = found.low == found.high
    assert set(found.low[single].tolist()) >= set(range(-256, 257))
    assert found.counts[single & (found.low == 6.0)].tolist() == [51]
    assert 190 <= found.counts[~single].sum() <= 200
