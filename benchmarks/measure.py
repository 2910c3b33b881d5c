"""Ratios of times taken in one run: two pieces of work in turn, medians of each."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

Work = Callable[[], object]


class Missing(Exception):
    """What is needed for a row is not on this machine; the message says what."""


@dataclass(frozen=True)
class Effort:
    """How much is measured.

    Attributes
    ----------
    runs
        Of each side at least, after two that warm up.
    share
        Of the samples that a full run takes.
    quick
        Whether it is a trial: rows that take minutes are left out.
    """

    runs: int = 11
    share: float = 1.0
    quick: bool = False

    def samples(self, count: int) -> int:
        """How many samples of a full run's are taken."""
        return max(8, round(count * self.share))

    def at_most(self, runs: int) -> Effort:
        """The same with fewer runs, for slow work; five where it is no trial."""
        return Effort(min(self.runs, runs), self.share, self.quick)


LEAST = 0.5
"""Seconds for which two pieces of work take turns, however quick they are."""
FULL = Effort()
QUICK = Effort(1, 0.02, True)


@dataclass(frozen=True)
class Row:
    """One line of a table.

    Attributes
    ----------
    work
        What was done.
    ours, theirs
        Medians of fxnorm and of what it is compared with, in seconds (or in the unit below).
    against
        What that is.
    target
        What was to be reached, in words, and whether it was; None where there is none.
    note
        Anything else that belongs to the figure.
    unit
        "s", or "MB".
    """

    work: str
    ours: float
    theirs: float
    against: str
    target: tuple[str, bool] | None = None
    note: str = ""
    unit: str = "s"

    @property
    def ratio(self) -> float:
        """Ours over theirs."""
        return self.ours / self.theirs


@dataclass(frozen=True)
class Growth:
    """How a figure grows with a size.

    Attributes
    ----------
    title
        What grows with what.
    heading
        Of the columns; the size first.
    lines
        Cells as printed.
    """

    title: str
    heading: tuple[str, ...]
    lines: tuple[tuple[str, ...], ...]


Result = Row | Growth
Task = Callable[[], Result]
"""Measures one row."""
Section = Callable[[Effort], Iterator[tuple[str, Task]]]
"""Names and tasks; each may fail without the others."""


def seconds(work: Work) -> float:
    """How long one piece of work takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def median(work: Work, effort: Effort) -> float:
    """Median seconds; two runs warm up (one in a trial)."""
    for _ in range(1 if effort.quick else 2):
        work()
    return statistics.median(seconds(work) for _ in range(effort.runs))


def in_turn(ours: Work, theirs: Work, effort: Effort) -> tuple[float, float]:
    """Median seconds of two pieces of work that take turns, so that a busy machine slows both.

    Two rounds warm up (one in a trial); quick work is repeated for half a second, so that its median stays where it is.
    """
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(1 if effort.quick else 2):
        ours()
        theirs()
    begun = time.perf_counter()
    while len(times[0]) < effort.runs or (not effort.quick and time.perf_counter() - begun < LEAST):
        times[0].append(seconds(ours))
        times[1].append(seconds(theirs))
    return statistics.median(times[0]), statistics.median(times[1])


def at_most(limit: float, ours: float, theirs: float) -> tuple[str, bool]:
    """Target: at most so many times theirs."""
    return f"at most {limit:g} ×", ours <= limit * theirs


def faster(times: float, ours: float, theirs: float) -> tuple[str, bool]:
    """Target: at least so many times as fast."""
    return f"at least {times:,g} × as fast", theirs >= times * ours
