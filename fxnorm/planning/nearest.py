"""Which names somebody may have meant who wrote another one."""

from __future__ import annotations

import re
from collections.abc import Sequence
from difflib import SequenceMatcher
from typing import Final

FEW: Final = 8
"""So many names are all told."""
NEAREST: Final = 5
"""Of more, so many."""
ROOM: Final = 240
"""Characters that all but the first of them must fit in."""
_LOOKED_AT: Final = 200
_WILD = re.compile(r"[*?!\[\]]")
_SEPARATORS = re.compile(r"[/.:;]")


def known(pattern: str, names: Sequence[str]) -> str:
    """Which names there are: all where they are few, else the ones most like a pattern that matches none, in words."""
    distinct = list(dict.fromkeys(names))
    if len(distinct) <= FEW:
        return f"the layers are {', '.join(distinct)}"
    best = nearest(pattern, distinct)
    while len(best) > 1 and sum(map(len, best)) > ROOM:
        best.pop()
    are = "nearest are" if len(best) > 1 else "nearest is"
    return f"of {len(distinct)} layers the {are} {', '.join(best)}; `fxnorm inspect` lists all"


def nearest(pattern: str, names: Sequence[str], count: int = NEAREST) -> list[str]:
    """The names most like a glob pattern, the best first: those that hold its text, or whose parts do, before those that look like it."""
    bare = _WILD.sub("", pattern).casefold()[:_LOOKED_AT]

    def likeness(name: str) -> tuple[bool, float]:
        text = name.casefold()[:_LOOKED_AT]
        parts = {text, *_SEPARATORS.split(text)} - {""}
        holds = bool(bare) and (bare in text or any(part in bare for part in parts if len(part) > 2))
        return holds, max((SequenceMatcher(None, bare, part).ratio() for part in parts), default=0.0)

    return sorted(names, key=likeness, reverse=True)[:count]
