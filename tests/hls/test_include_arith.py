"""fx_arith.h and fx_divide.h beside fxnorm.fixed.arith, in both vendors' types; casts beside those of the vendors' own types."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import include_cases as cases
import numpy as np
import pytest
from include_program import DIALECTS, Case, Word, check, corners, every, not_for_hardware

from fxnorm.fixed.format import Format, Overflow, Rounding

Array = np.ndarray[Any, Any]

SLOW_AP = pytest.param("ap", marks=pytest.mark.slow)  # it takes four times as long to compile


def pairs(x: Array, y: Array) -> tuple[Array, Array]:
    """Every one with every other."""
    return np.tile(x, len(y)), np.repeat(y, len(x))


def formats(width: int) -> Iterator[Format]:
    for signed, overflow in itertools.product((True, False), Overflow):
        yield Format(width, width, signed, Rounding.RND, overflow)


def modes(dialect: str) -> Iterator[tuple[Rounding, Overflow]]:
    """Those that the vendor's own types have."""
    for rounding, overflow in itertools.product(Rounding, Overflow):
        if dialect == "ac" or rounding is not Rounding.RND_CONV_ODD:
            yield rounding, overflow


def any_mode(rng: np.random.Generator) -> Rounding:
    return list(Rounding)[rng.integers(len(Rounding))]


def divisors(word: Word) -> Array:
    return np.arange(1, word.high + 1, dtype=np.int64)


def some(dialect: str) -> list[Case]:
    rng = np.random.default_rng(4)
    word, wide = Word(6), Word(75)
    batch: list[Case] = []
    for rounding in Rounding:
        batch += [cases.shift(rounding, places, word, every(word)) for places in (-2, 1, 3, 9)]
        batch.append(cases.run_time_shift(rounding, -2, 9, word, *pairs(every(word), np.arange(-2, 10))))
        batch.append(cases.quotient(rounding, 1, 5, word, every(word)))
        batch.append(cases.quotient(rounding, 7, 11, word, every(word)))
        batch.append(cases.shift(rounding, 40, wide, corners(wide, rng, 100)))
        batch.append(cases.quotient(rounding, -3, 384, wide, corners(wide, rng, 100)))
    for rounding, places in zip(Rounding, (-3, -1, 0, 1, 2, 4, 6, 9), strict=True):
        batch.append(
            cases.run_time_quotient(rounding, places, word, Word(3, False), *pairs(every(word), np.arange(1, 8)))
        )
    for narrow in (Word(3), Word(4), Word(5), word):
        batch += [cases.fit(format_, narrow, every(narrow)) for format_ in formats(4)]
    batch += [cases.fit(format_, wide, corners(wide, rng, 100)) for format_ in formats(66)]
    batch.append(cases.clips(word, every(word), -5, 17))
    source = Format(7, 4, True)
    batch += [cases.vendor_cast(Format(4, 3, True, *mode), source, every(word)) for mode in modes(dialect)]
    return batch


@pytest.mark.parametrize("dialect", ["ac", SLOW_AP])
def test_some_of_everything(dialect: str, tmp_path: Path) -> None:
    assert check(dialect, some(dialect), tmp_path, "-O0") > 10_000


@pytest.mark.slow
@pytest.mark.parametrize("dialect", DIALECTS)
def test_all_can_become_hardware(dialect: str, tmp_path: Path) -> None:
    assert not_for_hardware(dialect, some(dialect), tmp_path) == []


@pytest.mark.slow
@pytest.mark.parametrize("dialect", DIALECTS)
def test_every_shift_of_narrow_words(dialect: str, tmp_path: Path) -> None:
    batch: list[Case] = []
    for width, rounding in itertools.product((1, 3, 8) if dialect == "ap" else (1, 2, 3, 5, 8), Rounding):
        word = Word(width)
        batch += [cases.shift(rounding, places, word, every(word)) for places in range(-3, width + 4)]
        for low, high in ((-3, width + 3), (0, width), (0, 1), (2, 3), (width + 1, width + 9), (-4, -1), (-2, 0)):
            places = np.arange(low, high + 1)
            batch.append(cases.run_time_shift(rounding, low, high, word, *pairs(every(word), places)))
    assert check(dialect, batch, tmp_path) > 100_000


@pytest.mark.slow
@pytest.mark.parametrize("dialect", DIALECTS)
def test_every_overflow_of_narrow_words(dialect: str, tmp_path: Path) -> None:
    batch = [
        cases.fit(format_, Word(width), every(Word(width)))
        for width in range(1, 10)
        for target in range(1, 7)
        for format_ in formats(target)
    ]
    assert check(dialect, batch, tmp_path) > 50_000


@pytest.mark.slow
@pytest.mark.parametrize("dialect", DIALECTS)
def test_every_quotient_of_narrow_words(dialect: str, tmp_path: Path) -> None:
    batch: list[Case] = []
    for number, rounding in enumerate(Rounding):
        for divisor in (*range(1, 18, 2 if dialect == "ap" else 1), 100, 127, 128, 129, 1000):
            for width, places in ((8, 0), (1 + (divisor + number) % 9, divisor % 7 - 2)):
                batch.append(cases.quotient(rounding, places, divisor, Word(width), every(Word(width))))
        for width, places, by in ((8, 0, 4), (1, 0, 2), (2, -2, 1), (7, 3, 5), (5, -3, 3), (3, 5, 4), (6, 6, 9)):
            columns = pairs(every(Word(width)), divisors(Word(by, False)))
            batch.append(cases.run_time_quotient(rounding, places, Word(width), Word(by, False), *columns))
    assert check(dialect, batch, tmp_path) > 100_000


@pytest.mark.slow
@pytest.mark.parametrize("dialect", DIALECTS)
def test_wide_words(dialect: str, tmp_path: Path) -> None:
    """Widths around those of native words, of limbs, and of the normalization of 32-bit data."""
    rng = np.random.default_rng(75)
    batch: list[Case] = []
    widths = (31, 32, 33, 48, 63, 64, 65, 75, 127, 129, 150)
    for number, width in enumerate(widths[:: 2 if dialect == "ap" else 1]):
        word = Word(width)
        x = corners(word, rng, 200)
        for rounding in Rounding:
            batch.append(cases.shift(rounding, int(rng.integers(-20, width + 4)), word, x))
        for _ in range(2):
            low, high = sorted(int(place) for place in rng.integers(-30, width + 10, 2))
            places = rng.integers(low, high + 1, len(x))
            batch.append(cases.run_time_shift(any_mode(rng), low, high, word, x, places))
            divisor, places_ = int(rng.integers(1, 1 << int(rng.integers(1, 40)))), int(rng.integers(-9, 30))
            batch.append(cases.quotient(any_mode(rng), places_, divisor, word, x))
            by = Word(int(rng.integers(1, 40)), False)
            column = np.maximum(rng.choice(corners(by, rng, 50), len(x)), 1)
            batch.append(cases.run_time_quotient(any_mode(rng), int(rng.integers(-9, 30)), word, by, x, column))
        for target in (width - 1, width, width + 1, int(rng.integers(1, 33))):
            batch += [cases.fit(format_, word, x) for format_ in list(formats(target))[number % 3 :: 3]]
        limit = int(rng.integers(1, 1 << min(width - 2, 61)))
        batch.append(cases.clips(word, x, -limit, limit))
    assert check(dialect, batch, tmp_path) > 100_000


@pytest.mark.slow
@pytest.mark.parametrize("dialect", DIALECTS)
def test_casts_of_the_vendors_types(dialect: str, tmp_path: Path) -> None:
    """Rounding and overflow together are what ac_fixed and ap_fixed do; narrow formats with every code."""
    rng = np.random.default_rng(28)
    batch: list[Case] = []
    shapes = [
        (3, True, 7, True, 2),
        (3, False, 7, True, 3),
        (4, True, 6, False, 1),
        (1, True, 5, True, 2),
        (5, True, 4, True, -2),
    ]
    shapes += [(8, True, 24, True, 13), (16, True, 48, True, 30), (32, True, 63, True, 24), (31, False, 40, True, 9)]
    for (width, signed, from_width, from_signed, dropped), mode in itertools.product(shapes, modes(dialect)):
        source = Format(from_width, from_width - dropped, from_signed)
        word = cases.code_type(source)
        x = every(word) if from_width < 10 else corners(word, rng, 60)
        batch.append(cases.vendor_cast(Format(width, width, signed, *mode), source, x))
    assert check(dialect, batch, tmp_path) > 50_000
