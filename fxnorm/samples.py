"""Samples in memory, by the rules that hold for samples in files (see `fxnorm.data`)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from fxnorm.arrays import StoredArray
from fxnorm.errors import DataError
from fxnorm.graph.graph import Value
from fxnorm.stored_samples import LABELS, Inputs, StoredSamples

Array = np.ndarray

WHERE: Final = "samples"


@dataclass(frozen=True, slots=True)
class _PlannedInputs:
    """Inputs of a model that is no graph any more."""

    inputs: tuple[str, ...]
    values: Mapping[str, Value]
    batch: None = None


def bind(samples: Any, shapes: Mapping[str, tuple[int, ...]], integers: tuple[str, ...] = ()) -> dict[str, Array]:
    """Arrays [samples, *shape] by input name, float32 or int64.

    Parameters
    ----------
    samples
        An array for a model of one input, or arrays by name as `numpy.load` gives them; ``labels`` among them are left out.
    shapes
        Shapes of the inputs, samples not counted.
    integers
        Inputs that hold indices.

    Raises
    ------
    DataError
        If names, shapes, types or counts do not fit, or a number is not finite.
    """
    types = {name: np.dtype(np.int64 if name in integers else np.float32) for name in shapes}
    values = {name: Value(name, shape, types[name]) for name, shape in shapes.items()}
    return bind_to(_PlannedInputs(tuple(shapes), values), samples)


def bind_to(model: Inputs, samples: Any) -> dict[str, Array]:
    """Arrays [samples, *shape] by input name, in the types of a model's inputs; see `bind`."""
    if isinstance(samples, Mapping):
        samples = {name: samples[name] for name in samples if name in model.inputs or name != LABELS}
    matched = match(model, samples)
    (whole,) = matched.chunks(matched.samples)
    return whole


def match(model: Inputs, samples: Any) -> StoredSamples:
    """Samples in memory as `fxnorm.data.Data` takes them, with the ``labels`` among them; see `bind`."""
    if not isinstance(samples, Mapping):
        if len(model.inputs) != 1:
            listed = ", ".join(repr(name) for name in model.inputs)
            raise DataError(
                f"{WHERE}: one array serves a model of one input, but this model has {listed}; give a mapping with these names"
            )
        samples = {model.inputs[0]: samples}
    return StoredSamples.match(WHERE, {name: _stored(name, samples[name]) for name in samples}, model)


def _stored(name: str, samples: Any) -> StoredArray:
    where = f"{WHERE}: array {name!r}"
    try:
        array = np.asarray(samples)
    except ValueError as error:
        raise DataError(f"{where}: must be an array of numbers, but {error}") from None
    if array.dtype.kind not in "biuf":
        raise DataError(f"{where}: must hold real numbers, not {array.dtype}")

    def rows(count: int) -> Iterator[Array]:
        whole = array.reshape(1) if array.ndim == 0 else array
        return (whole[start : start + count] for start in range(0, len(whole), count))

    return StoredArray(where, array.shape, array.dtype, rows)
