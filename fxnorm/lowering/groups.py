"""What exporters put together from other normalizations: groups by way of instances, scale and bias behind, the logarithm of a softmax."""

from __future__ import annotations

import numpy as np

from fxnorm.graph.graph import Node
from fxnorm.lowering.attributes import axis, number
from fxnorm.lowering.expressions import TRANSPARENT, Reader
from fxnorm.lowering.polynomial import NoForm
from fxnorm.lowering.regions import OWN_DOMAIN, Found, Region, Surroundings, is_onnx

Array = np.ndarray

EPSILON = 1e-5
ONE_A_CHANNEL = frozenset({"InstanceNormalization", "GroupNormalization"})
NORMALIZATIONS = ONE_A_CHANNEL | {"LayerNormalization", "RMSNormalization"}
RESHAPES = frozenset({"Reshape", "Flatten", "Unsqueeze", "Squeeze"})


def grouped(around: Surroundings, root: Node) -> tuple[Region, Found] | None:
    """Reshape, InstanceNormalization (or LayerNormalization over all but two axes), Reshape back: a GroupNormalization."""
    graph = around.graph
    if not is_onnx(root, RESHAPES):
        return None
    found = around.before(root.inputs[0], root)
    if found is None or not is_onnx(found[0], {"InstanceNormalization", "LayerNormalization"}):
        return None
    norm, behind = found
    found = around.before(norm.inputs[0], norm)
    if found is None or not is_onnx(found[0], RESHAPES):
        return None
    split, between = found
    x = split.inputs[0]
    outer, inner = graph.shape(x), graph.shape(split.outputs[0])
    if graph.shape(root.outputs[0]) != outer or len(outer) < 2 or len(inner) < 2 or inner[0] != outer[0]:
        return None
    channels, groups = outer[1], inner[1]
    if not groups or channels % groups:
        return None
    operands = _operands(around, norm, groups)
    if operands is None or (norm.op == "LayerNormalization" and axis(norm, len(inner), -1) != 2):
        return None
    constants = tuple(np.repeat(array, channels // groups) for array in operands)
    attributes = {"num_groups": groups, "epsilon": number(norm, "epsilon", EPSILON)}
    region = Region(x, (split, *between, norm, *behind, root))
    return region, Found("GroupNormalization", attributes, constants)


def _operands(around: Surroundings, norm: Node, groups: int) -> tuple[Array, Array] | None:
    """Scale and bias of every group; None where they are computed or differ within a group."""
    scale, bias = (around.graph.constant(name) if name else None for name in (*norm.inputs[1:3], "", "")[:2])
    if any(name and array is None for name, array in zip(norm.inputs[1:3], (scale, bias), strict=False)):
        return None
    if norm.op == "InstanceNormalization":
        if scale is None or bias is None:
            return None
        return scale.astype(np.float64).reshape(-1), bias.astype(np.float64).reshape(-1)
    plain = (scale is None or bool(np.all(scale == 1.0))) and (bias is None or not np.any(bias))
    unread = all(name not in around.graph.consumers and name not in around.graph.outputs for name in norm.outputs[1:])
    return (np.ones(groups), np.zeros(groups)) if plain and unread else None


def affine_tail(around: Surroundings, root: Node) -> tuple[Region, Found] | None:
    """Constant factors and terms behind a normalization: its own scale and bias."""
    if not is_onnx(root, {"Add", "Sub", "Mul", "Div"}):
        return None
    for region in around.regions(root):
        norm = around.graph.producers.get(region.x)
        if norm is None or not (is_onnx(norm, NORMALIZATIONS) or norm.domain == OWN_DOMAIN):
            continue
        if not around.read_only_in(region.x, {node.name for node in region.nodes}) or any(norm.outputs[1:]):
            return None
        terms = _affine(around, region)
        found = None if terms is None else _with(around, norm, *terms)
        return None if found is None else (Region(norm.inputs[0], (norm, *region.nodes)), found)
    return None


def logarithm(around: Surroundings, root: Node) -> tuple[Region, Found] | None:
    """Log of a Softmax: a LogSoftmax, which has no small probabilities to round to nothing in between."""
    if not is_onnx(root, {"Log"}):
        return None
    found = around.before(root.inputs[0], root)
    if found is None or not is_onnx(found[0], {"Softmax"}):
        return None
    softmax, between = found
    region = Region(softmax.inputs[0], (softmax, *reversed(between), root))
    return region, Found("LogSoftmax", {"axis": axis(softmax, len(around.graph.shape(softmax.outputs[0])), -1)})


def _affine(around: Surroundings, region: Region) -> tuple[Array, Array] | None:
    """Factor and term by which a region follows from its value, with as many axes as it has."""
    if all(node.op in TRANSPARENT for node in region.nodes):
        return None
    reader = Reader(around.graph, region.x)
    try:
        for node in region.nodes:
            reader.read(node)
    except NoForm:
        return None
    algebra = reader.algebra
    if around.graph.shape(region.nodes[-1].outputs[0]) != algebra.shape:
        return None
    terms = dict(reader.known[region.nodes[-1].outputs[0]].terms)
    (linear,) = algebra.x.terms
    factor, shift = terms.pop(linear, None), terms.pop((), np.zeros(()))
    if factor is None or terms:
        return None
    ones = (1,) * len(algebra.shape)
    return (factor if factor.ndim else factor.reshape(ones)), (shift if shift.ndim else shift.reshape(ones))


def _with(around: Surroundings, norm: Node, factor: Array, shift: Array) -> Found | None:
    """The normalization with factor and term in its scale and bias; None where it has no place for them."""
    graph = around.graph
    shape = graph.shape(norm.outputs[0])
    names = (*norm.inputs[1:3], "", "")[:2]
    if any(name and graph.constant(name) is None for name in names):
        return None
    given = tuple(graph.constant(name) if name else None for name in names)
    rank = len(shape)
    if norm.op in ONE_A_CHANNEL:
        inner: tuple[int, ...] = (shape[1],)
        spread: tuple[int, ...] = (1, shape[1], *(1,) * (rank - 2))
        allowed = {1}
    elif norm.domain == OWN_DOMAIN:
        inner = spread = (1,) * rank
        allowed = set(range(rank))
    else:
        first = axis(norm, rank, -1)
        inner, spread = shape[first:], (*(1,) * first, *shape[first:])
        allowed = set(range(first, rank))
    if any(length > 1 and at not in allowed for array in (factor, shift) for at, length in enumerate(array.shape)):
        return None
    if norm.op == "RMSNormalization" and np.any(shift):
        return None
    scale, bias = (
        np.full((1,) * rank, default)
        if array is None
        else _aligned(array.astype(np.float64), spread if array.size > 1 else (1,) * rank, rank)
        for array, default in zip(given, (1.0, 0.0), strict=True)
    )
    scale, bias = scale * factor, bias * factor + shift
    if norm.domain == OWN_DOMAIN:
        return Found(norm.op, norm.attributes, (scale, bias), norm.domain)
    whole = [np.broadcast_to(array, spread).reshape(inner) for array in (scale, bias)]
    constants = (whole[0],) if norm.op == "RMSNormalization" else (whole[0], whole[1])
    return Found(norm.op, norm.attributes, constants)


def _aligned(array: Array, spread: tuple[int, ...], rank: int) -> Array:
    """A constant of a normalization with as many axes as its data."""
    if array.ndim == rank:
        return array
    return array.reshape(spread)
