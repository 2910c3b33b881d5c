"""What every kernel is: a hardware block whose decisions are taken, and the real-valued operation that it was decided from."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from fractions import Fraction
from typing import ClassVar

import numpy as np

from fxnorm.fixed.format import Format
from fxnorm.kernels.encoding import Encoding
from fxnorm.kernels.stage import Tally

Array = np.ndarray


@dataclass(frozen=True, slots=True)
class NormPolicy:
    """How normalization layers compute their moments.

    Attributes
    ----------
    algorithm
        "exact", "two_pass" or "one_pass".
    mean, square, variance, root
        Formats of the stages of the last two; None: the usual one (see `fxnorm.kernels.norm_staged.stage_formats`).
    """

    algorithm: str = "exact"
    mean: Format | None = None
    square: Format | None = None
    variance: Format | None = None
    root: Format | None = None


@dataclass(frozen=True, slots=True)
class Policy:
    """What the user chose for one layer.

    Attributes
    ----------
    format
        Format of the layer's output, with rounding and overflow modes.
    weight_format
        Format of its constants (rounded to nearest even whatever its modes say).
    accumulator, product_format
        Explicit formats of the accumulator and of each product; None: exact.
    normalize
        "none", "pow2" or "affine".
    norm
        How normalization layers compute their moments.
    multiplier
        Where the normalization is affine, "channel" (linear layers have a multiplier an output channel, and weights any step) or "tensor"
        (one multiplier a layer, and weights powers of two as steps).
    """

    format: Format
    weight_format: Format
    accumulator: Format | None = None
    product_format: Format | None = None
    normalize: str = "pow2"
    norm: NormPolicy = NormPolicy()
    multiplier: str = "channel"


class Kernel(ABC):
    """A hardware block in integers: every decision a field, nothing left to decide.

    Subclasses are frozen dataclasses whose fields are integers, strings, tuples, integer arrays, formats and stages, so that a plan
    can be saved, compared and hashed.
    """

    __slots__ = ()
    kind: ClassVar[str]

    @abstractmethod
    def run(self, inputs: Sequence[Array], tally: Tally) -> Array:
        """Output codes of input codes, bit-exact.

        Parameters
        ----------
        inputs
            int64 codes of shape [samples, *shape], one array an input.
        tally
            Counts overflows while they happen.
        """

    def accumulator_format(self) -> Format | None:
        """Format of the kernel's accumulator, where it has one that is worth a line in a report."""
        return None

    def accumulator_proof(self) -> str:
        """Why the accumulator cannot overflow, or that it may."""
        return ""

    def inner_formats(self) -> Mapping[str, Format]:
        """Formats of stages before the last one, by the names under which a tally counts what they could not hold."""
        return {}


class Reads(IntEnum):
    """Which encodings an operation can read; each word asks for more than the one before."""

    ANY = 0
    """Any step, and 0 may lie outside of the codes."""
    ZERO = 1
    """Any step, but 0 must be one of the codes: it is padded in, or the distance from it must stay within one more bit."""
    PLAIN = 2
    """A power of two as the step, and code 0 for 0: what is computed is not scale-invariant."""


class Operation(ABC):
    """What a layer computes, in real numbers; it becomes a kernel once the encodings around it are known."""

    __slots__ = ()

    @property
    def stages(self) -> frozenset[str]:
        """Stages to which `Policy.norm` can give formats of their own."""
        return frozenset()

    def encoding(self, inputs: Sequence[Encoding], policy: Policy) -> Encoding | None:
        """Encoding of the output where it follows from the inputs' (data is only moved or compared); None: it is free."""
        return None

    def reads(self, index: int) -> Reads:
        """Which encodings the input of a number may have."""
        return Reads.PLAIN

    @property
    def writes_any(self) -> bool:
        """Whether the result may have any step and any code for 0, not only a plain encoding."""
        return False

    @property
    def has_channels(self) -> bool:
        """Whether output channels can have multipliers of their own."""
        return False

    @property
    def passes(self) -> bool:
        """Whether data is moved or chosen, so that the result usually has the encoding of an input."""
        return False

    def unit(self, inputs: Sequence[Encoding]) -> Fraction | None:
        """Step of the accumulator but for a power of two, so that the output's step can be one that a multiplier meets exactly.

        None: there is none, because operands have multipliers of their own.
        """
        return None

    @abstractmethod
    def decide(self, inputs: Sequence[Encoding], output: Encoding, policy: Policy) -> Kernel:
        """Take every fixed-point decision.

        Raises
        ------
        PlanError
            If no path holds the widths that follow.
        """
