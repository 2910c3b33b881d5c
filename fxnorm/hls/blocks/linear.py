"""Dense layers and convolutions: one sum of products after the other over a row or a window, folded; `kernels/linear.cpp.j2`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fxnorm.engine.replay import Accumulator
from fxnorm.fixed.format import Format
from fxnorm.hls.block import ACCUMULATOR, OVERFLOW, Block, Rom, Rows, Site, Sliding, Style
from fxnorm.hls.blocks.stage import Interval, Stage, stage
from fxnorm.hls.folding import Folding, fold
from fxnorm.kernels.kernel import Kernel
from fxnorm.kernels.linear import Linear


@dataclass(frozen=True, slots=True)
class Cast:
    """A quantization inside of a kernel: shift_round, then fit.

    Attributes
    ----------
    bits
        Width before.
    places
        To the right; negative: to the left.
    rounding, rounded_bits
        Mode, and the width of the rounded integer.
    overflow, width, signed
        Of the format.
    held_bits
        A signed integer of this width holds its codes.
    """

    bits: int
    places: int
    rounding: str
    rounded_bits: int
    overflow: str
    width: int
    signed: bool
    held_bits: int

    @classmethod
    def of(cls, value: Interval, places: int, format_: Format) -> Cast:
        """Cast of integers with some more fractional bits than a format has into that format."""
        # Beyond two places more than there are bits, nothing but the sign and whether it is zero decides.
        places = min(places, value.bits + 2)
        rounded = value.rounded(places) if places >= 0 else value << -places
        return cls(
            value.bits,
            places,
            format_.rounding.name,
            max(rounded.bits, 1 - places),  # also where all of them are 0, a shift to the left needs its places
            format_.overflow.name,
            format_.width,
            format_.signed,
            Interval.codes(format_).bits,
        )


@dataclass(frozen=True, slots=True)
class Steps:
    """An accumulator that is quantized at every addition.

    Attributes
    ----------
    product
        Cast of each product; None: exact.
    product_up, total_up
        Places by which the addend and the accumulator move to the left to meet.
    sum
        Cast of the exact sum into the accumulator's format.
    """

    product: Cast | None
    product_up: int
    total_up: int
    sum: Cast


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
        steps, bias, accumulator = _steps(how, product), how.start(kernel.bias), Interval.codes(how.format)
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


def _steps(how: Accumulator, product: Interval) -> Steps:
    """The arithmetic of `fxnorm.engine.replay`, with its widths."""
    cast = None
    addend = product
    if how.product is not None:
        cast = Cast.of(product, how.product_bits - how.product.fraction_bits, how.product)
        addend = Interval.codes(how.product)
    fine = max(how.format.fraction_bits, how.addend_bits)
    product_up, total_up = fine - how.addend_bits, fine - how.format.fraction_bits
    exact = (addend << product_up) + (Interval.codes(how.format) << total_up)
    return Steps(cast, product_up, total_up, Cast.of(exact, total_up, how.format))
