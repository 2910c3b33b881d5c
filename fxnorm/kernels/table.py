"""Functions of one value: a table of codes, or a piecewise polynomial for words of more than 12 bits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar

import numpy as np

from fxnorm.fixed.format import Format
from fxnorm.fixed.functions import Table, build
from fxnorm.fixed.reals import real_function
from fxnorm.kernels.encoding import Encoding
from fxnorm.kernels.kernel import Kernel, Operation, Policy
from fxnorm.kernels.stage import Tally

Array = np.ndarray


@dataclass(frozen=True, eq=False)
class Function(Kernel):
    """y = table[x].

    Attributes
    ----------
    table
        Decided integers; see `fxnorm.fixed.functions`.
    """

    kind: ClassVar[str] = "table"
    table: Table

    def run(self, inputs: Sequence[Array], tally: Tally) -> Array:
        """Input [samples, *shape]."""
        codes, lost = self.table.run(inputs[0])
        tally.overflow += int(np.count_nonzero(lost))
        return codes.astype(np.int64, copy=False)


@dataclass(frozen=True, slots=True)
class FunctionOperation(Operation):
    """A real function by the name it has in `fxnorm.fixed.reals`, with its parameters by name."""

    function: str
    parameters: tuple[tuple[str, float], ...] = ()

    def decide(self, inputs: Sequence[Encoding], output: Encoding, policy: Policy) -> Function:
        """Build the table."""
        x = inputs[0]
        return Function(_table(self.function, self.parameters, x.format, x.lsb, output.format, output.lsb))


@lru_cache(maxsize=64)
def _table(name: str, parameters: tuple[tuple[str, float], ...], x: Format, x_lsb: int, y: Format, y_lsb: int) -> Table:
    # Networks use one function in one encoding again and again; a wide table takes a second to size.
    return build(real_function(name, dict(parameters)), x, x_lsb, y, y_lsb)
