"""Charts as files for papers: SVG, and PNG in 300 dots an inch, in the light palette."""

from __future__ import annotations

import copy
import csv
import io
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from fxnorm.page import charts, datasets, sections
from fxnorm.page.figures import PAPER, marks, shape_of, specifications
from fxnorm.page.layers import MOVED
from fxnorm.page.limits import Criterion
from fxnorm.page.results import Results, Row
from fxnorm.page.summary import summarize
from fxnorm.page.wording import cost_title, number

DOTS_PER_INCH: Final = 300
INDEX: Final = "index.csv"


@dataclass(frozen=True)
class Plot:
    """One chart of a report.

    Attributes
    ----------
    name
        Of the files, without their endings: letters, digits and hyphens, whatever a model calls its layers.
    title
        What it shows.
    chart
        The kind of chart, of which there is one specification.
    rows
        Its data, by name.
    parameters
        Values of the specification's parameters.
    cost
        Name of the horizontal axis of a trade-off.
    """

    name: str
    title: str
    chart: str
    rows: Mapping[str, list[dict[str, Any]]]
    parameters: Mapping[str, Any] | None = None
    cost: str = ""


def plots(results: Results, limits: Criterion, chosen: Mapping[str, Row]) -> list[Plot]:
    """Every chart of a report.

    Parameters
    ----------
    chosen
        The configurations side by side; see `compared`.
    """
    shape = shape_of(results)
    found: list[Plot] = []
    for metric in shape.metrics if shape.several else ():
        title = sections.METRIC_TITLES[metric]
        rows = {"points": datasets.points(results, limits), "marks": marks(results, limits, metric)}
        if not results.searched:
            found.append(
                Plot(metric, f"{title} against width" if shape.wide else title, f"against-{metric}", rows, {"low": 0.0})
            )
        for index, cost in enumerate(results.cost_names):
            points = datasets.front(results, cost, metric)
            rows = {"points": points, "marks": marks(results, limits, metric)}
            name = f"front-{index + 1}-{slug(cost)}-{metric}"
            low = {"low": datasets.focus(points, metric)}
            found.append(Plot(name, f"{title} against {cost}", f"front-{metric}", rows, low, cost_title(cost)))
    if not results.keys:
        return found
    if shape.several:
        found += _heat_maps(results)
    names = ", ".join(f"{letter}: {row.name}" for letter, row in chosen.items())
    found.append(Plot("layers", f"SQNR layer by layer, {names}", "pairs", {"pairs": datasets.pairs(results, chosen)}))
    for letter, row in chosen.items():
        found += _histograms(results, letter, row)
    return found


def _heat_maps(results: Results) -> Iterator[Plot]:
    for index, group in enumerate(sections.groups(results)):
        columns = datasets.column_names(group.rows)
        for measure in datasets.MEASURES:
            rows = datasets.cells(results, group.rows, measure)
            name = f"heat-{index + 1}-{slug(group.name)}-{measure}"
            title = f"{sections.MEASURES[measure]['caption']} {group.name}"
            yield Plot(name, title, f"heat-{measure}", {"cells": rows}, datasets.posture(columns))


def _histograms(results: Results, letter: str, row: Row) -> Iterator[Plot]:
    for place, key in enumerate(results.keys):
        layer = row.by_key.get(key)
        if layer is None or layer.kernel in MOVED or not layer.histogram:
            continue
        for when in ("before", "after"):
            before = when == "before"
            low, high = datasets.limits_of(layer.format)
            bins = datasets.real_bins(layer, results.distributions.get(key)) if before else datasets.stored_bins(layer)
            if not bins:
                continue
            left, right = datasets.extent(bins, low, high) if before else (low, high)
            margin = (right - left) * 0.02 or 1.0
            rows = {
                "bins": bins,
                "range": [{"low": low, "high": high}],
                "ends": [
                    {"level": end, "label": f"{layer.format}, {word}: {number(end)}"}
                    for word, end in (("lowest", low), ("highest", high))
                ],
            }
            parameters = {
                "left": left - margin,
                "right": right + margin,
                "top": 1.06 * max(1.0, *(record["height"] for record in bins)),
            }
            name = f"histogram-{place + 1:03d}-{letter.lower()}-{when}"
            title = f"{results.layer_names[key]} {when} normalization, {row.name}"
            yield Plot(name, title, f"histogram-{when}-{'first' if letter == 'A' else 'second'}", rows, parameters)


def compared(results: Results, limits: Criterion) -> dict[str, Row]:
    """The configurations side by side, by their letters."""
    summary = summarize(results, limits)
    return {letter: row for letter, row in (("A", summary.choice), ("B", summary.other)) if row is not None}


def kinds(results: Results, chosen: Mapping[str, Row]) -> dict[str, Any]:
    """Specifications by the kinds of charts; arguments as those of `plots`."""
    return specifications(results, PAPER, tuple(row.name for row in chosen.values()))


def drawn(plot: Plot, specification: Mapping[str, Any]) -> str:
    """A chart as SVG text.

    Parameters
    ----------
    specification
        The chart's kind, from `kinds`.
    """
    import altair
    import vl_convert

    spec: dict[str, Any] = copy.deepcopy(dict(specification))
    if plot.cost:
        spec = charts.costing(spec, plot.cost)
    spec["datasets"] = dict(plot.rows)
    spec["background"] = "white"
    for parameter in spec.get("params", ()):
        parameter["value"] = (plot.parameters or {}).get(parameter["name"], parameter.get("value"))
    return vl_convert.vegalite_to_svg(spec, vl_version=".".join(altair.SCHEMA_VERSION.split(".")[:2]))


def raster(svg: str) -> bytes:
    """The same as PNG."""
    import vl_convert

    return vl_convert.svg_to_png(svg, scale=1.0, ppi=DOTS_PER_INCH)


def index(found: list[Plot]) -> str:
    """What each file shows, as CSV."""
    stream = io.StringIO(newline="")
    table = csv.writer(stream, lineterminator="\n")
    table.writerow(["file", "shows"])
    table.writerows([plot.name, plot.title] for plot in found)
    return stream.getvalue()


def slug(text: str) -> str:
    """What of a name may stand in a file's."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower())[:40].strip("-") or "other"
