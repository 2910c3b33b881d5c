"""Results from a run's folder."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fxnorm.errors import DataError
from fxnorm.page.plain import LONGEST_LINE, Entry, clean
from fxnorm.page.records import as_texts, distributions, layer_results, shell_line
from fxnorm.page.results import DEFAULT, Results, Row, Source
from fxnorm.sweeping import tables
from fxnorm.sweeping.measure import DONE


def read_folder(folder: Path) -> Results:
    """Results that a run's folder holds so far.

    Raises
    ------
    RunError
        If it holds none.
    DataError
        If it is damaged.
    """
    where = str(folder)
    try:
        run = tables.read(folder)
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise DataError(f"{where}: {tables.DATABASE} cannot be read: {error}; run the sweep anew") from None
    facts = Entry(run.run, where)
    rows = tuple(_row(row, f"{where}, configuration {row.configuration.number}") for row in run.rows)
    return Results(
        kind=facts.words("kind"),
        source=_source(facts, run.rows[-1].versions if run.rows else {}),
        rows=rows,
        waiting=len(run.configurations) - len(rows),
        distributions=distributions(facts.entry("reference")),
        costs=tuple(clean(name) for name in facts.entry("identity").entry("request").texts("costs")),
    )


def _source(run: Entry, versions: Mapping[str, Any]) -> Source:
    model, data, calibration = run.entry("model"), run.entry("data"), run.entry("calibration")
    return Source(
        model=model.words("path", longest=LONGEST_LINE),
        model_sha256=model.words("sha256"),
        data=data.words("description", longest=LONGEST_LINE),
        data_sha256=data.words("sha256"),
        samples=data.count("samples"),
        calibration=calibration.words("description", longest=LONGEST_LINE),
        calibration_sha256=calibration.words("sha256"),
        command=shell_line(run.texts("command")),
        words=run.texts("command"),
        directory=run.words("directory", longest=LONGEST_LINE),
        created=run.words("created"),
        versions=as_texts(Entry(versions, f"{run.where}, versions")),
    )


def _row(row: tables.Row, where: str) -> Row:
    one = row.configuration
    plain = Entry({**vars(one), **row.metrics, "reason": row.reason}, where)
    metrics = Entry(row.metrics, where)
    done = row.status == DONE
    varied, cost = Entry(one.varied, f"{where}, varied"), Entry(row.cost or {}, f"{where}, cost")
    costs = {clean(name): cost.number(name) for name in cost}
    ratio, largest = metrics.number("sqnr_db"), metrics.number("max_abs_error")
    return Row(
        number=plain.count("number"),
        name=plain.words("name"),
        format=plain.words("format"),
        width=plain.count("width"),
        integer_bits=plain.count("integer_bits"),
        fraction_bits=plain.count("fraction_bits"),
        normalize=plain.words("normalize"),
        varied={clean(axis): varied.spelled(axis) if axis in varied else DEFAULT for axis in varied},
        command=plain.words("command", longest=LONGEST_LINE),
        refused="" if done else plain.words("reason", "no reason given", longest=LONGEST_LINE),
        plan_digest=metrics.words("plan_digest"),
        outputs_digest=metrics.words("outputs_digest"),
        samples=metrics.count("samples"),
        accuracy_fp32=metrics.number("accuracy_fp32"),
        accuracy=metrics.number("accuracy"),
        sqnr_db=math.inf if done and ratio is None and largest == 0.0 else ratio,
        max_abs_error=largest,
        agreement=metrics.number("agreement"),
        overflow_count=metrics.count("overflow_count"),
        overflow_fraction=metrics.number("overflow_fraction") or 0.0,
        cost={name: number for name, number in costs.items() if number is not None},
        layers=layer_results(Entry(row.record or {}, f"{where}, record")),
        uniform=not Entry(one.options, f"{where}, options").texts("layers"),
        seconds=Entry(row.seconds, f"{where}, seconds").number("total"),
    )
