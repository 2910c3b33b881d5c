"""A verdict as Markdown, as GitHub shows it in the summary of a job."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from fxnorm.gate.subject import Subject, overflows
from fxnorm.gate.verdict import Verdict, sqnr
from fxnorm.report.text import printable

MOST_ROWS: Final = 200
"""GitHub shows a megabyte."""
STEP_SUMMARY: Final = "GITHUB_STEP_SUMMARY"

_SPECIAL: Final = re.compile(r"[\\`*_{}\[\]|~]|^[-+#]|^[0-9]+(?=[.)])")


def summary(verdict: Verdict, title: str, facts: Sequence[str] = ()) -> str:
    """Headline, a table of the configurations, the violations, and how to reproduce them.

    Parameters
    ----------
    title
        What was run.
    facts
        Lines about model and data.
    """
    failed, count = len(verdict.violations), len(verdict.checks)
    word = f"failed: {failed} of {count} checks" if failed else f"passed: {count} check{'s' if count != 1 else ''}"
    lines = [f"## {'❌' if failed else '✅'} {escaped(title)}: gate {word}", ""]
    lines += [f"- {escaped(fact)}" for fact in (*facts, *verdict.notes)]
    lines += [
        "",
        "| configuration | accuracy | SQNR | arg-max agrees | overflow | gate |",
        "| --- | ---: | ---: | ---: | ---: | --- |",
    ]
    bad = {check.subject for check in verdict.violations}
    # What fails comes first: it must be seen where not all rows are.
    ordered = sorted(verdict.subjects, key=lambda subject: subject.name not in bad)
    lines += [_row(subject, subject.name in bad) for subject in ordered[:MOST_ROWS]]
    if len(ordered) > MOST_ROWS:
        lines += ["", f"{len(ordered) - MOST_ROWS} more configurations are not shown."]
    if failed:
        lines += ["", "### Violations", ""]
        lines += [f"- {escaped(check.message)}" for check in verdict.violations[:MOST_ROWS]]
        commands = [subject.command for subject in ordered[:MOST_ROWS] if subject.name in bad and subject.command]
        lines += ["", *_commands(commands)] if commands else []
    return "\n".join(lines) + "\n"


def for_step(path: str, text: str) -> str:
    """What a file is to hold: GitHub's summary of a step is added to, since other commands of the step write it too."""
    step = os.environ.get(STEP_SUMMARY)
    if not step or os.path.realpath(path) != os.path.realpath(step) or not Path(path).is_file():
        return text
    before = Path(path).read_text(encoding="utf-8", errors="replace")
    return before + ("" if not before or before.endswith("\n") else "\n") + text


def escaped(text: str) -> str:
    """Text of which Markdown, HTML and GitHub's mentions make nothing."""
    plain = printable(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return (
        _SPECIAL.sub(lambda found: _backslashed(found[0]), plain)
        .replace("@", "&#64;")
        .replace(":", "&#58;" if "://" in plain else ":")
    )


def _backslashed(special: str) -> str:
    return f"\\{special}" if not special.isdecimal() else f"{special}\\"


def _row(subject: Subject, bad: bool) -> str:
    gate = "❌" if bad else "✅"
    if subject.record is None:
        return f"| {escaped(subject.name)} | | | | | {gate} cannot be run |"
    accuracy = subject.accuracy
    ratios = [sqnr(output) for output in subject.outputs.values()]
    agreements = [o["argmax_agreement"] for o in subject.outputs.values() if "argmax_agreement" in o]
    cells = (
        escaped(subject.name),
        "" if accuracy is None else f"{accuracy['fixed']:.2%} (FP32 {accuracy['fp32']:.2%})",
        _decibels(min([ratio for ratio in ratios if ratio is not None], default=None)),
        f"{min(agreements):.2%}" if agreements else "",
        f"{sum(times for _, times in overflows(subject.record)):,}",
        gate,
    )
    return f"| {' | '.join(cells)} |"


def _decibels(ratio: float | None) -> str:
    return "?" if ratio is None else "exact" if ratio == math.inf else f"{ratio:.1f} dB"


def _commands(commands: Sequence[str]) -> list[str]:
    # No line of them can close the fence: each begins with the program's name.
    lines = ["```sh", *(printable(command) for command in commands), "```"]
    return ["<details><summary>Commands that reproduce them</summary>", "", *lines, "", "</details>"]
