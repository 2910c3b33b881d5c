"""float32 for everything: float16, bfloat16 and float64 models are computed in the reference's own type.

A float64 model loses nothing that fixed point could show, a float16 model is computed with less rounding than it would have.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from fxnorm.errors import ModelError
from fxnorm.graph.folding import is_uniform
from fxnorm.graph.nodes import label

if TYPE_CHECKING:
    import onnx_ir as ir

_TYPE_ATTRIBUTES: Final = ("to", "dtype", "output_dtype", "stash_type", "softmax_precision")


def as_float32(array: np.ndarray) -> np.ndarray:
    """Bring float16, bfloat16 and float64 arrays to float32; leave other types as they are."""
    if array.dtype not in (np.float16, np.float64) and array.dtype.name != "bfloat16":
        return array
    with np.errstate(over="ignore"):
        if is_uniform(array):
            return np.broadcast_to(array[(0,) * array.ndim].astype(np.float32), array.shape)
        return array.astype(np.float32)


def is_finite(array: np.ndarray) -> bool:
    """Whether no element of a float32 array is infinite or NaN; elements that broadcasting repeats are looked at once."""
    if array.dtype != np.float32:
        return True
    once = tuple(slice(0, 1) if stride == 0 else slice(None) for stride in array.strides)
    return bool(np.isfinite(array[once]).all())


def computed_type(dtype: ir.DataType) -> ir.DataType:
    """The type in which a value is computed: float16, bfloat16 and float64 become float32."""
    import onnx_ir as ir

    wide = (ir.DataType.FLOAT16, ir.DataType.BFLOAT16, ir.DataType.DOUBLE)
    return ir.DataType.FLOAT if dtype in wide else dtype


def retype(node: ir.Node) -> None:
    """Let attributes that name an element type name the one in which values are computed."""
    import onnx_ir as ir

    for name in _TYPE_ATTRIBUTES:
        attribute = node.attributes.get(name)
        if attribute is not None and attribute.type == ir.AttributeType.INT:
            try:
                dtype = computed_type(ir.DataType(attribute.as_int()))
            except ValueError:
                raise ModelError(f"{label(node)}: {name} must be an element type, not {attribute.as_int()}") from None
            node.attributes[name] = ir.AttrInt64(name, int(dtype))
