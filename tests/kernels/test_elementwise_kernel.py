"""Elementwise functions: bit for bit the documented datapath, and the exact real result rounded once."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from oracles.codes import box, fitting_exponent, mapped, power, quantized, rounded, same
from oracles.drawing import (
    codes,
    decided,
    dyadics,
    encodings,
    executed,
    formats,
    near,
    overflows,
    policies,
    reals,
    roundings,
    seeds,
    top,
)
from oracles.kernels import aligned, run

from fxnorm.fixed.format import Format, Overflow, Rounding
from fxnorm.kernels.elementwise import FUNCTIONS, Elementwise, ElementwiseOperation
from fxnorm.kernels.encoding import Encoding
from fxnorm.kernels.kernel import Policy
from fxnorm.kernels.stage import Rescale

SHAPES = [((2, 3), (2, 3)), ((3, 1, 2), (2, 2)), ((4,), ()), ((1, 3), (2, 1)), ((), ())]
COUNTS = {"abs": 1, "threshold": 1, "hard_swish": 1, "prelu": 2, "select": 2}


def held(constant, format_, normalize, floor):
    """A constant tensor as the hardware holds it: real numbers and its step; one power-of-two scale, to nearest even."""
    stored = format_.with_modes(Rounding.RND_CONV, Overflow.SAT)
    exponent = 0
    if normalize != "none":
        exponent = fitting_exponent(float(constant.min()), float(constant.max()), stored)
        if floor is not None:
            exponent = max(exponent, floor + stored.fraction_bits)
    lsb = exponent - stored.fraction_bits
    return mapped(lambda value: quantized(Fraction(float(value)), stored, lsb)[0] * power(lsb), constant)


def meaning(operation, values):
    """The operation in real numbers, of operands in real numbers."""
    first = values[0]
    match operation.function:
        case "add":
            return sum(sign * value for sign, value in zip(operation.signs, values, strict=True)) / operation.divisor
        case "mul":
            return math.prod(values)
        case "min":
            return min(values)
        case "max":
            return max(values)
        case "abs":
            return abs(first)
        case "prelu":
            return first if first >= 0 else first * values[1]
        case "threshold":
            return first if first > Fraction(operation.parameters[0]) else Fraction(0)
        case "hard_swish":
            return first * max(Fraction(0), min(Fraction(1), first / 6 + Fraction(1, 2)))
    raise AssertionError(operation.function)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_one_rounding_of_the_exact_real_result(function):
    """Drawn formats, scales, shapes, constants and modes; the planner's decisions, the kernel, its model and real arithmetic agree."""
    seen = {"cases": 0, "overflow": 0, "constant": 0, "wide": 0}

    @given(encodings(2, 32), encodings(2, 32), st.data())
    @settings(max_examples=120)
    def check(a, b, data):
        count = COUNTS.get(function, data.draw(st.integers(1, 3)))
        shapes = data.draw(st.sampled_from(SHAPES)) if count > 1 else [data.draw(st.sampled_from([(2, 3), (), (1, 4)]))]
        shapes = [*shapes, shapes[0]][:count]
        constant = [False] + [data.draw(st.booleans()) for _ in range(count - 1)]
        if count > 1 and function != "prelu" and data.draw(st.booleans()):
            constant.reverse()
        sources = [a, b, a][:count]
        policy = data.draw(policies(data.draw(formats(2, 32))))
        operation = ElementwiseOperation(
            function,
            tuple(data.draw(reals(shape)) if fixed else None for fixed, shape in zip(constant, shapes, strict=True)),
            tuple(data.draw(st.sampled_from([1, -1])) for _ in range(count)) if function == "add" else (),
            divisor=data.draw(st.integers(1, 7)) if function == "add" else 1,
            parameters=(data.draw(st.floats(-8, 8, width=32)),) if function == "threshold" else (),
            mask=np.random.default_rng(data.draw(seeds)).random(np.broadcast_shapes(*shapes)) < 0.5
            if function == "select"
            else None,
        )
        inputs = [encoding for encoding, fixed in zip(sources, constant, strict=True) if not fixed]
        place = {"mul": sum(map(top, inputs)), "hard_swish": top(a) - 1}.get(function, max(map(top, inputs)))
        y = near(data.draw, place, policy.format)
        kernel = decided(operation, inputs, y, policy)
        assert kernel is not None
        given_codes = [
            data.draw(codes(e.format, (2, *shape)))
            for e, shape, fixed in zip(sources, shapes, constant, strict=True)
            if not fixed
        ]
        got, tally = executed(kernel, given_codes)

        model = run(kernel, given_codes)
        assert same(got, model.codes)
        assert tally.overflow == model.overflow

        floor = min(y.lsb, *(e.lsb for e in inputs), 10**6) if function in {"add", "min", "max", "select"} else None
        numbers = iter(box(c) * power(e.lsb) for c, e in zip(given_codes, inputs, strict=True))
        operands = aligned(
            *(
                held(value, policy.weight_format, policy.normalize, floor)[None] if fixed else next(numbers)
                for value, fixed in zip(operation.operands, constant, strict=True)
            )
        )
        if function == "select":
            real = mapped(
                lambda m, p, q: p if m else q, *aligned(np.asarray(operation.mask, dtype=object)[None], *operands)
            )
        else:
            real = mapped(lambda *values: meaning(operation, values), *operands)
        lost = 0
        for index in np.ndindex(*real.shape):
            code, changed = quantized(real[index], y.format, y.lsb)
            assert int(got[index]) == code, (index, real[index])
            lost += changed
        assert tally.overflow == lost
        seen["cases"] += 1
        seen["overflow"] += lost > 0
        seen["constant"] += any(constant)
        seen["wide"] += kernel.bound > 1 << 62

    check()
    assert seen["overflow"] >= 0.12 * seen["cases"], seen
    if function in {"mul", "add", "min", "max", "select"}:
        assert seen["constant"] >= 0.05 * seen["cases"], seen
    if function in {"mul", "hard_swish"}:
        assert seen["wide"] >= 3, seen


@given(st.sampled_from(FUNCTIONS), st.integers(0, 40), st.integers(0, 40), st.data())
@settings(max_examples=150)
def test_any_decided_fields_do_what_they_are_documented_to_do(function, first, second, data):
    """Kernels put together from drawn fields, beyond what the planner would decide: shifts per operand, clips, divisors, parameters."""
    count = COUNTS.get(function, 2)
    x = data.draw(formats(2, 32))
    shifts = (first, second)[:count]
    reach = 1 << (x.width + max(shifts))
    parameters = {
        "prelu": (data.draw(st.integers(0, 20)),),
        "threshold": (data.draw(st.integers(-reach, reach)),),
        "hard_swish": (data.draw(st.integers(1, 1 << 30)), data.draw(st.integers(1, 1 << 31))),
    }.get(function, ())
    # The kernel trusts this bound, so that it must hold: the largest intermediate of any of the functions.
    bound = {
        "mul": reach * reach,
        "add": 2 * reach,
        "prelu": reach * max(reach, 1 << (parameters[0] if function == "prelu" else 0)),
        "hard_swish": reach * (reach + (1 << 31)),
    }.get(function, reach)
    output = data.draw(formats(2, 32))
    low, high = sorted((data.draw(st.integers(-(2**33), 2**33)), data.draw(st.integers(-(2**33), 2**33))))
    stage = Rescale(
        output,
        data.draw(st.integers(-8, bound.bit_length())),
        divisor=data.draw(st.sampled_from([1, 1, 2, 3, 6, 7, 1000003])),
        low=data.draw(st.sampled_from([None, low])),
        high=data.draw(st.sampled_from([None, high])),
        bound=bound,
    )
    mask = np.array([[True, False, True]]) if function == "select" else None
    kernel = Elementwise(
        function, (None,) * count, shifts, (1, -1)[:count], parameters, mask, stage, bound, (1,) * count, (0,) * count
    )
    inputs = [data.draw(codes(x, (2, 1, 3))) for _ in range(count)]
    got, tally = executed(kernel, inputs)
    wanted = run(kernel, inputs)
    assert same(got, wanted.codes)
    assert tally.overflow == wanted.overflow


@given(formats(2, 12), st.data())
def test_threshold_compares_reals_exactly(x, data):
    """alpha on a code, just beside it and far outside: x > alpha is decided by the numbers themselves."""
    encoding = Encoding(x, data.draw(st.integers(-4, 4)))
    code = data.draw(st.integers(x.lowest_code, x.max_code))
    on = code * 2.0**encoding.lsb
    alpha = data.draw(st.sampled_from([on, math.nextafter(on, math.inf), math.nextafter(on, -math.inf), 1e30, -1e30]))
    kernel = ElementwiseOperation("threshold", (None,), parameters=(alpha,)).decide([encoding], encoding, Policy(x, x))
    every = np.arange(x.lowest_code, x.max_code + 1)[None]
    got, tally = executed(kernel, [every])
    assert got[0].tolist() == [
        n if Fraction(n) * power(encoding.lsb) > Fraction(alpha) else 0 for n in every[0].tolist()
    ]
    assert tally.overflow == 0


@pytest.mark.parametrize("function", ["min", "max", "select"])
def test_choosing_among_values_of_one_encoding_changes_no_bit(function):
    encoding = Encoding(Format(6, 2), 3)
    mask = np.array([[True, False] * 32] * 64) if function == "select" else None
    operation = ElementwiseOperation(function, (None, None), mask=mask)
    policy = Policy(encoding.format, encoding.format)
    assert operation.encoding([encoding, encoding], policy) == encoding
    assert operation.encoding([encoding, Encoding(Format(6, 2), 2)], policy) is None
    every = np.arange(-32, 32)
    a, b = np.broadcast_arrays(every[None, :, None], every[None, None, :])
    got, tally = executed(operation.decide([encoding, encoding], encoding, policy), [a, b])
    wanted = {"min": np.minimum(a, b), "max": np.maximum(a, b)}.get(function)
    assert np.array_equal(got, np.where(mask, a, b) if wanted is None else wanted)
    assert tally.overflow == 0


@given(encodings(2, 16), st.floats(0, 4), st.floats(0, 4), overflows, roundings, st.data())
def test_a_clip_is_taken_before_overflow_is_counted(x, below, above, overflow, rounding, data):
    """What an activation cuts off has not overflowed: the sum is clipped in codes first."""
    format_ = Format(5, 2, True, rounding, overflow)
    low, high = -below * 2.0 ** top(x), above * 2.0 ** top(x)
    operation = ElementwiseOperation("add", (None, None), (1, 1), low=low, high=high)
    y = Encoding(format_, top(x) - 1)
    kernel = operation.decide([x, x], y, Policy(format_, format_))
    inputs = [data.draw(codes(x.format, (2, 6))) for _ in range(2)]
    got, tally = executed(kernel, inputs)
    ends = [rounded(Fraction(bound) / power(y.lsb), rounding) for bound in (low, high)]
    lost = 0
    for index in np.ndindex(*got.shape):
        real = (int(inputs[0][index]) + int(inputs[1][index])) * power(x.lsb)
        clipped = min(max(rounded(real / power(y.lsb), rounding), ends[0]), ends[1])
        code, changed = quantized(Fraction(clipped), format_.with_modes(Rounding.TRN), 0)
        assert int(got[index]) == code
        lost += changed
    assert tally.overflow == lost


@given(encodings(2, 12), dyadics((3,), 6, -3), st.data())
def test_prelu_slopes_of_any_size(x, slopes, data):
    """Slopes above and below 1, with steps above and below 1: both branches meet at one step."""
    assume(slopes.any())
    policy = Policy(Format(12, 6), Format(8, data.draw(st.sampled_from([-4, 2, 8, 14]))))
    y = Encoding(policy.format, top(x))
    kernel = ElementwiseOperation("prelu", (None, slopes)).decide([x], y, policy)
    slope = held(slopes, policy.weight_format, "pow2", None)
    inputs = data.draw(codes(x.format, (4, 3)))
    got, _ = executed(kernel, [inputs])
    for n, i in np.ndindex(4, 3):
        real = int(inputs[n, i]) * power(x.lsb)
        assert int(got[n, i]) == quantized(real if real >= 0 else real * slope[i], y.format, y.lsb)[0]
