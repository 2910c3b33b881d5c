"""Functions of one variable as hardware computes them: tables of integers, decided before anything runs.

A function of a code of at most 12 bits is a `DirectTable`, one correctly rounded entry a code.  A wider one is a
`SegmentTable`, a piecewise polynomial sized from an error budget.  `build` chooses.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from fxnorm.fixed.arith import fit, overflowed
from fxnorm.fixed.format import Format, Overflow
from fxnorm.fixed.reals import INFINITE, RealFunction, check_lsb, correctly_rounded
from fxnorm.fixed.segments import Mask, SegmentTable, input_codes
from fxnorm.fixed.sizing import budget_limit, build_segments, code_errors, evidence, rounded_up, rounding_error
from fxnorm.fixed.words import Comparable, Words

DIRECT_WIDTH: Final = 12
"""Widest input of a direct table, in bits."""


@dataclass(frozen=True, eq=False)
class DirectTable(Comparable):
    """One entry a code, each correctly rounded.

    Parameters
    ----------
    function
        Name and parameters, for people.
    input_format, output_format
        Formats in the ``q`` spelling.
    input_lsb, output_lsb
        Exponents: a code n stands for ``n · 2^lsb``.
    entries
        Output codes in ascending order of the input codes: that of code n is ``entries[n − min_code]``.
    overflow_bits
        Which entries overflowed: one bit an entry, in the order of `numpy.packbits`.
    max_error_lsb
        Largest error in output LSBs against the real function, both clamped to the format's range.
    error_evidence
        How `max_error_lsb` was found.
    """

    kind: ClassVar[str] = "direct"

    function: str
    input_format: str
    output_format: str
    input_lsb: int
    output_lsb: int
    entries: Words
    overflow_bits: npt.NDArray[np.uint8]
    max_error_lsb: float
    error_evidence: str

    @cached_property
    def input(self) -> Format:
        """Input format."""
        return Format.parse(self.input_format)

    @cached_property
    def output(self) -> Format:
        """Output format, with the modes that the entries were rounded and fitted in."""
        return Format.parse(self.output_format)

    @cached_property
    def overflow(self) -> Mask:
        """Which entries overflowed."""
        return np.unpackbits(self.overflow_bits, count=len(self.entries)).astype(np.bool_)

    @property
    def rom_bits(self) -> int:
        """Bits of all entries."""
        return len(self.entries) * self.output.width

    def run(self, codes: npt.ArrayLike) -> tuple[Words, Mask]:
        """Compute the function.

        Parameters
        ----------
        codes
            Codes of the input format, of any shape.

        Returns
        -------
        codes, overflowed
            int64 codes of the output format, and where the correctly rounded result did not fit it.

        Raises
        ------
        ValueError
            If a code lies outside the input format.
        """
        x = input_codes(codes, self.input, self.function)
        index = x - self.input.min_code
        return self.entries[index], self.overflow[index]


Table: TypeAlias = DirectTable | SegmentTable
"""A function in integers."""


def build(
    function: RealFunction,
    input_format: Format,
    input_lsb: int,
    output_format: Format,
    output_lsb: int,
    *,
    budget_lsb: float = 1.0,
) -> Table:
    """Decide how a function of codes is computed.

    Parameters
    ----------
    function
        See `fxnorm.fixed.reals.real_function`.
    input_format, output_format
        Up to 32 bits each.  The output's modes are those of the final rounding and of overflow.
    input_lsb, output_lsb
        Exponents: a code n stands for ``n · 2^lsb``, with ``lsb = scale exponent − fraction bits``.
    budget_lsb
        Largest error allowed in output LSBs, above 0.5.  It compares results that are clamped to the output's range
        and is meant for rounding to nearest; TRN and TRN_ZERO, which err by up to 1 LSB themselves, get 0.5 more.

    Returns
    -------
    DirectTable or SegmentTable
        A direct table up to 12 input bits.  Infinite results, and those from 2^60 LSB on, become an end of the range
        in every overflow mode but SAT_ZERO, also with WRAP.

    Raises
    ------
    ValueError
        If a format is too wide, if the budget cannot be met within 2^16 ROM words, or if a function of more than 12
        bits leaves the range of an output that wraps.
    """
    check_lsb(input_lsb, output_lsb)
    for what, form in (("input", input_format), ("output", output_format)):
        if form.width > 32:
            raise ValueError(f"{function}: the {what} format must have at most 32 bits, not {form.width} ({form})")
    budget_limit(function, output_format, budget_lsb)
    if input_format.width > DIRECT_WIDTH:
        return build_segments(function, input_format, input_lsb, output_format, output_lsb, budget_lsb)
    codes = np.arange(input_format.min_code, input_format.max_code + 1, dtype=np.int64)
    results = correctly_rounded(function, codes, input_lsb, output_lsb, output_format.rounding)
    fitted = fit(results, output_format)
    if output_format.overflow is Overflow.WRAP:
        clamped = fit(results, output_format.with_modes(overflow=Overflow.SAT))
        fitted = np.where(np.abs(results) >= INFINITE, clamped, fitted)
    # The entries are correctly rounded, so that the measured error can exceed the mode's only by that of float64.
    error = float(code_errors(function, codes, input_lsb, results, output_format, output_lsb).max())
    return DirectTable(
        str(function),
        str(input_format),
        str(output_format),
        input_lsb,
        output_lsb,
        fitted,
        np.packbits(overflowed(results, output_format)),
        min(rounded_up(error), rounding_error(output_format.rounding)),
        evidence(len(codes)),
    )
