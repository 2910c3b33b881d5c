"""Tables that fit where they are shown: what matters less gives way, and names are cut where they say least."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from fxnorm.report.text import printable, shortened

if TYPE_CHECKING:
    from rich.console import Console

GAP: Final = 2
"""Spaces between two columns."""
PIPE_WIDTH: Final = 1000
"""Width of what is no terminal: nothing gives way there."""
LONGEST_NAME: Final = 80
SHORTEST_NAME: Final = 24
"""A name is cut to this before a column gives way."""
SHORTEST_PROSE: Final = 30


@dataclass(frozen=True)
class Column:
    """One column of a table.

    Attributes
    ----------
    heading
        What stands above it.
    cells
        One text a row.
    rank
        Columns come in the order of their ranks as long as there is room, those of one rank together; rank 0 always.
    left
        Whether it is aligned to the left; numbers are not.
    name
        Whether its cells are names, which may be cut.
    longest
        Width to which they are cut in any case.
    prose
        Whether its cells are sentences, which may go on in the next line; the last column only.
    alert
        Rows whose cell calls for attention.
    """

    heading: str
    cells: Sequence[str]
    rank: int = 0
    left: bool = False
    name: bool = False
    longest: int = LONGEST_NAME
    prose: bool = False
    alert: frozenset[int] = frozenset()

    def __post_init__(self) -> None:
        object.__setattr__(self, "cells", [printable(cell) for cell in self.cells])

    @property
    def width(self) -> int:
        """Width at which everything is seen that is ever shown."""
        longest = max([cells_of(cell) for cell in self.cells], default=0)
        return max(cells_of(self.heading), min(longest, self.longest) if self.name else longest)

    @property
    def least(self) -> int:
        """Width below which another column gives way."""
        if self.prose:
            return min(self.width, SHORTEST_PROSE)
        return min(self.width, max(SHORTEST_NAME, cells_of(self.heading))) if self.name else self.width


def cells_of(text: str) -> int:
    """Places that a text takes in a terminal, where some characters take two."""
    from rich.cells import cell_len

    return cell_len(text)


def console() -> Console:
    """Standard output; a reader of it that went away is the caller's business."""
    from rich.console import Console

    class Output(Console):
        def on_broken_pipe(self) -> None:
            raise  # noqa: PLE0704  called where the error is handled

    shown = sys.stdout.isatty()
    return Output(
        file=sys.stdout,
        width=None if shown else PIPE_WIDTH,
        force_terminal=None if shown else False,  # what is read by programs does not depend on FORCE_COLOR
        highlight=False,
        markup=False,
        emoji=False,
    )


def fitted(columns: Sequence[Column], width: int) -> tuple[list[Column], list[int]]:
    """Columns that a line of some width has room for, and how wide each is."""

    def spare(chosen: Sequence[Column]) -> int:
        return width - sum(column.least for column in chosen) - GAP * (len(chosen) - 1)

    kept = [column for column in columns if not column.rank]
    for rank in sorted({column.rank for column in columns} - {0}):
        more = [column for column in columns if column in kept or column.rank == rank]
        if spare(more) >= 0:
            kept = more
    left = max(0, spare(kept))
    widths = []
    for column in kept:
        extra = min(column.width - column.least, left)
        left -= extra
        widths.append(column.least + extra)
    return kept, widths


def print_line(out: Console, text: str, style: str = "") -> None:
    """Print a line that may be longer than the console."""
    from rich.text import Text

    out.print(Text(printable(text), style), soft_wrap=True)


def print_table(out: Console, columns: Sequence[Column], title: str = "") -> None:
    """Print a table that is as wide as its texts and no wider than the console."""
    from rich.text import Text

    kept, widths = fitted(columns, out.width)
    total = sum(widths) + GAP * (len(widths) - 1)
    if title:
        print_line(out, title, "bold")
    headings = [Text(column.heading) for column in kept]
    out.print(_line(headings, kept, widths), style="bold", soft_wrap=True)
    out.print(("─" if out.encoding.startswith("utf") else "-") * total, soft_wrap=True)
    texts = [
        shortened(column.cells, width) if column.name else column.cells
        for column, width in zip(kept, widths, strict=True)
    ]
    for row, cells in enumerate(zip(*texts, strict=True)):
        styles = ["bold yellow" if row in column.alert else "" for column in kept]
        for pieces in _wrapped(cells, kept, widths):
            parts = [Text(piece, style) for piece, style in zip(pieces, styles, strict=True)]
            out.print(_line(parts, kept, widths), soft_wrap=True)


def _wrapped(cells: Sequence[str], columns: Sequence[Column], widths: Sequence[int]) -> Iterator[list[str]]:
    """The lines of one row: one, or as many as a sentence in its last column takes."""
    *heads, last = cells
    lines = textwrap.wrap(last, widths[-1]) or [""] if columns[-1].prose else [last]
    for number, line in enumerate(lines):
        yield [*(heads if number == 0 else [""] * len(heads)), line]


def _line(parts: Sequence[object], columns: Sequence[Column], widths: Sequence[int]) -> object:
    from rich.text import Text

    line = Text()
    for part, column, width in zip(parts, columns, widths, strict=True):
        assert isinstance(part, Text)
        room = " " * max(0, width - part.cell_len)
        line.append(" " * GAP if line else "")
        line.append_text(part + room if column.left else Text(room) + part)
    line.rstrip()
    return line
