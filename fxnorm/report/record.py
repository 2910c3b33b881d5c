"""A run as plain data, with the words that scripts depend on."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

from fxnorm.diagnosis import diagnose
from fxnorm.evaluation import Evaluation
from fxnorm.fixed.format import Format, Overflow, Rounding
from fxnorm.metrics import Error, Usage, ValueReport
from fxnorm.planning.plan import Layer, Plan
from fxnorm.report.hint import hint
from fxnorm.report.proofs import proof_records

if TYPE_CHECKING:
    from fxnorm.data import Data

HISTOGRAM_PARTS: Final = 64
SAFE: Final = "cannot overflow"


def run_record(evaluation: Evaluation, data: Data) -> dict[str, Any]:
    """What `simulate --json` writes. A ratio that is not finite (see `error_record`) is null: JSON has no infinity."""
    plan = evaluation.plan
    record: dict[str, Any] = {
        "model": {"path": plan.model_path, "sha256": plan.model_sha256},
        "data": {"description": data.description, "sha256": data.sha256},
        "plan": plan_head(plan),
        "samples": evaluation.samples,
        "outputs": {name: output_record(evaluation, name) for name in plan.outputs},
    }
    if evaluation.accuracy is not None:
        record["accuracy"] = dict(evaluation.accuracy)
    proofs = proof_records(plan)
    record["layers"] = [{**layer, "proofs": proofs.get(layer["name"], [])} for layer in layer_records(evaluation)]
    record["hint"] = hint(evaluation)
    record["seconds"] = {name: round(seconds, 6) for name, seconds in evaluation.seconds.items()}
    return record


def plan_head(plan: Plan) -> dict[str, Any]:
    """What a plan is, in short: digest, format, normalization, and what it was calibrated on."""
    return {
        "digest": plan.digest,
        **format_record(data_format(plan)),
        "normalize": plan.options["normalize"],
        "calibration": {"description": plan.data, "sha256": plan.data_sha256},
    }


def data_format(plan: Plan) -> Format:
    """Format of data that was asked for, with the modes that were."""
    rounding, overflow = plan.options["rounding"], plan.options["overflow"]
    return Format.parse(
        plan.format,
        rounding=None if rounding is None else Rounding(rounding),
        overflow=None if overflow is None else Overflow(overflow),
    )


def format_record(format_: Format) -> dict[str, Any]:
    """Format, W, I and F."""
    return {
        "format": str(format_),
        "width": format_.width,
        "integer_bits": format_.integer_bits,
        "fraction_bits": format_.fraction_bits,
    }


def output_record(evaluation: Evaluation, name: str) -> dict[str, Any]:
    """Error of one model output."""
    error = evaluation.output_error(name)
    record = error_record(error)
    record["mean_abs_error"] = finite(error.mean_abs_error)
    record["cosine"] = finite(error.cosine)
    # A scalar a sample has no last axis of its own.
    if error.argmax_agreement is not None and evaluation.plan.values[evaluation.plan.outputs[name]].shape:
        record["argmax_agreement"] = error.argmax_agreement
    record["codes_sha256"] = evaluation.outputs.of(name)
    return record


def error_record(error: Error | None) -> dict[str, Any]:
    """SQNR and largest error of a value; both are null where there was nothing to compare with, or FP32 itself is not finite.

    The SQNR alone is null where it is infinite: without any error (the largest error is 0), or where the reference is all zeros and
    the value is not (the largest error is above 0).
    """
    if error is None:
        return {"sqnr_db": None, "max_abs_error": None}
    return {"sqnr_db": finite(error.sqnr_db), "max_abs_error": finite(error.largest)}


def layer_records(evaluation: Evaluation) -> list[dict[str, Any]]:
    """One entry a value of the plan: model inputs first, then layers in order."""
    plan, reports = evaluation.plan, evaluation.reports
    records = []
    for name in plan.inputs:
        head = {"name": name, **input_head(plan, name), **value_record(plan, name)}
        records.append({**head, **_counts(plan, name, reports[name])})
    for layer in plan.layers:
        report = reports[layer.output]
        record = {**layer_head(plan, layer), **_counts(plan, layer.output, report)}
        accumulator = accumulator_record(layer)
        if accumulator is not None:
            usage = report.usage
            record["accumulator"] = {
                **accumulator,
                "overflow_count": usage.accumulator_overflow,
                "overflow_fraction": usage.accumulator_overflow / max(usage.additions, 1),
            }
        stages = stage_records(layer)
        for name, stage in stages.items():
            stage["overflow_count"] = report.usage.stages.get(name, 0)
        if "variance" in stages:
            stages["variance"]["negative_count"] = report.usage.stages.get("negative variance", 0)
        record.update({"stages": stages} if stages else {})
        records.append(record)
    return records


def input_head(plan: Plan, name: str) -> dict[str, Any]:
    """What makes an input's codes: rounding, or a nonlinear normalization."""
    if name not in plan.transforms:
        return {"op": "Input", "kernel": "quantize"}
    kernel = plan.transforms[name]
    return {"op": f"Input {kernel.function}", "kernel": kernel.kind, "transform": kernel.function}


def layer_head(plan: Plan, layer: Layer) -> dict[str, Any]:
    """What a layer is and how its output is held."""
    return {"name": layer.name, "op": layer.op, "kernel": layer.kernel.kind, **value_record(plan, layer.output)}


def value_record(plan: Plan, name: str) -> dict[str, Any]:
    """How one value is held: real = scale · fixed + offset."""
    value = plan.values[name]
    return {
        "output": name,
        "shape": list(value.shape),
        "format": str(value.encoding.format),
        "scale": _double(lambda: value.encoding.scale),
        "offset": _double(lambda: value.encoding.offset),
    }


def accumulator_record(layer: Layer) -> dict[str, Any] | None:
    """Accumulator of a layer, where it has one; its modes are spelled out where they can matter."""
    format_, proof = layer.kernel.accumulator_format(), layer.kernel.accumulator_proof()
    if format_ is None:
        return None
    return {"format": str(format_.with_modes(Rounding.RND, Overflow.SAT) if proof == SAFE else format_), "proof": proof}


def stage_records(layer: Layer) -> dict[str, dict[str, Any]]:
    """Stages of a layer before its last one, where they have formats of their own."""
    return {name: {"format": str(format_)} for name, format_ in layer.kernel.inner_formats().items()}


def _counts(plan: Plan, value: str, report: ValueReport) -> dict[str, Any]:
    format_ = plan.values[value].encoding.format
    usage = report.usage
    count = max(usage.count, 1)
    return {
        **error_record(report.error),
        "overflow_count": usage.overflow,
        "overflow_fraction": usage.overflow / count,
        "at_limit_fraction": usage.at_limit / count,
        "at_low_fraction": usage.at_low / count,
        "at_high_fraction": usage.at_high / count,
        "min": _double(lambda: math.ldexp(usage.low, -format_.fraction_bits)),
        "max": _double(lambda: math.ldexp(usage.high, -format_.fraction_bits)),
        "bits_used": usage.bits_used(format_.signed),
        "histogram": histogram(usage),
        "diagnosis": [asdict(finding) for finding in diagnose(report, format_, plan.values[value].encoding.zero)],
    }


def histogram(usage: Usage) -> list[int]:
    """How many codes lie in each of 64 equal parts of the format's range, the lowest first; one count a code where there are fewer."""
    parts = min(HISTOGRAM_PARTS, max(len(usage.histogram), 1))
    return [int(part) for part in usage.histogram.reshape(parts, -1).sum(axis=1)]


def _double(compute: Callable[[], float]) -> float | None:
    """A number, or None where a double cannot hold it: a format may have its point thousands of bits away."""
    try:
        return finite(compute())
    except OverflowError:
        return None


def finite(number: float) -> float | None:
    """The number, or None where it is infinite or NaN."""
    return number if math.isfinite(number) else None
