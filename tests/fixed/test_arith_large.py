"""Codes and real numbers of any size against Python's unlimited integers and fractions."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fxnorm.fixed.arith import (
    INT64_MAX,
    INT64_MIN,
    decode,
    divide_round,
    encode,
    fit,
    int_dtype,
    overflowed,
    requantize,
    round_values,
    shift_round,
)
from fxnorm.fixed.format import Format, Overflow, Rounding

near_powers = st.builds(
    lambda n, sign, d: sign * 2**n + d, st.integers(0, 62), st.sampled_from([-1, 1]), st.integers(-2, 2)
)
extremes = st.sampled_from([INT64_MIN, INT64_MIN + 1, INT64_MAX, INT64_MAX - 1, 0, 1, -1])
int64s = st.one_of(st.integers(INT64_MIN, INT64_MAX), near_powers, extremes)
code_lists = st.lists(int64s, min_size=1, max_size=8)
modes = st.sampled_from(Rounding)
doubles = st.floats(allow_nan=False, allow_infinity=False)
formats = st.builds(
    lambda width, point, signed, rounding, overflow: Format(width, width - point, signed, rounding, overflow),
    st.integers(1, 80),
    st.integers(-40, 80),
    st.booleans(),
    modes,
    st.sampled_from(Overflow),
)


def rounded(x: Fraction, mode: Rounding) -> int:
    """Round by distance to the two neighbours, and by which neighbour a tie chooses."""
    low = math.floor(x)
    if low == x:
        return low
    high = low + 1
    even, odd = (low, high) if low % 2 == 0 else (high, low)
    inward, outward = (low, high) if x > 0 else (high, low)
    if mode is Rounding.TRN:
        return low
    if mode is Rounding.TRN_ZERO:
        return inward
    if x - low != high - x:
        return low if x - low < high - x else high
    ties = {
        Rounding.RND: high,
        Rounding.RND_MIN_INF: low,
        Rounding.RND_ZERO: inward,
        Rounding.RND_INF: outward,
        Rounding.RND_CONV: even,
        Rounding.RND_CONV_ODD: odd,
    }
    return ties[mode]


def limited(code: int, fmt: Format) -> int:
    if fmt.overflow is Overflow.WRAP:
        return (code - fmt.min_code) % 2**fmt.width + fmt.min_code
    low = -fmt.max_code if fmt.signed and fmt.overflow is Overflow.SAT_SYM and fmt.width > 1 else fmt.min_code
    if fmt.overflow is Overflow.SAT_ZERO:
        return code if low <= code <= fmt.max_code else 0
    return min(max(code, low), fmt.max_code)


@given(code_lists, st.integers(0, 200), modes)
@example([INT64_MIN, INT64_MAX, -(2**62), 2**62, -1, 1], 63, Rounding.RND_CONV)
@example([INT64_MIN, INT64_MAX, INT64_MIN + 1], 64, Rounding.RND_INF)
@example([INT64_MIN, INT64_MAX, -1, 1], 1, Rounding.RND)
def test_right_shifts_of_any_size(codes: list[int], shift: int, mode: Rounding) -> None:
    expected = [rounded(Fraction(code, 2**shift), mode) for code in codes]
    for dtype in (np.int64, object):
        result = shift_round(np.array(codes, dtype=dtype), shift, mode)
        assert result.dtype == dtype
        assert result.tolist() == expected


@pytest.mark.parametrize("mode", Rounding)
def test_every_shift_of_the_extreme_codes(mode: Rounding) -> None:
    codes = sorted(
        {sign * 2**n + d for n in range(64) for sign in (1, -1) for d in range(-1, 2)}
        - {2**63, 2**63 + 1, -(2**63) - 1}
    )
    shifts = list(range(80))
    expected = [[rounded(Fraction(code, 2**shift), mode) for code in codes] for shift in shifts]
    together = shift_round(np.array(codes, dtype=np.int64), np.array(shifts)[:, None], mode)
    assert together.tolist() == expected
    for shift in shifts:
        assert shift_round(np.array(codes, dtype=np.int64), shift, mode).tolist() == expected[shift]


@given(st.lists(st.integers(-(2**300), 2**300), min_size=1, max_size=5), st.integers(-100, 400), modes)
def test_shifts_of_unlimited_integers(codes: list[int], shift: int, mode: Rounding) -> None:
    expected = [rounded(code / Fraction(2) ** shift, mode) for code in codes]
    result = shift_round(np.array(codes, dtype=object), shift, mode)
    assert result.tolist() == expected
    assert all(type(code) is int for code in result)


@given(st.lists(st.tuples(st.integers(-(2**40), 2**40), st.integers(-22, 100)), min_size=1, max_size=8), modes)
def test_shifts_of_both_signs_at_once(pairs: list[tuple[int, int]], mode: Rounding) -> None:
    codes, shifts = (np.array(column) for column in zip(*pairs, strict=True))
    expected = [rounded(code / Fraction(2) ** shift, mode) for code, shift in pairs]
    assert shift_round(codes, shifts, mode).tolist() == expected
    assert shift_round(codes.astype(object), shifts, mode).tolist() == expected


@given(code_lists, st.integers(1, INT64_MAX), modes)
@example([INT64_MAX, INT64_MIN, 0, -INT64_MAX, INT64_MAX - 1], INT64_MAX, Rounding.RND_CONV_ODD)
@example([INT64_MIN, -1, 1, -(2**62)], INT64_MAX, Rounding.RND_CONV)
@example([INT64_MIN, -(2**62), 2**62, 2**62 + 1], INT64_MAX - 1, Rounding.RND_ZERO)
def test_quotients_of_any_size(codes: list[int], denominator: int, mode: Rounding) -> None:
    expected = [rounded(Fraction(code, denominator), mode) for code in codes]
    for dtype in (np.int64, object):
        result = divide_round(np.array(codes, dtype=dtype), denominator, mode)
        assert result.dtype == dtype
        assert result.tolist() == expected
    each = divide_round(np.array(codes, dtype=np.int64), np.full(len(codes), denominator), mode)
    assert each.tolist() == expected


@given(st.lists(st.integers(-(2**200), 2**200), min_size=1, max_size=5), st.integers(1, 2**150), modes)
def test_quotients_of_unlimited_integers(codes: list[int], denominator: int, mode: Rounding) -> None:
    expected = [rounded(Fraction(code, denominator), mode) for code in codes]
    assert divide_round(np.array(codes, dtype=object), denominator, mode).tolist() == expected
    small = np.array([code % 1000 - 500 for code in codes])
    by = np.array([denominator] * len(codes), dtype=object)
    assert divide_round(small, by, mode).dtype == np.int64
    assert divide_round(small, by, mode).tolist() == [rounded(Fraction(int(c), denominator), mode) for c in small]


@pytest.mark.parametrize("denominator", [0, -3, np.array([2, 0])])
def test_denominators_are_positive(denominator: int) -> None:
    with pytest.raises(ValueError, match="positive"):
        divide_round(np.array([1, 2]), denominator, Rounding.RND)


@given(code_lists, formats)
@example([INT64_MIN, INT64_MAX, -1], Format(63, 63, False, overflow=Overflow.WRAP))
@example([INT64_MIN, INT64_MAX, -1], Format(64, 64, True, overflow=Overflow.WRAP))
@example([INT64_MIN, INT64_MAX, -1], Format(64, 64, True, overflow=Overflow.SAT_SYM))
@example([INT64_MIN, INT64_MAX, -1], Format(64, 64, False, overflow=Overflow.SAT))
def test_overflow_of_any_size(codes: list[int], fmt: Format) -> None:
    expected = [limited(code, fmt) for code in codes]
    changed = [here != before for here, before in zip(expected, codes, strict=True)]
    wide = np.array(codes, dtype=object)
    assert fit(wide, fmt).tolist() == expected
    assert overflowed(wide, fmt).tolist() == changed
    narrow = np.array(codes, dtype=np.int64)
    assert overflowed(narrow, fmt).tolist() == changed
    if all(INT64_MIN <= code <= INT64_MAX for code in expected):
        assert fit(narrow, fmt).dtype == np.int64
        assert fit(narrow, fmt).tolist() == expected
    else:
        with pytest.raises(OverflowError, match="Python integers"):
            fit(narrow, fmt)


@given(st.lists(st.integers(-(2**200), 2**200), min_size=1, max_size=5), formats)
def test_overflow_of_unlimited_integers(codes: list[int], fmt: Format) -> None:
    expected = [limited(code, fmt) for code in codes]
    assert fit(np.array(codes, dtype=object), fmt).tolist() == expected
    assert overflowed(np.array(codes, dtype=object), fmt).tolist() == [
        a != b for a, b in zip(expected, codes, strict=True)
    ]


@given(code_lists, st.integers(-60, 120), formats)
def test_requantize(codes: list[int], fraction_bits: int, fmt: Format) -> None:
    """Left shifts that leave int64 on the way are exact, too."""
    expected = [
        limited(rounded(code / Fraction(2) ** (fraction_bits - fmt.fraction_bits), fmt.rounding), fmt) for code in codes
    ]
    assert requantize(np.array(codes, dtype=object), fraction_bits, fmt).tolist() == expected
    if all(INT64_MIN <= code <= INT64_MAX for code in expected):
        result = requantize(np.array(codes, dtype=np.int64), fraction_bits, fmt)
        assert result.dtype == np.int64
        assert result.tolist() == expected
        points = np.full(len(codes), fraction_bits)
        assert requantize(np.array(codes, dtype=np.int64), points, fmt).tolist() == expected
    else:
        with pytest.raises(OverflowError):
            requantize(np.array(codes, dtype=np.int64), fraction_bits, fmt)


@given(st.lists(doubles, min_size=1, max_size=8), st.integers(-1100, 1100), formats)
@example(
    [5e-324, -5e-324, 1.7976931348623157e308, -0.0], 0, Format(8, 5, rounding=Rounding.TRN, overflow=Overflow.WRAP)
)
@example([-5e-324, 5e-324], -1074, Format(8, 5, rounding=Rounding.RND_CONV))
@example([1e300, -1e300, 0.5], 3, Format(80, 40, rounding=Rounding.TRN, overflow=Overflow.WRAP))
@example([-5e-324, 5e-324], 20, Format(8, 5, rounding=Rounding.TRN))
@example([2.0**62, -(2.0**63), 2.0**63, 1.5 * 2.0**63], 0, Format(8, 8))
@example([2.0**60, -(2.0**60), -(2.0**62)], 0, Format(63, 60, overflow=Overflow.WRAP))
def test_encode_any_real_number(values: list[float], exponent: int, fmt: Format) -> None:
    codes = [rounded(Fraction(value) / Fraction(2) ** exponent / fmt.step, fmt.rounding) for value in values]
    before = round_values(np.array(values), fmt.fraction_bits - exponent, fmt.rounding)
    assert before.tolist() == codes
    assert all(INT64_MIN <= code <= INT64_MAX for code in codes) or before.dtype == object
    result = encode(np.array(values), fmt, exponent)
    assert result.dtype == (np.int64 if fmt.max_code <= INT64_MAX else object)
    assert result.tolist() == [limited(code, fmt) for code in codes]
    each = encode(np.array(values), fmt, np.full(len(values), exponent))
    assert each.tolist() == result.tolist()


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=8), st.integers(-3, 3), modes)
def test_encode_ordinary_real_numbers(values: list[float], exponent: int, mode: Rounding) -> None:
    """The range in which almost all data lies, and in which int64 must be enough."""
    fmt = Format(16, 8, rounding=mode)
    result = round_values(np.array(values), 8 - exponent, mode)
    assert result.dtype == np.int64
    assert result.tolist() == [rounded(Fraction(value) * Fraction(2) ** (8 - exponent), mode) for value in values]
    assert encode(np.array(values), fmt, exponent).tolist() == fit(result, fmt).tolist()


@given(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1, max_size=8), formats)
def test_encode_float32(values: list[float], fmt: Format) -> None:
    array = np.array(values, dtype=np.float32)
    assert encode(array, fmt).tolist() == encode(array.astype(np.float64), fmt).tolist()


def test_encode_integers_beyond_float64() -> None:
    values = np.array([2**62 + 1, -(2**62) - 3])
    assert encode(values, Format(64, 64)).tolist() == values.tolist()
    assert encode(values, Format(80, 70)).tolist() == [value * 2**10 for value in values.tolist()]


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_is_refused(bad: float) -> None:
    with pytest.raises(ValueError, match=rf"1 of 4 are not; the first is {bad} at index \[1, 0\]"):
        encode(np.array([[1.0, 2.0], [bad, 3.0]]), Format(8, 5))


def test_what_is_no_real_number_is_refused() -> None:
    for values in (np.array(["1"]), np.array([1j]), np.array([1], dtype=np.longdouble)):
        with pytest.raises(TypeError, match="real numbers"):
            encode(values, Format(8, 5))
    with pytest.raises(TypeError, match="codes must be integers"):
        shift_round(np.array([1.5]), 1, Rounding.RND)
    with pytest.raises(TypeError, match="must be integers"):
        shift_round(np.array([1]), np.array([1.5]), Rounding.RND)


@given(st.lists(st.integers(-(2**300), 2**300) | int64s, min_size=1, max_size=5), st.integers(-1400, 1400))
@example([2**53 + 1, 2**53 + 3, -(2**63) - 1], 0)
@example([(1 << 60) + 1, 2**54 - 1], 1120)
def test_decode_rounds_once(codes: list[int], fraction_bits: int) -> None:
    expected = []
    for code in codes:
        try:
            expected.append(float(code / Fraction(2) ** fraction_bits))
        except OverflowError:
            expected.append(math.copysign(math.inf, code))
    assert decode(np.array(codes, dtype=object), fraction_bits).tolist() == expected
    if all(INT64_MIN <= code <= INT64_MAX for code in codes):
        assert decode(np.array(codes, dtype=np.int64), fraction_bits).tolist() == expected
        points = np.full(len(codes), fraction_bits)
        assert (
            decode(np.array(codes, dtype=np.int64), points, 3).tolist()
            == decode(np.array(codes, dtype=object), fraction_bits - 3).tolist()
        )


@given(formats.filter(lambda fmt: fmt.width <= 53), st.data(), st.integers(-50, 50))
def test_codes_survive_the_way_through_real_numbers(fmt: Format, data: st.DataObject, exponent: int) -> None:
    code = st.integers(fmt.lowest_code, fmt.max_code)
    codes = np.array(data.draw(st.lists(code, min_size=1, max_size=8)))
    assert np.array_equal(encode(decode(codes, fmt, exponent), fmt, exponent), codes)


@given(st.integers(-(2**70), 2**70))
def test_int_dtype(bound: int) -> None:
    assert int_dtype(bound) is (np.int64 if -(2**62) <= bound <= 2**62 else object)


@pytest.mark.parametrize("dtype", [np.int64, object])
@pytest.mark.parametrize("shape", [(), (0,), (2, 0, 3), (2, 3)])
def test_shapes_and_dtypes_are_kept(shape: tuple[int, ...], dtype: type) -> None:
    codes = np.full(shape, 5, dtype=dtype)
    for rounding in Rounding:
        for result in (
            *(shift_round(codes, shift, rounding) for shift in (-1, 0, 1, 3, 90)),
            divide_round(codes, 3, rounding),
            requantize(codes, 3, Format(4, 2, rounding=rounding)),
        ):
            assert isinstance(result, np.ndarray)
            assert (result.shape, result.dtype) == (shape, dtype)
    for overflow in Overflow:
        result = fit(codes, Format(3, 3, overflow=overflow))
        assert isinstance(result, np.ndarray)
        assert (result.shape, result.dtype) == (shape, dtype)
    assert overflowed(codes, Format(3, 3)).shape == shape
    assert decode(codes, 3).shape == shape
    assert decode(codes, 3).dtype == np.float64
    for exponent in (0, 90, -90):
        values = encode(np.full(shape, 1.3), Format(8, 5), exponent)
        assert (values.shape, values.dtype) == (shape, np.int64)


def test_shifts_broadcast_per_channel() -> None:
    codes = np.array([[[5, 6]], [[5, 6]]])
    shifts = np.array([0, 1, 2]).reshape(3, 1)
    expected = [[[5, 6], [3, 3], [1, 2]]] * 2
    assert shift_round(codes, shifts, Rounding.RND).tolist() == expected
    assert shift_round(codes, np.zeros((3, 1), dtype=np.int64), Rounding.RND).tolist() == [[[5, 6]] * 3] * 2
    assert encode(np.array([[1.0], [2.0]]), Format(8, 5), np.array([0, 1])).tolist() == [[8, 4], [16, 8]]


@pytest.mark.parametrize("dtype", [np.bool_, np.int8, np.uint8, np.int16, np.int32, np.uint32])
def test_narrow_integers_are_taken_as_int64(dtype: type) -> None:
    codes = np.array([1, 0, 1], dtype=dtype)
    assert shift_round(codes, -40, Rounding.RND).tolist() == [2**40, 0, 2**40]
    assert fit(codes, Format(8, 8)).dtype == np.int64


def test_unsigned_64_bits_are_not_taken_as_negative() -> None:
    assert shift_round(np.array([2**64 - 1], dtype=np.uint64), 1, Rounding.TRN).tolist() == [2**63 - 1]
    assert fit(np.array([2**64 - 1], dtype=np.uint64), Format(8, 8)).tolist() == [127]
