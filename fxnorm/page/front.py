"""The Pareto front: what nothing else beats in cost and gain at once."""

from __future__ import annotations

import math
from collections.abc import Sequence


def on_front(points: Sequence[tuple[float, float]]) -> list[bool]:
    """Say of each point whether it is on the front.

    Parameters
    ----------
    points
        Cost and gain. A point is beaten by one that costs no more and gains no less, and is better in one of the two.

    Returns
    -------
    One entry a point; equal points are both on the front or both off.
    """
    chosen = [False] * len(points)
    best = -math.inf
    order = sorted(range(len(points)), key=lambda index: (points[index][0], -points[index][1]))
    place = 0
    while place < len(order):
        cost, gain = points[order[place]]
        # Only the best of equal cost can be on the front.
        while place < len(order) and points[order[place]][0] == cost:
            index = order[place]
            chosen[index] = points[index][1] == gain and gain > best
            place += 1
        best = max(best, gain)
    return chosen
