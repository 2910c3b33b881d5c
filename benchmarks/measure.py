"""Ratios of times taken in one run: two pieces of work in turn, medians of each."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

Work = Callable[[], object]


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes
    ----------
    work
        What was done.
    ours, theirs
        Median seconds of fxnorm and of what it is compared with.
    against
        What that is.
    target
        What was to be reached, in words, and whether it was; None where there is none.
    note
        Anything else that belongs to the figure.
    """

    work: str
    ours: float
    theirs: float
    against: str
    target: tuple[str, bool] | None = None
    note: str = ""

    @property
    def ratio(self) -> float:
        """Our time over theirs."""
        return self.ours / self.theirs


def in_turn(ours: Work, theirs: Work, runs: int = 9) -> tuple[float, float]:
    """Median seconds of two pieces of work that take turns, so that a busy machine slows both; two rounds warm up."""
    times: tuple[list[float], list[float]] = ([], [])
    for round_ in range(runs + 2):
        for work, seconds in zip((ours, theirs), times, strict=True):
            start = time.perf_counter()
            work()
            if round_ >= 2:
                seconds.append(time.perf_counter() - start)
    return statistics.median(times[0]), statistics.median(times[1])


def at_most(limit: float, ours: float, theirs: float) -> tuple[str, bool]:
    """Target: at most so many times theirs."""
    return f"at most {limit:g} ×", ours <= limit * theirs


def faster(times: float, ours: float, theirs: float) -> tuple[str, bool]:
    """Target: at least so many times as fast."""
    return f"at least {times:g} × as fast", theirs >= times * ours
