"""The verdict: every limit checked for every configuration, and by how much and where it is missed."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from fxnorm.errors import DataError
from fxnorm.gate.baseline import Baseline, Entry
from fxnorm.gate.limits import SQNR_TOLERANCE, Limits, option
from fxnorm.gate.subject import Subject, first_below, overflows, steepest_fall

NAMED_PLACES: Final = 3
"""Layers that a message about overflows names."""


@dataclass(frozen=True)
class Check:
    """One limit, held against one configuration.

    Attributes
    ----------
    subject
        Its name.
    rule
        Option that asks for it.
    where
        "output 'NAME'", "layer 'NAME'", or "" for the whole network.
    passed
        Whether it is met.
    text
        What was asked for and what there is; where it is missed, by how much.
    """

    subject: str
    rule: str
    where: str
    passed: bool
    text: str

    @property
    def message(self) -> str:
        """Everything in one line."""
        place = f", {self.where}" if self.where else ""
        return f"{self.subject}{place}: {self.rule}: {self.text}"


@dataclass(frozen=True)
class Verdict:
    """All checks.

    Attributes
    ----------
    checks
        In the order of the configurations.
    subjects
        Configurations that were judged.
    notes
        What is no violation, but should be known.
    """

    checks: tuple[Check, ...]
    subjects: tuple[Subject, ...]
    notes: tuple[str, ...] = ()

    @property
    def violations(self) -> tuple[Check, ...]:
        """Checks that failed."""
        return tuple(check for check in self.checks if not check.passed)

    @property
    def passed(self) -> bool:
        """Whether every check passed."""
        return not self.violations

    def of(self, subject: Subject) -> tuple[Check, ...]:
        """Checks of one configuration."""
        return tuple(check for check in self.checks if check.subject == subject.name)

    def record(self) -> dict[str, Any]:
        """The verdict as plain data."""
        checks = [
            {"configuration": c.subject, "rule": c.rule, "where": c.where, "passed": c.passed, "text": c.text}
            for c in self.checks
        ]
        return {"passed": self.passed, "checks": checks, "notes": list(self.notes)}


def judge(limits: Limits, subjects: Sequence[Subject], baseline: Baseline | None = None) -> Verdict:
    """Hold configurations against limits.

    Raises
    ------
    DataError
        If there is nothing to judge, or something is asked for that a record cannot say: accuracy without labels, agreement without
        classes.
    """
    if not subjects:
        raise DataError("gate: there must be a result to judge, and there is none; a gate on nothing would always pass")
    checks: list[Check] = []
    for subject in subjects:
        if subject.record is None:
            checks.append(Check(subject.name, "run", "", False, f"cannot be run: {subject.reason}"))
            continue
        checks += _limits(limits, subject)
        if baseline is not None:
            checks += _against(limits, subject, baseline)
    judged = {subject.id for subject in subjects}
    left = 0 if baseline is None or baseline.single else sum(id_ not in judged for id_ in baseline.entries)
    notes = (
        f"{left} configuration{'s' if left != 1 else ''} of the baseline {'were' if left != 1 else 'was'} not judged",
    )
    return Verdict(tuple(checks), tuple(subjects), notes if left else ())


def refuse_missing_labels(limits: Limits, labels: bool, where: str) -> None:
    """Refuse to ask for an accuracy where there are no labels.

    Raises
    ------
    DataError
        If so.
    """
    if labels or not limits.needs_labels:
        return
    asked = next(option(name) for name in ("min_accuracy", "max_drop") if getattr(limits, name) is not None)
    raise DataError(
        f"{asked}: needs labels, and {where} has none; add an integer array 'labels', or ask for --min-agreement or --min-sqnr"
    )


def _limits(limits: Limits, subject: Subject) -> Iterator[Check]:
    record = subject.record
    assert record is not None
    accuracy = subject.accuracy
    refuse_missing_labels(limits, accuracy is not None, "the data")
    if limits.min_accuracy is not None and accuracy is not None:
        yield _accuracy(subject, record, accuracy, limits.min_accuracy)
    if limits.max_drop is not None and accuracy is not None:
        yield _drop(subject, record, accuracy, limits.max_drop)
    if limits.min_sqnr is not None:
        for name, output in subject.outputs.items():
            yield _sqnr(subject, record, name, output, limits.min_sqnr)
    if limits.min_agreement is not None:
        deciding = {name: output for name, output in subject.outputs.items() if "argmax_agreement" in output}
        if not deciding:
            raise DataError(
                "--min-agreement: needs an output with more than one class, and there is none; ask for --min-sqnr"
            )
        for name, output in deciding.items():
            yield _agreement(subject, record, name, output["argmax_agreement"], limits.min_agreement)
    if limits.max_overflow is not None:
        yield _overflow(subject, record, limits.max_overflow)


def _accuracy(subject: Subject, record: Mapping[str, Any], accuracy: Mapping[str, float], limit: float) -> Check:
    found = accuracy["fixed"]
    text = f"the accuracy must be at least {limit:.2%}, and is {found:.2%}"
    passed = found >= limit
    return Check(
        subject.name,
        "--min-accuracy",
        "",
        passed,
        text if passed else _missed(text, f"{_points(limit - found)} less", record),
    )


def _drop(subject: Subject, record: Mapping[str, Any], accuracy: Mapping[str, float], limit: float) -> Check:
    drop = _difference(record, accuracy["fp32"], accuracy["fixed"])
    text = f"the accuracy may lie {_points(limit)} below FP32's {accuracy['fp32']:.2%}, and is {accuracy['fixed']:.2%}"
    passed = drop <= limit
    return Check(
        subject.name, "--max-drop", "", passed, text if passed else _missed(text, f"{_points(drop)} below it", record)
    )


def _sqnr(subject: Subject, record: Mapping[str, Any], name: str, output: Mapping[str, Any], limit: float) -> Check:
    ratio = sqnr(output)
    asked = f"the SQNR must be at least {limit:g} dB"
    where = f"output {name!r}"
    if ratio is None:
        return Check(subject.name, "--min-sqnr", where, False, f"{asked}, and FP32 itself is no finite number there")
    if ratio == -math.inf:
        return Check(
            subject.name, "--min-sqnr", where, False, f"{asked}, and FP32 is zero throughout where the output is not"
        )
    passed = ratio >= limit
    text = f"{asked}, and is {_decibels(ratio)}"
    if not passed:
        words = first_below(record, limit)
        text += f", {limit - ratio:.2f} dB less" + (f"; {words}" if words else "")
    return Check(subject.name, "--min-sqnr", where, passed, text)


def _agreement(subject: Subject, record: Mapping[str, Any], name: str, found: float, limit: float) -> Check:
    text = f"the arg-max must be FP32's in at least {limit:.2%}, and is in {found:.2%}"
    passed = found >= limit
    text = text if passed else _missed(text, f"{_points(limit - found)} less", record)
    return Check(subject.name, "--min-agreement", f"output {name!r}", passed, text)


def _overflow(subject: Subject, record: Mapping[str, Any], limit: int) -> Check:
    places = overflows(record)
    count = sum(times for _, times in places)
    text = f"at most {limit:,} values may overflow, and {count:,} do"
    if count <= limit:
        return Check(subject.name, "--max-overflow", "", True, text)
    named = ", ".join(f"{times:,} in {place}" for place, times in places[:NAMED_PLACES])
    more = f" and {len(places) - NAMED_PLACES} more places" if len(places) > NAMED_PLACES else ""
    where = places[0][0] if len(places) == 1 else ""
    return Check(subject.name, "--max-overflow", where, False, f"{text}, {count - limit:,} too many: {named}{more}")


def _against(limits: Limits, subject: Subject, baseline: Baseline) -> Iterator[Check]:
    record = subject.record
    assert record is not None
    entry = baseline.of(subject.id)
    if entry is None:
        yield Check(
            subject.name, "--baseline", "", False, f"{baseline.path} has no result of this configuration; make it anew"
        )
        return
    if entry.reason is not None:
        yield Check(subject.name, "--baseline", "", True, "could not be run there, and can be now")
        return
    allowed = limits.baseline_drop or 0.0
    accuracy = subject.accuracy
    if entry.accuracy is not None:
        if accuracy is None:
            raise DataError(
                f"--baseline {baseline.path}: has an accuracy, and the data has no labels now; add them again"
            )
        yield _not_below(subject, record, "", "accuracy", accuracy["fixed"], entry.accuracy, allowed)
    for name, output in subject.outputs.items():
        before = entry.outputs.get(name)
        where = f"output {name!r}"
        if before is None:
            yield Check(subject.name, "--baseline", where, False, f"{baseline.path} has no such output; make it anew")
            continue
        yield _sqnr_not_below(limits, subject, record, where, output, before)
        if entry.accuracy is None and "argmax_agreement" in output and "argmax_agreement" in before:
            found, wanted = output["argmax_agreement"], before["argmax_agreement"]
            yield _not_below(subject, record, where, "share of FP32's arg-max", found, wanted, allowed)


def _not_below(
    subject: Subject, record: Mapping[str, Any], where: str, what: str, found: float, before: float, allowed: float
) -> Check:
    drop = _difference(record, before, found)
    text = f"the {what} was {before:.2%}, and is {found:.2%}"
    passed = drop <= allowed
    if not passed:
        text = _missed(text, f"{_points(drop)} less, where {_points(allowed)} may be lost", record)
    return Check(subject.name, "--baseline", where, passed, text)


def _sqnr_not_below(
    limits: Limits, subject: Subject, record: Mapping[str, Any], where: str, output: Mapping[str, Any], before: Entry
) -> Check:
    allowed = SQNR_TOLERANCE if limits.baseline_sqnr_drop is None else limits.baseline_sqnr_drop
    found, wanted = sqnr(output), sqnr(before)
    if wanted is None or found is None:
        text = (
            "the SQNR is no number, as it was"
            if wanted == found
            else f"the SQNR was {_or_none(wanted)}, and is {_or_none(found)}"
        )
        return Check(subject.name, "--baseline", where, found == wanted or wanted is None, text)
    drop = 0.0 if found == wanted else wanted - found
    text = f"the SQNR was {_decibels(wanted)}, and is {_decibels(found)}"
    if drop <= allowed:
        return Check(subject.name, "--baseline", where, True, text)
    lost = "" if math.isinf(drop) else f"{drop:.2f} dB less, where {allowed:g} dB may be lost"
    return Check(subject.name, "--baseline", where, False, _missed(text, lost, record) if lost else text)


def sqnr(output: Mapping[str, Any]) -> float | None:
    """SQNR of an output's record: inf where there is no error, -inf where FP32 is zero and the output is not, None for no number."""
    ratio, largest = output["sqnr_db"], output["max_abs_error"]
    if ratio is not None:
        return float(ratio)
    return None if largest is None else math.inf if largest == 0.0 else -math.inf


def _difference(record: Mapping[str, Any], larger: float, smaller: float) -> float:
    """Difference of two shares of the same labels: they are counts, and a difference of floats would miss a limit by its last bit."""
    return round(larger - smaller, 12)


def _missed(text: str, amount: str, record: Mapping[str, Any]) -> str:
    words = steepest_fall(record)
    return f"{text}, {amount}" + (f"; {words}" if words else "")


def _points(share: float) -> str:
    return f"{100 * share:.2f} points"


def _decibels(ratio: float) -> str:
    return "exact" if ratio == math.inf else f"{ratio:.2f} dB"


def _or_none(ratio: float | None) -> str:
    return "no number" if ratio is None else _decibels(ratio)
