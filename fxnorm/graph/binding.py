"""Binding of free dimensions: the batch, and those that the user names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fxnorm.errors import ModelError, UsageError
from fxnorm.graph.validation import elements

if TYPE_CHECKING:
    import onnx_ir as ir


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
        The batch size that the model fixes, where another one was asked for; None otherwise.
    """

    batch: int | None
    free_batch: bool
    symbols: Mapping[str, int]
    rebound: int | None = None


def bind_inputs(graph: ir.Graph, batch: int | None, dims: Mapping[str, int]) -> Binding:
    """Give every input of a graph a static shape.

    A free first dimension is the batch; so is every dimension of the same name. It becomes `batch`, or 1. Other free dimensions need an
    entry in `dims`, which also wins over `batch` for the dimensions it names.

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
    shapes = [_declared(value) for value in graph.inputs]
    symbols = _symbols(shapes, batch, dims)
    first = [shape[0] for shape in shapes if shape]
    fixed = {size for size in first if isinstance(size, int)}
    rebound = None
    if batch is not None and fixed and fixed != {batch}:
        if len(fixed) > 1 or len(first) < len(shapes):
            listed = ", ".join(
                f"{value.name} {_text(shape)}" for value, shape in zip(graph.inputs, shapes, strict=True)
            )
            raise ModelError(
                f"inputs: the batch can be changed to {batch} only where all inputs share it, but they are {listed}"
            )
        (rebound,) = fixed
    free = len(first) == len(shapes) > 0 and not fixed
    for value, shape in zip(graph.inputs, shapes, strict=True):
        bound = [_bound(size, axis, value, symbols, batch, rebound) for axis, size in enumerate(shape)]
        elements(bound, f"input {value.name!r}")
        value.shape = ir.Shape(bound)
    sizes = {int(shape.numpy()[0]) for value in graph.inputs if (shape := value.shape) is not None and len(shape)}
    shared = sizes.pop() if len(sizes) == 1 and len(first) == len(shapes) else None
    return Binding(shared, free and shared is not None, symbols, rebound)


def _declared(value: ir.Value) -> list[int | str | None]:
    import onnx_ir as ir

    where = f"input {value.name!r}"
    if not isinstance(value.type, ir.TensorType) or value.dtype == ir.DataType.UNDEFINED:
        raise ModelError(
            f"{where}: must be a tensor with an element type, not {value.type}; only tensors can be computed"
        )
    if value.dtype == ir.DataType.STRING:
        raise ModelError(f"{where}: must hold numbers, not strings; cut the text processing off the model")
    if value.shape is None:
        raise ModelError(f"{where}: its number of dimensions must be known; export the model with input shapes")
    return [size if isinstance(size, int) else size.value for size in value.shape]  # type: ignore[misc]


def _symbols(shapes: list[list[int | str | None]], batch: int | None, dims: Mapping[str, int]) -> dict[str, int]:
    names = {size for shape in shapes for size in shape if isinstance(size, str)}
    for name, size in dims.items():
        if name not in names:
            free = ", ".join(sorted(names)) or "none"
            raise UsageError(f"dimension {name!r}: the model's inputs have no such free dimension; they have: {free}")
        if size < 1:
            raise UsageError(f"dimension {name!r}: must be a positive number, not {size}")
    symbols = {shape[0]: batch or 1 for shape in shapes if shape and isinstance(shape[0], str)}
    return {**symbols, **dims}


def _bound(
    size: int | str | None,
    axis: int,
    value: ir.Value,
    symbols: Mapping[str, int],
    batch: int | None,
    rebound: int | None,
) -> int:
    if axis == 0 and (size is None or rebound is not None):
        return batch or 1
    if isinstance(size, str) and size in symbols:
        return symbols[size]
    if isinstance(size, int) and size > 0:
        return size
    if isinstance(size, int):
        raise ModelError(f"input {value.name!r}: dimension {axis} must be positive, not {size}; export the model again")
    remedy = f"give its size with --dim {size}=SIZE" if size else "export the model with its size"
    raise ModelError(
        f"input {value.name!r}: dimension {axis} ({size or 'unnamed'}) is free and is not the batch; {remedy}"
    )


def _text(shape: list[int | str | None]) -> str:
    return "×".join("?" if size is None else str(size) for size in shape) or "scalar"
