"""Dense layers, convolutions and matrix products: one operator where that is exact, addition by addition where that is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from fxnorm.engine import products, replay
from fxnorm.exact_onnx.numbers import Arithmetic, Kind, Number, smallest
from fxnorm.exact_onnx.rounding import (
    MOST_PLACES,
    finish,
    fit,
    float_rounding,
    needed_bound,
    round_scaled,
    scaled_ends,
    stage,
)
from fxnorm.exact_onnx.stepwise import stepwise
from fxnorm.exact_onnx.value import Value, aligned, integers
from fxnorm.exact_onnx.windows import MOST_AXES, columns, convolvable, convolved, geometry, output_size, padded
from fxnorm.exact_onnx.words import raised
from fxnorm.fixed.format import Overflow
from fxnorm.kernels.linear import Linear
from fxnorm.kernels.matmul import MatMul
from fxnorm.proofs.accumulators import quantized_steps
from fxnorm.proofs.factors import linear_factors, matmul_factors
from fxnorm.proofs.interval import Interval
from fxnorm.proofs.sums import Factors, finals, in_any_order

Array = np.ndarray


def linear(ops: Arithmetic, kernel: Linear, inputs: Sequence[Value], shape: tuple[int, ...]) -> Number:
    """A dense layer or a convolution."""
    x = inputs[0]
    steps = quantized_steps(kernel)
    if steps is not None:
        start = steps.start(kernel.bias)
        if not holds(linear_factors(kernel, x.interval, start), steps):
            return _quantized(ops, kernel, x, steps, start, shape)
        kernel = replace(kernel, bias=start)
    folded = _folded(ops, kernel, x, shape)
    if folded is not None:
        return folded
    acc = _accumulator(ops, kernel, x)
    return _staged(ops, kernel, acc, shape)


def holds(factors: Factors, steps: replay.Accumulator) -> bool:
    """Whether an accumulator that is obeyed at every addition never changes a sum of exact products, whatever the order."""
    plain = steps.product is None and steps.product_bits == steps.format.fraction_bits
    return plain and bool(in_any_order(factors, steps).fits(steps.format).all())


def _sums(kernel: Linear, x: Interval) -> tuple[int, tuple[int, int]]:
    """Bound of all partial sums, with or without the bias, and the ends of the sums without it."""
    bare = linear_factors(kernel, x, np.zeros(len(kernel.weights), np.int64))
    low, high = in_any_order(bare).hull()
    return max(-low, high) + products.largest(kernel.bias), finals(bare).hull()


def _folded(ops: Arithmetic, kernel: Linear, x: Value, shape: tuple[int, ...]) -> Number | None:
    """The stage's powers of two in the weights, and what rounding adds in the bias; None where float32 is not exact for that."""
    rescale, window = kernel.stage, kernel.window
    places = np.broadcast_to(np.asarray(rescale.shift, np.int64), (len(kernel.weights),))
    bound, _ = _sums(kernel, x.interval)
    fits = (
        needed_bound(rescale, bound, places) <= Kind.FLOAT32.limit
        and int(np.abs(places).max()) <= MOST_PLACES[Kind.FLOAT32]
    )
    narrow = products.largest(kernel.weights) <= Kind.FLOAT32.limit and x.number.bound <= Kind.FLOAT32.limit
    plain = not rescale.multiplies and rescale.origin == 0
    if not (fits and narrow and plain) or (window is not None and len(window.kernel) > MOST_AXES):
        return None
    rounding = rescale.output.rounding
    before, after = float_rounding(rounding) if bool((places > 0).any()) else (0.0, 0)
    factors = np.ldexp(1.0, -places)
    weights = (kernel.weights * factors.reshape(-1, *(1,) * (kernel.weights.ndim - 1))).astype(np.float32)
    bias = (kernel.bias.astype(np.float64) * factors + (rescale.zero + before)).astype(np.float32)
    held = ops.as_kind(x.number, Kind.FLOAT32)
    if window is None:
        rows = ops.reshape(held, [-1, weights.shape[1]])
        scaled = ops.graph.op("Gemm", rows.name, ops.graph.constant(weights), ops.graph.constant(bias), transB=1)
    else:
        frames = convolvable(ops, ops.reshape(held, [-1, *x.shape[1:]]), window, kernel.padding)
        names = frames.name, ops.graph.constant(weights), ops.graph.constant(bias)
        scaled = ops.graph.op("Conv", *names, group=kernel.groups, **geometry(window, pads=kernel.padding == 0))
    name = round_scaled(ops, scaled, rounding, Kind.FLOAT32) if bool((places > 0).any()) else scaled
    low, high = _with_bias(kernel, x.interval)
    low, high = scaled_ends(rescale, Number("", Kind.INT64, low, high), places)
    rounded = Number(name, Kind.FLOAT32, low - after, high - after)
    rounded = ops.add(rounded, after) if after else rounded
    return ops.reshape(finish(ops, rescale, rounded), [-1, *shape])


def _with_bias(kernel: Linear, x: Interval) -> tuple[int, int]:
    return finals(linear_factors(kernel, x)).hull()


def _accumulator(ops: Arithmetic, kernel: Linear, x: Value) -> Number:
    """Exact sums with the bias: [rows, o] or [n, o, *output]."""
    bound, ends = _sums(kernel, x.interval)
    kind = smallest(max(bound, x.number.bound, products.largest(kernel.weights)), "the accumulator", x.number.kind)
    window = kernel.window
    if window is None:
        rows = ops.as_kind(ops.reshape(x.number, [-1, kernel.weights.shape[1]]), kind)
        matrix = ops.constant(kernel.weights.T, kind)
        sums = Number(ops.graph.op("MatMul", rows.name, matrix.name), kind, *ends)
        bias = kernel.bias
    else:
        frames = ops.reshape(x.number, [-1, *x.shape[1:]])
        sums = convolved(ops, frames, kernel.weights, window, kernel.groups, kernel.padding, x.shape[2:], ends, kind)
        bias = kernel.bias.reshape(-1, *(1,) * len(window.kernel))
    if not np.any(bias):
        return sums
    total = ops.add(sums, ops.constant(bias.astype(np.int64), kind))
    return ops.within(total, *_with_bias(kernel, x.interval))


def _staged(ops: Arithmetic, kernel: Linear, acc: Number, shape: tuple[int, ...]) -> Number:
    spread = (-1, *(1,) * (0 if kernel.window is None else len(kernel.window.kernel)))
    return ops.reshape(stage(ops, kernel.stage.spread(spread), acc), [-1, *shape])


def _quantized(
    ops: Arithmetic, kernel: Linear, x: Value, steps: replay.Accumulator, start: Array, shape: tuple[int, ...]
) -> Number:
    """Sums that are quantized at every addition."""
    if wraps_once(steps):
        exact = _accumulator(ops, replace(kernel, bias=start), x)
        return _staged(ops, kernel, fit(ops, exact, steps.format), shape)
    groups, outputs = kernel.groups, len(kernel.weights)
    weights = kernel.weights.reshape(groups, outputs // groups, -1)
    window = kernel.window
    if window is None:
        output: tuple[int, ...] = ()
        rows = ops.reshape(x.number, [-1, weights.shape[2]])
        cols = ops.move("Unsqueeze", ops.move("Transpose", rows, perm=[1, 0]), ops.shape([0]))
    else:
        output = output_size(window, x.shape[2:])
        frames = padded(ops, ops.reshape(x.number, [-1, *x.shape[1:]]), window, kernel.padding)
        cols = columns(ops, frames, window, groups, x.shape[1], output)
    acc = stepwise(ops, steps, ops.constant(weights), cols, start.reshape(groups, -1, 1))
    if window is None:
        acc = ops.move("Transpose", ops.reshape(acc, [outputs, -1]), perm=[1, 0])
    else:
        acc = ops.reshape(acc, [-1, outputs, *output])
    return _staged(ops, kernel, acc, shape)


def wraps_once(steps: replay.Accumulator) -> bool:
    """Whether sums may be computed exactly and wrapped at the end."""
    plain = steps.product is None and steps.product_bits == steps.format.fraction_bits
    return plain and steps.format.overflow is Overflow.WRAP


def matmul(ops: Arithmetic, kernel: MatMul, inputs: Sequence[Value], shape: tuple[int, ...]) -> Number:
    """A matrix product, and what a Gemm adds to it."""
    given = list(inputs)
    a = _matrix(ops, kernel.left, given, kernel.zeros[0], -2 if kernel.vector_left else None)
    b = _matrix(ops, kernel.right, given, kernel.zeros[1], -1 if kernel.vector_right else None)
    a, b = aligned(ops, [a, b])
    factors = matmul_factors(kernel, [value.interval for value in inputs])
    steps = quantized_steps(kernel)
    if steps is None or wraps_once(steps) or holds(factors, steps):
        low, high = in_any_order(factors).hull()
        kind = smallest(max(-low, high, a[0].bound, b[0].bound), "the accumulator", max(a[0].kind, b[0].kind))
        name = ops.graph.op("MatMul", ops.as_kind(a[0], kind).name, ops.as_kind(b[0], kind).name)
        acc = Number(name, kind, *finals(factors).hull())
        acc = acc if steps is None else fit(ops, acc, steps.format)
    else:
        acc = stepwise(ops, steps, a[0], b[0], np.zeros((), np.int64))
    made = kernel.combination
    if made is not None:
        rank = max(len(a[1]), len(b[1]))
        acc = raised(ops, ops.multiply(acc, made.alpha), made.shifts[0])
        if made.addend is not None:
            addend = made.addend.reshape((1,) * (rank + 1 - made.addend.ndim) + made.addend.shape)
            acc = ops.add(acc, integers(ops, addend))
        elif given:
            ((c, _),) = aligned(ops, [(given[0].number, given[0].shape)], rank)
            acc = ops.add(acc, raised(ops, ops.multiply(c, made.beta), made.shifts[1]))
    return ops.reshape(stage(ops, kernel.stage, acc), [-1, *shape])


def _matrix(
    ops: Arithmetic, constant: Array | None, given: list[Value], zero: int, axis: int | None
) -> tuple[Number, tuple[int, ...]]:
    """An operand less its zero and its shape without samples, an axis put in where it is a vector."""
    if constant is None:
        value = given.pop(0)
        number, shape = value.number, value.shape
    else:
        number, shape = ops.constant(constant[None]), constant.shape
    if axis is not None:
        shape = (1, *shape) if axis == -2 else (*shape, 1)
        number = ops.reshape(number, [-1, *shape])
    return (ops.subtract(number, zero) if zero else number), tuple(shape)
