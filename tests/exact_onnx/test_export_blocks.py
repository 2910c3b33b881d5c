"""Integer blocks as 64-bit operators, each against its own integers: leading ones, shifts, products, reciprocals, tables."""

from __future__ import annotations

from collections import Counter
from itertools import product

import numpy as np
import pytest
from blocks_in_onnx import run
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles.codes import fitted, rounded
from oracles.codes import power as two_to

from fxnorm.exact_onnx import rounding, words
from fxnorm.exact_onnx.numbers import Arithmetic, Inexact, Kind
from fxnorm.fixed import words as integers
from fxnorm.fixed.exponential import Exp2
from fxnorm.fixed.format import Format, Overflow, Rounding
from fxnorm.fixed.functions import build
from fxnorm.fixed.reals import real_function
from fxnorm.fixed.roots import Reciprocal, ReciprocalRoot
from fxnorm.kernels.stage import Rescale, Tally


def positive(bits, count=300, seed=0):
    """Positive integers of all lengths up to some bits, powers of two and their neighbours among them."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(1, bits + 1, count)
    free = [(1 << int(n) - 1) + int(rng.integers(0, 1 << int(n) - 1)) if n > 1 else 1 for n in lengths]
    edges = [e for n in range(bits) for e in ((1 << n) - 1, 1 << n, (1 << n) + 1)]
    return np.array([n for n in (*free, *edges, (1 << bits) - 1) if 0 < n < 1 << bits], np.int64)


@pytest.mark.parametrize("bits", [1, 2, 3, 8, 9, 16, 17, 33, 53, 61])
def test_bit_length(bits):
    x = np.concatenate([positive(bits), [0]])
    assert np.array_equal(run(words.bit_length, x), integers.bit_length(x))


@pytest.mark.parametrize(("n_bits", "bits"), [(8, 7), (20, 30), (40, 11), (61, 20), (3, 45)])
def test_normalized(n_bits, bits):
    n = positive(n_bits)
    m, place = run(lambda ops, x: words.normalized(ops, x, bits), n)
    assert place.tolist() == [int(x).bit_length() - 1 for x in n]
    assert m.tolist() == [(int(x) << bits) >> (int(x).bit_length() - 1) for x in n]


@pytest.mark.parametrize("bits", [4, 7, 16, 20, 27, 40])
@pytest.mark.parametrize("make", [Reciprocal, ReciprocalRoot])
def test_reciprocals(make, bits):
    block, n = make(bits), positive(56)
    function = words.reciprocal if make is Reciprocal else words.reciprocal_root
    mantissa, exponent = run(lambda ops, x: function(ops, block, x), n)
    wanted = block.run(n)
    assert np.array_equal(mantissa, wanted[0])
    assert np.array_equal(exponent, wanted[1])


@pytest.mark.parametrize("bits", [2, 8, 12, 20, 31, 40])
def test_exponentials(bits):
    block = Exp2(bits)
    rng = np.random.default_rng(bits)
    f = np.concatenate([rng.integers(0, 1 << bits, 500), [0, (1 << bits) - 1]])
    assert np.array_equal(run(lambda ops, x: words.exp2(ops, block, x), f), block.run(f))


TABLES = [
    ("sigmoid", Format(8, 4), -4, Format(8, 1)),
    ("sigmoid", Format(14, 4), -10, Format(12, 1)),
    ("tanh", Format(16, 4), -12, Format(16, 1, rounding=Rounding.RND_CONV)),
    ("log", Format(14, 2, False), -12, Format(14, 5, overflow=Overflow.SAT_SYM)),
    ("sqrt", Format(20, 2, False), -18, Format(16, 2)),
    ("gelu", Format(18, 4), -14, Format(18, 4)),
    ("exp", Format(15, 4), -11, Format(16, 6, False)),
    ("reciprocal", Format(15, 4), -11, Format(15, 6)),
    ("pow", Format(16, 1, False), -15, Format(16, 1, False)),
]


@pytest.mark.parametrize(("name", "source", "lsb", "target"), TABLES)
def test_tables(name, source, lsb, target):
    function = real_function(name, exponent=-1.0) if name == "pow" else real_function(name)
    block = build(function, source, lsb, target, -target.fraction_bits)
    codes = np.arange(source.min_code, source.max_code + 1)
    codes = codes if source.width <= 15 else np.random.default_rng(0).choice(codes, 30_000)
    codes = np.concatenate([codes, [source.min_code, source.max_code, 0, 1]])
    assert np.array_equal(run(lambda ops, x: words.table(ops, block, x), codes), block.run(codes)[0])


@pytest.mark.parametrize("kind", list(Kind))
@pytest.mark.parametrize("mode", list(Rounding))
def test_the_stage_exhaustively_in_every_mode(kind, mode):
    """All accumulators of 7 bits in every element type: round, clip, overflow, as the kernels' own stage does."""
    accumulators = np.arange(-64, 64)
    places = ((True, 2, 1), (False, 0, 3), (True, -1, 1), (False, 5, 1), (True, 70, 1))
    limits = ((None, None), (-3, 2))
    stages = [
        Rescale(Format(4, 4, signed, mode, overflow), shift, divisor, low, high, 256, multiplier, zero, zero)
        for overflow, divisor, (low, high), zero, (signed, shift, multiplier) in product(
            Overflow, (1, 6), limits, (0, 5), places
        )
    ]
    found = run(lambda ops, x: tuple(rounding.stage(ops, one, x) for one in stages), accumulators, kind=kind)
    for one, got in zip(stages, found, strict=True):
        assert np.array_equal(got, one.run(accumulators, Tally())), one


def test_stages_of_many_channels_and_widths():
    seen = Counter()

    @given(st.data())
    @settings(max_examples=100)
    def check(data):
        rng = np.random.default_rng(data.draw(st.integers(0, 2**31)))
        bits = data.draw(st.integers(4, 58))
        bound = (1 << bits) - 1
        kind = data.draw(st.sampled_from([kind for kind in Kind if bound <= kind.limit]))
        width = data.draw(st.integers(2, 32))
        output = Format(
            width,
            4,
            data.draw(st.booleans()),
            data.draw(st.sampled_from(list(Rounding))),
            data.draw(st.sampled_from(list(Overflow))),
        )
        shift = data.draw(st.integers(-3, bits + 3)) + np.array([0, 1, 3])
        divisor = data.draw(st.sampled_from([1, 1, 49]))
        divisors = divisor if data.draw(st.booleans()) else np.array([divisor, 3, 1])
        zero = data.draw(st.sampled_from([0, 0, -300, 7]))
        multiplier = data.draw(st.sampled_from([1, 1, rng.integers(1, 300, 3)]))
        rescale = Rescale(output, shift, divisors, bound=2 * bound, multiplier=multiplier, zero=zero, origin=zero)
        acc = rng.integers(-bound, bound, (40, 3), endpoint=True)
        acc[:3] = np.array([[bound], [-bound], [0]])
        # Ties, and their neighbours.
        half = np.maximum(shift - 1, 0)
        acc[3:9] = np.clip(((1 << half) * rng.integers(-5, 6, (6, 1))) + rng.integers(-1, 2, (6, 3)), -bound, bound)
        try:
            got = run(lambda ops, x: rounding.stage(ops, rescale, x), acc, kind=kind)
        except Inexact:
            seen["inexact"] += 1
            return
        assert np.array_equal(got, rescale.run(acc, Tally()))
        seen[kind.name] += 1

    check()
    assert min(seen[kind.name] for kind in Kind) >= 10, seen
    assert seen["inexact"] < 40, seen


@given(st.data())
@settings(max_examples=60)
def test_shifts_that_differ_round_as_fractions_do(data):
    rng = np.random.default_rng(data.draw(st.integers(0, 2**31)))
    bits, mode = data.draw(st.integers(3, 40)), data.draw(st.sampled_from(list(Rounding)))
    x = rng.integers(-(1 << bits), 1 << bits, 60)
    shift = rng.integers(-3, bits + 9, 60)
    bound = (1 << bits) << 3
    got = run(lambda ops, n, s: words.shift_round(ops, n, s, mode, bound), x, shift)
    assert got.tolist() == [rounded(int(n) * two_to(-s), mode) for n, s in zip(x, shift, strict=True)]


@pytest.mark.parametrize("overflow", list(Overflow))
@pytest.mark.parametrize("kind", list(Kind))
def test_overflow(kind, overflow):
    x = np.arange(-600, 600)
    for format_ in (
        Format(5, 5, True, Rounding.TRN, overflow),
        Format(5, 5, False, Rounding.TRN, overflow),
        Format(1, 1, True, Rounding.TRN, overflow),
    ):
        got = run(lambda ops, n, format_=format_: rounding.fit(ops, n, format_), x, kind=kind)
        assert got.tolist() == [fitted(int(n), format_)[0] for n in x]


def test_sums_and_extremes_of_wide_integers():
    """What onnxruntime's own reductions of 64-bit integers lose."""
    rng = np.random.default_rng(5)
    x = rng.integers(-(1 << 52), 1 << 52, (40, 6))
    assert np.array_equal(run(lambda ops, n: ops.total(n, [1], 6, keep=True), x), x.sum(axis=1, keepdims=True))
    wide = rng.integers(-(1 << 58), 1 << 58, (40, 6))
    assert np.array_equal(run(lambda ops, n: ops.total(n, [1], 6, keep=True), wide), wide.sum(axis=1, keepdims=True))
    edges = np.array([1 << 31, (1 << 31) - 1, (1 << 40) + 1, -(1 << 40), 5, -(1 << 31) - 1])
    assert np.array_equal(run(lambda ops, n: ops.minimum(n, (1 << 31) - 1), edges), np.minimum(edges, (1 << 31) - 1))
    assert np.array_equal(run(lambda ops, n: ops.maximum(n, (1 << 33) + 1), edges), np.maximum(edges, (1 << 33) + 1))
    assert np.array_equal(
        run(lambda ops, n: ops.clip(n, -(1 << 35), 1 << 35), edges), np.clip(edges, -(1 << 35), 1 << 35)
    )
    assert np.array_equal(run(lambda ops, n: ops.sign(n), edges), np.sign(edges))


@given(st.data())
@settings(max_examples=60)
def test_operations_know_their_ends(data):
    """Every operation says between which ends its results lie, and holds them exactly."""
    rng = np.random.default_rng(data.draw(st.integers(0, 2**31)))
    bits = data.draw(st.integers(1, 30))
    kind = data.draw(st.sampled_from([kind for kind in Kind if bits <= kind.limit.bit_length() - 1]))
    a, b = (rng.integers(-(1 << bits), 1 << bits, 30, endpoint=True) for _ in range(2))
    wanted = [a + b, a - b, a * b, -a, abs(a), np.minimum(a, b), np.maximum(a, b), a * a, np.clip(a, -3, 70)]
    blocks = [
        Arithmetic.add,
        lambda ops, x, y: ops.subtract(x, y),
        lambda ops, x, y: ops.multiply(x, y),
        lambda ops, x, y: ops.negate(x),
        lambda ops, x, y: ops.magnitude(x),
        lambda ops, x, y: ops.minimum(x, y),
        lambda ops, x, y: ops.maximum(x, y),
        lambda ops, x, y: ops.square(x),
        lambda ops, x, y: ops.clip(x, -3, 70),
    ]
    got = run(lambda ops, x, y: tuple(block(ops, x, y) for block in blocks), a, b, kind=kind)
    for result, expected in zip(got, wanted, strict=True):
        assert np.array_equal(result, expected)


def test_what_64_bits_do_not_hold_is_refused():
    x = np.array([1 << 40, -(1 << 40)])
    for block in (
        lambda ops, n: ops.multiply(n, n),
        lambda ops, n: ops.add(ops.multiply(n, 1 << 22), n),
        words.power,
        lambda ops, n: ops.as_kind(n, Kind.FLOAT32),
    ):
        with pytest.raises(Inexact):
            run(block, x)
