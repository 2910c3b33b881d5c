"""Division through a reciprocal: bit for bit its datapath, and at most 1 LSB from the correctly rounded quotient."""

from __future__ import annotations

from fractions import Fraction
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles.codes import (
    OVERFLOWS,
    ROUNDINGS,
    box,
    each,
    fitted,
    fitting_exponent,
    limits,
    power,
    quantized,
    rounded,
    same,
)
from oracles.drawing import codes, encodings, executed, formats, near, policies, reals, top
from oracles.kernels import aligned, run

from fxnorm.errors import PlanError
from fxnorm.fixed.format import Format, Overflow, Rounding
from fxnorm.kernels.divide import DivideOperation
from fxnorm.kernels.encoding import Encoding
from fxnorm.kernels.kernel import Policy


def check_quotients(kernel, numerators, denominators, y, got):
    """Every result is the correctly rounded quotient give or take one, then overflowed; returns how many missed it."""
    missed = 0
    for index in each(got.shape):
        a, b = numerators[index], denominators[index]
        if b == 0:
            low, high = limits(y.format)
            end = 0 if a == 0 else high if a > 0 else low
            if y.format.overflow in ("sat", "sat_sym"):
                assert int(got[index]) == end, (a, b)
            elif y.format.overflow == "sat_zero":
                assert int(got[index]) == 0
            continue
        exact = rounded(a / b / power(y.lsb), y.format.rounding)
        if y.format.overflow == "wrap" and fitted(exact, y.format)[1]:
            continue  # the low bits of a number that is out of range: only the datapath says which
        near_codes = {fitted(exact + d, y.format)[0] for d in (-1, 0, 1)}
        assert int(got[index]) in near_codes, (a, b, exact)
        missed += int(got[index]) != fitted(exact, y.format)[0]
    return missed


def test_quotients_of_drawn_formats():
    seen = {"elements": 0, "missed": 0, "cases": 0, "overflow": 0, "zero": 0, "constant": 0}

    @given(
        encodings(2, 32),
        encodings(2, 32),
        st.sampled_from([((2, 3), (2, 3)), ((3, 1), (2,)), ((), (4,)), ((2, 2), ())]),
        st.data(),
    )
    @settings(max_examples=200)
    def check(a, b, shapes, data):
        policy = data.draw(policies(data.draw(formats(2, 32))))
        constant = data.draw(reals(shapes[0])) if data.draw(st.booleans()) else None
        y = near(data.draw, top(a) - top(b) + 1, policy.format, 4)
        operation = DivideOperation(constant)
        kernel = operation.decide([b] if constant is not None else [a, b], y, policy)
        divisors = data.draw(codes(b.format, (2, *shapes[1])))
        inputs = [divisors] if constant is not None else [data.draw(codes(a.format, (2, *shapes[0]))), divisors]
        got, tally = executed(kernel, inputs)
        wanted = run(kernel, inputs)
        assert same(got, wanted.codes)
        assert tally.overflow == wanted.overflow
        if constant is None:
            numerators = box(inputs[0]) * power(a.lsb)
        else:
            stored = policy.weight_format.with_modes(Rounding.RND_CONV, Overflow.SAT)
            e = (
                fitting_exponent(float(constant.min()), float(constant.max()), stored)
                if policy.normalize != "none"
                else 0
            )
            lsb = e - stored.fraction_bits
            numerators = np.vectorize(
                lambda v: quantized(Fraction(float(v)), stored, lsb)[0] * power(lsb), otypes=[object]
            )(constant)[None]
        numerators, denominators = np.broadcast_arrays(
            *aligned(np.asarray(numerators, dtype=object), box(divisors) * power(b.lsb))
        )
        seen["missed"] += check_quotients(kernel, numerators, denominators, y, got)
        seen["elements"] += got.size
        seen["cases"] += 1
        seen["overflow"] += tally.overflow > 0
        seen["zero"] += bool((divisors == 0).any())
        seen["constant"] += constant is not None

    check()
    assert seen["overflow"] >= 0.2 * seen["cases"], seen
    assert min(seen["zero"], seen["constant"]) >= 20, seen
    # Four guard bits: nearly all are the correctly rounded quotient.
    assert seen["missed"] <= 0.1 * seen["elements"], seen


@pytest.mark.parametrize(("rounding", "overflow"), list(product(ROUNDINGS, OVERFLOWS)))
@pytest.mark.parametrize("signed", [True, False])
def test_all_quotients_of_six_bit_codes(rounding, overflow, signed):
    x = Encoding(Format(6, 3, signed), 1)
    y = Encoding(Format(6, 3, True, Rounding(rounding), Overflow(overflow)))
    kernel = DivideOperation().decide([x, x], y, Policy(y.format, x.format))
    every = np.arange(x.format.min_code, x.format.max_code + 1)
    a, b = (grid.reshape(1, -1) for grid in np.meshgrid(every, every))
    got, tally = executed(kernel, [a, b])
    check_quotients(kernel, box(a) * power(x.lsb), box(b) * power(x.lsb), y, got)
    zeros = b[0] == 0
    assert int(np.count_nonzero(zeros & (a[0] != 0))) <= tally.overflow
    alone, counted = executed(kernel, [a[:, zeros], b[:, zeros]])
    assert counted.overflow == int(
        np.count_nonzero(a[:, zeros])
    )  # every division of something by zero, and 0 / 0 is none
    assert alone[a[:, zeros] == 0].tolist() == [0]


@pytest.mark.parametrize("a_signed", [True, False])
@pytest.mark.parametrize("y_width", [2, 8, 20, 32])
@pytest.mark.parametrize("exponent", [-40, -8, 0, 8, 40])
@pytest.mark.parametrize("rounding", [Rounding.TRN, Rounding.RND, Rounding.RND_INF])
def test_a_divisor_of_zero_gives_the_end_and_is_counted(a_signed, y_width, exponent, rounding):
    """Whatever the formats: the smallest dividend, divided by zero, is beyond the output and counted as overflow."""
    a, b = Encoding(Format(8, 4, a_signed)), Encoding(Format(8, 4))
    for y_signed in (True, False):
        y = Encoding(Format(y_width, 2, y_signed, rounding), exponent)
        kernel = DivideOperation().decide([a, b], y, Policy(y.format, a.format))
        numerators = [1, 0, a.format.max_code, *([-1, -128] if a_signed else [])]
        got, tally = executed(kernel, [np.array([numerators]), np.zeros((1, len(numerators)), np.int64)])
        low, high = limits(y.format)
        assert got[0].tolist() == [high, 0, high, *([low, low] if a_signed else [])]
        assert tally.overflow == len(numerators) - 1


def test_formats_beyond_the_reciprocal_are_refused_by_name():
    wide = Encoding(Format(37, 8))
    with pytest.raises(PlanError, match="up to 36 bits can be divided, not 37"):
        DivideOperation().decide(
            [wide, Encoding(Format(8, 4))], Encoding(Format(8, 4)), Policy(Format(8, 4), Format(8, 4))
        )
