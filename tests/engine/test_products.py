"""Exact products: whichever arithmetic is chosen, the integers are those of Python, at the bounds as well."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from oracles.codes import box, each, same
from oracles.drawing import seeds

from fxnorm.engine import products

WIDTHS = st.one_of(st.integers(1, 33), st.sampled_from([8, 16, 31, 32, 33]))
DTYPES = {8: np.int8, 16: np.int16, 32: np.int32, 33: np.int64}


def python_matmul(a, b):
    """Product of two matrices (or stacks of them with equal leading axes) in Python integers."""
    a, b = box(a), box(b)
    out = np.empty((*a.shape[:-1], b.shape[-1]), dtype=object)
    for *where, m, n in each(out.shape):
        out[(*where, m, n)] = sum(a[(*where, m, k)] * b[(*where, k, n)] for k in range(a.shape[-1]))
    return out


def bound_of(a, b):
    """What no partial sum exceeds: the largest sum of absolute products."""
    return max(int(entry) for entry in python_matmul(np.abs(box(a)), np.abs(box(b))).ravel())


def drawn_matrix(rng, bits, signed, shape):
    """Integers of a width: ends often, in the smallest dtype that the width allows."""
    low, high = (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if signed else (0, (1 << bits) - 1)
    free = rng.integers(low, high, shape, np.int64, endpoint=True)
    ends = np.where(rng.random(shape) < 0.5, low, high)
    chosen = np.where(rng.random(shape) < 0.4, ends, free)
    return chosen.astype(DTYPES[min(d for d in DTYPES if d >= bits + (not signed))])


def test_matmul_equals_python_integers_on_every_path():
    seen = dict.fromkeys(("float32", "float64", "limbs", "beyond"), 0)

    @given(seeds, WIDTHS, WIDTHS, st.booleans(), st.booleans(), st.integers(1, 9))
    def check(seed, a_bits, b_bits, a_signed, b_signed, k):
        rng = np.random.default_rng(seed)
        a = drawn_matrix(rng, min(a_bits, 33 - (not a_signed)), a_signed, (2, 3, k))
        b = drawn_matrix(rng, min(b_bits, 33 - (not b_signed)), b_signed, (2, k, 2))
        wanted, bound = python_matmul(a, b), bound_of(a, b)
        # A looser bound chooses a wider path; the integers must not change.
        for loose in {
            bound,
            max(bound, 1 << 24),
            max(bound, (1 << 24) + 1),
            max(bound, 1 << 53),
            max(bound, (1 << 53) + 1),
            max(bound, (1 << 62) + 1),
        }:
            got = products.matmul(a, b, loose)
            assert got.dtype == (np.int64 if loose <= products.INT64_SAFE else object)
            assert same(got, wanted), (loose, products.path(loose))
        seen["beyond" if bound > products.INT64_SAFE else products.path(bound)] += 1

    check()
    assert min(seen.values()) >= 3, seen


@pytest.mark.parametrize("exponent", [24, 53, 62])
@pytest.mark.parametrize("offset", [-1, 0, 1])
@pytest.mark.parametrize("sign", [-1, 1])
def test_sums_right_at_the_bounds(exponent, offset, sign):
    """The partial sum itself is the bound, or one beside it: one step too many on a path would be lost there."""
    total = sign * ((1 << exponent) + offset)
    # total = high · 2**31 + low, written as products of codes of at most 32 bits.
    high, low = divmod(total, 1 << 31)
    a = np.array([[high, low, 1, -1]], np.int64)
    b = np.array([[1 << 31], [1], [5], [5]], np.int64)
    got = products.matmul(a, b, abs(total) + 10)
    assert int(got[0, 0]) == total
    assert int(products.matmul(a, b, abs(total) + 10).dtype == object) == int(abs(total) + 10 > 1 << 62)


def test_the_path_turns_exactly_where_floating_point_stops_being_exact():
    assert [products.path((1 << 24) + d) for d in (-1, 0, 1)] == ["float32", "float32", "float64"]
    assert [products.path((1 << 53) + d) for d in (-1, 0, 1)] == ["float64", "float64", "limbs"]
    # The next sum that float32 (float64) could not hold: the chosen path must.
    for bits in (24, 53):
        a = np.array([[1, 1]], np.int64)
        b = np.array([[1 << (bits // 2), 1]], np.int64).T
        wide = np.array([[1 << (bits - bits // 2), 1]], np.int64)
        assert int(products.matmul(wide, b, (1 << bits) + 1)[0, 0]) == (1 << bits) + 1
        assert int(products.matmul(a, b, (1 << (bits // 2)) + 1)[0, 0]) == (1 << (bits // 2)) + 1


@pytest.mark.parametrize("dtype", [np.int8, np.int16, np.int32, np.int64])
@pytest.mark.parametrize("side", ["left", "right"])
def test_limbs_of_narrow_dtypes(dtype, side):
    """Weights are kept in the smallest dtype; taken apart into limbs they must stay what they are, negative ones too."""
    narrow = np.array([[-1, -3, np.iinfo(dtype).max if dtype != np.int64 else 7, -128]]).astype(dtype)
    wide = np.array([[-(1 << 31)], [(1 << 31) - 1], [12345], [-77]], np.int64)
    a, b = (narrow, wide) if side == "left" else (wide.T.copy(), narrow.T.copy())
    for bound in (1 << 54, 1 << 63):
        assert same(products.matmul(a, b, bound), python_matmul(a, b))


def test_more_products_than_limbs_can_add_are_refused():
    long = np.zeros((1, (1 << 21) + 1), np.int64)
    with pytest.raises(OverflowError, match="2097153 products"):
        products.matmul(long, long.T, 1 << 60)


def python_convolve(x, weights, strides, dilations, groups):
    """Correlation in Python integers: every tap of every channel of the group."""
    x, weights = box(x), box(weights)
    kernel = weights.shape[2:]
    spatial = [
        (n - d * (k - 1) - 1) // s + 1 for n, k, s, d in zip(x.shape[2:], kernel, strides, dilations, strict=True)
    ]
    out = np.empty((len(x), len(weights), *spatial), dtype=object)
    per_group, outputs = weights.shape[1], len(weights) // groups
    for index in each(out.shape):
        n, o, *at = index
        total = 0
        for c, *tap in product(range(per_group), *(range(k) for k in kernel)):
            place = [p * s + t * d for p, s, t, d in zip(at, strides, tap, dilations, strict=True)]
            total += weights[(o, c, *tap)] * x[(n, o // outputs * per_group + c, *place)]
        out[index] = total
    return out


@given(
    seeds,
    st.integers(1, 3),
    st.sampled_from([(1, 2, 3), (2, 1, 1), (3, 1, 1), (1, 1, 4), (2, 2, 2), (4, 1, 2)]),
    st.sampled_from([2, 8, 12, 26, 32]),
    st.sampled_from([4, 8, 16, 32]),
    st.data(),
)
def test_convolve_equals_python_integers_on_every_path(seed, rank, channels, x_bits, w_bits, data):
    groups, per_group, outputs = channels
    rng = np.random.default_rng(seed)
    kernel = tuple(data.draw(st.integers(1, 3)) for _ in range(rank))
    strides = tuple(data.draw(st.integers(1, 3)) for _ in range(rank))
    dilations = tuple(data.draw(st.integers(1, 2)) for _ in range(rank))
    spatial = tuple(d * (k - 1) + 1 + data.draw(st.integers(0, 3)) for k, d in zip(kernel, dilations, strict=True))
    x = drawn_matrix(rng, x_bits, True, (2, groups * per_group, *spatial)).astype(np.int64)
    weights = drawn_matrix(rng, w_bits, True, (groups * outputs, per_group, *kernel))
    wanted = python_convolve(x, weights, strides, dilations, groups)
    largest = int(max(abs(entry) for entry in box(x).ravel()))
    bound = largest * max(sum(abs(entry) for entry in box(row).ravel()) for row in weights)
    for loose in {bound, max(bound, 1 << 53), max(bound, (1 << 53) + 1), max(bound, (1 << 62) + 1)}:
        assert same(products.convolve(x, weights, strides, dilations, groups, loose), wanted), products.path(loose)


def test_convolve_in_blocks_of_frames():
    """So many columns that they are made a few frames at a time: nothing may be lost or put in another place."""
    rng = np.random.default_rng(5)
    x = rng.integers(-8, 8, (7, 16, 100, 100), np.int64)
    weights = rng.integers(-8, 8, (2, 16, 3, 3), np.int64)
    bound = 16 * 9 * 64
    whole = products.convolve(x, weights, (1, 1), (1, 1), 1, bound)
    assert 7 * 16 * 9 * 98 * 98 > 1 << 23
    for frame in range(7):
        assert np.array_equal(
            products.convolve(x[frame : frame + 1], weights, (1, 1), (1, 1), 1, bound)[0], whole[frame]
        )
    spot = sum(
        int(weights[1, c, i, j]) * int(x[6, c, 97 + i, 50 + j]) for c in range(16) for i in range(3) for j in range(3)
    )
    assert int(whole[6, 1, 97, 50]) == spot


@pytest.mark.parametrize("width", [1, 33])
def test_widths_that_two_limbs_hold_are_accepted(width):
    products.check_width(width)


def test_wider_operands_are_refused_by_name():
    with pytest.raises(OverflowError, match="34 bits exceed the 33 bits"):
        products.check_width(34)


def test_largest_magnitude_of_the_lowest_code():
    assert products.largest(np.array([-128, 127], np.int8)) == 128
    assert products.largest(np.array([-(1 << 63)], np.int64)) == 1 << 63
    assert products.largest(np.zeros((0, 3), np.int64)) == 0
