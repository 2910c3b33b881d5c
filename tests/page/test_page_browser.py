"""Reports in a browser: drawn, right, quiet, and to be used with the keyboard alone."""

from __future__ import annotations

import base64
import json
import re

import pytest
from browser import browser as opened
from commandline import run
from page_results import DATA, MODEL, criterion, make_hostile, results, row, swept

from fxnorm.gate.limits import Limits
from fxnorm.page import datasets
from fxnorm.page import limits as page_limits
from fxnorm.page.document import document
from fxnorm.page.reading import read
from fxnorm.page.tables import by_width

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with opened(tmp_path_factory.mktemp("profile")) as found:
        yield found


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return swept(tmp_path_factory.mktemp("browser"))


@pytest.fixture(scope="module")
def page(folder):
    """The report of a real sweep with a gate, as the command writes it."""
    place = folder.parent / "report.html"
    done = run("report", folder, "--min-accuracy", "0.9", "--min-sqnr", "15", "-o", place)
    assert done.code == 0, done.err
    return place


@pytest.fixture(scope="module")
def found(folder):
    return read(str(folder))


@pytest.fixture
def shown(browser, page):
    browser.emulate()
    browser.open(page)
    return browser


def same(left, right):
    """Two records drawn, but for the last figures of what was shortened on its way."""
    assert set(left) == set(right)
    for name, value in left.items():
        expected = right[name]
        if isinstance(value, float) or isinstance(expected, float):
            assert value == pytest.approx(expected, rel=1e-4, abs=1e-9), name
        else:
            assert value == expected, name


def every(left, right):
    assert len(left) == len(right)
    for one, other in zip(left, right, strict=True):
        same(one, other)


def choose(browser, selector, value):
    browser.run(
        "const one = document.querySelector(arguments[0]); one.value = arguments[1]; one.dispatchEvent(new Event('change'))",
        selector,
        str(value),
    )
    browser.settle()


def picked(browser):
    return [int(browser.run(f"return document.querySelector('#pick-{name}').value")) for name in ("a", "b", "layer")]


def test_it_is_drawn_without_a_word_and_without_a_request(browser, page):
    browser.emulate()
    browser.open(page)
    asked = [address for address in browser.requests() if not address.startswith("data:")]
    assert asked == [page.resolve().as_uri()]
    assert browser.told() == []
    assert browser.run("return document.querySelector('#trouble').hidden")
    ids = browser.run("return [...document.querySelectorAll('.chart')].map((place) => place.id)")
    assert set(ids) == {
        "against-accuracy",
        "against-sqnr",
        "front",
        "heat",
        "pairs",
        "before-A",
        "before-B",
        "after-A",
        "after-B",
    }
    for name in ids:
        marks = browser.run("return document.querySelectorAll(`#${arguments[0]} svg [class*=mark-] > *`).length", name)
        assert marks > 3, name


def test_every_chart_shows_the_numbers_of_the_run(shown, found):
    limits = criterion(min_accuracy=0.9, min_sqnr=15.0)
    points = json.loads(json.dumps(datasets.points(found, limits)))
    for metric in ("accuracy", "sqnr"):
        drawn = [
            {key: value for key, value in one.items() if not key.startswith("Symbol")}
            for one in shown.rows(f"against-{metric}", "points")
        ]
        every(drawn, points)
    assert [one["level"] for one in shown.rows("against-accuracy", "marks")] == pytest.approx([found.fp32, 0.9])
    assert [one["level"] for one in shown.rows("against-sqnr", "marks")] == [15.0]
    choice, other, layer = picked(shown)
    rows = {one.number: one for one in found.rows}
    every(shown.rows("pairs", "pairs"), datasets.pairs(found, {"A": rows[choice], "B": rows[other]}))
    key = found.keys[layer]
    for letter, number in (("A", choice), ("B", other)):
        own = rows[number].by_key[key]
        every(shown.rows(f"after-{letter}", "bins"), datasets.stored_bins(own))
        every(shown.rows(f"before-{letter}", "bins"), datasets.real_bins(own, found.distributions[key]))


def test_the_tables_show_the_numbers_of_the_run(shown, found):
    limits = criterion(min_accuracy=0.9, min_sqnr=15.0)
    assert shown.table("#width table") == [[cell.text for cell in line] for line in by_width(found, limits).rows]
    marked = shown.run("return [...document.querySelectorAll('#width td.marked')].length")
    assert marked == sum(cell.marked for line in by_width(found, limits).rows for cell in line) > 0
    listed = shown.table("#results table.sortable")
    assert [line[0] for line in listed] == [one.name for one in found.done]
    for line, one in zip(listed, found.done, strict=True):
        assert line[2] == f"{100 * one.accuracy:.1f}\u00a0%"
        assert float(line[3].split("\u00a0")[0].replace("−", "-")) == pytest.approx(one.sqnr_db, abs=0.051)
        assert line[-2:] == [one.plan_digest[:12], one.outputs_digest[:12]]
    choice, other, _ = picked(shown)
    table = shown.table("#layer-pairs table")
    proofs = [(layer, proof) for layer in found.rows[choice].layers for proof in layer.proofs]
    assert len(table) == len(proofs)
    for line, (layer, proof) in zip(table, proofs, strict=True):
        assert line[0] == found.layer_names[layer.key]
        assert line[3:5] == [proof.format, str(proof.width)]
        assert line[5] == str(min(bits for bits in proof.needed if bits is not None))
        assert line[6] == proof.words
    assert other != choice


def test_nothing_is_drawn_beyond_its_chart(shown, found):
    for cost in range(2):
        choose(shown, "#cost-name", cost)
        for zoom in range(3):
            shown.run("document.querySelector('#zoom').selectedIndex = arguments[0]", zoom)
            shown.run("document.querySelector('#zoom').dispatchEvent(new Event('change'))")
            shown.settle()
            beyond = shown.run(
                """
                return [...document.querySelectorAll(".chart svg")].flatMap((chart) => {
                  const box = chart.getBoundingClientRect();
                  const marks = [...chart.querySelectorAll("[class*=role-mark]:not([clip-path]):not([clip-path] *) > *")];
                  return marks.map((mark) => mark.getBoundingClientRect())
                    .filter((own) => own.top < box.top - 15 || own.bottom > box.bottom + 2 || own.right > box.right + 15)
                    .map((own) => [chart.parentElement.id, own.top - box.top, own.bottom - box.bottom, own.right - box.right]);
                });
                """
            )
            assert beyond == []
            plot = shown.run("return report.views.get('front').view.height()")
            assert plot > 200


@pytest.mark.parametrize("measure", ["sqnr", "overflow", "range"])
def test_the_heat_map_shows_every_layer_and_format(shown, found, measure):
    choose(shown, "#measure", measure)
    for index, series in enumerate(found.series):
        choose(shown, "#columns", index)
        drawn = [
            {key: value for key, value in one.items() if key != "Symbol(vega_id)"}
            for one in shown.rows("heat", "cells")
        ]
        every(drawn, datasets.cells(found, found.in_series(series), measure))
        assert series in shown.text("#heat-caption")
    texts = shown.run(
        "return [...document.querySelectorAll('#heat .mark-text.role-mark text')].map((one) => one.textContent)"
    )
    assert set(texts) == {one["text"] for one in drawn}


def test_two_formats_are_compared_and_a_layer_is_chosen(shown, found):
    for choice, other, layer in ((0, 17, 1), (9, 4, 3), (9, 9, 0)):
        for name, value in (("a", choice), ("b", other), ("layer", layer)):
            choose(shown, f"#pick-{name}", value)
        rows = {"A": found.rows[choice], "B": found.rows[other]}
        every(shown.rows("pairs", "pairs"), datasets.pairs(found, rows))
        facts = {line[0]: line[1:] for line in shown.table("#layer-facts table")}
        for place, one in enumerate(rows.values()):
            own = one.by_key[found.keys[layer]]
            assert facts["Format"][place] == own.format
            assert facts["Bits used"][place] == f"{own.bits_used} of {own.width}"
            assert facts["Values that overflow"][place].startswith(f"{own.overflow_count:,}")
            every(shown.rows(f"after-{'AB'[place]}", "bins"), datasets.stored_bins(own))
        assert shown.text("#layer-name") == found.layer_names[found.keys[layer]]
        assert len(shown.table("#layer-table table")) == len(found.keys)


def test_a_click_on_a_cell_chooses_its_layer_and_format(shown, found):
    from selenium.webdriver import ActionChains
    from selenium.webdriver.common.by import By

    choose(shown, "#columns", 1)
    cells = shown.rows("heat", "cells")
    wanted = cells[7]
    place = next(i for i, one in enumerate(cells) if one == wanted)
    element = shown.driver.find_elements(By.CSS_SELECTOR, "#heat .mark-rect.role-mark path")[place]
    shown.run("arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})", element)
    ActionChains(shown.driver).move_to_element(element).click().perform()
    shown.settle()
    choice, _, layer = picked(shown)
    assert (choice, layer) == (wanted["number"], wanted["key"])
    assert found.rows[choice].name in shown.run("return document.querySelector('#said').textContent")


def test_a_point_tells_its_numbers_under_the_pointer(shown, found):
    from selenium.webdriver import ActionChains

    # Where the second point of the last line is drawn, as the chart's own scales have it.
    one = found.in_series("affine")[1]
    x, y = shown.run(
        """
        const view = report.views.get("against-sqnr").view;
        const [left, top] = view.origin();
        const place = document.querySelector("#against-sqnr svg");
        place.scrollIntoView({block: "center", behavior: "instant"});
        const box = place.getBoundingClientRect();
        return [box.x + left + view.scale("x")(arguments[0]), box.y + top + view.scale("y")(arguments[1])];
        """,
        one.width,
        one.sqnr_db,
    )
    pointer = ActionChains(shown.driver, duration=50)
    pointer.w3c_actions.pointer_action.move_to_location(int(x) - 30, int(y) - 40)
    pointer.w3c_actions.pointer_action.move_to_location(int(x), int(y)).pause(0.3)
    pointer.perform()
    told = dict(line.split("\t") for line in shown.text("#vg-tooltip-element").splitlines())
    assert told == {
        "configuration": one.name,
        "bits": str(one.width),
        "SQNR of the worst output (dB)": f"{one.sqnr_db:.2f}",
    }


def test_all_of_it_can_be_reached_and_changed_with_the_keyboard(shown):
    from selenium.webdriver import ActionChains, Keys

    keys = ActionChains(shown.driver)
    seen = []
    for _ in range(80):
        keys.send_keys(Keys.TAB).perform()
        active = shown.run(
            "const one = document.activeElement;"
            "return [one.tagName, one.id, one.textContent.slice(0, 40), getComputedStyle(one).outlineStyle]"
        )
        if active[0] == "BODY":
            break
        seen.append(active)
    assert seen[0][:1] == ["A"]
    assert seen[0][2] == "Skip to the results"
    assert {"zoom", "cost-name", "cost-gain", "measure", "columns", "pick-a", "pick-b", "pick-layer"} <= {
        one[1] for one in seen
    }
    assert any(one[0] == "SUMMARY" for one in seen)
    assert any(one[0] == "BUTTON" and one[2] == "Copy" for one in seen)
    assert all(one[3] != "none" for one in seen), "focus cannot be seen"


def test_the_keyboard_changes_what_is_shown(shown, found):
    from selenium.webdriver import ActionChains, Keys

    def press(selector, *keys):
        shown.run("document.querySelector(arguments[0]).focus()", selector)
        for key in keys:
            ActionChains(shown.driver).send_keys(key).perform()
        shown.settle()

    before = picked(shown)
    press("#pick-layer", Keys.HOME if before[2] else Keys.END)
    assert picked(shown)[2] != before[2]
    assert shown.text("#layer-name") == found.layer_names[found.keys[picked(shown)[2]]]
    press("#measure", Keys.ARROW_DOWN)
    assert "could not hold" in shown.text("#heat-caption")
    press("#zoom", Keys.END)
    low = shown.run("return report.views.get('against-accuracy').view.signal('low')")
    assert low == float(shown.run("return document.querySelector('#zoom').value")) > 0.5
    press("#results summary", Keys.ENTER)
    assert shown.run("return document.querySelector('#results details').open")
    press("#results th:nth-child(3) button", Keys.ENTER)
    shares = [float(line[2].split("\u00a0")[0]) for line in shown.table("#results table.sortable")]
    assert shares == sorted(shares)
    press("#results th:nth-child(3) button", Keys.SPACE)
    shares = [float(line[2].split("\u00a0")[0]) for line in shown.table("#results table.sortable")]
    assert shares == sorted(shares, reverse=True)


def test_a_trade_off_is_chosen(shown, found):
    for index, cost in enumerate(found.cost_names[:3]):
        for metric in ("accuracy", "sqnr"):
            choose(shown, "#cost-name", index)
            choose(shown, "#cost-gain", metric)
            every(shown.rows("front", "points"), datasets.front(found, cost, metric))
            low = shown.run("return report.views.get('front').view.signal('low')")
            assert low == pytest.approx(datasets.focus(datasets.front(found, cost, metric), metric))
            texts = shown.run("return [...document.querySelectorAll('#front text')].map((one) => one.textContent)")
            assert cost.replace("_", " ") in texts


def test_dark_and_light_differ_and_both_can_be_read(shown):
    def contrast(selector):
        pairs = shown.run(
            """
            const one = document.querySelector(arguments[0]);
            const ground = getComputedStyle(document.body).backgroundColor;
            const style = getComputedStyle(one);
            const paint = one instanceof SVGElement ? (style.fill !== "none" ? style.fill : style.stroke) : style.color;
            return [paint, ground];
            """,
            selector,
        )
        light, dark = sorted((luminance(text) for text in pairs), reverse=True)
        return (light + 0.05) / (dark + 0.05)

    def luminance(text):
        parts = [int(part) / 255 for part in re.findall(r"\d+", text)[:3]]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    grounds = []
    for scheme in ("light", "dark"):
        shown.emulate(prefers_color_scheme=scheme)
        grounds.append(shown.run("return getComputedStyle(document.body).backgroundColor"))
        for selector in (
            ".lead",
            ".note",
            "figcaption",
            "nav a",
            "td.marked",
            "#against-accuracy .role-axis-label text",
            "#heat .role-axis-label text",
        ):
            assert contrast(selector) >= 4.5, (scheme, selector)
        for line in range(1, 4):
            assert (
                contrast(
                    f"#against-sqnr .mark-line:nth-of-type(1) path, #against-sqnr .mark-symbol path:nth-child({line})"
                )
                >= 3.0
            ), scheme
    assert grounds == ["rgb(255, 255, 255)", "rgb(18, 22, 27)"]
    shown.emulate()


def test_it_prints_with_everything_open_and_on_white(shown):
    shown.emulate("print", prefers_color_scheme="dark")
    assert shown.run("return getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert shown.run("return getComputedStyle(document.querySelector('nav')).display") == "none"
    folded = "return document.querySelectorAll('details:not([open])').length"
    before = shown.run(folded)
    assert before > 2
    shown.run("dispatchEvent(new Event('beforeprint'))")
    assert shown.run(folded) == 0
    shown.run("dispatchEvent(new Event('afterprint'))")
    assert shown.run(folded) == before
    shown.emulate()
    printed = shown.driver.execute_cdp_cmd("Page.printToPDF", {"printBackground": True, "preferCSSPageSize": True})
    content = base64.b64decode(printed["data"])
    assert content.startswith(b"%PDF")
    # Folded as it was, it would be some pages shorter.
    assert 5 <= len(re.findall(rb"/Type\s*/Page\b", content)) <= 15


@pytest.mark.parametrize("width", [1280, 800, 390])
def test_it_fits_the_window(shown, width):
    shown.driver.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    )
    shown.settle()
    try:
        assert shown.run("return document.documentElement.scrollWidth") <= width
        for name in ("against-accuracy", "heat", "pairs"):
            right = shown.run(
                "return document.querySelector(`#${arguments[0]} svg`).getBoundingClientRect().right", name
            )
            assert right <= width
    finally:
        shown.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_a_strangers_names_are_shown_and_not_obeyed(browser, tmp_path):
    folder = swept(tmp_path, "--width", "4:9", "--normalize", "none,pow2")
    make_hostile(folder)
    found = read(str(folder))
    place = tmp_path / "hostile.html"
    place.write_text(document(found, page_limits.criterion(found, Limits())), encoding="utf-8")
    browser.open(place)
    assert [text for text in browser.told() if not text.startswith("WARNING")] == []
    assert [address for address in browser.requests() if not address.startswith("data:")] == [place.resolve().as_uri()]
    assert browser.run("return document.querySelectorAll('script').length") == 3
    assert browser.run("return document.querySelectorAll('img, iframe, object').length") == 0
    names = list(found.layer_names.values())
    assert (
        browser.run("return [...document.querySelectorAll('#pick-layer option')].map((one) => one.textContent)")
        == names
    )
    texts = browser.run(
        "return [...document.querySelectorAll('#pairs .role-axis-label text')].map((one) => one.textContent)"
    )
    assert names[0] in texts
    for index in range(len(names)):
        choose(browser, "#pick-layer", index)
        assert browser.text("#layer-name") == names[index]
    # An alert would wait for an answer and fail the commands above.
    assert browser.run("return document.title").endswith("– fxnorm")


def test_what_is_not_allowed_to_run_does_not(browser, page, tmp_path):
    """The policy holds: a script that slipped in is not run."""
    place = tmp_path / "changed.html"
    place.write_text(
        page.read_text(encoding="utf-8").replace(
            "</main>", "<script>window.slipped = 1</script><img src=x onerror='window.slipped = 2'></main>"
        ),
        encoding="utf-8",
    )
    browser.open(place)
    assert browser.run("return window.slipped === undefined")
    assert any("Content Security Policy" in text for text in browser.told())


def test_trouble_is_shown(browser, page, tmp_path):
    place = tmp_path / "broken.html"
    text = page.read_text(encoding="utf-8")
    place.write_text(
        text.replace('"scale":{"domain":["none","pow2","affine"]', '"scale":{"domain":{"wrong":1}'), encoding="utf-8"
    )
    assert place.read_text(encoding="utf-8") != text
    browser.driver.get(place.resolve().as_uri())
    browser.run("return new Promise((done) => setTimeout(done, 2500))")
    assert not browser.run("return document.querySelector('#trouble').hidden")
    assert "cannot be drawn here" in browser.text("#trouble")


def test_a_single_run_is_shown_too(browser, tmp_path):
    record = tmp_path / "run.json"
    assert run("simulate", MODEL, "--data", DATA, "--format", "q4.3", "--json", record).code == 0
    assert run("report", record, "-o", tmp_path / "run.html").code == 0
    found = read(str(record))
    browser.open(tmp_path / "run.html")
    assert browser.told() == []
    (own,) = found.rows
    every(browser.rows("pairs", "pairs"), datasets.pairs(found, {"A": own}))
    layer = own.by_key[found.keys[int(browser.run("return document.querySelector('#pick-layer').value"))]]
    every(browser.rows("after-A", "bins"), datasets.stored_bins(layer))
    every(browser.rows("before-A", "bins"), datasets.real_bins(layer, None))


def test_what_was_varied_beside_the_width_can_be_left_out(browser, tmp_path):
    rows = [
        row(width=width, name=f"{width} {rounding}", varied={"width": str(width), "rounding": rounding})
        for width in (4, 6, 8)
        for rounding in ("rnd", "trn", "default")
    ]
    found = results(*rows)
    place = tmp_path / "varied.html"
    place.write_text(document(found, criterion(min_accuracy=0.5)), encoding="utf-8")
    browser.open(place)
    assert browser.told() == []
    assert len(browser.rows("against-accuracy", "points")) == 9
    choose(browser, "select.filter", "trn")
    assert [one["name"] for one in browser.rows("against-accuracy", "points")] == ["4 trn", "6 trn", "8 trn"]
