"""Constant masks and biases of attention scores, inside the softmax: no value between could hold them without losing the scores."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from fxnorm.engine import products
from fxnorm.errors import PlanError
from fxnorm.kernels.encoding import Encoding

Array = np.ndarray


@dataclass(frozen=True, eq=False)
class Mask:
    """z = (x << shift where the score counts, else 0) + bias, exact; a softmax of z follows.

    A position that the mask hides has a bias so low that its exponential is zero whatever the scores are.

    Attributes
    ----------
    shift
        Places by which scores are moved to the left, so that biases have a finer step than scores.
    keep
        Where scores count; bool, broadcasts against the shape of one sample. None: everywhere.
    bias
        Integers at the step of z, likewise; None: nothing is added.
    bound
        Largest magnitude of z.
    """

    shift: int
    keep: Array | None
    bias: Array | None
    bound: int

    def run(self, x: Array) -> Array:
        """z of scores [samples, *shape]."""
        z = products.integers(x, self.bound) << self.shift
        if self.keep is not None:
            z = np.where(self.keep[None], z, 0)
        return z if self.bias is None else np.asarray(z + self.bias[None])


@dataclass(frozen=True, eq=False)
class RealMask:
    """A mask in real numbers: z = (x where the score counts, else 0) + bias.

    Attributes
    ----------
    keep
        As in `Mask`.
    bias
        float64, where -inf hides a position; broadcasts against the shape of one sample.
    """

    keep: Array | None
    bias: Array

    def places(self, axis: int, x: Encoding, bits: int, below: Fraction = Fraction(0)) -> tuple[int, bool]:
        """By how many places z must be finer than x (none where biases are multiples of its step), and whether any bias can be seen.

        Parameters
        ----------
        axis
            Of the softmax.
        bits
            Fraction bits of the exponent of 2 that follows.
        below
            Distance, in real numbers, that can be told from a larger one where that is more than the exponential's range.
        """
        bias = self.relative(axis)
        # What lies further below the best than all codes and the whole range of the exponential is hidden, not represented.
        seen = bias[np.abs(bias) < _reach(x, bits, below)]
        steps = np.ldexp(seen, -x.lsb)
        places = 0 if np.array_equal(steps, np.rint(steps)) else max(0, x.lsb + bits)
        return places, bool(seen.any())

    def decide(self, axis: int, x: Encoding, shift: int, limit: int) -> Mask:
        """Integers; what can never be seen becomes as low as need be, and no lower; see `decide_hidden`."""
        return self.decide_hidden(axis, x, shift, limit)[0]

    def decide_hidden(self, axis: int, x: Encoding, shift: int, limit: int) -> tuple[Mask, Array | None]:
        """The mask in integers, and where it hides what can never be seen; None where it hides nothing.

        Parameters
        ----------
        axis
            Of the softmax.
        x
            Encoding of the scores.
        shift
            Places by which z is finer.
        limit
            Distance from the maximum, in steps of z, at which nothing is seen.

        Raises
        ------
        PlanError
            If the mask leaves nothing in a group.
        """
        bias = self.relative(axis)
        keep = np.ones((), bool) if self.keep is None else self.keep
        keep, bias = np.broadcast_arrays(keep, bias)
        low, high = x.format.lowest_code << shift, x.format.max_code << shift
        codes = _codes(bias, shift - x.lsb, 2 * (limit + (high - low)))
        least = np.where(keep, codes + low, codes).max(axis=axis, keepdims=True) if codes.size else codes
        hidden = np.where(keep, codes + high, codes) <= least - limit
        kept = keep & ~hidden
        codes = np.where(hidden, least - limit, codes)
        bound = max(products.largest(codes) + max(-low, high), 1)
        plain = not codes.any()
        mask = Mask(
            shift,
            None if kept.all() else np.ascontiguousarray(kept),
            None if plain else np.ascontiguousarray(codes.astype(np.int64)),
            bound,
        )
        return mask, np.ascontiguousarray(hidden) if hidden.any() else None

    def relative(self, axis: int) -> Array:
        """Biases less the largest one of each group, which a softmax does not see.

        Raises
        ------
        PlanError
            If all of a group are -inf.
        """
        keep = np.ones((), bool) if self.keep is None else self.keep
        _, bias = np.broadcast_arrays(keep, self.bias)
        if not bias.size:
            return np.asarray(bias)
        top = bias.max(axis=axis, keepdims=True)
        if np.isneginf(top).any():
            raise PlanError(
                "softmax: the mask hides every position of a group, and nothing can be shared out among none; "
                "let it leave one position at least"
            )
        return np.asarray(bias - top)


def _reach(x: Encoding, bits: int, below: Fraction) -> float:
    """Distance at which a position is hidden for certain, in real numbers: all codes, and then 2**-(bits + 2) or what else is asked for."""
    span = (x.format.max_code - x.format.lowest_code) * Fraction(2) ** x.lsb
    return float(span + max(Fraction(bits + 3), below))


def _codes(bias: Array, places: int, most: int) -> Array:
    """Python integers or int64: biases times 2**places, rounded to nearest, no further from 0 than `most`."""
    with np.errstate(over="ignore"):
        scaled = np.clip(np.ldexp(bias, places), -float(most), float(most))
    if most < 1 << 52:
        return np.asarray(np.rint(scaled).astype(np.int64))
    wide = np.empty(scaled.size, dtype=object)
    wide[:] = [max(-most, min(most, round(Fraction(float(value))))) for value in scaled.reshape(-1)]
    return np.asarray(wide.reshape(bias.shape))
