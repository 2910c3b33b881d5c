"""A search's report: cost decides, and layers have widths of their own."""

from __future__ import annotations

import json

import pytest
from commandline import run
from page_results import DATA, MODEL, criterion, layer, results, row

from fxnorm.gate.limits import Limits
from fxnorm.page import limits as page_limits
from fxnorm.page import sections, tables
from fxnorm.page.document import document
from fxnorm.page.markdown import markdown
from fxnorm.page.reading import read
from fxnorm.page.summary import summarize


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("search") / "run"
    done = run(
        "search",
        MODEL,
        "--data",
        DATA,
        "--width",
        "4:6",
        "--min-accuracy",
        "0.9",
        "--trials",
        "6",
        "--cost",
        "memory_bits",
        "-o",
        place,
    )
    assert done.code == 0, done.err
    return place


def test_the_plan_that_it_names_is_the_one_that_the_search_found(folder):
    found = read(str(folder))
    limits = page_limits.criterion(found, Limits())
    best = json.loads((folder / "front.json").read_text())["best"]
    assert (limits.asked, limits.limits) == (True, Limits(min_accuracy=0.9))
    assert found.searched
    assert found.costs == ("memory_bits",)
    assert found.cost_names[0] == "memory_bits"
    summary = summarize(found, limits)
    assert summary.choice.plan_digest == best["plan_digest"]
    assert summary.choice.cost["memory_bits"] == best["cost"]["memory_bits"]
    uniform = json.loads((folder / "front.json").read_text())["uniform"]
    assert summary.other.uniform
    if not summary.choice.uniform:
        assert summary.other.plan_digest == uniform["plan_digest"]


def test_it_is_a_page_and_markdown(folder):
    found = read(str(folder))
    limits = page_limits.criterion(found, Limits())
    text = document(found, limits)
    assert 'id="cost"' in text
    assert 'id="width"' not in text
    assert "weights, tables and line buffers" in text
    assert '<option value="width">Width</option>' in text
    assert "## Cost" in markdown(found, limits)


def test_cost_decides_among_what_is_good_enough_and_a_single_width_is_what_it_is_compared_with():
    mixed = {"uniform": False, "layers": (layer("a", width=4), layer("b", width=6), layer("c", kernel="movement"))}
    rows = [
        row(width=8, cost={"area": 200.0}, accuracy=0.93, name="all 8 bits"),
        row(width=6, cost={"area": 150.0}, accuracy=0.92, name="all 6 bits"),
        row(width=8, cost={"area": 120.0}, accuracy=0.91, name="proposal 1", **mixed),
        row(width=4, cost={"area": 100.0}, accuracy=0.5, name="all 4 bits"),
        row(width=4, cost={}, accuracy=0.99, name="too wide for hardware"),
    ]
    found = results(*rows, kind="search", costs=("area",))
    summary = summarize(found, criterion(min_accuracy=0.9))
    said = [text.replace("\u00a0", " ") for text in (summary.headline, *summary.more)]
    assert said == [
        "The plan “proposal 1” (120 area) gives 91.0 % accuracy where FP32 has 95.0 %; "
        "the cheapest single width, 6 bits, costs 25.0 % more.",
        "Its widths – a: 4 bits, b: 6 bits.",
        "4 of 5 configurations meet the gate: accuracy at least 90.0 %.",
    ]
    assert (summary.choice.name, summary.other.name) == ("proposal 1", "all 6 bits")
    groups = {group.name: [one.name for one in group.rows] for group in sections.groups(found)}
    assert groups["Pareto front"] == ["all 4 bits", "proposal 1", "all 6 bits", "all 8 bits"]
    assert groups["one width everywhere"][:3] == ["all 4 bits", "all 6 bits", "all 8 bits"]
    assert [line[0].text for line in tables.front_table(found, criterion(min_accuracy=0.9)).rows] == groups[
        "Pareto front"
    ]
