"""Real functions and roundings once more, written from the ONNX operator pages and the mode table alone.

Nothing here comes from fxnorm: values are mpmath numbers of hundreds of bits, or fractions where they are rational.
"""

from __future__ import annotations

import math
from fractions import Fraction

import mpmath

ONE, HALF = Fraction(1), Fraction(1, 2)


def _onnx_value(name, x, p, m):
    """Value of an operator at a dyadic x: a Fraction where it is rational by its form, else an mpmath number."""
    z = m.mpf(x.numerator) / x.denominator
    match name:
        case "identity":
            return x
        case "neg":
            return -x
        case "abs":
            return abs(x)
        case "relu":
            return max(Fraction(0), x)
        case "leaky_relu":
            return x if x >= 0 else Fraction(p["alpha"]) * x
        case "thresholded_relu":
            return x if x > Fraction(p["alpha"]) else Fraction(0)
        case "hard_sigmoid":
            return max(Fraction(0), min(ONE, Fraction(p["alpha"]) * x + Fraction(p["beta"])))
        case "hard_swish":
            return x * max(Fraction(0), min(ONE, x / 6 + HALF))
        case "softsign":
            return x / (1 + abs(x))
        case "reciprocal":
            return math.inf if x == 0 else 1 / x
        case "sigmoid":
            return 1 / (1 + m.exp(-z))
        case "tanh":
            return m.tanh(z)
        case "erf":
            return m.erf(z)
        case "softplus":
            return m.log(1 + m.exp(z))
        case "elu":
            return x if x >= 0 else p["alpha"] * (m.exp(z) - 1)
        case "celu":
            return max(0, z) + min(0, p["alpha"] * (m.exp(z / p["alpha"]) - 1))
        case "selu":
            return p["gamma"] * z if z > 0 else m.mpf(p["gamma"]) * (p["alpha"] * m.exp(z) - p["alpha"])
        case "swish":
            return z / (1 + m.exp(-p["alpha"] * z))
        case "gelu":
            return z / 2 * (1 + m.erf(z / m.sqrt(2)))
        case "gelu_tanh":
            return z / 2 * (1 + m.tanh(m.sqrt(2 / m.pi) * (z + m.mpf(44715) / 1000000 * z**3)))
        case "mish":
            return z * m.tanh(m.log(1 + m.exp(z)))
        case "exp":
            return m.exp(z)
        case "log":
            return m.log(z) if x > 0 else -math.inf
        case "sqrt":
            return m.sqrt(z) if x > 0 else Fraction(0)
        case "pow":
            exponent = p["exponent"]
            if x == 0:
                return Fraction(exponent == 0) if exponent >= 0 else math.inf
            if exponent == int(exponent):
                return x ** int(exponent)
            return m.power(z, m.mpf(exponent)) if x > 0 else Fraction(0)
    raise AssertionError(name)


def onnx_value(name, x, parameters, bits=None):
    """The real value as a Fraction, or ±inf; its error is tiny against the distance to any asymptote unless `bits` are given."""
    # That distance is e^-x² for erf, e^-(x³/14) for the approximated Gelu, and e^-10|x| or more for everything else.
    size = min(abs(x), 64)
    needed = 400 + int(24 * size + 3 * size**2) + (int(size**3 / 5) if name == "gelu_tanh" else 0)
    with mpmath.mp.workprec(bits or needed):
        value = _onnx_value(name, x, parameters, mpmath.mp)
        if isinstance(value, Fraction) or value in (math.inf, -math.inf):
            return value
        sign, mantissa, exponent, _ = mpmath.mpf(value)._mpf_
    # e^(10^9) as a fraction would not end; nothing distinguishes it here from 2^20000.
    return Fraction(-mantissa if sign else mantissa) * Fraction(2) ** min(max(exponent, -20000), 20000)


def taken_apart(value):
    """Floor, first dropped bit, OR of the other dropped bits, sign and last kept bit of a Fraction."""
    floor = math.floor(value)
    rest = value - floor
    return floor, rest >= HALF, rest not in (0, HALF), value < 0, floor % 2 == 1


def rounded(bits, mode):
    """Round what `taken_apart` returned by the table of modes."""
    floor, qb, r, s, last = bits
    return (
        floor
        + {
            "trn": False,
            "trn_zero": s and (qb or r),
            "rnd": qb,
            "rnd_zero": qb and (s or r),
            "rnd_inf": qb and (not s or r),
            "rnd_min_inf": qb and r,
            "rnd_conv": qb and (last or r),
            "rnd_conv_odd": qb and (not last or r),
        }[str(mode)]
    )


def fitted(code, width, signed, mode):
    """Handle overflow of one integer; returns the code and whether it changed."""
    low, high = (-(1 << (width - 1)), (1 << (width - 1)) - 1) if signed else (0, (1 << width) - 1)
    if mode == "sat_sym" and signed and width > 1:
        low = -high
    if low <= code <= high:
        return code, False
    if mode == "wrap":
        code %= 1 << width
        return (code - (1 << width) if signed and code >> (width - 1) else code), True
    return (0 if mode == "sat_zero" else low if code < low else high), True
