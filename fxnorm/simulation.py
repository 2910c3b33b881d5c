"""Run a plan bit by bit, counting while it runs, and compare it with FP32 where a reference is at hand."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from fxnorm.errors import DataError
from fxnorm.fixed import arith
from fxnorm.fixed.format import Format
from fxnorm.kernels.encoding import Encoding
from fxnorm.kernels.stage import Tally
from fxnorm.metrics import Error, Usage
from fxnorm.planning.plan import Plan

if TYPE_CHECKING:
    from fxpmath.objects import Fxp

Array = np.ndarray

CHUNK_ELEMENTS = 1 << 22
CHUNK_SAMPLES = 256


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


@dataclass(slots=True)
class ValueReport:
    """What was counted for one value of the plan."""

    usage: Usage = field(default_factory=Usage)
    error: Error | None = None


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
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.reports: dict[str, ValueReport] = {name: ValueReport() for name in plan.values}
        kept = set(plan.outputs.values())
        last: dict[str, int] = {}
        for index, layer in enumerate(plan.layers):
            last.update(dict.fromkeys(layer.inputs, index))
        self._expired: list[list[str]] = [[] for _ in plan.layers]
        for name, index in last.items():
            if name not in kept:
                self._expired[index].append(name)

    def chunk_size(self) -> int:
        """Samples per chunk that keep a chunk's values within a few tens of megabytes."""
        elements = sum(int(np.prod(value.shape, dtype=np.int64)) for value in self.plan.values.values())
        return max(1, min(CHUNK_SAMPLES, CHUNK_ELEMENTS // max(elements, 1)))

    def run(
        self,
        inputs: Mapping[str, Array],
        reference: Mapping[str, Array] | None = None,
        watch: Callable[[str, Array], None] | None = None,
    ) -> dict[str, Array]:
        """Run one chunk.

        Parameters
        ----------
        inputs
            Real numbers (or indices) by name, shape [samples, *shape].
        reference
            FP32 values by name, of the same samples; errors are measured for those that are there.
        watch
            Called with the name and codes of every value.

        Returns
        -------
        Codes of the model's outputs by value name, shape [samples, *shape].
        """
        codes: dict[str, Array] = {}
        for name in self.plan.inputs:
            codes[name] = self._encode(name, inputs[name])
            self._report(name, codes[name], reference, watch)
        for layer, expired in zip(self.plan.layers, self._expired, strict=True):
            tally = Tally()
            output = layer.kernel.run([codes[name] for name in layer.inputs], tally)
            codes[layer.output] = output
            usage = self.reports[layer.output].usage
            usage.overflow += tally.overflow
            usage.accumulator_overflow += tally.accumulator_overflow
            usage.additions += tally.additions
            self._report(layer.output, output, reference if layer.traced else None, watch)
            for name in expired:
                del codes[name]
        return {name: codes[name] for name in self.plan.outputs.values()}

    def _encode(self, name: str, real: Array) -> Array:
        encoding = self.plan.values[name].encoding
        format_ = encoding.format
        if name in self.plan.integer_inputs:
            whole = np.asarray(real).astype(np.int64)
            if whole.size and (int(whole.min()) < format_.min_code or int(whole.max()) > format_.max_code):
                raise DataError(
                    f"{name}: indices must fit {format_.width} bits, not {int(whole.min())}..{int(whole.max())}"
                )
            return whole
        rounded = arith.round_values(real, -encoding.lsb, format_.rounding)
        lost = arith.overflowed(rounded, format_)
        self.reports[name].usage.overflow += int(np.count_nonzero(lost))
        return arith.fit(rounded, format_).astype(np.int64)

    def _report(
        self, name: str, codes: Array, reference: Mapping[str, Array] | None, watch: Callable[[str, Array], None] | None
    ) -> None:
        encoding = self.plan.values[name].encoding
        report = self.reports[name]
        report.usage.add(codes, encoding.format.lowest_code, encoding.format.max_code)
        if reference is not None and name in reference:
            if report.error is None:
                report.error = Error()
            report.error.add(reference[name], encoding.decode(codes), decisions=name in self.plan.outputs.values())
        if watch is not None:
            watch(name, codes)


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
    return array if array.ndim < 2 else array.reshape(-1, *array.shape[2:])
