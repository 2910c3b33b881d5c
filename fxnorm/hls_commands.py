"""What the commands of hardware do: emit and cosim."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, cast

import numpy as np

from fxnorm.commands import Inputs
from fxnorm.cost import NetworkEstimate
from fxnorm.emission import emit_estimated
from fxnorm.errors import UsageError
from fxnorm.graph.graph import Value
from fxnorm.hls.build import Progress
from fxnorm.hls.choices import Choices
from fxnorm.hls.cosim import PATIENCE
from fxnorm.hls.cosim import cosim as run_cosim
from fxnorm.hls.cosim_report import CosimReport, First
from fxnorm.hls.design import make_design
from fxnorm.hls.emit import FRAMES
from fxnorm.hls.manifest import weight_ports
from fxnorm.hls.names import project_name
from fxnorm.hls.project import Project, check_folder
from fxnorm.planning import storage
from fxnorm.planning.options import Options
from fxnorm.planning.plan import Plan
from fxnorm.planning.settings import PLAN_KEYS, option_name, settings
from fxnorm.report.files import Delivery
from fxnorm.report.output import Output
from fxnorm.report.progress import progress_bars

FAILED: Final = 1


@dataclass(frozen=True, slots=True)
class _PlannedInputs:
    """Inputs of a plan, for samples to be matched with; see `fxnorm.stored_samples.Inputs`."""

    inputs: tuple[str, ...]
    values: Mapping[str, Value]
    batch: None = None


def emit(
    *,
    output: str,
    target: str,
    io: str | None,
    parallelism: tuple[str, ...],
    weights: tuple[str, ...],
    clock: str | None,
    part: str | None,
    technology: str | None,
    frames: int | None,
    json_file: str | None,
    **given: Any,
) -> None:
    """`fxnorm emit`."""
    inputs, chosen = Inputs.split(given)
    inputs.check("emit")
    choices = Choices.make(
        target, io=io, parallelism=parallelism, weights=weights, clock=clock, part=part, technology=technology
    )
    project_name(output)
    check_folder(output)
    count = frames or FRAMES
    with Delivery([inputs.model]) as delivery, progress_bars() as progress:
        said = Output(json_file, delivery)
        samples: Mapping[str, np.ndarray] | None
        if storage.is_plan(inputs.model):
            _refuse_options(inputs, chosen)
            plan = storage.load(inputs.model)
            samples = None if inputs.data is None else _planned_data(plan, inputs.data, count)
            announcement = f"no --data: the testbench gets random codes (seed {inputs.seed or 0})"
        else:
            from fxnorm.study import Study

            options = Options.make(**settings(chosen))
            graph = inputs.graph()
            source = inputs.open(graph)
            calibration = inputs.open_calibration(graph, source)
            plan = Study(graph, source, calibration=calibration, keep=False, progress=progress).plan(options)
            make_design(plan, choices)  # refuse before samples are run
            samples = source.head(count) if inputs.data is not None else inputs.random(graph, count).head(count)
            announcement = f"no --data: {source.description}"
        if inputs.data is None:
            said.announce(announcement)
        project, estimates = emit_estimated(plan, output, choices, samples, frames=count, seed=inputs.seed or 0)
        said.write(project_record(project, output, estimates))
        delivery.deliver()
    said.show(lambda: print_project(project, output, estimates, frames))


def cosim(
    *,
    project: str,
    target: tuple[str, ...],
    include: tuple[str, ...],
    layers: bool,
    shrink: float | None,
    json_file: str | None,
    jobs: int | None,
) -> int:
    """`fxnorm cosim`; its exit code."""
    with Delivery([project]) as delivery, progress_bars() as progress:
        said = Output(json_file, delivery)
        patience = PATIENCE if shrink is None else shrink
        report = run_cosim(
            project,
            targets=target,
            include=include,
            layers=layers,
            jobs=jobs,
            progress=_compiling(progress),
            patience=patience,
        )
        said.write(report.record())
        delivery.deliver()
    said.show(lambda: _print_cosim(report))
    return 0 if report.passed else FAILED


def _compiling(progress: Progress | None) -> Progress | None:
    """Bars that say what goes on."""
    if progress is None:
        return None
    return lambda target, done, total: progress(f"compiling {target}", done, total)


def _refuse_options(inputs: Inputs, chosen: Mapping[str, Any]) -> None:
    decided = {**chosen, "calibration_data": inputs.calibration_data, "batch": inputs.batch, "dims": inputs.dims}
    given = [name for name in (*PLAN_KEYS, "config", "calibration_data", "batch", "dims") if decided.get(name)]
    if given:
        raise UsageError(
            f"emit: a PLAN holds every decision, and {', '.join(map(option_name, given))} would change it; "
            "make another plan with `fxnorm plan`"
        )
    if inputs.samples is not None:
        raise UsageError("emit: --samples goes with a MODEL; with a PLAN say how many with --frames")


def _planned_data(plan: Plan, path: str, count: int) -> dict[str, np.ndarray]:
    from fxnorm.data import Data

    types = {name: np.dtype(np.int64 if name in plan.integer_inputs else np.float32) for name in plan.inputs}
    values = {name: Value(name, plan.values[name].shape, types[name]) for name in plan.inputs}
    # What `Data.open` needs of a graph is names, shapes and types.
    return Data.open(path, cast(Any, _PlannedInputs(plan.inputs, values))).head(count)


def project_record(project: Project, folder: str, estimates: NetworkEstimate) -> dict[str, Any]:
    """Plain data of what was written."""
    design = project.design
    return {
        "project": project.name,
        "folder": folder,
        "plan": {"digest": design.plan.digest, "format": design.plan.format},
        "targets": [dialect.name for dialect in design.choices.targets],
        **design.choices.record(),
        "files": len(project.files),
        "frames": project.frames,
        "layers": [
            {"block": unit.name, "name": unit.layer.name, "op": unit.layer.op, "summary": unit.block.summary}
            for unit in design.units
        ],
        "weights": weight_ports(design),
        "channels": [{"name": own.name, "depth": own.depth, "least": own.least} for own in design.channels],
        "estimates": estimates.record(),
    }


def print_project(project: Project, folder: str, estimates: NetworkEstimate, asked: int | None) -> None:
    """Print what was written.

    Parameters
    ----------
    asked
        Frames that were asked for; None: nobody did.
    """
    from fxnorm.report.columns import Column, console, print_line, print_table
    from fxnorm.report.estimates import print_estimates

    design, out = project.design, console()
    targets = " and ".join(dialect.title for dialect in design.choices.targets)
    print_line(out, f"{folder}: {len(project.files)} files for {targets}, top function {project.name}", "bold")
    print_table(
        out,
        [
            Column("block", [unit.name for unit in design.units], left=True),
            Column("layer", [unit.layer.name for unit in design.units], left=True, name=True),
            Column("what", [unit.block.summary for unit in design.units], left=True),
        ],
    )
    deep = [own for own in design.channels if own.least > min(other.least for other in design.channels)]
    if deep:
        print_line(out, "FIFOs: " + ", ".join(f"{own.name} {own.depth}" for own in deep) + "; all others 2 or 4")
    print_estimates(out, estimates)
    fewer = asked is not None and project.frames < asked
    print_line(out, f"testbench: {project.frames} frames" + (f", all that the data has, not {asked}" if fewer else ""))
    print_line(out, f"next: fxnorm cosim {folder}")


def _print_cosim(report: CosimReport) -> None:
    from fxnorm.report.columns import console, print_line

    out = console()
    for target in report.targets:
        verdict = "PASS" if target.passed else "FAIL"
        print_line(
            out,
            f"{target.target}: {verdict}: {report.frames} frames, {target.differing} codes differ "
            f"(compiled in {target.compile_seconds:.1f} s, ran {target.run_seconds:.1f} s)",
            "bold",
        )
        for flavour in target.flavours:
            for output in flavour.outputs:
                line = f"  {flavour.flavour}: {output.port} {output.name}: {output.differing} of {output.compared} codes differ"
                print_line(out, line + _said_first(output.first, f", {output.layer}"))
            for name, (seen, expected) in flavour.counters.items():
                print_line(out, f"  {flavour.flavour}: counter {name} is {seen} instead of {expected}")
            if flavour.layers:
                wrong = sum(layer.differing > 0 for layer in flavour.layers)
                line = f"  {flavour.flavour}: {wrong} of {len(flavour.layers)} layers differ in {report.traced} frames"
                first = flavour.first_layer
                if first is not None:
                    line += (
                        f"; the first layer: {first.block} {first.name}, {first.differing} of {first.compared} codes"
                    )
                    line += _said_first(first.first, "")
                print_line(out, line)
        if target.fifos and not target.streams and not target.message:
            print_line(out, f"  streams: the logged frames pass {target.fifos} FIFOs of the emitted depths")
        if target.streams:
            print_line(out, f"  {target.streams}")
        if target.message:
            print_line(out, f"  {target.message}")
        if target.shrunk is not None:
            small = target.shrunk
            print_line(
                out,
                f"  the smallest input found that differs: {small.frames} frame(s), {small.nonzero} of {small.codes} codes not zero, "
                f"in {small.folder}",
            )
    if report.vectors:
        print_line(out, report.vectors)


def _said_first(first: First | None, where: str) -> str:
    if first is None:
        return ""
    frame, index, code, expected = first
    return f"; the first: frame {frame}, index {index}{where}: {code} instead of {expected}"
