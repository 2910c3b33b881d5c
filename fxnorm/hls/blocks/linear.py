"""Dense layers and convolutions: one sum of products after the other over a row or a window, folded; `kernels/linear.cpp.j2`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fxnorm.engine.replay import Accumulator
from fxnorm.hls.block import ACCUMULATOR, OVERFLOW, Block, Refusal, Rom, Rows, Site, Sliding, Style, WeightPort
from fxnorm.hls.blocks.accumulator import Steps, accumulation
from fxnorm.hls.blocks.stage import Interval, Stage, stage
from fxnorm.hls.expressions import polynomial
from fxnorm.hls.folding import Folding, fold
from fxnorm.hls.weight_port import WIDEST, port_bits
from fxnorm.kernels.kernel import Kernel
from fxnorm.kernels.linear import Linear


@dataclass(frozen=True, slots=True)
class LinearView:
    """What the template writes.

    Attributes
    ----------
    folding
        Of the layer.
    inputs
        Addends of an output.
    input_bits, product_bits, accumulator_bits
        Widths of signed integers that hold the input's codes, a product and the accumulator.
    weight, x
        Places of a product's factors.
    weights
        In the order in which they are needed: fold by fold, within it output by output.
    bias
        One an output; what the accumulator starts at.
    starts
        Where the addends of each output begin; None: all at the beginning.
    steps
        How additions are quantized; None: not at all.
    stage
        Rescale of the accumulator.
    """

    folding: Folding
    inputs: int
    input_bits: int
    product_bits: int
    accumulator_bits: int
    weight: str
    x: str
    weights: Rom
    bias: Rom
    starts: Rom | None
    steps: Steps | None
    stage: Stage


def slides(kernel: Kernel) -> bool:
    """Whether it is a convolution."""
    return isinstance(kernel, Linear) and kernel.window is not None


def build(site: Site) -> Block:
    """Block of a `Linear`."""
    kernel = site.kernel
    assert isinstance(kernel, Linear)
    (port,) = site.inputs
    outputs = len(kernel.weights)
    weights = kernel.weights.reshape(outputs, -1)
    inputs = weights.shape[1]
    folding = fold(outputs, inputs, site.parallelism)
    code = Interval.codes(port.format)
    factor, bits = Interval(int(min(0, weights.min(initial=0))), int(max(0, weights.max(initial=0)))), None
    if site.ported:
        bits = port_bits(weights)
        if bits is None:
            raise Refusal(
                f"its weights are wider than {WIDEST} bits, which no word of a port holds; leave out --weights port"
            )
        factor = Interval(-(1 << bits - 1), (1 << bits - 1) - 1)
    product = code * factor
    steps, bias, accumulator = None, kernel.bias, _interval(kernel)
    if site.ported:
        accumulator = _any_sum(product, inputs, bias)
    if not kernel.exact:
        how = Accumulator(kernel.accumulator, kernel.product_bits, kernel.product)
        steps, bias, accumulator = accumulation(how, product), how.start(kernel.bias), Interval.codes(how.format)
    memory = Rom.of(site, "weights", _folded(weights, folding), bits)
    view = LinearView(
        folding=folding,
        inputs=inputs,
        input_bits=port.bits,
        product_bits=product.bits,
        accumulator_bits=accumulator.bits,
        weight=_sum(
            ("step", folding.steps, folding.width), ("pe", folding.pe, folding.simd), ("simd", folding.simd, 1)
        ),
        x=_sum(("first_input", folding.columns, 1), ("simd", folding.simd, 1)),
        weights=memory,
        bias=Rom.of(site, "bias", bias),
        starts=_starts(site, kernel, inputs),
        steps=steps,
        stage=stage(site, kernel.stage, accumulator),
    )
    counters = (OVERFLOW,) if kernel.exact else (OVERFLOW, ACCUMULATOR)
    port_ = WeightPort.of(site, memory.name, kernel.weights, memory.bits, folding) if site.ported else None
    summary = f"{_what(kernel)}: {inputs} inputs an output, {outputs} outputs"
    return Block("linear", summary, view, _style(site, kernel, folding), counters, port_)


def _interval(kernel: Linear) -> Interval:
    """What an exact accumulator can be, on its way too: both bounds hold for every partial sum."""
    format_ = kernel.accumulator
    return Interval(max(-kernel.bound, format_.min_code), min(kernel.bound, format_.max_code))


def _sum(*terms: tuple[str, int, int]) -> str:
    """Place: variables that are not always 0, times their steps."""
    return polynomial(*((name, step) for name, count, step in terms if count > 1))


def _any_sum(product: Interval, inputs: int, bias: np.ndarray) -> Interval:
    """What a sum of any products and one of the biases can be, on its way too: a port's weights may be any."""
    low, high = int(bias.min(initial=0)), int(bias.max(initial=0))
    return Interval(inputs * min(0, product.low) + min(0, low), inputs * max(0, product.high) + max(0, high))


def _style(site: Site, kernel: Linear, folding: Folding) -> Style:
    """Where one step does it all, rows and windows follow one another at an interval of 1."""
    whole = folding.steps == 1
    if kernel.window is not None:
        return Sliding.of(kernel.window, site.inputs[0].shape, kernel.padding, pipelined=whole)
    return Rows(pipelined=whole)


def _what(kernel: Linear) -> str:
    if kernel.window is None:
        return "dense layer"
    groups = f" in {kernel.groups} groups" if kernel.groups > 1 else ""
    return f"{'x'.join(map(str, kernel.window.kernel))} convolution{groups}"


def _starts(site: Site, kernel: Linear, inputs: int) -> Rom | None:
    """Outputs of one group read the same channels."""
    if kernel.groups == 1:
        return None
    outputs = len(kernel.weights)
    return Rom.of(site, "starts", np.arange(outputs) // (outputs // kernel.groups) * inputs)


def _folded(weights: np.ndarray, folding: Folding) -> np.ndarray:
    """Weights [o, k] in the order of the folds: [rows, columns, pe, simd]."""
    split = weights.reshape(folding.rows, folding.pe, folding.columns, folding.simd)
    return np.ascontiguousarray(split.transpose(0, 2, 1, 3))
