"""What spelled-out functions are called: every pattern that `recognize` knows, each a function in the algebra and the node it becomes.

An activation is declared as its formula. A normalization is found by the shape of its polynomial, since its ε, γ, β and axes are what the
model says: with m = mean(x) and v = mean(x²), layer normalization, however spelled, is γ·x·r − γ·m·r + β with r = (v − m² + ε)^−½.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

import numpy as np

from fxnorm.graph.graph import Attribute
from fxnorm.lowering.algebra import Algebra
from fxnorm.lowering.polynomial import Monomial, Polynomial, close
from fxnorm.lowering.regions import OWN_DOMAIN, Found

Array = np.ndarray
HALF: Final = Fraction(1, 2)


Formula = Callable[[Algebra, Polynomial], Polynomial]


def _gelu(a: Algebra, x: Polynomial) -> Polynomial:
    half = a.scale(x, 0.5)
    return a.add(half, a.multiply(half, a.function("erf", a.scale(x, math.sqrt(0.5)))))


def _gelu_tanh(a: Algebra, x: Polynomial) -> Polynomial:
    inner = a.scale(a.add(x, a.scale(a.power(x, Fraction(3)), 0.044715)), math.sqrt(2.0 / math.pi))
    half = a.scale(x, 0.5)
    return a.add(half, a.multiply(half, a.function("tanh", inner)))


def _mish(a: Algebra, x: Polynomial) -> Polynomial:
    return a.multiply(x, a.function("tanh", a.function("softplus", x)))


def _hard_swish(a: Algebra, x: Polynomial) -> Polynomial:
    return a.multiply(x, _hard_sigmoid_of_sixths(a, x))


def _hard_sigmoid_of_sixths(a: Algebra, x: Polynomial) -> Polynomial:
    return a.clip(a.add(a.scale(x, 1.0 / 6.0), a.number(0.5)), 0.0, 1.0)


ACTIVATIONS: Final[tuple[tuple[Formula, Found], ...]] = (
    (_gelu, Found("Gelu", {"approximate": "none"})),
    (_gelu_tanh, Found("Gelu", {"approximate": "tanh"})),
    (_mish, Found("Mish")),
    (_hard_swish, Found("HardSwish")),
    (_hard_sigmoid_of_sixths, Found("HardSigmoid", {"alpha": 1.0 / 6.0, "beta": 0.5})),
    (lambda a, x: a.function("sigmoid", x), Found("Sigmoid")),
    (lambda a, x: a.function("tanh", x), Found("Tanh")),
    (lambda a, x: a.function("softplus", x), Found("Softplus")),
)


def activation(algebra: Algebra, y: Polynomial) -> Found | None:
    """One of `ACTIVATIONS`, or x·sigmoid(αx) for any α > 0."""
    for formula, found in ACTIVATIONS:
        if algebra.same(y, formula(algebra, algebra.x)):
            return found
    single = y.single()
    if single is None or not close(single[1], np.ones(())):
        return None
    for atom, exponent in single[0]:
        content = algebra.atoms[atom].content
        inner = content.single() if content is not None and algebra.atoms[atom].name == "sigmoid" else None
        if exponent == 1 and inner is not None and inner[0] == ((0, Fraction(1)),) and inner[1].ndim == 0:
            alpha = float(inner[1])
            swish = algebra.multiply(algebra.x, algebra.function("sigmoid", algebra.scale(algebra.x, alpha)))
            if algebra.same(y, swish):
                return Found("Swish", {"alpha": 1.0 if close(inner[1], np.ones(())) else alpha})
    return None


def softmax(algebra: Algebra, y: Polynomial) -> Found | None:
    """e^(x − max) / Σ e^(x − max), or its logarithm, with or without the maximum, along one axis."""
    for number, atom in enumerate(list(algebra.atoms)):
        if atom.kind != "mean" or len(atom.axes) != 1 or atom.content is None:
            continue
        count = algebra.shape[atom.axes[0]]
        total = Polynomial({((number, Fraction(1)),): np.asarray(float(count))})
        greatest = algebra.maximum(algebra.x, atom.axes)
        for argument in (algebra.add(algebra.x, algebra.scale(greatest, -1.0)), algebra.x):
            exponential = algebra.function("exp", argument)
            if not algebra.same(atom.content, exponential):
                continue
            if algebra.same(y, algebra.multiply(exponential, algebra.power(total, Fraction(-1)))):
                return Found("Softmax", {"axis": atom.axes[0]})
            if algebra.same(y, algebra.add(argument, algebra.scale(algebra.function("log", total), -1.0))):
                return Found("LogSoftmax", {"axis": atom.axes[0]})
    return None


@dataclass(frozen=True, slots=True)
class _Moments:
    """x̂ = (x − m)·root or x·root, and what was found of it.

    Attributes
    ----------
    centered
        Whether the mean is subtracted.
    axes
        Over which it runs.
    epsilon
        Added to the variance or the mean square.
    floor
        Least value of the norm, where it has one; None elsewhere.
    factor
        By which the spelled root is larger than one over the root of what `epsilon` is added to.
    """

    centered: bool
    axes: tuple[int, ...]
    epsilon: float
    floor: float | None
    factor: float


def normalization(algebra: Algebra, y: Polynomial) -> Found | None:
    """(x − mean)/√(variance + ε)·γ + β, x/√(mean of squares + ε)·γ + β, or x/max(‖x‖, ε)."""
    shift = y.terms.get((), np.zeros(()))
    rest = {monomial: factor for monomial, factor in y.terms.items() if monomial}
    for monomial, factor in rest.items():
        if len(monomial) != 2 or monomial[0] != (0, Fraction(1)):
            continue
        root = monomial[1]
        moments = _moments(algebra, *root)
        if moments is None:
            continue
        expected: dict[Monomial, Array] = {monomial: factor}
        if moments.centered:
            mean = algebra.mean(algebra.x, moments.axes)
            expected |= algebra.multiply(mean, Polynomial({(root,): -factor})).terms
        if algebra.same(Polynomial(rest), Polynomial(expected)):
            return _named(algebra, moments, np.asarray(factor * moments.factor), shift)
    return None


def _moments(algebra: Algebra, number: int, exponent: Fraction) -> _Moments | None:
    """What a power of an atom divides by."""
    atom = algebra.atoms[number]
    if atom.name == "at_least" and exponent in (Fraction(-1), -HALF) and atom.content is not None:
        # max(‖x‖, floor), or the root of max(‖x‖², floor²).
        inside = atom.content if exponent == -HALF else algebra.power(atom.content, Fraction(2))
        plain = _mean_square(algebra, inside)
        if plain is None or atom.parameter <= 0.0:
            return None
        axes, scale = plain
        floor = atom.parameter if exponent == Fraction(-1) else math.sqrt(atom.parameter)
        return _Moments(False, axes, 0.0, floor, scale**-0.5)
    if exponent != -HALF:
        return None
    content = atom.content if atom.kind == "sum" else Polynomial({((number, Fraction(1)),): np.ones(())})
    if content is None:
        return None
    constant = content.terms.get((), np.zeros(()))
    if constant.ndim or constant < 0.0:
        return None
    variable = Polynomial({monomial: factor for monomial, factor in content.terms.items() if monomial})
    found = _mean_square(algebra, variable)
    centered = found is None
    if found is None:
        found = _variance(algebra, variable)
    if found is None:
        return None
    axes, scale = found
    return _Moments(centered, axes, float(constant) / scale, None, scale**-0.5)


def _mean_square(algebra: Algebra, part: Polynomial) -> tuple[tuple[int, ...], float] | None:
    """Axes and factor where a polynomial is a positive number times mean(x²)."""
    single = part.single()
    if single is None:
        return None
    return _square(algebra, *single)


def _square(algebra: Algebra, monomial: Monomial, factor: Array) -> tuple[tuple[int, ...], float] | None:
    if len(monomial) != 1 or monomial[0][1] != 1 or factor.ndim or factor <= 0.0:
        return None
    atom = algebra.atoms[monomial[0][0]]
    square = Polynomial({((0, Fraction(2)),): np.ones(())})
    if atom.kind != "mean" or atom.content is None or not algebra.same(atom.content, square):
        return None
    return atom.axes, float(factor)


def _variance(algebra: Algebra, part: Polynomial) -> tuple[tuple[int, ...], float] | None:
    """Axes and factor where a polynomial is a positive number times mean(x²) − mean(x)²."""
    for monomial, factor in part.terms.items():
        found = _square(algebra, monomial, factor)
        if found is not None:
            mean = algebra.mean(algebra.x, found[0])
            squared = algebra.multiply(mean, mean)
            whole = algebra.add(Polynomial({monomial: factor}), algebra.scale(squared, -found[1]))
            return found if algebra.same(part, whole) else None
    return None


def _named(algebra: Algebra, moments: _Moments, scale: Array, shift: Array) -> Found | None:
    """The operator for a normalization, with γ and β in its form."""
    rank, axes = len(algebra.shape), moments.axes
    count = math.prod(algebra.shape[axis] for axis in axes)
    plain = bool(np.all(shift == 0.0)) and close(scale, np.asarray(count**-0.5))
    if not moments.centered and (moments.floor is not None or (moments.epsilon == 0.0 and plain)):
        # x/‖x‖ as it is: a further factor would need another node.
        if not plain:
            return None
        attributes: dict[str, Attribute] = {} if moments.floor is None else {"floor": moments.floor}
        if len(axes) == 1:
            return Found("LpNormalization", {"axis": axes[0], "p": 2, **attributes})
        return Found("Normalization", {"form": "sum_square", "axes": axes, **attributes}, domain=OWN_DOMAIN)
    attributes = {"epsilon": moments.epsilon}
    wide = [_full(algebra, array) for array in (scale, shift)]
    trailing = axes == tuple(range(rank - len(axes), rank))
    inner = algebra.shape[rank - len(axes) :]
    if trailing and all(_varies(array) <= set(axes) for array in wide):
        gamma, beta = (np.broadcast_to(array.reshape(array.shape[rank - len(axes) :]), inner) for array in wide)
        attributes["axis"] = axes[0]
        if moments.centered:
            return Found("LayerNormalization", attributes, (gamma, beta if np.any(beta) else None))
        if not np.any(beta):
            return Found("RMSNormalization", attributes, (gamma,))
    if moments.centered and rank > 2 and axes == tuple(range(2, rank)) and all(_varies(a) <= {1} for a in wide):
        gamma, beta = (np.broadcast_to(array.reshape(array.shape[1]), algebra.shape[1:2]) for array in wide)
        return Found("InstanceNormalization", attributes, (gamma, beta))
    form = "variance" if moments.centered else "mean_square"
    return Found("Normalization", {"form": form, "axes": axes, **attributes}, tuple(wide), OWN_DOMAIN)


def _full(algebra: Algebra, array: Array) -> Array:
    """A constant with as many axes as the value."""
    return array if array.ndim else array.reshape((1,) * len(algebra.shape))


def _varies(array: Array) -> set[int]:
    return {axis for axis, length in enumerate(array.shape) if length > 1}


PATTERNS: Final = (activation, softmax, normalization)
