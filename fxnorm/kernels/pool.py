"""Maximum and average over windows of space, and over whole axes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from fxnorm.engine import products
from fxnorm.kernels.encoding import Encoding
from fxnorm.kernels.kernel import Kernel, Operation, Policy
from fxnorm.kernels.linear import Window, clip_codes, holds_clip
from fxnorm.kernels.stage import Rescale, Tally

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

    def decide(self, inputs: Sequence[Encoding], output: Encoding, policy: Policy) -> Pool:
        """The sum is exact, the quotient rounded once."""
        x = inputs[0]
        largest = max(-x.format.min_code, x.format.max_code)
        is_max = self.function == "max"
        bound = largest if is_max else largest * int(np.prod(self.window.kernel, dtype=np.int64))
        divisor: int | Array = 1
        if not is_max:
            divisor = int(self.counts.flat[0]) if self.counts.size == 1 else self.counts
        stage = Rescale(output.format, output.lsb - x.lsb, divisor=divisor, bound=bound)
        return Pool(self.function, self.window, x.format.lowest_code if is_max else 0, stage, bound)


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
    """

    kind: ClassVar[str] = "reduce"
    function: str
    axes: tuple[int, ...]
    keep: bool
    stage: Rescale
    bound: int

    def run(self, inputs: Sequence[Array], tally: Tally) -> Array:
        """Input [samples, *shape]."""
        x = products.integers(inputs[0], self.bound)
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

    def decide(self, inputs: Sequence[Encoding], output: Encoding, policy: Policy) -> Reduce:
        """The sum is exact, the quotient rounded once."""
        x = inputs[0]
        largest = max(-x.format.min_code, x.format.max_code)
        lsb = x.lsb
        if self.function == "sum_square":
            largest, lsb = largest * largest, 2 * lsb
        bound = largest if self.function in {"max", "min"} else largest * self.count
        divisor = self.count if self.function == "mean" else 1
        low, high = clip_codes(self.low, self.high, output)
        stage = Rescale(output.format, output.lsb - lsb, divisor=divisor, low=low, high=high, bound=bound)
        return Reduce(self.function, self.axes, self.keep, stage, bound)
