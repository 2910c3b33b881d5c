"""A run as a table that a person can read."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from fxnorm.evaluation import CALIBRATION_SAMPLES, Evaluation
from fxnorm.planning.plan import Plan
from fxnorm.report.columns import Column, console, print_line, print_table
from fxnorm.report.hint import hint
from fxnorm.report.record import data_format, layer_records, output_record
from fxnorm.report.text import labels

if TYPE_CHECKING:
    from fxnorm.data import Data

UNKNOWN = "?"
SHORT_WORDS = (("Normalization", "Norm"), ("Average", "Avg"))


def print_run(evaluation: Evaluation, data: Data, *, where: str) -> None:
    """Print plan, layers, outputs and accuracy of a run.

    Parameters
    ----------
    data
        What was run.
    where
        The model or the plan, as the user named it.
    """
    out = console()
    plan = evaluation.plan
    calibration = plan.data
    if data.sha256 == plan.data_sha256:
        some = evaluation.samples > CALIBRATION_SAMPLES
        calibration = f"its first {CALIBRATION_SAMPLES} samples" if some else "the same"
    print_line(out, f"{where}: {headline(plan)}", "bold")
    print_line(out, f"data: {data.description}; calibrated on {calibration}")
    print_line(out, f"plan: {plan.digest[:16]}")
    out.print()
    names, left_out = labels([layer.name for layer in plan.layers])
    print_table(out, layer_columns(evaluation, [*plan.inputs, *names]))
    if left_out:
        print_line(out, f"names are shown without {left_out}; --json has them in full", "dim")
    out.print()
    print_table(out, output_columns(evaluation))
    out.print()
    count = evaluation.samples
    print_line(out, f"compared with FP32 on {count} sample{'s' if count != 1 else ''}")
    if evaluation.accuracy is not None:
        words = {"fp32": "FP32", "fixed": "fixed point"}
        text = ", ".join(f"{words[who]} {share:.1%}" for who, share in evaluation.accuracy.items())
        print_line(out, f"accuracy on {count} labelled samples: {text}", "bold")
    advice = hint(evaluation)
    if advice is not None:
        print_line(out, f"hint: {advice}; `fxnorm plan --auto` measures what normalization gains")
    print_line(out, "time: " + ", ".join(f"{name} {seconds:.2f} s" for name, seconds in evaluation.seconds.items()))


def headline(plan: Plan) -> str:
    """Format and normalization of a plan in a few words, W, I and F once."""
    format_ = data_format(plan)
    modes = f"rounding {format_.rounding}, overflow {format_.overflow}"
    return f"{format_} ({format_.describe()}; {modes}), normalize {plan.options['normalize']}"


def layer_columns(evaluation: Evaluation, names: Sequence[str]) -> list[Column]:
    """One row a value of the plan, under these names."""
    plan = evaluation.plan
    records = layer_records(evaluation)
    widths = [plan.values[record["output"]].encoding.format.width for record in records]
    columns = [
        Column("layer", names, left=True, name=True),
        Column("op", [short_op(record["op"]) for record in records], left=True, name=True),
        Column("SQNR dB", [_layer_sqnr(evaluation, record["output"]) for record in records]),
        Column(
            "overflow",
            [count(record["overflow_count"], record["overflow_fraction"]) for record in records],
            alert=frozenset(row for row, record in enumerate(records) if record["overflow_count"]),
        ),
        Column("at limit", [percent(record["at_limit_fraction"]) for record in records], rank=6),
        Column("min", [number(record["min"]) for record in records], rank=7),
        Column("max", [number(record["max"]) for record in records], rank=7),
        Column(
            "bits", [f"{record['bits_used']}/{width}" for record, width in zip(records, widths, strict=True)], rank=4
        ),
        Column("scale", [power(record["scale"]) for record in records], rank=1),
    ]
    if any(record["offset"] for record in records):
        columns.append(Column("offset", [number(record["offset"]) for record in records], rank=2))
    common = str(data_format(plan))
    if any(record["format"] != common for record in records):
        columns.append(Column("format", [record["format"] for record in records], rank=8, left=True))
    accumulators = [record.get("accumulator") for record in records]
    if any(accumulators):
        cells = ["" if entry is None else accumulator_text(entry) for entry in accumulators]
        alert = frozenset(
            row for row, entry in enumerate(accumulators) if entry is not None and entry["overflow_count"]
        )
        columns.append(Column("accumulator", cells, rank=2 if alert else 9, left=True, alert=alert))
    stages = [stages_text(record.get("stages", {})) for record in records]
    if any(stages):
        alert = frozenset(row for row, text in enumerate(stages) if text)
        columns.append(Column("lost in stages", stages, rank=3, left=True, alert=alert))
    # Overflow has a column of its own.
    findings = [
        "; ".join(finding["text"] for finding in record["diagnosis"] if finding["problem"] != "overflow")
        for record in records
    ]
    if any(findings):
        columns.append(Column("diagnosis", findings, rank=5, left=True, prose=True))
    return columns


def output_columns(evaluation: Evaluation) -> list[Column]:
    """One row an output of the model."""
    names = list(evaluation.plan.outputs)
    errors = [evaluation.output_error(name) for name in names]
    columns = [
        Column("output", names, left=True, name=True),
        Column("SQNR dB", [decibels(error.sqnr_db) for error in errors]),
        Column("max error", [f"{error.largest:.4g}" for error in errors]),
        Column("mean error", [f"{error.mean_abs_error:.4g}" for error in errors]),
        Column("cosine", [f"{error.cosine:.5f}" for error in errors]),
    ]
    agreements = [output_record(evaluation, name).get("argmax_agreement") for name in names]
    if any(agreement is not None for agreement in agreements):
        cells = ["" if agreement is None else f"{agreement:.1%}" for agreement in agreements]
        columns.append(Column("arg-max agrees", cells))
    return columns


def short_op(op: str) -> str:
    """Operators of a layer, in the words that people have for them."""
    for long, short in SHORT_WORDS:
        op = op.replace(long, short)
    return op


def accumulator_text(accumulator: dict[str, Any]) -> str:
    """Format, and what came of it."""
    overflowed = accumulator["overflow_count"]
    return f"{accumulator['format'].split(':')[0]}" + (f", {overflowed} overflows" if overflowed else "")


def stages_text(stages: dict[str, dict[str, Any]]) -> str:
    """What stages before the last one could not hold, and variances below zero; empty where there was nothing."""
    counts = {name: stage["overflow_count"] for name, stage in stages.items()}
    counts["variance < 0"] = stages.get("variance", {}).get("negative_count", 0)
    return ", ".join(f"{name} {count}" for name, count in counts.items() if count)


def _layer_sqnr(evaluation: Evaluation, value: str) -> str:
    error = evaluation.reports[value].error
    return "" if error is None else decibels(error.sqnr_db)


def decibels(ratio: float) -> str:
    """A ratio in dB; one that no error makes infinite is "exact"."""
    return "exact" if ratio == math.inf else f"{round(ratio, 1) + 0.0:.1f}"  # no -0.0


def power(scale: float | None) -> str:
    """A power of two as such."""
    if scale is None:
        return UNKNOWN
    if scale == 1.0:
        return "1"
    exponent = math.log2(scale) if scale > 0.0 else math.nan
    return f"2^{int(exponent)}" if exponent.is_integer() else f"{scale:g}"


def number(value: float | None) -> str:
    """A number in five figures."""
    if value is None:
        return UNKNOWN
    return f"{value:.5g}"


def count(times: int, share: float) -> str:
    """How often, with the share where there is one."""
    return "0" if times == 0 else f"{times:,} ({percent(share)})"


def percent(share: float) -> str:
    """A share; one that is not zero never looks so."""
    if share == 0.0:
        return "0"
    return "<0.01%" if share < 0.00005 else f"{share:.2%}"
