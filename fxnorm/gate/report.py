"""Where a verdict goes: files, annotations, words on the terminal, and the exit code."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass

from fxnorm.errors import GateError
from fxnorm.gate.github import workflow_commands
from fxnorm.gate.junit import junit_xml
from fxnorm.gate.markdown import for_step, summary
from fxnorm.gate.verdict import Verdict
from fxnorm.report.files import Delivery, Parcel
from fxnorm.report.output import note
from fxnorm.report.text import printable


@dataclass(frozen=True)
class Outlets:
    """Files that were promised for a verdict.

    Attributes
    ----------
    junit, summary
        None where nobody asked.
    """

    junit: Parcel | None
    summary: Parcel | None

    @classmethod
    def promise(cls, delivery: Delivery, junit: str | None, summary_file: str | None) -> Outlets:
        """Promise the files before any work is done.

        Raises
        ------
        UsageError
            If one cannot be written.
        """
        return cls(
            None if junit is None else delivery.add("--junit", junit),
            None if summary_file is None else delivery.add("--summary", summary_file),
        )

    def write(self, verdict: Verdict, title: str, facts: Sequence[str]) -> None:
        """Make the files."""
        if self.junit is not None:
            self.junit.write(junit_xml(verdict, title))
        if self.summary is not None:
            self.summary.write(for_step(str(self.summary.target), summary(verdict, title, facts)))


def tell(verdict: Verdict, *, model: str, annotate: bool, quiet: bool) -> None:
    """Say what came of it, last of all.

    Parameters
    ----------
    annotate
        Whether GitHub's workflow commands are printed; GitHub reads them on either stream.
    quiet
        Whether standard output holds JSON and nothing else.

    Raises
    ------
    GateError
        If a limit is missed.
    """
    stream = sys.stderr if quiet else sys.stdout
    if annotate:
        for line in workflow_commands(verdict, model):
            print(line, file=stream, flush=True)
    for text in verdict.notes:
        note(f"gate: {text}")
    if not verdict.passed:
        raise GateError([printable(check.message) for check in verdict.violations])
    if not quiet:
        count = len(verdict.checks)
        print(f"gate: {count} check{'s' if count != 1 else ''} passed", flush=True)
