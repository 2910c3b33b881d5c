"""Charts as files: what they draw, and what they are called."""

from __future__ import annotations

import csv
import io
import re
import struct
from xml.etree import ElementTree

import pytest
from page_results import HOSTILE, criterion, grid, layer, results, row

from fxnorm.page import plots
from fxnorm.report.text import printable

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def drawn():
    found = grid()
    limits = criterion(min_accuracy=0.7)
    chosen = plots.compared(found, limits)
    listed = plots.plots(found, limits, chosen)
    kinds = plots.kinds(found, chosen)
    wanted = {
        "accuracy",
        "front-1-area-sqnr",
        "heat-2-pow2-sqnr",
        "layers",
        "histogram-002-a-before",
        "histogram-002-a-after",
    }
    return {
        plot.name: ElementTree.fromstring(plots.drawn(plot, kinds[plot.chart]))
        for plot in listed
        if plot.name in wanted
    }


def texts(svg):
    return [element.text for element in svg.iter(f"{SVG}text")]


def marks(svg, kind):
    """What was drawn of one kind of mark."""
    groups = [group for group in svg.iter(f"{SVG}g") if kind in str(group.get("class")).split()]
    return [
        element for group in groups for element in group if element.tag in (f"{SVG}path", f"{SVG}text", f"{SVG}line")
    ]


def test_every_point_is_drawn_and_every_line(drawn):
    svg = drawn["accuracy"]
    symbols = [path for path in marks(svg, "mark-symbol") if path.get("transform")]
    assert len([path for path in symbols if path.get("aria-hidden") is None]) >= 15
    assert {"none", "pow2", "affine", "gate 70.0\u00a0%", "FP32 95.0\u00a0%"} <= set(texts(svg))
    assert {"4", "5", "6", "7", "8"} <= set(texts(svg))


def test_a_heat_map_has_a_cell_for_every_layer_and_format_with_its_number(drawn):
    found = grid()
    svg = drawn["heat-2-pow2-sqnr"]
    shown = texts(svg)
    for one in found.in_series("pow2"):
        for own in one.layers:
            assert f"{own.sqnr_db:.1f}" in shown
    assert {"input", "conv1", "conv2", "dense"} <= set(shown)


def test_histograms_have_a_bar_for_every_count(drawn):
    found = grid()
    for name, bars in (("histogram-002-a-before", 11), ("histogram-002-a-after", 63)):
        rects = [path for path in marks(drawn[name], "mark-rect") if path.get("fill") == "#1a2027"]
        heights = [float(re.search(r"v(-?[\d.]+)", str(path.get("d"))).group(1)) for path in rects]
        assert sum(abs(height) > 0 for height in heights) == bars, name
    assert found.rows


def test_a_trade_off_is_named_after_its_cost(drawn):
    assert "area" in texts(drawn["front-1-area-sqnr"])
    assert "(cost)" not in texts(drawn["front-1-area-sqnr"])


def test_the_two_that_are_compared_are_named(drawn):
    found = grid()
    chosen = plots.compared(found, criterion(min_accuracy=0.7))
    assert {one.name for one in chosen.values()} <= set(texts(drawn["layers"]))


def test_a_raster_has_300_dots_an_inch():
    found = results(row(), row(width=6))
    limits = criterion(min_accuracy=0.7)
    chosen = plots.compared(found, limits)
    plot = next(plot for plot in plots.plots(found, limits, chosen) if plot.name == "sqnr")
    svg = plots.drawn(plot, plots.kinds(found, chosen)[plot.chart])
    png = plots.raster(svg)
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    width, height = struct.unpack(">II", png[16:24])
    root = ElementTree.fromstring(svg)
    assert width == pytest.approx(float(root.get("width")) * 300 / 72, abs=2)
    assert height == pytest.approx(float(root.get("height")) * 300 / 72, abs=2)


def test_files_are_named_by_letters_and_digits_whatever_a_model_says():
    rows = [
        row(
            normalize=mode,
            width=width,
            cost={printable(name): float(width) for name in HOSTILE},
            layers=tuple(layer(name, name=name) for name in HOSTILE),
        )
        for mode in HOSTILE[:2]
        for width in (4, 8)
    ]
    found = results(*rows)
    limits = criterion(min_accuracy=0.7)
    listed = plots.plots(found, limits, plots.compared(found, limits))
    names = [plot.name for plot in listed]
    assert len(set(names)) == len(names) > 40
    assert all(re.fullmatch(r"[a-z0-9-]{1,80}", name) for name in names)
    assert [line["file"] for line in csv.DictReader(io.StringIO(plots.index(listed)))] == names


def test_codes_that_only_moved_have_no_histogram_of_their_own():
    found = results(row(layers=(layer("a"), layer("b", kernel="movement"), layer("c", histogram=()))))
    limits = criterion(min_accuracy=0.7)
    names = [plot.name for plot in plots.plots(found, limits, plots.compared(found, limits))]
    assert names == ["layers", "histogram-001-a-before", "histogram-001-a-after"]
