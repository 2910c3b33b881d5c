"""Element by element: sums, products, minima, maxima, quotients and the piecewise-linear functions, each with one rounding."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from typing import ClassVar

import numpy as np

from fxnorm.engine import products
from fxnorm.errors import PlanError
from fxnorm.fixed import arith
from fxnorm.fixed.format import Rounding
from fxnorm.kernels.encoding import Encoding, encode_constant
from fxnorm.kernels.kernel import Kernel, Operation, Policy
from fxnorm.kernels.linear import clip_codes, holds_clip, narrow
from fxnorm.kernels.matmul import align
from fxnorm.kernels.stage import Rescale, Tally

Array = np.ndarray

# What the accumulator is, given operands a, b, … that share a step size (add, min, max, select, the unary ones) or not (mul, prelu).
_SHARED_STEP = frozenset({"add", "min", "max", "select"})
FUNCTIONS = ("add", "mul", "min", "max", "select", "abs", "prelu", "threshold", "hard_swish")


@dataclass(frozen=True, eq=False)
class Elementwise(Kernel):
    """acc = f(a << s0, b << s1, …), exact; y = rescale(acc).

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

    def run(self, inputs: Sequence[Array], tally: Tally) -> Array:
        """Inputs [samples, *shape], broadcast as ONNX does."""
        given = iter(inputs)
        raw = align(*(next(given) if constant is None else constant[None] for constant in self.operands))
        wide = [products.integers(codes, self.bound) for codes in raw]
        terms = [codes << shift if shift else codes for codes, shift in zip(wide, self.shifts, strict=True)]
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
        chooses = self.function in {"min", "max", "select", "threshold"}
        computed = all(operand is None for operand in self.operands)
        if not (chooses and computed and len(set(inputs)) == 1 and policy.format == inputs[0].format):
            return None
        return inputs[0] if holds_clip(self.low, self.high, inputs[0]) else None

    def decide(self, inputs: Sequence[Encoding], output: Encoding, policy: Policy) -> Elementwise:
        """Encode the constants, bring operands to a common step where the function needs one, and bound the accumulator."""
        given = iter(inputs)
        # Where operands share a step, a constant needs none finer than the finest of what it meets.
        floor = min(output.lsb, *(encoding.lsb for encoding in inputs)) if self.function in _SHARED_STEP else None
        encodings: list[Encoding] = []
        constants: list[Array | None] = []
        for constant in self.operands:
            if constant is None:
                encodings.append(next(given))
                constants.append(None)
            else:
                codes, encoding = encode_constant(constant, policy.weight_format, policy.normalize, floor)
                encodings.append(encoding)
                constants.append(narrow(codes))
        limits = [_limit(encoding, constant) for encoding, constant in zip(encodings, constants, strict=True)]
        shifts, lsb, bound, parameters = self._align(encodings, limits)
        if bound.bit_length() > 4096:
            raise PlanError(
                f"{self.function}: operands whose steps lie 2^{max(shifts)} apart have no common step that hardware could hold"
            )
        low, high = clip_codes(self.low, self.high, output)
        divisor = self.divisor
        if self.function == "hard_swish":
            divisor = 6
        stage = Rescale(output.format, output.lsb - lsb, divisor=divisor, low=low, high=high, bound=bound)
        return Elementwise(
            self.function,
            tuple(constants),
            shifts,
            self.signs or (1,) * len(encodings),
            parameters,
            self.mask,
            stage,
            bound,
        )

    def _align(self, encodings: list[Encoding], limits: list[int]) -> tuple[tuple[int, ...], int, int, tuple[int, ...]]:
        """Shifts of the operands, step of the accumulator, bound of the accumulator, integer parameters."""
        lsbs = [encoding.lsb for encoding in encodings]
        still = (0,) * len(encodings)
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
                # x > alpha is code > floor(alpha / step), exactly.
                floor = arith.round_values(np.array(self.parameters), -lsbs[0], Rounding.TRN)[0]
                return still, lsbs[0], limits[0], (int(floor),)
        lsb = min(lsbs)
        shifts = tuple(value - lsb for value in lsbs)
        moved = [limit << shift for limit, shift in zip(limits, shifts, strict=True)]
        return shifts, lsb, sum(moved) if self.function == "add" else max(moved), ()


def _limit(encoding: Encoding, constant: Array | None) -> int:
    if constant is not None:
        return products.largest(constant)
    return max(-encoding.format.min_code, encoding.format.max_code)
