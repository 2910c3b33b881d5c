"""Normalizations of groups, exact or in stages, their statistics, and local response normalization, in 64-bit integers."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from fxnorm.exact_onnx.moments import Normalizer, moments_of, staged_mean
from fxnorm.exact_onnx.numbers import Arithmetic, Inexact, Kind, Number
from fxnorm.exact_onnx.rounding import floor_by_number, stage
from fxnorm.exact_onnx.value import Value, integers
from fxnorm.exact_onnx.words import bit_length, drop, low_bits, power, raised, sticky, table
from fxnorm.kernels.local_response import LocalResponse
from fxnorm.kernels.mantissa import Product
from fxnorm.kernels.norm import Norm
from fxnorm.kernels.norm_statistic import NormInverseDeviation, NormMean

Array = np.ndarray
Shape = tuple[int, ...]

_GUARD = 2


def norm(ops: Arithmetic, kernel: Norm, inputs: Sequence[Value], shape: Shape) -> Number:
    """Normalization over groups, then scale and bias."""
    given = list(inputs)
    x = given.pop(0)
    rows = math.prod(x.shape) // math.prod(kernel.layout)
    groups = ops.words(ops.reshape(x.number, [-1, rows, *kernel.layout]))
    scale = _operand(ops, kernel.scale, kernel.scale_shape, given, kernel.scale_shift)
    bias = _operand(ops, kernel.bias, kernel.bias_shape, given, kernel.bias_shift)
    axes = [axis + 2 for axis in kernel.axes]
    count = math.prod(kernel.layout[axis] for axis in kernel.axes)
    found = moments_of(ops, kernel.moments, groups, axes, count)
    term = found.numerator(ops, groups)
    term = term if scale is None else ops.multiply(term, scale)
    term = product(ops, kernel.product, term, found, kernel.shift)
    term = term if bias is None else ops.add(term, bias)
    return ops.reshape(stage(ops, kernel.stage, term), [-1, *shape])


def _operand(
    ops: Arithmetic, constant: Array | None, shape: Shape | None, given: list[Value], shift: Array | int
) -> Number | None:
    """Codes at one step as they broadcast against [n, rows, *layout]; None where there are none."""
    if constant is not None:
        moved = constant.astype(object) * 2 ** np.asarray(shift, dtype=object)
        return integers(ops, np.asarray(moved)[None, None], Kind.INT64)
    if shape is None:
        return None
    assert isinstance(shift, int)
    return raised(ops, ops.words(ops.reshape(given.pop(0).number, [-1, *shape])), shift)


def product(ops: Arithmetic, block: Product, a: Number, found: Normalizer, shift: int) -> Number:
    """floor(a · mantissa / 2^(exponent + shift)), sticky where that is asked for; see `fxnorm.kernels.mantissa`."""
    if block.bound > Kind.INT64.limit:
        raise Inexact(
            f"a normalized number reaches 2^{block.bound.bit_length() - 1}, and 64-bit integers hold no more than 2^62"
        )
    places = ops.add(found.exponent, shift)
    limb, lower = _limbs(block, a, found.mantissa, places.low)
    mantissa = found.mantissa
    up = None
    if lower > places.low:
        # Mantissas whose shift is smaller than the limbs take are moved to the left first.
        up = ops.maximum(ops.subtract(lower, places), 0)
        moved = max(lower - places.low, 0)
        mantissa = ops.multiply(
            mantissa, power(ops, up), (min(found.mantissa.low, 0) << moved, found.mantissa.bound << moved)
        )
    rests = []
    carry: Number | None = None
    for place in range(0, lower, limb) if limb else ():
        part = ops.multiply(a, low_bits(ops, drop(ops, mantissa, place), limb))
        part = part if carry is None else ops.add(part, carry)
        rests.append(low_bits(ops, part, limb))
        carry = drop(ops, part, limb)
    upper = drop(ops, mantissa, lower)
    # Where the mantissa was moved, this product is the result, elsewhere it has as many bits less as the limbs took.
    largest = min(block.factor_bound, max(a.bound, 1))
    wide = max(block.bound, largest * (found.mantissa.bound >> lower)) + largest
    if wide > Kind.INT64.limit:
        raise Inexact(f"a product reaches 2^{wide.bit_length() - 1}, and 64-bit integers hold no more than 2^62")
    total = ops.multiply(a, upper, (-wide if min(a.low, found.mantissa.low) < 0 else 0, wide))
    total = total if carry is None else ops.within(ops.add(total, carry), -wide, wide)
    right = ops.subtract(places, lower) if up is None else ops.add(ops.subtract(places, lower), up)
    right = ops.minimum(ops.within(right, 0, max(places.high, 0)), 62)
    floor, rest = floor_by_number(ops, total, power(ops, right))
    floor = ops.within(floor, -block.bound, block.bound)
    return sticky(ops, floor, [*rests, rest]) if block.sticky else floor


def _limbs(block: Product, a: Number, mantissa: Number, least: int) -> tuple[int, int]:
    """Bits of every lower limb of the mantissa, and of all of them, so that 64 bits hold every product; (0, 0): one is enough."""
    bits, mantissa_bits = min(block.factor_bound, max(a.bound, 1)).bit_length(), mantissa.bound.bit_length()
    for limbs in (1, 2, 3):
        limb = mantissa_bits // limbs if limbs > 1 else 0
        lower = (limbs - 1) * limb
        if bits + mantissa_bits - lower <= 61 and mantissa_bits + max(lower - least, 0) <= 61:
            return limb, lower
    raise Inexact(f"a product of {bits} and {mantissa_bits} bits does not fit 64-bit integers")


def norm_mean(ops: Arithmetic, kernel: NormMean, inputs: Sequence[Value], shape: Shape) -> Number:
    """The mean as the stages of an inexact algorithm have it."""
    x = inputs[0]
    groups = ops.words(ops.reshape(x.number, [-1, math.prod(x.shape) // math.prod(kernel.layout), *kernel.layout]))
    count = math.prod(kernel.layout[axis] for axis in kernel.axes)
    mean = staged_mean(ops, kernel.moments, groups, [axis + 2 for axis in kernel.axes], count)
    return ops.reshape(stage(ops, kernel.stage, mean), [-1, *shape])


def norm_inverse_deviation(
    ops: Arithmetic, kernel: NormInverseDeviation, inputs: Sequence[Value], shape: Shape
) -> Number:
    """1 / √(variance + ε)."""
    x = inputs[0]
    groups = ops.words(ops.reshape(x.number, [-1, math.prod(x.shape) // math.prod(kernel.layout), *kernel.layout]))
    count = math.prod(kernel.layout[axis] for axis in kernel.axes)
    found = moments_of(ops, kernel.moments, groups, [axis + 2 for axis in kernel.axes], count)
    factor = ops.constant(np.asarray(kernel.factor), Kind.INT64)
    term = product(ops, kernel.product, factor, found, kernel.shift)
    if found.infinite is not None:
        term = ops.where(found.infinite, (kernel.stage.output.max_code + 2) << _GUARD, term)
    return ops.reshape(stage(ops, kernel.stage, term), [-1, *shape])


def local_response(ops: Arithmetic, kernel: LocalResponse, inputs: Sequence[Value], shape: Shape) -> Number:
    """x over a power of the sum of squares of neighbouring channels."""
    if kernel.base_bound > Kind.INT64.limit:
        raise Inexact(
            f"the base of the power reaches 2^{kernel.base_bound.bit_length() - 1}, and 64-bit integers hold no more than 2^62"
        )
    x = inputs[0]
    channels = x.shape[1]
    rows = ops.words(ops.reshape(x.number, [-1, x.shape[0], channels, math.prod(x.shape[2:])]))
    base = ops.add(ops.multiply(_neighbours(ops, kernel, rows, channels), kernel.weight), kernel.offset)
    base = ops.within(ops.maximum(base, 1), 1, kernel.base_bound)
    place = ops.within(ops.subtract(bit_length(ops, base), 1), 0, kernel.base_bound.bit_length() - 1)
    left = power(ops, ops.maximum(ops.subtract(kernel.bits, place), 0))
    right = power(ops, ops.maximum(ops.subtract(place, kernel.bits), 0))
    wide = ops.multiply(base, left, (0, max(kernel.base_bound, (1 << (kernel.bits + 1)) - 1)))
    u = ops.within(floor_by_number(ops, wide, right)[0], 1 << kernel.bits, (1 << (kernel.bits + 1)) - 1)
    index = ops.within(ops.maximum(ops.subtract(place, kernel.first), 0), 0, len(kernel.mantissas) - 1)
    mantissa = ops.multiply(ops.words(table(ops, kernel.power, u)), ops.gather(kernel.mantissas, index))
    mantissa = ops.within(drop(ops, mantissa, kernel.bits), 0, kernel.product.mantissa_bound)
    exponent = ops.gather(kernel.exponents, index)
    found = Normalizer(None, mantissa, exponent, None, (1, (0, 0)))
    return ops.reshape(stage(ops, kernel.stage, product(ops, kernel.product, rows, found, kernel.shift)), [-1, *shape])


def _neighbours(ops: Arithmetic, kernel: LocalResponse, rows: Number, channels: int) -> Number:
    """Sums of squares over windows of channels: differences of running sums."""
    squares = ops.square(rows)
    running = Number(
        ops.graph.op("CumSum", squares.name, ops.graph.constant(np.asarray(2, np.int64))),
        Kind.INT64,
        0,
        channels * squares.high,
    )
    padded = ops.move("Pad", running, ops.shape([0, 0, 1, 0, 0, 0, 0, 0]))
    own = np.arange(channels)
    ends = np.minimum(own + kernel.after + 1, channels), np.maximum(own - kernel.before, 0)
    upper, lower = (ops.move("Gather", padded, ops.graph.constant(end), axis=2) for end in ends)
    terms = min(kernel.before + kernel.after + 1, channels)
    return ops.within(ops.subtract(upper, lower), 0, terms * squares.high)
