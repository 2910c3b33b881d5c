"""How far fixed point is from FP32: errors that add up over chunks of samples."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np

Array = np.ndarray

HISTOGRAM_BINS: Final = 256


@dataclass(slots=True)
class Error:
    """Error of one value against its reference, accumulated.

    Attributes
    ----------
    count
        Elements compared.
    signal, noise
        Sums of squares of the reference and of the difference.
    fixed
        Sum of squares of the fixed-point numbers.
    product
        Sum of products of both.
    absolute, largest
        Sum and maximum of the absolute difference.
    agreed, decisions
        Rows of the last axis whose largest entry is the same, and how many rows there were; (0, 0) where that axis has one entry.
    """

    count: int = 0
    signal: float = 0.0
    noise: float = 0.0
    fixed: float = 0.0
    product: float = 0.0
    absolute: float = 0.0
    largest: float = 0.0
    agreed: int = 0
    decisions: int = 0

    def add(self, reference: Array, value: Array, *, unit: float = 1.0, decisions: bool = False) -> None:
        """Take in arrays of one shape.

        Parameters
        ----------
        reference
            Real numbers.
        value
            Numbers of any type, each of which stands for itself times the unit, a power of two; their sums do not depend on the type.
        decisions
            Whether rows of the last axis are decisions, whose largest entries are compared.
        """
        from fxnorm.engine.error_sums import error_sums

        wanted, got = np.asarray(reference), np.asarray(value)
        if not wanted.size:
            return
        sums = np.zeros(6)
        error_sums(np.ascontiguousarray(wanted).reshape(-1), np.ascontiguousarray(got).reshape(-1), float(unit), sums)
        signal, noise, fixed, product, absolute, largest = sums.tolist()
        self.count += wanted.size
        self.signal += signal
        self.noise += noise
        self.fixed += fixed
        self.product += product
        self.absolute += absolute
        self.largest = max(self.largest, largest)
        if decisions and wanted.ndim and wanted.shape[-1] > 1:
            same = wanted.argmax(axis=-1) == got.argmax(axis=-1)
            self.agreed += int(np.count_nonzero(same))
            self.decisions += same.size

    def merge(self, other: Error) -> None:
        """Take in what was measured elsewhere."""
        self.largest = max(self.largest, other.largest)
        for name in ("count", "signal", "noise", "fixed", "product", "absolute", "agreed", "decisions"):
            setattr(self, name, getattr(self, name) + getattr(other, name))

    @property
    def sqnr_db(self) -> float:
        """Signal-to-quantization-noise ratio in dB; inf without noise, -inf where the reference is all zeros but the value is not."""
        if self.noise == 0.0:
            return math.inf
        return -math.inf if self.signal == 0.0 else 10.0 * math.log10(self.signal / self.noise)

    @property
    def mean_abs_error(self) -> float:
        """Mean absolute difference."""
        return self.absolute / self.count if self.count else 0.0

    @property
    def cosine(self) -> float:
        """Cosine of the angle between both; 1 where both are zero."""
        scale = math.sqrt(self.signal * self.fixed)
        if scale == 0.0:
            return 1.0 if self.signal == self.fixed else 0.0
        return min(1.0, max(-1.0, self.product / scale))

    @property
    def argmax_agreement(self) -> float | None:
        """Share of rows with the same largest entry; None where rows have one entry."""
        return self.agreed / self.decisions if self.decisions else None


@dataclass(slots=True)
class Usage:
    """How one value used its format, accumulated.

    Attributes
    ----------
    count
        Elements seen.
    overflow
        How many of them overflowed.
    at_low, at_high
        How many sit at the lower and at the upper end of the format's range.
    low, high
        Smallest and largest code; meaningless while count is 0.
    histogram
        How many codes lie in each part of the format's range, which is cut into 256 equal ones, or into as many as it has codes;
        empty while count is 0, or where nobody asked for it.
    accumulator_overflow, additions
        Additions that the accumulator could not hold, and all of them.
    stages
        What stages before the last one could not hold, by their names.
    """

    count: int = 0
    overflow: int = 0
    at_low: int = 0
    at_high: int = 0
    low: int = 0
    high: int = 0
    histogram: Array = field(default_factory=lambda: np.zeros(0, np.int64), compare=False)
    accumulator_overflow: int = 0
    additions: int = 0
    stages: dict[str, int] = field(default_factory=dict)

    def add(
        self,
        codes: Array,
        lowest: int,
        highest: int,
        *,
        extent: tuple[int, int] | None = None,
        ends: tuple[int, int] | None = None,
        histogram: bool = True,
    ) -> None:
        """Take in codes.

        Parameters
        ----------
        lowest, highest
            Ends of their format.
        extent
            Their minimum and maximum, where they are known.
        ends
            How many sit at the lower and at the upper end, where that is known.
        histogram
            Whether to count the histogram too, which takes longer than all the rest.
        """
        if not codes.size:
            return
        low, high = extent if extent is not None else (int(codes.min()), int(codes.max()))
        self.low, self.high = (min(self.low, low), max(self.high, high)) if self.count else (low, high)
        self.count += codes.size
        if ends is not None:
            self.at_low += ends[0]
            self.at_high += ends[1]
        else:
            self.at_low += int(np.count_nonzero(codes <= lowest)) if low <= lowest else 0
            self.at_high += int(np.count_nonzero(codes >= highest)) if high >= highest else 0
        if histogram:
            found = code_histogram(codes, lowest, highest)
            self.histogram = self.histogram + found if self.histogram.size else found

    @property
    def at_limit(self) -> int:
        """How many sit at an end of the format's range."""
        return self.at_low + self.at_high

    def count_stages(self, counts: Mapping[str, int]) -> None:
        """Add what stages before the last one could not hold."""
        for name, count in counts.items():
            self.stages[name] = self.stages.get(name, 0) + count

    def merge(self, other: Usage) -> None:
        """Take in what was counted elsewhere."""
        self.count_stages(other.stages)
        if other.count:
            both = self.count > 0
            self.low = min(self.low, other.low) if both else other.low
            self.high = max(self.high, other.high) if both else other.high
        if other.histogram.size:
            self.histogram = self.histogram + other.histogram if self.histogram.size else other.histogram
        for name in ("count", "overflow", "at_low", "at_high", "accumulator_overflow", "additions"):
            setattr(self, name, getattr(self, name) + getattr(other, name))

    def bits_used(self, signed: bool) -> int:
        """Bits that the codes seen need in the format's own representation."""
        return max(_bits(self.low), _bits(self.high)) + signed


def code_histogram(codes: Array, lowest: int, highest: int) -> Array:
    """Counts of codes over the range of a format, int64.

    Parameters
    ----------
    codes
        Integers of any type that holds them, of a format with these ends.

    Returns
    -------
    One count for each of 256 equal parts of the range, or for each code where there are fewer.
    """
    from fxnorm.engine.histogram import count_places

    bottom = -(highest + 1) if lowest < 0 else 0
    span = highest + 1 - bottom
    bins = min(HISTOGRAM_BINS, span)
    shift = (span // bins).bit_length() - 1
    counts = np.zeros((4, bins), np.int64)
    # In whatever order they lie in memory, which most often takes no copy.
    count_places(codes.ravel(order="K"), bottom, shift, counts)
    return np.asarray(counts.sum(axis=0))


def _bits(code: int) -> int:
    return (~code if code < 0 else code).bit_length()


@dataclass(slots=True)
class ValueReport:
    """What was counted for one value of a plan, and its error where there was a reference."""

    usage: Usage = field(default_factory=Usage)
    error: Error | None = None

    def merge(self, other: ValueReport) -> None:
        """Take in what another run found."""
        self.usage.merge(other.usage)
        if other.error is not None:
            if self.error is None:
                self.error = Error()
            self.error.merge(other.error)
