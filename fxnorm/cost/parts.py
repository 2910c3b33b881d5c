"""Parts that kernels share: the rescale stage, reciprocals and roots, exponentials, tables."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from fxnorm.cost.work import NOTHING, TABLE, Memory, Work, add, compare, multiply, shift, total
from fxnorm.fixed.exponential import Exp2
from fxnorm.fixed.format import Format, Overflow, Rounding
from fxnorm.fixed.functions import DirectTable, Table
from fxnorm.fixed.roots import Reciprocal, ReciprocalRoot
from fxnorm.fixed.segments import SegmentTable
from fxnorm.hls.block import Site, signed_bits
from fxnorm.hls.blocks.stage import Interval, stage
from fxnorm.hls.quotient import magic
from fxnorm.kernels.stage import Rescale

Array = np.ndarray


def width(bound: int) -> int:
    """Bits of a signed integer that holds magnitudes up to a bound."""
    return bound.bit_length() + 1


def held(values: Array) -> int:
    """Bits of a signed integer that holds every entry of an array."""
    return max((signed_bits(int(end)) for end in (values.min(), values.max())), default=1) if values.size else 1


def stage_work(site: Site, rescale: Rescale, accumulator: Interval) -> Work:
    """Work of a rescale stage on one accumulator, as wide as emitted code has it (`fxnorm.hls.blocks.stage`)."""
    divisor = int(np.max(rescale.divisor))
    found = stage(site, replace(rescale, divisor=divisor), accumulator)
    parts = []
    if found.origin:
        parts.append(add(found.origin_bits))
    if rescale.multiplies:
        parts.append(multiply(found.origin_bits, signed_bits(rescale.largest_multiplier)))
    if found.up_rom is not None:
        parts.append(shift(found.moved_bits, max(found.up_rom.values)))
    if found.constant:
        parts.append(add(found.based_bits))
    parts.append(_rounding(found.based_bits, found.places, divisor, found.rounded_bits, rescale.output.rounding))
    parts.append(compare(found.rounded_bits, (rescale.low is not None) + (rescale.high is not None)))
    parts.append(saturation(found.rounded_bits, rescale.output))
    return total(parts)


def _rounding(bits: int, places: int, divisor: int, rounded_bits: int, mode: Rounding) -> Work:
    """Taking places off, or a quotient: its reciprocal's product, the product back and the remainder (templates/include/fx_divide.h)."""
    carry = NOTHING if mode is Rounding.TRN else add(rounded_bits)
    if divisor & (divisor - 1) == 0:
        return carry if places or divisor > 1 else NOTHING
    quotient = max(bits - 1 - places, 1)
    denominator = divisor.bit_length() + places
    back = multiply(quotient + 1, divisor.bit_length() + 1) + add(denominator)
    return multiply(quotient + 1, magic(divisor, quotient).number.bit_length() + 1) + back + carry


def saturation(bits: int, format_: Format) -> Work:
    """Bringing an integer into a format: nothing where low bits are kept, or where all fit anyway."""
    fits = bits <= format_.width + (not format_.signed)
    return NOTHING if format_.overflow is Overflow.WRAP or fits else compare(bits)


def cast(bits: int, places: int, format_: Format) -> Work:
    """A quantization inside of a kernel: places off, and into a format."""
    carry = add(max(bits - places, 1)) if places > 0 and format_.rounding is not Rounding.TRN else NOTHING
    return carry + saturation(max(bits - places, 1) + 1, format_)


def root_work(root: Reciprocal | ReciprocalRoot, bits: int) -> tuple[Work, Memory]:
    """A reciprocal (root) of a number of some bits, and its table: leading one, straight line, Newton step (`fxnorm.fixed.roots`)."""
    index_bits, slope_bits, start_bits, position_bits, inner_bits = root.constants
    is_root = isinstance(root, ReciprocalRoot)
    mantissa = position_bits + 1 + is_root
    products = [multiply(slope_bits + 1, slope_bits + 1), multiply(mantissa + 1, start_bits + 1)]
    if is_root:
        products.append(multiply(inner_bits + 3, start_bits + 1))
    correction = inner_bits - root.bits // 2
    products.append(multiply(correction, start_bits + 1))
    sums = add(start_bits) + add(correction) + add(inner_bits + 2) + add(root.bits + 1)
    table = Memory(TABLE, (1 + is_root) << index_bits, start_bits + slope_bits)
    return total(products) + sums + shift(max(bits, position_bits + 1), max(bits, position_bits)), table


def exponential_work(own: Exp2, access: str = "copy") -> tuple[Work, Memory]:
    """2^-f and its table (`fxnorm.fixed.exponential`): Horner's rule, one rounding, one limit."""
    work = _horner(own.coefficients, own.multiplicand_bits, own.position_bits, own.accumulator_bits)
    work = work + add(own.accumulator_bits + 2 - own.guard_bits) + compare(own.bits + 2)
    return work, Memory(TABLE, own.coefficients.shape[1], sum(held(row) for row in own.coefficients), access)


def table_work(table: Table, access: str = "copy") -> tuple[Work, tuple[Memory, ...]]:
    """A function of one value (`fxnorm.fixed.functions`)."""
    if isinstance(table, DirectTable):
        return NOTHING, (Memory(TABLE, len(table.entries), table.output.width, access),)
    return _segments(table, access)


def _segments(table: SegmentTable, access: str) -> tuple[Work, tuple[Memory, ...]]:
    code = table.input.width + 1
    pieces, blocks = len(table.piece_start), len(table.block_shift)
    parts = [compare(code, pieces - 1), add(code)]
    if table.piece_octave.any():
        parts += [shift(code, code - 1), add(code)]
    if len(np.unique(table.block_shift)) > 1:
        parts.append(shift(code, int(table.block_shift.max())))
    parts.append(_horner(table.coefficients, table.multiplicand_bits, table.position_bits, table.accumulator_bits))
    if table.guard_bits > 0 and table.output.rounding is not Rounding.TRN:
        parts.append(add(table.accumulator_bits + 2 - table.guard_bits))
    result = max(table.accumulator_bits + 2 - table.guard_bits, 1)
    parts.append(compare(result, 2) + saturation(result, table.output))
    own = (
        held(table.piece_origin) + 2 + held(table.piece_block),
        held(table.block_shift) + held(table.block_segment),
        sum(table.coefficient_bits),
    )
    words = (pieces, blocks, table.segments)
    return total(parts), tuple(Memory(TABLE, count, bits, access) for count, bits in zip(words, own, strict=True))


def _horner(coefficients: Array, multiplicand_bits: int, position_bits: int, accumulator_bits: int) -> Work:
    degree = len(coefficients) - 1
    return (multiply(multiplicand_bits + 1, position_bits + 1) + add(accumulator_bits + 1)) * degree
