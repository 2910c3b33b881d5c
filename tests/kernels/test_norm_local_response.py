"""Local response normalization: its datapath in integers, and how near that comes to the real power."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from fractions import Fraction

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import norms
from oracles.codes import fitted, power, rounded, same
from oracles.drawing import codes, encodings, executed, formats, policies

from fxnorm.errors import PlanError
from fxnorm.fixed.format import Format, Rounding
from fxnorm.kernels.encoding import Encoding
from fxnorm.kernels.kernel import Policy
from fxnorm.kernels.local_response import LocalResponseOperation
from fxnorm.kernels.mantissa import Product

BETAS = (0.75, 0.5, 1.0, 2.3, 0.0, -0.5, -1.25, 5.0)


@pytest.fixture
def bounded(monkeypatch):
    """Products that lie within the bound that decides whether 64 bits hold them."""
    run = Product.run

    def watched(self, a, mantissas, shift):
        result = run(self, a, mantissas, shift)
        assert max(abs(int(value)) for value in result.flat) <= self.bound
        return result

    monkeypatch.setattr(Product, "run", watched)


@pytest.mark.usefixtures("bounded")
def test_it_follows_its_datapath():
    seen = Counter()

    @given(st.data())
    @settings(max_examples=80)
    def check(data):
        x = data.draw(encodings(2, 32))
        # Few widths: a power of every width costs a table.
        width = data.draw(st.sampled_from([8, 16, 32]))
        policy = data.draw(policies(replace(data.draw(formats(2, 8)), width=width)))
        channels, size = data.draw(st.integers(1, 7)), data.draw(st.integers(1, 9))
        alpha = data.draw(st.sampled_from([0.0, float(np.float32(1e-4)), 0.3, 50.0]))
        bias = data.draw(st.sampled_from([1.0, 2.0, 1e-3, 0.0]))
        beta = data.draw(st.sampled_from(BETAS[::3]))
        kernel = LocalResponseOperation(channels, size, alpha, beta, bias).decide(
            [x], Encoding(policy.format, data.draw(st.integers(-6, 6))), policy
        )
        inputs = data.draw(codes(x.format, (2, 1, channels, 2)))
        got, tally = executed(kernel, [inputs])
        wanted = norms.local_response(kernel, [inputs])
        assert same(got, wanted.codes)
        assert tally.overflow == wanted.overflow
        largest = kernel.weight * min(size, channels) * max(-x.format.min_code, x.format.max_code) ** 2 + kernel.offset
        assert max(largest, 1) == kernel.base_bound
        seen["wide base"] += kernel.base_bound > 1 << 62
        seen["overflow"] += wanted.overflow > 0
        seen["cases"] += 1

    check()
    assert seen["wide base"] > 10, seen
    assert seen["overflow"] > 5, seen


def real(x, operation, lsb):
    """Exact base and precise power of every code of one row of channels, as mpmath numbers in the units of x."""
    before, after = (operation.size - 1) // 2, operation.size // 2
    found = []
    for c, code in enumerate(x):
        window = x[max(0, c - before) : c + after + 1]
        total = sum(v * v for v in window) * power(2 * lsb)
        base = Fraction(operation.bias) + Fraction(operation.alpha) / operation.size * total
        if base == 0:
            found.append(mpmath.mpf(0))
            continue
        with mpmath.workprec(120):
            root = mpmath.power(mpmath.mpf(base.numerator) / base.denominator, -mpmath.mpf(operation.beta))
            found.append(root * code * mpmath.ldexp(1, lsb))
    return found


@pytest.mark.parametrize(
    "format_", [Format(8, 5), Format(16, 8), Format(8, 5, True, Rounding.TRN), Format(20, 6)], ids=str
)
@pytest.mark.parametrize("beta", BETAS)
def test_results_are_at_most_one_step_from_the_correctly_rounded_ones(format_, beta):
    rng = np.random.default_rng(0)
    x = Encoding(format_)
    different = total = 0
    for size, alpha, bias in (
        (5, float(np.float32(1e-4)), 1.0),
        (3, 0.5, 1.0),
        (4, 1.3, 0.0),
        (1, 2.0, 0.25),
        (9, 3.0, 2.0),
    ):
        operation = LocalResponseOperation(7, size, alpha, beta, bias)
        inputs = np.vstack(
            [
                x.encode(rng.normal(0, 3, (20, 7))),
                np.zeros((1, 7), np.int64),
                np.full((1, 7), format_.min_code),
                np.full((1, 7), 1),
            ]
        )
        results = [[float(v) for v in real(row, operation, x.lsb)] for row in inputs.tolist()]
        exponent = int(np.ceil(np.log2(np.abs(results).max()))) + 1 - format_.integer_bits
        output = Encoding(format_, exponent)
        kernel = operation.decide([x], output, Policy(format_, Format(8, 4)))
        got, _ = executed(kernel, [inputs[:, None]])
        for row, codes_ in zip(inputs.tolist(), got[:, 0].tolist(), strict=True):
            for value, code in zip(real(row, operation, x.lsb), codes_, strict=True):
                mantissa, place = value.man_exp
                exact = int(mpmath.sign(value)) * mantissa * power(place - output.lsb)
                wanted, _ = fitted(rounded(exact, format_.rounding), format_)
                assert abs(code - wanted) <= 1
                different += code != wanted
                total += 1
    assert different <= (0.01 if format_.width < 20 else 0.02) * total


def test_zeros_stay_zeros_where_the_base_is_zero():
    x = Encoding(Format(8, 4))
    kernel = LocalResponseOperation(3, 3, 1.0, 0.75, 0.0).decide([x], x, Policy(x.format, x.format))
    got, tally = executed(kernel, [np.zeros((1, 1, 3, 2), np.int64)])
    assert not got.any()
    assert tally.overflow == 0


def test_even_windows_reach_one_further_behind():
    """The specification: floor((size − 1) / 2) channels before, ceil((size − 1) / 2) after."""
    x, y = Encoding(Format(16, 16)), Encoding(Format(24, 4))
    kernel = LocalResponseOperation(4, 2, 2.0, 1.0, 1.0).decide([x], y, Policy(y.format, y.format))
    got, _ = executed(kernel, [np.array([1, 2, 0, 3]).reshape(1, 1, 4)])
    wanted = [1 / (1 + 1 + 4), 2 / (1 + 4 + 0), 0.0, 3 / (1 + 9)]
    assert np.allclose(y.decode(got[0, 0]), wanted, atol=2.0**-20)


def test_steep_powers_are_refused_by_name():
    x = Encoding(Format(8, 4))
    with pytest.raises(PlanError, match="beta must lie within ±8"):
        LocalResponseOperation(4, 2, 1.0, 9.0, 1.0).decide([x], x, Policy(x.format, x.format))
