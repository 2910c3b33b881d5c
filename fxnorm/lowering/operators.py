"""Every ONNX operator that fxnorm has, how it is lowered and to which kernel: one table, found with grep."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from fxnorm.graph.graph import Node
from fxnorm.lowering import activation, arithmetic, linear, normalization, norms, reduction, shape
from fxnorm.lowering.builder import Builder


@dataclass(frozen=True, slots=True)
class Operator:
    """How one ONNX operator is run.

    Attributes
    ----------
    lower
        Appends its steps to the network, or raises `Refusal`.
    kernel
        Kernel that it becomes where no neighbour takes it in.
    note
        What is and is not supported, for people.
    """

    lower: Callable[[Builder, Node], None]
    kernel: str
    note: str = ""


_TABLE = Operator(activation.table, "table", "table up to 12 bits, piecewise polynomial above")
_REDUCTION = Operator(reduction.reduction, "reduce", "constant axes; exact sum, one rounding")

LOWERINGS: Mapping[str, Operator] = {
    # linear layers
    "Conv": Operator(linear.conv, "linear", "constant weights; any rank, groups, strides, dilations, padding"),
    "ConvTranspose": Operator(
        linear.conv_transpose, "linear", "constant weights; zeros between inputs, then a convolution"
    ),
    "Gemm": Operator(linear.gemm, "linear", "constant B and one C a column; otherwise kernel matmul"),
    "MatMul": Operator(
        linear.matmul, "linear", "a constant matrix on the right is a dense layer; otherwise kernel matmul"
    ),
    # element by element
    "Abs": Operator(activation.unary("abs"), "elementwise"),
    "Add": Operator(arithmetic.add, "elementwise", "a constant behind a linear layer becomes its bias"),
    "Div": Operator(arithmetic.divide, "divide", "a constant divisor becomes a factor; otherwise through a reciprocal"),
    "Max": Operator(arithmetic.extreme, "elementwise", "a clip where one operand is a constant number"),
    "Mean": Operator(arithmetic.mean, "elementwise", "one rounding divides"),
    "Min": Operator(arithmetic.extreme, "elementwise", "a clip where one operand is a constant number"),
    "Mul": Operator(
        arithmetic.multiply, "elementwise", "a constant per channel becomes a rescale or goes into weights"
    ),
    "Neg": Operator(arithmetic.negate, "elementwise"),
    "Pow": Operator(arithmetic.power, "table", "constant exponents, one or an array; 2 alone is a product"),
    "Sub": Operator(arithmetic.add, "elementwise", "a constant behind a linear layer becomes its bias"),
    "Sum": Operator(arithmetic.add, "elementwise"),
    "Where": Operator(arithmetic.where, "elementwise", "constant condition"),
    # activations and functions
    **dict.fromkeys(activation.TABLES, _TABLE),
    "Clip": Operator(
        activation.clip, "rescale", "constant bounds; goes into the layer before where it has one to itself"
    ),
    "Gelu": Operator(activation.gelu, "table", "by erf or by tanh, as the model says"),
    "HardSigmoid": Operator(activation.hard_sigmoid, "rescale"),
    "HardSwish": Operator(activation.unary("hard_swish"), "elementwise"),
    "LeakyRelu": Operator(activation.leaky_relu, "elementwise"),
    "PRelu": Operator(activation.prelu, "elementwise", "constant or computed slope"),
    "Relu": Operator(activation.relu, "rescale", "goes into the layer before where it has one to itself"),
    "ThresholdedRelu": Operator(activation.thresholded_relu, "elementwise", "an exact comparison of codes"),
    # pools and reductions
    "AveragePool": Operator(reduction.average_pool, "pool", "count_include_pad, ceil_mode; exact sum, one rounding"),
    "GlobalAveragePool": Operator(reduction.global_pool, "reduce", "exact sum, one rounding"),
    "GlobalMaxPool": Operator(reduction.global_pool, "reduce"),
    "MaxPool": Operator(reduction.max_pool, "pool", "without its Indices output"),
    **dict.fromkeys(reduction.REDUCTIONS, _REDUCTION),
    # normalization
    "BatchNormalization": Operator(
        normalization.batch_normalization, "rescale", "inference; folded into weights by default"
    ),
    "GroupNormalization": Operator(norms.group_normalization, "norm", "scale and bias constant or computed"),
    "InstanceNormalization": Operator(norms.instance_normalization, "norm", "scale and bias constant or computed"),
    "LayerNormalization": Operator(
        norms.layer_normalization, "norm", "scale and bias constant or computed; mean and inverse deviation as outputs"
    ),
    "LogSoftmax": Operator(normalization.softmax, "softmax", "one axis"),
    "LpNormalization": Operator(norms.lp_normalization, "norm", "p = 1 or 2"),
    "LRN": Operator(
        norms.local_response_normalization, "local_response", "alpha and bias not negative, beta within ±8"
    ),
    "MeanVarianceNormalization": Operator(norms.mean_variance_normalization, "norm", "any axes"),
    "RMSNormalization": Operator(norms.rms_normalization, "norm", "scale constant or computed"),
    "Softmax": Operator(normalization.softmax, "softmax", "one axis"),
    # data movement
    "Cast": Operator(shape.cast, "none", "constants, and computed values to floating point: the number stays"),
    "Concat": Operator(shape.concat, "concat", "operands are brought to one scale"),
    "DepthToSpace": Operator(shape.depth_to_space, "movement", "DCR and CRD"),
    "Dropout": Operator(shape.dropout, "none", "inference; without its mask output"),
    "Expand": Operator(shape.expand, "movement"),
    "Flatten": Operator(shape.reshape, "movement"),
    "Gather": Operator(
        shape.gather, "movement", "constant indices; computed ones look up a constant table (kernel lookup)"
    ),
    "Identity": Operator(shape.same, "none"),
    "Pad": Operator(shape.pad, "movement", "constant, reflect, edge, wrap; negative amounts crop"),
    "Reshape": Operator(shape.reshape, "movement"),
    "Resize": Operator(shape.resize, "movement", "nearest neighbour"),
    "Slice": Operator(shape.slice_, "movement", "constant bounds, any step"),
    "SpaceToDepth": Operator(shape.space_to_depth, "movement", "DCR and CRD"),
    "Split": Operator(shape.split, "movement"),
    "Squeeze": Operator(shape.reshape, "movement"),
    "Tile": Operator(shape.tile, "movement", "constant repeats"),
    "Transpose": Operator(shape.transpose, "movement"),
    "Unsqueeze": Operator(shape.reshape, "movement"),
}

# Nodes that recognition makes where ONNX has no operator; no file can name them.
OWN: Mapping[str, Operator] = {"Normalization": Operator(norms.any_normalization, "norm", "any axes")}


def known(domain: str, op: str, version: int) -> bool:
    """Whether an operator needs no expansion into others."""
    return domain in ("", "ai.onnx") and op in LOWERINGS
