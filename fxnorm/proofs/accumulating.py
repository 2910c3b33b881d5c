"""Rules of interval analysis for kernels that add up: linear layers, matrix products, scales, pools and reductions."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from fxnorm.engine import replay
from fxnorm.fixed.format import Overflow
from fxnorm.kernels.linear import Linear
from fxnorm.kernels.matmul import MatMul
from fxnorm.kernels.pool import Pool, Reduce
from fxnorm.kernels.rescale import ScaleAndShift
from fxnorm.proofs import sums
from fxnorm.proofs.ends import Ends, magnitude_ends, plain, settled, sorted_ends, square_ends
from fxnorm.proofs.factors import linear_factors, matmul_factors, scale_factors, taps_inside
from fxnorm.proofs.interval import Interval

Array = np.ndarray
Shape = tuple[int, ...]


def linear(kernel: Linear, inputs: Sequence[Interval], shape: Shape) -> Ends:
    """Dense layers and convolutions: one interval an output channel."""
    reach = linear_reach(kernel, inputs[0])
    low, high = settled(kernel.stage, reach[0], reach[1])
    spread = (-1, *(1,) * (0 if kernel.window is None else len(kernel.window.kernel)))
    return low.reshape(spread), high.reshape(spread)


def linear_reach(kernel: Linear, x: Interval) -> Ends:
    """Between which ends the finished accumulators of every output channel lie."""
    if kernel.exact:
        reach = sums.finals(linear_factors(kernel, x))
        return reach.low, reach.high
    steps = replay.Accumulator(kernel.accumulator, kernel.product_bits, kernel.product)
    return _quantized(linear_factors(kernel, x, steps.start(kernel.bias)), steps)


def _quantized(factors: sums.Factors, steps: replay.Accumulator) -> Ends:
    """Ends of accumulators that are quantized at every addition, in the order of the contract."""
    format_ = steps.format
    held = sums.in_order(factors, steps).fits(format_)
    if format_.overflow in (Overflow.SAT, Overflow.SAT_SYM):
        reach = sums.finals(factors, steps, clamp=True)
        return reach.low, reach.high
    reach = sums.finals(factors, steps)
    # Before anything overflows all modes are alike, and beyond that these two may leave anything.
    return np.where(held, reach.low, format_.lowest_code), np.where(held, reach.high, format_.max_code)


def matmul(kernel: MatMul, inputs: Sequence[Interval], shape: Shape) -> Ends:
    """Matrix products: one interval a column of a constant on the right."""
    factors = matmul_factors(kernel, inputs)
    if kernel.exact:
        reach = sums.finals(factors)
        ends = reach.low, reach.high
    else:
        ends = _quantized(factors, replay.Accumulator(kernel.accumulator, kernel.product_bits, kernel.product))
    columns = kernel.right is not None and kernel.right.ndim <= 2 and len(ends[0]) > 1
    low, high = ends if columns else (ends[0].min(keepdims=True), ends[1].max(keepdims=True))
    if kernel.vector_right:
        low, high = low.min(), high.max()
    total = combined(kernel, low, high, inputs)
    return settled(kernel.stage, *total)


def combined(kernel: MatMul, low: Array, high: Array, inputs: Sequence[Interval]) -> Ends:
    """Ends of what a Gemm makes of finished accumulators between two ends."""
    made = kernel.combination
    if made is None:
        return low, high
    ends = sorted_ends(*(end * made.alpha << made.shifts[0] for end in (plain(low), plain(high))))
    if made.addend is not None:
        # Constants are added where they are, ends may be those of channels.
        return ends[0] + plain(made.addend), ends[1] + plain(made.addend)
    count = (kernel.left is None) + (kernel.right is None)
    if len(inputs) == count:
        return ends
    c = inputs[count]
    more = sorted_ends(*(plain(end) * made.beta << made.shifts[1] for end in (c.low, c.high)))
    return ends[0] + more[0], ends[1] + more[1]


def scale(kernel: ScaleAndShift, inputs: Sequence[Interval], shape: Shape) -> Ends:
    """Scales and shifts: one interval a channel."""
    reach = sums.finals(scale_factors(kernel, inputs[0]))
    low, high = settled(kernel.stage, reach.low, reach.high)
    spread = [1] * len(shape)
    if kernel.axis is not None:
        spread[kernel.axis] = len(low)
    return low.reshape(spread), high.reshape(spread)


def pool(kernel: Pool, inputs: Sequence[Interval], shape: Shape) -> Ends:
    """Pools: one interval a channel."""
    low, high = pooled(kernel, inputs[0])
    if np.ndim(kernel.stage.divisor):
        low, high = (np.broadcast_arrays(end, kernel.stage.divisor)[0] for end in (low, high))
    return settled(kernel.stage, low, high)


def pooled(kernel: Pool, x: Interval) -> Ends:
    """Ends of what a pool sums up or chooses, a channel: [c, 1, …]."""
    window = kernel.window
    spread = (-1, *(1,) * len(window.kernel))
    low, high = (plain(end).reshape(spread) for end in x.along(1))
    inside = [taps_inside(window, axis, size) for axis, size in enumerate(x.shape[2:])]
    if kernel.function == "max":
        # Its padding never wins over data, but there may be windows without any.
        empty = any(not taps.any(axis=1).all() for taps in inside)
        return (np.minimum(low, kernel.padding), np.maximum(high, kernel.padding)) if empty else (low, high)
    if not all(taps.all() for taps in inside):
        low, high = np.minimum(low, kernel.padding), np.maximum(high, kernel.padding)
    taps = math.prod(window.kernel)
    return low * taps, high * taps


def reduce(kernel: Reduce, inputs: Sequence[Interval], shape: Shape) -> Ends:
    """Reductions."""
    low, high = reduced(kernel, inputs[0])
    return settled(kernel.stage, low, high)


def reduced(kernel: Reduce, x: Interval) -> Ends:
    """Ends of what a reduction sums up or chooses, as they broadcast against its output."""
    low, high = plain(x.low) - kernel.zero, plain(x.high) - kernel.zero
    match kernel.function:
        case "max":
            return low.max(axis=kernel.axes, keepdims=kernel.keep), high.max(axis=kernel.axes, keepdims=kernel.keep)
        case "min":
            return low.min(axis=kernel.axes, keepdims=kernel.keep), high.min(axis=kernel.axes, keepdims=kernel.keep)
        case "sum_square":
            low, high = square_ends(low, high)
        case "sum_abs":
            low, high = magnitude_ends(low, high)
    return summed(low, x.shape, kernel.axes, kernel.keep), summed(high, x.shape, kernel.axes, kernel.keep)


def summed(ends: Array, shape: Shape, axes: tuple[int, ...], keep: bool) -> Array:
    """Sum over axes of a shape of what broadcasts against it: an axis of length 1 counts as often as it stands for."""
    times = math.prod(shape[axis] for axis in axes if ends.shape[axis] == 1)
    return np.asarray(ends.sum(axis=axes, keepdims=keep)) * times
