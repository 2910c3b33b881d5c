"""Accumulators of explicit formats: every addition rounds and overflows as it would in hardware, in every pair of modes."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles.codes import OVERFLOWS, ROUNDINGS, box, each
from oracles.drawing import codes, formats, seeds
from oracles.kernels import accumulate as python_accumulate

from fxnorm.engine import replay
from fxnorm.fixed.format import Format, Overflow, Rounding

MODES = [(Rounding(r), Overflow(o)) for r, o in product(ROUNDINGS, OVERFLOWS)]


def python_product(a, b, bias, accumulator):
    """A matrix product, one accumulator after the other, k ascending; codes and overflowed additions."""
    a, b = box(a), box(b)
    batch = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    a, b = np.broadcast_to(a, (*batch, *a.shape[-2:])), np.broadcast_to(b, (*batch, *b.shape[-2:]))
    out = np.empty((*batch, a.shape[-2], b.shape[-1]), dtype=object)
    start = np.broadcast_to(box(bias), out.shape)
    lost = 0
    for *where, m, n in each(out.shape):
        terms = [a[(*where, m, k)] * b[(*where, k, n)] for k in range(a.shape[-1])]
        code, count = python_accumulate(
            start[(*where, m, n)], terms, accumulator.format, accumulator.product_bits, accumulator.product
        )
        out[(*where, m, n)] = code
        lost += count
    return out, lost


def check(a, b, bias, accumulator):
    """Compare with the naive loop; returns the overflow count."""
    wanted, lost = python_product(a, b, bias, accumulator)
    got, count = replay.accumulate(a, b, bias, accumulator)
    assert [int(code) for code in got.ravel()] == list(wanted.ravel())
    assert got.shape == wanted.shape
    assert count == lost
    return lost


@pytest.mark.parametrize(("rounding", "overflow"), MODES)
@pytest.mark.parametrize("with_product", [False, True])
@pytest.mark.parametrize("product_bits", [6, 4, 3])
def test_every_pair_of_modes(rounding, overflow, with_product, product_bits):
    """Long sums that reach the ends again and again, with fewer fractional bits in the accumulator than in products, as many, and more."""
    rng = np.random.default_rng(ROUNDINGS.index(rounding) * 4 + OVERFLOWS.index(overflow))
    accumulator = replay.Accumulator(
        Format(8, 4, True, rounding, overflow),
        product_bits=product_bits,
        product=Format(8, 4, True, rounding, overflow) if with_product else None,
    )
    a, b = rng.integers(-32, 32, (1, 6, 40)), rng.integers(-16, 16, (1, 40, 5))
    bias = rng.integers(-300, 300, (6, 1))
    lost = check(a, b, bias, accumulator)
    assert lost >= 30  # of 1,200: this data does reach the clamps


def test_drawn_formats_widths_and_shapes():
    """Accumulators of 2 to 100 bits, signed and not, their points anywhere, with and without a product format."""
    seen = {"cases": 0, "overflowing": 0, "wide": 0, "quiet": 0}

    @given(formats(2, 32), formats(2, 32), formats(2, 100), st.none() | formats(2, 100), st.integers(1, 12), st.data())
    @settings(max_examples=250)
    def drawn(x, w, format_, product_format, k, data):
        # Most accumulators lie near the products: others overflow always or never.
        if data.draw(st.integers(0, 3)):
            fraction = x.fraction_bits + w.fraction_bits + data.draw(st.integers(-4, 2))
            width = max(2, x.width + w.width + data.draw(st.integers(-6, 4)))
            format_ = Format(width, width - fraction, format_.signed, format_.rounding, format_.overflow)
        accumulator = replay.Accumulator(format_, x.fraction_bits + w.fraction_bits, product_format)
        a, b = data.draw(codes(x, (2, k))), data.draw(codes(w, (k, 3)))
        rng = np.random.default_rng(data.draw(seeds))
        bias = np.array([int(n) << data.draw(st.integers(0, 60)) for n in rng.integers(-9, 9, 3)], dtype=object)
        if max(abs(int(n)) for n in bias) < 1 << 62 and data.draw(st.booleans()):
            bias = bias.astype(np.int64)
        lost = check(a, b, bias, accumulator)
        seen["cases"] += 1
        seen["overflowing"] += lost > 0
        seen["quiet"] += lost == 0
        seen["wide"] += accumulator.magnitude(int(np.abs(a).max()) * int(np.abs(b).max())) > 1 << 62

    drawn()
    assert seen["overflowing"] >= 0.25 * seen["cases"], seen
    assert seen["quiet"] >= 0.2 * seen["cases"], seen
    assert seen["wide"] >= 0.15 * seen["cases"], seen


def test_order_is_k_ascending():
    """A saturating sum depends on its order: the same products backwards give another code."""
    a = np.array([[100, 100, -100]])
    ones = np.ones((3, 1), np.int64)
    accumulator = replay.Accumulator(Format(8, 8, True, Rounding.TRN, Overflow.SAT), 0)
    forward, lost = replay.accumulate(a, ones, np.zeros(1, np.int64), accumulator)
    backward, other = replay.accumulate(a[:, ::-1], ones, np.zeros(1, np.int64), accumulator)
    assert (int(forward[0, 0]), lost) == (27, 1)
    assert (int(backward[0, 0]), other) == (100, 0)


def test_per_step_saturation_is_not_saturation_at_the_end():
    """K = 256 products of random 6-bit codes into 12 bits: in most cases the two differ."""
    rng = np.random.default_rng(1)
    a, b = rng.integers(-32, 32, (200, 256)), rng.integers(-32, 32, (256, 1))
    format_ = Format(12, 12, True, Rounding.TRN, Overflow.SAT)
    stepwise, _ = replay.accumulate(a, b, np.zeros(1, np.int64), replay.Accumulator(format_, 0))
    at_end = np.clip(a @ b, format_.min_code, format_.max_code)
    assert np.mean(stepwise != at_end) > 0.8


@pytest.mark.parametrize("overflow", list(Overflow))
def test_a_bias_beyond_the_accumulator_comes_in_as_the_format_has_it(overflow):
    format_ = Format(6, 6, True, Rounding.TRN, overflow)
    bias = np.array([40, -40, -32, 31])
    got, lost = replay.accumulate(
        np.zeros((1, 1), np.int64), np.zeros((1, 4), np.int64), bias, replay.Accumulator(format_, 0)
    )
    wanted = {
        "wrap": [-24, 24, -32, 31],
        "sat": [31, -32, -32, 31],
        "sat_zero": [0, 0, -32, 31],
        "sat_sym": [31, -31, -31, 31],
    }
    assert got[0].tolist() == wanted[overflow]
    assert lost == 0  # counted are additions


@pytest.mark.parametrize("width", [63, 64, 65, 70, 128])
@pytest.mark.parametrize("signed", [True, False])
@pytest.mark.parametrize("overflow", list(Overflow))
def test_accumulators_around_and_beyond_the_width_of_the_host(width, signed, overflow):
    """A negative bias and negative products, in formats that the host's own integers do not have."""
    accumulator = replay.Accumulator(Format(width, width, signed, Rounding.TRN, overflow), 0)
    a = np.array([[-(1 << 31), (1 << 31) - 1, -1, 5]])
    b = np.array([[(1 << 31) - 1], [-(1 << 31)], [1], [-7]])
    check(a, b, np.array([-3]), accumulator)
    check(a, np.abs(b), np.array([(1 << 62) - 1]), accumulator)


@pytest.mark.parametrize("rounding", list(Rounding))
@pytest.mark.parametrize(
    ("product_bits", "product_format"),
    [
        (4, Format(60, 20)),  # products move 36 places to the left, out of 64 bits, before they are clamped
        (4, Format(12, -28, True, Rounding.RND, Overflow.WRAP)),
        (40, Format(8, 40)),  # 72 places to the right: nothing is left but a sign
        (40, Format(4, 27)),  # 63 places
        (40, Format(4, 28)),  # 64 places
        (40, Format(4, 26, True, Rounding.RND, Overflow.WRAP)),  # 62 places
    ],
)
def test_products_whose_format_lies_far_from_them(product_bits, product_format, rounding):
    rng = np.random.default_rng(product_bits)
    a = rng.integers(-(1 << 19), 1 << 19, (1, 3, 6))
    b = rng.integers(-(1 << 19), 1 << 19, (1, 6, 3))
    a[0, 0], b[0, :, 0] = -(1 << 31), -(1 << 30)
    product = product_format.with_modes(rounding)
    for accumulator in (Format(20, 20 - product.fraction_bits), Format(30, 30 - product.fraction_bits + 3)):
        check(a, b, np.array([1]), replay.Accumulator(accumulator, product_bits, product))


def test_the_compiled_loops_and_the_stepwise_one_are_the_same_bits():
    """Every drawn case that 64 bits hold, once compiled and once in NumPy, batches broadcast on either side."""

    @given(
        formats(2, 12),
        formats(2, 12),
        st.sampled_from(MODES),
        st.none() | formats(2, 20),
        st.integers(-6, 2),
        st.data(),
    )
    @settings(max_examples=80)
    def drawn(x, w, modes, product_format, point, data):
        fraction = x.fraction_bits + w.fraction_bits + data.draw(st.sampled_from([0, 0, -3, 2]))
        width = max(2, x.width + w.width + point)
        accumulator = replay.Accumulator(
            Format(width, width - fraction, True, *modes), x.fraction_bits + w.fraction_bits, product_format
        )
        shapes = data.draw(
            st.sampled_from(
                [((1, 2, 5), (3, 5, 4)), ((3, 2, 5), (5, 4)), ((2, 1, 2, 5), (1, 3, 5, 1)), ((2, 5), (5, 9))]
            )
        )
        a, b = data.draw(codes(x, shapes[0])), data.draw(codes(w, shapes[1]))
        bias = data.draw(codes(Format(min(width, 32), 4), (shapes[1][-1],)))
        got, count = replay.accumulate(a, b, bias, accumulator)
        start = np.broadcast_to(accumulator.start(bias.astype(object)), got.shape).copy()
        wanted, lost = replay.stepwise(a.astype(object), b.astype(object), start, accumulator)
        assert np.array_equal(got, wanted.astype(np.int64))
        assert count == lost

    drawn()
