"""What is asked of a configuration: the limits of a gate, or, where there is none, the customary loss of one point."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from fxnorm.errors import UsageError
from fxnorm.gate.limits import Limits, option
from fxnorm.page.results import Results, Row
from fxnorm.page.wording import decibels, percent, points

CUSTOMARY_DROP: Final = 0.01
"""Accuracy that a fixed-point network may lose where nobody says otherwise."""
CUSTOMARY_AGREEMENT: Final = 0.99
DRAWN: Final[dict[str, type]] = {
    "min_accuracy": float,
    "max_drop": float,
    "min_sqnr": float,
    "min_agreement": float,
    "max_overflow": int,
}
"""Limits that a report draws in: all but those against a baseline."""


@dataclass(frozen=True)
class Criterion:
    """What makes a configuration good enough.

    Attributes
    ----------
    limits
        Of a gate, or the customary ones.
    asked
        Whether somebody asked for them.
    """

    limits: Limits
    asked: bool

    def __bool__(self) -> bool:
        return self.limits.asks

    def met_by(self, row: Row) -> bool:
        """Whether a configuration keeps within all limits; one that lacks a number does not."""
        if not row.done:
            return False
        limits = self.limits
        # Shares are counts of the same labels: what floats lose in their last bits must not decide.
        drop = None if row.drop is None else round(row.drop, 12)
        pairs = (
            (limits.min_accuracy, row.accuracy, 1),
            (limits.max_drop, drop, -1),
            (limits.min_sqnr, row.sqnr_db, 1),
            (limits.min_agreement, row.agreement, 1),
            (limits.max_overflow, row.overflow_count, -1),
        )
        return all(
            found is not None and sign * found >= sign * limit for limit, found, sign in pairs if limit is not None
        )

    def level(self, metric: str, fp32: float | None) -> float | None:
        """Where the limit of a metric lies in a chart; None where it has none."""
        limits = self.limits
        if metric == "agreement":
            return limits.min_agreement
        if metric == "sqnr":
            return limits.min_sqnr
        floors = [] if limits.min_accuracy is None else [limits.min_accuracy]
        if limits.max_drop is not None and fp32 is not None:
            floors.append(fp32 - limits.max_drop)
        return max(floors, default=None)

    def words(self) -> list[str]:
        """Each limit in words."""
        limits, said = self.limits, []
        if limits.min_accuracy is not None:
            said.append(f"accuracy at least {percent(limits.min_accuracy)}")
        if limits.max_drop is not None:
            said.append(f"at most {points(limits.max_drop)} below FP32")
        if limits.min_sqnr is not None:
            said.append(f"SQNR at least {decibels(limits.min_sqnr)}")
        if limits.min_agreement is not None:
            said.append(f"arg-max agreement at least {percent(limits.min_agreement)}")
        if limits.max_overflow is not None:
            said.append(f"at most {limits.max_overflow:,} overflows" if limits.max_overflow else "no overflow")
        return said


def criterion(results: Results, given: Limits) -> Criterion:
    """What the results are held against: limits that are given, else those of the command that made them, else customary ones."""
    if given.asks:
        return Criterion(given, True)
    made_with = limits_of(results.source.words)
    if made_with.asks:
        return Criterion(made_with, True)
    if results.fp32 is not None:
        return Criterion(Limits(max_drop=CUSTOMARY_DROP), False)
    if any(row.agreement is not None for row in results.done):
        return Criterion(Limits(min_agreement=CUSTOMARY_AGREEMENT), False)
    return Criterion(Limits(), False)


def limits_of(words: Sequence[str]) -> Limits:
    """Limits of the gate that a command line had; none where it had none, or they cannot be read."""
    found: dict[str, Any] = {}
    for place, word in enumerate(words):
        for name, kind in DRAWN.items():
            given, equals, value = word.partition("=")
            if given != option(name):
                continue
            text = value if equals else next(iter(words[place + 1 :]), "")
            try:
                found[name] = kind(text)
            except ValueError:
                return Limits()
    try:
        return Limits(**found)
    except UsageError:
        return Limits()
