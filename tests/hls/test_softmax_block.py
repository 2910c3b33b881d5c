"""Emitted softmax and its logarithm are those of `run`: any axis, masks and biases, wide and narrow formats, both targets."""

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
from fxnorm.kernels.mask import RealMask
from fxnorm.kernels.softmax import SoftmaxOperation
from fxnorm.planning.plan import PlanValue

FRAMES = 3
SHAPES = ((1, 5), (2, 3, 4), (1, 3, 2, 4), (7,), (1, 2, 12), (1, 1))
LOW = (-1e4, float(np.finfo(np.float32).min), -np.inf)


def draw_mask(rng: random.Random, shape: tuple[int, ...], axis: int) -> RealMask:
    numbers = np.random.default_rng(rng.randrange(1 << 32))
    own = rng.choice([shape, (*shape[:axis], shape[axis], *(1,) * (len(shape) - axis - 1))])
    bias = numbers.normal(size=own) * rng.choice([0.0, 1.0, 50.0])
    hidden = numbers.random(own) < 0.3
    bias[hidden] = rng.choice(LOW)
    first = [slice(None)] * len(own)
    first[axis] = slice(0, 1)
    bias[tuple(first)] = 0.0
    keep = numbers.random(shape) < 0.8 if rng.random() < 0.5 else None
    return RealMask(keep, bias)


def try_case(rng: random.Random, target: str) -> Case:
    shape = rng.choice(SHAPES)
    axis = rng.choice([len(shape) - 1, rng.randrange(len(shape))])
    log = rng.random() < 0.5
    mask = draw_mask(rng, shape, axis) if rng.random() < 0.5 else None
    x = Encoding(emission.draw_format(rng, target, (2, 16)), rng.randint(-2, 2))
    output = emission.draw_format(rng, target, (2, 14))
    y = Encoding(output, (rng.randint(1, 6) if log else rng.randint(-1, 2)) - output.integer_bits)
    kernel = SoftmaxOperation(axis, shape[axis], log, mask).decide([x], y, Policy(output, Format(8, 5)))
    codes = emission.draw_codes(rng, x.format, (FRAMES, *shape))
    codes[0] = codes[0] % 5 if x.format.max_code > 5 else codes[0]
    label = f"{'log ' if log else ''}softmax of {shape} along {axis}, {x.format} to {output}, mask {mask is not None}"
    return Case(label, kernel, (PlanValue(shape, x),), PlanValue(shape, y), (codes,))


def drawn(rng: random.Random, target: str, count: int) -> list[Case]:
    cases: list[Case] = []
    while len(cases) < count:
        try:
            cases.append(try_case(rng, target))
        except PlanError:
            continue
    return cases


@needs_gxx
@pytest.mark.slow
@pytest.mark.parametrize("target", ["vitis", "catapult"])
def test_many_softmax(target: str, tmp_path: Path) -> None:
    emission.check(drawn(random.Random(f"many softmax {target}"), target, share(target, 20)), target, tmp_path)
