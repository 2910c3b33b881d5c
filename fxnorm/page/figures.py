"""Which charts a report has, and the lines and choices that belong to them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from fxnorm.page import charts, datasets, layer_charts, tables
from fxnorm.page.limits import Criterion
from fxnorm.page.results import FORMAT_AXES, Results
from fxnorm.page.specification import Spec, Width
from fxnorm.page.theme import MODES, ON_PAGE, ON_PAPER, Theme
from fxnorm.page.wording import cost_title, decibels, percent


@dataclass(frozen=True)
class Shape:
    """Which parts a report has, by what its results have."""

    metrics: tuple[str, ...]
    modes: tuple[str, ...]
    extras: tuple[str, ...]
    wide: bool
    several: bool


def shape_of(results: Results) -> Shape:
    """Look at what there is."""
    found = dict.fromkeys(row.normalize for row in results.done)
    modes = tuple(sorted(found, key=lambda mode: MODES.index(mode) if mode in MODES else len(MODES)))
    extras = tuple(dict.fromkeys(", ".join(row.extras) for row in results.done))
    return Shape(
        metrics=tuple(tables.metrics(results)),
        modes=modes,
        extras=extras,
        wide=len(results.widths) > 1 and not results.searched,
        several=len(results.done) > 1,
    )


@dataclass(frozen=True)
class Look:
    """Colours and sizes of all charts.

    Attributes
    ----------
    theme
        Where colours come from.
    width, heat_width
        Pixels, or "container": as wide as the place on the page.
    height, front_height
        Pixels.
    """

    theme: Theme
    width: Width
    heat_width: Width
    height: int
    front_height: int


PAGE: Final = Look(ON_PAGE, "container", "container", 290, 330)
PAPER: Final = Look(ON_PAPER, 420, 620, 240, 240)
HISTOGRAM_HEIGHT: Final = 150


def specifications(results: Results, look: Look, names: tuple[str, ...] = ()) -> dict[str, Spec]:
    """Charts by their kinds, without data.

    Parameters
    ----------
    names
        Of the configurations side by side, where a legend tells them apart; without them they have letters.
    """
    shape, theme, width, layers = shape_of(results), look.theme, look.width, len(results.keys)
    found: dict[str, Spec] = {}
    for metric in shape.metrics if shape.several else ():
        if shape.wide:
            found[f"against-{metric}"] = charts.against_width(
                theme, metric, shape.modes, shape.extras, results.widths, width=width, height=look.height
            )
        else:
            found[f"against-{metric}"] = charts.by_configuration(
                theme, metric, shape.modes, len(results.done), width=width
            )
        if results.cost_names:
            found[f"front-{metric}"] = charts.trade_off(
                theme, metric, shape.modes, width=width, height=look.front_height
            )
    if not layers:
        return found
    for measure in datasets.MEASURES:
        found[f"heat-{measure}"] = layer_charts.heat(theme, measure, layers, width=look.heat_width)
    if names:
        found["pairs"] = layer_charts.layer_by_layer(theme, names, layers, width=width, field="name")
    else:
        letters = ("A", "B") if shape.several else ("A",)
        found["pairs"] = layer_charts.layer_by_layer(theme, letters, layers, width=width)
    for mark in ("first", "second"):
        for when, words in (("before", "Real value"), ("after", "Stored value")):
            found[f"histogram-{when}-{mark}"] = layer_charts.histogram(
                theme, words, mark, width=width, height=HISTOGRAM_HEIGHT
            )
    return found


def figures(results: Results) -> dict[str, Any]:
    """Charts of a page by their names, without data, and without what they have in common; one for each cost."""
    found: dict[str, Any] = {}
    for name, spec in specifications(results, PAGE).items():
        own = {key: value for key, value in spec.items() if key != "config"}
        kind, _, metric = name.partition("-")
        if kind == "front":
            for index, cost in enumerate(results.cost_names):
                found[f"front-{index}-{metric}"] = charts.costing(own, cost_title(cost))
        else:
            found[name] = own
    return found


def marks(results: Results, limits: Criterion, metric: str) -> list[dict[str, Any]]:
    """Horizontal lines of a chart: FP32, and the gate or the customary limit."""
    found = []
    if metric == "accuracy" and results.fp32 is not None:
        found.append({"level": results.fp32, "label": f"FP32 {percent(results.fp32)}", "kind": "fp32"})
    floor = limits.level(metric, results.fp32)
    if floor is not None:
        text = decibels(floor) if metric == "sqnr" else percent(floor)
        found.append({"level": floor, "label": f"{'gate' if limits.asked else 'limit'} {text}", "kind": "gate"})
    return found


def fronts(results: Results, shape: Shape) -> dict[str, list[int]]:
    """Numbers of the configurations on each front."""
    return {
        f"{index}-{metric}": [record["number"] for record in datasets.front(results, cost, metric) if record["front"]]
        for index, cost in enumerate(results.cost_names)
        for metric in shape.metrics
    }


def filters(results: Results) -> list[dict[str, Any]]:
    """Choices among what was varied beside width and normalization."""
    axes = dict.fromkeys(axis for row in results.done for axis in row.varied)
    found = []
    for axis in axes:
        if axis in (*FORMAT_AXES, "normalize"):
            continue
        values = {row.number: row.varied.get(axis, "") for row in results.done}
        found.append(
            {"name": axis.replace("_", " "), "entries": list(dict.fromkeys(values.values())), "values": values}
        )
    return found


def zoom(results: Results, shape: Shape) -> list[tuple[str, str]]:
    """Lower ends of the axis of accuracy that are worth having."""
    metric = shape.metrics[0]
    shares = [share for share in (datasets.gain(row, metric) for row in results.done) if share is not None]
    top = results.fp32 if metric == "accuracy" and results.fp32 is not None else max(shares, default=1.0)
    found = [("0", f"from {percent(0.0, 0)}")]
    for below in (0.2, 0.05):
        low = round(top - below, 2)
        if low > 0.0:
            found.append((f"{low:g}", f"from {percent(low, 0)}"))
    return found
