"""What stands on the page beside charts and tables: titles, notes, choices, and how it was made."""

from __future__ import annotations

import math
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any, Final

from fxnorm.cost.summary import MEANINGS
from fxnorm.page import datasets, tables
from fxnorm.page.limits import Criterion
from fxnorm.page.plain import LONGEST_LINE, clean
from fxnorm.page.results import Results, Row
from fxnorm.page.summary import Summary, named
from fxnorm.page.tables import Column, Table, table
from fxnorm.page.wording import cost_title, count, decibels, listed, number, percent, plural, points

METRIC_TITLES: Final = {
    "accuracy": "Accuracy",
    "agreement": "Agreement with FP32",
    "sqnr": "SQNR of the worst output (dB)",
}
MOST_GROUPS: Final = 40
"""Lines of the charts that a heat map can be chosen for."""
MOST_COLUMNS: Final = 40
"""Configurations that a heat map shows side by side."""

MEASURES: Final[dict[str, dict[str, Any]]] = {
    "sqnr": {
        "caption": "SQNR of each layer's output against FP32, in dB.",
        "classes": [
            [0, "below 0 dB"],
            [1, "0 to 10"],
            [2, "10 to 20"],
            [3, "20 to 30"],
            [4, "30 to 40"],
            [5, "40 to 60"],
            [6, "60 and above, exact"],
        ],
    },
    "overflow": {
        "caption": "Share of each layer's values that the format could not hold.",
        "classes": [
            [4, "none"],
            [3, "up to 0.01 %"],
            [2, "up to 1 %"],
            [1, "up to 10 %"],
            [0, "more"],
        ],
    },
    "range": {
        "caption": "Bits of the format that each layer's codes use.",
        "classes": [
            [6, "all"],
            [5, "1 unused"],
            [4, "2 unused"],
            [3, "3"],
            [2, "4"],
            [1, "5 and more"],
        ],
    },
    "width": {
        "caption": "Width of each layer's format, in bits.",
        "classes": [[2, "up to 4"], [3, "5 and 6"], [4, "7 and 8"], [5, "9 to 12"], [6, "13 and more"]],
    },
}


@dataclass(frozen=True)
class Tile:
    """One figure of the summary."""

    name: str
    value: str
    note: str = ""


@dataclass(frozen=True)
class Group:
    """Configurations that a heat map shows side by side."""

    name: str
    rows: tuple[Row, ...]


def title(results: Results) -> str:
    """The model's file name."""
    return PurePath(results.source.model.replace("\\", "/")).name or "model"


def kind(results: Results) -> str:
    """What the report is of, in a line."""
    if results.kind == "run":
        return f"Fixed-point run · {plural(results.source.samples, 'sample')}"
    total = len(results.rows) + results.waiting
    word = {"sweep": "Sweep", "search": "Search"}.get(results.kind, results.kind.capitalize())
    return f"{word} · {plural(total, 'configuration')} · {plural(results.source.samples, 'sample')}"


def tiles(results: Results, limits: Criterion, summary: Summary) -> list[Tile]:
    """Figures that are read first."""
    row = summary.choice
    if row is None:
        return []
    found = []
    passes = bool(limits) and limits.met_by(row)
    name = next((name for name in results.cost_names if name in row.cost), None)
    if results.searched and name is not None:
        word = "Cheapest that meets the gate" if passes else "Best plan"
        found.append(Tile(word, number(row.cost[name]), f"{cost_title(name)}, {row.name}"))
    elif results.kind != "run":
        word = "Narrowest that is good enough" if passes else "Best configuration"
        found.append(Tile(word, plural(row.width, "bit"), named(row)))
    if row.accuracy is not None and row.accuracy_fp32 is not None and row.drop is not None:
        lost = f"{points(row.drop)} below FP32's {percent(row.accuracy_fp32)}"
        if row.drop <= 0.0:
            lost = f"FP32: {percent(row.accuracy_fp32)}"
        found.append(Tile("Accuracy", percent(row.accuracy), lost))
    elif row.agreement is not None:
        found.append(Tile("Arg-max agreement", percent(row.agreement), "of the rows as in FP32"))
    found.append(Tile("SQNR", decibels(row.sqnr_db), "of the worst output"))
    share = f"at most {percent(row.overflow_fraction, 2)} of a layer" if row.overflow_count else "in no layer"
    found.append(Tile("Overflows", count(row.overflow_count), share))
    return found


def groups(results: Results) -> list[Group]:
    """Choices of configurations for the heat map: one line of the charts each; of a search its front, and what has one width."""
    if results.searched:
        front = [row for row in results.done if row.number in tables.front_numbers(results)]
        uniform = [row for row in results.done if row.uniform]
        found = [
            Group("Pareto front", by_cost(results, front)),
            Group("one width everywhere", by_cost(results, uniform)),
        ]
        rest = [Group("all, the cheapest first", by_cost(results, results.done))]
        return [group for group in found + rest if group.rows]
    found = []
    best = datasets.best_of_width(results)
    for series in tables.best_series(results, MOST_GROUPS):
        rows = results.in_series(series)
        if len(rows) > MOST_COLUMNS:
            rows = tuple(row for row in rows if row.number in best)[:MOST_COLUMNS]
        found.append(Group(series, rows))
    return found


def cost_note(name: str) -> str:
    """What a cost counts, where that is known."""
    return MEANINGS.get(name, "")


def by_cost(results: Results, rows: Sequence[Row]) -> tuple[Row, ...]:
    """The cheapest first; as many as a heat map shows."""
    name = next(iter(results.cost_names), "")
    return tuple(sorted(rows, key=lambda row: (row.cost.get(name, math.inf), row.number))[:MOST_COLUMNS])


def width_note(results: Results) -> str:
    """How the lines of the charts are to be read."""
    several = len({(row.series, row.width) for row in results.done}) < len(results.done)
    said = ["Each line is a normalization."]
    if any(row.extras for row in results.done):
        said = ["Each line is a normalization with whatever else was varied."]
    if several:
        said.append("Where one width was run with several formats, the line goes through the best of them.")
    if len(results.series) > tables.MOST_SERIES:
        said.append(f"The table has the best {tables.MOST_SERIES} of {plural(len(results.series), 'line')}.")
    return " ".join(said)


def proofs_note(results: Results) -> str:
    """What is known of all accumulators."""
    proofs = [proof for row in results.done for layer in row.layers for proof in layer.proofs]
    if not proofs:
        return "No layer adds anything up."
    counted = 0
    blamed: dict[str, None] = {}
    for row in results.done:
        times = sum(layer.accumulator.overflow_count for layer in row.layers if layer.accumulator is not None)
        counted += times
        if times:
            blamed[row.name] = None
    proven = sum(proof.holds for proof in proofs)
    where = "" if len(results.done) == 1 else " in all configurations together"
    if proven == len(proofs):
        return f"All {plural(proven, 'accumulator')}{where} are proven never to overflow, whatever the input."
    said = (
        f"Of {plural(len(proofs), 'accumulator')}{where}, {count(proven)} are proven never to overflow; the others may."
    )
    if not counted:
        return f"{said} None did on this data."
    some = listed([*blamed][:3]) + (f" and {len(blamed) - 3} more" if len(blamed) > 3 else "")
    return f"{said} {plural(counted, 'addition')} did overflow, under {some}."


def hash_table(results: Results, row: Row | None) -> Table:
    """Everything that has to be the same for the numbers to be the same."""
    source = results.source
    rows = [("Model", source.model, source.model_sha256), ("Data", source.data, source.data_sha256)]
    if source.calibration_sha256 or source.calibration:
        rows.append(("Calibration data", source.calibration, source.calibration_sha256))
    if row is not None:
        rows.append(("Plan", row.name, row.plan_digest))
        if row.outputs_digest:
            rows.append(("Outputs", f"codes of all outputs, {row.name}", row.outputs_digest))
    rows += [("Version", name, version) for name, version in sorted(source.versions.items())]
    columns = [Column(""), Column("What"), Column("SHA-256 or version", code=True)]
    return table("Digests and versions", columns, [row for row in rows if row[2]])


@dataclass(frozen=True)
class Step:
    """A command with a word about it."""

    title: str
    line: str
    note: str = ""


def steps(results: Results, row: Row | None, again: Sequence[str]) -> list[Step]:
    """Commands that make all of it again."""
    source = results.source
    found = []
    where = f"Relative paths are meant from {source.directory}." if source.directory else ""
    when = f"Begun {source.created}." if source.created else ""
    if source.command:
        found.append(Step("The whole run", source.command, " ".join(text for text in (when, where) if text)))
    if row is not None and row.command:
        found.append(
            Step(f"{row.name} alone", row.command, "Gives the plan and the outputs whose digests stand below.")
        )
    if again:
        found.append(Step("This report", clean(shlex.join(again), LONGEST_LINE)))
    return found
