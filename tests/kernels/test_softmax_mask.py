"""Masked softmax and its logarithm: bit for bit the documented datapath, hidden positions nothing, visible ones as if they were alone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles.codes import same
from oracles.drawing import codes, encodings, executed, formats
from oracles.kernels import run

from fxnorm.errors import PlanError
from fxnorm.fixed.format import Format
from fxnorm.kernels.encoding import Encoding
from fxnorm.kernels.kernel import Policy
from fxnorm.kernels.mask import RealMask
from fxnorm.kernels.softmax import SoftmaxOperation

LOW = [-1e4, -1e9, float(np.finfo(np.float32).min), -np.inf]


def kernel_of(x, y, mask, length, axis=1, log=False):
    return SoftmaxOperation(axis, length, log, mask).decide([x], y, Policy(y.format, y.format))


def real(values, keep, bias):
    """Softmax along the last axis in float64, with the mask as numbers."""
    with np.errstate(invalid="ignore"):
        z = np.where(keep, values, 0.0) + bias
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


@settings(max_examples=80, deadline=None)
@given(st.booleans(), encodings(2, 20), formats(2, 16), st.data())
def test_the_datapath_bit_for_bit(log, x, format_, data):
    rows, length = 3, 4
    y = Encoding(format_, -format_.integer_bits + (data.draw(st.integers(2, 8)) if log else 1))
    number = st.one_of(st.just(0.0), st.sampled_from(LOW), st.floats(-300, 300, width=32))
    bias = np.array(data.draw(st.lists(number, min_size=rows * length, max_size=rows * length))).reshape(rows, length)
    bias[np.isneginf(bias).all(axis=1), 0] = 0.0
    keep = np.array(data.draw(st.lists(st.booleans(), min_size=rows * length, max_size=rows * length))).reshape(
        rows, length
    )
    kernel = kernel_of(x, y, RealMask(keep, bias), length, log=log)
    inputs = data.draw(codes(x.format, (2, rows, length)))
    got, tally = executed(kernel, [inputs])
    wanted = run(kernel, [inputs])
    assert same(got, wanted.codes)
    assert tally.overflow == wanted.overflow
    assert max(abs(int(z)) for z in np.ravel(kernel.mask.run(inputs))) <= kernel.mask.bound


@settings(max_examples=60, deadline=None)
@given(st.integers(2, 32), st.integers(-12, 6), st.sampled_from(LOW), st.booleans(), st.integers(0, 2**31))
def test_hidden_positions_are_nothing_and_the_others_are_alone(width, exponent, low, replaced, seed):
    """Whatever the scores are: zeros where the mask hides, and elsewhere the very codes that the visible ones give without the rest."""
    rng = np.random.default_rng(seed)
    format_ = Format(width, width)
    x, y = Encoding(format_, exponent - width), Encoding(Format(12, 1, False))
    hidden = rng.random((4, 7)) < 0.5
    hidden[:, rng.integers(7)] = False
    bias = np.where(hidden, low, 0.0)
    mask = RealMask(~hidden if replaced else np.ones((), bool), bias)
    inputs = rng.integers(format_.min_code, format_.max_code + 1, (3, 4, 7))
    inputs[0] = np.where(hidden, format_.max_code, format_.min_code)  # the hidden ones as large as can be
    kernel = kernel_of(x, y, mask, 7)
    got, _ = executed(kernel, [inputs])
    assert not got[:, hidden].any()
    for row in range(4):
        visible = ~hidden[row]
        alone = SoftmaxOperation(0, 7, False).decide([x], y, Policy(y.format, y.format))
        expected, _ = executed(alone, [inputs[:, row, visible]])
        assert same(got[:, row, visible], expected)


def test_a_mask_needs_no_bit_of_the_scores():
    """The step of z stays that of the scores, and the largest bias is no larger than what hides."""
    x, y = Encoding(Format(8, 5), 0), Encoding(Format(8, 1, False))
    for low in LOW:
        mask = RealMask(None, np.triu(np.full((6, 6), low), 1))
        kernel = kernel_of(x, y, mask, 6)
        assert kernel.mask.shift == 0
        assert kernel.mask.bound <= kernel.limit + 3 * 256
        assert np.array_equal(kernel.mask.keep, np.tril(np.ones((6, 6), bool)))


@pytest.mark.parametrize("width", [6, 8, 12, 16])
@pytest.mark.parametrize("scale", [0.1, 1.0, 10.0])
def test_small_biases_are_exact_to_the_last_rounding(width, scale):
    """Biases of attention scores (positions): at most 1 LSB from the correctly rounded softmax of codes plus biases."""
    rng = np.random.default_rng(width)
    x, y = Encoding(Format(width, 4)), Encoding(Format(width, 1, False))
    bias = rng.normal(0, scale, (5, 9))
    kernel = kernel_of(x, y, RealMask(None, bias), 9)
    inputs = rng.integers(x.format.min_code, x.format.max_code + 1, (40, 5, 9))
    got, _ = executed(kernel, [inputs])
    exact = np.minimum(real(x.decode(inputs), True, bias) * 2.0**-y.lsb, y.format.max_code)
    assert np.abs(got - exact).max() <= 1.0


def test_a_filler_within_reach_of_the_scores_is_a_number():
    """Where(…, scores, -5): not hidden, and worth what it is."""
    rng = np.random.default_rng(1)
    x, y = Encoding(Format(10, 5)), Encoding(Format(12, 1, False))
    keep = rng.random((5, 9)) < 0.6
    bias = np.where(keep, 0.0, -5.0)
    kernel = kernel_of(x, y, RealMask(keep, bias), 9)
    inputs = rng.integers(-200, 200, (40, 5, 9))
    got, _ = executed(kernel, [inputs])
    exact = real(x.decode(inputs), keep, bias) * 2.0**-y.lsb
    assert np.abs(got - np.minimum(exact, y.format.max_code)).max() <= 1.0


def test_a_group_all_of_one_bias_is_shared_out_as_without_it():
    x, y = Encoding(Format(8, 5)), Encoding(Format(8, 1, False))
    inputs = np.random.default_rng(2).integers(-128, 128, (10, 3, 5))
    bias = np.zeros((3, 1))
    bias[1] = -1e9
    got, _ = executed(kernel_of(x, y, RealMask(None, bias), 5), [inputs])
    plain, _ = executed(SoftmaxOperation(1, 5, False).decide([x], y, Policy(y.format, y.format)), [inputs])
    assert same(got, plain)


def test_a_group_with_nothing_left_is_refused():
    x, y = Encoding(Format(8, 5)), Encoding(Format(8, 1, False))
    bias = np.zeros((3, 5))
    bias[1] = -np.inf
    with pytest.raises(PlanError, match="hides every position"):
        kernel_of(x, y, RealMask(None, bias), 5)


# Logarithms


@settings(max_examples=40, deadline=None)
@given(st.integers(2, 16), st.integers(-12, 2), st.sampled_from(LOW), st.booleans(), st.integers(0, 2**31))
def test_logarithms_of_what_is_hidden_are_the_lowest_code(width, exponent, low, replaced, seed):
    """Whatever the scores are, and without counting as overflow; the others are those of the visible scores alone."""
    rng = np.random.default_rng(seed)
    format_ = Format(width, width)
    x, y = Encoding(format_, exponent - width), Encoding(Format(12, 5))
    hidden = rng.random((4, 7)) < 0.5
    hidden[:, rng.integers(7)] = False
    mask = RealMask(~hidden if replaced else np.ones((), bool), np.where(hidden, low, 0.0))
    inputs = rng.integers(format_.min_code, format_.max_code + 1, (3, 4, 7))
    inputs[0] = np.where(hidden, format_.max_code, format_.min_code)
    kernel = kernel_of(x, y, mask, 7, log=True)
    got, tally = executed(kernel, [inputs])
    assert np.all(got[:, hidden] == y.format.lowest_code)
    overflow = 0
    for row in range(4):
        visible = ~hidden[row]
        alone = SoftmaxOperation(0, 7, True).decide([x], y, Policy(y.format, y.format))
        expected, own = executed(alone, [inputs[:, row, visible]])
        assert same(got[:, row, visible], expected)
        overflow += own.overflow
    assert tally.overflow == overflow


@pytest.mark.parametrize("width", [8, 12, 16])
@pytest.mark.parametrize("far", [-0.3, -8.0, -40.0, -100.0])
def test_a_bias_that_the_output_holds_is_a_number(width, far):
    """An exponential of -40 is nothing to the sum, but its logarithm is -40: at most 0.55 LSB from the real one."""
    rng = np.random.default_rng(width)
    x, y = Encoding(Format(width, 4)), Encoding(Format(width, 8))
    keep = np.ones((5, 9), bool)
    keep[1] = rng.random(9) < 0.5
    keep[1, 0] = True
    bias = np.where(rng.random((5, 9)) < 0.4, far, 0.0) + rng.normal(0, 0.3, (5, 9))
    kernel = kernel_of(x, y, RealMask(keep, bias), 9, log=True)
    assert kernel.hidden is None
    inputs = rng.integers(x.format.min_code, x.format.max_code + 1, (40, 5, 9))
    got, tally = executed(kernel, [inputs])
    with np.errstate(divide="ignore"):
        exact = np.log(real(x.decode(inputs), keep, bias)) * 2.0**-y.lsb
    assert np.isfinite(exact).all()
    assert np.abs(got - exact).max() <= 0.55
    assert tally.overflow == 0


def test_a_group_with_nothing_left_has_no_logarithms():
    x, y = Encoding(Format(8, 5)), Encoding(Format(8, 5))
    with pytest.raises(PlanError, match="hides every position"):
        kernel_of(x, y, RealMask(None, np.full((1, 5), -np.inf)), 5, log=True)
