"""Rounding, overflow and the meaning of codes, in fractions."""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import product

import numpy as np

HALF = Fraction(1, 2)
ROUNDINGS = ("trn", "trn_zero", "rnd", "rnd_zero", "rnd_inf", "rnd_min_inf", "rnd_conv", "rnd_conv_odd")
OVERFLOWS = ("wrap", "sat", "sat_zero", "sat_sym")


def power(exponent):
    """2**exponent, exactly."""
    return Fraction(2) ** int(exponent)


def rounded(value, mode):
    """Round a real number to an integer, by what the modes mean: toward where, and what happens to ties."""
    mode = str(mode)
    if mode == "trn":
        return math.floor(value)
    if mode == "trn_zero":
        return math.trunc(value)
    below, above = math.floor(value), math.ceil(value)
    if value - below != above - value:
        return below if value - below < above - value else above
    if below == above:
        return below
    toward_zero, away = (below, above) if value > 0 else (above, below)
    even, odd = (below, above) if below % 2 == 0 else (above, below)
    return {
        "rnd": above,
        "rnd_min_inf": below,
        "rnd_zero": toward_zero,
        "rnd_inf": away,
        "rnd_conv": even,
        "rnd_conv_odd": odd,
    }[mode]


def limits(format_):
    """Lowest and highest code that a conversion into a format leaves."""
    if not format_.signed:
        return 0, 2**format_.width - 1
    high = 2 ** (format_.width - 1) - 1
    return (-high if format_.overflow == "sat_sym" and format_.width > 1 else -high - 1), high


def fitted(code, format_):
    """Code brought into the range of a format, and whether that changed it."""
    low, high = limits(format_)
    if low <= code <= high:
        return code, False
    match str(format_.overflow):
        case "sat_zero":
            return 0, True
        case "wrap":
            code %= 2**format_.width
            return (code - 2**format_.width if format_.signed and code > high else code), True
    return (low if code < low else high), True


def quantized(value, format_, lsb=None):
    """Code of a real number in a format whose step stands for 2**lsb (by default its own step), and whether it overflowed."""
    step = power(-format_.fraction_bits if lsb is None else lsb)
    return fitted(rounded(value / step, format_.rounding), format_)


def each(shape):
    """Every index of a shape."""
    return product(*(range(n) for n in shape))


def box(array):
    """An integer array as Python integers."""
    array = np.asarray(array)
    held = np.empty(array.shape, dtype=object)
    for index in each(array.shape):
        held[index] = int(array[index])
    return held


def mapped(function, *arrays):
    """An object array of results, element by element, of arrays that broadcast."""
    arrays = np.broadcast_arrays(*(np.asarray(array, dtype=object) for array in arrays))
    out = np.empty(arrays[0].shape, dtype=object)
    for index in each(out.shape):
        out[index] = function(*(array[index] for array in arrays))
    return out


def same(got, wanted):
    """Whether two integer arrays have one shape and equal entries, whatever their dtypes."""
    got, wanted = np.asarray(got), np.asarray(wanted)
    return got.shape == wanted.shape and all(int(got[index]) == int(wanted[index]) for index in each(got.shape))


def fitting_exponent(low, high, format_):
    """Smallest exponent e such that low/2**e and high/2**e round into a format; found by walking down from a large one."""
    low, high = (Fraction(low) if format_.signed else Fraction(0)), Fraction(max(high, 0))
    low = min(low, Fraction(0))
    if low == high == 0:
        return 0

    def fits(e):
        return not any(quantized(end, format_, e - format_.fraction_bits)[1] for end in (low, high))

    e = 2000
    while fits(e - 64):
        e -= 64
    while fits(e - 1):
        e -= 1
    return e
