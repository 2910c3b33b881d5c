"""Results from where they are kept: a run's folder, or the file of a single run."""

from __future__ import annotations

from pathlib import Path

from fxnorm.page.folder import read_folder
from fxnorm.page.plain import Entry, read_text
from fxnorm.page.records import read_record
from fxnorm.page.results import Results


def read(path: str) -> Results:
    """Results of a run's folder, or of a file that `simulate --json` wrote.

    Raises
    ------
    DataError
        If it is neither, or is damaged.
    """
    place = Path(path)
    if place.is_dir():
        return read_folder(place)
    return read_record(Entry.parse(read_text(place, path), path))
