"""Folding: how many outputs and how many inputs of a sum of products are computed in one cycle."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Folding:
    """`outputs` · `inputs` products in `rows` · `columns` steps of `pe` · `simd` products each.

    Attributes
    ----------
    pe
        Outputs at a time.
    simd
        Addends of each at a time.
    rows, columns
        Steps over outputs, and over the addends of each.
    """

    pe: int
    simd: int
    rows: int
    columns: int

    @property
    def steps(self) -> int:
        """Cycles at an initiation interval of 1."""
        return self.rows * self.columns

    @property
    def width(self) -> int:
        """Products a cycle."""
        return self.pe * self.simd


def fold(outputs: int, inputs: int, parallelism: int | None) -> Folding:
    """Largest folding of at most so many products a cycle whose sizes divide the layer's; of equals the one with more addends at a time.

    Parameters
    ----------
    parallelism
        Products a cycle; None: all of them.
    """
    most = outputs * inputs if parallelism is None else parallelism
    pe, simd = max(
        ((pe, simd) for pe in _divisors(outputs, most) for simd in _divisors(inputs, most // pe)),
        key=lambda sizes: (sizes[0] * sizes[1], sizes[1]),
    )
    return Folding(pe, simd, outputs // pe, inputs // simd)


def _divisors(size: int, most: int) -> list[int]:
    small = [number for number in range(1, int(size**0.5) + 1) if size % number == 0]
    return [number for number in sorted({*small, *(size // number for number in small)}) if number <= most]
