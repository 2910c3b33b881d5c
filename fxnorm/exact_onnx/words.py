"""Integer blocks in 64-bit operators: leading ones, shifts by numbers, products of wide words, and the tables of functions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from fxnorm.exact_onnx.numbers import Arithmetic, Inexact, Kind, Number
from fxnorm.exact_onnx.rounding import carried, divide_round, fit, floor_by, floor_by_number
from fxnorm.fixed.exponential import Exp2
from fxnorm.fixed.format import Rounding
from fxnorm.fixed.functions import DirectTable, Table
from fxnorm.fixed.roots import Reciprocal, ReciprocalRoot
from fxnorm.fixed.segments import SegmentTable
from fxnorm.fixed.words import product_split

Array = np.ndarray


def drop(ops: Arithmetic, x: Number, places: int) -> Number:
    """x >> places: the floor."""
    return floor_by(ops, x, np.asarray(1 << places, dtype=object))[0] if places else x


def low_bits(ops: Arithmetic, x: Number, bits: int) -> Number:
    """x & (2^bits - 1)."""
    return floor_by(ops, x, np.asarray(1 << bits, dtype=object))[1]


def raised(ops: Arithmetic, x: Number, places: int) -> Number:
    """x << places."""
    return ops.multiply(x, 1 << places) if places else x


def power(ops: Arithmetic, exponent: Number) -> Number:
    """2^exponent of a number from 0 to 62.

    Raises
    ------
    Inexact
        If it may be larger.
    """
    if exponent.low < 0 or exponent.high > 62:
        raise Inexact(f"a shift by {exponent.low} to {exponent.high} places does not fit 64-bit integers")
    table = np.array([1 << places for places in range(exponent.high + 1)], np.int64)
    return ops.within(ops.gather(table, exponent), 1 << exponent.low, 1 << exponent.high)


def bit_length(ops: Arithmetic, x: Number) -> Number:
    """Number of bits of integers from 0 on, by halves."""
    x = ops.words(x)
    bits = x.bound.bit_length()
    place: Number | None = None
    half = 1 << max(bits - 1, 0).bit_length()
    while half > 1:
        half //= 2
        upper = ops.compare("GreaterOrEqual", x, 1 << half)
        x = ops.within(ops.where(upper, drop(ops, x, half), x), 0, (1 << half) - 1)
        step = ops.multiply(ops.truth(upper, Kind.INT64), half)
        place = step if place is None else ops.add(place, step)
    # What is left is 0 or 1.
    last = ops.within(x, 0, 1)
    return ops.within(last if place is None else ops.add(place, last), 0, bits)


def normalized(ops: Arithmetic, n: Number, bits: int) -> tuple[Number, Number]:
    """Positive integers with their leading one at place `bits`, low bits dropped, and where it was."""
    place = ops.within(ops.subtract(bit_length(ops, n), 1), 0, n.bound.bit_length() - 1)
    up = power(ops, ops.maximum(ops.subtract(bits, place), 0))
    # Only integers below 2^(bits + 1) go to the left.
    wide = ops.multiply(ops.words(n), up, (0, max(n.high, (1 << (bits + 1)) - 1)))
    down = power(ops, ops.maximum(ops.subtract(place, bits), 0))
    return ops.within(floor_by_number(ops, wide, down)[0], 1 << bits, (1 << (bits + 1)) - 1), place


def multiply_drop(ops: Arithmetic, a: Number, b: Number, shift: int, a_bits: int, b_bits: int) -> Number:
    """floor(a · b / 2^shift) as `fxnorm.fixed.words.multiply_shift` splits it; b is not negative."""
    try:
        split = product_split(shift, a_bits, b_bits)
    except OverflowError as error:
        raise Inexact(str(error)) from error
    if not split:
        return drop(ops, ops.multiply(a, b), shift)
    high, low = drop(ops, b, split), low_bits(ops, b, split)
    carry = drop(ops, ops.multiply(a, low), split)
    return drop(ops, ops.add(ops.multiply(a, high), carry), shift - split)


def horner(
    ops: Arithmetic, coefficients: Array, segment: Number, u: Number, position_bits: int, bits: tuple[int, int]
) -> Number:
    """Polynomials: acc = c[k, segment] + floor(acc · u / 2^position_bits), k descending; bits of multiplied and of all accumulators."""
    multiplicand, accumulator = bits
    total = ops.gather(coefficients[-1], segment)
    for row in coefficients[-2::-1]:
        held = ops.within(total, -(1 << multiplicand), 1 << multiplicand)
        product = multiply_drop(ops, held, u, position_bits, multiplicand, position_bits)
        total = ops.within(ops.add(ops.gather(row, segment), product), -(1 << accumulator), 1 << accumulator)
    return total


def reciprocal(ops: Arithmetic, block: Reciprocal, n: Number) -> tuple[Number, Number]:
    """Mantissa and exponent of 1/n; see `fxnorm.fixed.roots`."""
    index_bits, slope_bits, start_bits, position_bits, inner_bits = block.constants
    m, place = normalized(ops, n, position_bits)
    index, t = _address(ops, m, index_bits, slope_bits, position_bits)
    r0 = _start(ops, block, index, t, slope_bits)
    cut = position_bits + start_bits - inner_bits
    p = multiply_drop(ops, m, r0, cut, position_bits + 1, start_bits + 1)
    return _mantissa(ops, r0, p, start_bits, start_bits, inner_bits, block.bits), ops.add(place, block.bits)


def reciprocal_root(ops: Arithmetic, block: ReciprocalRoot, n: Number) -> tuple[Number, Number]:
    """Mantissa and exponent of 1/√n."""
    index_bits, slope_bits, start_bits, position_bits, inner_bits = block.constants
    m, place = normalized(ops, n, position_bits)
    half, odd, _ = floor_by(ops, place, np.asarray(2, dtype=object))
    index, t = _address(ops, m, index_bits, slope_bits, position_bits)
    index = ops.add(ops.multiply(odd, 1 << index_bits), index)
    r0 = _start(ops, block, index, t, slope_bits)
    u = ops.multiply(m, ops.add(odd, 1))
    root = multiply_drop(ops, u, r0, position_bits + start_bits - inner_bits, position_bits + 2, start_bits + 1)
    p = multiply_drop(ops, root, r0, start_bits, inner_bits + 2, start_bits + 1)
    return _mantissa(ops, r0, p, start_bits, start_bits + 1, inner_bits, block.bits), ops.add(half, block.bits)


def _address(ops: Arithmetic, m: Number, index_bits: int, slope_bits: int, position_bits: int) -> tuple[Number, Number]:
    inside = ops.within(ops.subtract(m, 1 << position_bits), 0, (1 << position_bits) - 1)
    fraction = drop(ops, inside, position_bits - index_bits - slope_bits)
    index, t, _ = floor_by(ops, fraction, np.asarray(1 << slope_bits, dtype=object))
    return index, t


def _start(ops: Arithmetic, block: Reciprocal | ReciprocalRoot, index: Number, t: Number, slope_bits: int) -> Number:
    fall = drop(ops, ops.multiply(ops.gather(block.slopes, index), t), slope_bits)
    return ops.within(ops.subtract(ops.gather(block.intercepts, index), fall), 0, 1 << (block.constants.start_bits + 1))


def _mantissa(
    ops: Arithmetic, r0: Number, p: Number, start_bits: int, shift: int, inner_bits: int, bits: int
) -> Number:
    """The Newton step, rounded half up."""
    # The start is good to 2^-(bits / 2 + 2), and the root squares it: so little is left to mend.
    rest = 1 << (inner_bits - bits // 2)
    missing = ops.within(ops.subtract(1 << inner_bits, p), -rest, rest)
    step = drop(ops, ops.multiply(r0, missing), shift)
    r1 = ops.add(raised(ops, r0, inner_bits - start_bits), step)
    cut = inner_bits - bits
    rounded = drop(ops, ops.add(r1, 1 << (cut - 1)), cut)
    return ops.within(ops.minimum(rounded, (1 << bits) - 1), 0, (1 << bits) - 1)


def exp2(ops: Arithmetic, block: Exp2, fraction: Number) -> Number:
    """2^-f mantissas; see `fxnorm.fixed.exponential`."""
    inside = block.bits - block.segment_bits
    segment = drop(ops, ops.words(fraction), inside)
    u = drop(ops, low_bits(ops, fraction, inside), inside - block.position_bits)
    bits = block.multiplicand_bits, block.accumulator_bits
    accumulator = horner(ops, block.coefficients, segment, u, block.position_bits, bits)
    rounded = drop(ops, ops.add(accumulator, 1 << (block.guard_bits - 1)), block.guard_bits)
    return ops.within(ops.minimum(rounded, (1 << block.bits) - 1), 0, (1 << block.bits) - 1)


def table(ops: Arithmetic, block: Table, x: Number) -> Number:
    """A function of a code; see `fxnorm.fixed.functions`."""
    if isinstance(block, DirectTable):
        lowest = block.input.min_code
        index = ops.subtract(x, lowest) if lowest else x
        found = ops.gather(block.entries, index, Kind.FLOAT32)
        inside = block.entries[max(x.low - lowest, 0) : x.high - lowest + 1]
        return ops.within(found, int(inside.min()), int(inside.max()))
    accumulator = _segments(ops, block, ops.words(x))
    y = divide_round(ops, accumulator, np.asarray(1 << block.guard_bits, dtype=object), block.output.rounding)
    return ops.compact(fit(ops, ops.clip(y, block.low, block.high), block.output))


def _segments(ops: Arithmetic, block: SegmentTable, x: Number) -> Number:
    """The polynomials' values before they are rounded."""
    piece = _piece(ops, x, block.piece_start)
    distance = ops.subtract(x, ops.gather(block.piece_origin, piece))
    if block.piece_mirrored.any():
        mirrored = ops.multiply(ops.gather(block.piece_mirrored, piece), 2)
        distance = ops.multiply(distance, ops.subtract(1, mirrored))
    width = block.input.width
    distance = ops.within(distance, 0, (1 << width) - 1)
    where = ops.gather(block.piece_block, piece)
    if block.piece_octave.any():
        length = ops.multiply(bit_length(ops, distance), ops.gather(block.piece_octave, piece))
        # The leading one, or nothing where there is none.
        leading = ops.gather(np.array([0, *(1 << n for n in range(width + 1))], np.int64), length)
        distance = ops.within(ops.subtract(distance, leading), 0, (1 << width) - 1)
        where = ops.add(where, length)
    where = ops.within(where, 0, len(block.block_shift) - 1)
    size = power(ops, ops.gather(block.block_shift, where))
    step, inside = floor_by_number(ops, distance, size)
    segment = ops.add(ops.gather(block.block_segment, where), step)
    segment = ops.within(segment, 0, block.segments - 1)
    bits = block.position_bits
    # Scaled from as many bits as a position has in its block, low ones dropped.
    up = np.maximum(bits - block.block_shift, 0)
    down = np.maximum(block.block_shift - bits, 0)
    u = ops.within(inside, 0, (1 << int(block.block_shift.max())) - 1)
    if up.any():
        u = ops.multiply(u, power(ops, ops.gather(up, where)), (0, (1 << max(bits, int(block.block_shift.max()))) - 1))
    if down.any():
        u, _ = floor_by_number(ops, u, power(ops, ops.gather(down, where)))
    u = ops.within(u, 0, (1 << bits) - 1)
    return horner(ops, block.coefficients, segment, u, bits, (block.multiplicand_bits, block.accumulator_bits))


def _piece(ops: Arithmetic, x: Number, starts: Array) -> Number:
    """Number of the last piece that starts at a code or before it."""
    if len(starts) == 1:
        return ops.multiply(x, 0)
    last = ops.move("Unsqueeze", x, ops.shape([-1]))
    reached = ops.compare("GreaterOrEqual", last, ops.constant(starts[1:], Kind.INT64))
    return ops.total(ops.truth(reached, Kind.INT64), [-1], len(starts) - 1, keep=False)


def shift_round(ops: Arithmetic, x: Number, shift: Number, rounding: Rounding, bound: int) -> Number:
    """x / 2^shift, rounded, for shifts that differ from number to number; negative ones go to the left.

    Parameters
    ----------
    bound
        Largest magnitude of the result.
    """
    if shift.low < 0:
        up = power(ops, ops.maximum(ops.negate(shift), 0))
        x = ops.multiply(ops.words(x), up, (-max(bound, x.bound) if x.low < 0 else 0, max(bound, x.bound)))
    if shift.high <= 0:
        return ops.within(x, -bound, bound)
    # Further shifts leave what this one does: fewer bits than half a unit.
    down = power(ops, ops.minimum(ops.maximum(shift, 0), min(62, x.bound.bit_length() + 2)))
    floor, rest = floor_by_number(ops, x, down)
    return ops.within(carried(ops, floor, rest, down, x, rounding), -bound, bound)


def sticky(ops: Arithmetic, floor: Number, rests: Sequence[Number]) -> Number:
    """Floors whose lowest bit is set where any of the remainders is not zero."""
    lost = ops.compare("Greater", rests[0], 0)
    for rest in rests[1:]:
        lost = ops.graph.op("Or", lost, ops.compare("Greater", rest, 0))
    even = floor_by(ops, floor, np.asarray(2, dtype=object))[1]
    missing = ops.subtract(1, even)
    set_ = ops.multiply(ops.truth(lost, floor.kind), missing)
    return replace(ops.add(floor, set_), low=floor.low, high=floor.high + 1)
