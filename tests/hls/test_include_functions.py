"""Roots, powers of two, tables and mantissas of templates/include beside the fxnorm functions of the same names."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import Any

import include_cases as cases
import numpy as np
import pytest
from include_program import DIALECTS, Case, Integers, Word, check, corners, every, native_table, not_for_hardware

from fxnorm.fixed.exponential import Exp2
from fxnorm.fixed.format import Format
from fxnorm.fixed.functions import DirectTable, Table, build
from fxnorm.fixed.reals import real_function
from fxnorm.fixed.roots import MAX_BITS, MIN_BITS, Reciprocal, ReciprocalRoot
from fxnorm.fixed.segments import SegmentTable
from fxnorm.fixed.words import multiply_shift
from fxnorm.kernels.encoding import Encoding
from fxnorm.kernels.kernel import Policy
from fxnorm.kernels.norm_exact import ExactMoments
from fxnorm.kernels.softmax import Softmax, SoftmaxOperation
from fxnorm.kernels.stage import Tally

Array = np.ndarray[Any, Any]

SLOW_AP = pytest.param("ap", marks=pytest.mark.slow)  # it takes four times as long to compile


@lru_cache
def table(name: str, source: str, target: str, lsbs: tuple[int, int] | None = None, **parameters: float) -> Table:
    x, y = Format.parse(source), Format.parse(target)
    places = lsbs or (-x.fraction_bits, -y.fraction_bits)
    return build(real_function(name, parameters), x, places[0], y, places[1])


def positive(width: int, rng: np.random.Generator, count: int) -> Array:
    x = corners(Word(width, False), rng, count)
    return x[x > 0]


def table_case(found: Table, name: str, rng: np.random.Generator, count: int | None = None) -> Case:
    word = cases.code_type(found.input)
    x = every(word) if count is None else corners(word, rng, count).astype(np.int64)
    if isinstance(found, DirectTable):
        return cases.direct_table(found, x, name)
    if count is not None:
        # Where one piece ends and the next begins.
        starts = np.concatenate([found.piece_start + step for step in (-1, 0, 1)])
        x = np.unique(np.concatenate([x, starts[(starts >= word.low) & (starts <= word.high)]]))
    return cases.segment_table(found, x, name)


def softmax(source: str, target: str, length: int) -> Softmax:
    x, y = Format.parse(source), Format.parse(target)
    policy = Policy(format=y, weight_format=y)
    kernel = SoftmaxOperation(0, length, False).decide([Encoding(x)], Encoding(y), policy)
    assert isinstance(kernel, Softmax)
    return kernel


def softmax_case(kernel: Softmax, source: str, name: str, rng: np.random.Generator, count: int | None = None) -> Case:
    width = Format.parse(source).width
    word = Word(width, False)
    x = every(word) if count is None else corners(word, rng, count).astype(np.int64)
    near = kernel.limit + np.arange(-3, 4)
    return cases.exponential(kernel, width, np.concatenate([x, near[(near >= 0) & (near <= word.high)]]), name)


def products(rng: np.random.Generator, words: tuple[Word, Word], low: int, high: int, count: int) -> list[Case]:
    a = rng.choice(corners(words[0], rng, count), count)
    m = rng.choice(corners(words[1], rng, count), count)
    shift = rng.integers(low, high + 1, count)
    return [cases.mantissa_product(sticky, low, high, words, (a, m, shift)) for sticky in (True, False)]


def some() -> list[Case]:
    rng = np.random.default_rng(5)
    narrow, wide = Word(9, False), Word(90, False)
    batch = [cases.leading_place(narrow, every(narrow), 5), cases.leading_place(wide, corners(wide, rng, 60), 20)]
    batch += [cases.magnitudes(Word(6), every(Word(6)), 9), cases.magnitudes(Word(64), corners(Word(64), rng, 60), 9)]
    batch += products(rng, (Word(40), Word(33, False)), -5, 90, 400)
    batch += products(rng, (Word(20), Word(9, False)), -9, 12, 400)
    batch.append(cases.float_words(corners(Word(31, False), rng, 100)))
    batch.append(cases.counter_widths(np.arange(2000)))
    for number, bits in enumerate((5, 20, 40)):
        width = 100 if number % 2 else 10
        x = positive(width, rng, 200)
        batch.append(cases.root(Reciprocal(bits), Word(width, False), x, f"a{bits}"))
        batch.append(cases.root(ReciprocalRoot(bits), Word(width, False), x, f"b{bits}"))
    for bits in (2, 7, 16, 40):
        batch.append(cases.power_of_two(Exp2(bits), corners(Word(bits, False), rng, 100).astype(np.int64), f"e{bits}"))
    batch.append(cases.power_of_two(replace(Exp2(14), position_bits=9), every(Word(14, False)), "dropped"))
    batch.append(softmax_case(softmax("q5.3", "uq0.8", 10), "q5.3", "s", rng))
    batch.append(table_case(table("sigmoid", "q4.3", "q2.6"), "d", rng))
    batch.append(table_case(table("exp", "q4.3", "uq4.4:rnd,sat_zero"), "f", rng))
    lines = table("tanh", "q4.10", "q2.8:rnd,sat")
    assert isinstance(lines, SegmentTable)
    steps = replace(lines, coefficients=lines.coefficients[:1], multiplicand_bits=0)
    batch += [table_case(lines, "g", rng), table_case(steps, "i", rng)]
    batch.append(table_case(table("reciprocal", "q4.10", "q8.8:rnd_zero,sat"), "h", rng))
    return batch


@pytest.mark.parametrize("dialect", ["ac", SLOW_AP])
def test_some_of_everything(dialect: str, tmp_path: Path) -> None:
    assert check(dialect, some(), tmp_path, "-O0") > 10_000


@pytest.mark.slow
@pytest.mark.parametrize("dialect", DIALECTS)
def test_all_can_become_hardware(dialect: str, tmp_path: Path) -> None:
    assert not_for_hardware(dialect, some(), tmp_path) == []


@pytest.mark.slow
@pytest.mark.parametrize("dialect", DIALECTS)
def test_roots_of_every_width(dialect: str, tmp_path: Path) -> None:
    """Every integer of 12 bits; every mantissa that a table of few bits can see; wide words by their corners."""
    rng = np.random.default_rng(6)
    batch: list[Case] = []
    for bits in range(MIN_BITS, MAX_BITS + 1, 3 if dialect == "ap" else 1):
        for kernel in (Reciprocal(bits), ReciprocalRoot(bits)):
            kind = type(kernel).__name__
            width = (14, 33, 75, 64, 150)[bits % 5]
            x = every(Word(12, False))[1:] if width == 14 else positive(width, rng, 1000)
            batch.append(cases.root(kernel, Word(width, False), x, f"{kind}{bits}"))
            if bits < 9:
                seen = every(Word(bits + 5, False))[1:]
                batch.append(cases.root(kernel, Word(bits + 5, False), seen, f"{kind}{bits}_all"))
    assert check(dialect, batch, tmp_path) > 100_000


@pytest.mark.slow
@pytest.mark.parametrize("kind", [Reciprocal, ReciprocalRoot])
def test_the_correction_of_newtons_step_fits(kind: type[Reciprocal | ReciprocalRoot]) -> None:
    """fx::root_widths::correction_bits, over every start of every table and the ends of the mantissas that have it.

    1 - p falls as the mantissa grows, so that the ends bound what is between them.
    """
    for bits in range(MIN_BITS, MAX_BITS + 1):
        kernel = kind(bits)
        index_bits, slope_bits, start_bits, position_bits, inner_bits = kernel.constants
        limit = 1 << (inner_bits - bits // 2 - 1)
        for line in range(len(kernel.intercepts)):
            t = np.arange(1 << slope_bits, dtype=np.int64)
            start = kernel.intercepts[line] - ((kernel.slopes[line] * t) >> slope_bits)
            assert start.min() >= 0
            assert start.max() < 1 << start_bits
            octave, index = divmod(line, 1 << index_bits)
            unit = position_bits - start_bits
            low = (1 << position_bits) + (((index << slope_bits) + t) << unit)
            for m in (low, low + (1 << unit) - 1):
                drop = position_bits + start_bits - inner_bits
                p = multiply_shift(m << octave, start, drop, position_bits + 2, start_bits + 1)
                if kind is ReciprocalRoot:
                    p = multiply_shift(p, start, start_bits, inner_bits + 2, start_bits + 1)
                correction = (1 << inner_bits) - p
                assert -limit <= correction.min()
                assert correction.max() < limit
        assert kernel.slopes.min() >= 0
        assert kernel.slopes.max() < 1 << slope_bits


@pytest.mark.slow
@pytest.mark.parametrize("dialect", DIALECTS)
def test_powers_of_every_width(dialect: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(7)
    batch: list[Case] = []
    for bits in range(2, 41, 3 if dialect == "ap" else 1):
        word = Word(bits, False)
        x = every(word) if bits <= 14 else corners(word, rng, 2000).astype(np.int64)
        batch.append(cases.power_of_two(Exp2(bits), x, f"e{bits}"))
    for number, (source, target, length) in enumerate(
        [
            ("q5.3", "uq0.8", 10),
            ("q8.8", "uq0.16", 64),
            ("q1.7", "q8.8", 3),
            ("q20.-8", "uq0.8", 4),
            ("q2.30", "uq1.31", 48),
        ]
    ):
        count = None if Format.parse(source).width <= 16 else 2000
        batch.append(softmax_case(softmax(source, target, length), source, f"s{number}", rng, count))
    assert check(dialect, batch, tmp_path) > 100_000


@pytest.mark.slow
@pytest.mark.parametrize("dialect", DIALECTS)
def test_tables_of_every_kind(dialect: str, tmp_path: Path) -> None:
    """Direct and segmented; signed and unsigned; pieces that are mirrored, in octaves, flat; all degrees; all overflow modes."""
    rng = np.random.default_rng(8)
    small = [
        table("sigmoid", "q1.0", "q2.6"),
        table("log", "uq4.4", "q4.4:trn,sat_sym"),
        table("exp", "q4.4", "q3.5:rnd_conv,wrap"),
        table("exp", "q4.4", "uq3.5:rnd_inf,sat_zero"),
        table("gelu", "q6.6", "q6.6:rnd,sat"),
        table("tanh", "q5.8", "q2.6:rnd,sat"),
        table("exp", "q5.9", "uq8.4:rnd_min_inf,sat_zero"),
        table("sqrt", "uq8.6", "uq4.10:trn_zero,sat"),
        table("sigmoid", "q4.12", "q2.14:rnd_conv,sat_sym"),
        table("log", "uq1.15", "q5.11:rnd,sat", (-15, -11)),
        table("reciprocal", "q4.10", "q8.8:rnd_zero,sat"),
    ]
    large = [
        table("gelu", "q8.16", "q8.16:rnd,sat"),
        table("erf", "q4.20", "q2.22:rnd,sat"),
        table("log", "uq1.30", "uq0.31:rnd,sat", (-30, -31)),
        table("sigmoid", "q8.24", "q2.14:rnd_inf,sat"),
    ]
    segmented = [found for found in (*small, *large) if isinstance(found, SegmentTable)]
    assert {1, 2, 3} <= {found.degree for found in segmented}
    assert any(found.piece_mirrored.any() for found in segmented)
    assert any(found.piece_octave.any() for found in segmented)
    assert any(not found.piece_octave.all() for found in segmented)
    batch = [table_case(found, f"t{number}", rng) for number, found in enumerate(small)]
    batch += [table_case(found, f"u{number}", rng, 20_000) for number, found in enumerate(large)]
    assert check(dialect, batch, tmp_path) > 100_000


@pytest.mark.slow
@pytest.mark.parametrize("dialect", DIALECTS)
def test_words_of_every_width(dialect: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(9)
    batch: list[Case] = []
    for width in (*range(1, 12, 3 if dialect == "ap" else 1), 31, 32, 33, 63, 64, 65, 100, 128, 150):
        word, signed = Word(width, False), Word(width)
        x = every(word) if width < 12 else corners(word, rng, 200)
        batch += [cases.leading_place(word, x, bits) for bits in (1, 7, width, 43)]
        batch.append(
            cases.magnitudes(signed, every(signed) if width < 12 else corners(signed, rng, 200), 1 + width % 7)
        )
        for low, high in ((-9, width), (0, 2 * width + 60), (3, 4)):
            mantissa = Word(int(rng.integers(1, 41)), False)
            batch += products(rng, (signed, mantissa), low, high, 500)
    fraction = corners(Word(31, False), rng, 20_000)
    batch.append(cases.float_words(fraction))
    assert check(dialect, batch, tmp_path) > 100_000


def group_case(format_: Format, count: int, name: str, rng: np.random.Generator) -> Case:
    """Moments of groups as norm_exact has them, from the sums S and Q on: D, the mantissa and the exponent."""
    moments = ExactMoments.decide(
        format_, format_.step, count, Fraction(1, 100_000), 26, centered=True, mean=True, alone=False
    )
    low, high = format_.min_code, format_.max_code
    rows = rng.integers(low, high, (40, count), endpoint=True)
    rows[0], rows[1], rows[2] = low, high, np.where(np.arange(count) % 2, low, high)
    rows[3], rows[3, 0] = high, low
    rows[4:10] = rng.integers(-3, 4, (6, count))
    found = moments.moments(rows, (0,), Tally())
    _, deviation = moments.sums(rows, (0,))
    sums = rows.astype(object).sum(axis=1), (rows.astype(object) ** 2).sum(axis=1)
    s, q = Word((count * -low).bit_length() + 1), Word(moments.square_bound.bit_length(), False)
    d, v = Word((moments.bound >> moments.fraction_bits).bit_length(), False), Word(moments.bound.bit_length(), False)
    e = cases.literal(moments.epsilon)
    k, bits = moments.fraction_bits, moments.root.bits
    body = f"""
    fx_uint<{count.bit_length()}> n = {count};
    fx_uint<{d.width + 2}> whole = x1 * n;
    fx_uint<{d.width + 2}> square = x0 * x0;
    y0 = whole - square;
    {v} radicand = y0;
    radicand = radicand << {k};
    {v} epsilon = {e};
    {v} least = 1;
    least = least << {k};
    radicand = fx::maximum<{v} >(radicand + epsilon, least);
    int exponent;
    y1 = fx::reciprocal_root<{bits}>(radicand, {name}_a, {name}_b, exponent);
    y2 = exponent - {k // 2};"""
    columns: tuple[Integers, ...] = (deviation.ravel(), found.mantissa.ravel(), found.exponent.ravel())
    return Case(
        f"moments of {count} values of {format_}",
        body,
        (s, q),
        sums,
        (d, Word(bits, False), cases.INT),
        columns,
        native_table(f"{name}_a", moments.root.intercepts) + "\n" + native_table(f"{name}_b", moments.root.slopes),
    )


@pytest.mark.slow
@pytest.mark.parametrize("dialect", DIALECTS)
def test_moments_of_groups(dialect: str, tmp_path: Path) -> None:
    """Primitives put together: 60 values of 32 bits make a D of 75 bits with its sign."""
    rng = np.random.default_rng(10)
    shapes = [("q5.3", 7), ("q8.8", 64), ("q12.20:rnd,sat", 60), ("q1.31", 384)]
    batch = [group_case(Format.parse(spelling), count, f"g{i}", rng) for i, (spelling, count) in enumerate(shapes)]
    assert batch[2].outputs[0] == Word(74, False)
    assert check(dialect, batch, tmp_path) == 4 * 40 * 3
