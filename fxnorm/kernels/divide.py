"""Quotient of two values, through a reciprocal: leading-one detection, table, one Newton step, one rounding."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from fxnorm.engine import products
from fxnorm.errors import PlanError
from fxnorm.fixed.roots import MAX_BITS, Reciprocal
from fxnorm.kernels.encoding import Encoding, encode_constant
from fxnorm.kernels.kernel import Kernel, Operation, Policy
from fxnorm.kernels.linear import narrow
from fxnorm.kernels.matmul import align
from fxnorm.kernels.stage import Rescale, Tally

Array = np.ndarray

GUARD_BITS = 4


@dataclass(frozen=True, eq=False)
class Divide(Kernel):
    """y = rescale(a · r · 2**-e), with r · 2**-e the reciprocal of |b| and the sign of b put on the product.

    A divisor of zero gives the end of the output's range that the dividend's sign points to, and 0 / 0 gives 0.

    Attributes
    ----------
    dividend
        Codes of a constant dividend; None where it is an input.
    reciprocal
        Table and Newton step.
    stage
        Rescale of the product, whose fraction has `fraction_bits` bits.
    fraction_bits
        Fractional bits of the product when the reciprocal's exponent is brought to one place for all divisors: products are moved
        to the left by fraction_bits - e.
    bound
        Largest magnitude of the product so moved.
    """

    kind: ClassVar[str] = "divide"
    dividend: Array | None
    reciprocal: Reciprocal
    stage: Rescale
    fraction_bits: int
    bound: int

    def run(self, inputs: Sequence[Array], tally: Tally) -> Array:
        """Inputs [samples, *shape], broadcast as ONNX does."""
        given = iter(inputs)
        a = next(given) if self.dividend is None else self.dividend[None]
        a, b = align(a, next(given))
        zero = b == 0
        mantissa, exponent = self.reciprocal.run(np.where(zero, 1, np.abs(b)))
        signed = np.where(b < 0, -1, 1) * products.integers(a, self.bound)
        product = signed * mantissa << np.asarray(self.fraction_bits - exponent, signed.dtype)
        # Beyond every format, so that the stage clamps (or wraps) and counts it.
        infinite = np.sign(signed) * self.bound
        return self.stage.run(np.where(zero, infinite, product), tally)


@dataclass(frozen=True, eq=False)
class DivideOperation(Operation):
    """a / b in real numbers; the dividend may be a constant, float64."""

    dividend: Array | None = None

    def decide(self, inputs: Sequence[Encoding], output: Encoding, policy: Policy) -> Divide:
        """A reciprocal of a few bits more than the wider of dividend and result."""
        if self.dividend is None:
            a, b, codes = inputs[0], inputs[1], None
        else:
            codes, a = encode_constant(self.dividend, policy.weight_format, policy.normalize)
            b = inputs[0]
        bits = max(a.format.width, b.format.width, output.format.width) + GUARD_BITS
        if bits > MAX_BITS:
            raise PlanError(
                f"division: formats of up to {MAX_BITS - GUARD_BITS} bits can be divided, not {bits - GUARD_BITS}"
            )
        # 1/|b| = r · 2^-(bits + k), k the place of the leading one: at most bits + W places behind the point.
        fraction_bits = bits + b.format.width
        bound = max(-a.format.min_code, a.format.max_code) << (fraction_bits + 1)
        shift = output.lsb - (a.lsb - b.lsb) + fraction_bits
        # What a divisor of zero gives must lie beyond both ends, the lower one being as far out as max_code + 1.
        bound = max(bound, (output.format.max_code + 2) << max(shift, 0))
        stage = Rescale(output.format, shift, bound=bound)
        return Divide(None if codes is None else narrow(codes), Reciprocal(bits), stage, fraction_bits, bound)
