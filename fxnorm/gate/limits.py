"""The limits of a gate."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Final

from fxnorm.errors import UsageError

SHARES: Final = ("min_accuracy", "max_drop", "min_agreement", "baseline_drop")
SQNR_TOLERANCE: Final = 0.1
"""dB that an SQNR may lie below the baseline's: the FP32 values that it is measured against differ in their last bits by machine."""


@dataclass(frozen=True)
class Limits:
    """What is asked of every configuration that is judged; None where nothing is.

    Attributes
    ----------
    min_accuracy
        Share of right labels, at least.
    max_drop
        How far the accuracy may lie below that of FP32 on the same samples.
    min_sqnr
        SQNR of every output in dB, at least.
    min_agreement
        Share of arg-max decisions that are those of FP32, at least, of every output that has some.
    max_overflow
        Values, additions of accumulators and stages that may overflow, all layers together.
    baseline_drop
        How far accuracy (or agreement, where there are no labels) may lie below the baseline's; None: not at all.
    baseline_sqnr_drop
        How far the SQNR of an output may lie below the baseline's, in dB; None: `SQNR_TOLERANCE`.

    Raises
    ------
    UsageError
        If one is none that could be met and missed.
    """

    min_accuracy: float | None = None
    max_drop: float | None = None
    min_sqnr: float | None = None
    min_agreement: float | None = None
    max_overflow: int | None = None
    baseline_drop: float | None = None
    baseline_sqnr_drop: float | None = None

    def __post_init__(self) -> None:
        for name in SHARES:
            share = getattr(self, name)
            if share is not None and not 0.0 <= share <= 1.0:
                raise UsageError(
                    f"{option(name)}: must be a share from 0 to 1, not {share:g}"
                    + (f"; for {share:g} % give {share / 100:g}" if 1.0 < share <= 100.0 else "")
                )
        if self.min_sqnr is not None and not math.isfinite(self.min_sqnr):
            raise UsageError(f"--min-sqnr: must be a number of dB, not {self.min_sqnr:g}")
        if self.max_overflow is not None and self.max_overflow < 0:
            raise UsageError(f"--max-overflow: must be a count from 0 on, not {self.max_overflow}")
        drop = self.baseline_sqnr_drop
        if drop is not None and not 0.0 <= drop < math.inf:
            raise UsageError(f"--baseline-sqnr-drop: must be a number of dB from 0 on, not {drop:g}")

    @property
    def asks(self) -> bool:
        """Whether there is a limit, a baseline's aside."""
        return any(getattr(self, entry.name) is not None for entry in fields(self) if not entry.name.startswith("base"))

    @property
    def needs_labels(self) -> bool:
        """Whether an accuracy is asked for."""
        return self.min_accuracy is not None or self.max_drop is not None


def option(name: str) -> str:
    """A limit as the command line's option."""
    return "--" + name.replace("_", "-")
