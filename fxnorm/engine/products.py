"""Exact integer matrix products and convolutions on floating-point units.

Floating-point arithmetic on integers is exact as long as no partial sum leaves ±2**24 (float32) or ±2**53 (float64), in whatever order
the library adds. The caller knows a bound of every partial sum; it picks the narrowest type that is exact. Beyond, operands are
split into limbs whose products are exact in float64 and put together again in integers. The choice never changes a bit.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from fxnorm.fixed import arith

Array = np.ndarray

FLOAT32_EXACT = 1 << 24
FLOAT64_EXACT = 1 << 53
INT64_SAFE = 1 << 62
LIMB_BITS = 16
MAX_WIDTH = 33  # two limbs: a signed upper one of 17 bits and a lower one of 16


def path(bound: int) -> str:
    """Name of the arithmetic that is exact for partial sums up to a bound: float32, float64 or limbs."""
    if bound <= FLOAT32_EXACT:
        return "float32"
    return "float64" if bound <= FLOAT64_EXACT else "limbs"


def matmul(a: Array, b: Array, bound: int) -> Array:
    """Exact product of integer matrices, with NumPy's broadcasting.

    Parameters
    ----------
    a, b
        Integer codes of at most 33 bits, shapes [..., m, k] and [..., k, n].
    bound
        No partial sum of products exceeds it in magnitude.

    Returns
    -------
    int64 array [..., m, n], or Python integers (dtype object) where the bound exceeds 2**62.
    """
    chosen = path(bound)
    if chosen != "limbs":
        dtype = np.float32 if chosen == "float32" else np.float64
        exact: Array = np.matmul(a.astype(dtype), b.astype(dtype))
        return exact.astype(np.int64)
    if a.shape[-1] > FLOAT64_EXACT >> (2 * LIMB_BITS):
        raise OverflowError(f"{a.shape[-1]} products of wide codes cannot be added exactly")
    a_high, a_low = _limbs(a)
    b_high, b_low = _limbs(b)
    high = np.matmul(a_high, b_high).astype(np.int64)
    middle = np.matmul(a_high, b_low).astype(np.int64) + np.matmul(a_low, b_high).astype(np.int64)
    low = np.matmul(a_low, b_low).astype(np.int64)
    if bound > INT64_SAFE:
        high, middle = high.astype(object), middle.astype(object)
    # In 64 bits, wrap-around in the partial terms cancels: the sum itself fits.
    total: Array = (high << 2 * LIMB_BITS) + (middle << LIMB_BITS) + low
    return total


def _limbs(codes: Array) -> tuple[Array, Array]:
    codes = codes.astype(np.int64, copy=False)  # narrower types would lose what the limbs put together
    high = codes >> LIMB_BITS
    return high.astype(np.float64), (codes - (high << LIMB_BITS)).astype(np.float64)


def windows(x: Array, kernel: tuple[int, ...], strides: tuple[int, ...], dilations: tuple[int, ...]) -> Array:
    """View of every window of a padded input.

    Parameters
    ----------
    x
        Shape [n, c, *spatial], padded.

    Returns
    -------
    View of shape [n, c, *output, *kernel].
    """
    rank = len(kernel)
    axes = tuple(range(2, 2 + rank))
    extent = tuple(d * (k - 1) + 1 for k, d in zip(kernel, dilations, strict=True))
    view = np.lib.stride_tricks.sliding_window_view(x, extent, axis=axes)
    steps = tuple(slice(None, None, s) for s in strides) + tuple(slice(None, None, d) for d in dilations)
    return np.asarray(view[(slice(None), slice(None), *steps)])


def tap(view: Array, index: tuple[int, ...]) -> Array:
    """One place of every window: [n, c, *output]."""
    place: tuple[Any, ...] = (..., *index)
    return np.asarray(view[place])


def convolve(
    x: Array, weights: Array, strides: tuple[int, ...], dilations: tuple[int, ...], groups: int, bound: int
) -> Array:
    """Exact convolution (correlation, as ONNX has it) of integer codes.

    Parameters
    ----------
    x
        Padded input, shape [n, c, *spatial].
    weights
        Shape [o, c / groups, *kernel].
    bound
        No partial sum of products exceeds it in magnitude.

    Returns
    -------
    Accumulators of shape [n, o, *output], int64 or Python integers as in `matmul`.
    """
    chosen = path(bound)
    if chosen != "limbs":
        dtype = np.float32 if chosen == "float32" else np.float64
        return convolve_floats(x, weights.astype(dtype), strides, dilations, groups).astype(np.int64)
    view = windows(x, weights.shape[2:], strides, dilations)
    output = view.shape[2 : weights.ndim]
    result = np.empty(
        (len(x), groups, len(weights) // groups, math.prod(output)), np.int64 if bound <= INT64_SAFE else object
    )
    matrix = weights.reshape(groups, len(weights) // groups, -1)
    for piece in _pieces(view, matrix.shape[2]):
        result[piece] = matmul(matrix, columns(view[piece], groups, np.int64), bound)
    return result.reshape(len(x), len(weights), *output)


def convolve_floats(
    x: Array, weights: Array, strides: tuple[int, ...], dilations: tuple[int, ...], groups: int
) -> Array:
    """Convolution in the floating-point type of the weights; exact as far as that type is.

    Parameters
    ----------
    x
        Padded input of any type that the weights' type holds, shape [n, c, *spatial].
    weights
        float32 or float64, shape [o, c / groups, *kernel].

    Returns
    -------
    Shape [n, o, *output], in the type of the weights.
    """
    view = windows(x, weights.shape[2:], strides, dilations)
    output = view.shape[2 : weights.ndim]
    if weights.shape[1] == 1 and len(weights) == groups:
        return _depthwise(view, weights)
    result = np.empty((len(x), groups, len(weights) // groups, math.prod(output)), weights.dtype)
    matrix = weights.reshape(groups, len(weights) // groups, -1)
    for piece in _pieces(view, matrix.shape[2]):
        np.matmul(matrix, columns(view[piece], groups, weights.dtype), out=result[piece])
    return result.reshape(len(x), len(weights), *output)


def _pieces(view: Array, taps: int) -> list[slice]:
    """Pieces of the first axis whose columns stay within some tens of megabytes."""
    rank = (view.ndim - 2) // 2
    each = view.shape[1] * math.prod(view.shape[2:])
    step = max(1, (1 << 22) // max(1, each, taps * math.prod(view.shape[2 : 2 + rank])))
    return [slice(start, start + step) for start in range(0, len(view), step)]


def columns(view: Array, groups: int, dtype: npt.DTypeLike) -> Array:
    """Windows as the columns of a matrix: channel outermost, then kernel row, then kernel column.

    Returns
    -------
    Shape [n, groups, c / groups · kernel, output].
    """
    rank = (view.ndim - 2) // 2
    count, channels = view.shape[:2]
    output, kernel = view.shape[2 : 2 + rank], view.shape[2 + rank :]
    result = np.empty((count, channels, math.prod(kernel), *output), dtype)
    # Tap by tap: rows of the input are copied as they lie, several times faster than transposing the view.
    for place, index in enumerate(np.ndindex(*kernel)):
        result[:, :, place] = tap(view, index)
    return result.reshape(count, groups, channels // groups * math.prod(kernel), math.prod(output))


def _depthwise(view: Array, weights: Array) -> Array:
    rank = weights.ndim - 2
    total = np.zeros(view.shape[: 2 + rank], weights.dtype)
    spread = (slice(None), *(None,) * rank)
    for index in np.ndindex(*weights.shape[2:]):
        total += tap(view, index) * weights[(slice(None), 0, *index)][spread]
    return total


def check_width(codes_width: int) -> None:
    """Refuse operands that two limbs cannot hold."""
    if codes_width > MAX_WIDTH:
        raise OverflowError(f"codes of {codes_width} bits exceed the {MAX_WIDTH} bits of the exact product")


def largest(array: Array) -> int:
    """Largest magnitude in an integer array, as a Python integer; 0 for an empty one."""
    return max((-int(array.min()), int(array.max()))) if array.size else 0


def integers(array: Array, bound: int) -> Array:
    """The array as Python integers where a bound says that 64 bits may not hold what is done with it, else as int64."""
    return array.astype(arith.int_dtype(bound))
