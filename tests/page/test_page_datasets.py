"""Rows that charts are drawn from."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from page_results import criterion, grid, layer, results, row

from fxnorm.fixed.format import Format
from fxnorm.page import datasets
from fxnorm.page.results import Distribution

COUNTS = st.lists(st.integers(0, 10**9), min_size=1, max_size=64).map(tuple)


@given(st.integers(1, 32), st.integers(-40, 40), st.booleans(), st.data())
def test_codes_are_drawn_over_the_whole_range_of_their_format(width, integer_bits, signed, data):
    format_ = Format(width, integer_bits, signed)
    parts = min(64, 1 << width)
    counts = tuple(data.draw(st.lists(st.integers(0, 10**6), min_size=parts, max_size=parts)))
    bins = datasets.stored_bins(layer(format=str(format_), width=width, histogram=counts))
    assert [record["count"] for record in bins] == list(counts)
    assert bins[0]["from"] == format_.min_value
    assert bins[-1]["to"] == format_.max_value + format_.step
    for before, after in pairwise(bins):
        assert before["to"] == after["from"]


@given(st.integers(0, 10**12))
def test_the_height_of_a_bar_is_its_count_in_decades(count):
    height = datasets.height(count)
    assert (height == 0.0) == (count == 0)
    assert count == 0 or round(10 ** (height - 1.0)) == pytest.approx(count, rel=1e-9)


@given(COUNTS, st.floats(-1e6, 1e6), st.floats(0.0, 1e6))
def test_real_numbers_are_those_of_fp32(counts, low, span):
    known = Distribution(low, low + span, counts)
    bins = datasets.real_bins(layer(), known)
    assert [record["count"] for record in bins] == list(counts)
    assert bins[0]["from"] == low
    assert bins[-1]["to"] == pytest.approx(low + span)


def test_without_fp32_real_numbers_are_what_the_codes_stand_for():
    histogram = [0] * 64
    histogram[0], histogram[40] = 3, 5
    bins = datasets.real_bins(layer(scale=0.25, offset=1.0, histogram=tuple(histogram)), None)
    assert [(record["from"], record["to"], record["count"]) for record in bins] == [(-3.0, -2.875, 3), (2.0, 2.125, 5)]
    assert datasets.real_bins(layer(scale=None), None) == []


@given(st.floats(-1e3, 1e3), st.floats(0.0, 1e3), st.floats(0.1, 1e6))
def test_an_axis_holds_all_data_and_the_format_unless_that_makes_a_needle_of_it(least, span, reach):
    bins = [{"from": least, "to": least + span / 2}, {"from": least + span / 2, "to": least + span}]
    left, right = datasets.extent(bins, -reach, reach)
    assert left <= least
    assert right >= least + span
    size = max(span, abs(least), abs(least + span))
    assert right - left <= max(2 * reach, datasets.SPARSE * size) + span + 2 * reach * (size == 0.0)
    if 2 * reach <= size:
        assert left <= -reach or left == least
        assert right >= reach or right == least + span


def test_a_line_goes_through_the_best_of_a_width():
    rows = [
        row(accuracy=0.8, sqnr_db=50.0),
        row(accuracy=0.9, sqnr_db=10.0, format="q2.6"),
        row(accuracy=0.9, sqnr_db=20.0, format="q3.5"),
        row(width=6, accuracy=0.1),
        row(normalize="none", accuracy=0.05),
        row(refused="too wide", accuracy=None),
    ]
    points = datasets.points(results(*rows), criterion(min_accuracy=0.85))
    assert [point["number"] for point in points if point["best"]] == [2, 3, 4]
    assert [point["passes"] for point in points] == [False, True, True, False, False]
    assert len(points) == 5


def test_cells_have_the_values_that_decide_their_colours():
    found = grid()
    rows = found.in_series("none")
    for measure, value, text in (("sqnr", 22.0, "22.0"), ("overflow", 0.01, "1.0%"), ("range", 2, "2/4")):
        cells = datasets.cells(found, rows, measure)
        assert len(cells) == len(rows) * 4
        (cell,) = [one for one in cells if one["column"] == "4 bits, q2.2" and one["layer"] == "conv2"]
        assert (cell["value"], cell["text"], cell["shown"]) == (value, text, text)
    assert datasets.cell(layer(sqnr_db=math.inf), "sqnr") == {"value": 999.0, "text": "exact"}
    assert datasets.cell(layer(sqnr_db=None), "sqnr") == {"value": None, "text": "–"}
    assert datasets.cell(layer(overflow_fraction=1e-9), "overflow")["text"] == "<0.1%"


def test_cells_of_many_columns_show_no_numbers():
    rows = [row(width=width) for width in range(4, 4 + datasets.MOST_NUMBERS + 1)]
    found = results(*rows)
    cells = datasets.cells(found, found.done, "sqnr")
    assert {cell["shown"] for cell in cells} == {""}
    assert all(cell["text"] for cell in cells)


def test_columns_are_named_by_what_tells_them_apart():
    assert datasets.column_names([row(), row(width=6)]) == ["8 bits, q4.4", "6 bits, q3.3"]
    assert datasets.column_names([row(), row(normalize="none")]) == ["8 bits, q4.4 pow2", "8 bits, q4.4 none"]


def test_an_axis_of_gain_begins_close_below_the_front():
    points = [{"gain": gain, "front": on} for gain, on in ((0.9, True), (0.8, True), (0.78, False), (0.0, False))]
    assert datasets.focus(points, "accuracy") == pytest.approx(0.775)
    assert datasets.focus(points[:3], "accuracy") == pytest.approx(0.775)
    assert datasets.focus(points[:2], "accuracy") == pytest.approx(0.795)
    assert datasets.focus([], "accuracy") == 0.0
    # An accuracy far below the best is on the front for being cheap, and of no use; a low SQNR may be.
    useless = [*points, {"gain": 0.1, "front": True}]
    assert datasets.focus(useless, "accuracy") == pytest.approx(0.775)
    assert datasets.focus(useless, "sqnr") == pytest.approx(0.0 - 0.2 * 0.2)


def test_pairs_are_those_of_layers_that_both_have():
    one = row(layers=(layer("a", sqnr_db=10.0), layer("b", sqnr_db=math.inf)))
    other = row(layers=(layer("b", sqnr_db=20.0), layer("c", sqnr_db=None)))
    found = results(one, other)
    pairs = datasets.pairs(found, {"A": found.rows[0], "B": found.rows[1]})
    assert [(pair["which"], pair["layer"], pair["sqnr"], pair["text"].replace("\u00a0", " ")) for pair in pairs] == [
        ("A", "a", 10.0, "10.0 dB"),
        ("A", "b", None, "exact"),
        ("B", "b", 20.0, "20.0 dB"),
        ("B", "c", None, "–"),
    ]
