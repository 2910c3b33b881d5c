"""What the commands do, once the command line is read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from fxnorm.errors import PlanError, UnsupportedError, UsageError
from fxnorm.evaluation import Stopwatch
from fxnorm.gate.gate import Gate
from fxnorm.gate.subject import Subject
from fxnorm.planning import storage
from fxnorm.planning.options import Options
from fxnorm.planning.plan import Plan
from fxnorm.planning.settings import PLAN_KEYS, option_name, settings
from fxnorm.report.files import Delivery
from fxnorm.report.output import Output, note
from fxnorm.report.progress import progress_bars
from fxnorm.study import Study
from fxnorm.sweeping.configuration import identity

if TYPE_CHECKING:
    from fxnorm.data import Data
    from fxnorm.graph.graph import Graph

RANDOM_SAMPLES: Final = 16


@dataclass(frozen=True)
class Inputs:
    """Model and data, as the command line names them.

    Attributes
    ----------
    model
        File of the model, or folder of the plan.
    data, calibration_data
        Files or folders of samples.
    samples, seed
        Of random samples.
    batch, dims
        Sizes of free dimensions.
    """

    model: str
    data: str | None = None
    calibration_data: str | None = None
    samples: int | None = None
    seed: int | None = None
    batch: int | None = None
    dims: tuple[str, ...] = ()

    @classmethod
    def split(cls, given: Mapping[str, Any]) -> tuple[Inputs, dict[str, Any]]:
        """Model and data among the options of a command, and the other ones."""
        own = {field.name for field in fields(cls)}
        return (
            cls(**{name: value for name, value in given.items() if name in own}),
            {name: value for name, value in given.items() if name not in own},
        )

    def graph(self, path: str | None = None, batch: int | None = None) -> Graph:
        """Import the model, or the one at another path."""
        from fxnorm.graph.onnx_import import load
        from fxnorm.lowering.operators import known

        return load(path or self.model, batch=batch or self.batch, dims=_sizes(self.dims), known=known)

    def open(self, graph: Graph) -> Data:
        """Samples of a file or a folder, or random ones."""
        from fxnorm.data import Data

        if self.data is not None:
            return Data.open(self.data, graph)
        return self.random(graph, self.samples or RANDOM_SAMPLES)

    def random(self, graph: Graph, count: int) -> Data:
        """So many random samples."""
        from fxnorm.data import Data

        return Data.random(graph, count, self.seed or 0)

    def open_calibration(self, graph: Graph, source: Data) -> Data:
        """Samples for calibration: those that are run, unless others are named."""
        from fxnorm.data import Data

        return source if self.calibration_data is None else Data.open(self.calibration_data, graph)

    def words(self) -> tuple[str, ...]:
        """Model and data as words of a command line."""
        model = f"./{self.model}" if self.model.startswith("-") else self.model
        named = {
            "--batch": self.batch,
            "--data": self.data,
            "--calibration-data": self.calibration_data,
            "--samples": self.samples,
            "--seed": self.seed,
        }
        words = [model, *(word for size in self.dims for word in ("--dim", size))]
        return (*words, *(str(word) for pair in named.items() if pair[1] is not None for word in pair))

    def check(self, command: str) -> None:
        """Refuse options of random samples where there are samples."""
        if self.data is not None and (self.samples is not None or self.seed is not None):
            raise UsageError(
                f"{command}: --samples and --seed go with random samples; with --data all of its samples are taken"
            )


def simulate(
    *,
    reference_model: str | None,
    json_file: str | None,
    outputs: str | None,
    trace: str | None,
    attribution: bool,
    **given: Any,
) -> None:
    """`fxnorm simulate`."""
    from fxnorm.report.archive import Archive, collector
    from fxnorm.report.layer_attribution import add_attributions, attribute_data, check_attributable, print_attributions
    from fxnorm.report.record import run_record
    from fxnorm.report.table import print_run

    gate, given = Gate.split(given)
    inputs, chosen = Inputs.split(given)
    inputs.check("simulate")
    from_plan = storage.is_plan(inputs.model)
    _refuse_contradictions(from_plan, reference_model, {**chosen, "calibration_data": inputs.calibration_data})
    options = None if from_plan else Options.make(**settings(chosen))
    stopwatch = Stopwatch()
    with Delivery([*sources(inputs, chosen, reference_model), *gate.sources]) as delivery, progress_bars() as progress:
        output = Output(json_file, delivery)
        gate.promise(delivery)
        outputs_file = None if outputs is None else Archive(delivery.add("--outputs", outputs))
        trace_file = None if trace is None else Archive(delivery.add("--trace", trace))
        if options is None:
            with stopwatch.phase("plan"):
                made = storage.load(inputs.model)
            with stopwatch.phase("import"):
                graph = _model_of(made, inputs, reference_model)
            source = inputs.open(graph)
            gate.prepare(graph.sha256, source)
            study = Study(graph, source, keep=False)
        else:
            with stopwatch.phase("import"):
                graph = inputs.graph()
            source = inputs.open(graph)
            gate.prepare(graph.sha256, source)
            calibration = inputs.open_calibration(graph, source)
            study = Study(graph, source, calibration=calibration, keep=False, stopwatch=stopwatch, progress=progress)
            made = study.plan(options)
        if attribution:
            check_attributable(made)
        if inputs.data is None:
            output.announce(f"no --data: {source.description}")
        if options is None and source.sha256 != made.data_sha256:
            note(f"note: the plan was calibrated on other data than it is run with, on {made.data}")
        watch = collector(made, outputs_file, trace_file)
        evaluation = study.evaluate(made, stopwatch=stopwatch, progress=progress, watch=watch)
        attributions = attribute_data(graph, made, source) if attribution else None
        record = run_record(evaluation, source)
        add_attributions(record, attributions)
        record["model"]["path"] = str(graph.path or "")
        for archive in (outputs_file, trace_file):
            if archive is not None:
                archive.finish()
        gate.judge([_subject(record, made)], record)
        output.write(record)
        delivery.deliver()

    def show() -> None:
        print_run(evaluation, source, where=inputs.model)
        print_attributions(attributions)

    output.show(show)
    gate.tell(quiet=output.direct)


def _subject(record: Mapping[str, Any], made: Plan) -> Subject:
    """A run as a gate judges it."""
    name = f"{record['plan']['format']} {record['plan']['normalize']}"
    return Subject(name, record, id=identity(made.options), seconds=sum(record["seconds"].values()))


def plan(*, output: str, auto: bool, json_file: str | None, **given: Any) -> None:
    """`fxnorm plan`."""
    from fxnorm.report.inspection import plan_record, print_plan

    inputs, chosen = Inputs.split(given)
    inputs.check("plan")
    if auto:
        _advise(inputs, chosen, output, json_file)
        return
    if inputs.data is not None and inputs.calibration_data is not None:
        raise UsageError("plan: --data and --calibration-data both name the samples for calibration; give one of them")
    inputs = replace(inputs, data=inputs.data or inputs.calibration_data, calibration_data=None)
    inputs.check("plan")
    options = Options.make(**settings(chosen))
    storage.check_folder(output)
    with Delivery(sources(inputs, chosen)) as delivery, progress_bars() as progress:
        said = Output(json_file, delivery)
        graph = inputs.graph()
        source = inputs.open(graph)
        made = Study(graph, source, keep=False, progress=progress).plan(options)
        said.write(plan_record(made))
        storage.save(made, output)
        delivery.deliver()
    if inputs.data is None:
        said.announce(f"no --data: calibrated on {source.description}")
    said.show(lambda: print_plan(made, where=output))


def _advise(inputs: Inputs, chosen: Mapping[str, Any], output: str, json_file: str | None) -> None:
    """`fxnorm plan --auto`."""
    from fxnorm.advice import advise
    from fxnorm.report.advice import advice_record, print_advice

    found = settings(chosen)
    if found.get("normalize") is not None:
        raise UsageError("plan: --auto finds the normalization; leave --normalize out, or leave --auto out")
    # The trials overrule it; with this one every option goes that goes with one of them.
    options = Options.make(**{**found, "normalize": "affine"})
    storage.check_folder(output)
    stopwatch = Stopwatch()
    with Delivery(sources(inputs, chosen)) as delivery, progress_bars() as progress:
        said = Output(json_file, delivery)
        graph = inputs.graph()
        source = inputs.open(graph)
        calibration = inputs.open_calibration(graph, source)
        study = Study(
            graph, source, calibration=calibration, histograms=True, stopwatch=stopwatch, progress=progress, keep=False
        )
        ranges = study.ranges(options)
        advice = advise(graph, ranges, source, options, stopwatch=stopwatch, progress=progress)
        said.write(advice_record(advice, source))
        storage.save(advice.chosen.plan, output)
        delivery.deliver()
    if inputs.data is None:
        said.announce(f"no --data: {source.description}")
    said.show(lambda: print_advice(advice, source, where=inputs.model, folder=output))


def inspect(*, json_file: str | None, parallelism: tuple[str, ...] = (), io: str | None = None, **given: Any) -> None:
    """`fxnorm inspect`."""
    from fxnorm.cost import estimate
    from fxnorm.report import inspection

    inputs, _ = Inputs.split(given)
    path = inputs.model
    with Delivery([path]) as delivery:
        output = Output(json_file, delivery)
        if storage.is_plan(path):
            if inputs.batch is not None or inputs.dims:
                raise UsageError("inspect: --batch and --dim go with a MODEL; a plan's shapes are decided")
            made = storage.load(path)
            try:
                found, why = estimate(made, parallelism, io=io), ""
            except UnsupportedError as error:
                found, why = None, str(error)
            estimates = {"estimates": None if found is None else found.record()}
            output.write({**inspection.plan_record(made), **estimates})
        else:
            if parallelism or io is not None:
                raise UsageError("inspect: --parallelism and --io go with a PLAN, whose hardware can be estimated")
            made, graph = None, inputs.graph()
            output.write(inspection.model_record(graph))
        delivery.deliver()
    if made is not None:
        if why:
            output.announce(f"no estimates: {why}")
        output.show(lambda: inspection.print_plan(made, where=path, estimates=found))
    else:
        output.show(lambda: inspection.print_model(graph, where=path))


def ops(*, json_file: str | None) -> None:
    """`fxnorm ops`."""
    from fxnorm.report import inspection

    with Delivery() as delivery:
        output = Output(json_file, delivery)
        output.write(inspection.operator_records())
        delivery.deliver()
    output.show(inspection.print_operators)


def sources(inputs: Inputs, chosen: Mapping[str, Any], *more: str | None) -> list[str]:
    """Everything that a command reads."""
    paths = (inputs.model, inputs.data, inputs.calibration_data, chosen.get("config"), *more)
    return [path for path in paths if path is not None]


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


def _model_of(made: Plan, inputs: Inputs, model: str | None) -> Graph:
    """The model that a plan was made from, in the shapes that it was made for."""
    path = model if model is not None else made.model_path
    if model is None and not _is_file(path):
        raise PlanError(f"simulate: the model of the plan is not at {path!r}; say where it is with --model FILE")
    graph = inputs.graph(path)
    if graph.sha256 != made.model_sha256:
        raise PlanError(
            f"simulate: {path} is not the model that the plan was made from: its SHA-256 is {graph.sha256[:16]}…, "
            f"not {made.model_sha256[:16]}…; make a plan for it with `fxnorm plan`"
        )
    wanted = {name: made.values[name].shape for name in made.inputs}
    if inputs.batch is None and not inputs.dims and _shapes(graph) != wanted:
        graph = inputs.graph(path, batch=next((shape[0] for shape in wanted.values() if shape), None))
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


def _refuse_contradictions(from_plan: bool, model: str | None, chosen: Mapping[str, Any]) -> None:
    given = [name for name in (*PLAN_KEYS, "config", "calibration_data") if chosen.get(name)]
    if from_plan and given:
        raise UsageError(
            f"simulate: a PLAN holds every decision, and {', '.join(map(option_name, given))} would change it; "
            "make another plan with `fxnorm plan`"
        )
    if not from_plan and model is not None:
        raise UsageError("simulate: --model goes with a PLAN; without one the model is the argument")
