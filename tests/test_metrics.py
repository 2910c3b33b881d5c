"""Errors and use of formats, accumulated over chunks, against what NumPy gives on everything at once."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from oracles.drawing import seeds

from fxnorm.fixed.format import Format
from fxnorm.metrics import Error, Usage, code_histogram


@given(seeds, st.integers(1, 40), st.sampled_from([(), (1,), (5,), (2, 3)]), st.floats(1e-4, 10), st.data())
def test_errors_of_chunks_add_up(seed, count, shape, noise, data):
    rng = np.random.default_rng(seed)
    reference = rng.normal(0, 3, (count, *shape)).astype(np.float32)
    value = reference + rng.normal(0, noise, reference.shape)
    error = Error()
    start = 0
    while start < count:
        stop = start + data.draw(st.integers(1, count))
        error.add(reference[start:stop], value[start:stop], decisions=True)
        start = stop
    r, d = reference.astype(np.float64), value - reference.astype(np.float64)
    assert error.count == r.size
    assert error.sqnr_db == pytest.approx(10 * np.log10((r**2).sum() / (d**2).sum()), abs=1e-9)
    assert error.largest == np.abs(d).max()
    assert error.mean_abs_error == pytest.approx(np.abs(d).mean(), rel=1e-12)
    assert error.cosine == pytest.approx((r * value).sum() / np.linalg.norm(r) / np.linalg.norm(value), abs=1e-12)
    if shape and shape[-1] > 1:
        assert error.argmax_agreement == np.mean(r.argmax(-1) == value.argmax(-1))
        assert error.decisions == r.size // shape[-1]
    elif shape:
        assert error.argmax_agreement is None


def test_decisions_are_counted_only_where_they_are_asked_for():
    error = Error()
    error.add(np.eye(3), np.eye(3))
    assert (error.agreed, error.decisions, error.argmax_agreement) == (0, 0, None)
    error.add(np.eye(3), np.eye(3)[::-1], decisions=True)
    assert (error.agreed, error.decisions) == (1, 3)


@pytest.mark.parametrize(
    ("reference", "value", "sqnr", "cosine"),
    [
        ([0.0, 0.0], [0.0, 0.0], math.inf, 1.0),
        ([1.0, 2.0], [1.0, 2.0], math.inf, 1.0),
        ([0.0, 0.0], [0.0, 1.0], -math.inf, 0.0),
        ([1.0, 0.0], [0.0, 0.0], 0.0, 0.0),
        ([1.0, 0.0], [-1.0, 0.0], 10 * math.log10(1 / 4), -1.0),
    ],
)
def test_errors_where_signal_or_noise_is_missing(reference, value, sqnr, cosine):
    error = Error()
    error.add(np.array(reference), np.array(value))
    assert error.sqnr_db == sqnr
    assert error.cosine == cosine


def test_nothing_compared_is_no_error():
    error = Error()
    error.add(np.zeros((0, 4)), np.zeros((0, 4)), decisions=True)
    assert (error.count, error.mean_abs_error, error.largest, error.argmax_agreement) == (0, 0.0, 0.0, None)


@given(seeds, st.integers(2, 12), st.booleans(), st.lists(st.integers(0, 9), min_size=1, max_size=6))
def test_use_of_a_format(seed, width, signed, sizes):
    """Count, ends, limits and bits over chunks, some of them empty, some far from the ends."""
    rng = np.random.default_rng(seed)
    format_ = Format(width, width, signed)
    usage = Usage()
    seen = []
    for size in sizes:
        reach = 2 ** int(rng.integers(0, width))
        chunk = rng.integers(max(format_.min_code, -reach), min(format_.max_code, reach), size, endpoint=True)
        usage.add(chunk, format_.lowest_code, format_.max_code)
        seen += chunk.tolist()
    assert usage.count == len(seen)
    if seen:
        assert (usage.low, usage.high) == (min(seen), max(seen))
        assert usage.at_limit == sum(code in (format_.lowest_code, format_.max_code) for code in seen)
        needed = next(
            w
            for w in range(signed, 64)
            if all((-(2 ** (w - 1)) if signed else 0) <= n <= 2 ** (w - signed) - 1 for n in seen)
        )
        assert usage.bits_used(signed) == needed


@given(seeds, st.integers(1, 32), st.booleans(), st.sampled_from(["C", "F"]), st.sampled_from([np.int64, np.float32]))
def test_histograms_count_equal_parts_of_the_range(seed, width, signed, order, dtype):
    """Against fractions of the range in Python's integers, both ends included, in any order of memory."""
    rng = np.random.default_rng(seed)
    format_ = Format(width, width, signed)
    shape = tuple(rng.integers(0, 9, 3))
    codes = rng.integers(format_.min_code, format_.max_code, shape, endpoint=True)
    if codes.size:
        codes.flat[0], codes.flat[-1] = format_.min_code, format_.max_code
    if width > 24:
        dtype = np.int64  # float32 does not hold them
    counts = code_histogram(np.asarray(codes, dtype, order=order), format_.lowest_code, format_.max_code)
    parts = min(256, 2**width)
    expected = [0] * parts
    for code in codes.ravel().tolist():
        expected[(code - format_.min_code) * parts // 2**width] += 1
    assert counts.tolist() == expected
    assert counts.dtype == np.int64


@given(seeds, st.integers(0, 5000), st.sampled_from([np.int8, np.int16, np.int32, np.int64, np.float32]))
def test_sums_do_not_depend_on_the_type_of_the_codes(seed, count, dtype):
    """The bits of every sum are those of numbers decoded first; and they are right, by Python's own exact sums."""
    rng = np.random.default_rng(seed)
    codes = rng.integers(-128, 128, (count, 1))
    reference = rng.normal(0, 4, (count, 1)).astype(np.float32)
    stored, decoded = Error(), Error()
    stored.add(reference, codes.astype(dtype), unit=2.0**-5)
    decoded.add(reference, codes * 2.0**-5)
    assert stored == decoded
    wanted, got = reference[:, 0].astype(np.float64).tolist(), (codes[:, 0] / 32).tolist()
    differences = [g - w for w, g in zip(wanted, got, strict=True)]
    assert stored.largest == max(map(abs, differences), default=0.0)
    for found, exact in (
        (stored.signal, math.fsum(w * w for w in wanted)),
        (stored.noise, math.fsum(d * d for d in differences)),
        (stored.fixed, math.fsum(g * g for g in got)),
        (stored.product, math.fsum(w * g for w, g in zip(wanted, got, strict=True))),
        (stored.absolute, math.fsum(map(abs, differences))),
    ):
        assert math.isclose(found, exact, rel_tol=1e-12, abs_tol=1e-9)


def test_what_is_no_number_is_no_largest_error():
    error = Error()
    error.add(np.array([1.0, np.nan, 3.0]), np.array([1.5, 2.0, 3.0]))
    assert math.isnan(error.noise)
    assert error.largest == 0.0
    error.add(np.array([1.0, np.inf]), np.array([1.5, 2.0]))
    assert error.largest == math.inf
