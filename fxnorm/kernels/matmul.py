"""Matrix product of two values that both depend on the input (attention scores, for instance), or of one with a constant on its left."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import ClassVar

import numpy as np

from fxnorm.engine import products, replay
from fxnorm.fixed.format import Format
from fxnorm.kernels.encoding import Encoding, encode_constant
from fxnorm.kernels.kernel import Kernel, Operation, Policy, Reads
from fxnorm.kernels.linear import clip_codes, encode_bias, narrow, signed_format
from fxnorm.kernels.rescale import encode_multiplier
from fxnorm.kernels.stage import Rescale, Tally, stage_for

Array = np.ndarray


@dataclass(frozen=True, eq=False)
class Combination:
    """total = (alpha · acc << shifts[0]) + (beta · c << shifts[1]): what Gemm makes of a finished accumulator, exact.

    Attributes
    ----------
    alpha, beta
        Integer multipliers.
    shifts
        Places to the left by which both terms are brought to one step.
    addend
        Codes of a constant c, beta · 2**shifts[1] included; None where c is an input, or there is none.
    bound
        Largest magnitude of the total.
    """

    alpha: int
    beta: int
    shifts: tuple[int, int]
    addend: Array | None
    bound: int

    def run(self, acc: Array, c: Array | None) -> Array:
        """Totals of accumulators [samples, m, n] and an input c [samples, ...] that broadcasts against them."""
        total = np.asarray(products.integers(acc, self.bound) * self.alpha << self.shifts[0])
        if self.addend is not None:
            c, total = align(self.addend[None], total)
            return np.asarray(total + products.integers(c, self.bound))
        if c is None:
            return total
        c, total = align(c, total)
        return np.asarray(total + (products.integers(c, self.bound) * self.beta << self.shifts[1]))


@dataclass(frozen=True, eq=False)
class MatMul(Kernel):
    """acc = Σ a·b over k, ascending; y = rescale(acc), or rescale(alpha·acc + beta·c).

    Attributes
    ----------
    left, right
        Codes of the operand that is constant; None where it is an input. At least one is an input.
    vector_left, vector_right
        Whether the operand is a vector (rank 1), to be read as one row or one column.
    combination
        Factors and addend of a Gemm; None: the accumulator as it is.
    stage, accumulator, product, product_bits, exact, bound
        As in `Linear`.
    zeros
        Codes of both operands that stand for 0; they are taken off before operands are multiplied.
    """

    kind: ClassVar[str] = "matmul"
    left: Array | None
    right: Array | None
    vector_left: bool
    vector_right: bool
    combination: Combination | None
    stage: Rescale
    accumulator: Format
    product: Format | None
    product_bits: int
    exact: bool
    bound: int
    zeros: tuple[int, int] = (0, 0)

    def run(self, inputs: Sequence[Array], tally: Tally) -> Array:
        """Inputs [samples, ..., m, k] and [samples, ..., k, n], broadcast as ONNX's MatMul does, and c where it is one."""
        given = iter(inputs)
        a = next(given) if self.left is None else self.left[None]
        b = next(given) if self.right is None else self.right[None]
        a = a[..., None, :] if self.vector_left else a
        b = b[..., :, None] if self.vector_right else b
        a, b = (codes - zero if zero else codes for codes, zero in zip(align(a, b), self.zeros, strict=True))
        if self.exact:
            acc = products.matmul(a, b, self.bound)
        else:
            acc, count = replay.accumulate(
                a, b, np.zeros(1, np.int64), replay.Accumulator(self.accumulator, self.product_bits, self.product)
            )
            tally.accumulator_overflow += count
        tally.additions += acc.size * a.shape[-1]
        if self.combination is not None:
            acc = self.combination.run(acc, next(given, None))
        y = self.stage.run(acc, tally)
        y = y[..., 0, :] if self.vector_left else y
        return y[..., 0] if self.vector_right else y

    def accumulator_format(self) -> Format:
        """Format of the accumulator, in the normalized units of a times b."""
        return self.accumulator

    def accumulator_proof(self) -> str:
        """Whether the worst case over all inputs fits."""
        return "cannot overflow" if self.exact else "may overflow: quantized at every addition"


def align(*arrays: Array) -> tuple[Array, ...]:
    """Insert axes behind the samples so that ONNX's broadcasting, which counts from the last axis, holds per sample."""
    rank = max(array.ndim for array in arrays)
    return tuple(array.reshape(array.shape[0], *(1,) * (rank - array.ndim), *array.shape[1:]) for array in arrays)


@dataclass(frozen=True, eq=False)
class MatMulOperation(Operation):
    """alpha · a @ b + beta · c in real numbers.

    Attributes
    ----------
    length
        Values per sum, k.
    left, right
        The operand that is constant, float64; None where it is an input.
    vector_left, vector_right
        Whether the operand has rank 1.
    alpha, beta
        Factors.
    adds
        Whether there is a c.
    addend
        c where it is constant, float64; None where it is an input.
    low, high
        Clip of a fused activation, in real numbers.
    """

    length: int
    left: Array | None = None
    right: Array | None = None
    vector_left: bool = False
    vector_right: bool = False
    alpha: float = 1.0
    beta: float = 1.0
    adds: bool = False
    addend: Array | None = None
    low: float | None = None
    high: float | None = None

    def reads(self, index: int) -> Reads:
        """Less its zero an operand has one more bit at most; alpha, beta and c are plain factors and terms of a plain product."""
        return Reads.PLAIN if self.adds or self._places() is None else Reads.ZERO

    def _places(self) -> int | None:
        """Base-2 logarithm of alpha where that is a power of two, which costs nothing."""
        mantissa, exponent = math.frexp(self.alpha)
        return exponent - 1 if mantissa == 0.5 else None

    @property
    def writes_any(self) -> bool:
        """The stage has a multiplier and a zero."""
        return True

    def unit(self, inputs: Sequence[Encoding]) -> Fraction:
        """Product of both; constants have powers of two."""
        return math.prod((Fraction(encoding.factor) for encoding in inputs[:2]), start=Fraction(1))

    def decide(self, inputs: Sequence[Encoding], output: Encoding, policy: Policy) -> MatMul:
        """One scale an operand; an accumulator that holds k largest products."""
        given = iter(inputs)
        operands: list[Encoding] = []
        constants: list[Array | None] = []
        for constant in (self.left, self.right):
            if constant is None:
                operands.append(next(given))
                constants.append(None)
            else:
                codes, encoding = encode_constant(constant, policy.weight_format, policy.normalize)
                operands.append(encoding)
                constants.append(narrow(codes))
        for operand in operands:
            products.check_width(operand.format.width + (not operand.format.signed or operand.zero != 0))
        a, b = operands
        product_bits = a.format.fraction_bits + b.format.fraction_bits
        bound = self.length * a.limit * b.limit
        accumulator, accumulator_bits, exact = choose_accumulator(policy, bound, product_bits, self.length)
        low, high = clip_codes(self.low, self.high, output)
        stage_bound = bound if exact else max(-accumulator.min_code, accumulator.max_code)
        lsb = a.exponent + b.exponent - accumulator_bits
        combination, places = None, self._places()
        if not self.adds and places is not None:
            lsb += places
        else:
            combination, lsb = self._combine(next(given, None), lsb, stage_bound, policy)
            stage_bound = combination.bound
        return MatMul(
            left=constants[0],
            right=constants[1],
            vector_left=self.vector_left,
            vector_right=self.vector_right,
            combination=combination,
            stage=stage_for(output, lsb, stage_bound, Fraction(a.factor) * Fraction(b.factor), low=low, high=high),
            accumulator=accumulator,
            product=policy.product_format,
            product_bits=product_bits,
            exact=exact,
            bound=bound,
            zeros=(a.zero, b.zero),
        )

    def _combine(self, c: Encoding | None, lsb: int, bound: int, policy: Policy) -> tuple[Combination, int]:
        """Integers of alpha, beta and c for an accumulator of a step and a bound, and the step of the total."""
        alpha, alpha_lsb = encode_multiplier(self.alpha, policy)
        lsb += alpha_lsb
        bound *= abs(alpha)
        if self.addend is not None:
            codes = encode_bias(self.beta * self.addend, lsb)
            return Combination(alpha, 1, (0, 0), codes, bound + products.largest(codes)), lsb
        if c is None:
            return Combination(alpha, 1, (0, 0), None, bound), lsb
        beta, beta_lsb = encode_multiplier(self.beta, policy)
        step = min(lsb, c.lsb + beta_lsb)
        shifts = (lsb - step, c.lsb + beta_lsb - step)
        largest = abs(beta) * max(-c.format.min_code, c.format.max_code)
        return Combination(alpha, beta, shifts, None, (bound << shifts[0]) + (largest << shifts[1])), step


def choose_accumulator(policy: Policy, bound: int, product_bits: int, length: int) -> tuple[Format, int, bool]:
    """Accumulator format, its fractional bits, and whether it holds every sum of exact products as it is."""
    product = policy.product_format
    if policy.accumulator is not None:
        format_ = policy.accumulator
        keeps = product is None and format_.fraction_bits == product_bits
        return format_, format_.fraction_bits, keeps and format_.lowest_code <= -bound and bound <= format_.max_code
    if product is not None:
        bound = length * max(-product.min_code, product.max_code)
        return signed_format(-bound, bound, product.fraction_bits), product.fraction_bits, False
    return signed_format(-bound, bound, product_bits), product_bits, True
