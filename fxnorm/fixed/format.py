"""Fixed-point formats: how many bits a stored integer has, where its binary point is, how it rounds and overflows.

A *code* is the stored integer ``n``; its fixed-point *value* is ``n · 2^-F``.  The notation is ARM's: ``q5.3`` has 5
integer bits *including the sign* and 3 fraction bits, and is the same type as ``ac_fixed<8,5,true>`` and
``ap_fixed<8,5>``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Final

from fxnorm.errors import FormatError
from fxnorm.fixed.modes import Overflow, Rounding
from fxnorm.fixed.spelling import Fields, parse_fields, spell_fields

__all__ = [
    "MAX_DATA_WIDTH",
    "MAX_INTEGER_BITS",
    "MAX_WIDTH",
    "Format",
    "Overflow",
    "Rounding",
    "difference_format",
    "negate_format",
    "product_format",
    "shift_format",
    "sum_format",
]

MAX_DATA_WIDTH: Final = 32
"""Widest format that data, weights and tables may have, in bits."""

MAX_WIDTH: Final = 1024
"""Widest format at all, in bits: the limit of ``ap_fixed`` as it is delivered."""

MAX_INTEGER_BITS: Final = 4096
"""Largest magnitude of the integer bits: beyond it a format is a mistake, not a design."""


@dataclass(frozen=True, slots=True)
class Format:
    """A fixed-point type.

    Parameters
    ----------
    width
        Bits of the stored integer, W, 1 to 1024.
    integer_bits
        Bits before the binary point including the sign, I.  Negative if all bits lie below 2^-1, larger than the
        width if the step is larger than 1.
    signed
        Two's complement, or unsigned.
    rounding, overflow
        What a conversion *into* this format does.

    Raises
    ------
    FormatError
        If the width or the integer bits are out of range, or a mode is unknown.
    """

    width: int
    integer_bits: int
    signed: bool = True
    rounding: Rounding = Rounding.RND
    overflow: Overflow = Overflow.SAT

    def __post_init__(self) -> None:
        if not 1 <= self.width <= MAX_WIDTH:
            raise FormatError(
                f"format: the width must be 1 to {MAX_WIDTH} bits, not {self.width}; "
                "integer and fraction bits together must give at least one bit"
            )
        if abs(self.integer_bits) > MAX_INTEGER_BITS:
            raise FormatError(
                f"format: the integer bits must lie within ±{MAX_INTEGER_BITS}, not {self.integer_bits}; "
                "scale the data instead"
            )
        # Plain strings from files are accepted, so that equal formats are equal whatever they were made from.
        try:
            object.__setattr__(self, "rounding", Rounding(self.rounding))
            object.__setattr__(self, "overflow", Overflow(self.overflow))
        except ValueError as error:
            raise FormatError(f"format: the modes must be known ones; {error}") from None

    @property
    def fraction_bits(self) -> int:
        """Bits after the binary point, F = W - I; negative if the step is larger than 1."""
        return self.width - self.integer_bits

    @property
    def min_code(self) -> int:
        """Lowest integer that the bits can express."""
        return -(1 << (self.width - 1)) if self.signed else 0

    @property
    def max_code(self) -> int:
        """Highest integer that the bits can express."""
        return (1 << (self.width - self.signed)) - 1

    @property
    def lowest_code(self) -> int:
        """Lowest code that a conversion into this format leaves.

        That is `min_code`, but for a signed SAT_SYM of two or more bits, where it is ``-max_code``.  With one bit
        SAT_SYM keeps -1: the vendor headers do (they set the last bit of the lowest code, which is set already).
        """
        if self.signed and self.overflow is Overflow.SAT_SYM and self.width > 1:
            return -self.max_code
        return self.min_code

    @property
    def step(self) -> Fraction:
        """Value of one LSB, 2^-F."""
        return Fraction(2) ** -self.fraction_bits

    @property
    def min_value(self) -> Fraction:
        """Value of `min_code`."""
        return self.min_code * self.step

    @property
    def max_value(self) -> Fraction:
        """Value of `max_code`."""
        return self.max_code * self.step

    def with_modes(self, rounding: Rounding | None = None, overflow: Overflow | None = None) -> Format:
        """Return the same bits with other modes; None keeps a mode."""
        return replace(
            self,
            rounding=self.rounding if rounding is None else rounding,
            overflow=self.overflow if overflow is None else overflow,
        )

    def describe(self) -> str:
        """Return width, integer bits and fraction bits: ``W=8 I=5 F=3``."""
        return f"W={self.width} I={self.integer_bits} F={self.fraction_bits}"

    @classmethod
    def parse(
        cls,
        text: str,
        *,
        rounding: Rounding | None = None,
        overflow: Overflow | None = None,
        max_width: int = MAX_DATA_WIDTH,
    ) -> Format:
        """Read a format in any of its spellings; see `fxnorm.fixed.spelling`.

        Parameters
        ----------
        text
            For instance ``q5.3``, ``uq5.3:trn,wrap``, ``ti:q4.3``, ``ac_fixed<8,5,true,AC_RND,AC_SAT>``,
            ``ap_ufixed<8,5>``, ``fxp-s8/3``.
        rounding, overflow
            Modes of a ``q``, ``ti:`` or ``fxp-`` spelling that names none; by default RND and SAT.  A vendor
            spelling without modes has the vendor's own, TRN and WRAP, whatever is given here.
        max_width
            Widest format accepted; accumulators may be wider than data.

        Raises
        ------
        FormatError
            If the text cannot be read, or if the format is wider than `max_width`.
        """
        fields = parse_fields(text, rounding=rounding, overflow=overflow)
        if not 1 <= fields.width <= max_width:
            remedy = "use fewer" if fields.width > max_width else "give it at least one"
            raise FormatError(f"format {text!r}: the width must be 1 to {max_width} bits, not {fields.width}; {remedy}")
        try:
            return cls(*fields)
        except FormatError as error:
            raise FormatError(f"format {text!r}: {str(error).removeprefix('format: ')}") from None

    def spell(self, language: str) -> str:
        """Write the format in a language: ``q``, ``ti``, ``ac``, ``ap`` or ``fxpmath``.

        Raises
        ------
        FormatError
            If the language has no word for the rounding or the overflow mode, which the message names.
        """
        fields = Fields(self.width, self.integer_bits, self.signed, self.rounding, self.overflow)
        return spell_fields(fields, language)

    def __str__(self) -> str:
        return self.spell("q")


def sum_format(a: Format, b: Format) -> Format:
    """Return the type of ``a + b``, which holds every sum exactly (``ac_fixed::rt::plus``)."""
    return _aligned(a, b, signed=a.signed or b.signed)


def difference_format(a: Format, b: Format) -> Format:
    """Return the type of ``a - b``, always signed, which holds every difference exactly (``ac_fixed::rt::minus``)."""
    return _aligned(a, b, signed=True)


def product_format(a: Format, b: Format) -> Format:
    """Return the type of ``a * b``, which holds every product exactly (``ac_fixed::rt::mult``)."""
    return _exact(a.width + b.width, a.integer_bits + b.integer_bits, a.signed or b.signed)


def negate_format(a: Format) -> Format:
    """Return the type of ``-a``, always signed (``ac_fixed::rt_unary::neg``)."""
    return _exact(a.width + 1, a.integer_bits + 1, True)


def shift_format(a: Format, n: int) -> Format:
    """Return the type of ``a · 2^n``, with the code of ``a`` unchanged: only the binary point moves.

    Neither vendor type does this: ``<<`` and ``>>`` of ``ac_fixed`` and ``ap_fixed`` keep the operand's type and drop
    the bits that leave it, without rounding or saturation.  This is what such a shift gives on an operand that was
    first widened so that nothing is dropped.

    Parameters
    ----------
    a
        Format of the operand.
    n
        Bits to shift left; negative shifts right.
    """
    return _exact(a.width, a.integer_bits + n, a.signed)


def _aligned(a: Format, b: Format, *, signed: bool) -> Format:
    # An unsigned operand needs one more integer bit once the other one brings a sign.
    integer_bits = 1 + max(
        a.integer_bits + (b.signed and not a.signed),
        b.integer_bits + (a.signed and not b.signed),
    )
    return _exact(integer_bits + max(a.fraction_bits, b.fraction_bits), integer_bits, signed)


def _exact(width: int, integer_bits: int, signed: bool) -> Format:
    return Format(width, integer_bits, signed, Rounding.TRN, Overflow.WRAP)
