"""Kernels whose codes and accumulators are exact in floating point, run there.

Every function here gives the codes and the counts of the kernel's own integer `run`; what is not covered runs that.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from fxnorm.fixed.functions import DirectTable
from fxnorm.kernels.elementwise import Elementwise
from fxnorm.kernels.kernel import Kernel
from fxnorm.kernels.linear import Linear
from fxnorm.kernels.movement import Concat, Movement
from fxnorm.kernels.pool import Pool, Reduce
from fxnorm.kernels.rescale import ScaleAndShift
from fxnorm.kernels.stage import Tally
from fxnorm.kernels.table import Function
from fxnorm.runtime.rounding import FloatStage, smallest_float
from fxnorm.runtime.sessions import DoubleProduct, Session

Array = np.ndarray
Run = Callable[[Sequence[Array], Tally], Array]


def compiled(kernel: Kernel) -> Run | None:
    """Fast form of a kernel: arrays of float32 codes in and out; None where only integers will do."""
    match kernel:
        case Linear():
            return _linear(kernel)
        case Elementwise(function="add" | "mul"):
            return _elementwise(kernel)
        case ScaleAndShift():
            return _rescale(kernel)
        case Pool():
            return _pool(kernel)
        case Reduce(function="sum" | "mean" | "max" | "min"):
            return _reduce(kernel)
        case Function():
            return _table(kernel)
        case Movement(stage=None):
            return kernel.run
        case Concat(stages=stages) if not any(stages):
            return lambda inputs, tally: kernel.run(inputs, tally).astype(np.float32, copy=False)
    return None


def _linear(kernel: Linear) -> Run | None:
    found = FloatStage.of(kernel.stage, kernel.bound) if kernel.exact else None
    if found is None:
        return None
    stage, factors, dtype = found
    scale = np.broadcast_to(factors, (len(kernel.weights),))
    weights = (kernel.weights * scale.reshape(-1, *(1,) * (kernel.weights.ndim - 1))).astype(dtype)
    bias = (kernel.bias * scale + stage.addend).astype(dtype)
    session: Session | DoubleProduct
    if dtype is np.float32:
        session = Session(weights, bias, kernel.window, kernel.groups)
    else:
        session = DoubleProduct(weights, bias, kernel.window, kernel.groups)
    taps = math.prod(kernel.weights.shape[1:])

    def dense(inputs: Sequence[Array], tally: Tally) -> Array:
        x = inputs[0]
        y = stage.run(session.run(x.reshape(-1, x.shape[-1])), tally)
        tally.additions += y.size * taps
        return y.reshape(*x.shape[:-1], y.shape[-1])

    def convolution(inputs: Sequence[Array], tally: Tally) -> Array:
        x = inputs[0]
        y = stage.run(session.run(x.reshape(-1, *x.shape[2:])), tally)
        tally.additions += y.size * taps
        return y.reshape(*x.shape[:2], *y.shape[1:])

    return dense if kernel.window is None else convolution


def _elementwise(kernel: Elementwise) -> Run | None:
    found = FloatStage.of(kernel.stage, kernel.bound)
    if found is None or kernel.mask is not None or any(constant is not None for constant in kernel.operands):
        return None
    stage, factor, dtype = found
    if factor.ndim:
        return None
    if kernel.function == "mul":

        def multiply(inputs: Sequence[Array], tally: Tally) -> Array:
            a, b = _aligned(inputs)
            product = np.multiply(a, b, dtype=dtype)
            product *= dtype(factor)
            product += dtype(stage.addend)
            return stage.run(product, tally)

        return multiply if len(kernel.operands) == 2 else None
    weights = [dtype(sign * factor * 2.0**shift) for sign, shift in zip(kernel.signs, kernel.shifts, strict=True)]

    def add(inputs: Sequence[Array], tally: Tally) -> Array:
        terms = _aligned(inputs)
        total = np.multiply(terms[0], weights[0], dtype=dtype)
        for term, weight in zip(terms[1:], weights[1:], strict=True):
            total = total + (term if weight == 1.0 else np.multiply(term, weight, dtype=dtype))
        if stage.addend:
            total += dtype(stage.addend)
        return stage.run(total, tally)

    return add


def _aligned(arrays: Sequence[Array]) -> list[Array]:
    rank = max(array.ndim for array in arrays)
    return [array.reshape(len(array), *(1,) * (rank - array.ndim), *array.shape[1:]) for array in arrays]


def _rescale(kernel: ScaleAndShift) -> Run | None:
    found = FloatStage.of(kernel.stage, kernel.bound)
    if found is None:
        return None
    stage, factors, dtype = found
    factors = np.broadcast_to(factors, kernel.multiplier.shape)
    scale = (kernel.multiplier * factors).astype(dtype)
    bias = (kernel.bias * factors + stage.addend).astype(dtype)

    def run(inputs: Sequence[Array], tally: Tally) -> Array:
        x = inputs[0]
        spread = [1] * x.ndim
        if kernel.axis is not None:
            spread[kernel.axis + 1] = len(scale)
        y = np.multiply(x, scale.reshape(spread), dtype=dtype)
        y += bias.reshape(spread)
        return stage.run(y, tally)

    return run


def _pool(kernel: Pool) -> Run | None:
    dtype = smallest_float(kernel.bound)
    if dtype is None:
        return None
    window, combine = kernel.window, np.maximum if kernel.function == "max" else np.add
    found = FloatStage.of(kernel.stage, kernel.bound)
    free = kernel.function == "max" and found is not None and not found[0].rounds and np.all(found[1] == 1.0)

    def run(inputs: Sequence[Array], tally: Tally) -> Array:
        from fxnorm.engine import products

        x = inputs[0]
        frames = window.pad(x.reshape(-1, *x.shape[2:]), kernel.padding)
        view = products.windows(frames, window.kernel, window.strides, window.dilations)
        first, *rest = np.ndindex(*window.kernel)
        acc = products.tap(view, first).astype(dtype)
        for index in rest:
            combine(acc, products.tap(view, index), out=acc)
        y = acc if free else kernel.stage.run(acc.astype(np.int64), tally).astype(np.float32)
        return y.astype(np.float32, copy=False).reshape(*x.shape[:2], *y.shape[1:])

    return run


def _reduce(kernel: Reduce) -> Run | None:
    dtype = smallest_float(kernel.bound)
    if dtype is None:
        return None
    functions = {"max": np.max, "min": np.min}
    axes = tuple(axis + 1 for axis in kernel.axes)

    def run(inputs: Sequence[Array], tally: Tally) -> Array:
        x = inputs[0]
        if kernel.function in functions:
            acc = functions[kernel.function](x, axis=axes, keepdims=kernel.keep)
        else:
            acc = np.sum(x, axis=axes, keepdims=kernel.keep, dtype=dtype)
        return kernel.stage.run(np.asarray(acc).astype(np.int64), tally).astype(np.float32)

    return run


def _table(kernel: Function) -> Run | None:
    table = kernel.table
    if not isinstance(table, DirectTable) or table.output.width > 24:
        return None
    entries = table.entries.astype(np.float32)
    overflow = table.overflow
    overflows = bool(overflow.any())
    lowest = table.input.min_code

    def run(inputs: Sequence[Array], tally: Tally) -> Array:
        index = inputs[0].astype(np.int16)
        index -= np.int16(lowest)
        if overflows:
            tally.overflow += int(np.count_nonzero(overflow[index]))
        return entries[index]

    return run
