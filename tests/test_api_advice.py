"""`fx.advise`: what `plan --auto` finds, from samples in memory."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from commandline import run
from small_models import dense, samples, save

import fxnorm as fx
from fxnorm.errors import DataError, PlanError, UsageError

SAMPLES = 40


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return save(dense(), tmp_path / "dense.onnx")


def labelled() -> dict[str, np.ndarray]:
    return {"x": samples(SAMPLES), "labels": np.arange(SAMPLES) % 3}


def test_it_finds_what_the_command_line_finds(model: Path, tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", **labelled())
    options = ("--format", "q4.2", "--calibration", "percentile:99", "--layer", "dense:weight-format=q2.6")
    written = run(
        "plan", model, "--data", tmp_path / "x.npz", *options, "--auto", "-o", tmp_path / "p", "--json", "-"
    ).json
    graph = fx.load(model)
    chosen = {"calibration": "percentile:99", "layers": ["dense:weight-format=q2.6"]}
    found = fx.advise(graph, fx.calibrate(graph, samples(SAMPLES)), labelled(), "q4.2", **chosen)
    assert found.chosen.normalize == written["recommendation"]["normalize"]
    assert found.chosen.plan.options == fx.load_plan(tmp_path / "p").options
    assert found.reason == written["recommendation"]["reason"]
    for trial, other in zip(found.trials, written["trials"], strict=True):
        assert trial.normalize == other["normalize"]
        assert trial.evaluation.accuracy == other["accuracy"]
        assert trial.sqnr_db == other["sqnr_db"]
    # The plans differ in nothing but what the data is called and how its bytes are counted.
    result = fx.simulate(found.chosen.plan, samples(SAMPLES))
    assert np.array_equal(result["y"].codes, fx.simulate(fx.load_plan(tmp_path / "p"), samples(SAMPLES))["y"].codes)


def test_labels_are_given_or_lie_with_the_samples(model: Path) -> None:
    graph = fx.load(model)
    ranges = fx.calibrate(graph, samples(SAMPLES))
    given = labelled()
    with_them = fx.advise(graph, ranges, given, "q5.3")
    apart = fx.advise(graph, ranges, given["x"], "q5.3", labels=given["labels"].tolist())
    without = fx.advise(graph, ranges, given["x"], "q5.3")
    assert with_them.chosen.accuracy == apart.chosen.accuracy
    assert with_them.chosen.accuracy is not None
    assert without.chosen.accuracy is None


def test_what_is_printed(model: Path) -> None:
    graph = fx.load(model)
    found = fx.advise(graph, fx.calibrate(graph, samples(SAMPLES)), labelled(), "q5.3")
    lines = str(found).splitlines()
    assert [line.split(":")[0] for line in lines[:3]] == ["none", "pow2", "affine"]
    assert lines[2].endswith(f"with {found.trials[2].cost.multiplications} multiplications a sample")
    assert any(line.startswith("'dense' (Gemm+Relu) should get ") for line in lines)
    assert lines[-1] == f"recommended: {found.reason}"


def test_what_does_not_go_together(model: Path) -> None:
    graph = fx.load(model)
    ranges = fx.calibrate(graph, samples(SAMPLES))
    with pytest.raises(UsageError, match="leave `normalize` out"):
        fx.advise(graph, ranges, samples(SAMPLES), "q5.3", normalize="pow2")
    with pytest.raises(PlanError, match="histograms=True"):
        fx.advise(graph, fx.calibrate(graph, samples(SAMPLES), histograms=False), samples(SAMPLES), "q5.3")
    for labels in (np.zeros(SAMPLES), np.zeros((SAMPLES, 1), int), np.zeros(3, int), np.full(SAMPLES, 9)):
        with pytest.raises(DataError, match="labels"):
            fx.advise(graph, ranges, samples(SAMPLES), "q5.3", labels=labels)
    with pytest.raises(UsageError, match="no option"):
        fx.advise(graph, ranges, samples(SAMPLES), "q5.3", colour="red")
