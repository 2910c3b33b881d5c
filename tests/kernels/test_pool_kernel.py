"""Pools and reductions: documented datapath, and the exact mean, sum or extreme rounded once."""

from __future__ import annotations

from fractions import Fraction
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles.codes import OVERFLOWS, ROUNDINGS, power, quantized, rounded, same
from oracles.drawing import codes, encodings, executed, formats, near, top
from oracles.kernels import run

from fxnorm.fixed.format import Format, Overflow, Rounding
from fxnorm.kernels.encoding import Encoding, fitting_exponent
from fxnorm.kernels.kernel import Policy
from fxnorm.kernels.linear import Window
from fxnorm.kernels.pool import PoolOperation, ReduceOperation


@st.composite
def windows(draw):
    """A window and the shape [c, *spatial] that it goes over."""
    rank = draw(st.integers(1, 3))
    kernel = tuple(draw(st.integers(1, 3)) for _ in range(rank))
    strides = tuple(draw(st.integers(1, 3)) for _ in range(rank))
    dilations = tuple(draw(st.integers(1, 2)) for _ in range(rank))
    begins = tuple(draw(st.integers(0, 2)) for _ in range(rank))
    ends = tuple(draw(st.integers(0, 3)) for _ in range(rank))
    extents = [d * (k - 1) + 1 for k, d in zip(kernel, dilations, strict=True)]
    spatial = tuple(max(e - a - b, 1) + draw(st.integers(0, 3)) for e, a, b in zip(extents, begins, ends, strict=True))
    return Window(kernel, strides, dilations, begins, ends), (2, *spatial)


def places(window, spatial):
    """Output position → the input positions in its window that are data."""
    axes = []
    for n, k, s, d, a, b in zip(
        spatial, window.kernel, window.strides, window.dilations, window.pads_begin, window.pads_end, strict=True
    ):
        count = (n + a + b - d * (k - 1) - 1) // s + 1
        axes.append([[p for p in (o * s + t * d - a for t in range(k)) if 0 <= p < n] for o in range(count)])
    for position in product(*(range(len(axis)) for axis in axes)):
        yield position, list(product(*(axis[o] for axis, o in zip(axes, position, strict=True))))


@pytest.mark.parametrize("function", ["max", "mean"])
def test_pools_of_every_geometry(function):
    seen = {"cases": 0, "overflow": 0, "counts": 0, "padding alone": 0}

    @given(encodings(2, 32), windows(), st.data())
    @settings(max_examples=120)
    def check(x, geometry, data):
        window, shape = geometry
        inside = dict(places(window, shape[1:]))
        output = tuple(max(position[axis] for position in inside) + 1 for axis in range(len(shape) - 1))
        exclude = data.draw(st.booleans())
        counts = np.ones(1, np.int64)
        if function == "mean":
            full = int(np.prod(window.kernel))
            counts = np.array(
                [max(len(places_), 1) if exclude else full for places_ in inside.values()], np.int64
            ).reshape(output)
            counts = counts if exclude else counts.reshape(-1)[:1]
        y = near(data.draw, top(x), data.draw(formats(2, 32)), 2)
        kernel = PoolOperation(function, window, counts).decide([x], y, Policy(y.format, Format(8, 4)))
        inputs = data.draw(codes(x.format, (2, 1, *shape)))
        got, tally = executed(kernel, [inputs])
        wanted = run(kernel, [inputs])
        assert same(got, wanted.codes)
        assert tally.overflow == wanted.overflow
        lost = 0
        for sample, channel, (position, data_places) in product(range(2), range(2), inside.items()):
            values = [int(inputs[(sample, 0, channel, *place)]) * power(x.lsb) for place in data_places]
            if function == "mean":
                real = sum(values, Fraction(0)) / int(counts[position] if exclude else counts[0])
            else:
                real = max(values) if values else x.format.lowest_code * power(x.lsb)
                seen["padding alone"] += not values
            code, changed = quantized(real, y.format, y.lsb)
            assert int(got[(sample, 0, channel, *position)]) == code
            lost += changed
        assert tally.overflow == lost
        seen["cases"] += 1
        seen["overflow"] += lost > 0
        seen["counts"] += function == "mean" and exclude

    check()
    assert seen["overflow"] >= 0.15 * seen["cases"], seen
    assert seen["counts"] >= 20 or function == "max", seen
    assert seen["padding alone"] or function == "mean", seen


@pytest.mark.parametrize(("rounding", "overflow"), list(product(ROUNDINGS, OVERFLOWS)))
def test_the_mean_of_every_window_of_two_codes(rounding, overflow):
    """Exhaustive: all pairs and triples of 3-bit codes, the quotient rounded once in every mode."""
    x = Encoding(Format(3, 3))
    y = Encoding(Format(3, 2, True, Rounding(rounding), Overflow(overflow)))
    for count in (2, 3):
        rows = np.array(list(product(range(-4, 4), repeat=count)))
        window = Window((count,), (1,), (1,), (0,), (0,))
        kernel = PoolOperation("mean", window, np.array([count])).decide([x], y, Policy(y.format, x.format))
        got, tally = executed(kernel, [rows[:, None, None]])
        wanted = [quantized(Fraction(int(row.sum()), count), y.format) for row in rows]
        assert got[:, 0, 0, 0].tolist() == [code for code, _ in wanted]
        assert tally.overflow == sum(lost for _, lost in wanted)


MEANINGS = {
    "sum": sum,
    "mean": lambda values: sum(values) / len(values),
    "max": max,
    "min": min,
    "sum_square": lambda values: sum(value * value for value in values),
    "sum_abs": lambda values: sum(abs(value) for value in values),
}


@pytest.mark.parametrize("function", list(MEANINGS))
def test_reductions_over_any_axes(function):
    seen = {"cases": 0, "overflow": 0}

    @given(encodings(2, 32), st.sampled_from([(3,), (2, 3), (2, 1, 4), (2, 2, 3)]), st.booleans(), st.data())
    @settings(max_examples=80)
    def check(x, shape, keep, data):
        axes = tuple(sorted(data.draw(st.sets(st.integers(0, len(shape) - 1), min_size=1))))
        count = int(np.prod([shape[axis] for axis in axes]))
        place = 2 * top(x) if function == "sum_square" else top(x)
        y = near(data.draw, place, data.draw(formats(2, 32)), 2)
        clip = data.draw(st.sampled_from([(None, None), (0.0, None), (-0.5, 2.0)]))
        kernel = ReduceOperation(function, axes, keep, count, *clip).decide([x], y, Policy(y.format, Format(8, 4)))
        inputs = data.draw(codes(x.format, (2, *shape)))
        got, tally = executed(kernel, [inputs])
        wanted = run(kernel, [inputs])
        assert same(got, wanted.codes)
        assert tally.overflow == wanted.overflow
        seen["cases"] += 1
        seen["overflow"] += wanted.overflow > 0
        if clip != (None, None):
            return
        moved = np.moveaxis(inputs, [axis + 1 for axis in axes], range(len(shape) - len(axes) + 1, len(shape) + 1))
        for flat, row in zip(got.reshape(-1), moved.reshape(-1, count), strict=True):
            real = MEANINGS[function]([int(n) * power(x.lsb) for n in row])
            assert int(flat) == quantized(real, y.format, y.lsb)[0]

    check()
    assert seen["overflow"] >= 0.1 * seen["cases"], seen


def test_sums_of_squares_of_wide_words_need_more_than_64_bits():
    x = Encoding(Format(32, 1))
    y = Encoding(Format(32, 8))
    kernel = ReduceOperation("sum_square", (0,), False, 40).decide([x], y, Policy(y.format, x.format))
    got, _ = executed(kernel, [np.full((1, 40), -(1 << 31))])
    assert kernel.bound > 1 << 63
    assert got.tolist() == [40 << 24]


def test_a_maximum_keeps_its_encoding():
    x = Encoding(Format(8, 4), 3)
    window = Window((2,), (2,), (1,), (0,), (0,))
    for operation in (
        PoolOperation("max", window, np.ones(1, np.int64)),
        ReduceOperation("max", (0,), True, 2),
        ReduceOperation("min", (0,), True, 2),
    ):
        assert operation.encoding([x], Policy(x.format, x.format)) == x
        assert operation.encoding([x], Policy(Format(6, 4), x.format)) is None
    for operation in (PoolOperation("mean", window, np.ones(1, np.int64)), ReduceOperation("mean", (0,), True, 2)):
        assert operation.encoding([x], Policy(x.format, x.format)) is None


@pytest.mark.parametrize("function", list(MEANINGS))
@pytest.mark.parametrize("width", [8, 16, 32])
def test_reductions_of_thirty_thousand_values(width, function):
    """Exact sums, one rounding, at the limits and in between: never a carry lost."""
    count = 30_000
    x = Encoding(Format(width, 5))
    rng = np.random.default_rng(width)
    low, high = x.format.min_code, x.format.max_code
    inputs = np.stack([np.full(count, low), np.full(count, high), rng.integers(low, high, count, endpoint=True)])
    exact = [MEANINGS[function]([Fraction(int(code)) * Fraction(2) ** x.lsb for code in row]) for row in inputs]
    y = Encoding(Format(32, 6), fitting_exponent(float(min(exact)), float(max(exact)), Format(32, 6)))
    got, tally = executed(
        ReduceOperation(function, (0,), False, count).decide([x], y, Policy(y.format, x.format)), [inputs]
    )
    wanted = [rounded(value / Fraction(2) ** y.lsb, y.format.rounding) for value in exact]
    assert got.tolist() == wanted
    assert tally.overflow == 0
