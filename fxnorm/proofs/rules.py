"""Interval analysis: what every kernel makes of the intervals of its inputs.

Sound, not tight: whatever codes the inputs have inside their intervals, the output's lie in the one that is found. Channels are told apart
where that costs nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import numpy as np

from fxnorm.kernels import movement
from fxnorm.kernels.divide import Divide
from fxnorm.kernels.elementwise import Elementwise
from fxnorm.kernels.kernel import Kernel
from fxnorm.kernels.linear import Linear
from fxnorm.kernels.local_response import LocalResponse
from fxnorm.kernels.matmul import MatMul
from fxnorm.kernels.norm import Norm
from fxnorm.kernels.norm_staged import StagedMoments
from fxnorm.kernels.norm_statistic import NormInverseDeviation, NormMean
from fxnorm.kernels.pool import Pool, Reduce
from fxnorm.kernels.rescale import ScaleAndShift
from fxnorm.kernels.softmax import LogSoftmax, Softmax
from fxnorm.kernels.table import Function
from fxnorm.proofs import accumulating, pointwise
from fxnorm.proofs.ends import Ends, settled, uniform_ends
from fxnorm.proofs.interval import Interval

Array = np.ndarray
Shape = tuple[int, ...]


def output_interval(kernel: Kernel, inputs: Sequence[Interval], shape: Shape) -> Interval:
    """Interval of a kernel's output.

    Parameters
    ----------
    inputs
        Of its inputs.
    shape
        Of the output, samples not counted.
    """
    if not math.prod(shape):
        return Interval.of(shape, 0, 0)
    low, high = RULES[type(kernel)](kernel, inputs, shape)
    return Interval.between(shape, low, high)


def _softmax(kernel: Softmax, inputs: Sequence[Interval], shape: Shape) -> Ends:
    # From nothing to all of the sum.
    return settled(kernel.stage, *uniform_ends(0, kernel.bound, shape))


def _log_softmax(kernel: LogSoftmax, inputs: Sequence[Interval], shape: Shape) -> Ends:
    low, high = inputs[0].hull if kernel.mask is None else (-kernel.mask.bound, kernel.mask.bound)
    length = inputs[0].shape[kernel.axis]
    most = kernel.logarithm.output.max_code + ((length << kernel.bits).bit_length() - 1 - kernel.bits) * kernel.ln2
    lowest = -(high - low << kernel.shifts[0]) - (most << kernel.shifts[1])
    least, largest = settled(kernel.stage, *uniform_ends(lowest, 0, shape))
    if kernel.hidden is not None:
        least = np.where(kernel.hidden, kernel.stage.output.lowest_code, least)
    return least, largest


def _norm(kernel: Norm, inputs: Sequence[Interval], shape: Shape) -> Ends:
    given = iter(inputs[1:])
    if kernel.scale is None and kernel.scale_shape is not None:
        next(given)
    ends = uniform_ends(-kernel.product.bound, kernel.product.bound, shape)
    if kernel.bias_shape is not None and kernel.bias is None:
        low, high = next(given).hull
        ends = ends[0] + (low << kernel.bias_shift), ends[1] + (high << kernel.bias_shift)
    elif kernel.bias is not None:
        low, high = int(kernel.bias.min()), int(kernel.bias.max())
        ends = ends[0] + (low << kernel.bias_shift), ends[1] + (high << kernel.bias_shift)
    return settled(kernel.stage, *ends)


def _norm_mean(kernel: NormMean, inputs: Sequence[Interval], shape: Shape) -> Ends:
    stage = kernel.moments.mean_stage
    assert stage is not None
    low, high = inputs[0].hull
    count = math.prod(kernel.layout[axis] for axis in kernel.axes)
    means = settled(stage, *uniform_ends(low * count, high * count, shape))
    return settled(kernel.stage, *means)


def _norm_inverse_deviation(kernel: NormInverseDeviation, inputs: Sequence[Interval], shape: Shape) -> Ends:
    # A root that wraps in a signed format is negative.
    bound = kernel.stage.bound
    return settled(
        kernel.stage, *uniform_ends(-bound if isinstance(kernel.moments, StagedMoments) else 0, bound, shape)
    )


def _local_response(kernel: LocalResponse, inputs: Sequence[Interval], shape: Shape) -> Ends:
    low, high = inputs[0].hull
    bound = kernel.product.bound
    return settled(kernel.stage, *uniform_ends(-bound if low < 0 else 0, bound if high > 0 else 0, shape))


def _movement(kernel: movement.Movement, inputs: Sequence[Interval], shape: Shape) -> Ends:
    x = inputs[0]
    for move in kernel.moves:
        x = _moved(x, move)
    if kernel.stage is not None:
        x = Interval.between(x.shape, *settled(kernel.stage, *np.broadcast_arrays(x.low, x.high)))
    for move in kernel.filled:
        x = _moved(x, move)
    return x.low, x.high


def _moved(x: Interval, move: movement.Move) -> Interval:
    return x.moved(move.apply, *((move.code,) if isinstance(move, movement.Pad | movement.Spread) else ()))


def _concat(kernel: movement.Concat, inputs: Sequence[Interval], shape: Shape) -> Ends:
    given = iter(inputs)
    low: list[Array] = []
    high: list[Array] = []
    for constant, stage in zip(kernel.operands, kernel.stages, strict=True):
        x = next(given) if constant is None else Interval.between(constant.shape, constant, constant)
        ends = (x.low, x.high) if stage is None else settled(stage, *np.broadcast_arrays(x.low, x.high))
        # One entry for every index of the axis; the others join where all operands agree on them.
        others = tuple(axis for axis in range(len(shape)) if axis != kernel.axis)
        size = x.shape[kernel.axis]
        for end, choose, parts in ((ends[0], np.min, low), (ends[1], np.max, high)):
            hull = choose(end, axis=others, keepdims=True)
            parts.append(np.broadcast_to(hull, tuple(size if axis == kernel.axis else 1 for axis in range(len(shape)))))
    return np.concatenate(low, axis=kernel.axis), np.concatenate(high, axis=kernel.axis)


def _lookup(kernel: movement.Lookup, inputs: Sequence[Interval], shape: Shape) -> Ends:
    return uniform_ends(int(kernel.rows.min()), int(kernel.rows.max()), shape)


RULES: Final[Mapping[type[Kernel], Callable[[Any, Sequence[Interval], Shape], Ends]]] = {
    Linear: accumulating.linear,
    MatMul: accumulating.matmul,
    Elementwise: pointwise.elementwise,
    Divide: pointwise.divide,
    ScaleAndShift: accumulating.scale,
    Function: pointwise.function,
    Pool: accumulating.pool,
    Reduce: accumulating.reduce,
    Softmax: _softmax,
    LogSoftmax: _log_softmax,
    Norm: _norm,
    NormMean: _norm_mean,
    NormInverseDeviation: _norm_inverse_deviation,
    LocalResponse: _local_response,
    movement.Movement: _movement,
    movement.Concat: _concat,
    movement.Lookup: _lookup,
}
"""What becomes of intervals, by kernel."""
