"""Emitted local response normalization is that of `run`: windows of all sizes, any power, wide and narrow formats, both targets."""

from __future__ import annotations

import random
from pathlib import Path

import emission
import numpy as np
import pytest
from emission import Case, needs_gxx, share

from fxnorm.errors import PlanError
from fxnorm.fixed.format import Format
from fxnorm.kernels.encoding import Encoding
from fxnorm.kernels.kernel import Policy
from fxnorm.kernels.local_response import LocalResponseOperation
from fxnorm.planning.plan import PlanValue

FRAMES = 3
SHAPES = ((1, 5, 2, 3), (2, 4), (1, 7, 3), (1, 1, 2), (1, 2, 1, 2, 2))


def draw_case(rng: random.Random, target: str) -> Case:
    shape = rng.choice(SHAPES)
    # A power of every width costs a table to be sized.
    width = rng.choice([3, 8, 12])
    x = Encoding(emission.draw_format(rng, target, rng.choice([(2, 8), (9, 16), (25, 32)])), rng.randint(-3, 3))
    drawn = emission.draw_format(rng, target)
    output = Format(width, rng.randint(0, width), drawn.signed, drawn.rounding, drawn.overflow)
    operation = LocalResponseOperation(
        shape[1],
        rng.randint(1, 9),
        rng.choice([0.0, float(np.float32(1e-4)), 0.3, 50.0]),
        rng.choice([0.75, 1.0, -0.5, 2.3]),
        rng.choice([1.0, 2.0, 1e-3, 0.0]),
    )
    y = Encoding(output, emission.fitting_exponent(rng, float(x.limit * x.step) * rng.choice([1.0, 2.0**-6]), output))
    kernel = operation.decide([x], y, Policy(output, Format(8, 5)))
    codes = emission.draw_codes(rng, x.format, (FRAMES, *shape))
    codes[np.random.default_rng(rng.randrange(1 << 32)).random(codes.shape) < 0.2] = 0
    codes[0, :, :, ...] = codes[0] % 3 if x.format.max_code > 2 else codes[0]
    return Case(f"{operation} of {shape}, {x} to {y}", kernel, (PlanValue(shape, x),), PlanValue(shape, y), (codes,))


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
def test_many_local_responses(target: str, tmp_path: Path) -> None:
    emission.check(drawn(random.Random(f"many local responses {target}"), target, share(target, 8)), target, tmp_path)
