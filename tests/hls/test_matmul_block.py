"""Emitted matrix products of two values are those of `MatMul.run`: broadcasts, vectors, Gemm's factors, every accumulator, both targets."""

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
from fxnorm.kernels.kernel import Policy, Reads
from fxnorm.kernels.matmul import MatMulOperation
from fxnorm.planning.plan import PlanValue

Array = np.ndarray
FRAMES = 3
# Shapes of a and b, k, and the shape of the result; samples not counted.
LAYOUTS: tuple[tuple[tuple[int, ...], tuple[int, ...], int, tuple[int, ...]], ...] = (
    ((2, 3), (3, 2), 3, (2, 2)),
    ((2, 2, 3), (3, 4), 3, (2, 2, 4)),
    ((3, 4), (2, 4, 1), 4, (2, 3, 1)),
    ((2, 1, 2, 3), (3, 3, 2), 3, (2, 3, 2, 2)),
    ((5,), (5, 2), 5, (2,)),
    ((2, 3, 5), (5,), 5, (2, 3)),
    ((4,), (4,), 4, ()),
    ((1, 1), (1, 1), 1, (1, 1)),
)


def try_case(rng: random.Random, target: str) -> Case:
    a_shape, b_shape, length, shape = rng.choice(LAYOUTS)
    numbers = np.random.default_rng(rng.randrange(1 << 32))
    gemm = len(a_shape) == len(b_shape) == 2 and rng.random() < 0.6
    constant = rng.choice([None, None, "left", "right"])
    left = numbers.normal(size=a_shape) if constant == "left" else None
    right = numbers.normal(size=b_shape) if constant == "right" else None
    addend = numbers.normal(size=shape) if gemm and rng.random() < 0.4 else None
    c_shape = (
        rng.choice([shape, shape[-1:], (1, shape[-1]), ()]) if gemm and addend is None and rng.random() < 0.7 else None
    )
    low, high = rng.choice([(None, None), (0.0, None), (-1.0, 1.0)])
    operation = MatMulOperation(
        length,
        left,
        right,
        len(a_shape) == 1,
        len(b_shape) == 1,
        rng.choice([1.0, 0.5, 0.7, -1.3]) if gemm else 1.0,
        rng.choice([1.0, 0.3, -2.0]) if gemm else 1.0,
        addend is not None or c_shape is not None,
        addend,
        low,
        high,
    )
    normalize = rng.choice(["none", "pow2", "affine"])
    shapes = [own for own, fixed in ((a_shape, left), (b_shape, right)) if fixed is None]
    shapes += [] if c_shape is None else [c_shape]
    inputs = []
    for place in range(len(shapes)):
        format_ = emission.draw_format(rng, target, (2, 9))
        own = emission.draw_encoding(rng, format_, normalize, rng.randint(-2, 2))
        inputs.append(Encoding(format_, own.exponent) if operation.reads(place) is Reads.PLAIN else own)
    weight = Format(rng.randint(2, 9), rng.randint(0, 4), True, Rounding.RND_CONV, Overflow.SAT)
    first = weight if left is not None else inputs[0].format
    second = weight if right is not None else inputs[left is None].format
    fraction = first.fraction_bits + second.fraction_bits
    accumulator = product = None
    if rng.random() < 0.5:
        width = max(2, first.width + second.width + length.bit_length() - rng.randint(0, 6))
        modes = emission.draw_format(rng, target)
        own_fraction = fraction + rng.choice([0, 0, -2, 1])
        accumulator = Format(width, width - own_fraction, rng.random() < 0.85, modes.rounding, modes.overflow)
    if rng.random() < 0.25:
        drawn = emission.draw_format(rng, target, (3, 14))
        own_fraction = fraction - rng.randint(-1, 4)
        product = Format(drawn.width, drawn.width - own_fraction, drawn.signed, drawn.rounding, drawn.overflow)
    output = emission.draw_format(rng, target, (2, 12))
    policy = Policy(output, weight, accumulator, product, normalize)
    reach = 2.0 * length**0.5 * float(np.prod([float(own.limit * own.step) for own in inputs[:2]]))
    made = emission.draw_encoding(rng, output, normalize, emission.fitting_exponent(rng, reach, output))
    if not operation.writes_any or operation.adds:
        made = Encoding(output, made.exponent)
    kernel = operation.decide(inputs, made, policy)
    codes = tuple(
        emission.draw_codes(rng, own.format, (FRAMES, *own_shape))
        for own, own_shape in zip(inputs, shapes, strict=True)
    )
    values = tuple(PlanValue(own_shape, own) for own_shape, own in zip(shapes, inputs, strict=True))
    label = f"{a_shape} @ {b_shape}, constant {constant}, gemm {gemm}, {accumulator}, {product}, {normalize}"
    return Case(label, kernel, values, PlanValue(shape, made), codes)


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
def test_many_matrix_products(target: str, tmp_path: Path) -> None:
    emission.check(drawn(random.Random(f"many matmul {target}"), target, share(target, 24)), target, tmp_path)
