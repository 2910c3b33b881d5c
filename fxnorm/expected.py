"""Samples with what FP32 makes of them: read and computed once, kept for the next plan as far as memory allows."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Final

import numpy as np

from fxnorm.graph.graph import Graph

if TYPE_CHECKING:
    from fxnorm.data import Data
    from fxnorm.graph.reference import Reference

Array = np.ndarray
Arrays = Mapping[str, Array]

MOST_BYTES: Final = 1 << 30
"""Of FP32 values that are kept, at most."""


@dataclass
class Room:
    """Bytes that may still be kept."""

    left: int

    @classmethod
    def spare(cls) -> Room:
        """A quarter of the machine's memory, a gigabyte at most."""
        return cls(min(MOST_BYTES, os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 4))


@dataclass(frozen=True)
class Chunk:
    """Some samples.

    Attributes
    ----------
    number
        Place among the chunks.
    first
        Number of its first sample.
    samples
        As they are measured, by input; the samples on the first axis.
    expected
        FP32 values by name, likewise.
    """

    number: int
    first: int
    samples: Arrays
    expected: Arrays

    @property
    def count(self) -> int:
        """How many samples there are."""
        return len(next(iter(self.samples.values())))


class Expected:
    """Chunks of samples, each with the FP32 values that plans are compared with.

    Any number of threads may iterate at once; a chunk that is kept is computed by the first one to need it. Chunks beyond the
    memory are computed by everyone anew, so that memory does not grow with the number of samples.

    Parameters
    ----------
    graph, data
        The model and its samples.
    values
        Names of the FP32 values.
    size
        Samples in a chunk. The last bits of FP32 may depend on it: results are only the same for the same size.
    prepare
        What is done to samples before the model gets them.
    room
        Memory for what is kept, which others may share; none keeps nothing.
    """

    def __init__(
        self,
        graph: Graph,
        data: Data,
        values: Sequence[str],
        size: int,
        prepare: Callable[[Arrays], dict[str, Array]],
        *,
        room: Room | None = None,
    ) -> None:
        self.data = data
        self._graph, self._values, self._size, self._prepare = graph, tuple(values), size, prepare
        self._reference: Reference | None = None
        self._kept: list[Chunk] = []
        self._room = room or Room(0)
        self._source = self._numbered()
        self._complete = False
        self._lock = threading.Lock()

    def __iter__(self) -> Iterator[Chunk]:
        """All chunks in their order."""
        index = 0
        while index < len(self._kept) or self._another(index):
            yield self._kept[index]
            index += 1
        if not self._complete:
            for number, first, samples in islice(self._numbered(), index, None):
                yield self._computed(number, first, samples)

    def some(self, numbers: Collection[int]) -> Iterator[Chunk]:
        """Chunks of these numbers, in their order; others are read, but not computed, and nothing is kept."""
        for number, first, samples in self._numbered():
            if number in numbers:
                yield self._computed(number, first, samples)

    def count(self) -> int:
        """How many chunks there are; the samples are read for it."""
        return sum(1 for _ in self._numbered())

    def _numbered(self) -> Iterator[tuple[int, int, Arrays]]:
        """Number, number of the first sample, and samples of every chunk."""
        first = 0
        for number, samples in enumerate(self.data.chunks(self._size)):
            yield number, first, samples
            first += len(next(iter(samples.values())))

    def _another(self, index: int) -> bool:
        """Whether there is one more chunk that is kept; the first to ask computes it."""
        with self._lock:
            if index < len(self._kept):
                return True
            if self._complete or self._room.left <= 0:
                return False
            found = next(self._source, None)
            if found is None:
                self._complete = True
                return False
            chunk = self._computed(*found)
            # The inputs among the values are the samples themselves where nothing prepares them.
            arrays = {id(array): array.nbytes for array in (*chunk.samples.values(), *chunk.expected.values())}
            self._room.left -= sum(arrays.values())
            self._kept.append(chunk)
            return True

    def _computed(self, number: int, first: int, samples: Arrays) -> Chunk:
        from fxnorm.graph.reference import Reference

        if self._reference is None:
            self._reference = Reference(self._graph, self._values)
        return Chunk(number, first, samples, self._reference.run(self._prepare(samples)))
