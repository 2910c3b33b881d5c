"""Powers of two with a fractional exponent, in integers: the exponential of softmax after its range reduction.

The datapath, for an exponent fraction f of `bits` bits::

    s   = f >> (bits − segment_bits)                                 the segment
    u   = low bits − segment_bits bits of f, less the low ones above position_bits of them
    acc = coefficients[degree, s]
    acc = coefficients[k, s] + floor(acc · u / 2^position_bits)        k = degree − 1 … 0
    r   = (acc, rounded half up by guard_bits), at most 2^bits − 1
    2^-(f / 2^bits) ≈ r / 2^bits
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import ClassVar, Final

import numpy as np
import numpy.typing as npt

from fxnorm.fixed.fitting import RESIDUAL_MARGIN, Block, Floats, Spans, fits, polynomials
from fxnorm.fixed.words import Comparable, Words, horner, horner_bits, integers

MIN_BITS: Final = 2
MAX_BITS: Final = 40

_LINEAR_BITS: Final = 12
_QUADRATIC_BITS: Final = 24


@dataclass(frozen=True, eq=False)
class Exp2(Comparable):
    """2^-f for a fixed-point fraction f, with an error of at most one unit of the mantissa's last place.

    Up to 12 bits the segments are straight, up to 24 quadratic, beyond cubic; their number follows from the bits.

    Parameters
    ----------
    bits
        Fraction bits of f and width of the mantissa, 2 to 40.
    segment_bits, position_bits, guard_bits, multiplicand_bits, accumulator_bits
        Widths of the datapath; made from `bits` where no coefficients are given.
    coefficients
        Integers of shape (degree + 1, 2^segment_bits): row k multiplies u^k, in units of 2^-(bits + guard_bits).

    Raises
    ------
    ValueError
        If `bits` is out of range.
    """

    kind: ClassVar[str] = "exp2"

    bits: int
    segment_bits: int = 0
    position_bits: int = 0
    guard_bits: int = 0
    multiplicand_bits: int = 0
    accumulator_bits: int = 0
    coefficients: Words = field(default_factory=lambda: np.zeros((0, 0), dtype=np.int64))

    def __post_init__(self) -> None:
        if not MIN_BITS <= self.bits <= MAX_BITS:
            raise ValueError(f"an exponential must have {MIN_BITS} to {MAX_BITS} bits, not {self.bits}")
        if self.coefficients.size == 0:
            self._size()

    def _size(self) -> None:
        """Choose the fewest segments: half a unit is for the last rounding, so 0.5 is left for everything else."""
        bits = self.bits
        degree = 1 if bits <= _LINEAR_BITS else 2 if bits <= _QUADRATIC_BITS else 3
        guard = math.ceil(math.log2((degree + 1) / 0.15))
        tolerance = (0.499 - (degree + 1) * 2.0**-guard) / RESIDUAL_MARGIN

        def target(codes: Floats) -> Floats:
            return np.asarray(np.exp2(bits - np.ldexp(codes, -bits)), dtype=np.float64)

        for segment_bits in range(bits + 1):
            spans = Spans.of([Block(0, False, 0, bits - segment_bits, 0, (1 << bits) - 1)])
            if segment_bits == bits or fits(target, spans, degree, tolerance):
                break
        real, _ = polynomials(target, spans, degree, tolerance)
        coefficients = np.rint(np.ldexp(real, guard)).astype(np.int64)
        coefficients[0] = np.rint(np.ldexp(real[0], guard) + degree / 2).astype(np.int64)
        slope = np.abs(real[1:] * np.arange(1, degree + 1)[:, None]).sum(axis=0).max()
        position_bits = min(bits - segment_bits, math.ceil(math.log2(max(slope, 1.0))) + guard + 1)
        multiplicand_bits, accumulator_bits = horner_bits(coefficients)
        for name, value in (
            ("segment_bits", segment_bits),
            ("position_bits", position_bits),
            ("guard_bits", guard),
            ("multiplicand_bits", multiplicand_bits),
            ("accumulator_bits", accumulator_bits),
            ("coefficients", coefficients),
        ):
            object.__setattr__(self, name, value)

    def run(self, fraction: npt.ArrayLike) -> Words:
        """Return ``2^-(fraction / 2^bits)`` as mantissas.

        Parameters
        ----------
        fraction
            Integers of any shape, ``0 ≤ fraction < 2^bits``.

        Returns
        -------
        numpy.ndarray
            int64 mantissas r with ``2^(bits−1) ≤ r < 2^bits``; the power is r / 2^bits.

        Raises
        ------
        ValueError
            If a fraction is out of range.
        """
        f = integers(fraction).astype(np.int64, copy=False)
        if f.size and (f.min() < 0 or f.max() >> self.bits):
            raise ValueError(f"fractions must be 0 to {(1 << self.bits) - 1}, not {f.min()} to {f.max()}")
        inside = self.bits - self.segment_bits
        u = (f & ((1 << inside) - 1)) >> (inside - self.position_bits)
        accumulator = horner(self.coefficients, f >> inside, u, self.position_bits, self.multiplicand_bits)
        rounded = (accumulator + (1 << (self.guard_bits - 1))) >> self.guard_bits
        return np.asarray(np.minimum(rounded, (1 << self.bits) - 1), dtype=np.int64)
