"""Scale and bias of a normalization as codes, and how precise the reciprocal root between must be."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

import numpy as np

from fxnorm.engine import products
from fxnorm.errors import PlanError
from fxnorm.fixed import arith
from fxnorm.fixed.format import Overflow
from fxnorm.fixed.roots import MAX_BITS, MIN_BITS
from fxnorm.kernels.encoding import Encoding, encode_channels
from fxnorm.kernels.kernel import Policy
from fxnorm.kernels.linear import encode_bias, narrow
from fxnorm.kernels.rescale import multiplier_format

Array = np.ndarray

GUARD_BITS: Final = 10
"""Errors before the last rounding stay below 2^-GUARD_BITS output steps each: of the reciprocal root, of a scale's step."""
BIAS_BITS: Final = 16
"""Fraction bits of a constant bias in output steps."""


def peak(form: str, count: int) -> int:
    """Largest |x̂|, rounded up: √N where squares are averaged, else 1."""
    return 1 + math.isqrt(max(count - 1, 0)) if form in {"variance", "mean_square"} else 1


@dataclass(frozen=True, slots=True)
class ScaleCodes:
    """A scale: codes with one power of two each, or an input.

    Attributes
    ----------
    codes
        Of the shape of the constant; None where there is no scale, or it is an input.
    shift
        Places to the left that bring every code to one step.
    lsb
        Base-2 logarithm of that step.
    bound
        Largest magnitude there.
    """

    codes: Array | None
    shift: Array | int
    lsb: int
    bound: int

    @classmethod
    def decide(
        cls, constant: Array | None, given: Encoding | None, largest: int, output: Encoding, policy: Policy
    ) -> ScaleCodes:
        """Codes of a constant, or the encoding of an input.

        Parameters
        ----------
        largest
            Largest |x̂|.
        output
            A factor of its step is divided out of the scale, which then has as many bits as a multiplier.
        """
        if given is not None:
            products.check_width(given.format.width + (not given.format.signed))
            return cls(None, 0, given.lsb, max(-given.format.min_code, given.format.max_code))
        format_ = policy.weight_format
        if output.factor != 1.0:
            constant = np.asarray(1.0 if constant is None else constant) / output.factor
            format_ = multiplier_format(policy)
        if constant is None:
            return cls(None, 0, 0, 1)
        products.check_width(format_.width + (not format_.signed))
        # A step below this one changes no output by more than half a guard bit.
        floor = output.place - GUARD_BITS - largest.bit_length() + format_.fraction_bits
        flat = constant.reshape(-1, 1)
        codes, exponents = encode_channels(flat, format_, policy.normalize, np.full(len(flat), floor))
        lsbs = exponents - format_.fraction_bits
        shift = (lsbs - lsbs.min()).reshape(constant.shape)
        codes = codes.reshape(constant.shape)
        bound = max(products.largest(np.asarray(codes.astype(object) << shift.astype(object))), 1)
        return cls(narrow(codes), shift, int(lsbs.min()), bound)


@dataclass(frozen=True, slots=True)
class BiasCodes:
    """A bias, and the code of 0 with it.

    Attributes
    ----------
    codes
        Of the shape of the constant; None where there is nothing to add, or the bias is an input.
    shift
        Places to the left that bring the codes to the step of the product, one bit below their own finest.
    fraction_bits
        Fraction bits in output steps that the product has beside its sticky bit.
    bound
        Largest magnitude of a code.
    """

    codes: Array | None
    shift: int
    fraction_bits: int
    bound: int

    @classmethod
    def decide(cls, constant: Array | None, given: Encoding | None, output: Encoding) -> BiasCodes:
        """Codes of a constant, or the encoding of an input."""
        if given is not None:
            fraction_bits = max(BIAS_BITS, output.lsb - given.lsb)
            shift = given.lsb - output.lsb + fraction_bits + 1
            return cls(None, shift, fraction_bits, max(-given.format.min_code, given.format.max_code))
        if constant is None and not output.zero:
            return cls(None, 0, 1, 0)
        real = np.asarray(0.0 if constant is None else constant) / output.factor
        codes = encode_bias(real.reshape(-1), output.place - BIAS_BITS).reshape(real.shape)
        codes = codes.astype(object) + (output.zero << BIAS_BITS)
        bound = products.largest(np.asarray(codes))
        return cls(narrow(np.asarray(codes).astype(arith.int_dtype(bound))), 1, BIAS_BITS, bound)

    @property
    def largest(self) -> Fraction:
        """Largest magnitude in output steps."""
        return Fraction(self.bound << self.shift, 2 << self.fraction_bits)


def root_bits(largest: int, scale: ScaleCodes, bias: BiasCodes, output: Encoding) -> int:
    """Bits of the reciprocal (root) whose error stays below a guard bit of any output that is not cut off.

    Parameters
    ----------
    largest
        Largest |x̂|.

    Raises
    ------
    PlanError
        If there are not so many.
    """
    format_ = output.format
    reach: Fraction = largest * scale.bound * Fraction(2) ** (scale.lsb - output.place)
    if format_.overflow is not Overflow.WRAP:
        # What lies beyond the format is cut off, be it more or less precise.
        reach = min(reach, max(-format_.min_code, format_.max_code) + bias.largest + 1)
    needed = (math.ceil(reach) - 1).bit_length() + GUARD_BITS
    if needed > MAX_BITS + GUARD_BITS - 2:
        raise PlanError(
            f"normalization: results of {needed - GUARD_BITS} bits need a reciprocal root of more than {MAX_BITS} bits; "
            "use a narrower format, or one that saturates"
        )
    return max(min(needed, MAX_BITS), MIN_BITS)
