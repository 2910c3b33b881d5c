"""Expected squared error of a histogram against codes counted one by one, for every rounding and overflow mode."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from oracles.codes import OVERFLOWS, ROUNDINGS, fitted, rounded

from fxnorm.calibration.histogram import Histogram
from fxnorm.calibration.noise import squared_error
from fxnorm.fixed.format import Format, Overflow, Rounding

POINTS = 400


def counted(low, high, step, zero, format_):
    """Mean squared error over points spread evenly over one bin."""
    total = Fraction(0)
    for i in range(POINTS):
        x = Fraction(low) + (Fraction(high) - Fraction(low)) * (2 * i + 1) / (2 * POINTS)
        code, _ = fitted(rounded(x / Fraction(step) + zero, format_.rounding), format_)
        total += (x - (code - zero) * Fraction(step)) ** 2
    return float(total / POINTS)


@given(
    st.floats(-30, 30).map(lambda x: round(x, 3)),
    st.floats(0.2, 9.0).map(lambda x: round(x, 3)),
    st.sampled_from([0.5, 1.0, 0.7, 2.5]),
    st.integers(-20, 20),
    st.sampled_from(ROUNDINGS),
    st.booleans(),
)
def test_one_bin_of_a_saturating_format(low, width, step, zero, rounding, signed):
    format_ = Format(5, 5, signed, Rounding(rounding), Overflow.SAT)
    found = squared_error(Histogram(np.array([low]), np.array([low + width]), np.array([7])), step, zero, format_)
    wanted = counted(low, low + width, step, zero, format_)
    assert found == pytest.approx(wanted, rel=0.02, abs=0.02 * step**2)


@pytest.mark.parametrize("overflow", OVERFLOWS)
@pytest.mark.parametrize("rounding", ROUNDINGS)
def test_narrow_bins_over_the_range_and_beyond(overflow, rounding):
    # Bins far narrower than a step, so that where a wrap falls inside one of them does not matter.
    format_ = Format(4, 4, True, Rounding(rounding), Overflow(overflow))
    edges = np.linspace(-19.0, 21.0, 801)
    counts = np.random.default_rng(0).integers(1, 9, 800)
    found = squared_error(Histogram(edges[:-1], edges[1:], counts), 1.0, 0, format_)
    middles = 0.5 * (edges[:-1] + edges[1:])
    total = 0.0
    for x, count in zip(middles, counts, strict=True):
        code, _ = fitted(rounded(Fraction(float(x)), rounding), format_)
        total += count * (x - code) ** 2
    # The half step beyond the last code is counted as out of range, which only a wrap or a fall to zero can tell.
    assert found == pytest.approx(
        total / counts.sum(), rel=0.02 if overflow.startswith("sat_sym") or overflow == "sat" else 0.08
    )


@pytest.mark.parametrize(
    ("number", "rounding", "wanted"),
    [
        (1.25, "rnd", 0.0625),
        (1.75, "trn", 0.5625),
        (-1.75, "trn_zero", 0.5625),
        (-1.75, "trn", 0.0625),
        (9.0, "rnd", 4.0),
    ],
)
def test_bins_that_are_one_number(number, rounding, wanted):
    format_ = Format(4, 4, True, Rounding(rounding), Overflow.SAT)
    found = squared_error(Histogram(np.array([number]), np.array([number]), np.array([3])), 1.0, 0, format_)
    assert found == pytest.approx(wanted)
