"""How a value travels: in which order its elements pass a stream, and how many of them at a time.

An array holds a value in the order of its shape, the last axis innermost. A stream has one row after the other: the last axis, or, for
values of images, the channels of one pixel (channels last, as line buffers need them). A row is one beat, or, where that would be
too wide, several beats of the same size.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

Array = np.ndarray

MAX_LANES: Final = 64
MAX_BITS: Final = 2048
"""Widest beat."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Order and beats of a value.

    Element j of row (n, p) is element (n · row + j) · inner + p of the array; rows pass with p faster than n.

    Attributes
    ----------
    outer, row, inner
        Sizes: the value has outer · row · inner elements.
    lanes
        Elements a beat; divides `row`.
    pixels
        Whether a row holds the channels of a pixel.
    """

    outer: int
    row: int
    inner: int
    lanes: int
    pixels: bool

    @property
    def size(self) -> int:
        """Elements of the value."""
        return self.outer * self.row * self.inner

    @property
    def rows(self) -> int:
        """Rows of the value."""
        return self.outer * self.inner

    @property
    def row_beats(self) -> int:
        """Beats a row."""
        return self.row // self.lanes

    @property
    def beats(self) -> int:
        """Beats of the value."""
        return self.rows * self.row_beats

    def stream_order(self, codes: Array) -> Array:
        """Elements of one value in the order of the stream: an array [rows, row]."""
        return np.asarray(codes).reshape(self.outer, self.row, self.inner).transpose(0, 2, 1).reshape(-1, self.row)


def layout(shape: tuple[int, ...], width: int, *, pixels: bool) -> Layout:
    """Layout of a value.

    Parameters
    ----------
    shape
        Its shape, samples not counted.
    width
        Bits of an element.
    pixels
        Whether it is one of images, [batch, channels, *space].
    """
    if pixels:
        outer, row, inner = shape[0], shape[1], math.prod(shape[2:])
    else:
        outer, row, inner = math.prod(shape[:-1]), (shape[-1] if shape else 1), 1
    return Layout(outer, row, inner, lanes(row, width), pixels)


def lanes(row: int, width: int) -> int:
    """Most elements a beat that divide a row and keep to the limits."""
    most = max(1, min(MAX_LANES, MAX_BITS // width))
    return max(count for count in range(1, min(row, most) + 1) if row % count == 0)


def image_values(
    shapes: Mapping[str, tuple[int, ...]], images: Iterable[str], ties: Iterable[Iterable[str]]
) -> frozenset[str]:
    """Values that travel pixel by pixel.

    Parameters
    ----------
    shapes
        Of every value.
    images
        Values that a kernel reads or writes as images.
    ties
        Values that belong together, since a kernel takes them element by element: they have one layout wherever they have one shape.

    Returns
    -------
    The values of `images` of rank 3 and more, and those tied to them. Where another kernel of the
    group goes by rows of the last axis, it takes in a whole frame.
    """
    parent = {name: name for name in shapes}

    def root(name: str) -> str:
        while parent[name] != name:
            parent[name] = parent[parent[name]]
            name = parent[name]
        return name

    for group in ties:
        by_shape: dict[tuple[int, ...], str] = {}
        for name in group:
            first = by_shape.setdefault(shapes[name], name)
            parent[root(name)] = root(first)
    wanted = {root(name) for name in images if len(shapes[name]) >= 3}
    return frozenset(name for name in shapes if root(name) in wanted and len(shapes[name]) >= 3)
