"""A model's own words, made fit for a terminal."""

from __future__ import annotations


def printable(text: str) -> str:
    """Text on one line without what a terminal would obey."""
    return "".join(c if c.isprintable() else "\ufffd" for c in text)


def printable_lines(text: str) -> str:
    """Text of several lines without what a terminal would obey."""
    return "\n".join(printable(line) for line in text.split("\n"))
