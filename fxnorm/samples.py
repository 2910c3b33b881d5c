"""Samples in memory, brought to the shape that the simulator and the reference take."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from fxnorm.errors import DataError

Array = np.ndarray


def bind(samples: Any, shapes: Mapping[str, tuple[int, ...]], integers: tuple[str, ...] = ()) -> dict[str, Array]:
    """Arrays [samples, *shape] by input name.

    Parameters
    ----------
    samples
        An array for a model of one input, or arrays by name; the first axis holds the samples times the model's own first
        dimension, or the samples alone with the model's whole shape behind it.
    shapes
        Shapes of the inputs, samples not counted.
    integers
        Inputs that hold indices.

    Raises
    ------
    DataError
        If names, shapes, types or counts do not fit, or a number is not finite.
    """
    if not isinstance(samples, Mapping):
        if len(shapes) != 1:
            raise DataError(
                f"samples: the model has the inputs {', '.join(shapes)}; give a mapping from their names to arrays"
            )
        samples = {next(iter(shapes)): samples}
    for name in samples:
        if name not in shapes:
            raise DataError(f"samples: the model has no input {name!r}; its inputs are {', '.join(shapes)}")
    bound = {}
    for name, shape in shapes.items():
        if name not in samples:
            raise DataError(f"samples: input {name!r} is missing; only {', '.join(samples) or 'nothing'} is given")
        bound[name] = _bound(name, np.asarray(samples[name]), shape, name in integers)
    counts = {name: len(array) for name, array in bound.items()}
    if len(set(counts.values())) > 1:
        raise DataError(f"samples: every input must have the same number of samples, not {counts}")
    if not next(iter(counts.values())):
        raise DataError("samples: there must be at least one, not none")
    return bound


def _bound(name: str, array: Array, shape: tuple[int, ...], integer: bool) -> Array:
    if array.dtype.kind not in ("iub" if integer else "fiub"):
        raise DataError(f"samples {name!r}: must be {'integers' if integer else 'real numbers'}, not {array.dtype}")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise DataError(f"samples {name!r}: must be finite, but hold NaN or infinity; remove or replace those samples")
    array = array if integer else array.astype(np.float32)
    if array.ndim == len(shape) + 1 and array.shape[1:] == shape:
        return array
    if (
        shape
        and array.ndim == len(shape)
        and array.shape[1:] == shape[1:]
        and shape[0]
        and array.shape[0] % shape[0] == 0
    ):
        return array.reshape(-1, *shape)
    if not shape and array.ndim == 0:
        return array.reshape(1)
    wanted = " × ".join(map(str, shape)) or "a number"
    raise DataError(
        f"samples {name!r}: the model takes {wanted} a sample, which does not fit an array of shape {list(array.shape)}"
    )
