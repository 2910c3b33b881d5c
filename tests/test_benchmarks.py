"""The benchmark measures every row and survives one that fails; how fast anything is, is not asked here."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

import fxnorm as fx
from benchmarks import growth, int64_model, layers, memory, models, networks, next_format, run, start_up
from benchmarks.measure import FULL, QUICK, Effort, Growth, Missing, Row, at_most, faster
from benchmarks.page import Part, page, table
from fxnorm.simulation import Simulator

ROOT = Path(__file__).resolve().parents[1]
needs_networks = pytest.mark.skipif(
    not models.MODELS.is_dir(), reason="the networks beside the repository are not there"
)


def checked(part, rows):
    """Every row is there, with positive figures."""
    assert part.failed == []
    assert len(part.rows) == rows
    for row in part.rows:
        assert row.ours > 0
        assert row.theirs > 0
        assert row.ratio > 0
    return {row.against for row in part.rows}


def test_layers():
    assert checked(run.measure(layers.rows, "Layers", QUICK), 6) == {
        "fxpmath",
        "apytypes",
        "NumPy int64",
        "NumPy float32",
    }


@needs_networks
def test_networks():
    against = checked(run.measure(networks.rows, "Networks", QUICK), 12)
    assert against == {"onnxruntime FP32", "onnxruntime FP32, not spinning", "NumPy int64"}


@pytest.mark.slow
@needs_networks
def test_the_rest():
    """Processes, memory, growth; and hls4ml, where its environment is."""
    checked(run.measure(start_up.rows, "Start-up", QUICK), 4)
    part = run.measure(memory.rows, "Memory", QUICK)
    checked(part, 2)
    tables = part.tables + run.measure(growth.rows, "Growth", QUICK).tables
    assert len(tables) == 5
    assert all(len(line) == len(each.heading) for each in tables for line in each.lines)
    part = run.measure(next_format.rows, "Formats", QUICK)
    assert part.missing if not next_format.PYTHON.is_file() else checked(part, 2)


def test_a_row_that_fails_does_not_stop_the_others(tmp_path, monkeypatch, capsys):
    def rows(effort):
        yield "first", lambda: Row("first work", 1.0, 2.0, "them", at_most(1, 1.0, 2.0))
        yield "second", lambda: 1 / 0
        yield "third", lambda: models.path_of("no such network")
        yield "fourth", lambda: Growth("growing", ("size", "time"), (("1", "2 ms"),))
        yield "fifth", lambda: Row("fifth work", 3.0, 2.0, "them", faster(5, 3.0, 2.0))

    monkeypatch.setattr(run, "SECTIONS", (("some", "Some", rows),))
    written = tmp_path / "page.md"
    assert run.main(["--quick", "--page", str(written)]) == 1
    text = written.read_text()
    assert "| first work | 1.00 s | them | 2.00 s | 0.50 | at most 1 × | yes |" in text
    assert "| fifth work | 3.00 s | them | 2.00 s | 1.50 | at least 5 × as fast | **no** |" in text
    assert "**Failed:** second: ZeroDivisionError: division by zero." in text
    assert "Left out: third: no such network.onnx is not in ../shared/models." in text
    assert "| 1 | 2 ms |" in text
    assert "Targets reached: 1 of 2." in text
    assert "ZeroDivisionError" in capsys.readouterr().err
    # Otherwise 0, also where something is not there.
    monkeypatch.setattr(run, "SECTIONS", (("some", "Some", lambda effort: iter([("third", _missing)])),))
    assert run.main(["--quick"]) == 0


def _missing():
    raise Missing("it is not here")


def test_figures_are_written_so_that_they_can_be_read():
    rows = [Row("a", 0.00123, 12.0, "b", None, "n"), Row("m", 250.4, 100.0, "o", at_most(3, 250.4, 100.0), unit="MB")]
    lines = table(rows).splitlines()
    assert lines[2] == "| a (n) | 1.23 ms | b | 12.00 s | 1 / 9,756 |  |  |"
    assert lines[3] == "| m | 250 MB | o | 100 MB | 2.50 | at most 3 × | yes |"


def test_full_runs_take_five_and_more():
    """As the page says."""
    assert FULL.runs >= 5
    assert FULL.at_most(5).runs == 5
    assert FULL.samples(200) == 200
    assert Effort(11, 0.1).samples(1000) == 100


def test_the_page_says_what_it_was_measured_on():
    text = page([Part("Nothing")], FULL, 61.0)
    assert re.search(r"Machine: .+, \d+ cores, \d+ GiB, \w+, Python 3\.\d+\.\d+, numpy [\d.]+", text)


def test_the_model_in_numpy_computes_the_same_codes(tmp_path):
    """What fxnorm is compared with must be right to be compared with."""
    import onnx

    onnx.save(models.dense_stack(12, 3), tmp_path / "stack.onnx")
    graph = fx.load(tmp_path / "stack.onnx")
    samples = np.random.default_rng(1).normal(0, 1, (9, 12)).astype(np.float32)
    plan = fx.plan(graph, fx.calibrate(graph, samples), "q4.4")
    inputs = models.given(graph, samples)
    wanted = Simulator(plan, fast=False).run(inputs)
    codes = int64_model.run(plan, inputs)
    assert all(np.array_equal(codes[name], array) for name, array in wanted.items())
