"""What each stage of a normalization costs: the SQNR with one stage at a time in real numbers, all else as the kernel has it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from fxnorm.fixed import arith
from fxnorm.fixed.format import Format, Overflow
from fxnorm.kernels.encoding import Encoding
from fxnorm.kernels.norm import Norm, NormOperation
from fxnorm.kernels.norm_exact import ExactMoments, inner
from fxnorm.kernels.norm_staged import StagedMoments
from fxnorm.kernels.stage import Tally
from fxnorm.metrics import Error

Array = np.ndarray


@dataclass(frozen=True)
class Attribution:
    """SQNR of a normalization against its exact real result, in dB.

    Attributes
    ----------
    sqnr_db
        Of the kernel as it is.
    replaced_db
        With one stage in real numbers, by the stage's name: mean, square, variance (with ε), root, scale, bias, requantization; those that
        the kernel has.
    """

    sqnr_db: float
    replaced_db: Mapping[str, float]

    @property
    def costs_db(self) -> dict[str, float]:
        """What each stage costs: the gain without it. 0 where the kernel has no error at all."""
        return {
            name: 0.0 if replaced == self.sqnr_db else replaced - self.sqnr_db
            for name, replaced in self.replaced_db.items()
        }


def attribute(
    kernel: Norm, operation: NormOperation, inputs: Sequence[Encoding], output: Encoding, codes: Sequence[Array]
) -> Attribution:
    """Measure what every stage of a normalization costs.

    Parameters
    ----------
    kernel, operation
        The decided kernel, and what it was decided from.
    inputs, output
        Encodings of the kernel's inputs (data, then scale and bias where they are inputs) and of its output.
    codes
        Input codes, [samples, *shape] each.
    """
    datapath = _Datapath(kernel, operation, inputs, output, codes)
    reference = datapath.run(frozenset(datapath.stages))

    def sqnr(values: Array) -> float:
        error = Error()
        error.add(reference, values)
        return error.sqnr_db

    own = output.decode(kernel.run(codes, Tally())).reshape(reference.shape)
    return Attribution(sqnr(own), {name: sqnr(datapath.run(frozenset({name}))) for name in datapath.stages})


class _Datapath:
    """A normalization in float64, any of its stages as the kernel has it or in real numbers.

    Data is held in the fixed-point units of x (codes over 2^F), sums of codes in exact integers.
    """

    def __init__(
        self,
        kernel: Norm,
        operation: NormOperation,
        inputs: Sequence[Encoding],
        output: Encoding,
        codes: Sequence[Array],
    ) -> None:
        self.kernel, self.operation, self.x, self.output = kernel, operation, inputs[0], output
        self.rows = codes[0].reshape(-1, *kernel.layout)
        self.axes = inner(kernel.axes)
        # Scale and bias as the kernel holds them: codes of its own, or inputs, which are taken for exact.
        given = iter(codes[1:])
        scale = kernel.operand(kernel.scale, kernel.scale_shape, given, codes[0], 1)
        bias = kernel.operand(kernel.bias, kernel.bias_shape, given, codes[0], 1)
        guard = kernel.stage.shift
        assert isinstance(guard, int)
        step = output.place - guard
        # A factor of the output's step is in the scale, and the code of 0 in the bias.
        self.scale = 1.0 if scale is None else _value(scale, kernel.scale_shift, step - kernel.shift) * output.factor
        self.bias = (0.0 if bias is None else _value(bias, kernel.bias_shift, step) * output.factor) + output.offset
        self.epsilon = operation.epsilon / self.x.scale**2

    @property
    def stages(self) -> tuple[str, ...]:
        """Names of the stages, in the order of the data."""
        inside: tuple[str, ...] = ("root",)
        if isinstance(self.kernel.moments, StagedMoments):
            inside = tuple(self.kernel.moments.formats)
        operands = [name for name in ("scale", "bias") if getattr(self.kernel, name) is not None]
        return (*inside, *operands, "requantization")

    def run(self, real: frozenset[str]) -> Array:
        """Real numbers of the output, [rows, *layout], with some stages in real numbers."""
        moments = self.kernel.moments
        if isinstance(moments, StagedMoments):
            normalized = self._staged(moments, real)
        elif "root" in real:
            normalized = self._real()
        else:
            found = moments.moments(self.rows, self.kernel.axes, Tally())
            numerator = moments.numerator(self.rows.astype(object), found.center)
            root = np.ldexp(found.mantissa.astype(np.float64), -found.exponent)
            normalized = numerator.astype(np.float64) * root
        operation = self.operation
        scale = (1.0 if operation.scale is None else operation.scale) if "scale" in real else self.scale
        bias = (0.0 if operation.bias is None else operation.bias) if "bias" in real else self.bias
        values = normalized * scale + bias
        if "requantization" not in real:
            stage = self.kernel.stage
            rounded = self.output.round(values)
            if stage.low is not None or stage.high is not None:
                rounded = np.clip(rounded, stage.low, stage.high)
            return self.output.decode(arith.fit(rounded, stage.output))
        low, high = operation.low, operation.high
        return values if low is None and high is None else np.clip(values, low, high)

    def _real(self) -> Array:
        """x̂ in real numbers: no cancellation, because sums of codes are exact."""
        moments = self.kernel.moments
        wide = self.rows.astype(object)
        if isinstance(moments, ExactMoments | StagedMoments):
            count = self.operation.count
            centered, mean = self.operation.form == "variance", self.operation.form != "sum_square"
            factor = count if mean else 1
            total = wide.sum(axis=self.axes, keepdims=True) if centered else 0
            deviation = factor * (wide * wide).sum(axis=self.axes, keepdims=True) - total * total
            epsilon = self.operation.epsilon * factor**2 / float(self.x.step) ** 2
            divisor = np.sqrt(np.asarray(deviation).astype(np.float64) + epsilon)
            numerator = (factor * wide - total).astype(np.float64)
        else:
            numerator = wide.astype(np.float64)
            divisor = np.asarray(np.abs(wide).sum(axis=self.axes, keepdims=True)).astype(np.float64)
        return np.divide(
            numerator, divisor, out=np.zeros(numerator.shape), where=np.broadcast_to(divisor, numerator.shape) > 0
        )

    def _staged(self, moments: StagedMoments, real: frozenset[str]) -> Array:
        if real >= set(moments.formats):
            return self._real()
        point = -self.x.format.fraction_bits
        x = np.ldexp(self.rows.astype(np.float64), point)
        total = np.ldexp(self.rows.sum(axis=self.axes, keepdims=True).astype(np.float64), point)
        mean = np.zeros_like(total)
        if moments.mean_stage is not None:
            mean = total / self.operation.count
            mean = mean if "mean" in real else _quantized(mean, moments.mean_stage.output)
        centered = x - mean
        base = x if moments.one_pass else centered
        squares = base * base if "square" in real else _quantized(base * base, moments.square.output)
        divisor = self.operation.count if self.operation.form != "sum_square" else 1
        variance = squares.sum(axis=self.axes, keepdims=True) / divisor
        format_ = moments.variance.output
        if "variance" not in real:
            variance = _quantized(variance, format_)
        if moments.squared_mean is not None:
            variance = variance - (mean * mean if "variance" in real else _quantized(mean * mean, format_))
        epsilon = self.epsilon if "variance" in real else np.ldexp(float(moments.epsilon), -format_.fraction_bits)
        radicand = np.maximum(variance, 0.0) + epsilon
        nothing = radicand == 0.0
        root = 1.0 / np.sqrt(np.where(nothing, 1.0, radicand))
        if "root" in real:
            return np.asarray(np.where(nothing, 0.0, centered * root))
        largest = 0 if moments.root_format.overflow is Overflow.SAT_ZERO else moments.root_format.max_code
        infinite = np.ldexp(float(largest), -moments.root_format.fraction_bits)
        return np.asarray(centered * np.where(nothing, infinite, _quantized(root, moments.root_format)))


def _value(codes: Array, shift: Array | int, lsb: int) -> Array:
    return np.asarray(np.ldexp(codes.astype(np.float64), np.asarray(shift) + lsb))


def _quantized(values: Array, format_: Format) -> Array:
    codes = arith.round_values(values, format_.fraction_bits, format_.rounding)
    wide = codes.astype(object) if format_.width > 62 else codes
    return arith.decode(arith.fit(wide, format_), format_)
