"""Sequences of tensors, resolved while reading: PyTorch's exporters split a tensor into one and take its entries out again.

A sequence whose entries are known needs no operator: its tensors take its place wherever it is read.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from fxnorm.errors import ModelError
from fxnorm.graph.nodes import given, integer, label, optional, set_input

if TYPE_CHECKING:
    import onnx_ir as ir

    from fxnorm.graph.simplify import Rewrite, Simplifier


def is_sequence(value: ir.Value) -> bool:
    """Whether a value is a sequence whose entries are known."""
    node = value.producer()
    return node is not None and node.domain == "" and node.op_type == "SequenceConstruct"


def split_to_sequence(walk: Simplifier, node: ir.Node) -> bool:
    """A Split; pieces of one entry lose the axis where `keepdims` says so and no sizes are given."""
    import onnx_ir as ir

    shape, axis, sizes = walk.shape(given(node, 0)), integer(node, "axis", 0), optional(node, 1)
    if not -len(shape) <= axis < len(shape):
        raise ModelError(f"{label(node)}: axis {axis} does not fit the shape {list(shape)}")
    parts = [1] * shape[axis] if sizes is None else _parts(walk.array(sizes), shape[axis])
    if not parts or not _is_taken_apart(node):
        return False
    split = walk.constant(np.asarray(parts, dtype=np.int64), f"{node.name}_split")
    attributes = [ir.AttrInt64("axis", axis)]
    pieces = walk.insert(node, "Split", [given(node, 0), split], attributes, outputs=len(parts))
    if sizes is None and not integer(node, "keepdims", 1):
        axes = walk.constant(np.asarray([axis], dtype=np.int64), f"{node.name}_axes")
        pieces = [walk.insert(node, "Squeeze", [piece, axes])[0] for piece in pieces]
    node.op_type = "SequenceConstruct"
    node.attributes.clear()
    for index, piece in enumerate(pieces):
        set_input(node, index, piece)
    node.resize_inputs(len(pieces))
    return True


def _is_taken_apart(node: ir.Node) -> bool:
    """Whether all that read a sequence are operators that give tensors."""
    (value,) = node.outputs
    readers = ("ConcatFromSequence", "SequenceAt", "SequenceLength")
    return not value.is_graph_output() and all(user.op_type in readers for user in value.consumers())


def _parts(sizes: np.ndarray | None, length: int) -> list[int]:
    """Sizes of the pieces: given one by one, or a common one with a shorter last piece; none where they are not known."""
    if sizes is None:
        return []
    if sizes.ndim:
        return [int(size) for size in sizes]
    step = int(sizes)
    return [min(step, length - start) for start in range(0, length, step)] if step > 0 else []


def sequence_construct(walk: Simplifier, node: ir.Node) -> bool:
    """Stays until the walk ends and holds the entries for those that read them."""
    return _is_taken_apart(node)


def sequence_at(walk: Simplifier, node: ir.Node) -> bool:
    """The tensor at a constant place of a sequence."""
    pieces, place = _pieces(node), walk.array(optional(node, 1))
    if place is None or place.size != 1:
        return walk.give_up(node)
    index = int(place.reshape(-1)[0])
    if not -len(pieces) <= index < len(pieces):
        raise ModelError(f"{label(node)}: the sequence has {len(pieces)} entries, there is no entry {index}")
    return walk.replace(node, [pieces[index]])


def sequence_length(walk: Simplifier, node: ir.Node) -> bool:
    """The number of tensors in a sequence."""
    return walk.fold_to(node, [np.asarray(len(_pieces(node)), dtype=np.int64)])


def concat_from_sequence(walk: Simplifier, node: ir.Node) -> bool:
    """A Concat, behind an Unsqueeze of every tensor where `new_axis` says so."""
    import onnx_ir as ir

    pieces, axis = _pieces(node), integer(node, "axis", 0)
    if integer(node, "new_axis", 0):
        axes = walk.constant(np.asarray([axis], dtype=np.int64), f"{node.name}_axes")
        pieces = [walk.insert(node, "Unsqueeze", [piece, axes])[0] for piece in pieces]
    return walk.replace(node, walk.insert(node, "Concat", pieces, [ir.AttrInt64("axis", axis)]))


def _pieces(node: ir.Node) -> list[ir.Value]:
    construct = given(node, 0).producer()
    return [] if construct is None else [value for value in construct.inputs if value is not None]


SEQUENCES: Mapping[str, Rewrite] = {
    "ConcatFromSequence": concat_from_sequence,
    "SequenceAt": sequence_at,
    "SequenceConstruct": sequence_construct,
    "SequenceLength": sequence_length,
    "SplitToSequence": split_to_sequence,
}
