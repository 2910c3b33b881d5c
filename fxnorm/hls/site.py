"""A kernel and its place in a design: its generated name, and the values around it."""

from __future__ import annotations

import math
from dataclasses import dataclass

from fxnorm.fixed.format import Format
from fxnorm.hls.layout import Layout
from fxnorm.kernels.kernel import Kernel


@dataclass(frozen=True, slots=True)
class Port:
    """A value that a block reads or writes.

    Attributes
    ----------
    name
        Generated name: t07.
    format
        Of its codes.
    shape
        Samples not counted.
    layout
        How it travels in a stream.
    """

    name: str
    format: Format
    shape: tuple[int, ...]
    layout: Layout

    @property
    def type(self) -> str:
        """Type of an element."""
        return f"{self.name}_t"

    @property
    def beat(self) -> str:
        """Type of a beat."""
        return f"{self.name}_beat"

    @property
    def size(self) -> int:
        """Elements."""
        return math.prod(self.shape)

    @property
    def bits(self) -> int:
        """Bits of a signed integer that holds every code."""
        return self.format.width + (not self.format.signed)


@dataclass(frozen=True, slots=True)
class Site:
    """A kernel and its place in a design.

    Attributes
    ----------
    name
        Generated name: l03_linear.
    kernel
        What it computes.
    inputs, output
        The values around it.
    parallelism
        Multiplications (or whatever the block's work is made of) a cycle that are wanted; None: all of them.
    ported
        Whether its weights come through a port of the design.
    """

    name: str
    kernel: Kernel
    inputs: tuple[Port, ...]
    output: Port
    parallelism: int | None = 1
    ported: bool = False
