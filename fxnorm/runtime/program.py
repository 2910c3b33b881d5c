"""A plan made ready to run: every kernel in its fast form where that is exact, in its own integers elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from fxnorm.errors import DataError
from fxnorm.fixed import arith
from fxnorm.fixed.format import Overflow, Rounding
from fxnorm.kernels.encoding import Encoding
from fxnorm.kernels.leading_one import words
from fxnorm.kernels.stage import Tally
from fxnorm.kernels.transform import Transformation
from fxnorm.metrics import Error, ValueReport
from fxnorm.planning.plan import Layer, Plan
from fxnorm.runtime import fused
from fxnorm.runtime.fast import Run, compiled
from fxnorm.runtime.rounding import count_into

Array = np.ndarray
Reports = dict[str, ValueReport]
Watch = Callable[[str, Array], None]

FLOAT_WIDTH = 24
"""Widest code that float32 holds exactly, in bits."""


@dataclass(frozen=True, slots=True)
class _Step:
    """One layer: how it runs, whether on float32 codes, and which values nobody needs afterwards."""

    layer: Layer
    run: Run
    floating: bool
    expired: tuple[str, ...]


class Program:
    """Runs pieces of samples through a plan; it holds no state, so that threads may share it.

    Parameters
    ----------
    plan
        What the hardware does.
    fast
        False runs every kernel in its own integers: the same codes, slower.
    histograms
        Whether the codes of every value are counted by their place in the format's range.
    """

    def __init__(self, plan: Plan, *, fast: bool = True, histograms: bool = False) -> None:
        self.plan = plan
        self._histograms = histograms
        outputs = set(plan.outputs.values())
        last: dict[str, int] = {}
        for index, layer in enumerate(plan.layers):
            last.update(dict.fromkeys(layer.inputs, index))
        self._outputs = outputs
        self._steps = []
        for index, layer in enumerate(plan.layers):
            expired = tuple(name for name, at in last.items() if at == index and name not in outputs)
            narrow = all(
                plan.values[name].encoding.format.width <= FLOAT_WIDTH for name in (*layer.inputs, layer.output)
            )
            run = compiled(layer.kernel) if fast and narrow else None
            self._steps.append(_Step(layer, run or layer.kernel.run, run is not None, expired))
        floating = {name for step in self._steps if step.floating for name in step.layer.inputs}
        self._float_inputs = floating - set(plan.integer_inputs)

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
        Codes (int64) of the model's outputs by value name, shape [samples, *shape].
        """
        codes: dict[str, Array] = {}
        for name in self.plan.inputs:
            tally = Tally()
            codes[name] = self._encode(name, inputs[name], tally)
            self._report(name, codes[name], tally, reports, reference, watch)
        for step in self._steps:
            layer, tally = step.layer, Tally()
            dtype = np.float32 if step.floating else np.int64
            output = step.run([codes[name].astype(dtype, copy=False) for name in layer.inputs], tally)
            codes[layer.output] = output
            self._report(layer.output, output, tally, reports, reference if layer.traced else None, watch)
            for name in step.expired:
                del codes[name]
        return {name: codes[name].astype(np.int64, copy=False) for name in self._outputs}

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
        if name in self._float_inputs and encoding.plain and _quick(encoding, real):
            return _quick_codes(encoding, real, tally)
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
            report.error.add(expected, _values(encoding, codes), decisions=name in self._outputs)
        if watch is not None:
            watch(name, codes.astype(np.int64, copy=False))


def _values(encoding: Encoding, codes: Array) -> Array:
    """Real numbers, float64."""
    if codes.dtype == np.float32 and encoding.plain and -1000 < encoding.lsb < 900:
        return np.asarray(np.multiply(codes, 2.0**encoding.lsb, dtype=np.float64))
    return encoding.decode(codes.astype(np.int64, copy=False))


def _quick(encoding: Encoding, real: Array) -> bool:
    """Whether float64 rounds these numbers exactly: float32 ones have 24 bits, so that adding one half loses none that counts."""
    saturates = encoding.format.overflow in (Overflow.SAT, Overflow.SAT_SYM)
    rounding = encoding.format.rounding in (Rounding.RND, Rounding.TRN)
    return real.dtype == np.float32 and saturates and rounding and abs(encoding.lsb) < 500


def _quick_codes(encoding: Encoding, real: Array, tally: Tally) -> Array:
    format_ = encoding.format
    codes = np.empty(real.shape, np.float32)
    addend = 0.5 if format_.rounding is Rounding.RND else 0.0
    ends = float(format_.lowest_code), float(format_.max_code)
    flat = np.ascontiguousarray(real).reshape(-1)
    count_into(tally, fused.quantize(flat, codes.reshape(-1), 2.0**-encoding.lsb, addend, *ends))
    return codes
