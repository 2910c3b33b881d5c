"""Sums of products of powers, with numbers or arrays as coefficients: the form in which `algebra` compares functions."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Final

import numpy as np

Array = np.ndarray
Monomial = tuple[tuple[int, Fraction], ...]
"""Atoms by their number in the algebra, ascending, with their exponents; () is the constant 1."""

TOLERANCE: Final = 1e-6
"""Relative difference that two constants may have and still be the same number: a few steps of float32, in which files hold them."""
MOST_TERMS: Final = 48
MOST_POWER: Final = 4


class NoForm(Exception):
    """An expression has no polynomial form, or one that is too long to be a pattern."""


@dataclass(frozen=True, eq=False)
class Polynomial:
    """A sum of monomials, float64 coefficients aligned with the value's axes; a zero has no terms."""

    terms: dict[Monomial, Array]

    def single(self) -> tuple[Monomial, Array] | None:
        """Its only term; None where it has several or none."""
        return next(iter(self.terms.items())) if len(self.terms) == 1 else None


@dataclass(frozen=True, eq=False)
class Atom:
    """What is not multiplied out.

    Attributes
    ----------
    kind
        "value"; "function" (with a name); "sum" (a polynomial that stands under a power); "mean" (of a monomial), "max" (of a polynomial).
    name, parameter
        Of the function, and its second argument where it has one.
    content
        What it is a function, a power, a mean or a maximum of; None for the value.
    axes
        Axes over which a mean or a maximum runs.
    flat
        Axes along which it is constant.
    positive
        Whether it is never negative.
    """

    kind: str
    name: str = ""
    parameter: float = 0.0
    content: Polynomial | None = None
    axes: tuple[int, ...] = ()
    flat: frozenset[int] = frozenset()
    positive: bool = False


def close(left: Array, right: Array) -> bool:
    """Whether two constants are the same within `TOLERANCE`, element by element after broadcasting."""
    return bool(np.all(np.abs(left - right) <= TOLERANCE * np.maximum(np.abs(left), np.abs(right))))
