"""Softmax and its logarithm: exponentials by table where distances from the maximum are few, by their datapath elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from fxnorm.exact_onnx.numbers import Arithmetic, Inexact, Kind, Number
from fxnorm.exact_onnx.rounding import floor_by, floor_by_number, stage
from fxnorm.exact_onnx.value import Value, integers
from fxnorm.exact_onnx.words import exp2, multiply_drop, normalized, power, raised, reciprocal, table
from fxnorm.fixed import arith
from fxnorm.fixed.format import Rounding
from fxnorm.kernels.softmax import LogSoftmax, Softmax

Array = np.ndarray
Shape = tuple[int, ...]

MOST_ENTRIES: Final = 1 << 16
"""Distances from the maximum that a table of exponentials is made for."""


def softmax(ops: Arithmetic, kernel: Softmax, inputs: Sequence[Value], shape: Shape) -> Number:
    """Softmax along an axis."""
    if kernel.bound > Kind.INT64.limit:
        raise Inexact(
            f"an exponential over the sum needs {kernel.bound.bit_length()} bits, and 64-bit integers hold 62"
        )
    _, e = _exponentials(ops, kernel, _scores(ops, kernel, inputs[0].number))
    total = _total(ops, kernel, e, inputs[0].shape[kernel.axis])
    mantissa, exponent = reciprocal(ops, kernel.reciprocal, total)
    up = power(ops, ops.subtract(kernel.fraction_bits, exponent))
    return stage(ops, kernel.stage, ops.multiply(ops.multiply(e, mantissa), up, (0, kernel.bound)))


def log_softmax(ops: Arithmetic, kernel: LogSoftmax, inputs: Sequence[Value], shape: Shape) -> Number:
    """Logarithm of softmax along an axis."""
    length = inputs[0].shape[kernel.axis]
    d, e = _exponentials(ops, kernel, _scores(ops, kernel, inputs[0].number))
    total = _total(ops, kernel, e, length)
    mantissa, place = normalized(ops, total, kernel.logarithm.input.fraction_bits)
    # Nothing lies below 2^P, the exponential of the maximum itself.
    whole = ops.within(ops.subtract(place, kernel.bits), 0, length.bit_length())
    logarithm = ops.add(ops.words(table(ops, kernel.logarithm, mantissa)), ops.multiply(whole, kernel.ln2))
    wide = raised(ops, ops.words(d), kernel.shifts[0])
    acc = ops.negate(ops.add(wide, raised(ops, logarithm, kernel.shifts[1])))
    if kernel.hidden is None:
        return stage(ops, kernel.stage, acc)
    hidden = ops.graph.constant(kernel.hidden[None])
    codes = stage(ops, kernel.stage, ops.where(hidden, 0, acc))
    return ops.where(hidden, kernel.stage.output.lowest_code, codes)


def _total(ops: Arithmetic, kernel: Softmax | LogSoftmax, e: Number, length: int) -> Number:
    total = ops.total(e, [kernel.axis + 1], length, keep=True)
    return ops.within(total, 1 << kernel.bits, total.high)


def _scores(ops: Arithmetic, kernel: Softmax | LogSoftmax, x: Number) -> Number:
    """Scores moved to the step of the biases, zeros where they do not count, and the biases."""
    mask = kernel.mask
    if mask is None:
        return x
    z = raised(ops, x, mask.shift)
    if mask.keep is not None:
        z = ops.where(ops.graph.constant(mask.keep[None]), z, 0)
    return z if mask.bias is None else ops.add(z, integers(ops, mask.bias[None]))


def _exponentials(ops: Arithmetic, kernel: Softmax | LogSoftmax, x: Number) -> tuple[Number, Number]:
    """Distances from the maximum, and 2^P · exp of minus those."""
    largest = ops.largest(x, [kernel.axis + 1], keep=True)
    d = ops.within(ops.subtract(largest, x), 0, x.high - x.low)
    near = ops.minimum(d, min(kernel.limit, d.high))
    if near.high < MOST_ENTRIES:
        return d, ops.gather(_entries(kernel, near.high), near)
    wide = ops.words(near)
    bits = near.high.bit_length(), kernel.log2e.bit_length()
    t = multiply_drop(ops, wide, integers(ops, np.asarray(kernel.log2e), Kind.INT64), kernel.log2e_shift, *bits)
    t = ops.minimum(t, (kernel.bits + 2) << kernel.bits)
    whole, fraction, _ = floor_by(ops, t, np.asarray(1 << kernel.bits, dtype=object))
    mantissa = exp2(ops, kernel.exponential, fraction)
    e, _ = floor_by_number(ops, mantissa, power(ops, ops.minimum(whole, kernel.bits + 1)))
    return d, ops.within(ops.where(ops.compare("Equal", wide, 0), 1 << kernel.bits, e), 0, 1 << kernel.bits)


def _entries(kernel: Softmax | LogSoftmax, most: int) -> Array:
    """The exponential of every distance up to one."""
    distances = np.arange(most + 1, dtype=object)
    t = arith.shift_round(distances * kernel.log2e, kernel.log2e_shift, Rounding.TRN)
    t = np.minimum(t, (kernel.bits + 2) << kernel.bits).astype(np.int64)
    e = kernel.exponential.run(t & ((1 << kernel.bits) - 1)) >> np.minimum(t >> kernel.bits, kernel.bits + 1)
    e[0] = 1 << kernel.bits
    return np.asarray(e)
