"""The rescale stage with every width computed: what `kernels/macros.j2` writes at the end of a core.

(accumulator - origin) · multiplier is brought to one place for all channels by shifts to the left, a constant is added, and one
rounding takes the places off. So rounding needs no shifter, and zero and origin are one adder wherever channels share their shift.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from fxnorm.fixed.format import Format
from fxnorm.hls.block import Refusal, Rom, Site, literal, signed_bits, unsigned_literal
from fxnorm.hls.quotient import magic, magic_numbers
from fxnorm.kernels.stage import Rescale

MAX_BITS: Final = 1024
"""Widest integer of either target."""


@dataclass(frozen=True, slots=True)
class Interval:
    """Integers from `low` to `high`, both included."""

    low: int
    high: int

    @property
    def bits(self) -> int:
        """Width of a signed integer that holds all of them.

        Raises
        ------
        Refusal
            If no target has it.
        """
        width = max(signed_bits(self.low), signed_bits(self.high))
        if width > MAX_BITS:
            raise Refusal(f"an integer of {width} bits would be needed, and targets have at most {MAX_BITS}")
        return width

    @classmethod
    def within(cls, bound: int) -> Interval:
        """Integers up to a magnitude."""
        return cls(-bound, bound)

    @classmethod
    def codes(cls, format_: Format) -> Interval:
        """Codes that the bits of a format can express."""
        return cls(format_.min_code, format_.max_code)

    def __add__(self, other: Interval) -> Interval:
        return Interval(self.low + other.low, self.high + other.high)

    def __neg__(self) -> Interval:
        return Interval(-self.high, -self.low)

    def __mul__(self, other: Interval) -> Interval:
        corners = [a * b for a in (self.low, self.high) for b in (other.low, other.high)]
        return Interval(min(corners), max(corners))

    def __lshift__(self, places: int) -> Interval:
        return Interval(self.low << places, self.high << places)

    def __or__(self, other: Interval) -> Interval:
        return Interval(min(self.low, other.low), max(self.high, other.high))

    def rounded(self, places: int, divisor: int = 1) -> Interval:
        """What any rounding mode makes of them where places are taken off."""
        step = divisor << places
        return Interval(self.low // step, -(-self.high // step))


@dataclass(frozen=True, slots=True)
class Divisor:
    """A constant to divide by: its value and its reciprocal, as C++ expressions, and the places of the reciprocal.

    `roms` are the tables of both where divisors differ from place to place.
    """

    value: str
    magic: str
    places: int
    roms: tuple[Rom, ...] = ()

    @classmethod
    def of(cls, value: int, bits: int, places: int) -> Divisor | None:
        """Division of an fx_int of some bits by value · 2**places; None where that is a shift alone."""
        if value == 1:
            return None
        found = magic(value, max(bits - 1 - places, 1))
        return cls(unsigned_literal(value), unsigned_literal(found.number), found.places)

    @classmethod
    def chosen(cls, site: Site, values: list[int], index: str, bits: int, places: int) -> Divisor:
        """Division by one of several constants, the one at an index."""
        numbers, shared = magic_numbers(values, max(bits - 1 - places, 1))
        roms = (Rom.of(site, "divisors", np.array(values)), Rom.of(site, "magics", np.array(numbers, dtype=object)))
        texts = [f"fx_uint<{rom.bits}>({rom.read(index)})" for rom in roms]
        return cls(texts[0], texts[1], shared, roms)


@dataclass(frozen=True, slots=True)
class Stage:
    """A `Rescale` in hardware, from an accumulator of `bits` bits; see the macro ``stage``.

    Attributes
    ----------
    bits
        Of the accumulator.
    origin, origin_bits
        What is taken off before the multiplication ("" where nothing is), and the width of the difference.
    multiplier, multiplier_rom, product_bits
        Positive factor ("" for 1), or a table with one entry a channel, and the width of the product.
    up, up_rom, up_bits, moved_bits
        Places to the left: a constant, or a table with one entry a channel, its entries' width; the width of what is moved.
    constant, based_bits
        What is added before rounding ("" for 0), and the width of the sum.
    places, divisor
        What rounding takes off: the division by divisor · 2**places; None for a shift alone.
    rounding, rounded_bits
        Mode, and the width of the rounded value.
    low, high
        Clip ("" where there is none).
    overflow, width, signed
        Of the output's format.
    counter
        Its counter; "" where nothing is counted.
    roms
        Tables of divisors that differ, and of what is added with them.
    """

    bits: int
    origin: str
    origin_bits: int
    multiplier: str
    multiplier_rom: Rom | None
    product_bits: int
    up: int
    up_rom: Rom | None
    up_bits: int
    moved_bits: int
    constant: str
    based_bits: int
    places: int
    divisor: Divisor | None
    rounding: str
    rounded_bits: int
    low: str
    high: str
    overflow: str
    width: int
    signed: bool
    counter: str
    roms: tuple[Rom, ...] = ()


def stage(
    site: Site,
    rescale: Rescale,
    accumulator: Interval,
    *,
    name: str = "shift",
    counter: str = "overflow",
    place: str = "",
) -> Stage:
    """Compute a stage.

    Parameters
    ----------
    accumulator
        Values that the accumulator can have; the accumulator is an fx_int as wide as they need.
    name
        Of the table of shifts, where they differ by channels.
    counter
        Which counter of the layer its overflow goes to; "" where nothing is counted.
    place
        C++ expression of the entry of the divisors, where they differ.

    Raises
    ------
    Refusal
        If it needs wider integers than targets have, or divisors that differ from place to place where there are no places.
    """
    divisors = [int(number) for number in np.asarray(rescale.divisor).reshape(-1).tolist()]
    alike = len(set(divisors)) == 1
    if not alike and not place:
        raise Refusal("divisors that differ from element to element")
    value = accumulator
    shifts = [int(places) for places in np.asarray(rescale.shift).reshape(-1).tolist()]
    shared = len(set(shifts)) == 1
    multipliers = [int(factor) for factor in np.asarray(rescale.multiplier).reshape(-1).tolist()]
    same = len(set(multipliers)) == 1
    late_origin = shared and same and rescale.origin != 0 and divisors == [1]
    origin_bits = value.bits
    if rescale.origin and not late_origin:
        value = value + Interval(-rescale.origin, -rescale.origin)
        origin_bits = value.bits
    factors = Interval(min(multipliers), max(multipliers))
    product = value * factors
    centred = value + Interval(-rescale.origin, -rescale.origin) if late_origin else value
    reach = centred * factors
    # Beyond two places more than there are bits, what is left lies within a quarter: further places change no rounding.
    limit = (reach | product).bits + 2 + max(divisors).bit_length()
    shifts = [min(places, limit) for places in shifts]
    places = max(0, *shifts)
    ups = [places - shift for shift in shifts]
    moved = (product << max(ups)) | (product << min(ups))
    constants = [rescale.zero * (divisor << places) for divisor in divisors]
    if late_origin:
        constants = [constants[0] - ((rescale.origin * multipliers[0]) << ups[0])]
    based = moved + Interval(min(constants), max(constants))
    rounded = based.rounded(places, min(divisors)) | based.rounded(places, max(divisors))
    for limit_ in (rescale.low, rescale.high):
        if limit_ is not None:
            rounded = rounded | Interval(limit_, limit_)
    output = rescale.output
    roms: list[Rom] = []
    if alike:
        divisor = Divisor.of(divisors[0], based.bits, places)
    else:
        divisor = Divisor.chosen(site, divisors, place, based.bits, places)
        roms += divisor.roms
    constant = literal(constants[0]) if constants[0] else ""
    if len(set(constants)) > 1:
        table = Rom.of(site, "zeros", np.array(constants, dtype=object))
        roms.append(table)
        constant = table.read(place)
    return Stage(
        bits=accumulator.bits,
        origin=literal(rescale.origin) if rescale.origin and not late_origin else "",
        origin_bits=origin_bits,
        multiplier=literal(multipliers[0]) if same and multipliers[0] != 1 else "",
        multiplier_rom=None
        if same
        else Rom.of(site, f"multipliers{name.removeprefix('shift')}", np.array(multipliers, dtype=object)),
        product_bits=product.bits,
        up=ups[0] if shared else 0,
        up_rom=None if shared else Rom.of(site, name, np.array(ups)),
        up_bits=max(1, max(ups).bit_length()),
        moved_bits=moved.bits,
        constant=constant,
        based_bits=based.bits,
        places=places,
        divisor=divisor,
        rounding=output.rounding.name,
        rounded_bits=rounded.bits,
        low="" if rescale.low is None else literal(rescale.low, rounded.bits),
        high="" if rescale.high is None else literal(rescale.high, rounded.bits),
        overflow=output.overflow.name,
        width=output.width,
        signed=output.signed,
        counter=f"{site.name}_{counter}" if counter else "",
        roms=tuple(roms),
    )
