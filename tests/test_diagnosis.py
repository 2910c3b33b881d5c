"""Counts of a run, and what is made of them: piles, empty range, outliers."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from oracles.drawing import codes, formats

from fxnorm.diagnosis import diagnose
from fxnorm.fixed.format import Format
from fxnorm.metrics import Error, Usage, ValueReport

Q53 = Format.parse("q5.3")


def reported(values, format_, chunks=1, overflow=0):
    report = ValueReport()
    for chunk in np.array_split(np.asarray(values), chunks):
        report.usage.add(chunk, format_.lowest_code, format_.max_code)
    report.usage.overflow = overflow
    return report


def problems(*arguments, **named):
    return [finding.problem for finding in diagnose(reported(*arguments, **named), arguments[1])]


@given(st.data(), formats(), st.sampled_from([np.int64, np.float64]))
def test_codes_are_counted_where_they_lie(data, format_, dtype):
    drawn = data.draw(codes(format_, 50))
    usage = reported(drawn.astype(dtype), format_, chunks=3).usage
    bins = min(256, 2**format_.width)
    bottom = -(2 ** (format_.width - 1)) if format_.signed else 0
    wanted = Counter((int(code) - bottom) * bins // 2**format_.width for code in drawn)
    assert list(usage.histogram) == [wanted[i] for i in range(bins)]
    assert usage.at_low == sum(int(code) == format_.lowest_code for code in drawn)
    assert usage.at_high == sum(int(code) == format_.max_code for code in drawn)
    assert (usage.low, usage.high, usage.count) == (drawn.min(), drawn.max(), 50)


@given(st.data(), formats())
def test_counts_of_two_runs_add_up(data, format_):
    first, second = data.draw(codes(format_, 30)), data.draw(codes(format_, 20))
    both = reported(np.r_[first, second], format_).usage
    merged = reported(first, format_).usage
    merged.merge(reported(second, format_).usage)
    merged.merge(Usage())
    empty = Usage()
    empty.merge(both)
    for usage in (merged, empty):
        assert np.array_equal(usage.histogram, both.histogram)
        assert (usage.low, usage.high, usage.at_low, usage.at_high) == (both.low, both.high, both.at_low, both.at_high)


rng = np.random.default_rng(0)
WHOLE = rng.integers(-127, 127, 5000)


def test_a_value_that_uses_its_format_well_has_no_finding():
    assert problems(WHOLE, Q53) == []


def test_nothing_seen_nothing_found():
    assert diagnose(ValueReport(), Q53) == ()


def test_piles_at_the_ends():
    assert problems(np.r_[WHOLE, np.full(51, 127)], Q53) == ["pile at high"]
    assert problems(np.r_[WHOLE, np.full(40, 127)], Q53) == []
    assert problems(np.r_[WHOLE, np.full(900, -128)], Q53) == ["pile at low"]
    (found,) = diagnose(reported(np.r_[WHOLE, np.full(5000, -128)], Q53), Q53)
    assert found.amount == 0.5
    assert found.text == "50.0% at the low end"


def test_the_zeros_of_an_activation_are_no_pile():
    unsigned = Format.parse("uq5.3")
    values = np.r_[np.zeros(4000, int), rng.integers(0, 255, 4000)]
    assert problems(values, unsigned) == []
    assert [f.problem for f in diagnose(reported(values - 128, Q53), Q53, zero=-128)] == []
    assert problems(values - 128, Q53) == ["pile at low"]


def test_overflow_comes_first():
    found = diagnose(reported(np.r_[WHOLE, np.full(500, 127)], Q53, overflow=450), Q53)
    assert [f.problem for f in found] == ["overflow", "pile at high"]
    assert found[0].amount == pytest.approx(450 / 5500)


@pytest.mark.parametrize(
    ("largest", "wanted"), [(127, []), (63, []), (32, []), (31, ["empty range"]), (3, ["empty range"])]
)
def test_empty_range(largest, wanted):
    assert problems(rng.integers(-largest, largest, 3000, endpoint=True), Q53) == wanted


def test_empty_range_in_bits():
    (found,) = diagnose(reported(np.arange(-8, 8), Q53), Q53)
    assert (found.amount, found.text) == (4.0, "4 bits empty")


def test_one_code_is_worth_a_word_unless_fp32_has_one_number_too():
    report = reported(np.zeros(100, int), Q53)
    assert [f.problem for f in diagnose(report, Q53)] == ["one code"]
    report.error = Error()
    report.error.add(np.zeros(100), np.zeros(100))
    assert diagnose(report, Q53) == ()
    report.error.add(np.ones(1), np.zeros(1))
    assert [f.problem for f in diagnose(report, Q53)] == ["one code"]


@pytest.mark.parametrize("format_", ["q5.3", "q8.8", "uq8.8", "q4.0"])
def test_outliers_are_reported(format_):
    format_ = Format.parse(format_)
    body = format_.max_code // 16
    values = np.r_[rng.integers(0, body, 9999, endpoint=True), format_.max_code - 1]
    found = {f.problem: f for f in diagnose(reported(values, format_), format_)}
    assert set(found) == {"outliers"}
    assert found["outliers"].amount == pytest.approx(1e-4)
    assert "1 outlier," in found["outliers"].text


def test_a_tail_is_no_outlier():
    normal = np.clip(np.rint(rng.normal(size=200_000) * 28), -128, 127).astype(int)
    assert problems(normal, Q53) == []


def test_few_values_have_no_outliers():
    assert problems(np.r_[np.zeros(500, int), 120], Q53) == []
