"""A baseline: earlier results that a run must not fall behind."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from fxnorm.errors import DataError

Entry = Mapping[str, Any]
LARGEST: Final = 1 << 28
"""Bytes that are read."""
RESULTS_VERSION: Final = 1


@dataclass(frozen=True)
class Result:
    """What a baseline has of one configuration.

    Attributes
    ----------
    accuracy
        Of the fixed-point network; None without labels.
    outputs
        By name: "sqnr_db", "max_abs_error" and, where there is one, "argmax_agreement".
    reason
        Why it could not be run; None where it could.
    """

    accuracy: float | None
    outputs: Mapping[str, Entry]
    reason: str | None = None


@dataclass(frozen=True)
class Baseline:
    """Results of a file.

    Attributes
    ----------
    path
        The file.
    model, data
        SHA-256 of what they were made with.
    entries
        By digest of the options; of a single run one, under "".
    single
        Whether it is a single run, which is held against any other one.
    """

    path: str
    model: str
    data: str
    entries: Mapping[str, Result]
    single: bool

    @classmethod
    def read(cls, path: str | Path) -> Baseline:
        """Read what a sweep writes as results.json, or what `simulate --json` writes.

        Raises
        ------
        DataError
            If it is neither, or holds no result.
        """
        where = str(path)
        content = _content(where)
        try:
            single = "rows" not in content
            if not single and content["version"] != RESULTS_VERSION:
                raise DataError(
                    f"--baseline {where}: must be of version {RESULTS_VERSION}, not {content['version']!r}; make it anew"
                )
            found = {"": _result(content)} if single else {_text(row["id"]): _result(row) for row in content["rows"]}
            made = cls(where, _text(content["model"]["sha256"]), _text(content["data"]["sha256"]), found, single)
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise DataError(
                f"--baseline {where}: must be the results.json of a sweep or what `simulate --json` writes, and it is neither "
                f"({type(error).__name__}: {error}); make it anew"
            ) from None
        if not any(entry.reason is None for entry in found.values()):
            raise DataError(f"--baseline {where}: must hold results, and there is none in it; make it anew")
        return made

    def check(self, model: str, data: str, *, other_model: bool = False) -> None:
        """Refuse to be held against what cannot be compared.

        Parameters
        ----------
        model, data
            SHA-256 of what is run now.
        other_model
            Whether another model is meant: the same network, trained anew.

        Raises
        ------
        DataError
            If it was made with other data, or for another model that is not meant.
        """
        if self.data != data:
            raise DataError(
                f"--baseline {self.path}: was made with other data (SHA-256 {self.data[:16]}…, not {data[:16]}…), so that nothing "
                "can be compared; make it anew with these"
            )
        if self.model != model and not other_model:
            raise DataError(
                f"--baseline {self.path}: is of another model (SHA-256 {self.model[:16]}…, not {model[:16]}…); make it anew, or give "
                "--baseline-other-model if this is the same network, trained anew"
            )

    def of(self, id_: str) -> Result | None:
        """Result of a configuration."""
        return self.entries.get("" if self.single else id_)


def _content(where: str) -> dict[str, Any]:
    try:
        with Path(where).open("rb") as stream:
            raw = stream.read(LARGEST + 1)
    except (OSError, ValueError) as error:
        raise DataError(f"--baseline {where}: cannot be read: {getattr(error, 'strerror', None) or error}") from None
    if len(raw) > LARGEST:
        raise DataError(f"--baseline {where}: must be at most {LARGEST >> 20} MiB; it is no file of results")
    try:
        content = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise DataError(f"--baseline {where}: is not JSON: {error}") from None
    if not isinstance(content, dict):
        raise DataError(f"--baseline {where}: must be a JSON object with results, not {type(content).__name__}")
    return content


def _result(record: Mapping[str, Any]) -> Result:
    if record.get("status", "done") != "done":
        return Result(None, {}, str(record.get("reason")))
    accuracy = record.get("accuracy")
    outputs = {name: _output(output) for name, output in record["outputs"].items()}
    return Result(None if accuracy is None else _number(accuracy["fixed"]), outputs)


def _output(output: Mapping[str, Any]) -> Entry:
    found: dict[str, Any] = {}
    for name in ("sqnr_db", "max_abs_error"):
        found[name] = None if output[name] is None else _number(output[name])
    if output.get("argmax_agreement") is not None:
        found["argmax_agreement"] = _number(output["argmax_agreement"])
    return found


def _number(thing: Any) -> float:
    if isinstance(thing, bool) or not isinstance(thing, int | float) or not math.isfinite(thing):
        raise ValueError(f"{thing!r} is no number")
    return float(thing)


def _text(thing: Any) -> str:
    if not isinstance(thing, str):
        raise ValueError(f"{thing!r} is no text")
    return thing
