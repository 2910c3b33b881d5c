"""What the commands do that look into a plan, or into the one that would be made of a model: inspect and export."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

from fxnorm.commands import Inputs, sources
from fxnorm.commands import inspect as inspect_contents
from fxnorm.errors import UsageError
from fxnorm.evaluation import Progress
from fxnorm.planning import storage
from fxnorm.planning.options import Options
from fxnorm.planning.plan import Plan
from fxnorm.planning.settings import PLAN_KEYS, option_name, settings
from fxnorm.report.files import Delivery
from fxnorm.report.output import Output
from fxnorm.report.progress import progress_bars
from fxnorm.study import Study

_SHAPES = ("batch", "dims")


def inspect(
    *, accumulators: bool, json_file: str | None, parallelism: tuple[str, ...], io: str | None, **given: Any
) -> None:
    """`fxnorm inspect`."""
    if accumulators and (parallelism or io is not None):
        raise UsageError("inspect: --parallelism and --io choose what is estimated; --accumulators estimates nothing")
    if accumulators:
        _accumulators(json_file, given)
        return
    inputs, chosen = Inputs.split(given)
    wrong = _chosen(inputs, chosen)
    if wrong:
        raise UsageError(
            f"inspect: {', '.join(wrong)} decides a plan; use --accumulators to see those of the plan that would be made, or leave it out"
        )
    shapes = {name: getattr(inputs, name) for name in _SHAPES}
    inspect_contents(json_file=json_file, parallelism=parallelism, io=io, model=inputs.model, **shapes)


def _accumulators(json_file: str | None, given: Mapping[str, Any]) -> None:
    """`fxnorm inspect --accumulators`."""
    from fxnorm.planning.bounds import bounds
    from fxnorm.report.accumulators import accumulators_record, print_accumulators

    inputs, chosen = Inputs.split(given)
    with Delivery(sources(inputs, chosen)) as delivery, progress_bars() as progress:
        said = Output(json_file, delivery)
        plan, announcement = planned(inputs, chosen, "inspect", progress)
        found = bounds(plan)
        said.write(accumulators_record(plan, found))
        delivery.deliver()
    if announcement:
        said.announce(announcement)
    said.show(lambda: print_accumulators(plan, found, where=inputs.model))


def export(*, exact_onnx: bool, output: str, json_file: str | None, **given: Any) -> None:
    """`fxnorm export`."""
    from fxnorm.exact_onnx.export import exact_model, export_record
    from fxnorm.report.files import writing
    from fxnorm.report.record import plan_head

    if not exact_onnx:
        raise UsageError("export: must be told what to write; give --exact-onnx for an ONNX file of exact arithmetic")
    inputs, chosen = Inputs.split(given)
    with Delivery(sources(inputs, chosen)) as delivery, progress_bars() as progress:
        said = Output(json_file, delivery)
        parcel = delivery.add("--output", output)
        plan, announcement = planned(inputs, chosen, "export", progress)
        content = exact_model(plan).SerializeToString(deterministic=True)
        with writing(parcel.where):
            parcel.content.write_bytes(content)
        record = {
            "model": {"path": plan.model_path, "sha256": plan.model_sha256},
            "plan": plan_head(plan),
            **export_record(content),
        }
        said.write(record)
        delivery.deliver()
    if announcement:
        said.announce(announcement)
    said.show(lambda: _print_export(output, record))


def _print_export(output: str, record: Mapping[str, Any]) -> None:
    from fxnorm.report.columns import console, print_line

    out = console()
    file = record["file"]
    print_line(out, f"{output}: {file['nodes']:,} nodes, {file['bytes']:,} bytes, SHA-256 {file['sha256']}", "bold")
    print_line(out, f"plan {record['plan']['digest']}")
    for kind in ("inputs", "outputs"):
        for port in record[kind]:
            print_line(out, f"{kind[:-1]} {port['name']}: {port['dtype']} {'×'.join(map(str, port['shape']))}")


def planned(inputs: Inputs, chosen: Mapping[str, Any], command: str, progress: Progress | None) -> tuple[Plan, str]:
    """The plan of a folder, or the one that options make of a model; and what has to be said about the data, "" for nothing.

    Raises
    ------
    UsageError
        If options stand beside a PLAN, or those of a MODEL are wrong.
    """
    if storage.is_plan(inputs.model):
        wrong = [
            *_chosen(inputs, chosen),
            *(option_name(name.rstrip("s")) for name in _SHAPES if getattr(inputs, name)),
        ]
        if wrong:
            raise UsageError(
                f"{command}: a PLAN holds every decision, and {', '.join(wrong)} goes with a MODEL; leave it out"
            )
        return storage.load(inputs.model), ""
    inputs.check(command)
    if inputs.data is not None and inputs.calibration_data is not None:
        raise UsageError(
            f"{command}: --data and --calibration-data both name the samples for calibration; give one of them"
        )
    inputs = replace(inputs, data=inputs.data or inputs.calibration_data, calibration_data=None)
    options = Options.make(**settings(chosen))
    graph = inputs.graph()
    source = inputs.open(graph)
    plan = Study(graph, source, keep=False, progress=progress).plan(options)
    return plan, "" if inputs.data is not None else f"no --data: calibrated on {source.description}"


def _chosen(inputs: Inputs, chosen: Mapping[str, Any]) -> list[str]:
    """Options of plans and of data that were given, as the command line has them."""
    own = [field.name for field in fields(Inputs) if field.name not in ("model", *_SHAPES)]
    names = [name for name in own if getattr(inputs, name) is not None]
    return [option_name(name) for name in (*names, *(name for name in (*PLAN_KEYS, "config") if chosen.get(name)))]
