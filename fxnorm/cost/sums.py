"""Work of kernels that add up: dense layers, convolutions, matrix products, pooling, reductions."""

from __future__ import annotations

import math

import numpy as np

from fxnorm.cost.datapath import Datapath
from fxnorm.cost.parts import cast, held, stage_work, width
from fxnorm.cost.work import BUFFER, NOTHING, WEIGHTS, Memory, Work, add, compare, multiply
from fxnorm.engine.replay import Accumulator
from fxnorm.hls.block import Port, Site, Sliding
from fxnorm.hls.blocks.stage import Interval
from fxnorm.hls.weight_port import port_bits
from fxnorm.kernels.linear import Linear, Window
from fxnorm.kernels.matmul import MatMul
from fxnorm.kernels.pool import Pool, Reduce
from fxnorm.kernels.stage import Rescale

Array = np.ndarray


def linear(site: Site) -> Datapath:
    """A dense layer or a convolution: a product and an addition for every weight that meets an input."""
    kernel = site.kernel
    assert isinstance(kernel, Linear)
    (port,) = site.inputs
    outputs = len(kernel.weights)
    bits = (port_bits(kernel.weights) if site.ported else None) or held(kernel.weights)
    how = Accumulator(kernel.accumulator, kernel.product_bits, kernel.product)
    accumulator = kernel.accumulator.width
    memories = [
        Memory(WEIGHTS, kernel.weights.size, bits, "product"),
        Memory(WEIGHTS, outputs, held(kernel.bias), "output"),
        *stage_tables(kernel.stage),
    ]
    if kernel.window is not None:
        memories += line_buffers(port, kernel.window)
    return Datapath(
        vectors=site.output.size // outputs,
        outputs=outputs,
        inputs=math.prod(kernel.weights.shape[1:]),
        product=multiply(port.bits, bits) + _addition(how, port.bits + bits, kernel.exact),
        output=stage_work(site, kernel.stage, _interval(kernel)),
        memories=tuple(memories),
        accumulator=accumulator,
    )


def _interval(kernel: Linear | MatMul) -> Interval:
    format_ = kernel.accumulator
    if not kernel.exact:
        return Interval.codes(format_)
    return Interval(max(-kernel.bound, format_.min_code), min(kernel.bound, format_.max_code))


def _addition(how: Accumulator, product_bits: int, exact: bool) -> Work:
    """Adding one product, with what quantizes it and the sum where they are quantized."""
    if exact:
        return add(how.format.width)
    work = NOTHING
    addend = product_bits
    if how.product is not None:
        work = work + cast(product_bits, how.product_bits - how.product.fraction_bits, how.product)
        addend = how.product.width
    fine = max(how.format.fraction_bits, how.addend_bits)
    places = fine - how.format.fraction_bits
    bits = max(addend + fine - how.addend_bits, how.format.width + places) + 1
    return work + add(bits) + cast(bits, places, how.format)


def stage_tables(rescale: Rescale) -> list[Memory]:
    """Tables of multipliers and shifts where channels have different ones."""
    multipliers = np.asarray(rescale.multiplier)
    found = [Memory(WEIGHTS, multipliers.size, held(multipliers), "output")] if np.ptp(multipliers) else []
    shifts = np.asarray(rescale.shift)
    spread = int(shifts.max(initial=0) - shifts.min(initial=0)) if shifts.size > 1 else 0
    return [*found, Memory(WEIGHTS, shifts.size, spread.bit_length(), "output")] if spread else found


def line_buffers(port: Port, window: Window) -> list[Memory]:
    """Rows that a window has to look back at, padding included, all channels of a pixel in a word.

    Over three axes and more a frame is kept: see `fxnorm.hls.block.Sliding`.
    """
    style = Sliding.of(window, port.shape, 0)
    if not style.streams:
        return [frame_buffer(port)]
    rows, columns = style.plane
    return [Memory(BUFFER, columns.padded, port.shape[1] * port.format.width) for _ in range(rows.reach - 1)]


def frame_buffer(port: Port) -> Memory:
    """A whole value."""
    return Memory(BUFFER, port.size, port.format.width)


def matmul(site: Site) -> Datapath:
    """A product of two matrices: rows of the first times columns of the second."""
    kernel = site.kernel
    assert isinstance(kernel, MatMul)
    ports = iter(site.inputs)
    memories, widths, shapes = [], [], []
    for constant, zero in zip((kernel.left, kernel.right), kernel.zeros, strict=True):
        if constant is None:
            port = next(ports)
            memories.append(frame_buffer(port))
            bits, shape = port.bits, port.shape
        else:
            bits, shape = held(constant), constant.shape
            memories.append(Memory(WEIGHTS, constant.size, bits, "product"))
        widths.append(bits + (zero != 0))
        shapes.append(shape)
    inputs = shapes[0][-1]
    columns = 1 if kernel.vector_right else shapes[1][-1]
    how = Accumulator(kernel.accumulator, kernel.product_bits, kernel.product)
    product = multiply(*widths) + _addition(how, sum(widths), kernel.exact)
    for bits, zero in zip(widths, kernel.zeros, strict=True):
        product = product + (add(bits) if zero else NOTHING)
    accumulator, output = _interval(kernel), NOTHING
    if kernel.combination is not None:
        output, accumulator = _combination(site, kernel, accumulator, next(ports, None), memories)
    return Datapath(
        vectors=site.output.size // columns,
        outputs=columns,
        inputs=inputs,
        product=product,
        output=output + stage_work(site, kernel.stage, accumulator),
        memories=(*memories, frame_buffer(site.output)),
        accumulator=kernel.accumulator.width,
    )


def _combination(
    site: Site, kernel: MatMul, accumulator: Interval, c: Port | None, memories: list[Memory]
) -> tuple[Work, Interval]:
    """Factors and addend of a Gemm."""
    own = kernel.combination
    assert own is not None
    work = NOTHING
    if abs(own.alpha) != 1:
        work = work + multiply(accumulator.bits, width(abs(own.alpha)))
    if own.addend is not None:
        memories.append(Memory(WEIGHTS, own.addend.size, held(own.addend), "output"))
        work = work + add(width(own.bound))
    elif c is not None:
        memories.append(frame_buffer(c))
        if abs(own.beta) != 1:
            work = work + multiply(c.bits, width(abs(own.beta)))
        work = work + add(width(own.bound))
    return work, Interval.within(own.bound)


def pool(site: Site) -> Datapath:
    """Windows: a comparison or an addition a tap."""
    kernel = site.kernel
    assert isinstance(kernel, Pool)
    (port,) = site.inputs
    channels = port.shape[1]
    taps = math.prod(kernel.window.kernel)
    bits = width(kernel.bound)
    return Datapath(
        vectors=site.output.size // channels,
        outputs=channels,
        inputs=taps,
        product=compare(port.bits) if kernel.function == "max" else add(bits),
        output=stage_work(site, kernel.stage, Interval.within(kernel.bound)),
        memories=(*line_buffers(port, kernel.window), *_divisor_table(kernel.stage)),
        accumulator=0 if kernel.function == "max" else bits,
    )


def _divisor_table(rescale: Rescale) -> list[Memory]:
    """Divisors that differ from place to place."""
    if isinstance(rescale.divisor, int):
        return []
    return [Memory(WEIGHTS, rescale.divisor.size, width(int(rescale.divisor.max())))]


def reduce(site: Site) -> Datapath:
    """Whole axes: an addition or a comparison an input, squares multiplied first."""
    kernel = site.kernel
    assert isinstance(kernel, Reduce)
    (port,) = site.inputs
    outputs = max(site.output.size, 1)
    chooses = kernel.function in {"max", "min"}
    bits = width(kernel.bound)
    own = port.bits + (kernel.zero != 0)
    product = add(own) if kernel.zero else NOTHING
    if kernel.function == "sum_square":
        product = product + multiply(own, own)
    elif kernel.function == "sum_abs":
        product = product + compare(own)
    return Datapath(
        vectors=1,
        outputs=outputs,
        inputs=port.size // outputs,
        product=product + (compare(own) if chooses else add(bits)),
        output=stage_work(site, kernel.stage, Interval.within(kernel.bound)),
        memories=(frame_buffer(port), frame_buffer(site.output)),
        accumulator=0 if chooses else bits,
    )
