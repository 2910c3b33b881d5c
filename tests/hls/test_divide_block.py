"""Emitted quotients are those of `Divide.run`: divisors of zero, spread operands, constant dividends, both targets."""

from __future__ import annotations

import random
from pathlib import Path

import emission
import numpy as np
import pytest
from emission import Case, needs_gxx, share

from fxnorm.errors import PlanError
from fxnorm.fixed.format import Format, Overflow, Rounding
from fxnorm.kernels.divide import DivideOperation
from fxnorm.kernels.encoding import Encoding
from fxnorm.kernels.kernel import Policy
from fxnorm.planning.plan import PlanValue

FRAMES = 4
SHAPES = (((1, 6), (1, 6)), ((2, 3, 4), (3, 1)), ((4,), (2, 4)), ((), ()), ((1, 3, 2, 2), (1, 3, 1, 1)))


def draw_case(rng: random.Random, target: str) -> Case:
    first, second = rng.choice(SHAPES)
    constant = rng.random() < 0.35
    numbers = np.random.default_rng(rng.randrange(1 << 32))
    operation = DivideOperation(numbers.normal(size=first) * 4 if constant else None)
    a = Encoding(emission.draw_format(rng, target), rng.randint(-2, 2))
    b = Encoding(emission.draw_format(rng, target), rng.randint(-2, 2))
    output = emission.draw_format(rng, target, (2, 14))
    made = Encoding(output, emission.fitting_exponent(rng, float(a.limit * a.step) / float(b.step * 4), output))
    weight = Format(rng.randint(3, 9), rng.randint(0, 4), True, Rounding.RND_CONV, Overflow.SAT)
    inputs, shapes = ([b], [second]) if constant else ([a, b], [first, second])
    kernel = operation.decide(inputs, made, Policy(output, weight))
    codes = [emission.draw_codes(rng, own.format, (FRAMES, *shape)) for own, shape in zip(inputs, shapes, strict=True)]
    codes[-1][numbers.random(codes[-1].shape) < 0.2] = 0
    values = tuple(PlanValue(shape, own) for shape, own in zip(shapes, inputs, strict=True))
    shape = np.broadcast_shapes(first, second)
    return Case(f"{first} / {second}, {a} / {b}", kernel, values, PlanValue(shape, made), tuple(codes))


def drawn(rng: random.Random, target: str, count: int) -> list[Case]:
    cases: list[Case] = []
    while len(cases) < count:
        try:
            cases.append(draw_case(rng, target))
        except PlanError:
            continue
    return cases


@needs_gxx
@pytest.mark.slow
@pytest.mark.parametrize("target", ["vitis", "catapult"])
def test_many_quotients(target: str, tmp_path: Path) -> None:
    emission.check(drawn(random.Random(f"many quotients {target}"), target, share(target, 18)), target, tmp_path)
