"""y = a·x + b, per channel: batch normalization that stays a layer, scaling by constants, changes of format, clips."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import ClassVar

import numpy as np

from fxnorm.engine import products
from fxnorm.fixed.format import Format, Overflow, Rounding
from fxnorm.kernels.encoding import Encoding, encode_channels, encode_constant
from fxnorm.kernels.kernel import Kernel, Operation, Policy, Reads
from fxnorm.kernels.linear import (
    clip_codes,
    encode_bias,
    holds_clip,
    narrow,
    signed_format,
    without_zero,
    worst_case,
)
from fxnorm.kernels.stage import MULTIPLIER_BITS, Rescale, Tally, stage_for

Array = np.ndarray


def multiplier_format(policy: Policy) -> Format:
    """Format of constant factors: at least `MULTIPLIER_BITS` wide where they are normalized, else that of weights."""
    if policy.normalize == "none":
        return policy.weight_format
    return Format(max(MULTIPLIER_BITS, policy.weight_format.width), 1, True, Rounding.RND_CONV, Overflow.SAT)


def encode_multiplier(value: float, policy: Policy) -> tuple[int, int]:
    """A factor as an odd integer (or zero) and the base-2 logarithm of its step; a power of two is 1 and a step."""
    codes, encoding = encode_constant(np.array(value), multiplier_format(policy), policy.normalize)
    code = int(codes)
    places = (code & -code).bit_length() - 1 if code else 0
    return code >> places, encoding.lsb + places


@dataclass(frozen=True, eq=False)
class ScaleAndShift(Kernel):
    """acc = multiplier · x + bias; y = rescale(acc).

    Attributes
    ----------
    multiplier, bias
        Integers, one a channel, or one in all.
    axis
        Axis of the channels in the input's shape (samples not counted); None where there is one multiplier for all.
    stage
        Rescale; its shift has one entry a channel.
    accumulator
        Narrowest format that holds every accumulator.
    bound
        Neither the accumulator nor the product before the bias exceeds it in magnitude.
    """

    kind: ClassVar[str] = "rescale"
    multiplier: Array
    bias: Array
    axis: int | None
    stage: Rescale
    accumulator: Format
    bound: int

    def run(self, inputs: Sequence[Array], tally: Tally) -> Array:
        """Input [samples, *shape]."""
        x = inputs[0]
        spread = [1] * x.ndim
        if self.axis is not None:
            spread[self.axis + 1] = len(self.multiplier)
        acc = products.integers(x, self.bound) * self.multiplier.astype(np.int64).reshape(spread) + self.bias.reshape(
            spread
        )
        return self.stage.spread(tuple(spread)).run(acc, tally)

    def accumulator_format(self) -> Format:
        """Format of multiplier · x + bias."""
        return self.accumulator

    def accumulator_proof(self) -> str:
        """It is as wide as its worst case."""
        return "cannot overflow"


@dataclass(frozen=True, eq=False)
class ScaleOperation(Operation):
    """a·x + b in real numbers, then a clip.

    Attributes
    ----------
    scale, shift
        float64, one a channel, or of length 1.
    axis
        Axis of the channels; None where there is one scale for all.
    low, high
        Clip of an activation.
    """

    scale: Array
    shift: Array
    axis: int | None = None
    low: float | None = None
    high: float | None = None

    def encoding(self, inputs: Sequence[Encoding], policy: Policy) -> Encoding | None:
        """A mere clip keeps its input's encoding, where that holds the bounds: nothing is rounded."""
        keeps = self.is_clip and policy.format == inputs[0].format
        return inputs[0] if keeps and holds_clip(self.low, self.high, inputs[0]) else None

    @property
    def is_clip(self) -> bool:
        """Whether nothing is scaled and nothing added."""
        return bool(np.all(self.scale == 1.0) and np.all(self.shift == 0.0))

    def reads(self, index: int) -> Reads:
        """The bias takes the zero off."""
        return Reads.ANY

    @property
    def writes_any(self) -> bool:
        """The multiplier takes the output's step in, and the stage adds its zero."""
        return True

    @property
    def passes(self) -> bool:
        """A mere clip moves data."""
        return self.is_clip

    def unit(self, inputs: Sequence[Encoding]) -> Fraction | None:
        """A clip has no multiplier of its own; any other has one for every step there is."""
        return Fraction(inputs[0].factor) if self.is_clip else None

    def decide(self, inputs: Sequence[Encoding], output: Encoding, policy: Policy) -> ScaleAndShift:
        """Multipliers of 16 bits, or as many as constants have, normalized a channel at a time; biases at the accumulator's step.

        A multiplier takes in what the steps of input and output lack of powers of two, so that there is one multiplication. Without
        normalization multipliers are constants like any other: plain, in the format of weights, and the stage has a multiplier of its own.
        """
        x = inputs[0]
        joint = policy.normalize != "none" and not self.is_clip
        ratio = Fraction(x.factor) / Fraction(output.factor) if joint else Fraction(1)
        factor = output.factor if joint else x.factor
        if self.is_clip:
            multiplier, exponents = np.ones(len(self.scale), np.int64), np.zeros(len(self.scale), np.int64)
            multiplier_bits = 0
        else:
            format_ = multiplier_format(policy)
            if joint and not output.plain:
                # As far as results lie from 0, so many bits the multiplier needs.
                format_ = replace(format_, width=max(format_.width, output.limit.bit_length() + 1))
            magnitude = np.where(self.shift == 0.0, -(1 << 20), np.frexp(self.shift)[1].astype(np.int64))
            floor = magnitude - (x.format.width + format_.width) - x.place + format_.fraction_bits
            multiplier, exponents = encode_channels(self.scale * float(ratio), format_, policy.normalize, floor)
            multiplier_bits = format_.fraction_bits
        lsbs = x.place + exponents - multiplier_bits
        bias = encode_bias(np.broadcast_to(self.shift, multiplier.shape), lsbs, factor)
        if x.zero:
            bias = without_zero(multiplier[:, None], bias, x.zero)
        low, high = worst_case(multiplier[:, None], bias, x.format)
        # The product alone reaches further than its sum with a bias of the other sign.
        bound = max(-low, high) + products.largest(bias)
        clip_low, clip_high = clip_codes(self.low, self.high, output)
        stage = stage_for(output, lsbs, bound, factor, low=clip_low, high=clip_high)
        accumulator = signed_format(low, high, x.format.fraction_bits + multiplier_bits)
        return ScaleAndShift(narrow(multiplier), bias, self.axis, stage, accumulator, bound)
