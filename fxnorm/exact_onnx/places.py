"""Kernels that choose, move or add up codes over places: pools, reductions, movement, concatenation, look-up."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import reduce as fold

import numpy as np

from fxnorm.exact_onnx.numbers import Arithmetic, Kind, Number, smallest
from fxnorm.exact_onnx.rounding import stage
from fxnorm.exact_onnx.value import Value, integers
from fxnorm.exact_onnx.windows import MOST_AXES, convolved, geometry, output_size, padded, taps
from fxnorm.kernels import movement
from fxnorm.kernels.pool import Pool, Reduce
from fxnorm.kernels.stage import Rescale
from fxnorm.proofs.factors import taps_inside

Array = np.ndarray
Shape = tuple[int, ...]


def pool(ops: Arithmetic, kernel: Pool, inputs: Sequence[Value], shape: Shape) -> Number:
    """Maxima and means over windows."""
    x, window = inputs[0], kernel.window
    frames = ops.reshape(x.number, [-1, *x.shape[1:]])
    count, channels = math.prod(window.kernel), x.shape[1]
    if kernel.function == "max":
        acc = _maximum(ops, kernel, frames, x.shape[2:])
    else:
        ends = count * min(frames.low, kernel.padding, 0), count * max(frames.high, kernel.padding, 0)
        kind = smallest(max(-ends[0], ends[1], frames.bound), "a sum", frames.kind)
        ones = np.ones((channels, 1, *window.kernel), np.int64)
        acc = convolved(ops, frames, ones, window, channels, kernel.padding, x.shape[2:], ends, kind)
    return ops.reshape(stage(ops, kernel.stage, acc), [-1, *shape])


def _maximum(ops: Arithmetic, kernel: Pool, frames: Number, spatial: Shape) -> Number:
    window = kernel.window
    pads = [*zip(window.pads_begin, window.pads_end, window.kernel, strict=True)]
    small = all(max(before, after) < taps for before, after, taps in pads)
    # The lowest code never wins over data, and neither does what the operator pads with; a window without data is another matter.
    full = all(taps_inside(window, axis, size).any(axis=1).all() for axis, size in enumerate(spatial))
    if small and full and frames.kind is Kind.FLOAT32 and len(spatial) <= MOST_AXES:
        return ops.move("MaxPool", frames, **geometry(window, pads=True))
    frames = padded(ops, frames, window, kernel.padding)
    return fold(ops.maximum, (tap for _, tap in taps(ops, frames, window, output_size(window, spatial))))


def reduce(ops: Arithmetic, kernel: Reduce, inputs: Sequence[Value], shape: Shape) -> Number:
    """Reductions over axes."""
    x = inputs[0].number
    x = ops.subtract(x, kernel.zero) if kernel.zero else x
    axes = [axis + 1 for axis in kernel.axes]
    count = math.prod(inputs[0].shape[axis] for axis in kernel.axes)
    match kernel.function:
        case "max":
            acc = ops.largest(x, axes, keep=kernel.keep)
        case "min":
            acc = ops.largest(x, axes, keep=kernel.keep, op="ReduceMin")
        case "sum_square":
            acc = ops.total(ops.square(x), axes, count, keep=kernel.keep)
        case "sum_abs":
            acc = ops.total(ops.magnitude(x), axes, count, keep=kernel.keep)
        case _:
            acc = ops.total(x, axes, count, keep=kernel.keep)
    return ops.reshape(stage(ops, kernel.stage, acc), [-1, *shape])


def move(ops: Arithmetic, kernel: movement.Movement, inputs: Sequence[Value], shape: Shape) -> Number:
    """Codes that change place."""
    x, own = inputs[0].number, inputs[0].shape
    for step in kernel.moves:
        x, own = _moved(ops, step, x, own)
    x = x if kernel.stage is None else stage(ops, kernel.stage, x)
    for step in kernel.filled:
        x, own = _moved(ops, step, x, own)
    return x


def _moved(ops: Arithmetic, step: movement.Move, x: Number, shape: Shape) -> tuple[Number, Shape]:
    """One move, and the shape behind it."""
    match step:
        case movement.Reshape():
            return ops.reshape(x, [-1, *step.shape]), step.shape
        case movement.Transpose():
            order = [0, *(axis + 1 for axis in step.order)]
            return ops.move("Transpose", x, perm=order), tuple(shape[axis] for axis in step.order)
        case movement.Slice():
            return _sliced(ops, step, x), (*shape[: step.axis], step.count, *shape[step.axis + 1 :])
        case movement.Take():
            size = shape[step.axis]
            indices = np.where(step.indices < 0, step.indices + size, step.indices).astype(np.int64)
            after = (*shape[: step.axis], *indices.shape, *shape[step.axis + 1 :])
            return ops.move("Gather", x, ops.graph.constant(indices), axis=step.axis + 1), after
        case movement.Pad():
            before, behind = zip(*step.widths, strict=True) if step.widths else ((), ())
            after = tuple(n + sum(width) for n, width in zip(shape, step.widths, strict=True))
            return _filled(ops, x, [0, *before, 0, *behind], step.code), after
        case movement.Spread():
            return _spread(ops, step, x, shape)
        case movement.Broadcast():
            return ops.move("Expand", x, ops.shape([1, *step.shape])), step.shape


def _sliced(ops: Arithmetic, step: movement.Slice, x: Number) -> Number:
    stop = step.start + step.step * step.count
    # Below 0 an end counts from behind; far below it is the front.
    stop = stop if stop >= 0 else -(1 << 31)
    lists = ([step.start], [stop], [step.axis + 1], [step.step])
    return ops.move("Slice", x, *(ops.shape(entries) for entries in lists))


def _filled(ops: Arithmetic, x: Number, widths: Sequence[int], code: int) -> Number:
    filler = ops.constant(np.asarray(code), x.kind)
    held = ops.as_kind(x, filler.kind)
    name = ops.graph.op("Pad", held.name, ops.shape(widths), filler.name)
    return Number(name, held.kind, min(x.low, code), max(x.high, code))


def _spread(ops: Arithmetic, step: movement.Spread, x: Number, shape: Shape) -> tuple[Number, Shape]:
    """Codes of zero between neighbours, one axis after the other: behind each, and those behind the last one taken off."""
    for axis, factor in enumerate(step.factors):
        if factor == 1:
            continue
        size = (shape[axis] - 1) * factor + 1
        x = ops.move("Unsqueeze", x, ops.shape([axis + 2]))
        widths = [0] * (len(shape) + 2)
        x = _filled(ops, x, [*widths, *widths[: axis + 2], factor - 1, *widths[axis + 3 :]], step.code)
        x = ops.reshape(x, [-1, *shape[:axis], shape[axis] * factor, *shape[axis + 1 :]])
        x = ops.move("Slice", x, ops.shape([0]), ops.shape([size]), ops.shape([axis + 1]), ops.shape([1]))
        shape = (*shape[:axis], size, *shape[axis + 1 :])
    return x, shape


def concat(ops: Arithmetic, kernel: movement.Concat, inputs: Sequence[Value], shape: Shape) -> Number:
    """Operands one behind the other."""
    given = iter(inputs)
    parts: list[tuple[Number, bool]] = []
    for constant, own in zip(kernel.operands, kernel.stages, strict=True):
        number = next(given).number if constant is None else integers(ops, constant[None])
        parts.append((_in_place(ops, own, number), constant is None))
    kind = max(part.kind for part, _ in parts)
    # Constants need as many samples as the data has: adding nothing of it makes them so.
    samples = _nothing(ops, inputs[0], kind)
    names = []
    for part, is_input in parts:
        held = ops.as_kind(part, kind)
        rank = len(shape) + 1
        names.append(held.name if is_input else ops.add(held, ops.reshape(samples, [-1, *(1,) * (rank - 1)])).name)
    low, high = min(part.low for part, _ in parts), max(part.high for part, _ in parts)
    return Number(ops.graph.op("Concat", *names, axis=kernel.axis + 1), kind, low, high)


def _in_place(ops: Arithmetic, own: Rescale | None, number: Number) -> Number:
    return number if own is None else stage(ops, own, number)


def _nothing(ops: Arithmetic, x: Value, kind: Kind) -> Number:
    """A zero a sample, [n, 1]."""
    flat = ops.reshape(x.number, [-1, math.prod(x.shape)])
    first = ops.move("Slice", flat, ops.shape([0]), ops.shape([1]), ops.shape([1]))
    return ops.as_kind(ops.multiply(first, 0), kind)


def lookup(ops: Arithmetic, kernel: movement.Lookup, inputs: Sequence[Value], shape: Shape) -> Number:
    """Rows of a constant table."""
    indices = inputs[0]
    rows = integers(ops, kernel.rows)
    name = ops.graph.op("Gather", rows.name, ops.as_kind(indices.number, Kind.INT64).name, axis=kernel.axis)
    found = Number(name, rows.kind, rows.low, rows.high)
    if not kernel.axis:
        return found
    rank = kernel.rows.ndim + len(indices.shape)
    order = [kernel.axis, *(axis for axis in range(rank) if axis != kernel.axis)]
    return ops.move("Transpose", found, perm=order)
