"""A sweep as a table that a person can read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from fxnorm.report.columns import Column, console, print_line, print_table
from fxnorm.report.table import UNKNOWN, count
from fxnorm.sweeping.configuration import LAYER, shown
from fxnorm.sweeping.measure import DONE
from fxnorm.sweeping.results import sqnr_text
from fxnorm.sweeping.store import RESULTS_CSV, RESULTS_JSON
from fxnorm.sweeping.tables import Row, Run

COSTS: Final = {"weight_bits": "weight bits", "dsp": "DSP", "lut": "LUT", "rescale_multiplications": "rescale products"}
"""Costs that the table shows, see `fxnorm.cost.summary`; the files have all of them."""


def print_sweep(run: Run) -> None:
    """Print what a run folder holds, a line a configuration."""
    out = console()
    rows, left = run.rows, len(run.configurations) - len(run.rows)
    many = f"{len(rows)} configuration{'s' if len(rows) != 1 else ''}"
    print_line(out, f"{run.run['model']['path']}: {many}" + (f", {left} not yet run" if left else ""), "bold")
    calibration = run.run["calibration"]
    source = "its head" if calibration is None else calibration["description"]
    print_line(out, f"data: {run.run['data']['description']}; calibrated on {source}")
    fp32 = next((row.metrics["accuracy_fp32"] for row in rows if row.metrics["accuracy_fp32"] is not None), None)
    if fp32 is not None:
        print_line(out, f"accuracy of FP32 on {rows[0].metrics['samples']} labelled samples: {fp32:.1%}")
    out.print()
    print_table(out, sweep_columns(run))
    out.print()
    folder = Path(run.folder)
    print_line(out, f"written: {folder / RESULTS_CSV}, {folder / RESULTS_JSON}")


def sweep_columns(run: Run) -> list[Column]:
    """One row a configuration that is done."""
    rows = run.rows
    done = [row for row in rows if row.status == DONE]
    axes = [axis for axis in run.run["axes"] if axis not in ("format", "width", "integer_bits")]
    columns = [Column("format", [row.configuration.format for row in rows], left=True)]
    for axis in axes:
        cells = [shown(row.configuration.varied.get(axis)) for row in rows]
        columns.append(Column(axis.removeprefix(LAYER).replace("_", "-"), cells, left=True, name=True))
    if any(row.metrics["accuracy"] is not None for row in done):
        columns.append(Column("accuracy", [_share(row, "accuracy") for row in rows]))
    columns.append(Column("SQNR dB", [sqnr_text(row.metrics) if row.status == DONE else "" for row in rows]))
    if any(row.metrics["agreement"] is not None for row in done):
        columns.append(Column("arg-max agrees", [_share(row, "agreement") for row in rows], rank=2))
    overflowing = frozenset(place for place, row in enumerate(rows) if row.metrics["overflow_count"])
    columns.append(Column("overflow", [_overflow(row) for row in rows], rank=1, alert=overflowing))
    for name, heading in COSTS.items():
        cells = [_cost(row, name) for row in rows]
        if any(cell not in ("", "0") for cell in cells):
            columns.append(Column(heading, cells, rank=3))
    return [*columns, *_reasons(rows)]


def _reasons(rows: Sequence[Row]) -> list[Column]:
    cells = [(row.reason or "").replace("\n", " ") for row in rows]
    return [Column("refused", cells, left=True, prose=True, rank=1)] if any(cells) else []


def _share(row: Row, name: str) -> str:
    share = row.metrics[name]
    return "" if share is None else f"{share:.1%}"


def _overflow(row: Row) -> str:
    if row.status != DONE:
        return ""
    times, share = row.metrics["overflow_count"], row.metrics["overflow_fraction"]
    return count(times, share)


def _cost(row: Row, name: str) -> str:
    if row.cost is None:
        return ""
    value = row.cost.get(name)
    return UNKNOWN if value is None else f"{value:,.4g}" if value % 1 else f"{int(value):,}"
