"""The pages on normalization say what their commands print."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest
from commandline import run

from fxnorm.fixed.roots import MAX_BITS
from fxnorm.kernels.norm_operands import GUARD_BITS

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs" / "normalization-of-ranges.md").read_text(encoding="utf-8")
LAYERS = (ROOT / "docs" / "normalization.md").read_text(encoding="utf-8")


def test_the_example_far_from_zero():
    printed = runpy.run_path(str(ROOT / "examples" / "far_from_zero.py"))["table"]()
    assert printed in PAGE


def test_what_a_large_mean_costs_each_datapath():
    printed = runpy.run_path(str(ROOT / "examples" / "large_mean.py"))["table"]()
    assert printed in LAYERS
    # 28.8 dB, and with three fraction bits in every stage 2.7 dB and no variance left in 4 % of the groups.
    row = next(line for line in printed.splitlines() if "3 fraction bits" in line)
    assert "| 2.7 dB |" in row
    assert row.endswith("| 4.4% |")


def test_the_guard_bits_are_those_of_the_kernels():
    assert f"below 2^-{GUARD_BITS} of an output step" in " ".join(LAYERS.split())
    assert f"output code (bias included) and {GUARD_BITS}, at most {MAX_BITS}" in " ".join(LAYERS.split())
    numbers = (ROOT / "docs" / "numbers.md").read_text(encoding="utf-8")
    assert f"below 2^-{GUARD_BITS} of an output step" in " ".join(numbers.split())


def test_the_recommendation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    arguments = (
        "plan examples/digits_conv.onnx --data examples/digits_conv_test.npz --format q5.3 --auto -o digits.plan"
    )
    assert f"`fxnorm {arguments}`" in PAGE
    block = PAGE.split("```\n")[1]
    assert run(*arguments.split()).out == block
