"""A model's own words, made fit for a terminal and for a column."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final

ELLIPSIS: Final = "…"
SEPARATORS: Final = "/.:"
JOINT: Final = ";"
"""Stands between the names of the nodes that TensorFlow Lite made one of."""
SHORTEST_PREFIX: Final = 4
LONGEST_PREFIX: Final = 200
SHARE: Final = 3 / 4
"""Of the names that must begin alike for their beginning to be left out."""


def printable(text: str) -> str:
    """Text on one line without what a terminal would obey: control and format characters become U+FFFD."""
    return "".join(c if c.isprintable() else "\ufffd" for c in text)


def labels(names: Sequence[str]) -> tuple[list[str], str]:
    """Names without what says little, and what was left out, in words ("" where nothing was).

    Of names that were put together with ; the last one is kept, where that keeps all of them apart. Then the beginning that most of
    them share, up to a separator, goes.
    """
    left_out = []
    short = [name.rsplit(JOINT, 1)[-1] or name for name in names]
    if short != list(names) and len(set(short)) == len(set(names)):
        left_out.append(f'what stands before "{JOINT}"')
    else:
        short = list(names)
    prefix = common_prefix(short)
    if prefix:
        left_out.append(f'"{prefix}"')
        short = [_without(prefix, name) for name in short]
    return short, " and ".join(left_out)


def common_prefix(names: Sequence[str]) -> str:
    """Longest beginning, up to a separator, that most names share; "" where there is none that is worth leaving out."""
    ends: Counter[str] = Counter()
    for name in names:
        head = name[: min(LONGEST_PREFIX, len(name) - 1)]
        ends.update(head[: place + 1] for place, c in enumerate(head) if c in SEPARATORS)
    needed = max(2.0, SHARE * len(names))
    shared = [prefix for prefix, count in ends.items() if count >= needed and len(prefix) >= SHORTEST_PREFIX]
    return max(shared, key=len, default="")


def _without(prefix: str, name: str) -> str:
    return name[len(prefix) :] if len(name) > len(prefix) and name.startswith(prefix) else name


def shortened(names: Sequence[str], width: int) -> list[str]:
    """Names of at most `width` characters: cut at the front, in the middle or at the end, whichever keeps most of them apart."""

    def cut(name: str, kept: int) -> str:
        if len(name) <= width:
            return name
        tail = width - 1 - kept
        return name[:kept] + ELLIPSIS + (name[-tail:] if tail else "")

    room = max(0, width - 1)
    ways = [[cut(name, kept) for name in names] for kept in (0, room // 3, room // 2, room)]
    return max(ways, key=lambda way: len(set(way)))
