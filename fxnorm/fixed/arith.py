"""Exact arithmetic on codes: rounding shifts and quotients, overflow, and the way to and from real numbers.

Codes are NumPy arrays of int64, or of Python integers (``dtype=object``) where 64 bits do not suffice; see
`int_dtype`.  Results have the dtype of the codes given; arrays of narrower integers are taken as int64.  No function
here computes with rounded floating-point numbers: real numbers are taken apart into integers first.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from fxnorm.fixed.format import Format, Overflow, Rounding
from fxnorm.fixed.rounding import (
    INT64_MAX,
    INT64_MIN,
    Codes,
    Integers,
    as_codes,
    divide_round,
    int_array,
    int_dtype,
    lowest,
    shift_round,
)

__all__ = [
    "INT64_MAX",
    "INT64_MIN",
    "Codes",
    "Integers",
    "decode",
    "divide_round",
    "encode",
    "fit",
    "int_dtype",
    "overflowed",
    "requantize",
    "round_values",
    "shift_round",
]

_MANTISSA_BITS: Final = 53


def overflowed(codes: Codes, format: Format) -> npt.NDArray[np.bool_]:
    """Return where `fit` would change a code (for SAT_SYM this includes -2^(W-1))."""
    x = as_codes(codes)
    low, high = _limits(x, format)
    return np.asarray((x < low) | (x > high), dtype=np.bool_)


def fit(codes: Codes, format: Format) -> Codes:
    """Bring codes into the range of a format by its overflow mode.

    Parameters
    ----------
    codes
        Integers with the fraction bits of `format`.
    format
        Its width, sign and overflow mode are used.

    Raises
    ------
    OverflowError
        If codes are int64 but the result needs more: negative ones that wrap in an unsigned format above 63 bits.
    """
    x = as_codes(codes)
    low, high = _limits(x, format)
    if format.overflow is Overflow.SAT_ZERO:
        return np.asarray(np.where((x < low) | (x > high), 0, x), dtype=x.dtype)
    if format.overflow is not Overflow.WRAP:
        return np.asarray(np.clip(x, low, high), dtype=x.dtype)
    if x.dtype.kind != "O" and format.width >= 64:
        if not format.signed and np.any(x < 0):
            raise OverflowError(f"negative codes wrap to {format.width} bits: pass them as Python integers")
        return x
    mask = (1 << format.width) - 1
    if not format.signed:
        return np.asarray(x & mask, dtype=x.dtype)
    sign = 1 << (format.width - 1)
    return np.asarray(((x & mask) ^ sign) - sign, dtype=x.dtype)


def requantize(codes: Codes, fraction_bits: Integers, format: Format) -> Codes:
    """Convert codes with `fraction_bits` fraction bits into a format: round, then handle overflow.

    Exact for every input: a left shift that int64 cannot hold in between is done in Python integers.

    Parameters
    ----------
    codes
        Integers of any shape.
    fraction_bits
        Where their binary point is; an integer, or an array that broadcasts against them.
    format
        Where they go.

    Raises
    ------
    OverflowError
        If codes are int64 but a result needs more, which only formats of more than 63 bits can cause.
    """
    x = as_codes(codes)
    shift = fraction_bits - format.fraction_bits
    if x.dtype.kind == "O" or x.size == 0:
        return fit(shift_round(x, shift, format.rounding), format)
    left = max(0, -lowest(shift))
    if max(abs(int(x.max())), abs(int(x.min()))) << left <= INT64_MAX:
        return fit(shift_round(x, shift, format.rounding), format)
    return np.asarray(fit(shift_round(x.astype(object), shift, format.rounding), format), dtype=np.int64)


def round_values(values: npt.ArrayLike, fraction_bits: Integers, rounding: Rounding) -> Codes:
    """Return ``values · 2^fraction_bits``, exactly rounded to integers, before any overflow is handled.

    Parameters
    ----------
    values
        Real numbers of any shape: floating point up to 64 bits (each one is a dyadic rational), or integers.
    fraction_bits
        An integer, or an array that broadcasts against the values.
    rounding
        Rounding mode.

    Returns
    -------
    Codes
        int64 if all of them fit, else Python integers.

    Raises
    ------
    ValueError
        If a value is not finite.
    TypeError
        If the values are no real numbers of at most 64 bits.
    """
    array = np.asarray(values)
    if array.dtype.kind in "iubO":
        return _narrowed(shift_round(as_codes(array).astype(object), -int_array(fraction_bits), rounding))
    if array.dtype.kind != "f" or array.dtype.itemsize > 8:
        raise TypeError(f"values must be real numbers of at most 64 bits, not {array.dtype}")
    real = array.astype(np.float64)
    finite = np.isfinite(real)
    if not finite.all():
        first = np.unravel_index(int(np.argmin(finite)), real.shape)
        raise ValueError(
            f"values must be finite, but {int(real.size - finite.sum())} of {real.size} are not; "
            f"the first is {real[first]} at index {[int(i) for i in first]}"
        )
    point = int_array(fraction_bits)
    codes = _round_moderate(real, point, rounding)
    return _round_any(real, point, rounding) if codes is None else codes


def encode(values: npt.ArrayLike, format: Format, exponent: Integers = 0) -> Codes:
    """Convert real numbers to codes: ``values / 2^exponent`` in `format`.

    Parameters
    ----------
    values
        Finite real numbers; see `round_values`.
    format
        Its rounding and overflow modes are obeyed.
    exponent
        Power-of-two scale of the data, an integer or an array that broadcasts against the values.

    Returns
    -------
    Codes
        int64 if the format fits into 64 bits, else Python integers.

    Raises
    ------
    ValueError
        If a value is not finite.
    """
    codes = round_values(values, format.fraction_bits - int_array(exponent), format.rounding)
    if format.max_code > INT64_MAX:
        return fit(codes.astype(object), format)
    return fit(codes, format).astype(np.int64, copy=False)


def decode(codes: Codes, format: Format | Integers, exponent: Integers = 0) -> npt.NDArray[np.float64]:
    """Convert codes to real numbers: ``codes · 2^(exponent - F)``.

    Parameters
    ----------
    codes
        Integers of any shape.
    format
        A format, or its number of fraction bits F.
    exponent
        Power-of-two scale of the data, an integer or an array that broadcasts against the codes.

    Returns
    -------
    numpy.ndarray
        float64; exact for codes of up to 53 bits inside the normal range of float64, and otherwise rounded once to
        nearest even; beyond the range ±inf.
    """
    x = as_codes(codes)
    fraction_bits = format.fraction_bits if isinstance(format, Format) else format
    scale = int_array(exponent) - int_array(fraction_bits)
    # In this range of scales the product below is neither subnormal nor infinite, so that it rounds nothing.
    if x.dtype.kind != "O" and np.all(np.abs(scale) <= 900):
        return np.asarray(x.astype(np.float64) * np.ldexp(1.0, scale), dtype=np.float64)
    return np.asarray(_to_float(x.astype(object), scale.astype(object)), dtype=np.float64)


def _round_moderate(
    real: npt.NDArray[np.float64], fraction_bits: npt.NDArray[np.int64], rounding: Rounding
) -> Codes | None:
    """Round values whose codes stay below 2^60 through float64 and int64; None if some do not.

    Every step is exact: scaling up by a power of two (which cannot underflow), the floor, and its conversion.  Two
    bits are kept below the code, the lower one telling whether anything is left; more no rounding mode asks for.
    """
    kept = 2
    scale = fraction_bits + kept
    if not (np.all(scale >= 0) and np.all(scale <= 1000)):
        return None
    with np.errstate(over="ignore"):
        scaled = real * np.ldexp(1.0, scale)
    if not scaled.size:
        return scaled.astype(np.int64)
    if np.abs(scaled).max() >= 2.0**62:
        return None
    floor = np.floor(scaled)
    return shift_round(floor.astype(np.int64) | (floor != scaled), kept, rounding)


def _round_any(real: npt.NDArray[np.float64], fraction_bits: npt.NDArray[np.int64], rounding: Rounding) -> Codes:
    """Round any finite values: take them apart, value = mantissa · 2^(exponent - 53), and shift the mantissas."""
    fraction, exponent = np.frexp(real)
    mantissa = np.asarray((fraction * 2.0**_MANTISSA_BITS).astype(np.int64))
    shift = np.where(mantissa == 0, 0, _MANTISSA_BITS - exponent.astype(np.int64) - fraction_bits)
    # Mantissas lie below 2^53: left shifts of up to 10 bits fit.
    fits = not shift.size or int(shift.min()) >= _MANTISSA_BITS - 63
    return shift_round(mantissa if fits else mantissa.astype(object), shift, rounding)


def _limits(x: Codes, format: Format) -> tuple[int, int]:
    low, high = format.lowest_code, format.max_code
    return (low, high) if x.dtype.kind == "O" else (max(low, INT64_MIN), min(high, INT64_MAX))


def _narrowed(codes: Codes) -> Codes:
    fits = not codes.size or (codes.min() >= INT64_MIN and codes.max() <= INT64_MAX)
    return codes.astype(np.int64) if fits else codes


def _exact_float(code: int, exponent: int) -> float:
    try:
        return float(code << exponent) if exponent >= 0 else code / (1 << -exponent)
    except OverflowError:
        return float("inf") if code > 0 else float("-inf")


_to_float = np.frompyfunc(_exact_float, 2, 1)
