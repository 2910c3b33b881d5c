"""`fxnorm emit` and `fxnorm cosim`: what they write, what they refuse, and their exit codes."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from commandline import run
from emission import needs_gxx
from onnx import helper
from small_models import dense, floats, model, samples, save


@pytest.fixture
def files(tmp_path: Path) -> Path:
    save(dense(), tmp_path / "model.onnx")
    np.savez(tmp_path / "data.npz", x=samples(7))
    return tmp_path


def emit(files: Path, *more: object, output: str = "net") -> tuple[object, ...]:
    return ("emit", files / "model.onnx", "--format", "q5.3", "-o", files / output, *more)


@needs_gxx
@pytest.mark.slow
def test_emit_then_cosim(files: Path) -> None:
    done = run(*emit(files, "--data", files / "data.npz", "--frames", 5))
    assert done.code == 0, done.err
    assert "top function net" in done.out
    assert len((files / "net/vectors/in0.txt").read_text().splitlines()) == 5
    passed = run("cosim", files / "net", "--json", "-")
    assert passed.code == 0
    assert [target["passed"] for target in passed.json["targets"]] == [True, True]
    expected = files / "net/vectors/out0.txt"
    expected.write_text(re.sub(r"^-?\d+", "77", expected.read_text()))
    failed = run("cosim", files / "net", "--target", "catapult")
    assert failed.code == 1
    assert "frame 0, index 0, l00_linear" in failed.out


def test_emit_of_a_plan(files: Path) -> None:
    planned = run("plan", files / "model.onnx", "--format", "q5.3", "--data", files / "data.npz", "-o", files / "plan")
    assert planned.code == 0, planned.err
    done = run("emit", files / "plan", "-o", files / "net", "--target", "vitis", "--frames", 4, "--json", "-")
    assert done.code == 0, done.err
    assert done.json["targets"] == ["vitis"]
    manifest = json.loads((files / "net/manifest.json").read_text())
    assert manifest["plan"]["digest"] == done.json["plan"]["digest"]
    assert not (files / "net/catapult").exists()
    again = run("emit", files / "plan", "-o", files / "net2", "--data", files / "data.npz")
    assert again.code == 0, again.err
    assert len((files / "net2/vectors/in0.txt").read_text().splitlines()) == 7
    for more, message in ((("--format", "q4.4"), "--format would change it"), (("--samples", 3), "goes with a MODEL")):
        refused = run("emit", files / "plan", "-o", files / "net3", *more)
        assert (refused.code, message in refused.message) == (2, True)


@pytest.mark.parametrize(
    ("more", "output", "message"),
    [
        (("--part", "x$(touch pwned)"), "net", "--part: must be letters"),
        (("--clock", "fast"), "net", "--clock: must be the period"),
        (("--target", "xilinx"), "net", "--target: must be vitis, catapult or all"),
        (("--io", "serial"), "net", "--io: must be stream or parallel"),
        (("--parallelism", "many"), "net", "must be a positive integer or full"),
        ((), "a b", "a project's name must be"),
        ((), "module", "must not be a word of C++"),
        ((), "$(touch pwned)", "a project's name must be"),
    ],
)
def test_emit_refuses(files: Path, more: tuple[str, ...], output: str, message: str) -> None:
    before = sorted(files.iterdir())
    done = run(*emit(files, *more, output=output))
    assert done.code == 2
    assert message in done.message
    assert sorted(files.iterdir()) == before


def test_what_is_not_supported_is_listed_at_once(tmp_path: Path) -> None:
    """Both of them, and nothing is written."""
    nodes = [helper.make_node("Relu", ["x"], ["y"], name="first"), helper.make_node("Neg", ["x"], ["z"], name="second")]
    save(model(nodes, [floats("x", [1, 4])], [floats("y", [1, 4]), floats("z", [1, 4])]), tmp_path / "model.onnx")
    words = ("emit", tmp_path / "model.onnx", "--format", "q5.3", "--rounding", "rnd_conv_odd", "-o", tmp_path / "net")
    done = run(*words)
    assert done.code == 3
    assert done.err.count("vitis cannot have it") >= 2
    assert not (tmp_path / "net").exists()


@pytest.mark.parametrize(
    "content", [None, "", "[]", "{}", '{"project": "a b"}', '{"project": "net", "targets": ["x"], "files": {}}']
)
def test_cosim_of_no_project(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "manifest.json").write_text(content)
    done = run("cosim", tmp_path)
    assert done.code == 2
    assert "cosim" in done.message or "project's name" in done.message
