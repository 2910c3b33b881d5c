"""Arrays of the shape that the plan gives them, [samples, batch, channels, *space], in whatever order they lie in memory.

Where a convolution made them, channels come last in memory, and whoever can goes on in that order: a transposed view costs nothing.
"""

from __future__ import annotations

import numpy as np

Array = np.ndarray
Order = tuple[int, ...]


def memory_order(x: Array) -> Order:
    """Axes of an array from the slowest to the fastest in memory."""
    return tuple(sorted(range(x.ndim), key=lambda axis: -abs(x.strides[axis])))


def back(order: Order) -> Order:
    """The order that undoes one."""
    return tuple(int(axis) for axis in np.argsort(order))


def contiguous(x: Array, order: Order) -> Array:
    """The array with its axes in an order, contiguous; a copy only where memory has another order."""
    return np.ascontiguousarray(x.transpose(order))


def channels_last(x: Array) -> Array:
    """Frames [samples, batch, c, *space] of one or two dimensions as contiguous [n, h, w, c]; copied where memory has another order."""
    frames = x.reshape(-1, *x.shape[2:])
    if frames.ndim == 3:
        frames = frames[:, :, None]
    return contiguous(frames, (0, 2, 3, 1))


def channels_first(y: Array, like: Array) -> Array:
    """View [samples, batch, c, *space] of [n, h, w, c], with the samples, batch and dimensions of an array."""
    frames = y.transpose(0, 3, 1, 2)
    if like.ndim == 4:
        frames = frames[:, :, 0]
    return frames.reshape(*like.shape[:2], *frames.shape[1:])
