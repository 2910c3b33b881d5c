"""One pass of the FP32 model over data: minimum, maximum and, where asked for, the distribution of every value."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import numpy as np

from fxnorm.calibration.histogram import HistogramCounter
from fxnorm.calibration.ranges import Ranges
from fxnorm.graph.graph import Graph

Array = np.ndarray


def observe(
    graph: Graph,
    chunks: Iterable[Mapping[str, Array]],
    *,
    data: str,
    data_sha256: str,
    histograms: bool = False,
    progress: Callable[[int], None] | None = None,
) -> Ranges:
    """Run the FP32 reference and keep the minimum and maximum of every floating-point value; memory does not grow with samples.

    Logarithms of what a mask hides do not count: they are no numbers that a format should hold.

    Parameters
    ----------
    chunks
        Inputs by name, shape [samples, *shape].
    histograms
        Whether distributions are kept too, which every method but minmax needs.
    progress
        Called with the number of samples of each finished chunk.
    """
    from fxnorm.graph.reference import Reference
    from fxnorm.lowering.hidden import visible_logarithms

    names = [name for name in graph.values if name not in graph.constants and graph.values[name].dtype.kind == "f"]
    reference = Reference(graph, names)
    low = dict.fromkeys(names, np.inf)
    high = dict.fromkeys(names, -np.inf)
    counters = {name: HistogramCounter() for name in names} if histograms else {}
    visible = visible_logarithms(graph)
    samples = 0
    for chunk in chunks:
        count = len(next(iter(chunk.values())))
        for name, whole in reference.run(chunk).items():
            array = whole[np.broadcast_to(visible[name], whole.shape)] if name in visible else whole
            if not array.size:
                continue
            # NaN stays NaN: such a value has no range.
            low[name] = float(np.minimum(low[name], array.min()))
            high[name] = float(np.maximum(high[name], array.max()))
            if name in counters:
                counters[name].add(array)
        samples += count
        if progress is not None:
            progress(count)
    for name in names:
        if low[name] > high[name]:
            low[name] = high[name] = 0.0
    return Ranges(
        low,
        high,
        samples,
        graph.sha256,
        data,
        data_sha256,
        {name: counter.histogram(low[name], high[name]) for name, counter in counters.items()},
    )
