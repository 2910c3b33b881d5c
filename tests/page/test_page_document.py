"""The page as a file: whole HTML, nothing loaded, nothing of a stranger's text obeyed, small."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from html.parser import HTMLParser

import pytest
from commandline import run
from page_results import DATA, HOSTILE, MODEL, NO_LIMIT, criterion, grid, layer, make_hostile, results, row, swept

from fxnorm.gate.limits import Limits
from fxnorm.page import datasets
from fxnorm.page import limits as page_limits
from fxnorm.page.document import MOST_BYTES, MOST_ROWS, document
from fxnorm.page.reading import read
from fxnorm.page.tables import by_width
from fxnorm.report.text import printable

VOID = {"meta", "link", "img", "br", "input", "hr"}


class Page(HTMLParser):
    """A page, read strictly: every element is closed where it has to be."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[str, str]] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        assert len(dict(attrs)) == len(attrs), f"{tag} has an attribute twice"
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append((self.open[-1] if self.open else "", data))

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for own, attributes in self.elements if own == tag]

    def text_in(self, tag: str) -> list[str]:
        return [text for own, text in self.texts if own == tag]

    @property
    def data(self):
        (text,) = [text for text in self.text_in("script") if text.startswith("{")]
        return json.loads(text)

    @property
    def shown(self) -> str:
        return " ".join(text for tag, text in self.texts if tag not in ("script", "style"))


@pytest.fixture(scope="module")
def plain():
    found = grid()
    return document(found, page_limits.criterion(found, Limits()), ["fxnorm", "report", "run"])


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    folder = swept(tmp_path_factory.mktemp("hostile"), "--width", "4:9", "--normalize", "none,pow2")
    make_hostile(folder)
    found = read(str(folder))
    return document(found, page_limits.criterion(found, Limits()), ["fxnorm", "report", *HOSTILE])


@pytest.mark.parametrize("which", ["plain", "hostile"])
def test_it_is_whole_html(which, request):
    text = request.getfixturevalue(which)
    page = Page(text)
    assert text.startswith("<!DOCTYPE html>")
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(set(ids)) == len(ids)
    for link in page.all("a"):
        assert str(link["href"]).removeprefix("#") in ids
    for _, attributes in page.elements:
        assert attributes.get("aria-labelledby") in (None, *ids)
        assert not any(name.startswith("on") for name in attributes)
    assert [tag for tag, _ in page.elements].count("h1") == 1
    assert page.all("html") == [{"lang": "en"}]


@pytest.mark.parametrize("which", ["plain", "hostile"])
def test_it_loads_nothing(which, request):
    page = Page(request.getfixturevalue(which))
    for tag, attributes in page.elements:
        assert not {"src", "srcset", "data", "action", "background"} & set(attributes)
        assert tag not in ("link", "iframe", "object", "embed", "img", "base", "form") or (
            tag,
            attributes.get("id"),
        ) == ("form", "picker")
    for style in page.text_in("style"):
        assert "url(" not in style
        assert "@import" not in style


@pytest.mark.parametrize("which", ["plain", "hostile"])
def test_its_policy_lets_its_own_two_scripts_run_and_nothing_else(which, request):
    page = Page(request.getfixturevalue(which))
    (policy,) = [
        str(meta["content"]) for meta in page.all("meta") if meta.get("http-equiv") == "Content-Security-Policy"
    ]
    rules = {rule.split()[0]: rule.split()[1:] for rule in policy.split("; ")}
    assert rules["default-src"] == ["'none'"]
    scripts = [text for text in page.text_in("script") if not text.startswith("{")]
    digests = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in scripts]
    assert rules["script-src"] == [f"'sha256-{digest}'" for digest in digests]
    assert len(scripts) == 2


def test_a_strangers_text_is_text(hostile, plain):
    page, other = Page(hostile), Page(plain)
    assert [tag for tag, _ in page.elements].count("script") == 3
    assert {tag for tag, _ in page.elements} == {tag for tag, _ in other.elements}
    assert "{{" not in plain.split("<script", 1)[0]
    for name in (HOSTILE[0], HOSTILE[3], HOSTILE[4]):
        assert name in page.shown
    everything = page.shown + json.dumps(page.data, ensure_ascii=False)
    for name in HOSTILE:
        assert printable(name) in everything or json.dumps(printable(name))[1:-1] in everything
    for _, text in page.texts:
        assert not set(text) & {"\u202e", "\u2066", "\u200b", "\x00", "\x1b", "\u2028"}
    (json_text,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', hostile, re.DOTALL)
    assert not set(json_text) & set("<>&")
    assert json_text.isascii()


def test_its_tables_hold_the_numbers(plain):
    page, found = Page(plain), grid()
    shown = page.shown
    for row_ in by_width(found, page_limits.criterion(found, Limits())).rows:
        for cell in row_:
            assert cell.text in shown
    for one in found.done:
        assert one.command in shown
    assert found.source.model_sha256 in shown
    assert "fxnorm report run" in shown
    assert "too wide" in shown


def test_its_data_are_those_of_the_results(plain):
    data, found = Page(plain).data, grid()
    assert data["points"] == json.loads(json.dumps(datasets.points(found, page_limits.criterion(found, Limits()))))
    assert set(data["details"]) == {str(one.number) for one in found.done}
    for one in found.done:
        for own, stored in zip(one.layers, data["details"][str(one.number)], strict=True):
            parts, first, *counts = stored[-1]
            histogram = [0] * first + counts
            assert histogram + [0] * (parts - len(histogram)) == list(own.histogram)
            assert stored[2] == own.sqnr_db
    assert data["distributions"] == {str(index): [-3.0, 9.0, *range(12)] for index in range(3)}
    assert data["marks"]["accuracy"][1] == {"level": 0.94, "label": "limit 94.0\u00a0%", "kind": "gate"}


def test_every_control_has_a_name(plain):
    page = Page(plain)
    depth, named = 0, 0
    selects = len(page.all("select"))
    for tag, _ in page.elements:
        depth += tag == "label"
        named += tag == "select" and depth > 0
    assert selects == named > 5
    for chart in [attributes for _, attributes in page.elements if attributes.get("class") == "chart"]:
        assert chart["role"] == "img"
        assert chart["aria-label"]


def test_there_is_no_section_without_content(tmp_path):
    nothing = document(results(waiting=3), NO_LIMIT)
    assert "Nothing was run yet" in nothing
    assert {"width", "cost", "layers", "side-by-side"} & {
        str(one.get("id")) for one in Page(nothing).all("section")
    } == set()
    one = document(results(row(cost={})), NO_LIMIT)
    assert [entry.get("id") for entry in Page(one).all("section")] == ["side-by-side", "results", "reproduce"]
    refused = document(results(row(refused="too wide")), NO_LIMIT)
    assert "too wide" in refused


def test_formats_of_one_width_are_put_side_by_side_without_a_width():
    found = results(*(row(normalize=mode) for mode in ("none", "pow2", "affine")))
    page = Page(document(found, NO_LIMIT))
    assert "Configurations" in page.text_in("h2")
    assert page.data["figures"]["against-accuracy"]["layer"][1]["encoding"]["y"]["field"] == "name"


@pytest.mark.slow
@pytest.mark.parametrize(("configurations", "layers"), [(700, 3), (60, 300)])
def test_it_stays_small_and_says_what_it_leaves_out(configurations, layers):
    rows = []
    for number in range(configurations):
        made = tuple(
            layer(
                f"value {index}",
                name=f"block{index}/with a long name/Conv",
                sqnr_db=index + number / 7,
                histogram=tuple(range(10**6, 10**6 + 64)),
            )
            for index in range(layers)
        )
        extra = {"width": str(4 + number % 13), "normalize": "pow2", "accumulator": f"q{number}.4"}
        rows.append(
            row(0, 4 + number % 13, name=f"configuration {number}", accuracy=number / 1000, layers=made, varied=extra)
        )
    found = results(*rows)
    text = document(found, criterion(min_accuracy=0.05))
    assert len(text.encode()) <= MOST_BYTES
    data = Page(text).data
    assert len(data["points"]) == configurations
    kept = [number for number, stored in data["details"].items() if stored[0][-1] is not None]
    assert 0 < len(kept) < configurations
    assert f"histograms of {configurations - len(kept)} configurations" in text.replace(",", "")
    assert "The run&#39;s folder has everything." in text
    # The one that the summary is about is among those that are kept.
    assert str(next(one.number for one in found.done if one.width == 4 and one.accuracy >= 0.05)) in kept or kept


@pytest.mark.slow
def test_more_configurations_than_a_table_may_have_are_left_out_and_counted():
    bare = row().layers[0]
    found = results(
        *(row(0, 4 + number % 13, accuracy=number / 2000, layers=(bare,)) for number in range(MOST_ROWS + 200))
    )
    text = document(found, NO_LIMIT)
    assert len(text.encode()) <= MOST_BYTES
    assert f"the table lists {MOST_ROWS:,} of {MOST_ROWS + 200:,} configurations" in text


def test_a_single_run_is_a_page_too(tmp_path):
    place = tmp_path / "run.json"
    assert run("simulate", MODEL, "--data", DATA, "--format", "q5.3", "--min-sqnr", "5", "--json", place).code == 0
    found = read(str(place))
    page = Page(document(found, page_limits.criterion(found, Limits())))
    assert [one.get("id") for one in page.all("section")] == ["gate", "side-by-side", "results", "reproduce"]
    assert json.loads(place.read_text())["plan"]["digest"] in page.shown
    assert "The gate is met." in page.shown
