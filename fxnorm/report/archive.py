"""Values of any number of samples as an .npz file, without holding them in memory."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from fxnorm.errors import UsageError
from fxnorm.kernels.encoding import Encoding
from fxnorm.planning.plan import Plan
from fxnorm.report.files import Parcel, writing
from fxnorm.simulation import merged

Array = np.ndarray

BLOCK: Final = 1 << 17
"""Codes that are turned into real numbers at a time."""
LONGEST_NAME: Final = 60_000
"""Bytes of a value's name; a zip file cannot name a member by more than 65,535."""


@dataclass(slots=True)
class _Collected:
    """Codes of one value so far, in a file of their own."""

    path: Path
    encoding: Encoding
    tail: tuple[int, ...]
    count: int = 0


class Archive:
    """An .npz file with two arrays a value, NAME.codes (int64) and NAME.values (float64), filled chunk by chunk.

    Parameters
    ----------
    parcel
        The file on its way.
    """

    def __init__(self, parcel: Parcel) -> None:
        self._parcel = parcel
        self._collected: dict[str, _Collected] = {}

    def append(self, name: str, codes: Array, encoding: Encoding) -> None:
        """Add samples [n, ...] of a value.

        Raises
        ------
        UsageError
            If there is no room for them.
        """
        if name not in self._collected:
            # Numbered files, not open: a model's text is no path, and it may have more values than a process may have files.
            path = self._parcel.scratch / f"{len(self._collected)}.codes"
            self._collected[name] = _Collected(path, encoding, codes.shape[1:])
        collected = self._collected[name]
        with writing(self._parcel.where), collected.path.open("ab") as stream:
            stream.write(np.ascontiguousarray(codes, "<i8").data.cast("B") if codes.size else b"")
        collected.count += len(codes)

    def finish(self) -> None:
        """Make the file.

        Raises
        ------
        UsageError
            If there is no room for it, or a name is too long for a zip file.
        """
        with writing(self._parcel.where), zipfile.ZipFile(self._parcel.content, "w", allowZip64=True) as archive:
            for name, collected in self._collected.items():
                for kind, dtype in (("codes", "<i8"), ("values", "<f8")):
                    # A ZipInfo by hand bears no time of day: the same run gives the same file.
                    member = zipfile.ZipInfo(f"{self._member(name)}.{kind}.npy")
                    with archive.open(member, "w", force_zip64=True) as stream:
                        shape = (collected.count, *collected.tail)
                        header = {"descr": dtype, "fortran_order": False, "shape": shape}
                        np.lib.format.write_array_header_1_0(stream, header)
                        self._copy(collected, kind, stream)
                collected.path.unlink()

    @staticmethod
    def _copy(collected: _Collected, kind: str, stream: Any) -> None:
        with collected.path.open("rb") as source:
            while block := source.read(BLOCK * 8):
                if kind == "codes":
                    stream.write(block)
                else:
                    values = collected.encoding.decode(np.frombuffer(block, "<i8"))
                    stream.write(np.ascontiguousarray(values, "<f8").data.cast("B"))

    def _member(self, name: str) -> str:
        if len(name.encode(errors="surrogatepass")) > LONGEST_NAME:
            raise UsageError(
                f"{self._parcel.where}: the value named {name[:40]!r}… has too long a name for an .npz file"
            )
        return member_name(name)


def collector(plan: Plan, outputs: Archive | None, trace: Archive | None) -> Callable[[str, Array], None] | None:
    """What takes every value (its name and codes) on its way into the files that are wanted; None where none is."""
    if outputs is None and trace is None:
        return None
    names: dict[str, list[str]] = {}
    for name, value in plan.outputs.items():
        names.setdefault(value, []).append(name)

    def watch(value: str, codes: Array) -> None:
        encoding = plan.values[value].encoding
        if trace is not None:
            trace.append(value, merged(codes), encoding)
        if outputs is not None:
            for name in names.get(value, ()):
                outputs.append(name, merged(codes), encoding)

    return watch


def member_name(name: str) -> str:
    """A value's name as the name of a zip file's member, from which `urllib.parse.unquote` gives the value's name back.

    It is the value's name itself, but for what a zip file cannot hold or what would lead out of the folder that it is unpacked in: control
    characters, and ``..`` between slashes, are written as %XX; so is a % that could be mistaken for one of these.
    """
    safe = re.sub(r"%(?=[0-9A-Fa-f]{2})", "%25", name)
    safe = "".join(c if c.isprintable() else _quoted(c) for c in safe)
    return re.sub(r"(?<![^/\\])\.\.(?![^/\\])", "%2E%2E", safe)


def _quoted(character: str) -> str:
    return "".join(f"%{byte:02X}" for byte in character.encode(errors="surrogatepass"))
