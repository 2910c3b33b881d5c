"""Charts as Vega-Lite, by Altair; the only module that knows it.

A chart is a specification whose data has names and no rows; `fxnorm.page.datasets` makes the rows, for a page and for a file alike.
Altair takes its time over a specification, so that each is made once; what comes out must not be changed.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any, Final, Literal

import altair as alt

from fxnorm.page.theme import CELLS, SHAPES, Theme

Spec = dict[str, Any]
Width = int | str
Layers = alt.LayerChart | alt.FacetChart

METRICS: Final = {
    "accuracy": ("Accuracy", "~%"),
    "agreement": ("Arg-max agreement with FP32", "~%"),
    "sqnr": ("SQNR of the worst output (dB)", "~f"),
}
DASHES: Final = ([1, 0], [6, 3], [2, 2], [8, 3, 2, 3], [4, 2, 1, 2], [12, 4])
STEPS: Final[dict[str, list[float]]] = {
    "sqnr": [0.0, 10.0, 20.0, 30.0, 40.0, 60.0],
    "overflow": [1e-12, 1e-4, 1e-2, 1e-1],
    "range": [1, 2, 3, 4, 5],
}
"""Where the classes of a heat map begin, behind the first."""
CLASSES: Final = {"sqnr": tuple(range(CELLS)), "overflow": (4, 3, 2, 1, 0), "range": (6, 5, 4, 3, 2, 1)}
"""Colours of the classes, in the order of `STEPS`."""
CELL_WORDS: Final = {"sqnr": "SQNR (dB)", "overflow": "values that overflow", "range": "bits used"}
PLAIN: Final = (
    "abs(datum.value) >= 1e6 || (datum.value != 0 && abs(datum.value) < 1e-4) ? format(datum.value, '~e') : datum.label"
)
"""Label of a tick that may be of any size."""
ROW: Final = 24
"""Pixels of a layer's or a configuration's row."""
COST: Final = "(cost)"
"""Stands where the name of a cost belongs: there is a chart for each."""
LAYER_LABEL: Final = 190
"""Pixels of a layer's name beside a chart."""


@cache
def against_width(
    theme: Theme,
    metric: str,
    modes: tuple[str, ...],
    extras: tuple[str, ...],
    widths: tuple[int, ...],
    *,
    width: Width,
    height: int,
) -> Spec:
    """Lines of a metric against the width.

    Data ``points`` (see `fxnorm.page.datasets.points`), and ``marks``: level, label, kind ("gate" or "fp32"). The parameter ``low`` is
    the lower end of the vertical axis; SQNR has none.
    """
    bounded = metric != "sqnr"
    base = alt.Chart(alt.NamedData("points"))
    x = alt.X(
        "width:Q",
        title="Width of data (bits)",
        scale=alt.Scale(domain=[min(widths), max(widths)], nice=False, padding=12),
        axis=alt.Axis(values=list(widths), format="d"),
    )
    low = alt.ExprRef("low")
    scale = alt.Scale(domainMin=low, domainMax=1.0, nice=False) if bounded else alt.Scale(zero=False, nice=True)
    y = alt.Y(f"{metric}:Q", title=_title(theme, metric), scale=scale, axis=_axis(metric))
    hover = alt.selection_point(
        name="hover", nearest=True, on="pointerover", clear="pointerout", fields=["number"], empty=False
    )
    dashes = {} if len(extras) < 2 else {"strokeDash": _dash(extras)}
    lines = (
        base.mark_line(clip=True)
        .encode(x=x, y=y, color=_colour(theme, modes), detail="series:N", **dashes)
        .transform_filter("datum.best")
    )
    dots = (
        base.mark_point()
        .encode(
            x=x,
            y=y,
            color=_colour(theme, modes),
            shape=_shape(modes),
            size=alt.condition(hover, alt.value(170), alt.value(60)),
            tooltip=_tooltip(metric),
        )
        .add_params(hover)
    )
    if bounded:
        # Points at an end of the axis are shown whole, those below it not at all.
        dots = dots.transform_filter(f"datum.{metric} >= low")
    chart = alt.layer(_marks(theme, metric, scale, bounded=bounded), lines, dots)
    return _finished(theme, chart.add_params(alt.param(name="low", value=0.0)) if bounded else chart, width, height)


@cache
def by_configuration(theme: Theme, metric: str, modes: tuple[str, ...], rows: int, *, width: Width) -> Spec:
    """A metric of every configuration, where there is no width to draw it against. Data as in `against_width`."""
    title, format_ = METRICS[metric]
    scale = alt.Scale(zero=False, nice=True)
    dots = (
        alt.Chart(alt.NamedData("points"))
        .mark_point(size=80)
        .encode(
            x=alt.X(f"{metric}:Q", title=title, scale=scale, axis=alt.Axis(format=format_, grid=True)),
            y=alt.Y("name:N", sort=None, title=None, axis=alt.Axis(grid=True, labelLimit=260)),
            color=_colour(theme, modes),
            shape=_shape(modes),
            tooltip=_tooltip(metric),
        )
    )
    rules = (
        alt.Chart(alt.NamedData("marks"))
        .mark_rule(strokeWidth=1.5, strokeDash=[5, 4])
        .encode(x=alt.X("level:Q", title=title), color=alt.value(theme["muted"]), tooltip=["label:N"])
    )
    return _finished(theme, alt.layer(rules, dots), width, rows * ROW, tall=True)


@cache
def trade_off(theme: Theme, metric: str, modes: tuple[str, ...], *, width: Width, height: int) -> Spec:
    """Gain against cost, with the Pareto front.

    Data ``points``: see `fxnorm.page.datasets.front`; ``marks`` as in `against_width`. The parameter ``low`` is the lower end of the
    vertical axis: points far below the front are left out. The cost has no name yet; see `costing`.
    """
    title, format_ = METRICS[metric]
    base = alt.Chart(alt.NamedData("points"))
    scale = alt.Scale(zero=False, nice=False, domainMin=alt.ExprRef("low"), padding=10)
    across = alt.Scale(zero=False, nice=True, padding=10)
    x = alt.X("cost:Q", title=COST, scale=across, axis=alt.Axis(format="~s", tickCount=7))
    y = alt.Y("gain:Q", title=_title(theme, metric), scale=scale, axis=_axis(metric))
    line = (
        base.mark_line(interpolate="step-after", strokeWidth=2)
        .encode(x=x, y=y, color=alt.value(theme["muted"]))
        .transform_filter("datum.front")
    )
    dots = (
        base.mark_point(strokeWidth=1.5)
        .transform_filter("datum.gain >= low")
        .encode(
            x=x,
            y=y,
            color=_colour(theme, modes),
            shape=_shape(modes),
            size=alt.condition("datum.front", alt.value(110), alt.value(45)),
            opacity=alt.condition("datum.front", alt.value(1.0), alt.value(0.55)),
            tooltip=[
                alt.Tooltip("name:N", title="configuration"),
                alt.Tooltip("gain:Q", title=title, format=_exactly(format_)),
                alt.Tooltip("cost:Q", title=COST, format=",.6~g"),
                alt.Tooltip("front:N", title="on the front"),
            ],
        )
    )
    chart = alt.layer(_marks(theme, metric, scale, bounded=True), line, dots)
    return _finished(theme, chart.add_params(alt.param(name="low", value=0.0)), width, height)


def costing(spec: Spec, cost: str) -> Spec:
    """A trade-off under the name of its cost."""

    def named(part: Any) -> Any:
        if isinstance(part, dict):
            return {key: named(value) for key, value in part.items()}
        if isinstance(part, list):
            return [named(value) for value in part]
        return cost if part == COST else part

    return dict(named(spec))


@cache
def heat(theme: Theme, measure: str, rows: int, *, width: Width) -> Spec:
    """Layers × configurations.

    Data ``cells``: see `fxnorm.page.datasets.cells`, with the text that is ``shown``, which may be empty. The selection ``cell`` holds the
    key and number of what was clicked. With the parameter ``crowded`` the columns' names stand upright.
    """
    base = alt.Chart(alt.NamedData("cells"))
    x = alt.X(
        "column:O",
        sort=None,
        title=None,
        axis=alt.Axis(
            orient="top",
            labelAngle=alt.ExprRef("crowded ? -90 : 0"),
            labelAlign=alt.ExprRef("crowded ? 'left' : 'center'"),
            labelBaseline=alt.ExprRef("crowded ? 'middle' : 'bottom'"),
            labelPadding=alt.ExprRef("crowded ? 5 : 20"),
            labelExpr="crowded ? datum.label : split(datum.label, ', ')",
            ticks=False,
            domain=False,
            labelLimit=120,
        ),
        scale=alt.Scale(paddingInner=0.04),
    )
    y = alt.Y(
        "layer:O",
        sort=None,
        title=None,
        axis=alt.Axis(labelLimit=LAYER_LABEL, grid=False),
        scale=alt.Scale(paddingInner=0.06),
    )
    clicked = alt.selection_point(name="cell", on="click", fields=["key", "number"], empty=False, toggle=False)
    rects = (
        base.mark_rect(cornerRadius=2, cursor="pointer")
        .encode(
            x=x,
            y=y,
            color=_classes(theme, measure, "cell"),
            stroke=alt.condition(clicked, alt.value(theme["ink"]), alt.value("transparent")),
            strokeWidth=alt.value(2),
            tooltip=[
                alt.Tooltip("layer:N"),
                alt.Tooltip("name:N", title="configuration"),
                alt.Tooltip("text:N", title=CELL_WORDS[measure]),
            ],
        )
        .add_params(clicked)
    )
    texts = base.mark_text(fontSize=theme.size - 1).encode(
        x=x, y=y, text="shown:N", color=_classes(theme, measure, "cell-text")
    )
    chart = (
        alt.layer(rects, texts).resolve_scale(color="independent").add_params(alt.param(name="crowded", value=False))
    )
    return _finished(theme, chart, width, rows * ROW, tall=True)


@cache
def layer_by_layer(theme: Theme, chosen: tuple[str, ...], rows: int, *, width: Width, field: str = "which") -> Spec:
    """SQNR of every layer under one configuration or two. Data ``pairs``: see `fxnorm.page.datasets.pairs`.

    Parameters
    ----------
    chosen
        What tells the configurations apart: their letters, or their names with `field` "name", which a legend then explains.
    """
    base = alt.Chart(alt.NamedData("pairs"))
    scale = alt.Scale(zero=True, nice=True)
    x = alt.X("sqnr:Q", title="SQNR against FP32 (dB)", scale=scale, axis=alt.Axis(grid=True, tickCount=9))
    y = alt.Y("layer:O", sort=None, title=None, axis=alt.Axis(labelLimit=LAYER_LABEL, grid=True))
    colours = [theme[name] for name in ("first", "second")[: len(chosen)]]
    shapes = ["circle", "diamond"][: len(chosen)]
    legend = alt.Legend() if field == "name" else None
    between = base.mark_line(strokeWidth=2).encode(x=x, y=y, detail="layer:N", color=alt.value(theme["edge"]))
    dots = base.mark_point(size=85, strokeWidth=2).encode(
        x=x,
        y=y,
        color=alt.Color(f"{field}:N", scale=alt.Scale(domain=list(chosen), range=colours), legend=legend),
        shape=alt.Shape(f"{field}:N", scale=alt.Scale(domain=list(chosen), range=shapes), legend=legend),
        tooltip=[
            alt.Tooltip("layer:N"),
            alt.Tooltip("name:N", title="configuration"),
            alt.Tooltip("text:N", title="SQNR"),
        ],
    )
    return _finished(theme, alt.layer(between, dots), width, rows * ROW, tall=True)


@cache
def histogram(theme: Theme, title: str, colour: str, *, width: Width, height: int) -> Spec:
    """Numbers of one value, counted in decades.

    Data ``bins`` (see `fxnorm.page.datasets.stored_bins`), ``range``: low and high of what the format holds, and ``ends``: the same two as
    rows of level and label. The parameters ``left`` and ``right`` are the ends of the horizontal axis, ``top`` that of the vertical one.
    """
    scale = alt.Scale(domainMin=alt.ExprRef("left"), domainMax=alt.ExprRef("right"), nice=False, zero=False)
    x = alt.X("from:Q", title=title, scale=scale, axis=alt.Axis(tickCount=7, labelExpr=PLAIN))
    decades = "datum.value < 0.5 ? '0' : format(pow(10, datum.value - 1), '~s')"
    y = alt.Y(
        "height:Q",
        title="Values" if theme.titles else None,
        scale=alt.Scale(domainMin=0, domainMax=alt.ExprRef("top"), nice=False),
        axis=alt.Axis(tickMinStep=1, tickCount=6, labelExpr=decades),
    )
    held = (
        alt.Chart(alt.NamedData("range"))
        .mark_rect(clip=True)
        .encode(x=alt.X("low:Q", title=title), x2="high:Q", color=alt.value(theme["held"]))
    )
    bars = (
        alt.Chart(alt.NamedData("bins"))
        .mark_rect(clip=True)
        .encode(
            x=x,
            x2="to:Q",
            y=y,
            y2=alt.datum(0),
            color=alt.value(theme[colour]),
            tooltip=[
                alt.Tooltip("from:Q", format=".5~g"),
                alt.Tooltip("to:Q", title="up to", format=".5~g"),
                alt.Tooltip("count:Q", title="values", format=","),
            ],
        )
    )
    ends = (
        alt.Chart(alt.NamedData("ends"))
        .mark_rule(clip=True, strokeWidth=1.5, strokeDash=[5, 4])
        .encode(
            x=alt.X("level:Q", title=title),
            color=alt.value(theme["ink"]),
            tooltip=[alt.Tooltip("label:N", title="limit")],
        )
    )
    parameters = [alt.param(name=name, value=value) for name, value in (("left", 0.0), ("right", 1.0), ("top", 1.0))]
    return _finished(theme, alt.layer(held, bars, ends).add_params(*parameters), width, height)


def _marks(theme: Theme, metric: str, scale: alt.Scale, *, bounded: bool = False) -> Layers:
    """Horizontal lines with words beside the plot: what FP32 gives, and the gate."""
    base = alt.Chart(alt.NamedData("marks"))
    y = alt.Y("level:Q", scale=scale, title=_title(theme, metric), axis=_axis(metric))
    gate = "datum.kind == 'gate'"
    colour = alt.condition(gate, alt.value(theme["ink"]), alt.value(theme["muted"]))
    rules = base.mark_rule(clip=True, strokeWidth=1.5).encode(
        y=y, color=colour, strokeDash=alt.condition(gate, alt.value([7, 4]), alt.value([2, 3]))
    )
    # Two that are close move apart.
    beside = alt.ExprRef(f"{gate} ? 7 : -7")
    hidden = alt.condition("datum.level < low", alt.value(0), alt.value(1)) if bounded else alt.value(1)
    words = base.mark_text(align="left", dx=6, dy=beside, fontWeight=600).encode(
        x=alt.value("width"), y=y, text="label:N", color=colour, opacity=hidden
    )
    return alt.layer(rules, words)


def _title(theme: Theme, metric: str) -> str | None:
    return METRICS[metric][0] if theme.titles else None


def _axis(metric: str) -> alt.Axis:
    return alt.Axis(format=METRICS[metric][1], tickCount=6)


def _classes(theme: Theme, measure: str, prefix: str) -> alt.Color:
    """Colours of a heat map's cells, or of the text in them."""
    colours = [theme[f"{prefix}-{number}"] for number in CLASSES[measure]]
    return alt.Color("value:Q", scale=alt.Scale(type="threshold", domain=STEPS[measure], range=colours), legend=None)


def _colour(theme: Theme, modes: Sequence[str]) -> alt.Color:
    scale = alt.Scale(domain=list(modes), range=[theme.mode(mode) for mode in modes])
    return alt.Color("mode:N", scale=scale, legend=alt.Legend() if len(modes) > 1 else None)


def _shape(modes: Sequence[str]) -> alt.Shape:
    scale = alt.Scale(domain=list(modes), range=[SHAPES.get(mode, SHAPES["other"]) for mode in modes])
    return alt.Shape("mode:N", scale=scale, legend=alt.Legend() if len(modes) > 1 else None)


def _dash(extras: Sequence[str]) -> alt.StrokeDash:
    scale = alt.Scale(domain=list(extras), range=[DASHES[index % len(DASHES)] for index in range(len(extras))])
    # More lines than there are dashes are told apart by the tooltip alone.
    return alt.StrokeDash(
        "extra:N", scale=scale, legend=alt.Legend(symbolType="stroke") if len(extras) <= len(DASHES) else None
    )


def _tooltip(metric: str) -> list[alt.Tooltip]:
    title, format_ = METRICS[metric]
    return [
        alt.Tooltip("name:N", title="configuration"),
        alt.Tooltip("width:Q", title="bits"),
        alt.Tooltip(f"{metric}:Q", title=title, format=_exactly(format_)),
    ]


def _exactly(format_: str) -> str:
    return ".2%" if "%" in format_ else ".2f"


def _finished(theme: Theme, chart: Layers, width: Width, height: int, *, tall: bool = False) -> Spec:
    # What has a row for each layer is as high as its rows, whatever stands around them.
    fit: Literal["pad", "fit", "fit-x"] = "pad" if width != "container" else "fit-x" if tall else "fit"
    sized = chart.properties(width=width, height=height, autosize=alt.AutoSizeParams(type=fit, contains="padding"))
    spec: Spec = sized.to_dict()
    spec["config"] = theme.config()
    return spec
