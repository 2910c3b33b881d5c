"""A run as a table that a person can read."""

from __future__ import annotations

import math
import sys
from typing import TYPE_CHECKING, Any

from fxnorm.evaluation import Evaluation
from fxnorm.fixed.format import Format
from fxnorm.planning.plan import Plan
from fxnorm.report.record import layer_records
from fxnorm.report.text import printable

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

NAME_WIDTH = 36
PIPE_WIDTH = 140


def console() -> Console:
    """Standard output; a pipe is as wide as the tables need."""
    from rich.console import Console

    return Console(
        file=sys.stdout, width=None if sys.stdout.isatty() else PIPE_WIDTH, highlight=False, markup=False, emoji=False
    )


def print_run(evaluation: Evaluation, *, where: str, source: str) -> None:
    """Print plan, layers, outputs and accuracy of a run.

    Parameters
    ----------
    where
        The model, as the user named it.
    source
        What the samples are.
    """
    out = console()
    plan = evaluation.plan
    out.print(printable(f"{where}: {headline(plan)}"), soft_wrap=True)
    out.print(printable(f"data: {source}; calibrated on {plan.data}"), soft_wrap=True)
    out.print(f"plan: {plan.digest[:16]}", soft_wrap=True)
    out.print(layer_table(evaluation))
    out.print(output_table(evaluation))
    if evaluation.accuracy is not None:
        words = {"fp32": "FP32", "fixed": "fixed point"}
        text = ", ".join(f"{words[who]} {share:.1%}" for who, share in evaluation.accuracy.items())
        out.print(f"accuracy on {evaluation.samples} labelled samples: {text}")
    out.print("time: " + ", ".join(f"{name} {seconds:.2f} s" for name, seconds in evaluation.seconds.items()))


def headline(plan: Plan) -> str:
    """Format and normalization of a plan in a few words, W, I and F once."""
    format_ = Format.parse(plan.format, rounding=_mode(plan, "rounding"), overflow=_mode(plan, "overflow"))
    return f"{format_} ({format_.describe()}, {format_.rounding}, {format_.overflow}), normalize {plan.options['normalize']}"


def _mode(plan: Plan, name: str) -> Any:
    from fxnorm.fixed.format import Overflow, Rounding

    text = plan.options[name]
    return None if text is None else (Rounding if name == "rounding" else Overflow)(text)


def layer_table(evaluation: Evaluation) -> Table:
    """One row a value of the plan."""
    from rich.table import Table

    table = Table(title="layers", title_justify="left")
    for heading in ("layer", "op", "kernel", "format"):
        table.add_column(heading, overflow="fold")
    for heading in ("scale", "SQNR dB", "overflow", "at limit", "min", "max", "bits", "accumulator"):
        table.add_column(heading, justify="right", no_wrap=True)
    for record in layer_records(evaluation.plan, evaluation.reports):
        accumulator = record.get("accumulator")
        table.add_row(
            short(record["name"]),
            printable(record["op"]),
            record["kernel"],
            record["format"],
            power(record["scale"]),
            decibels(record["sqnr_db"], evaluation, record["output"]),
            count(record["overflow_count"], record["overflow_fraction"]),
            f"{record['at_limit_fraction']:.2%}",
            f"{record['min']:g}",
            f"{record['max']:g}",
            str(record["bits_used"]),
            "" if accumulator is None else accumulator_text(accumulator),
        )
    return table


def output_table(evaluation: Evaluation) -> Table:
    """One row an output of the model."""
    from rich.table import Table

    table = Table(title="outputs against FP32", title_justify="left")
    table.add_column("output")
    for heading in ("SQNR dB", "max error", "mean error", "cosine", "arg-max agrees"):
        table.add_column(heading, justify="right", no_wrap=True)
    for name in evaluation.plan.outputs:
        error = evaluation.output_error(name)
        if error is None:
            table.add_row(short(name), "no reference", "", "", "", "")
            continue
        agreement = error.argmax_agreement
        table.add_row(
            short(name),
            _decibels(error.sqnr_db),
            f"{error.largest:.4g}",
            f"{error.mean_abs_error:.4g}",
            f"{error.cosine:.5f}",
            "" if agreement is None else f"{agreement:.1%}",
        )
    return table


def accumulator_text(accumulator: dict[str, Any]) -> str:
    """Format, and what came of it."""
    overflowed = accumulator["overflow_count"]
    return f"{accumulator['format'].split(':')[0]}" + (f" ({overflowed} overflows)" if overflowed else "")


def decibels(number: float | None, evaluation: Evaluation, value: str) -> str:
    """SQNR of a value; empty where there was nothing to compare it with."""
    error = evaluation.reports[value].error
    if error is None:
        return ""
    return _decibels(error.sqnr_db) if number is None else f"{number:.1f}"


def _decibels(number: float) -> str:
    if math.isinf(number):
        return "exact" if number > 0 else "-inf"
    return f"{number:.1f}"


def power(scale: float) -> str:
    """A power of two as such."""
    exponent = math.log2(scale) if scale > 0.0 else math.nan
    return f"2^{int(exponent)}" if exponent.is_integer() else f"{scale:g}"


def count(number: int, share: float) -> str:
    """How often, with the share where there is one."""
    return "0" if number == 0 else f"{number} ({share:.2%})"


def short(name: str) -> str:
    """Last characters of a long name; they are what tells names apart."""
    clean = printable(name)
    return clean if len(clean) <= NAME_WIDTH else "…" + clean[1 - NAME_WIDTH :]
