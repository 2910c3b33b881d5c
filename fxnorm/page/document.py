"""The report as one HTML file that loads nothing."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Sequence
from functools import cache
from importlib.metadata import version
from importlib.resources import files
from typing import Any, Final

from fxnorm.page import datasets, figures, sections, tables
from fxnorm.page.limits import Criterion
from fxnorm.page.payload import by_importance, payload
from fxnorm.page.records import PROOF_NOTE
from fxnorm.page.results import Results, Row
from fxnorm.page.summary import Summary, summarize
from fxnorm.page.theme import DARK, FONT, LIGHT, ON_PAGE
from fxnorm.page.wording import cost_title

MOST_BYTES: Final = 3_000_000
"""Of the whole file."""
RESERVE: Final = 60_000
"""Bytes that are kept free."""
SCRIPTS: Final = ("data.js", "drawing.js", "overview.js", "comparison.js", "page.js")
"""Parts of the page's script, in their order."""
MOST_ROWS: Final = 1000
"""Configurations that the page's tables list."""
WIDTH: Final = "container"
HEIGHT: Final = 290


def document(results: Results, limits: Criterion, again: Sequence[str] = ()) -> str:
    """The page.

    Parameters
    ----------
    limits
        Of the gate, or the customary ones; see `criterion`.
    again
        Words of the command line that makes the report.
    """
    shape, summary = figures.shape_of(results), summarize(results, limits)
    order = by_importance(results, limits, summary)
    listed = sorted(order[:MOST_ROWS], key=lambda row: row.number)
    page = _page(results, limits, summary, shape, listed, again)
    specs = figures.figures(results)
    rest = {
        "figures": specs,
        "config": ON_PAGE.config(),
        "metrics": shape.metrics,
        "marks": {metric: figures.marks(results, limits, metric) for metric in shape.metrics},
        "fronts": figures.fronts(results, shape),
        "groups": [
            {
                "name": group.name,
                "numbers": [row.number for row in group.rows],
                "columns": datasets.column_names(group.rows),
            }
            for group in page["groups"]
        ],
        "measures": sections.MEASURES,
        "costs": [sections.cost_note(name) for name in results.cost_names],
        "filters": [{"values": entry["values"]} for entry in page["filters"]],
        "sparse": datasets.SPARSE,
        "useless": datasets.USELESS,
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


def _page(
    results: Results,
    limits: Criterion,
    summary: Summary,
    shape: figures.Shape,
    listed: Sequence[Row],
    again: Sequence[str],
) -> dict[str, Any]:
    """Everything that the template says."""
    choice, layered = summary.choice, bool(results.keys)
    shown = set()
    shown |= {"width"} if shape.several and not results.searched else set()
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
        found_tables["front"] = tables.front_table(results, limits)
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
        "filters": figures.filters(results),
        "zoom": figures.zoom(results, shape) if bounded else (),
        "marked": _marked(limits),
        "costs": [cost_title(name) for name in results.cost_names],
        "groups": groups,
        "group_chosen": next(
            (i for i, group in enumerate(groups) if choice is not None and group.name == choice.series), 0
        ),
        "layer_names": [results.layer_names[key] for key in results.keys],
        "layer": _first_layer(results, choice),
        "choice": None if choice is None else choice.number,
        "other": None if summary.other is None else summary.other.number,
        "detailed": list(results.done),
        "mixed": not all(row.uniform for row in results.done),
        "steps": sections.steps(results, choice, again),
        "notes": {
            "width": sections.width_note(results),
            "proofs": sections.proofs_note(results),
            "proof_words": PROOF_NOTE,
            "left_out": "",
        },
        "style": _style(),
        "script": script(),
        "library": library(),
        "policy": policy(),
    }


def _marked(limits: Criterion) -> str:
    if not limits:
        return ""
    words = ", ".join(limits.words())
    return f"meets the gate ({words})" if limits.asked else words


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


@cache
def script() -> str:
    """What is done on the page; one scope for all parts of it."""
    return '"use strict";\n(() => {\n' + "\n".join(_resource(name) for name in SCRIPTS) + "})();\n"


def policy() -> str:
    """What the page may do: run these two scripts and no other, and load nothing."""
    hashes = " ".join(f"'sha256-{_sha256(text)}'" for text in (library(), script()))
    return f"default-src 'none'; script-src {hashes}; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"


def _sha256(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


@cache
def _resource(name: str) -> str:
    return files("fxnorm.page").joinpath(name).read_text(encoding="utf-8")
