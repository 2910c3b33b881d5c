"""Functions of one value in a form in which equal functions look equal, however an exporter spelled them.

An expression is a polynomial: a sum of monomials, each with a constant coefficient (a number, or an array that broadcasts against the
value). A monomial is a product of powers of *atoms*: the value itself, a named function of a polynomial, the mean or maximum of
something over axes, or a sum in parentheses whose power does not multiply out. Everything multiplies out that can, so that
0.5·x·(1 + erf(x/√2)) and (0.5·erf(0.7071·x) + 0.5)·x are the same terms, and so are the two ways to write a variance. What is rewritten
holds for all real numbers for which the expression is defined; nothing is sampled.
"""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from typing import Final

import numpy as np

from fxnorm.lowering.polynomial import MOST_POWER, MOST_TERMS, TOLERANCE, Atom, Monomial, NoForm, Polynomial, close

Array = np.ndarray

POSITIVE: Final = frozenset({"exp", "sigmoid", "softplus", "abs"})


class Algebra:
    """The atoms met so far, each once, and the arithmetic of polynomials over them.

    Parameters
    ----------
    shape
        Of the value; axes are counted in it, and coefficients broadcast against it.
    """

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.shape = shape
        ones = frozenset(axis for axis, length in enumerate(shape) if length == 1)
        self.atoms: list[Atom] = [Atom("value", flat=ones)]
        self.x = Polynomial({((0, Fraction(1)),): np.ones(())})

    # Building

    def number(self, value: Array | float) -> Polynomial:
        """A constant; an array is aligned with the value's axes, of which it may have none too many.

        Raises
        ------
        NoForm
            If it would widen the value, or is not finite.
        """
        array = np.asarray(value, np.float64)
        if array.ndim > len(self.shape) or not np.isfinite(array).all():
            raise NoForm
        if array.size == 1:
            array = array.reshape(())
        else:
            array = array.reshape((1,) * (len(self.shape) - array.ndim) + array.shape)
            if any(length not in (1, own) for length, own in zip(array.shape, self.shape, strict=True)):
                raise NoForm
            if np.all(array == array.flat[0]):
                array = array.reshape(-1)[:1].reshape(())
        return self._sum([((), array)])

    def add(self, *parts: Polynomial) -> Polynomial:
        """Their sum."""
        return self._sum(term for part in parts for term in part.terms.items())

    def multiply(self, left: Polynomial, right: Polynomial) -> Polynomial:
        """Their product, multiplied out."""
        if len(left.terms) * len(right.terms) > MOST_TERMS**2:
            raise NoForm
        products = [
            self._product(first, second, np.asarray(a * b))
            for first, a in left.terms.items()
            for second, b in right.terms.items()
        ]
        return self.add(*products)

    def scale(self, part: Polynomial, factor: float) -> Polynomial:
        """A multiple."""
        return self.multiply(part, self.number(factor))

    def power(self, base: Polynomial, exponent: Fraction) -> Polynomial:
        """A power; of several terms, multiplied out where the exponent is a small natural number."""
        if exponent.denominator == 1 and 0 <= exponent <= MOST_POWER:
            result = self.number(1.0)
            for _ in range(int(exponent)):
                result = self.multiply(result, base)
            return result
        single = base.single()
        if single is not None:
            return self._power_of_term(*single, exponent)
        return self._power_of_sum(base, exponent)

    def function(self, name: str, argument: Polynomial) -> Polynomial:
        """A named function of one argument.

        ln(1 + e^u) is softplus(u), and tanh(u) is 2·sigmoid(2u) - 1; odd functions are those of an argument whose first factor is positive.
        """
        if name == "log":
            inner = self._one_plus_exponential(argument)
            if inner is not None:
                return self.function("softplus", inner)
        if name == "tanh":
            return self.add(self.scale(self.function("sigmoid", self.scale(argument, 2.0)), 2.0), self.number(-1.0))
        leading = self._leading(argument)
        if name in {"erf", "sigmoid"} and leading is not None and leading < 0.0:
            mirrored = self.scale(self.function(name, self.scale(argument, -1.0)), -1.0)
            return mirrored if name == "erf" else self.add(self.number(1.0), mirrored)
        flat, positive = self.flat(argument), name in POSITIVE
        return self._atom(Atom("function", name, content=argument, flat=flat, positive=positive))

    def clip(self, argument: Polynomial, low: float | None, high: float | None) -> Polynomial:
        """min(max(argument, low), high); between two bounds a multiple of the clip to 0..1, of which a hard sigmoid is one."""
        flat = self.flat(argument)
        if low is not None and high is None:
            return self._atom(Atom("function", "at_least", low, argument, flat=flat, positive=low >= 0.0))
        if low is None:
            argument, low = self._bounded_below(argument)
        if high is None or not low < high:
            raise NoForm
        inner = self.scale(self.add(argument, self.number(-low)), 1.0 / (high - low))
        unit = self._atom(Atom("function", "clip01", 0.0, inner, flat=flat, positive=True))
        return self.add(self.scale(unit, high - low), self.number(low))

    def _bounded_below(self, argument: Polynomial) -> tuple[Polynomial, float]:
        """u and the bound where an expression is max(u, bound)."""
        single = argument.single()
        if single is not None and len(single[0]) == 1 and single[0][0][1] == 1 and close(single[1], np.ones(())):
            atom = self.atoms[single[0][0][0]]
            if atom.name == "at_least" and atom.content is not None:
                return atom.content, atom.parameter
        raise NoForm

    def mean(self, argument: Polynomial, axes: tuple[int, ...]) -> Polynomial:
        """The mean over axes: linear, and what is constant along the axes stands before it."""
        parts = [self._mean_of_term(monomial, factor, axes) for monomial, factor in argument.terms.items()]
        return self.add(*parts)

    def maximum(self, argument: Polynomial, axes: tuple[int, ...]) -> Polynomial:
        """The maximum over axes."""
        return self._atom(Atom("max", content=argument, axes=axes, flat=self.flat(argument) | frozenset(axes)))

    # Comparing

    def same(self, left: Polynomial, right: Polynomial) -> bool:
        """Whether two polynomials over these atoms are one function, constants within `TOLERANCE`."""
        return left.terms.keys() == right.terms.keys() and all(
            close(factor, right.terms[monomial]) for monomial, factor in left.terms.items()
        )

    def flat(self, part: Polynomial) -> frozenset[int]:
        """Axes along which a polynomial is constant."""
        axes = frozenset(range(len(self.shape)))
        for monomial, factor in part.terms.items():
            axes &= self._flat_of_factor(factor)
            for atom, _ in monomial:
                axes &= self.atoms[atom].flat
        return axes

    # Inside

    def _sum(self, terms: Iterable[tuple[Monomial, Array]]) -> Polynomial:
        total: dict[Monomial, Array] = {}
        largest: dict[Monomial, float] = {}
        for monomial, factor in terms:
            total[monomial] = np.asarray(total[monomial] + factor) if monomial in total else factor
            largest[monomial] = max(largest.get(monomial, 0.0), float(np.max(np.abs(factor), initial=0.0)))
        kept = {
            monomial: factor
            for monomial, factor in total.items()
            if float(np.max(np.abs(factor), initial=0.0)) > TOLERANCE * largest[monomial]
        }
        if len(kept) > MOST_TERMS:
            raise NoForm
        return Polynomial(kept)

    def _atom(self, atom: Atom) -> Polynomial:
        number = next((number for number, known in enumerate(self.atoms) if self._same_atom(atom, known)), -1)
        if number < 0:
            number = len(self.atoms)
            self.atoms.append(atom)
        return Polynomial({((number, Fraction(1)),): np.ones(())})

    def _same_atom(self, left: Atom, right: Atom) -> bool:
        if (left.kind, left.name, left.axes) != (right.kind, right.name, right.axes):
            return False
        if not close(np.asarray(left.parameter), np.asarray(right.parameter)):
            return False
        if left.content is None or right.content is None:
            return left.content is right.content
        return self.same(left.content, right.content)

    def _product(self, left: Monomial, right: Monomial, factor: Array) -> Polynomial:
        exponents: dict[int, Fraction] = dict(left)
        for atom, exponent in right:
            exponents[atom] = exponents.get(atom, Fraction(0)) + exponent
        result = Polynomial({(): factor})
        plain: list[tuple[int, Fraction]] = []
        for atom in sorted(exponents):
            exponent, content = exponents[atom], self.atoms[atom].content
            whole = exponent.denominator == 1 and 1 <= exponent <= MOST_POWER
            if self.atoms[atom].kind == "sum" and whole and content is not None:
                result = self.multiply(result, self.power(content, exponent))
            elif exponent:
                plain.append((atom, exponent))
        if not plain:
            return result
        if result.single() is not None and () in result.terms:
            return Polynomial({tuple(plain): result.terms[()]})
        return self.multiply(result, Polynomial({tuple(plain): np.ones(())}))

    def _power_of_term(self, monomial: Monomial, factor: Array, exponent: Fraction) -> Polynomial:
        whole = exponent.denominator == 1
        if np.any(factor == 0.0) or not (whole or (self._never_negative(monomial) and np.all(factor > 0.0))):
            raise NoForm
        # (x²)^½ is |x|, not x: an even power of what may be negative must stay one.
        for atom, power in monomial:
            mixed = not self.atoms[atom].positive and (power * exponent).denominator == 1 and not whole
            if mixed and int(power * exponent) % 2:
                raise NoForm
        raised = tuple((atom, power * exponent) for atom, power in monomial)
        return Polynomial({raised: np.asarray(factor ** float(exponent))})

    def _power_of_sum(self, base: Polynomial, exponent: Fraction) -> Polynomial:
        # One multiple of the sum stands for all: that whose first term with a positive number has the factor 1.
        factors = [base.terms[monomial] for monomial in sorted(base.terms) if monomial]
        outside = next((float(factor) for factor in factors if factor.ndim == 0 and factor > 0.0), 1.0)
        inside = self.scale(base, 1.0 / outside)
        if exponent == -1:
            inner = self._one_plus_exponential(inside)
            if inner is not None:
                return self.scale(self.function("sigmoid", self.scale(inner, -1.0)), outside ** float(exponent))
        atom = self._atom(Atom("sum", content=inside, flat=self.flat(inside), positive=exponent.denominator > 1))
        ((number, _),) = next(iter(atom.terms))
        return Polynomial({((number, exponent),): np.asarray(outside ** float(exponent))})

    def _leading(self, part: Polynomial) -> float | None:
        """Factor of the first term that is no constant, where it is a number."""
        factor = part.terms[min((m for m in part.terms if m), default=())] if part.terms else np.zeros(())
        return float(factor) if factor.ndim == 0 else None

    def _one_plus_exponential(self, part: Polynomial) -> Polynomial | None:
        """The argument u where a polynomial is 1 + e^u."""
        if len(part.terms) != 2 or () not in part.terms or not close(part.terms[()], np.ones(())):
            return None
        monomial, factor = next(term for term in part.terms.items() if term[0])
        if len(monomial) != 1 or monomial[0][1] != 1 or not close(factor, np.ones(())):
            return None
        atom = self.atoms[monomial[0][0]]
        return atom.content if atom.name == "exp" else None

    def _mean_of_term(self, monomial: Monomial, factor: Array, axes: tuple[int, ...]) -> Polynomial:
        if not set(axes) <= self._flat_of_factor(factor):
            raise NoForm
        outside = tuple(entry for entry in monomial if set(axes) <= self.atoms[entry[0]].flat)
        inside = tuple(entry for entry in monomial if entry not in outside)
        before = Polynomial({outside: factor})
        if not inside:
            return before
        flat = frozenset(axes).union(
            frozenset(range(len(self.shape))).intersection(*(self.atoms[a].flat for a, _ in inside))
        )
        content, positive = Polynomial({inside: np.ones(())}), self._never_negative(inside)
        return self.multiply(before, self._atom(Atom("mean", content=content, axes=axes, flat=flat, positive=positive)))

    def _never_negative(self, monomial: Monomial) -> bool:
        return all(
            self.atoms[atom].positive or (power.denominator == 1 and int(power) % 2 == 0) for atom, power in monomial
        )

    def _flat_of_factor(self, factor: Array) -> frozenset[int]:
        if factor.ndim == 0:
            return frozenset(range(len(self.shape)))
        return frozenset(axis for axis, length in enumerate(factor.shape) if length == 1)
