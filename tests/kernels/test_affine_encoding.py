"""Encodings with any step and any code for 0: exact rounding of quotients, and the steps that a range is given."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles.codes import fitted, limits, quantized, rounded
from oracles.drawing import formats

from fxnorm.calibration.histogram import HistogramCounter
from fxnorm.calibration.noise import squared_error
from fxnorm.fixed.format import Format, Overflow, Rounding
from fxnorm.kernels.encoding import Encoding
from fxnorm.kernels.stage import nearest_multiplier
from fxnorm.planning.normalization import Affine, cheapest, fit_power

factors = st.one_of(st.floats(1.0, 2.0, exclude_max=True), st.sampled_from([1.0, 1.5, 1.25, 4 / 3, 255 / 128]))
reals = st.floats(-1e6, 1e6, width=32)


@given(
    formats(2, 12), st.integers(-40, 40), factors, st.integers(-(10**6), 10**6), st.lists(reals, min_size=1, max_size=8)
)
def test_numbers_are_rounded_exactly(format_, exponent, factor, zero, numbers):
    encoding = Encoding(format_, exponent, factor, zero)
    step = Fraction(factor) * Fraction(2) ** (exponent - format_.fraction_bits)
    assert encoding.step == step
    got = encoding.encode(np.array(numbers, np.float32))
    for number, code in zip(numbers, got, strict=True):
        assert code == fitted(rounded(Fraction(number) / step + zero, format_.rounding), format_)[0]


@given(formats(3, 9), st.integers(-20, 20), factors, st.integers(-300, 300), st.data())
def test_ties_and_their_neighbours(format_, exponent, factor, zero, data):
    """Numbers on the half-codes themselves, which float64 quotients cannot be trusted with, and one ulp beside them."""
    encoding = Encoding(format_, exponent, factor, zero)
    halves = [Fraction(n, 2) for n in data.draw(st.lists(st.integers(-40, 40), min_size=1, max_size=6))]
    on = np.array([float(half * encoding.step) for half in halves])
    numbers = np.concatenate([on, np.nextafter(on, np.inf), np.nextafter(on, -np.inf)])
    wanted = [rounded(Fraction(x) / encoding.step + zero, format_.rounding) for x in numbers.tolist()]
    assert encoding.round(numbers).tolist() == wanted


def test_a_huge_zero_and_huge_quotients_are_exact():
    encoding = Encoding(Format(8, 8), -70, 1.75, 3 << 61)
    numbers = np.array([0.0, 1.0, -1e18, 2.0**-70, -5.0])
    wanted = [rounded(Fraction(x) / encoding.step + encoding.zero, "rnd") for x in numbers.tolist()]
    assert encoding.round(numbers).tolist() == wanted


@given(formats(2, 16), st.integers(-20, 20), factors, st.integers(-1000, 1000))
def test_codes_stand_for_step_times_distance_from_zero(format_, exponent, factor, zero):
    encoding = Encoding(format_, exponent, factor, zero)
    codes = np.array([format_.min_code, format_.max_code, 0])
    for code, value in zip(codes.tolist(), encoding.decode(codes).tolist(), strict=True):
        exact = encoding.step * (code - zero)
        assert abs(Fraction(value) - exact) <= abs(exact) / 2**52
        fixed = code * Fraction(2) ** -format_.fraction_bits
        assert float(exact) == pytest.approx(
            encoding.scale * float(fixed) + encoding.offset, rel=1e-9, abs=1e-9 * float(encoding.step) * abs(zero or 1)
        )


@given(formats(2, 16), st.integers(-20, 20), st.lists(reals, min_size=1, max_size=8))
def test_plain_encodings_are_what_they_were(format_, exponent, numbers):
    encoding = Encoding(format_, exponent)
    assert encoding.plain
    assert (encoding.offset, encoding.scale) == (0.0, 2.0**exponent)
    lsb = exponent - format_.fraction_bits
    assert encoding.encode(np.array(numbers)).tolist() == [quantized(Fraction(x), format_, lsb)[0] for x in numbers]


@pytest.mark.parametrize("encoding", [Encoding(Format(8, 5), 0, 1.5), Encoding(Format(8, 5), 0, 1.0, 3)])
def test_a_reader_of_powers_of_two_is_told(encoding):
    with pytest.raises(AssertionError, match="power of two"):
        _ = encoding.lsb


@pytest.mark.parametrize("factor", [0.5, 2.0, -1.5, float("nan")])
def test_the_factor_lies_between_one_and_two(factor):
    with pytest.raises(ValueError, match="factor"):
        Encoding(Format(8, 5), 0, factor)


ends = st.tuples(st.floats(-1000, 1000, width=32), st.floats(-1000, 1000, width=32)).map(sorted)
units = st.one_of(
    st.none(), factors.map(Fraction), st.tuples(factors, factors).map(lambda p: Fraction(p[0]) * Fraction(p[1]))
)


@given(ends, formats(2, 16), st.booleans(), units, st.sampled_from([1, 8, 16]))
def test_an_interval_fits_whatever_the_rounding(interval, format_, zero, unit, bits):
    low, high = interval
    encoding = Affine(zero, unit, bits).fit(low, high, format_)
    lowest, highest = limits(format_)
    for end in interval:
        assert lowest <= Fraction(end) / encoding.step + encoding.zero <= highest
    assert encoding.holds_zero or not zero
    if unit is not None and low != high:
        multiplier, places = nearest_multiplier(unit / Fraction(encoding.factor), bits)
        assert multiplier.bit_length() <= bits
        ratio = Fraction(multiplier) / Fraction(2) ** places
        assert abs(ratio * Fraction(encoding.factor) / unit - 1) <= Fraction(1, 2**52)


@given(ends, st.integers(2, 5), st.booleans())
def test_no_smaller_step_would_do(interval, width, signed):
    """Against all zeros there are: for each the least step that keeps both ends inside, which must not be below the one chosen."""
    low, high = (Fraction(end) for end in interval)
    if low == high:
        low, high = min(low, Fraction(0)), max(high, Fraction(0))
    if low == high:
        return
    format_ = Format(width, width, signed)
    chosen = Affine(False).fit(float(low), float(high), format_).step
    lowest, highest = limits(format_)
    for zero in range(-400, 400):
        bounds = []
        for end, code in ((high, highest - zero), (-low, zero - lowest)):
            # end <= code · step
            if code > 0:
                bounds.append(end / code)
            elif end > 0 or (code < 0 and end == 0):
                bounds = None
                break
        if bounds is None or any(code < 0 for code in (highest - zero, zero - lowest)):
            continue  # zeros outside of the codes have steps of no choice; what they allow is not searched here
        assert chosen <= max(bounds) * (1 + Fraction(1, 2**50))


def test_data_from_128_to_256_uses_the_whole_format():
    encoding = Affine(False).fit(128.0, 256.0, Format(8, 5))
    assert encoding.encode(np.array([128.0, 256.0])).tolist() == [-128, 127]
    assert encoding.zero < -128
    assert encoding.scale == pytest.approx(4.0, rel=0.01)
    assert encoding.offset == pytest.approx(192.0, rel=0.01)
    assert fit_power(128.0, 256.0, Format(8, 5)).scale == 32.0


@pytest.mark.parametrize("low", [1e3, 1e5, 1e6, -1e6])
@pytest.mark.parametrize("unit", [None, Fraction(1), Fraction(4, 3)])
def test_data_far_from_zero(low, unit):
    for width in (2, 4, 8, 16):
        encoding = Affine(False, unit).fit(low, low + 1.0, Format(width, width))
        span = encoding.round(np.array([low + 1.0]))[0] - encoding.round(np.array([low]))[0]
        assert span >= 0.98 * (2**width - 1)


@settings(max_examples=10)
@given(st.integers(0, 10**6), st.sampled_from(["q5.3", "q4.0", "uq4.4"]), st.booleans())
def test_the_least_error_is_no_worse_than_holding_everything(seed, format_, zero):
    rng = np.random.default_rng(seed)
    x = (rng.standard_t(3, 3000) + rng.uniform(-4, 4)).astype(np.float32)
    counter = HistogramCounter()
    counter.add(x)
    histogram = counter.histogram(float(x.min()), float(x.max()))
    format_ = Format.parse(format_)
    bounds = float(x.min()), float(x.max())
    whole = Affine(zero).fit(*bounds, format_)
    least = Affine(zero).fit(*bounds, format_, histogram)
    assert least.holds_zero or not zero
    errors = [float(((e.decode(e.encode(x)) - x) ** 2).mean()) for e in (whole, least)]
    assert errors[1] <= errors[0] * 1.02
    assert squared_error(histogram, float(least.step), least.zero, format_) <= squared_error(
        histogram, float(whole.step), whole.zero, format_
    )


def test_operands_are_left_alone_where_that_costs_little():
    format_ = Format(8, 5)
    a, b = Encoding(format_, 0, 1.1, -30), Encoding(format_, -3, 1.2, 0)
    held = Affine(False).fit(-12.0, 20.0, format_)
    assert cheapest(held, (-12.0, 20.0), (a, b), zero=True, passes=True) == a
    # A sum may take the factor of an operand, but not its zero.
    found = cheapest(held, (-12.0, 20.0), (Encoding(format_, 0, held.factor, 5), b), zero=False, passes=False)
    assert found.factor == held.factor
    # Nothing near: the best fit stays.
    assert cheapest(held, (-12.0, 20.0), (b,), zero=False, passes=True) == held


@given(st.fractions(min_value=Fraction(1, 1000), max_value=1000), st.integers(2, 10))
def test_multipliers_are_the_nearest_of_their_bits(ratio, bits):
    multiplier, places = nearest_multiplier(ratio, bits)
    assert multiplier.bit_length() <= bits
    assert multiplier % 2 == 1
    error = abs(Fraction(multiplier) / Fraction(2) ** places - ratio)
    for other in range(1, min(1 << bits, 256)):
        base = Fraction(other)
        while base < ratio / 2:
            base *= 2
        while base > ratio * 2:
            base /= 2
        for candidate in (base, base * 2, base / 2):
            assert error <= abs(candidate - ratio)


def test_roundings_that_differ_about_zero_see_the_zero():
    """Toward zero means toward code 0: the format rounds codes, whatever they stand for."""
    encoding = Encoding(Format(8, 8, True, Rounding.TRN_ZERO, Overflow.SAT), 0, 1.0, -10)
    assert encoding.encode(np.array([9.5, 10.5])).tolist() == [0, 0]
