"""The function blocks inside kernels, from their documented datapaths: exponential, reciprocal, tables. One integer at a time."""

from __future__ import annotations

from fractions import Fraction

from oracles.codes import fitted, power, rounded


def exp2(block, fraction):
    """Mantissa of 2**-(fraction / 2**bits)."""
    inside = block.bits - block.segment_bits
    segment, position = divmod(fraction, 2**inside)
    u = position // 2 ** (inside - block.position_bits)
    rows = [[int(entry) for entry in row] for row in block.coefficients]
    accumulator = rows[-1][segment]
    for row in rows[-2::-1]:
        accumulator = row[segment] + accumulator * u // 2**block.position_bits
    return min((accumulator + 2 ** (block.guard_bits - 1)) // 2**block.guard_bits, 2**block.bits - 1)


def reciprocal(block, n):
    """Mantissa and exponent of 1/n: leading one, a straight line from a table, one Newton step, rounded half up."""
    bits = block.bits
    index_bits, start_bits, position_bits, inner_bits = (bits + 3) // 4, (bits + 1) // 2 + 5, bits + 3, bits + 5
    slope_bits = start_bits - index_bits
    place = n.bit_length() - 1
    m = n * 2**position_bits // 2**place
    index, rest = divmod(m - 2**position_bits, 2 ** (position_bits - index_bits))
    t = rest // 2 ** (position_bits - index_bits - slope_bits)
    r0 = int(block.intercepts[index]) - int(block.slopes[index]) * t // 2**slope_bits
    p = m * r0 // 2 ** (position_bits + start_bits - inner_bits)
    r1 = r0 * 2 ** (inner_bits - start_bits) + r0 * (2**inner_bits - p) // 2**start_bits
    drop = inner_bits - bits
    return min((r1 + 2 ** (drop - 1)) // 2**drop, 2**bits - 1), place + bits


def table(block, code):
    """Output code of a direct or a segment table, and whether it overflowed."""
    return _direct(block, code) if block.kind == "direct" else _segments(block, code)


def _direct(block, code):
    index = code - block.input.min_code
    lost = int(block.overflow_bits[index // 8]) >> (7 - index % 8) & 1
    return int(block.entries[index]), bool(lost)


def _segments(block, code):
    piece = max(p for p, start in enumerate(block.piece_start) if start <= code)
    origin = int(block.piece_origin[piece])
    d = origin - code if block.piece_mirrored[piece] else code - origin
    b = d.bit_length() if block.piece_octave[piece] else 0
    if b:
        d -= 2 ** (b - 1)
    place = int(block.piece_block[piece]) + b
    shift = int(block.block_shift[place])
    segment = int(block.block_segment[place]) + d // 2**shift
    u = d % 2**shift * 2**block.position_bits // 2**shift
    rows = block.coefficients
    accumulator = int(rows[-1][segment])
    for row in rows[-2::-1]:
        accumulator = int(row[segment]) + accumulator * u // 2**block.position_bits
    y = rounded(Fraction(accumulator) * power(-block.guard_bits), block.output.rounding)
    return fitted(min(max(y, block.low), block.high), block.output)
