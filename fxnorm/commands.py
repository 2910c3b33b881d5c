"""What the commands do, once the command line is read."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fxnorm.errors import PlanError, UsageError
from fxnorm.evaluation import Progress, Stopwatch, calibrate, evaluate
from fxnorm.planning.options import Options
from fxnorm.planning.plan import Plan
from fxnorm.planning.settings import PLAN_KEYS, option_name, settings

if TYPE_CHECKING:
    import numpy as np

    from fxnorm.data import Data
    from fxnorm.graph.graph import Graph
    from fxnorm.report.archive import Archive

RANDOM_SAMPLES = 16
STANDARD_OUTPUT = "-"
PATIENCE = 0.5
"""Seconds that pass before a bar is worth showing."""


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
    from fxnorm.data import Data
    from fxnorm.planning import storage
    from fxnorm.report.archive import Archive
    from fxnorm.report.files import Delivery
    from fxnorm.report.record import run_record

    from_plan = storage.is_plan(model)
    _refuse_contradictions(
        from_plan, reference_model, data, samples, seed, {**chosen, "calibration_data": calibration_data}
    )
    options = None if from_plan else Options.make(**settings(chosen))
    quiet = json_file == STANDARD_OUTPUT
    sources = [
        path for path in (model, reference_model, data, calibration_data, chosen.get("config")) if path is not None
    ]
    stopwatch = Stopwatch()
    with Delivery(sources) as delivery, _progress() as progress:
        promised = None if json_file is None or quiet else delivery.add("--json", json_file)
        outputs_file = None if outputs is None else Archive(delivery.add("--outputs", outputs))
        trace_file = None if trace is None else Archive(delivery.add("--trace", trace))
        if options is None:
            with stopwatch.phase("plan"):
                made = storage.load(model)
            with stopwatch.phase("import"):
                graph = _model_of(made, reference_model, batch, _sizes(dims))
            source = _data(data, graph, samples, seed)
        else:
            with stopwatch.phase("import"):
                graph = _import(model, batch, _sizes(dims))
            source = _data(data, graph, samples, seed)
            calibration = source if calibration_data is None else Data.open(calibration_data, graph)
            made = _plan(graph, calibration, options, stopwatch, progress)
        if data is None:
            (_note if quiet else _say)(f"no --data: {source.description}")
        if options is None and source.sha256 != made.data_sha256:
            _note(f"note: the plan was calibrated on other data than it is run with, on {made.data}")
        watch = _watch(made, outputs_file, trace_file)
        evaluation = evaluate(made, graph, source, stopwatch=stopwatch, progress=progress, watch=watch)
        record = run_record(evaluation, source)
        record["model"]["path"] = str(graph.path or "")
        for archive in (outputs_file, trace_file):
            if archive is not None:
                archive.finish()
        if promised is not None:
            promised.write(as_json(record))
        delivery.deliver()
    if quiet:
        sys.stdout.write(as_json(record))
    else:
        from fxnorm.report.table import print_run

        print_run(evaluation, source, where=model)


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

    calibration = data if data is not None else calibration_data
    if data is not None and calibration_data is not None:
        raise UsageError("plan: --data and --calibration-data both name the samples for calibration; give one of them")
    if calibration is not None and (samples is not None or seed is not None):
        raise UsageError("plan: --samples and --seed go with random samples, and there are data; leave them out")
    options = Options.make(**settings(chosen))
    storage.check_folder(output)
    stopwatch = Stopwatch()
    with _progress() as progress:
        graph = _import(model, batch, _sizes(dims))
        source = _data(calibration, graph, samples, seed)
        made = _plan(graph, source, options, stopwatch, progress)
    storage.save(made, output)
    if calibration is None:
        _say(f"no --data: calibrated on {source.description}")
    print_plan(made, where=output)


def inspect(*, path: str, batch: int | None, dims: tuple[str, ...], json_file: str | None) -> None:
    """`fxnorm inspect`."""
    from fxnorm.planning import storage
    from fxnorm.report import inspection

    if storage.is_plan(path):
        if batch is not None or dims:
            raise UsageError("inspect: --batch and --dim go with a MODEL; a plan's shapes are decided")
        made = storage.load(path)
        _show(lambda: inspection.plan_record(made), lambda: inspection.print_plan(made, where=path), json_file, path)
    else:
        graph = _import(path, batch, _sizes(dims))
        _show(
            lambda: inspection.model_record(graph), lambda: inspection.print_model(graph, where=path), json_file, path
        )


def ops(*, json_file: str | None) -> None:
    """`fxnorm ops`."""
    from fxnorm.report import inspection

    _show(inspection.operator_records, inspection.print_operators, json_file)


def _show(record: Callable[[], Any], show: Callable[[], None], json_file: str | None, *sources: str) -> None:
    """Write a record as JSON where that is asked for, and print it for people unless the JSON goes to standard output."""
    from fxnorm.report.files import Delivery

    if json_file == STANDARD_OUTPUT:
        sys.stdout.write(as_json(record()))
        return
    if json_file is not None:
        with Delivery(sources) as delivery:
            delivery.add("--json", json_file).write(as_json(record()))
            delivery.deliver()
    show()


def as_json(record: Any) -> str:
    """JSON in ASCII, so that a model's text can do nothing to a terminal."""
    return json.dumps(record, indent=1, ensure_ascii=True, allow_nan=False) + "\n"


def _import(model: str, batch: int | None, dims: Mapping[str, int]) -> Graph:
    from fxnorm.graph.onnx_import import load
    from fxnorm.lowering.operators import known

    return load(model, batch=batch, dims=dims, known=known)


def _sizes(dims: tuple[str, ...]) -> dict[str, int]:
    sizes: dict[str, int] = {}
    for text in dims:
        name, equals, size = text.rpartition("=")
        if not (name and equals and size.isascii() and size.isdecimal()):
            raise UsageError(
                f"--dim: must be NAME=SIZE with a positive integer, not {text!r}; for instance --dim length=16"
            )
        if name in sizes:
            raise UsageError(f"--dim {text!r}: the size of {name!r} is given twice; give it once")
        sizes[name] = int(size)
    return sizes


def _data(path: str | None, graph: Graph, samples: int | None, seed: int | None) -> Data:
    """Samples of a file or a folder, or random ones."""
    from fxnorm.data import Data

    return Data.random(graph, samples or RANDOM_SAMPLES, seed or 0) if path is None else Data.open(path, graph)


def _plan(graph: Graph, source: Data, options: Options, stopwatch: Stopwatch, progress: Progress | None) -> Plan:
    from fxnorm.lowering.lower import lower
    from fxnorm.planning.planner import make_plan

    with stopwatch.phase("plan"):
        lower(graph, fuse_patterns=options.patterns == "fuse")  # refuse before anything runs
    with stopwatch.phase("calibrate"):
        floating = [name for name in graph.inputs if graph.values[name].dtype.kind == "f"]
        functions = options.transformations(floating)
        ranges = calibrate(graph, source, progress, histograms=options.needs_histograms, functions=functions)
    with stopwatch.phase("plan"):
        return make_plan(graph, ranges, options)


def _model_of(made: Plan, model: str | None, batch: int | None, dims: Mapping[str, int]) -> Graph:
    """The model that a plan was made from, in the shapes that it was made for."""
    path = model if model is not None else made.model_path
    if model is None and not _is_file(path):
        raise PlanError(f"simulate: the model of the plan is not at {path!r}; say where it is with --model FILE")
    graph = _import(path, batch, dims)
    if graph.sha256 != made.model_sha256:
        raise PlanError(
            f"simulate: {path} is not the model that the plan was made from: its SHA-256 is {graph.sha256[:16]}…, "
            f"not {made.model_sha256[:16]}…; make a plan for it with `fxnorm plan`"
        )
    wanted = {name: made.values[name].shape for name in made.inputs}
    if batch is None and not dims and _shapes(graph) != wanted:
        graph = _import(path, next(iter(wanted.values()), (1,))[0], dims)
    if _shapes(graph) != wanted:
        raise PlanError(
            f"simulate: the plan was made for inputs of the shapes {_listed(wanted)}, and the model has {_listed(_shapes(graph))} now; "
            "give the --batch and --dim that it was made with"
        )
    return graph


def _is_file(path: str) -> bool:
    try:
        return bool(path) and Path(path).is_file()
    except (OSError, ValueError):  # a plan is somebody else's: its path may be none at all
        return False


def _shapes(graph: Graph) -> dict[str, tuple[int, ...]]:
    return {name: graph.shape(name) for name in graph.inputs}


def _listed(shapes: Mapping[str, tuple[int, ...]]) -> str:
    return ", ".join(f"{name} {list(shape)}" for name, shape in shapes.items())


def _refuse_contradictions(
    from_plan: bool,
    model: str | None,
    data: str | None,
    samples: int | None,
    seed: int | None,
    chosen: Mapping[str, Any],
) -> None:
    given = [name for name in (*PLAN_KEYS, "config", "calibration_data") if chosen.get(name)]
    if from_plan and given:
        raise UsageError(
            f"simulate: a PLAN holds every decision, and {', '.join(map(option_name, given))} would change it; "
            "make another plan with `fxnorm plan`"
        )
    if not from_plan and model is not None:
        raise UsageError("simulate: --model goes with a PLAN; without one the model is the argument")
    if data is not None and (samples is not None or seed is not None):
        raise UsageError(
            "simulate: --samples and --seed go with random samples; with --data all of its samples are run"
        )


def _watch(made: Plan, outputs: Archive | None, trace: Archive | None) -> Callable[[str, np.ndarray], None] | None:
    """What takes every value on its way into the files that are wanted."""
    from fxnorm.simulation import merged

    if outputs is None and trace is None:
        return None
    names: dict[str, list[str]] = {}
    for name, value in made.outputs.items():
        names.setdefault(value, []).append(name)

    def watch(value: str, codes: np.ndarray) -> None:
        encoding = made.values[value].encoding
        if trace is not None:
            trace.append(value, merged(codes), encoding)
        if outputs is not None:
            for name in names.get(value, ()):
                outputs.append(name, merged(codes), encoding)

    return watch


def _say(text: str) -> None:
    from fxnorm.report.text import printable

    print(printable(text), flush=True)


def _note(text: str) -> None:
    from fxnorm.report.text import printable

    print(f"fxnorm: {printable(text)}", file=sys.stderr)


@contextmanager
def _progress() -> Iterator[Progress | None]:
    """Progress bars on standard error where that is a terminal, for runs that take their time; None elsewhere."""
    if sys.stderr is None or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    # Standard output is another file, whatever the terminal shows: it must not be led to the bars' one.
    bars = Bars(*columns, console=Console(stderr=True), transient=True, redirect_stdout=False, redirect_stderr=False)
    tasks: dict[str, TaskID] = {}
    begun = time.monotonic()

    def progress(phase: str, done: int, total: int) -> None:
        if time.monotonic() - begun < PATIENCE:
            return
        if phase not in tasks:
            bars.start()
            tasks[phase] = bars.add_task(phase, total=total)
        bars.update(tasks[phase], completed=done)

    try:
        yield progress
    finally:
        bars.stop()
