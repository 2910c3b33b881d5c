"""Accumulators of an explicit format, step by step: every product and every addition quantized as the hardware would."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from fxnorm.engine import products
from fxnorm.fixed import arith
from fxnorm.fixed.format import Format, Overflow

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
        # A product moves to the step of its format before it is clamped.
        moved = product_bound << max(self.addend_bits - self.product_bits, 0)
        return max(moved, total + (addend << (fine - self.addend_bits)))


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
    shape = (*np.broadcast_shapes(a.shape[:-2], b.shape[:-2]), a.shape[-2], b.shape[-1])
    start = accumulator.start(products.integers(bias, max(bound, products.largest(bias))))
    total = np.broadcast_to(products.integers(start, bound), shape)
    # Machine code shifts by fewer places than a word has.
    if bound <= products.INT64_SAFE and total.size and accumulator.product_bits - accumulator.addend_bits < 63:
        return _compiled(a, b, total, accumulator, bound)
    return stepwise(products.integers(a, bound), products.integers(b, bound), total.copy(), accumulator)


def stepwise(a: Array, b: Array, total: Array, accumulator: Accumulator) -> tuple[Array, int]:
    """What `accumulate` does, in NumPy, for integers of any size; `total` is where the sums start."""
    overflows = 0
    for k in range(a.shape[-1]):
        total, count = accumulator.add(total, a[..., :, k, None] * b[..., k, None, :])
        overflows += count
    return total, overflows


def _compiled(a: Array, b: Array, start: Array, accumulator: Accumulator, bound: int) -> tuple[Array, int]:
    from fxnorm.engine import compiled

    format_, product = accumulator.format, accumulator.product
    batches = start.shape[:-2]
    plain = product is None and format_.fraction_bits == accumulator.product_bits
    # 32 bits, where they hold every step, are twice as many lanes.
    dtype = np.int32 if plain and bound < 1 << 30 else np.int64
    total = np.array(start, dtype=dtype, order="C").reshape(-1, *start.shape[-2:])
    left, ia = _batches(a, batches, dtype)
    right, ib = _batches(b, batches, dtype)
    ends = dtype(format_.lowest_code), dtype(format_.max_code)
    if plain and format_.overflow in (Overflow.SAT, Overflow.SAT_SYM):
        count = compiled.saturate(left, ia, right, ib, total, *ends)
    elif plain and format_.overflow is Overflow.WRAP:
        count = compiled.wrap(left, ia, right, ib, total, ends[0], dtype(ends[1] - ends[0]))
    else:
        fine = max(format_.fraction_bits, accumulator.addend_bits)
        of_product = (0, 0, -1, 0, 0)
        if product is not None:
            of_product = compiled.modes(product, accumulator.product_bits - product.fraction_bits)
        count = compiled.quantize(
            left,
            ia,
            right,
            ib,
            total,
            of_product,
            fine - accumulator.addend_bits,
            fine - format_.fraction_bits,
            compiled.modes(format_, fine - format_.fraction_bits),
        )
    return total.astype(np.int64).reshape(start.shape), int(count)


def _batches(array: Array, batches: tuple[int, ...], dtype: type[np.signedinteger[Any]]) -> tuple[Array, Array]:
    """Matrices of an operand one behind the other, and which of them every batch of the result takes."""
    own = array.shape[:-2]
    places = np.arange(math.prod(own)).reshape(own)
    matrices = np.ascontiguousarray(array, dtype=dtype).reshape(-1, *array.shape[-2:])
    return matrices, np.broadcast_to(places, batches).reshape(-1)
