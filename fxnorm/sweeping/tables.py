"""The database of a run folder: how it is opened, and what its tables hold as objects. `fxnorm.sweeping.store` describes it."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from fxnorm.errors import RunError
from fxnorm.sweeping.configuration import Configuration

DATABASE: Final = "results.sqlite"
APPLICATION: Final = 0x66786E72
VERSION: Final = 1
SCHEMA: Final = """
CREATE TABLE run (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE configuration (
  id TEXT PRIMARY KEY, number INTEGER NOT NULL UNIQUE, name TEXT NOT NULL, options TEXT NOT NULL, varied TEXT NOT NULL,
  format TEXT NOT NULL, width INTEGER NOT NULL, integer_bits INTEGER NOT NULL, fraction_bits INTEGER NOT NULL,
  normalize TEXT NOT NULL, command TEXT NOT NULL, contradiction TEXT
);
CREATE TABLE attempt (
  configuration TEXT NOT NULL REFERENCES configuration (id), started TEXT NOT NULL, process TEXT NOT NULL
);
CREATE TABLE result (
  configuration TEXT PRIMARY KEY REFERENCES configuration (id),
  status TEXT NOT NULL CHECK (status IN ('done', 'refused')), reason TEXT,
  plan_digest TEXT, outputs_digest TEXT, samples INTEGER,
  accuracy_fp32 REAL, accuracy REAL, sqnr_db REAL, max_abs_error REAL, agreement REAL,
  overflow_count INTEGER, overflow_fraction REAL,
  record TEXT, cost TEXT, seconds TEXT NOT NULL, finished TEXT NOT NULL, versions TEXT NOT NULL
);
"""

COLUMNS: Final = 12
"""Of a configuration."""
METRICS: Final = (
    "plan_digest",
    "outputs_digest",
    "samples",
    "accuracy_fp32",
    "accuracy",
    "sqnr_db",
    "max_abs_error",
    "agreement",
    "overflow_count",
    "overflow_fraction",
)


@dataclass(frozen=True)
class Row:
    """A configuration and its result, as the database has them; see the tables above.

    Attributes
    ----------
    metrics
        Columns of the result from `plan_digest` to `overflow_fraction`; all null for a refusal.
    """

    configuration: Configuration
    status: str
    reason: str | None
    metrics: Mapping[str, Any]
    record: Mapping[str, Any] | None
    cost: Mapping[str, float] | None
    seconds: Mapping[str, float]
    finished: str
    versions: Mapping[str, str]


@dataclass(frozen=True)
class Run:
    """A run folder, read.

    Attributes
    ----------
    folder
        Where it is.
    run
        The table `run`.
    configurations, rows
        All that are asked for, and those that are done, in order.
    """

    folder: Path
    run: Mapping[str, Any]
    configurations: tuple[Configuration, ...]
    rows: tuple[Row, ...]


def read(folder: str | Path) -> Run:
    """Read a run folder, whether it is finished, interrupted or being written.

    Raises
    ------
    RunError
        If it is none, or damaged.
    """
    path = Path(folder) / DATABASE
    if not path_is_file(path):
        raise RunError(
            f"{folder}: is no run folder, there is no {DATABASE} in it; `fxnorm sweep … -o {folder}` makes one"
        )
    with reporting(Path(folder), "read"):
        database = connect(path)
        try:
            if tables_version(database) == 0:
                raise RunError(f"{folder}: holds no run yet; give the command that was to make it again")
            return Run(Path(folder), run_of(database), tuple(configurations_of(database)), tuple(rows_of(database)))
        finally:
            database.close()


def connect(path: Path) -> sqlite3.Connection:
    """Open a database so that a finished transaction survives anything."""
    database = sqlite3.connect(path, timeout=60.0, isolation_level=None)
    database.execute("PRAGMA journal_mode = DELETE")
    database.execute("PRAGMA synchronous = FULL")
    return database


def tables_version(database: sqlite3.Connection) -> int:
    """Version of the database's tables; 0 where there are none yet."""
    (application,) = database.execute("PRAGMA application_id").fetchone()
    (version,) = database.execute("PRAGMA user_version").fetchone()
    (tables,) = database.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if (application, version, tables) == (0, 0, 0):
        return 0
    if application != APPLICATION:
        raise sqlite3.DatabaseError("it is another program's database")
    if version != VERSION:
        raise sqlite3.DatabaseError(f"its tables have version {version}, and this program reads version {VERSION}")
    return int(version)


def run_of(database: sqlite3.Connection) -> dict[str, Any]:
    """The table `run`."""
    return {key: json.loads(value) for key, value in database.execute("SELECT key, value FROM run")}


def configurations_of(database: sqlite3.Connection) -> list[Configuration]:
    """All that are asked for, in order."""
    return [_configuration(found) for found in database.execute("SELECT * FROM configuration ORDER BY number")]


def _configuration(found: Sequence[Any]) -> Configuration:
    id_, number, name, options, varied, *rest = found
    return Configuration(number, id_, name, json.loads(options), json.loads(varied), *rest)


def rows_of(database: sqlite3.Connection) -> list[Row]:
    """All that are done, in order."""
    query = (
        "SELECT configuration.*, result.* FROM result JOIN configuration ON configuration.id = result.configuration "
        "ORDER BY configuration.number"
    )
    rows = []
    for found in database.execute(query):
        _, status, reason, *rest = found[COLUMNS:]
        metrics = dict(zip(METRICS, rest, strict=False))
        record, cost, seconds, finished, versions = rest[len(METRICS) :]
        rows.append(
            Row(
                _configuration(found[:COLUMNS]),
                status,
                reason,
                metrics,
                None if record is None else json.loads(record),
                None if cost is None else json.loads(cost),
                json.loads(seconds),
                finished,
                json.loads(versions),
            )
        )
    return rows


@contextmanager
def reporting(folder: Path, what: str = "written") -> Iterator[None]:
    """Report what the operating system and SQLite refuse as a user's error.

    Raises
    ------
    RunError
        Instead of an OSError or an error of SQLite.
    """
    try:
        yield
    except sqlite3.OperationalError as error:
        raise RunError(
            f"{folder}: cannot be {what}: {error}; what was finished is safe there: "
            "make room, or wait for who holds it, and give the same command again"
        ) from error
    except sqlite3.Error as error:
        raise RunError(f"{folder}: {DATABASE} cannot be used: {error}; choose another folder") from error
    except OSError as error:
        raise RunError(f"{folder}: cannot be {what}: {error.strerror or error}") from error


def path_is_file(path: Path) -> bool:
    """Whether there is such a file; a path may be none at all."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False
