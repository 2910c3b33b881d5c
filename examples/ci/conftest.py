"""A fixture that opens model and samples once for all tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from fxnorm.study import Study
from fxnorm.testing import study

EXAMPLES = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def digits() -> Study:
    """The convolutional network and its test split: FP32, ranges and weights are shared by all tests."""
    return study(EXAMPLES / "digits_conv.onnx", EXAMPLES / "digits_conv_test.npz")
