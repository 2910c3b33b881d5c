"""Products of two values against a naive loop in Python integers, broadcast as ONNX broadcasts each sample."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles.codes import OVERFLOWS, ROUNDINGS, power, quantized, same
from oracles.drawing import codes, encodings, executed, formats, near, overflows, reals, roundings, top
from oracles.kernels import run

from fxnorm.fixed.format import Format, Overflow, Rounding
from fxnorm.kernels.encoding import Encoding
from fxnorm.kernels.kernel import Policy
from fxnorm.kernels.matmul import MatMulOperation

# Shapes of a and b, k, and the shape of the result; samples not counted.
LAYOUTS = [
    ((2, 3), (3, 2), 3, (2, 2)),
    ((2, 2, 3), (3, 4), 3, (2, 2, 4)),
    ((3, 4), (2, 4, 1), 4, (2, 3, 1)),
    ((2, 1, 2, 3), (3, 3, 2), 3, (2, 3, 2, 2)),
    ((5,), (5, 2), 5, (2,)),
    ((2, 3, 5), (5,), 5, (2, 3)),
    ((4,), (4,), 4, ()),
    ((1, 1), (1, 1), 1, (1, 1)),
]


def agree(kernel, inputs):
    """Compare a run with the model, bit for bit and count for count."""
    wanted = run(kernel, inputs)
    got, tally = executed(kernel, inputs)
    assert same(got, wanted.codes)
    assert (tally.overflow, tally.accumulator_overflow) == (wanted.overflow, wanted.accumulator_overflow)
    assert tally.additions == wanted.additions
    return got, wanted


def test_every_layout_with_exact_and_explicit_accumulators():
    seen = {"cases": 0, "accumulator": 0, "output": 0, "exact": 0, "constant": 0, "wide": 0}

    @given(st.sampled_from(LAYOUTS), encodings(2, 32), encodings(2, 32), st.data())
    @settings(max_examples=200)
    def check(layout, a, b, data):
        a_shape, b_shape, k, shape = layout
        weight = data.draw(formats(2, 32))
        constant = data.draw(st.sampled_from([None, None, "left", "right"]))
        left = data.draw(reals(a_shape)) if constant == "left" else None
        right = data.draw(reals(b_shape)) if constant == "right" else None
        first, second = (weight if left is not None else a.format), (weight if right is not None else b.format)
        accumulator = product_format = None
        if data.draw(st.booleans()):
            magnitude = first.integer_bits + second.integer_bits + data.draw(st.integers(-8, 1))
            fraction = first.fraction_bits + second.fraction_bits + data.draw(st.integers(-6, 2))
            width = max(2, magnitude + fraction)
            accumulator = Format(
                width, width - fraction, data.draw(st.booleans()), data.draw(roundings), data.draw(overflows)
            )
        if data.draw(st.integers(0, 3)) == 0:
            product_format = Format(
                9, 9 - first.fraction_bits - second.fraction_bits + 3, True, data.draw(roundings), data.draw(overflows)
            )
        policy = Policy(data.draw(formats(2, 32)), weight, accumulator, product_format)
        inputs = [
            codes_
            for codes_, fixed in (
                (data.draw(codes(a.format, (2, *a_shape))), left),
                (data.draw(codes(b.format, (2, *b_shape))), right),
            )
            if fixed is None
        ]
        encoded = [encoding for encoding, fixed in ((a, left), (b, right)) if fixed is None]
        y = near(data.draw, sum(map(top, encoded)) - 1, policy.format)
        operation = MatMulOperation(k, left, right, len(a_shape) == 1, len(b_shape) == 1)
        kernel = operation.decide(encoded, y, policy)
        got, wanted = agree(kernel, inputs)
        assert got.shape == (2, *shape)
        if accumulator is None and product_format is None:
            assert kernel.exact
        if kernel.exact:
            assert wanted.accumulator_overflow == 0
        if constant is None and kernel.exact:
            # In real numbers, rounded once.
            for sample in range(2):
                x, w = (np.vectorize(int, otypes=[object])(codes_[sample]) for codes_ in inputs)
                real = np.asarray(np.matmul(x, w) * power(a.lsb + b.lsb), dtype=object)
                for index in np.ndindex(*shape):
                    assert int(got[(sample, *index)]) == quantized(real[index], y.format, y.lsb)[0]
        seen["cases"] += 1
        seen["accumulator"] += wanted.accumulator_overflow > 0
        seen["output"] += wanted.overflow > 0
        seen["exact"] += kernel.exact
        seen["constant"] += constant is not None
        seen["wide"] += kernel.bound > 1 << 62

    check()
    assert seen["accumulator"] >= 0.1 * seen["cases"], seen
    assert seen["output"] >= 0.15 * seen["cases"], seen
    assert min(seen["exact"], seen["constant"]) >= 0.2 * seen["cases"], seen
    assert seen["wide"] >= 3, seen


@pytest.mark.parametrize(("rounding", "overflow"), list(product(ROUNDINGS, OVERFLOWS)))
def test_every_pair_of_modes(rounding, overflow):
    rng = np.random.default_rng(ROUNDINGS.index(rounding) + 8 * OVERFLOWS.index(overflow))
    x = Encoding(Format(6, 3))
    accumulator = Format(7, 4, True, Rounding(rounding), Overflow(overflow))
    policy = Policy(Format(5, 2, True, Rounding(rounding), Overflow(overflow)), Format(6, 3), accumulator)
    kernel = MatMulOperation(20).decide([x, x], Encoding(policy.format), policy)
    _, wanted = agree(kernel, [rng.integers(-32, 32, (2, 3, 20)), rng.integers(-32, 32, (2, 20, 3))])
    assert wanted.accumulator_overflow >= 10
    assert wanted.overflow >= 3


@pytest.mark.parametrize("bits", [8, 16])
def test_a_narrow_constant_meets_wide_data(bits):
    """Constants are kept in the smallest dtype; with 32-bit data their products go through limbs, with and without 62 bits."""
    k = 260
    rng = np.random.default_rng(bits)
    left = -np.ldexp(rng.integers(1, 1 << (bits - 1), (2, k)).astype(np.float64), -bits)
    x = Encoding(Format(32, 16))
    policy = Policy(Format(32, 24), Format(bits, 1))
    kernel = MatMulOperation(k, left).decide([x], Encoding(policy.format), policy)
    agree(kernel, [rng.integers(-(1 << 31), 1 << 31, (1, k, 2))])


@given(encodings(2, 20), encodings(2, 20), encodings(2, 20), st.sampled_from(["none", "constant", "input"]), st.data())
@settings(max_examples=80)
def test_factors_and_addends_of_a_gemm(a, b, c, kind, data):
    """alpha · acc + beta · c, exact, then the one rounding: drawn factors, addends of one row, one column, all, or one number."""
    alpha, beta = (data.draw(st.sampled_from([1.0, 0.5, -0.3, 2.75, 100.0])) for _ in range(2))
    shape = data.draw(st.sampled_from([(3, 2), (2,), (3, 1), (1,), ()]))
    addend = data.draw(reals(shape)) if kind == "constant" else None
    operation = MatMulOperation(4, alpha=alpha, beta=beta, adds=kind != "none", addend=addend)
    policy = Policy(
        data.draw(formats(2, 20)), data.draw(formats(2, 20)), normalize=data.draw(st.sampled_from(["none", "pow2"]))
    )
    y = near(data.draw, top(a) + top(b) + 1, policy.format)
    encoded = [a, b, c] if kind == "input" else [a, b]
    kernel = operation.decide(encoded, y, policy)
    inputs = [data.draw(codes(a.format, (2, 3, 4))), data.draw(codes(b.format, (2, 4, 2)))]
    if kind == "input":
        inputs.append(data.draw(codes(c.format, (2, *shape))))
    _, wanted = agree(kernel, inputs)
    assert wanted.accumulator_overflow == 0
