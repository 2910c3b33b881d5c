"""Numbers as people read them."""

from __future__ import annotations

import math

import pytest

from fxnorm.report.table import count, decibels, number, percent, power, short_op


@pytest.mark.parametrize(
    ("share", "text"),
    [(0.0, "0"), (1e-9, "<0.01%"), (4.9e-5, "<0.01%"), (5.1e-5, "0.01%"), (0.1234, "12.34%"), (1.0, "100.00%")],
)
def test_a_share_that_is_not_zero_never_looks_so(share: float, text: str) -> None:
    assert percent(share) == text


@pytest.mark.parametrize(
    ("scale", "text"),
    [(1.0, "1"), (2.0, "2^1"), (0.125, "2^-3"), (2.0**-1074, "2^-1074"), (0.3, "0.3"), (None, "?"), (0.0, "0")],
)
def test_powers_of_two_are_shown_as_such(scale: float | None, text: str) -> None:
    assert power(scale) == text


@pytest.mark.parametrize(
    ("ratio", "text"),
    [(math.inf, "exact"), (-math.inf, "-inf"), (-0.04, "0.0"), (0.04, "0.0"), (-0.06, "-0.1"), (31.25, "31.2")],
)
def test_ratios(ratio: float, text: str) -> None:
    assert decibels(ratio) == text


def test_numbers_and_counts() -> None:
    assert [number(value) for value in (0.0, -16.0, 15.875, -0.000012345678, None)] == [
        "0",
        "-16",
        "15.875",
        "-1.2346e-05",
        "?",
    ]
    assert [count(*pair) for pair in ((0, 0.0), (12345, 0.5), (1, 1e-7))] == ["0", "12,345 (50.00%)", "1 (<0.01%)"]


def test_operators_in_short() -> None:
    assert short_op("Conv+BatchNormalization+Relu") == "Conv+BatchNorm+Relu"
    assert short_op("GlobalAveragePool") == "GlobalAvgPool"
