"""Polynomials through a real function, many segments at a time, in float64; integers come of them afterwards.

A segment covers the positions ``start … start + size − 1`` of a block; position d is the code ``origin ± d``.  Its
polynomial is in ``u = (d − start) / size``, 0 ≤ u < 1, and interpolates the function at the Chebyshev nodes of the
positions that are really used, which is within a small factor of the best polynomial.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

Floats: TypeAlias = npt.NDArray[np.float64]
Words: TypeAlias = npt.NDArray[np.int64]

Target: TypeAlias = Callable[[Floats], Floats]
"""The real function in output LSBs, of input codes that need not be integers."""

RESIDUAL_MARGIN: Final = 1.1
"""Largest error of a fit over the largest one seen at its check points.

A polynomial of degree m that is sampled at the extremes of T_n exceeds its largest sample at most by 1/cos(πm/2n)
(Ehlich and Zeller 1964).  The error of an interpolation of degree k behaves like degree k + 1; with n = 4(k + 1) this
is 1/cos(π/8) = 1.08.
"""

_OCTAVE_PLACES: Final = 129  # four an octave of 32-bit codes


@dataclass(frozen=True)
class Block:
    """Segments of one size.

    Parameters
    ----------
    origin, mirrored
        Position d stands for the code ``origin + d``, or ``origin − d``.
    base
        Position where segments begin to be counted: 0, or the leading one.
    shift
        Segments are 2^shift positions long.
    first, last
        Positions that are used.
    """

    origin: int
    mirrored: bool
    base: int
    shift: int
    first: int
    last: int

    @property
    def offset(self) -> int:
        """Number of segments between `base` and the first one used."""
        return (self.first - self.base) >> self.shift

    @property
    def segments(self) -> int:
        """Number of segments that are used."""
        return ((self.last - self.base) >> self.shift) - self.offset + 1


@dataclass(frozen=True)
class Spans:
    """Segments as arrays, one entry each; see `Block`."""

    origin: Floats
    sign: Floats
    start: Floats
    size: Floats
    first: Floats
    last: Floats

    @classmethod
    def of(cls, blocks: list[Block]) -> Spans:
        """Return the segments of blocks, in their order."""
        count = np.array([block.segments for block in blocks])
        begins = np.cumsum(count) - count

        def spread(values: list[int]) -> Words:
            return np.repeat(np.array(values, dtype=np.int64), count)

        index = np.arange(int(count.sum())) - np.repeat(begins, count)
        base, shift = spread([block.base for block in blocks]), spread([block.shift for block in blocks])
        start = base + ((index + spread([block.offset for block in blocks])) << shift)
        size = np.int64(1) << shift
        return cls(
            spread([block.origin for block in blocks]).astype(np.float64),
            np.where(spread([block.mirrored for block in blocks]) != 0, -1.0, 1.0),
            start.astype(np.float64),
            size.astype(np.float64),
            np.maximum(start, spread([block.first for block in blocks])).astype(np.float64),
            np.minimum(start + size - 1, spread([block.last for block in blocks])).astype(np.float64),
        )

    def __len__(self) -> int:
        return len(self.start)

    def where(self, chosen: npt.NDArray[np.bool_] | slice) -> Spans:
        """Return some of the segments."""
        return Spans(*(values[chosen] for values in vars(self).values()))

    def wide(self) -> npt.NDArray[np.bool_]:
        """Return which segments reach over more than one octave of codes.

        All features of the functions at hand lie around 0 or at edges, so that only such a segment can hide one
        between check points that are spread over its whole length.
        """
        a, b = self.origin + self.sign * self.first, self.origin + self.sign * self.last
        near = np.where(a * b <= 0, 0.0, np.minimum(np.abs(a), np.abs(b)))
        return np.asarray((self.last - self.first > near + 8) & (self.last - self.first > 16))

    def octave_places(self) -> Floats:
        """Return relative places s that are spread evenly over the octaves of codes in every segment."""
        ends = self.codes(np.array([-1.0, 1.0]))
        steps = np.geomspace(1.0, 2.0**32, _OCTAVE_PLACES) - 1
        codes = np.clip(np.concatenate([-steps[::-1], steps]), ends.min(axis=1)[:, None], ends.max(axis=1)[:, None])
        middle, half = (self.first + self.last) / 2, (self.last - self.first) / 2
        return np.asarray((self.sign[:, None] * (codes - self.origin[:, None]) - middle[:, None]) / half[:, None])

    def codes(self, s: Floats) -> Floats:
        """Return the codes at relative places s ∈ [-1, 1] of the used positions, of shape (segments, places)."""
        middle, half = (self.first + self.last) / 2, (self.last - self.first) / 2
        return self.origin[:, None] + self.sign[:, None] * (middle[:, None] + half[:, None] * s)


@functools.cache
def _nodes(degree: int) -> tuple[Floats, Floats, Floats]:
    """Return Chebyshev nodes, the matrix from values there to monomials in s, and check points."""
    order = degree + 1
    nodes = np.cos(np.pi * (2 * np.arange(order) + 1) / (2 * order))
    matrix = np.linalg.inv(np.vander(nodes, order, increasing=True))
    checks = np.cos(np.pi * np.arange(4 * order + 1) / (4 * order))
    return nodes, matrix, checks


def interpolate(target: Target, spans: Spans, degree: int) -> Floats:
    """Return monomials in s of every segment, shape (segments, degree + 1)."""
    nodes, matrix, _ = _nodes(degree)
    result: Floats = target(spans.codes(nodes)) @ matrix.T
    result[:, 1:] *= (spans.last > spans.first)[:, None]
    return result


def residuals(target: Target, spans: Spans, degree: int) -> tuple[Floats, Floats]:
    """Fit all segments; return their monomials in s and the largest error of each at its check points."""
    monomials = interpolate(target, spans, degree)
    places = np.broadcast_to(_nodes(degree)[2], (len(spans), 4 * degree + 5))
    error = _largest_error(target, spans, monomials, places)
    wide = spans.wide()
    if wide.any():
        chosen = spans.where(wide)
        error[wide] = np.maximum(error[wide], _largest_error(target, chosen, monomials[wide], chosen.octave_places()))
    return monomials, error


def _largest_error(target: Target, spans: Spans, monomials: Floats, s: Floats) -> Floats:
    value = np.zeros_like(s)
    for column in monomials.T[::-1]:
        value = value * s + column[:, None]
    return np.asarray(np.abs(value - target(spans.codes(s))).max(axis=1))


def fits(target: Target, spans: Spans, degree: int, tolerance: float) -> bool:
    """Return whether every segment is fitted within the tolerance."""
    step = len(spans) // 64
    if step > 1 and residuals(target, spans.where(slice(None, None, step)), degree)[1].max() > tolerance:
        return False
    return bool(residuals(target, spans, degree)[1].max() <= tolerance)


def polynomials(target: Target, spans: Spans, degree: int, tolerance: float) -> tuple[Floats, Floats]:
    """Return coefficients in u and the error of every segment.

    Each segment has the lowest degree that meets the tolerance: a segment of which only a corner is used would else
    have needlessly large coefficients.

    Returns
    -------
    coefficients, error
        Of shapes (degree + 1, segments) and (segments,), in output LSBs.
    """
    chosen = np.zeros((len(spans), degree + 1))
    error = np.full(len(spans), np.inf)
    for k in range(degree + 1):
        monomials, residual = residuals(target, spans, k)
        better = (error > tolerance) & (residual < error)
        chosen[better] = 0
        chosen[better, : k + 1] = monomials[better]
        error[better] = residual[better]
    # s = p + q·u: Horner's rule on polynomials in u.
    half = np.maximum((spans.last - spans.first) / 2, 0.5)
    p, q = (spans.start - (spans.first + spans.last) / 2) / half, spans.size / half
    in_u = np.zeros_like(chosen)
    for k in range(degree, -1, -1):
        shifted = in_u * p[:, None]
        shifted[:, 1:] += in_u[:, :-1] * q[:, None]
        shifted[:, 0] += chosen[:, k]
        in_u = shifted
    return in_u.T, error
