"""Where the segments of a function lie: pieces between edges, and in them the coarsest segments that are good enough.

A piece is an interval of codes with one way to find the segment: equal segments counted from its first code, or
octaves of the distance from 0, each with its own number of equal segments.  Octaves suit what changes on a relative
scale (roots, logarithms, powers, reciprocals) and long flat tails.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

import numpy as np
import numpy.typing as npt

from fxnorm.fixed.fitting import Block, Spans, Target, Words, fits, polynomials, residuals
from fxnorm.fixed.reals import RealFunction

PIECE_COST: Final = 4
"""What one more piece costs in segments: comparators and multiplexers."""

_EXHAUSTIVE: Final = 1 << 16


@dataclass(frozen=True)
class Piece:
    """Codes ``start … stop − 1`` and the blocks that cover them; a saturated piece has the constant `level`."""

    start: int
    stop: int
    octave: bool
    blocks: tuple[Block, ...]
    level: int | None = None

    @property
    def segments(self) -> int:
        """Number of segments."""
        return sum(block.segments for block in self.blocks)


@dataclass(frozen=True)
class Interval:
    """Codes ``start … stop − 1`` between two edges; outside the output's range on one side if `level` is given."""

    start: int
    stop: int
    level: int | None = None


def edge_codes(function: RealFunction, lsb: int, first: int, last: int) -> list[int]:
    """Return the first code of every smooth interval in ``first … last``, the first included."""
    starts = {first}
    for value, inclusive in function.edges():
        position = value / Fraction(2) ** lsb
        start = math.ceil(position) if inclusive else math.floor(position) + 1
        if first < start <= last:
            starts.add(start)
    return sorted(starts)


def sample_codes(first: int, last: int, edges: Iterable[int]) -> Words:
    """Return every code up to 2^16 of them; else those near 0, near the edges, and spread evenly and by octaves."""
    if last - first < _EXHAUSTIVE:
        return np.arange(first, last + 1, dtype=np.int64)
    octaves = np.unique(np.geomspace(1, max(abs(first), abs(last)), 4096).astype(np.int64))
    near = np.arange(-4, 4)
    places = [np.linspace(first, last, 4096).astype(np.int64), octaves, -octaves]
    places += [near + code for code in (0, first, last, *edges)]
    codes = np.unique(np.concatenate(places))
    return codes[(codes >= first) & (codes <= last)]


def intervals(target: Target, edges: list[int], samples: Words, low: int, high: int) -> list[Interval]:
    """Divide the codes at edges and where the function leaves the output's range.

    Parameters
    ----------
    target
        The function in output LSBs.
    edges
        First codes of the smooth intervals.
    samples
        Ascending codes that see every excursion of the function, the edges and the codes before them included.
    low, high
        A result at or below `low`, or at or above `high`, is as good as clamped there.
    """

    def side(codes: Words) -> Words:
        values = target(codes.astype(np.float64))
        return (values >= high).astype(np.int64) - (values <= low)

    sides = side(samples)
    result: list[Interval] = []
    for number, start in enumerate(edges):
        stop = edges[number + 1] if number + 1 < len(edges) else int(samples[-1]) + 1
        begin, end = np.searchsorted(samples, [start, stop])
        here, states = samples[begin:end], sides[begin:end]
        left = start
        for change in np.flatnonzero(np.diff(states)):
            middle = _transition(side, int(here[change]), int(here[change + 1]))
            result.append(_interval(left, middle, int(states[change]), low, high))
            left = middle
        result.append(_interval(left, stop, int(states[-1]), low, high))
    return result


def _interval(start: int, stop: int, side: int, low: int, high: int) -> Interval:
    return Interval(start, stop, {-1: low, 0: None, 1: high}[side])


def _transition(side: Callable[[Words], Words], left: int, right: int) -> int:
    """Return the first code that is not on the side of `left`; `right` is not."""
    before = side(np.array([left]))[0]
    while right - left > 1:
        middle = (left + right) // 2
        if side(np.array([middle]))[0] == before:
            left = middle
        else:
            right = middle
    return right


def extremes(target: Target, interval: Interval, samples: Words) -> list[int]:
    """Return the ends of an interval and the codes where the function is lowest and highest in it."""
    start, last = interval.start, interval.stop - 1
    codes = np.concatenate([[start], samples[(samples > start) & (samples < last)], [last]])
    values = target(codes.astype(np.float64))
    found = [start, last]
    for sign in (1.0, -1.0):
        grid, heights = codes, sign * values
        while True:
            at = int(np.argmin(heights))
            left, right = int(grid[max(at - 1, 0)]), int(grid[min(at + 1, len(grid) - 1)])
            if right - left <= 2:
                found.append(int(grid[at]))
                break
            grid = np.unique(np.append(np.linspace(left, right, 65).astype(np.int64), grid[at]))
            heights = sign * target(grid.astype(np.float64))
    return found


@dataclass(frozen=True)
class Search:
    """The coarsest segments of one degree within a tolerance in output LSBs, never more than `limit` of them."""

    target: Target
    degree: int
    tolerance: float
    limit: int
    largest: float
    """Largest coefficient of a segment of which only a corner is used, and which is extrapolated for the rest."""

    def divide(self, interval: Interval) -> list[Piece] | None:
        """Cover an interval with pieces, or return None where more than `limit` segments would be needed."""
        start, stop = interval.start, interval.stop
        if interval.level is not None:
            shift = (stop - start - 1).bit_length()
            return [Piece(start, stop, False, (Block(start, False, 0, shift, 0, stop - start - 1),), interval.level)]
        if start < 0 < stop:
            halves = [self._one_sided(start, 0), self._one_sided(0, stop)]
            split = None if None in halves else [piece for half in halves for piece in half or []]
            return _cheaper(split, self._flat(start, stop, split))
        return self._one_sided(start, stop)

    def _one_sided(self, start: int, stop: int) -> list[Piece] | None:
        octaves = self._octaves(start, stop)
        return _cheaper(octaves, self._flat(start, stop, octaves))

    def _flat(self, start: int, stop: int, other: list[Piece] | None) -> list[Piece] | None:
        """Return segments of one size, with straight tails if that is cheaper; None if `other` is cheaper anyway."""
        best: list[Piece] | None = None
        limit = self.limit if other is None else min(self.limit, cost(other))
        left, right = self._left_tail(start, stop), self._right_tail(start, stop)
        right = max(left, right)
        middle = self._equal(left, right, limit) if left < right else None
        if middle is not None or left == right:
            tails = [self._single(*place) for place in ((start, left), (right, stop)) if place[0] < place[1]]
            best = sorted(tails if middle is None else [middle, *tails], key=lambda piece: piece.start)
            limit = min(limit, cost(best))
        whole = self._equal(start, stop, limit)
        return best if whole is None else _cheaper([whole], best)

    def _single(self, start: int, stop: int) -> Piece:
        shift = (stop - start - 1).bit_length()
        return Piece(start, stop, False, (Block(start, False, 0, shift, 0, stop - start - 1),))

    def _equal(self, start: int, stop: int, limit: int) -> Piece | None:
        """Return at most `limit` segments of one size."""
        for shift in range((stop - start - 1).bit_length(), -1, -1):
            block = Block(start, False, 0, shift, 0, stop - start - 1)
            if block.segments > limit:
                return None
            spans = Spans.of([block])
            if shift == 0 or (fits(self.target, spans, self.degree, self.tolerance) and not self._wild(spans).any()):
                return Piece(start, stop, False, (block,))
        raise AssertionError("segments of one code fit exactly")

    def _wild(self, spans: Spans) -> npt.NDArray[np.bool_]:
        """Return which segments have a used corner so steep that the coefficients would grow beyond reason."""
        wild = np.zeros(len(spans), dtype=np.bool_)
        corners = (spans.last - spans.first + 1) * 2 < spans.size
        if corners.any():
            coefficients, _ = polynomials(self.target, spans.where(corners), self.degree, self.tolerance)
            wild[corners] = np.abs(coefficients).max(axis=0) > self.largest
        return wild

    def _left_tail(self, start: int, stop: int) -> int:
        """Return the end of the longest straight segment that begins at `start`."""
        return self._tail(lambda code: (start, code), start + 1, stop)

    def _right_tail(self, start: int, stop: int) -> int:
        """Return the begin of the longest straight segment that ends before `stop`."""
        return self._tail(lambda code: (code, stop), stop - 1, start)

    def _tail(self, span: Callable[[int], tuple[int, int]], good: int, far: int) -> int:
        """Return the place from `good` towards `far` up to which one straight segment fits."""
        while abs(far - good) > 1:
            step = np.unique(np.linspace(good, far, 18)[1:-1].astype(np.int64))
            places = [int(place) for place in (step if far > good else step[::-1]) if int(place) not in (good, far)]
            if not places:
                places = [(good + far) // 2]
            blocks = [
                Block(begin, False, 0, (end - begin - 1).bit_length(), 0, end - begin - 1)
                for begin, end in map(span, places)
            ]
            error = residuals(self.target, Spans.of(blocks), min(self.degree, 1))[1]
            bad = np.flatnonzero(error > self.tolerance)
            index = int(bad[0]) if bad.size else len(places)
            good = places[index - 1] if index else good
            far = places[index] if index < len(places) else far
        return good

    def _octaves(self, start: int, stop: int) -> list[Piece] | None:
        """Octaves of the distance from 0, each with segments of its own size."""
        mirrored = start < 0
        first, last = (1 - stop, -start) if mirrored else (start, stop - 1)
        if first < 0:
            return None
        lengths = range(first.bit_length(), last.bit_length() + 1)
        done: dict[int, Block] = {}
        for level in range(32):
            trial = [_octave(length, level, mirrored, first, last) for length in lengths if length not in done]
            if not trial:
                break
            if sum(block.segments for block in [*trial, *done.values()]) > self.limit:
                return None
            spans = Spans.of(trial)
            error = np.where(self._wild(spans), np.inf, residuals(self.target, spans, self.degree)[1])
            counts = np.array([block.segments for block in trial])
            worst = np.maximum.reduceat(error, np.cumsum(counts) - counts)
            for block, largest in zip(trial, worst, strict=True):
                if largest <= self.tolerance or block.shift == 0:
                    done[block.base.bit_length()] = block
        return [Piece(start, stop, True, tuple(done[length] for length in lengths))]


def _octave(length: int, level: int, mirrored: bool, first: int, last: int) -> Block:
    base = (1 << length) >> 1
    return Block(0, mirrored, base, max(length - 1 - level, 0), max(first, base), min(last, max(2 * base - 1, 0)))


def _cheaper(a: list[Piece] | None, b: list[Piece] | None) -> list[Piece] | None:
    if a is None or b is None:
        return b if a is None else a
    return a if cost(a) <= cost(b) else b


def cost(pieces: list[Piece]) -> int:
    """Return segments and pieces as one number of segments."""
    return sum(piece.segments + PIECE_COST for piece in pieces)
