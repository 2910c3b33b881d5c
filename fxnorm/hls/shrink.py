"""The smallest input that still shows a difference: fewest frames, then as many codes as possible zero.

Delta debugging (A. Zeller and R. Hildebrandt, Simplifying and Isolating Failure-Inducing Input, 2002): halves of what is left are
taken out, then quarters, and so on, as long as the difference stays.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping

import numpy as np

Array = np.ndarray
Inputs = dict[str, Array]
Shows = Callable[[Inputs], bool]
"""Whether inputs, [frames, elements] by port, show the difference."""


class _Late(Exception):
    """No time left."""


def shrink(inputs: Mapping[str, Array], first: int, shows: Shows, seconds: float) -> Inputs | None:
    """Smaller inputs that show a difference.

    Parameters
    ----------
    inputs
        Codes by port, [frames, elements].
    first
        The first frame that differs.
    shows
        Runs the design.
    seconds
        When to stop: what is smallest by then is taken.

    Returns
    -------
    None where the difference does not come again, or time ran out before it did.
    """
    deadline = time.monotonic() + seconds

    def still(candidate: Inputs) -> bool:
        if time.monotonic() > deadline:
            raise _Late
        return shows(candidate)

    found: Inputs | None = None
    try:
        found = _fewer_frames(inputs, first, still)
        if found is None:
            return None
        for kept in _sparser(found, still):
            found = kept
    except _Late:
        pass
    return found


def _fewer_frames(inputs: Mapping[str, Array], first: int, still: Shows) -> Inputs | None:
    """The frame alone, or it and as few as possible of those before it, whose state it may need."""
    before = 0
    while True:
        start = max(0, first - before)
        candidate = {port: codes[start : first + 1].copy() for port, codes in inputs.items()}
        if still(candidate):
            return _without_frames(candidate, still)
        if start == 0:
            return None
        before = 2 * before + 1


def _without_frames(inputs: Inputs, still: Shows) -> Inputs:
    """Frames between the earliest one and the last that are not needed either."""
    place = 0
    while place < len(next(iter(inputs.values()))) - 1:
        candidate = {port: np.delete(codes, place, axis=0) for port, codes in inputs.items()}
        if still(candidate):
            inputs = candidate
        else:
            place += 1
    return inputs


def _sparser(inputs: Inputs, still: Shows) -> Iterator[Inputs]:
    """Inputs with more and more zeros, each of which shows the difference; the last one with none that could be added alone."""
    places = [(port, place) for port, codes in inputs.items() for place in np.flatnonzero(codes).tolist()]
    size = len(places)
    while size:
        start, removed = 0, False
        while start < len(places):
            candidate = {port: codes.copy() for port, codes in inputs.items()}
            for port, place in places[start : start + size]:
                candidate[port].flat[place] = 0
            if still(candidate):
                inputs = candidate
                del places[start : start + size]
                removed = True
                yield inputs
            else:
                start += size
        if size > 1:
            size = (size + 1) // 2
        elif not removed:
            return
