"""Moments of groups in exact integers: the first steps of a normalization, which `kernels/norm_exact.j2` writes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from fxnorm.fixed.roots import Reciprocal, ReciprocalRoot
from fxnorm.hls.block import Rom, Site, literal
from fxnorm.hls.blocks.norm_groups import Groups
from fxnorm.hls.blocks.stage import Interval
from fxnorm.hls.expressions import Loop
from fxnorm.kernels.norm_exact import ExactMoments, MagnitudeSum


@dataclass(frozen=True, slots=True)
class Root:
    """A reciprocal or a reciprocal root.

    Attributes
    ----------
    bits
        Of the mantissa.
    intercepts, slopes
        Its table.
    low, high
        Smallest and largest exponent.
    """

    bits: int
    intercepts: Rom
    slopes: Rom
    low: int
    high: int

    @classmethod
    def of(cls, site: Site, root: Reciprocal | ReciprocalRoot, low: int, high: int) -> Root:
        """Root of positive integers from low to high."""
        halves = 1 if isinstance(root, ReciprocalRoot) else 0
        return cls(
            root.bits,
            Rom.of(site, "intercepts", root.intercepts),
            Rom.of(site, "slopes", root.slopes),
            (low.bit_length() - 1 >> halves) + root.bits,
            (high.bit_length() - 1 >> halves) + root.bits,
        )

    @property
    def roms(self) -> tuple[Rom, ...]:
        """Its table."""
        return self.intercepts, self.slopes


@dataclass(frozen=True, slots=True)
class ExactView:
    """Moments in exact integers.

    Attributes
    ----------
    sums, element
        Loops over a group's codes, and the place of one.
    code_bits, total_bits, squares_bits
        Widths of signed integers that hold a code, the sum of a group (0: none is needed), and the sum of its squares.
    factor
        a; "" for 1.
    deviation_bits, fraction_bits, epsilon, radicand_bits
        Width of D, k, ε ("" for 0), and the width of D · 2**k + ε.
    alone
        Radicand of a group whose D is 0; "" where that is ε.
    root
        Reciprocal root.
    half
        What is taken off the root's exponent, k / 2.
    numerator
        Values of a·x - S.
    infinite
        Whether a D of 0 asks for 1 / 0.
    """

    kind: ClassVar[str] = "exact"
    sums: tuple[Loop, ...]
    element: str
    code_bits: int
    total_bits: int
    squares_bits: int
    factor: str
    deviation_bits: int
    fraction_bits: int
    epsilon: str
    radicand_bits: int
    alone: str
    root: Root
    half: int
    numerator: Interval
    infinite: bool

    counters: ClassVar[tuple[str, ...]] = ()

    @property
    def roms(self) -> tuple[Rom, ...]:
        """Tables."""
        return self.root.roms


@dataclass(frozen=True, slots=True)
class MagnitudeView:
    """Σ|x| and its reciprocal.

    Attributes
    ----------
    sums, element, code_bits
        As in `ExactView`.
    magnitude_bits, total_bits
        Widths of unsigned integers that hold |x| and their sum.
    root
        Reciprocal.
    numerator
        Values of x.
    """

    kind: ClassVar[str] = "magnitude"
    sums: tuple[Loop, ...]
    element: str
    code_bits: int
    magnitude_bits: int
    total_bits: int
    root: Root
    numerator: Interval

    half: ClassVar[int] = 0
    counters: ClassVar[tuple[str, ...]] = ()

    @property
    def roms(self) -> tuple[Rom, ...]:
        """Tables."""
        return self.root.roms


def exact_view(site: Site, moments: ExactMoments, groups: Groups, count: int) -> ExactView:
    """View of exact moments of groups of `count` codes."""
    x = site.inputs[0]
    # D is 0 or at least 1, and then the radicand exceeds every `least`, which is 2**k or 1.
    alone = max(moments.epsilon, moments.least)
    largest = max(moments.bound, alone)
    total = Interval.codes(x.format) * Interval(count, count) | Interval(0, 0)
    return ExactView(
        sums=groups.elements("sums"),
        element=groups.element,
        code_bits=x.bits,
        total_bits=total.bits if moments.centered else 0,
        squares_bits=Interval(0, moments.square_bound).bits,
        factor=literal(moments.factor) if moments.factor != 1 else "",
        deviation_bits=Interval(0, (moments.bound - moments.epsilon) >> moments.fraction_bits).bits,
        fraction_bits=moments.fraction_bits,
        epsilon=literal(moments.epsilon) if moments.epsilon else "",
        radicand_bits=Interval(0, largest).bits,
        alone=literal(alone) if alone != moments.epsilon else "",
        root=Root.of(site, moments.root, alone, largest),
        half=moments.fraction_bits // 2,
        numerator=Interval.within(moments.numerator_bound),
        infinite=moments.epsilon == 0,
    )


def magnitude_view(site: Site, moments: MagnitudeSum, groups: Groups) -> MagnitudeView:
    """View of sums of magnitudes."""
    x = site.inputs[0]
    return MagnitudeView(
        sums=groups.elements("sums"),
        element=groups.element,
        code_bits=x.bits,
        magnitude_bits=x.bits,
        total_bits=max(1, moments.bound.bit_length()),
        root=Root.of(site, moments.reciprocal, 1, max(1, moments.bound)),
        numerator=Interval.codes(x.format),
    )


def check_width(bits: int) -> None:
    """Refuse what a primitive holds inside, if no target has an integer of so many bits."""
    assert Interval(0, (1 << (bits - 1)) - 1).bits == bits


def places_text(places: int) -> str:
    """C++ expression of a root's exponent and some places more."""
    return f"exponent {'-' if places < 0 else '+'} {abs(places)}" if places else "exponent"
