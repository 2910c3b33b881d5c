"""Kernels on codes that are held in 8 or 16 bits: linear layers as products of bytes, everything else in compiled integer loops.

Every function here gives the codes and the counts of the kernel's own integer `run`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from fxnorm.engine import products
from fxnorm.fixed.format import Format
from fxnorm.fixed.functions import DirectTable
from fxnorm.kernels.elementwise import Elementwise
from fxnorm.kernels.encoding import code_dtype
from fxnorm.kernels.kernel import Kernel
from fxnorm.kernels.linear import Linear
from fxnorm.kernels.movement import Concat, Movement
from fxnorm.kernels.pool import Pool, Reduce
from fxnorm.kernels.rescale import ScaleAndShift
from fxnorm.kernels.stage import Rescale, Tally
from fxnorm.kernels.table import Function
from fxnorm.runtime.fast import Run
from fxnorm.runtime.integer_stage import IntegerStage, does_nothing
from fxnorm.runtime.layout import back, channels_first, channels_last, contiguous, memory_order
from fxnorm.runtime.narrow_linear import in_plane, linear, pad, window_sums
from fxnorm.runtime.replayed import replayed

Array = np.ndarray
Narrow = type[np.signedinteger[Any]]

_REACH = 1 << 17
"""Codes of up to 16 bits, less a zero below this, stay below twice this."""


def is_narrow(format_: Format) -> bool:
    """Whether 8 or 16 signed bits hold all codes of a format."""
    return code_dtype(format_) in (np.int8, np.int16)


def compiled(kernel: Kernel, inputs: Sequence[Format], output: Format) -> Run | None:
    """Fast form of a kernel: arrays of 8- or 16-bit codes in and out; None where there is none.

    Parameters
    ----------
    inputs, output
        Formats of the values, all of them narrow.
    """
    match kernel:
        case Linear():
            return linear(kernel, inputs[0]) if kernel.exact else replayed(kernel, inputs[0])
        case Elementwise(function="add" | "mul"):
            return _elementwise(kernel)
        case ScaleAndShift():
            return _rescale(kernel, inputs[0])
        case Pool():
            return _pool(kernel, code_dtype(output))
        case Reduce(function="sum" | "mean" | "max" | "min", zero=0):
            return _reduce(kernel, code_dtype(output))
        case Function():
            return _table(kernel, code_dtype(output))
        case Movement(stage=None):
            return kernel.run
        case Concat(stages=stages) if not any(stages):
            return _concat(kernel, code_dtype(output))
    return None


def _elementwise(kernel: Elementwise) -> Run | None:
    constants = kernel.operands
    if len(constants) != 2 or max(map(abs, kernel.zeros)) >= _REACH:
        return None
    if any(constant is not None and constant.dtype not in (np.int8, np.int16) for constant in constants):
        return None
    factors = [
        sign * multiplier << shift
        for sign, multiplier, shift in zip(kernel.signs, kernel.multipliers, kernel.shifts, strict=True)
    ]
    zeros, adds = kernel.zeros, kernel.function == "add"
    if adds:
        offset = -sum(factor * zero for factor, zero in zip(factors, zeros, strict=True))
        stage = IntegerStage.of(kernel.stage, (abs(factors[0]) + abs(factors[1])) << 16, offset=offset)
    else:
        stage = IntegerStage.of(kernel.stage, (2 * _REACH) ** 2) if factors == [1, 1] else None
    if stage is None:
        return None

    def run(inputs: Sequence[Array], tally: Tally) -> Array:
        given = iter(inputs)
        a, b = (next(given) if constant is None else constant[None] for constant in constants)
        a, b = np.broadcast_arrays(*_of_one_rank(a, b))
        order = memory_order(a if all(a.strides) else b)
        a, b = contiguous(a, order), contiguous(b, order)
        combine, numbers = (stage.add, factors) if adds else (stage.multiply, zeros)
        return combine(a, b, (numbers[0], numbers[1]), tally).transpose(back(order))

    return run


def _of_one_rank(*arrays: Array) -> list[Array]:
    """Axes of length 1 behind the samples' axis, as ONNX broadcasts."""
    rank = max(array.ndim for array in arrays)
    return [array.reshape(len(array), *(1,) * (rank - array.ndim), *array.shape[1:]) for array in arrays]


def _rescale(kernel: ScaleAndShift, x_format: Format) -> Run | None:
    reach = max(-x_format.min_code, x_format.max_code)
    stage = IntegerStage.of(kernel.stage, reach, len(kernel.multiplier), scale=kernel.multiplier, offset=kernel.bias)
    if stage is None:
        return None
    axis = kernel.axis

    def run(inputs: Sequence[Array], tally: Tally) -> Array:
        x = inputs[0]
        order = memory_order(x)
        if axis is not None:
            # Channels have to come last.
            order = (*(place for place in order if place != axis + 1), axis + 1)
        return stage.finish(contiguous(x, order), tally).transpose(back(order))

    return run


def _pool(kernel: Pool, dtype: Narrow) -> Run | None:
    window = in_plane(kernel.window)
    if window is None or kernel.bound >= 1 << 31:
        return None
    if kernel.function == "max":
        return _largest(kernel, dtype)
    stage = _divided(kernel.stage)
    quick = None if stage is None else IntegerStage.of(stage, kernel.bound)
    taps = np.ones((*window.kernel, 1), np.int32)

    def run(inputs: Sequence[Array], tally: Tally) -> Array:
        x = inputs[0]
        frames = channels_last(x)
        acc = window_sums(frames, np.tile(taps, frames.shape[3]), window, kernel.padding)
        if quick is not None:
            return channels_first(quick.finish(acc, tally), x)
        return kernel.stage.run(channels_first(acc, x).astype(np.int64), tally).astype(dtype)

    return run


def _divided(stage: Rescale) -> Rescale | None:
    """A stage that divides by a power of two as one that shifts; None for other divisors."""
    divisor = stage.divisor
    if not isinstance(divisor, int) or divisor & (divisor - 1):
        return None
    return replace(stage, divisor=1, shift=stage.shift + divisor.bit_length() - 1)


def _largest(kernel: Pool, dtype: Narrow) -> Run | None:
    window = in_plane(kernel.window)
    assert window is not None
    stage, output = kernel.stage, kernel.stage.output
    # A maximum pads with the lowest code of its input.
    holds = kernel.padding >= output.lowest_code and kernel.bound <= max(-output.lowest_code, output.max_code)
    keeps = holds and does_nothing(stage)
    quick = None if keeps else IntegerStage.of(stage, kernel.bound)
    if quick is None and not keeps:
        return None

    def run(inputs: Sequence[Array], tally: Tally) -> Array:
        x = inputs[0]
        frames = pad(channels_last(x), window, kernel.padding)
        view = products.windows(frames.transpose(0, 3, 1, 2), window.kernel, window.strides, window.dilations)
        view = view.transpose(0, 2, 3, 1, 4, 5)
        first, *rest = np.ndindex(*window.kernel)
        acc = products.tap(view, first).copy(order="C")
        for index in rest:
            np.maximum(acc, products.tap(view, index), out=acc)
        y = acc.astype(dtype, copy=False) if quick is None else quick.finish(acc, tally)
        return channels_first(y, x)

    return run


def _reduce(kernel: Reduce, dtype: Narrow) -> Run | None:
    if kernel.bound >= 1 << 62:
        return None
    axes = tuple(axis + 1 for axis in kernel.axes)
    function: Any = {"max": np.maximum, "min": np.minimum}.get(kernel.function, np.add)

    def run(inputs: Sequence[Array], tally: Tally) -> Array:
        acc = function.reduce(inputs[0], axis=axes, keepdims=kernel.keep, dtype=np.int64)
        return kernel.stage.run(np.asarray(acc), tally).astype(dtype)

    return run


def _table(kernel: Function, dtype: Narrow) -> Run | None:
    table = kernel.table
    if not isinstance(table, DirectTable):
        return None
    entries, overflow, lowest = table.entries.astype(dtype), table.overflow, table.input.min_code
    overflows = bool(overflow.any())

    def run(inputs: Sequence[Array], tally: Tally) -> Array:
        # Tables have at most 12 bits: the distance from the lowest code fits 16.
        index = np.subtract(inputs[0], lowest, dtype=np.int16)
        if overflows:
            tally.overflow += int(np.count_nonzero(overflow[index]))
        return np.asarray(entries[index])

    return run


def _concat(kernel: Concat, dtype: Narrow) -> Run:
    def run(inputs: Sequence[Array], tally: Tally) -> Array:
        return kernel.run(inputs, tally).astype(dtype, copy=False)

    return run
