"""Emitted normalizations are those of `run`: any groups, algorithms and stages, scales and biases, both targets, every counter."""

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
from fxnorm.kernels.kernel import NormPolicy, Policy
from fxnorm.kernels.norm import FORMS, Norm, NormOperation
from fxnorm.kernels.norm_staged import StagedMoments
from fxnorm.kernels.norm_statistic import NormInverseDeviationOperation, NormMeanOperation
from fxnorm.kernels.stage import Tally
from fxnorm.planning.plan import PlanValue

Array = np.ndarray
Shape = tuple[int, ...]

FRAMES = 4
EXACT = NormPolicy()
EPSILONS = (0.0, 1e-12, float(np.float32(1e-5)), 0.37, 900.0)
ROWS: tuple[tuple[Shape, Shape, Shape], ...] = (
    ((1, 6), (6,), (0,)),
    ((2, 3, 5), (5,), (0,)),
    ((2, 3, 5), (3, 5), (1,)),
    ((7,), (7,), (0,)),
    ((1, 70), (70,), (0,)),
    ((2, 4, 3, 2), (4, 3, 2), (0,)),
    ((3, 4, 2), (4, 2), (0,)),
)
"""Shape, layout and axes of groups that are rows of an axis."""
FRAMED: tuple[tuple[Shape, Shape, Shape], ...] = (
    ((1, 4, 3, 2), (4, 6), (1,)),
    ((1, 4, 3, 2), (2, 2, 6), (1, 2)),
    ((2, 3, 5), (3, 5), (0, 1)),
    ((2, 3, 2, 2), (2, 3, 2, 2), (0, 2, 3)),
    ((2, 3, 2, 3), (3, 2, 3), (0, 2)),
    ((1, 4), (4, 1), (1,)),
)
"""The same of groups that lie scattered in a frame, or are of one value."""


def draw_groups(rng: random.Random, format_: Format, shape: Shape, layout: Shape, axes: Shape) -> Array:
    """Codes whose groups are of all kinds: any, equal ones, one outlier, all near an end, both ends, zeros."""
    codes = emission.draw_codes(rng, format_, (FRAMES, *shape)).reshape(-1, *layout)
    moved = np.moveaxis(codes, [axis + 1 for axis in axes], range(-len(axes), 0))
    low, high = format_.lowest_code, format_.max_code
    for index in np.ndindex(moved.shape[: -len(axes)]):
        group = moved[index]
        match rng.randrange(8):
            case 0:
                group[...] = group.flat[0]
            case 1:
                group[...] = rng.choice([0, low])
                group[tuple(rng.randrange(n) for n in group.shape)] = high
            case 2:
                group[...] = np.maximum(high - group % 3, low)
            case 3:
                group[...] = np.where(group % 2, low, high)
            case 4:
                group[...] = 0
    return codes.reshape(FRAMES, *shape)


def draw_stages(rng: random.Random) -> NormPolicy:
    """An inexact algorithm, some of its stages with formats of their own, up to far beyond 64 bits."""

    def stage() -> Format | None:
        if rng.random() < 0.5:
            return None
        width = rng.choice([rng.randint(2, 12), rng.randint(2, 44), rng.randint(60, 80)])
        rounding, overflow = rng.choice(list(Rounding)), rng.choice(list(Overflow))
        return Format(width, rng.randint(-3, width + 2), rng.random() < 0.5, rounding, overflow)

    return NormPolicy(rng.choice(["two_pass", "one_pass"]), stage(), stage(), stage(), stage())


class Operands:
    """A scale and a bias: not there, constant, or an input, each spread over the layout in its own way."""

    def __init__(self, rng: random.Random, layout: Shape, target: str, kinds: tuple[str, ...]) -> None:
        self.constants: list[Array | None] = []
        self.shapes: list[Shape | None] = []
        self.encodings: list[Encoding] = []
        self.reach = 1.0
        numbers = np.random.default_rng(rng.randrange(1 << 32))
        for _ in range(2):
            shape = tuple(size if rng.random() < 0.6 else 1 for size in layout)
            kind = rng.choice(kinds)
            values = numbers.normal(size=shape) * 2.0 ** numbers.integers(-3, 3, shape)
            self.constants.append(values if kind == "constant" else None)
            self.shapes.append((1, *shape) if kind == "input" else None)
            if kind == "input":
                self.encodings.append(Encoding(emission.draw_format(rng, target, (2, 10)), rng.randint(-2, 1)))
                self.reach = max(self.reach, float(self.encodings[-1].limit * self.encodings[-1].step))
            elif kind == "constant":
                self.reach = max(self.reach, float(np.abs(values).max()))


def try_case(rng: random.Random, target: str, *, staged: bool, framed: bool, widths: tuple[int, int]) -> Case:
    shape, layout, axes = rng.choice(FRAMED if framed else ROWS)
    form = rng.choice(FORMS[:3] if staged else (FORMS[0], *FORMS))
    own = Operands(rng, layout, target, ("none", "constant", "input") if framed else ("none", "constant"))
    low, high = rng.choice([(None, None), (None, None), (0.0, None), (-0.5, 0.75)])
    operation = NormOperation(
        layout,
        axes,
        form,
        rng.choice(EPSILONS),
        own.constants[0],
        own.shapes[0],
        own.constants[1],
        own.shapes[1],
        low=low,
        high=high,
    )
    output = emission.draw_format(rng, target, widths)
    exponent = emission.fitting_exponent(rng, own.reach * (2.0 if form in FORMS[:2] else 0.5), output)
    affine = rng.random() < 0.5
    x = emission.draw_encoding(rng, emission.draw_format(rng, target, widths), "none", rng.randint(-3, 3))
    if affine and form == "variance":
        x = emission.draw_encoding(rng, x.format, "affine", x.exponent)
    y = emission.draw_encoding(rng, output, "affine" if affine and operation.writes_any else "pow2", exponent)
    weight = Format(rng.randint(3, 12), rng.randint(0, 4), True, Rounding.RND_CONV, Overflow.SAT)
    policy = Policy(output, weight, norm=draw_stages(rng) if staged else EXACT)
    kernel = operation.decide([x, *own.encodings], y, policy)
    inputs = [PlanValue(shape, x)]
    codes = [draw_groups(rng, x.format, shape, layout, axes)]
    for given, encoding in zip([s for s in own.shapes if s is not None], own.encodings, strict=True):
        inputs.append(PlanValue(given[1:], encoding))
        codes.append(emission.draw_codes(rng, encoding.format, (FRAMES, *given[1:])))
    label = f"{form} of {shape} as {layout} over {axes}, {x} to {y}, {policy.norm}"
    return Case(label, kernel, tuple(inputs), PlanValue(shape, y), tuple(codes))


def try_statistic(rng: random.Random, target: str, *, staged: bool, framed: bool, widths: tuple[int, int]) -> Case:
    """A mean (in stages, for the exact one is a reduction) or an inverse deviation; where there is no ε, 1 / 0 too."""
    shape, layout, axes = rng.choice(FRAMED if framed else ROWS)
    rows = int(np.prod(shape)) // int(np.prod(layout))
    kept = tuple(1 if axis in axes else size for axis, size in enumerate(layout))
    plain = shape[len(shape) - len(layout) :] == layout
    result = (*shape[: len(shape) - len(layout)], *kept) if plain else (rows, *kept)
    operation = NormOperation(layout, axes, "variance", rng.choice(EPSILONS))
    x = Encoding(emission.draw_format(rng, target, widths), rng.randint(-3, 3))
    y = Encoding(emission.draw_format(rng, target, widths), rng.randint(-4, 6))
    policy = Policy(y.format, Format(8, 4), norm=draw_stages(rng) if staged else EXACT)
    if staged and rng.random() < 0.5:
        kernel = NormMeanOperation(operation, (), result).decide([x], y, policy)
    else:
        kernel = NormInverseDeviationOperation(operation, result).decide([x], y, policy)
    codes = draw_groups(rng, x.format, shape, layout, axes)
    label = f"{type(kernel).__name__} of {shape} as {layout} over {axes}, {x} to {y}, {policy.norm}"
    return Case(label, kernel, (PlanValue(shape, x),), PlanValue(result, y), (codes,))


def drawn(
    rng: random.Random,
    target: str,
    kinds: list[tuple[bool, bool]],
    widths: tuple[int, int] = (2, 12),
    statistics: bool = False,
) -> list[Case]:
    """One case a kind: staged or not, framed or not."""
    cases: list[Case] = []
    while len(cases) < len(kinds):
        staged, framed = kinds[len(cases)]
        try:
            draw = try_statistic if statistics else try_case
            cases.append(draw(rng, target, staged=staged, framed=framed, widths=widths))
        except PlanError:
            continue
    return cases


def coarse_cases() -> list[Case]:
    """Means with fewer fraction bits than the data, of groups that lie far from 0: variances below 0 in one pass, none in two."""
    shape, x = (3, 8), Encoding(Format(8, 5))
    codes = 96 + np.random.default_rng(1).integers(0, 16, (FRAMES, *shape))
    wide = Format(16, 10, False, Rounding.RND, Overflow.SAT)
    cases = []
    for algorithm in ("one_pass", "two_pass"):
        policy = Policy(x.format, x.format, norm=NormPolicy(algorithm, Format(6, 5), variance=wide))
        kernel = NormOperation((8,), (0,), "variance", EPSILONS[2]).decide([x], x, policy)
        assert isinstance(kernel, Norm)
        assert isinstance(kernel.moments, StagedMoments)
        assert kernel.moments.shifts == (0, 2)
        tally = Tally()
        kernel.run([codes], tally)
        assert (tally.stages.get("negative variance", 0) > 0) is (algorithm == "one_pass")
        value = PlanValue(shape, x)
        cases.append(Case(f"coarse means, {algorithm}", kernel, (value,), value, (codes,)))
    return cases


SOME = [(False, False), (False, True), (True, False), (True, True)]


@needs_gxx
@pytest.mark.slow
@pytest.mark.parametrize("target", ["vitis", "catapult"])
def test_many_normalizations(target: str, tmp_path: Path) -> None:
    cases = drawn(random.Random(f"many norms {target}"), target, SOME * share(target, 4))
    emission.check([*cases, *coarse_cases()], target, tmp_path)


@needs_gxx
@pytest.mark.slow
@pytest.mark.parametrize("target", ["vitis", "catapult"])
def test_wide_normalizations(target: str, tmp_path: Path) -> None:
    """Sums of squares, radicands and products beyond 64 bits."""
    emission.check(
        drawn(random.Random(f"wide norms {target}"), target, SOME * share(target, 2), (20, 32)), target, tmp_path
    )


@needs_gxx
@pytest.mark.slow
@pytest.mark.parametrize("target", ["vitis", "catapult"])
def test_means_and_inverse_deviations(target: str, tmp_path: Path) -> None:
    rng = random.Random(f"statistics {target}")
    cases = [
        *drawn(rng, target, SOME * share(target, 4), statistics=True),
        *drawn(rng, target, SOME, (20, 32), statistics=True),
    ]
    emission.check(cases, target, tmp_path)
