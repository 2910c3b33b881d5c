"""Charts of whole configurations: lines against the width, points, trade-offs."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any, Final

import altair as alt

from fxnorm.page.specification import ROW, Layers, Spec, Width, finished
from fxnorm.page.theme import SHAPES, Theme

METRICS: Final = {
    "accuracy": ("Accuracy", "~%"),
    "agreement": ("Arg-max agreement with FP32", "~%"),
    "sqnr": ("SQNR of the worst output (dB)", "~f"),
}
DASHES: Final = ([1, 0], [6, 3], [2, 2], [8, 3, 2, 3], [4, 2, 1, 2], [12, 4])
COST: Final = "(cost)"
"""Stands where the name of a cost belongs: there is a chart for each."""


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
    hover = alt.selection_point(name="hover", on="pointerover", clear="pointerout", fields=["number"], empty=False)
    dashes = {} if len(extras) < 2 else {"strokeDash": _dash(extras)}
    lines = (
        base.mark_line(clip=True)
        .encode(x=x, y=y, color=_colour(theme, modes), detail="series:N", **dashes)
        .transform_filter("datum.best")
    )
    # Points at an end of the axis are shown whole, those below it not at all.
    points = base.transform_filter(f"datum.{metric} >= low") if bounded else base
    dots = points.mark_point().encode(
        x=x,
        y=y,
        color=_colour(theme, modes),
        shape=_shape(modes),
        size=alt.condition(hover, alt.value(170), alt.value(60)),
    )
    # Something larger than a point for the pointer to meet.
    targets = points.mark_point(size=600, opacity=0).encode(x=x, y=y, tooltip=_tooltip(metric)).add_params(hover)
    chart = alt.layer(_marks(theme, metric, scale, bounded=bounded), lines, dots, targets)
    return finished(theme, chart.add_params(alt.param(name="low", value=0.0)) if bounded else chart, width, height)


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
    return finished(theme, alt.layer(rules, dots), width, rows * ROW, tall=True)


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
        .transform_filter("datum.front && datum.gain >= low")
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
    return finished(theme, chart.add_params(alt.param(name="low", value=0.0)), width, height)


def costing(spec: Spec, cost: str) -> Spec:
    """A trade-off under the name of its cost."""

    def named(part: Any) -> Any:
        if isinstance(part, dict):
            return {key: named(value) for key, value in part.items()}
        if isinstance(part, list):
            return [named(value) for value in part]
        return cost if part == COST else part

    return dict(named(spec))


def _marks(theme: Theme, metric: str, scale: alt.Scale, *, bounded: bool = False) -> Layers:
    """Horizontal lines with words beside the plot: what FP32 gives, and the gate."""
    base = alt.Chart(alt.NamedData("marks"))
    if bounded:
        base = base.transform_filter("datum.level >= low")
    y = alt.Y("level:Q", scale=scale, title=_title(theme, metric), axis=_axis(metric))
    gate = "datum.kind == 'gate'"
    colour = alt.condition(gate, alt.value(theme["ink"]), alt.value(theme["muted"]))
    rules = base.mark_rule(clip=True, strokeWidth=1.5).encode(
        y=y, color=colour, strokeDash=alt.condition(gate, alt.value([7, 4]), alt.value([2, 3]))
    )
    # Two that are close move apart.
    beside = alt.ExprRef(f"{gate} ? 7 : -7")
    words = base.mark_text(align="left", dx=6, dy=beside, fontWeight=600).encode(
        x=alt.value("width"), y=y, text="label:N", color=colour
    )
    return alt.layer(rules, words)


def _title(theme: Theme, metric: str) -> str | None:
    return METRICS[metric][0] if theme.titles else None


def _axis(metric: str) -> alt.Axis:
    return alt.Axis(format=METRICS[metric][1], tickCount=6)


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
