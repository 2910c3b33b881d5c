"""When a configuration is good enough: as the gate has it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from page_results import criterion, grid, results, row, swept

from fxnorm.gate.limits import Limits
from fxnorm.gate.subject import Subject
from fxnorm.gate.verdict import judge
from fxnorm.page import limits as page_limits
from fxnorm.page.reading import read
from fxnorm.sweeping import tables


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return swept(tmp_path_factory.mktemp("limits"), "--width", "4,6,9", "--normalize", "none,pow2")


ASKED = st.fixed_dictionaries(
    {},
    optional={
        "min_accuracy": st.sampled_from([0.0, 0.5, 0.9, 0.95, 1.0]),
        "max_drop": st.sampled_from([0.0, 0.005, 0.01, 0.1]),
        "min_sqnr": st.sampled_from([-10.0, 0.0, 10.0, 25.0, 60.0]),
        "min_agreement": st.sampled_from([0.0, 0.9, 0.99, 1.0]),
        "max_overflow": st.sampled_from([0, 1, 1000]),
    },
).filter(bool)


@given(asked=ASKED, choice=st.data())
def test_a_report_and_the_gate_agree(folder, asked, choice):
    stored = tables.read(folder).rows
    shown = read(str(folder)).rows
    place = choice.draw(st.integers(0, len(stored) - 1))
    # Limits that a row meets or misses by nothing at all.
    if "min_accuracy" in asked and choice.draw(st.booleans()):
        asked["min_accuracy"] = stored[place].metrics["accuracy"]
    if "max_drop" in asked and choice.draw(st.booleans()):
        metrics = stored[place].metrics
        asked["max_drop"] = min(1.0, max(0.0, round(metrics["accuracy_fp32"] - metrics["accuracy"], 12)))
    limits = Limits(**asked)
    for kept, own in zip(stored, shown, strict=True):
        verdict = judge(limits, [Subject(kept.configuration.name, kept.record)])
        assert page_limits.Criterion(limits, True).met_by(own) == verdict.passed


def test_what_lacks_a_number_or_was_not_run_meets_nothing():
    assert criterion(min_sqnr=0.0).met_by(row())
    assert not criterion(min_sqnr=0.0).met_by(row(sqnr_db=None))
    assert not criterion(min_accuracy=0.0).met_by(row(accuracy=None))
    assert not criterion(max_overflow=9).met_by(row(refused="too wide"))


def test_without_a_gate_one_point_may_be_lost_or_what_stands_for_it():
    def asked(*rows):
        return page_limits.criterion(results(*rows), Limits())

    labelled = asked(row(), row(accuracy=0.93))
    assert (labelled.limits, labelled.asked) == (Limits(max_drop=0.01), False)
    assert asked(row(accuracy=None, accuracy_fp32=None)).limits == Limits(min_agreement=0.99)
    assert not asked(row(accuracy=None, accuracy_fp32=None, agreement=None))
    assert page_limits.criterion(grid(), Limits(min_sqnr=20.0)).limits == Limits(min_sqnr=20.0)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ((), Limits()),
        (
            ("fxnorm", "sweep", "m.onnx", "--min-accuracy", "0.9", "--max-drop=0.02"),
            Limits(min_accuracy=0.9, max_drop=0.02),
        ),
        (("--max-overflow", "0", "--min-sqnr=-3"), Limits(max_overflow=0, min_sqnr=-3.0)),
        (("--min-accuracy",), Limits()),
        (("--min-accuracy", "much"), Limits()),
        (("--min-accuracy", "90"), Limits()),
        (("--min-accuracies", "0.9", "min-accuracy", "0.9"), Limits()),
    ],
)
def test_the_gate_of_a_sweep_is_that_of_its_command_line(words, expected):
    assert page_limits.limits_of(words) == expected


def test_the_limit_of_accuracy_is_the_stricter_one():
    assert criterion(min_accuracy=0.9, max_drop=0.01).level("accuracy", 0.95) == 0.94
    assert criterion(min_accuracy=0.9, max_drop=0.2).level("accuracy", 0.95) == 0.9
    assert criterion(max_drop=0.2).level("accuracy", None) is None
    assert criterion(min_sqnr=12.0).level("sqnr", None) == 12.0
    assert criterion(min_agreement=0.5).level("agreement", None) == 0.5
    assert criterion(min_sqnr=12.0).level("accuracy", 0.9) is None


def test_limits_in_words():
    said = criterion(min_accuracy=0.9, max_drop=0.01, min_sqnr=20.0, min_agreement=0.5, max_overflow=0).words()
    assert [text.replace("\u00a0", " ") for text in said] == [
        "accuracy at least 90.0 %",
        "at most 1 point below FP32",
        "SQNR at least 20.0 dB",
        "arg-max agreement at least 50.0 %",
        "no overflow",
    ]
