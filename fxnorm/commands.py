"""What the commands do, once the command line is read."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fxnorm.errors import PlanError, UsageError
from fxnorm.evaluation import Progress, Stopwatch, calibrate, evaluate
from fxnorm.planning.options import Options
from fxnorm.planning.plan import Plan
from fxnorm.planning.settings import PLAN_KEYS, settings

if TYPE_CHECKING:
    from fxnorm.data import Data
    from fxnorm.graph.graph import Graph

RANDOM_SAMPLES = 16


def simulate(
    *,
    model: str,
    data: str | None,
    calibration_data: str | None,
    samples: int | None,
    seed: int | None,
    batch: int | None,
    dims: tuple[str, ...],
    reference_model: str | None,
    json_file: str | None,
    outputs: str | None,
    trace: str | None,
    **chosen: Any,
) -> None:
    """`fxnorm simulate`."""
    from fxnorm.planning import storage
    from fxnorm.report.archive import Archive, check_target
    from fxnorm.report.record import run_record

    targets = [target for target in (json_file if json_file != "-" else None, outputs, trace) if target is not None]
    for target in targets:
        check_target(target)
    if len({Path(target).resolve() for target in targets}) < len(targets):
        raise UsageError("simulate: --json, --outputs and --trace must name different files")
    stopwatch = Stopwatch()
    quiet = json_file == "-"
    with _progress(quiet) as progress:
        if storage.is_plan(model):
            _refuse_plan_options(chosen, calibration_data)
            made = storage.load(model)
            graph = _reference_graph(made, reference_model, batch, dims, stopwatch)
            source = _data(data, graph, samples, seed)
            if data is not None and source.sha256 != made.data_sha256:
                _note("the plan was calibrated on other data than it is run with now")
        else:
            if reference_model is not None:
                raise UsageError("simulate: --model goes with a PLAN; the model is the argument")
            options = Options.make(**settings(chosen))
            graph, source = _load(model, batch, dims, data, samples, seed, stopwatch)
            made = _plan(graph, source, calibration_data, options, stopwatch, progress)
        with Archive(outputs) as outputs_file, Archive(trace) as trace_file:
            evaluation = evaluate(
                made,
                graph,
                source,
                stopwatch=stopwatch,
                progress=progress,
                watch=_watch(made, outputs_file, trace_file),
            )
            outputs_file.finish()
            trace_file.finish()
    if json_file is not None:
        _write_json(run_record(evaluation), json_file)
    if not quiet:
        from fxnorm.report.table import print_run

        print_run(evaluation, where=model, source=source.description)


def plan(
    *,
    model: str,
    output: str,
    data: str | None,
    calibration_data: str | None,
    samples: int | None,
    seed: int | None,
    batch: int | None,
    dims: tuple[str, ...],
    **chosen: Any,
) -> None:
    """`fxnorm plan`."""
    from fxnorm.planning import storage
    from fxnorm.report.inspection import print_plan

    options = Options.make(**settings(chosen))
    storage.check_folder(output)
    stopwatch = Stopwatch()
    with _progress(False) as progress:
        graph, source = _load(model, batch, dims, data, samples, seed, stopwatch)
        made = _plan(graph, source, calibration_data, options, stopwatch, progress)
    storage.save(made, output)
    print_plan(made, where=output)


def inspect(*, path: str, batch: int | None, dims: tuple[str, ...], json_file: str | None) -> None:
    """`fxnorm inspect`."""
    from fxnorm.planning import storage
    from fxnorm.report import inspection

    if storage.is_plan(path):
        if batch is not None or dims:
            raise UsageError("inspect: --batch and --dim go with a MODEL; a plan's shapes are decided")
        made = storage.load(path)
        if json_file is not None:
            _write_json(inspection.plan_record(made), json_file)
        if json_file != "-":
            inspection.print_plan(made, where=path)
        return
    graph = _import(path, batch, dims)
    if json_file is not None:
        _write_json(inspection.model_record(graph), json_file)
    if json_file != "-":
        inspection.print_model(graph, where=path)


def ops(*, json_file: str | None) -> None:
    """`fxnorm ops`."""
    from fxnorm.report import inspection

    if json_file is not None:
        _write_json(inspection.operator_records(), json_file)
    if json_file != "-":
        inspection.print_operators()


def _load(
    model: str,
    batch: int | None,
    dims: tuple[str, ...],
    data: str | None,
    samples: int | None,
    seed: int | None,
    stopwatch: Stopwatch,
) -> tuple[Graph, Data]:
    with stopwatch.phase("import"):
        graph = _import(model, batch, dims)
    return graph, _data(data, graph, samples, seed)


def _import(model: str, batch: int | None, dims: tuple[str, ...]) -> Graph:
    from fxnorm.graph.onnx_import import load
    from fxnorm.lowering.operators import known

    return load(model, batch=batch, dims=_sizes(dims), known=known)


def _sizes(dims: tuple[str, ...]) -> dict[str, int]:
    sizes = {}
    for text in dims:
        name, equals, size = text.rpartition("=")
        if not equals or not size.isdecimal():
            raise UsageError(f"--dim: must be NAME=SIZE with a positive integer, not {text!r}")
        sizes[name] = int(size)
    return sizes


def _data(path: str | None, graph: Graph, samples: int | None, seed: int | None) -> Data:
    from fxnorm.data import Data

    if path is None:
        source = Data.random(graph, samples or RANDOM_SAMPLES, seed or 0)
        _note(f"no --data: running {source.description}")
        return source
    if samples is not None or seed is not None:
        raise UsageError("--samples and --seed go with random samples; with --data all of its samples are run")
    return Data.open(path, graph)


def _plan(
    graph: Graph,
    source: Data,
    calibration_data: str | None,
    options: Options,
    stopwatch: Stopwatch,
    progress: Progress | None,
) -> Plan:
    from fxnorm.data import Data
    from fxnorm.lowering.lower import lower
    from fxnorm.planning.planner import make_plan

    with stopwatch.phase("plan"):
        lower(graph)  # refuse before anything runs
    with stopwatch.phase("calibrate"):
        calibration = source if calibration_data is None else Data.open(calibration_data, graph)
        ranges = calibrate(graph, calibration, progress)
    with stopwatch.phase("plan"):
        return make_plan(graph, ranges, options)


def _reference_graph(
    made: Plan, model: str | None, batch: int | None, dims: tuple[str, ...], stopwatch: Stopwatch
) -> Graph:
    path = model or made.model_path
    if not path or not Path(path).is_file():
        raise PlanError(f"simulate: the plan's model is not at {path!r}; say where it is with --model FILE")
    with stopwatch.phase("import"):
        graph = _import(path, batch, dims)
    if graph.sha256 != made.model_sha256:
        raise PlanError(
            f"simulate: {path} is not the model that the plan was made from; "
            f"its SHA-256 is {graph.sha256[:16]}…, not {made.model_sha256[:16]}…"
        )
    return graph


def _refuse_plan_options(chosen: Mapping[str, Any], calibration_data: str | None) -> None:
    given = [name for name in PLAN_KEYS if chosen.get(name)]
    given += ["config"] if chosen.get("config") else []
    given += ["calibration_data"] if calibration_data else []
    if given:
        listed = ", ".join("--" + ("layer" if name == "layers" else name.replace("_", "-")) for name in given)
        raise UsageError(
            f"simulate: a PLAN holds every decision; {listed} would change it: run `fxnorm plan` with them instead"
        )


def _watch(made: Plan, outputs: Any, trace: Any) -> Callable[[str, Any], None] | None:
    if not outputs.wanted and not trace.wanted:
        return None
    names: dict[str, list[str]] = {}
    for name, value in made.outputs.items():
        names.setdefault(value, []).append(name)

    def watch(value: str, codes: Any) -> None:
        from fxnorm.simulation import merged

        flat = merged(codes)
        encoding = made.values[value].encoding
        trace.append(value, flat, encoding)
        for name in names.get(value, ()):
            outputs.append(name, flat, encoding)

    return watch


def _write_json(record: Any, path: str) -> None:
    from fxnorm.report.archive import write_text

    text = json.dumps(record, indent=1, ensure_ascii=True, allow_nan=False) + "\n"
    if path == "-":
        sys.stdout.write(text)
    else:
        write_text(path, text)


def _note(text: str) -> None:
    from fxnorm.report.text import printable

    print(printable(text), file=sys.stderr)


@contextmanager
def _progress(quiet: bool) -> Iterator[Progress | None]:
    """Progress bars on a terminal's standard error; None elsewhere."""
    if quiet or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Bars(*columns, console=Console(stderr=True), transient=True) as bars:
        tasks: dict[str, TaskID] = {}

        def progress(phase: str, done: int, total: int) -> None:
            if phase not in tasks:
                tasks[phase] = bars.add_task(phase, total=total)
            bars.update(tasks[phase], completed=done)

        yield progress
