"""The report's tables, the same for HTML and Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import Final

from fxnorm.page import datasets
from fxnorm.page.layers import LayerResult
from fxnorm.page.limits import Criterion
from fxnorm.page.results import Check, Results, Row
from fxnorm.page.wording import NOTHING, cost_title, count, decibels, number, percent, power

MOST_COSTS: Final = 5
"""Costs that a table has room for."""
MOST_POINTS: Final = 60
"""Points of fronts that a table lists, the cheapest first."""
MOST_SERIES: Final = 8
"""Lines of the charts that a table has room for."""


@dataclass(frozen=True)
class Column:
    """Head of a column; figures stand to the right, code in a fixed-width face. Neighbours of one group have a common head above."""

    title: str
    right: bool = False
    code: bool = False
    wrap: bool = False
    short: bool = False
    group: str = ""


@dataclass(frozen=True)
class Cell:
    """One entry; a marked one meets the limits."""

    text: str
    marked: bool = False


@dataclass(frozen=True)
class Table:
    """A table.

    Attributes
    ----------
    caption
        What it shows, in a sentence.
    columns
        Their heads; the first one names the row.
    rows
        As many cells each.
    """

    caption: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]

    def groups(self) -> list[tuple[str, int]]:
        """Common heads with the columns that they span; none where there is none."""
        if not any(column.group for column in self.columns):
            return []
        return [
            (group, len(list(columns))) for group, columns in groupby(self.columns, key=lambda column: column.group)
        ]

    def starts(self) -> set[int]:
        """Columns with which a group begins."""
        titles = ["", *(column.group for column in self.columns)]
        return {place for place, (before, own) in enumerate(pairwise(titles)) if own and own != before}


def table(caption: str, columns: Sequence[Column], rows: Iterable[Sequence[str | Cell]]) -> Table:
    """Build a table of texts and cells."""
    cells = (tuple(cell if isinstance(cell, Cell) else Cell(cell) for cell in row) for row in rows)
    return Table(caption, tuple(columns), tuple(cells))


def by_width(results: Results, limits: Criterion) -> Table:
    """Accuracy and SQNR of every line, a row a format."""
    metric = metrics(results)[0]
    formats = list(dict.fromkeys((row.width, row.integer_bits, row.format) for row in results.done))
    columns = [Column("Width", right=True), Column("Format", code=True)]
    shown = best_series(results, MOST_SERIES)
    for series in shown:
        if metric != "sqnr":
            columns.append(Column(SHORT[metric].capitalize(), right=True, group=series))
        columns.append(Column("SQNR", right=True, group=series))
    rows = []
    for width, integer_bits, format_ in sorted(formats):
        cells: list[str | Cell] = [str(width), format_]
        for series in shown:
            found = [
                row
                for row in results.in_series(series)
                if (row.width, row.integer_bits, row.format) == (width, integer_bits, format_)
            ]
            best = max(found, key=datasets.quality, default=None)
            passes = best is not None and bool(limits) and limits.met_by(best)
            if metric != "sqnr":
                share = None if best is None else datasets.gain(best, metric)
                cells.append(Cell(percent(share), passes))
            cells.append(Cell(NOTHING if best is None else decibels(best.sqnr_db), passes and metric == "sqnr"))
        rows.append(cells)
    return table("Accuracy and SQNR of the worst output by format", columns, rows)


def best_series(results: Results, most: int) -> list[str]:
    """Lines, in their order; of more than so many, those that reach the best results."""
    if len(results.series) <= most:
        return list(results.series)
    best = {series: max(datasets.quality(row) for row in results.in_series(series)) for series in results.series}
    chosen = sorted(best, key=lambda series: best[series], reverse=True)[:most]
    return [series for series in results.series if series in chosen]


SHORT = {"accuracy": "accuracy", "agreement": "agreement", "sqnr": "SQNR"}


def metrics(results: Results) -> list[str]:
    """What the results can be judged by, the most telling first."""
    found = []
    if results.fp32 is not None:
        found.append("accuracy")
    elif any(row.agreement is not None for row in results.done):
        found.append("agreement")
    return [*found, "sqnr"]


def front_numbers(results: Results) -> set[int]:
    """Configurations that no other one beats in the cost that decides and the most telling metric."""
    metric = metrics(results)[0]
    fronts = [datasets.front(results, cost, metric) for cost in results.cost_names[:1]]
    return {record["number"] for records in fronts for record in records if record["front"]}


def front_table(results: Results, limits: Criterion) -> Table:
    """What these cost, the cheapest first."""
    kinds, costs, chosen = metrics(results), results.cost_names[:MOST_COSTS], front_numbers(results)
    columns = [Column("Configuration", code=True)]
    columns += [Column(SHORT[metric].capitalize() if metric != "sqnr" else "SQNR", right=True) for metric in kinds]
    columns += [Column(cost_title(cost), right=True) for cost in costs]
    rows = []
    for row in sorted(results.priced, key=lambda row: ([row.cost[cost] for cost in costs], row.number)):
        if row.number not in chosen:
            continue
        gains: list[str | Cell] = [
            decibels(row.sqnr_db) if kind == "sqnr" else percent(datasets.gain(row, kind)) for kind in kinds
        ]
        gains[0] = Cell(str(gains[0]), bool(limits) and limits.met_by(row))
        rows.append([row.name, *gains, *(number(row.cost[cost]) for cost in costs)])
    caption = f"Configurations that no other one beats in {cost_title(costs[0])} and {SHORT[kinds[0]]} at once"
    return table(caption, columns, rows[:MOST_POINTS])


def layer_table(results: Results, row: Row) -> Table:
    """Every layer under one configuration."""
    columns = [
        Column("Layer"),
        Column("Operator"),
        Column("Format", code=True),
        Column("Scale", right=True),
        Column("SQNR", right=True),
        Column("Overflow", right=True),
        Column("At the ends", right=True),
        Column("Bits used", right=True),
    ]
    rows = [
        [
            results.layer_names[layer.key],
            layer.op,
            layer.format,
            power(layer.scale),
            decibels(layer.sqnr_db),
            overflow_text(layer),
            percent(layer.at_low_fraction + layer.at_high_fraction),
            f"{layer.bits_used} of {layer.width}",
        ]
        for layer in row.layers
    ]
    return table(f"Layers under {row.name}", columns, rows)


def overflow_text(layer: LayerResult) -> str:
    """How many values overflowed, and their share."""
    return "0" if not layer.overflow_count else f"{layer.overflow_count:,} ({percent(layer.overflow_fraction, 2)})"


def proof_table(results: Results, row: Row) -> Table:
    """Every sum of every layer under one configuration."""
    columns = [
        Column("Layer"),
        Column("What is added"),
        Column("Terms", right=True),
        Column("Format", code=True),
        Column("Bits", right=True),
        Column("any codes", right=True, group="Bits needed"),
        Column("any input", right=True, group="Bits needed"),
        Column("in order", right=True, group="Bits needed"),
        Column("Proven for", short=True),
        Column("Overflows", right=True),
    ]
    rows = [
        [
            results.layer_names[layer.key],
            proof.part,
            count(proof.terms) if proof.terms else NOTHING,
            proof.format or "as needed",
            NOTHING if proof.width is None else str(proof.width),
            *(NOTHING if bits is None else str(bits) for bits in proof.needed),
            proof.words,
            count(layer.accumulator.overflow_count) if layer.accumulator is not None and proof.format else NOTHING,
        ]
        for layer in row.layers
        for proof in layer.proofs
    ]
    return table(f"Accumulators under {row.name}", columns, rows)


def result_table(results: Results, limits: Criterion, rows: Sequence[Row]) -> Table:
    """Configurations with their results."""
    kinds = metrics(results)
    columns = [Column("Configuration", code=True), Column("Width", right=True)]
    columns += [
        Column({"accuracy": "Accuracy", "agreement": "Agreement", "sqnr": "SQNR"}[kind], right=True) for kind in kinds
    ]
    if "accuracy" in kinds:
        columns.append(Column("Loss", right=True))
    columns += [Column("Max error", right=True), Column("Overflows", right=True), Column("Largest share", right=True)]
    columns += [Column("Gate" if limits.asked else "Within limit")] if limits else []
    columns += [Column("Plan", code=True), Column("Outputs", code=True)]
    body: list[list[str | Cell]] = []
    for row in rows:
        passes = bool(limits) and limits.met_by(row)
        gains = [decibels(row.sqnr_db) if kind == "sqnr" else percent(datasets.gain(row, kind)) for kind in kinds]
        loss = [NOTHING if row.drop is None else percent(row.drop)] if "accuracy" in kinds else []
        verdict = [Cell("yes" if passes else "no", passes)] if limits else []
        body.append(
            [
                row.name,
                str(row.width),
                *gains,
                *loss,
                number(row.max_abs_error),
                f"{row.overflow_count:,}",
                percent(row.overflow_fraction, 2),
                *verdict,
                row.plan_digest[:12],
                row.outputs_digest[:12],
            ]
        )
    return table("All configurations", columns, body)


def refused_table(rows: Sequence[Row]) -> Table:
    """Configurations that could not be run, and why."""
    columns = [Column("Configuration", code=True), Column("Reason")]
    return table("Configurations that could not be planned or run", columns, [[row.name, row.refused] for row in rows])


def command_table(rows: Sequence[Row]) -> Table:
    """Command lines of configurations."""
    columns = [Column("Configuration", code=True), Column("Command", code=True, wrap=True)]
    return table("Commands that run one configuration each", columns, [[row.name, row.command] for row in rows])


def check_table(checks: Sequence[Check]) -> Table:
    """Verdict of a gate."""
    columns = [
        Column("Limit", code=True),
        Column("Where"),
        Column("Met", short=True),
        Column("What was asked, and what there is"),
    ]
    rows: list[list[str | Cell]] = [
        [check.rule, check.where or "the network", Cell("yes" if check.passed else "no", check.passed), check.text]
        for check in checks
    ]
    return table("Limits of the gate", columns, rows)
