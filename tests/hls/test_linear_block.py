"""Emitted dense layers and convolutions compute what `Linear.run` does, on both targets, in every mode, frame after frame."""

from __future__ import annotations

import random
from pathlib import Path

import emission
import numpy as np
import pytest
from emission import Case, needs_gxx

from fxnorm.errors import PlanError
from fxnorm.fixed.format import Format, Overflow, Rounding
from fxnorm.hls.choices import Choices
from fxnorm.kernels.kernel import Policy
from fxnorm.kernels.linear import LinearOperation, Window
from fxnorm.planning.plan import PlanValue

FRAMES = 4


def draw_window(rng: random.Random, space: tuple[int, ...]) -> Window:
    """A window that fits into a space at least once."""
    kernel, strides, dilations, begin, end = [], [], [], [], []
    for size in space:
        before, after = rng.choice([0, 0, 1, 2]), rng.choice([0, 0, 1, 2])
        taps = rng.randint(1, 3)
        dilation = rng.choice([1, 1, 2])
        while (taps - 1) * dilation + 1 > size + before + after:
            taps -= 1
        kernel.append(taps)
        dilations.append(dilation)
        strides.append(rng.choice([1, 1, 2, 3]))
        begin.append(before)
        end.append(after)
    return Window(tuple(kernel), tuple(strides), tuple(dilations), tuple(begin), tuple(end))


def draw_policy(rng: random.Random, target: str, data: Format, output: Format, taps: int) -> Policy:
    weight = Format(rng.randint(2, 9), rng.randint(0, 4), True, Rounding.RND_CONV, Overflow.SAT)
    accumulator = product = None
    if rng.random() < 0.45:
        wide = data.width + weight.width + taps.bit_length()
        fraction = data.fraction_bits + weight.fraction_bits + rng.choice([0, 0, -2, 1])
        width = max(2, wide - rng.randint(0, 6))
        modes = emission.draw_format(rng, target)
        accumulator = Format(width, width - fraction, rng.random() < 0.85, modes.rounding, modes.overflow)
    if rng.random() < 0.25:
        drawn = emission.draw_format(rng, target, (3, 14))
        fraction = data.fraction_bits + weight.fraction_bits - rng.randint(-1, 4)
        product = Format(drawn.width, drawn.width - fraction, drawn.signed, drawn.rounding, drawn.overflow)
    normalize = rng.choice(["none", "pow2", "affine", "affine"])
    return Policy(
        output, weight, accumulator, product, normalize, multiplier=rng.choice(["channel", "channel", "tensor"])
    )


def draw_case(rng: random.Random, target: str, kind: str) -> Case:
    while True:
        try:
            return try_case(rng, target, kind)
        except PlanError:  # widths that no path holds: refused when the plan is made
            continue


def try_case(rng: random.Random, target: str, kind: str) -> Case:
    wide = rng.random() < 0.08
    data = emission.draw_format(rng, target, (24, 32) if wide else (2, 10))
    output = emission.draw_format(rng, target, (16, 32) if wide else (2, 10))
    if kind == "dense":
        channels, outputs, groups = rng.randint(1, 9), rng.randint(1, 7), 1
        lead = rng.choice([(), (1,), (3,), (2, 2)])
        shape, made = (*lead, channels), (*lead, outputs)
        window, weight_shape = None, (outputs, channels)
    else:
        rank = {"conv1d": 1, "conv2d": 2, "conv3d": 3}[kind]
        groups = rng.choice([1, 1, 2, 3])
        channels, outputs = groups * rng.randint(1, 3), groups * rng.randint(1, 3)
        space = tuple(rng.randint(1, 6 if rank < 3 else 4) for _ in range(rank))
        window = draw_window(rng, space)
        batch = rng.choice([1, 1, 2])
        shape = (batch, channels, *space)
        weight_shape = (outputs, channels // groups, *window.kernel)
        made = ()
    taps = int(np.prod(weight_shape[1:]))
    policy = draw_policy(rng, target, data, output, taps)
    numbers = np.random.default_rng(rng.randrange(1 << 32))
    weights = numbers.normal(size=weight_shape) * 2.0 ** rng.randint(-3, 2)
    weights *= 2.0 ** numbers.integers(-3, 3, (weight_shape[0], *(1,) * (weights.ndim - 1)))
    bias = numbers.normal(size=outputs) * rng.choice([0.0, 1.0, 8.0])
    low, high = rng.choice([(None, None), (0.0, None), (0.0, 6.0), (-1.0, 1.0)])
    if rng.random() < 0.1:
        weights[...] = 0.0
    encoding = emission.draw_encoding(rng, data, policy.normalize, rng.randint(-2, 2))
    reach = (
        float(encoding.limit * encoding.step) * float(np.abs(weights).sum(axis=tuple(range(1, weights.ndim))).max()) / 2
    )
    target_encoding = emission.draw_encoding(
        rng, output, policy.normalize, emission.fitting_exponent(rng, reach, output)
    )
    kernel = LinearOperation(weights, bias, window, groups, low, high).decide([encoding], target_encoding, policy)
    codes = emission.draw_codes(rng, data, (FRAMES, *shape))
    if window is not None:
        from fxnorm.kernels.stage import Tally

        made = kernel.run([codes[:1]], Tally()).shape[1:]
    label = f"{kind} {list(shape)} → {list(made)}, {kernel.accumulator}, {policy}"
    return Case(label, kernel, (PlanValue(shape, encoding),), PlanValue(tuple(made), target_encoding), (codes,))


KINDS = ("dense", "conv1d", "conv2d", "conv3d", "conv2d", "dense")


@needs_gxx
@pytest.mark.slow
@pytest.mark.parametrize(("target", "io"), [("vitis", "stream"), ("catapult", "stream"), ("catapult", "parallel")])
def test_many_linear_layers(target: str, io: str, tmp_path: Path) -> None:
    rng = random.Random(f"many linear {target} {io}")
    cases = [draw_case(rng, target, KINDS[number % len(KINDS)]) for number in range(20 if io == "stream" else 12)]
    assert sum(np.ndim(case.kernel.stage.multiplier) > 0 for case in cases) >= 2
    parallelism = ["1", "l*[147]_linear=3", "l*[258]_linear=6", "l*0_linear=full"]
    emission.check(
        cases,
        target,
        tmp_path,
        choices=Choices.make(target, io=io, parallelism=parallelism, weights=["l*[37]_linear=port"]),
    )
