"""Every kernel, and the parts that kernels are made of: what a plan may hold."""

from __future__ import annotations

from typing import Final

from fxnorm.fixed.exponential import Exp2
from fxnorm.fixed.functions import DirectTable
from fxnorm.fixed.roots import Reciprocal, ReciprocalRoot
from fxnorm.fixed.segments import SegmentTable
from fxnorm.kernels import movement
from fxnorm.kernels.divide import Divide
from fxnorm.kernels.elementwise import Elementwise
from fxnorm.kernels.kernel import Kernel
from fxnorm.kernels.leading_one import Line
from fxnorm.kernels.linear import Linear, Window
from fxnorm.kernels.local_response import LocalResponse
from fxnorm.kernels.mantissa import Product
from fxnorm.kernels.mask import Mask
from fxnorm.kernels.matmul import Combination, MatMul
from fxnorm.kernels.norm import Norm
from fxnorm.kernels.norm_exact import ExactMoments, MagnitudeSum
from fxnorm.kernels.norm_staged import StagedMoments
from fxnorm.kernels.norm_statistic import NormInverseDeviation, NormMean
from fxnorm.kernels.pool import Pool, Reduce
from fxnorm.kernels.rescale import ScaleAndShift
from fxnorm.kernels.softmax import LogSoftmax, Softmax
from fxnorm.kernels.stage import Rescale
from fxnorm.kernels.table import Function
from fxnorm.kernels.transform import LogTransform, PowerTransform

KERNELS: Final[tuple[type[Kernel], ...]] = (
    Linear,
    MatMul,
    Elementwise,
    Divide,
    ScaleAndShift,
    Function,
    Pool,
    Reduce,
    Softmax,
    LogSoftmax,
    Norm,
    NormMean,
    NormInverseDeviation,
    LocalResponse,
    movement.Movement,
    movement.Concat,
    movement.Lookup,
)
TRANSFORMS: Final[tuple[type[Kernel], ...]] = (LogTransform, PowerTransform)
"""Kernels that stand in front of the network's inputs."""
PARTS: Final[tuple[type, ...]] = (
    Line,
    Window,
    Rescale,
    Combination,
    Mask,
    DirectTable,
    SegmentTable,
    Exp2,
    Reciprocal,
    ReciprocalRoot,
    Product,
    ExactMoments,
    StagedMoments,
    MagnitudeSum,
    movement.Reshape,
    movement.Transpose,
    movement.Slice,
    movement.Take,
    movement.Pad,
    movement.Spread,
    movement.Broadcast,
)
