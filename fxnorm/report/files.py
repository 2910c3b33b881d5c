"""Files that a command writes: all of them whole, or none."""

from __future__ import annotations

import os
import secrets
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from fxnorm.errors import UsageError


@dataclass(frozen=True, slots=True)
class Parcel:
    """One file on its way.

    Attributes
    ----------
    option
        Option that asked for it.
    where
        Option and name, for messages.
    target
        Its place.
    scratch
        Folder to work in.
    """

    option: str
    where: str
    target: Path
    scratch: Path

    @property
    def content(self) -> Path:
        """File to make, which will be put in place."""
        return self.scratch / "content"

    def write(self, text: str) -> None:
        """Make a text file.

        Raises
        ------
        UsageError
            If there is no room for it.
        """
        with writing(self.where):
            self.content.write_text(text, encoding="utf-8")


class Delivery:
    """Makes files in scratch folders beside their places, and puts them there together once all of them are whole.

    Parameters
    ----------
    sources
        Files and folders that the command reads; none of its own files may replace them or lie inside.
    """

    def __init__(self, sources: Iterable[str] = ()) -> None:
        self._sources = [Path(os.path.realpath(source)) for source in sources]
        self._parcels: list[Parcel] = []
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stack.close()

    def add(self, option: str, path: str) -> Parcel:
        """Promise a file, before any work is done.

        Raises
        ------
        UsageError
            If the file cannot be written, or it is promised already, or the command reads it.
        """
        where = f"{option} {path}"
        target = self._checked(option, where, path)
        # Made beside its place, so that it can be moved there in one step. A device or a pipe cannot be replaced, only written to.
        beside = target.parent if _replaceable(target) else None
        scratch = (beside or Path(tempfile.gettempdir())) / f".fxnorm-{secrets.token_hex(8)}"
        # Its removal is promised before it is made: an interrupt may come between any two steps.
        self._stack.callback(shutil.rmtree, scratch, ignore_errors=True)
        with writing(where):
            scratch.mkdir(mode=0o700)
        parcel = Parcel(option, where, target, scratch)
        self._parcels.append(parcel)
        return parcel

    def deliver(self) -> None:
        """Put all files in their places.

        Raises
        ------
        UsageError
            If one cannot be written.
        """
        for parcel in self._parcels:
            with writing(parcel.where):
                if _replaceable(parcel.target):
                    os.replace(parcel.content, parcel.target)
                else:
                    with parcel.content.open("rb") as made, parcel.target.open("wb") as stream:
                        shutil.copyfileobj(made, stream)

    def _checked(self, option: str, where: str, path: str) -> Path:
        if path == "-":
            raise UsageError(f"{where}: only --json can go to standard output; give {option} a file name")
        with writing(where):
            target = Path(os.path.realpath(path))
            if target.is_dir():
                raise UsageError(f"{where}: must be a file to write, but this is a folder; add a file name")
            if not target.parent.is_dir():
                raise UsageError(f"{where}: there is no folder {str(target.parent)!r}; create it first")
            if target.exists() and not os.access(target, os.W_OK):
                raise UsageError(
                    f"{where}: the file there must not be overwritten, it is read-only; choose another name"
                )
        for other in self._parcels:
            if other.target == target and _replaceable(target):
                raise UsageError(
                    f"{where}: {other.option} writes this file already; give each option a file of its own"
                )
        for source in self._sources:
            if target == source or source in target.parents:
                raise UsageError(f"{where}: must not be, nor lie in, what the command reads; choose another name")
        return target


def _replaceable(target: Path) -> bool:
    return target.is_file() or not target.exists()


@contextmanager
def writing(where: str) -> Iterator[None]:
    """Report what the operating system refuses as a user's error.

    Raises
    ------
    UsageError
        Instead of an OSError.
    """
    try:
        yield
    except OSError as error:
        raise UsageError(f"{where}: cannot be written: {error.strerror or error}") from error
