"""Numbers as a report prints them."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fxnorm.page import wording


@given(st.integers(0, 100_000), st.integers(1, 100_000), st.integers(0, 3))
def test_a_share_that_is_not_all_or_nothing_never_looks_so(part, whole, digits):
    share = min(part, whole) / whole
    text = wording.percent(share, digits).replace(wording.SPACE, " ")
    number = float(text.lstrip("<>").split()[0])
    if text[0] == "<":
        assert 0.0 < 100.0 * share <= number
    elif text[0] == ">":
        assert number <= 100.0 * share < 100.0
    else:
        assert abs(number - 100.0 * share) <= 0.5 * 10.0**-digits + 1e-9
        assert (number == 0.0) == (share == 0.0)
        assert (number == 100.0) == (share == 1.0)


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (wording.percent(None), "–"),
        (wording.percent(0.98666), "98.7 %"),
        (wording.percent(-0.0125, 2), "−1.25 %"),
        (wording.points(0.0213), "2.1 points"),
        (wording.points(0.01), "1 point"),
        (wording.points(-0.0001), "0 points"),
        (wording.decibels(-0.04), "0.0 dB"),
        (wording.decibels(-12.34), "−12.3 dB"),
        (wording.decibels(math.inf), "exact"),
        (wording.decibels(None), "–"),
        (wording.decibels(12.0, unit=False), "12.0"),
        (wording.number(-3.0), "−3"),
        (wording.number(1234567.0), "1,234,567"),
        (wording.number(0.000123456), "0.00012346"),
        (wording.power(2.0**-12), "2⁻¹²"),
        (wording.power(2.0), "2¹"),
        (wording.power(1.0), "1"),
        (wording.power(0.3), "0.3"),
        (wording.power(None), "–"),
        (wording.plural(1, "bit"), "1 bit"),
        (wording.plural(1000, "bit"), "1,000 bits"),
        (wording.listed(["a"]), "a"),
        (wording.listed(["a", "b", "c"]), "a, b and c"),
    ],
)
def test_numbers(written, expected):
    assert written.replace(wording.SPACE, " ") == expected
