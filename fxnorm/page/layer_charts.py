"""Charts of layers: heat maps, SQNR layer by layer, histograms."""

from __future__ import annotations

from functools import cache
from typing import Final

import altair as alt

from fxnorm.page.specification import ROW, Spec, Width, finished
from fxnorm.page.theme import CELLS, Theme

STEPS: Final[dict[str, list[float]]] = {
    "sqnr": [0.0, 10.0, 20.0, 30.0, 40.0, 60.0],
    "overflow": [1e-12, 1e-4, 1e-2, 1e-1],
    "range": [1, 2, 3, 4, 5],
    "width": [5, 7, 9, 13],
}
"""Where the classes of a heat map begin, behind the first."""
CLASSES: Final = {
    "sqnr": tuple(range(CELLS)),
    "overflow": (4, 3, 2, 1, 0),
    "range": (6, 5, 4, 3, 2, 1),
    "width": (2, 3, 4, 5, 6),
}
"""Colours of the classes, in the order of `STEPS`."""
CELL_WORDS: Final = {"sqnr": "SQNR (dB)", "overflow": "values that overflow", "range": "bits used", "width": "bits"}
PLAIN: Final = (
    "abs(datum.value) >= 1e6 || (datum.value != 0 && abs(datum.value) < 1e-4) ? format(datum.value, '~e') : datum.label"
)
"""Label of a tick that may be of any size."""
LAYER_LABEL: Final = 190
"""Pixels of a layer's name beside a chart."""


@cache
def heat(theme: Theme, measure: str, rows: int, *, width: Width) -> Spec:
    """Layers × configurations.

    Data ``cells``: see `fxnorm.page.datasets.cells`, with the text that is ``shown``, which may be empty. The selection ``cell`` holds the
    key and number of what was clicked. With the parameter ``crowded`` the columns' names stand upright, with ``deep`` they
    have two lines.
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
            labelPadding=alt.ExprRef("deep ? 20 : 5"),
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
        alt.layer(rects, texts)
        .resolve_scale(color="independent")
        .add_params(*(alt.param(name=name, value=False) for name in ("crowded", "deep")))
    )
    return finished(theme, chart, width, rows * ROW, tall=True)


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
    return finished(theme, alt.layer(between, dots), width, rows * ROW, tall=True)


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
    return finished(theme, alt.layer(held, bars, ends).add_params(*parameters), width, height)


def _classes(theme: Theme, measure: str, prefix: str) -> alt.Color:
    """Colours of a heat map's cells, or of the text in them."""
    colours = [theme[f"{prefix}-{number}"] for number in CLASSES[measure]]
    return alt.Color("value:Q", scale=alt.Scale(type="threshold", domain=STEPS[measure], range=colours), legend=None)
