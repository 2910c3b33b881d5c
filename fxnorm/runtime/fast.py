"""Kernels whose codes and accumulators are exact in floating point, run there.

Every function here gives the codes and the counts of the kernel's own integer `run`; what is not covered runs that.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from fxnorm.fixed.functions import DirectTable
from fxnorm.kernels.elementwise import Elementwise
from fxnorm.kernels.kernel import Kernel
from fxnorm.kernels.linear import Linear, Window
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
    window = kernel.window
    pads = kernel.padding != 0 and window is not None and any((*window.pads_begin, *window.pads_end))
    inner = window
    if pads and window is not None:
        still = (0,) * len(window.kernel)
        inner = replace(window, pads_begin=still, pads_end=still)
    scaled = _scaled_products(kernel, inner, factors, stage.addend, dtype)
    taps = math.prod(kernel.weights.shape[1:])

    def dense(inputs: Sequence[Array], tally: Tally) -> Array:
        x = inputs[0]
        y = stage.run(scaled(x.reshape(-1, x.shape[-1])), tally)
        tally.additions += y.size * taps
        return y.reshape(*x.shape[:-1], y.shape[-1])

    def convolution(inputs: Sequence[Array], tally: Tally) -> Array:
        x = inputs[0]
        frames = x.reshape(-1, *x.shape[2:])
        if pads and window is not None:
            frames = window.pad(frames, kernel.padding)
        y = stage.run(scaled(frames), tally)
        tally.additions += y.size * taps
        return y.reshape(*x.shape[:2], *y.shape[1:])

    return dense if window is None else convolution


def _scaled_products(
    kernel: Linear, window: Window | None, factors: Array, addend: float, dtype: type[np.float32 | np.float64]
) -> Callable[[Array], Array]:
    """Accumulators times factors plus an addend, exact in the given type."""
    scale = np.broadcast_to(factors, (len(kernel.weights),))
    if dtype is np.float64 and smallest_float(kernel.bound) is np.float32:
        # Only a multiplier's product needs the wider type: sums run in the narrower one.
        session = Session(kernel.weights.astype(np.float32), kernel.bias.astype(np.float32), window, kernel.groups)
        spread = scale.reshape(-1, *(1,) * (0 if window is None else len(window.kernel)))

        def run(x: Array) -> Array:
            y: Array = np.multiply(session.run(x), spread, dtype=np.float64)
            y += addend
            return y

        return run
    weights = (kernel.weights * scale.reshape(-1, *(1,) * (kernel.weights.ndim - 1))).astype(dtype)
    bias = (kernel.bias * scale + addend).astype(dtype)
    made = Session if dtype is np.float32 else DoubleProduct
    return made(weights, bias, window, kernel.groups).run


def _elementwise(kernel: Elementwise) -> Run | None:
    found = FloatStage.of(kernel.stage, kernel.bound)
    if found is None or kernel.mask is not None or any(constant is not None for constant in kernel.operands):
        return None
    stage, factor, dtype = found
    if factor.ndim:
        return None
    if kernel.function == "mul":

        def multiply(inputs: Sequence[Array], tally: Tally) -> Array:
            a, b = _aligned(inputs, kernel.zeros, dtype)
            product = np.multiply(a, b, dtype=dtype)
            product *= dtype(factor)
            product += dtype(stage.addend)
            return stage.run(product, tally)

        return multiply if len(kernel.operands) == 2 else None
    weights = [
        dtype(sign * factor * multiplier * 2.0**shift)
        for sign, multiplier, shift in zip(kernel.signs, kernel.multipliers, kernel.shifts, strict=True)
    ]

    def add(inputs: Sequence[Array], tally: Tally) -> Array:
        terms = _aligned(inputs, kernel.zeros, dtype)
        total = np.multiply(terms[0], weights[0], dtype=dtype)
        for term, weight in zip(terms[1:], weights[1:], strict=True):
            total = total + (term if weight == 1.0 else np.multiply(term, weight, dtype=dtype))
        if stage.addend:
            total += dtype(stage.addend)
        return stage.run(total, tally)

    return add


def _aligned(arrays: Sequence[Array], zeros: Sequence[int], dtype: type[np.float32 | np.float64]) -> list[Array]:
    """Operands of one rank, their zeros taken off."""
    rank = max(array.ndim for array in arrays)
    aligned = (array.reshape(len(array), *(1,) * (rank - array.ndim), *array.shape[1:]) for array in arrays)
    return [
        np.subtract(array, dtype(zero), dtype=dtype) if zero else array
        for array, zero in zip(aligned, zeros, strict=True)
    ]


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
    output = kernel.stage.output
    # A maximum pads with the lowest code of its input.
    holds = kernel.padding >= output.lowest_code and kernel.bound <= max(-output.lowest_code, output.max_code)
    moves = found is not None and not found[0].rounds and not found[0].zero and bool(np.all(found[1] == 1.0))
    free = kernel.function == "max" and holds and moves

    def run(inputs: Sequence[Array], tally: Tally) -> Array:
        from fxnorm.engine import products

        x = inputs[0]
        frames = window.pad(x.reshape(-1, *x.shape[2:]), kernel.padding)
        if frames.shape[2:] == window.kernel and all(step == 1 for step in window.dilations):
            acc = combine.reduce(frames, axis=tuple(range(2, frames.ndim)), keepdims=True, dtype=dtype)
        else:
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
    if dtype is None or kernel.zero:
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
