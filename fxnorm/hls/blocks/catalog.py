"""Which block every kernel becomes. A kernel that is missing here is refused by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from fxnorm.hls.block import Block, Site
from fxnorm.hls.blocks import (
    divide,
    elementwise,
    linear,
    local_response,
    matmul,
    movement,
    norm,
    norm_statistic,
    pool,
    rescale,
    softmax,
    table,
    transform,
)
from fxnorm.kernels.divide import Divide
from fxnorm.kernels.elementwise import Elementwise
from fxnorm.kernels.kernel import Kernel
from fxnorm.kernels.linear import Linear
from fxnorm.kernels.local_response import LocalResponse
from fxnorm.kernels.matmul import MatMul
from fxnorm.kernels.movement import Concat, Lookup, Movement
from fxnorm.kernels.norm import Norm
from fxnorm.kernels.norm_statistic import NormInverseDeviation, NormMean
from fxnorm.kernels.pool import Pool, Reduce
from fxnorm.kernels.rescale import ScaleAndShift
from fxnorm.kernels.softmax import LogSoftmax, Softmax
from fxnorm.kernels.table import Function
from fxnorm.kernels.transform import LogTransform, PowerTransform


def never(kernel: Kernel) -> bool:
    """A kernel to which images are like any other values."""
    return False


@dataclass(frozen=True, slots=True)
class Entry:
    """How a kernel becomes a block.

    Attributes
    ----------
    build
        Makes the block, or raises `Refusal`.
    images
        Whether a kernel takes its values as images, channels of one pixel together.
    tied
        Whether inputs and output are best in one order: the kernel works element by element.
    weighted
        Whether it has weights that may come through a port.
    """

    build: Callable[[Site], Block]
    images: Callable[[Kernel], bool] = never
    tied: bool = False
    weighted: bool = False


BLOCKS: Final[dict[type[Kernel], Entry]] = {
    Linear: Entry(linear.build, images=linear.slides, weighted=True),
    MatMul: Entry(matmul.build),
    Elementwise: Entry(elementwise.build, tied=True),
    Divide: Entry(divide.build, tied=True),
    ScaleAndShift: Entry(rescale.build, images=rescale.by_channel, tied=True),
    Function: Entry(table.build, tied=True),
    Pool: Entry(pool.build, images=pool.slides),
    Reduce: Entry(pool.build_reduce, images=pool.spatial),
    Softmax: Entry(softmax.build),
    LogSoftmax: Entry(softmax.build_log),
    Norm: Entry(norm.build, images=norm.across_channels),
    NormMean: Entry(norm_statistic.build_mean),
    NormInverseDeviation: Entry(norm_statistic.build_deviation),
    LocalResponse: Entry(local_response.build, images=local_response.across_channels),
    Movement: Entry(movement.build),
    Concat: Entry(movement.build_concat, tied=True),
    Lookup: Entry(movement.build_lookup),
    LogTransform: Entry(transform.build_log, tied=True),
    PowerTransform: Entry(transform.build_power, tied=True),
}
