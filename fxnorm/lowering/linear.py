"""Gemm, MatMul, Conv and ConvTranspose."""

from __future__ import annotations

import math

import numpy as np

from fxnorm.graph.graph import Node
from fxnorm.kernels.linear import LinearOperation, Window
from fxnorm.kernels.matmul import MatMulOperation
from fxnorm.kernels.movement import Move, MoveOperation, PadValue, Slice, Spread, Transpose
from fxnorm.lowering.attributes import integer, integers, number, text
from fxnorm.lowering.builder import Builder, snapped
from fxnorm.lowering.network import Refusal

Array = np.ndarray


def matmul(builder: Builder, node: Node) -> None:
    """MatMul: a dense layer where the right operand is a constant matrix, else a product of two values."""
    left, right = builder.constant(node, 0), builder.constant(node, 1)
    for index, constant in enumerate((left, right)):
        if constant is None:
            builder.require_float(node, index)
    a, b = builder.shape(node.inputs[0]), builder.shape(node.inputs[1])
    if left is None and right is not None and right.ndim == 2:
        weights = right.T
        builder.add(node, LinearOperation(weights, np.zeros(len(weights))), node.inputs[:1])
        return
    inputs = [name for name, constant in zip(node.inputs, (left, right), strict=True) if constant is None]
    # A factor of an operand (one over the root of a head's depth, half of it on either side) is a factor of the product.
    factor = 1.0
    if inputs[0] != inputs[-1] or len(inputs) == 1:
        for index, name in enumerate(inputs):
            inputs[index], own = builder.unscaled(name)
            factor *= own
    operation = MatMulOperation(
        a[-1], left, right, vector_left=len(a) == 1, vector_right=len(b) == 1, alpha=snapped(factor)
    )
    builder.add(node, operation, tuple(inputs))


def gemm(builder: Builder, node: Node) -> None:
    """Gemm: alpha · A' B' + beta · C; a dense layer where B is constant and C one number a column, or not there."""
    alpha, beta = number(node, "alpha", 1.0), number(node, "beta", 1.0)
    left, a = _matrix(builder, node, 0, "transA")
    right, b = _matrix(builder, node, 1, "transB")
    adds = len(node.inputs) > 2 and bool(node.inputs[2]) and beta != 0.0
    c = builder.constant(node, 2) if adds else None
    per_column = not adds or (c is not None and (c.ndim < 2 or c.shape[0] == 1))
    if left is None and right is not None and per_column:
        weights = right.T if alpha == 1.0 else alpha * right.T.astype(np.float64)
        bias = np.zeros(len(weights))
        if c is not None:
            bias = bias + beta * c.astype(np.float64).reshape(-1)
        builder.add(node, LinearOperation(weights, bias), (a,))
        return
    if left is not None:
        left, alpha = alpha * left.astype(np.float64), 1.0
    elif right is not None:
        right, alpha = alpha * right.astype(np.float64), 1.0
    inputs = [name for name, constant in ((a, left), (b, right)) if constant is None]
    if adds and c is None:
        builder.require_float(node, 2)
        inputs.append(node.inputs[2])
    length = builder.shape(node.inputs[0])[0 if integer(node, "transA", 0) else 1]
    addend = None if c is None else c.astype(np.float64)
    operation = MatMulOperation(length, left, right, alpha=alpha, beta=beta, adds=adds, addend=addend)
    builder.add(node, operation, tuple(inputs))


def _matrix(builder: Builder, node: Node, index: int, transposed: str) -> tuple[Array | None, str]:
    """Operand of a Gemm the right way round: its array where it is constant, and the name of the value."""
    constant, name = builder.constant(node, index), node.inputs[index]
    turn = integer(node, transposed, 0) != 0
    if constant is not None:
        return (constant.T if turn else constant), name
    builder.require_float(node, index)
    if turn:
        rows, columns = builder.shape(name)
        move = MoveOperation((Transpose((1, 0)),), keeps=True)
        name = builder.between(node, move, (name,), (columns, rows))
    return None, name


def conv(builder: Builder, node: Node) -> None:
    """Conv over any number of spatial axes, with groups, strides, dilations and every kind of padding."""
    weights = builder.required(node, 1, "the weights of a convolution")
    bias = builder.optional(node, 2, "the bias of a convolution")
    shape = builder.shape(node.inputs[0])
    window = sliding_window(node, shape, weights.shape[2:])
    groups = integer(node, "group", 1)
    if weights.shape[1] * groups != shape[1]:
        raise Refusal(f"weights for {weights.shape[1] * groups} input channels meet an input of {shape[1]}")
    terms = np.zeros(len(weights)) if bias is None else bias.astype(np.float64)
    builder.add(node, LinearOperation(weights, terms, window, groups), node.inputs[:1])


def conv_transpose(builder: Builder, node: Node) -> None:
    """ConvTranspose: zeros between the inputs, then the convolution with the mirrored kernel."""
    kernel_weights = builder.required(node, 1, "the weights of a transposed convolution").astype(np.float64)
    bias = builder.optional(node, 2, "the bias of a transposed convolution")
    shape = builder.shape(node.inputs[0])
    kernel, spatial = kernel_weights.shape[2:], shape[2:]
    rank, groups = len(kernel), integer(node, "group", 1)
    strides = integers(node, "strides", (1,) * rank)
    dilations = integers(node, "dilations", (1,) * rank)
    extents = tuple(d * (k - 1) + 1 for d, k in zip(dilations, kernel, strict=True))
    output = builder.graph.shape(node.outputs[0])[2:]
    begins, ends = _transpose_pads(node, spatial, output, strides, extents)
    # [c, o / g, *k] → [o, c / g, *k], mirrored.
    inputs, per_group = kernel_weights.shape[:2]
    grouped = kernel_weights.reshape(groups, inputs // groups, per_group, *kernel).swapaxes(1, 2)
    mirrored = np.flip(grouped.reshape(groups * per_group, inputs // groups, *kernel), axis=tuple(range(2, 2 + rank)))
    moves: list[Move | PadValue] = [Spread((1, 1, *strides))]
    pads = [(e - 1 - b, e - 1 - a) for e, b, a in zip(extents, begins, ends, strict=True)]
    moves.append(PadValue(((0, 0), (0, 0), *((max(b, 0), max(a, 0)) for b, a in pads)), 0.0))
    inner = [(n - 1) * s + 1 + max(b, 0) + max(a, 0) for n, s, (b, a) in zip(spatial, strides, pads, strict=True)]
    for axis, (before, after) in enumerate(pads):
        if before < 0 or after < 0:
            inner[axis] += min(before, 0) + min(after, 0)
            moves.append(Slice(axis + 2, -min(before, 0), 1, inner[axis]))
    x = builder.between(node, MoveOperation(tuple(moves), keeps=True), node.inputs[:1], (*shape[:2], *inner))
    ones, zeros = (1,) * rank, (0,) * rank
    terms = np.zeros(len(mirrored)) if bias is None else bias.astype(np.float64)
    builder.add(node, LinearOperation(mirrored, terms, Window(kernel, ones, dilations, zeros, zeros), groups), (x,))


def _transpose_pads(
    node: Node, spatial: tuple[int, ...], output: tuple[int, ...], strides: tuple[int, ...], extents: tuple[int, ...]
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """What is cut off at both ends; output_padding is a negative cut at the end."""
    full = [(n - 1) * s + e for n, s, e in zip(spatial, strides, extents, strict=True)]
    begins: tuple[int, ...]
    if "output_shape" in node.attributes or text(node, "auto_pad", "NOTSET").startswith("SAME"):
        total = [f - o for f, o in zip(full, output, strict=True)]
        # Where output_padding is given with output_shape, the specification adds it to the total.
        extra = integers(node, "output_padding", (0,) * len(full))
        total = [t + e for t, e in zip(total, extra, strict=True)]
        upper = text(node, "auto_pad", "NOTSET") == "SAME_UPPER"
        begins = tuple(t // 2 if upper else t - t // 2 for t in total)
    else:
        pads = (
            integers(node, "pads", (0,) * 2 * len(full))
            if text(node, "auto_pad", "NOTSET") == "NOTSET"
            else (0,) * 2 * len(full)
        )
        begins = pads[: len(full)]
    return begins, tuple(f - o - b for f, o, b in zip(full, output, begins, strict=True))


def sliding_window(node: Node, shape: tuple[int, ...], kernel: tuple[int, ...]) -> Window:
    """Geometry of Conv and of the pools, auto_pad resolved; ceil_mode is the pools' own business.

    Parameters
    ----------
    shape
        Input [batch, c, *spatial].
    """
    rank, spatial = len(kernel), shape[2:]
    if len(spatial) != rank:
        raise Refusal(f"a kernel of {rank} spatial axes meets an input of {len(spatial)}")
    strides = integers(node, "strides", (1,) * rank)
    dilations = integers(node, "dilations", (1,) * rank)
    extents = tuple(d * (k - 1) + 1 for d, k in zip(dilations, kernel, strict=True))
    mode = text(node, "auto_pad", "NOTSET")
    if mode in {"SAME_UPPER", "SAME_LOWER"}:
        total = tuple(
            max((math.ceil(n / s) - 1) * s + e - n, 0) for n, s, e in zip(spatial, strides, extents, strict=True)
        )
        small = tuple(t // 2 for t in total)
        large = tuple(t - t // 2 for t in total)
        begins, ends = (small, large) if mode == "SAME_UPPER" else (large, small)
    elif mode in {"VALID", "NOTSET"}:
        pads = integers(node, "pads", (0,) * 2 * rank) if mode == "NOTSET" else (0,) * 2 * rank
        begins, ends = pads[:rank], pads[rank:]
    else:
        raise Refusal(f"auto_pad must be NOTSET, VALID, SAME_UPPER or SAME_LOWER, not {mode}")
    if any(p < 0 for p in (*begins, *ends)):
        raise Refusal(f"pads must not be negative, not {[*begins, *ends]}")
    return Window(kernel, strides, dilations, begins, ends)
