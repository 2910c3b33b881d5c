"""Arithmetic and memory as plain data that adds up: what a kernel computes and keeps, whatever hardware does it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from functools import cache
from typing import Any, Final, Self

Widths = tuple[int, ...]

WEIGHTS: Final = "weights"
TABLE: Final = "table"
BUFFER: Final = "buffer"


class Additive:
    """Dataclasses of mappings and numbers that are added field by field, and multiplied by integers."""

    def __add__(self, other: Self) -> Self:
        return type(self)(*(_sum(getattr(self, name), getattr(other, name)) for name in _names(type(self))))  # type: ignore[arg-type]

    def __mul__(self, times: int) -> Self:
        return type(self)(*(_times(getattr(self, name), times) for name in _names(type(self))))  # type: ignore[arg-type]


@cache
def _names(kind: type) -> tuple[str, ...]:
    return tuple(own.name for own in fields(kind))


def _sum(one: Any, two: Any) -> Any:
    if not isinstance(one, Mapping):
        return one + two
    merged = dict(one)
    for widths, count in two.items():
        merged[widths] = merged.get(widths, 0) + count
    return {widths: merged[widths] for widths in sorted(merged) if merged[widths] > 0}


def _times(part: Any, times: int) -> Any:
    if isinstance(part, Mapping):
        return {widths: count * times for widths, count in part.items() if count * times}
    return part * times


@dataclass(frozen=True, slots=True)
class Work(Additive):
    """Arithmetic operations by the widths of their operands, as signed integers.

    Attributes
    ----------
    multipliers
        By (a, b) bits, a ≥ b.
    adders
        Additions, subtractions and rounding carries, by bits of the result.
    comparators
        Comparisons with a choice behind them (a maximum, a clip, saturation), by bits.
    shifters
        Shifts by a number that is data, by (bits, most places). Shifts by constants are wires.
    """

    multipliers: Mapping[Widths, int] = field(default_factory=dict)
    adders: Mapping[int, int] = field(default_factory=dict)
    comparators: Mapping[int, int] = field(default_factory=dict)
    shifters: Mapping[Widths, int] = field(default_factory=dict)

    @property
    def multiplications(self) -> int:
        """How many multiplications."""
        return sum(self.multipliers.values())

    @property
    def multiplier_area(self) -> int:
        """Σ a·b over all multiplications: full adders of array multipliers, the "bit operations" of the literature on quantization."""
        return sum(count * a * b for (a, b), count in self.multipliers.items())

    @property
    def additions(self) -> int:
        """How many additions."""
        return sum(self.adders.values())

    def record(self) -> dict[str, Any]:
        """Plain data: lists of widths and counts."""
        return {
            "multipliers": [[*widths, count] for widths, count in self.multipliers.items()],
            "adders": [[bits, count] for bits, count in self.adders.items()],
            "comparators": [[bits, count] for bits, count in self.comparators.items()],
            "shifters": [[*widths, count] for widths, count in self.shifters.items()],
        }


NOTHING: Final = Work()


def multiply(a: int, b: int) -> Work:
    """One multiplication of a signed integer of `a` bits with one of `b` bits."""
    return Work(multipliers={(max(a, b), min(a, b)): 1})


def add(bits: int, count: int = 1) -> Work:
    """Additions."""
    return Work(adders={bits: count}) if count else NOTHING


def compare(bits: int, count: int = 1) -> Work:
    """Comparisons with a choice."""
    return Work(comparators={bits: count}) if count else NOTHING


def shift(bits: int, places: int) -> Work:
    """One shift by up to some places that are data."""
    return Work(shifters={(bits, places): 1}) if places > 0 else NOTHING


def total(parts: Iterable[Work]) -> Work:
    """Sum of many."""
    result = NOTHING
    for part in parts:
        result = result + part
    return result


@dataclass(frozen=True, slots=True)
class Memory:
    """Something that is kept.

    Attributes
    ----------
    kind
        WEIGHTS (constants of a layer), TABLE (of a function) or BUFFER (data).
    words, bits
        How many entries, and how wide each is.
    access
        Who reads it at once: "product" (every multiplier its own weight), "output" (every output at work its own entry), "copy" (every
        output at work any entry: a copy for every two of them), or "once".
    """

    kind: str
    words: int
    bits: int
    access: str = "once"

    @property
    def size(self) -> int:
        """Bits."""
        return self.words * self.bits


@dataclass(frozen=True, slots=True)
class Cost(Additive):
    """What a kernel costs a sample, however few or many units do it; costs of layers add up.

    Attributes
    ----------
    work
        Arithmetic.
    weight_bits
        Weights, biases, shifts of channels, constant operands.
    table_bits
        Tables of functions, roots and exponentials.
    buffer_bits
        Line buffers, or frames where a layer needs all of its input first.
    accumulators
        Accumulators of layers by their width: how many layers have one so wide.
    """

    work: Work = NOTHING
    weight_bits: int = 0
    table_bits: int = 0
    buffer_bits: int = 0
    accumulators: Mapping[int, int] = field(default_factory=dict)

    @property
    def multiplier_area(self) -> int:
        """Σ a·b over all multiplications of a sample."""
        return self.work.multiplier_area

    def record(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "multiplications": self.work.multiplications,
            "multiplier_area": self.multiplier_area,
            "additions": self.work.additions,
            "weight_bits": self.weight_bits,
            "table_bits": self.table_bits,
            "buffer_bits": self.buffer_bits,
            "accumulators": [[bits, count] for bits, count in self.accumulators.items()],
            **self.work.record(),
        }
