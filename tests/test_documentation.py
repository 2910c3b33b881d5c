"""What the documentation says is so: its commands run, its tables hold, its words exist."""

from __future__ import annotations

import io
import json
import re
import shlex
import subprocess
import sys
from contextlib import redirect_stdout
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commandline import run
from small_models import dense, samples, save

from fxnorm.cli import cli, main
from fxnorm.fixed import arith
from fxnorm.fixed.format import Format, Overflow, Rounding

ROOT = Path(__file__).resolve().parents[1]
PAGES = [
    ROOT / "README.md",
    ROOT / "ARCHITECTURE.md",
    ROOT / "examples" / "README.md",
    *sorted((ROOT / "docs").glob("*.md")),
]


def page(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def prose(name: str) -> str:
    """A page whose lines are one."""
    return " ".join(page(name).split())


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


def table(text: str, heading: str) -> list[list[str]]:
    """Cells of the table whose heading begins so."""
    lines = text[text.index(f"| {heading}") :].split("\n\n", maxsplit=1)[0].splitlines()[2:]
    return [[cell.strip().replace("`", "") for cell in line.strip("|").split("|")] for line in lines if line[0] == "|"]


# README


def test_the_python_example_runs() -> None:
    (program,) = blocks(page("README.md"), "python")
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    comparison, accuracy = done.stdout.splitlines()
    assert comparison.startswith("logits: SQNR 3")
    assert float(accuracy) > 0.95


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_the_quick_start_runs_and_prints_what_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commands = re.findall(r"^    (fxnorm .*)$", page("README.md"), re.MULTILINE)[:4]
    assert [command.split()[1] for command in commands] == ["inspect", "simulate", "plan", "simulate"]
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("TERM", "dumb-not")
    monkeypatch.setenv("NO_COLOR", "1")
    shown = []
    for command in commands:
        out = Terminal()
        with redirect_stdout(out), pytest.raises(SystemExit) as done:
            main(shlex.split(command)[1:])
        assert done.value.code == 0
        shown.append(re.sub(r"\x1b\[[0-9;]*m", "", out.getvalue()).splitlines())
    (wanted,) = blocks(page("README.md"), "")
    lines = [
        [line.rstrip() for line in text if not line.startswith("time:")] for text in (shown[1], wanted.splitlines())
    ]
    assert lines[0] == lines[1]
    assert (tmp_path / "outputs.npz").exists()
    assert (tmp_path / "result.json").exists()


@pytest.mark.slow
def test_what_tells_how_many_bits_are_needed_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commands = re.findall(r"^    (fxnorm .*)$", page("README.md"), re.MULTILINE)[4:]
    assert [command.split()[1] for command in commands] == ["sweep", "report", "simulate", "search"]
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    monkeypatch.chdir(tmp_path)
    for command in commands:
        with redirect_stdout(Terminal()), pytest.raises(SystemExit) as done:
            main(shlex.split(command)[1:])
        assert done.value.code == 0
    assert (tmp_path / "report.html").exists()
    assert (tmp_path / "verdict.xml").exists()
    assert len(list((tmp_path / "runs" / "search" / "plans").iterdir())) >= 1


def test_the_columns_that_are_explained_are_those_that_are_printed() -> None:
    explained = {name.strip() for row in table(page("README.md"), "column") for name in row[0].split(",")}
    source = page("fxnorm/report/table.py")
    body = source[source.index("def layer_columns") : source.index("def output_columns")]
    printed = set(re.findall(r'Column\(\s*"([^"]+)"', body)) - {"layer", "op"}
    assert explained == printed


@pytest.mark.parametrize("name", ["README.md", "docs/numbers.md"])
def test_every_spelling_of_a_format_is_read(name: str) -> None:
    rows = table(page(name), "spelling")
    assert len(rows) >= 6
    for spellings, _ in rows:
        for text in re.split(r",\s+(?=[a-z])|also ", spellings):
            if re.search(r"[.<]|fxp", text):
                assert Format.parse(text.strip(", ").removeprefix("also ")).width in (8,)


def test_equal_formats_are_equal() -> None:
    same = ["q5.3", "ti:q4.3", "fxp-s8/3", "ac_fixed<8,5,true,AC_RND,AC_SAT>", "ap_fixed<8,5,AP_RND,AP_SAT>"]
    assert len({Format.parse(text) for text in same}) == 1


# numbers.md


def test_the_table_of_rounding_modes() -> None:
    rows = table(page("docs/numbers.md"), "mode | adds one")
    assert {row[0] for row in rows} == {str(mode) for mode in Rounding}
    for mode, _, results in rows:
        values = np.array([-2.5, -1.5, 1.5, 2.5])
        assert arith.round_values(values, 0, Rounding(mode)).tolist() == [int(text) for text in results.split(",")]


def test_the_table_of_overflow_modes() -> None:
    rows = table(page("docs/numbers.md"), "mode | what a code")
    assert {row[0] for row in rows} == {str(mode) for mode in Overflow}


def test_the_sample_rule_as_it_is_told() -> None:
    from fxnorm.samples import bind

    told = re.findall(r"`(\[[\d, ]+\])` an array `(\[[\d, ]+\])` is (\d+)", prose("docs/numbers.md"))
    assert len(told) == 2
    for own, given, count in told:
        shape = (json.loads(own)[0], 2, 2, 2)
        rows = json.loads(given)[0]
        assert len(bind(np.zeros((rows, 2, 2, 2)), {"x": shape})["x"]) == int(count)


def test_the_range_of_the_example_format() -> None:
    format_ = Format.parse("q5.3")
    low, high = (Fraction(code, 8) for code in (format_.min_code, format_.max_code))
    assert f"codes {format_.min_code} to {format_.max_code}, numbers {low} to {float(high)}" in prose("docs/numbers.md")


# cli.md


def options(command: str) -> set[str]:
    return {name for param in cli.commands[command].params for name in param.opts if name.startswith("--")}


def test_every_option_is_documented_and_every_documented_option_exists() -> None:
    text = page("docs/cli.md")
    known = set().union(*(options(command) for command in cli.commands)) | {"--help", "--version"}
    documented = set(re.findall(r"--[a-z][a-z-]+", text))
    assert documented == known


def test_every_command_is_documented() -> None:
    head = blocks(page("docs/cli.md"), "")[0]
    assert re.findall(r"^fxnorm (\w+)", head, re.MULTILINE) == list(cli.commands)


def test_layer_keys_are_documented() -> None:
    from fxnorm.planning.options import LAYER_KEYS

    text = page("docs/cli.md")
    sentence = text[text.index("KEY is one of") :].split(". ")[0]
    assert re.findall(r"`([a-z-]+)`", sentence) == list(LAYER_KEYS)


def test_the_example_of_a_config_file(tmp_path: Path) -> None:
    (config,) = blocks(page("docs/cli.md"), "toml")
    (tmp_path / "plan.toml").write_text(config)
    save(dense(name="conv1"), tmp_path / "m.onnx")
    record = run("simulate", tmp_path / "m.onnx", "--config", tmp_path / "plan.toml", "--json", "-").json
    assert record["layers"][1]["format"] == "q8.8"
    assert record["layers"][1]["accumulator"]["format"].startswith("q16.16")


def test_the_json_that_is_documented_is_the_json_that_is_written(tmp_path: Path) -> None:
    documented = json.loads(blocks(page("docs/cli.md"), "json")[0])
    save(dense(), tmp_path / "m.onnx")
    np.savez(tmp_path / "x.npz", x=samples(), labels=np.arange(10) % 3)
    record = run("simulate", tmp_path / "m.onnx", "--format", "q5.3", "--data", tmp_path / "x.npz", "--json", "-").json
    record["layers"] = record["layers"][1:]  # an input has no accumulator

    def keys(thing: Any) -> Any:
        if isinstance(thing, dict):
            return {key: keys(value) for key, value in thing.items()}
        return keys(thing[0]) if isinstance(thing, list) and thing else type(thing) in (int, float)

    record["outputs"] = {"logits": record["outputs"]["y"]}
    assert keys(record) == keys(documented)
    explained = "\n".join(row[0] for row in table(page("docs/cli.md"), "key"))
    for key in [*record, *record["outputs"]["logits"], *record["layers"][0]]:
        assert key in explained, key


def test_exit_codes_are_the_same_everywhere() -> None:
    codes = {row[0] for row in table(page("README.md"), "code")}
    assert codes == {"0", "1", "2", "3", "130"}
    for text in (page("docs/cli.md"), run("--help").out):
        assert set(re.findall(r"\b(\d+)\b", text[text.index("xit codes") :].split("\n\n")[0].split("130")[0])) < codes


def test_the_readme_leads_to_every_page() -> None:
    linked = set(re.findall(r"\]\((docs/[^)#]+)\)", page("README.md")))
    assert linked == {f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md")}


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", path.read_text(encoding="utf-8")):
        assert (path.parent / target).exists(), target
