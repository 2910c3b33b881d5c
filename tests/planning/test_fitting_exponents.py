"""The smallest power of two that brings a range into a format: one less overflows, this one does not."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles.codes import OVERFLOWS, ROUNDINGS, power, quantized
from oracles.codes import fitting_exponent as walked
from oracles.drawing import formats, seeds

from fxnorm.fixed.format import Format, Overflow, Rounding
from fxnorm.kernels.encoding import encode_channels, encode_constant, fitting_exponent, fitting_exponents


def overflows(low, high, format_, exponent):
    """Whether an end of an interval, rounded as the format does, leaves it. What lies below an unsigned format is not its fault."""
    ends = [Fraction(low) if format_.signed else Fraction(0), Fraction(high)]
    return any(quantized(end, format_, exponent - format_.fraction_bits)[1] for end in ends)


@pytest.mark.parametrize("rounding", ROUNDINGS)
@pytest.mark.parametrize("overflow", OVERFLOWS)
def test_minimal_for_every_mode_on_and_beside_every_code(rounding, overflow):
    """Ends on half steps of a small format and a hair beside them, over two octaves: where a mode changes the answer."""
    for format_ in (
        Format(4, 2, True, Rounding(rounding), Overflow(overflow)),
        Format(3, 5, False, Rounding(rounding), Overflow(overflow)),
    ):
        points = [n / 2 * 2.0**-format_.fraction_bits * scale for n in range(-20, 21) for scale in (1.0, 0.125)]
        points += [np.nextafter(p, s) for p in points for s in (-np.inf, np.inf)]
        points = [p for p in points if p]
        low = np.array([min(p, 0.0) for p in points])
        high = np.array([max(p, 0.0) for p in points])
        for lo, hi, e in zip(low, high, fitting_exponents(low, high, format_), strict=True):
            if not format_.signed and hi == 0.0:
                assert e == 0
                continue
            assert not overflows(lo, hi, format_, int(e)), (lo, hi, e)
            assert overflows(lo, hi, format_, int(e) - 1), (lo, hi, e)


@given(
    formats(1, 32), st.floats(allow_nan=False, allow_infinity=False), st.floats(allow_nan=False, allow_infinity=False)
)
@settings(max_examples=300)
def test_minimal_for_any_interval(format_, a, b):
    low, high = min(a, b, 0.0), max(a, b, 0.0)
    e = fitting_exponent(low, high, format_)
    if (low == high) or (not format_.signed and high == 0.0):
        assert e == 0
        return
    assert not overflows(low, high, format_, e)
    assert overflows(low, high, format_, e - 1)


@given(formats(2, 16), seeds)
def test_many_intervals_are_so_many_single_ones(format_, seed):
    rng = np.random.default_rng(seed)
    ends = np.sort(rng.normal(0, 1, (2, 3, 4)) * np.exp2(rng.integers(-30, 30, (1, 3, 4))), axis=0)
    low, high = np.minimum(ends[0], 0), np.maximum(ends[1], 0)
    got = fitting_exponents(low, high, format_)
    assert got.shape == (3, 4)
    for index in np.ndindex(3, 4):
        assert got[index] == walked(float(low[index]), float(high[index]), format_)


@given(formats(2, 16), seeds, st.booleans())
def test_constants_are_rounded_to_nearest_even_under_the_smallest_scale(format_, seed, floored):
    """Whatever modes the format names: constants are rounded to even, and nothing overflows."""
    rng = np.random.default_rng(seed)
    values = rng.normal(0, 1, (3, 5)) * 2.0 ** rng.integers(-10, 10)
    values = np.abs(values) if not format_.signed else values
    floor = int(rng.integers(-12, 4)) if floored else None
    codes, encoding = encode_constant(values, format_, "pow2", floor)
    stored = format_.with_modes(Rounding.RND_CONV, Overflow.SAT)
    assert encoding.format == stored
    least = walked(float(values.min()), float(values.max()), stored)
    assert encoding.exponent == (least if floor is None else max(least, floor + format_.fraction_bits))
    for index in np.ndindex(3, 5):
        code, lost = quantized(Fraction(values[index]), stored, encoding.lsb)
        assert int(codes[index]) == code
        assert not lost
    plain, encoding = encode_constant(values, format_, "none", floor)
    assert encoding.exponent == 0
    assert [int(n) for n in plain.ravel()] == [quantized(Fraction(v), stored)[0] for v in values.ravel()]


@given(formats(2, 16), seeds, st.sampled_from([np.float32, np.float64]))
def test_channels_have_a_scale_each(format_, seed, dtype):
    """Channels of zeros take the largest exponent of the others; a floor holds for each channel by itself."""
    rng = np.random.default_rng(seed)
    values = (rng.normal(0, 1, (4, 2, 3)) * np.exp2(rng.integers(-12, 12, (4, 1, 1)))).astype(dtype)
    values[rng.integers(4)] = 0.0
    floor = rng.integers(-16, 8, 4)
    codes, exponents = encode_channels(values, format_, "pow2", floor)
    stored = format_.with_modes(Rounding.RND_CONV, Overflow.SAT)
    own = [walked(float(row.min()), float(row.max()), stored) for row in values]
    some = [e for e, row in zip(own, values, strict=True) if row.any()]
    wanted = [
        max(e if row.any() else max(some, default=0), int(f)) for e, row, f in zip(own, values, floor, strict=True)
    ]
    assert exponents.tolist() == wanted
    for index in np.ndindex(*values.shape):
        assert (
            int(codes[index])
            == quantized(Fraction(float(values[index])), stored, wanted[index[0]] - stored.fraction_bits)[0]
        )
    assert codes.dtype.itemsize * 8 >= format_.width


def test_the_range_that_calibration_saw_never_overflows_and_uses_every_bit():
    """At the level of a plan: the largest code of calibration data needs every bit of the format, and none overflows."""
    from oracles import networks

    import fxnorm as fx

    proto = networks.dense()
    graph = fx.load(proto)
    given_samples = networks.samples(64, proto=proto)
    for text in ("q5.3", "q2.9:trn,sat_sym", "q1.6:rnd_inf,wrap"):
        plan = fx.plan(graph, fx.calibrate(graph, given_samples), text)
        usage = fx.simulate(plan, given_samples).reports["x"].usage
        assert usage.overflow == 0
        assert usage.bits_used(True) == plan.values["x"].encoding.format.width
        assert (
            plan.values["x"].encoding.lsb
            == walked(float(given_samples.min()), float(given_samples.max()), plan.values["x"].encoding.format)
            - plan.values["x"].encoding.format.fraction_bits
        )


def test_power_is_exact():
    assert power(-3) * 8 == power(0) == 1
