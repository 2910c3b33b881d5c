"""Local response normalization: x / (bias + alpha/size · Σ x²)^beta, the sum over neighbouring channels.

The datapath, for a code x and the sum Q of the squares of the codes in its window, with P = `bits`::

    Z = weight · Q + offset                        exact; Z · 2^-s is the base, s decided
    k = position of the leading one of Z           Z = u · 2^k, 1 ≤ u < 2, low bits dropped behind P
    U = table(u) ≈ u^-beta                         P fraction bits
    m = floor(U · mantissas[k] / 2^P)              mantissas[k] · 2^-exponents[k] ≈ 2^(-beta · (k − s))
    y = rescale(floor(x · m / 2^(exponents[k] + shift)))      sticky
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import ClassVar, Final

import numpy as np

from fxnorm.engine import products
from fxnorm.errors import PlanError
from fxnorm.fixed.format import Format, Overflow, Rounding
from fxnorm.fixed.functions import Table, build
from fxnorm.fixed.reals import real_function
from fxnorm.fixed.words import bit_length
from fxnorm.kernels.encoding import Encoding
from fxnorm.kernels.kernel import Kernel, Operation, Policy
from fxnorm.kernels.linear import signed_format
from fxnorm.kernels.mantissa import Product, needs_sticky
from fxnorm.kernels.stage import Rescale, Tally

Array = np.ndarray

GUARD_BITS: Final = 8
MAX_BITS: Final = 28
MAX_BETA: Final = 8.0
_GUARD = 2


@dataclass(frozen=True, eq=False)
class LocalResponse(Kernel):
    """Local response normalization across axis 1 of the input's shape (samples not counted).

    Attributes
    ----------
    before, after
        Channels in the window on either side of the own one.
    weight, offset
        Z = weight · Q + offset.
    bits
        P: fraction bits of u, of its power and of the mantissas.
    power
        u^-beta for 1 ≤ u < 2.
    first
        Smallest k.
    mantissas, exponents
        One of each a k, from the smallest on.
    shift
        Places to the right, beside the exponents.
    base_bound
        Largest Z.
    product
        x times m.
    stage
        Rescale.
    accumulator
        Narrowest format of Q.
    """

    kind: ClassVar[str] = "local_response"
    before: int
    after: int
    weight: int
    offset: int
    bits: int
    power: Table
    first: int
    mantissas: Array
    exponents: Array
    shift: int
    base_bound: int
    product: Product
    stage: Rescale
    accumulator: Format

    def run(self, inputs: Sequence[Array], tally: Tally) -> Array:
        """Input [samples, batch, channels, *spatial]."""
        x = inputs[0]
        rows = x.reshape(-1, x.shape[2], math.prod(x.shape[3:]))
        # A base of zero has nothing but zeros in its window.
        base = np.maximum(self._sums(rows) * self.weight + self.offset, 1)
        place = bit_length(base) - 1
        left, right = np.maximum(self.bits - place, 0), np.maximum(place - self.bits, 0)
        u = ((base << left.astype(base.dtype)) >> right.astype(base.dtype)).astype(np.int64)
        index = np.maximum(place - self.first, 0)
        mantissa = (self.power.run(u)[0] * self.mantissas[index]) >> self.bits
        product = self.product.run(rows.copy(), mantissa, self.exponents[index] + self.shift)
        return self.stage.run(product, tally).reshape(x.shape)

    def _sums(self, rows: Array) -> Array:
        """Q, int64 or Python integers as Z needs them."""
        channels = rows.shape[1]
        wide = products.integers(rows, max(self.base_bound, self.accumulator.max_code))
        running = np.cumsum(wide * wide, axis=1)
        running = np.concatenate([np.zeros_like(running[:, :1]), running], axis=1)
        own = np.arange(channels)
        return np.asarray(
            running[:, np.minimum(own + self.after + 1, channels)] - running[:, np.maximum(own - self.before, 0)]
        )

    def accumulator_format(self) -> Format:
        """Format of the sum of squares, in the normalized units of x times x."""
        return self.accumulator

    def accumulator_proof(self) -> str:
        """It is as wide as its worst case."""
        return "cannot overflow"


@dataclass(frozen=True, slots=True)
class LocalResponseOperation(Operation):
    """x / (bias + alpha/size · Σ x²)^beta in real numbers, over `channels` channels; alpha and bias are not negative."""

    channels: int
    size: int
    alpha: float
    beta: float
    bias: float

    def decide(self, inputs: Sequence[Encoding], output: Encoding, policy: Policy) -> LocalResponse:
        """A power whose error is below the output's last place by `GUARD_BITS`, as far as `MAX_BITS` go."""
        x = inputs[0]
        products.check_width(x.format.width + (not x.format.signed))
        if abs(self.beta) > MAX_BETA:
            raise PlanError(f"LRN: beta must lie within ±{MAX_BETA:g}, not {self.beta:g}")
        whole = math.ceil(abs(self.beta))
        bits = min(output.format.width + GUARD_BITS + whole, MAX_BITS, (60 - whole) // 2)
        largest = max(-x.format.min_code, x.format.max_code)
        squares = min(self.size, self.channels) * largest**2
        slope = Fraction(self.alpha) / self.size * Fraction(4) ** x.lsb
        fraction_bits = _fraction_bits(slope, Fraction(self.bias), squares, bits)
        weight, offset = (round(value * Fraction(2) ** fraction_bits) for value in (slope, Fraction(self.bias)))
        base_bound = max(weight * squares + offset, 1)
        first = max(offset, 1).bit_length() - 1
        places = range(first, base_bound.bit_length())
        mantissas, exponents = _powers(self.beta, [place - fraction_bits for place in places], bits)
        shift = output.lsb - x.lsb - _GUARD
        tops = (1 << (bits + 2 + (whole if self.beta < 0 else 0))) * Fraction(2) ** -shift
        bound = 2
        for place, exponent in zip(places, exponents, strict=True):
            # A base below 2^(k + 1) has no larger code in its window than this.
            reach = largest if weight == 0 else min(largest, math.isqrt((2 << place) // weight) + 1)
            bound = max(bound, math.ceil(reach * tops / Fraction(2) ** int(exponent)) + 2)
        factor = 1 << (bits + 2 + (whole if self.beta < 0 else 0))
        return LocalResponse(
            before=(self.size - 1) // 2,
            after=self.size // 2,
            weight=weight,
            offset=offset,
            bits=bits,
            power=_power(self.beta, bits, whole),
            first=first,
            mantissas=mantissas,
            exponents=exponents,
            shift=shift,
            base_bound=base_bound,
            product=Product(largest, factor, bound, needs_sticky(output.format.rounding)),
            stage=Rescale(output.format, _GUARD, bound=bound),
            accumulator=signed_format(0, self.channels * largest**2, 2 * x.format.fraction_bits),
        )


def _fraction_bits(slope: Fraction, bias: Fraction, squares: int, bits: int) -> int:
    """Fraction bits of Z that keep the roundings of weight and offset below 2^-(bits + 2) of any base."""
    need = bits + 2
    choices = []
    if slope:
        choices.append(need - _place(slope))
    if bias:
        # Where the sum is small beside the bias, its weight may be coarse.
        choices.append(need + squares.bit_length() - _place(bias))
    if not choices:
        return need
    chosen = min(choices)
    return max(chosen, need - _place(bias)) if bias else chosen


def _place(value: Fraction) -> int:
    """Place of the leading one of a positive number, or one below."""
    return value.numerator.bit_length() - value.denominator.bit_length() - 1


@lru_cache(maxsize=16)
def _power(beta: float, bits: int, whole: int) -> Table:
    source = Format(bits + 1, 1, False)
    top = 1 if beta >= 0 else whole + 1
    target = Format(bits + top, top, False, Rounding.RND, Overflow.SAT)
    return build(real_function("pow", exponent=-beta), source, -bits, target, -bits)


def _powers(beta: float, octaves: list[int], bits: int) -> tuple[Array, Array]:
    """Mantissas of bits + 1 bits and exponents with mantissa · 2^-exponent = 2^(-beta · octave), rounded."""
    from mpmath import mp

    mantissas, exponents = [], []
    for octave in octaves:
        power = Fraction(-beta) * octave
        place = math.floor(power)
        with mp.workprec(bits + 64):
            fraction = mp.mpf((power - place).numerator) / (power - place).denominator
            mantissas.append(int(mp.nint(mp.ldexp(mp.power(2, fraction), bits))))
        exponents.append(bits - place)
    return np.array(mantissas, np.int64), np.array(exponents, np.int64)
