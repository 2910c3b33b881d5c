"""Loops that copy elements from place to place: nests with constant strides where the places have them, tables where they do not."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fxnorm.hls.expressions import Loop, polynomial

Array = np.ndarray


@dataclass(frozen=True, slots=True)
class Nest:
    """Loops, outermost first, and what every one adds to two places.

    Attributes
    ----------
    counts, source_strides, target_strides
        One entry a loop.
    source, target
        Places of the first element.
    """

    counts: tuple[int, ...]
    source_strides: tuple[int, ...]
    target_strides: tuple[int, ...]
    source: int
    target: int

    def loops(self, label: str) -> list[Loop]:
        """For the templates."""
        return [(f"{label}{place}", f"i{place}", count) for place, count in enumerate(self.counts)]

    def source_place(self) -> str:
        """C++ expression of the place that is read."""
        return _place(self.source, self.source_strides)

    def target_place(self) -> str:
        """C++ expression of the place that is written."""
        return _place(self.target, self.target_strides)


def _place(base: int, strides: tuple[int, ...]) -> str:
    text = polynomial(*((f"i{place}", stride) for place, stride in enumerate(strides) if stride))
    if text == "0":
        return str(base)
    return f"{base} + {text}" if base else text


MOST_LOOPS = 8
"""More loops than this are no pattern that anyone would recognize."""


def find_nest(source: Array, target: Array) -> Nest | None:
    """Loops that visit pairs of places in order; None where they have no constant strides.

    Parameters
    ----------
    source, target
        Places, one pair an element, in the order in which they are copied; at least one.
    """
    pairs = np.stack([np.asarray(source, np.int64), np.asarray(target, np.int64)], axis=1)
    first = pairs[0]
    counts: list[int] = []
    strides: list[Array] = []
    while len(pairs) > 1:
        step = pairs[1] - pairs[0]
        breaks = np.flatnonzero((np.diff(pairs, axis=0) != step).any(axis=1))
        run = int(breaks[0]) + 1 if len(breaks) else len(pairs)
        if len(pairs) % run or len(counts) == MOST_LOOPS:
            return None
        blocks = pairs.reshape(-1, run, 2)
        if ((blocks - blocks[:, :1]) != np.arange(run)[None, :, None] * step).any():
            return None
        counts.append(run)
        strides.append(step)
        pairs = blocks[:, 0]
    order = range(len(counts) - 1, -1, -1)
    return Nest(
        tuple(counts[place] for place in order),
        tuple(int(strides[place][0]) for place in order),
        tuple(int(strides[place][1]) for place in order),
        int(first[0]),
        int(first[1]),
    )
