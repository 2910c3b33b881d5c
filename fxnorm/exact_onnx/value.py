"""Values of a plan inside an ONNX graph."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fxnorm.engine import products
from fxnorm.exact_onnx.numbers import Arithmetic, Inexact, Kind, Number
from fxnorm.proofs.interval import Interval

Array = np.ndarray


@dataclass(frozen=True, slots=True)
class Value:
    """Codes of one value: the tensor [samples, *shape] and where they lie.

    Attributes
    ----------
    number
        The tensor.
    shape
        Samples not counted.
    interval
        What interval analysis found.
    """

    number: Number
    shape: tuple[int, ...]
    interval: Interval


def aligned(
    ops: Arithmetic, operands: Sequence[tuple[Number, tuple[int, ...]]], rank: int = 0
) -> list[tuple[Number, tuple[int, ...]]]:
    """Operands with axes behind the samples, so that broadcasting, which counts from the last axis, holds a sample.

    Parameters
    ----------
    operands
        Numbers and their shapes without samples.
    rank
        Least number of axes, samples not counted.
    """
    rank = max(rank, *(len(shape) for _, shape in operands))
    result = []
    for number, shape in operands:
        wider = (1,) * (rank - len(shape)) + shape
        result.append((number if wider == shape else ops.reshape(number, [-1, *wider]), wider))
    return result


def integers(ops: Arithmetic, array: Array, kind: Kind = Kind.FLOAT32) -> Number:
    """A constant of integers of any size.

    Raises
    ------
    Inexact
        If 64 bits do not hold them.
    """
    if products.largest(array) > Kind.INT64.limit:
        raise Inexact(
            f"a constant has {products.largest(array).bit_length()} bits, and 64-bit integers hold no more than 2^62"
        )
    return ops.constant(array.astype(np.int64), kind)
