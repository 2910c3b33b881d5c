"""Compile an emitted project with plain g++, run it, and compare every code with the simulator's.

The testbench compares and says so by its exit code; what it saw is compared here once more, code by code, so that a testbench that has
lost its teeth is found out: the two verdicts must agree. What passes the channels is logged, and replayed through FIFOs of the depths
that stand in the emitted files, for channels of plain C++ never fill up. Where codes differ, the input is made as small as it can be.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from fxnorm.errors import StreamError, UsageError
from fxnorm.hls.build import FLAGS, Build, Progress, find_headers
from fxnorm.hls.cosim_report import CosimReport, FlavourReport, OutputReport, Shrunk, TargetReport
from fxnorm.hls.dialect import DIALECTS, Dialect
from fxnorm.hls.event_log import read_log, replay
from fxnorm.hls.layer_trace import compare_layers, plan_codes, traced_frames
from fxnorm.hls.manifest import MANIFEST
from fxnorm.hls.shrink import shrink
from fxnorm.hls.stored import StoredProject
from fxnorm.hls.vectors import parse, text
from fxnorm.kernels.linear import Linear

Array = np.ndarray

FLAVOURS: Final = ("design", "raw")
PATIENCE: Final = 20.0
"""Seconds for the search for a smaller input."""
SMALLEST: Final = "smallest"
"""Folder in a project for such inputs."""


def cosim(
    project: str | Path,
    *,
    targets: Sequence[str] = (),
    include: Sequence[str] = (),
    layers: bool = False,
    counters: bool = True,
    jobs: int | None = None,
    progress: Progress | None = None,
    flags: Sequence[str] = FLAGS,
    patience: float = PATIENCE,
) -> CosimReport:
    """Compile and run a project.

    Parameters
    ----------
    project
        Its folder.
    targets
        Names of dialects; default: all that it has.
    include
        Folders with the vendors' headers.
    layers
        Whether every layer's codes are compared, not those of outputs alone.
    counters
        Whether overflow counters are compiled in and compared.
    jobs
        Compilers at a time; default: the processor's cores.
    flags
        Of the compiler.
    patience
        Seconds for the search for the smallest input that still differs, where one does; 0: no search.

    Raises
    ------
    UsageError
        If the folder is no project, a target is not in it, a header or g++ is missing, or the sources cannot be compiled.
    PlanError
        If the plan in the project is needed and damaged.
    """
    stored = StoredProject.read(project)
    known = stored.manifest["targets"]
    wanted = tuple(targets) or tuple(known)
    for target in wanted:
        if target not in known:
            raise UsageError(
                f"cosim: {stored.folder}: has the target(s) {', '.join(known)}, not {target!r}; emit it with --target {target}"
            )
    compiler = shutil.which("g++")
    if compiler is None:
        raise UsageError("cosim: g++ must be installed, and it is not found; install it (apt-get install g++)")
    headers = {target: find_headers(DIALECTS[target], include) for target in wanted}
    expected: dict[str, Array] | None = None
    traced = 0
    if layers:
        traced = traced_frames(stored.plan, stored.frames)
        expected = plan_codes(stored, {port: stored.codes(port) for port in stored.inputs})
    reports = []
    for target in wanted:
        with tempfile.TemporaryDirectory(prefix="fxnorm-cosim-") as scratch:
            build = Build(
                stored.folder.resolve(), stored.name, DIALECTS[target], headers[target], compiler, Path(scratch)
            )
            job = _Job(stored, build, counters, expected if layers else None, traced)
            reports.append(job.run((*flags, *job.defines), jobs, progress, patience))
    wrong = _wrong_weights(stored)
    if not wrong and (layers or any(target.differing for target in reports)):
        expected = expected or plan_codes(stored, {port: stored.codes(port) for port in stored.inputs})
        wrong = _stale(stored, expected)
    return CosimReport(stored.name, stored.frames, tuple(reports), traced, wrong)


class _Job:
    """One target of a project, compiled and run."""

    def __init__(
        self, stored: StoredProject, build: Build, counters: bool, expected: Mapping[str, Array] | None, traced: int
    ) -> None:
        self._stored = stored
        self._build = build
        self._counters = counters
        self._expected = expected
        self._traced = traced

    @property
    def defines(self) -> tuple[str, ...]:
        """What is compiled in beside the design."""
        wanted = {
            "FX_COUNTERS": self._counters,
            "FX_VALUES": self._expected is not None,
            "FX_EVENTS": self._stored.streams,
        }
        return tuple(f"-D{name}" for name, given in wanted.items() if given)

    def run(self, flags: Sequence[str], jobs: int | None, progress: Progress | None, patience: float) -> TargetReport:
        """Compile, run, compare; make the input smaller where codes differ."""
        dialect = self._build.dialect
        started = time.perf_counter()
        program = self._build.compile(flags, jobs, progress)
        compiled = time.perf_counter()
        out = self._build.scratch / "out"
        done = self._build.run(program, self._stored.vectors, out, traced=self._traced)
        ended = time.perf_counter()
        flavours, message = self._compared(out, done)
        streams, fifos = self._replayed(dialect, out) if not message else ("", 0)
        report = TargetReport(
            dialect.name, compiled - started, ended - compiled, done.returncode, flavours, message, streams, fifos
        )
        if report.differing and not message and patience > 0:
            return replace(report, shrunk=self._shrunk(program, report, patience))
        return report

    def _compared(self, out: Path, done: subprocess.CompletedProcess[str]) -> tuple[tuple[FlavourReport, ...], str]:
        """Codes and counters that the testbench wrote, against those of the simulator; and what is wrong beside them."""
        said = (done.stderr.strip() or done.stdout.strip()).splitlines()
        flavours: list[FlavourReport] = []
        try:
            for flavour in FLAVOURS:
                flavours.append(self._flavour(out, flavour))
        except (OSError, ValueError) as error:
            last = said[-1] if said else str(error)
            return tuple(flavours), f"the testbench broke off with exit code {done.returncode}: {last}"
        differing = any(output.differing for flavour in flavours for output in flavour.outputs)
        if differing != (done.returncode != 0):
            last = said[-1] if said else "nothing"
            verdict = f"the testbench's exit code is {done.returncode}, which is not what its codes say: {last}"
            return tuple(flavours), verdict
        return tuple(flavours), ""

    def _flavour(self, out: Path, flavour: str) -> FlavourReport:
        stored = self._stored
        manifest = stored.manifest
        makers = {layer["output"]: layer["block"] for layer in manifest["layers"]}
        outputs = tuple(
            _output(stored, out, flavour, end, makers.get(end["value"], "input")) for end in manifest["outputs"]
        )
        wrong = {}
        if self._counters:
            names = [counter for layer in manifest["layers"] for counter in layer["counters"]]
            expected = (stored.vectors / "counts.txt").read_text().split()
            seen = (out / f"{flavour}_counts.txt").read_text().split()
            pairs = zip(names, seen, expected, strict=True)
            wrong = {name: (int(got), int(wanted)) for name, got, wanted in pairs if int(got) != int(wanted)}
        layers = []
        if self._expected is not None:
            first = {name: codes[: self._traced] for name, codes in self._expected.items()}
            layers = compare_layers(stored, out, flavour, first)
        return FlavourReport(flavour, outputs, wrong, tuple(layers))

    def _replayed(self, dialect: Dialect, out: Path) -> tuple[str, int]:
        """Why logged events do not pass the emitted FIFOs, "" where they do; and how many FIFOs there are."""
        if not self._stored.streams:
            return "", 0
        depths = self._stored.depths(dialect)
        try:
            replay(read_log(out / "events.txt"), depths, {*self._stored.inputs, *self._stored.outputs})
        except StreamError as error:
            return str(error), len(depths)
        return "", len(depths)

    def _shrunk(self, program: Path, report: TargetReport, patience: float) -> Shrunk | None:
        """A smaller input that differs from the plan's own codes, written beside the vectors."""
        stored = self._stored
        inputs = {port: stored.codes(port) for port in stored.inputs}
        firsts = (output.first for flavour in report.flavours for output in flavour.outputs)
        first = min(entry[0] for entry in firsts if entry is not None)
        trial = self._build.scratch / "trial"

        def shows(candidate: dict[str, Array]) -> bool:
            _write_vectors(trial, stored, candidate)
            return self._build.run(program, trial).returncode == 1

        found = shrink(inputs, first, shows, patience)
        if found is None:
            return None
        target = stored.folder / SMALLEST / report.target
        try:
            _write_vectors(target, stored, found)
        except OSError as error:
            raise UsageError(f"cosim: {target}: cannot be written: {error.strerror or error}") from error
        nonzero = sum(int(np.count_nonzero(codes)) for codes in found.values())
        frames = len(next(iter(found.values())))
        return Shrunk(str(target), frames, nonzero, sum(codes.size for codes in found.values()))


def _write_vectors(folder: Path, stored: StoredProject, inputs: Mapping[str, Array]) -> None:
    """Stimuli, and what the project's plan makes of them; weights for ports as they are."""
    codes = plan_codes(stored, inputs)
    folder.mkdir(parents=True, exist_ok=True)
    for port in stored.weights:
        shutil.copyfile(stored.vectors / f"{port}.txt", folder / f"{port}.txt")
    for port, own in inputs.items():
        (folder / f"{port}.txt").write_bytes(text(own))
    for port, value in stored.plan.outputs.items():
        (folder / f"{port}.txt").write_bytes(text(codes[value]))


def _wrong_weights(stored: StoredProject) -> str:
    """The first word for a port of weights that is not the plan's; a wrong one may change no code of these frames."""
    for port, block in stored.weights.items():
        kernel = next((layer.kernel for layer in stored.plan.layers if layer.name == block), None)
        if not isinstance(kernel, Linear):
            return (
                f"{MANIFEST}: {port} is the port of {block}, which has no weights in the plan; emit the project again"
            )
        held, wanted = stored.codes(port).reshape(-1), kernel.weights.reshape(-1)
        if held.shape != wanted.shape:
            return f"vectors/{port}.txt holds {held.size} words, and {block} has {wanted.size} weights; emit the project again"
        wrong = np.flatnonzero(held != wanted)
        if len(wrong):
            index = int(wrong[0])
            return (
                f"vectors/{port}.txt does not hold the plan's weights of {block}: index {index}: {held[index]} instead of {wanted[index]}; "
                "emit the project again"
            )
    return ""


def _stale(stored: StoredProject, expected: Mapping[str, Array]) -> str:
    """The first expected code that is not the plan's."""
    for port, value in stored.plan.outputs.items():
        held, wanted = stored.codes(port), expected[value]
        if held.shape != wanted.shape:
            return f"vectors/{port}.txt has the shape {list(held.shape)}, and the plan gives {list(wanted.shape)}"
        wrong = np.argwhere(held != wanted)
        if len(wrong):
            frame, index = (int(number) for number in wrong[0])
            return (
                f"vectors/{port}.txt is not what the plan gives: frame {frame}, index {index}: {held[frame, index]} instead of "
                f"{wanted[frame, index]}; emit the project again"
            )
    return ""


def _output(stored: StoredProject, out: Path, flavour: str, end: Mapping[str, Any], layer: str) -> OutputReport:
    port = str(end["port"])
    expected = parse((stored.vectors / f"{port}.txt").read_bytes())
    seen = parse((out / f"{flavour}_{port}.txt").read_bytes())
    if seen.shape != expected.shape:
        raise ValueError(f"{flavour}: {port} has the shape {list(seen.shape)}, not {list(expected.shape)}")
    wrong = np.argwhere(seen != expected)
    first = None
    if len(wrong):
        frame, index = (int(number) for number in wrong[0])
        first = (frame, index, int(seen[frame, index]), int(expected[frame, index]))
    return OutputReport(port, str(end["name"]), layer, expected.size, len(wrong), first)
