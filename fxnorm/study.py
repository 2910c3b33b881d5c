"""One network and its data, and everything that its plans share: each thing is computed once, when it is first needed."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from fxnorm.calibration import Ranges
from fxnorm.engine.threads import single_threaded_blas
from fxnorm.evaluation import (
    Evaluation,
    Progress,
    Stopwatch,
    calibrate,
    compared_values,
    evaluate_all,
    evaluation,
    expected_for,
    runner,
)
from fxnorm.expected import Expected, Room
from fxnorm.graph.graph import Graph
from fxnorm.lowering.network import Network
from fxnorm.part import Part
from fxnorm.planning.options import Options
from fxnorm.planning.plan import Plan
from fxnorm.planning.planner import check_rules, lowered, make_plan
from fxnorm.simulation import chunk_samples

if TYPE_CHECKING:
    from fxnorm.data import Data

Array = np.ndarray
Arrays = Mapping[str, Array]


class Study:
    """A network and its samples, for one plan or for hundreds.

    What does not depend on a plan's formats is computed once: the network that the graph lowers to, the ranges on calibration data, the
    FP32 values that plans are compared with (as far as memory allows, see `Expected`), and, in the operations of the network, the codes
    of weights. What comes out is the same, to the last bit, as with a study of its own for every plan. Threads may share a study.

    Parameters
    ----------
    graph
        The imported model.
    data
        Samples that plans are run on.
    calibration
        Samples that ranges are taken from; default: the head of the data.
    histograms
        Whether calibration keeps distributions from the start; otherwise it is done anew for the first plan that needs them.
    keep
        Whether FP32 values are kept for the next plan.
    stopwatch, progress
        Told of calibration.
    """

    def __init__(
        self,
        graph: Graph,
        data: Data,
        *,
        calibration: Data | None = None,
        histograms: bool = False,
        keep: bool = True,
        stopwatch: Stopwatch | None = None,
        progress: Progress | None = None,
    ) -> None:
        self.graph, self.data = graph, data
        self.calibration = data if calibration is None else calibration
        self._histograms = histograms
        self._room = Room.spare() if keep else Room(0)
        self._stopwatch, self._progress = stopwatch or Stopwatch(), progress
        self._networks: dict[tuple[str, str], Network] = {}
        self._ranges: dict[tuple[tuple[str, str], ...], Ranges] = {}
        self._expected: dict[Any, Expected] = {}
        # Planning computes with mpmath, whose precision is one for all threads.
        self._lock = threading.RLock()

    def network(self, options: Options) -> Network:
        """What the graph lowers to.

        Raises
        ------
        UnsupportedError
            If nodes cannot be lowered; it lists all of them.
        """
        with self._lock:
            key = (options.batchnorm, options.patterns)
            if key not in self._networks:
                self._networks[key] = lowered(self.graph, options)
            return self._networks[key]

    def check(self, options: Options) -> None:
        """Refuse, before anything runs, what no plan of this network can have.

        Raises
        ------
        UnsupportedError, UsageError
            If nodes cannot be lowered, or a rule for layers or a transform of inputs speaks of none.
        """
        check_rules(self.network(options), options)
        options.transformations(self._floating())

    def ranges(self, options: Options) -> Ranges:
        """Ranges, and distributions where the options or the study need them, on the calibration data."""
        with self._lock:
            self.network(options)  # refuse before anything runs
            functions = options.transformations(self._floating())
            key = tuple((name, str(function)) for name, function in sorted(functions.items()))
            wanted = self._histograms or options.needs_histograms
            if key not in self._ranges or (wanted and not self._ranges[key].histograms):
                with self._stopwatch.phase("calibrate"):
                    self._ranges[key] = calibrate(
                        self.graph, self.calibration, self._progress, histograms=wanted, functions=functions
                    )
            return self._ranges[key]

    def plan(self, options: Options) -> Plan:
        """Take every fixed-point decision; see `fxnorm.planning.planner.make_plan`."""
        ranges = self.ranges(options)
        with self._lock, self._stopwatch.phase("plan"):
            return make_plan(self.graph, ranges, options, self.network(options))

    def evaluate(
        self,
        plan: Plan,
        *,
        stopwatch: Stopwatch | None = None,
        progress: Progress | None = None,
        watch: Callable[[str, Array], None] | None = None,
        workers: int | None = None,
    ) -> Evaluation:
        """Run all samples and compare every traced value with FP32; see `fxnorm.evaluation.evaluate_all`."""
        expected = self._expected_of(plan)
        (evaluation,) = evaluate_all(
            [plan],
            self.graph,
            self.data,
            stopwatch=stopwatch,
            progress=progress,
            watch=watch,
            expected=expected,
            workers=workers,
        )
        return evaluation

    def chunks(self, plan: Plan) -> int:
        """How many chunks the samples come in; what is computed chunk by chunk adds up to the same bits wherever that is done."""
        return self._expected_of(plan).count()

    def parts(self, plan: Plan, numbers: Collection[int], *, workers: int | None = None) -> Iterator[Part]:
        """Run some of the chunks, each for itself, in their order.

        Parameters
        ----------
        numbers
            From 0 to `chunks` - 1.
        """
        each = runner(plan, self.graph, self.data, workers)
        with single_threaded_blas():
            for chunk in self._expected_of(plan).some(numbers):
                yield each.run(chunk)

    def combined(self, plan: Plan, parts: Iterable[Part], seconds: Mapping[str, float] | None = None) -> Evaluation:
        """What `evaluate` gives, of the parts of all chunks in their order."""
        total = Part()
        for part in parts:
            total.add(part)
        return evaluation(plan, total, seconds or {})

    def _expected_of(self, plan: Plan) -> Expected:
        """FP32 values for a plan, shared by all plans that compare the same ones on the same chunks of samples."""
        functions = tuple((name, kernel.function) for name, kernel in sorted(plan.transforms.items()))
        key = (tuple(compared_values([plan], self.graph)), chunk_samples(plan), functions)
        with self._lock:
            if key not in self._expected:
                self._expected[key] = expected_for([plan], self.graph, self.data, room=self._room)
            return self._expected[key]

    def _floating(self) -> list[str]:
        return [name for name in self.graph.inputs if self.graph.values[name].dtype.kind == "f"]


def data_in_memory(graph: Graph, samples: Array | Arrays) -> Data:
    """Samples in memory as data of a study.

    Parameters
    ----------
    samples
        An array for a model of one input, or arrays by input name, with optional ``labels``.

    Raises
    ------
    DataError
        If they do not fit the model's inputs.
    """
    from fxnorm.data import Data
    from fxnorm.samples import match

    source = match(graph, samples)
    digest = hashlib.sha256()
    for chunk in source.chunks(256):
        for name in sorted(chunk):
            digest.update(f"{name}:{chunk[name].dtype.str}:{chunk[name].shape};".encode())
            digest.update(np.ascontiguousarray(chunk[name]).tobytes())
    labels = None if source.label_array is None else source.labels()
    return Data(f"{source.samples} samples from memory", digest.hexdigest(), labels, (source,))
