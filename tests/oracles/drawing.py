"""What tests draw: formats, encodings, codes that often sit at the ends, and kernels decided from them."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from fxnorm.errors import PlanError
from fxnorm.fixed.format import Format, Overflow, Rounding
from fxnorm.kernels.encoding import Encoding
from fxnorm.kernels.kernel import Policy
from fxnorm.kernels.stage import Tally
from oracles.codes import OVERFLOWS, ROUNDINGS

roundings = st.sampled_from([Rounding(mode) for mode in ROUNDINGS])
overflows = st.sampled_from([Overflow(mode) for mode in OVERFLOWS])
seeds = st.integers(0, 2**32 - 1)


@st.composite
def formats(draw, least=2, most=32, signed=None):
    """A format: often narrow, sometimes of the widest kind, its binary point inside or beyond its bits."""
    width = draw(st.one_of(st.integers(least, max(least, min(8, most))), st.integers(least, most), st.just(most)))
    fraction = draw(st.one_of(st.integers(0, width), st.integers(-3, width + 4)))
    sign = draw(st.booleans()) if signed is None else signed
    return Format(width, width - fraction, sign, draw(roundings), draw(overflows))


@st.composite
def encodings(draw, least=2, most=32, signed=None, reach=6):
    """A format with a power-of-two scale."""
    return Encoding(draw(formats(least, most, signed)), draw(st.integers(-reach, reach)))


def near(draw, lsb, format_, reach=3):
    """An output encoding of a format whose top lies near that of numbers with some leading place."""
    top = lsb + draw(st.integers(-reach, reach))
    return Encoding(format_, top - format_.integer_bits)


def top(encoding):
    """Place of an encoding's leading bit: its numbers lie below 2**top."""
    return encoding.exponent + encoding.format.integer_bits


@st.composite
def codes(draw, format_, shape):
    """Codes of a format: everything it holds, ends and neighbours of zero more often."""
    rng = np.random.default_rng(draw(seeds))
    lowest, highest = format_.lowest_code, format_.max_code
    free = rng.integers(lowest, highest, shape, np.int64, endpoint=True)
    small = rng.integers(max(lowest, -3), min(highest, 3), shape, np.int64, endpoint=True)
    ends = np.where(rng.random(shape) < 0.5, lowest, highest)
    mix = draw(st.sampled_from([(0.2, 0.2), (0.0, 0.6), (0.7, 0.1), (0.0, 0.0)]))
    choice = rng.random(shape)
    return np.where(choice < mix[0], small, np.where(choice < sum(mix), ends, free)).astype(np.int64)


@st.composite
def reals(draw, shape, spread=4):
    """Real constants over some binary orders of magnitude, of both signs, zeros among them."""
    rng = np.random.default_rng(draw(seeds))
    magnitude = np.exp2(rng.uniform(-spread, spread, shape))
    values = np.where(rng.random(shape) < 0.5, -1.0, 1.0) * magnitude
    values = np.where(rng.random(shape) < 0.1, 0.0, values)
    return values.astype(np.float32).astype(np.float64)


@st.composite
def dyadics(draw, shape, bits, exponent):
    """Real constants k · 2**exponent with integers k of at most some bits."""
    rng = np.random.default_rng(draw(seeds))
    return np.ldexp(rng.integers(1 - 2**bits, 2**bits, shape).astype(np.float64), exponent)


@st.composite
def policies(draw, format_, most=32, normalize=None):
    """A policy without explicit accumulators."""
    weight = draw(formats(2, most))
    return Policy(format_, weight, normalize=normalize or draw(st.sampled_from(["none", "pow2"])))


def decided(operation, inputs, output, policy):
    """The kernel of an operation, or None where the planner refuses the widths by name."""
    try:
        return operation.decide(inputs, output, policy)
    except PlanError:
        return None


def executed(kernel, inputs):
    """Codes and tally of a kernel's run; the inputs must not have changed."""
    tally = Tally()
    before = [codes.copy() for codes in inputs]
    result = kernel.run(inputs, tally)
    assert all(np.array_equal(a, b) for a, b in zip(before, inputs, strict=True)), "a kernel changed its input"
    assert result.dtype == np.int64
    return result, tally
