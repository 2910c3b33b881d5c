from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fxnorm.fixed.words import bit_length, horner, horner_bits, integers, multiply_shift, product_split


def test_leading_one_of_every_small_integer_and_around_every_power_of_two():
    powers = [(1 << k) + d for k in range(62) for d in (-1, 0, 1)]
    codes = np.array([*range(5000), *powers, (1 << 63) - 1, (1 << 62) - 1])
    expected = [int(n).bit_length() for n in codes]
    assert bit_length(codes).tolist() == expected
    # One at a time too: small arrays take another path than those that hold a wide integer.
    assert [int(bit_length(np.array([n]))[0]) for n in powers] == [n.bit_length() for n in powers]


@given(st.lists(st.integers(0, 1 << 300), min_size=1))
def test_leading_one_of_integers_of_any_size(values):
    assert bit_length(np.array(values, dtype=object)).tolist() == [n.bit_length() for n in values]


def test_leading_one_of_nothing_and_of_negative_integers():
    assert bit_length(np.zeros(0, dtype=np.int64)).shape == (0,)
    for dtype in (np.int64, object):
        with pytest.raises(ValueError, match="negative"):
            bit_length(np.array([1, -1], dtype=dtype))


@st.composite
def products(draw):
    b_bits = draw(st.integers(1, 40))
    a_bits = draw(st.integers(1, 62 - (b_bits + 1) // 2))
    shift = draw(st.integers((b_bits + 1) // 2, 62))
    a = draw(st.lists(st.integers(-(1 << a_bits), 1 << a_bits), min_size=1, max_size=5))
    b = draw(st.lists(st.integers(0, (1 << b_bits) - 1), min_size=len(a), max_size=len(a)))
    return a_bits, b_bits, shift, a, b


@given(products())
def test_products_beyond_64_bits_are_exact(case):
    a_bits, b_bits, shift, a, b = case
    got = multiply_shift(np.array(a), np.array(b), shift, a_bits, b_bits)
    assert got.tolist() == [(m * n) >> shift for m, n in zip(a, b, strict=True)]


def test_the_largest_operands_do_not_wrap():
    for a_bits, b_bits in ((61, 1), (46, 32), (42, 40), (31, 31), (53, 18)):
        for a in ((1 << a_bits), -(1 << a_bits)):
            b = (1 << b_bits) - 1
            shift = max(b_bits, 12)
            assert multiply_shift(np.array([a]), np.array([b]), shift, a_bits, b_bits).tolist() == [(a * b) >> shift]


def test_products_that_cannot_be_held_are_refused():
    with pytest.raises(OverflowError, match="does not fit"):
        product_split(40, 60, 40)
    with pytest.raises(OverflowError, match="does not fit"):
        product_split(2, 40, 32)


@given(
    st.lists(st.lists(st.integers(-(1 << 30), 1 << 30), min_size=3, max_size=3), min_size=1, max_size=4),
    st.integers(0, 28),
    st.data(),
)
def test_polynomials_are_evaluated_as_in_plain_integers_within_their_bounds(rows, bits, data):
    coefficients = np.array(rows)
    multiplicand_bits, accumulator_bits = horner_bits(coefficients)
    segment = data.draw(st.integers(0, 2))
    u = data.draw(st.integers(0, (1 << bits) - 1))
    acc = rows[-1][segment]
    for row in rows[-2::-1]:
        assert abs(acc).bit_length() <= multiplicand_bits
        acc = row[segment] + ((acc * u) >> bits)
        assert abs(acc).bit_length() <= accumulator_bits
    assert horner(coefficients, np.array([segment]), np.array([u]), bits, multiplicand_bits).tolist() == [acc]


def test_values_are_no_codes():
    assert integers([1, 2]).dtype == np.int64
    assert integers(np.array([1 << 70], dtype=object))[0] == 1 << 70
    with pytest.raises(TypeError, match="integers"):
        integers(np.array([1.0]))
