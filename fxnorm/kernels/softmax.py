"""Softmax and its logarithm in integers: subtract the maximum, 2**-t by table, exact sum, reciprocal, one rounding.

The datapath, for codes x of one group with P = `bits` (a mask or bias of the scores, if there is one, is put on first, see `mask`)::

    d   = min(max(x) - x, limit)                 exact
    t   = (d · log2e) >> log2e_shift             d · 2**lsb · log2(e) with P fraction bits
    e   = 2**-(fraction of t), P bits, >> (integer part of t); exactly 2**P where d = 0
    S   = Σ e                                    exact
    y   = rescale(e · r · 2**-exponent)          r · 2**-exponent ≈ 1 / S
    log: y = rescale(-(d · 2**lsb) - ln(S · 2**-P))
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import ClassVar

import numpy as np

from fxnorm.engine import products
from fxnorm.errors import PlanError
from fxnorm.fixed import arith
from fxnorm.fixed.exponential import MAX_BITS, Exp2
from fxnorm.fixed.format import Format, Overflow, Rounding
from fxnorm.fixed.functions import Table, build
from fxnorm.fixed.reals import real_function
from fxnorm.fixed.roots import Reciprocal
from fxnorm.fixed.words import bit_length
from fxnorm.kernels.encoding import Encoding
from fxnorm.kernels.kernel import Kernel, Operation, Policy
from fxnorm.kernels.mask import Mask, RealMask
from fxnorm.kernels.stage import Rescale, Tally

Array = np.ndarray

GUARD_BITS = 8
LOG_BITS = 31


@dataclass(frozen=True, eq=False)
class Softmax(Kernel):
    """Softmax along one axis.

    Attributes
    ----------
    axis
        Axis of the input's shape (samples not counted).
    bits
        P: fraction bits of t and of the exponentials.
    limit
        Distance from the maximum at which exponentials are zero.
    log2e, log2e_shift
        log2(e) times the input's step, as an integer with P + log2e_shift fraction bits.
    exponential, reciprocal
        Tables.
    stage
        Rescale of e · r, whose fraction has `fraction_bits` bits.
    fraction_bits
        Fraction bits of that product when its exponent is brought to one place for all sums.
    bound
        Largest magnitude of it.
    mask
        What is hidden and added before; None: nothing.
    """

    kind: ClassVar[str] = "softmax"
    axis: int
    bits: int
    limit: int
    log2e: int
    log2e_shift: int
    exponential: Exp2
    reciprocal: Reciprocal
    stage: Rescale
    fraction_bits: int
    bound: int
    mask: Mask | None = None

    def run(self, inputs: Sequence[Array], tally: Tally) -> Array:
        """Input [samples, *shape]."""
        scores = inputs[0] if self.mask is None else self.mask.run(inputs[0])
        _, e = exponentials(self, scores)
        total = e.sum(axis=self.axis + 1, keepdims=True)
        mantissa, exponent = self.reciprocal.run(total)
        wide = products.integers(e, self.bound)
        return self.stage.run(wide * mantissa << np.asarray(self.fraction_bits - exponent, wide.dtype), tally)


@dataclass(frozen=True, eq=False)
class LogSoftmax(Kernel):
    """Logarithm of softmax along one axis.

    Attributes
    ----------
    axis, bits, limit, log2e, log2e_shift, exponential
        As in `Softmax`.
    logarithm
        ln of a mantissa in [1, 2), which has the format's F fraction bits in and LOG_BITS out.
    ln2
        ln 2 with LOG_BITS fraction bits.
    shifts
        Places to the left by which d and the logarithm are brought to one step.
    stage, bound
        Rescale of their sum, and its largest magnitude.
    mask
        What is hidden and added before; None: nothing.
    hidden
        Positions whose probability is nothing: bool, broadcasts against the shape of one sample. Their logarithm, which no number is, is
        the lowest code, and no overflow. None: there are none.
    """

    kind: ClassVar[str] = "log_softmax"
    axis: int
    bits: int
    limit: int
    log2e: int
    log2e_shift: int
    exponential: Exp2
    logarithm: Table
    ln2: int
    shifts: tuple[int, int]
    stage: Rescale
    bound: int
    mask: Mask | None = None
    hidden: Array | None = None

    def run(self, inputs: Sequence[Array], tally: Tally) -> Array:
        """Input [samples, *shape]."""
        d, e = exponentials(self, inputs[0] if self.mask is None else self.mask.run(inputs[0]))
        logarithm = self.natural_logarithm(e.sum(axis=self.axis + 1, keepdims=True))
        wide = products.integers(d, self.bound) << self.shifts[0]
        wide = -wide - (products.integers(logarithm, self.bound) << self.shifts[1])
        if self.hidden is None:
            return self.stage.run(wide, tally)
        codes = self.stage.run(np.where(self.hidden[None], 0, wide), tally)
        return np.where(self.hidden[None], self.stage.output.lowest_code, codes)

    def natural_logarithm(self, total: Array) -> Array:
        """ln(total · 2^-P) with LOG_BITS fraction bits, of sums of exponentials."""
        place = bit_length(total) - 1
        fraction = self.logarithm.input.fraction_bits
        mantissa = np.where(
            place > fraction, total >> np.maximum(place - fraction, 0), total << np.maximum(fraction - place, 0)
        )
        return np.asarray(self.logarithm.run(mantissa)[0] + (place - self.bits) * self.ln2)


def exponentials(kernel: Softmax | LogSoftmax, x: Array) -> tuple[Array, Array]:
    """Distances from the maximum, and 2**P · exp of minus those distances."""
    d = x.max(axis=kernel.axis + 1, keepdims=True) - x
    near = np.minimum(d, kernel.limit)
    wide = products.integers(near, kernel.limit * kernel.log2e)
    t = arith.shift_round(wide * kernel.log2e, kernel.log2e_shift, Rounding.TRN)
    # One step of a coarse input may reach further than 64 bits, where exponentials have long been zero.
    t = np.minimum(t, (kernel.bits + 2) << kernel.bits).astype(np.int64)
    power = t >> kernel.bits
    e = kernel.exponential.run(t & ((1 << kernel.bits) - 1)) >> np.minimum(power, kernel.bits + 1)
    return d, np.where(d == 0, np.int64(1) << kernel.bits, e)


@dataclass(frozen=True, slots=True, eq=False)
class SoftmaxOperation(Operation):
    """Softmax over `length` values along `axis`, or its logarithm; scores may be masked and have constants added."""

    axis: int
    length: int
    log: bool
    mask: RealMask | None = None

    def decide(self, inputs: Sequence[Encoding], output: Encoding, policy: Policy) -> Softmax | LogSoftmax:
        """Inner words are 8 bits wider than the result, and wider still for long groups, so that only the last rounding is seen."""
        x = inputs[0]
        precision = max(output.format.width, x.format.width if self.log else 0, 8) + GUARD_BITS
        if precision > MAX_BITS:
            raise PlanError(
                f"softmax: results of up to {MAX_BITS - GUARD_BITS} bits can be had, not {precision - GUARD_BITS}"
            )
        # An exponential errs by up to 2.5 units, and all of a group may err to the same side: the guard bits hold the sum of eight,
        # longer groups take a bit more an octave, as far as the exponential goes (24-bit results reach that at 2,048 values).
        group_bits = (self.length - 1).bit_length() if self.length else 0
        bits = min(MAX_BITS, precision + max(0, group_bits - 3))
        # Biases may need a finer step than scores, and reach as far as exponentials do.
        below = _below(output) if self.log else Fraction(0)
        finer, biased = (0, False) if self.mask is None else self.mask.places(self.axis, x, bits, below)
        lsb = x.lsb - finer
        distance_bits = x.format.width + 1 + finer
        if biased:
            distance_bits = max(distance_bits, (bits + 3).bit_length() - lsb)
        # d < 2^(W + 1), so that W + 2 further bits leave the product with an error below one unit of t.
        # Steps too small to be seen take more of them, so that the factor keeps its digits.
        log2e_shift = distance_bits + 1 + max(0, -lsb - bits)
        log2e = _log2e(lsb, bits + log2e_shift)
        # Where t reaches P + 1 the exponential is zero.
        limit = -(-((bits + 2) << (bits + log2e_shift)) // log2e)
        if self.mask is None:
            limit = min(limit, (1 << distance_bits) - 1)
        common = (self.axis, bits, limit, log2e, log2e_shift, Exp2(bits))
        if self.log:
            return self._logarithm(x, output, common, precision, finer)
        # 2^P ≤ Σ e ≤ N · 2^P, so that products are moved to the left by at most as many places as N has, and one.
        fraction_bits = precision + bits + group_bits + 1
        bound = 1 << (bits + precision + group_bits + 1)
        stage = Rescale(output.format, output.lsb + fraction_bits, bound=bound)
        mask = None if self.mask is None else self.mask.decide(self.axis, x, finer, limit)
        return Softmax(*common, Reciprocal(precision), stage, fraction_bits, bound, mask)

    def _logarithm(
        self, x: Encoding, output: Encoding, common: tuple[int, int, int, int, int, Exp2], precision: int, finer: int
    ) -> LogSoftmax:
        bits, limit = common[1], common[2]
        fraction = min(precision, LOG_BITS - 1)
        logarithm = _log_table(fraction)
        step = x.lsb - finer
        mask = hidden = None
        span = 1 << (x.format.width + 1)
        if self.mask is not None:
            # What the exponential does not see, the logarithm does: a position is hidden only below all that the output holds.
            below = math.ceil(_below(output) / Fraction(2) ** step)
            mask, hidden = self.mask.decide_hidden(self.axis, x, finer, max(limit, below))
            span = 2 * mask.bound + 1
        lsb = min(step, -LOG_BITS)
        shifts = (step - lsb, -LOG_BITS - lsb)
        largest_log = (bits + max(self.length - 1, 1).bit_length() + 2) << LOG_BITS
        bound = (span << shifts[0]) + (largest_log << shifts[1])
        stage = Rescale(output.format, output.lsb - lsb, bound=bound)
        ln2 = round(Fraction(math.log(2.0)) * 2**LOG_BITS)
        return LogSoftmax(*common, logarithm, ln2, shifts, stage, bound, mask, hidden)


def _below(output: Encoding) -> Fraction:
    """Distance from 0 at which a logarithm lies below the lowest code, rounded or not."""
    return (1 - output.format.lowest_code) * Fraction(2) ** output.lsb


@lru_cache(maxsize=8)
def _log_table(fraction: int) -> Table:
    """ln of mantissas in [1, 2) with some fraction bits; a wide one takes a second to size."""
    target = Format(LOG_BITS, 0, False, Rounding.RND, Overflow.SAT)
    return build(real_function("log"), Format(fraction + 1, 1, False), -fraction, target, -LOG_BITS)


def _log2e(lsb: int, fraction_bits: int) -> int:
    """log2(e) · 2**lsb with some fraction bits, rounded; from enough digits for any of them."""
    from mpmath import mp

    with mp.workprec(abs(lsb) + fraction_bits + 64):
        return int(mp.nint(mp.ldexp(1 / mp.ln(2), lsb + fraction_bits)))
