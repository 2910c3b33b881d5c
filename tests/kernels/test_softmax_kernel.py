"""Softmax and its logarithm: bit for bit the documented datapath, and how far that is from the real function."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles.codes import same
from oracles.drawing import codes, encodings, executed, formats
from oracles.kernels import run

from fxnorm.errors import PlanError
from fxnorm.fixed.format import Format, Overflow, Rounding
from fxnorm.kernels.encoding import Encoding, fitting_exponent
from fxnorm.kernels.kernel import Policy
from fxnorm.kernels.softmax import SoftmaxOperation


@pytest.mark.parametrize("log", [False, True], ids=["softmax", "log_softmax"])
def test_the_datapath_bit_for_bit(log):
    seen = {"cases": 0, "overflow": 0, "beyond 64 bits": 0}

    # The logarithm's table is sized anew for every width, which takes the wide ones a second.
    widest = 20 if log else 32

    @given(
        encodings(2, widest),
        formats(2, widest),
        st.sampled_from([((5,), 0), ((1, 4), 1), ((3, 2), 0), ((1,), 0), ((2, 3, 2), 1)]),
        st.data(),
    )
    @settings(max_examples=60)
    def check(x, format_, layout, data):
        shape, axis = layout
        y = Encoding(format_, data.draw(st.integers(-3, 2)) - format_.integer_bits + (4 if log else 0))
        kernel = SoftmaxOperation(axis, shape[axis], log).decide([x], y, Policy(format_, Format(8, 4)))
        inputs = data.draw(codes(x.format, (2, *shape)))
        got, tally = executed(kernel, [inputs])
        wanted = run(kernel, [inputs])
        assert same(got, wanted.codes)
        assert tally.overflow == wanted.overflow
        seen["cases"] += 1
        seen["overflow"] += wanted.overflow > 0
        seen["beyond 64 bits"] += kernel.bound > 1 << 62

    check()
    assert seen["overflow"] >= 0.2 * seen["cases"], seen


def rows_of(x, length, rng):
    """Groups of codes that try a softmax: equal ones, one ahead of many at some distance, one behind, spread out, normal, extreme."""
    low, high = x.format.lowest_code, x.format.max_code
    yield np.full(length, int(rng.integers(low, high + 1)))
    for distance in (0.3, 0.7, 1.0, 3.0, 5.0, 7.0, 8.0, 9.0, 10.0, 11.0, 12.0, 14.0):
        d = round(distance * 2.0**-x.lsb)
        if 0 <= d <= high - low:
            row = np.full(length, high - d)
            row[rng.integers(length)] = high
            yield row
    behind = np.full(length, high)
    behind[0] = low
    yield behind
    yield rng.integers(low, high + 1, length)
    yield np.clip(np.rint(rng.normal(0, 1, length) * 2.0**-x.lsb), low, high).astype(np.int64)
    yield np.where(rng.random(length) < 0.5, low, high)


def real_softmax(row, lsb, log):
    """The real function in float64, sums by math.fsum: good to far less than 2**-40."""
    v = np.ldexp((row - row.max()).astype(np.float64), lsb)
    total = math.fsum(np.exp(v))
    return v - math.log(total) if log else np.exp(v) / total


def errors(width, length, log, seed, exponents=(-2, 0)):
    """Codes of groups with their real values in LSBs, in an output format whose scale fits each group, as a plan would choose it."""
    rng = np.random.default_rng(seed)
    for exponent in exponents:
        x = Encoding(Format(width, min(5, width - 1)), exponent)
        for row in rows_of(x, length, rng):
            real = real_softmax(row, x.lsb, log)
            format_ = Format(width, min(5, width - 1))
            y = Encoding(format_, fitting_exponent(float(real.min()), float(real.max()), format_))
            kernel = SoftmaxOperation(0, length, log).decide([x], y, Policy(format_, format_))
            got, _ = executed(kernel, [row[None].astype(np.int64)])
            yield x, y, row, got[0], real


CASES = [(width, length) for width in (4, 5, 7, 8, 12, 16, 20, 24) for length in (1, 2, 3, 10, 257)]


@pytest.mark.parametrize(("width", "length"), CASES)
def test_softmax_is_at_most_one_lsb_from_the_correctly_rounded_result(width, length):
    _judge_softmax(width, length)


@pytest.mark.parametrize("width", [8, 16, 24])
def test_softmax_over_thirty_thousand_values(width):
    """Every exponential may err to the same side: 30,000 of them must still leave the sum good enough."""
    _judge_softmax(width, 30_000)


@pytest.mark.parametrize("length", [2, 10, 257, 30_000])
@pytest.mark.parametrize("width", [8, 16, 24])
def test_softmax_of_wide_logits(width, length):
    """Logits up to ±500 and ±64,000: nearly all of them vanish beside the largest, and are still summed up and put in order."""
    _judge_softmax(width, length, (5, 12))


def _judge_softmax(width, length, exponents=(-2, 0)):
    for x, y, row, got, real in errors(width, length, False, width * 31 + length, exponents):
        v = np.ldexp(real, -y.lsb)
        v = np.minimum(v, y.format.max_code)
        # |code - round(v)| ≤ 1 is |code - v| ≤ 1.5; the last digits are those of the reference.
        worst = np.abs(got - v).max()
        assert worst <= 1.5 + 1e-6, (str(x), str(y), worst)
        # A larger logit never has a smaller probability, and the largest has the largest.
        order = np.argsort(row, kind="stable")
        assert (np.diff(got[order]) >= 0).all()
        assert got[row.argmax()] == got.max()
        # All of them together are 1, but for half an LSB and the datapath's error each.
        total = int(got.sum())
        one = 2.0**-y.lsb
        saturated = int(np.count_nonzero(real * one > y.format.max_code + 0.5))
        assert abs(total - one) <= 0.52 * length + saturated * abs(one - y.format.max_code) + 0.5


@pytest.mark.parametrize(("width", "length"), [*CASES, (8, 30_000), (16, 30_000), (24, 30_000)])
def test_log_softmax_is_at_most_one_lsb_from_the_correctly_rounded_result(width, length):
    worst = 0.0
    for x, y, row, got, real in errors(width, length, True, width * 37 + length):
        v = np.maximum(np.ldexp(real, -y.lsb), y.format.lowest_code)
        worst = max(worst, float(np.abs(got - v).max()))
        order = np.argsort(row, kind="stable")
        assert (np.diff(got[order]) >= 0).all(), (str(x), str(y))
    # Measured: half an LSB for the rounding and less than 0.05 for everything before it.
    assert worst <= 0.55


def test_codes_of_one_group_do_not_touch_another():
    x = Encoding(Format(8, 4))
    y = Encoding(Format(8, 1, False))
    kernel = SoftmaxOperation(0, 3, False).decide([x], y, Policy(y.format, x.format))
    rng = np.random.default_rng(0)
    inputs = rng.integers(-128, 128, (4, 3, 5))
    whole, _ = executed(kernel, [inputs])
    for sample in range(4):
        for column in range(5):
            assert np.array_equal(
                executed(kernel, [inputs[sample : sample + 1, :, column : column + 1]])[0][0, :, 0],
                whole[sample, :, column],
            )


@pytest.mark.parametrize("lsb", [-40, -12, 0, 12, 40])
def test_steps_of_any_size(lsb):
    """Inputs whose step is far below or far above 1: equal probabilities, or one winner."""
    x = Encoding(Format(8, 8), lsb)
    y = Encoding(Format(16, 1, False, Rounding.RND, Overflow.SAT))
    kernel = SoftmaxOperation(0, 4, False).decide([x], y, Policy(y.format, x.format))
    row = np.array([[-128, 127, 126, 0]])
    got, _ = executed(kernel, [row])
    real = real_softmax(row[0], lsb, False)
    assert np.abs(got[0] - np.ldexp(real, 15)).max() <= 1.0
    log = SoftmaxOperation(0, 4, True).decide([x], Encoding(Format(24, 24), lsb), Policy(y.format, x.format))
    got, _ = executed(log, [row])
    assert np.abs(got[0] - np.ldexp(real_softmax(row[0], lsb, True), -lsb)).max() <= 1.5 or lsb < -31


def test_results_that_no_exponential_holds_are_refused_by_name():
    wide = Encoding(Format(33, 1))
    with pytest.raises(PlanError, match="up to 32 bits can be had, not 33"):
        SoftmaxOperation(0, 4, False).decide([Encoding(Format(8, 4))], wide, Policy(wide.format, Format(8, 4)))
