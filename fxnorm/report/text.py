"""A model's own words, made fit for a terminal."""

from __future__ import annotations

from collections.abc import Sequence

ELLIPSIS = "…"
SEPARATORS = "/.:"
SHORTEST_PREFIX = 4


def printable(text: str) -> str:
    """Text on one line without what a terminal would obey: control and format characters become U+FFFD."""
    return "".join(c if c.isprintable() else "\ufffd" for c in text)


def common_prefix(names: Sequence[str]) -> str:
    """What all names begin with, up to a separator; "" where that is hardly worth a word, or would leave nothing of a name."""
    if len(names) < 2:
        return ""
    first, last = min(names), max(names)  # whatever these two share all share
    length = next((i for i, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), min(len(first), len(last)))
    prefix = first[: max(first.rfind(separator, 0, length) for separator in SEPARATORS) + 1]
    return prefix if len(prefix) >= SHORTEST_PREFIX and all(len(name) > len(prefix) for name in names) else ""


def shortened(names: Sequence[str], width: int) -> list[str]:
    """Names of at most `width` characters: cut at the front or in the middle, whichever keeps more of them apart."""

    def cut(name: str, kept: int) -> str:
        if len(name) <= width:
            return name
        tail = width - 1 - kept
        return name[:kept] + ELLIPSIS + (name[-tail:] if tail else "")

    ways = [[cut(name, kept) for name in names] for kept in (0, (width - 1) // 3, (width - 1) // 2)]
    return max(ways, key=lambda way: len(set(way)))
