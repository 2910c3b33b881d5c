"""Progress bars on standard error."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

PATIENCE = 0.5
"""Seconds that pass before a bar is worth showing."""


@contextmanager
def progress_bars() -> Iterator[Callable[[str, int, int], None] | None]:
    """Bars where standard error is a terminal, for runs that take their time; None elsewhere.

    What comes out is called with the phase, what is done of it and how much there is to do.
    """
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    # Standard output is another file, whatever the terminal shows: it must not be led to the bars' one.
    bars = Progress(
        *columns, console=Console(stderr=True), transient=True, redirect_stdout=False, redirect_stderr=False
    )
    tasks: dict[str, TaskID] = {}
    begun = time.monotonic()

    def progress(phase: str, done: int, total: int) -> None:
        if time.monotonic() - begun < PATIENCE:
            return
        if phase not in tasks:
            bars.start()
            tasks[phase] = bars.add_task(phase, total=total)
        bars.update(tasks[phase], completed=done)

    try:
        yield progress
    finally:
        bars.stop()
