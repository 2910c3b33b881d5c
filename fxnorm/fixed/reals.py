"""Real functions of one variable, and their correctly rounded results on codes.

A code ``n`` stands for the real number ``n · 2^lsb``; `lsb` is the exponent of the value's scale less the fraction
bits of its format.  Results are correctly rounded in any of the eight modes: the exact real value is rounded once.
float64 decides wherever its error bound allows, exact rational arithmetic where the value is rational, and mpmath, with
rising precision, the rest.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from fxnorm.fixed.definitions import DEFINITIONS, Definition, Edge
from fxnorm.fixed.evaluations import Floats, Parts
from fxnorm.fixed.modes import Rounding
from fxnorm.fixed.rounding import shift_round

INFINITE: Final = 1 << 60
"""Codes at ±2^60 stand for every result from there to ±∞: no format holds them."""

MAX_LSB: Final = 256
"""Largest magnitude of an lsb exponent; beyond it the float64 evaluation could leave its range."""

_MAX_PRECISION: Final = 1 << 16

Codes = npt.NDArray[np.int64]


@dataclass(frozen=True)
class RealFunction:
    """A real function with its parameters.

    Parameters
    ----------
    name
        One of `FUNCTION_NAMES`.
    parameters
        Name and value of every parameter, in the order of the definition; see `real_function`.
    """

    name: str
    parameters: tuple[tuple[str, float], ...] = ()

    @property
    def definition(self) -> Definition:
        """What the function is."""
        return DEFINITIONS[self.name]

    @property
    def keywords(self) -> dict[str, float]:
        """The parameters by name."""
        return dict(self.parameters)

    def parts(self, x: npt.ArrayLike) -> Parts:
        """Evaluate in float64, as an exact part and a remainder of known error; see `Parts`.

        Parameters
        ----------
        x
            Finite real numbers of any shape, of a magnitude up to 2^300.
        """
        with np.errstate(over="ignore", under="ignore"):
            return self.definition.evaluate(np.asarray(x, dtype=np.float64), **self.keywords)

    def value(self, x: npt.ArrayLike) -> Floats:
        """Evaluate in float64; ±inf at poles. Outside the domain see `fxnorm.fixed.definitions`."""
        base, delta, _ = self.parts(x)
        return base + delta

    def precise(self, x: Fraction, bits: int) -> Any:
        """Evaluate as an mpmath number of `bits` bits; `x` must be dyadic, inside the domain and no pole."""
        context = _context()
        with context.workprec(bits):
            return self.definition.precise(context, _dyadic(context, x), **self.keywords)

    def exact(self, x: Fraction) -> Fraction | None:
        """Return the value where it is known to be rational, else None; `x` must not be a pole."""
        return self.definition.exact(x, **self.keywords)

    def edges(self) -> tuple[Edge, ...]:
        """Return where the function is not smooth, in ascending order."""
        return self.definition.edges(**self.keywords)

    def __str__(self) -> str:
        if not self.parameters:
            return self.name
        return f"{self.name}({', '.join(f'{key}={value:.9g}' for key, value in self.parameters)})"


FUNCTION_NAMES: Final = tuple(DEFINITIONS)
"""Names of all real functions."""


def real_function(name: str, parameters: Mapping[str, float] | None = None, /, **keywords: float) -> RealFunction:
    """Return a real function; parameters that are not given have the values of ONNX.

    Parameters
    ----------
    name
        One of `FUNCTION_NAMES`; the ONNX operator of each stands in `fxnorm.fixed.definitions`.
    parameters, keywords
        The operator's attributes: ``real_function("elu", alpha=0.5)``.

    Raises
    ------
    ValueError
        If there is no such function or parameter, or a parameter is not finite or outside its domain.
    """
    if name not in DEFINITIONS:
        raise ValueError(f"function {name!r}: unknown; known are {', '.join(FUNCTION_NAMES)}")
    definition = DEFINITIONS[name]
    given = {**(parameters or {}), **keywords}
    unknown = sorted(set(given) - set(definition.defaults))
    if unknown:
        known = ", ".join(definition.defaults) or "none"
        raise ValueError(f"{name}: no parameter {', '.join(unknown)}; it has {known}")
    values = {key: float(given.get(key, default)) for key, default in definition.defaults.items()}
    for key, value in values.items():
        if not math.isfinite(value):
            raise ValueError(f"{name}: {key} must be finite, not {value}")
    wrong = definition.check(**values)
    if wrong:
        raise ValueError(f"{name}: {wrong}")
    return RealFunction(name, tuple(values.items()))


def correctly_rounded(
    function: RealFunction, codes: npt.ArrayLike, input_lsb: int, output_lsb: int, rounding: Rounding
) -> Codes:
    """Return the correctly rounded results of a function, before any overflow is handled.

    Parameters
    ----------
    function
        What is computed.
    codes
        Integers of any shape, of a magnitude up to 2^53; they stand for ``codes · 2^input_lsb``.
    input_lsb, output_lsb
        Exponents of one LSB, within ±`MAX_LSB`.
    rounding
        How the exact result is rounded to a multiple of ``2^output_lsb``.

    Returns
    -------
    numpy.ndarray
        int64 codes of the shape of `codes`.  Where the result's magnitude is 2^60 LSB or more, and at poles, ±2^60
        (`INFINITE`).

    Raises
    ------
    ValueError
        If an lsb is out of range.
    """
    n = np.asarray(codes, dtype=np.int64)
    check_lsb(input_lsb, output_lsb)
    scale = 1 - output_lsb
    base, delta, error = function.parts(np.ldexp(n.astype(np.float64), input_lsb))
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        twice_base, twice_delta, twice_error = np.ldexp(base, scale), np.ldexp(delta, scale), np.ldexp(error, scale)
        twice = twice_base + twice_delta
        floor = np.floor(twice)
        infinite = ~(np.abs(twice) < 2 * INFINITE)
        # Twice the value, and whether it lies on an integer or between two: these two decide in every mode.
        exact = (twice_delta == 0) & (twice_error == 0)
        margin = twice_error + np.abs(twice) * 2.0**-51
        off = (twice - floor > margin) & (floor + 1 - twice > margin)
        # Next to an integer base the sign of the remainder decides, however small it is.
        beside = (twice_base == np.rint(twice_base)) & (np.abs(twice_base) < 2.0**52) & ~exact
        beside &= (np.abs(twice_delta) > twice_error) & (np.abs(twice_delta) < 0.5)
        half_steps = np.where(beside, twice_base - (twice_delta < 0), floor)
    half_steps[infinite] = 0
    sticky = np.where(exact, twice != floor, True)
    result = (half_steps.astype(np.int64) << 1) | sticky
    for index in np.flatnonzero(~(exact | off | beside | infinite)):
        at = np.unravel_index(index, n.shape)
        result[at] = _decide(function, _scaled(int(n[at]), input_lsb), output_lsb)
    rounded = shift_round(result, 2, rounding)
    return np.where(infinite, np.where(twice > 0, INFINITE, -INFINITE), rounded)


def check_lsb(*exponents: int) -> None:
    """Refuse lsb exponents beyond `MAX_LSB`.

    Raises
    ------
    ValueError
        If one is.
    """
    for exponent in exponents:
        if abs(exponent) > MAX_LSB:
            raise ValueError(f"the exponent of an LSB must be within ±{MAX_LSB}, not {exponent}; scale the data")


def _decide(function: RealFunction, x: Fraction, output_lsb: int) -> int:
    """Return ``2 · floor(2y) + (2y is no integer)`` for the exact result y in output LSBs."""
    exact = function.exact(x)
    if exact is not None:
        twice = exact * _scaled(2, -output_lsb)
        return 2 * math.floor(twice) + (twice.denominator != 1)
    bits = 192
    while bits <= _MAX_PRECISION:
        value = function.precise(x, bits)
        context = _context()
        with context.workprec(bits):
            twice = context.ldexp(value, 1 - output_lsb)
            # 2^-64 of the precision is far more than what the few operations of a definition can lose.
            error = context.ldexp(abs(twice), 64 - bits)
            low, high = int(context.floor(twice - error)), int(context.floor(twice + error))
        if low == high:
            return 2 * low + 1
        bits *= 2
    raise ArithmeticError(f"{function} of {x} lies too close to a rounding boundary for {_MAX_PRECISION} bits")


def _scaled(code: int, lsb: int) -> Fraction:
    return Fraction(code << lsb) if lsb >= 0 else Fraction(code, 1 << -lsb)


@functools.cache
def _context() -> Any:
    """Return an mpmath context of our own: the precision of the shared one belongs to its user."""
    from mpmath.ctx_mp import MPContext  # only where float64 cannot decide

    return MPContext()


def _dyadic(context: Any, x: Fraction) -> Any:
    return context.ldexp(context.mpf(x.numerator), 1 - x.denominator.bit_length())
