"""Samples for a model's inputs, read from files in chunks so that memory does not grow with their number.

Formats: an ``.npz`` whose arrays are named as the model's inputs, with optional integer ``labels``; a ``.npy`` for a model of one input; a
folder of such files, taken in the order of their names.

**The sample rule.** A sample is one full batch of the model. An array's first axis holds the samples times the model's own first
dimension of that input: for an input ``[1, 3, 224, 224]`` an array ``[45, 3, 224, 224]`` is 45 samples, for ``[2, 3, 224, 224]`` an array
``[6, 3, 224, 224]`` is 3. An array with one axis more, ``[S, *shape]``, is S samples. A scalar input takes ``[S]``, or one number.

**Types.** A floating-point input takes any real numbers, converted to float32. An integer input takes integers and booleans that fit its
type, a boolean input booleans. NaN and infinite values are refused when they are met.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

import numpy as np

from fxnorm.arrays import StoredArray, open_npy, open_npz
from fxnorm.errors import DataError

if TYPE_CHECKING:
    import os

    from fxnorm.graph.graph import Graph, Value

LABELS: Final = "labels"
RANDOM_INTEGERS: Final = 128
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
        Digest of the file's bytes; of a folder, of its files' digests and names; of random samples, of what determines them.
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
        """All samples in order, in arrays ``[n, *graph.shape(name)]`` with n at most `size`.

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
        """The first `count` samples, or all where there are fewer: arrays ``[n, *graph.shape(name)]``."""
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
        data = Data(str(path), _digest(path, files), labels, sources)
        if data.samples == 0:
            raise DataError(f"{path}: must hold at least one sample, but it is empty")
        return data

    @staticmethod
    def random(graph: Graph, samples: int, seed: int = 0) -> Data:
        """Seeded random samples: real inputs uniform in [-1, 1), integers from 0 to 127.

        An integer input that looks entries up in a table stays within the table. A sample depends on the seed and its own number only.
        """
        if samples < 1:
            raise DataError(f"random data: must have at least one sample, not {samples}")
        limits = {name: _index_limit(graph, name) for name in graph.inputs}
        source = _RandomSource(tuple(graph.values[name] for name in graph.inputs), limits, samples, seed)
        text = f"random input (seed {seed}, {samples} sample{'s' if samples != 1 else ''}): uniform in [-1, 1)"
        integers = [name for name in graph.inputs if graph.values[name].dtype.kind in "iu"]
        text += "".join(f", {name} 0 to {limits[name] - 1}" for name in integers)
        digest = hashlib.sha256(repr((text, [(v.name, v.shape, v.dtype.name) for v in source.values])).encode())
        return Data(text, digest.hexdigest(), None, (source,))

    @staticmethod
    def from_arrays(arrays: Mapping[str, np.ndarray] | np.ndarray, graph: Graph) -> Data:
        """Samples in memory, by the same rules as files.

        Parameters
        ----------
        arrays
            Arrays by input name, with optional ``labels``; or one array for a model of one input.
        """
        if isinstance(arrays, np.ndarray):
            arrays = {_only_input(graph, "data"): arrays}
        stored = {name: _in_memory(f"data: array {name!r}", np.asarray(array)) for name, array in arrays.items()}
        source = _FileSource.make("data", stored, graph)
        digest = hashlib.sha256()
        for name, array in sorted(arrays.items()):
            array = np.asarray(array)
            digest.update(repr((name, array.shape, array.dtype.str)).encode())
            digest.update(np.ascontiguousarray(array).data if array.dtype.kind in "biuf" else b"")
        return Data(
            "arrays", digest.hexdigest(), source.labels() if source.label_array is not None else None, (source,)
        )


@dataclass(frozen=True)
class _FileSource:
    where: str
    values: tuple[Value, ...]
    arrays: Mapping[str, StoredArray]
    label_array: StoredArray | None
    samples: int
    rows: int

    @staticmethod
    def make(where: str, arrays: Mapping[str, StoredArray], graph: Graph) -> _FileSource:
        """Check the arrays of one file against the model's inputs."""
        inputs = {name: arrays[name] for name in graph.inputs if name in arrays}
        listed = ", ".join(repr(name) for name in graph.inputs)
        for name in graph.inputs:
            if name not in arrays:
                raise DataError(
                    f"{where}: must hold an array for every input ({listed}), but {name!r} is missing; it holds {_names(arrays)}"
                )
        for name in arrays:
            if name not in graph.inputs and name != LABELS:
                raise DataError(
                    f"{where}: array {name!r} is no input of the model; inputs are {listed}, and 'labels' may be added"
                )
        counts = {name: _count(array, graph.values[name]) for name, array in inputs.items()}
        if len(set(counts.values())) > 1:
            shown = ", ".join(f"{name!r} {count}" for name, count in counts.items())
            raise DataError(f"{where}: all inputs must have the same number of samples, but they have: {shown}")
        for name, array in inputs.items():
            _check_type(array, graph.values[name])
        samples = next(iter(counts.values()))
        labels = arrays.get(LABELS) if LABELS not in graph.inputs else None
        rows = samples * (graph.batch or 1)
        if labels is not None:
            if labels.dtype.kind not in "iu":
                raise DataError(f"{labels.where}: must be class numbers (integers), not {labels.dtype}")
            if labels.shape != (rows,):
                raise DataError(
                    f"{labels.where}: must have one label for each of the {rows} inputs, but its shape is {list(labels.shape)}"
                )
        return _FileSource(where, tuple(graph.values[name] for name in graph.inputs), inputs, labels, samples, rows)

    def labels(self) -> np.ndarray:
        """Labels of this file, ``[samples · batch]``."""
        if self.label_array is None:
            raise DataError(f"{self.where}: holds no labels")
        return self.label_array.read().astype(np.int64)

    def chunks(self, size: int) -> Iterator[dict[str, np.ndarray]]:
        """See `Data.chunks`."""
        streams = []
        for value in self.values:
            array = self.arrays[value.name]
            streams.append(
                array.blocks(size if len(array.shape) != len(value.shape) or not value.shape else size * value.shape[0])
            )
        start = 0
        for blocks in zip(*streams, strict=True):
            chunk = {}
            for value, block in zip(self.values, blocks, strict=True):
                chunk[value.name] = _converted(
                    self.arrays[value.name].where, block.reshape(-1, *value.shape), value, start
                )
            start += len(next(iter(chunk.values())))
            yield chunk


@dataclass(frozen=True)
class _RandomSource:
    values: tuple[Value, ...]
    limits: Mapping[str, int]
    samples: int
    seed: int

    def chunks(self, size: int) -> Iterator[dict[str, np.ndarray]]:
        """See `Data.chunks`."""
        for start in range(0, self.samples, size):
            indices = range(start, min(start + size, self.samples))
            yield {
                value.name: np.stack([self._sample(number, value, index) for index in indices])
                for number, value in enumerate(self.values)
            }

    def _sample(self, number: int, value: Value, index: int) -> np.ndarray:
        generator = np.random.default_rng((abs(self.seed), int(self.seed < 0), number, index))
        if value.dtype.kind in "iu":
            return generator.integers(0, self.limits[value.name], value.shape).astype(value.dtype)
        if value.dtype.kind == "b":
            return generator.integers(0, 2, value.shape).astype(np.bool_)
        return (generator.random(value.shape, dtype=np.float32) * np.float32(2) - np.float32(1)).astype(value.dtype)


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


def _open_file(file: Path, graph: Graph) -> _FileSource:
    try:
        with file.open("rb") as stream:
            magic = stream.read(6)
    except OSError as error:
        raise DataError(f"{file}: cannot be read: {error}") from None
    if not magic:
        raise DataError(f"{file}: must hold arrays, but the file is empty")
    if magic == b"\x93NUMPY":
        return _FileSource.make(str(file), {_only_input(graph, str(file)): open_npy(file)}, graph)
    if magic[:2] == b"PK":
        return _FileSource.make(str(file), open_npz(file), graph)
    raise DataError(f"{file}: must be an .npz or .npy file, but it is neither; save it with numpy.savez")


def _only_input(graph: Graph, where: str) -> str:
    if len(graph.inputs) != 1:
        listed = ", ".join(repr(name) for name in graph.inputs)
        raise DataError(
            f"{where}: one array serves a model of one input, but this model has {listed}; save an .npz with these names"
        )
    return graph.inputs[0]


def _in_memory(where: str, array: np.ndarray) -> StoredArray:
    if array.dtype.hasobject:
        raise DataError(f"{where}: must hold numbers, but holds Python objects")

    def rows(count: int) -> Iterator[np.ndarray]:
        whole = array.reshape(1) if array.ndim == 0 else array
        for start in range(0, len(whole), count):
            yield whole[start : start + count]

    return StoredArray(where, array.shape, array.dtype, rows)


def _count(array: StoredArray, value: Value) -> int:
    """Samples in an array, by the sample rule."""
    shape = array.shape
    if not value.shape and shape == ():
        return 1
    if len(shape) == len(value.shape) + 1 and shape[1:] == value.shape:
        count, rest = shape[0], 0
    elif value.shape and len(shape) == len(value.shape) and shape[1:] == value.shape[1:]:
        count, rest = divmod(shape[0], value.shape[0])
    else:
        wanted = " × ".join(["samples", *(str(size) for size in value.shape[1:])]) if value.shape else "samples"
        raise DataError(f"{array.where}: input {value.name!r} needs the shape {wanted}, but it has {list(shape)}")
    if rest:
        raise DataError(
            f"{array.where}: the model takes {value.shape[0]} inputs at a time, and {shape[0]} is no multiple of it; try --batch 1"
        )
    if count == 0:
        raise DataError(f"{array.where}: must hold at least one sample, but its shape is {list(shape)}")
    return count


def _check_type(array: StoredArray, value: Value) -> None:
    given, wanted = array.dtype.kind, value.dtype.kind
    allowed = {"b": "b", "i": "biu", "u": "biu", "f": "biuf"}.get(wanted, "biuf")
    if given not in allowed:
        kinds = {"b": "booleans", "i": "integers", "u": "integers"}.get(wanted, "real numbers")
        raise DataError(
            f"{array.where}: input {value.name!r} needs {kinds} ({value.dtype}), but its type is {array.dtype}"
        )


def _converted(where: str, block: np.ndarray, value: Value, start: int) -> np.ndarray:
    """A block of samples in the input's type; `start` is the number of its first sample."""
    if value.dtype.kind in "iu" and block.dtype.kind in "iu" and block.size:
        limits = np.iinfo(value.dtype)
        low, high = int(block.min()), int(block.max())
        if low < limits.min or high > limits.max:
            raise DataError(
                f"{where}: input {value.name!r} takes {value.dtype} numbers, but {low if low < limits.min else high} is none"
            )
    with np.errstate(over="ignore", invalid="ignore"):
        array = np.ascontiguousarray(block, dtype=value.dtype)
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        sample = int(np.argmax(~np.isfinite(array).reshape(len(array), -1).all(axis=1)))
        found = array[sample][~np.isfinite(array[sample])].reshape(-1)[0]
        kind = "NaN" if np.isnan(found) else "infinite (or beyond float32)"
        raise DataError(
            f"{where}: values must be finite, but sample {start + sample} holds {kind}; clean the data first"
        )
    return array


def _index_limit(graph: Graph, name: str) -> int:
    """How many integers an input may take: the entries of the smallest table that it looks up, else 128."""
    limit, pending, seen = RANDOM_INTEGERS, [name], {name}
    while pending:
        current = pending.pop()
        for node in graph.consumers.get(current, ()):
            if node.op == "Gather" and len(node.inputs) > 1 and node.inputs[1] == current:
                axis = node.attributes.get("axis", 0)
                shape = graph.shape(node.inputs[0])
                limit = min(limit, shape[axis] if isinstance(axis, int) else limit)
            elif node.op in ("Cast", "Flatten", "Identity", "Reshape", "Squeeze", "Transpose", "Unsqueeze"):
                pending.extend(output for output in node.outputs if output not in seen)
                seen.update(node.outputs)
    return min(limit, int(np.iinfo(graph.values[name].dtype).max)) if graph.values[name].dtype.kind in "iu" else limit


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


def _names(arrays: Mapping[str, StoredArray]) -> str:
    return ", ".join(repr(name) for name in arrays) or "nothing"
