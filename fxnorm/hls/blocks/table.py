"""Functions of one code, as a table of entries or as a piecewise polynomial: `kernels/table.cpp.j2`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from fxnorm.fixed.functions import DirectTable
from fxnorm.fixed.segments import SegmentTable
from fxnorm.hls.block import OVERFLOW, Block, Rom, Rows, Site
from fxnorm.hls.blocks.stage import Interval, Stage, stage
from fxnorm.kernels.stage import Rescale
from fxnorm.kernels.table import Function

PIECES: Final = (
    "piece_start",
    "piece_origin",
    "piece_mirrored",
    "piece_octave",
    "piece_block",
    "block_shift",
    "block_segment",
)
"""Fields of a `SegmentTable`, in the order of the arguments of ``fx::segment_accumulate``."""


@dataclass(frozen=True, slots=True)
class Bits:
    """A table of bits, eight a byte, the first one in the top bit."""

    name: str
    entries: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TableView:
    """What the template writes.

    Attributes
    ----------
    count
        Elements of a row.
    width, signed
        Of the input's format.
    roms
        Tables, in the order in which the primitive takes them.
    lost
        Which entries overflowed when they were made; None where none did, or for a polynomial.
    result_bits
        Width of a signed integer that holds an entry, or the polynomial.
    widths
        Of a polynomial: position, multiplicand and accumulator; None for a table of entries.
    stage
        Of a polynomial: its rounding, clamp and overflow.
    """

    count: int
    width: int
    signed: bool
    roms: tuple[Rom, ...]
    lost: Bits | None
    result_bits: int
    widths: tuple[int, int, int] | None
    stage: Stage | None


def build(site: Site) -> Block:
    """Block of a `Function`."""
    kernel = site.kernel
    assert isinstance(kernel, Function)
    table = kernel.table
    if isinstance(table, DirectTable):
        return _direct(site, table)
    return _segments(site, table)


def _direct(site: Site, table: DirectTable) -> Block:
    lost = None
    if table.overflow.any():
        lost = Bits(f"{site.name}_lost", tuple(str(byte) for byte in table.overflow_bits.tolist()))
    entries = Rom.of(site, "entries", table.entries)
    view = TableView(
        site.output.layout.row, table.input.width, table.input.signed, (entries,), lost, entries.bits, None, None
    )
    return Block(
        "table",
        f"function of one code: {len(table.entries)} entries",
        view,
        Rows(None, pipelined=True),
        (OVERFLOW,) if lost else (),
    )


def segment_roms(site: Site, table: SegmentTable, prefix: str = "") -> tuple[Rom, ...]:
    """Tables of a piecewise polynomial, in the order in which ``fx::segment_accumulate`` takes them."""
    return (
        *(Rom.of(site, prefix + name, np.asarray(getattr(table, name))) for name in PIECES),
        *coefficient_roms(site, table.coefficients, prefix),
    )


def coefficient_roms(site: Site, coefficients: np.ndarray, prefix: str = "") -> tuple[Rom, ...]:
    """One table a power, constant term first."""
    return tuple(Rom.of(site, f"{prefix}c{power}", row) for power, row in enumerate(coefficients))


def _segments(site: Site, table: SegmentTable) -> Block:
    bound = 1 << table.accumulator_bits
    rounding = Rescale(table.output, table.guard_bits, low=table.low, high=table.high, bound=bound)
    view = TableView(
        count=site.output.layout.row,
        width=table.input.width + (not table.input.signed),
        signed=table.input.signed,
        roms=segment_roms(site, table),
        lost=None,
        result_bits=table.accumulator_bits + 1,
        widths=(table.position_bits, table.multiplicand_bits, table.accumulator_bits),
        stage=stage(site, rounding, Interval(-bound, bound - 1)),
    )
    what = f"function of one code: {table.segments} polynomials of degree {table.degree}"
    return Block("table", what, view, Rows(None, pipelined=True))
