"""Groups of a normalization: the style of its core, the loops over groups and over their elements, and what is spread over both."""

from __future__ import annotations

import math
from typing import TypeAlias

import numpy as np

from fxnorm.hls.block import Frame, Rom, Rows, Site, Style, literal
from fxnorm.hls.expressions import Loop, polynomial

Array = np.ndarray


def groups_of(site: Site, layout: tuple[int, ...], axes: tuple[int, ...], operands: int = 0) -> Groups:
    """Rows where a group is a row of one axis of the input, else whole frames.

    Parameters
    ----------
    layout, axes
        As in `fxnorm.kernels.norm.Norm`.
    operands
        Scale and bias that are inputs; they are values of a shape of their own, which no rows fit.
    """
    x = site.inputs[0]
    full = (x.size // math.prod(layout), *layout)
    reduced = [axis + 1 for axis in axes]
    row = None if operands else _row_axis(site, full, reduced)
    return FrameGroups(full, reduced) if row is None else RowGroups(site, full, row)


def _row_axis(site: Site, full: tuple[int, ...], reduced: list[int]) -> int | None:
    """Axis of the input's shape along which groups lie, one after the other; None where there is none."""
    long = [axis for axis in reduced if full[axis] > 1]
    if not long:
        return None
    first, last = min(long), max(long) + 1
    if any(full[axis] > 1 for axis in range(first, last) if axis not in long):
        return None
    outer, length, inner = (math.prod(part) for part in (full[:first], full[first:last], full[last:]))
    x, y = site.inputs[0].shape, site.output.shape
    for axis, size in enumerate(x):
        found = size == length and (math.prod(x[:axis]), math.prod(x[axis + 1 :])) == (outer, inner)
        if found and len(x) == len(y) and y[axis] in (1, size) and y[:axis] + y[axis + 1 :] == x[:axis] + x[axis + 1 :]:
            return axis
    return None


class RowGroups:
    """A group is a row; the core knows no other."""

    loops: tuple[Loop, ...] = ()
    """Over groups."""
    element = "lane"
    """Place of an element."""
    result = "0"
    """Place of what a group has one of."""

    def __init__(self, site: Site, full: tuple[int, ...], axis: int) -> None:
        self._axis, self._cut, self._full, self._indexed = axis, Rows(axis).cut(site.inputs[0]), full, False

    @property
    def style(self) -> Style:
        """Rows, whose number the core gets where constants differ from row to row."""
        return Rows(self._axis, indexed=self._indexed)

    def elements(self, label: str) -> tuple[Loop, ...]:
        """Loops over the elements of a group."""
        return ((label, "lane", self._cut.row),)

    def place(self, values: Array) -> tuple[Array, str]:
        """Entries of a table for a constant that is spread, and the index of the one that is needed."""
        spread = self._cut.stream_order(np.broadcast_to(values, self._full))
        if (spread == spread[:1]).all():
            return spread[0], "lane"
        self._indexed = True
        if (spread == spread[:, :1]).all():
            return spread[:, 0], "row"
        return spread, f"row * {self._cut.row} + lane"


class FrameGroups:
    """Groups of a whole frame, axis by axis; axis 0 counts what lies in front of the layout."""

    style: Style = Frame()

    def __init__(self, full: tuple[int, ...], reduced: list[int]) -> None:
        self._full = full
        long = [axis for axis, size in enumerate(full) if size > 1]
        kept = [axis for axis in long if axis not in reduced]
        self._reduced = [axis for axis in long if axis in reduced]
        self.loops: tuple[Loop, ...] = tuple((f"groups{axis}", f"i{axis}", full[axis]) for axis in kept)
        self.element = self.operand(full)
        self.result = self.operand(tuple(size if axis in kept else 1 for axis, size in enumerate(full)))

    def elements(self, label: str) -> tuple[Loop, ...]:
        """Loops over the elements of a group."""
        found = tuple((f"{label}{axis}", f"i{axis}", self._full[axis]) for axis in self._reduced)
        return found or ((label, "lane", 1),)

    def operand(self, shape: tuple[int, ...]) -> str:
        """Place in an array of a shape that is spread over rows and layout."""
        own = (1,) * (len(self._full) - len(shape)) + tuple(shape)
        places = [(axis, math.prod(own[axis + 1 :])) for axis, size in enumerate(own) if size > 1]
        return polynomial(*((f"i{axis}", step) for axis, step in places))

    def place(self, values: Array) -> tuple[Array, str]:
        """Entries of a table for a constant that is spread, and the index of the one that is needed."""
        return values, self.operand(values.shape)


Groups: TypeAlias = RowGroups | FrameGroups


def constant(site: Site, groups: Groups, values: Array, name: str, roms: list[Rom]) -> tuple[str, int]:
    """C++ expression of the entry of a constant that an element needs, and its width."""
    first = int(values.reshape(-1)[0])
    if (values == first).all():
        rom = Rom.of(site, name, np.array([first], dtype=object))
        return literal(first), rom.bits
    entries, index = groups.place(values)
    rom = Rom.of(site, name, entries)
    roms.append(rom)
    return rom.read(index), rom.bits
