"""Which elements a core computes and where their operands are: row by row as values travel, or all of a frame, with operands spread."""

from __future__ import annotations

import math
from typing import TypeAlias

import numpy as np

from fxnorm.hls.block import Frame, Refusal, Rom, Rows, Site, Style, literal
from fxnorm.hls.expressions import Loop
from fxnorm.hls.layout import Layout

Array = np.ndarray


def walk(site: Site) -> Walk:
    """Rows where all inputs have the output's shape, else whole frames."""
    same = all(port.shape == site.output.shape and _alike(port.layout, site.output.layout) for port in site.inputs)
    return RowWalk(site) if same else FrameWalk(site)


def _alike(a: Layout, b: Layout) -> bool:
    """Whether elements of two values of one shape pass in the same order."""
    return (a.outer, a.row, a.inner) == (b.outer, b.row, b.inner)


class RowWalk:
    """Elements of one row; every input has the output's shape."""

    def __init__(self, site: Site) -> None:
        self._layout, self._shape = site.output.layout, site.output.shape
        self.loops: tuple[Loop, ...] = (("lanes", "lane", self._layout.row),)
        self.target = "lane"
        self._indexed = False

    @property
    def style(self) -> Style:
        """Rows as values travel."""
        return Rows(axis=None, indexed=self._indexed, pipelined=True)

    def input(self, shape: tuple[int, ...]) -> str:
        """C++ expression of the place of an operand."""
        return "lane"

    def constant(self, values: Array) -> tuple[Array, str]:
        """Entries of a table for a constant, and the index of the one that is needed."""
        spread = self._layout.stream_order(np.broadcast_to(values, self._shape))
        if (spread == spread[:1]).all():
            return spread[0], "lane"
        self._indexed = True
        if (spread == spread[:, :1]).all():
            return spread[:, 0], "row"
        return spread, f"row * {self._layout.row} + lane"


class FrameWalk:
    """All elements of the output, axis by axis; inputs are spread."""

    style: Style = Frame()

    def __init__(self, site: Site) -> None:
        self._shape = site.output.shape
        axes = [axis for axis, size in enumerate(self._shape) if size > 1]
        self.loops: tuple[Loop, ...] = tuple((f"axis{axis}", f"i{axis}", self._shape[axis]) for axis in axes)
        self.target = self.input(self._shape)

    def input(self, shape: tuple[int, ...]) -> str:
        """C++ expression of the place of an operand of a shape that is spread."""
        own = (1,) * (len(self._shape) - len(shape)) + tuple(shape)
        parts = []
        for axis, size in enumerate(own):
            if size > 1:
                step = math.prod(own[axis + 1 :])
                parts.append(f"i{axis}" if step == 1 else f"i{axis} * {step}")
        return " + ".join(parts) or "0"

    def constant(self, values: Array) -> tuple[Array, str]:
        """Entries of a table for a constant, and the index of the one that is needed."""
        return values, self.input(values.shape)


Walk: TypeAlias = RowWalk | FrameWalk


def constant(site: Site, walk: Walk, values: Array, name: str, roms: list[Rom]) -> str:
    """C++ expression of a constant operand's code."""
    if values.size and (values == values.reshape(-1)[0]).all():
        return literal(int(values.reshape(-1)[0]))
    if len(values.shape) > len(site.output.shape):
        raise Refusal(f"a constant of rank {values.ndim} with an output of rank {len(site.output.shape)}")
    entries, index = walk.constant(values)
    rom = Rom.of(site, name, entries)
    roms.append(rom)
    return rom.read(index)
