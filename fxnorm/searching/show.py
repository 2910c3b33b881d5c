"""A search as a table that a person can read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from fxnorm.report.columns import Column, console, print_line, print_table
from fxnorm.searching.search import Found, Request
from fxnorm.searching.space import NARROWER, NORMALIZE, WIDTH
from fxnorm.searching.trials import Trial


def print_search(found: Found, request: Request, plans: Sequence[Path], folder: Path) -> None:
    """Print the front, the plan that was looked for, and what it saves against one width everywhere."""
    out = console()
    print_line(out, f"{len(found.trials)} plans measured, {len(found.front)} of them beaten by no other", "bold")
    out.print()
    print_table(out, _columns(found, request, plans))
    out.print()
    print_line(out, verdict(found, request))
    if found.best is not None:
        out.print()
        print_table(out, _layers(found, found.best))
    print_line(out, f"written: {folder}")


def verdict(found: Found, request: Request) -> str:
    """What came of it, in a sentence or two."""
    if found.best is None:
        return (
            "no plan meets the gate: allow wider formats (--width), other normalizations (--normalize) or a weaker gate"
        )
    cost = request.costs[0]
    best = f"cheapest plan that meets the gate: {found.best.cost[cost]:,.0f} {cost}, {_quality(found.best)}"
    uniform = found.uniform
    if uniform is None:
        return f"{best}; no single width meets it"
    if uniform is found.best:
        return f"{best}; it is {uniform.configuration.name}, nothing cheaper was found"
    saved = 1.0 - found.best.cost[cost] / uniform.cost[cost] if uniform.cost[cost] else 0.0
    return (
        f"{best}; {saved:.1%} less than the cheapest single width, {uniform.configuration.name} "
        f"({uniform.cost[cost]:,.0f}, {_quality(uniform)})"
    )


def _quality(trial: Trial) -> str:
    accuracy = trial.metrics["accuracy"]
    sqnr = f"{trial.sqnr_db:.1f} dB"
    return sqnr if accuracy is None else f"accuracy {accuracy:.1%}, {sqnr}"


def _columns(found: Found, request: Request, plans: Sequence[Path]) -> list[Column]:
    front = found.front
    columns = [Column("plan", [path.name for path in plans], left=True)]
    columns += [Column(name, [f"{trial.cost[name]:,.0f}" for trial in front]) for name in request.costs]
    if any(trial.metrics["accuracy"] is not None for trial in front):
        columns.append(Column("accuracy", [f"{trial.metrics['accuracy']:.1%}" for trial in front]))
    columns.append(Column("SQNR dB", [f"{trial.sqnr_db:.1f}" for trial in front]))
    columns.append(Column("gate", ["best" if t is found.best else "met" if t.passed else "" for t in front], left=True))
    widths = [[str(t.choice[f"{WIDTH}:{group.name}"]) for group in found.space.groups] for t in front]
    columns.append(Column("bits by layer", [" ".join(own) for own in widths], left=True, prose=True, rank=2))
    return columns


def _layers(found: Found, trial: Trial) -> list[Column]:
    groups = found.space.groups
    columns = [
        Column("layer", [group.name for group in groups], left=True, name=True),
        Column("bits", [str(trial.choice[f"{WIDTH}:{group.name}"]) for group in groups]),
    ]
    for what, heading in ((NORMALIZE, "normalize"), (NARROWER, "accumulator narrower by")):
        cells = [str(trial.choice.get(f"{what}:{group.name}", "")) for group in groups]
        if any(cells):
            columns.append(Column(heading, cells, left=what == NORMALIZE))
    return columns
