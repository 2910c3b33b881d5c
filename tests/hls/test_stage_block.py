"""The emitted rescale stage does what `Rescale.run` does, for every code of an accumulator of eight bits."""

from __future__ import annotations

import random
from pathlib import Path

import emission
import numpy as np
import pytest
from emission import Case, needs_gxx, share

from fxnorm.fixed.format import Format, Overflow, Rounding
from fxnorm.kernels.elementwise import Elementwise
from fxnorm.kernels.encoding import Encoding
from fxnorm.kernels.stage import Rescale
from fxnorm.planning.plan import PlanValue

SHAPE = (1, 64)
CODES = np.arange(-128, 128).reshape(4, *SHAPE)


def draw_case(rng: random.Random, target: str, number: int) -> Case:
    """Origins, multipliers, divisors, zeros and clips of any sort, shifts from far left to farther right than there are bits."""
    output = emission.draw_format(rng, target, (12, 24) if number % 3 == 1 else (1, 12))
    low, high = rng.choice([(None, None), (None, None), (0, None), (-3, 5), (None, 2), (2, 2)])
    rescale = Rescale(
        output,
        shift=(rng.randint(0, 6), rng.randint(-4, -1), rng.randint(8, 45))[number % 3],
        divisor=rng.choice([2, 3, 6, 7, 49]) if number % 4 > 1 else 1,
        low=low,
        high=high,
        bound=1 << 9,
        multiplier=rng.choice([1, 1, 3, rng.randrange(1, 1 << 16)]),
        zero=rng.choice([0, 0, rng.randint(-9, 9), rng.randint(-4000, 4000)]),
        origin=rng.randint(-200, 200) if number % 2 else 0,
    )
    kernel = Elementwise("add", (None,), (0,), (1,), (), None, rescale, 1 << 9, (1,), (0,))
    data = Encoding(Format(8, 8, True, Rounding.RND, Overflow.SAT))
    label = f"{number}: {rescale}"
    return Case(label, kernel, (PlanValue(SHAPE, data),), PlanValue(SHAPE, Encoding(output)), (CODES,))


@needs_gxx
@pytest.mark.slow
@pytest.mark.parametrize("target", ["vitis", "catapult"])
def test_many_stages(target: str, tmp_path: Path) -> None:
    rng = random.Random(f"many stages {target}")
    emission.check([draw_case(rng, target, number) for number in range(share(target, 36))], target, tmp_path)
