"""Older forms of operators that computed something else than the newest form does with the same inputs.

See `fxnorm.graph.old_attributes` for what a rewrite does.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from fxnorm.errors import ModelError
from fxnorm.graph.nodes import given, integer, label, opset, set_input, take, text

if TYPE_CHECKING:
    import onnx_ir as ir

    from fxnorm.graph.simplify import Simplifier


def reshape_input(walk: Simplifier, node: ir.Node, index: int, shape: tuple[int, ...]) -> None:
    """Reshape what a node reads."""
    value = given(node, index)
    if walk.shape(value) == shape:
        return
    target = walk.constant(np.asarray(shape, dtype=np.int64), f"{node.name}_shape")
    set_input(node, index, walk.insert(node, "Reshape", [value, target])[0])


def binary(walk: Simplifier, node: ir.Node) -> bool:
    """Opset 6: one-directional broadcasting by attribute; the second operand's shape is a contiguous part of the first's."""
    if opset(node) >= 7:
        return False
    broadcast, axis = take(node, "broadcast"), take(node, "axis")
    take(node, "consumed_inputs")
    first, second = walk.shape(given(node, 0)), walk.shape(given(node, 1))
    if broadcast is None or not broadcast.as_int():
        if first != second:
            raise ModelError(
                f"{label(node)}: operands must have equal shapes where broadcast is not set, not {first} and {second}"
            )
        return False
    if axis is not None and math.prod(second) != 1:
        start = axis.as_int() + (len(first) if axis.as_int() < 0 else 0)
        trailing = len(first) - start - len(second)
        if start < 0 or trailing < 0:
            raise ModelError(
                f"{label(node)}: axis {axis.as_int()} does not fit operands of shapes {first} and {second}"
            )
        reshape_input(walk, node, 1, second + (1,) * trailing)
    return False


def gemm(walk: Simplifier, node: ir.Node) -> bool:
    """Opset 6: broadcasting of C by attribute."""
    if opset(node) < 7:
        take(node, "broadcast")
    return False


def prelu(walk: Simplifier, node: ir.Node) -> bool:
    """Opset 6: one slope, or one a channel, instead of NumPy's broadcasting."""
    if opset(node) < 7:
        rank, slope = len(walk.shape(given(node, 0))), walk.shape(given(node, 1))
        if len(slope) == 1 and slope[0] > 1 and rank > 1:
            reshape_input(walk, node, 1, slope + (1,) * (rank - 2))
    return False


def batch_normalization(walk: Simplifier, node: ir.Node) -> bool:
    """Before opset 14 the number of outputs tells training from inference; before 9 statistics may be kept for every element."""
    version = opset(node)
    if version >= 14:
        return False
    for name in ("is_test", "consumed_inputs"):
        take(node, name)
    if any(value.name and (value.uses() or value.is_graph_output()) for value in node.outputs[1:]):
        raise ModelError(f"{label(node)}: must be in inference mode, but gives statistics; export with model.eval()")
    node.resize_outputs(1)
    spatial = take(node, "spatial")
    if version < 9 and spatial is not None and not spatial.as_int() and len(walk.shape(given(node, 0))) > 2:
        return _elementwise_normalization(walk, node)
    return False


def _elementwise_normalization(walk: Simplifier, node: ir.Node) -> bool:
    """(x - mean) · scale / sqrt(variance + epsilon) + bias, with an entry of each for every element of a sample."""
    x, scale, bias, mean, variance = (given(node, index) for index in range(5))
    epsilon_attribute = node.attributes.get("epsilon")
    epsilon = walk.constant(
        np.asarray(1e-5 if epsilon_attribute is None else epsilon_attribute.as_float(), dtype=np.float32),
        f"{node.name}_epsilon",
    )

    def make(op: str, *inputs: ir.Value) -> ir.Value:
        return walk.insert(node, op, inputs)[0]

    factor = make("Div", scale, make("Sqrt", make("Add", variance, epsilon)))
    scaled = make("Mul", make("Sub", x, mean), factor)
    return walk.replace(node, [make("Add", scaled, bias)])


def softmax(walk: Simplifier, node: ir.Node) -> bool:
    """Before opset 13 the axes from `axis` on were taken together as one."""
    import onnx_ir as ir

    if opset(node) >= 13:
        return False
    shape, axis = walk.shape(given(node, 0)), integer(node, "axis", 1)
    if not -len(shape) <= axis <= len(shape):
        raise ModelError(f"{label(node)}: axis {axis} does not fit the shape {shape}")
    axis += len(shape) if axis < 0 else 0
    long = [index for index in range(axis, len(shape)) if shape[index] != 1]
    if len(long) <= 1 and len(shape) > axis:
        node.attributes["axis"] = ir.AttrInt64("axis", long[0] if long else axis)
        return False
    node.attributes["axis"] = ir.AttrInt64("axis", axis)
    reshape_input(walk, node, 0, (*shape[:axis], math.prod(shape[axis:])))
    back = walk.constant(np.asarray(shape, dtype=np.int64), f"{node.name}_shape")
    walk.after(node, ir.Node("", "Reshape", [node.outputs[0], back], name=f"{node.name}_back", version=walk.opset))
    return False


def upsample(walk: Simplifier, node: ir.Node) -> bool:
    """Upsample became Resize at opset 10; its scales were an attribute before 9 and two of them before 7."""
    import onnx_ir as ir

    scales = take(node, "scales")
    pair = take(node, "height_scale"), take(node, "width_scale")
    if scales is not None:
        values = tuple(scales.as_floats())
    elif None not in pair:
        values = (1.0, 1.0, *(attribute.as_float() for attribute in pair if attribute is not None))
    else:
        values = None
    node.op_type = "Resize"
    scale = (
        given(node, 1) if values is None else walk.constant(np.asarray(values, dtype=np.float32), f"{node.name}_scales")
    )
    set_input(node, 1, None)
    set_input(node, 2, scale)
    mode = text(node, "mode", "nearest")
    node.attributes["mode"] = ir.AttrString("mode", "linear" if mode == "bilinear" else mode)
    _asymmetric(node)
    return False


def resize(walk: Simplifier, node: ir.Node) -> bool:
    """Opset 11: new inputs and new default coordinates; 13: inputs that are not used are left out rather than empty."""
    import onnx_ir as ir

    if opset(node) < 11:
        return _resize_10(walk, node)
    for index in range(1, len(node.inputs)):
        array = walk.array(node.inputs[index])
        if array is not None and array.size == 0:
            node.replace_input_with(index, None)
    if text(node, "coordinate_transformation_mode", "") == "tf_half_pixel_for_nn":
        # (x + 0.5) / scale, then floor, is half_pixel's (x + 0.5) / scale - 0.5 rounded with halves up.
        nearest = text(node, "nearest_mode", "round_prefer_floor")
        if text(node, "mode", "nearest") != "nearest" or nearest != "floor":
            raise ModelError(
                f"{label(node)}: tf_half_pixel_for_nn is read only with mode nearest and nearest_mode floor, not {nearest}; "
                "export at opset 13 or later"
            )
        node.attributes["coordinate_transformation_mode"] = ir.AttrString(
            "coordinate_transformation_mode", "half_pixel"
        )
        node.attributes["nearest_mode"] = ir.AttrString("nearest_mode", "round_prefer_ceil")
    return False


def _resize_10(walk: Simplifier, node: ir.Node) -> bool:
    """Take the entry below where an axis grows and the one above where it shrinks, as opset 10's test cases do.

    Its documentation leaves the coordinates open. Where some axes grow and others shrink, it takes two nodes to say so.
    """
    import onnx_ir as ir

    scales = walk.array(given(node, 1))
    if scales is None:
        return walk.give_up(node)
    nearest = text(node, "mode", "nearest") == "nearest"
    grows, shrinks = bool((scales > 1).any()), bool((scales < 1).any()) and nearest
    if grows and shrinks:
        growing = walk.constant(np.maximum(scales, 1), f"{node.name}_growing")
        attributes = [
            ir.AttrString("mode", "nearest"),
            ir.AttrString("coordinate_transformation_mode", "asymmetric"),
            ir.AttrString("nearest_mode", "floor"),
        ]
        set_input(node, 0, walk.insert(node, "Resize", [given(node, 0), None, growing], attributes)[0])
    scale = walk.constant(np.minimum(scales, 1), f"{node.name}_shrinking") if grows and shrinks else given(node, 1)
    set_input(node, 1, None)
    set_input(node, 2, scale)
    _asymmetric(node, "ceil" if shrinks else "floor")
    return False


def _asymmetric(node: ir.Node, rounding: str = "floor") -> None:
    import onnx_ir as ir

    node.attributes["coordinate_transformation_mode"] = ir.AttrString("coordinate_transformation_mode", "asymmetric")
    node.attributes["nearest_mode"] = ir.AttrString("nearest_mode", rounding)


def scatter(walk: Simplifier, node: ir.Node) -> bool:
    """Opset 11: Scatter is ScatterElements."""
    node.op_type = "ScatterElements"
    return False


def grid_sample(walk: Simplifier, node: ir.Node) -> bool:
    """Opset 20: new names of the modes."""
    import onnx_ir as ir

    if opset(node) < 20:
        mode = text(node, "mode", "bilinear")
        node.attributes["mode"] = ir.AttrString("mode", {"bilinear": "linear", "bicubic": "cubic"}.get(mode, mode))
    return False


def group_normalization(walk: Simplifier, node: ir.Node) -> bool:
    """Opset 21: scale and bias for each channel instead of each group."""
    if opset(node) >= 21:
        return False
    groups, channels = integer(node, "num_groups", 1), walk.shape(given(node, 0))[1]
    if channels % groups:
        raise ModelError(f"{label(node)}: num_groups must divide the {channels} channels, not {groups}")
    for index in (1, 2):
        reshape_input(walk, node, index, (groups, 1))
        shape = walk.constant(np.asarray((groups, channels // groups), dtype=np.int64), f"{node.name}_shape")
        set_input(node, index, walk.insert(node, "Expand", [given(node, index), shape])[0])
        reshape_input(walk, node, index, (channels,))
    return False


def roi_align(walk: Simplifier, node: ir.Node) -> bool:
    """Opset 16: half a pixel is subtracted by default."""
    import onnx_ir as ir

    name = "coordinate_transformation_mode"
    if opset(node) < 16 and name not in node.attributes:
        node.attributes[name] = ir.AttrString(name, "output_half_pixel")
    return False


def scan(walk: Simplifier, node: ir.Node) -> bool:
    """Opset 9 gave Scan another meaning."""
    if opset(node) < 9:
        raise ModelError(f"{label(node)}: its form of opset 8 is not read; export at opset 13 or later")
    return False
