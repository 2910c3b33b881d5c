"""Constants as C++ has them: tables of native integers, and literals."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import numpy as np

from fxnorm.hls.site import Site

Array = np.ndarray


@dataclass(frozen=True, slots=True)
class Rom:
    """A table of integers, a `static const` array of native integers.

    Attributes
    ----------
    name
        Of the array.
    bits
        Signed integer that holds every entry.
    values
        Entries in C order.
    """

    name: str
    bits: int
    values: tuple[int, ...] = field(repr=False)

    @classmethod
    def of(cls, site: Site, name: str, values: Array, bits: int | None = None) -> Rom:
        """Table of a layer; the width is the narrowest one where none is given."""
        entries = tuple(map(int, np.asarray(values).reshape(-1).tolist()))
        # The widest entry is one of the two ends.
        narrowest = max(signed_bits(min(entries)), signed_bits(max(entries))) if entries else 1
        return cls(f"{site.name}_{name}", max(bits or 1, narrowest), entries)

    @property
    def words(self) -> tuple[tuple[str, str, tuple[str, ...]], ...]:
        """Arrays that hold it: C type, suffix of the name, entries as literals; above 64 bits the words of entries, the lowest first."""
        if self.bits <= 64:
            return ((native_type(self.bits), "", tuple(_native(value, self.bits) for value in self.values)),)
        count = -(-self.bits // 64)
        parts = []
        for word in range(count - 1):
            parts.append(
                (
                    "unsigned long long",
                    f"_{word}",
                    tuple(f"{value >> 64 * word & _WORD:#x}ULL" for value in self.values),
                )
            )
        top = tuple(_native(value >> 64 * (count - 1), 64) for value in self.values)
        parts.append(("long long", f"_{count - 1}", top))
        return tuple(parts)

    @property
    def arrays(self) -> tuple[str, ...]:
        """Their names."""
        return tuple(f"{self.name}{suffix}" for _, suffix, _ in self.words)

    def read(self, index: str) -> str:
        """C++ expression of an entry, an fx_int of `bits` bits."""
        if self.bits <= 64:
            return f"fx_int<{self.bits}>({self.name}[{index}])"
        top = len(self.words) - 1
        text = f"fx_int<64>({self.name}_{top}[{index}])"
        for word in range(top - 1, -1, -1):
            width = self.bits if word == 0 else 64 * (top - word + 1)
            text = f"fx_append<{width}>({text}, {self.name}_{word}[{index}])"
        return text


_WORD: Final = (1 << 64) - 1
_NATIVE: Final = ((8, "signed char"), (16, "short"), (32, "int"), (64, "long long"))


def native_type(bits: int) -> str:
    """Smallest native signed type of so many bits, at most 64."""
    return next(kind for limit, kind in _NATIVE if bits <= limit)


def signed_bits(value: int) -> int:
    """Width of the narrowest signed integer that holds a number."""
    return (~value if value < 0 else value).bit_length() + 1


def _native(value: int, bits: int) -> str:
    if bits <= 32:
        return str(value) if value != -(1 << 31) else "-2147483647 - 1"
    return f"{value}LL" if value != -(1 << 63) else "-9223372036854775807LL - 1"


def literal(value: int, bits: int | None = None) -> str:
    """C++ expression of a constant, an fx_int of some bits (the narrowest where none are given)."""
    width = max(bits or 1, signed_bits(value))
    if width <= 64:
        return f"fx_int<{width}>({_native(value, width)})"
    low = value & _WORD
    return f"fx_append<{width}>({literal(value >> 64, width - 64)}, {low:#x}ULL)"


def unsigned_literal(value: int) -> str:
    """C++ expression of a constant that is not negative, an fx_uint of the fewest bits."""
    width = max(1, value.bit_length())
    inner = literal(value) if width > 63 else str(value) if width < 32 else f"{value}LL"
    return f"fx_uint<{width}>({inner})"
