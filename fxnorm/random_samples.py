"""Seeded random samples for a model without data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from fxnorm.graph.graph import Graph, Value

INTEGERS: Final = 128
"""Integer inputs are below this number."""


@dataclass(frozen=True)
class RandomSamples:
    """Random samples, each determined by the seed and its own number.

    Attributes
    ----------
    values
        The model's inputs.
    limits
        Integer inputs are below these numbers.
    samples
        Number of samples.
    seed
        Any integer.
    """

    values: tuple[Value, ...]
    limits: Mapping[str, int]
    samples: int
    seed: int

    def chunks(self, size: int) -> Iterator[dict[str, np.ndarray]]:
        """See `Data.chunks`."""
        for start in range(0, self.samples, size):
            indices = range(start, min(start + size, self.samples))
            yield {
                value.name: np.stack([self._sample(number, value, index) for index in indices])
                for number, value in enumerate(self.values)
            }

    def _sample(self, number: int, value: Value, index: int) -> np.ndarray:
        generator = np.random.default_rng((abs(self.seed), int(self.seed < 0), number, index))
        if value.dtype.kind in "iu":
            return generator.integers(0, self.limits[value.name], value.shape).astype(value.dtype)
        if value.dtype.kind == "b":
            return generator.integers(0, 2, value.shape).astype(np.bool_)
        return (generator.random(value.shape, dtype=np.float32) * np.float32(2) - np.float32(1)).astype(value.dtype)


def index_limit(graph: Graph, name: str) -> int:
    """Find how many integers an input may take: the entries of the smallest table that it looks up, at most 128."""
    value = graph.values[name]
    limit, pending, seen = INTEGERS, [name], {name}
    while pending:
        current = pending.pop()
        for node in graph.consumers.get(current, ()):
            if node.op == "Gather" and node.inputs[1] == current:
                axis = node.attributes.get("axis", 0)
                limit = min(limit, graph.shape(node.inputs[0])[axis] if isinstance(axis, int) else limit)
            elif node.op in ("Cast", "Flatten", "Identity", "Reshape", "Squeeze", "Transpose", "Unsqueeze"):
                pending.extend(output for output in node.outputs if output not in seen)
                seen.update(node.outputs)
    return min(limit, 1 << (8 * value.dtype.itemsize - (value.dtype.kind == "i")))
