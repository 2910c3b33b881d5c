"""Pools and reductions."""

from __future__ import annotations

import math
from functools import reduce

import numpy as np

from fxnorm.graph.graph import Node
from fxnorm.kernels.linear import Window
from fxnorm.kernels.pool import PoolOperation, ReduceOperation
from fxnorm.lowering.attributes import integer, integers, normalized
from fxnorm.lowering.builder import Builder
from fxnorm.lowering.linear import sliding_window
from fxnorm.lowering.network import Refusal

Array = np.ndarray

REDUCTIONS = {
    "ReduceSum": "sum",
    "ReduceMean": "mean",
    "ReduceMax": "max",
    "ReduceMin": "min",
    "ReduceSumSquare": "sum_square",
    "ReduceL1": "sum_abs",
}


def max_pool(builder: Builder, node: Node) -> None:
    """MaxPool; its second output, the indices, is refused."""
    if len(node.outputs) > 1 and node.outputs[1]:
        raise Refusal("the Indices output must not be used; only the maxima are computed")
    builder.require_float(node)
    window = _pool_window(builder, node)
    builder.add(node, PoolOperation("max", window, np.ones(1, np.int64)), node.inputs[:1])


def average_pool(builder: Builder, node: Node) -> None:
    """AveragePool: every window divides by the values that count in it."""
    builder.require_float(node)
    window = _pool_window(builder, node)
    spatial = builder.shape(node.inputs[0])[2:]
    output = builder.graph.shape(node.outputs[0])[2:]
    padded = integer(node, "count_include_pad", 0) != 0
    given = sliding_window(node, builder.shape(node.inputs[0]), window.kernel)
    factors = []
    for index, (length, count) in enumerate(zip(spatial, output, strict=True)):
        begin, end = given.pads_begin[index], given.pads_end[index]
        low, high = (0, begin + length + end) if padded else (begin, begin + length)
        taps = np.arange(window.kernel[index]) * window.dilations[index]
        position = np.arange(count)[:, None] * window.strides[index] + taps
        factors.append(np.count_nonzero((position >= low) & (position < high), axis=1))
    counts = np.maximum(reduce(np.multiply.outer, factors), 1).astype(np.int64)
    if np.all(counts == counts.flat[0]):
        counts = counts.reshape(-1)[:1]
    builder.add(node, PoolOperation("mean", window, counts), node.inputs[:1])


def _pool_window(builder: Builder, node: Node) -> Window:
    shape, output = builder.shape(node.inputs[0]), builder.graph.shape(node.outputs[0])
    kernel = integers(node, "kernel_shape", ())
    window = sliding_window(node, shape, kernel)
    if not integer(node, "ceil_mode", 0):
        return window
    # What the last window of each axis reaches beyond the data, be it more or less than the given padding.
    ends = []
    for index, (length, count) in enumerate(zip(shape[2:], output[2:], strict=True)):
        extent = window.dilations[index] * (kernel[index] - 1) + 1
        ends.append(max((count - 1) * window.strides[index] + extent - length - window.pads_begin[index], 0))
    return Window(window.kernel, window.strides, window.dilations, window.pads_begin, tuple(ends))


def global_pool(builder: Builder, node: Node) -> None:
    """GlobalAveragePool and GlobalMaxPool."""
    shape = builder.shape(node.inputs[0])
    function = "max" if node.op == "GlobalMaxPool" else "mean"
    axes = tuple(range(2, len(shape)))
    builder.add(node, ReduceOperation(function, axes, True, math.prod(shape[2:])), node.inputs[:1])


def reduction(builder: Builder, node: Node) -> None:
    """One of `REDUCTIONS`, its axes given as an input."""
    builder.require_float(node)
    shape = builder.shape(node.inputs[0])
    given = builder.optional(node, 1, "the axes")
    axes = (
        tuple(sorted({normalized(int(a), len(shape), "axes") for a in given.reshape(-1)})) if given is not None else ()
    )
    function = REDUCTIONS[node.op]
    if not axes and integer(node, "noop_with_empty_axes", 0):
        # A reduction over no axis; squares and magnitudes are taken all the same (ONNX, ReduceSumSquare).
        if function not in {"sum_square", "sum_abs"}:
            builder.same(node.outputs[0], node.inputs[0])
            return
    else:
        axes = axes or tuple(range(len(shape)))
    count = math.prod(shape[a] for a in axes)
    if count == 0:
        raise Refusal("nothing is left to reduce: an axis has length 0")
    keep = integer(node, "keepdims", 1) != 0
    builder.add(node, ReduceOperation(function, axes, keep, count), node.inputs[:1])
