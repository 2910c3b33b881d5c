"""The gate of `fxnorm simulate` and `fxnorm sweep`: exit codes, messages, files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commandline import Ran, read_json, run
from junit_rules import check_junit
from small_models import dense, samples, save
from small_sweep import Small

import fxnorm as fx
from fxnorm.testing import assert_accuracy, study

COARSE = ("--format", "q5.0", "--normalize", "none")
"""A format in which the network loses accuracy."""


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Small:
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    return Small.make(tmp_path)


def simulate(small: Small, *more: object) -> Ran:
    return run("simulate", small.model, "--data", small.data, *more)


def lines(ran: Ran) -> list[str]:
    """Violations on standard error, below their headline."""
    head, *rest = ran.err.splitlines()
    assert head == f"fxnorm: error: gate: {len(rest)} violation{'s' if len(rest) != 1 else ''}:"
    assert all(line.startswith("  ") for line in rest)
    return [line.strip() for line in rest]


def test_a_gate_that_passes(small: Small) -> None:
    asked = ("--min-accuracy", 0.85, "--max-drop", 0.05, "--min-sqnr", 20, "--min-agreement", 0.9, "--max-overflow", 0)
    ran = simulate(small, "--format", "q4.4", *asked)
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.splitlines()[-1] == "gate: 5 checks passed"


@pytest.mark.parametrize(
    ("limit", "words"),
    [
        (("--min-accuracy", "0.9"), "q5.0 none: --min-accuracy: the accuracy must be at least 90.00%, and is "),
        (
            ("--max-drop", "0.01"),
            "q5.0 none: --max-drop: the accuracy may lie 1.00 points below FP32's 90.00%, and is ",
        ),
        (("--min-sqnr", "30"), "q5.0 none, output 'y': --min-sqnr: the SQNR must be at least 30 dB, and is "),
        (
            ("--min-agreement", "0.99"),
            "q5.0 none, output 'y': --min-agreement: the arg-max must be FP32's in at least ",
        ),
    ],
)
def test_every_kind_of_violation(small: Small, limit: tuple[str, str], words: str) -> None:
    ran = simulate(small, *COARSE, *limit)
    assert ran.code == 1
    (line,) = lines(ran)
    assert line.startswith(words)
    assert "less" in line or "below it" in line
    assert "layer" in line
    assert "compared with FP32 on 40 samples" in ran.out  # the run itself is shown
    assert "gate:" not in ran.out


def test_overflows_are_counted_and_named(small: Small) -> None:
    ran = simulate(small, "--format", "q2.3", "--normalize", "none", "--max-overflow", "0", "--json", "-")
    assert ran.code == 1
    (line,) = lines(ran)
    layers = ran.json["layers"]
    count = sum(layer["overflow_count"] for layer in layers)
    assert count > 0
    assert f"at most 0 values may overflow, and {count} do, {count} too many: " in line
    assert any(f"{layer['overflow_count']} in layer '{layer['name']}'" in line for layer in layers)
    assert simulate(small, "--format", "q2.3", "--normalize", "none", "--max-overflow", count).code == 0


def test_json_has_the_verdict_and_stands_alone(small: Small) -> None:
    ran = simulate(small, *COARSE, "--min-sqnr", "30", "--min-accuracy", "0.1", "--json", "-", "--annotations")
    assert ran.code == 1
    gate = read_json(ran.out)["gate"]
    assert gate["passed"] is False
    assert [check["passed"] for check in gate["checks"]] == [True, False]
    assert ran.err.startswith("::error file=")
    assert "gate" not in simulate(small, *COARSE, "--json", "-").json


def test_the_files_of_a_verdict(small: Small, tmp_path: Path) -> None:
    asked = ("--min-sqnr", "30", "--junit", tmp_path / "j.xml", "--summary", tmp_path / "s.md", "--annotations")
    ran = simulate(small, *COARSE, *asked)
    assert ran.code == 1
    root = check_junit((tmp_path / "j.xml").read_text())
    assert root.get("failures") == "1"
    text = (tmp_path / "s.md").read_text()
    assert "gate failed: 1 of 1 checks" in text
    assert fx.load(small.model).sha256 in text
    assert ran.out.splitlines()[-1].startswith("::error file=")
    assert simulate(small, "--format", "q4.4", *asked).code == 0
    assert check_junit((tmp_path / "j.xml").read_text()).get("failures") == "0"


def test_the_files_are_seen_to_before_any_work(small: Small, tmp_path: Path) -> None:
    ran = simulate(small, *COARSE, "--min-sqnr", "30", "--junit", tmp_path / "gone" / "j.xml")
    assert ran.code == 2
    assert "--junit" in ran.message
    assert "there is no folder" in ran.message


def test_a_step_summary_keeps_what_is_in_it(small: Small, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    step = tmp_path / "step"
    step.write_text("the tests\n")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(step))
    assert simulate(small, "--format", "q4.4", "--min-sqnr", "10", "--summary", step).code == 0
    assert step.read_text().startswith("the tests\n## ✅ ")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--min-accuracy", "0.9"), "--min-accuracy: needs labels"),
        (("--max-drop", "0.9"), "--max-drop: needs labels"),
    ],
)
@pytest.mark.parametrize("command", ["simulate", "sweep"])
def test_missing_labels(tmp_path: Path, command: str, options: tuple[str, str], words: str) -> None:
    small = Small.make(tmp_path, labels=False)
    more = ("--formats", "q4.4", "-o", small.folder) if command == "sweep" else ("--format", "q4.4")
    ran = run(command, small.model, "--data", small.data, *more, *options)
    assert ran.code == 2
    assert words in ran.message
    assert str(small.data) in ran.message
    assert not small.folder.exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--min-accuracy", "90"), "for 90 % give 0.9"),
        (("--junit", "j.xml"), "--junit: goes with a gate"),
        (("--summary", "s.md"), "--summary: goes with a gate"),
        (("--annotations",), "--annotations: goes with a gate"),
        (("--min-sqnr", "3", "--baseline-drop", "0.1"), "--baseline-drop: goes with --baseline"),
        (("--min-sqnr", "3", "--baseline-other-model"), "--baseline-other-model: goes with --baseline"),
        (("--baseline", "gone.json"), "--baseline gone.json: cannot be read"),
        (("--min-sqnr", "nan"), "--min-sqnr: must be a number of dB"),
    ],
)
@pytest.mark.parametrize("command", ["simulate", "sweep"])
def test_options_that_cannot_be(small: Small, command: str, options: tuple[str, ...], words: str) -> None:
    more = ("--formats", "q4.4", "-o", small.folder) if command == "sweep" else ("--format", "q4.4")
    ran = run(command, small.model, "--data", small.data, *more, *options)
    assert ran.code == 2
    assert words in ran.message


# Sweeps


def sweep(small: Small, *more: object) -> Ran:
    grid = ("--width", "4:8:2", "--normalize", "none,pow2", "-o", small.folder)
    return run("sweep", small.model, "--data", small.data, *grid, *more)


def test_every_row_has_to_pass_unless_some_are_chosen(small: Small) -> None:
    ran = sweep(small, "--min-agreement", "0.95")
    assert ran.code == 1
    failed = {line.split(",")[0] for line in lines(ran)}
    rows = read_json((small.folder / "results.json").read_text())["rows"]
    low = {row["name"] for row in rows if row["outputs"]["y"]["argmax_agreement"] < 0.95}
    assert failed == low
    assert 0 < len(low) < 6
    ran = sweep(small, "--min-agreement", "0.95", "--gate-on", "normalize=pow2", "--gate-on", "width=8")
    assert (ran.code, ran.out.splitlines()[-1]) == (0, "gate: 1 check passed")


def test_the_gate_is_no_part_of_the_run(small: Small) -> None:
    """Limits may change from one command to the next; rows are not computed again."""
    assert sweep(small).code == 0
    before = (small.folder / "results.json").read_bytes()
    assert sweep(small, "--min-sqnr", "90").code == 1
    assert sweep(small, "--min-sqnr", "-90", "--gate-on", "format=default;q5.3", "--gate-on", "width=4:8").code in (
        0,
        2,
    )
    assert (small.folder / "results.json").read_bytes() == before


def test_a_refused_configuration_does_not_pass(small: Small) -> None:
    chosen = ("--formats", "q5.3,q-900.908", "--normalize", "none", "-o", small.folder, "--min-sqnr", "10")
    ran = run("sweep", small.model, "--data", small.data, *chosen)
    assert ran.code == 1
    (line,) = lines(ran)
    assert line.startswith("q-900.908: run: cannot be run: dense (Gemm+Relu): an accumulator of")


def test_a_baseline(small: Small, tmp_path: Path) -> None:
    base = tmp_path / "base.json"
    assert sweep(small, "--json", base).code == 0
    assert base.read_bytes() == (small.folder / "results.json").read_bytes()
    assert sweep(small, "--baseline", base).code == 0
    better = read_json(base.read_text())
    better["rows"][3]["accuracy"]["fixed"] += 0.025
    better["rows"][4]["outputs"]["y"]["sqnr_db"] += 3.0
    base.write_text(json.dumps(better))
    ran = sweep(small, "--baseline", base)
    assert ran.code == 1
    first, second = lines(ran)
    assert first.startswith(f"{better['rows'][3]['name']}: --baseline: the accuracy was ")
    assert "2.50 points less, where 0.00 points may be lost" in first
    assert second.startswith(f"{better['rows'][4]['name']}, output 'y': --baseline: the SQNR was ")
    assert "3.00 dB less, where 0.1 dB may be lost" in second
    assert sweep(small, "--baseline", base, "--baseline-drop", "0.025", "--baseline-sqnr-drop", "3.01").code == 0
    assert sweep(small, "--baseline", base, "--gate-on", "width=4").code == 0


def test_a_baseline_of_one_run_and_of_a_sweep(small: Small, tmp_path: Path) -> None:
    base = tmp_path / "base.json"
    assert sweep(small, "--json", base).code == 0
    row = read_json(base.read_text())["rows"][5]
    ran = simulate(small, "--format", row["format"], "--normalize", row["normalize"], "--baseline", base)
    assert (ran.code, ran.err) == (0, "fxnorm: gate: 5 configurations of the baseline were not judged\n")
    ran = simulate(small, "--format", "q9.9", "--baseline", base)
    assert ran.code == 1
    assert "has no result of this configuration" in ran.err
    alone = tmp_path / "alone.json"
    assert simulate(small, "--format", "q6.6", "--json", alone).code == 0
    assert simulate(small, "--format", "q6.6", "--baseline", alone).code == 0
    ran = simulate(small, *COARSE, "--baseline", alone)
    assert ran.code == 1
    assert all("--baseline" in line for line in lines(ran))


def test_a_baseline_of_another_model_or_of_other_data(small: Small, tmp_path: Path) -> None:
    base = tmp_path / "base.json"
    assert simulate(small, "--format", "q4.4", "--json", base).code == 0
    weights = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32) * 1.01
    other = save(dense(weights=weights), tmp_path / "other.onnx")
    ran = run("simulate", other, "--data", small.data, "--format", "q4.4", "--baseline", base)
    assert ran.code == 2
    assert "is of another model" in ran.message
    again = ("--baseline-other-model", "--baseline-drop", "1", "--baseline-sqnr-drop", "90")
    assert run("simulate", other, "--data", small.data, "--format", "q4.4", "--baseline", base, *again).code == 0
    np.savez(tmp_path / "less.npz", x=samples(5))
    ran = run("simulate", small.model, "--data", tmp_path / "less.npz", "--format", "q4.4", "--baseline", base)
    assert ran.code == 2
    assert "was made with other data" in ran.message


@pytest.mark.parametrize(
    ("on", "words"),
    [
        ("format=q9.9", "must hold for a configuration of the sweep, and holds for none of q"),
        ("width", "must be KEY=VALUE with one of the keys width, integer-bits"),
        ("color=red", "must be KEY=VALUE with one of the keys"),
        ("width=wide", "--gate-on: must be numbers or ranges"),
        ("layers=x", "must be KEY=VALUE"),
    ],
)
def test_a_selection_of_nothing_is_an_error_before_anything_runs(small: Small, on: str, words: str) -> None:
    ran = sweep(small, "--min-sqnr", "1", "--gate-on", on)
    assert ran.code == 2
    assert words in ran.message
    assert not (small.folder / "results.json").exists()
    ran = sweep(small, "--gate-on", "width=4")
    assert "--gate-on: goes with a gate" in ran.message


# Python


def test_assert_accuracy(small: Small, tmp_path: Path) -> None:
    record = assert_accuracy(small.model, small.data, format="q4.4", min_accuracy=0.85, max_drop=0.05, min_sqnr=20.0)
    ran = simulate(small, "--format", "q4.4", "--json", tmp_path / "base.json")
    assert ran.code == 0
    told = read_json((tmp_path / "base.json").read_text())
    assert {**record, "model": None} == {
        key: value for key, value in {**told, "model": None}.items() if key != "seconds"
    }
    shared = study(small.model, small.data)
    assert_accuracy(shared, format="q4.4", baseline=tmp_path / "base.json")
    with pytest.raises(AssertionError, match=r"q5\.0 none: --min-accuracy: the accuracy must be at least 99\.00%"):
        assert_accuracy(shared, format="q5.0", normalize="none", min_accuracy=0.99)
    with pytest.raises(AssertionError, match="--baseline: the accuracy was"):
        assert_accuracy(shared, format="q5.0", normalize="none", baseline=tmp_path / "base.json")


def test_assert_accuracy_on_arrays(small: Small) -> None:
    with np.load(small.data) as arrays:
        given = dict(arrays)
    assert_accuracy(fx.load(small.model), given, format="q4.4", min_accuracy=0.85)


@pytest.mark.parametrize(
    ("chosen", "words"),
    [
        ({}, "must be told what to assert"),
        ({"min_accuracy": 0.9, "data": None}, "needs samples"),
        ({"min_accuracy": 0.9, "model": "study"}, "a study has its data"),
        ({"min_accuracy": 90.0}, "for 90 % give 0.9"),
    ],
)
def test_assert_accuracy_of_nothing(small: Small, chosen: dict[str, Any], words: str) -> None:
    given = {"model": small.model, "data": small.data, **chosen}
    if given["model"] == "study":
        given["model"] = study(small.model, small.data)
    with pytest.raises(fx.FxnormError, match=words):
        assert_accuracy(given.pop("model"), given.pop("data"), format="q4.4", **given)


def test_assert_accuracy_needs_labels(tmp_path: Path) -> None:
    small = Small.make(tmp_path, labels=False)
    with pytest.raises(fx.FxnormError, match="needs labels"):
        assert_accuracy(small.model, small.data, format="q4.4", min_accuracy=0.5)
    assert_accuracy(small.model, small.data, format="q4.4", min_agreement=0.5)


def test_a_plan_is_known_to_a_baseline_by_its_options(small: Small, tmp_path: Path) -> None:
    chosen = ("--formats", "q4.4,q5.3", "--normalize", "affine", "--layer", "dense:rounding=trn", "-o", small.folder)
    assert run("sweep", small.model, "--data", small.data, *chosen).code == 0
    base = small.folder / "results.json"
    rule = ("--normalize", "affine", "--layer", "dense:rounding=trn")
    planned = run("plan", small.model, "--data", small.data, "--format", "q4.4", *rule, "-o", tmp_path / "p")
    assert planned.code == 0
    ran = run("simulate", tmp_path / "p", "--data", small.data, "--baseline", base)
    assert (ran.code, ran.out.splitlines()[-1]) == (0, "gate: 2 checks passed")
    other = run("simulate", small.model, "--data", small.data, "--format", "q4.4", "--baseline", base)
    assert other.code == 1
    assert "has no result of this configuration" in other.err
