"""Local response normalization across channels: `kernels/local_response.cpp.j2`."""

from __future__ import annotations

from dataclasses import dataclass

from fxnorm.hls.block import Block, Rom, Rows, Site, literal
from fxnorm.hls.blocks.norm_exact import check_width
from fxnorm.hls.blocks.stage import Interval, Stage, stage
from fxnorm.hls.blocks.table_value import TableValue, table_value
from fxnorm.kernels.kernel import Kernel
from fxnorm.kernels.local_response import LocalResponse


@dataclass(frozen=True, slots=True)
class LocalResponseView:
    """What the template writes.

    Attributes
    ----------
    channels, before, after, filled
        Of a pixel; those of the window on either side of the own one; and those in it before the first one is its own.
    code_bits, sum_bits
        Widths of signed integers that hold a code, and the sum of the squares of a window.
    weight, offset, base_bits
        Z = weight · sum + offset, and the width of an unsigned integer that holds it.
    empty
        Whether Z can be 0; 1 stands in for it.
    bits, first
        P, and the smallest place of a leading one.
    power
        u to the power.
    mantissas, shifts
        One of each a place.
    scaled_bits, mantissa_bits
        Widths of unsigned integers that hold the power times its mantissa, and that less P bits.
    sticky, low, high, product_bits
        Of ``fx::product``: limits of the shift, and the width of the result.
    stage
        Rescale.
    """

    channels: int
    before: int
    after: int
    filled: int
    code_bits: int
    sum_bits: int
    weight: str
    offset: str
    base_bits: int
    empty: bool
    bits: int
    first: int
    power: TableValue
    mantissas: Rom
    shifts: Rom
    scaled_bits: int
    mantissa_bits: int
    sticky: bool
    low: int
    high: int
    product_bits: int
    stage: Stage


def across_channels(kernel: Kernel) -> bool:
    """It works on the channels of a pixel."""
    return True


def build(site: Site) -> Block:
    """Block of a `LocalResponse`."""
    kernel = site.kernel
    assert isinstance(kernel, LocalResponse)
    (port,) = site.inputs
    channels = port.shape[1]
    size = kernel.before + 1 + kernel.after
    codes = Interval.codes(port.format)
    largest = max(-codes.low, codes.high)
    power = table_value(site, kernel.power, "power")
    scaled = power.codes.high * int(kernel.mantissas.max())
    mantissa_bits = (scaled >> kernel.bits).bit_length()
    shifts = kernel.exponents + kernel.shift
    low, high = int(shifts.min()), int(shifts.max())
    check_width(codes.bits + mantissa_bits + max(0, -low) + 1)
    product = Interval.within(kernel.product.bound)
    view = LocalResponseView(
        channels=channels,
        before=kernel.before,
        after=kernel.after,
        filled=min(kernel.after, channels),
        code_bits=port.bits,
        sum_bits=Interval(0, min(size, channels) * largest**2).bits,
        weight=literal(kernel.weight),
        offset=literal(kernel.offset),
        base_bits=Interval(0, kernel.base_bound).bits,
        empty=kernel.offset == 0,
        bits=kernel.bits,
        first=kernel.first,
        power=power,
        mantissas=Rom.of(site, "mantissas", kernel.mantissas),
        shifts=Rom.of(site, "shifts", shifts),
        scaled_bits=scaled.bit_length(),
        mantissa_bits=mantissa_bits,
        sticky=kernel.product.sticky,
        low=low,
        high=high,
        product_bits=product.bits,
        stage=stage(site, kernel.stage, product),
    )
    what = f"local response normalization over {size} of {channels} channels"
    return Block("local_response", what, view, Rows(1))
