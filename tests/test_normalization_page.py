"""The page on normalization says what its commands print."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest
from commandline import run

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs" / "normalization-of-ranges.md").read_text(encoding="utf-8")


def test_the_example_far_from_zero():
    printed = runpy.run_path(str(ROOT / "examples" / "far_from_zero.py"))["table"]()
    assert printed in PAGE


def test_the_recommendation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    arguments = (
        "plan examples/digits_conv.onnx --data examples/digits_conv_test.npz --format q5.3 --auto -o digits.plan"
    )
    assert f"`fxnorm {arguments}`" in PAGE
    block = PAGE.split("```\n")[1]
    assert run(*arguments.split()).out == block
