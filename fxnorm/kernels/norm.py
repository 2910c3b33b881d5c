"""Normalization of groups: (x − mean) / √(variance + ε), its relatives without a mean or with other norms, then scale and bias.

Whatever computes the moments (`norm_exact`, `norm_staged`), x̂ is an integer times a mantissa over a power of two, and what follows is exact
up to one rounding::

    p = floor((a·x − center) · scale · mantissa / 2^(exponent + shift))        sticky: nothing that the rounding asks for is lost
    y = rescale(p + bias)
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import ClassVar, Final

import numpy as np

from fxnorm.engine import products
from fxnorm.errors import PlanError
from fxnorm.fixed import arith
from fxnorm.fixed.format import Format
from fxnorm.kernels.encoding import Encoding
from fxnorm.kernels.kernel import Kernel, Operation, Policy, Reads
from fxnorm.kernels.linear import clip_codes
from fxnorm.kernels.mantissa import Product, needs_sticky
from fxnorm.kernels.norm_exact import ExactMoments, MagnitudeSum
from fxnorm.kernels.norm_operands import BiasCodes, ScaleCodes, peak, root_bits
from fxnorm.kernels.norm_staged import StagedMoments
from fxnorm.kernels.stage import Rescale, Tally

Array = np.ndarray
Moments = ExactMoments | StagedMoments | MagnitudeSum

FORMS: Final = ("variance", "mean_square", "sum_square", "sum_abs")
"""What x (less its mean for the first) is divided by: √(Σ(x − µ)²/N + ε), √(Σx²/N + ε), √Σx², Σ|x|."""

_BLOCK = 1 << 15


@dataclass(frozen=True, eq=False)
class Norm(Kernel):
    """Normalization over groups.

    Attributes
    ----------
    layout
        Shape of one row; the input is as many rows as it has elements for.
    axes
        Axes of the layout that make a group.
    moments
        How center and reciprocal deviation of a group are computed.
    scale
        Codes that broadcast against the layout; None where there is none or it is an input.
    scale_shift
        Places to the left that bring every scale to one step.
    scale_shape
        Where the scale is an input: its shape without samples, as it broadcasts against [rows of a sample, *layout].
    bias, bias_shift, bias_shape
        Likewise; the places bring it to the step of p.
    shift
        Places to the right, beside those of the group.
    product
        (a·x − center) · scale times the mantissa.
    stage
        Rescale of p + bias.
    accumulator
        Narrowest format of N·Σx² − (Σx)²; None for the other algorithms, whose stages have formats of their own.
    """

    kind: ClassVar[str] = "norm"
    layout: tuple[int, ...]
    axes: tuple[int, ...]
    moments: Moments
    scale: Array | None
    scale_shift: Array | int
    scale_shape: tuple[int, ...] | None
    bias: Array | None
    bias_shift: int
    bias_shape: tuple[int, ...] | None
    shift: int
    product: Product
    stage: Rescale
    accumulator: Format | None

    def run(self, inputs: Sequence[Array], tally: Tally) -> Array:
        """Inputs [samples, *shape], and scale and bias where they are inputs."""
        given = iter(inputs)
        x = next(given)
        rows = x.reshape(-1, *self.layout)
        scale = self.operand(self.scale, self.scale_shape, given, x, self.product.factor_bound)
        bias = self.operand(self.bias, self.bias_shape, given, x, self.stage.bound)
        scale = None if scale is None else scale << self.scale_shift
        bias = None if bias is None else bias << self.bias_shift
        found = self.moments.moments(rows, self.axes, tally)
        result = np.empty(rows.shape, np.int64)
        for block in _blocks(rows):
            term = self.moments.numerator(_held(rows[block], self.moments.numerator_bound), found.center[block])
            if scale is not None:
                term = _held(term, self.product.factor_bound)
                term *= scale if len(scale) == 1 else scale[block]
            term = self.product.run(term, found.mantissa[block], found.exponent[block] + self.shift)
            if bias is not None:
                term = _held(term, self.stage.bound)
                term += bias if len(bias) == 1 else bias[block]
            result[block] = self.stage.run(term, tally)
        return result.reshape(x.shape)

    def operand(
        self, constant: Array | None, shape: tuple[int, ...] | None, given: Iterator[Array], x: Array, bound: int
    ) -> Array | None:
        """A constant with one row, or an input with as many rows as x; None where there is neither."""
        if constant is not None:
            return products.integers(constant, bound)[None]
        if shape is None:
            return None
        codes = products.integers(next(given), bound).reshape(-1, *shape)
        rows = math.prod(x.shape[1:]) // math.prod(self.layout)
        return np.broadcast_to(codes, (len(codes), rows, *codes.shape[2:])).reshape(-1, *codes.shape[2:])

    def accumulator_format(self) -> Format | None:
        """Format of N·Σx² − (Σx)², in the normalized units of x times x."""
        return self.accumulator

    def accumulator_proof(self) -> str:
        """It is as wide as its worst case."""
        return "cannot overflow"

    def inner_formats(self) -> Mapping[str, Format]:
        """Formats of the stages of the two inexact algorithms."""
        return self.moments.formats if isinstance(self.moments, StagedMoments) else {}


def _held(array: Array, bound: int) -> Array:
    """The array itself where 64 bits hold what is done with it, else as Python integers."""
    return array.astype(arith.int_dtype(bound), copy=False)


def _blocks(rows: Array) -> Iterator[slice]:
    """Slices of rows that stay in a core's cache while they are worked on."""
    step = max(1, _BLOCK // max(1, rows[:1].size))
    return (slice(start, start + step) for start in range(0, len(rows), step))


@dataclass(frozen=True, eq=False)
class NormOperation(Operation):
    """A normalization over groups, in real numbers.

    Attributes
    ----------
    layout, axes, scale_shape, bias_shape
        As in `Norm`.
    form
        One of `FORMS`.
    epsilon
        Added to variance or mean square.
    floor
        Least value of a norm that divides: x / max(‖x‖, floor). Only a step no smaller than it is planned, for there zeros alone lie below.
    scale, bias
        float64 constants that broadcast against the layout; None where there is none, or a shape says that it is an input.
    low, high
        Clip of a fused activation.
    """

    layout: tuple[int, ...]
    axes: tuple[int, ...]
    form: str
    epsilon: float = 0.0
    scale: Array | None = None
    scale_shape: tuple[int, ...] | None = None
    bias: Array | None = None
    bias_shape: tuple[int, ...] | None = None
    floor: float = 0.0
    low: float | None = None
    high: float | None = None

    @property
    def count(self) -> int:
        """Values of a group, N."""
        return math.prod(self.layout[axis] for axis in self.axes)

    @property
    def stages(self) -> frozenset[str]:
        """Stages that the two inexact algorithms have here; none where the algorithm makes no difference."""
        if self.form == "sum_abs":
            return frozenset()
        return frozenset({"square", "variance", "root"} | ({"mean"} if self.form == "variance" else set()))

    def reads(self, index: int) -> Reads:
        """Where the mean is taken off, an offset goes with it, and a factor of the step goes into ε."""
        return Reads.ANY if index == 0 and self.form == "variance" else Reads.PLAIN

    @property
    def writes_any(self) -> bool:
        """A factor of the output's step goes into a constant scale, the code of 0 into a constant bias."""
        return self.scale_shape is None and self.bias_shape is None

    def decide(self, inputs: Sequence[Encoding], output: Encoding, policy: Policy) -> Norm:
        """A root precise enough for the one rounding; scales as weights, one power of two each; biases at the product's step."""
        x, *given = inputs
        products.check_width(x.format.width + (not x.format.signed))
        if x.step < Fraction(self.floor):
            raise PlanError(
                f"normalization: x / max(|x|, {self.floor:g}) is run where no step of x is smaller than that number, "
                f"not where it is {float(x.step):g}; use a format of fewer bits for x"
            )
        largest = peak(self.form, self.count)
        scale = ScaleCodes.decide(self.scale, given.pop(0) if self.scale_shape else None, largest, output, policy)
        bias = BiasCodes.decide(self.bias, given.pop(0) if self.bias_shape else None, output)
        moments = self._moments(x, policy, root_bits(largest, scale, bias, output))
        guard = bias.fraction_bits + 1
        shift = output.place - scale.lsb - guard
        if isinstance(moments, StagedMoments):
            reach = Fraction(moments.numerator_bound * moments.mantissa_bound) / Fraction(2) ** moments.exponent
        else:
            reach = Fraction(largest * 9, 8)
        bound = math.ceil(reach * scale.bound / Fraction(2) ** shift) + 2
        low, high = clip_codes(self.low, self.high, output)
        factor_bound = moments.numerator_bound * scale.bound
        sticky = needs_sticky(output.format.rounding)
        return Norm(
            layout=self.layout,
            axes=self.axes,
            moments=moments,
            scale=None if scale.codes is None else self._spread(scale.codes),
            scale_shift=scale.shift if isinstance(scale.shift, int) else self._spread(scale.shift),
            scale_shape=self.scale_shape,
            bias=None if bias.codes is None else self._spread(bias.codes),
            bias_shift=bias.shift,
            bias_shape=self.bias_shape,
            shift=shift,
            product=Product(factor_bound, moments.mantissa_bound, bound, sticky),
            stage=Rescale(output.format, guard, low=low, high=high, bound=bound + (bias.bound << bias.shift)),
            accumulator=moments.deviation_format(x.format.fraction_bits) if isinstance(moments, ExactMoments) else None,
        )

    def _spread(self, codes: Array) -> Array:
        """One number for all as an array that broadcasts against the layout."""
        return codes if codes.ndim else codes.reshape((1,) * len(self.layout))

    def _moments(self, x: Encoding, policy: Policy, bits: int) -> Moments:
        if self.form == "sum_abs":
            return MagnitudeSum.decide(x.format, self.count, bits)
        return decide_moments(self, x, policy, bits, alone=False)


def decide_moments(
    operation: NormOperation, x: Encoding, policy: Policy, bits: int, *, alone: bool
) -> ExactMoments | StagedMoments:
    """Moments by the algorithm that the policy names; see `ExactMoments.decide` for `bits` and `alone`."""
    centered, mean = operation.form == "variance", operation.form != "sum_square"
    epsilon = Fraction(operation.epsilon)
    if policy.norm.algorithm == "exact":
        return ExactMoments.decide(
            x.format, x.step, operation.count, epsilon, bits, centered=centered, mean=mean, alone=alone
        )
    modes = x.format.with_modes(policy.format.rounding, policy.format.overflow)
    scale = Fraction(x.factor) * Fraction(2) ** x.exponent
    return StagedMoments.decide(modes, scale, operation.count, epsilon, policy.norm, centered=centered, mean=mean)
