"""Dense layers and convolutions: one sum of products after the other over a row or a window, folded; `kernels/linear.cpp.j2`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fxnorm.engine.replay import Accumulator
from fxnorm.hls.block import ACCUMULATOR, OVERFLOW, Block, Rom, Rows, Site, Sliding, Style
from fxnorm.hls.blocks.accumulator import Steps, accumulation
from fxnorm.hls.blocks.stage import Interval, Stage, stage
from fxnorm.hls.folding import Folding, fold
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
    steps, bias, accumulator = None, kernel.bias, _interval(kernel)
    product = code * Interval(int(min(0, weights.min(initial=0))), int(max(0, weights.max(initial=0))))
    if not kernel.exact:
        how = Accumulator(kernel.accumulator, kernel.product_bits, kernel.product)
        steps, bias, accumulator = accumulation(how, product), how.start(kernel.bias), Interval.codes(how.format)
    view = LinearView(
        folding=folding,
        inputs=inputs,
        input_bits=port.bits,
        product_bits=product.bits,
        accumulator_bits=accumulator.bits,
        weights=Rom.of(site, "weights", _folded(weights, folding)),
        bias=Rom.of(site, "bias", bias),
        starts=_starts(site, kernel, inputs),
        steps=steps,
        stage=stage(site, kernel.stage, accumulator),
    )
    counters = (OVERFLOW,) if kernel.exact else (OVERFLOW, ACCUMULATOR)
    what = "dense layer" if kernel.window is None else f"convolution in {kernel.groups} group(s)"
    return Block(
        "linear", f"{what}: {inputs} inputs an output, {outputs} outputs", view, _style(site, kernel), counters
    )


def _interval(kernel: Linear) -> Interval:
    """What an exact accumulator can be, on its way too: both bounds hold for every partial sum."""
    format_ = kernel.accumulator
    return Interval(max(-kernel.bound, format_.min_code), min(kernel.bound, format_.max_code))


def _style(site: Site, kernel: Linear) -> Style:
    if kernel.window is not None:
        return Sliding.of(kernel.window, site.inputs[0].shape, kernel.padding)
    return Rows()


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
