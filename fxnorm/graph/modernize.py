"""Newest forms of operators whose attributes or inputs changed between opset 6 and `TARGET`.

onnx's own version converter is not used: it fails on free batch sizes, drops the mask of a Dropout, and silently changes
what PRelu (opset 6), Hardmax, Resize (opset 10) and GroupNormalization (opset 18) compute. A test compares this table with
every operator's definitions, so that no incompatible change is missed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from fxnorm.graph import old_attributes, old_semantics

if TYPE_CHECKING:
    from fxnorm.graph.simplify import Rewrite

TARGET: Final = 21
"""Opset to which older models are brought; newer ones keep theirs."""

_BINARY = ("Add", "And", "Div", "Equal", "Greater", "Less", "Mul", "Or", "Pow", "Sub", "Xor")
_REDUCE = ("L1", "L2", "LogSum", "LogSumExp", "Max", "Mean", "Min", "Prod", "SumSquare")

MODERNIZE: Mapping[str, Rewrite] = {
    **dict.fromkeys(_BINARY, old_semantics.binary),
    **dict.fromkeys((f"Reduce{name}" for name in _REDUCE), old_attributes.axes_input(18)),
    **dict.fromkeys(("ReduceSum", "Squeeze", "Unsqueeze"), old_attributes.axes_input(13)),
    **dict.fromkeys(("Softmax", "LogSoftmax", "Hardmax"), old_semantics.softmax),
    **dict.fromkeys(("GRU", "LSTM", "RNN"), old_attributes.recurrent),
    "BatchNormalization": old_semantics.batch_normalization,
    "Clip": old_attributes.clip,
    "DFT": old_attributes.dft,
    "Dropout": old_attributes.dropout,
    "Gemm": old_semantics.gemm,
    "GridSample": old_semantics.grid_sample,
    "GroupNormalization": old_semantics.group_normalization,
    "PRelu": old_semantics.prelu,
    "Pad": old_attributes.pad,
    "Resize": old_semantics.resize,
    "RoiAlign": old_semantics.roi_align,
    "Scan": old_semantics.scan,
    "Scatter": old_semantics.scatter,
    "Slice": old_attributes.slice_,
    "Split": old_attributes.split,
    "TopK": old_attributes.top_k,
    "Upsample": old_semantics.upsample,
}
