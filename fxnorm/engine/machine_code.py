"""Functions compiled to machine code by numba, kept on disk in a way that several processes may write to at once."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar, cast

import numba
from numba.core import caching

from fxnorm.errors import UsageError

F = TypeVar("F", bound=Callable[..., Any])
_CONFIG: Any = numba.config
_FILES: Any = caching.IndexDataCacheFile
_FUNCTION: Any = caching.FunctionCache


def compiled(function: F) -> F:
    """Decorator: compile a function at its first call with arguments of new types, to run without Python's lock; keep what was compiled."""
    return _compiled(function)


def compiled_without_nan(function: F) -> F:
    """`compiled` for floating-point numbers that are never NaN, and whose sign of zero means nothing: then minima are one instruction."""
    return _compiled(function, fastmath={"nnan", "nsz"})


def compiled_in_any_order(function: F) -> F:
    """`compiled` for sums of floating-point numbers whose order is left to the compiler: several partial sums at a time."""
    return _compiled(function, fastmath={"reassoc"})


def _compiled(function: F, **options: Any) -> F:
    if _CONFIG.DISABLE_JIT:
        # As Python they would take hours, numbers would not keep their types, and numba itself compiles nothing in this state.
        raise UsageError(
            "environment: loops over codes have to be compiled, which NUMBA_DISABLE_JIT turns off; unset it"
        )
    dispatcher = numba.njit(nogil=True, error_model="numpy", **options)(function)
    # Without a folder that can be written to, every process compiles for itself; so it does if another version of numba, whose cache has no
    # public interface, should not have what is used here.
    with contextlib.suppress(RuntimeError, AttributeError, TypeError):
        dispatcher._cache = _Cache(function)
    return cast(F, dispatcher)


class CacheFile(_FILES):  # type: ignore[misc]
    """Compiled forms of one function, in files named by what they hold.

    numba's own files have numbers. Two processes that compile different forms at the same time may give them the same number, and from
    then on one form is loaded as the other; one that ends between its two writes leaves a number that belongs to older source. Here the
    name says which form of which source a file holds, and the file is there before the index names it: at worst an entry is lost, and
    compiled again.
    """

    def save(self, key: Any, data: Any) -> None:
        """Keep one form; where the disk is full, or no longer lets us, it is compiled again next time."""
        with contextlib.suppress(OSError):
            self._save(key, data)

    def _save(self, key: Any, data: Any) -> None:
        digest = hashlib.sha256(repr((self._source_stamp, self._version, key)).encode()).hexdigest()
        base = self._index_name.removesuffix(".nbi")
        name = f"{base}.{digest[:32]}.nbc"
        self._save_data(name, data)
        forms = self._load_index()
        if not forms:
            # What older source left.
            for path in Path(self._cache_path).glob(f"{base}.*.nbc"):
                if path.name != name:
                    path.unlink(missing_ok=True)
        forms[key] = name
        self._save_index(forms)

    def load(self, key: Any) -> Any:
        """One form; None where it is not there, or cannot be read."""
        try:
            return super().load(key)
        except Exception:
            return None

    def _load_index(self) -> dict[Any, str]:
        try:
            found: dict[Any, str] = super()._load_index()
        except Exception:
            # Older source may have had types in it that are no longer there.
            return {}
        return found


class _Cache(_FUNCTION):  # type: ignore[misc]
    """numba's cache of a function, with files of that kind, which follow the source of all functions that may be part of it."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__(function)
        self._cache_file = CacheFile(self.cache_path, self._impl.filename_base, _stamp())


@lru_cache(maxsize=1)
def _stamp() -> str:
    """Digest of the times and sizes of all files with compiled functions: one may have another, of another file, inside."""
    package = Path(__file__).resolve().parents[1]
    files = sorted(path for folder in ("engine", "runtime") for path in (package / folder).glob("*.py"))
    seen = [(path.name, path.stat().st_mtime_ns, path.stat().st_size) for path in files]
    return hashlib.sha256(repr(seen).encode()).hexdigest()
