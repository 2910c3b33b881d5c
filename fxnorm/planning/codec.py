"""Frozen dataclasses of integers, texts and integer arrays to plain data and back, without loss and without running anything.

Only the classes named by the caller can come out of a file, and arrays are read with `allow_pickle=False`: a plan is data from
somebody else.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from enum import Enum
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

import numpy as np

Array = np.ndarray


class Encoder:
    """Turns objects into plain data; arrays are set aside under keys.

    Attributes
    ----------
    arrays
        The arrays met so far, by key.
    """

    def __init__(self, classes: Mapping[str, type]) -> None:
        self._names = {cls: name for name, cls in classes.items()}
        self.arrays: dict[str, Array] = {}

    def plain(self, thing: Any) -> Any:
        """Plain data of an object."""
        if isinstance(thing, Enum):
            return thing.value
        if thing is None or isinstance(thing, bool | int | float | str):
            return thing
        if isinstance(thing, np.integer):
            return int(thing)
        if isinstance(thing, np.ndarray):
            return self._array(thing)
        if isinstance(thing, tuple | list):
            return [self.plain(entry) for entry in thing]
        if is_dataclass(thing) and type(thing) in self._names:
            content = {entry.name: self.plain(getattr(thing, entry.name)) for entry in fields(thing) if entry.init}
            return {"class": self._names[type(thing)], **content}
        raise TypeError(f"{type(thing).__name__} cannot be part of a plan")

    def _array(self, array: Array) -> Any:
        if array.dtype == object:
            return {"integers": [str(int(entry)) for entry in array.reshape(-1)], "shape": list(array.shape)}
        if array.dtype.kind not in "iub":
            raise TypeError(f"an array of {array.dtype} cannot be part of a plan")
        key = f"a{len(self.arrays):05d}"
        stored = np.ascontiguousarray(array).reshape(array.shape)
        stored = stored.astype(stored.dtype.newbyteorder("<"))
        self.arrays[key] = stored
        return {
            "array": key,
            "dtype": stored.dtype.str,
            "shape": list(array.shape),
            "sha256": hashlib.sha256(stored.tobytes()).hexdigest(),
        }


class Decoder:
    """Turns plain data back into objects.

    Parameters
    ----------
    classes
        What may come out, by name.
    arrays
        The arrays set aside, by key.
    fail
        Makes the error for damaged data from a sentence.
    """

    def __init__(
        self, classes: Mapping[str, type], arrays: Mapping[str, Array], fail: Callable[[str], Exception]
    ) -> None:
        self._classes = classes
        self._arrays = arrays
        self._fail = fail

    def thing(self, plain: Any) -> Any:
        """Object of plain data; lists become tuples."""
        if plain is None or isinstance(plain, bool | int | float | str):
            return plain
        if isinstance(plain, Sequence):
            return tuple(self.thing(entry) for entry in plain)
        if not isinstance(plain, Mapping):
            raise self._fail(f"{type(plain).__name__} is no part of a plan")
        if "array" in plain:
            return self._array(plain)
        if "integers" in plain:
            numbers = np.array([int(entry) for entry in plain["integers"]] or [0], dtype=object)
            return numbers[: len(plain["integers"])].reshape(plain["shape"])
        name = plain.get("class")
        if name not in self._classes:
            raise self._fail(f"{name!r} is no part of a plan of this version")
        cls = self._classes[str(name)]
        content = {key: self.thing(value) for key, value in plain.items() if key != "class"}
        if set(content) != {entry.name for entry in fields(cls) if entry.init}:
            raise self._fail(f"{name} has the fields {', '.join(sorted(content))}, not those of this version")
        for key, hint in get_type_hints(cls).items():
            if key in content and not _fits(content[key], hint):
                raise self._fail(f"{name}.{key} is {type(content[key]).__name__}, which it cannot be")
        return cls(**content)

    def _array(self, plain: Mapping[str, Any]) -> Array:
        key = str(plain["array"])
        if key not in self._arrays:
            raise self._fail(f"array {key} is missing")
        array = self._arrays[key]
        fits = array.dtype.str == plain["dtype"] and list(array.shape) == plain["shape"]
        if not fits or hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest() != plain["sha256"]:
            raise self._fail(f"array {key} is not the one that was saved")
        return array


def _fits(thing: Any, hint: Any) -> bool:
    """Whether an object is what a dataclass says of a field, as far as plain data can be checked."""
    origin = get_origin(hint)
    if hint is Any:
        return True
    if hint is None or hint is type(None):
        return thing is None
    if origin in (Union, UnionType):
        return any(_fits(thing, choice) for choice in get_args(hint))
    if origin is tuple:
        inner = get_args(hint)
        if not isinstance(thing, tuple):
            return False
        if len(inner) == 2 and inner[1] is Ellipsis:
            return all(_fits(entry, inner[0]) for entry in thing)
        return len(thing) == len(inner) and all(_fits(entry, one) for entry, one in zip(thing, inner, strict=True))
    kind = origin or hint
    if kind is float:
        return isinstance(thing, int | float) and not isinstance(thing, bool)
    if kind is int:
        return isinstance(thing, int) and not isinstance(thing, bool)
    if isinstance(kind, type) and issubclass(kind, Enum):
        return isinstance(thing, str)
    return isinstance(thing, kind) if isinstance(kind, type) else True
