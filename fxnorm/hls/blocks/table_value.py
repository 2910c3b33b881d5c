"""A function of a mantissa inside of a kernel, with nothing counted: `kernels/table_value.j2`.

A mantissa is an unsigned code whose top bit is set, so that a table of entries needs the upper half of them alone.
"""

from __future__ import annotations

from dataclasses import dataclass

from fxnorm.fixed.functions import DirectTable, Table
from fxnorm.hls.block import Rom, Site, literal
from fxnorm.hls.blocks.stage import Interval
from fxnorm.hls.blocks.table import segment_roms


@dataclass(frozen=True, slots=True)
class Polynomial:
    """A piecewise polynomial, from the accumulator to the code.

    Attributes
    ----------
    type
        Name of its widths' type.
    widths
        Arguments of ``fx::segment_widths``.
    code_bits, accumulator_bits
        Widths of signed integers that hold the mantissa, and the polynomial.
    rounding, guard_bits, rounded_bits, low, high
        What is taken off it, the width then, and the clamp.
    overflow
        Mode of the result's format.
    """

    type: str
    widths: tuple[int, int, int]
    code_bits: int
    accumulator_bits: int
    rounding: str
    guard_bits: int
    rounded_bits: int
    low: str
    high: str
    overflow: str


@dataclass(frozen=True, slots=True)
class TableValue:
    """What the template writes.

    Attributes
    ----------
    bits, result_signed
        Of the result's format.
    roms
        Tables, in the order in which the primitive takes them.
    index_bits
        Bits of the mantissa behind its top one, which find an entry.
    polynomial
        None for a table of entries.
    """

    bits: int
    result_signed: bool
    roms: tuple[Rom, ...]
    index_bits: int
    polynomial: Polynomial | None

    @property
    def codes(self) -> Interval:
        """What the result's format holds."""
        return Interval(-(1 << self.bits - 1) if self.result_signed else 0, (1 << self.bits - self.result_signed) - 1)


def table_value(site: Site, table: Table, name: str) -> TableValue:
    """View of a table.

    Parameters
    ----------
    name
        What it is, for the names of its ROMs.
    """
    source, result = table.input, table.output
    assert not source.signed
    index_bits = source.width - 1
    if isinstance(table, DirectTable):
        roms: tuple[Rom, ...] = (Rom.of(site, name, table.entries[1 << index_bits :]),)
        return TableValue(result.width, result.signed, roms, index_bits, None)
    rounded = Interval.within(1 << table.accumulator_bits).rounded(table.guard_bits) | Interval(table.low, table.high)
    polynomial = Polynomial(
        type=f"{site.name}_{name}",
        widths=(table.position_bits, table.multiplicand_bits, table.accumulator_bits),
        code_bits=source.width + 1,
        accumulator_bits=table.accumulator_bits + 1,
        rounding=result.rounding.name,
        guard_bits=table.guard_bits,
        rounded_bits=rounded.bits,
        low=literal(table.low, rounded.bits),
        high=literal(table.high, rounded.bits),
        overflow=result.overflow.name,
    )
    roms = segment_roms(site, table, f"{name}_")
    return TableValue(result.width, result.signed, roms, index_bits, polynomial)
