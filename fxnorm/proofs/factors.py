"""The sums of products inside kernels: which factors they have, of which intervals, in the order of the contract."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import product

import numpy as np

from fxnorm.kernels.linear import Linear, Window
from fxnorm.kernels.matmul import MatMul
from fxnorm.kernels.rescale import ScaleAndShift
from fxnorm.proofs.interval import Interval
from fxnorm.proofs.sums import Factors

Array = np.ndarray
Ends = tuple[Array, Array]


def linear_factors(kernel: Linear, x: Interval, start: Array | None = None) -> Factors:
    """Weights and inputs of every output channel: k counts input channels of the group, then kernel rows, then columns.

    Every tap may see the padding, so that the ends hold for all windows.

    Parameters
    ----------
    start
        What sums start at; by default the bias.
    """
    ends = x.along(1) if kernel.window is not None else x.along(-1)
    window = kernel.window
    if window is not None and any((*window.pads_begin, *window.pads_end)):
        ends = np.minimum(ends[0], kernel.padding), np.maximum(ends[1], kernel.padding)
    return _linear(kernel, *ends, kernel.bias if start is None else start)


def windows_of(kernel: Linear, x: Interval, start: Array) -> Iterator[tuple[tuple[int, ...], Factors]]:
    """The windows that differ in which taps lie in the padding, each with an output position, and its factors.

    A window whose taps are all inside comes first where there is one; it is the only one where the padding is one of the codes that all
    channels have anyway, for then it reaches further than all others.
    """
    window = kernel.window
    if window is None:
        yield (), linear_factors(kernel, x, start)
        return
    seen = [distinct_rows(taps_inside(window, axis, size)) for axis, size in enumerate(x.shape[2:])]
    places = sorted(product(*seen), key=lambda chosen: -sum(sum(taps) for taps, _ in chosen))
    low, high = x.along(1)
    for chosen in places:
        inside = np.ones(1, np.bool_)
        for taps, _ in chosen:
            inside = np.logical_and.outer(inside, np.array(taps))
        flat = np.tile(inside.reshape(-1), kernel.weights.shape[1])
        yield tuple(position for _, position in chosen), _linear(kernel, low, high, start, flat)
        if inside.all() and bool(np.all((low <= kernel.padding) & (kernel.padding <= high))):
            return


def taps_inside(window: Window, axis: int, size: int) -> Array:
    """Which taps of every window along one spatial axis lie in the data: bool [output, kernel]."""
    before, after = window.pads_begin[axis], window.pads_end[axis]
    reach = window.dilations[axis] * (window.kernel[axis] - 1) + 1
    count = (size + before + after - reach) // window.strides[axis] + 1
    origins = np.arange(count) * window.strides[axis] - before
    places = origins[:, None] + np.arange(window.kernel[axis]) * window.dilations[axis]
    return np.asarray((places >= 0) & (places < size))


def distinct_rows(inside: Array) -> list[tuple[tuple[bool, ...], int]]:
    """Patterns of taps, each with the first window that has it."""
    found: dict[tuple[bool, ...], int] = {}
    for position, row in enumerate(inside.tolist()):
        found.setdefault(tuple(row), position)
    return list(found.items())


def _linear(kernel: Linear, low: Array, high: Array, start: Array, inside: Array | None = None) -> Factors:
    """Factors of ends a channel (or an input of a dense layer); taps that are not inside see the padding."""
    weights = kernel.weights.reshape(len(kernel.weights), -1)
    taps = math.prod(kernel.weights.shape[2:])
    ends = []
    for end in (low, high):
        grouped = np.repeat(end.reshape(kernel.groups, -1), taps, axis=1)
        if inside is not None:
            grouped = np.where(inside, grouped, kernel.padding)
        ends.append(grouped if kernel.groups == 1 else np.repeat(grouped, len(weights) // kernel.groups, axis=0))
    return Factors((weights,), tuple(ends), start)


def scale_factors(kernel: ScaleAndShift, x: Interval) -> Factors:
    """One product a channel."""
    count = len(kernel.multiplier)
    ends = x.along(kernel.axis) if kernel.axis is not None else tuple(np.array([end]) for end in x.hull)
    return Factors((kernel.multiplier.reshape(count, 1),), tuple(end.reshape(count, 1) for end in ends), kernel.bias)


def matmul_factors(kernel: MatMul, inputs: Sequence[Interval]) -> Factors:
    """Factors of every column of a constant on the right, or of every row of one on the left, or of all sums alike."""
    given = iter(inputs)
    left = None if kernel.left is not None else next(given)
    right = None if kernel.right is not None else next(given)
    a_zero, b_zero = kernel.zeros
    if left is not None:
        a = tuple(end[None] - a_zero for end in left.along(-1))
    else:
        assert kernel.left is not None
        a = (kernel.left.astype(np.int64).reshape(-1, kernel.left.shape[-1]) - a_zero,)
    if right is not None:
        b = tuple(end[None] - b_zero for end in right.along(-1 if kernel.vector_right else -2))
    else:
        assert kernel.right is not None
        columns = kernel.right if kernel.vector_right else np.moveaxis(kernel.right, -2, -1)
        b = (columns.astype(np.int64).reshape(-1, columns.shape[-1]) - b_zero,)
    if len(a[0]) > 1 and len(b[0]) > 1:
        # Two constants (and a computed addend): all rows of the first stand for each of them.
        a = (a[0].min(axis=0, keepdims=True), a[0].max(axis=0, keepdims=True))
    # The first factor has a row a sum.
    if len(b[0]) > 1:
        a, b = b, a
    return Factors(a, b, np.zeros(len(a[0]), np.int64))
