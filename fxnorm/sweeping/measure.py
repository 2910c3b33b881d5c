"""One configuration, measured: what becomes a row."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Final

from fxnorm.cost.summary import summary
from fxnorm.errors import DataError, FxnormError, UnsupportedError
from fxnorm.evaluation import Evaluation, Stopwatch
from fxnorm.planning.plan import Plan
from fxnorm.report.record import finite, run_record
from fxnorm.study import Study
from fxnorm.sweeping.configuration import Configuration

DONE: Final = "done"
REFUSED: Final = "refused"
LIBRARIES: Final = ("fxnorm", "numpy", "onnxruntime")


@dataclass(frozen=True)
class Outcome:
    """What a configuration gave; all of it is plain data, so that it can come from another machine.

    Attributes
    ----------
    status, reason
        "done", or "refused" and why.
    metrics
        Columns of the row, see `fxnorm.sweeping.store`; empty for a refusal.
    record
        What `simulate --json` writes, without its seconds.
    cost
        What the plan costs in hardware, see `fxnorm.cost.summary`; None for a refusal, and where it cannot be told.
    seconds
        By phase.
    versions
        Of what computed it.
    """

    status: str
    reason: str | None
    metrics: Mapping[str, Any]
    record: Mapping[str, Any] | None
    cost: Mapping[str, float] | None
    seconds: Mapping[str, float]
    versions: Mapping[str, str]


def measure(
    study: Study, configuration: Configuration, *, workers: int = 1, checkpoint: Callable[[], None] | None = None
) -> Outcome:
    """Plan and run one configuration.

    Parameters
    ----------
    workers
        Threads for its samples.
    checkpoint
        Called after every chunk of samples; what it raises ends the work.

    Raises
    ------
    DataError
        If the samples are wrong for every configuration.
    """
    begun = time.perf_counter()
    if configuration.reason is not None:
        return _refusal(configuration.reason, begun)
    stopwatch = Stopwatch()
    options = configuration.made()
    try:
        with stopwatch.phase("plan"):
            plan = study.plan(options)
        evaluation = study.evaluate(
            plan,
            stopwatch=stopwatch,
            progress=None if checkpoint is None else lambda phase, done, total: checkpoint(),
            workers=workers,
        )
    except DataError as error:
        if options.input_transform is None:
            raise
        return _refusal(str(error), begun)
    except FxnormError as error:
        return _refusal(str(error), begun)
    seconds = {name: stopwatch.seconds[name] for name in ("plan", "reference", "simulate")}
    return outcome(study, evaluation, {**seconds, "total": time.perf_counter() - begun})


def outcome(study: Study, evaluation: Evaluation, seconds: Mapping[str, float]) -> Outcome:
    """What a run's row holds; `Study.combined` makes the evaluation where parts of it were computed elsewhere."""
    record = run_record(evaluation, study.data)
    record["model"]["path"] = str(study.graph.path or "")
    del record["seconds"]
    return Outcome(
        status=DONE,
        reason=None,
        metrics=metrics(evaluation, record),
        record=record,
        cost=_cost(evaluation.plan),
        seconds=_rounded(seconds),
        versions=versions(),
    )


def _cost(plan: Plan) -> dict[str, float] | None:
    """What a plan costs; integers that are too wide for hardware have no cost, but can be simulated."""
    try:
        return summary(plan)
    except UnsupportedError:
        return None


def metrics(evaluation: Evaluation, record: Mapping[str, Any]) -> dict[str, Any]:
    """Numbers of a run that tables and gates are about, by the names of the row's columns."""
    errors = [evaluation.output_error(name) for name in evaluation.plan.outputs]
    agreements = [output["argmax_agreement"] for output in record["outputs"].values() if "argmax_agreement" in output]
    accuracy = evaluation.accuracy or {}
    counts, fractions = overflows(record)
    return {
        "plan_digest": evaluation.plan.digest,
        "outputs_digest": evaluation.outputs.whole,
        "samples": evaluation.samples,
        "accuracy_fp32": accuracy.get("fp32"),
        "accuracy": accuracy.get("fixed"),
        "sqnr_db": finite(min(error.sqnr_db for error in errors)),
        "max_abs_error": finite(max(error.largest for error in errors)),
        "agreement": min(agreements, default=None),
        "overflow_count": counts,
        "overflow_fraction": fractions,
    }


def overflows(record: Mapping[str, Any]) -> tuple[int, float]:
    """Overflows of all layers together, and the largest share of one layer's values or additions."""
    counts, fractions = [0], [0.0]
    for layer in record["layers"]:
        counts.append(layer["overflow_count"])
        fractions.append(layer["overflow_fraction"])
        accumulator = layer.get("accumulator")
        if accumulator is not None:
            counts.append(accumulator["overflow_count"])
            fractions.append(accumulator["overflow_fraction"])
        counts += [stage["overflow_count"] for stage in layer.get("stages", {}).values()]
    return sum(counts), max(fractions)


@cache
def versions() -> dict[str, str]:
    """Versions of what computes."""
    found = {"python": platform.python_version()}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "unknown"
    return found


def _refusal(reason: str, begun: float) -> Outcome:
    seconds = _rounded({"plan": 0.0, "reference": 0.0, "simulate": 0.0, "total": time.perf_counter() - begun})
    return Outcome(REFUSED, reason, {}, None, None, seconds, versions())


def _rounded(seconds: Mapping[str, float]) -> dict[str, float]:
    return {name: round(value, 6) for name, value in seconds.items()}
