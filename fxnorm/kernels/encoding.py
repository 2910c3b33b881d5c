"""How a value's real numbers are held: its fixed-point format and its normalization."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import numpy as np

from fxnorm.fixed import arith
from fxnorm.fixed.format import Format, Overflow, Rounding

Array = np.ndarray


@dataclass(frozen=True, slots=True)
class Encoding:
    """Format and normalization of one value: real = step · (code - zero), step = factor · 2**exponent · 2**-F.

    Attributes
    ----------
    format
        What the hardware holds.
    exponent
        Base-2 logarithm of the scale without its factor; 0 where data is not normalized.
    factor
        What a power of two lacks: a number in [1, 2) that float64 holds; 1 unless the normalization is affine.
    zero
        Code that stands for the number 0, of any size: data far from 0 has it outside of the format's codes. 0 unless affine.
    """

    format: Format
    exponent: int = 0
    factor: float = 1.0
    zero: int = 0

    def __post_init__(self) -> None:
        if not 1.0 <= self.factor < 2.0:
            raise ValueError(f"the factor of an encoding must lie in [1, 2), not {self.factor}")

    @property
    def plain(self) -> bool:
        """Whether the step is a power of two and code 0 stands for 0: nothing but shifts in hardware."""
        return self.factor == 1.0 and self.zero == 0

    @property
    def place(self) -> int:
        """Base-2 logarithm of the step without its factor."""
        return self.exponent - self.format.fraction_bits

    @property
    def lsb(self) -> int:
        """Base-2 logarithm of the real number that one code step stands for; there is one for plain encodings only."""
        if not self.plain:
            raise AssertionError(f"{self} has no power of two as its step; the reader cannot absorb that")
        return self.place

    @property
    def step(self) -> Fraction:
        """Real number that one code step stands for."""
        return Fraction(self.factor) * Fraction(2) ** self.place

    @property
    def scale(self) -> float:
        """Real number that the difference of 1 in fixed point stands for."""
        return float(Fraction(self.factor) * Fraction(2) ** self.exponent)

    @property
    def offset(self) -> float:
        """Real number that the fixed-point value 0 stands for."""
        return float(-self.zero * self.step) if self.zero else 0.0

    @property
    def holds_zero(self) -> bool:
        """Whether 0 is one of the numbers that the codes stand for."""
        return self.format.lowest_code <= self.zero <= self.format.max_code

    @property
    def limit(self) -> int:
        """Largest distance of a code from the code of 0."""
        return max(abs(self.format.min_code - self.zero), abs(self.format.max_code - self.zero))

    def round(self, values: Array, rounding: Rounding | None = None) -> Array:
        """Integers round(value / step + zero), exactly rounded, before any overflow is handled.

        Parameters
        ----------
        values
            Finite real numbers.
        rounding
            By default that of the format.

        Returns
        -------
        int64, or Python integers where they need more.
        """
        mode = self.format.rounding if rounding is None else rounding
        if self.plain:
            return arith.round_values(values, -self.place, mode)
        return round_quotients(values, self.step, self.zero, mode)

    def encode(self, values: Array) -> Array:
        """Codes of real numbers, rounded and overflowed as the format says."""
        if self.plain:
            return arith.encode(values, self.format, self.exponent)
        return arith.fit(self.round(values), self.format).astype(np.int64)

    def decode(self, codes: Array) -> Array:
        """Real numbers (float64) of codes."""
        if self.plain:
            return arith.decode(codes, self.format, self.exponent)
        return np.asarray(arith.decode(np.asarray(codes) - self.zero, -self.place) * self.factor)

    def __str__(self) -> str:
        if self.plain:
            return f"{self.format}" if self.exponent == 0 else f"{self.format} · 2^{self.exponent}"
        return f"{self.format} · {self.scale:g} + {self.offset:g}"


# Quotients closer to a half-integer than this are decided in integers; the others float64 tells apart up to 2**40.
_DOUBT = 2.0**-10
_SURE = 2.0**40


def round_quotients(values: Array, step: Fraction, zero: int, rounding: Rounding) -> Array:
    """Integers round(value / step + zero), exactly rounded.

    Parameters
    ----------
    values
        Finite real numbers, float32 or float64.
    step
        Any positive number.
    zero
        Any integer.

    Returns
    -------
    int64, or Python integers where they need more.
    """
    real = np.asarray(values, np.float64)
    if not np.isfinite(real).all():
        raise ValueError("values must be finite")
    flat = real.reshape(-1)
    moderate = abs(zero) < 1 << 59 and abs(step.numerator.bit_length() - step.denominator.bit_length()) < 1000
    with np.errstate(over="ignore", under="ignore"):
        quotient = flat / float(step) if moderate else np.zeros(flat.shape)
    sure = (np.abs(quotient) < _SURE) & moderate
    quotient = np.where(sure, quotient, 0.0)
    doubled = 2.0 * quotient
    sure &= np.abs(doubled - np.rint(doubled)) > 2.0 * _DOUBT
    floor = np.floor(quotient)
    # Two more bits say what the modes ask for: below or above one half, and never on it.
    quarters = (floor.astype(np.int64) + (zero if moderate else 0)) * 4 + np.where(quotient - floor < 0.5, 1, 3)
    codes = arith.shift_round(quarters, 2, rounding)
    doubtful = np.flatnonzero(~sure)
    if doubtful.size:
        distinct, places = np.unique(flat[doubtful], return_inverse=True)
        exact = _round_exactly(distinct, step, zero, rounding)
        if exact.dtype == object:
            codes = codes.astype(object)
        codes[doubtful] = exact[places.reshape(-1)]
    return codes.reshape(real.shape)


def _round_exactly(values: Array, step: Fraction, zero: int, rounding: Rounding) -> Array:
    quotients = [Fraction(float(value)) / step + zero for value in values]
    numerators = np.array([quotient.numerator for quotient in quotients], dtype=object)
    denominators = np.array([quotient.denominator for quotient in quotients], dtype=object)
    codes = arith.divide_round(numerators, denominators, rounding)
    return codes.astype(arith.int_dtype(max(abs(int(code)) for code in codes)))


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
    values = np.asarray(values)
    exponents = channel_exponents(values, format_, normalize, floor)
    return channel_codes(values, format_, exponents), exponents


def channel_exponents(values: Array, format_: Format, normalize: str, floor: Array | None = None) -> Array:
    """Powers of two by which the channels of a constant are divided, int64; see `encode_channels`."""
    stored = format_.with_modes(rounding=Rounding.RND_CONV, overflow=Overflow.SAT)
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
    return exponents


def channel_codes(values: Array, format_: Format, exponents: Array) -> Array:
    """Codes of a constant whose channels are divided by these powers of two; see `encode_channels`."""
    stored = format_.with_modes(rounding=Rounding.RND_CONV, overflow=Overflow.SAT)
    flat = values.reshape(values.shape[0], -1)
    # A few channels at a time: a dense layer may have a hundred million weights.
    codes = np.empty(flat.shape, code_dtype(stored))
    for rows in row_blocks(flat):
        codes[rows] = arith.encode(flat[rows], stored, exponents[rows, None])
    return codes.reshape(values.shape)


@dataclass(eq=False)
class ChannelCodes:
    """Codes that one constant got, for the next plan that asks for the same ones: formats are swept, weights stay.

    Codes depend on the width, the sign and the step of every channel; on integer bits they do not.
    """

    kept: int = 4
    found: dict[tuple[int, bool, bytes], Array] = field(default_factory=dict)

    def encode(self, values: Array, format_: Format, normalize: str, floor: Array | None = None) -> tuple[Array, Array]:
        """What `encode_channels` gives for the one constant that this is for."""
        exponents = channel_exponents(values, format_, normalize, floor)
        steps = exponents - format_.fraction_bits
        key = (format_.width, format_.signed, steps.tobytes())
        codes = self.found.pop(key, None)
        if codes is None:
            codes = channel_codes(values, format_, exponents)
        self.found[key] = codes  # the last one used stays longest
        while len(self.found) > self.kept:
            del self.found[next(iter(self.found))]
        return codes, exponents


BLOCK = 1 << 20


def row_blocks(array: Array) -> Iterator[slice]:
    """Slices of the first axis that hold about a million entries each."""
    rows = max(1, BLOCK // max(1, array[:1].size))
    return (slice(start, start + rows) for start in range(0, array.shape[0], rows))


def code_dtype(format_: Format) -> type[np.signedinteger[Any]]:
    """Smallest signed type of NumPy's that holds a format's codes: memory, not arithmetic."""
    bits = format_.width + (not format_.signed)
    return np.int8 if bits <= 8 else np.int16 if bits <= 16 else np.int32 if bits <= 32 else np.int64
