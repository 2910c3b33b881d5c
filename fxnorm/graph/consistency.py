"""Checks of operands that onnx's own inference leaves out, so that a damaged model is refused before anything relies on it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np

from fxnorm.errors import ModelError
from fxnorm.graph.nodes import given, integer, label, optional

if TYPE_CHECKING:
    import onnx_ir as ir

    from fxnorm.graph.editor import Editor

Check = Callable[["Editor", "ir.Node"], None]


def check_operands(graph: Editor, node: ir.Node) -> None:
    """Check a node whose inputs and outputs have shapes.

    Raises
    ------
    ModelError
        If the shapes of its operands do not fit together.
    """
    check = _CHECKS.get(node.op_type) if node.domain == "" else None
    if check is not None:
        check(graph, node)


def _conv(graph: Editor, node: ir.Node) -> None:
    x, weight, group = graph.shape(given(node, 0)), graph.shape(given(node, 1)), integer(node, "group", 1)
    transposed = node.op_type == "ConvTranspose"
    channels = weight[0] if transposed else weight[1] * group
    outputs = weight[1] * group if transposed else weight[0]
    if len(x) != len(weight) or x[1] != channels or channels % group or outputs % group:
        raise ModelError(
            f"{label(node)}: a weight of shape {list(weight)} in {group} groups takes {channels} channels, "
            f"but the input has the shape {list(x)}"
        )
    kernel = node.attributes.get("kernel_shape")
    if kernel is not None and tuple(kernel.as_ints()) != weight[2:]:
        raise ModelError(
            f"{label(node)}: kernel_shape must be that of the weight, {list(weight[2:])}, not {list(kernel.as_ints())}"
        )
    _vectors(graph, node, outputs, (2,))


def _gemm(graph: Editor, node: ir.Node) -> None:
    c, y = optional(node, 2), graph.shape(node.outputs[0])
    if c is not None and not _broadcasts(graph.shape(c), y):
        raise ModelError(f"{label(node)}: C must broadcast to {list(y)}, but its shape is {list(graph.shape(c))}")


def _channel_parameters(graph: Editor, node: ir.Node) -> None:
    _vectors(graph, node, graph.shape(given(node, 0))[1], (1, 2))


def _vectors(graph: Editor, node: ir.Node, length: int, places: tuple[int, ...]) -> None:
    for place in places:
        value = optional(node, place)
        if value is not None and graph.shape(value) != (length,):
            raise ModelError(
                f"{label(node)}: input {place} must have one entry for each of {length} channels, but its shape is "
                f"{list(graph.shape(value))}"
            )


def _second_broadcasts(graph: Editor, node: ir.Node) -> None:
    x, other = graph.shape(given(node, 0)), graph.shape(given(node, 1))
    if not _broadcasts(other, x):
        raise ModelError(f"{label(node)}: an input of shape {list(other)} does not broadcast to {list(x)}")


def _reshape(graph: Editor, node: ir.Node) -> None:
    x, y = graph.shape(given(node, 0)), graph.shape(node.outputs[0])
    if math.prod(x) != math.prod(y):
        raise ModelError(f"{label(node)}: {list(x)} has {math.prod(x)} elements and cannot become {list(y)}")


def _depth_to_space(graph: Editor, node: ir.Node) -> None:
    x, block = graph.shape(given(node, 0)), integer(node, "blocksize", 1)
    if x[1] % (block * block):
        raise ModelError(f"{label(node)}: {x[1]} channels are no multiple of blocksize² = {block * block}")


def _gather(graph: Editor, node: ir.Node) -> None:
    indices, x = graph.array(optional(node, 1)), graph.shape(given(node, 0))
    length = x[integer(node, "axis", 0)]
    if indices is not None and indices.size and not -length <= int(np.min(indices)) <= int(np.max(indices)) < length:
        raise ModelError(f"{label(node)}: indices must lie within the {length} entries of the axis, not beyond")


def _broadcasts(shape: tuple[int, ...], target: tuple[int, ...]) -> bool:
    """Whether a shape broadcasts to another one without changing it."""
    trailing = target[len(target) - len(shape) :] if shape else ()
    return len(shape) <= len(target) and all(size in (1, wanted) for size, wanted in zip(shape, trailing, strict=True))


_CHECKS: Mapping[str, Check] = {
    "Conv": _conv,
    "ConvTranspose": _conv,
    "DepthToSpace": _depth_to_space,
    "Gather": _gather,
    "Gemm": _gemm,
    "GroupNormalization": _channel_parameters,
    "InstanceNormalization": _channel_parameters,
    "PRelu": _second_broadcasts,
    "Reshape": _reshape,
}
