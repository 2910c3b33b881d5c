"""Older forms of operators in which an attribute says what is an input now.

A rewrite is called when the shapes of a node's inputs are known. It changes the node in place, or replaces it and
returns True.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fxnorm.errors import ModelError
from fxnorm.graph.nodes import given, integer, label, opset, optional, set_input, take, take_ints

if TYPE_CHECKING:
    import onnx_ir as ir

    from fxnorm.graph.simplify import Rewrite, Simplifier


def ints_input(walk: Simplifier, node: ir.Node, index: int, values: tuple[int, ...], name: str) -> None:
    """Give a list of integers as an input instead of an attribute."""
    set_input(node, index, walk.constant(np.asarray(values, dtype=np.int64), f"{node.name}_{name}"))


def axes_input(since: int) -> Rewrite:
    """Rewrite of an operator whose `axes` became its second input."""

    def rewrite(walk: Simplifier, node: ir.Node) -> bool:
        if opset(node) < since:
            axes = take_ints(node, "axes")
            if axes:
                ints_input(walk, node, 1, axes, "axes")
        return False

    return rewrite


def clip(walk: Simplifier, node: ir.Node) -> bool:
    """Opset 11: the bounds became inputs."""
    if opset(node) < 11:
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
    if opset(node) < 11:
        pads = take_ints(node, "pads")
        pads = take_ints(node, "paddings") if pads is None else pads
        value = take(node, "value")
        if pads is None:
            raise ModelError(f"{label(node)}: pads must be given; the model is damaged")
        ints_input(walk, node, 1, pads, "pads")
        if value is not None:
            set_input(node, 2, walk.constant(np.asarray(value.as_float(), dtype=np.float32), f"{node.name}_value"))
    return False


def slice_(walk: Simplifier, node: ir.Node) -> bool:
    """Opset 10: starts, ends and axes became inputs."""
    if opset(node) < 10:
        for index, name in ((1, "starts"), (2, "ends"), (3, "axes")):
            values = take_ints(node, name)
            if values is None and name != "axes":
                raise ModelError(f"{label(node)}: {name} must be given; the model is damaged")
            if values is not None:
                ints_input(walk, node, index, values, name)
    return False


def split(walk: Simplifier, node: ir.Node) -> bool:
    """Opset 13: sizes became an input; opset 18: equal parts have to be asked for."""
    if opset(node) >= 18:
        return False
    sizes = take_ints(node, "split") if opset(node) < 13 else None
    if sizes is not None:
        ints_input(walk, node, 1, sizes, "split")
    elif optional(node, 1) is None:
        axis, shape, parts = integer(node, "axis", 0), walk.shape(given(node, 0)), len(node.outputs)
        if not -len(shape) <= axis < len(shape) or shape[axis] % parts:
            raise ModelError(f"{label(node)}: axis {axis} of shape {shape} cannot be split into {parts} equal parts")
        ints_input(walk, node, 1, (shape[axis] // parts,) * parts, "split")
    return False


def top_k(walk: Simplifier, node: ir.Node) -> bool:
    """Opset 10: k became an input."""
    if opset(node) < 10:
        count = take(node, "k")
        if count is None:
            raise ModelError(f"{label(node)}: k must be given; the model is damaged")
        ints_input(walk, node, 1, (count.as_int(),), "k")
    return False


def dft(walk: Simplifier, node: ir.Node) -> bool:
    """Opset 20: the axis became an input."""
    if opset(node) < 20:
        axis = take(node, "axis")
        set_input(
            node,
            2,
            walk.constant(np.asarray(1 if axis is None else axis.as_int(), dtype=np.int64), f"{node.name}_axis"),
        )
    return False


def dropout(walk: Simplifier, node: ir.Node) -> bool:
    """Dropout does nothing at inference; its mask keeps every element."""
    training = walk.array(optional(node, 2)) if opset(node) >= 12 else None
    if opset(node) >= 12 and optional(node, 2) is not None and (training is None or bool(training.any())):
        return False  # truly in training mode: left for lowering to refuse
    x = given(node, 0)
    mask = None
    if len(node.outputs) > 1 and (node.outputs[1].uses() or node.outputs[1].is_graph_output()):
        kind = np.bool_(True) if opset(node) >= 10 else np.float32(1)
        mask = walk.constant(np.broadcast_to(kind, walk.shape(x)), f"{node.name}_mask")
    return walk.replace(node, [x, mask][: len(node.outputs)])


def recurrent(walk: Simplifier, node: ir.Node) -> bool:
    """Opset 7: an output is given where it is named, not where an attribute says so."""
    if opset(node) < 7:
        take(node, "output_sequence")
    return False
