"""The gist in words."""

from __future__ import annotations

from page_results import NO_LIMIT, criterion, grid, results, row

from fxnorm.gate.limits import Limits
from fxnorm.page import limits as page_limits
from fxnorm.page.results import Check
from fxnorm.page.summary import summarize


def told(found, limits=None):
    summary = summarize(found, limits or page_limits.criterion(found, Limits()))
    plain = [text.replace("\u00a0", " ") for text in (summary.headline, *summary.more)]
    return summary, plain


def test_the_narrowest_format_that_is_good_enough_is_named_and_what_the_next_one_loses():
    rows = [row(width=width, accuracy=accuracy) for width, accuracy in ((4, 0.2), (6, 0.929), (8, 0.945), (10, 0.949))]
    summary, said = told(results(*rows))
    assert said[0] == "q4.4 with pow2 (8 bits) gives 94.5 % accuracy where FP32 has 95.0 %; 6 bits lose 2.1 points."
    assert said[1:] == ["Bits needed for at most 1 point below FP32 – pow2: 8 bits (q4.4)."]
    assert (summary.choice.width, summary.other.width) == (8, 6)


def test_of_one_width_the_simplest_is_named_and_compared_with_the_plain_format():
    rows = [
        row(normalize=mode, accuracy=accuracy) for mode, accuracy in (("affine", 0.95), ("none", 0.3), ("pow2", 0.945))
    ]
    summary, said = told(results(*rows, row(width=6, accuracy=0.1)))
    assert summary.choice.normalize == "pow2"
    assert summary.other.normalize == "none"
    assert said[1] == (
        "Bits needed for at most 1 point below FP32 – affine: 8 bits (q4.4); "
        "none: not reached up to 8 bits (best q4.4: 65 points lost); pow2: 8 bits (q4.4)."
    )


def test_where_none_is_good_enough_the_best_is_named():
    summary, said = told(results(row(accuracy=0.5), row(width=4, accuracy=0.6)), criterion(min_accuracy=0.9))
    assert said[0].startswith(
        "No configuration meets the gate; the best one, q2.2 with pow2 (4 bits), gives 60.0 % accuracy"
    )
    assert said[2] == "0 of 2 configurations meet the gate: accuracy at least 90.0 %."
    assert summary.choice.number == 1


def test_without_labels_agreement_is_told_and_without_that_sqnr():
    bare = {"accuracy": None, "accuracy_fp32": None}
    _, said = told(results(row(**bare, agreement=0.995), row(width=4, **bare, agreement=0.5)))
    assert said[0] == "q4.4 with pow2 (8 bits) gives FP32's arg-max in 99.5 % of the rows; 4 bits agree in 50.0 %."
    _, said = told(results(row(**bare, agreement=None), row(width=4, **bare, agreement=None)), NO_LIMIT)
    assert said == ["q4.4 with pow2 (8 bits) gives an output SQNR of 48.0 dB."]


def test_what_is_missing_is_said():
    _, said = told(grid())
    assert said[-2:] == [
        "1 configuration could not be planned or run; the reasons stand under All results.",
        "The run is not finished: 2 configurations still without a result.",
    ]
    summary, said = told(results(waiting=3))
    assert said == ["Nothing was run yet.", "The run is not finished: 3 configurations still without a result."]
    assert summary.choice is None


def test_the_verdict_of_a_single_run_is_told():
    checks = (Check("--min-accuracy", "", False, "too low"), Check("--min-sqnr", "output 'y'", True, "high"))
    _, said = told(results(row(), kind="run", checks=checks))
    assert said == [
        "q4.4 with pow2 (8 bits) gives 90.0 % accuracy where FP32 has 95.0 %.",
        "The gate is not met: 1 of 2 limits missed.",
    ]
