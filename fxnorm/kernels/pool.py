"""Maximum and average over windows of space, and over whole axes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import ClassVar

import numpy as np

from fxnorm.engine import products
from fxnorm.kernels.encoding import Encoding
from fxnorm.kernels.kernel import Kernel, Operation, Policy, Reads
from fxnorm.kernels.linear import Window, clip_codes, holds_clip
from fxnorm.kernels.stage import Rescale, Tally, stage_for

Array = np.ndarray


@dataclass(frozen=True, eq=False)
class Pool(Kernel):
    """Windows of space: y = rescale(max x) or rescale(Σ x / count).

    Attributes
    ----------
    function
        "max" or "mean".
    window
        Geometry; the padding at the end includes what ceil_mode adds. A maximum pads with the lowest code, which never wins over
        data and stands for nothing where a window holds padding alone.
    padding
        Code of the padding.
    stage
        Rescale; for a mean its divisor is the count of values, one for all windows or an array [*output].
    bound
        Largest magnitude of the sum.
    """

    kind: ClassVar[str] = "pool"
    function: str
    window: Window
    padding: int
    stage: Rescale
    bound: int

    def run(self, inputs: Sequence[Array], tally: Tally) -> Array:
        """Input [samples, batch, c, *spatial]."""
        x = inputs[0]
        frames = self.window.pad(x.reshape(-1, *x.shape[2:]), self.padding)
        view = products.windows(frames, self.window.kernel, self.window.strides, self.window.dilations)
        combine = np.maximum if self.function == "max" else np.add
        first, *rest = np.ndindex(*self.window.kernel)
        acc = products.integers(products.tap(view, first), self.bound).copy()
        for index in rest:
            combine(acc, products.tap(view, index), out=acc)
        y = self.stage.run(acc, tally)
        return y.reshape(*x.shape[:2], *y.shape[1:])


@dataclass(frozen=True, eq=False)
class PoolOperation(Operation):
    """Maximum or mean over windows.

    Attributes
    ----------
    function, window
        As in `Pool`.
    counts
        Values a mean divides by: int64, one entry, or [*output].
    """

    function: str
    window: Window
    counts: Array

    def encoding(self, inputs: Sequence[Encoding], policy: Policy) -> Encoding | None:
        """A maximum is one of its inputs."""
        return inputs[0] if self.function == "max" and policy.format == inputs[0].format else None

    def reads(self, index: int) -> Reads:
        """A mean pads with 0; a maximum pads with what never wins."""
        pads = any((*self.window.pads_begin, *self.window.pads_end))
        return Reads.ZERO if pads and self.function == "mean" else Reads.ANY

    @property
    def writes_any(self) -> bool:
        """The stage has a multiplier and a zero."""
        return True

    @property
    def passes(self) -> bool:
        """A maximum is one of its inputs."""
        return self.function == "max"

    def unit(self, inputs: Sequence[Encoding]) -> Fraction:
        """That of the input."""
        return Fraction(inputs[0].factor)

    def decide(self, inputs: Sequence[Encoding], output: Encoding, policy: Policy) -> Pool:
        """The sum is exact, the quotient rounded once."""
        x = inputs[0]
        largest = max(-x.format.min_code, x.format.max_code, x.limit)
        is_max = self.function == "max"
        taps = 1 if is_max else math.prod(self.window.kernel)
        bound = largest * taps
        divisor: int | Array = 1
        if not is_max:
            divisor = int(self.counts.flat[0]) if self.counts.size == 1 else self.counts
        stage = stage_for(output, x.place, bound, x.factor, divisor=divisor, origin=taps * x.zero)
        return Pool(self.function, self.window, x.format.lowest_code if is_max else x.zero, stage, bound)


@dataclass(frozen=True, eq=False)
class Reduce(Kernel):
    """Whole axes: y = rescale(f(x)) with f one of sum, mean, max, min, sum_square, sum_abs.

    Attributes
    ----------
    function
        Name of f; a mean is a sum whose stage divides.
    axes
        Reduced axes of the input's shape (samples not counted), ascending.
    keep
        Whether reduced axes stay with length 1.
    stage
        Rescale.
    bound
        Largest magnitude of the accumulator.
    zero
        Code of the input that stands for 0, taken off before squares and magnitudes; from other sums the stage takes it.
    """

    kind: ClassVar[str] = "reduce"
    function: str
    axes: tuple[int, ...]
    keep: bool
    stage: Rescale
    bound: int
    zero: int = 0

    def run(self, inputs: Sequence[Array], tally: Tally) -> Array:
        """Input [samples, *shape]."""
        x = products.integers(inputs[0], self.bound)
        if self.zero:
            x = x - self.zero
        axes = tuple(axis + 1 for axis in self.axes)
        match self.function:
            case "max":
                acc = x.max(axis=axes, keepdims=self.keep)
            case "min":
                acc = x.min(axis=axes, keepdims=self.keep)
            case "sum_square":
                acc = (x * x).sum(axis=axes, keepdims=self.keep)
            case "sum_abs":
                acc = np.abs(x).sum(axis=axes, keepdims=self.keep)
            case _:
                acc = x.sum(axis=axes, keepdims=self.keep)
        return self.stage.run(np.asarray(acc), tally)


@dataclass(frozen=True, eq=False)
class ReduceOperation(Operation):
    """A reduction over axes, in real numbers.

    Attributes
    ----------
    function, axes, keep
        As in `Reduce`.
    count
        Values a reduction takes in.
    low, high
        Clip of a fused activation.
    """

    function: str
    axes: tuple[int, ...]
    keep: bool
    count: int
    low: float | None = None
    high: float | None = None

    def encoding(self, inputs: Sequence[Encoding], policy: Policy) -> Encoding | None:
        """A maximum or minimum is one of its inputs."""
        keeps = self.function in {"max", "min"} and policy.format == inputs[0].format
        return inputs[0] if keeps and holds_clip(self.low, self.high, inputs[0]) else None

    def reads(self, index: int) -> Reads:
        """The zero is taken off."""
        return Reads.ANY

    @property
    def writes_any(self) -> bool:
        """The stage has a multiplier and a zero."""
        return True

    @property
    def passes(self) -> bool:
        """A maximum or minimum is one of its inputs."""
        return self.function in {"max", "min"}

    def unit(self, inputs: Sequence[Encoding]) -> Fraction:
        """That of the input, or its square."""
        return Fraction(inputs[0].factor) ** (2 if self.function == "sum_square" else 1)

    def decide(self, inputs: Sequence[Encoding], output: Encoding, policy: Policy) -> Reduce:
        """The sum is exact, the quotient rounded once."""
        x = inputs[0]
        largest = max(-x.format.min_code, x.format.max_code, x.limit)
        power = 2 if self.function == "sum_square" else 1
        terms = 1 if self.passes else self.count
        zero = x.zero if self.function in {"sum_square", "sum_abs"} else 0
        bound = largest**power * terms
        divisor = self.count if self.function == "mean" else 1
        low, high = clip_codes(self.low, self.high, output)
        origin = 0 if zero else terms * x.zero
        factor = Fraction(x.factor) ** power
        stage = stage_for(output, power * x.place, bound, factor, divisor=divisor, low=low, high=high, origin=origin)
        return Reduce(self.function, self.axes, self.keep, stage, bound, zero)
