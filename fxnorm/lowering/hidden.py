"""Where the logarithm of a masked softmax is no number: positions that a mask hides have probability 0."""

from __future__ import annotations

from typing import Final

import numpy as np

from fxnorm.errors import PlanError
from fxnorm.graph.graph import Graph
from fxnorm.kernels.mask import RealMask
from fxnorm.lowering.attributes import axis
from fxnorm.lowering.masks import LOW, fold_masks
from fxnorm.lowering.recognize import recognize
from fxnorm.lowering.regions import is_onnx

Array = np.ndarray

LOGARITHMS: Final = frozenset({"Log", "LogSoftmax"})


def visible_logarithms(graph: Graph) -> dict[str, Array]:
    """Where FP32 gives a logarithm that a format should hold, not a mask's own number or minus infinity.

    Returns
    -------
    By the name of a masked LogSoftmax's output: bool, broadcasts against it. Others are left out.
    """
    if not any(is_onnx(node, LOGARITHMS) for node in graph.nodes):
        return {}
    folded = fold_masks(recognize(graph))
    found = {}
    for node in folded.nodes:
        if not is_onnx(node, {"LogSoftmax"}) or len(node.inputs) != 3:
            continue
        bias, keep = (folded.constant(name) for name in node.inputs[1:])
        assert bias is not None
        shape = folded.shape(node.outputs[0])
        try:
            visible = RealMask(keep, bias).relative(axis(node, len(shape), -1)) > LOW
        except PlanError:  # nothing is visible in some group: the planner refuses that by name
            continue
        if not visible.all():
            found[node.outputs[0]] = visible
    return found
