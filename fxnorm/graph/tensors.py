"""Checks of single tensors of a model file: shape, element type and the number of bytes they hold."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from fxnorm.errors import ModelError

if TYPE_CHECKING:
    import onnx

MAX_ELEMENTS: Final = 1 << 30


def elements(dims: Iterable[int], where: str) -> int:
    """Number of elements of a shape.

    Raises
    ------
    ModelError
        If a dimension is negative or there are more than 2^30 elements.
    """
    shape = tuple(dims)
    if any(size < 0 for size in shape):
        raise ModelError(f"{where}: dimensions must not be negative, but its shape is {list(shape)}")
    count = math.prod(shape)
    if count > MAX_ELEMENTS:
        raise ModelError(f"{where}: a tensor may have at most 2^30 elements, but its shape {list(shape)} has {count}")
    return count


def stored_bytes(tensor: onnx.TensorProto, where: str) -> int:
    """Bytes that a tensor's shape and type ask for, packed."""
    count = elements(tensor.dims, where)
    return (count * _bits(tensor.data_type, where) + 7) // 8


def _bits(data_type: int, where: str) -> int:
    import onnx_ir as ir

    try:
        dtype = ir.DataType(data_type)
        if dtype in (ir.DataType.UNDEFINED, ir.DataType.STRING):
            raise ValueError
        return int(dtype.bitwidth)
    except (ValueError, TypeError, KeyError):
        raise ModelError(
            f"{where}: element type {data_type} is not a number; only numeric tensors can be computed"
        ) from None


def check_tensor(tensor: onnx.TensorProto, where: str) -> None:
    """Check that a tensor holds as many bytes or numbers as its shape and type ask for."""
    import onnx

    if tensor.data_type == onnx.TensorProto.STRING:
        held, needed = len(tensor.string_data), elements(tensor.dims, where)
        if held != needed:
            raise ModelError(f"{where}: its shape {list(tensor.dims)} needs {needed} strings, but it holds {held}")
        return
    needed = stored_bytes(tensor, where)
    if tensor.data_location == onnx.TensorProto.EXTERNAL:
        return  # checked against its file when the model was read
    if tensor.HasField("raw_data"):
        if len(tensor.raw_data) != needed:
            raise ModelError(
                f"{where}: its shape {list(tensor.dims)} needs {needed} bytes, but it holds {len(tensor.raw_data)}"
            )
        return
    _check_typed_data(tensor, needed, where)


def _check_typed_data(tensor: onnx.TensorProto, needed: int, where: str) -> None:
    import onnx_ir as ir

    dtype, count = ir.DataType(tensor.data_type), math.prod(tensor.dims)
    match dtype:
        case ir.DataType.FLOAT:
            held = len(tensor.float_data)
        case ir.DataType.COMPLEX64:
            held, count = len(tensor.float_data), 2 * count
        case ir.DataType.DOUBLE:
            held = len(tensor.double_data)
        case ir.DataType.COMPLEX128:
            held, count = len(tensor.double_data), 2 * count
        case ir.DataType.INT64:
            held = len(tensor.int64_data)
        case ir.DataType.UINT32 | ir.DataType.UINT64:
            held = len(tensor.uint64_data)
        case _:
            held = len(tensor.int32_data)
            count = needed if dtype.bitwidth < 8 else count  # several values share a byte, one byte an entry
    if held != count:
        raise ModelError(f"{where}: its shape {list(tensor.dims)} needs {count} numbers, but it holds {held}")
