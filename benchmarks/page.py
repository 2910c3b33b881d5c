"""What was measured, as Markdown."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from benchmarks.measure import Effort, Growth, Row

LIBRARIES = ("numpy", "numba", "onnxruntime", "fxpmath", "apytypes")


@dataclass
class Part:
    """What one section gave.

    Attributes
    ----------
    title
        Its heading.
    rows, tables
        In the order of measurement.
    failed, missing
        What could not be measured, because something broke or is not there.
    """

    title: str
    rows: list[Row] = field(default_factory=list)
    tables: list[Growth] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)


def machine() -> str:
    """What it was measured on."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.is_file() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    flags = next((line.split(":", 1)[1].split() for line in lines if line.startswith("flags")), [])
    special = ", ".join(flag for flag in ("avx2", "avx512f", "avx512_vnni", "avx_vnni") if flag in flags)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    found = []
    for library in LIBRARIES:
        try:
            found.append(f"{library} {version(library)}")
        except PackageNotFoundError:
            continue
    return (
        f"{names[0] if names else platform.machine()} ({special or 'no vector extensions known'}), "
        f"{len(os.sched_getaffinity(0))} cores, {memory:.0f} GiB, {platform.system()}, Python {platform.python_version()}, "
        f"{', '.join(found)}"
    )


def page(parts: Sequence[Part], effort: Effort, taken: float) -> str:
    """The whole page."""
    reached = [row.target[1] for part in parts for row in part.rows if row.target is not None]
    text = [
        "# Benchmarks",
        "",
        f"Produced by `make bench` in one run of {taken / 60:.0f} minutes. Times are medians of at least {effort.runs} runs (five where "
        "work is slow), after two that warm up; both sides take turns on the same cores. fxnorm runs with all its counters: overflows, "
        "codes at the ends of the format, smallest and largest codes, additions. A ratio is fxnorm's figure over the other's.",
        "",
        f"Machine: {machine()}.",
        "",
        f"Targets reached: {sum(reached)} of {len(reached)}.",
    ]
    if effort.quick:
        text[2] = "A trial (`--quick`): few samples, one run. No figure here means anything."
    for part in parts:
        text += ["", f"## {part.title}"]
        if part.rows:
            text += ["", table(part.rows)]
        for growth in part.tables:
            text += ["", f"**{growth.title}**", "", _growth(growth)]
        text += [line for name in part.missing for line in ("", f"Left out: {name}.")]
        text += [line for name in part.failed for line in ("", f"**Failed:** {name}.")]
    remarks = Path(__file__).with_name("remarks.md")
    if remarks.is_file():
        text += ["", remarks.read_text().rstrip()]
    return "\n".join(text) + "\n"


def table(rows: Sequence[Row]) -> str:
    """Rows as a table."""
    lines = [
        "| work | fxnorm | against | its figure | ratio | target | reached |",
        "| --- | ---: | --- | ---: | ---: | --- | --- |",
    ]
    for row in rows:
        target, reached = ("", "") if row.target is None else (row.target[0], "yes" if row.target[1] else "**no**")
        note = f" ({row.note})" if row.note else ""
        lines.append(
            f"| {row.work}{note} | {figure(row.ours, row.unit)} | {row.against} | {figure(row.theirs, row.unit)} "
            f"| {ratio(row.ratio)} | {target} | {reached} |"
        )
    return "\n".join(lines)


def _growth(growth: Growth) -> str:
    lines = [f"| {' | '.join(growth.heading)} |", f"| {' | '.join(['---:'] * len(growth.heading))} |"]
    return "\n".join(lines + [f"| {' | '.join(line)} |" for line in growth.lines])


def figure(number: float, unit: str) -> str:
    """A time or a size."""
    if unit != "s":
        return f"{number:.0f} {unit}"
    return f"{number:.2f} s" if number >= 1 else f"{number * 1e3:.2f} ms"


def ratio(number: float) -> str:
    """A ratio; below a tenth as a fraction."""
    return f"{number:.2f}" if number >= 0.1 else f"1 / {1 / number:,.0f}"
