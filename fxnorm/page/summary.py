"""What the results come to, in a few sentences."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from fxnorm.page.layers import MOVED
from fxnorm.page.limits import Criterion
from fxnorm.page.results import Results, Row
from fxnorm.page.theme import MODES
from fxnorm.page.wording import cost_title, decibels, listed, number, percent, plural, points

MOST_LAYERS: Final = 8
"""Layers that a sentence can speak of."""
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
    choice = min(passing, key=_order(results)) if passing else max(results.done, key=_quality)
    return Summary(
        headline=_headline(results, limits, choice, bool(passing)),
        more=(*_widths(results, choice), *_by_series(results, limits), *_counts(results, limits)),
        choice=choice,
        other=_uniform(results, limits, choice) if results.searched else _other(results, choice),
    )


def narrowest(results: Results, limits: Criterion, series: str) -> Row | None:
    """Narrowest configuration of a line that meets the limits."""
    return min((row for row in results.in_series(series) if limits.met_by(row)), key=_least, default=None)


def named(row: Row) -> str:
    """A configuration in words: q5.3 with pow2."""
    if not row.uniform:
        return row.name
    extras = f", {listed(row.extras)}" if row.extras else ""
    return f"{row.format} with {row.normalize}{extras}"


def _order(results: Results) -> Callable[[Row], tuple[float, ...]]:
    """Order of preference among what is good enough: of a search, by cost."""
    if not results.searched or not results.cost_names:
        return _least
    name = results.cost_names[0]
    return lambda row: (row.cost.get(name, math.inf), *(-part for part in _quality(row)), row.number)


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
    cost = _cost(results, row)
    what = (named(row) if row.uniform else f"The plan \u201c{named(row)}\u201d") + (
        f" ({cost})" if cost else f" ({plural(row.width, 'bit')})"
    )
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
    return f"{what} gives {figure}{_dearer(results, limits, row) if results.searched else _narrower(results, row)}."


def _cost(results: Results, row: Row) -> str:
    """What a plan of a search costs; "" for others."""
    name = next(iter(results.cost_names), "")
    return f"{number(row.cost[name])} {cost_title(name)}" if results.searched and name in row.cost else ""


def _dearer(results: Results, limits: Criterion, row: Row) -> str:
    """What one width everywhere would cost more."""
    uniform = [other for other in results.priced if other.uniform and limits.met_by(other)]
    name = next(iter(results.cost_names), "")
    if not uniform or name not in row.cost:
        return ""
    other = min(uniform, key=lambda one: one.cost[name])
    if other.number == row.number or not row.cost[name]:
        return ""
    more = other.cost[name] / row.cost[name] - 1.0
    return f"; the cheapest single width, {plural(other.width, 'bit')}, costs {percent(more)} more"


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


def _widths(results: Results, row: Row) -> list[str]:
    """Widths of a plan that has several: layer by layer, where a sentence can hold them."""
    if row.uniform:
        return []
    own = [layer for layer in row.layers if layer.kernel not in MOVED]
    if len(own) <= MOST_LAYERS:
        said = [f"{results.layer_names[layer.key]}: {plural(layer.width, 'bit')}" for layer in own]
        return [f"Its widths – {', '.join(said)}."]
    widths = [layer.width for layer in own]
    return [f"Its {len(own)} layers have {min(widths)} to {plural(max(widths), 'bit')}."]


def _by_series(results: Results, limits: Criterion) -> list[str]:
    """How many bits each line needs."""
    if not limits or results.searched or len(results.widths) < 2 or len(results.series) > MOST_SERIES:
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


def _uniform(results: Results, limits: Criterion, choice: Row) -> Row | None:
    """The best of what has one width everywhere, to compare a plan of a search with."""
    uniform = [row for row in results.done if row.uniform and row.number != choice.number]
    passing = [row for row in uniform if limits.met_by(row)]
    if passing:
        return min(passing, key=_order(results))
    return max(uniform, key=_quality, default=_other(results, choice))


def _other(results: Results, choice: Row) -> Row | None:
    """Something to compare a configuration with: the same format without normalization, or else the next one of its line."""
    same = [row for row in results.done if row.format == choice.format and row.series != choice.series]
    plain = [row for row in same if row.normalize == "none"]
    line = [row for row in results.in_series(choice.series) if row.number != choice.number]
    near = sorted(line, key=lambda row: (abs(row.width - choice.width), row.width))
    rest = [row for row in results.done if row.number != choice.number]
    return next(iter([*plain, *near, *same, *rest]), None)
