"""results.json and results.csv: what people, scripts and `--baseline` read, made of the database."""

from __future__ import annotations

import csv
import io
import math
import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fxnorm.report.output import as_json
from fxnorm.report.table import UNKNOWN, decibels
from fxnorm.report.text import printable
from fxnorm.sweeping.configuration import decisive
from fxnorm.sweeping.measure import DONE
from fxnorm.sweeping.store import RESULTS_CSV, RESULTS_JSON
from fxnorm.sweeping.tables import METRICS, Row, Run, reporting

VERSION = 1
_FORMULAS = "=+-@\t\r"


def write_results(run: Run) -> None:
    """Write both files, each whole or not at all.

    Nothing in them depends on when or how fast rows were computed: the same results are the same bytes.

    Raises
    ------
    RunError
        If there is no room for them.
    """
    with reporting(run.folder):
        _replace(run.folder / RESULTS_JSON, as_json(results_record(run)))
        _replace(run.folder / RESULTS_CSV, results_csv(run))


def results_record(run: Run) -> dict[str, Any]:
    """What results.json holds."""
    head = {name: run.run[name] for name in ("kind", "model", "data", "calibration", "axes")}
    return {
        "version": VERSION,
        "fxnorm": run.run["identity"]["fxnorm"],
        **head,
        "configurations": len(run.configurations),
        "rows": [row_record(row) for row in run.rows],
    }


def row_record(row: Row) -> dict[str, Any]:
    """One row as plain data."""
    one = row.configuration
    found: dict[str, Any] = {
        "number": one.number,
        "id": one.id,
        "name": one.name,
        "format": one.format,
        "width": one.width,
        "integer_bits": one.integer_bits,
        "fraction_bits": one.fraction_bits,
        "normalize": one.normalize,
        "varied": dict(one.varied),
        "options": decisive(one.options),
        "status": row.status,
    }
    if row.status != DONE or row.record is None:
        return {**found, "reason": row.reason, "command": one.command}
    metrics = row.metrics
    found.update({"plan_digest": metrics["plan_digest"], "outputs_digest": metrics["outputs_digest"]})
    found["samples"] = metrics["samples"]
    if "accuracy" in row.record:
        found["accuracy"] = row.record["accuracy"]
    found["outputs"] = row.record["outputs"]
    for name in ("overflow_count", "overflow_fraction"):
        found[name] = metrics[name]
    return {**found, "cost": row.cost, "command": one.command}


def results_csv(run: Run) -> str:
    """What results.csv holds."""
    axes = [name for name in run.run["axes"] if name not in ("format", "width", "integer_bits", "normalize")]
    costs = list(next((row.cost for row in run.rows if row.cost is not None), {}))
    head = [
        "number",
        "name",
        "format",
        "width",
        "integer_bits",
        "fraction_bits",
        "normalize",
        *axes,
        "status",
        "reason",
    ]
    stream = io.StringIO(newline="")
    table = csv.writer(stream, lineterminator="\n")
    table.writerow([_cell(name) for name in (*head, *METRICS[2:], *costs, *METRICS[:2], "command")])
    for row in run.rows:
        one = row.configuration
        known: Mapping[str, Any] = {**vars(one), **one.varied, "status": row.status, "reason": row.reason}
        cells = [known[name] for name in head]
        cells += [row.metrics[name] for name in METRICS[2:]]
        cells += [(row.cost or {}).get(name) for name in costs]
        cells += [row.metrics[name] for name in METRICS[:2]]
        table.writerow([_cell(cell) for cell in (*cells, one.command)])
    return stream.getvalue()


def sqnr_text(metrics: Mapping[str, Any]) -> str:
    """SQNR of the worst output; one that no error makes infinite is "exact"."""
    ratio, largest = metrics["sqnr_db"], metrics["max_abs_error"]
    if ratio is not None:
        return decibels(ratio)
    return decibels(math.inf) if largest == 0.0 else UNKNOWN


def _cell(thing: Any) -> Any:
    """A number as it is; a text without what a spreadsheet would compute: a reason may hold a model's words."""
    if not isinstance(thing, str):
        return thing
    text = printable(thing)
    return f"'{text}" if text.startswith(tuple(_FORMULAS)) else text


def _replace(path: Path, text: str) -> None:
    fresh = path.with_name(f".{path.name}-{secrets.token_hex(8)}")
    try:
        with fresh.open("w", encoding="utf-8", newline="") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(fresh, path)
    finally:
        fresh.unlink(missing_ok=True)
