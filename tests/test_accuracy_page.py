"""docs/accuracy.md says what the trained examples do: normalization keeps their accuracy at q5.3, the plain format does not."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[1]
MODELS = ROOT / ".." / "shared" / "models"
NAMES = ["digits_dense", "digits_conv", "digits_groupnorm", "digits_instancenorm", "digits_vit", "sww"]


@pytest.fixture(scope="module")
def command() -> ModuleType:
    spec = importlib.util.spec_from_file_location("accuracy", ROOT / "examples" / "accuracy.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["accuracy"] = module
    spec.loader.exec_module(module)
    return module


def documented(name: str) -> list[int]:
    """Right answers of FP32, none, pow2, affine as the page has them."""
    (line,) = (
        line for line in (ROOT / "docs" / "accuracy.md").read_text().splitlines() if line.startswith(f"| {name}:")
    )
    return [int(count) for count in re.findall(r" % \((\d+)\)", line)]


@pytest.mark.parametrize("name", NAMES)
def test_what_the_page_says(command: ModuleType, name: str) -> None:
    if name == "sww":
        if not (MODELS / "sww.onnx").is_file():
            pytest.skip("the wake word network is not at hand")
        row = command.judge(MODELS / "sww.onnx", MODELS / "sww_samples.npz", "", "q5.3")
    else:
        data, what = command.DIGITS[name]
        row = command.judge(ROOT / "examples" / f"{name}.onnx", ROOT / "examples" / f"{data}.npz", what, "q5.3")
    right = row.right
    # Within one point of FP32 with normalization (one answer where there are 45), visibly less without.
    allowed = max(1, row.samples // 100)
    assert right["pow2"] >= right["fp32"] - allowed
    assert right["affine"] >= right["fp32"] - allowed
    assert right["none"] <= right["fp32"] - 5 * allowed
    # Another processor may sum FP32 in another order, and a scale may tip: one answer more or less.
    found = [right[who] for who in ("fp32", "none", "pow2", "affine")]
    assert all(
        abs(a - b) <= (1 if who != 1 else 3) for who, (a, b) in enumerate(zip(found, documented(name), strict=True))
    )


def test_the_page_is_the_commands(command: ModuleType) -> None:
    """Everything but the numbers, word for word."""
    row = command.Row(
        "x", "y", 4, {"fp32": 4, "none": 1, "pow2": 4, "affine": 3}, {"none": 0.0, "pow2": 30.0, "affine": 31.0}
    )
    page = command.page([row], "q5.3")
    assert "| x: y | 4 | 100.0 % (4) | 25.0 % (1) (0.0 dB) | 100.0 % (4) (30.0 dB) | 75.0 % (3) (31.0 dB) |" in page

    def prose(text: str) -> list[str]:
        return [line for line in text.splitlines() if not line.startswith("| ")]

    assert prose(page) == prose((ROOT / "docs" / "accuracy.md").read_text())
