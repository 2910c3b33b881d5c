"""What every chart has in common: its size and configuration, as a Vega-Lite specification.

A specification has data by names and no rows; `fxnorm.page.datasets` makes the rows, for a page and for a file alike. Altair takes its
time over one, so that each is made once; what comes out must not be changed.
"""

from __future__ import annotations

from typing import Any, Final, Literal

import altair as alt

from fxnorm.page.theme import Theme

Spec = dict[str, Any]
Width = int | str
Layers = alt.LayerChart | alt.FacetChart

ROW: Final = 24
"""Pixels of a layer's or a configuration's row."""


def finished(theme: Theme, chart: Layers, width: Width, height: int, *, tall: bool = False) -> Spec:
    """A chart of a size, as plain data.

    Parameters
    ----------
    width
        Pixels, or "container": as wide as its place.
    tall
        Whether the height is that of its rows, whatever stands around them.
    """
    fit: Literal["pad", "fit", "fit-x"] = "pad" if width != "container" else "fit-x" if tall else "fit"
    sized = chart.properties(width=width, height=height, autosize=alt.AutoSizeParams(type=fit, contains="padding"))
    spec: Spec = sized.to_dict()
    spec["config"] = theme.config()
    return spec
