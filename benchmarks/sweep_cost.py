"""What a sweep costs: forty configurations against one simulation, and two cores against one. `python -m benchmarks.sweep_cost`."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from benchmarks.measure import Row
from fxnorm.data import Data
from fxnorm.graph.onnx_import import load
from fxnorm.lowering.operators import known
from fxnorm.report.record import run_record
from fxnorm.study import Study
from fxnorm.sweeping.executor import LocalExecutor
from fxnorm.sweeping.grid import Grid
from fxnorm.sweeping.sweep import Source, sweep
from fxnorm.sweeping.tables import read

ROOT = Path(__file__).resolve().parents[1]
MODEL = ROOT / ".." / "shared" / "models" / "resnet8.onnx"
IMAGES = 200
GRID = Grid.read({"normalize": "none,pow2", "calibration": "minmax,percentile:99.9"}, "5:14")
"""Forty configurations."""
FEW = Grid.read({"normalize": "none,pow2"}, "6:9")
"""Eight, before what is timed."""
RUNS = 5
FORTY_RUNS = 3
"""Of forty configurations, and of forty simulations."""


def rows() -> Iterator[Row]:
    """Lines for the table of benchmarks; none, saying so, where the network is missing."""
    if not MODEL.is_file():
        print(f"{MODEL} is missing: sweeps are not measured", file=sys.stderr)
        return
    with tempfile.TemporaryDirectory() as scratch:
        data = Path(scratch) / "images.npz"
        graph = load(MODEL, known=known)
        images = np.random.default_rng(0).uniform(0, 255, (IMAGES, 32, 32, 3)).astype(np.float32)
        np.savez(data, **{graph.inputs[0]: images})  # type: ignore[arg-type]
        yield from _forty(data, Path(scratch))
        yield _cores(data, Path(scratch))


def _forty(data: Path, scratch: Path) -> Iterator[Row]:
    """A whole sweep, from the model's file to the last row, against one simulation.

    Wide formats take longer than narrow ones, so that a simulation is the mean of the sweep's own configurations. It begins with the
    model's file, too, or it has everything that the sweep shares at hand: then it is a plan, its run, and the record of it.
    """
    graph = load(MODEL, known=known)
    study = Study(graph, Data.open(data, graph))
    _sweep(GRID, data, scratch / "warm")  # loops are compiled, which happens once on a machine
    asked = [row.configuration.made() for row in read(scratch / "warm").rows]

    some = asked[::3]  # of every width, in every combination of the other two options

    def each() -> None:
        for options in asked:
            run_record(study.evaluate(study.plan(options)), study.data)

    def whole() -> None:
        for options in some:
            graph = load(MODEL, known=known)
            alone = Study(graph, Data.open(data, graph))
            run_record(alone.evaluate(alone.plan(options)), alone.data)

    each()
    ours, shared, theirs = [], [], []
    for number in range(FORTY_RUNS):
        theirs.append(_seconds(whole) / len(some))
        shared.append(_seconds(each) / len(asked))
        ours.append(_seconds(lambda number=number: _sweep(GRID, data, scratch / f"forty{number}")))  # type: ignore[misc]
    mine = statistics.median(ours)
    work = f"sweep of {len(asked)} configurations of resnet8, {IMAGES} images, from the model's file to the last row"
    note = f"{mine / len(asked):.3f} s a configuration"
    for other, against in (
        (statistics.median(theirs), "one of them by itself, from the model's file to its record"),
        (statistics.median(shared), "one of them with all at hand that the sweep shares"),
    ):
        yield Row(work, mine, other, against, ("at most 45 ×", mine <= 45 * other), note)


def _cores(data: Path, scratch: Path) -> Row:
    """The same configurations on one core and on two, in turn, each in a process that never had more."""
    cores = sorted(os.sched_getaffinity(0))[:2]
    times: dict[int, list[float]] = {1: [], 2: []}
    for number in range(RUNS):
        for count in (1, 2):
            folder = scratch / f"c{count}-{number}"
            command = [sys.executable, "-m", "benchmarks.sweep_cost", str(data), str(folder)]
            done = subprocess.run(
                command,
                cwd=ROOT,
                stdout=subprocess.PIPE,
                check=True,
                preexec_fn=lambda count=count: os.sched_setaffinity(0, cores[:count]),  # type: ignore[misc]
            )
            times[count].append(float(done.stdout))
    one, two = statistics.median(times[1]), statistics.median(times[2])
    return Row(
        f"sweep of forty configurations of resnet8, {IMAGES} images, two cores",
        two,
        one,
        "one core",
        ("at least 1.7 × as fast", len(cores) == 2 and one >= 1.7 * two),
        f"{one / two:.2f} × as fast",
    )


def _sweep(grid: Grid, data: Path, folder: Path) -> object:
    graph = load(MODEL, known=known)
    return sweep(Source(graph, Data.open(data, graph)), grid, folder, executor=LocalExecutor)


def _seconds(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def main() -> None:
    """Print every line; with samples and a folder, the seconds that a sweep of them into the folder takes."""
    if len(sys.argv) == 3:
        data, folder = map(Path, sys.argv[1:])
        folder.mkdir()
        _sweep(FEW, data, folder / "warm")  # loads the loops that were compiled
        print(_seconds(lambda: _sweep(GRID, data, folder / "timed")))
        return
    for row in rows():
        target, reached = row.target or ("", True)
        print(
            f"{row.work}: {row.ours:.3f} s; {row.against}: {row.theirs:.3f} s; ratio {row.ratio:.2f}; "
            f"{target}: {'yes' if reached else 'no'}; {row.note}"
        )


if __name__ == "__main__":
    main()
