"""What the results come to, in a few sentences."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from fxnorm.page.limits import Criterion
from fxnorm.page.results import Results, Row
from fxnorm.page.theme import MODES
from fxnorm.page.wording import decibels, listed, percent, plural, points

MOST_SERIES: Final = 4
"""Lines that a sentence can speak of."""


@dataclass(frozen=True)
class Summary:
    """The gist of a report.

    Attributes
    ----------
    headline
        One sentence.
    more
        Further ones.
    choice
        The narrowest configuration that is good enough, or the best one where none is; None where nothing was run.
    other
        What to compare it with.
    """

    headline: str
    more: tuple[str, ...]
    choice: Row | None
    other: Row | None


def summarize(results: Results, limits: Criterion) -> Summary:
    """Sum up results against limits."""
    if not results.done:
        return Summary("Nothing was run yet.", tuple(_counts(results, limits)), None, None)
    passing = [row for row in results.done if limits.met_by(row)] if limits else []
    choice = min(passing, key=_least) if passing else max(results.done, key=_quality)
    return Summary(
        headline=_headline(results, limits, choice, bool(passing)),
        more=(*_by_series(results, limits), *_counts(results, limits)),
        choice=choice,
        other=_other(results, choice),
    )


def narrowest(results: Results, limits: Criterion, series: str) -> Row | None:
    """Narrowest configuration of a line that meets the limits."""
    return min((row for row in results.in_series(series) if limits.met_by(row)), key=_least, default=None)


def named(row: Row) -> str:
    """A configuration in words: q5.3 with pow2."""
    extras = f", {listed(row.extras)}" if row.extras else ""
    return f"{row.format} with {row.normalize}{extras}"


def _least(row: Row) -> tuple[float, ...]:
    """Order of preference: narrow, then simple, then good."""
    return (row.width, _simplicity(row), *(-part for part in _quality(row)))


def _simplicity(row: Row) -> int:
    return MODES.index(row.normalize) if row.normalize in MODES else len(MODES)


def _quality(row: Row) -> tuple[float, ...]:
    accuracy = row.accuracy if row.accuracy is not None else row.agreement
    ratio = row.sqnr_db
    return (-1.0 if accuracy is None else accuracy, -math.inf if ratio is None else ratio)


def _headline(results: Results, limits: Criterion, row: Row, passes: bool) -> str:
    what = f"{named(row)} ({plural(row.width, 'bit')})"
    if row.accuracy is not None and row.accuracy_fp32 is not None:
        figure = f"{percent(row.accuracy)} accuracy where FP32 has {percent(row.accuracy_fp32)}"
    elif row.agreement is not None:
        figure = f"FP32's arg-max in {percent(row.agreement)} of the rows"
    else:
        figure = f"an output SQNR of {decibels(row.sqnr_db)}"
    if not limits or results.kind == "run":
        return f"{what} gives {figure}."
    if not passes:
        missed = "meets the gate" if limits.asked else f"keeps to the limit: {listed(limits.words())}"
        return f"No configuration {missed}; the best one, {what}, gives {figure}."
    return f"{what} gives {figure}{_narrower(results, row)}."


def _narrower(results: Results, row: Row) -> str:
    """What the next narrower format of the same line loses."""
    below = [other for other in results.in_series(row.series) if other.width < row.width]
    if not below:
        return ""
    width = below[-1].width
    nearest = max((other for other in below if other.width == width), key=_quality)
    if nearest.drop is not None:
        lost = f"lose {points(nearest.drop)}" if nearest.drop > 0.0 else f"give {percent(nearest.accuracy)}"
    elif nearest.agreement is not None:
        lost = f"agree in {percent(nearest.agreement)}"
    else:
        lost = f"give {decibels(nearest.sqnr_db)}"
    return f"; {plural(width, 'bit')} {lost}"


def _by_series(results: Results, limits: Criterion) -> list[str]:
    """How many bits each line needs."""
    if not limits or len(results.widths) < 2 or len(results.series) > MOST_SERIES:
        return []
    said = []
    for series in results.series:
        row = narrowest(results, limits, series)
        if row is not None:
            said.append(f"{series}: {plural(row.width, 'bit')} ({row.format})")
        else:
            best = max(results.in_series(series), key=_quality)
            reason = f"{points(best.drop)} lost" if best.drop is not None else decibels(best.sqnr_db)
            said.append(f"{series}: not reached up to {results.widths[-1]} bits (best {best.format}: {reason})")
    criterion = "to meet the gate" if limits.asked else f"for {listed(limits.words())}"
    return [f"Bits needed {criterion} – {'; '.join(said)}."]


def _counts(results: Results, limits: Criterion) -> list[str]:
    said = []
    missed = sum(not check.passed for check in results.checks)
    if missed:
        said.append(f"The gate is not met: {missed:,} of {plural(len(results.checks), 'limit')} missed.")
    elif results.checks:
        said.append("The gate is met.")
    done, refused = len(results.done), len(results.rows) - len(results.done)
    if limits.asked and limits and results.kind != "run":
        met = sum(limits.met_by(row) for row in results.done)
        said.append(f"{met:,} of {plural(done, 'configuration')} meet the gate: {listed(limits.words())}.")
    elif limits.asked and limits and results.done:
        verdict = "is met" if limits.met_by(results.done[0]) else "is not met"
        said.append(f"The gate {verdict}: {listed(limits.words())}.")
    if refused:
        said.append(
            f"{plural(refused, 'configuration')} could not be planned or run; the reasons stand under All results."
        )
    if results.waiting:
        said.append(f"The run is not finished: {plural(results.waiting, 'configuration')} still without a result.")
    return said


def _other(results: Results, choice: Row) -> Row | None:
    """Something to compare a configuration with: the same format without normalization, or else the next one of its line."""
    same = [row for row in results.done if row.format == choice.format and row.series != choice.series]
    plain = [row for row in same if row.normalize == "none"]
    line = [row for row in results.in_series(choice.series) if row.number != choice.number]
    near = sorted(line, key=lambda row: (abs(row.width - choice.width), row.width))
    rest = [row for row in results.done if row.number != choice.number]
    return next(iter([*plain, *near, *same, *rest]), None)
