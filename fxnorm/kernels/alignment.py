"""Operands of different steps brought to one: shifts where the steps differ by powers of two, integer multipliers elsewhere."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from fxnorm.engine import products
from fxnorm.kernels.encoding import Encoding
from fxnorm.kernels.stage import MULTIPLIER_BITS, nearest_multiplier

Array = np.ndarray


@dataclass(frozen=True, slots=True)
class Operand:
    """What becomes of one operand before it is computed with: (code - zero) · multiplier, in steps of factor · 2**lsb.

    Attributes
    ----------
    zero, multiplier
        Integers.
    lsb, factor
        Step of the result.
    limit
        Largest magnitude of the result.
    """

    zero: int
    multiplier: int
    lsb: int
    factor: Fraction
    limit: int

    @classmethod
    def of(
        cls, encoding: Encoding, constant: Array | None, factor: Fraction | None, zero: int, output: Encoding
    ) -> Operand:
        """Operand as it is computed with.

        Parameters
        ----------
        encoding, constant
            What it is, and its codes where it is constant.
        factor
            Factor that all operands are to share; None: its own.
        zero
            What is taken off: the encoding's zero, or 0 where codes are only compared.
        output
            Encoding of the result. A multiplier has 16 bits, or as many as keep its error below half an LSB of the result.
        """
        largest = products.largest(constant) if constant is not None else encoding.limit
        if zero != encoding.zero:
            largest = max(-encoding.format.min_code, encoding.format.max_code)
        own = Fraction(encoding.factor)
        if factor is None or factor == own:
            return cls(zero, 1, encoding.place, own, largest)
        bits = max(MULTIPLIER_BITS, math.ceil(largest * encoding.step / output.step).bit_length())
        multiplier, places = nearest_multiplier(own / factor, bits)
        return cls(zero, multiplier, encoding.place - places, factor, largest * multiplier)

    @property
    def step(self) -> Fraction:
        """Real number that 1 stands for."""
        return self.factor * Fraction(2) ** self.lsb


def common_factor(inputs: Sequence[Encoding], output: Encoding) -> Fraction:
    """Factor of the step that operands are brought to, so that there are as few multipliers as possible.

    Every operand that has another factor needs one, and so does the result. Of equals the output's factor is taken, which leaves the
    result without a multiplier.
    """
    factors = [Fraction(encoding.factor) for encoding in inputs]
    target = Fraction(output.factor)
    choices = [target, *factors]
    return min(choices, key=lambda choice: sum(factor != choice for factor in factors) + (choice != target))
