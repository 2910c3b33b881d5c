"""The errors that fxnorm raises for a user, each with the exit code that the command line gives it.

A message reads *where → rule → offender → remedy*:
``ln1 (LayerNormalization): axis must be a trailing axis, not 0; export the model with …``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar


class FxnormError(Exception):
    """Something the user can mend; shown as one message, never as a traceback."""

    exit_code: ClassVar[int] = 2


class UsageError(FxnormError):
    """Options that are wrong by themselves or contradict one another."""


class FormatError(UsageError, ValueError):
    """A fixed-point format that cannot be read, or that no path of the program can hold."""


class ModelError(FxnormError):
    """A model file that is missing, damaged, cyclic, or holds values that no hardware can have."""


class DataError(FxnormError):
    """Samples that are missing, not finite, or do not fit the model's inputs."""


class PlanError(FxnormError):
    """A plan folder that is damaged, or that was made for another model."""


class StreamError(FxnormError):
    """Processes and FIFOs of a design that do not fit together."""


class DeadlockError(StreamError):
    """FIFOs too shallow for a frame to pass: processes that wait for one another in a circle."""


class UnsupportedError(FxnormError):
    """The model needs what fxnorm does not have; every such node is listed at once.

    Parameters
    ----------
    reasons
        One line a node: ``name (Op): why``.
    """

    exit_code: ClassVar[int] = 3

    def __init__(self, reasons: Sequence[str]) -> None:
        self.reasons = tuple(reasons)
        count = len(self.reasons)
        head = f"{count} node{'s' if count != 1 else ''} cannot be run in fixed point:"
        super().__init__("\n".join([head, *(f"  {reason}" for reason in self.reasons)]))
