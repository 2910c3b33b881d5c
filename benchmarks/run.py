"""How fast fxnorm is, against what its users have today: `make bench`.

Every figure is a ratio of medians from one run. Networks are read from ../shared/models where that folder exists; the trained examples
of this repository are always measured. A row that fails says so, and the others go on.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks import growth, layers, memory, networks, next_format, start_up, sweep_cost
from benchmarks.measure import FULL, QUICK, Effort, Growth, Missing, Row, Section, Task
from benchmarks.page import Part, figure, page, ratio


def sweeps(effort: Effort) -> Iterator[tuple[str, Task]]:
    """What sweeps cost; nothing in a trial, for they take a minute."""
    made = iter(()) if effort.quick else sweep_cost.rows()

    def row() -> Row:
        found = next(made, None)
        if found is None:
            raise Missing("a trial, or no network")
        return found

    yield "forty configurations", row
    yield "forty configurations, what they share at hand", row
    yield "two cores", row


SECTIONS: tuple[tuple[str, str, Section], ...] = (
    ("networks", "Networks", networks.rows),
    ("layers", "Layers", layers.rows),
    ("formats", "The next format", next_format.rows),
    ("memory", "Memory", memory.rows),
    ("start", "Start-up", start_up.rows),
    ("growth", "Growth", growth.rows),
    ("sweeps", "Sweeps", sweeps),
)
"""Short name, heading, and rows."""


def measure(section: Section, title: str, effort: Effort) -> Part:
    """All rows of a section, those that fail as sentences."""
    part = Part(title)
    for name, task in section(effort):
        try:
            result = task()
        except Missing as missing:
            part.missing.append(f"{name}: {missing}")
            print(f"{name}: left out, {missing}", file=sys.stderr, flush=True)
        except Exception as error:
            part.failed.append(f"{name}: {type(error).__name__}: {' '.join(str(error).split())[:300]}")
            print(part.failed[-1], file=sys.stderr, flush=True)
        else:
            if isinstance(result, Growth):
                part.tables.append(result)
                print(
                    result.title,
                    *(" | ".join(line) for line in (result.heading, *result.lines)),
                    sep="\n  ",
                    flush=True,
                )
            else:
                part.rows.append(result)
                reached = (
                    "" if result.target is None else f" [{result.target[0]}: {'yes' if result.target[1] else 'NO'}]"
                )
                print(
                    f"{result.work}: {figure(result.ours, result.unit)}, {ratio(result.ratio)} × {result.against}"
                    f"{reached} {result.note}",
                    flush=True,
                )
    return part


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, and write the page if asked to; 1 where a row failed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.run", description=__doc__)
    parser.add_argument("--page", type=Path, help="Markdown file to write")
    parser.add_argument("--quick", action="store_true", help="a trial: few samples, one run of each")
    names = [name for name, _, _ in SECTIONS]
    parser.add_argument("--only", choices=names, nargs="+", default=names, help="sections to measure")
    options = parser.parse_args(arguments)
    effort, begun = QUICK if options.quick else FULL, time.perf_counter()
    parts = []
    for name, title, section in SECTIONS:
        if name in options.only:
            start = time.perf_counter()
            parts.append(measure(section, title, effort))
            print(f"-- {title}: {time.perf_counter() - start:.0f} s", flush=True)
    if options.page is not None:
        options.page.write_text(page(parts, effort, time.perf_counter() - begun), encoding="utf-8")
    return int(any(part.failed for part in parts))


if __name__ == "__main__":
    sys.exit(main())
