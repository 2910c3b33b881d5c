"""The report as one HTML file that loads nothing."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from importlib.resources import files
from typing import Any, Final

from fxnorm.page import charts, datasets, sections, tables
from fxnorm.page.limits import Criterion
from fxnorm.page.payload import by_importance, payload
from fxnorm.page.records import PROOF_NOTE
from fxnorm.page.results import Results, Row
from fxnorm.page.summary import Summary, summarize
from fxnorm.page.theme import DARK, FONT, LIGHT, MODES, ON_PAGE
from fxnorm.page.wording import decibels, percent

MOST_BYTES: Final = 3_000_000
"""Of the whole file."""
RESERVE: Final = 60_000
"""Bytes that are kept free."""
MOST_ROWS: Final = 1000
"""Configurations that the page's tables list."""
WIDTH: Final = "container"
HEIGHT: Final = 290


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
        wide=len(results.widths) > 1,
        several=len(results.done) > 1,
    )


def document(results: Results, limits: Criterion, again: Sequence[str] = ()) -> str:
    """The page.

    Parameters
    ----------
    limits
        Of the gate, or the customary ones; see `criterion`.
    again
        Words of the command line that makes the report.
    """
    shape, summary = shape_of(results), summarize(results, limits)
    order = by_importance(results, limits, summary)
    listed = sorted(order[:MOST_ROWS], key=lambda row: row.number)
    page = _page(results, limits, summary, shape, listed, again)
    specs = figures(results, shape)
    rest = {
        "figures": specs,
        "config": ON_PAGE.config(),
        "metrics": shape.metrics,
        "marks": {metric: marks(results, limits, metric) for metric in shape.metrics},
        "fronts": fronts(results, shape),
        "groups": [
            {
                "name": group.name,
                "numbers": [row.number for row in group.rows],
                "columns": datasets.column_names(group.rows),
            }
            for group in page["groups"]
        ],
        "measures": sections.MEASURES,
        "filters": [{"values": entry["values"]} for entry in page["filters"]],
        "sparse": datasets.SPARSE,
        "room": [datasets.MOST_NUMBERS, datasets.LONGEST_COLUMN],
    }
    used = len(_rendered({**page, "data": _embedded(rest)}).encode())
    points = len(_embedded({"points": datasets.points(results, limits)}))
    data = payload(results, limits, summary, max(0, MOST_BYTES - RESERVE - used - points))
    page["notes"]["left_out"] = left_out(results, data.left_out, len(listed))
    kept = data.content["details"]
    page["detailed"] = [row for row in results.done if row.number in kept]
    return _rendered({**page, "data": _embedded({**rest, **data.content})})


def left_out(results: Results, details: str, listed: int) -> str:
    """What the page lacks for want of room."""
    said = []
    if listed < len(results.done):
        said.append(f"the table lists {listed:,} of {len(results.done):,} configurations")
    if details:
        said.append(f"{details} were left out")
    if not said:
        return ""
    return f"To keep this file small, {' and '.join(said)}. The run's folder has everything."


def figures(results: Results, shape: Shape) -> dict[str, Any]:
    """Charts by their names, without data."""
    found: dict[str, Any] = {}
    for metric in shape.metrics:
        if shape.wide:
            found[f"against-{metric}"] = charts.against_width(
                ON_PAGE, metric, shape.modes, shape.extras, results.widths, width=WIDTH, height=HEIGHT
            )
        elif shape.several:
            found[f"against-{metric}"] = charts.by_configuration(
                ON_PAGE, metric, shape.modes, len(results.done), width=WIDTH
            )
        if shape.several and results.cost_names:
            spec = charts.trade_off(ON_PAGE, metric, shape.modes, width=WIDTH, height=HEIGHT + 40)
            for index, cost in enumerate(results.cost_names):
                found[f"front-{index}-{metric}"] = charts.costing(spec, cost)
    for measure in datasets.MEASURES:
        found[f"heat-{measure}"] = charts.heat(ON_PAGE, measure, len(results.keys), width=WIDTH)
    found["pairs"] = charts.layer_by_layer(ON_PAGE, ("A", "B"), len(results.keys), width=WIDTH)
    found["single"] = charts.layer_by_layer(ON_PAGE, ("A",), len(results.keys), width=WIDTH)
    for mark in ("first", "second"):
        for when, words in (("before", "Real value"), ("after", "Stored value")):
            found[f"histogram-{when}-{mark}"] = charts.histogram(ON_PAGE, words, mark, width=WIDTH, height=150)
    return {name: {key: value for key, value in spec.items() if key != "config"} for name, spec in found.items()}


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
    from fxnorm.page.results import FORMAT_AXES

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


def _page(
    results: Results, limits: Criterion, summary: Summary, shape: Shape, listed: Sequence[Row], again: Sequence[str]
) -> dict[str, Any]:
    """Everything that the template says."""
    choice, layered = summary.choice, bool(results.keys)
    shown = set()
    shown |= {"width"} if shape.several else set()
    shown |= {"cost"} if shape.several and results.cost_names else set()
    shown |= {"layers"} if layered else set()
    shown |= {"heat", "two"} if shape.several and layered else set()
    shown |= {"gate"} if results.checks else set()
    refused = [row for row in results.rows if not row.done]
    repeatable = [row for row in listed if row.command]
    groups = sections.groups(results)
    found_tables = {
        "results": tables.result_table(results, limits, listed),
        "hashes": sections.hash_table(results, choice),
        "refused": tables.refused_table(refused) if refused else None,
        "checks": tables.check_table(results.checks) if results.checks else None,
        "commands": tables.command_table(repeatable) if len(repeatable) > 1 else None,
    }
    if "width" in shown:
        found_tables["width"] = tables.by_width(results, limits)
    if "cost" in shown:
        found_tables["front"] = tables.front_table(results)
    if choice is not None and layered:
        found_tables["layers"] = tables.layer_table(results, choice)
        found_tables["proofs"] = tables.proof_table(results, choice)
    titles = {
        "width": f"{sections.METRIC_TITLES[shape.metrics[0]].split(' ')[0]} against width"
        if shape.wide
        else "Configurations",
        "side": "Two configurations side by side" if shape.several else "SQNR and histograms",
    }
    parts = [
        ("gate", "Gate"),
        ("width", titles["width"]),
        ("cost", "Cost"),
        ("layers", "Layers"),
        ("side-by-side", titles["side"]),
    ]
    known = [(id_, name) for id_, name in parts if id_ in shown or (id_ == "side-by-side" and layered)]
    known = [entry for entry in known if entry[0] != "layers" or "heat" in shown]
    if layered:
        known += [("histograms", "Histograms"), ("accumulators", "Accumulators")]
    known += [("results", "All results"), ("reproduce", "Reproduce")]
    bounded = shape.wide and shape.metrics[0] != "sqnr"
    return {
        "version": version("fxnorm"),
        "title": sections.title(results),
        "kind": sections.kind(results),
        "summary": summary,
        "tiles": sections.tiles(results, limits, summary),
        "sections": [{"id": id_, "title": name} for id_, name in known],
        "shown": shown,
        "titles": titles,
        "tables": found_tables,
        "metrics": [
            {
                "id": metric,
                "short": tables.SHORT[metric],
                "title": sections.METRIC_TITLES[metric],
                "label": f"Line chart of {sections.METRIC_TITLES[metric]} against width; the table below holds the numbers",
            }
            for metric in shape.metrics
        ],
        "filters": filters(results),
        "zoom": _zoom(results, shape) if bounded else (),
        "marked": _marked(limits),
        "costs": results.cost_names,
        "groups": groups,
        "group_chosen": next(
            (i for i, group in enumerate(groups) if choice is not None and group.name == choice.series), 0
        ),
        "layer_names": [results.layer_names[key] for key in results.keys],
        "layer": _first_layer(results, choice),
        "choice": None if choice is None else choice.number,
        "other": None if summary.other is None else summary.other.number,
        "detailed": list(results.done),
        "steps": sections.steps(results, choice, again),
        "notes": {
            "width": sections.width_note(results),
            "proofs": sections.proofs_note(results),
            "proof_words": PROOF_NOTE,
            "left_out": "",
        },
        "style": _style(),
        "script": _resource("report.js"),
        "library": library(),
        "policy": policy(),
    }


def _marked(limits: Criterion) -> str:
    if not limits:
        return ""
    words = ", ".join(limits.words())
    return f"meets the gate ({words})" if limits.asked else words


def _zoom(results: Results, shape: Shape) -> list[tuple[str, str]]:
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


def _first_layer(results: Results, choice: Row | None) -> int:
    """The layer to begin with: the one that has the lowest SQNR under the chosen configuration, inputs aside."""
    if choice is None:
        return 0
    ratios = [
        (layer.sqnr_db, results.keys.index(layer.key))
        for layer in choice.layers
        if layer.sqnr_db is not None and layer.kernel not in ("quantize", "movement")
    ]
    return min(ratios, default=(0.0, 0))[1]


def _rendered(page: dict[str, Any]) -> str:
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    whole = {key: Markup(page[key]) for key in ("style", "script", "library", "data")}
    return environment.from_string(_resource("report.html.j2")).render({**page, **whole})


def _embedded(content: Any) -> str:
    """JSON that may stand inside a script element: no < to end it with, no line separators."""
    text = json.dumps(content, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _style() -> str:
    """The style sheet with the palette: light, and dark where the reader prefers it, but never on paper."""
    light = "".join(f"--{name}:{colour};" for name, colour in LIGHT.items())
    dark = "".join(f"--{name}:{colour};" for name, colour in DARK.items())
    head = f":root{{{light}--font:{FONT};}}\n@media screen and (prefers-color-scheme: dark){{:root{{{dark}}}}}\n"
    return head + _resource("report.css")


@cache
def library() -> str:
    """Vega, Vega-Lite and Vega-Embed, in the version that Altair speaks."""
    import altair
    import vl_convert

    bundle = vl_convert.javascript_bundle(
        "window.vegaEmbed = vegaEmbed;", vl_version=".".join(altair.SCHEMA_VERSION.split(".")[:2])
    )
    # A script element ends at the first of these, wherever it stands.
    return bundle.replace("</script", "<\\/script").replace("<!--", "<\\!--")


def policy() -> str:
    """What the page may do: run these two scripts and no other, and load nothing."""
    hashes = " ".join(f"'sha256-{_sha256(text)}'" for text in (library(), _resource("report.js")))
    return f"default-src 'none'; script-src {hashes}; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"


def _sha256(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


@cache
def _resource(name: str) -> str:
    return files("fxnorm.page").joinpath(name).read_text(encoding="utf-8")
