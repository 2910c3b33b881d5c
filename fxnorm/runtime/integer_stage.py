"""The rescale stage as the compiled integer loops take it: one multiplier, constant and shift a channel, in 64 bits.

With ``v = accumulator · multiplier + base``, a floor of ``v + constant`` over a power of two is every rounding mode, where the constant
depends on no more than the sign of v and whether its floor is odd.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from fxnorm.fixed.format import Overflow, Rounding
from fxnorm.kernels.encoding import code_dtype
from fxnorm.kernels.stage import Rescale, Tally
from fxnorm.runtime import group_loops
from fxnorm.runtime import integer_loops as loops

Array = np.ndarray
Kind = type[np.signedinteger[Any]]

BLOCK = 2048
"""About how many elements the loops work on at a time."""

_OVERFLOWS = {
    Overflow.WRAP: loops.WRAP,
    Overflow.SAT: loops.SAT,
    Overflow.SAT_SYM: loops.SAT,
    Overflow.SAT_ZERO: loops.SAT_ZERO,
}


def tie_constants(rounding: Rounding, right: int) -> tuple[int, int, int]:
    """What is added before a floor by `right` places: below zero, from zero on, and once more where the floor is odd.

    Up to `right` dropped bits of value r, the floor gets one if r + constant reaches 2**right.
    """
    if right == 0:
        return 0, 0, 0
    half = 1 << (right - 1)
    return {
        Rounding.TRN: (0, 0, 0),
        Rounding.TRN_ZERO: (2 * half - 1, 0, 0),
        Rounding.RND: (half, half, 0),
        Rounding.RND_ZERO: (half, half - 1, 0),
        Rounding.RND_INF: (half - 1, half, 0),
        Rounding.RND_MIN_INF: (half - 1, half - 1, 0),
        Rounding.RND_CONV: (half - 1, half - 1, 1),
        Rounding.RND_CONV_ODD: (half, half, -1),
    }[rounding]


def comparable(stage: Rescale, divisor: int = 1) -> bool:
    """Whether a stage does nothing but what the fields known here say: whatever it may come to do keeps it away until it is proven."""
    plain = Rescale(
        stage.output,
        stage.shift,
        divisor=divisor,
        low=stage.low,
        high=stage.high,
        bound=stage.bound,
        multiplier=stage.multiplier,
        zero=stage.zero,
        origin=stage.origin,
    )
    return all(_same(getattr(stage, name), getattr(plain, name)) for name in stage.__dataclass_fields__)


def does_nothing(stage: Rescale) -> bool:
    """Whether a stage leaves accumulators that the output's format holds as they are."""
    moves = np.any(stage.shift) or stage.multiplies or stage.zero or stage.origin
    return comparable(stage) and not moves and stage.low is None and stage.high is None


def _same(a: object, b: object) -> bool:
    return a is b or bool(np.array_equal(np.asarray(a), np.asarray(b)))


def _of_one_type(a: Array, b: Array) -> tuple[Array, Array]:
    dtype = np.promote_types(a.dtype, b.dtype)
    return a.astype(dtype, copy=False), b.astype(dtype, copy=False)


@dataclass(frozen=True, slots=True)
class IntegerStage:
    """Rounds, clips, fits and counts accumulators.

    Attributes
    ----------
    stage
        For one block, whose length is a multiple of the number of channels; without counts and room, which every run has of its own.
    dtype
        Type of the codes.
    """

    stage: loops.Stage
    dtype: Kind

    @classmethod
    def of(
        cls, stage: Rescale, bound: int, channels: int = 1, *, scale: Array | int = 1, offset: Array | int = 0
    ) -> Self | None:
        """Constants for accumulators ``given · scale + offset``; None where 64 bits or the loops do not hold every step.

        Parameters
        ----------
        bound
            Largest magnitude of what is given.
        channels
            How many there are, innermost in memory.
        scale, offset
            Integers: one of each, or one a channel.
        """
        dtype = code_dtype(stage.output)
        if dtype not in (np.int8, np.int16) or not comparable(stage):
            return None
        shifts = [int(s) for s in np.broadcast_to(np.reshape(stage.shift, -1), channels)]
        multipliers = [int(m) for m in np.broadcast_to(np.reshape(np.asarray(stage.multiplier, object), -1), channels)]
        scales = [int(a) for a in np.broadcast_to(np.reshape(np.asarray(scale, object), -1), channels)]
        offsets = [int(b) for b in np.broadcast_to(np.reshape(np.asarray(offset, object), -1), channels)]
        rows, reach = [], 0
        for shift, own, factor, start in zip(shifts, multipliers, scales, offsets, strict=True):
            left, right = max(-shift, 0), max(shift, 0)
            if left > 62 or right > 61:
                return None
            multiplier = factor * own << left
            base = ((start - stage.origin) * own << left) + (stage.zero << right)
            below, above, odd = tie_constants(stage.output.rounding, right)
            reach = max(reach, abs(multiplier), bound * abs(multiplier) + abs(base) + max(below, above) + 1)
            if below == above and not odd:
                base, below, above = base + below, 0, 0
            rows.append((multiplier, base, right, below, above, odd))
        if reach >= 1 << 62:
            return None
        # Every pair of types is compiled apart: 32 bits are for what most stages do.
        breaks_ties = any(any(row[3:]) for row in rows)
        small = reach < 1 << 30 and max(shifts, default=0) < 31
        kind: Kind = np.int32 if small and not breaks_ties else np.int64
        table = np.tile(np.array(rows, kind).reshape(channels, 6), (max(1, BLOCK // channels), 1))
        factors, bases, rights, *ties = (np.ascontiguousarray(column) for column in table.T)
        limit = int(np.iinfo(kind).max) >> 1
        # No result reaches the limit, so that a clip beyond it does nothing, or makes all of them one number that is not looked at here.
        low = -limit if stage.low is None else max(stage.low, -limit)
        high = limit if stage.high is None else min(stage.high, limit)
        if low > limit or high < -limit:
            return None
        output = stage.output
        whole = loops.Stage(
            factors,
            bases,
            rights,
            (ties[0], ties[1], ties[2]) if breaks_ties else None,
            (kind(low), kind(high), kind(output.lowest_code), kind(output.max_code), kind(_OVERFLOWS[output.overflow])),
            np.zeros(0, np.int64),
            np.zeros(0, kind),
        )
        return cls(whole, dtype)

    def finish(self, acc: Array, tally: Tally) -> Array:
        """Codes of contiguous accumulators, channels innermost; the result has their shape."""
        out = np.empty(acc.shape, self.dtype)
        self.finish_into(acc, out, tally)
        return out

    def finish_into(self, acc: Array, out: Array, tally: Tally) -> None:
        """`finish` into a contiguous array of as many elements."""
        if acc.dtype != np.int64:
            acc = acc.astype(np.int32, copy=False)
        self._run(loops.finish, (acc.reshape(-1),), out, tally)

    def finish_limbs(self, parts: Array, places: tuple[int, int, int, int], out: Array, tally: Tally) -> None:
        """Codes of accumulators in limbs; see `fxnorm.runtime.integer_loops.finish_limbs`."""
        self._run(loops.finish_limbs, (parts,), out, tally, places)

    def add(self, a: Array, b: Array, factors: tuple[int, int], tally: Tally) -> Array:
        """Codes of sums of contiguous operands of one shape, each times a factor."""
        out = np.empty(a.shape, self.dtype)
        a, b = _of_one_type(a, b)
        own, kind = int(self.stage.multiplier[0]), self.stage.right.dtype.type
        of_each = (kind(factors[0] * own), kind(factors[1] * own))
        self._run(loops.add, (a.reshape(-1), b.reshape(-1)), out, tally, of_each)
        return out

    def multiply(self, a: Array, b: Array, zeros: tuple[int, int], tally: Tally) -> Array:
        """Codes of products of contiguous operands of one shape, their zeros taken off."""
        out = np.empty(a.shape, self.dtype)
        a, b = _of_one_type(a, b)
        self._run(loops.multiply, (a.reshape(-1), b.reshape(-1)), out, tally, zeros)
        return out

    def scaled(self, x: Array, multiplier: Array, start: Array, tally: Tally) -> Array:
        """Codes of x · multiplier + start, for int64 [groups, length] and one of each a group."""
        out = np.empty(x.shape, self.dtype)
        own, base = int(self.stage.multiplier[0]), int(self.stage.base[0])
        self._run(group_loops.scaled, (x, multiplier * own, start * own + base), out, tally)
        return out

    def normalized(self, x: Array, numbers: tuple[Any, ...], bias: Array, tally: Tally) -> Array:
        """Codes of normalized groups; see `fxnorm.runtime.group_loops.normalized`, whose `factor` to `sticky` the numbers are."""
        out = np.empty(x.shape, self.dtype)
        own, base = int(self.stage.multiplier[0]), int(self.stage.base[0])
        self._run(group_loops.normalized, (x, *numbers, bias * own + base), out, tally)
        return out

    def _run(self, loop: Callable[..., None], given: tuple[Any, ...], out: Array, tally: Tally, *numbers: Any) -> None:
        """Run a loop and add what it counted; one kernel may need several runs."""
        if not out.size:
            return
        lowest, highest = self.stage.limits[2:4]
        counts = np.array([0, 0, 0, highest, lowest], np.int64)
        room = np.empty_like(self.stage.right)
        loop(*given, out.reshape(-1), *numbers, self.stage._replace(counts=counts, room=room))
        overflowed, at_low, at_high, smallest, largest = counts.tolist()
        tally.overflow += overflowed
        ends, extent = tally.ends or (0, 0), tally.extent or (smallest, largest)
        tally.ends = ends[0] + at_low, ends[1] + at_high
        tally.extent = min(extent[0], smallest), max(extent[1], largest)
