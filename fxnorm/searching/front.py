"""Which points no other one beats, and which of them is the cheapest that meets the gate."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


def beats(a: Sequence[float], b: Sequence[float]) -> bool:
    """Whether `a` is nowhere larger than `b`, and smaller somewhere."""
    return all(x <= y for x, y in zip(a, b, strict=True)) and any(x < y for x, y in zip(a, b, strict=True))


def pareto_front(points: Sequence[tuple[T, tuple[float, ...]]]) -> list[T]:
    """Those that no other one beats, in the order of their numbers (all of them the less the better); of equal ones the first."""
    kept: list[tuple[T, tuple[float, ...]]] = []
    for thing, numbers in points:
        if any(beats(other, numbers) or other == numbers for _, other in kept):
            continue
        kept = [(own, other) for own, other in kept if not beats(numbers, other)]
        kept.append((thing, numbers))
    return [thing for thing, _ in sorted(kept, key=lambda entry: entry[1])]
