"""JSON from a file, read strictly: what is not of the kind that it should be is refused, wherever it stands."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from fxnorm.errors import DataError
from fxnorm.report.text import ELLIPSIS, printable

LONGEST_TEXT: Final = 160
"""Characters of a stranger's name that are shown."""
LONGEST_LINE: Final = 4000
"""Characters of a command line, a path or a reason."""


class Entry:
    """One object of a JSON file.

    Parameters
    ----------
    content
        What was read.
    where
        File and place in it, for messages.

    Raises
    ------
    DataError
        If it is no object; every method does so where it finds something else than it should.
    """

    def __init__(self, content: Any, where: str) -> None:
        if not isinstance(content, Mapping):
            raise DataError(f"{where}: must be an object, not {_kind(content)}; make the file again")
        self._content = content
        self.where = where

    @classmethod
    def parse(cls, text: str | bytes, where: str) -> Entry:
        """Read JSON text."""
        try:
            return cls(json.loads(text), where)
        except (ValueError, RecursionError) as error:
            raise DataError(f"{where}: must be JSON: {error}; make the file again") from None

    def __contains__(self, key: str) -> bool:
        return self._content.get(key) is not None

    def __iter__(self) -> Iterator[str]:
        return iter(self._content)

    def text(self, key: str, default: str = "") -> str:
        """A string; the default where it is missing or null."""
        value = self._content.get(key)
        if value is None:
            return default
        if not isinstance(value, str):
            raise self._wrong(key, "a string", value)
        return value

    def words(self, key: str, default: str = "", longest: int = LONGEST_TEXT) -> str:
        """A string for people to read: on one line, without control characters, not endless."""
        return clean(self.text(key, default), longest)

    def number(self, key: str) -> float | None:
        """A finite number; None where it is missing or null."""
        value = self._content.get(key)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self._wrong(key, "a number", value)
        try:
            number = float(value)
        except OverflowError:
            raise self._wrong(key, "a number that a double holds", value) from None
        if not math.isfinite(number):
            raise self._wrong(key, "a finite number", value)
        return number

    def count(self, key: str, default: int = 0) -> int:
        """A whole number; the default where it is missing or null."""
        value = self._content.get(key)
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, int):
            raise self._wrong(key, "a whole number", value)
        return value

    def truth(self, key: str) -> bool:
        """True or false."""
        value = self._content.get(key)
        if not isinstance(value, bool):
            raise self._wrong(key, "true or false", value)
        return value

    def counts(self, key: str) -> tuple[int, ...]:
        """A list of whole numbers that are not negative; none where it is missing or null."""
        value = self._content.get(key)
        if value is None:
            return ()
        if not isinstance(value, list) or any(isinstance(v, bool) or not isinstance(v, int) or v < 0 for v in value):
            raise self._wrong(key, "a list of counts", value)
        return tuple(value)

    def texts(self, key: str) -> tuple[str, ...]:
        """A list of strings; none where it is missing or null."""
        value = self._content.get(key)
        if value is None:
            return ()
        if not isinstance(value, list) or not all(isinstance(entry, str) for entry in value):
            raise self._wrong(key, "a list of strings", value)
        return tuple(value)

    def entry(self, key: str) -> Entry:
        """An object; an empty one where it is missing or null."""
        return Entry(self._content.get(key) or {}, f"{self.where}, {key}")

    def entries(self, key: str) -> list[Entry]:
        """A list of objects; none where it is missing or null."""
        value = self._content.get(key)
        if value is None:
            return []
        if not isinstance(value, list):
            raise self._wrong(key, "a list", value)
        return [Entry(one, f"{self.where}, {key}[{index}]") for index, one in enumerate(value)]

    def spelled(self, key: str) -> str:
        """Anything as words: strings as they are, everything else as JSON."""
        value = self._content.get(key)
        return clean(value if isinstance(value, str) else json.dumps(value))

    def _wrong(self, key: str, wanted: str, found: Any) -> DataError:
        return DataError(f"{self.where}: {key!r} must be {wanted}, not {_kind(found)}; make the file again")


def clean(text: str, longest: int = LONGEST_TEXT) -> str:
    """A stranger's text for people to read: on one line, without control characters, not endless."""
    text = printable(text)
    return text if len(text) <= longest else text[: longest - 1] + ELLIPSIS


def read_text(path: str | Path, where: str) -> str:
    """A file's text.

    Raises
    ------
    DataError
        If it cannot be read.
    """
    try:
        return Path(path).read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no UTF-8 text"
        raise DataError(
            f"{where}: cannot be read: {reason}; name a run's folder or a file of `simulate --json`"
        ) from None


def _kind(value: Any) -> str:
    return {dict: "an object", list: "a list", str: "a string", bool: "true or false", type(None): "null"}.get(
        type(value), repr(value)
    )
