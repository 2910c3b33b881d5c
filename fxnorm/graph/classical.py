"""Operators of scikit-learn's exporter (domain ai.onnx.ml) that are plain arithmetic, in ONNX's own operators.

Definitions: https://github.com/onnx/onnx/blob/main/docs/Operators-ml.md. What has no such form is left as it is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from fxnorm.errors import ModelError
from fxnorm.graph.nodes import given, integer, label, text

if TYPE_CHECKING:
    import onnx_ir as ir

    from fxnorm.graph.simplify import Rewrite, Simplifier


def zip_map(walk: Simplifier, node: ir.Node) -> bool:
    """Scores turned into dictionaries at the end of a classifier: the scores themselves are the output then."""
    return walk.replace(node, [given(node, 0)])


def scaler(walk: Simplifier, node: ir.Node) -> bool:
    """(x - offset) · scale, with one entry of each or one a feature."""
    if _is_known(walk, node):
        return False
    x = _real(walk, node)
    for op, name in (("Sub", "offset"), ("Mul", "scale")):
        numbers = _floats(node, name)
        if numbers is not None:
            x = walk.insert(node, op, [x, walk.constant(numbers, f"{node.name}_{name}")])[0]
    return walk.replace(node, [x])


def linear_regressor(walk: Simplifier, node: ir.Node) -> bool:
    """x · coefficients + intercepts."""
    if _is_known(walk, node) or text(node, "post_transform", "NONE") != "NONE":
        return False
    return walk.replace(node, [_linear(walk, node, integer(node, "targets", 1))])


def linear_classifier(walk: Simplifier, node: ir.Node) -> bool:
    """Scores x · coefficients + intercepts, and what is made of them; only where nothing reads the labels."""
    if _is_known(walk, node) or walk.is_used(node.outputs[0]):
        return False
    transform = text(node, "post_transform", "NONE")
    intercepts, op = (
        _floats(node, "intercepts"),
        {"NONE": "", "SOFTMAX": "Softmax", "LOGISTIC": "Sigmoid"}.get(transform),
    )
    if intercepts is None or intercepts.size < 2 or op is None:
        return False
    scores = _linear(walk, node, intercepts.size)
    return walk.replace(node, [None, walk.insert(node, op, [scores])[0] if op else scores])


def normalizer(walk: Simplifier, node: ir.Node) -> bool:
    """Each row over its norm. The maximum is left alone: its definition and runtimes disagree on negative numbers."""
    if _is_known(walk, node):
        return False
    reduce = {"L1": "ReduceSum", "L2": "ReduceL2"}.get(text(node, "norm", "MAX"))
    if reduce is None:
        return False
    x = _real(walk, node)
    size = x if reduce == "ReduceL2" else walk.insert(node, "Abs", [x])[0]
    axes = walk.constant(np.asarray([-1], dtype=np.int64), f"{node.name}_axes")
    return walk.replace(node, walk.insert(node, "Div", [x, walk.insert(node, reduce, [size, axes])[0]]))


def _is_known(walk: Simplifier, node: ir.Node) -> bool:
    return walk.known is None or walk.known(node.domain, node.op_type, walk.version(node))


def _real(walk: Simplifier, node: ir.Node) -> ir.Value:
    """The input, as float32."""
    import onnx_ir as ir

    x = given(node, 0)
    if x.dtype == ir.DataType.FLOAT:
        return x
    return walk.insert(node, "Cast", [x], [ir.AttrInt64("to", int(ir.DataType.FLOAT))])[0]


def _linear(walk: Simplifier, node: ir.Node, targets: int) -> ir.Value:
    x, coefficients, intercepts = _real(walk, node), _floats(node, "coefficients"), _floats(node, "intercepts")
    features = walk.shape(x)[-1] if walk.shape(x) else 1
    if coefficients is None or coefficients.size != targets * features:
        count = 0 if coefficients is None else coefficients.size
        raise ModelError(f"{label(node)}: {targets} × {features} coefficients are needed, but there are {count}")
    weights = walk.constant(coefficients.reshape(targets, features).T, f"{node.name}_coefficients")
    y = walk.insert(node, "MatMul", [x, weights])[0]
    if intercepts is None:
        return y
    return walk.insert(node, "Add", [y, walk.constant(intercepts, f"{node.name}_intercepts")])[0]


def _floats(node: ir.Node, name: str) -> np.ndarray | None:
    attribute = node.attributes.get(name)
    numbers: Sequence[float] = () if attribute is None else attribute.as_floats()
    return np.asarray(numbers, dtype=np.float32) if numbers else None


CLASSICAL: Mapping[str, Rewrite] = {
    "LinearClassifier": linear_classifier,
    "LinearRegressor": linear_regressor,
    "Normalizer": normalizer,
    "Scaler": scaler,
    "ZipMap": zip_map,
}
