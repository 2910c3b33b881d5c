"""The arrays of one file as samples of a model: which fit, how many there are, and in which type they arrive.

The rules are those of `fxnorm.data`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

import numpy as np

from fxnorm.errors import DataError

if TYPE_CHECKING:
    from fxnorm.arrays import StoredArray
    from fxnorm.graph.graph import Value

LABELS: Final = "labels"


class Inputs(Protocol):
    """What has to be known of a model to match samples with it; a `Graph` knows it."""

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names."""
        ...

    @property
    def values(self) -> Mapping[str, Value]:
        """Shape and type of each."""
        ...

    @property
    def batch(self) -> int | None:
        """Size of the first axis that they share; None where they share none."""
        ...


@dataclass(frozen=True)
class StoredSamples:
    """Samples in one file.

    Attributes
    ----------
    where
        How messages name the file.
    values
        The model's inputs.
    arrays
        An array for each of them.
    label_array
        One integer for every sample and member of its batch, or None.
    samples
        Number of samples.
    """

    where: str
    values: tuple[Value, ...]
    arrays: Mapping[str, StoredArray]
    label_array: StoredArray | None
    samples: int

    @staticmethod
    def match(where: str, arrays: Mapping[str, StoredArray], model: Inputs) -> StoredSamples:
        """Match the arrays of one file with the model's inputs.

        Raises
        ------
        DataError
            If names, shapes, types or counts do not fit.
        """
        listed = ", ".join(repr(name) for name in model.inputs)
        for name in model.inputs:
            if name not in arrays:
                held = ", ".join(repr(other) for other in arrays) or "nothing"
                raise DataError(
                    f"{where}: must hold an array for every input ({listed}), but {name!r} is missing; it holds {held}"
                )
        for name in arrays:
            if name not in model.inputs and name != LABELS:
                raise DataError(
                    f"{where}: array {name!r} is no input of the model; inputs are {listed}, and 'labels' may be added"
                )
        values = tuple(model.values[name] for name in model.inputs)
        counts = {value.name: _count(arrays[value.name], value) for value in values}
        if len(set(counts.values())) > 1:
            shown = ", ".join(f"{name!r} {count}" for name, count in counts.items())
            raise DataError(f"{where}: all inputs must have the same number of samples, but they have: {shown}")
        for value in values:
            _check_type(arrays[value.name], value)
        samples = next(iter(counts.values()))
        labels = None if LABELS in model.inputs else arrays.get(LABELS)
        if labels is not None:
            _check_labels(labels, samples * (model.batch or 1))
        return StoredSamples(where, values, {name: arrays[name] for name in model.inputs}, labels, samples)

    def labels(self) -> np.ndarray:
        """Labels of this file, ``[samples · batch]``."""
        if self.label_array is None:
            raise DataError(f"{self.where}: holds no labels")
        return self.label_array.read().astype(np.int64)

    def chunks(self, size: int) -> Iterator[dict[str, np.ndarray]]:
        """See `Data.chunks`."""
        streams = [self.arrays[value.name].blocks(size * self._rows(value)) for value in self.values]
        start = 0
        for blocks in zip(*streams, strict=True):
            chunk = {}
            for value, block in zip(self.values, blocks, strict=True):
                where = self.arrays[value.name].where
                chunk[value.name] = _converted(where, block.reshape(-1, *value.shape), value, start)
            start += min(size, self.samples - start)
            yield chunk

    def _rows(self, value: Value) -> int:
        """Entries of an array's first axis that make one sample."""
        return value.shape[0] if len(self.arrays[value.name].shape) == len(value.shape) > 0 else 1


def _count(array: StoredArray, value: Value) -> int:
    """Count the samples in an array, by the sample rule."""
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
            f"{array.where}: the model takes {value.shape[0]} inputs at a time, and {shape[0]} is no multiple of it; "
            "try --batch 1"
        )
    if count == 0:
        raise DataError(f"{array.where}: must hold at least one sample, but its shape is {list(shape)}")
    return count


def _check_labels(labels: StoredArray, count: int) -> None:
    if labels.dtype.kind not in "iu":
        raise DataError(f"{labels.where}: must be class numbers (integers), not {labels.dtype}")
    if labels.shape != (count,):
        raise DataError(
            f"{labels.where}: must be {count} class numbers, one for each input, but its shape is {list(labels.shape)}"
        )


def _check_type(array: StoredArray, value: Value) -> None:
    given, wanted = array.dtype.kind, value.dtype.kind
    allowed = {"b": "b", "i": "biu", "u": "biu", "f": "biuf"}.get(wanted, "biuf")
    if given not in allowed:
        kinds = {"b": "booleans", "i": "integers", "u": "integers"}.get(wanted, "real numbers")
        raise DataError(
            f"{array.where}: input {value.name!r} needs {kinds} ({value.dtype}), but its type is {array.dtype}"
        )


def _converted(where: str, block: np.ndarray, value: Value, start: int) -> np.ndarray:
    """Bring samples to the input's type; `start` is the number of the first one."""
    if value.dtype.kind in "iu" and block.dtype.kind in "iu" and block.size:
        limits: Any = np.iinfo(value.dtype)
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
