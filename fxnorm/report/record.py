"""A run as plain data, with the words that scripts depend on."""

from __future__ import annotations

import math
from typing import Any

from fxnorm.evaluation import Evaluation
from fxnorm.fixed.format import Format
from fxnorm.planning.plan import Plan
from fxnorm.simulation import ValueReport


def run_record(evaluation: Evaluation) -> dict[str, Any]:
    """What `simulate --json` writes. Infinite ratios (no error at all, or no signal) are null: JSON has no infinity."""
    plan = evaluation.plan
    record: dict[str, Any] = {
        "model": {"path": plan.model_path, "sha256": plan.model_sha256},
        "plan": {
            "digest": plan.digest,
            **format_record(Format.parse(plan.format)),
            "normalize": plan.options["normalize"],
        },
        "samples": evaluation.samples,
        "outputs": {name: output_record(evaluation, name) for name in plan.outputs},
    }
    if evaluation.accuracy is not None:
        record["accuracy"] = dict(evaluation.accuracy)
    record["layers"] = layer_records(plan, evaluation.reports)
    record["seconds"] = {name: round(seconds, 6) for name, seconds in evaluation.seconds.items()}
    return record


def format_record(format_: Format) -> dict[str, Any]:
    """Format, W, I and F."""
    return {
        "format": str(format_),
        "width": format_.width,
        "integer_bits": format_.integer_bits,
        "fraction_bits": format_.fraction_bits,
    }


def output_record(evaluation: Evaluation, name: str) -> dict[str, Any]:
    """Error of one model output; empty where there was no reference."""
    error = evaluation.output_error(name)
    if error is None:
        return {}
    record: dict[str, Any] = {
        "sqnr_db": finite(error.sqnr_db),
        "max_abs_error": error.largest,
        "mean_abs_error": error.mean_abs_error,
        "cosine": error.cosine,
    }
    if error.argmax_agreement is not None:
        record["argmax_agreement"] = error.argmax_agreement
    return record


def layer_records(plan: Plan, reports: dict[str, ValueReport] | Any) -> list[dict[str, Any]]:
    """One entry a value of the plan: model inputs first, then layers in order."""
    records = [
        _layer({"name": name, "op": "Input", "kernel": "quantize"}, plan, name, reports[name]) for name in plan.inputs
    ]
    for layer in plan.layers:
        head = {"name": layer.name, "op": layer.op, "kernel": layer.kernel.kind}
        record = _layer(head, plan, layer.output, reports[layer.output])
        accumulator = layer.kernel.accumulator_format()
        if accumulator is not None:
            record["accumulator"] = {
                "format": str(accumulator),
                "proof": layer.kernel.accumulator_proof(),
                "overflow_count": reports[layer.output].usage.accumulator_overflow,
            }
        records.append(record)
    return records


def _layer(head: dict[str, Any], plan: Plan, value: str, report: ValueReport) -> dict[str, Any]:
    encoding = plan.values[value].encoding
    usage = report.usage
    count = max(usage.count, 1)
    step = 2.0**-encoding.format.fraction_bits
    return {
        **head,
        "output": value,
        "format": str(encoding.format),
        "scale": encoding.scale,
        "offset": encoding.offset,
        "sqnr_db": None if report.error is None else finite(report.error.sqnr_db),
        "overflow_count": usage.overflow,
        "overflow_fraction": usage.overflow / count,
        "at_limit_fraction": usage.at_limit / count,
        "min": usage.low * step,
        "max": usage.high * step,
        "bits_used": usage.bits_used(encoding.format.signed),
    }


def finite(number: float) -> float | None:
    """The number, or None where it is infinite."""
    return number if math.isfinite(number) else None
