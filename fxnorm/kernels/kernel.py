"""What every kernel is: a hardware block whose decisions are taken, and the real-valued operation that it was decided from."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from fxnorm.fixed.format import Format
from fxnorm.kernels.encoding import Encoding
from fxnorm.kernels.stage import Tally

Array = np.ndarray


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
        "none" or "pow2".
    """

    format: Format
    weight_format: Format
    accumulator: Format | None = None
    product_format: Format | None = None
    normalize: str = "pow2"


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


class Operation(ABC):
    """What a layer computes, in real numbers; it becomes a kernel once the encodings around it are known."""

    __slots__ = ()

    def encoding(self, inputs: Sequence[Encoding], policy: Policy) -> Encoding | None:
        """Encoding of the output where it follows from the inputs' (data is only moved or compared); None: it is free."""
        return None

    @abstractmethod
    def decide(self, inputs: Sequence[Encoding], output: Encoding, policy: Policy) -> Kernel:
        """Take every fixed-point decision.

        Raises
        ------
        PlanError
            If no path holds the widths that follow.
        """
