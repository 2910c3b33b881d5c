"""Real functions in float64, with a bound of the error, also next to an asymptote.

A result is a sum ``base + delta``: `base` exact, and the error of `delta` bounded.  The sum of the two need not be
formed, so that values next to an asymptote or to a fixed point (``1 - 1e-300``) can still be rounded in the right
direction.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Final, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

Floats: TypeAlias = npt.NDArray[np.float64]

RELATIVE_ERROR: Final = 2.0**-38
"""Bound of the relative error of a transcendental `Parts.delta`; 2^-50 times the largest exponent, 2^10, and 2^2."""

TINY: Final = 1e-280
"""Stands for every positive magnitude below it, so that a nonzero value never becomes 0 by underflow."""


class Parts(NamedTuple):
    """A real value ``base + delta``.

    `base` is exact.  `error` bounds the absolute error of `delta`; it is 0 only where `delta` is exact.  A magnitude of
    `delta` at or below 2^-900 has the right sign and nothing else.
    """

    base: Floats
    delta: Floats
    error: Floats


def _parts(base: Floats | float, delta: Floats, error: Floats | None = None) -> Parts:
    bound = np.abs(delta) * RELATIVE_ERROR if error is None else error
    return Parts(np.broadcast_to(np.asarray(base, dtype=np.float64), delta.shape), delta, bound)


def exactly(value: Floats) -> Parts:
    """Return values that float64 holds exactly."""
    zero = np.zeros_like(value)
    return Parts(value, zero, zero)


def _choose(condition: npt.NDArray[np.bool_], yes: Parts, no: Parts) -> Parts:
    return Parts(*(np.where(condition, a, b) for a, b in zip(yes, no, strict=True)))


def _decay(x: Floats) -> Floats:
    """e^-|x|, never 0."""
    return np.maximum(np.exp(-np.abs(x)), TINY)


def _signed_tiny(magnitude: Floats, like: Floats) -> Floats:
    """Return `magnitude` with the sign of `like`, at least `TINY` wherever `like` is not 0."""
    return np.where(like == 0, 0.0, np.copysign(np.maximum(magnitude, TINY), like))


# --- sigmoid and its relatives ---------------------------------------------------------------------------------------


def sigmoid(x: Floats) -> Parts:
    """1 / (1 + e^-x), around 1/2 for small x and around 0 or 1 elsewhere."""
    e = _decay(x)
    tail = e / (1 + e)
    far = _choose(x > 0, _parts(1.0, -tail), _parts(0.0, tail))
    return _choose(np.abs(x) < 1, _parts(0.5, 0.5 * np.tanh(0.5 * x)), far)


def tanh(x: Floats) -> Parts:
    """Hyperbolic tangent; far out its distance from ±1."""
    e = _decay(2 * x)
    tail = np.copysign(2 * e / (1 + e), x)
    return _choose(np.abs(x) < 1, _parts(0.0, np.tanh(x)), _parts(np.sign(x), -tail))


def _erfc(x: Floats) -> Floats:
    return np.fromiter(map(math.erfc, x.ravel().tolist()), np.float64, x.size).reshape(x.shape)


def erf(x: Floats) -> Parts:
    """Error function; far out its distance from ±1."""
    near = np.fromiter(map(math.erf, x.ravel().tolist()), np.float64, x.size).reshape(x.shape)
    tail = np.copysign(np.maximum(_erfc(np.abs(x)), TINY), x)
    return _choose(np.abs(x) < 0.5, _parts(0.0, near), _parts(np.sign(x), -tail))


def softplus(x: Floats) -> Parts:
    """log(1 + e^x), as max(x, 0) and the rest."""
    return _parts(np.maximum(x, 0.0), np.log1p(_decay(x)))


def softsign(x: Floats) -> Parts:
    """x / (1 + |x|); far out its distance from ±1."""
    near = _parts(0.0, x / (1 + np.abs(x)))
    return _choose(np.abs(x) < 1, near, _parts(np.sign(x), -np.copysign(1 / (1 + np.abs(x)), x)))


# --- x times a gate --------------------------------------------------------------------------------------------------


def _gated(x: Floats, open_gate: npt.NDArray[np.bool_], closing: Floats) -> Parts:
    """Return x · (1 − closing) where the gate is open, x · closing where it is shut."""
    amount = _signed_tiny(np.abs(x) * closing, x)
    return _choose(open_gate, _parts(x, -amount), _parts(0.0, amount))


def swish(x: Floats, *, alpha: float) -> Parts:
    """x · sigmoid(alpha · x)."""
    if alpha == 0:
        return exactly(x / 2)
    e = _decay(alpha * x)
    return _gated(x, alpha * x > 0, e / (1 + e))


def gelu(x: Floats) -> Parts:
    """x · Φ(x), with the normal distribution through erfc, which keeps its relative precision."""
    return _gated(x, x > 0, 0.5 * _erfc(np.abs(x) * math.sqrt(0.5)))


TANH_CUBIC: Final = Fraction(44715, 1000000)


def gelu_tanh(x: Floats) -> Parts:
    """x/2 · (1 + tanh(√(2/π) · (x + 0.044715 x³))), which is x · sigmoid of twice that argument."""
    e = _decay(2 * math.sqrt(2 / math.pi) * (x + float(TANH_CUBIC) * x * x * x))
    return _gated(x, x > 0, e / (1 + e))


def mish(x: Floats) -> Parts:
    """x · tanh(softplus(x)), in powers of e^-|x|."""
    e = _decay(x)
    shut = (e * e + 2 * e) / (e * e + 2 * e + 2)
    return _gated(x, x > 0, np.where(x > 0, 2 * e * e / (1 + 2 * e + 2 * e * e), shut))


# --- exponentials to the left of 0 -----------------------------------------------------------------------------------


def _expm1(x: Floats, scale: float, rate: float) -> Parts:
    """Scale · (e^(x / rate) − 1) for x < 0."""
    z = np.minimum(x, 0.0) / rate
    far = _parts(-scale, scale * _decay(z))
    return _choose(z > -1, _parts(0.0, scale * np.expm1(z)), far)


def elu(x: Floats, *, alpha: float) -> Parts:
    """x for x ≥ 0, alpha · (e^x − 1) below."""
    return _choose(x >= 0, exactly(x), _expm1(x, alpha, 1.0))


def celu(x: Floats, *, alpha: float) -> Parts:
    """x for x ≥ 0, alpha · (e^(x/alpha) − 1) below, for a positive alpha."""
    return _choose(x >= 0, exactly(x), _expm1(x, alpha, alpha))


def selu(x: Floats, *, alpha: float, gamma: float) -> Parts:
    """gamma · x for x ≥ 0, gamma · alpha · (e^x − 1) below."""
    scale = alpha * gamma
    left = _expm1(x, scale, 1.0)
    if Fraction(scale) != Fraction(alpha) * Fraction(gamma):
        left = _parts(0.0, left.base + left.delta)  # the product is not exact, so it must not stand in the base
    return _choose(x >= 0, _parts(0.0, gamma * x), left)


# --- exponentials, logarithms, powers --------------------------------------------------------------------------------


def exp(x: Floats) -> Parts:
    """e^x, around 1 for small x."""
    far = np.maximum(np.exp(x), TINY)
    return _choose(np.abs(x) < 0.5, _parts(1.0, np.expm1(np.clip(x, -1, 1))), _parts(0.0, far))


def _infinite(x: Floats, sign: int) -> Parts:
    return Parts(np.full_like(x, sign * math.inf), np.zeros_like(x), np.zeros_like(x))


def log(x: Floats) -> Parts:
    """Natural logarithm; −∞ for x ≤ 0."""
    positive = x > 0
    return _choose(positive, _parts(0.0, np.log(np.where(positive, x, 1.0))), _infinite(x, -1))


def sqrt(x: Floats) -> Parts:
    """Square root; 0 for x < 0."""
    return _parts(0.0, np.sqrt(np.maximum(x, 0.0)))


def reciprocal(x: Floats) -> Parts:
    """1/x; +∞ for x = 0."""
    return _choose(x == 0, _infinite(x, 1), _parts(0.0, 1 / np.where(x == 0, 1.0, x)))


def pow(x: Floats, *, exponent: float) -> Parts:
    """x^exponent; for x < 0 0 unless the exponent is an integer, for x = 0 +∞ if it is negative."""
    if exponent == 0:
        return exactly(np.ones_like(x))
    if exponent == 1:
        return exactly(x)
    defined = (x != 0) & ((x > 0) | exponent.is_integer())
    power = np.power(np.where(defined, x, 1.0), exponent)
    power = np.where(defined, np.where(power == 0, np.copysign(TINY, power), power), 0.0)
    return _choose(x == 0, _infinite(x, 1), _parts(0.0, power)) if exponent < 0 else _parts(0.0, power)


# --- straight lines --------------------------------------------------------------------------------------------------


def hard_sigmoid(x: Floats, *, alpha: float, beta: float) -> Parts:
    """alpha · x + beta, clamped to 0 … 1; the error is that of the two roundings."""
    line = alpha * x + beta
    error = (np.abs(alpha * x) + abs(beta)) * 2.0**-50
    inside = _parts(0.0, np.clip(line, 0.0, 1.0), error)
    outside = exactly((line > 0).astype(np.float64))
    return _choose((line > -error) & (line < 1 + error), inside, outside)


def hard_swish(x: Floats) -> Parts:
    """x · (x + 3) / 6 between −3 and 3, 0 below, x above."""
    inside = _parts(0.0, x * (x + 3) / 6, np.abs(x) * (np.abs(x) + 3) * 2.0**-50)
    return _choose(np.abs(x) < 3, inside, exactly(np.maximum(x, 0.0)))


def leaky_relu(x: Floats, *, alpha: float) -> Parts:
    """x for x ≥ 0, alpha · x below."""
    return _choose(x >= 0, exactly(x), _parts(0.0, alpha * x))
