"""Element by element: sums, products, minima, maxima, quotients and the piecewise-linear functions, each with one rounding."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import reduce
from typing import ClassVar

import numpy as np

from fxnorm.engine import products
from fxnorm.errors import PlanError
from fxnorm.kernels.alignment import Operand, common_factor
from fxnorm.kernels.encoding import Encoding, encode_constant
from fxnorm.kernels.kernel import Kernel, Operation, Policy, Reads
from fxnorm.kernels.linear import clip_codes, holds_clip, narrow
from fxnorm.kernels.matmul import align
from fxnorm.kernels.stage import Rescale, Tally, stage_for

Array = np.ndarray

# Functions whose operands must share a step size.
_SHARED_STEP = frozenset({"add", "min", "max", "select"})
_CHOOSING = frozenset({"min", "max", "select", "threshold"})
FUNCTIONS = ("add", "mul", "min", "max", "select", "abs", "prelu", "threshold", "hard_swish")


@dataclass(frozen=True, eq=False)
class Elementwise(Kernel):
    """acc = f(((a - z0) · m0) << s0, ((b - z1) · m1) << s1, …), exact; y = rescale(acc).

    Attributes
    ----------
    function
        add: Σ ±operand. mul: product. min, max. select: first operand where the mask is set, else the second. abs.
        prelu: a where a ≥ 0, else a · slope (the positive branch brought to the slope's step). threshold: a where a > parameters[0],
        else 0. hard_swish: a · clip(a + parameters[0], 0, parameters[1]).
    operands
        Codes of the operands that are constant; None where one is an input.
    shifts
        Places by which each operand is moved to the left to share a step size.
    signs
        +1 or -1 an operand, for add.
    parameters
        Integers of the function, at the step size of the shifted operand.
    mask
        For select; bool.
    stage
        Rescale of the accumulator.
    bound
        Largest magnitude of any integer on the way.
    multipliers
        Positive integer by which each operand is brought to the common step; 1 where steps differ by powers of two.
    zeros
        Code of each operand that stands for 0.
    """

    kind: ClassVar[str] = "elementwise"
    function: str
    operands: tuple[Array | None, ...]
    shifts: tuple[int, ...]
    signs: tuple[int, ...]
    parameters: tuple[int, ...]
    mask: Array | None
    stage: Rescale
    bound: int
    multipliers: tuple[int, ...]
    zeros: tuple[int, ...]

    def run(self, inputs: Sequence[Array], tally: Tally) -> Array:
        """Inputs [samples, *shape], broadcast as ONNX does."""
        given = iter(inputs)
        raw = align(*(next(given) if constant is None else constant[None] for constant in self.operands))
        terms = [products.integers(codes, self.bound) for codes in raw]
        terms = [term - zero if zero else term for term, zero in zip(terms, self.zeros, strict=True)]
        terms = [term * m if m != 1 else term for term, m in zip(terms, self.multipliers, strict=True)]
        terms = [term << shift if shift else term for term, shift in zip(terms, self.shifts, strict=True)]
        return self.stage.run(self._accumulate(terms), tally)

    def _accumulate(self, terms: list[Array]) -> Array:
        first = terms[0]
        match self.function:
            case "add":
                return reduce(
                    np.add, [term if sign > 0 else -term for term, sign in zip(terms, self.signs, strict=True)]
                )
            case "mul":
                return reduce(np.multiply, terms)
            case "min":
                return reduce(np.minimum, terms)
            case "max":
                return reduce(np.maximum, terms)
            case "select":
                assert self.mask is not None
                mask = self.mask[None]
                mask, first, second = align(mask, first, terms[1])
                return np.where(mask, first, second)
            case "abs":
                return np.asarray(np.abs(first))
            case "prelu":
                return np.where(first >= 0, first << self.parameters[0], first * terms[1])
            case "threshold":
                return np.where(first > self.parameters[0], first, 0)
            case "hard_swish":
                return np.asarray(first * np.clip(first + self.parameters[0], 0, self.parameters[1]))
        raise AssertionError(self.function)


@dataclass(frozen=True, eq=False)
class ElementwiseOperation(Operation):
    """One of `FUNCTIONS` in real numbers.

    Attributes
    ----------
    function, signs, mask
        As in `Elementwise`.
    operands
        float64 constants; None where an operand is an input.
    divisor
        What the sum is divided by (Mean).
    parameters
        threshold: its alpha.
    low, high
        Clip of a fused activation, in real numbers.
    """

    function: str
    operands: tuple[Array | None, ...]
    signs: tuple[int, ...] = ()
    divisor: int = 1
    parameters: tuple[float, ...] = ()
    mask: Array | None = None
    low: float | None = None
    high: float | None = None

    def encoding(self, inputs: Sequence[Encoding], policy: Policy) -> Encoding | None:
        """Minima, maxima and thresholds of one encoding keep it."""
        computed = all(operand is None for operand in self.operands)
        if not (self.passes and computed and len(set(inputs)) == 1 and policy.format == inputs[0].format):
            return None
        return inputs[0] if holds_clip(self.low, self.high, inputs[0]) else None

    def reads(self, index: int) -> Reads:
        """Zeros are taken off; what is compared with numbers of its own, or chosen to be 0, needs more."""
        place = [place for place, constant in enumerate(self.operands) if constant is None][index]
        if self.function == "hard_swish" or (self.function == "prelu" and place == 1):
            return Reads.PLAIN
        return Reads.ZERO if self.function == "threshold" else Reads.ANY

    @property
    def writes_any(self) -> bool:
        """The stage has a multiplier and a zero."""
        return True

    @property
    def passes(self) -> bool:
        """Minima, maxima and thresholds choose."""
        return self.function in _CHOOSING

    def unit(self, inputs: Sequence[Encoding]) -> Fraction | None:
        """That of the operands where they share it; the product of theirs for products."""
        factors = [Fraction(encoding.factor) for encoding in inputs]
        if self.function == "mul":
            return math.prod(factors, start=Fraction(1))
        return factors[0] if self.function not in _SHARED_STEP or len(set(factors)) == 1 else None

    def decide(self, inputs: Sequence[Encoding], output: Encoding, policy: Policy) -> Elementwise:
        """Encode the constants, bring operands to a common step where the function needs one, and bound the accumulator."""
        shared = self.function in _SHARED_STEP
        factor = common_factor(inputs, output) if shared else self.unit(inputs) or Fraction(1)
        given = iter(inputs)
        # Where operands share a step, a constant needs none finer than the finest of what it meets.
        floor = min(output.place, *(encoding.place for encoding in inputs)) if shared else None
        encodings: list[Encoding] = []
        constants: list[Array | None] = []
        for constant in self.operands:
            if constant is None:
                encodings.append(next(given))
                constants.append(None)
            else:
                step = float(factor) if shared and policy.normalize != "none" else 1.0
                codes, encoding = encode_constant(constant / step, policy.weight_format, policy.normalize, floor)
                encodings.append(replace(encoding, factor=step))
                constants.append(narrow(codes))
        same = shared and all(encoding == output for encoding in encodings) and self.function != "add"
        terms = [
            Operand.of(encoding, constant, factor if shared else None, 0 if same else encoding.zero, output)
            for encoding, constant in zip(encodings, constants, strict=True)
        ]
        shifts, lsb, bound, parameters = self._align(terms)
        if bound.bit_length() > 4096:
            raise PlanError(
                f"{self.function}: operands whose steps lie 2^{max(shifts)} apart have no common step that hardware could hold"
            )
        low, high = clip_codes(self.low, self.high, output)
        divisor = self.divisor
        if self.function == "hard_swish":
            divisor = 6
        origin = output.zero if same else 0
        stage = stage_for(output, lsb, bound, factor, divisor=divisor, low=low, high=high, origin=origin)
        return Elementwise(
            self.function,
            tuple(constants),
            shifts,
            self.signs or (1,) * len(encodings),
            parameters,
            self.mask,
            stage,
            bound,
            tuple(term.multiplier for term in terms),
            tuple(term.zero for term in terms),
        )

    def _align(self, terms: list[Operand]) -> tuple[tuple[int, ...], int, int, tuple[int, ...]]:
        """Shifts of the operands, step of the accumulator but for its factor, bound of the accumulator, integer parameters."""
        lsbs, limits = [term.lsb for term in terms], [term.limit for term in terms]
        still = (0,) * len(terms)
        match self.function:
            case "mul":
                return still, sum(lsbs), int(np.prod([max(limit, 1) for limit in limits], dtype=object)), ()
            case "prelu":
                # The slope's step may be above 1 where slopes are large: then the negative branch is the coarser one.
                up = max(-lsbs[1], 0)
                down = max(lsbs[1], 0)
                bound = max(limits[0] << up, limits[0] * max(limits[1] << down, 1))
                return (0, down), lsbs[0] + lsbs[1] - down, bound, (up,)
            case "hard_swish":
                # 3 and 6 must be integers at the step of the shifted operand.
                up = max(lsbs[0], 0)
                lsb = lsbs[0] - up
                three, six = 3 << -lsb, 6 << -lsb
                limit = limits[0] << up
                return (up,), 2 * lsb, limit * max(six, limit + three), (three, six)
            case "threshold":
                # x > alpha is code - zero > floor(alpha / step), exactly.
                alpha = math.floor(Fraction(self.parameters[0]) / terms[0].step)
                return still, lsbs[0], limits[0], (alpha,)
        lsb = min(lsbs)
        shifts = tuple(value - lsb for value in lsbs)
        moved = [limit << shift for limit, shift in zip(limits, shifts, strict=True)]
        return shifts, lsb, sum(moved) if self.function == "add" else max(moved), ()
