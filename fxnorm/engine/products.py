"""Exact integer matrix products and convolutions on floating-point units.

Floating-point arithmetic on integers is exact as long as no partial sum leaves ±2**24 (float32) or ±2**53 (float64), in whatever order
the library adds. The caller knows a bound of every partial sum; it picks the narrowest type that is exact. Beyond, operands are
split into limbs whose products are exact in float64 and put together again in integers. The choice never changes a bit.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

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
    count = x.shape[0]
    kernel = weights.shape[2:]
    view = windows(x, kernel, strides, dilations)
    output = view.shape[2 : 2 + len(kernel)]
    if weights.shape[1] == 1 and weights.shape[0] == groups and bound <= FLOAT64_EXACT:
        return _depthwise(view, weights, bound)
    shape = (count, weights.shape[0], *output)
    result = np.empty(shape, np.int64 if bound <= INT64_SAFE else object)
    taps = x.shape[1] // groups * math.prod(kernel)
    step = max(1, (1 << 23) // max(1, groups * taps * math.prod(output)))
    for start in range(0, count, step):
        block = columns(view[start : start + step], groups)
        product = matmul(weights.reshape(groups, -1, taps), block, bound)
        result[start : start + step] = product.reshape(-1, *shape[1:])
    return result


def columns(view: Array, groups: int) -> Array:
    """Windows as the columns of a matrix: [n, groups, c / groups · kernel, output], channel outermost, then kernel row, then column."""
    rank = (view.ndim - 2) // 2
    count, channels = view.shape[:2]
    output, kernel = view.shape[2 : 2 + rank], view.shape[2 + rank :]
    order = (0, 1, *range(2 + rank, 2 + 2 * rank), *range(2, 2 + rank))
    return view.transpose(order).reshape(count, groups, channels // groups * math.prod(kernel), math.prod(output))


def _depthwise(view: Array, weights: Array, bound: int) -> Array:
    rank = weights.ndim - 2
    dtype = np.float32 if path(bound) == "float32" else np.float64
    total = np.zeros(view.shape[: 2 + rank], dtype)
    spread = (slice(None), *(None,) * rank)
    for index in np.ndindex(*weights.shape[2:]):
        total += tap(view, index) * weights[(slice(None), 0, *index)].astype(dtype)[spread]
    return total.astype(np.int64)


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
