"""Samples for a model's inputs, read from files in chunks so that memory does not grow with their number.

Formats: an ``.npz`` whose arrays are named as the model's inputs, with optional integer ``labels``; a ``.npy`` for a model
of one input; a folder of such files, taken in the order of their names.

**The sample rule.** A sample is one full batch of the model. An array's first axis holds the samples times the model's own
first dimension of that input: for an input ``[1, 3, 224, 224]`` an array ``[45, 3, 224, 224]`` is 45 samples, for
``[2, 3, 224, 224]`` an array ``[6, 3, 224, 224]`` is 3. An array with one axis more, ``[S, *shape]``, is S samples. A
scalar input takes ``[S]``, or one number.

**Types.** A floating-point input takes any real numbers, converted to float32. An integer input takes integers and
booleans that fit its type, a boolean input booleans. NaN and infinite values are refused when they are met.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

import numpy as np

from fxnorm.arrays import open_npy, open_npz
from fxnorm.errors import DataError
from fxnorm.random_samples import RandomSamples, index_limit
from fxnorm.stored_samples import StoredSamples

if TYPE_CHECKING:
    import os

    from fxnorm.graph.graph import Graph

_CHUNK: Final = 1 << 20


class Source(Protocol):
    """Where samples come from."""

    @property
    def samples(self) -> int:
        """Number of samples."""
        ...

    def chunks(self, size: int) -> Iterator[dict[str, np.ndarray]]:
        """Arrays ``[n, *shape]`` by input, n at most `size`."""
        ...


@dataclass(frozen=True)
class Data:
    """Samples for one model.

    Attributes
    ----------
    description
        One line for people: what the samples are.
    sha256
        Digest of the file's bytes; of a folder, of its files' digests and names; of random samples, of what determines
        them.
    labels
        Class numbers ``[samples · batch]``, or None.
    """

    description: str
    sha256: str
    labels: np.ndarray | None
    _sources: tuple[Source, ...]

    @property
    def samples(self) -> int:
        """Number of samples, each one full batch of the model."""
        return sum(source.samples for source in self._sources)

    def chunks(self, size: int) -> Iterator[dict[str, np.ndarray]]:
        """Read all samples in order, in arrays ``[n, *graph.shape(name)]`` with n at most `size`.

        Raises
        ------
        DataError
            If a file is damaged, or a value is NaN, infinite or out of its type's range.
        """
        if size < 1:
            raise DataError(f"data: a chunk must have at least one sample, not {size}")
        for source in self._sources:
            yield from source.chunks(size)

    def head(self, count: int) -> dict[str, np.ndarray]:
        """Read the first `count` samples, or all where there are fewer: arrays ``[n, *graph.shape(name)]``."""
        taken: list[dict[str, np.ndarray]] = []
        left = count
        for chunk in self.chunks(max(1, min(count, 256))):
            length = len(next(iter(chunk.values())))
            taken.append({name: array[:left] for name, array in chunk.items()})
            left -= length
            if left <= 0:
                break
        return {name: np.concatenate([chunk[name] for chunk in taken]) for name in taken[0]}

    @staticmethod
    def open(path: str | os.PathLike[str], graph: Graph) -> Data:
        """Open samples on disk; their values are read later.

        Raises
        ------
        DataError
            If there is no such file, or its arrays do not fit the model's inputs.
        """
        path = Path(path)
        files = _files(path)
        sources = tuple(_open_file(file, graph) for file in files)
        labelled = [source for source in sources if source.label_array is not None]
        if labelled and len(labelled) < len(sources):
            without = next(source for source in sources if source.label_array is None)
            raise DataError(f"{without.where}: all files of the folder must have labels or none, but this one has none")
        labels = np.concatenate([source.labels() for source in sources]) if labelled else None
        return Data(str(path), _digest(path, files), labels, sources)

    @staticmethod
    def random(graph: Graph, samples: int, seed: int = 0) -> Data:
        """Seeded random samples: real inputs uniform in [-1, 1), integers from 0 to 127.

        An integer input that looks entries up in a table stays within the table. A sample depends on the seed and on
        its own number, not on how many there are.
        """
        if samples < 1:
            raise DataError(f"random data: must have at least one sample, not {samples}")
        limits = {name: index_limit(graph, name) for name in graph.inputs}
        source = RandomSamples(tuple(graph.values[name] for name in graph.inputs), limits, samples, seed)
        text = f"random input (seed {seed}, {samples} sample{'s' if samples != 1 else ''}): uniform in [-1, 1)"
        integers = [name for name in graph.inputs if graph.values[name].dtype.kind in "iu"]
        text += "".join(f", {name} 0 to {limits[name] - 1}" for name in integers)
        digest = hashlib.sha256(repr((text, [(v.name, v.shape, v.dtype.name) for v in source.values])).encode())
        return Data(text, digest.hexdigest(), None, (source,))


def _files(path: Path) -> list[Path]:
    try:
        if path.is_dir():
            files = sorted(file for file in path.iterdir() if file.suffix in (".npz", ".npy"))
            if not files:
                raise DataError(f"{path}: the folder must hold .npz or .npy files, but there is none")
            return files
        if not path.exists():
            raise DataError(f"{path}: there is no such file")
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be read: {error}") from None
    return [path]


def _open_file(file: Path, graph: Graph) -> StoredSamples:
    try:
        with file.open("rb") as stream:
            magic = stream.read(6)
    except OSError as error:
        raise DataError(f"{file}: cannot be read: {error}") from None
    if not magic:
        raise DataError(f"{file}: must hold arrays, but the file is empty")
    if magic == b"\x93NUMPY":
        return StoredSamples.match(str(file), {_only_input(graph, str(file)): open_npy(file)}, graph)
    if magic[:2] == b"PK":
        return StoredSamples.match(str(file), open_npz(file), graph)
    raise DataError(f"{file}: must be an .npz or .npy file, but it is neither; save it with numpy.savez")


def _only_input(graph: Graph, where: str) -> str:
    if len(graph.inputs) != 1:
        listed = ", ".join(repr(name) for name in graph.inputs)
        raise DataError(
            f"{where}: one array serves a model of one input, but this model has {listed}; save an .npz with these names"
        )
    return graph.inputs[0]


def _digest(path: Path, files: Sequence[Path]) -> str:
    if not path.is_dir():
        return _file_digest(path)
    lines = "".join(f"{_file_digest(file)}  {file.name}\n" for file in files)
    return hashlib.sha256(lines.encode(errors="surrogateescape")).hexdigest()


def _file_digest(path: Path) -> str:
    digest = hashlib.sha256()
    try:
        with path.open("rb") as stream:
            while chunk := stream.read(_CHUNK):
                digest.update(chunk)
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error}") from None
    return digest.hexdigest()
