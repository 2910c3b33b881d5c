"""Emitted scales per channel, and functions of one code, compute what `Kernel.run` does."""

from __future__ import annotations

import random
from pathlib import Path

import emission
import numpy as np
import pytest
from emission import Case, needs_gxx, share

from fxnorm.errors import PlanError
from fxnorm.fixed.format import Format, Overflow, Rounding
from fxnorm.kernels.encoding import Encoding
from fxnorm.kernels.kernel import Policy
from fxnorm.kernels.rescale import ScaleOperation
from fxnorm.kernels.table import FunctionOperation
from fxnorm.planning.plan import PlanValue

FRAMES = 3
SHAPES = ((1, 5), (2, 3, 4), (1, 3, 2, 4), (1, 2, 2, 2, 3), (70,))


def draw_rescale(rng: random.Random, target: str) -> Case:
    shape = rng.choice(SHAPES)
    axis = rng.choice([None, rng.randrange(len(shape)), min(1, len(shape) - 1)])
    count = 1 if axis is None else shape[axis]
    numbers = np.random.default_rng(rng.randrange(1 << 32))
    clip = rng.random() < 0.2
    scale = np.ones(count) if clip else numbers.normal(size=count) * 2.0 ** numbers.integers(-3, 4, count)
    shift = np.zeros(count) if clip else numbers.normal(size=count) * rng.choice([0.0, 1.0, 8.0])
    low, high = (-1.0, 2.0) if clip else rng.choice([(None, None), (0.0, None), (0.0, 6.0)])
    operation = ScaleOperation(scale, shift, axis, low, high)
    normalize = rng.choice(["none", "pow2", "affine"])
    format_ = emission.draw_format(rng, target, (2, 10))
    x = emission.draw_encoding(rng, format_, normalize, rng.randint(-2, 2))
    weight = Format(rng.randint(3, 12), rng.randint(0, 4), True, Rounding.RND_CONV, Overflow.SAT)
    policy = Policy(rng.choice([format_, emission.draw_format(rng, target)]), weight, normalize=normalize)
    reach = float(x.limit * x.step) * float(np.abs(scale).max()) + float(np.abs(shift).max())
    exponent = emission.fitting_exponent(rng, reach, policy.format)
    made = operation.encoding([x], policy) or emission.draw_encoding(rng, policy.format, normalize, exponent)
    kernel = operation.decide([x], made, policy)
    codes = emission.draw_codes(rng, x.format, (FRAMES, *shape))
    return Case(
        f"scale along {axis} of {shape} {normalize}", kernel, (PlanValue(shape, x),), PlanValue(shape, made), (codes,)
    )


def draw_table(rng: random.Random, target: str, widths: tuple[int, int] = (2, 9)) -> Case:
    shape = rng.choice(SHAPES)
    name = rng.choice(["sigmoid", "tanh", "exp", "erf", "gelu", "sqrt", "reciprocal", "log", "softplus", "sin"])
    operation = FunctionOperation(name)
    x = Encoding(emission.draw_format(rng, target, widths), rng.randint(-1, 1))
    output = emission.draw_format(rng, target, (3, 12) if widths[1] < 12 else (8, 16))
    if widths[1] > 12:
        output = Format(output.width, rng.randint(1, 8), True, output.rounding, Overflow.SAT)
    made = Encoding(output, rng.randint(-1, 2))
    kernel = operation.decide([x], made, Policy(output, Format(8, 5)))
    codes = emission.draw_codes(rng, x.format, (FRAMES, *shape))
    return Case(f"{name} of {x.format} to {output}", kernel, (PlanValue(shape, x),), PlanValue(shape, made), (codes,))


def drawn(rng: random.Random, target: str, rescales: int, tables: int, wide: int) -> list[Case]:
    cases: list[Case] = []
    wanted = [draw_rescale] * rescales + [draw_table] * tables
    wanted += [lambda rng, target: draw_table(rng, target, (13, 20))] * wide
    for draw in wanted:
        while True:
            try:
                cases.append(draw(rng, target))
                break
            except (PlanError, ValueError):
                continue
    return cases


@needs_gxx
@pytest.mark.slow
@pytest.mark.parametrize("target", ["vitis", "catapult"])
def test_many_scales_and_tables(target: str, tmp_path: Path) -> None:
    counts = (share(target, number) for number in (14, 12, 4))
    cases = drawn(random.Random(f"many rescale {target}"), target, *counts)
    emission.check(cases, target, tmp_path)
