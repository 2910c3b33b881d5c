"""Kernels of every geometry and every mode: each fast form gives the codes and counts of the kernel's own integers."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles.drawing import codes, decided, encodings, formats, near, policies, reals, top
from oracles.fast_forms import agrees

from fxnorm.fixed.format import Format, Overflow, Rounding
from fxnorm.kernels.elementwise import ElementwiseOperation
from fxnorm.kernels.encoding import Encoding
from fxnorm.kernels.kernel import Policy
from fxnorm.kernels.linear import Linear, LinearOperation, Window
from fxnorm.kernels.movement import Concat, ConcatOperation, Movement, MoveOperation, PadValue, Slice, Transpose
from fxnorm.kernels.pool import PoolOperation, ReduceOperation
from fxnorm.kernels.rescale import ScaleOperation
from fxnorm.kernels.table import FunctionOperation
from fxnorm.runtime.byte_products import exact_here

WIDTHS = st.sampled_from([4, 8, 8, 9, 12, 16, 16, 20])


@st.composite
def affine(draw, encoding):
    """Now and then a step that is no power of two, and a code of zero somewhere."""
    if draw(st.integers(0, 3)):
        return encoding
    middle = (encoding.format.min_code + encoding.format.max_code) // 2
    return Encoding(encoding.format, encoding.exponent, draw(st.floats(1.0, 1.99)), middle + draw(st.integers(-3, 3)))


@st.composite
def operands(draw, reach=3):
    """Encoding of an input, of few bits mostly."""
    width = draw(WIDTHS)
    return draw(affine(draw(encodings(max(2, width - 1), width, reach=reach))))


@st.composite
def outputs(draw, place):
    """Encoding of an output whose top lies near a place."""
    return draw(affine(near(draw, place, draw(formats(3, draw(WIDTHS))))))


@st.composite
def linear_policies(draw, normalize):
    """Policies of linear layers."""
    return draw(policies(draw(formats(2, 16)), draw(st.sampled_from([8, 8, 16, 20])), normalize))


@st.composite
def planes(draw):
    """Window, spatial shape and groups' kind of a convolution of one to three dimensions."""
    rank = draw(st.sampled_from([1, 2, 2, 2, 2, 3]))
    triples = st.tuples(*[st.integers(1, 3)] * rank)
    kernel, strides, dilations = draw(triples), draw(triples), draw(st.tuples(*[st.integers(1, 2)] * rank))
    pads = [draw(st.tuples(*[st.integers(0, 2)] * rank)) for _ in range(2)]
    extents = [d * (k - 1) + 1 for k, d in zip(kernel, dilations, strict=True)]
    spatial = tuple(max(e - a - b, 1) + draw(st.integers(0, 3)) for e, a, b in zip(extents, *pads, strict=True))
    return Window(kernel, strides, dilations, *pads), spatial


def run_all(draw_case, wanted, examples=90):
    """Draw cases, compare all forms, and see that the forms and the overflows that are wanted did come up."""
    seen = Counter()

    @given(st.data())
    @settings(max_examples=examples)
    def drawn(data):
        case = draw_case(data.draw)
        if case is None:
            return
        kernel, inputs, given_codes, output = case
        found, usage = agrees(kernel, given_codes, [x.format for x in inputs], output.format)
        seen.update(found)
        seen["cases"] += 1
        seen["overflowing"] += usage.overflow > 0
        if isinstance(kernel, Linear) and np.ndim(kernel.stage.multiplier):
            seen.update(f"{form} with multipliers" for form in found)
        for format_ in (*(x.format for x in inputs), output.format):
            seen[f"{'wide' if format_.width > 8 else 'narrow'} format"] += 1

    drawn()
    short = {name: seen[name] for name, least in wanted.items() if seen[name] < least}
    assert not short, (short, seen)


@pytest.mark.skipif(not exact_here(), reason="this processor has no exact dot products of bytes")
@pytest.mark.parametrize("normalize", [None, "affine"])
def test_convolutions(normalize):
    def case(draw):
        x = draw(operands())
        window, spatial = draw(planes())
        groups = draw(st.sampled_from([1, 1, 1, 2, 3]))
        depthwise = groups > 1 and draw(st.booleans())
        per_group = 1 if depthwise else draw(st.sampled_from([1, 2, 5, 16]))
        channels = groups * (1 if depthwise else draw(st.integers(1, 3)))
        if any((*window.pads_begin, *window.pads_end)) and not x.format.lowest_code <= x.zero <= x.format.max_code:
            return None
        weights = draw(reals((channels, per_group, *window.kernel)))
        operation = LinearOperation(weights, draw(reals((channels,), 6)), window, groups, *draw(clips))
        policy = draw(linear_policies(normalize))
        y = draw(outputs(top(x) + 2))
        kernel = decided(operation, [x], y, policy)
        shape = (2, draw(st.integers(1, 2)), groups * per_group, *spatial)
        return None if kernel is None else (kernel, [x], [draw(codes(x.format, shape))], y)

    least = {"bytes": 40, "floats": 25, "overflowing": 30, "wide format": 30, "narrow format": 40}
    if normalize == "affine":
        least |= {"bytes": 25, "bytes with multipliers": 15, "floats with multipliers": 15}
    run_all(case, least, 130)


clips = st.sampled_from([(None, None), (None, None), (0.0, None), (0.0, 6.0), (-0.5, 0.75), (-3e38, 3e38)])


@pytest.mark.skipif(not exact_here(), reason="this processor has no exact dot products of bytes")
@pytest.mark.parametrize("normalize", [None, "affine"])
def test_dense_layers(normalize):
    def case(draw):
        x = draw(operands())
        taps, channels = draw(st.sampled_from([1, 3, 16, 70])), draw(st.sampled_from([1, 2, 17]))
        operation = LinearOperation(draw(reals((channels, taps))), draw(reals((channels,), 6)), None, 1, *draw(clips))
        policy = draw(linear_policies(normalize))
        y = draw(outputs(top(x) + 2))
        kernel = decided(operation, [x], y, policy)
        shape = (3, *draw(st.sampled_from([(1,), (2, 3)])), taps)
        return None if kernel is None else (kernel, [x], [draw(codes(x.format, shape))], y)

    least = {"bytes": 35, "floats": 20, "overflowing": 25, "wide format": 25, "narrow format": 25}
    if normalize == "affine":
        least |= {"bytes": 20, "bytes with multipliers": 12, "floats with multipliers": 8}
    run_all(case, least)


@pytest.mark.parametrize("function", ["add", "mul"])
def test_sums_and_products(function):
    shapes = [
        ((2, 3, 4), (2, 3, 4)),
        ((1, 5, 2, 3), (5, 1, 1)),
        ((3, 1, 2), (2, 2)),
        ((4,), ()),
        ((1, 8, 3, 3), (1, 8, 3, 3)),
    ]

    def case(draw):
        first, second = draw(st.sampled_from(shapes))
        a, b = draw(operands()), draw(operands())
        constant = draw(st.sampled_from([None, None, "constant"]))
        signs = draw(st.sampled_from([(1, 1), (1, -1), (-1, 1)])) if function == "add" else ()
        given_values = (None, None if constant is None else draw(reals(second)))
        operation = ElementwiseOperation(function, given_values, signs, low=draw(clips)[0])
        inputs = [a] if constant else [a, b]
        y = draw(outputs(max(top(a), top(b)) if function == "add" else top(a) + (0 if constant else top(b))))
        kernel = decided(operation, inputs, y, draw(policies(draw(formats(2, 16)), most=16)))
        if kernel is None:
            return None
        shape_codes = [draw(codes(x.format, (2, *shape))) for x, shape in zip(inputs, (first, second), strict=False)]
        return kernel, inputs, shape_codes, y

    run_all(case, {"bytes": 30, "floats": 10, "overflowing": 10})


def test_scales_and_shifts():
    def case(draw):
        x = draw(operands())
        axis = draw(st.sampled_from([None, 0, 1, 1, 3]))
        shape = (1, draw(st.integers(1, 40)), 2, 3)
        length = 1 if axis is None else shape[axis]
        operation = ScaleOperation(draw(reals((length,))), draw(reals((length,), 6)), axis, *draw(clips))
        y = draw(outputs(top(x) + 1))
        kernel = decided(operation, [x], y, draw(policies(draw(formats(2, 16)), most=20)))
        return None if kernel is None else (kernel, [x], [draw(codes(x.format, (2, *shape)))], y)

    run_all(case, {"bytes": 35, "floats": 20, "overflowing": 20}, 120)


@pytest.mark.parametrize("function", ["max", "mean"])
def test_pools(function):
    def case(draw):
        x = draw(operands())
        window, spatial = draw(planes())
        pads = any((*window.pads_begin, *window.pads_end))
        if function == "mean" and pads and not x.format.lowest_code <= x.zero <= x.format.max_code:
            return None
        counts = np.array([math.prod(window.kernel)])
        y = x if draw(st.integers(0, 2)) == 0 else draw(outputs(top(x)))
        kernel = decided(PoolOperation(function, window, counts), [x], y, draw(policies(y.format)))
        if kernel is None:
            return None
        shape = (2, draw(st.integers(1, 2)), draw(st.sampled_from([1, 3, 16])), *spatial)
        return kernel, [x], [draw(codes(x.format, shape))], y

    run_all(case, {"bytes": 40, "floats": 50, "overflowing": 8}, 100)


@pytest.mark.parametrize("function", ["sum", "mean", "max", "min", "sum_square", "sum_abs"])
def test_reductions(function):
    def case(draw):
        x = draw(operands())
        shape = (1, 5, 2, 4)
        axes = draw(st.sampled_from([(2, 3), (1,), (3,), (0, 1, 2, 3)]))
        count = math.prod(shape[axis] for axis in axes)
        operation = ReduceOperation(function, axes, draw(st.booleans()), count, *draw(clips)[:1])
        y = draw(outputs(top(x) + 1))
        kernel = decided(operation, [x], y, draw(policies(y.format)))
        return None if kernel is None else (kernel, [x], [draw(codes(x.format, (2, *shape)))], y)

    many = function not in ("sum_square", "sum_abs")
    run_all(case, {"cases": 40, **({"bytes": 20, "floats": 20} if many else {})}, 60)


def test_tables():
    def case(draw):
        width = draw(st.sampled_from([4, 8, 9, 12]))
        x = draw(encodings(width, width, reach=1))
        y = Encoding(draw(formats(3, draw(WIDTHS))), draw(st.integers(-8, 0)))
        kernel = decided(FunctionOperation("sigmoid"), [x], y, Policy(y.format, Format(8, 4)))
        return None if kernel is None else (kernel, [x], [draw(codes(x.format, (2, 3, 4, 5)))], y)

    run_all(case, {"bytes": 15, "floats": 20, "overflowing": 10}, 40)


def test_movements_and_concatenations():
    x = Encoding(Format(8, 5, True, Rounding.RND, Overflow.SAT))
    rng = np.random.default_rng(0)
    policy = Policy(x.format, x.format)
    given_codes = rng.integers(-128, 128, (2, 1, 3, 4, 5))
    moves = MoveOperation(
        (Transpose((0, 2, 3, 1)), Slice(1, 3, -1, 3), PadValue(((0, 0), (1, 0), (0, 2), (0, 0)), 0.0))
    )
    kernel = moves.decide([x], x, policy)
    assert isinstance(kernel, Movement)
    assert {"bytes", "floats"} <= agrees(kernel, [given_codes], [x.format], x.format)[0]
    kernel = ConcatOperation(1, (None, np.ones((1, 2, 4, 5)), None)).decide([x, x], x, policy)
    assert isinstance(kernel, Concat)
    assert {"bytes", "floats"} <= agrees(kernel, [given_codes, given_codes[::-1]], [x.format] * 2, x.format)[0]
