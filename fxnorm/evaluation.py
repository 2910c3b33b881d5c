"""The main job: calibrate, plan, run, compare with FP32, layer by layer and as a whole."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np

from fxnorm.calibration import Ranges, observe
from fxnorm.engine.threads import single_threaded_blas
from fxnorm.expected import Expected, Room
from fxnorm.graph.graph import Graph
from fxnorm.kernels.transform import Transformation, transformed
from fxnorm.metrics import Error, ValueReport
from fxnorm.output_digest import OutputDigest
from fxnorm.part import Judge, Part, PartRunner
from fxnorm.planning.plan import Plan
from fxnorm.simulation import chunk_samples

if TYPE_CHECKING:
    from fxnorm.data import Data

Array = np.ndarray

CALIBRATION_SAMPLES: Final = 256
PHASES: Final = ("import", "calibrate", "plan", "reference", "simulate")
Progress = Callable[[str, int, int], None]
"""Called with the phase, the samples done and all samples."""


@dataclass
class Stopwatch:
    """Seconds that each of `PHASES` took; 0 for one that did not happen."""

    seconds: dict[str, float] = field(default_factory=lambda: dict.fromkeys(PHASES, 0.0))

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Add the time spent inside to a phase."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] += time.perf_counter() - start


@dataclass(frozen=True)
class Evaluation:
    """What a run found.

    Attributes
    ----------
    plan
        What was run.
    samples
        How many samples were run.
    reports
        Counts and errors by value name.
    accuracy
        Share of labels met by "fp32" and by "fixed"; None without labels.
    outputs
        Digest of the outputs' codes.
    seconds
        By phase.
    """

    plan: Plan
    samples: int
    reports: Mapping[str, ValueReport]
    accuracy: Mapping[str, float] | None
    outputs: OutputDigest
    seconds: Mapping[str, float]

    def output_error(self, name: str) -> Error:
        """Error of a model output."""
        error = self.reports[self.plan.outputs[name]].error
        return error if error is not None else Error()


def chunk_size(graph: Graph) -> int:
    """Samples per chunk of the FP32 reference that keep its values within a few tens of megabytes."""
    elements = sum(
        int(np.prod(value.shape, dtype=np.int64)) for name, value in graph.values.items() if name not in graph.constants
    )
    return max(1, min(256, (1 << 23) // max(elements, 1)))


def calibrate(
    graph: Graph,
    data: Data,
    progress: Progress | None = None,
    limit: int = CALIBRATION_SAMPLES,
    *,
    histograms: bool = False,
    functions: Mapping[str, Transformation] | None = None,
) -> Ranges:
    """Ranges of every value on the first samples.

    Parameters
    ----------
    limit
        How many samples at most.
    histograms
        Whether distributions are kept too; see `Options.needs_histograms`.
    functions
        Nonlinear normalizations of inputs; see `Options.transformations`.
    """
    total = min(limit, data.samples)
    done = 0

    def chunks() -> Iterator[Mapping[str, Array]]:
        nonlocal done
        for chunk in data.chunks(min(chunk_size(graph), total)):
            count = min(len(next(iter(chunk.values()))), total - done)
            yield transformed({name: array[:count] for name, array in chunk.items()}, functions or {})
            done += count
            if progress is not None:
                progress("calibrate", done, total)
            if done >= total:
                return

    return observe(graph, chunks(), data=data.description, data_sha256=data.sha256, histograms=histograms)


def evaluate(
    plan: Plan,
    graph: Graph,
    data: Data,
    *,
    stopwatch: Stopwatch | None = None,
    progress: Progress | None = None,
    watch: Callable[[str, Array], None] | None = None,
) -> Evaluation:
    """Run all samples of a data set in chunks and compare every traced value with FP32.

    Parameters
    ----------
    graph
        The plan's model, for the reference.
    watch
        Called with the name and codes of every value, in the order of the samples.

    Raises
    ------
    DataError
        If there are labels that do not fit the outputs.
    """
    return evaluate_all([plan], graph, data, stopwatch=stopwatch, progress=progress, watch=watch)[0]


def evaluate_all(
    plans: Sequence[Plan],
    graph: Graph,
    data: Data,
    *,
    stopwatch: Stopwatch | None = None,
    progress: Progress | None = None,
    watch: Callable[[str, Array], None] | None = None,
    expected: Expected | None = None,
    workers: int | None = None,
) -> list[Evaluation]:
    """`evaluate` for several plans of one model, which share the reference and the reading of the data.

    Parameters
    ----------
    plans
        At least one; their inputs are transformed in the same way.
    watch
        Called for the values of all plans.
    expected
        Samples and FP32 values; by default they are read and computed here. See `expected_for`.
    workers
        Threads, each on samples of its own; default: the processor's cores.
    """
    stopwatch = stopwatch or Stopwatch()
    with stopwatch.phase("simulate"):
        runners = [runner(plan, graph, data, workers, among=plans) for plan in plans]
    chunks = iter(expected or expected_for(plans, graph, data))
    totals = [Part() for _ in plans]
    # Sums of squares must not depend on how many threads BLAS would take: the same run gives the same numbers to the last bit.
    with single_threaded_blas():
        while True:
            with stopwatch.phase("reference"):
                chunk = next(chunks, None)
            if chunk is None:
                break
            for total, each in zip(totals, runners, strict=True):
                with stopwatch.phase("simulate"):
                    total.add(each.run(chunk, watch))
            if progress is not None:
                progress("simulate", totals[0].samples, data.samples)
    return [evaluation(each.plan, total, stopwatch.seconds) for total, each in zip(totals, runners, strict=True)]


def runner(
    plan: Plan, graph: Graph, data: Data, workers: int | None = None, *, among: Sequence[Plan] = ()
) -> PartRunner:
    """What runs chunks of samples through a plan; `among` are the plans that are compared together.

    Raises
    ------
    DataError
        If there are labels that do not fit the outputs.
    """
    return PartRunner(plan, Judge.of(plan, data, compared_values(among or [plan], graph)), workers)


def evaluation(plan: Plan, total: Part, seconds: Mapping[str, float]) -> Evaluation:
    """What a run found, of all its parts together."""
    accuracy = {who: count / total.answers for who, count in total.right.items()} if total.answers else None
    return Evaluation(plan, total.samples, total.reports, accuracy, total.outputs, dict(seconds))


def expected_for(plans: Sequence[Plan], graph: Graph, data: Data, *, room: Room | None = None) -> Expected:
    """Samples and FP32 values that plans are compared with; the size of its chunks follows from the network alone.

    Parameters
    ----------
    room
        Memory in which they are kept for plans of the same network.
    """
    size = min(chunk_samples(plan) for plan in plans)
    return Expected(graph, data, compared_values(plans, graph), size, plans[0].transformed, room=room)


def compared_values(plans: Sequence[Plan], graph: Graph) -> list[str]:
    """Values that plans and model have: floating-point inputs, and the layers that the FP32 model knows, outputs among them."""
    return list(dict.fromkeys(name for plan in plans for name in _compared(plan, graph)))


def _compared(plan: Plan, graph: Graph) -> list[str]:
    """Values that both have: floating-point inputs, and the layers that the FP32 model knows, outputs among them."""
    names = [name for name in plan.inputs if name not in plan.integer_inputs]
    names += [layer.output for layer in plan.layers if layer.traced]
    return [name for name in dict.fromkeys(names) if name in graph.values]
