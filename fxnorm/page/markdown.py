"""The report as Markdown, as GitHub shows it."""

from __future__ import annotations

import re
from collections.abc import Sequence

from fxnorm.page import sections, tables
from fxnorm.page.limits import Criterion
from fxnorm.page.results import Results
from fxnorm.page.summary import summarize
from fxnorm.page.tables import Table

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~$&]|:(?=//)|@(?=\w)|(?<=www)\.|^[-+](?=\s)|(?<=^\d)[.)](?=\s|$))")


def markdown(results: Results, limits: Criterion, again: Sequence[str] = ()) -> str:
    """The report without its charts; arguments as those of `fxnorm.page.document.document`."""
    summary = summarize(results, limits)
    choice = summary.choice
    shown = [row for row in results.rows if row.done]
    parts = [
        f"# {escaped(sections.title(results))}",
        escaped(sections.kind(results)),
        f"**{escaped(summary.headline)}**",
    ]
    parts += ["\n".join(f"- {escaped(sentence)}" for sentence in summary.more)] if summary.more else []
    if results.checks:
        parts += ["## Gate", written(tables.check_table(results.checks))]
    if len(results.widths) > 1 and not results.searched:
        parts += [
            f"## {sections.METRIC_TITLES[tables.metrics(results)[0]]} against width",
            written(tables.by_width(results, limits)),
        ]
        parts += [f"✓ {escaped(', '.join(limits.words()))}"] if limits else []
    if len(results.done) > 1 and results.cost_names:
        parts += ["## Cost", written(tables.front_table(results, limits))]
    if choice is not None and choice.layers:
        parts += [f"## Layers under {escaped(choice.name)}", written(tables.layer_table(results, choice))]
        parts += [
            "### Accumulators",
            escaped(sections.proofs_note(results)),
            written(tables.proof_table(results, choice)),
        ]
    parts += ["## All results", written(tables.result_table(results, limits, shown))]
    refused = [row for row in results.rows if not row.done]
    if refused:
        parts += ["### Refused", written(tables.refused_table(refused))]
    parts.append("## Reproduce")
    for step in sections.steps(results, choice, again):
        parts += [f"{escaped(step.title)}:", *([escaped(step.note)] if step.note else []), fenced(step.line)]
    parts.append(written(sections.hash_table(results, choice)))
    return "\n\n".join(part for part in parts if part) + "\n"


def written(table: Table) -> str:
    """A table; marked cells are bold and ticked."""
    titles = [" ".join(word for word in (column.group, column.title) if word) for column in table.columns]
    lines = [
        [escaped(title) or " " for title in titles],
        ["--:" if column.right else "---" for column in table.columns],
    ]
    lines += [
        [
            _cell(cell.text, code=column.code, marked=cell.marked)
            for cell, column in zip(row, table.columns, strict=True)
        ]
        for row in table.rows
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(text: str, *, code: bool, marked: bool) -> str:
    if not text:
        return " "
    # A code span cannot hold a backtick, and a table's cell no bar, even inside of one.
    whole = f"`{text}`" if code and not set(text) & {"`", "|"} else escaped(text)
    return f"✓ **{whole}**" if marked else whole


def escaped(text: str) -> str:
    """A stranger's text without the meaning that Markdown and HTML would give it."""
    return _SPECIAL.sub(r"\\\1", text)


def fenced(line: str) -> str:
    """A command line as a block of code."""
    longest = max((len(run) for run in re.findall(r"`+", line)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}sh\n{line}\n{fence}"
