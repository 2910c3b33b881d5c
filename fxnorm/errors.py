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


class RunError(FxnormError):
    """A run folder that is none, is another run's, is being written by another process, or cannot be written."""


class GateError(FxnormError):
    """A run that does not meet what was asked of it.

    Parameters
    ----------
    reasons
        One line a violation.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, reasons: Sequence[str]) -> None:
        self.reasons = tuple(reasons)
        count = len(self.reasons)
        super().__init__("\n".join([f"gate: {count} violation{'s' if count != 1 else ''}:", *self.reasons]))


class UnsupportedError(FxnormError):
    """The model needs what fxnorm does not have; every such node is listed at once.

    Parameters
    ----------
    reasons
        One line a node: ``name (Op): why``.
    what
        What cannot be done with them.
    """

    exit_code: ClassVar[int] = 3

    def __init__(self, reasons: Sequence[str], what: str = "node{s} cannot be run in fixed point") -> None:
        self.reasons = tuple(reasons)
        count = len(self.reasons)
        head = f"{count} {what.format(s='s' if count != 1 else '')}:"
        super().__init__("\n".join([head, *(f"  {reason}" for reason in self.reasons)]))
