"""Worst cases of sums of products: what an accumulator can reach, in any order of additions and in the order of the contract.

A sum of products starts somewhere (at a bias) and adds one product a step, `k` steps in all. What it can reach follows from the ends of its
factors alone, for each product takes its extremes on its own: the largest prefix of all is the one whose every product is largest.
Rounding keeps the order of numbers, and overflow does nothing before it first happens, so that this holds for accumulators and products
that round, too; the bounds in the order of the contract are therefore reached by some factors, not only never exceeded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from fxnorm.engine import products, replay
from fxnorm.fixed import arith
from fxnorm.fixed.format import Format, Overflow, Rounding
from fxnorm.kernels.encoding import row_blocks

Array = np.ndarray
Pair = tuple[Array, Array]

MOST_TRIED: Final = 1 << 22
"""Products that are tried one by one where their format does not keep their order."""


@dataclass(frozen=True, eq=False)
class Factors:
    """Factors of many sums of products a · b.

    Attributes
    ----------
    a
        Integers [rows, k], one row a sum: one array of constants, or two of smallest and largest values.
    b
        Smallest and largest values, integers [rows, k] or [1, k].
    start
        Accumulator codes [rows] that the sums start at.
    """

    a: tuple[Array, ...]
    b: tuple[Array, ...]
    start: Array

    @property
    def bound(self) -> int:
        """Largest magnitude that any partial sum could have."""
        a, b = (max(products.largest(end) for end in ends) for ends in (self.a, self.b))
        return int(a * b * max(self.a[0].shape[1], 1) + products.largest(self.start))

    def rows(self, chosen: slice) -> Factors:
        """Some of the sums."""
        b = tuple(end if len(end) == 1 else end[chosen] for end in self.b)
        return Factors(tuple(end[chosen] for end in self.a), b, self.start[chosen])

    def blocks(self) -> Iterator[Factors]:
        """Some sums at a time, about a million products each."""
        return (self.rows(chosen) for chosen in row_blocks(self.a[0]))


@dataclass(frozen=True, eq=False)
class Extremes:
    """Smallest and largest addend of every step, and factors that give them.

    Attributes
    ----------
    low, high
        Integers [rows, k] with the fraction bits of the addends.
    at_low, at_high
        a and b at either end, integers [rows, k] each; None where the ends are bounds that need not be reached.
    """

    low: Array
    high: Array
    at_low: Pair | None
    at_high: Pair | None


def extremes(factors: Factors, steps: replay.Accumulator | None = None) -> Extremes:
    """Ends of every product, quantized to the product format where there is one."""
    bound = factors.bound
    a, b = ([products.integers(end, bound) for end in ends] for ends in (factors.a, factors.b))
    low, high, at_low, at_high = _corners(a, b)
    product = None if steps is None else steps.product
    if steps is None or product is None:
        return Extremes(low, high, at_low, at_high)
    keeps = product.overflow in (Overflow.SAT, Overflow.SAT_SYM)
    drop = steps.product_bits - product.fraction_bits
    ends = [arith.shift_round(_wide(end, max(-drop, 0)), drop, product.rounding) for end in (low, high)]
    if keeps or not any(arith.overflowed(end, product).any() for end in ends):
        return Extremes(arith.fit(ends[0], product), arith.fit(ends[1], product), at_low, at_high)
    return _tried(factors, steps, product)


def _corners(a_ends: list[Array], b_ends: list[Array]) -> tuple[Array, Array, Pair, Pair]:
    """Ends of products, and the factors there: a product of two intervals has its ends at their corners."""
    pairs: list[Pair] = []
    for a in a_ends:
        pairs += [_broadcast(a, b) for b in b_ends]
    (first_a, first_b), *others = pairs
    low_a: Array = first_a
    low_b: Array = first_b
    high_a, high_b = low_a, low_b
    low = high = first_a * first_b
    for a, b in others:
        found = a * b
        less, more = found < low, found > high
        low, low_a, low_b = np.where(less, found, low), np.where(less, a, low_a), np.where(less, b, low_b)
        high, high_a, high_b = np.where(more, found, high), np.where(more, a, high_a), np.where(more, b, high_b)
    return low, high, (low_a, low_b), (high_a, high_b)


def _broadcast(a: Array, b: Array) -> Pair:
    a, b = np.broadcast_arrays(a, b)
    return a, b


def _tried(factors: Factors, steps: replay.Accumulator, product: Format) -> Extremes:
    """Ends of products that may wrap or become zero: every product is tried, or the format's own ends are taken."""
    ends = np.broadcast_arrays(factors.a[0], factors.a[-1], factors.b[0], factors.b[-1])
    shape = ends[0].shape
    keys, places = np.unique(
        np.stack([end.reshape(-1).astype(np.int64) for end in ends], axis=1), axis=0, return_inverse=True
    )
    places = places.reshape(shape)
    if sum((int(ah) - int(al) + 1) * (int(bh) - int(bl) + 1) for al, ah, bl, bh in keys) > MOST_TRIED:
        return Extremes(np.full(shape, product.lowest_code), np.full(shape, product.max_code), None, None)
    found = np.empty((len(keys), 6), dtype=object)
    for index, (al, ah, bl, bh) in enumerate(keys):
        a, b = np.arange(al, ah + 1), np.arange(bl, bh + 1)
        exact = products.integers(a, factors.bound)[:, None] * products.integers(b, factors.bound)
        held = arith.requantize(exact, steps.product_bits, product)
        first, last = int(held.argmin()), int(held.argmax())
        at = [(a[place // len(b)], b[place % len(b)]) for place in (first, last)]
        found[index] = [held.flat[first], held.flat[last], *at[0], *at[1]]
    columns = found.T[:, places]
    low, high, *chosen = [column.astype(arith.int_dtype(products.largest(column))) for column in columns]
    return Extremes(low, high, (chosen[0], chosen[1]), (chosen[2], chosen[3]))


@dataclass(frozen=True, eq=False)
class Reach:
    """Between which ends partial sums lie: Python integers [rows]."""

    low: Array
    high: Array

    def hull(self) -> tuple[int, int]:
        """Over all sums."""
        return int(self.low.min()), int(self.high.max())

    def fits(self, format_: Format) -> Array:
        """Which sums a format holds as they are."""
        return np.asarray((self.low >= format_.lowest_code) & (self.high <= format_.max_code), dtype=np.bool_)


def in_any_order(factors: Factors, steps: replay.Accumulator | None = None) -> Reach:
    """Ends of all partial sums whatever the order of additions is: some products of one sign, and none of the other.

    Parameters
    ----------
    steps
        Formats of an explicit accumulator; None: everything is exact.
    """

    def reach(part: Factors) -> Reach:
        low, high = _addends(extremes(part, steps), steps)
        return Reach(_total(np.minimum(low, 0)) + _plain(part.start), _total(np.maximum(high, 0)) + _plain(part.start))

    return _each_block(factors, reach)


def in_order(factors: Factors, steps: replay.Accumulator | None = None) -> Reach:
    """Ends of all prefixes of the sums, k ascending, as an accumulator of any width would have them."""

    def reach(part: Factors) -> Reach:
        low, high = _prefixes(part, extremes(part, steps), steps)
        return Reach(_plain(low.min(axis=1)), _plain(high.max(axis=1)))

    return _each_block(factors, reach)


def finals(factors: Factors, steps: replay.Accumulator | None = None, *, clamp: bool = False) -> Reach:
    """Ends of the finished sums.

    Parameters
    ----------
    clamp
        Whether the accumulator saturates at every step.
    """

    def reach(part: Factors) -> Reach:
        ends = extremes(part, steps)
        if steps is None:
            return Reach(_total(ends.low) + _plain(part.start), _total(ends.high) + _plain(part.start))
        low, high = _prefixes(part, ends, steps, clamp=clamp)
        return Reach(_plain(low[:, -1]), _plain(high[:, -1]))

    return _each_block(factors, reach)


@dataclass(frozen=True, eq=False)
class Overflowing:
    """Factors of one sum that overflow an accumulator.

    Attributes
    ----------
    step
        Number of the addition, from 0, at which that happens first.
    total
        Sum there, rounded, that the accumulator cannot hold.
    a, b
        Factors [k], those behind the step included.
    """

    step: int
    total: int
    a: Array
    b: Array


def overflowing(row: Factors, steps: replay.Accumulator) -> Overflowing | None:
    """Factors of one sum that overflow the accumulator earliest; None where none do, or none are known."""
    ends = extremes(row, steps)
    low, high = _prefixes(row, ends, steps)
    found = []
    for prefixes, at in ((low[0], ends.at_low), (high[0], ends.at_high)):
        beyond = np.flatnonzero((prefixes[1:] < steps.format.lowest_code) | (prefixes[1:] > steps.format.max_code))
        if beyond.size and at is not None:
            step = int(beyond[0])
            found.append(Overflowing(step, int(prefixes[step + 1]), at[0][0], at[1][0]))
    return min(found, key=lambda one: one.step, default=None)


def _each_block(factors: Factors, reach: Callable[[Factors], Reach]) -> Reach:
    parts = [reach(part) for part in factors.blocks()]
    return Reach(np.concatenate([part.low for part in parts]), np.concatenate([part.high for part in parts]))


def _addends(ends: Extremes, steps: replay.Accumulator | None) -> tuple[Array, Array]:
    """Ends of what every step adds, in the accumulator's own steps; no rounding goes further than these."""
    if steps is None:
        return ends.low, ends.high
    places = steps.addend_bits - steps.format.fraction_bits
    if places > 0:
        return arith.shift_round(ends.low, places, Rounding.TRN), -arith.shift_round(-ends.high, places, Rounding.TRN)
    low, high = (_wide(end, -places) for end in (ends.low, ends.high))
    return low << -places, high << -places


def _prefixes(
    part: Factors, ends: Extremes, steps: replay.Accumulator | None, *, clamp: bool = False
) -> tuple[Array, Array]:
    """Ends of every prefix [rows, k + 1], the start first."""
    plain = steps is None or steps.addend_bits == steps.format.fraction_bits
    found = []
    for addends in (ends.low, ends.high):
        if plain and not clamp:
            terms = np.concatenate([_plain(part.start)[:, None], addends], axis=1)
            bound = products.largest(addends) * addends.shape[1] + products.largest(part.start)
            found.append(np.cumsum(products.integers(terms, bound), axis=1))
        else:
            assert steps is not None
            found.append(_stepped(_plain(part.start), addends, steps, clamp))
    return found[0], found[1]


def _stepped(start: Array, addends: Array, steps: replay.Accumulator, clamp: bool) -> Array:
    """Prefixes of an accumulator that rounds, step by step."""
    format_ = steps.format
    fine = max(format_.fraction_bits, steps.addend_bits)
    up, drop = fine - steps.addend_bits, fine - format_.fraction_bits
    largest = (products.largest(addends) << up) * addends.shape[1] + (products.largest(start) << drop)
    total = products.integers(start, 2 * largest)
    addends = products.integers(addends, 2 * largest) << up
    prefixes = np.empty((len(start), addends.shape[1] + 1), total.dtype)
    prefixes[:, 0] = total
    for k in range(addends.shape[1]):
        total = arith.shift_round((total << drop) + addends[:, k], drop, format_.rounding)
        if clamp:
            total = np.clip(total, format_.lowest_code, format_.max_code)
        prefixes[:, k + 1] = total
    return prefixes


def _total(addends: Array) -> Array:
    return _plain(products.integers(addends, products.largest(addends) * max(addends.shape[1], 1)).sum(axis=1))


def _plain(numbers: Array) -> Array:
    """Python integers."""
    return np.asarray(numbers).astype(object)


def _wide(numbers: Array, places: int) -> Array:
    return products.integers(numbers, products.largest(numbers) << places)
