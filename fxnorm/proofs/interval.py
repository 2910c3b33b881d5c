"""Interval analysis: between which ends the codes of a value lie, whatever the network's input is."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from fxnorm.fixed.format import Format

Array = np.ndarray

MOST_PLACES: Final = 1 << 22
"""A value of more places than this has one interval for all of them once its axes are mixed."""


@dataclass(frozen=True, eq=False)
class Interval:
    """Smallest and largest code at every place of a value.

    Attributes
    ----------
    shape
        Of the value, samples not counted.
    low, high
        int64 arrays of the rank of the shape that broadcast against it: an axis has length 1 where all along it share the ends.
    """

    shape: tuple[int, ...]
    low: Array
    high: Array

    @classmethod
    def of(cls, shape: tuple[int, ...], low: int, high: int) -> Interval:
        """One interval for all places."""
        ones = (1,) * len(shape)
        return cls(shape, np.full(ones, low, np.int64), np.full(ones, high, np.int64))

    @classmethod
    def of_format(cls, shape: tuple[int, ...], format_: Format) -> Interval:
        """All codes that a conversion into a format leaves."""
        return cls.of(shape, format_.lowest_code, format_.max_code)

    @classmethod
    def between(cls, shape: tuple[int, ...], low: Array, high: Array) -> Interval:
        """Interval of ends that broadcast against a shape, as compact as they allow."""
        rank = len(shape)
        if not math.prod(shape):
            return cls.of(shape, 0, 0)
        ends = [
            np.asarray(end).astype(np.int64).reshape((1,) * (rank - np.ndim(end)) + np.shape(end))
            for end in (low, high)
        ]
        for axis in range(rank):
            if all(
                end.shape[axis] > 1 and bool((end == end.take([0], axis)).all()) for end in np.broadcast_arrays(*ends)
            ):
                ends = [end.take([0], axis) for end in ends]
        return cls(shape, ends[0], ends[1])

    @property
    def hull(self) -> tuple[int, int]:
        """Smallest and largest code of all places."""
        return int(self.low.min()), int(self.high.max())

    @property
    def uniform(self) -> bool:
        """Whether all places share one interval."""
        return self.low.size == self.high.size == 1

    def along(self, axis: int) -> tuple[Array, Array]:
        """Ends for every index of one axis, over all others."""
        axis %= len(self.shape)
        others = tuple(i for i in range(len(self.shape)) if i != axis)
        size = self.shape[axis]
        return np.broadcast_to(self.low.min(axis=others), (size,)), np.broadcast_to(self.high.max(axis=others), (size,))

    def moved(self, move: Callable[[Array], Array], *fillers: int) -> Interval:
        """Interval of the value after its codes changed places.

        Parameters
        ----------
        move
            Takes and gives arrays with a samples' axis in front.
        fillers
            Codes that it puts between or around them.
        """
        # The shape, found on an array that takes no memory as long as nothing is filled in.
        shape = tuple(move(np.broadcast_to(np.zeros((), np.int64), (1, *self.shape))).shape[1:])
        if self.uniform or math.prod(self.shape) > MOST_PLACES or math.prod(shape) > MOST_PLACES:
            low, high = self.hull
            return Interval.of(shape, min(low, *fillers) if fillers else low, max(high, *fillers) if fillers else high)
        low, high = (move(np.broadcast_to(end, self.shape)[None])[0] for end in (self.low, self.high))
        return Interval.between(shape, low, high)

    def joined(self, low: int, high: int) -> Interval:
        """Interval that holds some further codes at every place."""
        return replace(self, low=np.minimum(self.low, low), high=np.maximum(self.high, high))

    def holds(self, codes: Array) -> bool:
        """Whether codes [samples, *shape] all lie in it."""
        return bool(np.all((codes >= self.low) & (codes <= self.high)))
