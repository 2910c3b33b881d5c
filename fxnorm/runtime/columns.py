"""Windows of channels-last codes as rows of unsigned bytes: what a product of 8-bit integers takes in.

A code x becomes u = x + offset ≥ 0, cut into one byte or an upper and a lower one ("limbs"); the caller takes the offset off in its bias.
Rows are copied in vectors that may reach beyond their end: what follows is written later, and both buffers have room behind their last row.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from fxnorm.engine.intrinsics import copy16, copy64
from fxnorm.engine.machine_code import compiled
from fxnorm.kernels.linear import Window

Array = np.ndarray

SLACK: Final = 64
"""Bytes behind the last row that copies may touch."""

PIECE: Final = 1 << 20
"""About how many bytes of rows are worked on at a time."""


@compiled
def _planes(x: Array, offset: int, before: tuple[int, int], padding: int, out: Array) -> None:
    """Limbs of padded codes.

    Parameters
    ----------
    x
        Codes [n, h, w · c].
    before
        Rows above and bytes to the left of the data.
    padding
        Code of the padding.
    out
        uint8 [limbs, n, H, W · c], upper limb first.
    """
    top, left = before
    frames, height, width = x.shape
    limbs = out.shape[0]
    for limb in range(limbs):
        shift = 8 * (limbs - 1 - limb)
        filler = np.uint8(((padding + offset) >> shift) & 255)
        for n in range(frames):
            plane = out[limb, n]
            plane[:top] = filler
            plane[top + height :] = filler
            for y in range(height):
                row, source = plane[top + y], x[n, y]
                row[:left] = filler
                row[left + width :] = filler
                inner = row[left : left + width]
                if shift == 0:
                    for i in range(width):
                        inner[i] = np.uint8(source[i] + offset)
                else:
                    for i in range(width):
                        inner[i] = np.uint8((source[i] + offset) >> 8)


@compiled
def _columns(
    planes: Array,
    out: Array,
    shape: tuple[int, int, int, int],
    kernel: tuple[int, int, int, int, int],
    strides: tuple[int, int],
    output: tuple[int, int, int],
) -> None:
    """Rows of windows.

    Parameters
    ----------
    planes
        Bytes of `shape` [planes, H, W, c], flat, with room behind them.
    out
        Bytes [planes, output rows, output columns, kernel rows, segments, segment], flat, with room behind them.
    kernel
        Kernel rows and rows from one to the next, segments in each, their bytes, bytes from one to the next.
    strides
        Of the windows: rows, columns.
    output
        First and last (exclusive) row of the output, and its columns.
    """
    count, height, width, channels = shape
    kernel_rows, dilation, segments, segment, gap = kernel
    first, last, columns = output
    k = 0
    for n in range(count):
        for oy in range(first, last):
            for ox in range(columns):
                for a in range(kernel_rows):
                    start = ((n * height + oy * strides[0] + a * dilation) * width + ox * strides[1]) * channels
                    for _ in range(segments):
                        if segment <= 16:
                            copy16(out, k, planes, start)
                        else:
                            for j in range(0, segment, 64):
                                copy64(out, k + j, planes, start + j)
                        k += segment
                        start += gap


@dataclass(frozen=True, slots=True)
class Columns:
    """How windows of frames [n, h, w, c] become rows of bytes, kernel row outermost, channel innermost.

    Attributes
    ----------
    window
        Geometry in two dimensions.
    limbs, offset
        Bytes a code takes, and what makes codes non-negative.
    padding
        Code of the padding.
    """

    window: Window
    limbs: int
    offset: int
    padding: int = 0

    def output(self, height: int, width: int) -> tuple[int, int]:
        """Output rows and columns of frames of a size."""
        w = self.window
        padded = (height + w.pads_begin[0] + w.pads_end[0], width + w.pads_begin[1] + w.pads_end[1])
        spans = (d * (k - 1) + 1 for k, d in zip(w.kernel, w.dilations, strict=True))
        rows, columns = ((p - span) // s + 1 for p, span, s in zip(padded, spans, w.strides, strict=True))
        return rows, columns

    def pieces(self, x: Array) -> Iterator[tuple[slice, Array]]:
        """Rows for a piece of the outputs at a time, so that they stay in the cache.

        Parameters
        ----------
        x
            Contiguous codes, int8 or int16 [n, h, w, c].

        Yields
        ------
        Which outputs (frames · rows · columns, flat), and their bytes [limbs, outputs, kernel · c].
        """
        frames, height, width, channels = x.shape
        rows, columns = self.output(height, width)
        each = self.limbs * rows * columns * math.prod(self.window.kernel) * channels
        step = max(1, PIECE // max(each, 1))
        for start in range(0, frames, step):
            part = x[start : start + step]
            planes, shape = self._padded(part)
            if self._whole:
                yield (
                    slice(start * rows * columns, (start + len(part)) * rows * columns),
                    planes.reshape(self.limbs, -1, channels),
                )
                continue
            some = rows if step > 1 else max(1, rows * PIECE // max(each, 1))
            for first in range(0, rows, some):
                last = min(first + some, rows)
                begin, size = (start * rows + first) * columns, len(part) * (last - first) * columns
                yield slice(begin, begin + size), self._rows(planes, shape, (first, last, columns))

    @property
    def _whole(self) -> bool:
        """Whether every window is one place, and every place a window."""
        w = self.window
        return all(n == 1 for n in (*w.kernel, *w.strides)) and not any((*w.pads_begin, *w.pads_end))

    def _padded(self, x: Array) -> tuple[Array, tuple[int, int, int, int]]:
        frames, height, width, channels = x.shape
        (top, left), (bottom, right) = self.window.pads_begin, self.window.pads_end
        shape = (self.limbs * frames, height + top + bottom, width + left + right, channels)
        size = math.prod(shape)
        planes = np.empty(size + SLACK, np.uint8)
        out = planes[:size].reshape(self.limbs, frames, shape[1], shape[2] * channels)
        source = x.reshape(frames, height, width * channels)
        _planes(source, self.offset, (top, left * channels), self.padding, out)
        return planes if not self._whole else planes[:size], shape

    def _rows(self, planes: Array, shape: tuple[int, int, int, int], output: tuple[int, int, int]) -> Array:
        w, channels = self.window, shape[3]
        # Neighbouring taps of a row lie side by side in memory.
        segments, segment = (1, w.kernel[1] * channels) if w.dilations[1] == 1 else (w.kernel[1], channels)
        taps = math.prod(w.kernel) * channels
        count = shape[0] * (output[1] - output[0]) * output[2]
        out = np.empty(count * taps + SLACK, np.uint8)
        kernel = (w.kernel[0], w.dilations[0], segments, segment, w.dilations[1] * channels)
        _columns(planes, out, shape, kernel, (w.strides[0], w.strides[1]), output)
        return out[: count * taps].reshape(self.limbs, -1, taps)
