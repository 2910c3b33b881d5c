"""A plan made ready to run: every kernel in its fast form where that is exact, in its own integers elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from fxnorm.errors import DataError
from fxnorm.fixed import arith
from fxnorm.fixed.format import Overflow, Rounding
from fxnorm.kernels.encoding import Encoding, code_dtype
from fxnorm.kernels.leading_one import words
from fxnorm.kernels.stage import Tally
from fxnorm.kernels.transform import Transformation
from fxnorm.metrics import Error, ValueReport
from fxnorm.planning.plan import Layer, Plan
from fxnorm.runtime import fast, fused, groups, narrow
from fxnorm.runtime.byte_products import exact_here
from fxnorm.runtime.fast import Run
from fxnorm.runtime.rounding import count_into

Array = np.ndarray
Reports = dict[str, ValueReport]
Watch = Callable[[str, Array], None]
Engine = Literal["bytes", "floats", "integers"]
Path = Literal["bytes", "floats", "groups", "integers"]

FLOAT_WIDTH = 24
"""Widest code that float32 holds exactly, in bits."""


@dataclass(frozen=True, slots=True)
class _Step:
    """One layer.

    Attributes
    ----------
    run
        How it runs.
    dtypes
        Types in which it takes its inputs.
    path
        By which arithmetic: products of bytes, float32, compiled loops over groups, or the kernel's own integers.
    expired
        Values that nobody needs afterwards.
    """

    layer: Layer
    run: Run
    dtypes: tuple[npt.DTypeLike, ...]
    path: Path
    expired: tuple[str, ...]


class Program:
    """Runs pieces of samples through a plan; it holds no state, so that threads may share it.

    Parameters
    ----------
    plan
        What the hardware does.
    engine
        The codes and counts are those of "integers" with each of them. By default the fastest that this processor has.
    histograms
        Whether the codes of every value are counted by their place in the format's range.
    """

    def __init__(self, plan: Plan, *, engine: Engine | None = None, histograms: bool = False) -> None:
        self.plan = plan
        self._histograms = histograms
        self.engine: Engine = engine or ("bytes" if exact_here() else "floats")
        outputs = set(plan.outputs.values())
        last: dict[str, int] = {}
        for index, layer in enumerate(plan.layers):
            last.update(dict.fromkeys(layer.inputs, index))
        self._outputs = outputs
        self._steps = []
        for index, layer in enumerate(plan.layers):
            expired = tuple(name for name, at in last.items() if at == index and name not in outputs)
            self._steps.append(self._step(layer, expired))
        self._quick = self._quick_inputs()

    @property
    def paths(self) -> Mapping[str, Path]:
        """By which arithmetic every layer runs, by the name of its output."""
        return {step.layer.output: step.path for step in self._steps}

    def _step(self, layer: Layer, expired: tuple[str, ...]) -> _Step:
        formats = [self.plan.values[name].encoding.format for name in (*layer.inputs, layer.output)]
        if self.engine == "bytes" and all(map(narrow.is_narrow, formats)):
            run = narrow.compiled(layer.kernel, formats[:-1], formats[-1])
            if run is not None:
                return _Step(layer, run, tuple(map(code_dtype, formats[:-1])), "bytes", expired)
        if self.engine != "integers" and all(format_.width <= FLOAT_WIDTH for format_ in formats):
            run = fast.compiled(layer.kernel)
            if run is not None:
                return _Step(layer, run, (np.float32,) * len(layer.inputs), "floats", expired)
        if self.engine != "integers" and formats[-1].width <= FLOAT_WIDTH:
            run = groups.compiled(layer.kernel)
            if run is not None:
                return _Step(layer, run, (np.int64,) * len(layer.inputs), "groups", expired)
        return _Step(layer, layer.kernel.run, (np.int64,) * len(layer.inputs), "integers", expired)

    def _quick_inputs(self) -> dict[str, npt.DTypeLike]:
        """Real inputs that one compiled pass encodes where they are float32, and the type of their codes."""
        wanted: dict[str, npt.DTypeLike] = {}
        for step in self._steps:
            for name, dtype in zip(step.layer.inputs, step.dtypes, strict=True):
                if name in self.plan.inputs and name not in self.plan.integer_inputs and step.path != "integers":
                    wanted.setdefault(name, dtype)
        return {name: dtype for name, dtype in wanted.items() if _quick(self.plan.values[name].encoding)}

    def run(
        self,
        inputs: Mapping[str, Array],
        reports: Reports,
        reference: Mapping[str, Array] | None = None,
        watch: Watch | None = None,
    ) -> dict[str, Array]:
        """Run one piece.

        Parameters
        ----------
        inputs
            Real numbers (or indices) by name, shape [samples, *shape].
        reports
            Counts and errors are added here.
        reference
            FP32 values by name, of the same samples; errors are measured for those that are there.
        watch
            Called with the name and the codes (int64) of every value.

        Returns
        -------
        Codes of the model's outputs by value name, shape [samples, *shape], in the type that held them.
        """
        codes: dict[str, Array] = {}
        for name in self.plan.inputs:
            tally = Tally()
            codes[name] = self._encode(name, inputs[name], tally)
            self._report(name, codes[name], tally, reports, reference, watch)
        for step in self._steps:
            layer, tally = step.layer, Tally()
            given = zip(layer.inputs, step.dtypes, strict=True)
            output = step.run([codes[name].astype(dtype, copy=False) for name, dtype in given], tally)
            codes[layer.output] = output
            self._report(layer.output, output, tally, reports, reference if layer.traced else None, watch)
            for name in step.expired:
                del codes[name]
        return {name: codes[name] for name in self._outputs}

    def _encode(self, name: str, real: Array, tally: Tally) -> Array:
        encoding = self.plan.values[name].encoding
        format_ = encoding.format
        if name in self.plan.transforms:
            kernel = self.plan.transforms[name]
            Transformation.parse(kernel.function).check(real, f"input {name!r}")
            return kernel.run([words(real)], tally)
        if name in self.plan.integer_inputs:
            whole = np.asarray(real).astype(np.int64)
            if whole.size and (int(whole.min()) < format_.min_code or int(whole.max()) > format_.max_code):
                raise DataError(
                    f"{name}: indices must fit {format_.width} bits, not {int(whole.min())}..{int(whole.max())}"
                )
            return whole
        if name in self._quick and real.dtype == np.float32:
            return _quick_codes(encoding, real, self._quick[name], tally)
        rounded = encoding.round(real)
        tally.overflow += int(np.count_nonzero(arith.overflowed(rounded, format_)))
        return arith.fit(rounded, format_).astype(np.int64)

    def _report(
        self,
        name: str,
        codes: Array,
        tally: Tally,
        reports: Reports,
        reference: Mapping[str, Array] | None,
        watch: Watch | None,
    ) -> None:
        encoding = self.plan.values[name].encoding
        report = reports[name]
        usage = report.usage
        usage.overflow += tally.overflow
        usage.accumulator_overflow += tally.accumulator_overflow
        usage.additions += tally.additions
        usage.count_stages(tally.stages)
        lowest, highest = encoding.format.lowest_code, encoding.format.max_code
        usage.add(codes, lowest, highest, extent=tally.extent, ends=tally.ends, histogram=self._histograms)
        if reference is not None and name in reference:
            if report.error is None:
                report.error = Error()
            expected = reference[name]
            if name in self.plan.floors:
                expected = np.maximum(expected, self.plan.floors[name])
            values, unit = _values(encoding, codes)
            report.error.add(expected, values, unit=unit, decisions=name in self._outputs)
        if watch is not None:
            watch(name, codes.astype(np.int64, copy=False))


def _values(encoding: Encoding, codes: Array) -> tuple[Array, float]:
    """Numbers, and a power of two times which they are what codes stand for."""
    if encoding.plain and -1000 < encoding.lsb < 900:
        return codes, 2.0**encoding.lsb
    return encoding.decode(np.ascontiguousarray(codes).astype(np.int64, copy=False)), 1.0


def _quick(encoding: Encoding) -> bool:
    """Whether one pass in floating point rounds float32 numbers exactly."""
    if not encoding.plain or encoding.format.width > FLOAT_WIDTH or abs(encoding.lsb) > 120:
        return False
    saturates = encoding.format.overflow in (Overflow.SAT, Overflow.SAT_SYM)
    return saturates and encoding.format.rounding in fused.QUICK_ROUNDINGS


def _quick_codes(encoding: Encoding, real: Array, dtype: npt.DTypeLike, tally: Tally) -> Array:
    format_ = encoding.format
    codes = np.empty(real.shape, dtype)
    # Where numbers become smaller, the smallest ones may vanish in float32, which only a floor below zero would notice.
    vanishes = encoding.lsb > 0 and format_.rounding is Rounding.TRN
    kind: type[np.floating[Any]] = np.float64 if vanishes else np.float32
    numbers = (kind(2.0**-encoding.lsb), kind(format_.lowest_code), kind(format_.max_code))
    flat = np.ascontiguousarray(real).reshape(-1)
    count_into(tally, fused.quantize(flat, codes.reshape(-1), *numbers, fused.QUICK_ROUNDINGS[format_.rounding]))
    return codes
