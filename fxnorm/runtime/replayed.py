"""Linear layers whose accumulator is obeyed at every addition, on codes of a byte: proven output by output, and replayed where that fails.

Let an output start at b, let S be the sum of its products and A the sum of their magnitudes. Its products of one sign add up to (S + A) / 2
and (S - A) / 2, so that in whatever order they come, every partial sum lies between b + (S - A) / 2 and b + (S + A) / 2. Where the
accumulator holds both, nothing saturates or wraps, and b + S is what it ends at. Both sums are exact products of bytes; they take a
fraction of the time in which the others are added up one product after the other.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from fxnorm.engine.intrinsics import as_type_of
from fxnorm.engine.machine_code import compiled
from fxnorm.engine.replay import Accumulator
from fxnorm.fixed.format import Format, Overflow
from fxnorm.kernels.linear import Linear
from fxnorm.kernels.stage import Tally
from fxnorm.runtime.byte_products import MAX_TAPS, ByteProduct, byte_range
from fxnorm.runtime.fast import Run
from fxnorm.runtime.integer_stage import IntegerStage
from fxnorm.runtime.narrow_linear import by_place, in_plane, limbs_of, over_rows, over_windows

Array = np.ndarray
Ends = tuple[np.int32, np.int32, bool]

ALONE: Final = 8
"""About how many outputs side by side are replayed in the time of one by itself."""


@compiled
def _replay_row(
    row: Array, offset: int, order: Array, weights: Array, total: Array, ends: tuple[np.int32, np.int32, bool]
) -> int:
    """Add products to all totals of a row, in order; return how many additions overflowed."""
    low, high, wraps = ends
    mask = as_type_of(high - low, low)
    count = 0
    for k in range(order.size):
        factor = as_type_of(row[order[k]] - offset, low)
        if factor == 0:
            continue
        column = weights[k]
        lost = np.int32(0)
        if wraps:
            for c in range(total.size):
                exact = as_type_of(total[c] + factor * column[c], low)
                held = as_type_of(((exact - low) & mask) + low, low)
                lost = np.int32(lost + (exact != held))
                total[c] = held
        else:
            for c in range(total.size):
                exact = as_type_of(total[c] + factor * column[c], low)
                held = min(max(exact, low), high)
                lost = np.int32(lost + (exact != held))
                total[c] = held
        count += int(lost)
    return count


@compiled
def _replay_one(
    row: Array, offset: int, order: Array, weights: Array, start: int, ends: tuple[np.int32, np.int32, bool]
) -> tuple[int, int]:
    """One output by itself: its accumulator, and how many additions overflowed."""
    low, high, wraps = ends
    mask = high - low
    total, count = start, 0
    for k in range(order.size):
        exact = total + (row[order[k]] - offset) * weights[k]
        held = ((exact - low) & mask) + low if wraps else min(max(exact, low), high)
        count += exact != held
        total = held
    return total, count


@compiled
def settle_rows(
    rows: Array,
    offset: int,
    order: Array,
    weights: tuple[Array, Array],
    start: Array,
    sums: tuple[Array, Array],
    ends: tuple[np.int32, np.int32, bool],
    alone: int,
) -> int:
    """Replay the outputs that are not proven; return how many additions overflowed.

    Parameters
    ----------
    rows
        uint8 [outputs, taps], codes plus offset.
    order
        Where in a row the factor of every addition stands.
    weights
        int32 [taps, channels] in the order of additions, and the same transposed.
    start
        int32 [channels]: what sums start at.
    sums
        int32 [outputs, channels]: S + start, which become the accumulators, and A.
    ends
        Smallest and largest code of the accumulator, and whether it wraps.
    alone
        How many times as long an output takes by itself as among others.
    """
    totals, reaches = sums
    low, high = 2 * ends[0], 2 * ends[1]
    channels = start.size
    count = 0
    for r in range(rows.shape[0]):
        total, reach = totals[r], reaches[r]
        unproven = 0
        for c in range(channels):
            middle = start[c] + total[c]
            unproven += (middle + reach[c] > high) | (middle - reach[c] < low)
        if unproven == 0:
            continue
        if unproven * alone >= channels:
            for c in range(channels):
                total[c] = start[c]
            count += _replay_row(rows[r], offset, order, weights[0], total, ends)
            continue
        for c in range(channels):
            middle = start[c] + total[c]
            if (middle + reach[c] > high) | (middle - reach[c] < low):
                held, lost = _replay_one(rows[r], offset, order, weights[1][c], start[c], ends)
                total[c] = held
                count += int(lost)
    return count


class _Replayed:
    """Rows of bytes to codes.

    Parameters
    ----------
    matrix
        Weights [taps, channels], taps in the order of the bytes of a row.
    order
        Which taps they are, in the order of additions.
    """

    def __init__(self, kernel: Linear, matrix: Array, order: Array, stage: IntegerStage, x: Format) -> None:
        accumulator, self._offset = kernel.accumulator, -x.min_code
        self._products, self._magnitudes = ByteProduct(matrix), ByteProduct(np.abs(matrix.astype(np.int64)))
        self._order = order
        in_order = np.ascontiguousarray(matrix[order], np.int32)
        self._weights = in_order, np.ascontiguousarray(in_order.T)
        self._start = Accumulator(accumulator, kernel.product_bits).start(kernel.bias).astype(np.int32)
        # Rows hold codes plus the offset, which their sums have to give back.
        taken = self._offset * matrix.sum(axis=0, dtype=np.int64)
        self._bias = (self._start - taken).astype(np.int32)
        wraps = accumulator.overflow is Overflow.WRAP
        self._ends: Ends = np.int32(accumulator.lowest_code), np.int32(accumulator.max_code), wraps
        self._stage = stage
        self.taps, self.channels = matrix.shape
        self.dtype = stage.dtype

    def run(self, rows: Array, out: Array, tally: Tally) -> None:
        """Codes [outputs, channels] of bytes [1, outputs, taps]."""
        totals = _whole(self._products.run(rows)) + self._bias
        middle = np.uint8(self._offset)
        sizes = np.maximum(rows, middle) - np.minimum(rows, middle) if self._offset else rows
        reaches = _whole(self._magnitudes.run(sizes))
        tally.accumulator_overflow += settle_rows(
            rows[0], self._offset, self._order, self._weights, self._start, (totals, reaches), self._ends, ALONE
        )
        self._stage.finish_into(totals, out, tally)
        tally.additions += out.size * self.taps


def _whole(parts: Array) -> Array:
    """Sums int32 [outputs, channels] of a product's limbs of weights."""
    one = parts[0]
    whole: Array = one[:, 0] if one.shape[1] == 1 else (one[:, 0] << 8) + one[:, 1]
    return np.ascontiguousarray(whole)


def replayed(kernel: Linear, x: Format) -> Run | None:
    """Fast form of a linear layer whose accumulator saturates or wraps at every addition; None where there is none."""
    accumulator = kernel.accumulator
    if kernel.exact or kernel.product is not None or accumulator.fraction_bits != kernel.product_bits:
        return None
    if accumulator.overflow is Overflow.SAT_ZERO or limbs_of(x) > 1 or not byte_range(kernel.weights, 8):
        return None
    window = None if kernel.window is None else in_plane(kernel.window)
    if kernel.groups != 1 or (window is None and kernel.window is not None):
        return None
    taps = math.prod(kernel.weights.shape[1:])
    # Accumulator, product, and the sum of all of them stay in 32 bits.
    if taps > MAX_TAPS >> 1 or accumulator.width > 29:
        return None
    held = max(-accumulator.min_code, accumulator.max_code)
    stage = IntegerStage.of(kernel.stage, held, len(kernel.weights))
    if stage is None:
        return None
    if window is None:
        return over_rows(_Replayed(kernel, np.ascontiguousarray(kernel.weights.T), np.arange(taps), stage, x), x)
    # Additions come by channel, kernel row, kernel column.
    order = np.arange(taps).reshape(*window.kernel, -1).transpose(2, 0, 1).reshape(-1)
    found = _Replayed(kernel, by_place(kernel.weights, window), order, stage, x)
    return over_windows(found, window, x, kernel.padding)
