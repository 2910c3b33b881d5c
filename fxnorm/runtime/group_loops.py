"""Softmax and normalization of groups, compiled: one pass over the elements of each group, in 64-bit integers.

What is computed once a group (reciprocals, roots) comes in as arrays of one entry a group; see `fxnorm.runtime.groups`.
"""

from __future__ import annotations

import numpy as np

from fxnorm.engine.machine_code import compiled
from fxnorm.runtime.integer_loops import Stage, settle

Array = np.ndarray


@compiled
def distances(x: Array, limit: int, out: Array) -> None:
    """Distances of the elements of each row of [groups, length] from its maximum, none above a limit."""
    for g in range(x.shape[0]):
        row, to = x[g], out[g]
        top = row[0]
        for i in range(row.size):
            top = max(top, row[i])
        for i in range(row.size):
            to[i] = min(top - row[i], limit)


@compiled
def look_up(indices: Array, table: Array, totals: Array) -> None:
    """Entries of a table in place of their indices [groups, length], and the sum of each row of them."""
    for g in range(indices.shape[0]):
        row = indices[g]
        total = 0
        for i in range(row.size):
            entry = table[row[i]]
            row[i] = entry
            total += entry
        totals[g] = total


@compiled
def scaled(x: Array, multiplier: Array, start: Array, out: Array, stage: Stage) -> None:
    """Codes of x · multiplier + start, int64 [groups, length] and one of each a row, which have the stage's own in them."""
    room, length = stage.room, x.shape[1]
    for g in range(x.shape[0]):
        factor, summand = multiplier[g], start[g]
        for first in range(0, length, room.size):
            part = x[g, first : first + room.size]
            for i in range(part.size):
                room[i] = part[i] * factor + summand
            place = g * length + first
            settle(
                room[: part.size], out[place : place + part.size], stage.right, stage.ties, stage.limits, stage.counts
            )


@compiled
def normalized(
    x: Array,
    factor: int,
    center: Array,
    scale: Array,
    mantissa: Array,
    shift: Array,
    limb: int,
    sticky: bool,
    bias: Array,
    out: Array,
    stage: Stage,
) -> None:
    """Codes of floor((factor · x - center) · scale · mantissa / 2**shift) · (the stage's multiplier) + bias.

    The product is taken in two parts, by the lower `limb` bits of the mantissa and by the others: floors of quotients nest.

    Parameters
    ----------
    x
        int64 [groups, length].
    center, mantissa, shift
        One a group; shift is at least limb.
    scale, bias
        int64 [rows, length]: groups take the rows in turn.
    sticky
        Whether the lowest bit of the floor tells that something was cut off.
    """
    room, length, multiplier = stage.room, x.shape[1], stage.multiplier[0]
    mask = (1 << limb) - 1
    for g in range(x.shape[0]):
        middle, upper, lower, places = center[g], mantissa[g] >> limb, mantissa[g] & mask, shift[g] - limb
        cut = (1 << places) - 1
        of_scale, of_bias = g % scale.shape[0], g % bias.shape[0]
        for first in range(0, length, room.size):
            part = x[g, first : first + room.size]
            scales, biases = scale[of_scale, first : first + room.size], bias[of_bias, first : first + room.size]
            if limb == 0 and not sticky:
                for i in range(part.size):
                    term = (part[i] * factor - middle) * scales[i]
                    room[i] = (term * upper >> places) * multiplier + biases[i]
            else:
                for i in range(part.size):
                    term = (part[i] * factor - middle) * scales[i]
                    low = term * lower
                    high = term * upper + (low >> limb)
                    lost = sticky and ((low & mask) | (high & cut)) != 0
                    room[i] = ((high >> places) | lost) * multiplier + biases[i]
            place = g * length + first
            settle(
                room[: part.size], out[place : place + part.size], stage.right, stage.ties, stage.limits, stage.counts
            )
