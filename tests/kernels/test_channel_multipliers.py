"""A multiplier an output channel: weights reach the ends of their codes, the multiplication adds no error, one rounding is left."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles.codes import each, fitted, limits, power, quantized, rounded, same
from oracles.drawing import codes, encodings, executed, formats, near, reals, seeds, top
from oracles.kernels import run
from oracles.kernels import stage as model_stage

from fxnorm.fixed.format import Format, Overflow, Rounding
from fxnorm.kernels.channels import ChannelScales
from fxnorm.kernels.encoding import Encoding
from fxnorm.kernels.kernel import Policy
from fxnorm.kernels.linear import LinearOperation, Window
from fxnorm.kernels.stage import Rescale, Tally

Q53 = Format(8, 5, True, Rounding.RND, Overflow.SAT)
steps = st.fractions(Fraction(1, 1000), 1000, max_denominator=10_000).filter(bool)


@st.composite
def ranges(draw, channels, taps):
    """Weights whose channels have ranges of their own, some of them zeros or of one sign."""
    rng = np.random.default_rng(draw(seeds))
    spread = draw(st.sampled_from([0.0, 2.0, 6.0, 20.0]))
    weights = rng.normal(size=(channels, taps)) * np.exp2(rng.uniform(-spread, 1, (channels, 1)))
    kinds = rng.integers(0, 8, (channels, 1))
    weights = np.where(
        kinds == 0, 0.0, np.where(kinds == 1, np.abs(weights), np.where(kinds == 2, -np.abs(weights), weights))
    )
    return weights.astype(np.float32)


@st.composite
def any_step(draw, encoding):
    """An encoding with any factor and any zero."""
    zero = draw(st.integers(*limits(encoding.format)))
    return replace(encoding, factor=draw(st.floats(1.0, 1.99)), zero=zero)


def test_steps_are_the_smallest_that_a_multiplier_meets():
    seen = Counter()

    @given(st.integers(1, 6), st.integers(1, 5), formats(2, 20), steps, steps, st.booleans(), st.data())
    @settings(max_examples=200)
    def check(channels, taps, format_, unit, output, low_floor, data):
        weights = data.draw(ranges(channels, taps))
        floor = np.full(channels, data.draw(st.integers(-4, 4)) if low_floor else -200)
        found = ChannelScales.of(weights, format_, floor, unit, output)
        lowest, highest = format_.min_code, format_.max_code
        # What saturates in any step takes no part: without a sign nothing below 0 has a code.
        held = [[Fraction(float(w)) for w in row if w > 0 or (w < 0 and lowest < 0)] for row in weights]
        least = [max((w / (highest if w > 0 else lowest) for w in row), default=Fraction(0)) for row in held]
        if found is None:
            assert not any(least)
            return
        fine = power(int(floor[0]) - format_.fraction_bits)
        least = [max(step or max(least), fine) for step in least]
        largest = max(step * unit / output for step in least)
        for own, step, m, s in zip(least, found.steps, found.multipliers, found.shifts, strict=True):
            assert step * unit * power(s) == m * output
            assert 1 << 9 <= m < 1 << 16
            assert own <= step < own * Fraction(513, 512)
            assert (m - 1) * output < own * unit * power(s)
            # A shift of its own only where the common one leaves too few bits.
            shared = min(found.shifts)
            assert s == shared or own * unit / output * power(shared) <= 511
            seen["own shift"] += s != shared
        assert largest * power(min(found.shifts)) > (1 << 15) - 1
        stored = found.encode(weights, format_)
        for o, k in each(weights.shape):
            exact = Fraction(float(weights[o, k])) / found.steps[o]
            assert int(stored[o, k]) == max(lowest, min(highest, rounded(exact, "rnd_conv")))
            assert abs(int(stored[o, k]) - exact) <= Fraction(1, 2) or (exact < 0 and not format_.signed)
        seen["cases"] += 1
        seen["different"] += len(set(found.multipliers)) > 1

    check()
    assert seen["different"] >= 0.4 * seen["cases"], seen
    assert seen["own shift"] >= 10, seen


def test_the_largest_weight_of_a_channel_is_its_largest_code():
    weights = np.array([[0.3, -0.1], [0.02, -0.029], [5.0, 4.0]])
    kernel = LinearOperation(weights, np.zeros(3)).decide(
        [Encoding(Q53)], Encoding(Q53, 1, 1.25), Policy(Q53, Q53, normalize="affine")
    )
    assert [int(code) for code in np.abs(kernel.weights.astype(int)).max(axis=1)] == [127, 128, 127]
    assert np.shape(kernel.stage.multiplier) == (3,)


@pytest.mark.parametrize(
    "policy",
    [Policy(Q53, Q53), Policy(Q53, Q53, normalize="none"), Policy(Q53, Q53, normalize="affine", multiplier="tensor")],
)
def test_other_policies_keep_one_multiplier(policy):
    weights = np.array([[0.3, -0.1], [0.02, -0.029]])
    kernel = LinearOperation(weights, np.zeros(2)).decide([Encoding(Q53)], Encoding(Q53), policy)
    assert kernel.stage.multiplier == 1
    assert isinstance(kernel.stage.multiplier, int)


def test_channels_of_one_range_share_an_integer():
    weights = np.array([[0.3, -0.1], [-0.2, 0.3]])
    operation = LinearOperation(weights, np.zeros(2))
    kernel = operation.decide([Encoding(Q53)], Encoding(Q53, 0, 1.3), Policy(Q53, Q53, normalize="affine"))
    assert isinstance(kernel.stage.multiplier, int)
    assert kernel.stage.multiplier % 2 == 1


@pytest.mark.parametrize("weight_format", [Q53, Format(8, 4, False), Format(1, 1)])
def test_weights_of_nothing(weight_format):
    operation = LinearOperation(np.zeros((2, 3)), np.array([1.0, -2.0]))
    kernel = operation.decide([Encoding(Q53)], Encoding(Q53), Policy(Q53, weight_format, normalize="affine"))
    assert kernel.run([np.ones((1, 3), np.int64)], Tally()).tolist() == [[8, -16]]


@given(encodings(3, 16), st.integers(1, 6), st.integers(1, 4), st.data())
@settings(max_examples=120)
def test_a_dense_layer_means_what_it_says_in_real_numbers(x, k, o, data):
    """From what codes stand for to the output, in fractions: the sum of the stored numbers, rounded once, overflowed."""
    x = data.draw(any_step(x))
    weights, bias = data.draw(ranges(o, k)), data.draw(reals((o,), data.draw(st.sampled_from([2, 20]))))
    policy = Policy(data.draw(formats(2, 16)), data.draw(formats(2, 16)), normalize="affine")
    y = data.draw(any_step(near(data.draw, top(x) + 2, policy.format)))
    kernel = LinearOperation(weights, bias).decide([x], y, policy)
    multipliers = np.broadcast_to(kernel.stage.multiplier, o)
    # What one code of an accumulator stands for, by what the stage makes of it.
    units = [int(m) * y.step / power(int(s)) for m, s in zip(multipliers, kernel.stage.shift, strict=True)]
    held = [units[c] / x.step for c in range(o)]
    if weights.any():
        lowest, highest = limits(policy.weight_format.with_modes(Rounding.RND_CONV, Overflow.SAT))
        for c, i in each((o, k)):
            exact = Fraction(float(weights[c, i])) / held[c]
            assert int(kernel.weights[c, i]) == max(lowest, min(highest, rounded(exact, "rnd_conv")))
    inputs = data.draw(codes(x.format, (3, k)))
    got, tally = executed(kernel, [inputs])
    lost = 0
    for sample, channel in each(got.shape):
        products = sum(int(w) * (int(v) - x.zero) for w, v in zip(kernel.weights[channel], inputs[sample], strict=True))
        start = rounded(Fraction(float(bias[channel])) / units[channel], "rnd_conv")
        code, changed = quantized((products + start) * units[channel] / y.step + y.zero, y.format, 0)
        assert int(got[sample, channel]) == code
        lost += changed
    assert tally.overflow == lost


def test_convolutions_and_explicit_accumulators():
    """Bit for bit the datapath, whose multipliers and shifts are the channels' own."""
    seen = Counter()

    @given(encodings(2, 10), st.sampled_from([(1, 0), (2, 1), (3, 1)]), st.sampled_from([1, 2]), st.data())
    @settings(max_examples=80)
    def check(x, geometry, groups, data):
        kernel_size, pad = geometry
        window = Window((kernel_size, 1), (1, 2), (1, 1), (pad, 0), (pad, 0))
        x = data.draw(any_step(x))
        weights = data.draw(ranges(4, 2 // groups * kernel_size)).reshape(4, 2 // groups, kernel_size, 1)
        explicit = data.draw(st.sampled_from([None, "q12.4:trn,wrap", "q9.2:rnd,sat"]))
        policy = Policy(
            data.draw(formats(2, 12)),
            data.draw(formats(2, 9)),
            accumulator=None if explicit is None else Format.parse(explicit),
            normalize="affine",
        )
        y = data.draw(any_step(near(data.draw, top(x) + 2, policy.format)))
        low = data.draw(st.sampled_from([None, 0.0]))
        kernel = LinearOperation(weights, np.zeros(4), window, groups, low).decide([x], y, policy)
        inputs = data.draw(codes(x.format, (2, 1, 2, 4, 3)))
        got, tally = executed(kernel, [inputs])
        model = run(kernel, [inputs])
        assert same(got, model.codes)
        assert (tally.overflow, tally.accumulator_overflow) == (model.overflow, model.accumulator_overflow)
        seen["arrays"] += np.ndim(kernel.stage.multiplier) > 0
        seen["overflow"] += tally.overflow > 0
        seen["accumulator"] += tally.accumulator_overflow > 0
        seen["clips"] += kernel.stage.low is not None

    check()
    assert min(seen.values()) >= 5, seen
    assert seen["arrays"] >= 60, seen


@pytest.mark.parametrize("overflow", list(Overflow))
@pytest.mark.parametrize("rounding", list(Rounding))
def test_the_stage_in_every_mode(rounding, overflow):
    """Drawn multipliers and shifts a channel against fractions, in 64 bits and in Python integers."""
    rng = np.random.default_rng([list(Rounding).index(rounding), list(Overflow).index(overflow)])
    for signed, bits, zero, origin in ((True, 12, 0, 0), (False, 12, 5, 0), (True, 30, -7, 11), (True, 60, 3, 0)):
        multipliers = rng.integers(1, 1 << 16, 5)
        stage = Rescale(
            Format(6, 3, signed, rounding, overflow),
            rng.integers(-2, bits + 12, 5),
            low=-20,
            high=55,
            bound=1 << bits,
            multiplier=multipliers,
            zero=zero,
            origin=origin,
        )
        acc = rng.integers(-(1 << bits), 1 << bits, (40, 5))
        # Ties, and what lies next to them.
        places = np.maximum(stage.shift, 0).astype(object)
        near_ties = (2 * rng.integers(-40, 60, (40, 5)).astype(object) + 1) * 2**places // (
            2 * multipliers
        ) + rng.integers(-1, 2)
        acc = np.concatenate([acc, np.clip(near_ties, -(1 << bits), 1 << bits).astype(np.int64)])
        tally = Tally()
        codes_, lost = model_stage(stage, acc.astype(object))
        assert same(stage.run(acc, tally), codes_)
        assert tally.overflow == lost
        turned = stage.spread((5, 1))
        assert same(turned.run(np.ascontiguousarray(acc.T), Tally()), codes_.T)
        assert fitted(int(codes_[0, 0]), stage.output) == (int(codes_[0, 0]), False)
