"""What each real function is: in float64, in arbitrary precision, exactly where its value is rational, and its edges.

The meanings are those of the ONNX operators named in `DEFINITIONS`.  ONNX leaves three things to floating point that
hardware has to decide: NaN does not exist, so a point outside the domain has the value stated at the function
(``sqrt`` of a negative number is 0, ``log`` of one is −∞, a non-integer power of one is 0); there is one zero, taken
as +0, so ``1/0`` is +∞; and ±∞ is clamped to an end of the output's range by whoever stores it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from types import MappingProxyType
from typing import Any, Final, TypeAlias

import numpy as np

from fxnorm.fixed import evaluations as float64
from fxnorm.fixed.evaluations import TANH_CUBIC, Parts, exactly

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
        "identity": Definition("Identity", exactly, lambda m, x: x, lambda x: x),
        "neg": Definition("Neg", lambda x: exactly(-x), lambda m, x: -x, lambda x: -x),
        "abs": Definition("Abs", lambda x: exactly(np.abs(x)), lambda m, x: abs(x), abs, lambda: _AT_ZERO),
        "relu": Definition(
            "Relu",
            lambda x: exactly(np.maximum(x, 0.0)),
            lambda m, x: max(x, m.zero),
            lambda x: max(x, _ZERO),
            lambda: _AT_ZERO,
        ),
        "leaky_relu": Definition(
            "LeakyRelu",
            float64.leaky_relu,
            lambda m, x, alpha: x if x >= 0 else m.mpf(alpha) * x,
            lambda x, *, alpha: x if x >= 0 else Fraction(alpha) * x,
            lambda **_: _AT_ZERO,
            {"alpha": 0.01},
        ),
        "thresholded_relu": Definition(
            "ThresholdedRelu",
            lambda x, *, alpha: exactly(np.where(x > alpha, x, 0.0)),
            lambda m, x, alpha: x if x > alpha else m.zero,
            lambda x, *, alpha: x if x > Fraction(alpha) else _ZERO,
            lambda *, alpha: ((Fraction(alpha), False),),
            {"alpha": 1.0},
        ),
        "hard_sigmoid": Definition(
            "HardSigmoid",
            float64.hard_sigmoid,
            lambda m, x, alpha, beta: min(max(m.mpf(alpha) * x + m.mpf(beta), m.zero), m.one),
            lambda x, *, alpha, beta: _unit(Fraction(alpha) * x + Fraction(beta)),
            _hard_sigmoid_edges,
            {"alpha": 0.2, "beta": 0.5},
        ),
        "hard_swish": Definition(
            "HardSwish: x · max(0, min(1, x/6 + 1/2))",
            float64.hard_swish,
            lambda m, x: x * min(max((x + 3) / 6, m.zero), m.one),
            lambda x: x * _unit((x + 3) / 6),
            lambda: ((Fraction(-3), True), (Fraction(3), True)),
        ),
        "sigmoid": Definition("Sigmoid", float64.sigmoid, lambda m, x: 1 / (1 + m.exp(-x))),
        "tanh": Definition("Tanh", float64.tanh, lambda m, x: m.tanh(x)),
        "erf": Definition("Erf", float64.erf, lambda m, x: m.erf(x)),
        "softplus": Definition(
            "Softplus", float64.softplus, lambda m, x: (x if x > 0 else m.zero) + m.log1p(m.exp(-abs(x)))
        ),
        "softsign": Definition(
            "Softsign", float64.softsign, lambda m, x: x / (1 + abs(x)), lambda x: x / (1 + abs(x)), lambda: _AT_ZERO
        ),
        "elu": Definition(
            "Elu",
            float64.elu,
            lambda m, x, alpha: x if x >= 0 else m.mpf(alpha) * m.expm1(x),
            lambda x, *, alpha: x if x >= 0 else _ZERO if alpha == 0 else None,
            lambda **_: _AT_ZERO,
            {"alpha": 1.0},
        ),
        "celu": Definition(
            "Celu",
            float64.celu,
            lambda m, x, alpha: x if x >= 0 else m.mpf(alpha) * m.expm1(x / m.mpf(alpha)),
            lambda x, *, alpha: x if x >= 0 else None,
            lambda **_: _AT_ZERO,
            {"alpha": 1.0},
            lambda *, alpha: "" if alpha > 0 else f"alpha must be positive, not {alpha}",
        ),
        "selu": Definition(
            "Selu",
            float64.selu,
            lambda m, x, alpha, gamma: m.mpf(gamma) * (x if x >= 0 else m.mpf(alpha) * m.expm1(x)),
            _exact_selu,
            lambda **_: _AT_ZERO,
            {"alpha": 1.67326319217681884765625, "gamma": 1.05070102214813232421875},
        ),
        "swish": Definition(
            "Swish: x · sigmoid(alpha · x)",
            float64.swish,
            lambda m, x, alpha: x / (1 + m.exp(-m.mpf(alpha) * x)),
            lambda x, *, alpha: x / 2 if alpha == 0 else None,
            lambda **_: (),
            {"alpha": 1.0},
        ),
        "gelu": Definition('Gelu, approximate="none"', float64.gelu, lambda m, x: x * m.erfc(-x / m.sqrt(2)) / 2),
        "gelu_tanh": Definition(
            'Gelu, approximate="tanh"',
            float64.gelu_tanh,
            lambda m, x: (
                x / (1 + m.exp(-2 * m.sqrt(2 / m.pi) * (x + x**3 * TANH_CUBIC.numerator / TANH_CUBIC.denominator)))
            ),
        ),
        "mish": Definition("Mish: x · tanh(softplus(x))", float64.mish, lambda m, x: x * m.tanh(m.log1p(m.exp(x)))),
        "exp": Definition("Exp", float64.exp, lambda m, x: m.exp(x)),
        "log": Definition("Log; −∞ for x ≤ 0", float64.log, lambda m, x: m.log(x), edges=lambda: ((_ZERO, False),)),
        "sqrt": Definition(
            "Sqrt; 0 for x < 0",
            float64.sqrt,
            lambda m, x: m.sqrt(x) if x > 0 else m.zero,
            lambda x: _root(max(x, _ZERO)),
            lambda: _AT_ZERO,
        ),
        "reciprocal": Definition(
            "Reciprocal; +∞ for x = 0", float64.reciprocal, lambda m, x: 1 / x, lambda x: 1 / x, lambda: _POINT_ZERO
        ),
        "pow": Definition(
            "Pow with a constant exponent; 0 for x < 0 unless the exponent is an integer",
            float64.pow,
            lambda m, x, exponent: m.power(x, int(exponent) if exponent.is_integer() else m.mpf(exponent)),
            _exact_pow,
            _pow_edges,
            {"exponent": 2.0},
        ),
    }
)
"""Every real function by name."""
