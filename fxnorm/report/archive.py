"""Files that are written whole or not at all; arrays of any length without holding them in memory."""

from __future__ import annotations

import os
import tempfile
import zipfile
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

import numpy as np

from fxnorm.errors import UsageError
from fxnorm.kernels.encoding import Encoding

Array = np.ndarray


def check_target(path: str) -> None:
    """Refuse a file that cannot be written, before any work is done."""
    target = Path(path)
    if target.is_dir():
        raise UsageError(f"{path}: must be a file to write, not a folder")
    if not target.parent.is_dir():
        raise UsageError(f"{path}: the folder {target.parent} does not exist; create it first")
    if not os.access(target.parent, os.W_OK):
        raise UsageError(f"{path}: the folder {target.parent} cannot be written to")


def write_text(path: str, text: str) -> None:
    """Write a text file, whole or not at all."""
    check_target(path)
    target = Path(path)
    descriptor, scratch = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            stream.write(text)
        _settle(scratch, target)
    except BaseException as error:
        Path(scratch).unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise UsageError(f"{path}: cannot be written: {error.strerror or error}") from error
        raise


def _settle(scratch: str, target: Path) -> None:
    umask = os.umask(0)
    os.umask(umask)
    os.chmod(scratch, 0o666 & ~umask)
    os.replace(scratch, target)


class Archive:
    """An .npz file of values, filled chunk by chunk.

    Parameters
    ----------
    path
        File to write; None makes an archive that takes nothing.
    """

    def __init__(self, path: str | None) -> None:
        self.path = path
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._streams: dict[str, BinaryIO] = {}
        self._shapes: dict[str, tuple[int, ...]] = {}

    @property
    def wanted(self) -> bool:
        """Whether anything is kept."""
        return self.path is not None

    def __enter__(self) -> Self:
        if self.path is not None:
            target = Path(self.path)
            try:
                self._folder = tempfile.TemporaryDirectory(prefix=f".{target.name}.", dir=target.parent)
            except OSError as error:
                raise UsageError(f"{self.path}: cannot be written: {error.strerror or error}") from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for stream in self._streams.values():
            stream.close()
        if self._folder is not None:
            self._folder.cleanup()

    def append(self, name: str, codes: Array, encoding: Encoding) -> None:
        """Add samples of a value, as NAME.codes (int64) and NAME.values (float64)."""
        if self._folder is None:
            return
        for suffix, array in (("codes", codes), ("values", encoding.decode(codes))):
            key = f"{_member(name)}.{suffix}"
            if key not in self._streams:
                # Files are numbered: a model's text is no path.
                self._streams[key] = (Path(self._folder.name) / f"{len(self._streams)}.raw").open("w+b")
                self._shapes[key] = (0, *array.shape[1:])
            self._shapes[key] = (self._shapes[key][0] + array.shape[0], *array.shape[1:])
            try:
                self._streams[key].write(np.ascontiguousarray(array).tobytes())
            except OSError as error:
                raise UsageError(f"{self.path}: cannot be written: {error.strerror or error}") from error

    def finish(self) -> None:
        """Put the file in its place."""
        if self._folder is None or self.path is None:
            return
        scratch = str(Path(self._folder.name) / "archive.npz")
        try:
            with zipfile.ZipFile(scratch, "w", allowZip64=True) as archive:
                for key, stream in self._streams.items():
                    stream.flush()
                    stream.seek(0)
                    dtype = np.dtype(np.int64 if key.endswith(".codes") else np.float64)
                    with archive.open(f"{key}.npy", "w", force_zip64=True) as member:
                        header = {"descr": dtype.str, "fortran_order": False, "shape": self._shapes[key]}
                        np.lib.format.write_array_header_1_0(member, header)
                        while block := stream.read(1 << 20):
                            member.write(block)
            _settle(scratch, Path(self.path))
        except OSError as error:
            raise UsageError(f"{self.path}: cannot be written: {error.strerror or error}") from error


def _member(name: str) -> str:
    """A value's name as a member of a zip file: as it is, unless unpacking it could leave the folder."""
    parts = name.split("/")
    if name.startswith("/") or "\\" in name or "\0" in name or ".." in parts or ":" in parts[0][:2]:
        return "".join(c if c.isalnum() or c in "-_." else f"%{ord(c):02X}" for c in name.replace("..", "%2E%2E"))
    return name
