"""Accumulators that are quantized at every addition: the macro ``add`` of `kernels/macros.j2` writes them."""

from __future__ import annotations

from dataclasses import dataclass

from fxnorm.engine.replay import Accumulator
from fxnorm.fixed.format import Format
from fxnorm.hls.blocks.stage import Interval


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


def accumulation(how: Accumulator, product: Interval) -> Steps:
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
