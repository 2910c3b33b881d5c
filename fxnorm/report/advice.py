"""The recommendation as a table and as plain data."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from fxnorm.advice import Advice, LayerAdvice, Trial
from fxnorm.diagnosis import SATURATION_SHARE
from fxnorm.planning.options import NORMALIZATIONS
from fxnorm.report.columns import Column, console, print_line, print_table
from fxnorm.report.record import finite, output_record, plan_head
from fxnorm.report.table import decibels, headline, short_op
from fxnorm.report.text import labels

if TYPE_CHECKING:
    from fxnorm.data import Data


def advice_record(advice: Advice, data: Data) -> dict[str, Any]:
    """What `plan --auto --json` writes."""
    chosen = advice.chosen
    record: dict[str, Any] = {
        "model": {"path": chosen.plan.model_path, "sha256": chosen.plan.model_sha256},
        "data": {"description": data.description, "sha256": data.sha256},
        "plan": plan_head(chosen.plan),
        "samples": chosen.evaluation.samples,
        "recommendation": {"normalize": chosen.normalize, "reason": advice.reason},
        "trials": [_trial_record(trial) for trial in advice.trials],
        "layers": [_layer_record(advice, layer) for layer in advice.layers],
        "seconds": {name: round(seconds, 6) for name, seconds in chosen.evaluation.seconds.items()},
    }
    return record


def _trial_record(trial: Trial) -> dict[str, Any]:
    saturating, empty = _blamed(trial)
    record: dict[str, Any] = {
        "normalize": trial.normalize,
        "digest": trial.plan.digest,
        "sqnr_db": finite(trial.sqnr_db),
        "outputs": {name: output_record(trial.evaluation, name) for name in trial.plan.outputs},
    }
    if trial.evaluation.accuracy is not None:
        record["accuracy"] = dict(trial.evaluation.accuracy)
    return {**record, "saturating_layers": saturating, "empty_layers": empty, "cost": asdict(trial.cost)}


def _layer_record(advice: Advice, layer: LayerAdvice) -> dict[str, Any]:
    errors = {trial.normalize: trial.evaluation.reports[layer.value].error for trial in advice.trials}
    return {
        "name": layer.name,
        "op": layer.op,
        "output": layer.value,
        "normalize": layer.normalize,
        "reason": layer.reason,
        "sqnr_db": {how: None if error is None else finite(error.sqnr_db) for how, error in errors.items()},
        "own_sqnr_db": {how: finite(ratio) for how, ratio in layer.local_db.items()},
        "diagnosis": {
            trial.normalize: [asdict(finding) for finding in trial.findings(layer.value)] for trial in advice.trials
        },
    }


def _blamed(trial: Trial) -> tuple[list[str], list[str]]:
    """Names of the layers that saturate, and of those that leave most of the range empty."""
    names = {name: name for name in trial.plan.inputs} | {layer.output: layer.name for layer in trial.plan.layers}
    saturating, empty = [], []
    for value, name in names.items():
        found = {finding.problem: finding.amount for finding in trial.findings(value)}
        saturating += [name] if found.get("overflow", 0.0) >= SATURATION_SHARE else []
        empty += [name] if "empty range" in found else []
    return saturating, empty


def print_advice(advice: Advice, data: Data, *, where: str, folder: str) -> None:
    """Print the trials, what every layer should get, and the recommendation.

    Parameters
    ----------
    where
        The model, as the user named it.
    folder
        Where the recommended plan was written.
    """
    out = console()
    plan = advice.chosen.plan
    print_line(out, f"{where}: {headline(plan)}", "bold")
    count = advice.chosen.evaluation.samples
    print_line(out, f"data: {data.description}; {count} sample{'s' if count != 1 else ''} compared with FP32")
    out.print()
    print_table(out, _trial_columns(advice))
    out.print()
    names, left_out = labels([layer.name for layer in advice.layers])
    print_table(out, _layer_columns(advice, names))
    if left_out:
        print_line(out, f"names are shown without {left_out}; --json has them in full", "dim")
    out.print()
    print_line(out, f"recommended: {advice.reason}", "bold")
    print_line(out, f"written to {folder}: plan {plan.digest[:16]}")


def _trial_columns(advice: Advice) -> list[Column]:
    trials = advice.trials
    blamed = [_blamed(trial) for trial in trials]
    columns = [
        Column("normalize", [trial.normalize for trial in trials], left=True),
        Column("SQNR dB", [decibels(trial.sqnr_db) for trial in trials]),
    ]
    if advice.chosen.accuracy is not None:
        columns.append(Column("accuracy", [f"{trial.accuracy:.1%}" for trial in trials]))
        fp32 = (advice.chosen.evaluation.accuracy or {}).get("fp32", 0.0)
        columns.append(Column("FP32", [f"{fp32:.1%}" for _ in trials], rank=3))
    return [
        *columns,
        Column("saturating layers", [str(len(saturating)) for saturating, _ in blamed], rank=1),
        Column("mostly empty", [str(len(empty)) for _, empty in blamed], rank=2),
        Column("multipliers", [str(trial.cost.multipliers) for trial in trials]),
        Column("multiplications a sample", [f"{trial.cost.multiplications:,}" for trial in trials], rank=1),
        Column("additions a sample", [f"{trial.cost.additions:,}" for trial in trials], rank=2),
        Column("", ["recommended" if trial is advice.chosen else "" for trial in trials], left=True),
    ]


def _layer_columns(advice: Advice, names: list[str]) -> list[Column]:
    layers = advice.layers
    ratios = [
        Column(f"{how} dB", [decibels(layer.local_db[how]) for layer in layers], rank=1) for how in NORMALIZATIONS
    ]
    return [
        Column("layer", names, left=True, name=True),
        Column("op", [short_op(layer.op) for layer in layers], left=True, name=True),
        *ratios,
        Column("should get", [layer.normalize for layer in layers], left=True),
        Column("because its own output", [layer.reason for layer in layers], left=True, prose=True),
    ]
