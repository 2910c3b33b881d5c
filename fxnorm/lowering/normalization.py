"""BatchNormalization, Softmax and LogSoftmax."""

from __future__ import annotations

import numpy as np

from fxnorm.graph.graph import Node
from fxnorm.kernels.mask import RealMask
from fxnorm.kernels.movement import MoveOperation, Reshape
from fxnorm.kernels.softmax import SoftmaxOperation
from fxnorm.lowering.attributes import axis, integer, number
from fxnorm.lowering.builder import Builder
from fxnorm.lowering.network import Refusal


def batch_normalization(builder: Builder, node: Node) -> None:
    """BatchNormalization at inference: a scale and a shift a channel."""
    if integer(node, "training_mode", 0):
        raise Refusal("training_mode must be 0; export the model for inference")
    scale, bias, mean, variance = (
        builder.required(node, index, what).astype(np.float64).reshape(-1)
        for index, what in ((1, "the scale"), (2, "the bias"), (3, "the mean"), (4, "the variance"))
    )
    deviation = np.sqrt(variance + number(node, "epsilon", 1e-5))
    if not np.all(deviation > 0.0):
        raise Refusal("variance + epsilon must be positive")
    rank = len(builder.shape(node.inputs[0]))
    factors = scale / deviation
    builder.scale(node, node.inputs[0], factors, bias - mean * factors, min(1, rank - 1), fold=builder.fold_batchnorm)


def softmax(builder: Builder, node: Node) -> None:
    """Softmax and LogSoftmax along one axis; constant masks and biases in front are part of it (see `masks`)."""
    builder.require_float(node)
    shape = builder.graph.shape(node.outputs[0])
    where = axis(node, len(shape), -1)
    x = node.inputs[0]
    if builder.shape(x) != shape:
        x = builder.between(node, MoveOperation((Reshape(shape),), keeps=True), (x,), shape)
    bias, keep = builder.constant(node, 1), builder.constant(node, 2)
    mask = None if bias is None else RealMask(keep, bias)
    builder.add(node, SoftmaxOperation(where, shape[where] if shape else 1, node.op == "LogSoftmax", mask), (x,))
