"""Functions by table: every code through the documented datapath, and correctly rounded where the value is rational."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles.codes import power, quantized, same
from oracles.drawing import codes, encodings, executed, formats, near, top
from oracles.kernels import run

from fxnorm.errors import FxnormError
from fxnorm.fixed.format import Format, Overflow, Rounding
from fxnorm.kernels.encoding import Encoding
from fxnorm.kernels.kernel import Policy
from fxnorm.kernels.table import FunctionOperation

RATIONAL = {
    "softsign": lambda x: x / (1 + abs(x)),
    "reciprocal": lambda x: 1 / x,
    "abs": abs,
    "relu": lambda x: max(x, Fraction(0)),
    "hard_sigmoid": lambda x: max(Fraction(0), min(Fraction(1), Fraction(0.25) * x + Fraction(1, 2))),
}


def every(format_):
    """Every code of a format, as one sample."""
    return np.arange(format_.min_code, format_.max_code + 1)[None]


@pytest.mark.parametrize("name", list(RATIONAL))
@settings(max_examples=30)
@given(x=encodings(2, 9), data=st.data())
def test_direct_tables_are_correctly_rounded(name, x, data):
    """All codes of drawn formats, all modes: the exact value, rounded once; overflows counted a code."""
    y = near(data.draw, -top(x) if name == "reciprocal" else min(top(x), 1), data.draw(formats(2, 32)))
    parameters = (("alpha", 0.25), ("beta", 0.5)) if name == "hard_sigmoid" else ()
    kernel = FunctionOperation(name, parameters).decide([x], y, Policy(y.format, Format(8, 4)))
    inputs = every(x.format)
    got, tally = executed(kernel, [inputs])
    model = run(kernel, [inputs])
    assert same(got, model.codes)
    assert tally.overflow == model.overflow
    lost = 0
    for code, result in zip(inputs[0].tolist(), got[0].tolist(), strict=True):
        if name == "reciprocal" and code == 0:
            # A pole is beyond every format: its end, or what SAT_ZERO makes of an overflow.
            assert result == (0 if y.format.overflow is Overflow.SAT_ZERO else y.format.max_code)
            lost += 1
            continue
        wanted, changed = quantized(RATIONAL[name](code * power(x.lsb)), y.format, y.lsb)
        assert result == wanted
        lost += changed
    assert tally.overflow == lost


@pytest.mark.parametrize(
    ("name", "x", "y"),
    [
        ("sigmoid", Encoding(Format(16, 4)), Encoding(Format(16, 1, False))),
        (
            "tanh",
            Encoding(Format(14, 4, True, Rounding.TRN, Overflow.WRAP)),
            Encoding(Format(14, 2, True, Rounding.TRN, Overflow.WRAP)),
        ),
        ("exp", Encoding(Format(13, 5)), Encoding(Format(18, 8, False, Rounding.RND_CONV, Overflow.SAT_ZERO))),
        ("gelu", Encoding(Format(16, 5), 1), Encoding(Format(12, 5, True, Rounding.RND_INF, Overflow.SAT_SYM))),
        ("log", Encoding(Format(20, 6, False)), Encoding(Format(16, 5))),
        ("reciprocal", Encoding(Format(16, 8)), Encoding(Format(16, 2))),
        ("sqrt", Encoding(Format(32, 16, False)), Encoding(Format(32, 16))),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_segment_tables_follow_their_datapath(name, x, y):
    """Random codes, ends and neighbours of zero; more values than codes take the expanded table, which must give the same bits."""
    kernel = FunctionOperation(name).decide([x], y, Policy(y.format, Format(8, 4)))
    assert kernel.table.kind == "segments"
    rng = np.random.default_rng(1)
    ends = [x.format.min_code, x.format.min_code + 1, -1, 0, 1, x.format.max_code - 1, x.format.max_code]
    inputs = np.array(
        [[*(e for e in ends if e >= x.format.min_code), *rng.integers(x.format.min_code, x.format.max_code + 1, 400)]]
    )
    got, tally = executed(kernel, [inputs])
    model = run(kernel, [inputs])
    assert same(got, model.codes)
    assert tally.overflow == model.overflow
    if x.format.width <= 16:
        times = (1 << x.format.width) // inputs.size + 1
        again, count = executed(kernel, [np.tile(inputs, (times, 1))])
        assert np.array_equal(again, np.tile(got, (times, 1)))
        assert count.overflow == times * tally.overflow


def test_a_function_is_built_once_for_one_encoding():
    x = Encoding(Format(10, 4))
    policy = Policy(Format(10, 4), Format(8, 4))
    first = FunctionOperation("tanh").decide([x], Encoding(policy.format), policy)
    assert FunctionOperation("tanh").decide([x], Encoding(policy.format), policy).table is first.table
    other = FunctionOperation("tanh").decide([Encoding(Format(10, 4), 1)], Encoding(policy.format), policy)
    assert other.table is not first.table
    assert not np.array_equal(other.table.entries, first.table.entries)


def test_a_wrapping_output_that_a_wide_function_leaves_is_refused():
    """A direct table wraps its entries one by one; a piecewise polynomial cannot, and says so."""
    x, y = Encoding(Format(16, 8)), Format(16, 4, True, Rounding.TRN, Overflow.WRAP)
    with pytest.raises((FxnormError, ValueError), match="wrap"):
        FunctionOperation("exp").decide([x], Encoding(y), Policy(y, Format(8, 4)))


@given(encodings(2, 12), st.data())
def test_shapes_stay(x, data):
    kernel = FunctionOperation("softsign").decide([x], Encoding(Format(8, 1)), Policy(Format(8, 1), Format(8, 4)))
    for shape in ((2,), (2, 3), (1, 2, 2, 3)):
        assert executed(kernel, [data.draw(codes(x.format, shape))])[0].shape == shape
