"""Moments of groups by any algorithm, and products with the mantissa that they give.

All views give the numerator of a code, and a mantissa (with an exponent, where that is known at run time only) a group.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, TypeAlias

from fxnorm.hls.block import Site
from fxnorm.hls.blocks.norm_exact import ExactView, MagnitudeView, check_width, exact_view, magnitude_view, places_text
from fxnorm.hls.blocks.norm_groups import Groups
from fxnorm.hls.blocks.norm_staged import StagedView, staged_view
from fxnorm.hls.blocks.stage import Interval
from fxnorm.kernels.norm_exact import ExactMoments, MagnitudeSum
from fxnorm.kernels.norm_staged import StagedMoments

View: TypeAlias = ExactView | MagnitudeView | StagedView


def moments_view(site: Site, moments: ExactMoments | MagnitudeSum | StagedMoments, groups: Groups, count: int) -> View:
    """View of the moments of groups of `count` codes."""
    if isinstance(moments, ExactMoments):
        return exact_view(site, moments, groups, count)
    if isinstance(moments, MagnitudeSum):
        return magnitude_view(site, moments, groups)
    return staged_view(site, moments, groups, count)


@dataclass(frozen=True, slots=True)
class Cut:
    """floor(factor · mantissa / 2**shift), sticky: `Product`, by an exponent that is known at run time.

    Attributes
    ----------
    sticky, low, high
        As in ``fx::product``.
    shift
        C++ expression.
    result
        Values.
    """

    fixed: ClassVar[bool] = False
    sticky: bool
    low: int
    high: int
    shift: str
    result: Interval


@dataclass(frozen=True, slots=True)
class FixedCut:
    """The same by a constant: a mantissa that is a code of any sign.

    Attributes
    ----------
    product_bits
        Width of the product, and of no less than what is cut off.
    right, left
        Places; one of them is 0.
    sticky, result
        As in `Cut`.
    """

    fixed: ClassVar[bool] = True
    product_bits: int
    right: int
    left: int
    sticky: bool
    result: Interval


def cut(view: View, factor: Interval, shift: int, bound: int, *, sticky: bool) -> Cut | FixedCut:
    """Product of values with the mantissa of their group.

    Parameters
    ----------
    factor
        The values.
    shift
        Places to the right beside those of the group.
    bound, sticky
        As in `fxnorm.kernels.mantissa.Product`.
    """
    result = Interval.within(bound)
    if isinstance(view, StagedView):
        exact = factor * view.mantissa | Interval(0, 0)
        # Beyond all bits nothing but the sign and the sticky bit is left.
        places = min(view.exponent + shift, exact.bits)
        bits = max(exact.bits, places + 1)
        return FixedCut(bits, max(places, 0), max(-places, 0), sticky, result)
    shift -= view.half
    low, high = view.root.low + shift, view.root.high + shift
    check_width(factor.bits + view.root.bits + max(0, -low) + 1)
    return Cut(sticky, low, high, places_text(shift), result)
