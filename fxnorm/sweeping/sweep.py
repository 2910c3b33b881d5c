"""A sweep: what is asked for, what of it is done, and what is left to do."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from fxnorm.errors import FxnormError, PlanError, RunError
from fxnorm.evaluation import Progress
from fxnorm.graph.graph import Graph
from fxnorm.planning.options import Options
from fxnorm.report.distribution import distribution_records
from fxnorm.study import Study
from fxnorm.sweeping.configuration import Configuration, command_line
from fxnorm.sweeping.executor import Executor, LocalExecutor
from fxnorm.sweeping.grid import Grid, configurations, fitting_bits
from fxnorm.sweeping.measure import DONE, versions
from fxnorm.sweeping.results import write_results
from fxnorm.sweeping.store import Store
from fxnorm.sweeping.tables import Run, read

if TYPE_CHECKING:
    from fxnorm.data import Data

KIND: Final = "sweep"
REFRESH: Final = 10.0
"""Seconds between two writings of results.json and results.csv, at least."""


@dataclass(frozen=True)
class Source:
    """What is swept.

    Attributes
    ----------
    graph, data
        The network and its samples.
    calibration
        Samples for calibration; None: the head of the data.
    paths
        Of "model", "data" and "calibration", as they were given.
    words
        Model and data as words of the command line that reproduces a row; None: there is none, the data is in memory.
    command
        The command line itself.
    """

    graph: Graph
    data: Data
    calibration: Data | None = None
    paths: Mapping[str, str] | None = None
    words: tuple[str, ...] | None = None
    command: tuple[str, ...] = ()

    def identity(self, grid: Grid) -> dict[str, Any]:
        """What decides the results of a sweep."""
        return self.identity_of(grid.record())

    def identity_of(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """What decides the results of any run: the network, the data, and what was asked for as plain data."""
        return {
            "model": self.graph.sha256,
            "data": self.data.sha256,
            "calibration": None if self.calibration is None else self.calibration.sha256,
            "shapes": {name: list(self.graph.shape(name)) for name in self.graph.inputs},
            "request": dict(request),
            "fxnorm": versions()["fxnorm"],
        }

    def record(self, grid: Grid) -> dict[str, Any]:
        """The table `run` of a sweep; see `fxnorm.sweeping.store`."""
        return self.record_of(KIND, grid.record(), grid.axes)

    def record_of(self, kind: str, request: Mapping[str, Any], axes: Mapping[str, Any]) -> dict[str, Any]:
        """The table `run` of a run of any kind."""
        paths = self.paths or {}
        calibration = self.calibration
        return {
            "kind": kind,
            "identity": self.identity_of(request),
            "model": {"path": paths.get("model", str(self.graph.path or "")), "sha256": self.graph.sha256},
            "data": {**_data_record(self.data, paths.get("data")), "labels": self.data.labels is not None},
            "calibration": None if calibration is None else _data_record(calibration, paths.get("calibration")),
            "axes": dict(axes),
            "command": list(self.command),
        }

    def reproduce(self, options: Options) -> str:
        """Command line that runs one configuration."""
        return "" if self.words is None else command_line(options, list(self.words))


def sweep(
    source: Source,
    grid: Grid,
    folder: str | Path,
    *,
    workers: int | None = None,
    executor: Callable[[Study], Executor] | None = None,
    progress: Progress | None = None,
    look: Callable[[Sequence[Configuration]], None] | None = None,
) -> Run:
    """Compute every configuration of a grid that the run folder does not hold yet, a row at a time.

    Parameters
    ----------
    workers
        Configurations at a time; default: the processor's cores.
    executor
        Makes what computes; default: `LocalExecutor`.
    look
        Shown all configurations before any is computed; what it raises ends the sweep.

    Raises
    ------
    RunError
        If the folder is another run's, or is being written, or cannot be.
    UsageError, UnsupportedError, DataError
        If what is asked for is wrong for every configuration.
    PlanError
        If no configuration can be planned and run.
    """
    with Store(folder) as store:
        known = store.run() if store.begun else None
        if known is not None and not store.finished() and known["identity"] != source.identity(grid):
            store.clear()
            known = None
        if known is not None:
            refuse_another(known, KIND, source.identity(grid), folder)
            asked = store.configurations()
            if look is not None:
                look(asked)
        else:
            asked = []
        finished = store.finished() if asked else set()
        left = [one for one in asked if one.id not in finished]
        if left or not asked:
            study = _study(source, progress)
            if not asked:
                left = _expanded(source, grid, study)
                if look is not None:
                    look(left)
                store.create({**source.record(grid), "reference": _reference(study, left)}, left)
            made = LocalExecutor(study, workers) if executor is None else executor(study)
            compute(store, made, left, progress)
        run = read(folder)
        write_results(run)
    if not any(row.status == DONE for row in run.rows):
        first = run.rows[0]
        raise PlanError(
            f"sweep: none of the {len(run.rows)} configurations can be run; {first.configuration.name}: {first.reason}"
        )
    return run


def compute(store: Store, executor: Executor, left: Sequence[Configuration], progress: Progress | None = None) -> None:
    """Compute configurations and write their rows as they come."""
    done, written, pause = 0, time.monotonic(), REFRESH
    try:
        with closing(executor.run(left, store.begin)) as outcomes:
            for configuration, outcome in outcomes:
                store.finish(configuration, outcome)
                done += 1
                if progress is not None:
                    progress(KIND, done, len(left))
                if time.monotonic() - written > pause:
                    begun = time.monotonic()
                    write_results(read(store.folder))
                    written = time.monotonic()
                    pause = max(REFRESH, 20 * (written - begun))
    except BaseException:
        # What was done by then is in the database, whatever becomes of the files beside it.
        _write_if_possible(store)
        raise


def refuse_another(known: Mapping[str, Any], kind: str, identity: Mapping[str, Any], folder: str | Path) -> None:
    """Refuse to go on with a run that is another one.

    Raises
    ------
    RunError
        With what differs first.
    """
    if known["kind"] != kind:
        raise RunError(f"{folder}: holds a {known['kind']}, and this is a {kind}; choose another folder")
    words = {
        "model": f"was made for another model, {known['model']['path']}",
        "data": f"was made with other data, {known['data']['description']}",
        "calibration": "was made with other data for calibration",
        "shapes": "was made for inputs of other shapes; give the --batch and --dim that it was made with",
        "request": "was asked for other configurations",
        "fxnorm": f"was made by fxnorm {known['identity']['fxnorm']}",
    }
    for key, text in words.items():
        if known["identity"].get(key) != identity[key]:
            raise RunError(f"{folder}: {text}; the same command goes on with a run, another one needs another folder")


def _study(source: Source, progress: Progress | None) -> Study:
    """Study of the network; distributions are always kept, for the run folder has them."""
    return Study(source.graph, source.data, calibration=source.calibration, histograms=True, progress=progress)


def _reference(study: Study, asked: Sequence[Configuration]) -> dict[str, Any]:
    """How the values of the FP32 network lie on calibration data, under the first configuration that can be calibrated."""
    for one in asked:
        if one.reason is None:
            options = one.made()
            try:
                network, ranges = study.network(options), study.ranges(options)
            except FxnormError:
                continue
            values = {*network.inputs, *(step.output for step in network.steps if step.traced)}
            return {"values": distribution_records(ranges, values)}
    return {"values": {}}


def _expanded(source: Source, grid: Grid, study: Study) -> list[Configuration]:
    bits = None
    if grid.fits():
        # Only these decide which values there are.
        alternatives = [grid.options.get(name, (None,)) for name in ("batchnorm", "patterns", "input_transform")]
        found, errors = [], []
        for values in product(*alternatives):
            try:
                batchnorm, patterns, transform = values
                options = Options.make("q5.3", batchnorm=batchnorm, patterns=patterns, input_transform=transform)
                found.append((study.network(options), study.ranges(options)))
            except FxnormError as error:
                errors.append(error)
        if not found:
            raise errors[0]
        bits = fitting_bits(found)
    return configurations(grid, source.reproduce, study.check, bits)


def _write_if_possible(store: Store) -> None:
    try:
        write_results(read(store.folder))
    except FxnormError:
        return


def _data_record(data: Data, path: str | None) -> dict[str, Any]:
    return {"path": path, "description": data.description, "sha256": data.sha256, "samples": data.samples}
