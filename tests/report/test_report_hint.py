"""When a run is worth a word: answers lost beyond chance, saturation, poor outputs."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from fxnorm.evaluation import Evaluation
from fxnorm.fixed.format import Format
from fxnorm.kernels.encoding import Encoding
from fxnorm.metrics import Error, Usage, ValueReport
from fxnorm.report.hint import hint, lost_accuracy


def evaluation(answers: int, lost: int, *, sqnr_db: float = 40.0, overflow: int = 0, batch: int = 1) -> Evaluation:
    """A run of ten thousand numbers and some labelled answers, so many of which fixed point loses."""
    right = answers - answers // 10
    error = Error()
    error.add(np.ones((answers, 2)), np.ones((answers, 2)) + 10 ** (-sqnr_db / 20), decisions=True)
    usage = Usage(count=10_000, overflow=overflow, low=-128, high=127, histogram=np.zeros(256, np.int64))
    plan = SimpleNamespace(
        outputs={"y": "y"},
        inputs=(),
        layers=[SimpleNamespace(name="dense", output="y")],
        values={"y": SimpleNamespace(encoding=Encoding(Format(8, 5)), shape=(batch, 2))},
    )
    accuracy = {"fp32": right / answers, "fixed": (right - lost) / answers}
    given = {
        "plan": plan,
        "samples": answers // batch,
        "reports": {"y": ValueReport(usage, error)},
        "accuracy": accuracy,
    }
    made = object.__new__(Evaluation)
    for name, thing in given.items():
        object.__setattr__(made, name, thing)
    return made


@pytest.mark.parametrize(
    ("answers", "tolerated"), [(10, 1), (45, 1), (100, 1), (200, 1), (400, 2), (450, 2), (1000, 5), (10_000, 50)]
)
@pytest.mark.parametrize("batch", [1, 5])
def test_answers_that_tip_by_chance_are_not_worth_a_word(answers: int, tolerated: int, batch: int) -> None:
    """One answer of a few, half a point of many."""
    for lost in (-3, 0, tolerated):
        assert lost_accuracy(evaluation(answers, lost, batch=batch)) == 0.0
        assert hint(evaluation(answers, lost, batch=batch)) is None
    said = hint(evaluation(answers, tolerated + 1, batch=batch))
    assert said == f"accuracy falls by {100 * (tolerated + 1) / answers:.1f} points"


def test_saturation_and_noise_are_worth_one_without_labels() -> None:
    assert hint(evaluation(450, 0, overflow=9)) is None
    assert hint(evaluation(450, 0, overflow=10)) == "1 layer overflows, most of all dense (0.1%)"
    assert hint(evaluation(450, 0, sqnr_db=20.1)) is None
    assert hint(evaluation(450, 0, sqnr_db=19.9)) == "the outputs have 19.9 dB"
