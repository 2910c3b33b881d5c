"""y = a·x + b, per channel: batch normalization that stays a layer, scaling by constants, changes of format, clips."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from fxnorm.engine import products
from fxnorm.fixed.format import Format, Overflow, Rounding
from fxnorm.kernels.encoding import Encoding, encode_channels, encode_constant
from fxnorm.kernels.kernel import Kernel, Operation, Policy
from fxnorm.kernels.linear import clip_codes, encode_bias, holds_clip, narrow, signed_format, worst_case
from fxnorm.kernels.stage import Rescale, Tally

Array = np.ndarray

MULTIPLIER_BITS = 16


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
        Largest magnitude of the accumulator.
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
        stage = replace(self.stage, shift=np.reshape(self.stage.shift, spread))
        return stage.run(acc, tally)

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

    def decide(self, inputs: Sequence[Encoding], output: Encoding, policy: Policy) -> ScaleAndShift:
        """Multipliers of 16 bits, or as many as constants have, normalized a channel at a time; biases at the accumulator's step.

        Without normalization multipliers are constants like any other: plain, in the format of weights.
        """
        x = inputs[0]
        if self.is_clip:
            multiplier, exponents = np.ones(1, np.int64), np.zeros(1, np.int64)
            multiplier_bits = 0
        else:
            format_ = multiplier_format(policy)
            magnitude = np.where(self.shift == 0.0, -(1 << 20), np.frexp(self.shift)[1].astype(np.int64))
            floor = magnitude - (x.format.width + format_.width) - x.lsb + format_.fraction_bits
            multiplier, exponents = encode_channels(self.scale, format_, policy.normalize, floor)
            multiplier_bits = format_.fraction_bits
        lsbs = x.lsb + exponents - multiplier_bits
        bias = encode_bias(np.broadcast_to(self.shift, multiplier.shape), lsbs)
        low, high = worst_case(multiplier[:, None], bias, x.format)
        bound = max(-low, high)
        clip_low, clip_high = clip_codes(self.low, self.high, output)
        stage = Rescale(output.format, output.lsb - lsbs, low=clip_low, high=clip_high, bound=bound)
        accumulator = signed_format(low, high, x.format.fraction_bits + multiplier_bits)
        return ScaleAndShift(narrow(multiplier), bias, self.axis, stage, accumulator, bound)
