from __future__ import annotations

import math
from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fxnorm.fixed.roots import MAX_BITS, MIN_BITS, Reciprocal, ReciprocalRoot

BLOCKS = {bits: (Reciprocal(bits), ReciprocalRoot(bits)) for bits in range(MIN_BITS, MAX_BITS + 1)}


def reciprocal_is_close(n, mantissa, exponent, bits):
    """|r · 2^-e · n − 1| < 2^-(bits − 1), and a mantissa of exactly `bits` bits, in exact integers."""
    return mantissa.bit_length() == bits and abs(mantissa * n - (1 << exponent)) << (bits - 1) < 1 << exponent


def root_is_close(n, mantissa, exponent, bits):
    """|r · 2^-e · √n − 1| < 2^-(bits − 1): squared, between the squares of 1 ∓ 2^-(bits − 1)."""
    square = mantissa * mantissa * n << (2 * bits - 2)
    unit = 1 << (bits - 1)
    one = 1 << (2 * exponent)
    return mantissa.bit_length() == bits and (unit - 1) ** 2 * one < square < (unit + 1) ** 2 * one


def plain_start(block, n):
    """Mantissa, place of the leading one, and the table's line, as documented, in plain integers."""
    c = block.constants
    place = n.bit_length() - 1
    m = n << (c.position_bits - place) if place <= c.position_bits else n >> (place - c.position_bits)
    fraction = m - (1 << c.position_bits)
    index = fraction >> (c.position_bits - c.index_bits)
    t = (fraction >> (c.position_bits - c.index_bits - c.slope_bits)) & ((1 << c.slope_bits) - 1)
    return c, place, m, index, t


def plain_end(c, r1, bits):
    drop = c.inner_bits - bits
    return min((r1 + (1 << (drop - 1))) >> drop, (1 << bits) - 1)


def plain_reciprocal(block, n):
    c, place, m, i, t = plain_start(block, n)
    r0 = int(block.intercepts[i]) - ((int(block.slopes[i]) * t) >> c.slope_bits)
    p = (m * r0) >> (c.position_bits + c.start_bits - c.inner_bits)
    r1 = (r0 << (c.inner_bits - c.start_bits)) + ((r0 * ((1 << c.inner_bits) - p)) >> c.start_bits)
    return plain_end(c, r1, block.bits), place + block.bits


def plain_root(block, n):
    c, place, m, i, t = plain_start(block, n)
    odd = place % 2
    i += odd << c.index_bits
    r0 = int(block.intercepts[i]) - ((int(block.slopes[i]) * t) >> c.slope_bits)
    p = (((m << odd) * r0) >> (c.position_bits + c.start_bits - c.inner_bits)) * r0 >> c.start_bits
    r1 = (r0 << (c.inner_bits - c.start_bits)) + ((r0 * ((1 << c.inner_bits) - p)) >> (c.start_bits + 1))
    return plain_end(c, r1, block.bits), place // 2 + block.bits


def pairs(result):
    return list(zip(*(part.tolist() for part in result), strict=True))


@pytest.mark.parametrize("bits", [4, 5, 6, 7, 8, 9, 10, 11, 12])
def test_every_mantissa_of_narrow_blocks_is_within_the_bound(bits):
    reciprocal, root = BLOCKS[bits]
    # Longer integers are cut to this many bits; both parities of the leading one occur.
    codes = np.arange(1, 1 << (bits + 5))
    for n, (r, e) in zip(codes.tolist(), pairs(reciprocal.run(codes)), strict=True):
        assert reciprocal_is_close(n, r, e, bits), n
    for n, (r, e) in zip(codes.tolist(), pairs(root.run(codes)), strict=True):
        assert root_is_close(n, r, e, bits), n


@pytest.mark.parametrize("bits", range(13, MAX_BITS + 1))
def test_wide_blocks_are_within_the_bound_at_the_ends_of_all_segments_and_between(bits):
    reciprocal, root = BLOCKS[bits]
    c = reciprocal.constants
    starts = (np.arange(1 << c.index_bits, 2 << c.index_bits) << (c.position_bits - c.index_bits))[:: 1 + (bits > 30)]
    steps = np.random.default_rng(bits).integers(0, 1 << (c.position_bits - c.index_bits), len(starts))
    codes = np.concatenate([starts, starts + steps, starts + (1 << (c.position_bits - c.index_bits)) - 1])
    for n, (r, e) in zip(codes.tolist(), pairs(reciprocal.run(codes)), strict=True):
        assert reciprocal_is_close(n, r, e, bits), n
    for shift in (0, 1):
        for n, (r, e) in zip((codes << shift).tolist(), pairs(root.run(codes << shift)), strict=True):
            assert root_is_close(n, r, e, bits), n


@given(st.integers(MIN_BITS, MAX_BITS), st.lists(st.integers(1, (1 << 63) - 1), min_size=1, max_size=5))
@settings(deadline=None)
def test_the_documented_datapath_in_plain_integers_gives_the_same_bits(bits, values):
    reciprocal, root = BLOCKS[bits]
    for dtype in (np.int64, object):
        codes = np.array(values, dtype=dtype)
        assert pairs(reciprocal.run(codes)) == [plain_reciprocal(reciprocal, n) for n in values]
        assert pairs(root.run(codes)) == [plain_root(root, n) for n in values]


@given(st.integers(MIN_BITS, MAX_BITS), st.integers(1, 1 << 250))
@settings(deadline=None)
def test_integers_of_any_size_are_within_the_bound(bits, n):
    reciprocal, root = BLOCKS[bits]
    codes = np.array([n], dtype=object)
    assert reciprocal_is_close(n, *pairs(reciprocal.run(codes))[0], bits)
    assert root_is_close(n, *pairs(root.run(codes))[0], bits)


@pytest.mark.parametrize("bits", range(MIN_BITS, MAX_BITS + 1))
def test_powers_of_two_are_off_by_one_unit_at_most(bits):
    reciprocal, root = BLOCKS[bits]
    codes = 1 << np.arange(63)
    assert pairs(reciprocal.run(codes)) == [((1 << bits) - 1, bits + k) for k in range(63)]
    mantissa, exponent = root.run(codes[::2])
    assert (mantissa == (1 << bits) - 1).all()
    assert exponent.tolist() == [bits + k for k in range(32)]


@pytest.mark.parametrize("kind", [Reciprocal, ReciprocalRoot])
def test_what_has_no_reciprocal_is_refused(kind):
    for dtype in (np.int64, object):
        with pytest.raises(ValueError, match="positive integers, not 0"):
            kind(16).run(np.array([3, 0], dtype=dtype))
    with pytest.raises(ValueError, match="positive integers, not -7"):
        kind(16).run(np.array([3, -7]))
    for bits in (MIN_BITS - 1, MAX_BITS + 1):
        with pytest.raises(ValueError, match="4 to 40 bits"):
            kind(bits)


@pytest.mark.parametrize("kind", [Reciprocal, ReciprocalRoot])
def test_blocks_keep_shapes_survive_being_taken_apart_and_stay_small(kind):
    block = kind(24)
    mantissa, exponent = block.run(np.arange(1, 25).reshape(4, 6))
    assert mantissa.shape == exponent.shape == (4, 6)
    assert mantissa.dtype == exponent.dtype == np.int64
    assert block.run(np.zeros((0,), dtype=np.int64))[0].shape == (0,)
    again = kind(**{item.name: getattr(block, item.name) for item in fields(block)})
    assert again == block
    assert kind(25) != block
    other = block.intercepts.copy()
    other[0] += 1
    assert kind(24, other, block.slopes) != block
    assert len(block.intercepts) <= 2 ** math.ceil(24 / 4 + 1)
