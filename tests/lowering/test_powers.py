"""Pow whose exponents are an array: every element goes through the table of its own exponent, and comes back to its place."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from oracles.codes import fitted, rounded
from spelling import Speller

import fxnorm as fx
from fxnorm.errors import UnsupportedError
from fxnorm.fixed.format import Format
from fxnorm.lowering.arithmetic import MOST_EXPONENTS

Q53 = Format.parse("q5.3")
CASES = {
    "one a channel": ((2, 3, 4), np.array([2.0, 3.0, 1.0]).reshape(3, 1)),
    "one an element": ((2, 3), np.array([[0.0, 1.0, 2.0], [3.0, -1.0, -2.0]])),
    "widening": ((2, 3, 1), np.array([1.0, 2.0, 3.0, 4.0])),
    "one that widens": ((2, 1, 3), np.full((2, 5, 1), 2.0)),
    "more axes": ((2, 3), np.arange(6.0).reshape(2, 1, 3)),
    "integers": ((2, 3), np.array([2, 0, 5])),
}


def power(shape: tuple[int, ...], exponent: np.ndarray) -> fx.api.Graph:
    s = Speller(*shape)
    dtype = np.int64 if exponent.dtype.kind == "i" else np.float32
    return fx.load(s.model(s.Pow("x", s.constant(exponent, dtype))))


@pytest.mark.parametrize("case", CASES)
def test_every_element_is_correctly_rounded(case: str) -> None:
    """All codes of q5.3 but 0 (of which negative powers are infinite), in every place."""
    shape, exponent = CASES[case]
    graph = power(shape, exponent)
    codes = np.array([n for n in range(Q53.min_code, Q53.max_code + 1) if n])
    x = np.stack([np.roll(codes, place) for place in range(int(np.prod(shape)))], axis=1).reshape(-1, *shape) / 8
    plan = fx.plan(graph, fx.calibrate(graph, x), "q5.3", normalize="none")
    wide = np.broadcast_shapes(shape, exponent.shape)
    got = fx.simulate(plan, x)["y0"].codes.reshape(len(x), *wide)
    powers = np.broadcast_to(exponent, wide)
    values = np.broadcast_to(x.reshape(len(x), *(1,) * (len(wide) - len(shape)), *shape), got.shape)
    for index in np.ndindex(values.shape):
        exact = Fraction(values[index]) ** int(powers[index[1:]]) * 8
        assert got[index] == fitted(rounded(exact, Q53.rounding), Q53)[0], (index, values[index], powers[index[1:]])


@pytest.mark.parametrize("format_", ["q5.3", "q6.10"])
def test_ranges_are_those_of_the_result(format_: str) -> None:
    """Square roots, cubes and reciprocals beside one another, scaled to hold what FP32 gives for all of them."""
    shape, exponent = (4, 5), np.array([0.5, 3.0, -1.0, 1.0, 2.5])
    graph = power(shape, exponent)
    x = np.random.default_rng(0).uniform(0.5, 3.0, (60, *shape)).astype(np.float32)
    plan = fx.plan(graph, fx.calibrate(graph, x), format_)
    result = fx.simulate(plan, x)
    y = plan.values[plan.outputs["y0"]].encoding
    assert float(x.max()) ** 3 < y.scale * 2.0 ** (y.format.integer_bits - 1) < 4 * float(x.max()) ** 3
    assert sum(layer.kernel.kind == "table" for layer in plan.layers) == 5
    errors = np.abs(result["y0"].values - fx.reference(graph, x)["y0"])
    held = plan.values["x"].encoding
    steep = 3 * float(x.max()) ** 2 * float(held.step)  # an input's rounding, three times its square
    assert errors.max() <= 0.51 * steep + 0.51 * float(y.step)
    assert result.reports[plan.outputs["y0"]].usage.overflow == 0


def test_one_exponent_is_what_it_was() -> None:
    for exponent, kind in ((2.0, "elementwise"), (0.5, "table"), (3.0, "table")):
        graph = power((2, 3), np.array(exponent))
        (layer,) = fx.plan(graph, fx.calibrate(graph, np.ones((2, 3), np.float32)), "q5.3").layers
        assert layer.kernel.kind == kind


def test_too_many_exponents_are_refused() -> None:
    graph = power((1, 1), np.arange(MOST_EXPONENTS + 1.0))
    message = f"up to {MOST_EXPONENTS} different exponents, a table for each, not {MOST_EXPONENTS + 1}"
    with pytest.raises(UnsupportedError) as raised:
        fx.plan(graph, fx.calibrate(graph, np.ones((1, 1), np.float32)), "q5.3")
    assert message in str(raised.value)
