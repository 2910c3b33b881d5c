"""All rounding and overflow modes against oracles written from their definition, exhaustively for up to 6 bits.

The oracle works on fractions and reads the definition as it is printed in the vendors' manuals: the floor, plus one if
the mode's condition on the first dropped bit, the rest, the sign and the last kept bit is true.
"""

from __future__ import annotations

import functools
import itertools
import math
import warnings
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import apytypes
import numpy as np
import numpy.typing as npt
import pytest
from fxpmath import Fxp

from fxnorm.fixed.arith import divide_round, encode, fit, overflowed, requantize, round_values, shift_round
from fxnorm.fixed.format import Format, Overflow, Rounding

CONDITIONS: dict[Rounding, Callable[[bool, bool, bool, bool], bool]] = {
    Rounding.TRN: lambda qb, r, s, last: False,
    Rounding.TRN_ZERO: lambda qb, r, s, last: s and (qb or r),
    Rounding.RND: lambda qb, r, s, last: qb,
    Rounding.RND_ZERO: lambda qb, r, s, last: qb and (s or r),
    Rounding.RND_INF: lambda qb, r, s, last: qb and (not s or r),
    Rounding.RND_MIN_INF: lambda qb, r, s, last: qb and r,
    Rounding.RND_CONV: lambda qb, r, s, last: qb and (last or r),
    Rounding.RND_CONV_ODD: lambda qb, r, s, last: qb and (not last or r),
}

HALVES = {  # what -2.5, -1.5, 1.5 and 2.5 become
    Rounding.TRN: [-3, -2, 1, 2],
    Rounding.TRN_ZERO: [-2, -1, 1, 2],
    Rounding.RND: [-2, -1, 2, 3],
    Rounding.RND_ZERO: [-2, -1, 1, 2],
    Rounding.RND_INF: [-3, -2, 2, 3],
    Rounding.RND_MIN_INF: [-3, -2, 1, 2],
    Rounding.RND_CONV: [-2, -2, 2, 2],
    Rounding.RND_CONV_ODD: [-3, -1, 1, 3],
}

CODES = np.arange(-1024, 1025, dtype=np.int64)  # with 4 dropped bits still twice the range of 6 bits
NARROW = [(width, signed) for width in range(1, 7) for signed in (True, False)]


def rounded(x: Fraction, mode: Rounding) -> int:
    floor = math.floor(x)
    rest = x - floor
    qb, r = rest >= Fraction(1, 2), rest not in (0, Fraction(1, 2))
    return floor + CONDITIONS[mode](qb, r, x < 0, floor % 2 == 1)


def limited(code: int, width: int, signed: bool, mode: Overflow) -> int:
    low, high = (-(2 ** (width - 1)), 2 ** (width - 1) - 1) if signed else (0, 2**width - 1)
    if mode is Overflow.WRAP:
        return (code - low) % 2**width + low
    if mode is Overflow.SAT_SYM and signed and width > 1:
        low = -high
    if mode is Overflow.SAT_ZERO:
        return code if low <= code <= high else 0
    return min(max(code, low), high)


@functools.cache
def rounded_codes(dropped: int, mode: Rounding) -> list[int]:
    return [rounded(int(code) / Fraction(2) ** dropped, mode) for code in CODES]


@pytest.mark.parametrize("mode", Rounding)
def test_halves_become_what_the_table_says(mode: Rounding) -> None:
    assert shift_round(np.array([-5, -3, 3, 5]), 1, mode).tolist() == HALVES[mode]
    assert [rounded(Fraction(n, 2), mode) for n in (-5, -3, 3, 5)] == HALVES[mode]


@pytest.mark.parametrize("dtype", [np.int64, object])
@pytest.mark.parametrize("mode", Rounding)
def test_shifts(mode: Rounding, dtype: type[Any]) -> None:
    codes = CODES.astype(dtype)
    drops = list(range(-3, 13))
    table = np.stack([np.array(rounded_codes(dropped, mode)) for dropped in drops])
    for row, dropped in zip(table, drops, strict=True):
        one = shift_round(codes, dropped, mode)
        assert one.dtype == codes.dtype
        assert np.array_equal(one, row), dropped
    together = shift_round(codes, np.array(drops)[:, None], mode)
    assert together.dtype == codes.dtype
    assert np.array_equal(together, table)


@pytest.mark.parametrize("dtype", [np.int64, object])
@pytest.mark.parametrize("mode", Rounding)
def test_quotients(mode: Rounding, dtype: type[Any]) -> None:
    codes = CODES[::3].astype(dtype)
    divisors = [*range(1, 20), 64, 1000, 5000]
    table = np.array([[rounded(Fraction(int(code), divisor), mode) for code in codes] for divisor in divisors])
    for row, divisor in zip(table, divisors, strict=True):
        assert np.array_equal(divide_round(codes, divisor, mode), row), divisor
    together = divide_round(codes, np.array(divisors)[:, None], mode)
    assert together.dtype == codes.dtype
    assert np.array_equal(together, table)


@pytest.mark.parametrize("overflow", Overflow)
@pytest.mark.parametrize("dtype", [np.int64, object])
@pytest.mark.parametrize(("width", "signed"), NARROW)
def test_overflow(width: int, signed: bool, overflow: Overflow, dtype: type[Any]) -> None:
    fmt = Format(width, width, signed, Rounding.RND, overflow)
    codes = np.arange(-300, 301).astype(dtype)
    expected = [limited(int(code), width, signed, overflow) for code in codes]
    assert fit(codes, fmt).dtype == codes.dtype
    assert fit(codes, fmt).tolist() == expected
    assert overflowed(codes, fmt).tolist() == [here != before for here, before in zip(expected, codes, strict=True)]


@pytest.mark.parametrize(("rounding", "overflow"), list(itertools.product(Rounding, Overflow)))
def test_every_format_of_up_to_six_bits(rounding: Rounding, overflow: Overflow) -> None:
    """Codes and real numbers into every format, from -2 to 6 dropped bits, at several binary points."""
    for width, signed in NARROW:
        for dropped in range(-2, 7):
            expected = [limited(code, width, signed, overflow) for code in rounded_codes(dropped, rounding)]
            for fraction_bits in (0, 3, -4):
                fmt = Format(width, width - fraction_bits, signed, rounding, overflow)
                assert np.array_equal(requantize(CODES, fraction_bits + dropped, fmt), expected)
                values = CODES * 2.0 ** -(fraction_bits + dropped)
                assert np.array_equal(encode(values, fmt), expected)
                assert np.array_equal(encode(values.astype(np.float32) * 8, fmt, exponent=3), expected)


@pytest.mark.parametrize("fraction_bits", [0, 3, -4])
@pytest.mark.parametrize("rounding", Rounding)
def test_the_sign_of_an_infinitesimal_counts(rounding: Rounding, fraction_bits: int) -> None:
    halves = range(-3, 4)
    for nudge in (-1, 0, 1):
        expected = [rounded(Fraction(n, 2) + nudge * Fraction(1, 2**50), rounding) for n in halves]
        values = (np.array(halves) / 2 + nudge * 2.0**-50) * 2.0**-fraction_bits
        assert round_values(values, fraction_bits, rounding).tolist() == expected


FXPMATH = {
    Rounding.TRN: "floor",
    Rounding.TRN_ZERO: "trunc",
    Rounding.RND: "nearest_posinf",
    Rounding.RND_ZERO: "nearest_zero",
    Rounding.RND_INF: "nearest_away",
    Rounding.RND_MIN_INF: "nearest_neginf",
    Rounding.RND_CONV: "around",
}


@pytest.mark.parametrize(("overflow", "word"), [(Overflow.WRAP, "wrap"), (Overflow.SAT, "saturate")])
@pytest.mark.parametrize("rounding", FXPMATH)
def test_fxpmath_agrees(rounding: Rounding, overflow: Overflow, word: str) -> None:
    for width, signed in NARROW:
        for dropped in (0, 1, 4):
            values = CODES * 2.0 ** -(3 + dropped)
            theirs = Fxp(values, signed, width, 3, rounding=FXPMATH[rounding], overflow=word)
            ours = encode(values, Format(width, width - 3, signed, rounding, overflow))
            assert np.array_equal(ours, np.asarray(theirs.val)), (width, signed, dropped)


@pytest.mark.parametrize("overflow", [Overflow.WRAP, Overflow.SAT])
@pytest.mark.parametrize("rounding", Rounding)
def test_apytypes_agrees(rounding: Rounding, overflow: Overflow) -> None:
    """Signed only: apytypes has no unsigned type."""
    quantization = apytypes.QuantizationMode[rounding.name]
    for width in range(1, 7):
        for dropped in (0, 1, 2, 4):
            source = apytypes.APyFixedArray(CODES.tolist(), int_bits=12 - dropped, frac_bits=dropped)
            theirs = source.cast(width, 0, quantization, apytypes.OverflowMode[overflow.name])
            ours = requantize(CODES, dropped, Format(width, width, True, rounding, overflow))
            assert np.array_equal(ours, signed_bits(theirs, width)), (width, dropped)


def signed_bits(numbers: Any, width: int) -> npt.NDArray[np.int64]:
    bits = np.array(numbers.to_bits(), dtype=np.int64)
    return np.where(bits >= 2 ** (width - 1), bits - 2**width, bits)


def test_the_oracle_knows_what_numpy_does_not() -> None:
    """NumPy's own rounding is another one: half to even."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.round(np.array([0.5, 1.5, 2.5])).tolist() == [0, 2, 2]
    assert shift_round(np.array([1, 3, 5]), 1, Rounding.RND).tolist() == [1, 2, 3]
