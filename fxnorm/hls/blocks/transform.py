"""Logarithms, roots and powers of float32 words: `kernels/log_transform.cpp.j2`, `kernels/power_transform.cpp.j2`.

A word comes as an unsigned integer of 32 bits. Its sign is not read: what a sample may hold is positive, or the zero with a sign.
"""

from __future__ import annotations

from dataclasses import dataclass

from fxnorm.hls.block import Block, Rom, Rows, Site, literal
from fxnorm.hls.blocks.stage import Interval, Stage, stage
from fxnorm.hls.blocks.table import coefficient_roms
from fxnorm.hls.blocks.table_value import TableValue, table_value
from fxnorm.kernels.leading_one import FRACTION, Line
from fxnorm.kernels.transform import LogTransform, PowerTransform


@dataclass(frozen=True, slots=True)
class LineView:
    """t = e · octave + ln(m) · slope.

    Attributes
    ----------
    drop, mantissa_bits
        Places that m is cut by for the table, and the width of an unsigned integer that holds it then.
    logarithm
        ln m.
    octave, slope, bits
        Integers as C++, and the width of t.
    """

    drop: int
    mantissa_bits: int
    logarithm: TableValue
    octave: str
    slope: str
    bits: int

    @classmethod
    def of(cls, site: Site, line: Line) -> LineView:
        """View of a line."""
        return cls(
            FRACTION - line.places,
            line.places + 1,
            table_value(site, line.table, "logarithm"),
            literal(line.octave),
            literal(line.slope),
            Interval.within(line.bound).bits,
        )


@dataclass(frozen=True, slots=True)
class LogView:
    """What the template writes.

    Attributes
    ----------
    count
        Elements of a row.
    line
        The logarithm.
    stage
        Rescale of it.
    """

    count: int
    line: LineView
    stage: Stage


@dataclass(frozen=True, slots=True)
class PowerView:
    """What the template writes.

    Attributes
    ----------
    count, line
        As in `LogView`; t is the logarithm of the power to the base 2.
    shift, bits, cut_bits
        Places that t is cut by, its fraction bits then, and the width of its negative.
    widths, roms
        Of 2**-f: arguments of ``fx::exp2_widths``, and its tables.
    low, high
        Powers of two between which results are computed.
    places, most
        Places that a result is moved to the left, as C++ of its power of two, and the most of them.
    accumulator_bits
        Width of the result.
    stage
        Rescale of it.
    """

    count: int
    line: LineView
    shift: int
    bits: int
    cut_bits: int
    widths: tuple[int, ...]
    roms: tuple[Rom, ...]
    low: int
    high: int
    places: str
    most: int
    accumulator_bits: int
    stage: Stage


def build_log(site: Site) -> Block:
    """Block of a `LogTransform`."""
    kernel = site.kernel
    assert isinstance(kernel, LogTransform)
    line = LineView.of(site, kernel.line)
    view = LogView(site.output.layout.row, line, stage(site, kernel.stage, Interval.within(kernel.line.bound)))
    return Block("log_transform", f"{kernel.function} of float32 words", view, Rows(None))


def build_power(site: Site) -> Block:
    """Block of a `PowerTransform`."""
    kernel = site.kernel
    assert isinstance(kernel, PowerTransform)
    table = kernel.exponential
    below = kernel.low - 2
    most = kernel.high - below
    result = Interval(0, 1 << table.bits + most)
    view = PowerView(
        count=site.output.layout.row,
        line=LineView.of(site, kernel.line),
        shift=kernel.shift,
        bits=table.bits,
        cut_bits=(Interval.within(kernel.line.bound).rounded(kernel.shift) | Interval(0, 1 << table.bits)).bits,
        widths=(
            table.bits,
            table.segment_bits,
            table.position_bits,
            table.guard_bits,
            table.multiplicand_bits,
            table.accumulator_bits,
        ),
        roms=coefficient_roms(site, table.coefficients, "exp2_"),
        low=kernel.low,
        high=kernel.high,
        places=f"whole {'-' if below >= 0 else '+'} {abs(below)}",
        most=most,
        accumulator_bits=result.bits,
        stage=stage(site, kernel.stage, result),
    )
    return Block("power_transform", f"{kernel.function} of float32 words", view, Rows(None))
