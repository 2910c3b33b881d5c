"""Dense layers and convolutions against a naive loop in Python integers: every accumulator, every product, every count."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles.codes import OVERFLOWS, ROUNDINGS, box, each, fitting_exponent, power, quantized, rounded, same
from oracles.drawing import codes, encodings, executed, formats, near, overflows, policies, reals, roundings, top
from oracles.kernels import run

from fxnorm.fixed.format import Format, Overflow, Rounding
from fxnorm.kernels.encoding import Encoding
from fxnorm.kernels.kernel import Policy
from fxnorm.kernels.linear import LinearOperation, Window

MODES = [(Rounding(r), Overflow(o)) for r, o in product(ROUNDINGS, OVERFLOWS)]


@st.composite
def geometries(draw):
    """Shapes of x and of weights, window, groups: dense, grouped, depthwise; 1-D to 3-D, strided, dilated, padded."""
    kind = draw(st.sampled_from(["dense", "conv", "grouped", "depthwise"]))
    if kind == "dense":
        k, o = draw(st.integers(1, 9)), draw(st.integers(1, 4))
        return kind, (2, draw(st.integers(1, 2)), k), (o, k), None, 1
    rank = draw(st.sampled_from([1, 2, 2, 2, 3]))
    groups = 1 if kind == "conv" else draw(st.integers(2, 3))
    per_group = 1 if kind == "depthwise" else draw(st.integers(1, 2))
    outputs = groups * (1 if kind == "depthwise" else draw(st.integers(1, 2)))
    kernel = tuple(draw(st.integers(1, 3)) for _ in range(rank))
    strides = tuple(draw(st.integers(1, 3)) for _ in range(rank))
    dilations = tuple(draw(st.integers(1, 2)) for _ in range(rank))
    begins = tuple(draw(st.integers(0, 2)) for _ in range(rank))
    ends = tuple(draw(st.integers(0, 2)) for _ in range(rank))
    extents = [d * (k - 1) + 1 for k, d in zip(kernel, dilations, strict=True)]
    spatial = tuple(max(e - a - b, 1) + draw(st.integers(0, 2)) for e, a, b in zip(extents, begins, ends, strict=True))
    window = Window(kernel, strides, dilations, begins, ends)
    return (
        kind,
        (1, draw(st.integers(1, 2)), groups * per_group, *spatial),
        (outputs, per_group, *kernel),
        window,
        groups,
    )


def agree(kernel, x):
    """Compare a run with the model, bit for bit and count for count; returns the model's outcome."""
    wanted = run(kernel, [x])
    got, tally = executed(kernel, [x])
    assert same(got, wanted.codes)
    assert (tally.overflow, tally.accumulator_overflow) == (wanted.overflow, wanted.accumulator_overflow)
    assert tally.additions == wanted.additions
    return wanted


def test_explicit_accumulators_and_products_of_every_shape():
    seen = {
        "cases": 0,
        "accumulator": 0,
        "output": 0,
        "product": 0,
        "dense": 0,
        "conv": 0,
        "grouped": 0,
        "depthwise": 0,
    }

    @given(geometries(), encodings(2, 32), formats(2, 32), st.data())
    @settings(max_examples=150)
    def check(geometry, x, weight_format, data):
        kind, shape, weight_shape, window, groups = geometry
        weights, bias = data.draw(reals(weight_shape)), data.draw(reals(weight_shape[:1], 6))
        # An accumulator whose top lies near that of the normalized sums.
        magnitude = x.format.integer_bits + weight_format.integer_bits + data.draw(st.integers(-10, -1))
        fraction = x.format.fraction_bits + weight_format.fraction_bits + data.draw(st.integers(-8, 2))
        accumulator = Format(
            max(2, magnitude + fraction),
            max(2, magnitude + fraction) - fraction,
            True,
            data.draw(roundings),
            data.draw(overflows),
        )
        quantize = data.draw(st.integers(0, 2))
        product_format = None
        if quantize:
            bits = max(2, magnitude + fraction + data.draw(st.integers(-4, 0)))
            product_format = Format(
                bits, bits - fraction - data.draw(st.integers(-2, 0)), True, data.draw(roundings), data.draw(overflows)
            )
        normalize = data.draw(st.sampled_from(["none", "pow2"]))
        policy = Policy(
            data.draw(formats(2, 32)), weight_format, accumulator if quantize < 2 else None, product_format, normalize
        )
        y = near(data.draw, top(x) + 2, policy.format)
        kernel = LinearOperation(weights, bias, window, groups).decide([x], y, policy)
        wanted = agree(kernel, data.draw(codes(x.format, shape)))
        seen["cases"] += 1
        seen[kind] += 1
        seen["accumulator"] += wanted.accumulator_overflow > 0
        seen["output"] += wanted.overflow > 0
        seen["product"] += product_format is not None

    check()
    assert seen["accumulator"] >= 0.12 * seen["cases"], seen
    assert seen["output"] >= 0.12 * seen["cases"], seen
    assert min(seen[key] for key in ("dense", "conv", "grouped", "depthwise", "product")) >= 2, seen


@pytest.mark.parametrize(("rounding", "overflow"), MODES)
@pytest.mark.parametrize("with_product", [False, True])
def test_every_pair_of_modes_in_a_convolution(rounding, overflow, with_product):
    rng = np.random.default_rng(MODES.index((rounding, overflow)))
    x = Encoding(Format(8, 4))
    accumulator = Format(8, 4, True, rounding, overflow)
    policy = Policy(
        Format(8, 4, True, rounding, overflow),
        Format(6, 3),
        accumulator,
        Format(9, 5, True, rounding, overflow) if with_product else None,
        "none",
    )
    window = Window((3, 2), (1, 2), (2, 1), (1, 0), (0, 1))
    operation = LinearOperation(rng.normal(0, 3, (2, 3, 3, 2)), rng.normal(0, 12, 2), window)
    kernel = operation.decide([x], Encoding(policy.format, -1), policy)
    assert not kernel.exact
    wanted = agree(kernel, rng.integers(-128, 128, (2, 1, 3, 6, 5)))
    assert wanted.accumulator_overflow >= 20
    assert wanted.overflow >= 3


def test_exact_accumulators_never_overflow_and_are_rounded_once():
    """The default: the proof holds in the naive loop, and outputs are the sum of the stored numbers, rounded once."""
    seen = {"cases": 0, "output": 0, "wide": 0, "float32": 0}

    @given(geometries(), encodings(2, 32) | encodings(31, 32), st.data())
    @settings(max_examples=150)
    def check(geometry, x, data):
        _, shape, weight_shape, window, groups = geometry
        weights, bias = data.draw(reals(weight_shape)), data.draw(reals(weight_shape[:1], 6))
        policy = data.draw(policies(data.draw(formats(2, 32))))
        if x.format.width >= 31:  # sums of such products leave 64 bits
            policy = replace(policy, weight_format=data.draw(formats(31, 32)))
        y = near(data.draw, top(x) + 2, policy.format)
        kernel = LinearOperation(weights, bias, window, groups).decide([x], y, policy)
        assert kernel.exact
        wanted = agree(kernel, data.draw(codes(x.format, shape)))
        assert wanted.accumulator_overflow == 0
        seen["cases"] += 1
        seen["output"] += wanted.overflow > 0
        seen["wide"] += kernel.bound > 1 << 62
        seen["float32"] += kernel.bound <= 1 << 24

    check()
    assert seen["output"] >= 0.12 * seen["cases"], seen
    assert seen["wide"] >= 3, seen
    assert seen["float32"] >= 3, seen


def stored(weights, bias, x, policy):
    """Weights and bias as the hardware holds them, in real numbers: a power-of-two scale a channel, to nearest even."""
    format_ = policy.weight_format.with_modes(Rounding.RND_CONV, Overflow.SAT)
    held, terms = np.empty(weights.shape, dtype=object), []
    rows = [row.ravel() for row in weights]
    exponents = [fitting_exponent(float(row.min()), float(row.max()), format_) for row in rows]
    filled = [e for e, row in zip(exponents, rows, strict=True) if row.any()]
    exponents = [e if row.any() or not filled else max(filled) for e, row in zip(exponents, rows, strict=True)]
    # Weights are no finer than what makes a bias as wide as the products of its channel: x, weight and the bits of their number.
    bits = x.format.width + format_.width + weights[0].size.bit_length()
    for o, value in enumerate(bias):
        if value:
            leading = int(np.frexp(value)[1])
            exponents[o] = max(exponents[o], leading - bits - x.lsb + format_.fraction_bits)
    if policy.normalize == "none":
        exponents = [0] * len(rows)
    for o, e in enumerate(exponents):
        lsb = e - format_.fraction_bits
        for index in each(weights.shape[1:]):
            held[(o, *index)] = quantized(Fraction(float(weights[(o, *index)])), format_, lsb)[0] * power(lsb)
        step = power(lsb + x.lsb)
        terms.append(rounded(Fraction(float(bias[o])) / step, "rnd_conv") * step)
    return held, terms


@given(encodings(3, 24), st.integers(1, 8), st.integers(1, 4), st.data())
@settings(max_examples=80)
def test_a_dense_layer_means_what_it_says_in_real_numbers(x, k, o, data):
    """From reals to codes with nothing shared with the kernel: encoded weights and bias, exact sum, one rounding, overflow."""
    weights, bias = data.draw(reals((o, k), 2)), data.draw(reals((o,), data.draw(st.sampled_from([2, 20]))))
    policy = data.draw(policies(data.draw(formats(2, 24)), 24))
    y = near(data.draw, top(x) + 2, policy.format)
    kernel = LinearOperation(weights, bias).decide([x], y, policy)
    held, terms = stored(weights, bias, x, policy)
    inputs = data.draw(codes(x.format, (3, k)))
    got, tally = executed(kernel, [inputs])
    lost = 0
    for sample, channel in each(got.shape):
        real = terms[channel] + sum(held[channel, i] * int(inputs[sample, i]) * power(x.lsb) for i in range(k))
        code, changed = quantized(real, y.format, y.lsb)
        assert int(got[sample, channel]) == code
        lost += changed
    assert tally.overflow == lost


@pytest.mark.parametrize("sign", [-1, 1])
@pytest.mark.parametrize(("bits", "weight"), [(18, 41), (32, 1_398_001)])
def test_a_bias_that_cancels_products_does_not_hide_how_large_they_get(sign, bits, weight):
    """With a bias of the other sign the accumulator stays half as large as the products, whose sum must be exact too."""
    x = Encoding(Format(bits, bits, False))
    width = max(8, weight.bit_length() + 1)
    # Only the low bits are looked at: there a lost unit shows.
    policy = Policy(Format(32, 32, True, Rounding.TRN, Overflow.WRAP), Format(width, width), normalize="none")
    weights = np.array([[sign * weight, sign * weight, sign * weight]], np.float64)
    largest = 3 * weight * (2**bits - 1)
    exact_to = 24 if bits == 18 else 53
    assert largest // 2 < 2**exact_to < largest
    kernel = LinearOperation(weights, np.array([-sign * float(largest // 2)])).decide(
        [x], Encoding(policy.format), policy
    )
    top_code = 2**bits - 1
    inputs = np.array([[top_code, top_code - 1, top_code], [top_code, top_code, top_code - 2], [1, 2, 3]])
    agree(kernel, inputs)


@pytest.mark.parametrize("overflow", list(Overflow))
def test_an_explicit_accumulator_that_holds_everything_is_run_exactly(overflow):
    """The proof turns the slow path off, and only where it holds: one bit less and every addition is quantized."""
    x = Encoding(Format(8, 2))
    operation = LinearOperation(np.full((1, 4), 1.0), np.zeros(1))
    # Four weights of code 64 times the lowest code, -128: 16 bits hold that sum, but for SAT_SYM, which moves it.
    needed = 17 if overflow is Overflow.SAT_SYM else 16
    for width, exact in ((needed, True), (needed - 1, False)):
        accumulator = Format(width, width - 12, True, Rounding.RND, overflow)
        policy = Policy(Format(8, 4), Format(8, 2), accumulator, None, "none")
        kernel = operation.decide([x], Encoding(policy.format), policy)
        assert kernel.exact == exact
        assert kernel.accumulator_proof().startswith("cannot overflow" if exact else "may overflow")
        wanted = agree(kernel, np.array([[-128, -128, -128, -128], [127, 127, 127, 127], [-128, 127, 5, 0]]))
        assert (wanted.accumulator_overflow == 0) == exact


def test_the_default_accumulator_is_the_narrowest_that_holds_the_worst_case():
    """One bit less overflows on some input: that input is built here, channel by channel."""
    rng = np.random.default_rng(3)
    for trial in range(30):
        x = Encoding(
            Format(
                int(rng.integers(2, 12)),
                3,
                bool(trial % 2),
                Rounding.RND,
                Overflow.SAT_SYM if trial % 3 == 0 else Overflow.SAT,
            )
        )
        policy = Policy(Format(8, 4), Format(int(rng.integers(2, 12)), 2))
        operation = LinearOperation(rng.normal(0, 1, (3, 5)), rng.normal(0, 4, 3))
        kernel = operation.decide([x], Encoding(policy.format), policy)
        weights, bias = box(kernel.weights), box(kernel.bias)
        low, high = x.format.lowest_code, x.format.max_code
        sums = [0]
        for o in range(3):
            sums.append(bias[o] + sum(w * (high if w > 0 else low) for w in weights[o]))
            sums.append(bias[o] + sum(w * (low if w > 0 else high) for w in weights[o]))
        width = kernel.accumulator.width
        assert all(-(2 ** (width - 1)) <= total < 2 ** (width - 1) for total in sums)
        assert not all(-(2 ** (width - 2)) <= total < 2 ** (width - 2) for total in sums)
        assert kernel.bound >= max(abs(total) for total in sums)


@pytest.mark.parametrize("value", [-3.4028234663852886e38, 3.4028234663852886e38, 1e19, -1e19, 0.0, 2.5])
def test_a_fused_clip_far_outside_of_every_format(value):
    """Exporters write "no limit" as the largest float: the clip's code does not fit 64 bits, and still means what it says."""
    x = Encoding(Format(8, 4))
    policy = Policy(Format(8, 4), Format(8, 2), normalize="none")
    low, high = (value, None) if value <= 0 else (None, value)
    kernel = LinearOperation(np.array([[1.0, -1.5]]), np.zeros(1), low=low, high=high).decide(
        [x], Encoding(policy.format), policy
    )
    agree(kernel, np.array([[127, -128], [-128, 127], [40, 3]]))
