"""Ranges that the FP32 model's values have on data."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from fxnorm.errors import PlanError
from fxnorm.graph.graph import Graph

Array = np.ndarray


@dataclass(frozen=True)
class Ranges:
    """Smallest and largest number of every value.

    Attributes
    ----------
    low, high
        By value name.
    samples
        How many samples were seen.
    model_sha256
        Whose values they are.
    data, data_sha256
        Where the samples came from, in words, and their digest.
    """

    low: Mapping[str, float]
    high: Mapping[str, float]
    samples: int
    model_sha256: str
    data: str
    data_sha256: str

    def of(self, name: str) -> tuple[float, float]:
        """Range of a value."""
        if name not in self.low:
            raise PlanError(f"calibration: no range of {name} was taken; calibrate with the model that is planned")
        return self.low[name], self.high[name]


def observe(
    graph: Graph,
    chunks: Iterable[Mapping[str, Array]],
    *,
    data: str,
    data_sha256: str,
    progress: Callable[[int], None] | None = None,
) -> Ranges:
    """Run the FP32 reference and keep the minimum and maximum of every floating-point value.

    Parameters
    ----------
    chunks
        Inputs by name, shape [samples, *shape].
    progress
        Called with the number of samples of each finished chunk.
    """
    from fxnorm.graph.reference import Reference

    names = [name for name in graph.values if name not in graph.constants and graph.values[name].dtype.kind == "f"]
    reference = Reference(graph, names)
    low = dict.fromkeys(names, np.inf)
    high = dict.fromkeys(names, -np.inf)
    samples = 0
    for chunk in chunks:
        count = len(next(iter(chunk.values())))
        for name, array in reference.run(chunk).items():
            if array.size:
                low[name] = min(low[name], float(array.min()))
                high[name] = max(high[name], float(array.max()))
        samples += count
        if progress is not None:
            progress(count)
    empty = [name for name in names if low[name] > high[name]]
    for name in empty:
        low[name] = high[name] = 0.0
    return Ranges(low, high, samples, graph.sha256, data, data_sha256)
