"""How a verdict is told: JUnit XML, Markdown and GitHub's annotations, whatever a model's words are."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from junit_rules import check_junit
from markdown_it import MarkdownIt
from test_gate_verdict import layer, record

from fxnorm.gate.github import MOST, workflow_commands
from fxnorm.gate.junit import junit_xml
from fxnorm.gate.limits import Limits
from fxnorm.gate.markdown import MOST_ROWS, escaped, for_step, summary
from fxnorm.gate.subject import Subject
from fxnorm.gate.verdict import Verdict, judge
from fxnorm.report.text import printable

HOSTILE = [
    "a|b",
    "`code`",
    "</td><script>alert(1)</script>",
    "[link](http://evil)",
    "![image](http://evil/x.png)",
    "@everyone",
    "::error::x\n::warning::y",
    "%0A::error::z",
    "# heading",
    "- item",
    "1. item",
    "*bold* _em_ ~~gone~~",
    "]]><![CDATA[",
    "\x1b[2J\x00\ud800",
    "&lt;",
    "http://evil",
    "<!-- ",
    "\\",
    "',\"",
    "a,b:c",
]


def made(name: str, *, count: int = 1) -> Verdict:
    hostile = record(ratio=None, largest=None, layers=[layer(name, overflow=3)])
    hostile["outputs"] = {name: hostile["outputs"]["logits"]}
    subjects = [Subject(f"{name}{number or ''}", hostile, command=f"fxnorm simulate {name}") for number in range(count)]
    subjects.append(Subject(f"{name} refused", None, reason=f"{name} is refused"))
    return judge(Limits(min_accuracy=0.5, min_sqnr=3.0, max_overflow=0), subjects)


@pytest.mark.parametrize("name", HOSTILE)
def test_junit_holds_any_words(name: str) -> None:
    verdict = made(name)
    root = check_junit(junit_xml(verdict, name))
    assert root.get("name") == printable(name)
    assert [suite.get("name") for suite in root] == [printable(name), printable(f"{name} refused")]
    failures = [failure.text for failure in root.iter("failure")]
    assert failures == [printable(check.message) for check in verdict.violations]
    assert [p.get("value") for p in root.iter("property")] == [printable(f"fxnorm simulate {name}")]


def test_junit_counts_what_passed_too() -> None:
    verdict = judge(Limits(min_accuracy=0.5, min_sqnr=99.0), [Subject("q5.3", record(), seconds=1.25)])
    root = check_junit(junit_xml(verdict, "m.onnx"))
    assert (root.get("tests"), root.get("failures"), root.get("time")) == ("2", "1", "1.250")
    cases = {case.get("name"): case.find("failure") is None for case in root.iter("testcase")}
    assert cases == {"--min-accuracy": True, "--min-sqnr output 'logits'": False}


def rendered(text: str) -> str:
    return str(MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).render(text))


@pytest.mark.parametrize("name", HOSTILE)
def test_markdown_shows_any_words_as_they_are(name: str) -> None:
    verdict = made(name)
    html = rendered(summary(verdict, name, [f"model {name}"]))
    tags = set(re.findall(r"<(/?\w+)", html))
    own = {"h2", "h3", "ul", "li", "table", "thead", "tbody", "tr", "th", "td", "details", "summary", "pre", "code"}
    assert {tag.removeprefix("/") for tag in tags} <= own
    assert html.count("<li>") == 1 + len(verdict.violations)
    assert len(re.findall("<t[dh][ >]", html)) == 6 * 3
    assert "<!--" not in html
    shown = re.sub(r"<[^>]+>", "", html)
    for entity, character in (
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&quot;", '"'),
        ("&#64;", "@"),
        ("&#58;", ":"),
        ("&amp;", "&"),
    ):
        shown = shown.replace(entity, character)
    assert shown.count(printable(name).strip()) >= 3 + len(verdict.violations)


@given(st.text(max_size=30))
def test_escaped_text_comes_out_of_markdown_as_it_went_in(text: str) -> None:
    html = rendered(f"- x {escaped(text)} x\n")
    shown = re.sub(r"</?(ul|li)>", "", html).strip()
    for entity, character in (("&lt;", "<"), ("&gt;", ">"), ("&quot;", '"'), ("&amp;", "&")):
        shown = shown.replace(entity, character)
    assert shown == f"x {printable(text)} x"


def test_a_command_with_backticks_stays_in_its_fence() -> None:
    verdict = judge(Limits(min_accuracy=0.99), [Subject("q5.3", record(), command="fxnorm simulate '```' x")])
    html = rendered(summary(verdict, "m"))
    assert "fxnorm simulate '```' x\n</code></pre>" in html


def test_what_fails_is_seen_first_and_not_everything_is_shown() -> None:
    subjects = [Subject(f"good {number}", record()) for number in range(MOST_ROWS)]
    subjects.append(Subject("bad", record(fixed=0.1)))
    text = summary(judge(Limits(min_accuracy=0.5), subjects), "m")
    rows = [line for line in text.splitlines() if line.startswith("| ")][2:]
    assert len(rows) == MOST_ROWS
    assert rows[0].startswith("| bad |")
    assert "1 more configurations are not shown." in text
    assert text.startswith("## ❌ m: gate failed: 1 of 201 checks")
    assert len(text.encode()) < 1 << 20


def test_a_step_summary_is_added_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    step = tmp_path / "step.md"
    step.write_text("before")
    assert for_step(str(step), "after\n") == "after\n"
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(step))
    assert for_step(str(step), "after\n") == "before\nafter\n"
    assert for_step(str(tmp_path / "other.md"), "after\n") == "after\n"
    step.unlink()
    assert for_step(str(step), "after\n") == "after\n"


COMMAND = re.compile(r"::(error|notice) file=([^,:]*),title=([^,:]*)::(.*)")


@pytest.mark.parametrize("name", HOSTILE)
def test_annotations_hold_any_words_and_no_other_command(name: str) -> None:
    verdict = made(name)
    lines = workflow_commands(verdict, f"{name}.onnx")
    assert len(lines) == len(verdict.violations)
    for line, check in zip(lines, verdict.violations, strict=True):
        assert "\n" not in line
        assert "\r" not in line
        match = COMMAND.fullmatch(line)
        assert match is not None
        kind, file, title, message = match.groups()
        assert kind == "error"
        assert unquote(file) == printable(f"{name}.onnx")
        assert unquote(title) == f"fxnorm gate: {check.rule}"
        assert unquote(message) == printable(check.message)


def test_no_more_annotations_than_are_shown() -> None:
    verdict = made("x", count=20)
    lines = workflow_commands(verdict, "m.onnx")
    assert len(lines) == MOST
    assert lines[-1].endswith(f"::{len(verdict.violations) - MOST + 1} more violations; see the log")


def test_a_gate_that_passes_is_noted() -> None:
    verdict = judge(Limits(min_accuracy=0.5), [Subject("q5.3", record())])
    assert workflow_commands(verdict, "m.onnx") == ["::notice file=m.onnx,title=fxnorm gate passed::1 check passed"]
