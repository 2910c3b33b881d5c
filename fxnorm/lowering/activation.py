"""Activations and other functions of one value: clips, piecewise-linear ones, and tables for the rest."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from fxnorm.graph.graph import Node
from fxnorm.kernels.elementwise import ElementwiseOperation
from fxnorm.kernels.table import FunctionOperation
from fxnorm.lowering.attributes import number, text
from fxnorm.lowering.builder import Builder
from fxnorm.lowering.network import Refusal

# Operator → function of `fxnorm.fixed.reals`, with its attributes and their ONNX defaults in the function's order.
TABLES: dict[str, tuple[str, tuple[tuple[str, float], ...]]] = {
    "Sigmoid": ("sigmoid", ()),
    "Tanh": ("tanh", ()),
    "Softplus": ("softplus", ()),
    "Softsign": ("softsign", ()),
    "Elu": ("elu", (("alpha", 1.0),)),
    "Selu": ("selu", (("alpha", 1.67326319217681884765625), ("gamma", 1.05070102214813232421875))),
    "Celu": ("celu", (("alpha", 1.0),)),
    "Mish": ("mish", ()),
    "Swish": ("swish", (("alpha", 1.0),)),
    "Erf": ("erf", ()),
    "Exp": ("exp", ()),
    "Log": ("log", ()),
    "Sqrt": ("sqrt", ()),
    "Reciprocal": ("reciprocal", ()),
}


def table(builder: Builder, node: Node) -> None:
    """One of `TABLES`."""
    builder.require_float(node)
    name, attributes = TABLES[node.op]
    parameters = tuple((attribute, number(node, attribute, default)) for attribute, default in attributes)
    builder.add(node, FunctionOperation(name, parameters), node.inputs[:1])


def gelu(builder: Builder, node: Node) -> None:
    """Gelu, by erf or by its tanh approximation as the model says."""
    approximate = text(node, "approximate", "none")
    if approximate not in {"none", "tanh"}:
        raise Refusal(f"approximate must be none or tanh, not {approximate}")
    builder.add(node, FunctionOperation("gelu_tanh" if approximate == "tanh" else "gelu"), node.inputs[:1])


def relu(builder: Builder, node: Node) -> None:
    """Relu."""
    builder.require_float(node)
    builder.clip(node, node.inputs[0], 0.0, None)


def clip(builder: Builder, node: Node) -> None:
    """Clip with constant bounds; a lower bound above the upper one gives the upper one, as the specification says."""
    builder.require_float(node)
    bounds = [builder.optional(node, index, what) for index, what in ((1, "the lower bound"), (2, "the upper bound"))]
    low, high = (None if bound is None or np.isinf(bound) else float(bound.reshape(())) for bound in bounds)
    if low is not None and high is not None and low > high:
        low = high
    if low is None and high is None:
        builder.same(node.outputs[0], node.inputs[0])
        return
    builder.clip(node, node.inputs[0], low, high)


def hard_sigmoid(builder: Builder, node: Node) -> None:
    """HardSigmoid: scale, shift, clip to [0, 1]."""
    builder.require_float(node)
    alpha, beta = np.array([number(node, "alpha", 0.2)]), np.array([number(node, "beta", 0.5)])
    builder.scale(node, node.inputs[0], alpha, beta, None)
    builder.clip_own(builder.steps[node.outputs[0]], 0.0, 1.0)


def leaky_relu(builder: Builder, node: Node) -> None:
    """LeakyRelu."""
    builder.require_float(node)
    slope = np.array(number(node, "alpha", 0.01))
    builder.add(node, ElementwiseOperation("prelu", (None, slope)), node.inputs[:1])


def prelu(builder: Builder, node: Node) -> None:
    """PRelu; the slope may be computed."""
    operands, inputs = builder.operands(node)
    builder.add(node, ElementwiseOperation("prelu", operands), inputs)


def thresholded_relu(builder: Builder, node: Node) -> None:
    """ThresholdedRelu: an exact comparison of codes."""
    builder.require_float(node)
    alpha = number(node, "alpha", 1.0)
    builder.add(node, ElementwiseOperation("threshold", (None,), parameters=(alpha,)), node.inputs[:1])


def unary(function: str) -> Callable[[Builder, Node], None]:
    """Lowering of an operator that is one elementwise function without parameters."""

    def lower(builder: Builder, node: Node) -> None:
        builder.require_float(node)
        builder.add(node, ElementwiseOperation(function, (None,)), node.inputs[:1])

    return lower
