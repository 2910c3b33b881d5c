"""Quotients through a reciprocal: `kernels/divide.cpp.j2`."""

from __future__ import annotations

from dataclasses import dataclass

from fxnorm.hls.block import Block, Rom, Site, literal, signed_bits
from fxnorm.hls.blocks.stage import Interval, Stage, stage
from fxnorm.hls.blocks.walk import constant, walk
from fxnorm.hls.expressions import Loop
from fxnorm.kernels.divide import Divide


@dataclass(frozen=True, slots=True)
class DivideView:
    """What the template writes.

    Attributes
    ----------
    nest, target
        Loops over the elements that the core computes, and the place of the result.
    dividend, divisor
        C++ expressions of the codes.
    dividend_bits, divisor_bits, signed_bits
        Widths of signed integers that hold them, and the dividend with the sign of the divisor.
    roms
        A constant dividend.
    intercepts, slopes
        Table of the reciprocal.
    bits, product_bits
        Of the reciprocal, and of its product with the dividend.
    fraction_bits, most, accumulator_bits
        Fraction of the quotient, the most places that the product is moved to the left, and the width of the quotient.
    positive, negative
        What a divisor of zero gives.
    stage
        Rescale of the quotient.
    """

    nest: tuple[Loop, ...]
    target: str
    dividend: str
    divisor: str
    dividend_bits: int
    divisor_bits: int
    signed_bits: int
    roms: tuple[Rom, ...]
    intercepts: Rom
    slopes: Rom
    bits: int
    product_bits: int
    fraction_bits: int
    most: int
    accumulator_bits: int
    positive: str
    negative: str
    stage: Stage


def build(site: Site) -> Block:
    """Block of a `Divide`."""
    kernel = site.kernel
    assert isinstance(kernel, Divide)
    places = walk(site)
    roms: list[Rom] = []
    divisor = site.inputs[-1]
    if kernel.dividend is None:
        port = site.inputs[0]
        a, dividend = Interval.codes(port.format), f"fx_code(x0[{places.input(port.shape)}])"
    else:
        a = Interval(int(kernel.dividend.min(initial=0)), int(kernel.dividend.max(initial=0)))
        dividend = constant(site, places, kernel.dividend, "dividend", roms)
    signed = a | -a
    quotient = Interval.within(kernel.bound)
    view = DivideView(
        nest=places.loops,
        target=places.target,
        dividend=dividend,
        divisor=f"fx_code(x{len(site.inputs) - 1}[{places.input(divisor.shape)}])",
        dividend_bits=a.bits,
        divisor_bits=divisor.bits,
        signed_bits=signed.bits,
        roms=tuple(roms),
        intercepts=Rom.of(site, "intercepts", kernel.reciprocal.intercepts),
        slopes=Rom.of(site, "slopes", kernel.reciprocal.slopes),
        bits=kernel.reciprocal.bits,
        product_bits=signed.bits + kernel.reciprocal.bits + 1,
        fraction_bits=kernel.fraction_bits,
        # The smallest divisor, 1, has its leading one at place 0.
        most=kernel.fraction_bits - kernel.reciprocal.bits,
        accumulator_bits=quotient.bits,
        positive=literal(kernel.bound),
        negative=literal(-kernel.bound, signed_bits(kernel.bound)),
        stage=stage(site, kernel.stage, quotient),
    )
    return Block("divide", "quotient through a reciprocal", view, places.style)
