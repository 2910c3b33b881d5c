"""A word under a run that lost accuracy."""

from __future__ import annotations

from typing import Final

from fxnorm.advice import POOR_SQNR
from fxnorm.diagnosis import SATURATION_SHARE, diagnose
from fxnorm.evaluation import Evaluation
from fxnorm.report.text import labels

LOST_SHARE: Final = 0.005
"""Share of the labelled answers, half a point, that may be lost without a word."""
LOST_ANSWERS: Final = 1
"""And so many of them, where that is more than that share: one answer tips by chance."""


def hint(evaluation: Evaluation) -> str | None:
    """One sentence for a run that lost accuracy, naming the layers to blame; None where nothing is amiss."""
    plan, reports = evaluation.plan, evaluation.reports
    worst = min(evaluation.output_error(name).sqnr_db for name in plan.outputs)
    short, _ = labels([layer.name for layer in plan.layers])
    names = dict(zip([*plan.inputs, *(layer.output for layer in plan.layers)], [*plan.inputs, *short], strict=True))
    shares = {
        names[value]: report.usage.overflow / report.usage.count
        for value, report in reports.items()
        if report.usage.count and report.usage.overflow / report.usage.count >= SATURATION_SHARE
    }
    drop = lost_accuracy(evaluation)
    if worst >= POOR_SQNR and not shares and drop <= 0.0:
        return None
    causes = []
    if shares:
        name, share = max(shares.items(), key=lambda item: item[1])
        causes.append(
            f"{_layers_text(len(shares))} overflow{'s' if len(shares) == 1 else ''}, most of all {name} ({share:.1%})"
        )
    empty = sum(
        any(finding.problem == "empty range" for finding in diagnose(report, encoding.format, encoding.zero))
        for report, encoding in ((reports[name], plan.values[name].encoding) for name in names)
    )
    if empty:
        causes.append(f"{_layers_text(empty)} leave{'s' if empty == 1 else ''} most of the range empty")
    if drop > 0.0:
        causes.append(f"accuracy falls by {100 * drop:.1f} points")
    if worst < POOR_SQNR:
        causes.append(f"the outputs have {worst:.1f} dB")
    return "; ".join(causes)


def lost_accuracy(evaluation: Evaluation) -> float:
    """Share of the labelled answers that fixed point loses; 0 where that is no more than chance explains."""
    accuracy = evaluation.accuracy
    if accuracy is None:
        return 0.0
    errors = (evaluation.output_error(name) for name in evaluation.plan.outputs)
    answers = next((error.decisions for error in errors if error.decisions), evaluation.samples)
    drop = accuracy["fp32"] - accuracy["fixed"]
    # Shares are quotients of counts: half an answer keeps their rounding out.
    return drop if drop * answers > max(LOST_ANSWERS, LOST_SHARE * answers) + 0.5 else 0.0


def _layers_text(count: int) -> str:
    return f"{count} layer{'s' if count != 1 else ''}"
