"""Nonlinear normalization of inputs: logarithms, roots and powers of numbers over many decades, by their leading one.

An input arrives as a float32 word, or as a wide unsigned integer of which a leading-one detector makes the same two numbers: the place e
of the leading one and what follows it, x = m · 2**e with 1 ≤ m < 2. Both datapaths compute with e and m alone, so that their precision
does not depend on the decade::

    t = e · octave + table[m] · slope                                    table = ln
    logarithm: y = rescale(t)                                            octave = log 2, slope = log e
    power:     y = rescale(2**(whole part of t) · exponential[fraction]) octave = p, slope = p · log2 e
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import ClassVar, Final

import numpy as np

from fxnorm.engine import products
from fxnorm.errors import DataError, PlanError, UsageError
from fxnorm.fixed.exponential import Exp2
from fxnorm.kernels.encoding import Encoding
from fxnorm.kernels.kernel import Kernel
from fxnorm.kernels.leading_one import Line
from fxnorm.kernels.stage import Rescale, Tally, stage_for

Array = np.ndarray

GUARD_BITS: Final = 5
"""Bits by which inner words are finer than the output, so that only the last rounding is seen."""
UNIT_BITS: Final = 8
"""Further bits of the factor of e, which is up to 149."""
MOST_BITS: Final = 31
"""Fraction bits of the finest table."""
LARGEST_EXPONENT: Final = 64.0
BASES: Final = {"log": math.e, "log2": 2.0, "log10": 10.0}


@dataclass(frozen=True, slots=True)
class Transformation:
    """What is done to an input before the model sees it.

    Attributes
    ----------
    name
        "log", "log2", "log10", or "power".
    exponent
        Of the power; 0 elsewhere.
    """

    name: str
    exponent: float = 0.0

    @classmethod
    def parse(cls, text: str) -> Transformation:
        """Read `log`, `log2`, `log10`, `sqrt` or `power:P`.

        Raises
        ------
        UsageError
            If it is anything else.
        """
        if text in BASES:
            return cls(text)
        if text == "sqrt":
            return cls("power", 0.5)
        name, _, number = text.partition(":")
        try:
            exponent = float(number)
        except ValueError:
            exponent = math.nan
        if name != "power" or not 0.0 < abs(exponent) <= LARGEST_EXPONENT:
            raise UsageError(
                f"--input-transform: must be log, log2, log10, sqrt or power:P with a P other than 0 and at most {LARGEST_EXPONENT:g}, "
                f"not {text!r}; for instance --input-transform stress=log"
            )
        return cls("power", exponent)

    def __str__(self) -> str:
        if self.name != "power":
            return self.name
        return "sqrt" if self.exponent == 0.5 else f"power:{self.exponent:g}"

    def real(self, values: Array, where: str) -> Array:
        """The function in float32, as the model gets it: computed in float64 and rounded once.

        Raises
        ------
        DataError
            If a number has no such function; `where` names the input.
        """
        self.check(values, where)
        x = np.asarray(values, np.float64)
        with np.errstate(over="ignore"):
            if self.name == "power":
                found = np.power(x, self.exponent)
            else:
                found = {"log": np.log, "log2": np.log2, "log10": np.log10}[self.name](x)
            result = found.astype(np.float32)
        if not np.isfinite(result).all():
            raise DataError(f"{where}: {self} of {float(x[~np.isfinite(result)].flat[0]):g} is too large for float32")
        return np.asarray(result)

    def check(self, values: Array, where: str) -> None:
        """Refuse numbers that have no such function.

        Raises
        ------
        DataError
            Naming the first of them.
        """
        zero_too = self.name == "power" and self.exponent > 0.0
        bad = values < 0.0 if zero_too else values <= 0.0
        if np.any(bad):
            raise DataError(
                f"{where}: {self} takes {'numbers from 0 on' if zero_too else 'positive numbers'}, not {float(values[bad].flat[0]):g}; "
                "remove or shift those samples, or leave --input-transform out for this input"
            )

    def decide(self, output: Encoding) -> LogTransform | PowerTransform:
        """Tables and factors for an output's encoding.

        Raises
        ------
        PlanError
            If the output is finer than the finest table.
        """
        return self._power(output) if self.name == "power" else self._logarithm(output)

    def _logarithm(self, output: Encoding) -> LogTransform:
        # |log x| < 150: coarser steps than that need no bits at all, finer ones as many as the step has, and the guard bits.
        bits = max(4, GUARD_BITS - output.place)
        if bits > MOST_BITS:
            raise PlanError(
                f"input transform {self}: a step of 2^{output.place} is finer than can be computed, 2^{GUARD_BITS - MOST_BITS}; "
                "use a format with fewer fraction bits"
            )
        base = BASES[self.name]
        natural = base == math.e
        line = Line.decide(_log(2.0, base), _log(math.e, base), bits, UNIT_BITS if natural else bits + UNIT_BITS)
        return LogTransform(str(self), line, stage_for(output, -line.fraction_bits, line.bound))

    def _power(self, output: Encoding) -> PowerTransform:
        bits = min(output.format.width + GUARD_BITS, MOST_BITS)
        # An error of t is a relative error of y; the slope multiplies that of the table.
        fine = min(MOST_BITS, bits + max(0, math.ceil(math.log2(abs(self.exponent)))) + 1)
        exponent = Fraction(self.exponent)
        line = Line.decide(exponent, exponent * _log(math.e, 2.0), fine, bits + UNIT_BITS)
        # Between a result that rounds to nothing and one beyond the format; what lies further out is brought to the ends.
        low = output.place - 2
        high = output.place + (output.limit + 1).bit_length() + 2
        bound = 1 << (high - low + bits + 3)
        stage = stage_for(output, low - bits - 2, bound)
        return PowerTransform(str(self), line, line.fraction_bits - bits, Exp2(bits), low, high, stage)


@dataclass(frozen=True, eq=False)
class LogTransform(Kernel):
    """Logarithm of a float32 word.

    Attributes
    ----------
    function
        As `Transformation.parse` reads it.
    line
        t, which is the logarithm.
    stage
        Rescale of it.
    """

    kind: ClassVar[str] = "log_transform"
    function: str
    line: Line
    stage: Rescale

    def run(self, inputs: Sequence[Array], tally: Tally) -> Array:
        """Words of positive numbers [samples, *shape]."""
        return self.stage.run(self.line.run(inputs[0])[0], tally)


@dataclass(frozen=True, eq=False)
class PowerTransform(Kernel):
    """Power of a float32 word; a power of 0 is 0.

    Attributes
    ----------
    function
        As `Transformation.parse` reads it.
    line
        t, the base-2 logarithm of the power.
    shift
        Places by which t is cut to the bits of the exponential.
    exponential
        2**-f.
    low, high
        Powers of two below which a result rounds to nothing, and from which it is beyond the output's format.
    stage
        Rescale of the result, whose step is 2**(low - 2) over the exponential's unit.
    """

    kind: ClassVar[str] = "power_transform"
    function: str
    line: Line
    shift: int
    exponential: Exp2
    low: int
    high: int
    stage: Rescale

    def run(self, inputs: Sequence[Array], tally: Tally) -> Array:
        """Words of numbers from 0 on [samples, *shape]."""
        wide, zero = self.line.run(inputs[0])
        t, bits = wide >> self.shift, self.exponential.bits
        # 2**t = 2**whole · 2**-f
        whole = -((-t) >> bits)
        fraction = ((whole << bits) - t).astype(np.int64)
        whole = np.clip(whole, self.low - 1, self.high).astype(np.int64)
        value = np.where(fraction == 0, np.int64(1) << bits, self.exponential.run(fraction))
        accumulator = products.integers(value, self.stage.bound) << np.maximum(whole - self.low + 2, 0)
        return self.stage.run(np.where(zero | (whole < self.low), 0, accumulator), tally)


def transformed(inputs: Mapping[str, Array], functions: Mapping[str, Transformation]) -> dict[str, Array]:
    """Inputs by name, with the functions of some of them taken in float32.

    Raises
    ------
    DataError
        If a number has no such function.
    """
    return {
        name: functions[name].real(values, f"input {name!r}") if name in functions else values
        for name, values in inputs.items()
    }


def _log(number: float, base: float) -> Fraction:
    """Logarithm to far more digits than any format has; the numbers e, 2 and 10 are meant, not their float64 neighbours."""
    from mpmath import mp

    with mp.workprec(200):
        exact = {math.e: mp.e, 2.0: mp.mpf(2), 10.0: mp.mpf(10)}
        value = mp.ln(exact[number]) / mp.ln(exact[base])
        return Fraction(int(mp.nint(mp.ldexp(value, 160))), 2**160)
