"""Emitted movements, concatenations and look-ups put every code where `Kernel.run` puts it."""

from __future__ import annotations

import math
import random
from pathlib import Path

import emission
import numpy as np
import pytest
from emission import Case, needs_gxx, share

from fxnorm.errors import PlanError
from fxnorm.fixed.format import Format
from fxnorm.hls.strides import find_nest
from fxnorm.kernels import movement
from fxnorm.kernels.encoding import Encoding
from fxnorm.kernels.kernel import Policy
from fxnorm.kernels.stage import Tally
from fxnorm.planning.plan import PlanValue

Array = np.ndarray
FRAMES = 3
SHAPES = ((1, 6), (2, 3, 4), (1, 3, 4, 5), (1, 2, 3, 2, 2), (7,))


def draw_move(rng: random.Random, shape: tuple[int, ...], kinds: str = "rtsxpzb") -> movement.Move | movement.PadValue:
    axis = rng.randrange(len(shape))
    length = shape[axis]
    match rng.choice(kinds):
        case "r":
            total = math.prod(shape)
            divisor = rng.choice([d for d in range(1, total + 1) if total % d == 0])
            return movement.Reshape(rng.choice([(total,), (divisor, total // divisor), (1, divisor, total // divisor)]))
        case "t":
            return movement.Transpose(tuple(rng.sample(range(len(shape)), len(shape))))
        case "s":
            step = rng.choice([1, 2, -1, -2])
            start = rng.randrange(length)
            room = (length - 1 - start) // step if step > 0 else start // -step
            return movement.Slice(axis, start, step, rng.randint(1, room + 1))
        case "x":
            form = rng.choice([(1,), (3,), (2, 2)])
            return movement.Take(axis, np.random.default_rng(rng.randrange(99)).integers(0, length, form))
        case "p":
            widths = tuple((rng.randint(0, 2), rng.randint(0, 2)) for _ in shape)
            return movement.PadValue(widths, rng.choice([0.0, 0.0, 1.5, -3.0]))
        case "z":
            return movement.Spread(tuple(rng.randint(1, 3) for _ in shape))
        case _:
            return movement.Broadcast(tuple(n if n > 1 else rng.randint(1, 3) for n in shape))


def applied(shape: tuple[int, ...], move: movement.Move | movement.PadValue) -> tuple[int, ...]:
    real = movement.Pad(move.widths, 0) if isinstance(move, movement.PadValue) else move
    return tuple(real.apply(np.zeros((1, *shape), np.int64)).shape[1:])


def draw_movement(rng: random.Random, target: str) -> Case:
    shape = first = rng.choice(SHAPES)
    moves = []
    for _ in range(rng.randint(1, 3)):
        move = draw_move(rng, shape)
        moves.append(move)
        shape = applied(shape, move)
        if math.prod(shape) > 400:
            return draw_movement(rng, target)
    operation = movement.MoveOperation(tuple(moves))
    x = emission.draw_encoding(rng, emission.draw_format(rng, target, (3, 12)), rng.choice(["none", "pow2", "affine"]))
    policy = Policy(rng.choice([x.format, emission.draw_format(rng, target, (2, 12))]), Format(8, 5))
    made = operation.encoding([x], policy)
    if made is None:
        kind = "pow2" if operation.reads(0) else rng.choice(["pow2", "affine"])
        made = emission.draw_encoding(rng, policy.format, kind, rng.randint(-2, 2))
    if any(isinstance(move, movement.Spread) for move in moves):
        x = Encoding(x.format, x.exponent) if made != x else x
    if operation.encoding([x], policy) not in (None, made):
        return draw_movement(rng, target)
    kernel = operation.decide([x], made, policy)
    codes = emission.draw_codes(rng, x.format, (FRAMES, *first))
    label = f"{moves} of {first}, {'codes stay' if kernel.stage is None else 'changed'}"
    return Case(label, kernel, (PlanValue(first, x),), PlanValue(shape, made), (codes,))


def draw_concat(rng: random.Random, target: str) -> Case:
    shape = rng.choice(SHAPES)
    axis = rng.randrange(len(shape))
    numbers = np.random.default_rng(rng.randrange(1 << 32))
    parts = [(*shape[:axis], rng.randint(1, 4), *shape[axis + 1 :]) for _ in range(rng.randint(2, 3))]
    constant = rng.choice([None, None, 1])
    operands = tuple(numbers.normal(size=part) if place == constant else None for place, part in enumerate(parts))
    given = [part for part, operand in zip(parts, operands, strict=True) if operand is None]
    normalize = rng.choice(["pow2", "affine"])
    inputs = [
        emission.draw_encoding(rng, emission.draw_format(rng, target), normalize, rng.randint(-1, 1)) for _ in given
    ]
    if rng.random() < 0.3:
        inputs = [inputs[0]] * len(inputs)
    operation = movement.ConcatOperation(axis, operands)
    policy = Policy(rng.choice([inputs[0].format, emission.draw_format(rng, target)]), Format(8, 5))
    made = operation.encoding(inputs, policy) or emission.draw_encoding(
        rng, policy.format, normalize, rng.randint(-1, 1)
    )
    kernel = operation.decide(inputs, made, policy)
    length = sum(part[axis] for part in parts)
    whole = (*shape[:axis], length, *shape[axis + 1 :])
    values = tuple(PlanValue(part, own) for part, own in zip(given, inputs, strict=True))
    codes = tuple(
        emission.draw_codes(rng, own.format, (FRAMES, *part)) for part, own in zip(given, inputs, strict=True)
    )
    return Case(f"concatenation of {parts} along {axis}", kernel, values, PlanValue(whole, made), codes)


def draw_lookup(rng: random.Random, target: str) -> Case:
    numbers = np.random.default_rng(rng.randrange(1 << 32))
    table = numbers.normal(size=rng.choice([(5,), (4, 3), (2, 6, 3)]))
    axis = rng.randrange(table.ndim)
    length = table.shape[axis]
    form = rng.choice([(1, 4), (3,), ()])
    operation = movement.LookupOperation(table, axis)
    x = Encoding(Format(rng.choice([8, 32]), 8))
    policy = Policy(emission.draw_format(rng, target, (4, 16)), Format(8, 5))
    made = operation.encoding([x], policy)
    assert made is not None
    kernel = operation.decide([x], made, policy)
    codes = numbers.integers(-length, length, (FRAMES, *form))
    shape = kernel.run([codes], Tally()).shape[1:]
    return Case(
        f"look-up in {table.shape} along {axis}", kernel, (PlanValue(form, x),), PlanValue(shape, made), (codes,)
    )


def draw(rng: random.Random, target: str, count: int) -> list[Case]:
    cases = []
    for drawn in [draw_movement] * (2 * count) + [draw_concat] * count + [draw_lookup] * count:
        while True:
            try:
                cases.append(drawn(rng, target))
                break
            except PlanError:
                continue
    return cases


@needs_gxx
@pytest.mark.slow
@pytest.mark.parametrize("target", ["vitis", "catapult"])
def test_many_movements(target: str, tmp_path: Path) -> None:
    emission.check(draw(random.Random(f"many movements {target}"), target, share(target, 12)), target, tmp_path)


@pytest.mark.parametrize("seed", range(200))
def test_nests_visit_the_places_they_were_found_from(seed: int) -> None:
    numbers = np.random.default_rng(seed)
    rank = int(numbers.integers(1, 5))
    counts = numbers.integers(1, 5, rank)
    grid = np.indices(counts).reshape(rank, -1)
    source = numbers.integers(-7, 8, rank) @ grid + 50
    target = numbers.integers(0, 9, rank) @ grid + 3
    if numbers.random() < 0.3:
        source[-1] += 1
    nest = find_nest(source, target)
    if nest is None:
        return
    loops = np.indices(nest.counts).reshape(len(nest.counts), -1) if nest.counts else np.zeros((0, 1), np.int64)
    np.testing.assert_array_equal(nest.source + np.array(nest.source_strides, np.int64) @ loops, source)
    np.testing.assert_array_equal(nest.target + np.array(nest.target_strides, np.int64) @ loops, target)


def test_a_transposition_is_three_loops() -> None:
    places = np.arange(24).reshape(2, 3, 4).transpose(2, 1, 0).reshape(-1)
    nest = find_nest(places, np.arange(24))
    assert nest is not None
    assert nest.counts == (4, 3, 2)
    assert nest.source_strides == (1, 4, 12)


def test_places_without_a_pattern_have_no_nest() -> None:
    assert find_nest(np.array([3, 1, 4, 1, 5]), np.arange(5)) is None
