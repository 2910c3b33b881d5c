"""Linear layers with constant weights: dense layers and convolutions.

acc = bias + Σ weight · x, exact or quantized at every addition; y = rescale(acc), one rounding (semantics: linear layers).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import ClassVar

import numpy as np

from fxnorm.engine import products, replay
from fxnorm.errors import PlanError
from fxnorm.fixed import arith
from fxnorm.fixed.format import Format, Overflow, Rounding
from fxnorm.kernels.channels import ChannelScales
from fxnorm.kernels.encoding import ChannelCodes, Encoding, row_blocks
from fxnorm.kernels.kernel import Kernel, Operation, Policy, Reads
from fxnorm.kernels.stage import Rescale, Tally, stage_for

Array = np.ndarray


@dataclass(frozen=True, slots=True)
class Window:
    """How a kernel of taps moves over space; all tuples have one entry a spatial axis."""

    kernel: tuple[int, ...]
    strides: tuple[int, ...]
    dilations: tuple[int, ...]
    pads_begin: tuple[int, ...]
    pads_end: tuple[int, ...]

    def pad(self, x: Array, code: int = 0) -> Array:
        """The input [n, c, *spatial] with the code of the padding around it."""
        if not any(self.pads_begin) and not any(self.pads_end):
            return x
        widths = [(0, 0), (0, 0), *zip(self.pads_begin, self.pads_end, strict=True)]
        return np.pad(x, widths, constant_values=code)


@dataclass(frozen=True, eq=False)
class Linear(Kernel):
    """A dense layer or a convolution, in integers.

    Attributes
    ----------
    weights
        Codes. Convolution: [o, c / groups, *kernel]; dense layer: [o, k].
    bias
        Codes of the accumulator, one an output channel (int64, or Python integers where they are wider).
    window, groups
        Geometry of a convolution; None and 1 for a dense layer on the last axis.
    stage
        Rescale of the accumulator; its shift has one entry a channel, its multiplier is one integer or has as many.
    accumulator
        Format of the accumulator.
    product
        Format of each product; None: exact.
    product_bits
        Fractional bits of the exact product.
    exact
        Whether the accumulator is proven never to overflow nor to round, so that the order of additions does not matter.
    bound
        No partial sum exceeds it in magnitude, with or without the bias, over all inputs that the input's format can hold.
    padding
        Code of the input that stands for 0, with which a convolution pads. What it adds to sums is taken off in the bias.
    """

    kind: ClassVar[str] = "linear"
    weights: Array
    bias: Array
    window: Window | None
    groups: int
    stage: Rescale
    accumulator: Format
    product: Format | None
    product_bits: int
    exact: bool
    bound: int
    padding: int = 0

    def run(self, inputs: Sequence[Array], tally: Tally) -> Array:
        """Input [samples, batch, c, *spatial] (convolution) or [samples, ..., k] (dense)."""
        x = inputs[0]
        if self.window is None:
            rows = x.reshape(1, -1, x.shape[-1])
            acc = self._dense(rows, tally)
            y = self.stage.run(acc, tally)
            return y.reshape(*x.shape[:-1], self.weights.shape[0])
        frames = self.window.pad(x.reshape(-1, *x.shape[2:]), self.padding)
        acc = self._convolve(frames, self.window, tally)
        channels = (len(self.bias), *(1,) * len(self.window.kernel))
        y = self.stage.spread(channels).run(acc, tally)
        return y.reshape(*x.shape[:2], *y.shape[1:])

    def _dense(self, rows: Array, tally: Tally) -> Array:
        tally.additions += math.prod(rows.shape) * self.weights.shape[0]
        if self.exact:
            return np.asarray(products.matmul(rows, self.weights.T, self.bound) + self.bias)
        acc, count = replay.accumulate(rows, self.weights.T[None], self.bias, self._steps())
        tally.accumulator_overflow += count
        return acc

    def _convolve(self, frames: Array, window: Window, tally: Tally) -> Array:
        spread = (-1, *(1,) * len(window.kernel))
        if self.exact:
            acc = products.convolve(frames, self.weights, window.strides, window.dilations, self.groups, self.bound)
            tally.additions += acc.size * math.prod(self.weights.shape[1:])
            acc += self.bias.reshape(spread)
            return acc
        view = products.windows(frames, window.kernel, window.strides, window.dilations)
        output = view.shape[2 : 2 + len(window.kernel)]
        columns = products.columns(view, self.groups, np.int64)
        weights = self.weights.reshape(1, self.groups, -1, columns.shape[2])
        acc, count = replay.accumulate(weights, columns, self.bias.reshape(self.groups, -1, 1), self._steps())
        tally.accumulator_overflow += count
        tally.additions += acc.size * columns.shape[2]
        return acc.reshape(len(frames), -1, *output)

    def _steps(self) -> replay.Accumulator:
        return replay.Accumulator(self.accumulator, self.product_bits, self.product)

    def accumulator_format(self) -> Format:
        """Format of the accumulator, in the normalized units of input times weight."""
        return self.accumulator

    def accumulator_proof(self) -> str:
        """Whether the worst case over all inputs fits."""
        return "cannot overflow" if self.exact else "may overflow: quantized at every addition"


@dataclass(frozen=True, eq=False)
class LinearOperation(Operation):
    """A dense layer or a convolution, in real numbers.

    Attributes
    ----------
    weights
        float32 or float64; [o, c / groups, *kernel] or [o, k].
    bias
        float64, one an output.
    window, groups
        As in `Linear`.
    low, high
        Clip of a fused activation, in real numbers.
    quantized
        Codes of the weights, shared by the plans that are made of this operation.
    """

    weights: Array
    bias: Array
    window: Window | None = None
    groups: int = 1
    low: float | None = None
    high: float | None = None
    quantized: ChannelCodes = field(init=False, repr=False, default_factory=ChannelCodes)

    def reads(self, index: int) -> Reads:
        """The bias takes the zero off; padding must be one of the codes."""
        pads = self.window is not None and any((*self.window.pads_begin, *self.window.pads_end))
        return Reads.ZERO if pads else Reads.ANY

    @property
    def writes_any(self) -> bool:
        """The stage has a multiplier and a zero."""
        return True

    @property
    def has_channels(self) -> bool:
        """Every output has weights of its own."""
        return True

    def unit(self, inputs: Sequence[Encoding]) -> Fraction:
        """Weights have powers of two as their steps, or what a multiplier a channel makes of the output's step."""
        return Fraction(inputs[0].factor)

    def decide(self, inputs: Sequence[Encoding], output: Encoding, policy: Policy) -> Linear:
        """Quantize weights per output channel, bias to the accumulator's step, and find the accumulator that cannot overflow.

        Steps of weights are powers of two, unless every channel has a multiplier of its own (`fxnorm.kernels.channels`).

        An explicit accumulator holds the products of stored codes; it starts at the bias, from which the input's zero is taken off.
        """
        x = inputs[0]
        taps = int(np.prod(self.weights.shape[1:], dtype=np.int64))
        weight_format = policy.weight_format
        for format_ in (x.format, weight_format):
            products.check_width(format_.width + (not format_.signed))
        product_bits = x.format.fraction_bits + weight_format.fraction_bits
        explicit = policy.accumulator is not None or policy.product_format is not None
        accumulator_bits = policy.accumulator.fraction_bits if policy.accumulator else product_bits
        if policy.accumulator is None and policy.product_format is not None:
            accumulator_bits = policy.product_format.fraction_bits
        floor = self._floor(x, weight_format, taps)
        reals = None
        if policy.normalize == "affine" and policy.multiplier == "channel":
            # What one code of the accumulator stands for where a weight's code stands for 1.
            unit = Fraction(x.factor) * Fraction(2) ** (x.exponent + weight_format.fraction_bits - accumulator_bits)
            reals = ChannelScales.of(self.weights, weight_format, floor, unit, output.step)
        codes: Array
        if reals is None:
            codes, exponents = self.quantized.encode(self.weights, weight_format, policy.normalize, floor)
            lsbs = x.exponent + exponents - accumulator_bits
            bias = encode_bias(self.bias, lsbs, x.factor)
        else:
            codes = reals.encode(self.weights, weight_format)
            bias = divided(self.bias, [step * unit for step in reals.steps])
        if x.zero:
            bias = without_zero(codes, bias, x.zero, accumulator_bits - product_bits)
        worst_low, worst_high = worst_case(codes, bias, x.format)
        # The engine adds products first and the bias last: where the two cancel, products alone reach further than their sum with it.
        bound = max(-worst_low, worst_high) + products.largest(bias)
        exact_format = signed_format(worst_low, worst_high, accumulator_bits)
        accumulator = policy.accumulator or exact_format
        if policy.product_format is not None and policy.accumulator is None:
            # Rounding and saturation of products move the sum by no more than their own format allows.
            product_bound = taps * max(
                -policy.product_format.min_code, policy.product_format.max_code
            ) + products.largest(bias)
            accumulator = signed_format(-product_bound, product_bound, accumulator_bits)
            bound = product_bound
        exact = not explicit or self._never_overflows(
            accumulator, exact_format, policy, accumulator_bits == product_bits
        )
        low, high = clip_codes(self.low, self.high, output)
        stage_bound = bound if exact else max(-accumulator.min_code, accumulator.max_code)
        if reals is None:
            stage = stage_for(output, lsbs, stage_bound, x.factor, low=low, high=high)
        else:
            stage = reals.stage(output, stage_bound, low, high)
        return Linear(
            weights=codes,
            bias=bias,
            window=self.window,
            groups=self.groups,
            stage=stage,
            accumulator=accumulator,
            product=policy.product_format,
            product_bits=product_bits,
            exact=exact,
            bound=bound,
            padding=x.zero,
        )

    @staticmethod
    def _never_overflows(accumulator: Format, exact: Format, policy: Policy, same_bits: bool) -> bool:
        """Whether an explicit accumulator holds every partial sum as it is, whatever the input."""
        if policy.product_format is not None or not same_bits:
            return False
        return accumulator.lowest_code <= exact.min_code and exact.max_code <= accumulator.max_code

    def _floor(self, x: Encoding, weight_format: Format, taps: int) -> Array:
        """Exponents below which a channel's bias would need more bits than its products do; there finer weights are noise."""
        bits = x.format.width + weight_format.width + max(taps, 1).bit_length()
        magnitude = np.where(self.bias == 0.0, -(1 << 20), np.frexp(self.bias)[1].astype(np.int64))
        return np.asarray(magnitude - bits - x.place + weight_format.fraction_bits)


def encode_bias(bias: Array, lsb: Array | int, factor: float | Fraction = 1.0) -> Array:
    """Codes of real numbers under one step size a channel (factor · 2**lsb), rounded to nearest even, never clipped."""
    lsbs = np.broadcast_to(np.asarray(lsb, np.int64), bias.shape)
    if factor == 1:
        codes = arith.round_values(bias, -lsbs, Rounding.RND_CONV)
    else:
        return divided(bias, [Fraction(factor) * Fraction(2) ** int(place) for place in lsbs.reshape(-1)])
    return codes.astype(arith.int_dtype(products.largest(codes)))


def divided(bias: Array, steps: Sequence[Fraction]) -> Array:
    """Codes of real numbers, each by a step of its own, rounded to nearest even, never clipped."""
    exact = [round(Fraction(float(b)) / step) for b, step in zip(bias.reshape(-1), steps, strict=True)]
    codes = np.array(exact, dtype=object).reshape(bias.shape)
    return codes.astype(arith.int_dtype(products.largest(codes)))


def without_zero(weights: Array, bias: Array, zero: int, places: int = 0) -> Array:
    """Bias codes from which Σ weight · zero is taken off, rounded to nearest even where the accumulator has fewer places."""
    sums = weights.reshape(len(weights), -1).sum(axis=1, dtype=np.int64).astype(object) * zero
    taken = sums * 2**places if places >= 0 else arith.shift_round(sums, -places, Rounding.RND_CONV)
    codes = bias.astype(object) - taken
    return np.asarray(codes.astype(arith.int_dtype(products.largest(codes))))


def worst_case(weights: Array, bias: Array, x: Format) -> tuple[int, int]:
    """Smallest and largest partial sum of bias + Σ w·x over every input that the format holds, over all channels.

    The input 0 is always possible, so that every partial sum, in whatever order, lies within the bounds of the complete one.
    """
    flat = weights.reshape(weights.shape[0], -1)
    positive: list[int] = []
    negative: list[int] = []
    for rows in row_blocks(flat):
        positive += [int(total) for total in np.maximum(flat[rows], 0).sum(axis=1, dtype=np.int64)]
        negative += [int(total) for total in np.minimum(flat[rows], 0).sum(axis=1, dtype=np.int64)]
    high, low = x.max_code, min(x.lowest_code, 0)
    highs = [int(b) + p * high + n * low for b, p, n in zip(bias, positive, negative, strict=True)]
    lows = [int(b) + p * low + n * high for b, p, n in zip(bias, positive, negative, strict=True)]
    return min(0, *lows), max(0, *highs)


def signed_format(low: int, high: int, fraction_bits: int) -> Format:
    """Narrowest signed format that holds two codes; it truncates and wraps, which it never needs to."""
    width = max((~low if low < 0 else low).bit_length(), high.bit_length()) + 1
    if width > 1000:
        raise PlanError(f"an accumulator of {width} bits would be needed; give the layer a coarser weight format")
    return Format(width, width - fraction_bits, True, Rounding.TRN, Overflow.WRAP)


def clip_codes(low: float | None, high: float | None, output: Encoding) -> tuple[int | None, int | None]:
    """Codes nearest to the bounds of an activation, in the output's encoding (not yet overflowed)."""

    def code(value: float | None) -> int | None:
        if value is None or np.isinf(value):
            return None
        return int(output.round(np.array([value]))[0])

    return code(low), code(high)


def holds_clip(low: float | None, high: float | None, encoding: Encoding) -> bool:
    """Whether an encoding holds every number that a clip makes of the numbers it holds."""
    low_code, high_code = clip_codes(low, high, encoding)
    above = low_code is not None and low_code > encoding.format.max_code
    below = high_code is not None and high_code < encoding.format.lowest_code
    return not (above or below)


def narrow(codes: Array) -> Array:
    """The same integers in the smallest signed type that NumPy has for them: memory, not arithmetic."""
    largest = max(products.largest(codes), 1)
    for dtype in (np.int8, np.int16, np.int32):
        if largest <= np.iinfo(dtype).max:
            return codes.astype(dtype)
    return codes
