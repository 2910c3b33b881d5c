"""Colours and type of the report: one palette that colour-blind readers can tell apart, in a light and a dark variant.

The hues are those of Okabe and Ito, *Color Universal Design* (2008), darkened on white and lightened on black until text and thin lines
have enough contrast. Colour never stands alone: lines differ in their dashes and points in their shapes too, and cells of a heat map show
their numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

FONT: Final = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Noto Sans', 'Liberation Sans', Arial, sans-serif"
PAPER_FONT: Final = "Liberation Sans, Arial, Helvetica, sans-serif"

LIGHT: Final[Mapping[str, str]] = {
    "page": "#ffffff",
    "panel": "#f5f7fa",
    "ink": "#1a2027",
    "muted": "#59636e",
    "edge": "#d5dbe1",
    "grid": "#e7ebef",
    "link": "#0b5fa5",
    "good": "#0b6e4f",
    "bad": "#a8400a",
    "none": "#c65102",
    "pow2": "#0072b2",
    "affine": "#00855f",
    "other": "#8a5a9e",
    "first": "#1a2027",
    "second": "#b04a86",
    "held": "#dcebf7",
    "cell-0": "#b35806",
    "cell-1": "#ee9d3f",
    "cell-2": "#fde3c0",
    "cell-3": "#dce9f5",
    "cell-4": "#a3cbe5",
    "cell-5": "#4f9fd0",
    "cell-6": "#0b5394",
    "cell-text-0": "#ffffff",
    "cell-text-1": "#1a2027",
    "cell-text-2": "#1a2027",
    "cell-text-3": "#1a2027",
    "cell-text-4": "#1a2027",
    "cell-text-5": "#0c1116",
    "cell-text-6": "#ffffff",
}

DARK: Final[Mapping[str, str]] = {
    "page": "#12161b",
    "panel": "#1b2129",
    "ink": "#e8ecf0",
    "muted": "#a3adb8",
    "edge": "#38414b",
    "grid": "#2a323b",
    "link": "#7cbcf0",
    "good": "#5fd0a5",
    "bad": "#f5a15f",
    "none": "#f08a3c",
    "pow2": "#5ab4ee",
    "affine": "#3fc79a",
    "other": "#c79bdb",
    "first": "#e8ecf0",
    "second": "#e08cbd",
    "held": "#20384d",
    "cell-0": "#ef8a3a",
    "cell-1": "#a85d1d",
    "cell-2": "#563c24",
    "cell-3": "#22364a",
    "cell-4": "#2b5c88",
    "cell-5": "#4c98d4",
    "cell-6": "#a4d3f7",
    "cell-text-0": "#12161b",
    "cell-text-1": "#ffffff",
    "cell-text-2": "#e8ecf0",
    "cell-text-3": "#e8ecf0",
    "cell-text-4": "#ffffff",
    "cell-text-5": "#0c1116",
    "cell-text-6": "#12161b",
}

MODES: Final = ("none", "pow2", "affine")
"""Normalizations with a colour of their own."""
SHAPES: Final[Mapping[str, str]] = {"none": "triangle-up", "pow2": "circle", "affine": "square", "other": "diamond"}
CELLS: Final = 7
"""Classes of a heat map, from the worst to the best."""


@dataclass(frozen=True, eq=False)
class Theme:
    """Where the colours of a chart come from.

    Attributes
    ----------
    colours
        By their names in `LIGHT`. In a page they are CSS variables, so that a chart follows the reader's choice of light or dark
        without being drawn again; in a file they are colours.
    font
        Of all text.
    titles
        Whether vertical axes have titles; on a page the caption says it.
    size
        Of text, in pixels.
    """

    colours: Mapping[str, str]
    font: str
    titles: bool
    size: int = 12

    def __getitem__(self, name: str) -> str:
        return self.colours[name]

    def mode(self, name: str) -> str:
        """Colour of a normalization."""
        return self.colours[name if name in MODES else "other"]

    def config(self) -> dict[str, Any]:
        """Vega-Lite's configuration: quiet axes, light grid, legends above the chart."""
        ink, muted, grid, edge = (self[name] for name in ("ink", "muted", "grid", "edge"))
        return {
            "background": None,
            "font": self.font,
            "view": {"stroke": None},
            "axis": {
                "labelColor": muted,
                "titleColor": ink,
                "labelFontSize": self.size,
                "titleFontSize": self.size,
                "titleFontWeight": 600,
                "titlePadding": 8,
                "labelPadding": 5,
                "gridColor": grid,
                "domainColor": edge,
                "tickColor": edge,
                "tickSize": 4,
            },
            "axisY": {"domain": False, "ticks": False},
            "axisX": {"grid": False},
            "legend": {
                "orient": "top",
                "title": None,
                "labelColor": ink,
                "labelFontSize": self.size + 1,
                "symbolSize": 90,
                "symbolStrokeWidth": 2,
                "padding": 0,
                "offset": 10,
                "labelLimit": 320,
                "columnPadding": 18,
            },
            "text": {"fontSize": self.size, "color": ink},
            "line": {"strokeWidth": 2.25},
            "point": {"size": 55, "filled": True, "opacity": 1},
        }


ON_PAGE: Final = Theme({name: f"var(--{name})" for name in LIGHT}, FONT, titles=False)
ON_PAPER: Final = Theme(LIGHT, PAPER_FONT, titles=True)
