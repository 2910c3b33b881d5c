"""The main job: calibrate, plan, run, compare with FP32, layer by layer and as a whole."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np

from fxnorm.calibration import Ranges, observe
from fxnorm.engine.threads import single_threaded_blas
from fxnorm.errors import DataError
from fxnorm.expected import Expected, Room
from fxnorm.graph.graph import Graph
from fxnorm.kernels.transform import Transformation, transformed
from fxnorm.metrics import Error, ValueReport
from fxnorm.output_digest import OutputDigest
from fxnorm.planning.plan import Plan
from fxnorm.simulation import Simulator, chunk_samples, merged

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
    compared = compared_values(plans, graph)
    judges = [Judge.of(plan, data, compared) for plan in plans]
    with stopwatch.phase("simulate"):
        simulators = [Simulator(plan, histograms=True, workers=workers) for plan in plans]
    chunks = iter(expected or expected_for(plans, graph, data))
    digests = [OutputDigest() for _ in plans]
    done = 0
    # Sums of squares must not depend on how many threads BLAS would take: the same run gives the same numbers to the last bit.
    with single_threaded_blas():
        while True:
            with stopwatch.phase("reference"):
                chunk, wanted = next(chunks, (None, {}))
            if chunk is None:
                break
            for plan, simulator, judge, digest in zip(plans, simulators, judges, digests, strict=True):
                with stopwatch.phase("simulate"):
                    codes = simulator.run(chunk, wanted, watch)
                    digest.add({name: codes[value] for name, value in plan.outputs.items()})
                if judge is not None:
                    judge.add("fp32", wanted[judge.value], done)
                    judge.add("fixed", plan.values[judge.value].encoding.decode(codes[judge.value]), done)
            done += len(next(iter(chunk.values())))
            if progress is not None:
                progress("simulate", done, data.samples)
    seconds = dict(stopwatch.seconds)
    return [
        Evaluation(plan, done, simulator.reports, None if judge is None else judge.accuracy(), digest, seconds)
        for plan, simulator, judge, digest in zip(plans, simulators, judges, digests, strict=True)
    ]


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


@dataclass
class Judge:
    """Counts right answers: the arg-max over the last axis of the first output that has more than one class.

    Attributes
    ----------
    value
        Name of that output's value.
    labels
        Right class of every answer.
    per_sample
        Answers a sample gives.
    right
        Right answers so far, by who gave them.
    """

    value: str
    labels: Array
    per_sample: int
    right: dict[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, plan: Plan, data: Data, compared: Collection[str]) -> Judge | None:
        """Judge for a data set, on one of the values that are compared with FP32; None where the data has no labels."""
        if data.labels is None:
            return None
        for value in plan.outputs.values():
            shape = plan.values[value].shape
            if value in compared and shape and shape[-1] > 1:
                per_sample = int(np.prod(shape[:-1], dtype=np.int64))
                if len(data.labels) != per_sample * data.samples:
                    raise DataError(
                        f"labels: there must be one for each of the {per_sample * data.samples} answers of {value!r} "
                        f"(shape {list(shape)} a sample), not {len(data.labels)}; leave them out"
                    )
                low, high = int(data.labels.min()), int(data.labels.max())
                if not 0 <= low <= high < shape[-1]:
                    raise DataError(
                        f"labels: must lie in 0..{shape[-1] - 1}, the classes of the model's output {value!r}, not {low}..{high}"
                    )
                return cls(value, data.labels, per_sample)
        raise DataError("labels: the model has no output with more than one class to compare them with; leave them out")

    def add(self, who: str, scores: Array, first: int) -> None:
        """Take in answers [samples, *shape] whose first sample has this number."""
        answers = merged(scores).reshape(-1, scores.shape[-1]).argmax(axis=-1)
        start = first * self.per_sample
        right = np.count_nonzero(answers == self.labels[start : start + len(answers)])
        self.right[who] = self.right.get(who, 0) + int(right)

    def accuracy(self) -> dict[str, float]:
        """Share of right answers."""
        return {who: count / len(self.labels) for who, count in self.right.items()}
