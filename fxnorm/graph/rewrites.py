"""Rewrites that leave out what does nothing at inference, whichever opset a model has."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from fxnorm.errors import ModelError
from fxnorm.graph.classical import CLASSICAL
from fxnorm.graph.float32 import retype
from fxnorm.graph.modernize import MODERNIZE
from fxnorm.graph.nodes import given, integer, label, optional, set_input
from fxnorm.graph.sequences import SEQUENCES
from fxnorm.graph.tensors import elements

if TYPE_CHECKING:
    import onnx_ir as ir

    from fxnorm.graph.simplify import Rewrite, Simplifier


def identity(walk: Simplifier, node: ir.Node) -> bool:
    """An Identity is dropped, except between a model's input, or another output, and an output."""
    source = given(node, 0)
    if (
        node.outputs[0].is_graph_output()
        and walk.array(source) is None
        and (source.is_graph_input() or source.is_graph_output())
    ):
        return False
    return walk.replace(node, [source])


def cast(walk: Simplifier, node: ir.Node) -> bool:
    """A Cast to the type that a value has already is dropped; so are casts among floating-point types."""
    if "to" not in node.attributes:
        raise ModelError(f"{label(node)}: the attribute to must be given; the model is damaged")
    retype(node)
    if integer(node, "to", 0) != int(given(node, 0).dtype or 0):
        return False
    return identity(walk, node) or _as_identity(node)


def cast_like(walk: Simplifier, node: ir.Node) -> bool:
    """A CastLike is the Cast to its second input's type."""
    import onnx_ir as ir

    target = given(node, 1).dtype
    node.op_type = "Cast"
    node.resize_inputs(1)
    node.attributes["to"] = ir.AttrInt64("to", int(target or 0))
    return cast(walk, node)


def _as_identity(node: ir.Node) -> bool:
    node.attributes.clear()
    node.op_type = "Identity"
    return False


def shape(walk: Simplifier, node: ir.Node) -> bool:
    """The shape of a value is constant."""
    dims = walk.shape(given(node, 0))
    end = node.attributes.get("end")
    part = dims[integer(node, "start", 0) : None if end is None else end.as_int()]
    return walk.fold_to(node, [np.asarray(part, dtype=np.int64)])


def size(walk: Simplifier, node: ir.Node) -> bool:
    """The number of elements of a value is constant."""
    return walk.fold_to(node, [np.asarray(np.prod(walk.shape(given(node, 0)), dtype=np.int64))])


def transpose(walk: Simplifier, node: ir.Node) -> bool:
    """A Transpose of a Transpose is one; a Transpose that moves nothing is dropped."""
    import onnx_ir as ir

    value = given(node, 0)
    rank = len(walk.shape(value))
    permutation = _permutation(node, rank)
    before = value.producer()
    if before is not None and before.domain == "" and before.op_type == "Transpose":
        first = _permutation(before, rank)
        permutation = tuple(first[axis] for axis in permutation)
        set_input(node, 0, given(before, 0))
    node.attributes["perm"] = ir.AttrInt64s("perm", permutation)
    if permutation == tuple(range(rank)):
        return identity(walk, node) or _as_identity(node)
    return False


def _permutation(node: ir.Node, rank: int) -> tuple[int, ...]:
    attribute = node.attributes.get("perm")
    if attribute is None:
        return tuple(reversed(range(rank)))
    permutation = tuple(attribute.as_ints())
    if sorted(permutation) != list(range(rank)):
        raise ModelError(f"{label(node)}: perm must order the {rank} axes, not {list(permutation)}")
    return permutation


def reshape(walk: Simplifier, node: ir.Node) -> bool:
    """Where another batch is asked for, a Reshape that names the model's own batch first names the new one."""
    target = walk.array(optional(node, 1))
    if walk.rebound is not None and target is not None and target.size:
        old, new = walk.rebound
        dims = walk.shape(given(node, 0))
        if dims and dims[0] == new and int(target.reshape(-1)[0]) == old:
            changed = np.array(target, dtype=np.int64)
            changed.reshape(-1)[0] = new
            set_input(node, 1, walk.constant(changed, f"{node.name}_shape"))
    return False


def range_(walk: Simplifier, node: ir.Node) -> bool:
    """A Range between constants; exporters also give vectors of one element where the operator wants scalars."""
    arrays = [walk.array(optional(node, index)) for index in range(3)]
    numbers = [array.reshape(()) for array in arrays if array is not None and array.size == 1]
    if len(numbers) < 3:
        return False
    start, limit, delta = numbers
    if not delta or not all(np.isfinite(numbers)):
        raise ModelError(
            f"{label(node)}: delta must not be 0 and all must be finite, but they are {start}, {limit}, {delta}"
        )
    count = max(0, math.ceil((float(limit) - float(start)) / float(delta)))
    elements([count], label(node))
    return walk.fold_to(node, [(start + np.arange(count) * delta).astype(start.dtype)])


def if_(walk: Simplifier, node: ir.Node) -> bool:
    """An If with a constant condition is the branch it takes."""
    condition = walk.array(optional(node, 0))
    if condition is None or condition.size != 1:
        return False
    attribute = node.attributes.get("then_branch" if bool(condition.reshape(-1)[0]) else "else_branch")
    if attribute is None:
        raise ModelError(f"{label(node)}: both branches must be given; the model is damaged")
    return walk.inline(node, attribute.as_graph())


REWRITES: Mapping[tuple[str, str], Rewrite] = {
    **{("", op): rewrite for op, rewrite in {**MODERNIZE, **SEQUENCES}.items()},
    **{("ai.onnx.ml", op): rewrite for op, rewrite in CLASSICAL.items()},
    ("", "Cast"): cast,
    ("", "CastLike"): cast_like,
    ("", "Identity"): identity,
    ("", "If"): if_,
    ("", "Range"): range_,
    ("", "Reshape"): reshape,
    ("", "Shape"): shape,
    ("", "Size"): size,
    ("", "Transpose"): transpose,
}
