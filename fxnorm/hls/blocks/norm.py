"""Normalizations of groups: `kernels/norm.cpp.j2`."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from fxnorm.hls.block import OVERFLOW, Block, Rom, Site
from fxnorm.hls.blocks.norm_groups import FrameGroups, Groups, constant, groups_of
from fxnorm.hls.blocks.norm_moments import Cut, FixedCut, View, cut, moments_view
from fxnorm.hls.blocks.stage import Interval, Stage, stage
from fxnorm.hls.expressions import Loop
from fxnorm.kernels.kernel import Kernel
from fxnorm.kernels.norm import Norm
from fxnorm.kernels.norm_exact import MagnitudeSum
from fxnorm.kernels.norm_staged import StagedMoments

Array = np.ndarray


@dataclass(frozen=True, slots=True)
class Operand:
    """A scale or a bias.

    Attributes
    ----------
    source, bits
        C++ expression of its code, and the width of a signed integer that holds it.
    up, up_bits
        Places to the left: a C++ expression ("" for none), and its width where it is read from a table (0: it is constant).
    result_bits
        Width of the scaled numerator, or of p + bias.
    """

    source: str
    bits: int
    up: str
    up_bits: int
    result_bits: int


@dataclass(frozen=True, slots=True)
class NormView:
    """What the template writes.

    Attributes
    ----------
    groups, results, element
        Loops over groups and over the elements of one, and the place of an element.
    code_bits
        Width of a signed integer that holds a code.
    moments
        First steps.
    scale, cut, bias
        What follows: (numerator · scale) · mantissa / 2**shift + bias. A scale or bias of None is not there.
    roms
        Tables.
    stage
        Rescale.
    """

    groups: tuple[Loop, ...]
    results: tuple[Loop, ...]
    element: str
    code_bits: int
    moments: View
    scale: Operand | None
    cut: Cut | FixedCut
    bias: Operand | None
    roms: tuple[Rom, ...]
    stage: Stage


def across_channels(kernel: Kernel) -> bool:
    """Whether groups are the channels of a pixel, so that images are best taken pixel by pixel."""
    return isinstance(kernel, Norm) and len(kernel.layout) > 1 and kernel.axes == (0,)


def build(site: Site) -> Block:
    """Block of a `Norm`."""
    kernel = site.kernel
    assert isinstance(kernel, Norm)
    shapes = [shape for shape in (kernel.scale_shape, kernel.bias_shape) if shape is not None]
    groups = groups_of(site, kernel.layout, kernel.axes, len(shapes))
    count = math.prod(kernel.layout[axis] for axis in kernel.axes)
    moments = moments_view(site, kernel.moments, groups, count)
    roms: list[Rom] = []
    scale = _scale(site, kernel, groups, roms)
    bounded = Interval.within(kernel.product.factor_bound)
    factor = bounded if scale is not None else moments.numerator
    product = cut(moments, factor, kernel.shift, kernel.product.bound, sticky=kernel.product.sticky)
    bias, result = _bias(site, kernel, groups, product.result, roms)
    view = NormView(
        groups=groups.loops,
        results=groups.elements("results"),
        element=groups.element,
        code_bits=site.inputs[0].bits,
        moments=moments,
        scale=scale,
        cut=product,
        bias=bias,
        roms=(*moments.roms, *roms),
        stage=stage(site, kernel.stage, result),
    )
    counters = (OVERFLOW, *moments.counters)
    return Block("norm", f"{_words(kernel)} of groups of {count}", view, groups.style, counters)


def _words(kernel: Norm) -> str:
    moments = kernel.moments
    if isinstance(moments, StagedMoments):
        return f"normalization in {'one pass' if moments.one_pass else 'two passes'}"
    return "sums of magnitudes" if isinstance(moments, MagnitudeSum) else "exact normalization"


def _scale(site: Site, kernel: Norm, groups: Groups, roms: list[Rom]) -> Operand | None:
    result_bits = Interval.within(kernel.product.factor_bound).bits
    if kernel.scale is not None:
        source, bits = constant(site, groups, kernel.scale, "scale", roms)
        shifts = np.broadcast_to(kernel.scale_shift, kernel.scale.shape)
        if not shifts.any():
            return Operand(source, bits, "", 0, result_bits)
        if (shifts == shifts.reshape(-1)[0]).all():
            return Operand(source, bits, str(int(shifts.reshape(-1)[0])), 0, result_bits)
        up, _ = constant(site, groups, shifts, "scale_places", roms)
        return Operand(source, bits, up, int(shifts.max()).bit_length(), result_bits)
    if kernel.scale_shape is None:
        return None
    assert isinstance(groups, FrameGroups)
    port = site.inputs[1]
    return Operand(f"fx_code(x1[{groups.operand(kernel.scale_shape)}])", port.bits, "", 0, result_bits)


def _bias(
    site: Site, kernel: Norm, groups: Groups, product: Interval, roms: list[Rom]
) -> tuple[Operand | None, Interval]:
    """What is added to p, and the values of the sum."""
    if kernel.bias is not None:
        source, bits = constant(site, groups, kernel.bias, "bias", roms)
        codes = [int(code) for code in kernel.bias.reshape(-1).tolist()]
        values = Interval(min(codes), max(codes))
    elif kernel.bias_shape is not None:
        assert isinstance(groups, FrameGroups)
        place = len(site.inputs) - 1
        port = site.inputs[place]
        source, bits = f"fx_code(x{place}[{groups.operand(kernel.bias_shape)}])", port.bits
        values = Interval.codes(port.format)
    else:
        return None, product
    result = product + (values << kernel.bias_shift) | product
    return Operand(source, bits, str(kernel.bias_shift) if kernel.bias_shift else "", 0, result.bits), result
