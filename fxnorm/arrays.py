"""Arrays in ``.npy`` and ``.npz`` files, read a few rows at a time.

Only the headers are read when a file is opened. Members of an archive are streamed, stored or deflated; ``.npy`` files are mapped into
memory. Nothing is ever unpickled.
"""

from __future__ import annotations

import math
import warnings
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

import numpy as np

from fxnorm.errors import DataError

HEADER_LIMIT: Final = 10_000


@dataclass(frozen=True, slots=True)
class StoredArray:
    """An array in a file, of which only the header has been read.

    Attributes
    ----------
    where
        How messages name it.
    shape, dtype
        From its header.
    """

    where: str
    shape: tuple[int, ...]
    dtype: np.dtype[np.generic]
    _rows: Callable[[int], Iterator[np.ndarray]]

    def blocks(self, rows: int) -> Iterator[np.ndarray]:
        """Consecutive blocks ``[at most rows, *shape[1:]]`` in the order of the file.

        Raises
        ------
        DataError
            If the file turns out to be damaged.
        """
        try:
            yield from self._rows(rows)
        except DataError:
            raise
        except GeneratorExit:
            raise
        except Exception as error:  # zlib, lzma, zipfile and numpy each raise kinds of their own for damaged files
            raise DataError(
                f"{self.where}: cannot be read: {_reason(error)}; the file is damaged or was cut short"
            ) from error

    def read(self) -> np.ndarray:
        """Read the whole array."""
        return np.concatenate(list(self.blocks(max(1, self.shape[0] if self.shape else 1)))).reshape(self.shape)


def open_npy(path: Path) -> StoredArray:
    """Open a ``.npy`` file.

    Raises
    ------
    DataError
        If it is no such file, is damaged, or holds Python objects.
    """
    where = str(path)
    try:
        with path.open("rb") as stream:
            shape, dtype, fortran = _header(stream, where)
            offset = stream.tell()
        size = path.stat().st_size - offset
    except DataError:
        raise
    except Exception as error:
        raise DataError(f"{where}: not a .npy file: {_reason(error)}; save it with numpy.save") from error
    _check_size(where, shape, dtype, size)

    def rows(count: int) -> Iterator[np.ndarray]:
        if math.prod(shape) == 0:
            return
        whole = np.memmap(path, dtype, "r", offset, shape or (1,), "F" if fortran else "C")
        for start in range(0, len(whole), count):
            yield np.array(whole[start : start + count])

    return StoredArray(where, shape, dtype, rows)


def open_npz(path: Path) -> Mapping[str, StoredArray]:
    """Open an ``.npz`` archive; its arrays by name.

    Raises
    ------
    DataError
        If it is no such file, is damaged, or holds anything but arrays of numbers stored row by row.
    """
    found: dict[str, StoredArray] = {}
    try:
        with zipfile.ZipFile(path) as archive:
            for info in archive.infolist():
                name = info.filename.removesuffix(".npy")
                where = f"{path}: array {name!r}"
                if name == info.filename:
                    raise DataError(
                        f"{path}: must hold .npy arrays only, but it holds {name!r}; save it with numpy.savez"
                    )
                if name in found:
                    raise DataError(f"{where} is there twice; save it again with numpy.savez")
                found[name] = _member(path, archive, info, where)
    except DataError:
        raise
    except Exception as error:  # see StoredArray.blocks
        raise DataError(f"{path}: not an .npz archive: {_reason(error)}; save it with numpy.savez") from error
    return found


def _member(path: Path, archive: zipfile.ZipFile, info: zipfile.ZipInfo, where: str) -> StoredArray:
    try:
        with archive.open(info) as stream:
            shape, dtype, fortran = _header(stream, where)
            offset = stream.tell()
    except DataError:
        raise
    except Exception as error:
        raise DataError(f"{where}: cannot be read: {_reason(error)}; the file is damaged") from error
    if fortran and len(shape) > 1:
        raise DataError(
            f"{where}: must be stored row by row, but is in Fortran order; save numpy.ascontiguousarray of it"
        )
    _check_size(where, shape, dtype, info.file_size - offset)

    def rows(count: int) -> Iterator[np.ndarray]:
        with zipfile.ZipFile(path) as again, again.open(info.filename) as stream:
            _header(stream, where)
            row_shape, total = shape[1:], shape[0] if shape else 1
            for start in range(0, total, count):
                block = (min(count, total - start), *row_shape)
                yield _read(stream, block, dtype)
            if stream.read(1):
                raise DataError(f"{where}: holds more bytes than its header says; the file is damaged")

    return StoredArray(where, shape, dtype, rows)


def _read(stream: IO[bytes], shape: tuple[int, ...], dtype: np.dtype[np.generic]) -> np.ndarray:
    array = np.empty(shape, dtype)
    view = memoryview(array.reshape(-1).view(np.uint8).data) if array.nbytes else memoryview(b"")
    filled = 0
    while filled < len(view):
        data = stream.read(min(len(view) - filled, 1 << 20))
        if not data:
            raise EOFError("it ends too early")
        view[filled : filled + len(data)] = data
        filled += len(data)
    return array


def _header(stream: IO[bytes], where: str) -> tuple[tuple[int, ...], np.dtype[np.generic], bool]:
    """Shape, type and order from the header of a ``.npy`` stream."""
    version = np.lib.format.read_magic(stream)
    if version not in ((1, 0), (2, 0)):
        raise DataError(f"{where}: .npy format {version[0]}.{version[1]} is not read; save a plain array of numbers")
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about headers that Python 2 wrote
        shape, fortran, dtype = read(stream, max_header_size=HEADER_LIMIT)
    if dtype.hasobject:
        raise DataError(f"{where}: must hold numbers, but holds pickled Python objects, which are never loaded")
    if any(size < 0 for size in shape):
        raise DataError(
            f"{where}: dimensions must not be negative, but its shape is {list(shape)}; the file is damaged"
        )
    return shape, dtype, fortran


def _check_size(where: str, shape: tuple[int, ...], dtype: np.dtype[np.generic], size: int) -> None:
    needed = math.prod(shape) * dtype.itemsize
    if needed != size:
        raise DataError(
            f"{where}: its shape {list(shape)} needs {needed} bytes, but there are {size}; the file was cut short"
        )


def _reason(error: BaseException) -> str:
    text = str(error).strip()
    return text.splitlines()[0] if text else type(error).__name__
