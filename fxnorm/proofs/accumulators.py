"""Every accumulator of a kernel, and what it can reach in any order of additions for inputs of given intervals."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from fxnorm.engine import replay
from fxnorm.fixed.format import Format
from fxnorm.kernels.kernel import Kernel
from fxnorm.kernels.linear import Linear, signed_format
from fxnorm.kernels.local_response import LocalResponse
from fxnorm.kernels.matmul import MatMul
from fxnorm.kernels.norm import Norm
from fxnorm.kernels.norm_exact import ExactMoments, MagnitudeSum
from fxnorm.kernels.norm_staged import StagedMoments
from fxnorm.kernels.norm_statistic import NormInverseDeviation, NormMean
from fxnorm.kernels.pool import Pool, Reduce
from fxnorm.kernels.rescale import ScaleAndShift
from fxnorm.kernels.softmax import LogSoftmax, Softmax
from fxnorm.proofs.accumulating import combined, pooled, reduced
from fxnorm.proofs.ends import settled, uniform_ends
from fxnorm.proofs.factors import linear_factors, matmul_factors, scale_factors
from fxnorm.proofs.interval import Interval
from fxnorm.proofs.sums import Reach, in_any_order

Array = np.ndarray

ACCUMULATOR: Final = "accumulator"
"""The one that a plan has a format for, and a user may have chosen."""


@dataclass(frozen=True, eq=False)
class Accumulation:
    """One accumulator.

    Attributes
    ----------
    part
        What it adds up.
    terms
        How many addends there are.
    fraction_bits
        Of its codes.
    reach
        Between which codes it lies at any time, a channel.
    format
        The plan's; None where the plan leaves it as wide as it has to be.
    """

    part: str
    terms: int
    fraction_bits: int
    reach: Reach
    format: Format | None = None


def accumulations(kernel: Kernel, inputs: Sequence[Interval], fraction_bits: int) -> list[Accumulation]:
    """Accumulators of a kernel.

    Parameters
    ----------
    inputs
        Intervals of its inputs.
    fraction_bits
        Of the codes of its first input.
    """
    rule = _RULES.get(type(kernel))
    return [] if rule is None else list(rule(kernel, inputs, fraction_bits))


def quantized_steps(kernel: Linear | MatMul) -> replay.Accumulator | None:
    """Formats of an accumulator that is quantized at every addition; None where it is exact."""
    return None if kernel.exact else replay.Accumulator(kernel.accumulator, kernel.product_bits, kernel.product)


def narrowed(kernel: Kernel, inputs: Sequence[Interval]) -> Kernel:
    """The kernel with the narrowest accumulator that holds whatever can occur for inputs of these intervals, in any order.

    Only for accumulators that nobody chose: they are exact, so that no output bit depends on how wide they are.
    """
    if not isinstance(kernel, Linear | MatMul | ScaleAndShift):
        return kernel
    held = kernel.accumulator
    own = next(one for one in accumulations(kernel, inputs, 0) if one.part == ACCUMULATOR)
    low, high = own.reach.hull()
    found = signed_format(low, high, held.fraction_bits)
    return replace(kernel, accumulator=found) if found.width < held.width else kernel


def _linear(kernel: Linear, inputs: Sequence[Interval], fraction_bits: int) -> Iterator[Accumulation]:
    reach = in_any_order(linear_factors(kernel, inputs[0]), quantized_steps(kernel))
    terms = math.prod(kernel.weights.shape[1:])
    yield Accumulation(ACCUMULATOR, terms, kernel.accumulator.fraction_bits, reach, kernel.accumulator)


def _matmul(kernel: MatMul, inputs: Sequence[Interval], fraction_bits: int) -> Iterator[Accumulation]:
    factors = matmul_factors(kernel, inputs)
    reach = in_any_order(factors, quantized_steps(kernel))
    bits = kernel.accumulator.fraction_bits
    yield Accumulation(ACCUMULATOR, factors.a[0].shape[1], bits, reach, kernel.accumulator)
    made = kernel.combination
    if made is not None and (made.addend is not None or len(inputs) > (kernel.left is None) + (kernel.right is None)):
        held = np.minimum(reach.high, kernel.accumulator.max_code), np.maximum(reach.low, kernel.accumulator.min_code)
        low, high = combined(kernel, held[1].min(keepdims=True), held[0].max(keepdims=True), inputs)
        yield Accumulation("total with addend", 2, bits + made.shifts[0], Reach(low.reshape(-1), high.reshape(-1)))


def _scale(kernel: ScaleAndShift, inputs: Sequence[Interval], fraction_bits: int) -> Iterator[Accumulation]:
    reach = in_any_order(scale_factors(kernel, inputs[0]))
    yield Accumulation(ACCUMULATOR, 1, kernel.accumulator.fraction_bits, reach, kernel.accumulator)


def _pool(kernel: Pool, inputs: Sequence[Interval], fraction_bits: int) -> Iterator[Accumulation]:
    if kernel.function == "mean":
        low, high = pooled(kernel, inputs[0].joined(0, 0))
        yield Accumulation("sum", math.prod(kernel.window.kernel), fraction_bits, _reach(low, high))


def _reduce(kernel: Reduce, inputs: Sequence[Interval], fraction_bits: int) -> Iterator[Accumulation]:
    if kernel.function in {"max", "min"}:
        return
    low, high = reduced(kernel, inputs[0].joined(kernel.zero, kernel.zero))
    squares = kernel.function == "sum_square"
    part = {"sum_square": "sum of squares", "sum_abs": "sum of magnitudes"}.get(kernel.function, "sum")
    terms = math.prod(inputs[0].shape[axis] for axis in kernel.axes)
    yield Accumulation(part, terms, fraction_bits * (1 + squares), _reach(low, high))


def _softmax(kernel: Softmax | LogSoftmax, inputs: Sequence[Interval], fraction_bits: int) -> Iterator[Accumulation]:
    # Nothing keeps all scores from being equal, and then every exponential is 1.
    length = inputs[0].shape[kernel.axis]
    yield Accumulation("sum of exponentials", length, kernel.bits, _one(0, length << kernel.bits))


def _norm(
    kernel: Norm | NormInverseDeviation, inputs: Sequence[Interval], fraction_bits: int
) -> Iterator[Accumulation]:
    count = math.prod(kernel.layout[axis] for axis in kernel.axes)
    low, high = inputs[0].hull
    moments = kernel.moments
    largest = max(-low, high, 0)
    if isinstance(moments, MagnitudeSum):
        yield Accumulation("sum of magnitudes", count, fraction_bits, _one(0, count * largest))
        return
    if isinstance(moments, StagedMoments):
        yield from _staged(moments, low, high, count, fraction_bits)
        return
    if moments.centered:
        yield _sum(low, high, count, fraction_bits)
    squares = count * largest**2
    yield Accumulation("sum of squares", count, 2 * fraction_bits, _one(0, squares))
    yield _deviation(kernel, moments, low, high, count, 2 * fraction_bits)


def _sum(low: int, high: int, count: int, fraction_bits: int) -> Accumulation:
    return Accumulation("sum", count, fraction_bits, _one(count * min(low, 0), count * max(high, 0)))


def _deviation(
    kernel: Norm | NormInverseDeviation, moments: ExactMoments, low: int, high: int, count: int, fraction_bits: int
) -> Accumulation:
    """D = a·Σx² − (Σx)²."""
    most = moments.factor * count * max(-low, high, 0) ** 2
    if moments.centered:
        # Numbers in an interval vary most with half of them at each end.
        most = min(most, (count // 2) * (count - count // 2) * (high - low) ** 2)
    format_ = kernel.accumulator if isinstance(kernel, Norm) else None
    return Accumulation("deviation", 1, fraction_bits, _one(0, most), format_)


def _staged(moments: StagedMoments, low: int, high: int, count: int, fraction_bits: int) -> Iterator[Accumulation]:
    mean = (0, 0)
    if moments.mean_stage is not None:
        yield _sum(low, high, count, fraction_bits)
        ends = settled(moments.mean_stage, *uniform_ends(low * count, high * count, ()))
        mean = int(ends[0]), int(ends[1])
    up_x, up_mean = moments.shifts
    base = (
        (low, high)
        if moments.one_pass
        else ((low << up_x) - (mean[1] << up_mean), (high << up_x) - (mean[0] << up_mean))
    )
    ends = settled(moments.square, *uniform_ends(0, max(-base[0], base[1], 0) ** 2, ()))
    squares = _one(count * min(int(ends[0]), 0), count * max(int(ends[1]), 0))
    yield Accumulation("sum of squares", count, moments.square.output.fraction_bits, squares)


def _norm_mean(kernel: NormMean, inputs: Sequence[Interval], fraction_bits: int) -> Iterator[Accumulation]:
    yield _sum(*inputs[0].hull, math.prod(kernel.layout[axis] for axis in kernel.axes), fraction_bits)


def _local_response(kernel: LocalResponse, inputs: Sequence[Interval], fraction_bits: int) -> Iterator[Accumulation]:
    low, high = inputs[0].hull
    # Numbers of the channels in a window; the plan's format holds the squares of all channels.
    terms = min(kernel.before + kernel.after + 1, inputs[0].shape[1])
    reach = _one(0, terms * max(-low, high, 0) ** 2)
    yield Accumulation("sum of squares", terms, 2 * fraction_bits, reach, kernel.accumulator)


def _reach(low: Array, high: Array) -> Reach:
    low, high = np.broadcast_arrays(np.asarray(low), np.asarray(high))
    return Reach(low.reshape(-1), high.reshape(-1))


def _one(low: int, high: int) -> Reach:
    return Reach(np.array([low], dtype=object), np.array([high], dtype=object))


_RULES: Final[Mapping[type[Kernel], Callable[[Any, Sequence[Interval], int], Iterator[Accumulation]]]] = {
    Linear: _linear,
    MatMul: _matmul,
    ScaleAndShift: _scale,
    Pool: _pool,
    Reduce: _reduce,
    Softmax: _softmax,
    LogSoftmax: _softmax,
    Norm: _norm,
    NormInverseDeviation: _norm,
    NormMean: _norm_mean,
    LocalResponse: _local_response,
}
