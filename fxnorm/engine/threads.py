"""How many threads BLAS takes: one, where every core has a piece of samples of its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from threadpoolctl import ThreadpoolController


@cache
def _controller() -> ThreadpoolController:
    """What knows the BLAS libraries; looking for them takes milliseconds, and NumPy has loaded its own by now."""
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


@contextmanager
def single_threaded_blas() -> Iterator[None]:
    """Products of NumPy take one thread inside.

    Sums then do not depend on the number of cores. Where several threads enter, one must enter before all others and leave after
    them, or the first to leave restores what others still need.
    """
    with _controller().limit(limits=1, user_api="blas"):
        yield
