"""The rescale stage on integer accumulators, compiled: round, clip, overflow and count in one pass, whatever the modes.

Every loop takes a block of accumulators at a time: it writes ``v = accumulator · multiplier + base`` to the stage's `room`, which stays in
the first-level cache, and `settle` makes codes of it. What a channel needs is repeated over a whole block, so that the compiler sees long
rows whatever the number of channels. One type, int32 or int64, is that of every step: the caller has proven that it holds them, and with 32
bits the processor takes twice as many elements at a time.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np

from fxnorm.engine.intrinsics import as_type_of, shifted
from fxnorm.engine.machine_code import compiled

Array = np.ndarray
Ties = tuple[Array, Array, Array] | None
Limits = tuple[Any, Any, Any, Any, Any]

WRAP: Final = 0
SAT: Final = 1
SAT_ZERO: Final = 2


class Stage(NamedTuple):
    """What the loops do to accumulators.

    Attributes
    ----------
    multiplier, base
        v = accumulator · multiplier + base, one of each an element of a block.
    right
        Places to the right, likewise.
    ties
        Added before the shift where v is negative, where it is not, and where its floor is odd, likewise; None: nothing.
    limits
        The activation's clip, the ends of the output's format, and one of the overflow modes above; like the arrays of the type of every
        step.
    counts
        int64, added to: how many overflowed, how many lie at the lower and at the upper end; smallest and largest code so far.
    room
        One block, for the loops.
    """

    multiplier: Array
    base: Array
    right: Array
    ties: Ties
    limits: Limits
    counts: Array
    room: Array


@compiled
def settle(v: Array, out: Array, right: Array, ties: Ties, limits: Limits, counts: Array) -> None:
    """Codes of one block, v ↦ overflow(clip(round(v / 2**right))), and their counts; v is used up.

    The other parameters are fields of a `Stage`, which as a whole would take as long to pass as a block takes to work on.
    """
    if ties is not None:
        below, above, odd = ties
        for i in range(v.size):
            start = below[i] if v[i] < 0 else above[i]
            parity = as_type_of(shifted(v[i], right[i]) & 1, v[i])
            v[i] += start + parity * odd[i]
    low, high, lowest, highest, overflow = limits
    # 32 bits, of which the processor takes more at a time.
    overflowed, at_low, at_high = np.int32(0), np.int32(0), np.int32(0)
    smallest, largest = highest, lowest
    for i in range(v.size):
        y = min(max(shifted(v[i], right[i]), low), high)
        held = min(max(y, lowest), highest)
        overflowed = np.int32(overflowed + (held != y))
        if overflow == WRAP:
            held = as_type_of(((y - lowest) & (highest - lowest)) + lowest, y)
        elif overflow == SAT_ZERO:
            held = held if held == y else as_type_of(0, y)
        at_low = np.int32(at_low + (held <= lowest))
        at_high = np.int32(at_high + (held >= highest))
        smallest = min(smallest, held)
        largest = max(largest, held)
        out[i] = held
    counts[0] += overflowed
    counts[1] += at_low
    counts[2] += at_high
    counts[3] = min(counts[3], smallest)
    counts[4] = max(counts[4], largest)


@compiled
def finish(acc: Array, out: Array, stage: Stage) -> None:
    """Codes of accumulators.

    Parameters
    ----------
    acc
        Integers of one axis, whose period of channels divides the length of a block.
    out
        Of acc's shape.
    """
    multiplier, base, room = stage.multiplier, stage.base, stage.room
    for start in range(0, acc.size, room.size):
        part = acc[start : start + room.size]
        for i in range(part.size):
            room[i] = part[i] * multiplier[i] + base[i]
        settle(room[: part.size], out[start : start + part.size], stage.right, stage.ties, stage.limits, stage.counts)


@compiled
def finish_limbs(parts: Array, out: Array, places: tuple[int, int, int, int], stage: Stage) -> None:
    """`finish` for accumulators in limbs: Σ part · place over four parts.

    Parameters
    ----------
    parts
        int32 [limbs of x, rows, limbs of the weights, channels], upper limbs first.
    out
        Of one axis, rows · channels.
    places
        What the parts count: upper with upper limb, upper with lower, lower with upper, lower with lower. Where an operand has one limb,
        what is read a second time counts 0.
    """
    rows, channels = parts.shape[1], parts.shape[3]
    last_x, last_w = parts.shape[0] - 1, parts.shape[2] - 1
    room = stage.room
    in_block = room.size // channels
    multiplier, base = stage.multiplier[:channels], stage.base[:channels]
    hh_place, hl_place, lh_place, ll_place = places
    for start in range(0, rows, in_block):
        count = min(in_block, rows - start)
        for k in range(count):
            r = start + k
            hh, hl, lh, ll = parts[0, r, 0], parts[0, r, last_w], parts[last_x, r, 0], parts[last_x, r, last_w]
            row = room[k * channels : (k + 1) * channels]
            for c in range(channels):
                acc = hh[c] * hh_place + hl[c] * hl_place + lh[c] * lh_place + ll[c] * ll_place
                row[c] = acc * multiplier[c] + base[c]
        size = count * channels
        settle(
            room[:size],
            out[start * channels : start * channels + size],
            stage.right,
            stage.ties,
            stage.limits,
            stage.counts,
        )


@compiled
def add(a: Array, b: Array, out: Array, factors: tuple[Any, Any], stage: Stage) -> None:
    """`finish` for a · factors[0] + b · factors[1], the factors of the stage's type."""
    base, room = stage.base, stage.room
    of_a, of_b = factors
    for start in range(0, out.size, room.size):
        left, right = a[start : start + room.size], b[start : start + room.size]
        for i in range(left.size):
            room[i] = left[i] * of_a + right[i] * of_b + base[i]
        settle(room[: left.size], out[start : start + left.size], stage.right, stage.ties, stage.limits, stage.counts)


@compiled
def multiply(a: Array, b: Array, out: Array, zeros: tuple[int, int], stage: Stage) -> None:
    """`finish` for (a - zeros[0]) · (b - zeros[1])."""
    multiplier, base, room = stage.multiplier, stage.base, stage.room
    zero_a, zero_b = zeros
    for start in range(0, out.size, room.size):
        left, right = a[start : start + room.size], b[start : start + room.size]
        for i in range(left.size):
            room[i] = (left[i] - zero_a) * (right[i] - zero_b) * multiplier[i] + base[i]
        settle(room[: left.size], out[start : start + left.size], stage.right, stage.ties, stage.limits, stage.counts)
