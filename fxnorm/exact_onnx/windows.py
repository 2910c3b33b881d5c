"""Windows of space in an ONNX graph: padding, taps, columns, convolutions in every element type."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from fxnorm.engine import products
from fxnorm.exact_onnx.numbers import Arithmetic, Kind, Number
from fxnorm.kernels.linear import Window

Array = np.ndarray

MOST_AXES = 3
"""Spatial axes of onnxruntime's convolutions and pools."""


def padded(ops: Arithmetic, x: Number, window: Window, code: int) -> Number:
    """Frames [n, c, *spatial] with a code around them."""
    begins, ends = window.pads_begin, window.pads_end
    if not any((*begins, *ends)):
        return x
    filler = ops.constant(np.asarray(code), x.kind)
    held = ops.as_kind(x, filler.kind)
    pads = ops.shape([0, 0, *begins, 0, 0, *ends])
    name = ops.graph.op("Pad", held.name, pads, filler.name)
    return Number(name, held.kind, min(x.low, code), max(x.high, code))


def output_size(window: Window, spatial: tuple[int, ...]) -> tuple[int, ...]:
    """Windows along each axis."""
    return tuple(
        (size + before + after - dilation * (taps - 1) - 1) // stride + 1
        for size, before, after, dilation, taps, stride in zip(
            spatial, window.pads_begin, window.pads_end, window.dilations, window.kernel, window.strides, strict=True
        )
    )


def taps(
    ops: Arithmetic, x: Number, window: Window, output: tuple[int, ...]
) -> Iterator[tuple[tuple[int, ...], Number]]:
    """Every place of the windows of padded frames, in the order of kernel rows and columns: index and [n, c, *output]."""
    axes = ops.shape(range(2, 2 + len(output)))
    steps = ops.shape(window.strides)
    for index in np.ndindex(*window.kernel):
        starts = [i * dilation for i, dilation in zip(index, window.dilations, strict=True)]
        ends = [start + (n - 1) * stride + 1 for start, n, stride in zip(starts, output, window.strides, strict=True)]
        yield index, ops.move("Slice", x, ops.shape(starts), ops.shape(ends), axes, steps)


def columns(ops: Arithmetic, x: Number, window: Window, groups: int, channels: int, output: tuple[int, ...]) -> Number:
    """Windows of padded frames as columns: channel outermost, then kernel row, then column; [n, groups, k, positions]."""
    positions = math.prod(output)
    parts = [
        ops.move("Unsqueeze", ops.reshape(tap, [-1, channels, positions]), ops.shape([2])).name
        for _, tap in taps(ops, x, window, output)
    ]
    joined = Number(ops.graph.op("Concat", *parts, axis=2), x.kind, x.low, x.high)
    return ops.reshape(joined, [-1, groups, channels // groups * len(parts), positions])


def convolved(
    ops: Arithmetic,
    x: Number,
    weights: Array,
    window: Window,
    groups: int,
    code: int,
    spatial: tuple[int, ...],
    ends: tuple[int, int],
    kind: Kind,
) -> Number:
    """Convolution of frames [n, c, *spatial].

    Parameters
    ----------
    code
        Of the padding.
    ends
        Of the sums; all partial sums are exact in `kind`.
    """
    held = ops.as_kind(x, kind)
    if kind is Kind.FLOAT32 and len(window.kernel) <= MOST_AXES:
        frames = convolvable(ops, held, window, code)
        attributes = geometry(window, pads=code == 0)
        name = ops.graph.op("Conv", frames.name, ops.constant(weights).name, group=groups, **attributes)
        return Number(name, kind, *ends)
    held = padded(ops, held, window, code)
    output = output_size(window, spatial)
    channels, outputs = weights.shape[1] * groups, len(weights)
    total = ""
    for index, tap in taps(ops, held, window, output):
        part = products.tap(weights, index)
        if weights.shape[1] == 1 and outputs == groups:
            spread = ops.constant(part.reshape(outputs, *(1,) * len(output)), kind)
            product = ops.graph.op("Mul", tap.name, spread.name)
        else:
            matrix = ops.constant(part.reshape(groups, outputs // groups, -1), kind)
            rows = ops.reshape(tap, [-1, groups, channels // groups, math.prod(output)])
            product = ops.graph.op("MatMul", matrix.name, rows.name)
        total = ops.graph.op("Add", total, product) if total else product
    return ops.reshape(Number(total, kind, *ends), [-1, outputs, *output])


def convolvable(ops: Arithmetic, x: Number, window: Window, code: int) -> Number:
    """Frames for a convolution, which pads with zeros itself."""
    return x if code == 0 else padded(ops, x, window, code)


def geometry(window: Window, *, pads: bool) -> dict[str, Any]:
    """Attributes of a convolution or a pool, of frames that are padded or of such that the operator is to pad."""
    attributes = {"kernel_shape": window.kernel, "strides": window.strides, "dilations": window.dilations}
    if pads and any((*window.pads_begin, *window.pads_end)):
        attributes["pads"] = (*window.pads_begin, *window.pads_end)
    return {name: list(values) for name, values in attributes.items()}
