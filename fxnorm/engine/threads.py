"""How threads share the machine: BLAS takes one, where every core has work of its own, and the interpreter changes hands often."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from threadpoolctl import ThreadpoolController

SWITCH: Final = 1e-3
"""Seconds after which a thread that waits for the interpreter gets it."""


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


@contextmanager
def quick_switches() -> Iterator[None]:
    """Threads get the interpreter soon after they ask for it.

    A thread that computes in NumPy asks for it again after every operation. By default it waits for 5 ms while another one makes a
    plan in Python, which is longer than most operations take: two cores then do little more than one.
    A tenth of the time costs more than it gains: each change of hands takes time itself.
    """
    before = sys.getswitchinterval()
    sys.setswitchinterval(min(SWITCH, before))
    try:
        yield
    finally:
        sys.setswitchinterval(before)
