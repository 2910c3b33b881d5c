"""Work of kernels that look at groups: softmax and the normalizations. What is done once a group is apart from what every element needs."""

from __future__ import annotations

import math

import numpy as np

from fxnorm.cost.datapath import Datapath
from fxnorm.cost.elements import rows
from fxnorm.cost.parts import cast, exponential_work, held, root_work, stage_work, table_work, width
from fxnorm.cost.sums import frame_buffer
from fxnorm.cost.work import NOTHING, TABLE, WEIGHTS, Memory, Work, add, compare, multiply, shift
from fxnorm.hls.block import Site
from fxnorm.hls.blocks.stage import Interval
from fxnorm.kernels.local_response import LocalResponse
from fxnorm.kernels.mantissa import Product
from fxnorm.kernels.norm import Norm
from fxnorm.kernels.norm_exact import ExactMoments, MagnitudeSum
from fxnorm.kernels.norm_staged import StagedMoments
from fxnorm.kernels.norm_statistic import NormInverseDeviation, NormMean
from fxnorm.kernels.softmax import LogSoftmax, Softmax

Moments = ExactMoments | StagedMoments | MagnitudeSum


def _exponentials(site: Site, kernel: Softmax | LogSoftmax) -> tuple[Work, Memory, int]:
    """What softmax and its logarithm share, for one element: maximum, distance, 2**-t, sum; the table; bits of the sum."""
    length = site.inputs[0].shape[kernel.axis]
    sum_bits = kernel.bits + 1 + max(length - 1, 0).bit_length() + 1
    code = site.inputs[0].bits
    work, mask = NOTHING, kernel.mask if isinstance(kernel, Softmax) else None
    if mask is not None:
        code = width(mask.bound)
        work = work + compare(code, mask.keep is not None) + add(code, mask.bias is not None)
    limit = width(kernel.limit)
    exponential, table = exponential_work(kernel.exponential)
    work = work + compare(code) + add(code + 1) + compare(max(code + 1, limit)) + multiply(limit, width(kernel.log2e))
    work = work + exponential + shift(kernel.bits + 1, kernel.bits + 1) + add(sum_bits)
    return work, table, sum_bits


def softmax(site: Site) -> Datapath:
    """Three passes over a group: the maximum, the exponentials and their sum, the quotients."""
    kernel = site.kernel
    assert isinstance(kernel, Softmax)
    work, table, sum_bits = _exponentials(site, kernel)
    reciprocal, root_table = root_work(kernel.reciprocal, sum_bits)
    work = work + multiply(kernel.bits + 2, kernel.reciprocal.bits + 1)
    work = work + shift(width(kernel.bound), sum_bits)
    memories = [table, root_table, *_group_buffers(site, kernel.axis, kernel.bits + 1)]
    if kernel.mask is not None:
        memories += [
            Memory(WEIGHTS, part.size, 1 if part.dtype == np.bool_ else held(part), "output")
            for part in (kernel.mask.keep, kernel.mask.bias)
            if part is not None
        ]
    vectors, outputs = _along(site, kernel.axis)
    return Datapath(
        vectors,
        outputs,
        output=work + stage_work(site, kernel.stage, Interval.within(kernel.bound)),
        group=reciprocal,
        groups=vectors,
        passes=3,
        memories=tuple(memories),
        accumulator=sum_bits,
    )


def log_softmax(site: Site) -> Datapath:
    """Three passes over a group, too; a logarithm takes the reciprocal's place."""
    kernel = site.kernel
    assert isinstance(kernel, LogSoftmax)
    work, table, sum_bits = _exponentials(site, kernel)
    logarithm, tables = table_work(kernel.logarithm, "once")
    bits = width(kernel.bound)
    group = shift(sum_bits, sum_bits) + logarithm
    group = group + multiply(sum_bits.bit_length() + 1, width(kernel.ln2)) + add(bits)
    vectors, outputs = _along(site, kernel.axis)
    return Datapath(
        vectors,
        outputs,
        output=work + add(bits) + stage_work(site, kernel.stage, Interval.within(kernel.bound)),
        group=group,
        groups=vectors,
        passes=3,
        memories=(table, *tables, *_group_buffers(site, kernel.axis, site.inputs[0].bits + 1)),
        accumulator=sum_bits,
    )


def _along(site: Site, axis: int) -> tuple[int, int]:
    """Groups along one axis, and how many values each has."""
    length = site.inputs[0].shape[axis]
    return site.output.size // max(length, 1), length


def _group_buffers(site: Site, axis: int, bits: int) -> list[Memory]:
    """What passes hand on: a group's inputs and its exponentials; whole frames where the groups do not lie in rows."""
    port = site.inputs[0]
    length = port.shape[axis]
    if axis % max(len(port.shape), 1) == len(port.shape) - 1:
        return [Memory("buffer", length, port.format.width), Memory("buffer", length, bits)]
    return [frame_buffer(port), frame_buffer(site.output), Memory("buffer", length, bits)]


def _moments(site: Site, moments: Moments, count: int) -> tuple[Work, Work, tuple[Memory, ...], int]:
    """Work for each element and for each group, tables, and bits of the accumulator of squares."""
    code = site.inputs[0].bits
    if isinstance(moments, MagnitudeSum):
        bits = width(moments.bound)
        group, table = root_work(moments.reciprocal, bits)
        return compare(code) + add(bits), group, (table,), bits
    if isinstance(moments, StagedMoments):
        return _staged(site, moments, count, code)
    square_bits, sum_bits = width(moments.square_bound), code + max(count - 1, 0).bit_length()
    element = multiply(code, code) + add(square_bits)
    group = _by_constant(square_bits, moments.factor)
    if moments.centered:
        element = element + add(sum_bits)
        group = group + multiply(sum_bits, sum_bits) + add(width(moments.factor * moments.square_bound))
    radicand = width(moments.bound)
    root, table = root_work(moments.root, radicand)
    group = group + root + (add(radicand) if moments.epsilon else NOTHING)
    return element, group, (table,), square_bits


def _staged(site: Site, moments: StagedMoments, count: int, code: int) -> tuple[Work, Work, tuple[Memory, ...], int]:
    """The datapath with a format for every stage."""
    numerator = width(moments.numerator_bound)
    squared = code if moments.one_pass else numerator
    variance_sum = width(moments.variance.bound)
    element = multiply(squared, squared) + add(variance_sum)
    element = element + stage_work(site, moments.square, Interval.within(moments.square.bound))
    group = stage_work(site, moments.variance, Interval.within(moments.variance.bound))
    if moments.mean_stage is not None:
        element = element + add(width(moments.mean_stage.bound))
        group = group + stage_work(site, moments.mean_stage, Interval.within(moments.mean_stage.bound))
        if not moments.one_pass:
            element = element + add(numerator)
    if moments.squared_mean is not None:
        mean = moments.formats["mean"]
        bits = mean.width + (not mean.signed)
        group = group + multiply(bits, bits) + add(moments.variance.output.width + 1)
        group = group + stage_work(site, moments.squared_mean, Interval.within(moments.squared_mean.bound))
    radicand = width(moments.variance_bound)
    root, table = root_work(moments.root, radicand)
    group = group + compare(radicand) + add(radicand) + root + shift(moments.root.bits, moments.root.bits)
    group = group + cast(moments.root.bits + 1, 1, moments.root_format)
    return element, group, (table,), variance_sum


def _by_constant(bits: int, factor: int) -> Work:
    """A product with a constant: none where that is a power of two."""
    return multiply(bits, width(factor)) if factor & (factor - 1) else NOTHING


def _passes(moments: Moments) -> int:
    return 3 if isinstance(moments, StagedMoments) and not moments.one_pass and moments.centered else 2


def _numerator(site: Site, moments: Moments) -> Work:
    """a·x - center."""
    bits = width(moments.numerator_bound)
    if isinstance(moments, MagnitudeSum):
        return NOTHING
    if isinstance(moments, StagedMoments):
        return add(bits) if moments.centered else NOTHING
    return _by_constant(site.inputs[0].bits, moments.factor) + (add(bits) if moments.centered else NOTHING)


def _product(own: Product) -> Work:
    """A product with a mantissa, and a shift that differs from group to group."""
    factor, mantissa = width(own.factor_bound), width(own.mantissa_bound)
    return multiply(factor, mantissa) + shift(factor + mantissa, mantissa)


def norm(site: Site) -> Datapath:
    """Moments in one or two passes over a group, and one more for the results."""
    kernel = site.kernel
    assert isinstance(kernel, Norm)
    given = iter(site.inputs[1:])
    count = math.prod(kernel.layout[axis] for axis in kernel.axes)
    element, group, tables, accumulator = _moments(site, kernel.moments, count)
    memories = [*tables, *_norm_buffers(site, kernel, count)]
    work = element + _numerator(site, kernel.moments)
    if kernel.scale is not None or kernel.scale_shape is not None:
        bits = held(kernel.scale) if kernel.scale is not None else next(given).bits
        work = work + multiply(width(kernel.moments.numerator_bound), bits)
        spread = int(np.max(kernel.scale_shift))
        if np.ndim(kernel.scale_shift) and len(np.unique(kernel.scale_shift)) > 1:
            work = work + shift(width(kernel.product.factor_bound), spread)
        if kernel.scale is not None:
            memories.append(Memory(WEIGHTS, kernel.scale.size, bits + spread.bit_length(), "output"))
    work = work + _product(kernel.product)
    if kernel.bias is not None or kernel.bias_shape is not None:
        work = work + add(width(kernel.stage.bound))
        if kernel.bias is not None:
            memories.append(Memory(WEIGHTS, kernel.bias.size, held(kernel.bias), "output"))
    vectors, outputs = rows(site)
    return Datapath(
        vectors,
        outputs,
        output=work + stage_work(site, kernel.stage, Interval.within(kernel.stage.bound)),
        group=group,
        groups=site.inputs[0].size // max(count, 1),
        passes=_passes(kernel.moments),
        memories=tuple(memories),
        accumulator=accumulator,
    )


def _norm_buffers(site: Site, kernel: Norm, count: int) -> list[Memory]:
    """A group where groups are rows, else whole frames."""
    port = site.inputs[0]
    if port.shape and count == port.shape[-1] and len(kernel.axes) == 1 and kernel.axes[0] == len(kernel.layout) - 1:
        return [Memory("buffer", count, port.format.width)]
    return [frame_buffer(port), frame_buffer(site.output)]


def norm_mean(site: Site) -> Datapath:
    """A sum and a quotient a group."""
    kernel = site.kernel
    assert isinstance(kernel, NormMean)
    own = kernel.moments.mean_stage
    assert own is not None
    bits = width(own.bound)
    groups = max(site.output.size, 1)
    output = stage_work(site, own, Interval.within(own.bound)) + stage_work(
        site, kernel.stage, Interval.within(kernel.stage.bound)
    )
    memories = (frame_buffer(site.inputs[0]), frame_buffer(site.output))
    return Datapath(1, groups, site.inputs[0].size // groups, add(bits), output, memories=memories, accumulator=bits)


def norm_inverse_deviation(site: Site) -> Datapath:
    """The moments of a group, and its root as a value."""
    kernel = site.kernel
    assert isinstance(kernel, NormInverseDeviation)
    groups = max(site.output.size, 1)
    count = site.inputs[0].size // groups
    element, group, tables, accumulator = _moments(site, kernel.moments, count)
    output = group + _product(kernel.product) + stage_work(site, kernel.stage, Interval.within(kernel.stage.bound))
    memories = (*tables, frame_buffer(site.inputs[0]), frame_buffer(site.output))
    passes = _passes(kernel.moments) - 1
    return Datapath(1, groups, count, element, output, passes=passes, memories=memories, accumulator=accumulator)


def local_response(site: Site) -> Datapath:
    """Squares of neighbouring channels, a power through a table, one product."""
    kernel = site.kernel
    assert isinstance(kernel, LocalResponse)
    (port,) = site.inputs
    base, squares = width(kernel.base_bound), kernel.accumulator.width
    table, memories = table_work(kernel.power)
    work = multiply(port.bits, port.bits) + add(squares, 2) + _by_constant(squares, kernel.weight) + add(base)
    work = work + shift(base, base) + table
    work = work + multiply(kernel.power.output.width + 1, held(kernel.mantissas)) + _product(kernel.product)
    channels = port.shape[1]
    constants = Memory(TABLE, kernel.mantissas.size, held(kernel.mantissas) + held(kernel.exponents), "copy")
    return Datapath(
        port.size // channels,
        channels,
        output=work + stage_work(site, kernel.stage, Interval.within(kernel.stage.bound)),
        passes=2,
        memories=(*memories, constants),
        accumulator=squares,
    )
