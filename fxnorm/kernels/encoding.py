"""How a value's real numbers are held: its fixed-point format and its normalization."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from fxnorm.fixed import arith
from fxnorm.fixed.format import Format, Overflow, Rounding

Array = np.ndarray


@dataclass(frozen=True, slots=True)
class Encoding:
    """Format and normalization of one value: real = 2**exponent · fixed, fixed = code · 2**-F.

    Attributes
    ----------
    format
        What the hardware holds.
    exponent
        Base-2 logarithm of the scale; 0 where data is not normalized.
    """

    format: Format
    exponent: int = 0

    @property
    def lsb(self) -> int:
        """Base-2 logarithm of the real number that one code step stands for."""
        return self.exponent - self.format.fraction_bits

    @property
    def scale(self) -> float:
        """Real number that the fixed-point value 1 stands for."""
        return float(Fraction(2) ** self.exponent)

    @property
    def offset(self) -> float:
        """Real number that the fixed-point value 0 stands for."""
        return 0.0

    def encode(self, values: Array) -> Array:
        """Codes of real numbers, rounded and overflowed as the format says."""
        return arith.encode(values, self.format, self.exponent)

    def decode(self, codes: Array) -> Array:
        """Real numbers (float64) of codes."""
        return arith.decode(codes, self.format, self.exponent)

    def __str__(self) -> str:
        return f"{self.format}" if self.exponent == 0 else f"{self.format} · 2^{self.exponent}"


def fitting_exponents(low: Array, high: Array, format_: Format) -> Array:
    """Smallest powers of two by which intervals must be divided to round into a format without overflow.

    Parameters
    ----------
    low, high
        Ends of the intervals, of one shape, finite.

    Returns
    -------
    int64 of that shape; 0 for an interval that holds zero alone (any scale does), so that constants of zero stay plain.
    """
    low = np.minimum(np.asarray(low, np.float64), 0.0) if format_.signed else np.zeros(np.shape(low))
    high = np.maximum(np.asarray(high, np.float64), 0.0)
    largest = np.maximum(-low, high)
    # From below: the exponent at which the largest magnitude has its leading one where the largest code has it, then up while it overflows.
    base = max(format_.max_code, 1).bit_length() - format_.fraction_bits + 1
    exponents = np.asarray(np.where(largest > 0.0, np.frexp(largest)[1].astype(np.int64) - base, 0))
    while True:
        top = arith.round_values(high, format_.fraction_bits - exponents, format_.rounding)
        bottom = arith.round_values(low, format_.fraction_bits - exponents, format_.rounding)
        over = (top > format_.max_code) | (bottom < format_.lowest_code)
        if not over.any():
            return exponents
        exponents = exponents + over


def fitting_exponent(low: float, high: float, format_: Format) -> int:
    """Smallest power of two by which one interval must be divided; see `fitting_exponents`."""
    return int(fitting_exponents(np.array([low]), np.array([high]), format_)[0])


def encode_constant(values: Array, format_: Format, normalize: str, floor: int | None = None) -> tuple[Array, Encoding]:
    """Codes of a constant tensor under one scale, rounded to nearest even.

    Parameters
    ----------
    values
        Real numbers of any shape.
    format_
        Width and sign of the constant; its rounding and overflow modes are not used: constants are rounded to nearest even and saturate.
    normalize
        "none" leaves the scale at 1; otherwise the scale is the power of two that fits the largest magnitude.
    floor
        Smallest step (as a power of two) that is of any use; the scale grows until the step reaches it.
    """
    stored = format_.with_modes(rounding=Rounding.RND_CONV, overflow=Overflow.SAT)
    values = np.asarray(values, np.float64)
    exponent = 0
    if normalize != "none" and values.size:
        exponent = fitting_exponent(float(values.min()), float(values.max()), stored)
        if floor is not None:
            exponent = max(exponent, floor + stored.fraction_bits)
    return arith.encode(values, stored, exponent), Encoding(stored, exponent)


def encode_channels(values: Array, format_: Format, normalize: str, floor: Array | None = None) -> tuple[Array, Array]:
    """Codes of a constant whose first axis has one power-of-two scale an entry, and those exponents.

    Parameters
    ----------
    values
        Real numbers, channels first.
    format_, normalize
        As for `encode_constant`.
    floor
        Smallest exponent that a channel may have (its bias may need a coarser step than its weights do).

    Returns
    -------
    codes
        Integers of the shape of `values`.
    exponents
        int64, one a channel. A channel of zeros takes the largest exponent of the others.
    """
    stored = format_.with_modes(rounding=Rounding.RND_CONV, overflow=Overflow.SAT)
    values = np.asarray(values)
    channels = values.shape[0]
    exponents = np.zeros(channels, np.int64)
    flat = values.reshape(channels, -1)
    if normalize != "none" and values.size:
        low, high = flat.min(axis=1), flat.max(axis=1)
        exponents = fitting_exponents(low, high, stored)
        empty = (low == 0.0) & (high == 0.0)
        if empty.any() and not empty.all():
            exponents[empty] = exponents[~empty].max()
        if floor is not None:
            exponents = np.maximum(exponents, floor)
    # A few channels at a time: a dense layer may have a hundred million weights.
    codes = np.empty(flat.shape, code_dtype(stored))
    for rows in row_blocks(flat):
        codes[rows] = arith.encode(flat[rows], stored, exponents[rows, None])
    return codes.reshape(values.shape), exponents


BLOCK = 1 << 20


def row_blocks(array: Array) -> Iterator[slice]:
    """Slices of the first axis that hold about a million entries each."""
    rows = max(1, BLOCK // max(1, array[:1].size))
    return (slice(start, start + rows) for start in range(0, array.shape[0], rows))


def code_dtype(format_: Format) -> type[np.signedinteger[Any]]:
    """Smallest signed type of NumPy's that holds a format's codes: memory, not arithmetic."""
    bits = format_.width + (not format_.signed)
    return np.int8 if bits <= 8 else np.int16 if bits <= 16 else np.int32 if bits <= 32 else np.int64
