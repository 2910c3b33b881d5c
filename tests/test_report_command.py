"""`fxnorm report`: what it writes, where, and what it refuses."""

from __future__ import annotations

import csv
import importlib.util
import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from commandline import run, tree

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
MODEL = EXAMPLES / "digits_dense.onnx"
DATA = EXAMPLES / "digits_dense_test.npz"


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    place = tmp_path_factory.mktemp("report") / "run"
    done = run("sweep", MODEL, "--data", DATA, "--width", "5,8", "--normalize", "none,pow2", "-o", place)
    assert done.code == 0, done.err
    return place


def test_a_page_and_markdown(swept, tmp_path):
    for name, begin in (
        ("report.html", "<!DOCTYPE html>"),
        ("report.md", "# digits"),
        ("README.MD", "# digits"),
        ("report", "<!DOCTYPE"),
    ):
        place = tmp_path / name
        done = run("report", swept, "-o", place)
        assert (done.code, done.err) == (0, "")
        assert "written: " in done.out
        assert place.read_text(encoding="utf-8").startswith(begin)
    assert run("report", swept, "-o", tmp_path / "other.txt", "--format", "md").code == 0
    assert (tmp_path / "other.txt").read_text(encoding="utf-8").startswith("# digits")


def test_a_page_is_the_same_every_time(swept, tmp_path):
    place = tmp_path / "report.html"
    made = []
    for _ in range(2):
        assert run("report", swept, "-o", place).code == 0
        made.append(place.read_bytes())
    assert made[0] == made[1]


def test_it_may_lie_in_the_runs_folder_and_the_sweep_goes_on(swept):
    done = run("report", swept, "-o", swept / "report.md", "--min-accuracy", "0.9", "--max-drop", "0.5")
    assert done.code == 0
    text = (swept / "report.md").read_text(encoding="utf-8")
    assert f"fxnorm report {swept} --min-accuracy 0.9 --max-drop 0.5 -o {swept}/report.md" in text
    assert "meet the gate" in text
    again = run("sweep", MODEL, "--data", DATA, "--width", "5,8", "--normalize", "none,pow2", "-o", swept)
    assert again.code == 0
    (swept / "report.md").unlink()


def test_the_command_that_it_names_makes_it_again(swept, tmp_path):
    first = tmp_path / "one.md"
    assert run("report", swept, "--min-sqnr", "20", "-o", first).code == 0
    text = first.read_text(encoding="utf-8")
    (line,) = [line for line in text.splitlines() if line.startswith("fxnorm report")]
    first.unlink()
    assert run(*shlex.split(line)[1:]).code == 0
    assert first.read_text(encoding="utf-8") == text


def test_the_gate_of_the_sweep_is_drawn_in(tmp_path):
    place = tmp_path / "run"
    done = run("sweep", MODEL, "--data", DATA, "--width", "8", "--min-accuracy", "0.5", "-o", place)
    assert done.code == 0, done.err
    assert run("report", place, "-o", tmp_path / "report.md").code == 0
    assert "1 of 1 configuration meet the gate" in (tmp_path / "report.md").read_text(encoding="utf-8")


@pytest.mark.slow
def test_plots_are_files_with_an_index(swept, tmp_path):
    folder = tmp_path / "plots"
    done = run("report", swept, "--plots", folder)
    assert (done.code, done.err) == (0, "")
    with (folder / "index.csv").open(newline="") as stream:
        listed = [line["file"] for line in csv.DictReader(stream)]
    files = set(tree(folder))
    assert files == {"index.csv", *(f"{name}.{ending}" for name in listed for ending in ("svg", "png"))}
    assert {"accuracy", "sqnr", "layers"} <= set(listed)
    for name in listed:
        assert (folder / f"{name}.svg").read_text(encoding="utf-8").startswith("<svg")
        assert (folder / f"{name}.png").read_bytes().startswith(b"\x89PNG")
    # Once more into the same folder: whatever else lies there stays.
    (folder / "mine.txt").write_text("kept")
    assert run("report", swept, "--plots", folder).code == 0
    assert set(tree(folder)) == files | {"mine.txt"}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "must be told what to write"),
        (("--format", "md"), "must be told what to write"),
        (("--plots", "plots", "--format", "md"), "--format goes with -o"),
        (("-o", "report.html", "--format", "pdf"), "--format: must be one of html, md, not 'pdf'"),
        (("-o", "report.pdf"), "-o report.pdf: must end with .html or .md, or --format must say which"),
        (("-o", "none/report.html"), "there is no folder"),
        (("-o", "-"), "give -o a file name"),
        (("-o", "report.html", "--min-accuracy", "90"), "must be a share from 0 to 1, not 90"),
        (("-o", "report.html", "--max-overflow", "-1"), "--max-overflow"),
        (("--plots", "file"), "must be a folder, but this is a file"),
        (("--plots", "none/plots"), "cannot be written"),
    ],
)
def test_what_makes_no_sense_is_refused(swept, tmp_path, monkeypatch, words, said):
    monkeypatch.chdir(tmp_path)
    Path("file").write_text("kept")
    done = run("report", swept, *words)
    assert done.code == 2
    assert said in done.message
    assert tree(tmp_path) == {"file": b"kept"}


def test_files_of_the_run_are_not_overwritten(swept):
    before = tree(swept)
    for name in ("results.sqlite", "results.json", "results.csv", "lock"):
        done = run("report", swept, "-o", swept / name, "--format", "md")
        assert done.code == 2
        assert "must not be, nor lie in, what the command reads" in done.message
    assert tree(swept) == before


def test_nothing_is_left_where_it_fails(tmp_path):
    done = run("report", tmp_path, "-o", tmp_path / "report.html", "--plots", tmp_path / "plots")
    assert done.code == 2
    assert "is no run folder" in done.message
    assert tree(tmp_path) == {}
    assert list(tmp_path.iterdir()) == []


def test_accuracy_without_labels_is_refused(tmp_path):
    record = tmp_path / "run.json"
    assert run("simulate", MODEL, "--format", "q5.3", "--json", record).code == 0
    assert "accuracy" not in json.loads(record.read_text())
    done = run("report", record, "-o", tmp_path / "report.html", "--min-accuracy", "0.9")
    assert done.code == 2
    assert "--min-accuracy: needs labels" in done.message


def test_charts_without_their_libraries_are_refused_by_what_to_install(swept, tmp_path, monkeypatch):
    known = importlib.util.find_spec
    monkeypatch.setattr("fxnorm.report_commands.find_spec", lambda name: None if name == "vl_convert" else known(name))
    for words in (("-o", tmp_path / "report.html"), ("--plots", tmp_path / "plots")):
        done = run("report", swept, *words)
        assert done.code == 2
        assert "vl-convert-python, which is not installed" in done.message
        assert "pip install 'fxnorm[report]'" in done.message
    assert run("report", swept, "-o", tmp_path / "report.md").code == 0
    assert set(tree(tmp_path)) == {"report.md"}


@pytest.mark.slow
def test_the_pictures_of_the_documentation_can_be_made_again(tmp_path):
    if shutil.which("chromium") is None:
        pytest.skip("no Chromium is installed: the documentation's picture of a report cannot be made")
    picture, chart = tmp_path / "report.png", tmp_path / "accuracy.svg"
    script = [sys.executable, str(EXAMPLES / "report_pictures.py"), "--picture", str(picture), "--chart", str(chart)]
    done = subprocess.run(script, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    committed = EXAMPLES.parent / "docs"
    # Of the same size and the same words; how letters are drawn is the machine's.
    assert picture.read_bytes()[16:24] == (committed / "report.png").read_bytes()[16:24]
    assert len(picture.read_bytes()) > 50_000
    words = [
        re.findall(r"<text[^>]*>([^<]*)<", place.read_text(encoding="utf-8"))
        for place in (chart, committed / "report-accuracy.svg")
    ]
    assert words[0] == words[1] != []
