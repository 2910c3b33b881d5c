"""What each real function is: in float64, in arbitrary precision, exactly where its value is rational, and its edges.

The meanings are those of the ONNX operators named in `DEFINITIONS`.  ONNX leaves three things to floating point that
hardware has to decide: NaN does not exist, so a point outside the domain has the value stated at the function
(``sqrt`` of a negative number is 0, ``log`` of one is −∞, a non-integer power of one is 0); there is one zero, taken
as +0, so ``1/0`` is +∞; and ±∞ is clamped to an end of the output's range by whoever stores it.

A float64 evaluation is a sum ``base + delta``: `base` exact, and the error of `delta` bounded.  The sum of the two
need not be formed, so that values next to an asymptote or to a fixed point (``1 - 1e-300``) can still be rounded in
the right direction.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from types import MappingProxyType
from typing import Any, Final, NamedTuple, TypeAlias

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


Edge: TypeAlias = tuple[Fraction, bool]
"""Where a function is not smooth: ``(v, True)`` starts a new piece at x ≥ v, ``(v, False)`` at x > v."""


@dataclass(frozen=True)
class Definition:
    """One real function.

    Parameters
    ----------
    operator
        Where ONNX defines it.
    evaluate
        float64, elementwise: ``evaluate(x, **parameters) -> Parts``.
    precise
        Any precision: ``precise(context, x, **parameters)`` with an mpmath context and its numbers.
    exact
        The value where it is known to be rational, else None.
    edges
        Edges in ascending order.
    defaults
        Parameters and their values in ONNX.
    check
        Says what is wrong with the parameters, or returns an empty string.
    """

    operator: str
    evaluate: Callable[..., Parts]
    precise: Callable[..., Any]
    exact: Callable[..., Fraction | None] = lambda x, **_: None
    edges: Callable[..., tuple[Edge, ...]] = lambda **_: ()
    defaults: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    check: Callable[..., str] = lambda **_: ""


_ZERO: Final = Fraction(0)
_AT_ZERO: Final[tuple[Edge, ...]] = ((_ZERO, True),)
_POINT_ZERO: Final[tuple[Edge, ...]] = ((_ZERO, True), (_ZERO, False))


def _parts(base: Floats | float, delta: Floats, error: Floats | None = None) -> Parts:
    bound = np.abs(delta) * RELATIVE_ERROR if error is None else error
    return Parts(np.broadcast_to(np.asarray(base, dtype=np.float64), delta.shape), delta, bound)


def _exactly(value: Floats) -> Parts:
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


def _sigmoid(x: Floats) -> Parts:
    e = _decay(x)
    tail = e / (1 + e)
    far = _choose(x > 0, _parts(1.0, -tail), _parts(0.0, tail))
    return _choose(np.abs(x) < 1, _parts(0.5, 0.5 * np.tanh(0.5 * x)), far)


def _tanh(x: Floats) -> Parts:
    e = np.maximum(_decay(2 * x), TINY)
    tail = np.copysign(2 * e / (1 + e), x)
    return _choose(np.abs(x) < 1, _parts(0.0, np.tanh(x)), _parts(np.sign(x), -tail))


def _erfc(x: Floats) -> Floats:
    return np.fromiter(map(math.erfc, x.ravel().tolist()), np.float64, x.size).reshape(x.shape)


def _erf(x: Floats) -> Parts:
    near = np.fromiter(map(math.erf, x.ravel().tolist()), np.float64, x.size).reshape(x.shape)
    tail = np.copysign(np.maximum(_erfc(np.abs(x)), TINY), x)
    return _choose(np.abs(x) < 0.5, _parts(0.0, near), _parts(np.sign(x), -tail))


def _softplus(x: Floats) -> Parts:
    return _parts(np.maximum(x, 0.0), np.log1p(_decay(x)))


def _softsign(x: Floats) -> Parts:
    near = _parts(0.0, x / (1 + np.abs(x)))
    return _choose(np.abs(x) < 1, near, _parts(np.sign(x), -np.copysign(1 / (1 + np.abs(x)), x)))


# --- x times a gate --------------------------------------------------------------------------------------------------


def _gated(x: Floats, open_gate: npt.NDArray[np.bool_], closing: Floats) -> Parts:
    """X · (1 − closing) where the gate is open, x · closing where it is shut."""
    amount = _signed_tiny(np.abs(x) * closing, x)
    return _choose(open_gate, _parts(x, -amount), _parts(0.0, amount))


def _swish(x: Floats, *, alpha: float) -> Parts:
    if alpha == 0:
        return _exactly(x / 2)
    e = _decay(alpha * x)
    return _gated(x, alpha * x > 0, e / (1 + e))


def _gelu(x: Floats) -> Parts:
    return _gated(x, x > 0, 0.5 * _erfc(np.abs(x) * math.sqrt(0.5)))


_TANH_CUBIC: Final = Fraction(44715, 1000000)


def _gelu_tanh(x: Floats) -> Parts:
    e = _decay(2 * math.sqrt(2 / math.pi) * (x + float(_TANH_CUBIC) * x**3))
    return _gated(x, x > 0, e / (1 + e))


def _mish(x: Floats) -> Parts:
    e = _decay(x)
    shut = (e * e + 2 * e) / (e * e + 2 * e + 2)
    return _gated(x, x > 0, np.where(x > 0, 2 * e * e / (1 + 2 * e + 2 * e * e), shut))


# --- exponentials to the left of 0 -----------------------------------------------------------------------------------


def _expm1(x: Floats, scale: float, rate: float) -> Parts:
    """Scale · (e^(x / rate) − 1) for x < 0."""
    z = np.minimum(x, 0.0) / rate
    far = _parts(-scale, scale * _decay(z))
    return _choose(z > -1, _parts(0.0, scale * np.expm1(z)), far)


def _elu(x: Floats, *, alpha: float) -> Parts:
    return _choose(x >= 0, _exactly(x), _expm1(x, alpha, 1.0))


def _celu(x: Floats, *, alpha: float) -> Parts:
    return _choose(x >= 0, _exactly(x), _expm1(x, alpha, alpha))


def _selu(x: Floats, *, alpha: float, gamma: float) -> Parts:
    scale = alpha * gamma
    left = _expm1(x, scale, 1.0)
    if Fraction(scale) != Fraction(alpha) * Fraction(gamma):
        left = _parts(0.0, left.base + left.delta)  # the product is not exact, so it must not stand in the base
    return _choose(x >= 0, _parts(0.0, gamma * x), left)


# --- exponentials, logarithms, powers --------------------------------------------------------------------------------


def _exp(x: Floats) -> Parts:
    far = np.maximum(np.exp(x), TINY)
    return _choose(np.abs(x) < 0.5, _parts(1.0, np.expm1(np.clip(x, -1, 1))), _parts(0.0, far))


def _infinite(x: Floats, sign: int) -> Parts:
    return Parts(np.full_like(x, sign * math.inf), np.zeros_like(x), np.zeros_like(x))


def _log(x: Floats) -> Parts:
    positive = x > 0
    return _choose(positive, _parts(0.0, np.log(np.where(positive, x, 1.0))), _infinite(x, -1))


def _sqrt(x: Floats) -> Parts:
    return _parts(0.0, np.sqrt(np.maximum(x, 0.0)))


def _reciprocal(x: Floats) -> Parts:
    return _choose(x == 0, _infinite(x, 1), _parts(0.0, 1 / np.where(x == 0, 1.0, x)))


def _pow(x: Floats, *, exponent: float) -> Parts:
    if exponent == 0:
        return _exactly(np.ones_like(x))
    if exponent == 1:
        return _exactly(x)
    defined = (x != 0) & ((x > 0) | exponent.is_integer())
    power = np.power(np.where(defined, x, 1.0), exponent)
    power = np.where(defined, np.where(power == 0, np.copysign(TINY, power), power), 0.0)
    return _choose(x == 0, _infinite(x, 1), _parts(0.0, power)) if exponent < 0 else _parts(0.0, power)


# --- straight lines --------------------------------------------------------------------------------------------------


def _hard_sigmoid(x: Floats, *, alpha: float, beta: float) -> Parts:
    line = alpha * x + beta
    error = (np.abs(alpha * x) + abs(beta)) * 2.0**-50
    inside = _parts(0.0, np.clip(line, 0.0, 1.0), error)
    outside = _exactly((line > 0).astype(np.float64))
    return _choose((line > -error) & (line < 1 + error), inside, outside)


def _hard_swish(x: Floats) -> Parts:
    inside = _parts(0.0, x * (x + 3) / 6, np.abs(x) * (np.abs(x) + 3) * 2.0**-50)
    return _choose(np.abs(x) < 3, inside, _exactly(np.maximum(x, 0.0)))


def _leaky_relu(x: Floats, *, alpha: float) -> Parts:
    return _choose(x >= 0, _exactly(x), _parts(0.0, alpha * x))


def _unit(x: Fraction) -> Fraction:
    return min(max(x, _ZERO), Fraction(1))


def _root(x: Fraction) -> Fraction | None:
    """Return the square root of x ≥ 0 if it is rational."""
    numerator, denominator = math.isqrt(x.numerator), math.isqrt(x.denominator)
    return Fraction(numerator, denominator) if Fraction(numerator, denominator) ** 2 == x else None


def _exact_pow(x: Fraction, *, exponent: float) -> Fraction | None:
    numerator, denominator = exponent.as_integer_ratio()
    root: Fraction | None = x
    if denominator > 1 and x <= 0:
        return _ZERO
    while denominator > 1 and root is not None:  # the denominator of a float is a power of two
        root, denominator = _root(root), denominator // 2
    return None if root is None else root**numerator


def _exact_selu(x: Fraction, *, alpha: float, gamma: float) -> Fraction | None:
    return Fraction(gamma) * x if x >= 0 else _ZERO if alpha == 0 or gamma == 0 else None


def _hard_sigmoid_edges(*, alpha: float, beta: float) -> tuple[Edge, ...]:
    if alpha == 0:
        return ()
    a, b = Fraction(alpha), Fraction(beta)
    return tuple(sorted([(-b / a, True), ((1 - b) / a, True)]))


def _pow_edges(*, exponent: float) -> tuple[Edge, ...]:
    if exponent < 0:
        return _POINT_ZERO
    return () if exponent.is_integer() else _AT_ZERO


DEFINITIONS: Final[Mapping[str, Definition]] = MappingProxyType(
    {
        "identity": Definition("Identity", _exactly, lambda m, x: x, lambda x: x),
        "neg": Definition("Neg", lambda x: _exactly(-x), lambda m, x: -x, lambda x: -x),
        "abs": Definition("Abs", lambda x: _exactly(np.abs(x)), lambda m, x: abs(x), abs, lambda: _AT_ZERO),
        "relu": Definition(
            "Relu",
            lambda x: _exactly(np.maximum(x, 0.0)),
            lambda m, x: max(x, m.zero),
            lambda x: max(x, _ZERO),
            lambda: _AT_ZERO,
        ),
        "leaky_relu": Definition(
            "LeakyRelu",
            _leaky_relu,
            lambda m, x, alpha: x if x >= 0 else m.mpf(alpha) * x,
            lambda x, *, alpha: x if x >= 0 else Fraction(alpha) * x,
            lambda **_: _AT_ZERO,
            {"alpha": 0.01},
        ),
        "thresholded_relu": Definition(
            "ThresholdedRelu",
            lambda x, *, alpha: _exactly(np.where(x > alpha, x, 0.0)),
            lambda m, x, alpha: x if x > alpha else m.zero,
            lambda x, *, alpha: x if x > Fraction(alpha) else _ZERO,
            lambda *, alpha: ((Fraction(alpha), False),),
            {"alpha": 1.0},
        ),
        "hard_sigmoid": Definition(
            "HardSigmoid",
            _hard_sigmoid,
            lambda m, x, alpha, beta: min(max(m.mpf(alpha) * x + m.mpf(beta), m.zero), m.one),
            lambda x, *, alpha, beta: _unit(Fraction(alpha) * x + Fraction(beta)),
            _hard_sigmoid_edges,
            {"alpha": 0.2, "beta": 0.5},
        ),
        "hard_swish": Definition(
            "HardSwish: x · max(0, min(1, x/6 + 1/2))",
            _hard_swish,
            lambda m, x: x * min(max((x + 3) / 6, m.zero), m.one),
            lambda x: x * _unit((x + 3) / 6),
            lambda: ((Fraction(-3), True), (Fraction(3), True)),
        ),
        "sigmoid": Definition("Sigmoid", _sigmoid, lambda m, x: 1 / (1 + m.exp(-x))),
        "tanh": Definition("Tanh", _tanh, lambda m, x: m.tanh(x)),
        "erf": Definition("Erf", _erf, lambda m, x: m.erf(x)),
        "softplus": Definition("Softplus", _softplus, lambda m, x: (x if x > 0 else m.zero) + m.log1p(m.exp(-abs(x)))),
        "softsign": Definition(
            "Softsign", _softsign, lambda m, x: x / (1 + abs(x)), lambda x: x / (1 + abs(x)), lambda: _AT_ZERO
        ),
        "elu": Definition(
            "Elu",
            _elu,
            lambda m, x, alpha: x if x >= 0 else m.mpf(alpha) * m.expm1(x),
            lambda x, *, alpha: x if x >= 0 else _ZERO if alpha == 0 else None,
            lambda **_: _AT_ZERO,
            {"alpha": 1.0},
        ),
        "celu": Definition(
            "Celu",
            _celu,
            lambda m, x, alpha: x if x >= 0 else m.mpf(alpha) * m.expm1(x / m.mpf(alpha)),
            lambda x, *, alpha: x if x >= 0 else None,
            lambda **_: _AT_ZERO,
            {"alpha": 1.0},
            lambda *, alpha: "" if alpha > 0 else f"alpha must be positive, not {alpha}",
        ),
        "selu": Definition(
            "Selu",
            _selu,
            lambda m, x, alpha, gamma: m.mpf(gamma) * (x if x >= 0 else m.mpf(alpha) * m.expm1(x)),
            _exact_selu,
            lambda **_: _AT_ZERO,
            {"alpha": 1.67326319217681884765625, "gamma": 1.05070102214813232421875},
        ),
        "swish": Definition(
            "Swish: x · sigmoid(alpha · x)",
            _swish,
            lambda m, x, alpha: x / (1 + m.exp(-m.mpf(alpha) * x)),
            lambda x, *, alpha: x / 2 if alpha == 0 else None,
            lambda **_: (),
            {"alpha": 1.0},
        ),
        "gelu": Definition('Gelu, approximate="none"', _gelu, lambda m, x: x * m.erfc(-x / m.sqrt(2)) / 2),
        "gelu_tanh": Definition(
            'Gelu, approximate="tanh"',
            _gelu_tanh,
            lambda m, x: (
                x / (1 + m.exp(-2 * m.sqrt(2 / m.pi) * (x + x**3 * _TANH_CUBIC.numerator / _TANH_CUBIC.denominator)))
            ),
        ),
        "mish": Definition("Mish: x · tanh(softplus(x))", _mish, lambda m, x: x * m.tanh(m.log1p(m.exp(x)))),
        "exp": Definition("Exp", _exp, lambda m, x: m.exp(x)),
        "log": Definition("Log; −∞ for x ≤ 0", _log, lambda m, x: m.log(x), edges=lambda: ((_ZERO, False),)),
        "sqrt": Definition(
            "Sqrt; 0 for x < 0",
            _sqrt,
            lambda m, x: m.sqrt(x) if x > 0 else m.zero,
            lambda x: _root(max(x, _ZERO)),
            lambda: _AT_ZERO,
        ),
        "reciprocal": Definition(
            "Reciprocal; +∞ for x = 0", _reciprocal, lambda m, x: 1 / x, lambda x: 1 / x, lambda: _POINT_ZERO
        ),
        "pow": Definition(
            "Pow with a constant exponent; 0 for x < 0 unless the exponent is an integer",
            _pow,
            lambda m, x, exponent: m.power(x, int(exponent) if exponent.is_integer() else m.mpf(exponent)),
            _exact_pow,
            _pow_edges,
            {"exponent": 2.0},
        ),
    }
)
"""Every real function by name."""
