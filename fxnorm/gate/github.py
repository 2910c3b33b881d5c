"""Violations as GitHub's workflow commands, which the page of a run shows as annotations."""

from __future__ import annotations

from typing import Final

from fxnorm.gate.verdict import Verdict
from fxnorm.report.text import printable

MOST: Final = 10
"""GitHub shows ten of a step."""


def workflow_commands(verdict: Verdict, file: str) -> list[str]:
    """Lines to print: one for each violation, or one that says that there is none.

    Parameters
    ----------
    file
        The model, which they stand beside.
    """
    if verdict.passed:
        count = len(verdict.checks)
        return [_command("notice", file, "fxnorm gate passed", f"{count} check{'s' if count != 1 else ''} passed")]
    found = verdict.violations
    shown = found if len(found) <= MOST else found[: MOST - 1]
    lines = [_command("error", file, f"fxnorm gate: {check.rule}", check.message) for check in shown]
    if len(shown) < len(found):
        lines.append(_command("error", file, "fxnorm gate", f"{len(found) - len(shown)} more violations; see the log"))
    return lines


def _command(kind: str, file: str, title: str, message: str) -> str:
    return f"::{kind} file={_property(file)},title={_property(title)}::{_data(message)}"


def _data(text: str) -> str:
    """Text of a command; GitHub turns these three back."""
    return printable(text).replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
