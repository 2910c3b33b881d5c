"""Normalizations whose moments come from the data: layer, instance, group, RMS, Lp, mean and variance, local response."""

from __future__ import annotations

import math

import numpy as np

from fxnorm.graph.graph import Node
from fxnorm.kernels.local_response import MAX_BETA, LocalResponseOperation
from fxnorm.kernels.norm import NormOperation
from fxnorm.kernels.norm_statistic import NormInverseDeviationOperation, NormMeanOperation
from fxnorm.lowering.attributes import axis, integer, integers, normalized, number, text
from fxnorm.lowering.builder import Builder
from fxnorm.lowering.network import Refusal

Array = np.ndarray
Shape = tuple[int, ...]

EPSILON = 1e-5


def layer_normalization(builder: Builder, node: Node) -> None:
    """LayerNormalization over the axes from one on; mean and inverse deviation where somebody reads them."""
    norm, first = _trailing(builder, node, "variance")
    shape = builder.shape(node.inputs[0])
    kept = (*shape[:first], *(1,) * (len(shape) - first))
    groups = tuple(range(first, len(shape)))
    if node.outputs[0]:
        _add(builder, node, norm, 2)
    for index, operation in (
        (1, NormMeanOperation(norm, groups, kept)),
        (2, NormInverseDeviationOperation(norm, kept)),
    ):
        output = node.outputs[index] if index < len(node.outputs) else ""
        if output and (output in builder.graph.outputs or builder.graph.consumers.get(output)):
            builder.add(node, operation, node.inputs[:1], output)


def rms_normalization(builder: Builder, node: Node) -> None:
    """RMSNormalization over the axes from one on."""
    norm, _ = _trailing(builder, node, "mean_square")
    _add(builder, node, norm, 1)


def instance_normalization(builder: Builder, node: Node) -> None:
    """InstanceNormalization: over space, one scale and bias a channel."""
    _, channels, *space = _spatial(builder, node)
    layout = (channels, math.prod(space))
    _per_channel(builder, node, layout, (1,), (1, channels, 1))


def group_normalization(builder: Builder, node: Node) -> None:
    """GroupNormalization: over a group's channels and space, one scale and bias a channel (the form of opset 21)."""
    _, channels, *space = _spatial(builder, node)
    groups = integer(node, "num_groups", 0)
    if groups < 1 or channels % groups:
        raise Refusal(f"num_groups must divide the {channels} channels, not {groups}")
    layout = (groups, channels // groups, math.prod(space))
    _per_channel(builder, node, layout, (1, 2), (1, groups, channels // groups, 1))


def lp_normalization(builder: Builder, node: Node) -> None:
    """LpNormalization along one axis, p = 1 or 2; zeros stay zeros."""
    shape = _data(builder, node)
    where = axis(node, len(shape), -1)
    p = integer(node, "p", 2)
    if p not in (1, 2):
        raise Refusal(f"p must be 1 or 2, not {p}")
    form = "sum_square" if p == 2 else "sum_abs"
    norm = NormOperation(shape[where:], (0,), form, floor=number(node, "floor", 0.0))
    builder.add(node, norm, node.inputs[:1])


def mean_variance_normalization(builder: Builder, node: Node) -> None:
    """MeanVarianceNormalization over any axes, without ε: groups of equal values give zeros."""
    shape = _data(builder, node)
    axes = tuple(sorted({normalized(a, len(shape), "axes") for a in integers(node, "axes", (0, 2, 3))}))
    first = min(axes, default=0)
    norm = NormOperation(shape[first:], tuple(a - first for a in axes), "variance")
    builder.add(node, norm, node.inputs[:1])


def any_normalization(builder: Builder, node: Node) -> None:
    """What `recognize` found and ONNX has no operator for: any form over any axes, scale and bias with as many axes as the data."""
    shape = _data(builder, node)
    axes = integers(node, "axes", ())
    operands = [builder.optional(node, index, what) for index, what in ((1, "the scale"), (2, "the bias"))]
    first = min([*axes, *(_first_long(array.shape) for array in operands if array is not None)])
    scale, bias = (
        None if array is None else array.astype(np.float64).reshape(array.shape[first:]) for array in operands
    )
    norm = NormOperation(
        shape[first:],
        tuple(a - first for a in axes),
        text(node, "form", "variance"),
        number(node, "epsilon", 0.0),
        scale,
        bias=bias,
        floor=number(node, "floor", 0.0),
    )
    builder.add(node, norm, node.inputs[:1])


def local_response_normalization(builder: Builder, node: Node) -> None:
    """LRN across channels."""
    _, channels, *_ = _spatial(builder, node)
    size = integer(node, "size", 0)
    if size < 1:
        raise Refusal(f"size must be at least 1, not {size}")
    alpha, beta, bias = number(node, "alpha", 1e-4), number(node, "beta", 0.75), number(node, "bias", 1.0)
    for name, value in (("alpha", alpha), ("bias", bias)):
        if value < 0.0:
            raise Refusal(f"{name} must not be negative, but is {value:g}")
    if abs(beta) > MAX_BETA:
        raise Refusal(f"beta must lie within ±{MAX_BETA:g}, not {beta:g}")
    builder.add(node, LocalResponseOperation(channels, size, alpha, beta, bias), node.inputs[:1])


def _trailing(builder: Builder, node: Node, form: str) -> tuple[NormOperation, int]:
    """Normalization over the axes from attribute `axis` on, and the first of them; scale and bias broadcast against the input."""
    shape = _data(builder, node)
    first = axis(node, len(shape), -1)
    shapes = [_aligned(builder.shape(name), shape) if name else None for name in (*node.inputs[1:3], "", "")[:2]]
    # A row starts where the first operand varies, or with the group.
    start = min([first, *(_first_long(s) for s in shapes if s is not None)])
    operands = [_operand(builder, node, i + 1, s, start) for i, s in enumerate(shapes)]
    (scale, scale_shape), (bias, bias_shape) = operands
    axes = tuple(range(first - start, len(shape) - start))
    norm = NormOperation(shape[start:], axes, form, _epsilon(node), scale, scale_shape, bias, bias_shape)
    return norm, first


def _aligned(shape: Shape, to: Shape) -> Shape:
    """A shape that broadcasts, with as many axes as what it broadcasts to."""
    if len(shape) > len(to) or any(n not in (1, m) for n, m in zip(shape[::-1], to[::-1], strict=False)):
        raise Refusal(f"scale and bias must broadcast to {list(to)}, not be {list(shape)}")
    return (*(1,) * (len(to) - len(shape)), *shape)


def _first_long(shape: Shape) -> int:
    return next((index for index, n in enumerate(shape) if n > 1), len(shape))


def _operand(
    builder: Builder, node: Node, index: int, shape: Shape | None, start: int
) -> tuple[Array | None, Shape | None]:
    """Constant that broadcasts against the layout, or the shape of an input that does, rows in front."""
    if shape is None:
        return None, None
    constant = builder.constant(node, index)
    if constant is not None:
        return constant.astype(np.float64).reshape(shape[start:]), None
    builder.require_float(node, index)
    return None, (1, *shape[start:])


def _per_channel(builder: Builder, node: Node, layout: Shape, axes: Shape, operand: Shape) -> None:
    """Normalization with one scale and one bias a channel, which lie in the layout (rows in front) as `operand` says."""
    found: list[tuple[Array | None, Shape | None]] = []
    for index, what in ((1, "scale"), (2, "bias")):
        shape = builder.shape(node.inputs[index])
        if math.prod(shape) != math.prod(operand):
            raise Refusal(f"the {what} must have one number for each of the {math.prod(operand)} channels, not {shape}")
        found.append(_operand(builder, node, index, operand, 1))
    (scale, scale_shape), (bias, bias_shape) = found
    norm = NormOperation(layout, axes, "variance", _epsilon(node), scale, scale_shape, bias, bias_shape)
    _add(builder, node, norm, 2)


def _add(builder: Builder, node: Node, norm: NormOperation, operands: int) -> None:
    names = node.inputs[: operands + 1]
    computed = [norm.scale_shape is not None, norm.bias_shape is not None]
    inputs = (names[0], *(name for name, given in zip(names[1:], computed, strict=False) if given))
    builder.add(node, norm, inputs)


def _epsilon(node: Node) -> float:
    epsilon = number(node, "epsilon", float(np.float32(EPSILON)))
    if epsilon < 0.0:
        raise Refusal(f"epsilon must not be negative, but is {epsilon:g}")
    return epsilon


def _spatial(builder: Builder, node: Node) -> Shape:
    shape = _data(builder, node)
    if len(shape) < 2:
        raise Refusal(f"the input must have batch and channels, not the shape {list(shape)}")
    return shape


def _data(builder: Builder, node: Node) -> Shape:
    """Shape of the input, refused where it is not computed, not floating point, or empty."""
    builder.require_float(node)
    if builder.constant(node, 0) is not None:
        raise Refusal("the input must be computed, not constant")
    shape = builder.shape(node.inputs[0])
    if 0 in shape:
        raise Refusal(f"there is nothing to normalize in the shape {list(shape)}")
    return shape
