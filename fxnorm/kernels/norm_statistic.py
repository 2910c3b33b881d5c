"""Mean and inverse deviation of groups as values of their own: the further outputs of a LayerNormalization."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import ClassVar

import numpy as np

from fxnorm.engine import products
from fxnorm.fixed.format import Format
from fxnorm.fixed.roots import MAX_BITS, MIN_BITS
from fxnorm.kernels.encoding import Encoding
from fxnorm.kernels.kernel import Kernel, Operation, Policy
from fxnorm.kernels.mantissa import Product, needs_sticky
from fxnorm.kernels.norm import NormOperation, decide_moments
from fxnorm.kernels.norm_exact import ExactMoments
from fxnorm.kernels.norm_operands import GUARD_BITS
from fxnorm.kernels.norm_staged import StagedMoments
from fxnorm.kernels.pool import ReduceOperation
from fxnorm.kernels.stage import Rescale, Tally

Array = np.ndarray

_GUARD = 2


@dataclass(frozen=True, eq=False)
class NormMean(Kernel):
    """The mean of every group as the stages of an inexact algorithm have it, rescaled.

    Attributes
    ----------
    layout, axes
        As in `fxnorm.kernels.norm.Norm`.
    shape
        Of the output, samples not counted.
    moments
        What computes it.
    stage
        Rescale.
    """

    kind: ClassVar[str] = "norm"
    layout: tuple[int, ...]
    axes: tuple[int, ...]
    shape: tuple[int, ...]
    moments: StagedMoments
    stage: Rescale

    def run(self, inputs: Sequence[Array], tally: Tally) -> Array:
        """Input [samples, *shape]."""
        mean = self.moments.mean(inputs[0].reshape(-1, *self.layout), self.axes, tally)
        return self.stage.run(products.integers(mean, self.stage.bound), tally).reshape(-1, *self.shape)

    def inner_formats(self) -> Mapping[str, Format]:
        """Format of the mean's own stage."""
        return {"mean": self.moments.formats["mean"]}


@dataclass(frozen=True, eq=False)
class NormInverseDeviation(Kernel):
    """1 / √(variance + ε) of every group; beyond every code where that is 1 / 0.

    Attributes
    ----------
    layout, axes, shape, moments
        As in `NormMean`.
    factor
        a of the moments: the result is factor · mantissa / 2^(exponent + shift).
    shift
        Places to the right, beside those of the group.
    product
        factor times the mantissa.
    stage
        Rescale of it.
    """

    kind: ClassVar[str] = "norm"
    layout: tuple[int, ...]
    axes: tuple[int, ...]
    shape: tuple[int, ...]
    moments: ExactMoments | StagedMoments
    factor: int
    shift: int
    product: Product
    stage: Rescale

    def run(self, inputs: Sequence[Array], tally: Tally) -> Array:
        """Input [samples, *shape]."""
        found = self.moments.moments(inputs[0].reshape(-1, *self.layout), self.axes, tally)
        factor = np.full(found.mantissa.shape, self.factor, np.int64)
        product = self.product.run(factor, found.mantissa, found.exponent + self.shift)
        beyond = (self.stage.output.max_code + 2) << _GUARD
        acc = np.where(found.infinite, beyond, products.integers(product, self.stage.bound))
        return self.stage.run(acc, tally).reshape(-1, *self.shape)

    def inner_formats(self) -> Mapping[str, Format]:
        """Formats of the stages of the two inexact algorithms."""
        return self.moments.formats if isinstance(self.moments, StagedMoments) else {}


@dataclass(frozen=True, eq=False)
class NormMeanOperation(Operation):
    """The mean of the groups of a normalization, in real numbers.

    Attributes
    ----------
    norm
        The normalization.
    axes
        Axes of the input's shape that make a group.
    shape
        Of the output.
    """

    norm: NormOperation
    axes: tuple[int, ...]
    shape: tuple[int, ...]

    @property
    def stages(self) -> frozenset[str]:
        """Stages that the two inexact algorithms have here."""
        return frozenset({"mean"})

    def decide(self, inputs: Sequence[Encoding], output: Encoding, policy: Policy) -> Kernel:
        """The exact sum over N, rounded once; with the other algorithms what their mean's stage gives."""
        x = inputs[0]
        moments = decide_moments(self.norm, x, policy, MIN_BITS, alone=False)
        if not isinstance(moments, StagedMoments):
            return ReduceOperation("mean", self.axes, True, self.norm.count).decide(inputs, output, policy)
        format_ = moments.formats["mean"]
        bound = max(-format_.min_code, format_.max_code)
        stage = Rescale(output.format, output.lsb - (x.exponent - format_.fraction_bits), bound=bound)
        return NormMean(self.norm.layout, self.norm.axes, self.shape, moments, stage)


@dataclass(frozen=True, eq=False)
class NormInverseDeviationOperation(Operation):
    """1 / √(variance + ε) of the groups of a normalization, in real numbers; `shape` is that of the output."""

    norm: NormOperation
    shape: tuple[int, ...]

    @property
    def stages(self) -> frozenset[str]:
        """Stages that the two inexact algorithms have here."""
        return self.norm.stages

    def decide(self, inputs: Sequence[Encoding], output: Encoding, policy: Policy) -> NormInverseDeviation:
        """A root of a few bits more than the output."""
        x = inputs[0]
        bits = min(output.format.width + GUARD_BITS, MAX_BITS)
        moments = decide_moments(self.norm, x, policy, bits, alone=True)
        if isinstance(moments, StagedMoments):
            factor = 1
            places = moments.root_format.fraction_bits - moments.exponent + x.exponent
            largest = Fraction(moments.mantissa_bound) / Fraction(2) ** (moments.exponent + places)
        else:
            factor, places = moments.factor, x.lsb
            # D is at least 1 where it is not 0, and then ε is all there is.
            least = moments.epsilon or 1 << moments.fraction_bits
            root = Fraction(2) ** (moments.fraction_bits // 2) / math.isqrt(least)
            largest = Fraction(factor) * root * 9 / 8 / Fraction(2) ** places
        bound = math.ceil(largest * (1 << _GUARD) / Fraction(2) ** output.lsb) + 2
        sticky = needs_sticky(output.format.rounding)
        return NormInverseDeviation(
            layout=self.norm.layout,
            axes=self.norm.axes,
            shape=self.shape,
            moments=moments,
            factor=factor,
            shift=places + output.lsb - _GUARD,
            product=Product(factor, moments.mantissa_bound, bound, sticky),
            stage=Rescale(output.format, _GUARD, bound=max(bound, (output.format.max_code + 2) << _GUARD)),
        )
