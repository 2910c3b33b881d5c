"""Which function tells the work of which kernel. Every kernel has one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from fxnorm.cost import elements, groups, sums
from fxnorm.cost.datapath import Datapath
from fxnorm.errors import UnsupportedError
from fxnorm.hls.block import Refusal, Site
from fxnorm.kernels import movement
from fxnorm.kernels.divide import Divide
from fxnorm.kernels.elementwise import Elementwise
from fxnorm.kernels.kernel import Kernel
from fxnorm.kernels.linear import Linear
from fxnorm.kernels.local_response import LocalResponse
from fxnorm.kernels.matmul import MatMul
from fxnorm.kernels.norm import Norm
from fxnorm.kernels.norm_statistic import NormInverseDeviation, NormMean
from fxnorm.kernels.pool import Pool, Reduce
from fxnorm.kernels.rescale import ScaleAndShift
from fxnorm.kernels.softmax import LogSoftmax, Softmax
from fxnorm.kernels.table import Function
from fxnorm.kernels.transform import LogTransform, PowerTransform

DATAPATHS: Final[dict[type[Kernel], Callable[[Site], Datapath]]] = {
    Linear: sums.linear,
    MatMul: sums.matmul,
    Pool: sums.pool,
    Reduce: sums.reduce,
    Elementwise: elements.elementwise,
    ScaleAndShift: elements.scale_and_shift,
    Function: elements.function,
    Divide: elements.divide,
    movement.Movement: elements.movement,
    movement.Concat: elements.concat,
    movement.Lookup: elements.lookup,
    LogTransform: elements.log_transform,
    PowerTransform: elements.power_transform,
    Softmax: groups.softmax,
    LogSoftmax: groups.log_softmax,
    Norm: groups.norm,
    NormMean: groups.norm_mean,
    NormInverseDeviation: groups.norm_inverse_deviation,
    LocalResponse: groups.local_response,
}


def datapath(site: Site) -> Datapath:
    """Work and memory of a layer.

    Raises
    ------
    UnsupportedError
        If it has integers that are wider than hardware has them.
    """
    try:
        return DATAPATHS[type(site.kernel)](site)
    except Refusal as refusal:
        raise UnsupportedError([f"{site.name}: {refusal}"], "layer{s} cannot be estimated") from None
