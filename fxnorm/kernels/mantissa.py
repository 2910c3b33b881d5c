"""Products of integers with mantissas whose exponent differs from group to group: exact up to the one rounding that follows.

A floor whose lowest bit is set where anything was cut off ("sticky") rounds as the uncut number does, in every mode, as long as two more
bits are dropped: it is even where the number is, and lies strictly between the same even integers where it is not.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fxnorm.fixed.modes import Rounding

Array = np.ndarray

# One bit of head room below 2^62 for the carry from limb to limb.
_WORD_BITS = 61
_MAX_LIMBS = 3
# What these two do with an uncut number, they do with its floor.
_FLOORED = frozenset({Rounding.TRN, Rounding.RND})


def needs_sticky(rounding: Rounding) -> bool:
    """Whether a rounding of two or more dropped bits asks for what was cut off below them."""
    return rounding not in _FLOORED


@dataclass(frozen=True, slots=True)
class Product:
    """floor(a · m / 2**shift), sticky where the rounding that follows asks for it.

    Attributes
    ----------
    factor_bound
        Largest |a|.
    mantissa_bound
        Largest |m|.
    bound
        Largest magnitude of the result, over all a, m and shift that can come together.
    sticky
        Whether the lowest bit tells that something was cut off; see `needs_sticky`.
    """

    factor_bound: int
    mantissa_bound: int
    bound: int
    sticky: bool

    def run(self, a: Array, mantissa: Array, shift: Array) -> Array:
        """The products.

        Parameters
        ----------
        a
            Integers; an int64 array is used up as working memory.
        mantissa, shift
            Integers that broadcast against `a`; negative shifts are exact left shifts.

        Returns
        -------
        int64 array of the shape of `a`, or Python integers where 64 bits do not hold every step.
        """
        split = self._split(a, mantissa, shift)
        if split is None:
            return self._wide(a, mantissa, shift)
        limb, lower = split
        return self._in_limbs(a, mantissa, shift, limb, lower)

    def _split(self, a: Array, mantissa: Array, shift: Array) -> tuple[int, int] | None:
        """Bits of each lower limb of the mantissa, and of all of them; (0, 0) where it needs none. None: Python integers."""
        if object in (a.dtype, mantissa.dtype) or self.bound.bit_length() > _WORD_BITS:
            return None
        least = int(shift.min()) if shift.size else 0
        bits, mantissa_bits = self.factor_bound.bit_length(), self.mantissa_bound.bit_length()
        for limbs in range(1, _MAX_LIMBS + 1):
            limb = mantissa_bits // limbs if limbs > 1 else 0
            lower = (limbs - 1) * limb
            # Mantissas whose shift is smaller than `lower` are moved to the left first.
            if bits + mantissa_bits - lower <= _WORD_BITS and mantissa_bits + max(lower - least, 0) <= _WORD_BITS:
                return limb, lower
        return None

    def _in_limbs(self, a: Array, mantissa: Array, shift: Array, limb: int, lower: int) -> Array:
        """Limb by limb from the lowest, each product shifted before the next one is added: floors of quotients nest."""
        mask = (1 << limb) - 1
        up = np.maximum(lower - shift, 0)
        mantissa = mantissa << up
        carry: Array | int = 0
        lost: Array | None = None
        for place in range(0, lower, limb) if limb else ():
            part = a * ((mantissa >> place) & mask)
            part += carry
            if self.sticky:
                cut = (part & mask) != 0
                lost = cut if lost is None else lost | cut
            part >>= limb
            carry = part
        # Where mantissas were moved, this product is the result itself; elsewhere it has as many bits less as the limbs took.
        a *= mantissa >> lower if lower else mantissa
        if lower:
            a += carry
        return self._drop(a, shift + up - lower, lost)

    def _drop(self, product: Array, shift: Array, lost: Array | None) -> Array:
        # Products lie below 2^62: further shifts leave 0 or -1, as this one does.
        shift = np.minimum(shift, 62)
        if self.sticky:
            cut = (product & ((np.int64(1) << shift) - 1)) != 0
            lost = cut if lost is None else lost | cut
        product >>= shift
        return product if lost is None else np.bitwise_or(product, lost, out=product)

    def _wide(self, a: Array, mantissa: Array, shift: Array) -> Array:
        right, left = np.maximum(shift, 0).astype(object), np.maximum(-shift, 0).astype(object)
        product = a.astype(object) * mantissa.astype(object) << left
        result: Array = product >> right
        if self.sticky:
            result = result | np.asarray((result << right) != product).astype(object)
        return result if self.bound.bit_length() > _WORD_BITS else result.astype(np.int64)
