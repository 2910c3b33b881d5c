"""Emitted elementwise layers compute what `Elementwise.run` does: every function, spread operands, constants, both targets."""

from __future__ import annotations

import random
from pathlib import Path

import emission
import numpy as np
import pytest
from emission import Case, needs_gxx, share

from fxnorm.errors import PlanError
from fxnorm.fixed.format import Format, Overflow, Rounding
from fxnorm.kernels.elementwise import FUNCTIONS, ElementwiseOperation
from fxnorm.kernels.encoding import Encoding
from fxnorm.kernels.kernel import Policy, Reads
from fxnorm.planning.plan import PlanValue

Array = np.ndarray
FRAMES = 4
OPERANDS = {"abs": 1, "threshold": 1, "hard_swish": 1, "prelu": 2, "select": 2}
SHAPES: tuple[tuple[tuple[int, ...], ...], ...] = (
    ((1, 5), (1, 5)),
    ((2, 3, 4), (2, 3, 4)),
    ((1, 3, 2, 4), (1, 3, 2, 4)),
    ((1, 3, 2, 4), (1, 3, 1, 1)),
    ((3, 4), (4,)),
    ((2, 1, 3), (4, 1)),
    ((), ()),
    ((70,), (70,)),
)


def draw_case(rng: random.Random, target: str, function: str) -> Case:
    while True:
        try:
            return try_case(rng, target, function)
        except PlanError:
            continue


def try_case(rng: random.Random, target: str, function: str) -> Case:
    count = OPERANDS.get(function) or rng.randint(2, 3)
    first, second = rng.choice(SHAPES)
    shapes = [first, second, first][:count]
    rng.shuffle(shapes)
    shape = np.broadcast_shapes(*shapes)
    constant = rng.randrange(count) if count > 1 and rng.random() < 0.4 else None
    numbers = np.random.default_rng(rng.randrange(1 << 32))
    operands: list[Array | None] = [None] * count
    if constant is not None:
        operands[constant] = numbers.normal(size=shapes[constant]) * 2.0 ** rng.randint(-2, 3)
    mask = np.asarray(numbers.random(rng.choice([shape, shape[-1:]])) < 0.5) if function == "select" else None
    normalize = rng.choice(["none", "pow2", "affine"])
    output = emission.draw_format(rng, target, (2, 12))
    weight = Format(rng.randint(3, 9), rng.randint(0, 4), True, Rounding.RND_CONV, Overflow.SAT)
    low, high = rng.choice([(None, None), (0.0, None), (-1.0, 2.0)])
    operation = ElementwiseOperation(
        function,
        tuple(operands),
        signs=tuple(rng.choice([1, -1]) for _ in range(count)) if function == "add" else (),
        divisor=rng.choice([1, 1, 3, 7]) if function == "add" else 1,
        parameters=(rng.choice([0.0, 0.7]),) if function == "threshold" else (),
        mask=mask,
        low=low,
        high=high,
    )
    inputs = []
    for place in range(count - (constant is not None)):
        format_ = emission.draw_format(rng, target, (2, 10))
        read = operation.reads(place)
        own = emission.draw_encoding(rng, format_, normalize, rng.randint(-2, 2))
        inputs.append(Encoding(format_, own.exponent) if read is Reads.PLAIN else own)
    policy = Policy(output, weight, normalize=normalize)
    reach = max(float(own.limit * own.step) for own in inputs)
    reach = reach * reach if function in ("mul", "hard_swish") else reach
    made = operation.encoding(inputs, policy) or emission.draw_encoding(
        rng, output, normalize, emission.fitting_exponent(rng, reach, output)
    )
    kernel = operation.decide(inputs, made, policy)
    given = [own for place, own in enumerate(shapes) if place != constant]
    codes = tuple(
        emission.draw_codes(rng, own.format, (FRAMES, *shape)) for own, shape in zip(inputs, given, strict=True)
    )
    values = tuple(PlanValue(tuple(shape), own) for shape, own in zip(given, inputs, strict=True))
    label = f"{function} {shapes} {normalize}"
    return Case(label, kernel, values, PlanValue(tuple(shape), made), codes)


@needs_gxx
@pytest.mark.slow
@pytest.mark.parametrize("target", ["vitis", "catapult"])
def test_many_elementwise_layers(target: str, tmp_path: Path) -> None:
    rng = random.Random(f"many elementwise {target}")
    cases = [draw_case(rng, target, function) for function in FUNCTIONS for _ in range(share(target, 3))]
    emission.check(cases, target, tmp_path)
