"""One layer under one configuration: formats, errors, counts, and what is known of its sums."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

MOVED: Final = ("movement", "concat", "lookup")
"""Kernels whose output holds the codes of another layer."""


@dataclass(frozen=True)
class Accumulator:
    """Accumulator of a layer.

    Attributes
    ----------
    format
        Its format, with modes where they matter.
    proof
        Why it cannot overflow, or that it may.
    overflow_count, overflow_fraction
        Additions that it could not hold.
    """

    format: str
    proof: str
    overflow_count: int
    overflow_fraction: float = 0.0


@dataclass(frozen=True)
class Proof:
    """What is known of one sum in a layer.

    Attributes
    ----------
    part
        What is added up: "accumulator", or for instance "sum of squares".
    terms
        Addends; 0 where it is not known.
    format
        "" where the plan leaves it as wide as it has to be.
    width
        Bits of the format; None where there is none.
    needed
        Bits that any input of the formats needs, any input that occurs in this network, and the latter in the order of the additions;
        None where one is not known.
    holds
        Whether it never overflows.
    words
        Why, or that it may.
    """

    part: str
    terms: int
    format: str
    width: int | None
    needed: tuple[int | None, int | None, int | None]
    holds: bool
    words: str


@dataclass(frozen=True)
class LayerResult:
    """One value of a plan under one configuration: an input of the network, or a layer's output.

    Attributes
    ----------
    key
        Name of the value, by which configurations are put side by side.
    name, op, kernel
        Of the layer.
    format, width
        In which the value is held.
    scale, offset
        real = scale · stored + offset; None where a double cannot hold it.
    sqnr_db
        Against FP32; inf without error, None where there was nothing to compare with.
    overflow_count, overflow_fraction
        Values that the format could not hold.
    at_low_fraction, at_high_fraction
        Share of the values at an end of the range.
    minimum, maximum
        Stored values seen.
    bits_used
        Of the width.
    histogram
        Codes by equal parts of the format's range, the lowest first; empty where none was kept.
    accumulator
        None where the layer has none.
    proofs
        Of every sum in it.
    stages
        Format and count of overflows of inner stages, by name.
    findings
        What is wrong with the use of the format, in words.
    """

    key: str
    name: str
    op: str
    kernel: str
    format: str
    width: int
    scale: float | None
    offset: float | None
    sqnr_db: float | None
    overflow_count: int
    overflow_fraction: float
    at_low_fraction: float
    at_high_fraction: float
    minimum: float | None
    maximum: float | None
    bits_used: int
    histogram: tuple[int, ...] = ()
    accumulator: Accumulator | None = None
    proofs: tuple[Proof, ...] = ()
    stages: Mapping[str, tuple[str, int]] = field(default_factory=dict)
    findings: tuple[str, ...] = ()
