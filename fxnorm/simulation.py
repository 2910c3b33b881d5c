"""Run a plan bit by bit, counting while it runs, and compare it with FP32 where a reference is at hand."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from fxnorm.engine.threads import single_threaded_blas
from fxnorm.fixed.format import Format
from fxnorm.kernels.encoding import Encoding
from fxnorm.metrics import ValueReport
from fxnorm.planning.plan import Plan
from fxnorm.runtime.program import Engine, Program, Reports, Watch

if TYPE_CHECKING:
    from fxpmath.objects import Fxp

Array = np.ndarray

CHUNK_ELEMENTS = 1 << 22
CHUNK_SAMPLES = 256
PIECE_ELEMENTS = 1 << 21
PIECE_SAMPLES = 1024


@dataclass(frozen=True)
class Output:
    """One value in fixed point.

    Attributes
    ----------
    codes
        Stored integers, int64, samples on the first axis.
    encoding
        How they stand for real numbers.
    """

    codes: Array
    encoding: Encoding

    @property
    def values(self) -> Array:
        """Real numbers, float64."""
        return self.encoding.decode(self.codes)

    @property
    def format(self) -> Format:
        """Fixed-point format."""
        return self.encoding.format

    def to_fxp(self) -> Fxp:
        """The fixed-point numbers (codes · 2**-F, before the normalization's scale) as an fxpmath.Fxp."""
        from fxnorm.fixed.fxp import to_fxp

        return to_fxp(self.codes, self.format)


@dataclass(frozen=True)
class Result(Mapping[str, Output]):
    """Outputs of a simulation by name, and what was counted on the way.

    Attributes
    ----------
    plan
        What was run.
    outputs
        The model's outputs.
    reports
        By value name, model inputs included.
    traces
        Every value of the plan, where they were asked for.
    """

    plan: Plan
    outputs: Mapping[str, Output]
    reports: Mapping[str, ValueReport]
    traces: Mapping[str, Output]

    def __getitem__(self, name: str) -> Output:
        return self.outputs[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.outputs)

    def __len__(self) -> int:
        return len(self.outputs)


class Simulator:
    """Runs chunks of samples through a plan and keeps the counts of all of them.

    Parameters
    ----------
    plan
        What the hardware does.
    fast
        False runs every kernel in its own integers: the same codes and counts, slower.
    engine
        How fast ones run, see `Program`; by default what is fastest on this processor.
    workers
        Threads, each on pieces of samples of its own; default: the processor's cores.
    histograms
        Whether the codes of every value are counted by their place in the format's range.
    """

    def __init__(
        self,
        plan: Plan,
        *,
        fast: bool = True,
        engine: Engine | None = None,
        workers: int | None = None,
        histograms: bool = False,
    ) -> None:
        self.plan = plan
        self.program = Program(plan, engine=engine if fast else "integers", histograms=histograms)
        self.reports = self._fresh()
        self.workers = workers or len(os.sched_getaffinity(0))
        self._piece = piece_size(plan)
        self._pool: ThreadPoolExecutor | None = None

    def chunk_size(self) -> int:
        """Samples per chunk that keep a chunk's values within a few tens of megabytes."""
        return chunk_samples(self.plan)

    def run(
        self,
        inputs: Mapping[str, Array],
        reference: Mapping[str, Array] | None = None,
        watch: Watch | None = None,
    ) -> dict[str, Array]:
        """Run one chunk.

        Parameters
        ----------
        inputs
            Real numbers (or indices) by name, shape [samples, *shape].
        reference
            FP32 values by name, of the same samples; errors are measured for those that are there.
        watch
            Called with the name and codes of every value, in the order of the samples.

        Returns
        -------
        Codes of the model's outputs by value name, shape [samples, *shape].
        """
        count = len(next(iter(inputs.values())))
        outputs = {
            name: np.empty((count, *self.plan.values[name].shape), np.int64) for name in self.plan.outputs.values()
        }

        def run(piece: slice) -> Reports:
            reports = self._fresh()
            expected = None if reference is None else {name: array[piece] for name, array in reference.items()}
            given = {name: array[piece] for name, array in inputs.items()}
            for name, codes in self.program.run(given, reports, expected, watch).items():
                outputs[name][piece] = codes
            return reports

        pieces = even_pieces(count, self._piece)
        if watch is not None or len(pieces) == 1 or self.workers == 1:
            results = [run(piece) for piece in pieces]
        else:
            self._pool = self._pool or ThreadPoolExecutor(self.workers)
            # One single-threaded piece a core; threads inside a product would only wait for one another.
            with single_threaded_blas():
                results = list(self._pool.map(run, pieces))
        for reports in results:
            for name, report in reports.items():
                self.reports[name].merge(report)
        return outputs

    def take(self) -> Reports:
        """Counts so far, which begin anew."""
        taken, self.reports = self.reports, self._fresh()
        return taken

    def _fresh(self) -> Reports:
        return {name: ValueReport() for name in self.plan.values}


def chunk_samples(plan: Plan) -> int:
    """Samples per chunk that keep a chunk's values within a few tens of megabytes; it follows from the values' shapes alone."""
    elements = sum(int(np.prod(value.shape, dtype=np.int64)) for value in plan.values.values())
    return max(1, min(CHUNK_SAMPLES, CHUNK_ELEMENTS // max(elements, 1)))


def even_pieces(count: int, largest: int) -> list[slice]:
    """Slices of so many samples, none longer than `largest`, all of about one size; an even number of them, or one."""
    if count <= 1:
        return [slice(0, count)]
    size = -(-count // (2 * -(-count // (2 * largest))))
    return [slice(start, min(start + size, count)) for start in range(0, count, size)]


def piece_size(plan: Plan) -> int:
    """Samples whose largest layer, input and output, stays near a core, and that are worth the calls it takes to run them."""
    largest = max(
        (
            sum(int(np.prod(plan.values[name].shape, dtype=np.int64)) for name in (*layer.inputs, layer.output))
            for layer in plan.layers
        ),
        default=1,
    )
    return max(1, min(PIECE_SAMPLES, PIECE_ELEMENTS // max(largest, 1)))


def simulate(plan: Plan, samples: Any, *, trace: bool = False) -> Result:
    """Run samples through a plan.

    Parameters
    ----------
    plan
        What the hardware does.
    samples
        An array for a model of one input, or a mapping from input names to arrays; the first axis counts samples.
    trace
        Keep every value of the plan, not only the outputs.

    Raises
    ------
    DataError
        If the samples do not fit the model's inputs.
    """
    from fxnorm.samples import bind

    shapes = {name: plan.values[name].shape for name in plan.inputs}
    inputs = bind(samples, shapes, integers=plan.integer_inputs)
    simulator = Simulator(plan)
    count = len(next(iter(inputs.values())))
    size = simulator.chunk_size()
    outputs: dict[str, list[Array]] = {name: [] for name in plan.outputs}
    traces: dict[str, list[Array]] = {name: [] for name in plan.values} if trace else {}

    def watch(name: str, codes: Array) -> None:
        traces[name].append(codes)

    for start in range(0, count, size):
        chunk = {name: array[start : start + size] for name, array in inputs.items()}
        codes = simulator.run(chunk, watch=watch if trace else None)
        for name, value in plan.outputs.items():
            outputs[name].append(codes[value])
    return Result(
        plan,
        {name: collect(plan, value, outputs[name]) for name, value in plan.outputs.items()},
        simulator.reports,
        {name: collect(plan, name, parts) for name, parts in traces.items()},
    )


def collect(plan: Plan, value: str, parts: list[Array]) -> Output:
    """One value of several chunks; the samples' axis and the model's own first axis become one."""
    codes = np.concatenate(parts) if parts else np.zeros((0, *plan.values[value].shape), np.int64)
    return Output(merged(codes), plan.values[value].encoding)


def merged(array: Array) -> Array:
    """[samples, batch, ...] as [samples · batch, ...]; a scalar a sample stays [samples]."""
    return array if array.ndim < 2 else array.reshape(array.shape[0] * array.shape[1], *array.shape[2:])
