"""Emitted pools and reductions compute what `Kernel.run` does: every geometry, divisors of the border, both targets."""

from __future__ import annotations

import math
import random
from functools import reduce
from pathlib import Path

import emission
import numpy as np
import pytest
from emission import Case, needs_gxx, share

from fxnorm.errors import PlanError
from fxnorm.fixed.format import Format
from fxnorm.kernels.kernel import Policy
from fxnorm.kernels.linear import Window
from fxnorm.kernels.pool import PoolOperation, ReduceOperation
from fxnorm.planning.plan import PlanValue

FRAMES = 3
FUNCTIONS = ("sum", "mean", "max", "min", "sum_square", "sum_abs")


def draw_window(rng: random.Random) -> tuple[Window, tuple[int, ...], tuple[int, ...]]:
    """A window, the space that it goes over, and the places it has."""
    rank = rng.choice([1, 2, 2, 2, 3])
    kernel = tuple(rng.randint(1, 3) for _ in range(rank))
    strides = tuple(rng.randint(1, 3) for _ in range(rank))
    dilations = tuple(rng.randint(1, 2) for _ in range(rank))
    begins = tuple(rng.randint(0, 2) for _ in range(rank))
    ends = tuple(rng.randint(0, 2) for _ in range(rank))
    reach = [d * (k - 1) + 1 for k, d in zip(kernel, dilations, strict=True)]
    space = tuple(max(r - a - b, 1) + rng.randint(0, 4) for r, a, b in zip(reach, begins, ends, strict=True))
    counts = tuple((n + a + b - r) // s + 1 for n, a, b, r, s in zip(space, begins, ends, reach, strides, strict=True))
    return Window(kernel, strides, dilations, begins, ends), space, counts


def inner_counts(window: Window, space: tuple[int, ...], places: tuple[int, ...]) -> np.ndarray:
    """Values of the data in every window, at least 1."""
    factors = []
    for axis, (length, count) in enumerate(zip(space, places, strict=True)):
        taps = np.arange(window.kernel[axis]) * window.dilations[axis] - window.pads_begin[axis]
        at = np.arange(count)[:, None] * window.strides[axis] + taps
        factors.append(np.count_nonzero((at >= 0) & (at < length), axis=1))
    return np.maximum(reduce(np.multiply.outer, factors), 1).astype(np.int64)


def draw_pool(rng: random.Random, target: str) -> Case:
    window, space, places = draw_window(rng)
    shape = (rng.randint(1, 2), rng.randint(1, 3), *space)
    function = rng.choice(["max", "mean", "mean"])
    counts = np.ones(1, np.int64)
    if function == "mean":
        counts = np.array([math.prod(window.kernel)], np.int64)
        if rng.random() < 0.6:
            counts = inner_counts(window, space, places)
    operation = PoolOperation(function, window, counts)
    normalize = rng.choice(["none", "pow2", "affine"])
    x = emission.draw_encoding(rng, emission.draw_format(rng, target), normalize, rng.randint(-1, 1))
    policy = Policy(rng.choice([x.format, emission.draw_format(rng, target)]), Format(8, 5))
    exponent = emission.fitting_exponent(rng, float(x.limit * x.step), policy.format)
    made = operation.encoding([x], policy) or emission.draw_encoding(rng, policy.format, normalize, exponent)
    kernel = operation.decide([x], made, policy)
    codes = emission.draw_codes(rng, x.format, (FRAMES, *shape))
    label = f"{function} of {window} over {shape}, {counts.size} divisors"
    return Case(label, kernel, (PlanValue(shape, x),), PlanValue((*shape[:2], *places), made), (codes,))


def draw_reduce(rng: random.Random, target: str) -> Case:
    shape = rng.choice([(1, 7), (2, 3, 4), (1, 3, 4, 5), (1, 2, 3, 2, 2)])
    axes = tuple(sorted(rng.sample(range(len(shape)), rng.randint(1, len(shape)))))
    if len(shape) == 4 and rng.random() < 0.4:
        axes = (2, 3)
    keep = rng.random() < 0.5
    count = math.prod(shape[axis] for axis in axes)
    low, high = rng.choice([(None, None), (None, None), (0.0, None), (-0.5, 1.0)])
    operation = ReduceOperation(rng.choice(FUNCTIONS), axes, keep, count, low, high)
    normalize = rng.choice(["none", "pow2", "affine"])
    x = emission.draw_encoding(rng, emission.draw_format(rng, target), normalize, rng.randint(-1, 1))
    policy = Policy(rng.choice([x.format, emission.draw_format(rng, target)]), Format(8, 5))
    reach = float(x.limit * x.step) * (1 if operation.function in ("max", "min", "mean") else count**0.5)
    exponent = emission.fitting_exponent(rng, reach * (reach if "square" in operation.function else 1), policy.format)
    made = operation.encoding([x], policy) or emission.draw_encoding(rng, policy.format, normalize, exponent)
    kernel = operation.decide([x], made, policy)
    codes = emission.draw_codes(rng, x.format, (FRAMES, *shape))
    output = tuple(1 if axis in axes else size for axis, size in enumerate(shape) if keep or axis not in axes)
    return Case(
        f"{operation.function} of {shape} over {axes}",
        kernel,
        (PlanValue(shape, x),),
        PlanValue(output, made),
        (codes,),
    )


def drawn(rng: random.Random, target: str, pools: int, reductions: int) -> list[Case]:
    cases: list[Case] = []
    for draw in [draw_pool] * pools + [draw_reduce] * reductions:
        while True:
            try:
                cases.append(draw(rng, target))
                break
            except PlanError:
                continue
    return cases


@needs_gxx
@pytest.mark.slow
@pytest.mark.parametrize("target", ["vitis", "catapult"])
def test_many_pools(target: str, tmp_path: Path) -> None:
    cases = drawn(random.Random(f"many pools {target}"), target, share(target, 14), share(target, 16))
    emission.check(cases, target, tmp_path)
