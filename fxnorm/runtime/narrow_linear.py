"""Linear layers on codes of 8 and 16 bits: exact products of bytes, and a loop of their own for depthwise convolutions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from fxnorm.fixed.format import Format
from fxnorm.kernels.linear import Linear, Window
from fxnorm.kernels.stage import Tally
from fxnorm.runtime.byte_products import MAX_TAPS, ByteProduct, byte_range
from fxnorm.runtime.columns import PIECE, Columns
from fxnorm.runtime.depthwise import depthwise
from fxnorm.runtime.fast import Run
from fxnorm.runtime.integer_stage import IntegerStage
from fxnorm.runtime.layout import channels_first, channels_last

Array = np.ndarray

_POINT = Window((1, 1), (1, 1), (1, 1), (0, 0), (0, 0))


def linear(kernel: Linear, x: Format) -> Run | None:
    """Fast form of an exact linear layer whose input's format is narrow; None where there is none."""
    if kernel.window is None:
        found = _Products.of(kernel, np.ascontiguousarray(kernel.weights.T), x)
        return None if found is None else over_rows(found, x)
    window = in_plane(kernel.window)
    if window is None:
        return None
    if kernel.groups != 1:
        return _depthwise(kernel, window)
    found = _Products.of(kernel, by_place(kernel.weights, window), x)
    return None if found is None else over_windows(found, window, x, kernel.padding)


class _Products:
    """Products of bytes with weights [taps, channels], then the stage.

    Parameters
    ----------
    matrix
        Weights, taps in the order of the bytes of a row.
    limbs
        Bytes of a code.
    """

    def __init__(self, matrix: Array, stage: IntegerStage, limbs: int) -> None:
        self._product = ByteProduct(matrix)
        self._stage = stage
        of_weights = self._product.limbs
        upper_x, upper_w = 1 << 8 * (limbs - 1), 1 << 8 * (of_weights - 1)
        # Where an operand has one limb, what is read a second time counts 0.
        self._places = (
            upper_x * upper_w,
            upper_x if of_weights == 2 else 0,
            upper_w if limbs == 2 else 0,
            1 if limbs == of_weights == 2 else 0,
        )
        self._single = limbs == of_weights == 1
        self.taps, self.channels = matrix.shape
        self.dtype = stage.dtype

    @classmethod
    def of(cls, kernel: Linear, matrix: Array, x: Format) -> _Products | None:
        """None where bytes or 64 bits do not hold what is computed."""
        if len(matrix) > MAX_TAPS or not byte_range(matrix, 16):
            return None
        offset = -x.min_code
        sums = matrix.sum(axis=0, dtype=np.int64).astype(object)
        # Sums of codes that are moved to where none is negative reach further than those of the codes themselves.
        bound = int(np.abs(matrix, dtype=np.int64).sum(axis=0).max(initial=0)) * (x.max_code - x.min_code)
        stage = IntegerStage.of(kernel.stage, bound, matrix.shape[1], offset=kernel.bias.astype(object) - offset * sums)
        return None if stage is None else cls(matrix, stage, limbs_of(x))

    def run(self, rows: Array, out: Array, tally: Tally) -> None:
        """Codes [outputs, channels] of bytes [limbs, outputs, taps]."""
        sums = self._product.run(rows)
        if self._single:
            self._stage.finish_into(sums, out, tally)
        else:
            self._stage.finish_limbs(sums, self._places, out, tally)
        tally.additions += out.size * self.taps


def limbs_of(x: Format) -> int:
    """Bytes that a code takes."""
    return 1 if x.width <= 8 else 2


class Rows(Protocol):
    """What turns rows of bytes into codes.

    Attributes
    ----------
    taps, channels
        Addends and outputs of a row.
    dtype
        Type of the codes.
    """

    taps: int
    channels: int
    dtype: Any

    def run(self, rows: Array, out: Array, tally: Tally) -> None:
        """Codes [outputs, channels] of bytes [limbs, outputs, taps]."""
        ...


def over_rows(found: Rows, x: Format) -> Run:
    """A dense layer: codes whose last axis is a row."""
    columns = Columns(_POINT, limbs_of(x), -x.min_code)
    step = max(1, PIECE // max(found.taps * columns.limbs, 1))

    def run(inputs: Sequence[Array], tally: Tally) -> Array:
        given = inputs[0]
        rows = np.ascontiguousarray(given).reshape(1, 1, -1, found.taps)
        out = np.empty((rows.shape[2], found.channels), found.dtype)
        for start in range(0, len(out), step):
            for _, part in columns.pieces(rows[:, :, start : start + step]):
                found.run(part, out[start : start + step], tally)
        return out.reshape(*given.shape[:-1], found.channels)

    return run


def over_windows(found: Rows, window: Window, x: Format, padding: int) -> Run:
    """A convolution in one group, in two dimensions: windows whose taps lie as `by_place` has them are rows."""
    columns = Columns(window, limbs_of(x), -x.min_code, padding)

    def run(inputs: Sequence[Array], tally: Tally) -> Array:
        given = inputs[0]
        frames = channels_last(given)
        rows, width = columns.output(*frames.shape[1:3])
        out = np.empty((len(frames) * rows * width, found.channels), found.dtype)
        for place, part in columns.pieces(frames):
            found.run(part, out[place], tally)
        return channels_first(out.reshape(len(frames), rows, width, found.channels), given)

    return run


def by_place(weights: Array, window: Window) -> Array:
    """Weights [taps, outputs] of a convolution; taps by kernel row, kernel column, channel."""
    planes = weights.reshape(*weights.shape[:2], *window.kernel)
    return np.ascontiguousarray(planes.transpose(2, 3, 1, 0)).reshape(-1, len(weights))


def in_plane(window: Window) -> Window | None:
    """A window of one or two dimensions in two; None where it has more."""
    if len(window.kernel) == 2:
        return window
    if len(window.kernel) != 1:
        return None
    (k,), (s,), (d,), (begin,), (end,) = (
        window.kernel,
        window.strides,
        window.dilations,
        window.pads_begin,
        window.pads_end,
    )
    return Window((1, k), (1, s), (1, d), (0, begin), (0, end))


def _depthwise(kernel: Linear, window: Window) -> Run | None:
    channels = len(kernel.weights)
    if kernel.groups != channels or kernel.weights.shape[1] != 1 or kernel.bound >= 1 << 62:
        return None
    # Products alone reach no further than the bound; the bias comes in later.
    dtype: type[np.signedinteger[Any]] = np.int32 if kernel.bound < 1 << 31 else np.int64
    stage = IntegerStage.of(kernel.stage, kernel.bound, channels, offset=kernel.bias)
    if stage is None:
        return None
    taps = kernel.weights.reshape(channels, *window.kernel).transpose(1, 2, 0).astype(dtype)

    def run(inputs: Sequence[Array], tally: Tally) -> Array:
        x = inputs[0]
        acc = window_sums(channels_last(x), taps, window, kernel.padding)
        tally.additions += acc.size * math.prod(window.kernel)
        return channels_first(stage.finish(acc, tally), x)

    return run


def window_sums(frames: Array, taps: Array, window: Window, code: int) -> Array:
    """Sums of products [n, rows, columns, c] over windows of every channel for itself.

    Parameters
    ----------
    frames
        Contiguous codes [n, h, w, c].
    taps
        Weights [kernel rows, kernel columns, c], of a type that holds every partial sum.
    code
        What frames are padded with.
    """
    n, channels = len(frames), frames.shape[3]
    rows, width = Columns(window, 1, 0).output(*frames.shape[1:3])
    padded = pad(frames, window, code)
    acc = np.empty((n, rows, width * channels), taps.dtype)
    strides, dilations = window.strides, window.dilations
    depthwise(
        padded.reshape(n, padded.shape[1], -1),
        np.tile(taps, width),
        acc,
        channels,
        (strides[0], strides[1]),
        (dilations[0], dilations[1]),
    )
    return acc.reshape(n, rows, width, channels)


def pad(frames: Array, window: Window, code: int) -> Array:
    """Frames [n, h, w, c] with a code around them."""
    (top, left), (bottom, right) = window.pads_begin, window.pads_end
    if not any((top, left, bottom, right)):
        return frames
    n, h, w, c = frames.shape
    padded = np.full((n, h + top + bottom, w + left + right, c), code, frames.dtype)
    padded[:, top : top + h, left : left + w] = frames
    return padded
