"""Mean and inverse deviation of groups as values of their own: `kernels/norm_mean.cpp.j2`, `kernels/norm_deviation.cpp.j2`."""

from __future__ import annotations

import math
from dataclasses import dataclass

from fxnorm.hls.block import OVERFLOW, Block, Rom, Site, literal
from fxnorm.hls.blocks.norm_exact import ExactView
from fxnorm.hls.blocks.norm_groups import groups_of
from fxnorm.hls.blocks.norm_moments import Cut, FixedCut, View, cut, moments_view
from fxnorm.hls.blocks.norm_staged import MeanView
from fxnorm.hls.blocks.stage import Interval, Stage, stage
from fxnorm.hls.expressions import Loop
from fxnorm.kernels.norm_statistic import NormInverseDeviation, NormMean

_GUARD = 2
"""Places that the last rounding of an inverse deviation takes off."""


@dataclass(frozen=True, slots=True)
class MeansView:
    """What the template writes.

    Attributes
    ----------
    groups, sums, result
        Loops over groups and over the codes of one, and the place of its mean.
    mean
        Stage of the mean.
    stage
        Rescale of it.
    """

    groups: tuple[Loop, ...]
    sums: tuple[Loop, ...]
    result: str
    mean: MeanView
    stage: Stage


@dataclass(frozen=True, slots=True)
class DeviationView:
    """What the template writes.

    Attributes
    ----------
    groups, result
        Loops over groups, and the place of the result of one.
    moments
        First steps.
    factor, cut
        What is multiplied with the mantissa, and the product.
    beyond, accumulator_bits
        What 1 / 0 gives ("" where it cannot be), and the width of that and the product.
    roms
        Tables.
    stage
        Rescale.
    """

    groups: tuple[Loop, ...]
    result: str
    moments: View
    factor: str
    cut: Cut | FixedCut
    beyond: str
    accumulator_bits: int
    roms: tuple[Rom, ...]
    stage: Stage


def build_mean(site: Site) -> Block:
    """Block of a `NormMean`."""
    kernel = site.kernel
    assert isinstance(kernel, NormMean)
    groups = groups_of(site, kernel.layout, kernel.axes)
    count = math.prod(kernel.layout[axis] for axis in kernel.axes)
    mean = MeanView.of(site, kernel.moments, groups, count)
    assert mean is not None
    rescale = stage(site, kernel.stage, mean.inner.codes)
    view = MeansView(groups.loops, groups.elements("sums"), groups.result, mean, rescale)
    return Block("norm_mean", f"mean of groups of {count}", view, groups.style, (OVERFLOW, "mean"))


def build_deviation(site: Site) -> Block:
    """Block of a `NormInverseDeviation`."""
    kernel = site.kernel
    assert isinstance(kernel, NormInverseDeviation)
    groups = groups_of(site, kernel.layout, kernel.axes)
    count = math.prod(kernel.layout[axis] for axis in kernel.axes)
    moments = moments_view(site, kernel.moments, groups, count)
    factor = Interval(kernel.factor, kernel.factor)
    product = cut(moments, factor, kernel.shift, kernel.product.bound, sticky=kernel.product.sticky)
    accumulator, beyond = product.result, ""
    if isinstance(moments, ExactView) and moments.infinite:
        largest = (kernel.stage.output.max_code + 2) << _GUARD
        accumulator, beyond = accumulator | Interval(0, largest), literal(largest)
    view = DeviationView(
        groups=groups.loops,
        result=groups.result,
        moments=moments,
        factor=literal(kernel.factor),
        cut=product,
        beyond=beyond,
        accumulator_bits=accumulator.bits,
        roms=moments.roms,
        stage=stage(site, kernel.stage, accumulator),
    )
    what = f"inverse deviation of groups of {count}"
    return Block("norm_deviation", what, view, groups.style, (OVERFLOW, *moments.counters))
