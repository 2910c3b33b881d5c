"""The entropy threshold against the published algorithm, written out bin by bin."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fxnorm.calibration.entropy import _divergences, entropy_threshold
from fxnorm.calibration.histogram import HistogramCounter


def published(counts, length, levels):
    """Divergence of one threshold, as the slides of GTC 2017 describe it."""
    reference = [float(c) for c in counts[:length]]
    reference[-1] += float(sum(counts[length:]))
    width = length // levels
    quantized = [0.0] * length
    for level in range(levels):
        members = range(level * width, (level + 1) * width if level < levels - 1 else length)
        filled = [i for i in members if counts[i] > 0]
        for i in filled:
            quantized[i] = sum(counts[j] for j in members) / len(filled)
    if reference[-1] > 0 and not quantized[-1]:
        quantized[-1] = 1.0
    p_sum, q_sum = sum(reference), sum(quantized)
    total = 0.0
    for p, q in zip(reference, quantized, strict=True):
        if p > 0.0:
            total += p / p_sum * math.log((p / p_sum) / (q / q_sum))
    return total


@given(st.lists(st.sampled_from([0, 0, 1, 2, 5, 40]), min_size=12, max_size=60), st.integers(2, 12))
def test_divergences_are_the_published_ones(counts, levels):
    counts = np.array([1, *counts], np.float64)
    wanted = [published(counts, length, levels) for length in range(levels, len(counts) + 1)]
    assert _divergences(counts, levels) == pytest.approx(wanted, abs=1e-12)


def histogram_of(numbers):
    counter = HistogramCounter()
    counter.add(numbers)
    return counter.histogram(float(numbers.min()), float(numbers.max()))


@pytest.mark.parametrize("outlier", [60.0, 500.0])
def test_an_outlier_is_clipped_and_the_body_is_not(outlier):
    rng = np.random.default_rng(1)
    numbers = np.r_[rng.normal(size=100_000), outlier].astype(np.float32)
    threshold = entropy_threshold(histogram_of(numbers), 128)
    # As many bins as levels are kept at least.
    assert 2.5 < threshold < max(10.0, 1.01 * outlier / 16)


@pytest.mark.parametrize("levels", [2048, 1 << 15])
def test_nothing_is_clipped_where_levels_abound(levels):
    numbers = np.random.default_rng(2).normal(size=10_000).astype(np.float32)
    assert entropy_threshold(histogram_of(numbers), levels) == pytest.approx(float(np.abs(numbers).max()))


@pytest.mark.parametrize(("count", "clips"), [(1000, False), (4000, True), (160, False)])
def test_a_few_numbers_are_no_distribution(count, clips):
    numbers = np.random.default_rng(4).normal(size=count).astype(np.float32)
    numbers[0] = 30.0
    assert (entropy_threshold(histogram_of(numbers), 128) < 30.0) == clips


def test_the_zeros_of_an_activation_do_not_decide():
    body = np.abs(np.random.default_rng(5).normal(size=40_000)).astype(np.float32)
    alone = entropy_threshold(histogram_of(body), 128)
    assert entropy_threshold(histogram_of(np.r_[body, np.zeros(200_000, np.float32)]), 128) == pytest.approx(alone)
    assert alone > 0.7 * body.max()


def test_all_zeros_have_no_threshold():
    assert entropy_threshold(histogram_of(np.zeros(10, np.float32)), 128) == 0.0
