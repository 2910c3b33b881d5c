"""Softmax, its logarithm and normalizations, run fast: reciprocals and roots by the kernel's own tables, elements in compiled loops.

Every function here gives the codes and the counts of the kernel's own integer `run`, on int64 codes; where 64 bits do not hold every step,
there is none.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np

from fxnorm.kernels.kernel import Kernel
from fxnorm.kernels.norm import Norm
from fxnorm.kernels.norm_exact import ExactMoments, MagnitudeSum
from fxnorm.kernels.softmax import LogSoftmax, Softmax, exponentials
from fxnorm.kernels.stage import Tally
from fxnorm.runtime import group_loops as loops
from fxnorm.runtime.fast import Run
from fxnorm.runtime.integer_stage import IntegerStage

Array = np.ndarray

LONGEST_TABLE: Final = 1 << 17
"""Most distances from the maximum for which exponentials are kept."""
_SAFE: Final = 1 << 62
WORD_BITS: Final = 61
"""Bits of a product that leave room for what is added to it."""


def compiled(kernel: Kernel) -> Run | None:
    """Fast form of a kernel that works on groups: arrays of int64 codes in, codes out; None where there is none."""
    match kernel:
        case Softmax():
            return _softmax(kernel)
        case LogSoftmax():
            return _log_softmax(kernel)
        case Norm():
            return _norm(kernel)
    return None


def _table(kernel: Softmax | LogSoftmax) -> Array | None:
    """Exponentials by distance from the maximum, up to the distance from which on they are all the same; None where there are too many."""
    if kernel.limit >= LONGEST_TABLE:
        return None
    # One group whose maximum is 0, and whose other elements are as far below as they say.
    group = -np.arange(kernel.limit + 1).reshape(*(1,) * (kernel.axis + 1), -1)
    return np.ascontiguousarray(exponentials(kernel, group)[1].reshape(-1))


def _scores(kernel: Softmax | LogSoftmax, given: Array) -> tuple[Array, tuple[int, ...]]:
    """Scores as contiguous [groups, length], and their shape with the axis of the groups last."""
    scores = given if kernel.mask is None else kernel.mask.run(given)
    moved = np.ascontiguousarray(np.moveaxis(scores, kernel.axis + 1, -1))
    return moved.reshape(-1, moved.shape[-1]), moved.shape


def _holds(kernel: Softmax | LogSoftmax) -> bool:
    return kernel.bound <= _SAFE and (kernel.mask is None or kernel.mask.bound < _SAFE)


def _softmax(kernel: Softmax) -> Run | None:
    stage, table = IntegerStage.of(kernel.stage, kernel.bound), _table(kernel)
    if stage is None or table is None or not _holds(kernel):
        return None

    def run(inputs: Sequence[Array], tally: Tally) -> Array:
        if not inputs[0].size:
            return kernel.run(inputs, tally)
        scores, shape = _scores(kernel, inputs[0])
        e, totals = np.empty(scores.shape, np.int64), np.empty(len(scores), np.int64)
        loops.distances(scores, kernel.limit, e)
        loops.look_up(e, table, totals)
        mantissa, exponent = kernel.reciprocal.run(totals)
        y = stage.scaled(e, mantissa << (kernel.fraction_bits - exponent), np.zeros_like(totals), tally)
        return np.moveaxis(y.reshape(shape), -1, kernel.axis + 1)

    return run


def _log_softmax(kernel: LogSoftmax) -> Run | None:
    stage, table = IntegerStage.of(kernel.stage, kernel.bound), _table(kernel)
    if stage is None or table is None or not _holds(kernel) or kernel.hidden is not None:
        return None

    def run(inputs: Sequence[Array], tally: Tally) -> Array:
        if not inputs[0].size:
            return kernel.run(inputs, tally)
        scores, shape = _scores(kernel, inputs[0])
        e, totals = np.empty(scores.shape, np.int64), np.empty(len(scores), np.int64)
        loops.distances(scores, kernel.limit, e)
        loops.look_up(e, table, totals)
        loops.distances(scores, _SAFE, e)
        start = -(kernel.natural_logarithm(totals) << kernel.shifts[1])
        y = stage.scaled(e, np.full_like(totals, -1 << kernel.shifts[0]), start, tally)
        return np.moveaxis(y.reshape(shape), -1, kernel.axis + 1)

    return run


def _norm(kernel: Norm) -> Run | None:
    moments, product = kernel.moments, kernel.product
    if kernel.scale_shape is not None or kernel.bias_shape is not None or not kernel.axes:
        return None
    if not isinstance(moments, ExactMoments | MagnitudeSum):
        return None
    stage = IntegerStage.of(kernel.stage, kernel.stage.bound)
    bits, mantissa_bits = product.factor_bound.bit_length(), product.mantissa_bound.bit_length()
    limb = max(0, bits + mantissa_bits - WORD_BITS)
    if stage is None or bits + limb > WORD_BITS or max(product.bound, kernel.stage.bound) >= _SAFE:
        return None
    kept = tuple(axis for axis in range(len(kernel.layout)) if axis not in kernel.axes)
    order = (*kept, *kernel.axes)
    sizes = tuple(kernel.layout[axis] for axis in order)
    length = math.prod(kernel.layout[axis] for axis in kernel.axes)
    scale = _spread(kernel.scale, kernel.scale_shift, 1, kernel.layout, order, length)
    bias = _spread(kernel.bias, kernel.bias_shift, 0, kernel.layout, order, length)
    factor = moments.factor if isinstance(moments, ExactMoments) else 1

    def run(inputs: Sequence[Array], tally: Tally) -> Array:
        x = inputs[0]
        rows = x.reshape(-1, *kernel.layout)
        if not rows.size:
            return kernel.run(inputs, tally)
        found = moments.moments(rows, kernel.axes, tally)
        shift = found.exponent + kernel.shift
        if object in (found.mantissa.dtype, found.center.dtype) or int(shift.min()) < limb:
            return kernel.run(inputs, tally)
        ahead = (0, *(axis + 1 for axis in order))
        groups = np.ascontiguousarray(rows.transpose(ahead)).reshape(-1, length)
        # Products lie below 2^62: further shifts leave 0 or -1, as this one does.
        places = np.minimum(shift, 62 + limb)
        center, mantissa, places = (
            np.ascontiguousarray(array.transpose(ahead)).reshape(-1) for array in (found.center, found.mantissa, places)
        )
        y = stage.normalized(groups, (factor, center, scale, mantissa, places, limb, product.sticky), bias, tally)
        return y.reshape(len(rows), *sizes).transpose(np.argsort(ahead)).reshape(x.shape)

    return run


def _spread(
    codes: Array | None, shift: Array | int, default: int, layout: tuple[int, ...], order: tuple[int, ...], length: int
) -> Array:
    """A constant at its common step for every element of a layout, int64 [rows, length], groups in the order in which they are run."""
    if codes is None:
        return np.full((1, length), default, np.int64)
    whole = np.broadcast_to(codes.astype(np.int64) << shift, layout)
    return np.ascontiguousarray(whole.transpose(order)).reshape(-1, length)
