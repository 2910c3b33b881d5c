"""Moments of groups in stages with formats of their own: the first steps of a normalization, which `kernels/norm_staged.j2` writes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final

from fxnorm.fixed.format import Overflow
from fxnorm.hls.block import Rom, Site, literal
from fxnorm.hls.blocks.norm_exact import Root, check_width, places_text
from fxnorm.hls.blocks.norm_groups import Groups
from fxnorm.hls.blocks.stage import Interval, Stage, stage
from fxnorm.hls.expressions import Loop
from fxnorm.kernels.norm_staged import StagedMoments
from fxnorm.kernels.stage import Rescale

NEGATIVE: Final = "negative_variance"
"""Counter of what a tally calls "negative variance"."""


@dataclass(frozen=True, slots=True)
class Inner:
    """A stage before the last one: its rescale, and the codes that it leaves, as signed integers."""

    stage: Stage
    codes: Interval

    @classmethod
    def of(cls, site: Site, rescale: Rescale, accumulator: Interval, counter: str) -> Inner:
        """Stage of an accumulator, counted under a name."""
        return cls(stage(site, rescale, accumulator, counter=counter), Interval.codes(rescale.output))


@dataclass(frozen=True, slots=True)
class MeanView:
    """The mean of a group.

    Attributes
    ----------
    element, code_bits, total_bits
        As in `ExactView`.
    inner
        Its stage.
    """

    element: str
    code_bits: int
    total_bits: int
    inner: Inner

    @classmethod
    def of(cls, site: Site, moments: StagedMoments, groups: Groups, count: int) -> MeanView | None:
        """None where nothing is centered."""
        if moments.mean_stage is None:
            return None
        total = Interval.codes(site.inputs[0].format) * Interval(count, count) | Interval(0, 0)
        inner = Inner.of(site, moments.mean_stage, total, "mean")
        return cls(groups.element, site.inputs[0].bits, total.bits, inner)


@dataclass(frozen=True, slots=True)
class StagedView:
    """Moments in stages with formats of their own.

    Attributes
    ----------
    one_pass
        Whether the sums of codes and squares are taken in one pass.
    sums, squares, element, code_bits
        Loops over a group's codes, once (for the mean) and once more, and the place and width of a code.
    mean
        Mean; None where nothing is centered.
    square, squared_bits, squares_bits
        Stage of a square; widths of the square before, and of the sum of all.
    variance, difference_bits, negative
        Stage of their sum; width of it less the squared mean, and the counter of its being below 0 ("" where it cannot be).
    squared_mean, mean_square_bits
        Stage of the squared mean (None: there is none), and the width before.
    epsilon, sum_bits, odd, radicand_bits
        ε ("" for 0); widths of the sum and of the radicand, which is `odd` places to the left of it.
    root, root_shift
        Reciprocal root, and the C++ expression of the places to the right that make a code of its mantissa.
    rounding, low, high, rounded_bits, overflow, width, signed
        Rounding of its mantissa, the limits of the shift, and the format.
    lost, infinite
        Counter of what that cannot hold, and the code of 1 / √0.
    mantissa
        Codes of the root.
    exponent
        Of the mantissa's code.
    ups, numerator
        Places by which code and mean go to the left, and the values of their difference.
    counters
        What it counts.
    """

    kind: ClassVar[str] = "staged"
    one_pass: bool
    sums: tuple[Loop, ...]
    squares: tuple[Loop, ...]
    element: str
    code_bits: int
    mean: MeanView | None
    square: Inner
    squared_bits: int
    squares_bits: int
    variance: Inner
    difference_bits: int
    negative: str
    squared_mean: Inner | None
    mean_square_bits: int
    epsilon: str
    sum_bits: int
    odd: int
    radicand_bits: int
    root: Root
    root_shift: str
    rounding: str
    low: int
    high: int
    rounded_bits: int
    overflow: str
    width: int
    signed: bool
    lost: str
    infinite: str
    mantissa: Interval
    exponent: int
    ups: tuple[int, int]
    numerator: Interval
    counters: tuple[str, ...]

    @property
    def roms(self) -> tuple[Rom, ...]:
        """Tables."""
        return self.root.roms


def staged_view(site: Site, moments: StagedMoments, groups: Groups, count: int) -> StagedView:
    """View of moments in stages of groups of `count` codes."""
    x = site.inputs[0]
    codes = Interval.codes(x.format)
    mean = MeanView.of(site, moments, groups, count)
    numerator = codes << moments.shifts[0]
    if mean is not None:
        numerator = numerator + -(mean.inner.codes << moments.shifts[1])
    squared = _squared(codes if moments.one_pass else numerator)
    square = Inner.of(site, moments.square, squared, "square")
    squares = square.codes * Interval(count, count) | Interval(0, 0)
    variance = Inner.of(site, moments.variance, squares, "variance")
    difference, squared_mean, mean_square = variance.codes, None, Interval(0, 0)
    if moments.squared_mean is not None and mean is not None:
        mean_square = _squared(mean.inner.codes)
        squared_mean = Inner.of(site, moments.squared_mean, mean_square, "variance")
        difference = difference + -squared_mean.codes
    total = Interval(0, max(difference.high, 0)) + Interval(moments.epsilon, moments.epsilon)
    radicand = total << moments.odd
    root = Root.of(site, moments.root, max(radicand.low, 1), max(radicand.high, 1))
    low, high = root.low + moments.root_shift, root.high + moments.root_shift
    largest = (1 << root.bits) - 1
    rounded = Interval(0, largest << -low if low < 0 else (largest >> low) + 1)
    format_ = moments.root_format
    nothing = format_.overflow is Overflow.SAT_ZERO
    negative = difference.low < 0
    centered = ("mean",) if mean is not None else ()
    check_width(largest.bit_length() + 3 + max(0, -low))
    return StagedView(
        one_pass=moments.one_pass,
        sums=groups.elements("sums"),
        squares=groups.elements("squaring"),
        element=groups.element,
        code_bits=x.bits,
        mean=mean,
        square=square,
        squared_bits=squared.bits,
        squares_bits=squares.bits,
        variance=variance,
        difference_bits=difference.bits,
        negative=f"{site.name}_{NEGATIVE}" if negative else "",
        squared_mean=squared_mean,
        mean_square_bits=mean_square.bits,
        epsilon=literal(moments.epsilon) if moments.epsilon else "",
        sum_bits=(total | difference).bits,
        odd=moments.odd,
        radicand_bits=max(1, radicand.high.bit_length()),
        root=root,
        root_shift=places_text(moments.root_shift),
        rounding=format_.rounding.name,
        low=low,
        high=high,
        rounded_bits=max(rounded.bits, 1 - low),
        overflow=format_.overflow.name,
        width=format_.width,
        signed=format_.signed,
        lost=f"{site.name}_root",
        infinite=literal(0 if nothing else format_.max_code),
        mantissa=Interval.codes(format_),
        exponent=moments.exponent,
        ups=moments.shifts,
        numerator=numerator,
        counters=(*centered, "square", "variance", *((NEGATIVE,) if negative else ()), "root"),
    )


def _squared(values: Interval) -> Interval:
    return Interval(0, max(-values.low, values.high) ** 2)
