"""What a command says: a table for people, or JSON for scripts and nothing else, and notes beside them."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any, Final

from fxnorm.report.files import Delivery
from fxnorm.report.text import printable

STANDARD_OUTPUT: Final = "-"


class Output:
    """Where the record of a command goes, and whether people are told of it on standard output.

    Parameters
    ----------
    json_file
        What `--json` names: a file, "-" for standard output, or None.
    delivery
        What puts the file in its place; the file is promised at once.
    """

    def __init__(self, json_file: str | None, delivery: Delivery) -> None:
        self.direct = json_file == STANDARD_OUTPUT
        self._parcel = None if json_file is None or self.direct else delivery.add("--json", json_file)
        self._text = ""

    def write(self, record: Any) -> None:
        """Take the record, before the delivery.

        Raises
        ------
        UsageError
            If there is no room for it.
        """
        if self.direct:
            self._text = as_json(record)
        elif self._parcel is not None:
            self._parcel.write(as_json(record))

    def announce(self, text: str) -> None:
        """Print a line before everything else; beside JSON it goes to standard error."""
        if self.direct:
            note(text)
        else:
            print(printable(text), flush=True)

    def show(self, table: Callable[[], None]) -> None:
        """Print the JSON that goes to standard output, or else a table for people."""
        if self.direct:
            sys.stdout.write(self._text)
        else:
            table()


def note(text: str) -> None:
    """Print a line on standard error."""
    print(f"fxnorm: {printable(text)}", file=sys.stderr)


def as_json(record: Any) -> str:
    """JSON in ASCII, so that a model's text can do nothing to a terminal; nothing in it may be infinite."""
    return json.dumps(record, indent=1, ensure_ascii=True, allow_nan=False) + "\n"
