"""Accumulators that are quantized at every addition: a Scan over the products, in the order of the contract."""

from __future__ import annotations

import numpy as np

from fxnorm.engine import replay
from fxnorm.exact_onnx.graph import Body, Port
from fxnorm.exact_onnx.numbers import Arithmetic, Number, smallest
from fxnorm.exact_onnx.rounding import stage
from fxnorm.exact_onnx.value import integers
from fxnorm.exact_onnx.words import raised
from fxnorm.kernels.stage import Rescale

Array = np.ndarray


def stepwise(ops: Arithmetic, steps: replay.Accumulator, a: Number, b: Number, start: Array) -> Number:
    """Sums of a · b over k, each of them quantized.

    Parameters
    ----------
    a, b
        Of the shapes [..., m, k] and [..., k, n], which broadcast.
    start
        Accumulator codes that broadcast against [..., m, n].
    """
    format_ = steps.format
    kind = smallest(max(-format_.min_code, format_.max_code), "the accumulator")
    initial = ops.as_kind(_initial(ops, a, b, start), kind)
    graph = ops.graph
    total, left, right = (graph.local(word) for word in ("total", "left", "right"))
    with graph.body() as nodes:
        column = ops.move("Unsqueeze", Number(left, a.kind, a.low, a.high), ops.shape([-1]))
        row = ops.move("Unsqueeze", Number(right, b.kind, b.low, b.high), ops.shape([-2]))
        held = Number(total, kind, format_.min_code, format_.max_code)
        after = ops.as_kind(_added(ops, steps, held, ops.multiply(column, row)), kind)
    ports = [Port(name, number.dtype, None) for name, number in ((total, kind), (left, a.kind), (right, b.kind))]
    body = Body(tuple(nodes), tuple(ports), (Port(after.name, kind.dtype, None),))
    name = graph.op("Scan", initial.name, a.name, b.name, body=body, num_scan_inputs=2, scan_input_axes=[-1, -2])
    return Number(name, kind, format_.min_code, format_.max_code)


def _initial(ops: Arithmetic, a: Number, b: Number, start: Array) -> Number:
    """The start in the shape of the sums."""
    first = ops.move("Slice", a, ops.shape([0]), ops.shape([1]), ops.shape([-1]))
    second = ops.move("Slice", b, ops.shape([0]), ops.shape([1]), ops.shape([-2]))
    nothing = ops.multiply(ops.multiply(first, 0), ops.multiply(second, 0))
    return ops.add(nothing, integers(ops, np.asarray(start)))


def _added(ops: Arithmetic, steps: replay.Accumulator, total: Number, product: Number) -> Number:
    """One addition, as `fxnorm.engine.replay.Accumulator.add` does it."""
    if steps.product is not None:
        product = stage(ops, Rescale(steps.product, steps.product_bits - steps.product.fraction_bits), product)
    fine = max(steps.format.fraction_bits, steps.addend_bits)
    drop = fine - steps.format.fraction_bits
    exact = ops.add(raised(ops, total, drop), raised(ops, product, fine - steps.addend_bits))
    return stage(ops, Rescale(steps.format, drop), exact)
