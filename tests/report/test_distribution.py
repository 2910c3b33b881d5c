"""Distributions of real numbers, against counting every number."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_models import dense, samples, save

import fxnorm as fx
from fxnorm.calibration.histogram import HistogramCounter
from fxnorm.data import Data
from fxnorm.evaluation import calibrate
from fxnorm.report.distribution import DISTRIBUTION_PARTS, distribution_record, distribution_records

NUMBERS = st.lists(st.floats(-1e6, 1e6, width=32, allow_subnormal=False), min_size=1, max_size=200)


def record(numbers, parts=DISTRIBUTION_PARTS):
    array = np.asarray(numbers, np.float32)
    counter = HistogramCounter()
    counter.add(array)
    return distribution_record(counter.histogram(float(array.min()), float(array.max())), parts)


@given(NUMBERS, st.integers(1, 96))
def test_every_number_is_counted_between_the_smallest_and_the_largest(numbers, parts):
    found = record(numbers, parts)
    array = np.asarray(numbers, np.float32)
    assert (found["low"], found["high"]) == (float(array.min()), float(array.max()))
    assert sum(found["counts"]) == len(numbers)
    assert all(isinstance(count, int) and count >= 0 for count in found["counts"])
    assert len(found["counts"]) == (parts if array.min() < array.max() else 1)


@given(
    st.lists(st.integers(0, 127), min_size=2, max_size=300).filter(lambda codes: min(codes) < max(codes)),
    st.integers(1, 40),
)
def test_numbers_that_a_bin_holds_alone_are_counted_where_they_lie(codes, parts):
    """Whole numbers up to 127 are the first of their bins: nothing is interpolated."""
    found = record(codes, parts)
    low, high = min(codes), max(codes)
    expected = [0] * parts
    for code in codes:
        expected[min((code - low) * parts // (high - low), parts - 1)] += 1
    # A number at the border of two parts may be in either one, for the border itself is rounded.
    differing = sum(abs(a - b) for a, b in zip(found["counts"], expected, strict=True)) // 2
    at_a_border = sum((code - low) * parts % (high - low) == 0 for code in codes)
    assert differing <= at_a_border


def test_a_bell_keeps_its_shape():
    numbers = np.random.default_rng(3).normal(2.0, 5.0, 200_000).astype(np.float32)
    found = record(numbers)
    expected, _ = np.histogram(numbers, bins=DISTRIBUTION_PARTS, range=(float(numbers.min()), float(numbers.max())))
    # A bin is at most 1/128 of its numbers wide, and they lie nearly evenly in it.
    assert np.abs(np.array(found["counts"]) - expected).max() < 0.01 * expected.max()


def test_one_number_is_one_part():
    assert record([3.5] * 7) == {"low": 3.5, "high": 3.5, "counts": [7]}


def test_distributions_are_those_of_the_reference(tmp_path):
    model = save(dense(), tmp_path / "dense.onnx")
    given_ = samples(30)
    np.savez(tmp_path / "data.npz", x=given_)
    graph = fx.load(model)
    data = Data.open(str(tmp_path / "data.npz"), graph)
    found = distribution_records(calibrate(graph, data, histograms=True), {"x", "y"})
    assert set(found) == {"x", "y"}
    output = fx.reference(graph, given_)["y"]
    assert found["y"]["low"] == pytest.approx(float(output.min()), abs=0)
    assert found["y"]["high"] == pytest.approx(float(output.max()), abs=0)
    assert sum(found["x"]["counts"]) == given_.size
    assert distribution_records(calibrate(graph, data), {"x", "y"}) == {}
