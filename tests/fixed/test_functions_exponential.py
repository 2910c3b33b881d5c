from __future__ import annotations

import functools
from dataclasses import fields
from fractions import Fraction

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fxnorm.fixed.exponential import MAX_BITS, MIN_BITS, Exp2


@functools.cache
def block(bits):
    return Exp2(bits)


def error(bits, f, mantissa):
    with mpmath.mp.workprec(300):
        return abs(mpmath.mpf(mantissa) - mpmath.mpf(2) ** (bits - mpmath.mpf(f) / (1 << bits)))


def plain(exp2, f):
    """The documented datapath in plain integers."""
    inside = exp2.bits - exp2.segment_bits
    u = (f % (1 << inside)) >> (inside - exp2.position_bits)
    rows = exp2.coefficients.tolist()
    acc = rows[-1][f >> inside]
    for row in rows[-2::-1]:
        acc = row[f >> inside] + acc * u // (1 << exp2.position_bits)
    rounded = (2 * acc + (1 << exp2.guard_bits)) // (2 << exp2.guard_bits)
    return min(rounded, (1 << exp2.bits) - 1)


@pytest.mark.parametrize("bits", range(MIN_BITS, 17))
def test_every_fraction_of_narrow_blocks_is_within_one_unit(bits):
    f = np.arange(1 << bits)
    got = block(bits).run(f)
    assert got.min() >= 1 << (bits - 1)
    assert got.max() < 1 << bits
    # float64 is good to 2^-36 units here; where that does not decide, it is the end that is exactly one unit off.
    off = np.abs(got - np.exp2(bits - f / 2.0**bits))
    assert (off[1:] < 1 - 2.0**-30).all()
    assert off[0] == 1
    assert (np.diff(got) <= 1).all()


@given(st.integers(17, MAX_BITS), st.data())
@settings(deadline=None)
def test_wide_blocks_are_within_one_unit(bits, data):
    f = data.draw(st.integers(0, (1 << bits) - 1))
    assert error(bits, f, int(block(bits).run(f))) <= 1


@pytest.mark.parametrize("bits", range(17, MAX_BITS + 1))
def test_wide_blocks_are_within_one_unit_at_the_ends_of_all_segments(bits):
    exp2 = block(bits)
    inside = bits - exp2.segment_bits
    starts = np.arange(1 << exp2.segment_bits) << inside
    f = np.concatenate([starts, starts + (1 << inside) - 1, starts + (1 << (inside - 1))])
    got = exp2.run(f)
    assert all(error(bits, n, r) <= 1 for n, r in zip(f.tolist(), got.tolist(), strict=True))


@given(st.integers(MIN_BITS, MAX_BITS), st.data())
@settings(deadline=None)
def test_the_documented_datapath_in_plain_integers_gives_the_same_bits(bits, data):
    values = data.draw(st.lists(st.integers(0, (1 << bits) - 1), min_size=1, max_size=8))
    assert block(bits).run(np.array(values)).tolist() == [plain(block(bits), f) for f in values]


def test_known_powers():
    got = block(24).run(np.array([0, 1 << 23, (1 << 24) - 1]))
    true = [Fraction(1), Fraction(0.7071067811865476), Fraction(0.5)]
    assert all(abs(Fraction(int(r), 1 << 24) - t) <= Fraction(1, 1 << 24) for r, t in zip(got, true, strict=True))


def test_what_is_no_fraction_is_refused():
    for f in (-1, 1 << 16):
        with pytest.raises(ValueError, match="fractions must be 0 to 65535"):
            block(16).run(np.array([0, f]))
    for bits in (MIN_BITS - 1, MAX_BITS + 1):
        with pytest.raises(ValueError, match="2 to 40 bits"):
            Exp2(bits)


def test_blocks_keep_shapes_survive_being_taken_apart_and_stay_small():
    exp2 = block(24)
    assert exp2.run(np.arange(24).reshape(4, 6)).shape == (4, 6)
    again = Exp2(**{item.name: getattr(exp2, item.name) for item in fields(exp2)})
    assert again == exp2
    assert again != block(23)
    other = exp2.coefficients.copy()
    other[0, 0] += 1
    assert Exp2(24, *(getattr(exp2, item.name) for item in fields(exp2)[1:-1]), other) != exp2
    assert block(16).coefficients.size <= 64
    assert exp2.coefficients.size <= 256
    assert block(32).coefficients.size <= 256
