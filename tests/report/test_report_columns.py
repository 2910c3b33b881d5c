from __future__ import annotations

import io
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fxnorm.report.columns import GAP, Column, console, fitted, print_table

TEXTS = st.text(alphabet="abc日 \x1b", max_size=40)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def table(columns: list[Column], width: int, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Lines that a terminal of some width is given, without its colours."""
    import re

    stream = Terminal()
    monkeypatch.setattr(sys, "stdout", stream)
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setenv("TERM", "xterm-256color")
    print_table(console(), columns)
    return [re.sub(r"\x1b\[[0-9;]*m", "", line) for line in stream.getvalue().splitlines()]


def run_columns(rows: int = 3) -> list[Column]:
    return [
        Column("layer", [f"block_{i}/with/a/rather/long/name/conv" for i in range(rows)], left=True, name=True),
        Column("op", ["Conv"] * rows, left=True, name=True),
        Column("SQNR dB", ["31.2"] * rows),
        Column("bits", ["8/8"] * rows, rank=2),
        Column("scale", ["2^-3"] * rows, rank=1),
        Column("diagnosis", ["this is a sentence of more than a few words " * 2] * rows, rank=3, left=True, prose=True),
    ]


@pytest.mark.parametrize("width", [40, 60, 80, 100, 120, 140, 200])
def test_no_line_is_wider_than_the_terminal(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    from rich.cells import cell_len

    lines = table(run_columns(), width, monkeypatch)
    assert max(map(cell_len, lines)) <= width
    assert lines[1] == "─" * len(lines[1])
    assert lines[0].split()[:2] == ["layer", "op"]


def test_columns_come_by_rank(monkeypatch: pytest.MonkeyPatch) -> None:
    heads = {width: table(run_columns(), width, monkeypatch)[0].split()[4:] for width in (40, 46, 52, 100)}
    assert heads == {40: [], 46: ["scale"], 52: ["bits", "scale"], 100: ["bits", "scale", "diagnosis"]}


def test_what_is_too_wide_gives_way_to_what_comes_later(monkeypatch: pytest.MonkeyPatch) -> None:
    columns = [
        Column("a", ["1"]),
        Column("b", ["2" * 50], rank=1),
        Column("c", ["3"], rank=2),
        Column("d", ["4"], rank=2),
    ]
    assert table(columns, 20, monkeypatch)[0].split() == ["a", "c", "d"]
    assert table(columns, 5, monkeypatch)[0].split() == ["a"]  # of one rank all or none


def test_names_that_are_cut_stay_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = table(run_columns(9), 40, monkeypatch)[2:]
    assert len({line.split()[0] for line in lines}) == 9


def test_sentences_go_on_in_the_next_line(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = table(run_columns(1), 100, monkeypatch)
    start = lines[0].index("diagnosis")
    assert len(lines) > 3
    words = " ".join(line[start:] for line in lines[2:]).split()
    assert words == ("this is a sentence of more than a few words " * 2).split()
    assert all(line[:start].strip() == "" for line in lines[3:])


def test_numbers_are_aligned_to_the_right(monkeypatch: pytest.MonkeyPatch) -> None:
    columns = [Column("name", ["a", "bb"], left=True, name=True), Column("number", ["1.5", "-22.25"])]
    assert table(columns, 80, monkeypatch) == ["name  number", "────────────", "a        1.5", "bb    -22.25"]


def test_an_empty_table_is_its_heading(monkeypatch: pytest.MonkeyPatch) -> None:
    assert table([Column("name", [], name=True), Column("n", [])], 80, monkeypatch) == ["name  n", "───────"]


def test_what_calls_for_attention_stands_out(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = Terminal()
    monkeypatch.setattr(sys, "stdout", stream)
    monkeypatch.setenv("TERM", "xterm-256color")
    print_table(console(), [Column("overflow", ["0", "7"], alert=frozenset({1}))])
    calm, loud = stream.getvalue().splitlines()[-2:]
    assert "\x1b[" not in calm
    assert "\x1b[" in loud


@given(st.lists(st.tuples(TEXTS, TEXTS), min_size=1, max_size=5), st.integers(30, 200))
def test_widths_hold_what_they_must(rows: list[tuple[str, str]], width: int) -> None:
    columns = [
        Column("first", [a for a, _ in rows], left=True, name=True),
        Column("second", [b[:10] for _, b in rows], rank=1),
    ]
    kept, widths = fitted(columns, width)
    assert kept[0] is columns[0]
    assert all(w >= column.least for column, w in zip(kept, widths, strict=True))
    assert len(kept) == 1 or sum(widths) + GAP <= width


@given(st.lists(TEXTS, min_size=1, max_size=5))
def test_a_pipe_is_as_wide_as_the_texts(rows: list[str]) -> None:
    stream = io.StringIO()
    old, sys.stdout = sys.stdout, stream
    try:
        print_table(console(), [Column("text", rows, left=True)])
    finally:
        sys.stdout = old
    lines = stream.getvalue().split("\n")[2:-1]
    assert lines == [row.replace("\x1b", "\ufffd").rstrip() for row in rows]
