"""Piecewise polynomials of a code, in integers: what a function of a word of more than 12 bits is in hardware.

The datapath, from a code to a code, with everything decided beforehand::

    p     = last piece whose start is not above the code                        comparators
    d     = code − origin[p], or origin[p] − code where the piece is mirrored    ≥ 0
    b     = bit length of d in an octave piece, else 0                           leading-one detection
    d     = d less its leading one in an octave piece
    block = piece_block[p] + b
    s     = block_segment[block] + (d >> block_shift[block])                     the segment: one ROM address
    t     = low block_shift[block] bits of d
    u     = t, scaled from block_shift[block] bits to position_bits bits (low bits dropped, or zeros appended)
    acc   = coefficients[degree, s]
    acc   = coefficients[k, s] + floor(acc · u / 2^position_bits)                k = degree − 1 … 0
    y     = acc / 2^guard_bits, rounded in the output format's mode              the only rounding but for the floors
    y     = y clamped to [low, high]                                             the function's own range
    code  = y by the output format's overflow mode

Straight segments alone (degree 1) need too much ROM for wide words: halving the error of a straight line takes √2 times
the segments, that of a cubic ⁴√2.  So the degree is 1, 2 or 3, or 0 for steps, whichever is cheapest.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, Final

import numpy as np
import numpy.typing as npt

from fxnorm.fixed.arith import fit, overflowed
from fxnorm.fixed.format import Format
from fxnorm.fixed.rounding import shift_round
from fxnorm.fixed.words import Comparable, Words, bit_length, horner, integers, product_split

Mask = npt.NDArray[np.bool_]

_EXPANDED_WIDTH: Final = 16
_CHUNK: Final = 1 << 15  # values whose intermediate results stay in the cache: three times as fast as all at once


@dataclass(frozen=True, eq=False)
class SegmentTable(Comparable):
    """A function as a piecewise polynomial with integer coefficients; the datapath is that of this module.

    Parameters
    ----------
    function
        Name and parameters, for people.
    input_format, output_format
        Formats in the ``q`` spelling.
    input_lsb, output_lsb
        Exponents: a code n stands for ``n · 2^lsb``.
    piece_start
        First code of every piece, ascending; the first is the lowest input code.
    piece_origin
        Code from which positions are counted, a piece.
    piece_mirrored
        1 where positions grow downwards, a piece.
    piece_octave
        1 where the leading one of the position chooses the block, a piece.
    piece_block
        Block of bit length 0, a piece (for octave pieces that begin at a larger length this block does not exist).
    block_shift
        Position bits inside a segment, a block.
    block_segment
        Segment at position 0, a block (where a piece begins inside a block this segment does not exist).
    coefficients
        Integers of shape (degree + 1, segments): row k multiplies u^k, in units of ``2^-guard_bits`` output LSB.
    position_bits, guard_bits
        Fraction bits of u, and of the accumulator relative to the output's LSB.
    multiplicand_bits, accumulator_bits
        Bits of the magnitude of every accumulator that is multiplied by u, and of every accumulator, proven from the
        coefficients for any u.
    low, high
        Clamp of the result: the function's own range, at most one LSB beyond that of the format.
    max_error_lsb
        Largest error in output LSBs against the real function, both clamped to the format's range.
    error_evidence
        How `max_error_lsb` was found.
    """

    kind: ClassVar[str] = "segments"

    function: str
    input_format: str
    output_format: str
    input_lsb: int
    output_lsb: int
    piece_start: Words
    piece_origin: Words
    piece_mirrored: Words
    piece_octave: Words
    piece_block: Words
    block_shift: Words
    block_segment: Words
    coefficients: Words
    position_bits: int
    guard_bits: int
    multiplicand_bits: int
    accumulator_bits: int
    low: int
    high: int
    max_error_lsb: float
    error_evidence: str

    @cached_property
    def input(self) -> Format:
        """Input format."""
        return Format.parse(self.input_format)

    @cached_property
    def output(self) -> Format:
        """Output format, with the modes of the final rounding and of overflow."""
        return Format.parse(self.output_format)

    @property
    def degree(self) -> int:
        """Degree of the polynomials, 0 to 3."""
        return len(self.coefficients) - 1

    @property
    def segments(self) -> int:
        """Number of segments."""
        return int(self.coefficients.shape[1])

    @property
    def coefficient_bits(self) -> tuple[int, ...]:
        """Width of the ROM of every coefficient in bits, two's complement, constant term first."""
        return tuple(_signed_bits(int(row.min()), int(row.max())) for row in self.coefficients)

    @property
    def rom_bits(self) -> int:
        """Bits of all coefficients."""
        return self.segments * sum(self.coefficient_bits)

    @property
    def product_split(self) -> int:
        """Low bits of u that 64-bit words must multiply apart; 0 where every product fits into 62 bits."""
        return product_split(self.position_bits, self.multiplicand_bits, self.position_bits)

    def run(self, codes: npt.ArrayLike) -> tuple[Words, Mask]:
        """Compute the function.

        Parameters
        ----------
        codes
            Codes of the input format, of any shape.

        Returns
        -------
        codes, overflowed
            int64 codes of the output format, and where the result had to be changed to fit it.

        Raises
        ------
        ValueError
            If a code lies outside the input format.
        """
        x = input_codes(codes, self.input, self.function)
        if self.input.width <= _EXPANDED_WIDTH and x.size > 1 << self.input.width:
            result, mask = self._expanded
            return result[x - self.input.min_code], mask[x - self.input.min_code]
        if x.size <= _CHUNK:
            return self.evaluate(x)
        result, mask = np.empty(x.size, dtype=np.int64), np.empty(x.size, dtype=np.bool_)
        for begin in range(0, x.size, _CHUNK):
            here = slice(begin, begin + _CHUNK)
            result[here], mask[here] = self.evaluate(x.reshape(-1)[here])
        return result.reshape(x.shape), mask.reshape(x.shape)

    def evaluate(self, x: Words) -> tuple[Words, Mask]:
        """Compute the function by its datapath, without the checks of `run`."""
        y = np.clip(shift_round(self.accumulate(x), self.guard_bits, self.output.rounding), self.low, self.high)
        return fit(y, self.output), overflowed(y, self.output)

    def accumulate(self, x: Words) -> Words:
        """Return the polynomials' values, in ``2^-guard_bits`` output LSB, before they are rounded."""
        piece = np.searchsorted(self.piece_start, x, side="right") - 1
        distance = x - self.piece_origin[piece]
        distance = np.where(self.piece_mirrored[piece] != 0, -distance, distance)
        length = np.where(self.piece_octave[piece] != 0, bit_length(distance), 0)
        distance = np.where(length > 0, distance - (np.int64(1) << np.maximum(length - 1, 0)), distance)
        block = self.piece_block[piece] + length
        shift = self.block_shift[block]
        segment = self.block_segment[block] + (distance >> shift)
        inside = distance & ((np.int64(1) << shift) - 1)
        bits = self.position_bits
        u = (inside << np.maximum(bits - shift, 0)) >> np.maximum(shift - bits, 0)
        return horner(self.coefficients, segment, u, bits, self.multiplicand_bits)

    @cached_property
    def _expanded(self) -> tuple[Words, Mask]:
        """Results of all codes: a look-up gives the same bits faster where there are more values than codes."""
        return self.evaluate(np.arange(self.input.min_code, self.input.max_code + 1, dtype=np.int64))


def input_codes(codes: npt.ArrayLike, format: Format, function: str) -> Words:
    """Return codes as int64.

    Raises
    ------
    ValueError
        If the format does not have one of them.
    """
    x: Words = integers(codes).astype(np.int64, copy=False)
    if x.size and (x.min() < format.min_code or x.max() > format.max_code):
        raise ValueError(
            f"{function}: codes must be those of {format}, {format.min_code} to {format.max_code}, "
            f"not {x.min()} to {x.max()}"
        )
    return x


def _signed_bits(low: int, high: int) -> int:
    return max((~low if low < 0 else low).bit_length(), (~high if high < 0 else high).bit_length()) + 1
