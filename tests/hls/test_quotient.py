"""Magic numbers of constant divisors, against the division itself."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fxnorm.hls.quotient import magic, magic_numbers


@pytest.mark.parametrize("bits", [1, 2, 3, 7, 10])
def test_every_dividend(bits: int) -> None:
    for divisor in (*range(1, 130), 1000, 1023, 1024, 1025):
        number, places = magic(divisor, bits)
        assert [n * number >> places for n in range(1 << bits)] == [n // divisor for n in range(1 << bits)]


def test_powers_of_two_are_shifts() -> None:
    assert [magic(1 << places, 40) for places in range(5)] == [(1, places) for places in range(5)]


@given(st.integers(1, 100), st.integers(1, 1 << 40), st.data())
def test_drawn_dividends(bits: int, divisor: int, data: st.DataObject) -> None:
    number, places = magic(divisor, bits)
    assert number < 1 << (bits + 1)
    largest = (1 << bits) - 1
    last = largest - (largest + 1) % divisor  # the largest one that is followed by a multiple
    multiple = divisor * data.draw(st.integers(0, largest // divisor))
    for n in {0, largest, last, multiple, multiple - 1, data.draw(st.integers(0, largest))}:
        if 0 <= n <= largest:
            assert n * number >> places == n // divisor


@given(st.integers(1, 60), st.lists(st.integers(1, 1 << 20), min_size=1, max_size=9), st.data())
def test_shared_places(bits: int, divisors: list[int], data: st.DataObject) -> None:
    numbers, places = magic_numbers(divisors, bits)
    largest = (1 << bits) - 1
    for number, divisor in zip(numbers, divisors, strict=True):
        multiple = divisor * data.draw(st.integers(0, largest // divisor))
        for n in {largest, multiple, max(multiple - 1, 0)}:
            assert n * number >> places == n // divisor


@pytest.mark.parametrize(("divisor", "bits"), [(0, 4), (-3, 4), (3, 0)])
def test_what_has_none(divisor: int, bits: int) -> None:
    with pytest.raises(ValueError, match="must be positive"):
        magic(divisor, bits)
