"""Convolutions of every channel with a kernel of its own, on channels-last integers, compiled: no product of matrices pays there."""

from __future__ import annotations

import numpy as np

from fxnorm.engine.machine_code import compiled

Array = np.ndarray


@compiled
def depthwise(
    x: Array, weights: Array, out: Array, channels: int, strides: tuple[int, int], dilations: tuple[int, int]
) -> None:
    """Sums of products over windows.

    Parameters
    ----------
    x
        Padded codes, int8 or int16 [n, H, W · c].
    weights
        int32 or int64 [kernel rows, kernel columns, columns · c]: the same c weights for every output column.
    out
        Sums [n, rows, columns · c], of the type of the weights, which holds every partial sum.
    """
    for n in range(out.shape[0]):
        for oy in range(out.shape[1]):
            acc = out[n, oy]
            acc[:] = 0
            for a in range(weights.shape[0]):
                row = x[n, oy * strides[0] + a * dilations[0]]
                for b in range(weights.shape[1]):
                    factor, first = weights[a, b], b * dilations[1] * channels
                    if strides[1] == 1:
                        # All columns of a row in one long loop.
                        source = row[first : first + acc.size]
                        for i in range(acc.size):
                            acc[i] += source[i] * factor[i]
                    else:
                        for start in range(0, acc.size, channels):
                            place = first + start * strides[1]
                            source = row[place : place + channels]
                            part = acc[start : start + channels]
                            for c in range(channels):
                                part[c] += source[c] * factor[c]
