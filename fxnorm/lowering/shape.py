"""Reshape, Transpose, Concat, Slice and all that moves data without computing."""

from __future__ import annotations

import numpy as np

from fxnorm.graph.graph import Node
from fxnorm.kernels.movement import (
    Broadcast,
    ConcatOperation,
    LookupOperation,
    Move,
    MoveOperation,
    PadValue,
    Reshape,
    Slice,
    Take,
    Transpose,
)
from fxnorm.lowering.attributes import axis, integer, integers, normalized, text
from fxnorm.lowering.builder import Builder
from fxnorm.lowering.network import Refusal

Array = np.ndarray


def _move(builder: Builder, node: Node, *moves: Move | PadValue, output: str | None = None) -> None:
    indices = not builder.is_float(node.inputs[0])
    builder.add(node, MoveOperation(moves, keeps=indices), node.inputs[:1], output)


def same(builder: Builder, node: Node) -> None:
    """Identity."""
    builder.same(node.outputs[0], node.inputs[0])


def dropout(builder: Builder, node: Node) -> None:
    """Dropout at inference: nothing happens."""
    mask = node.outputs[1] if len(node.outputs) > 1 else ""
    if mask and (mask in builder.graph.outputs or mask in builder.graph.consumers):
        raise Refusal("the mask output must not be used")
    ratio = builder.optional(node, 1, "the ratio")
    training = builder.optional(node, 2, "training_mode")
    drops = ratio is None or bool(np.any(ratio != 0.0))
    if training is not None and bool(training.any()) and drops:
        raise Refusal("training_mode must be false; export the model for inference")
    builder.same(node.outputs[0], node.inputs[0])


def cast(builder: Builder, node: Node) -> None:
    """Cast to floating point, or of indices from one integer type to another: the number stays what it is."""
    source, target = (builder.graph.values[name].dtype for name in (node.inputs[0], node.outputs[0]))
    if target.kind != "f" and not (source.kind in "iu" and target.kind in "iu"):
        raise Refusal(f"computed values can be cast to floating point only, not from {source} to {target}")
    builder.same(node.outputs[0], node.inputs[0])


def reshape(builder: Builder, node: Node) -> None:
    """Reshape, Flatten, Squeeze, Unsqueeze: the shape is the one that import inferred."""
    shape = builder.graph.shape(node.outputs[0])
    if shape == builder.shape(node.inputs[0]):
        builder.same(node.outputs[0], node.inputs[0])
        return
    _move(builder, node, Reshape(shape))


def transpose(builder: Builder, node: Node) -> None:
    """Transpose; reversed axes by default."""
    rank = len(builder.shape(node.inputs[0]))
    _move(builder, node, Transpose(integers(node, "perm", tuple(reversed(range(rank))))))


def concat(builder: Builder, node: Node) -> None:
    """Concat, constants among its operands included."""
    output = builder.graph.shape(node.outputs[0])
    operands, inputs = builder.operands(node)
    builder.add(node, ConcatOperation(axis(node, len(output), 0), operands), inputs)


def split(builder: Builder, node: Node) -> None:
    """Split: one slice an output, with the lengths that import inferred."""
    rank = len(builder.shape(node.inputs[0]))
    where = axis(node, rank, 0)
    start = 0
    for output in node.outputs:
        length = builder.graph.shape(output)[where] if output else 0
        if output and (output in builder.graph.consumers or output in builder.graph.outputs):
            _move(builder, node, Slice(where, start, 1, length), output=output)
        elif not output:
            raise Refusal("every output of Split must have a name")
        start += length


def slice_(builder: Builder, node: Node) -> None:
    """Slice with constant bounds, any step."""
    shape = builder.shape(node.inputs[0])
    starts = builder.required(node, 1, "the starts of a slice").reshape(-1)
    ends = builder.required(node, 2, "the ends of a slice").reshape(-1)
    given_axes = builder.optional(node, 3, "the axes of a slice")
    given_steps = builder.optional(node, 4, "the steps of a slice")
    axes = (
        range(len(starts)) if given_axes is None else [normalized(int(a), len(shape)) for a in given_axes.reshape(-1)]
    )
    steps = [1] * len(starts) if given_steps is None else [int(s) for s in given_steps.reshape(-1)]
    moves = []
    for start, end, where, step in zip(starts, ends, axes, steps, strict=True):
        chosen = _chosen(int(start), int(end), step, shape[where])
        moves.append(Slice(where, chosen.start, step, len(chosen)))
    _move(builder, node, *moves)


def _chosen(start: int, end: int, step: int, length: int) -> range:
    """Indices of a slice along one axis; both ends are clamped as the specification says (ONNX, Slice)."""
    if step == 0:
        raise Refusal("the steps of a slice must not be 0")
    start, end = (bound + length if bound < 0 else bound for bound in (start, end))
    if step > 0:
        return range(min(max(start, 0), length), min(max(end, 0), length), step)
    return range(min(max(start, 0), length - 1), min(max(end, -1), length - 1), step)


def gather(builder: Builder, node: Node) -> None:
    """Gather: constant indices move data, computed ones look rows of a constant table up."""
    indices = builder.constant(node, 1)
    if indices is not None:
        shape = builder.shape(node.inputs[0])
        where = axis(node, len(shape), 0)
        if indices.size and not (-shape[where] <= int(indices.min()) and int(indices.max()) < shape[where]):
            raise Refusal(
                f"indices must lie in [{-shape[where]}, {shape[where]}), not {int(indices.min())}..{int(indices.max())}"
            )
        _move(builder, node, Take(where, np.where(indices < 0, indices + shape[where], indices).astype(np.int64)))
        return
    rows = builder.required(node, 0, "the table of a look-up by computed indices").astype(np.float64)
    if builder.is_float(node.inputs[1]):
        raise Refusal("indices must be integers")
    builder.add(node, LookupOperation(rows, axis(node, rows.ndim, 0)), node.inputs[1:2])


def pad(builder: Builder, node: Node) -> None:
    """Pad: constant, reflect, edge, wrap; negative pads crop."""
    shape = builder.shape(node.inputs[0])
    amounts = [int(p) for p in builder.required(node, 1, "the amounts of a pad").reshape(-1)]
    value = builder.optional(node, 2, "the value of a pad")
    given_axes = builder.optional(node, 3, "the axes of a pad")
    axes = (
        list(range(len(shape)))
        if given_axes is None
        else [normalized(int(a), len(shape)) for a in given_axes.reshape(-1)]
    )
    befores, afters = amounts[: len(axes)], amounts[len(axes) :]
    mode = text(node, "mode", "constant")
    moves: list[Move | PadValue] = []
    if mode == "constant":
        for where, before, after in zip(axes, befores, afters, strict=True):
            if before < 0 or after < 0:
                start = max(-before, 0)
                moves.append(Slice(where, start, 1, shape[where] - start - max(-after, 0)))
        widths = [(0, 0)] * len(shape)
        for where, before, after in zip(axes, befores, afters, strict=True):
            widths[where] = (max(before, 0), max(after, 0))
        if any(widths[where] != (0, 0) for where in axes):
            moves.append(PadValue(tuple(widths), 0.0 if value is None else float(value.reshape(()))))
    elif mode in {"reflect", "edge", "wrap"}:
        for where, before, after in zip(axes, befores, afters, strict=True):
            indices = np.arange(shape[where])
            indices = indices[max(-before, 0) : shape[where] - max(-after, 0)]
            # NumPy's stubs ask for a literal; which modes there are was checked above.
            widened = np.pad(indices, (max(before, 0), max(after, 0)), mode=mode)  # type: ignore[call-overload]
            moves.append(Take(where, np.asarray(widened, np.int64)))
    else:
        raise Refusal(f"mode must be constant, reflect, edge or wrap, not {mode}")
    _move(builder, node, *moves)


def expand(builder: Builder, node: Node) -> None:
    """Expand: the shape is the one that import inferred."""
    shape, output = builder.shape(node.inputs[0]), builder.graph.shape(node.outputs[0])
    aligned = (1,) * (len(output) - len(shape)) + shape
    _move(builder, node, Reshape(aligned), Broadcast(output))


def tile(builder: Builder, node: Node) -> None:
    """Tile with constant repeats."""
    shape = builder.shape(node.inputs[0])
    repeats = [int(r) for r in builder.required(node, 1, "the repeats").reshape(-1)]
    moves = [Take(where, np.tile(np.arange(shape[where]), count)) for where, count in enumerate(repeats) if count != 1]
    _move(builder, node, *moves)


def depth_to_space(builder: Builder, node: Node) -> None:
    """DepthToSpace, DCR and CRD."""
    batch, channels, height, width = builder.shape(node.inputs[0])
    block = integer(node, "blocksize", 0)
    deep = channels // (block * block)
    mode = text(node, "mode", "DCR")
    if mode == "DCR":
        inner, order = (batch, block, block, deep, height, width), (0, 3, 4, 1, 5, 2)
    elif mode == "CRD":
        inner, order = (batch, deep, block, block, height, width), (0, 1, 4, 2, 5, 3)
    else:
        raise Refusal(f"mode must be DCR or CRD, not {mode}")
    _move(builder, node, Reshape(inner), Transpose(order), Reshape((batch, deep, height * block, width * block)))


def space_to_depth(builder: Builder, node: Node) -> None:
    """SpaceToDepth, DCR and CRD."""
    batch, channels, height, width = builder.shape(node.inputs[0])
    block = integer(node, "blocksize", 0)
    inner = (batch, channels, height // block, block, width // block, block)
    deep = (batch, channels * block * block, height // block, width // block)
    mode = text(node, "mode", "DCR")
    orders = {"DCR": (0, 3, 5, 1, 2, 4), "CRD": (0, 1, 3, 5, 2, 4)}
    if mode not in orders:
        raise Refusal(f"mode must be DCR or CRD, not {mode}")
    _move(builder, node, Reshape(inner), Transpose(orders[mode]), Reshape(deep))


def resize(builder: Builder, node: Node) -> None:
    """Resize by nearest neighbour: one index list an axis."""
    mode = text(node, "mode", "nearest")
    if mode != "nearest":
        raise Refusal(f"mode must be nearest, not {mode}; linear and cubic interpolation are not supported")
    shape, output = builder.shape(node.inputs[0]), builder.graph.shape(node.outputs[0])
    scales = builder.optional(node, 2, "the scales")
    listed = integers(node, "axes", tuple(range(len(shape))))
    axes = [normalized(a, len(shape)) for a in listed]
    ratio = {where: output[where] / shape[where] for where in range(len(shape))}
    if scales is not None and scales.size:
        ratio.update(zip(axes, (float(s) for s in scales.reshape(-1)), strict=True))
    elif text(node, "keep_aspect_ratio_policy", "stretch") != "stretch":
        sizes = builder.required(node, 3, "the sizes").reshape(-1)
        ratios = [int(size) / shape[where] for where, size in zip(axes, sizes, strict=True)]
        one = min(ratios) if text(node, "keep_aspect_ratio_policy", "stretch") == "not_larger" else max(ratios)
        ratio.update(dict.fromkeys(axes, one))
    region = builder.optional(node, 1, "the region of interest")
    moves = []
    for where, length in enumerate(output):
        if where in axes and (length != shape[where] or ratio[where] != 1.0 or region is not None):
            ends = None
            if text(node, "coordinate_transformation_mode", "half_pixel") == "tf_crop_and_resize":
                if region is None:
                    raise Refusal("tf_crop_and_resize needs a region of interest")
                index = axes.index(where)
                ends = (float(region[index]), float(region[index + len(axes)]))
            moves.append(Take(where, _nearest(node, shape[where], length, ratio[where], ends)))
    _move(builder, node, *moves)


def _nearest(node: Node, length: int, resized: int, scale: float, ends: tuple[float, float] | None) -> Array:
    """Source index of every resized index along one axis (ONNX, Resize)."""
    position = np.arange(resized, dtype=np.float64)
    mode = text(node, "coordinate_transformation_mode", "half_pixel")
    match mode:
        case "half_pixel":
            source = (position + 0.5) / scale - 0.5
        case "half_pixel_symmetric":
            adjustment = resized / (scale * length)
            source = length / 2 * (1 - adjustment) + (position + 0.5) / scale - 0.5
        case "pytorch_half_pixel":
            source = (position + 0.5) / scale - 0.5 if resized > 1 else np.zeros(1)
        case "align_corners":
            source = position * (length - 1) / (resized - 1) if resized > 1 else np.zeros(1)
        case "asymmetric":
            source = position / scale
        case "tf_crop_and_resize":
            assert ends is not None
            start, end = ends
            step = (end - start) * (length - 1) / (resized - 1) if resized > 1 else 0.0
            source = (
                start * (length - 1) + position * step
                if resized > 1
                else np.array([0.5 * (start + end) * (length - 1)])
            )
            if np.any((source < 0) | (source > length - 1)):
                raise Refusal("a region of interest must lie inside the data; extrapolation is not supported")
        case _:
            raise Refusal(f"coordinate_transformation_mode {mode} is not supported")
    rounding = text(node, "nearest_mode", "round_prefer_floor")
    match rounding:
        case "round_prefer_floor":
            index = np.ceil(source - 0.5)
        case "round_prefer_ceil":
            index = np.floor(source + 0.5)
        case "floor":
            index = np.floor(source)
        case "ceil":
            index = np.ceil(source)
        case _:
            raise Refusal(f"nearest_mode {rounding} is not supported")
    return np.clip(index, 0, length - 1).astype(np.int64)
