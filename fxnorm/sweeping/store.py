"""The run folder: results row by row in SQLite, so that nothing is lost and nothing is computed twice.

::

    RUN/
      results.sqlite     everything; the only file that a run reads again
      results.json       what `--baseline` and people read: made of the database, written whole, the same bytes for the same results
      results.csv        the same, one line a configuration
      lock               held (flock) by the process that writes; it stays when the process is gone, and means nothing then

**Database**, version 1 (``PRAGMA user_version``; ``PRAGMA application_id`` is 0x66786e72, "fxnr"). JSON in it is ASCII.

``run (key TEXT PRIMARY KEY, value TEXT NOT NULL)``: one row a key, values are JSON.

==============  ==================================================================================================================
key             value
==============  ==================================================================================================================
kind            "sweep"; another command that fills a folder has a word of its own, "search" for instance
identity        what decides the results: {"model", "data", "calibration" (SHA-256; null where it is the data), "shapes" (of the
                inputs, {name: [...]}), "request" (what was asked for: {"formats", "width", "integer_bits", "options", "layers"}),
                "fxnorm" (version)}. A command with another identity is refused, unless there is no result yet
model           {"path", "sha256"}
data            {"path" (null for random samples), "description", "sha256", "samples", "labels" (true or false)}
calibration     {"path", "description", "sha256", "samples"}; null where it is the head of the data
axes            {axis: [values]} of what has more than one value, in the order in which they vary, the last one fastest.
                Options have the names of `fxnorm.planning.options.Options`, and "width", "integer_bits"; rules for layers
                "layer PATTERN:KEY"
reference       {"values": {name: {"low", "high", "counts"}}}: how the values of the FP32 network lie on calibration data, see
                `fxnorm.report.distribution`
command         the words of the command line that made the folder, [] from Python
directory       the folder that relative paths are meant from
created         UTC, ISO 8601
==============  ==================================================================================================================

``configuration``: one row for each configuration, written before the first is run.

==============  ==================================================================================================================
column          meaning
==============  ==================================================================================================================
id              SHA-256 over the options: what it is, in whichever run. PRIMARY KEY
number          place in the grid, from 0; UNIQUE
name            short, for people and tables: what varies, "q5.3 affine"
options         JSON, `Options.record()`: everything that makes the plan
varied          JSON, {axis: value} for each of the run's axes; null for an option that is not given
format, width, integer_bits, fraction_bits, normalize
                of data; for a search's mixed plans, of what layers have that no rule speaks of
command         words of a shell's command line that reproduces the row: `fxnorm simulate …`; "" for data in memory
contradiction   why its options contradict themselves or the network; null where they do not
==============  ==================================================================================================================

``attempt (configuration TEXT, started TEXT, process TEXT)``: one row each time that a configuration was begun, or was the next one to
be. One that has no result was in flight when its process ended.

``result``: one row for each configuration that is done, in one transaction with the attempts that followed.

==============  ==================================================================================================================
column          meaning
==============  ==================================================================================================================
configuration   id. PRIMARY KEY
status          "done", or "refused": it cannot be planned or run
reason          of a refusal, in words; else null
plan_digest     `Plan.digest`
outputs_digest  SHA-256 over the samples' outputs, see `fxnorm.output_digest.OutputDigest`
samples         how many were run
accuracy_fp32, accuracy
                share of right labels; null without labels
sqnr_db         of the worst output; null where it is infinite (then max_abs_error is 0), or no number
max_abs_error   of the worst output
agreement       smallest share of outputs' rows with FP32's arg-max; null where no output has one
overflow_count  values, additions of accumulators and stages that overflowed, all layers together
overflow_fraction
                largest share of one layer's values (or additions) that overflowed
record          JSON, what `fxnorm simulate --json` writes: outputs, layers with histograms, accumulators, hint; null if refused
cost            JSON, what the plan costs in hardware, {name: number}, see `fxnorm.cost.summary`; null if refused, or where
                integers are wider than hardware has them
seconds         JSON, by phase: {"plan", "reference", "simulate", "total"}; shared work is counted where it was done
finished        UTC, ISO 8601
versions        JSON, {"fxnorm", "python", "numpy", "onnxruntime"}
==============  ==================================================================================================================

A refusal's columns are null but for configuration, status, reason, seconds, finished and versions.

**What survives.** Every row is one transaction with a rollback journal and ``synchronous=FULL``: after kill -9, a crash of the
machine or a full disk the database holds exactly the rows that were finished. A write-ahead log would be a little faster, but does not
work on network file systems, leaves files beside the database that must be copied with it, and cannot be read in a read-only folder;
rows are few. Readers may open the database while a run writes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from fxnorm.errors import RunError
from fxnorm.sweeping.configuration import Configuration
from fxnorm.sweeping.lock import LOCK, locked, now, this_process
from fxnorm.sweeping.measure import Outcome
from fxnorm.sweeping.tables import (
    APPLICATION,
    DATABASE,
    METRICS,
    SCHEMA,
    VERSION,
    Row,
    configurations_of,
    connect,
    reporting,
    rows_of,
    run_of,
    tables_version,
)

RESULTS_JSON: Final = "results.json"
RESULTS_CSV: Final = "results.csv"
OWN: Final = frozenset({DATABASE, f"{DATABASE}-journal", LOCK, RESULTS_JSON, RESULTS_CSV})


class Store:
    """A run folder that is being written; one process at a time has it.

    Parameters
    ----------
    folder
        Made where it is missing.

    Raises
    ------
    RunError
        If another process has it, something else is in it, or it cannot be written.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self._begun: list[tuple[str, str, str]] = []
        self._going = False
        with reporting(self.folder):
            _refuse_what_is_no_run(self.folder)
            self.folder.mkdir(parents=True, exist_ok=True)
            self._lock = locked(self.folder)
        try:
            with reporting(self.folder):
                self._database = connect(self.folder / DATABASE)
        except BaseException:
            self._lock.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._database.close()
        self._lock.close()

    @property
    def begun(self) -> bool:
        """Whether a run is in the folder."""
        with reporting(self.folder):
            return tables_version(self._database) != 0

    def create(self, run: Mapping[str, Any], configurations: Sequence[Configuration]) -> None:
        """Write down what is to be done, in one transaction: a run is there with all its configurations, or not at all."""
        with reporting(self.folder), self._database:
            self._database.execute("BEGIN IMMEDIATE")
            for statement in SCHEMA.split(";"):
                self._database.execute(statement)
            self._database.execute(f"PRAGMA application_id = {APPLICATION}")
            self._database.execute(f"PRAGMA user_version = {VERSION}")
            values = {**run, "created": now(), "directory": str(Path.cwd())}
            self._database.executemany("INSERT INTO run VALUES (?, ?)", [(k, _json(v)) for k, v in values.items()])
            self._add(configurations)

    def add(self, configurations: Sequence[Configuration]) -> None:
        """Add configurations to a run; those that are there already are left as they are."""
        with reporting(self.folder), self._database:
            self._database.execute("BEGIN IMMEDIATE")
            self._add(configurations)

    def _add(self, configurations: Sequence[Configuration]) -> None:
        self._database.executemany(
            "INSERT OR IGNORE INTO configuration VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [
                (
                    one.id,
                    one.number,
                    one.name,
                    _json(one.options),
                    _json(one.varied),
                    one.format,
                    one.width,
                    one.integer_bits,
                    one.fraction_bits,
                    one.normalize,
                    one.command,
                    one.reason,
                )
                for one in configurations
            ],
        )

    def begin(self, configurations: Sequence[Configuration]) -> None:
        """Note that configurations are begun; it is written with the next row, or at once where none is on its way."""
        self._begun += [(one.id, now(), this_process()) for one in configurations]
        if not self._going:
            with reporting(self.folder), self._database:
                self._database.execute("BEGIN IMMEDIATE")
                self._write_begun()
            self._going = True

    def _write_begun(self) -> None:
        self._database.executemany("INSERT INTO attempt VALUES (?, ?, ?)", self._begun)
        self._begun.clear()

    def finish(self, configuration: Configuration, outcome: Outcome) -> None:
        """Write a row."""
        with reporting(self.folder), self._database:
            self._database.execute("BEGIN IMMEDIATE")
            self._write_begun()
            self._database.execute(
                f"INSERT INTO result VALUES ({', '.join('?' * (8 + len(METRICS)))})",
                (
                    configuration.id,
                    outcome.status,
                    outcome.reason,
                    *(outcome.metrics.get(name) for name in METRICS),
                    None if outcome.record is None else _json(outcome.record),
                    None if outcome.cost is None else _json(outcome.cost),
                    _json(outcome.seconds),
                    now(),
                    _json(outcome.versions),
                ),
            )

    def run(self) -> dict[str, Any]:
        """What the run is."""
        with reporting(self.folder):
            return run_of(self._database)

    def configurations(self) -> list[Configuration]:
        """All of them, in order."""
        with reporting(self.folder):
            return configurations_of(self._database)

    def finished(self) -> set[str]:
        """Ids of the configurations that are done."""
        with reporting(self.folder):
            return {id_ for (id_,) in self._database.execute("SELECT configuration FROM result")}

    def clear(self) -> None:
        """Forget a run that has no result."""
        with reporting(self.folder), self._database:
            self._database.execute("BEGIN IMMEDIATE")
            for table in ("result", "attempt", "configuration", "run"):
                self._database.execute(f"DROP TABLE {table}")
            self._database.execute("PRAGMA application_id = 0")
            self._database.execute("PRAGMA user_version = 0")

    def rows(self) -> list[Row]:
        """All that are done, in order."""
        with reporting(self.folder):
            return rows_of(self._database)


def _refuse_what_is_no_run(folder: Path) -> None:
    if not folder.exists():
        return
    if not folder.is_dir():
        raise RunError(f"{folder}: must be a folder, but this is a file; choose another name")
    held = sorted(entry.name for entry in folder.iterdir() if entry.name not in OWN and not entry.name.startswith("."))
    if held and not (folder / DATABASE).exists():
        raise RunError(f"{folder}: must be a run folder or a new one, but {held[0]!r} is in it; choose another name")


def _json(thing: Any) -> str:
    return json.dumps(thing, separators=(",", ":"), allow_nan=False)
