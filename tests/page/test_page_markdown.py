"""The report as Markdown: whole tables, and nothing of a stranger's text obeyed."""

from __future__ import annotations

import pytest
from markdown_it import MarkdownIt
from page_results import HOSTILE, criterion, grid, make_hostile, results, row, swept

from fxnorm.gate.limits import Limits
from fxnorm.page import limits as page_limits
from fxnorm.page.markdown import escaped, fenced, markdown
from fxnorm.page.reading import read
from fxnorm.page.tables import by_width
from fxnorm.report.text import printable


def parsed(text: str):
    """Tokens of the whole, inline ones beside the blocks."""
    tokens = MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(text)
    return [inner for token in tokens for inner in (token, *(token.children or ()))]


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    folder = swept(tmp_path_factory.mktemp("hostile"), "--width", "4:9", "--normalize", "none,pow2")
    make_hostile(folder)
    found = read(str(folder))
    return markdown(found, page_limits.criterion(found, Limits()), ["fxnorm", "report", *HOSTILE])


def test_its_tables_hold_the_numbers():
    found = grid()
    limits = criterion(min_accuracy=0.7)
    text = markdown(found, limits, ["fxnorm", "report", "run"])
    shown = [token.content for token in parsed(text) if token.type in ("text", "code_inline", "fence")]
    for line in by_width(found, limits).rows:
        for cell in line:
            assert cell.text in shown
    assert "fxnorm report run\n" in shown
    assert found.source.model_sha256 in shown
    assert next(token.content for token in parsed(text) if token.type == "fence") == "fxnorm sweep\n"
    headings = [
        after.content
        for before, after in zip(parsed(text), parsed(text)[1:], strict=False)
        if before.type == "heading_open"
    ]
    assert headings[0].replace("\\", "") == "model.onnx"
    assert "Cost" in headings


def test_every_row_of_a_table_has_all_its_cells(hostile):
    width = None
    for line in hostile.splitlines():
        if not line.startswith("|"):
            width = None
            continue
        cells = line.replace("\\|", "").count("|") - 1
        assert width in (None, cells), line
        width = cells
    assert hostile.count("\n| --") >= 4


def test_a_strangers_text_is_text(hostile):
    tokens = parsed(hostile)
    assert not [
        token
        for token in tokens
        if token.type in ("html_inline", "html_block", "link_open", "image", "s_open", "em_open")
    ]
    shown = "\n".join(
        token.content for token in tokens if token.type in ("text", "code_inline", "fence", "text_special")
    )
    for name in HOSTILE[:6]:
        assert name in "".join(shown.split("\n")) or name in shown
    assert all(c.isprintable() or c in "\n\u00a0" for c in hostile)


def test_what_only_github_obeys_is_escaped_too():
    assert escaped(HOSTILE[5]) == r"a\|b \`c\` \*d\* \[e\](javascript:alert(5)) www\.example.org \@someone \$x\$"
    assert escaped("see https://example.org, #12 and ~~that~~") == r"see https\://example.org, \#12 and \~\~that\~\~"
    assert escaped("q5.3, 98.7 % (8 bits) - it's 2+2") == "q5.3, 98.7 % (8 bits) - it's 2+2"


@pytest.mark.parametrize("name", HOSTILE)
def test_escaped_text_comes_out_as_it_was(name):
    text = printable(name)
    tokens = MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(f"begin {escaped(text)} end")
    assert [token.type for token in tokens] == ["paragraph_open", "inline", "paragraph_close"]
    children = tokens[1].children or []
    assert {token.type for token in children} <= {"text", "text_special"}
    assert "".join(token.content for token in children) == f"begin {text} end"


@pytest.mark.parametrize("line", ["fxnorm sweep", "a `b` c", "```", "````` x", ""])
def test_a_command_is_a_block_of_code(line):
    (token,) = [token for token in parsed(fenced(line)) if token.type != "inline"]
    assert (token.type, token.content, token.info) == ("fence", f"{line}\n", "sh")


def test_nothing_to_show_is_said():
    assert "Nothing was run yet" in markdown(results(waiting=2), criterion(min_sqnr=3.0))
    assert "too wide" in markdown(results(row(refused="too wide")), criterion(min_sqnr=3.0))
