"""Newest forms of operators whose attributes or inputs changed between opset 6 and `TARGET`.

onnx's own version converter is not used: it fails on free batch sizes, drops the mask of a Dropout, and silently changes what PRelu
(opset 6), Hardmax, Resize (opset 10) and GroupNormalization (opset 18) compute. A test compares this table with every operator's
definitions, so that no incompatible change is missed.

A rewrite is called when the shapes of a node's inputs are known. It changes the node in place, or replaces it and returns True.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

import numpy as np

from fxnorm.errors import ModelError

if TYPE_CHECKING:
    import onnx_ir as ir

    from fxnorm.graph.simplify import Rewrite, Simplifier

TARGET: Final = 21
"""Opset to which older models are brought; newer ones keep theirs."""


def integer(node: ir.Node, name: str, default: int) -> int:
    """Value of an integer attribute."""
    attribute = node.attributes.get(name)
    return default if attribute is None else attribute.as_int()


def text(node: ir.Node, name: str, default: str) -> str:
    """Value of a string attribute."""
    attribute = node.attributes.get(name)
    return default if attribute is None else attribute.as_string()


def take(node: ir.Node, name: str) -> ir.Attr | None:
    """Remove an attribute and return it."""
    return node.attributes.pop(name, None)


def take_ints(node: ir.Node, name: str) -> tuple[int, ...] | None:
    """Remove a list of integers among the attributes and return it; None where there is none."""
    attribute = take(node, name)
    return None if attribute is None else tuple(attribute.as_ints())


def given(node: ir.Node, index: int) -> ir.Value:
    """An input that must not be left out."""
    value = node.inputs[index] if index < len(node.inputs) else None
    if value is None:
        raise ModelError(f"{node.name} ({node.op_type}): input {index} must be given; the model is damaged")
    return value


def optional(node: ir.Node, index: int) -> ir.Value | None:
    """An input that may be left out."""
    return node.inputs[index] if index < len(node.inputs) else None


def set_input(node: ir.Node, index: int, value: ir.Value | None) -> None:
    """Set an input, making room where the node has fewer."""
    if len(node.inputs) <= index:
        node.resize_inputs(index + 1)
    node.replace_input_with(index, value)


def ints_input(walk: Simplifier, node: ir.Node, index: int, values: tuple[int, ...], name: str) -> None:
    """Give a list of integers as an input instead of an attribute."""
    set_input(node, index, walk.constant(np.asarray(values, dtype=np.int64), f"{node.name}_{name}"))


def reshape_input(walk: Simplifier, node: ir.Node, index: int, shape: tuple[int, ...]) -> None:
    """Reshape what a node reads."""
    import onnx_ir as ir

    value = given(node, index)
    if walk.shape(value) == shape:
        return
    target = walk.constant(np.asarray(shape, dtype=np.int64), f"{node.name}_shape")
    new = ir.Node("", "Reshape", [value, target], name=f"{node.name}_reshape_{index}", version=TARGET)
    set_input(node, index, walk.before(node, new))


def axes_input(since: int) -> Rewrite:
    """Rewrite of an operator whose `axes` became its second input."""

    def rewrite(walk: Simplifier, node: ir.Node) -> bool:
        if _version(node) < since:
            axes = take_ints(node, "axes")
            if axes:
                ints_input(walk, node, 1, axes, "axes")
        return False

    return rewrite


def binary(walk: Simplifier, node: ir.Node) -> bool:
    """Opset 6: one-directional broadcasting by attribute; the second operand's shape is a contiguous part of the first's."""
    if _version(node) >= 7:
        return False
    broadcast, axis = take(node, "broadcast"), take(node, "axis")
    take(node, "consumed_inputs")
    first, second = walk.shape(given(node, 0)), walk.shape(given(node, 1))
    if broadcast is None or not broadcast.as_int():
        if first != second:
            raise ModelError(
                f"{node.name} ({node.op_type}): operands must have equal shapes where broadcast is not set, not {first} and {second}"
            )
        return False
    if axis is not None and math.prod(second) != 1:
        start = axis.as_int() + (len(first) if axis.as_int() < 0 else 0)
        trailing = len(first) - start - len(second)
        if start < 0 or trailing < 0:
            raise ModelError(
                f"{node.name} ({node.op_type}): axis {axis.as_int()} does not fit operands of shapes {first} and {second}"
            )
        reshape_input(walk, node, 1, second + (1,) * trailing)
    return False


def gemm(walk: Simplifier, node: ir.Node) -> bool:
    """Opset 6: broadcasting of C by attribute."""
    if _version(node) < 7:
        take(node, "broadcast")
    return False


def prelu(walk: Simplifier, node: ir.Node) -> bool:
    """Opset 6: one slope, or one a channel, instead of NumPy's broadcasting."""
    if _version(node) < 7:
        rank, slope = len(walk.shape(given(node, 0))), walk.shape(given(node, 1))
        if len(slope) == 1 and slope[0] > 1 and rank > 1:
            reshape_input(walk, node, 1, slope + (1,) * (rank - 2))
    return False


def batch_normalization(walk: Simplifier, node: ir.Node) -> bool:
    """Before opset 14 the number of outputs tells training from inference; before 9 statistics may be kept for every element."""
    version = _version(node)
    if version >= 14:
        return False
    for name in ("is_test", "consumed_inputs"):
        take(node, name)
    if any(value.name and (value.uses() or value.is_graph_output()) for value in node.outputs[1:]):
        raise ModelError(
            f"{node.name} (BatchNormalization): must be in inference mode, but gives statistics; export with model.eval()"
        )
    node.resize_outputs(1)
    spatial = take(node, "spatial")
    if version < 9 and spatial is not None and not spatial.as_int() and len(walk.shape(given(node, 0))) > 2:
        return _elementwise_normalization(walk, node)
    return False


def _elementwise_normalization(walk: Simplifier, node: ir.Node) -> bool:
    """(x - mean) · scale / sqrt(variance + epsilon) + bias, with an entry of each for every element of a sample."""
    import onnx_ir as ir

    x, scale, bias, mean, variance = (given(node, index) for index in range(5))
    epsilon_attribute = node.attributes.get("epsilon")
    epsilon = walk.constant(
        np.asarray(1e-5 if epsilon_attribute is None else epsilon_attribute.as_float(), dtype=np.float32),
        f"{node.name}_epsilon",
    )

    def make(op: str, *inputs: ir.Value) -> ir.Value:
        return walk.before(node, ir.Node("", op, inputs, name=f"{node.name}_{op}", version=TARGET))

    factor = make("Div", scale, make("Sqrt", make("Add", variance, epsilon)))
    scaled = make("Mul", make("Sub", x, mean), factor)
    return walk.replace(node, [make("Add", scaled, bias)])


def dropout(walk: Simplifier, node: ir.Node) -> bool:
    """Dropout does nothing at inference; its mask keeps every element."""
    training = walk.array(optional(node, 2)) if _version(node) >= 12 else None
    if _version(node) >= 12 and optional(node, 2) is not None and (training is None or bool(training.any())):
        return False  # truly in training mode: left for lowering to refuse
    x = given(node, 0)
    mask = None
    if len(node.outputs) > 1 and (node.outputs[1].uses() or node.outputs[1].is_graph_output()):
        kind = np.bool_(True) if _version(node) >= 10 else np.float32(1)
        mask = walk.constant(np.broadcast_to(kind, walk.shape(x)), f"{node.name}_mask")
    return walk.replace(node, [x, mask][: len(node.outputs)])


def clip(walk: Simplifier, node: ir.Node) -> bool:
    """Opset 11: the bounds became inputs."""
    if _version(node) < 11:
        take(node, "consumed_inputs")
        for index, name in ((1, "min"), (2, "max")):
            bound = take(node, name)
            if bound is not None:
                set_input(
                    node, index, walk.constant(np.asarray(bound.as_float(), dtype=np.float32), f"{node.name}_{name}")
                )
    return False


def pad(walk: Simplifier, node: ir.Node) -> bool:
    """Opset 11: pads and value became inputs."""
    if _version(node) < 11:
        pads = take_ints(node, "pads")
        pads = take_ints(node, "paddings") if pads is None else pads
        value = take(node, "value")
        if pads is None:
            raise ModelError(f"{node.name} (Pad): pads must be given; the model is damaged")
        ints_input(walk, node, 1, pads, "pads")
        if value is not None:
            set_input(node, 2, walk.constant(np.asarray(value.as_float(), dtype=np.float32), f"{node.name}_value"))
    return False


def slice_(walk: Simplifier, node: ir.Node) -> bool:
    """Opset 10: starts, ends and axes became inputs."""
    if _version(node) < 10:
        for index, name in ((1, "starts"), (2, "ends"), (3, "axes")):
            values = take_ints(node, name)
            if values is None and name != "axes":
                raise ModelError(f"{node.name} (Slice): {name} must be given; the model is damaged")
            if values is not None:
                ints_input(walk, node, index, values, name)
    return False


def split(walk: Simplifier, node: ir.Node) -> bool:
    """Opset 13: sizes became an input; opset 18: equal parts have to be asked for."""
    if _version(node) >= 18:
        return False
    sizes = take_ints(node, "split") if _version(node) < 13 else None
    if sizes is not None:
        ints_input(walk, node, 1, sizes, "split")
    elif optional(node, 1) is None:
        axis, shape, parts = integer(node, "axis", 0), walk.shape(given(node, 0)), len(node.outputs)
        if not -len(shape) <= axis < len(shape) or shape[axis] % parts:
            raise ModelError(
                f"{node.name} (Split): axis {axis} of shape {shape} cannot be split into {parts} equal parts"
            )
        ints_input(walk, node, 1, (shape[axis] // parts,) * parts, "split")
    return False


def softmax(walk: Simplifier, node: ir.Node) -> bool:
    """Before opset 13 the axes from `axis` on were taken together as one."""
    import onnx_ir as ir

    if _version(node) >= 13:
        return False
    shape, axis = walk.shape(given(node, 0)), integer(node, "axis", 1)
    if not -len(shape) <= axis <= len(shape):
        raise ModelError(f"{node.name} ({node.op_type}): axis {axis} does not fit the shape {shape}")
    axis += len(shape) if axis < 0 else 0
    long = [index for index in range(axis, len(shape)) if shape[index] != 1]
    if len(long) <= 1 and len(shape) > axis:
        node.attributes["axis"] = ir.AttrInt64("axis", long[0] if long else axis)
        return False
    node.attributes["axis"] = ir.AttrInt64("axis", axis)
    reshape_input(walk, node, 0, (*shape[:axis], math.prod(shape[axis:])))
    back = walk.constant(np.asarray(shape, dtype=np.int64), f"{node.name}_shape")
    walk.after(node, ir.Node("", "Reshape", [node.outputs[0], back], name=f"{node.name}_back", version=TARGET))
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

    if _version(node) < 11:
        scales = given(node, 1)
        set_input(node, 1, None)
        set_input(node, 2, scales)
        _asymmetric(node)
        return False
    for index in range(1, len(node.inputs)):
        array = walk.array(node.inputs[index])
        if array is not None and array.size == 0:
            node.replace_input_with(index, None)
    if text(node, "coordinate_transformation_mode", "") == "tf_half_pixel_for_nn":
        # (x + 0.5) / scale, then floor, is half_pixel's (x + 0.5) / scale - 0.5 rounded with halves up.
        nearest = text(node, "nearest_mode", "round_prefer_floor")
        if text(node, "mode", "nearest") != "nearest" or nearest != "floor":
            raise ModelError(
                f"{node.name} (Resize): tf_half_pixel_for_nn is read only with mode nearest and nearest_mode floor, not {nearest}; "
                "export at opset 13 or later"
            )
        node.attributes["coordinate_transformation_mode"] = ir.AttrString(
            "coordinate_transformation_mode", "half_pixel"
        )
        node.attributes["nearest_mode"] = ir.AttrString("nearest_mode", "round_prefer_ceil")
    return False


def _asymmetric(node: ir.Node) -> None:
    import onnx_ir as ir

    node.attributes["coordinate_transformation_mode"] = ir.AttrString("coordinate_transformation_mode", "asymmetric")
    node.attributes["nearest_mode"] = ir.AttrString("nearest_mode", "floor")


def top_k(walk: Simplifier, node: ir.Node) -> bool:
    """Opset 10: k became an input."""
    if _version(node) < 10:
        count = take(node, "k")
        if count is None:
            raise ModelError(f"{node.name} (TopK): k must be given; the model is damaged")
        ints_input(walk, node, 1, (count.as_int(),), "k")
    return False


def scatter(walk: Simplifier, node: ir.Node) -> bool:
    """Opset 11: Scatter is ScatterElements."""
    node.op_type = "ScatterElements"
    return False


def grid_sample(walk: Simplifier, node: ir.Node) -> bool:
    """Opset 20: new names of the modes."""
    import onnx_ir as ir

    if _version(node) < 20:
        mode = text(node, "mode", "bilinear")
        node.attributes["mode"] = ir.AttrString("mode", {"bilinear": "linear", "bicubic": "cubic"}.get(mode, mode))
    return False


def group_normalization(walk: Simplifier, node: ir.Node) -> bool:
    """Opset 21: scale and bias for each channel instead of each group."""
    import onnx_ir as ir

    if _version(node) >= 21:
        return False
    groups, channels = integer(node, "num_groups", 1), walk.shape(given(node, 0))[1]
    if channels % groups:
        raise ModelError(
            f"{node.name} (GroupNormalization): num_groups must divide the {channels} channels, not {groups}"
        )
    for index in (1, 2):
        reshape_input(walk, node, index, (groups, 1))
        shape = walk.constant(np.asarray((groups, channels // groups), dtype=np.int64), f"{node.name}_shape")
        new = ir.Node("", "Expand", [given(node, index), shape], name=f"{node.name}_expand_{index}", version=TARGET)
        set_input(node, index, walk.before(node, new))
        reshape_input(walk, node, index, (channels,))
    return False


def roi_align(walk: Simplifier, node: ir.Node) -> bool:
    """Opset 16: half a pixel is subtracted by default."""
    import onnx_ir as ir

    name = "coordinate_transformation_mode"
    if _version(node) < 16 and name not in node.attributes:
        node.attributes[name] = ir.AttrString(name, "output_half_pixel")
    return False


def dft(walk: Simplifier, node: ir.Node) -> bool:
    """Opset 20: the axis became an input."""
    if _version(node) < 20:
        axis = take(node, "axis")
        set_input(
            node,
            2,
            walk.constant(np.asarray(1 if axis is None else axis.as_int(), dtype=np.int64), f"{node.name}_axis"),
        )
    return False


def scan(walk: Simplifier, node: ir.Node) -> bool:
    """Opset 9 gave Scan another meaning."""
    if _version(node) < 9:
        raise ModelError(f"{node.name} (Scan): its form of opset 8 is not read; export at opset 13 or later")
    return False


def _version(node: ir.Node) -> int:
    return TARGET if node.version is None else node.version


_BINARY = ("Add", "And", "Div", "Equal", "Greater", "Less", "Mul", "Or", "Pow", "Sub", "Xor")
_REDUCE = ("L1", "L2", "LogSum", "LogSumExp", "Max", "Mean", "Min", "Prod", "SumSquare")

MODERNIZE: Mapping[str, Rewrite] = {
    **dict.fromkeys(_BINARY, binary),
    **dict.fromkeys((f"Reduce{name}" for name in _REDUCE), axes_input(18)),
    **dict.fromkeys(("ReduceSum", "Squeeze", "Unsqueeze"), axes_input(13)),
    **dict.fromkeys(("Softmax", "LogSoftmax", "Hardmax"), softmax),
    "BatchNormalization": batch_normalization,
    "Clip": clip,
    "DFT": dft,
    "Dropout": dropout,
    "Gemm": gemm,
    "GridSample": grid_sample,
    "GroupNormalization": group_normalization,
    "PRelu": prelu,
    "Pad": pad,
    "Resize": resize,
    "RoiAlign": roi_align,
    "Scan": scan,
    "Scatter": scatter,
    "Slice": slice_,
    "Split": split,
    "TopK": top_k,
    "Upsample": upsample,
}
