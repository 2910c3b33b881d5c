"""Widths from sensitivities: noise of layers adds up, so that bits go where they buy the most.

Quantization noise of one layer reaches the output as a power of its own, and powers of independent noises add up (the additive model that
word-length optimization has long begun with; Constantinides, Cheung and Luk, Wordlength Optimization for Linear Digital Signal Processing,
IEEE TCAD 22, 2003). With the noise that each group causes alone at every width, and what the plan then costs, the best widths for a price
of noise are found group by group, and the price goes through all decades. What comes of it are guesses, to be measured.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from fxnorm.searching.space import WIDTH, Group, Space

PRICES: Final = 48


@dataclass(frozen=True, slots=True)
class Point:
    """What a group gives at a width while all others are as wide as can be: noise over signal, and the cost of the whole plan."""

    noise: float
    cost: float


def noise_power(sqnr_db: float | None) -> float:
    """Noise over signal; None (no error at all) is 0."""
    return 0.0 if sqnr_db is None else 10.0 ** (-sqnr_db / 10.0)


def allocations(
    space: Space, sensitivities: Mapping[Group, Mapping[int, Point]], normalize: str
) -> list[dict[str, int | str]]:
    """Points of the space, from narrow to wide, each the best for some price of noise.

    Parameters
    ----------
    sensitivities
        By group and width; widths that cannot be planned are left out.
    """
    noises = [point.noise for points in sensitivities.values() for point in points.values() if point.noise > 0.0]
    costs = [point.cost for points in sensitivities.values() for point in points.values()]
    if not noises or max(costs) <= 0.0:
        return []
    low = math.log10(max(costs) / max(noises)) - 6.0
    high = math.log10(max(costs) / min(noises)) + 2.0
    found: list[dict[str, int | str]] = []
    for step in range(PRICES):
        price = 10.0 ** (low + (high - low) * step / (PRICES - 1))
        choice = space.uniform(space.widths[-1], normalize)
        for group, points in sensitivities.items():
            choice[f"{WIDTH}:{group.name}"] = _best(points, price, space.widths)
        if choice not in found:
            found.append(choice)
    return found


def _best(points: Mapping[int, Point], price: float, widths: Sequence[int]) -> int:
    if not points:
        return widths[-1]
    return min(points, key=lambda width: (points[width].cost + price * points[width].noise, width))
