"""How far fixed point is from FP32: errors that add up over chunks of samples."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

Array = np.ndarray


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

    def add(self, reference: Array, value: Array, *, decisions: bool = False) -> None:
        """Take in arrays of one shape."""
        wanted = np.asarray(reference, np.float64)
        got = np.asarray(value, np.float64)
        difference = got - wanted
        self.count += wanted.size
        self.signal += float(np.vdot(wanted, wanted))
        self.noise += float(np.vdot(difference, difference))
        self.fixed += float(np.vdot(got, got))
        self.product += float(np.vdot(wanted, got))
        if wanted.size:
            magnitude = np.abs(difference)
            self.absolute += float(magnitude.sum())
            self.largest = max(self.largest, float(magnitude.max()))
        if decisions and wanted.ndim and wanted.shape[-1] > 1 and wanted.size:
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
    at_limit
        How many sit at an end of the format's range.
    low, high
        Smallest and largest code; meaningless while count is 0.
    accumulator_overflow, additions
        Additions that the accumulator could not hold, and all of them.
    """

    count: int = 0
    overflow: int = 0
    at_limit: int = 0
    low: int = 0
    high: int = 0
    accumulator_overflow: int = 0
    additions: int = 0

    def add(self, codes: Array, lowest: int, highest: int, extent: tuple[int, int] | None = None) -> None:
        """Take in codes of a format with these ends; `extent` is their minimum and maximum where they are known."""
        if not codes.size:
            return
        low, high = extent if extent is not None else (int(codes.min()), int(codes.max()))
        self.low, self.high = (min(self.low, low), max(self.high, high)) if self.count else (low, high)
        self.count += codes.size
        if low <= lowest or high >= highest:
            self.at_limit += int(np.count_nonzero((codes <= lowest) | (codes >= highest)))

    def merge(self, other: Usage) -> None:
        """Take in what was counted elsewhere."""
        if other.count:
            both = self.count > 0
            self.low = min(self.low, other.low) if both else other.low
            self.high = max(self.high, other.high) if both else other.high
        for name in ("count", "overflow", "at_limit", "accumulator_overflow", "additions"):
            setattr(self, name, getattr(self, name) + getattr(other, name))

    def bits_used(self, signed: bool) -> int:
        """Bits that the codes seen need in the format's own representation."""
        return max(_bits(self.low), _bits(self.high)) + signed


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
