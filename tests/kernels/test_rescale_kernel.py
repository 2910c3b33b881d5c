"""Rescale: the stage by itself, multipliers per channel, changes of format, concatenation."""

from __future__ import annotations

from fractions import Fraction
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles.codes import OVERFLOWS, ROUNDINGS, box, power, quantized, rounded, same
from oracles.drawing import codes, dyadics, encodings, executed, formats, near, policies, reals, seeds, top
from oracles.kernels import run, stage

from fxnorm.fixed.format import Format, Overflow, Rounding
from fxnorm.kernels.encoding import Encoding
from fxnorm.kernels.kernel import Policy
from fxnorm.kernels.movement import ConcatOperation, change
from fxnorm.kernels.rescale import ScaleAndShift, ScaleOperation
from fxnorm.kernels.stage import Rescale, Tally

MODES = [(Rounding(r), Overflow(o)) for r, o in product(ROUNDINGS, OVERFLOWS)]


@pytest.mark.parametrize(("rounding", "overflow"), MODES)
@pytest.mark.parametrize("divisor", [1, 3, 4, 6])
def test_the_stage_exhaustively_in_every_pair_of_modes(rounding, overflow, divisor):
    """All accumulators of 7 bits: round (of one exact quotient), clip, overflow, count."""
    accumulators = np.arange(-64, 64)
    for signed, low, high in ((True, None, None), (True, -3, 2), (False, None, 2)):
        output = Format(3, 3, signed, rounding, overflow)
        for shift in (-2, 0, 1, 2, 6, 70):
            decided = Rescale(output, shift, divisor, low, high, bound=64)
            tally = Tally()
            got = decided.run(accumulators, tally)
            wanted, lost = stage(decided, box(accumulators))
            assert got.tolist() == wanted.tolist(), (signed, low, high, shift)
            assert tally.overflow == lost


@given(formats(2, 32), st.integers(1, 90), st.data())
@settings(max_examples=150)
def test_the_stage_of_any_width(output, bits, data):
    """Accumulators up to 90 bits, shifts and divisors per channel, in 64-bit and Python integers alike."""
    rng = np.random.default_rng(data.draw(seeds))
    bound = (1 << bits) - 1
    accumulators = [int(rng.integers(-(1 << 62), 1 << 62)) * (1 << 32) % (2 * bound + 1) - bound for _ in range(10)] + [
        bound,
        -bound,
    ]
    held = np.array(accumulators, dtype=np.int64 if bits <= 62 else object).reshape(4, 3)
    shift = data.draw(st.sampled_from([0, bits // 2, bits - output.width, -5, 40, 64, 100]))
    shifts = shift if data.draw(st.booleans()) else np.array([shift, shift + 1, shift - 3])
    divisor = data.draw(st.sampled_from([1, 1, 7, 49, 1 << 33]))
    divisors = divisor if data.draw(st.booleans()) else np.array([divisor, 3, 1])
    decided = Rescale(output, shifts, divisors, bound=bound)
    tally = Tally()
    got = decided.run(held, tally)
    wanted, lost = stage(decided, box(held))
    assert got.dtype == np.int64
    assert same(got, wanted)
    assert tally.overflow == lost


@pytest.mark.parametrize("bits", [50, 57, 60, 61, 62])
@pytest.mark.parametrize("shift", [-1, -2, -4, -12, -40, 3])
@pytest.mark.parametrize("divisor", [1, 3])
def test_the_stage_where_64_bits_end(bits, shift, divisor):
    """Accumulators that 64 bits hold, moved to where they do not: nothing may wrap unseen on the way to the end of the format."""
    bound = 1 << bits
    held = np.array([bound, -bound, bound - 1, 1 - bound, bound // 3, 5, -7])
    for overflow in Overflow:
        decided = Rescale(Format(32, 8, True, Rounding.RND, overflow), shift, divisor, bound=bound)
        tally = Tally()
        got = decided.run(held, tally)
        wanted, lost = stage(decided, box(held))
        assert got.tolist() == wanted.tolist()
        assert tally.overflow == lost


def test_multipliers_per_channel_follow_the_datapath():
    seen = {"cases": 0, "overflow": 0, "wide": 0}

    @given(
        encodings(2, 32),
        st.sampled_from([((2, 3), 0), ((2, 3), 1), ((3,), 0), ((1, 3, 2), 1), ((2, 2), None)]),
        st.data(),
    )
    @settings(max_examples=150)
    def check(x, layout, data):
        shape, axis = layout
        channels = 1 if axis is None else shape[axis]
        policy = data.draw(policies(data.draw(formats(2, 32))))
        clip = data.draw(st.sampled_from([(None, None), (0.0, None), (-1.5, 6.0)]))
        operation = ScaleOperation(data.draw(reals((channels,))), data.draw(reals((channels,), 8)), axis, *clip)
        kernel = operation.decide([x], near(data.draw, top(x) + 3, policy.format), policy)
        inputs = data.draw(codes(x.format, (2, *shape)))
        got, tally = executed(kernel, [inputs])
        wanted = run(kernel, [inputs])
        assert same(got, wanted.codes)
        assert tally.overflow == wanted.overflow
        # The accumulator's format holds every accumulator of every input, so that "cannot overflow" is true.
        for multiplier, bias in zip(box(kernel.multiplier), box(kernel.bias), strict=True):
            for code in (x.format.lowest_code, x.format.max_code, 0):
                assert kernel.accumulator.min_code <= code * multiplier + bias <= kernel.accumulator.max_code
        seen["cases"] += 1
        seen["overflow"] += wanted.overflow > 0
        seen["wide"] += kernel.bound > 1 << 62

    check()
    assert seen["overflow"] >= 0.2 * seen["cases"], seen


@given(encodings(2, 24), st.integers(-10, 4), st.integers(-10, 4), st.data())
@settings(max_examples=80)
def test_multipliers_that_are_exact_give_the_exact_result_rounded_once(x, scale_exponent, shift_exponent, data):
    """Scales of 12 bits are held exactly by 16-bit multipliers, shifts to the nearest step of the accumulator."""
    policy = Policy(data.draw(formats(2, 32)), Format(8, 4))
    # Beyond this place a bias would need more bits than the products do, and multipliers give way.
    shift_exponent = min(shift_exponent, scale_exponent + x.format.width + 16 + x.lsb - 10)
    scale, shift = data.draw(dyadics((3,), 12, scale_exponent)), data.draw(dyadics((3,), 10, shift_exponent))
    operation = ScaleOperation(scale, shift, 0)
    y = near(data.draw, top(x) + scale_exponent + 12, policy.format)
    kernel = operation.decide([x], y, policy)
    inputs = data.draw(codes(x.format, (3, 3)))
    got, tally = executed(kernel, [inputs])
    lost = 0
    for n, c in np.ndindex(3, 3):
        step = y.lsb - int(np.broadcast_to(kernel.stage.shift, 3)[c])
        multiplier = Fraction(int(kernel.multiplier[c])) * power(step - x.lsb)
        assert multiplier == Fraction(float(scale[c]))
        bias = rounded(Fraction(float(shift[c])) / power(step), "rnd_conv") * power(step)
        code, changed = quantized(multiplier * int(inputs[n, c]) * power(x.lsb) + bias, y.format, y.lsb)
        assert int(got[n, c]) == code
        lost += changed
    assert tally.overflow == lost


@given(encodings(2, 32), st.data())
def test_scales_are_held_to_fifteen_bits_or_better(x, data):
    """A power of two a channel: the multiplier's relative error is at most half a unit of 14 bits below its leading one."""
    policy = Policy(Format(8, 4), Format(8, 4))
    scale = data.draw(reals((4,), 20))
    kernel = ScaleOperation(scale, np.zeros(4), 0).decide([x], Encoding(policy.format), policy)
    shifts = np.broadcast_to(kernel.stage.shift, 4)
    for value, multiplier, shift in zip(scale, kernel.multiplier, shifts, strict=True):
        stored = Fraction(int(multiplier)) * power(Encoding(policy.format).lsb - int(shift) - x.lsb)
        assert abs(stored - Fraction(float(value))) <= abs(Fraction(float(value))) * power(-15)


def test_a_mere_clip_changes_no_bit_and_counts_nothing():
    x = Encoding(Format(6, 3), 2)
    operation = ScaleOperation(np.ones(1), np.zeros(1), None, 0.0, 5.0)
    policy = Policy(x.format, x.format)
    assert operation.encoding([x], policy) == x
    assert operation.encoding([x], Policy(Format(5, 3), x.format)) is None
    every = np.arange(-32, 32)[None]
    got, tally = executed(operation.decide([x], x, policy), [every])
    assert np.array_equal(got, np.clip(every, 0, 10))  # 5 is code 10 at a step of 1/2
    assert tally.overflow == 0


@pytest.mark.parametrize(
    ("low", "high"), [(-3.4028234663852886e38, 4.0), (0.0, 3.4028234663852886e38), (-1e300, 1e300)]
)
def test_a_clip_at_the_largest_float_clips_nothing_there(low, high):
    x = Encoding(Format(8, 4))
    operation = ScaleOperation(np.ones(1), np.zeros(1), None, low, high)
    kernel = operation.decide([x], x, Policy(x.format, x.format))
    every = np.arange(-128, 128)[None]
    got, _ = executed(kernel, [every])
    assert got[0].tolist() == [
        int(min(max(Fraction(n, 16), Fraction(low)), Fraction(high)) * 16) for n in range(-128, 128)
    ]


@given(encodings(2, 32), encodings(2, 32, reach=20), st.data())
def test_a_change_of_encoding_is_one_rounding(x, y, data):
    stage_of_change = change(x, y)
    inputs = data.draw(codes(x.format, (12,)))
    if x == y:
        assert stage_of_change is None
        return
    tally = Tally()
    got = stage_of_change.run(inputs, tally)
    wanted = [quantized(int(n) * power(x.lsb), y.format, y.lsb) for n in inputs]
    assert [int(n) for n in got] == [code for code, _ in wanted]
    assert tally.overflow == sum(lost for _, lost in wanted)


@given(
    encodings(2, 32),
    encodings(2, 32),
    st.sampled_from([((2, 3), (2, 1), 1), ((1, 2), (3, 2), 0), ((2,), (1,), 0)]),
    st.data(),
)
def test_concatenation_brings_every_operand_to_the_output(a, b, layout, data):
    first, second, axis = layout
    y = near(data.draw, max(top(a), top(b)), data.draw(formats(2, 32)))
    constant = data.draw(reals(second)) if data.draw(st.booleans()) else None
    operation = ConcatOperation(axis, (None, constant, None) if constant is not None else (None, None))
    encoded = [a, a] if constant is not None else [a, b]
    shapes = [first, first] if constant is not None else [first, second]
    kernel = operation.decide(encoded, y, Policy(y.format, Format(8, 4)))
    inputs = [data.draw(codes(e.format, (2, *shape))) for e, shape in zip(encoded, shapes, strict=True)]
    got, tally = executed(kernel, inputs)
    wanted = run(kernel, inputs)
    assert same(got, wanted.codes)
    assert tally.overflow == wanted.overflow
    # In real numbers: each element rounded once into the output.
    parts = [box(inputs[0]) * power(encoded[0].lsb)]
    if constant is not None:
        parts.append(
            np.broadcast_to(np.vectorize(lambda v: Fraction(float(v)), otypes=[object])(constant), (2, *second))
        )
    parts.append(box(inputs[1]) * power(encoded[1].lsb))
    real = np.concatenate(parts, axis=axis + 1)
    for index in np.ndindex(*real.shape):
        assert int(got[index]) == quantized(real[index], y.format, y.lsb)[0]


def test_scale_and_shift_reports_its_accumulator():
    x = Encoding(Format(8, 4))
    kernel = ScaleOperation(np.array([1.5, -2.0]), np.array([0.25, 3.0]), 0).decide(
        [x], x, Policy(x.format, Format(8, 4))
    )
    assert isinstance(kernel, ScaleAndShift)
    assert kernel.accumulator_format() is kernel.accumulator
    assert kernel.accumulator_proof() == "cannot overflow"


def test_the_bound_of_a_rescale_covers_the_product_without_its_bias():
    """A bias that cancels half of the product must not hide how large the product gets: faster arithmetic relies on the bound."""
    x = Encoding(Format(12, 12, False))
    kernel = ScaleOperation(np.array([1.0]), np.array([-2048.0])).decide([x], x, Policy(x.format, Format(8, 4)))
    assert kernel.bound >= 4095 * int(kernel.multiplier[0])


@pytest.mark.parametrize("rounding", [Rounding(mode) for mode in ROUNDINGS])
@pytest.mark.parametrize("shift", [30, 61, 62, 63, 64, 90])
@pytest.mark.parametrize("divisor", [1, 3])
def test_a_zero_at_the_step_of_a_wide_product(rounding, shift, divisor):
    """The code of 0 has to be moved as far as the product goes, though 64 bits may hold that power of two and the product they may not."""
    held = np.array([-(1 << 66), -12345, -1, 0, 1, 1 << 61, (1 << 66) + 1], dtype=object)
    output = Format(27, 27, True, rounding, Overflow.SAT)
    for multiplier, zero in product((1, 69393249), (-22421032, 4, 22421033)):
        decided = Rescale(output, shift, divisor, bound=1 << 67, multiplier=multiplier, zero=zero)
        tally = Tally()
        got = decided.run(held, tally)
        wanted, lost = stage(decided, held)
        assert got.tolist() == wanted.tolist()
        assert tally.overflow == lost
