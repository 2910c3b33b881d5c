"""Accumulators of an explicit format, step by step: every product and every addition quantized as the hardware would."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fxnorm.engine import products
from fxnorm.fixed import arith
from fxnorm.fixed.format import Format

Array = np.ndarray


@dataclass(frozen=True, slots=True)
class Accumulator:
    """Formats of an explicit accumulator.

    Attributes
    ----------
    format
        The accumulator: quantized (rounding, then overflow) after every addition.
    product_bits
        Fractional bits of the exact product.
    product
        Format to which each product is quantized before it is added; None: exact.
    """

    format: Format
    product_bits: int
    product: Format | None = None

    @property
    def addend_bits(self) -> int:
        """Fractional bits of what is added."""
        return self.product.fraction_bits if self.product else self.product_bits

    def start(self, bias: Array) -> Array:
        """The bias as an accumulator code: it comes in with the accumulator's own fractional bits and saturates or wraps."""
        return np.asarray(arith.fit(bias, self.format))

    def add(self, total: Array, product: Array) -> tuple[Array, int]:
        """One addition: new accumulator codes, and how many of them overflowed."""
        if self.product is not None:
            product = arith.requantize(product, self.product_bits, self.product)
        fine = max(self.format.fraction_bits, self.addend_bits)
        exact = (total << (fine - self.format.fraction_bits)) + (product << (fine - self.addend_bits))
        rounded = arith.shift_round(exact, fine - self.format.fraction_bits, self.format.rounding)
        count = int(np.count_nonzero(arith.overflowed(rounded, self.format)))
        return (arith.fit(rounded, self.format) if count else rounded), count

    def magnitude(self, product_bound: int) -> int:
        """Largest magnitude of any integer on the way, for the choice between 64-bit and Python integers."""
        fine = max(self.format.fraction_bits, self.addend_bits)
        addend = 1 << (self.product.width if self.product else product_bound.bit_length())
        total = (1 << self.format.width) << (fine - self.format.fraction_bits)
        return max(product_bound, total + (addend << (fine - self.addend_bits)))


def accumulate(a: Array, b: Array, bias: Array, accumulator: Accumulator) -> tuple[Array, int]:
    """Matrix product with the accumulator quantized at every addition, k ascending.

    Parameters
    ----------
    a, b
        Integer codes, shapes [..., m, k] and [..., k, n].
    bias
        Accumulator codes that the sum starts at; broadcasts against [..., m, n].

    Returns
    -------
    codes
        Accumulator codes [..., m, n].
    overflows
        Additions whose exact result the format could not hold.
    """
    bound = accumulator.magnitude(products.largest(a) * products.largest(b))
    a, b = products.integers(a, bound), products.integers(b, bound)
    shape = (*np.broadcast_shapes(a.shape[:-2], b.shape[:-2]), a.shape[-2], b.shape[-1])
    start = accumulator.start(products.integers(bias, max(bound, products.largest(bias))))
    total = np.broadcast_to(products.integers(start, bound), shape).copy()
    overflows = 0
    for k in range(a.shape[-1]):
        total, count = accumulator.add(total, a[..., :, k, None] * b[..., k, None, :])
        overflows += count
    return total, overflows
