"""Binding of free dimensions: the batch, and those that the user names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fxnorm.errors import ModelError, UsageError
from fxnorm.graph.tensors import elements

if TYPE_CHECKING:
    import onnx_ir as ir

Size = int | str | None
"""A dimension as the file has it: its size, its name, or nothing."""


@dataclass(frozen=True, slots=True)
class Binding:
    """How the dimensions of a model's inputs were bound.

    Attributes
    ----------
    batch
        First dimension of every input, where they share it.
    free_batch
        Whether the model leaves the first dimension of every input free.
    symbols
        Size of every dimension that has a name.
    rebound
        The batch size that the model fixes and the one that was asked for; None where they do not differ.
    """

    batch: int | None
    free_batch: bool
    symbols: Mapping[str, int]
    rebound: tuple[int, int] | None = None


def bind_inputs(graph: ir.Graph, batch: int | None, dims: Mapping[str, int]) -> Binding:
    """Give every input of a graph a static shape.

    A free first dimension is the batch, and so is every dimension of the same name. It becomes `batch`, or 1. Other free
    dimensions need an entry in `dims`, which also wins over `batch` for the dimensions that it names. Where the model
    fixes the first dimension of all inputs and `batch` is another one, `batch` takes its place.

    Raises
    ------
    ModelError
        If a dimension stays free, is not positive, or the inputs do not share the batch that is to be changed.
    UsageError
        If `batch` or an entry of `dims` is wrong by itself.
    """
    import onnx_ir as ir

    if batch is not None and batch < 1:
        raise UsageError(f"batch: must be a positive number, not {batch}")
    shapes = [declared_sizes(value) for value in graph.inputs]
    symbols = _symbols(shapes, batch, dims)
    rebound = _rebound(graph.inputs, shapes, batch)
    sizes = []
    for value, shape in zip(graph.inputs, shapes, strict=True):
        bound = [_bound(size, axis, value, symbols, batch, rebound) for axis, size in enumerate(shape)]
        elements(bound, f"input {value.name!r}")
        value.shape = ir.Shape(bound)
        sizes.append(bound)
    shared = sizes[0][0] if all(shape and shape[0] == sizes[0][0] for shape in sizes) else None
    free = shared is not None and not any(isinstance(shape[0], int) for shape in shapes)
    return Binding(shared, free, symbols, rebound)


def declared_sizes(value: ir.Value) -> list[Size]:
    """Dimensions that the file declares for an input.

    Raises
    ------
    ModelError
        If it is no tensor of numbers with a known number of dimensions.
    """
    import onnx_ir as ir

    where = f"input {value.name!r}"
    if not isinstance(value.type, ir.TensorType) or value.dtype == ir.DataType.UNDEFINED:
        raise ModelError(f"{where}: must be a tensor with an element type, not {value.type}; export the model again")
    if value.dtype == ir.DataType.STRING:
        raise ModelError(f"{where}: must hold numbers, not strings; cut the text processing off the model")
    if value.shape is None:
        raise ModelError(f"{where}: its number of dimensions must be known; export the model with input shapes")
    return [size if isinstance(size, int) else size.value for size in value.shape]


def _symbols(shapes: Sequence[Sequence[Size]], batch: int | None, dims: Mapping[str, int]) -> dict[str, int]:
    names = {size for shape in shapes for size in shape if isinstance(size, str)}
    for name, size in dims.items():
        if name not in names:
            free = ", ".join(sorted(names)) or "none"
            raise UsageError(f"dimension {name!r}: the model's inputs have no such free dimension; they have: {free}")
        if size < 1:
            raise UsageError(f"dimension {name!r}: must be a positive number, not {size}")
    first = (shape[0] for shape in shapes if shape)
    return {**{name: batch or 1 for name in first if isinstance(name, str)}, **dims}


def _rebound(inputs: Sequence[ir.Value], shapes: Sequence[Sequence[Size]], batch: int | None) -> tuple[int, int] | None:
    """Batch size that all inputs fix, and the one that is asked for instead."""
    first = [shape[0] if shape else None for shape in shapes]
    if batch is None or not all(isinstance(size, int) for size in first):
        return None
    if len(set(first)) > 1:
        listed = ", ".join(f"{value.name!r} {_text(shape)}" for value, shape in zip(inputs, shapes, strict=True))
        raise ModelError(
            f"inputs: the batch can be set to {batch} only where all inputs share it, but they are {listed}"
        )
    fixed = first[0]
    return (fixed, batch) if isinstance(fixed, int) and fixed != batch else None


def _bound(
    size: Size,
    axis: int,
    value: ir.Value,
    symbols: Mapping[str, int],
    batch: int | None,
    rebound: tuple[int, int] | None,
) -> int:
    where = f"input {value.name!r}: dimension {axis}"
    if axis == 0 and (size is None or rebound is not None):
        return batch or 1
    if isinstance(size, str) and size in symbols:
        return symbols[size]
    if isinstance(size, int) and size > 0:
        return size
    if isinstance(size, int):
        raise ModelError(f"{where} must be positive, not {size}; export the model again")
    if size is None:
        raise ModelError(f"{where} is free and is not the batch; export the model with its size")
    raise ModelError(f"{where} ({size}) is free and is not the batch; give its size with --dim {size}=SIZE")


def _text(shape: Sequence[Size]) -> str:
    return " × ".join("?" if size is None else str(size) for size in shape) or "scalar"
