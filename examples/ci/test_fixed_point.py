"""What the network has to reach in fixed point, as tests: `pytest examples/ci`."""

from __future__ import annotations

from pathlib import Path

import pytest

from fxnorm.study import Study
from fxnorm.testing import assert_accuracy

BASELINE = Path(__file__).resolve().parents[1] / "baselines" / "digits_conv.json"


@pytest.mark.parametrize("format_", ["q5.3", "q4.4", "q6.2"])
def test_eight_bits_lose_at_most_a_point(digits: Study, format_: str) -> None:
    assert_accuracy(digits, format=format_, max_drop=0.01, min_agreement=0.98)


def test_six_bits_are_enough_with_offsets(digits: Study) -> None:
    record = assert_accuracy(digits, format="q4.2", normalize="affine", min_accuracy=0.95)
    assert record["accuracy"]["fixed"] <= record["accuracy"]["fp32"] + 0.01


def test_the_chosen_format_is_no_worse_than_it_was(digits: Study) -> None:
    assert_accuracy(digits, format="q6.2", baseline=BASELINE)
