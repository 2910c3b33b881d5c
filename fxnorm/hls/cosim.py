"""Compile an emitted project with plain g++, run it, and compare every code with the simulator's.

The testbench compares and says so by its exit code; what it saw is compared here once more, code by code, so that a testbench that has
lost its teeth is found out: the two verdicts must agree.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import resource
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np

from fxnorm.errors import UsageError
from fxnorm.hls.dialect import DIALECTS, Dialect
from fxnorm.hls.names import check_name
from fxnorm.hls.project import MANIFEST
from fxnorm.hls.vectors import parse

FLAGS: Final = ("-std=c++14", "-O2", "-Wno-unknown-pragmas", "-Wno-unused-label")
FLAVOURS: Final = ("design", "raw")
INSTALL: Final = "install them with `pip install --no-deps hls4ml`, or name their folder with --include"
_VARIABLES: Final = {"ac": "MGC_HOME", "ap": "XILINX_HLS"}
_INSIDE: Final = {"ac": ("shared/include", "catapult/ac_types/include"), "ap": ("include", "vivado/ap_types")}

Progress = Callable[[str, int, int], None]
"""Called with a target's name, how many of its files are compiled, and how many there are."""


@dataclass(frozen=True)
class OutputReport:
    """One output of one flavour: codes compared, codes that differ, and the first of them."""

    port: str
    name: str
    layer: str
    compared: int
    differing: int
    first: tuple[int, int, int, int] | None
    """Frame, index, the code that came, the code expected."""


@dataclass(frozen=True)
class FlavourReport:
    """The design's own function, or the plain one on native integers."""

    flavour: str
    outputs: tuple[OutputReport, ...]
    counters: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    """Overflow counters that differ: what came, and what was expected; empty also where they were not compiled in."""


@dataclass(frozen=True)
class TargetReport:
    """What one target did.

    Attributes
    ----------
    target
        Name of the dialect.
    compile_seconds, run_seconds
        Wall-clock time.
    exit_code
        Of the testbench.
    flavours
        By flavour; empty where the program broke off.
    message
        What it said last, where it broke off or its verdict is not the one that its codes give; "" otherwise.
    """

    target: str
    compile_seconds: float
    run_seconds: float
    exit_code: int
    flavours: tuple[FlavourReport, ...]
    message: str

    @property
    def differing(self) -> int:
        """Codes that differ, over all outputs of all flavours."""
        return sum(output.differing for flavour in self.flavours for output in flavour.outputs)

    @property
    def passed(self) -> bool:
        """Whether every code and every counter is the one expected."""
        counters = any(flavour.counters for flavour in self.flavours)
        return self.exit_code == 0 and not self.differing and not counters and not self.message


@dataclass(frozen=True)
class CosimReport:
    """What became of all targets of a project."""

    project: str
    frames: int
    targets: tuple[TargetReport, ...]

    @property
    def passed(self) -> bool:
        """Whether all of them passed."""
        return all(target.passed for target in self.targets)

    @property
    def differing(self) -> int:
        """Codes that differ."""
        return sum(target.differing for target in self.targets)

    def record(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "project": self.project,
            "frames": self.frames,
            "passed": self.passed,
            "targets": [
                {
                    "target": own.target,
                    "passed": own.passed,
                    "compile_seconds": own.compile_seconds,
                    "run_seconds": own.run_seconds,
                    "message": own.message,
                    "flavours": [
                        {
                            "flavour": flavour.flavour,
                            "outputs": [
                                {
                                    "port": output.port,
                                    "name": output.name,
                                    "layer": output.layer,
                                    "compared": output.compared,
                                    "differing": output.differing,
                                    "first": None
                                    if output.first is None
                                    else dict(zip(("frame", "index", "code", "expected"), output.first, strict=True)),
                                }
                                for output in flavour.outputs
                            ],
                            "counters": {name: list(pair) for name, pair in flavour.counters.items()},
                        }
                        for flavour in own.flavours
                    ],
                }
                for own in self.targets
            ],
        }


def find_headers(dialect: Dialect, include: Sequence[str] = ()) -> Path:
    """Folder of a vendor's types: named ones first, then the vendor's tool, then those inside of an installed hls4ml.

    Raises
    ------
    UsageError
        If there are none.
    """
    tool, wheel = _INSIDE[dialect.types]
    candidates = [Path(folder) for folder in include]
    home = os.environ.get(_VARIABLES[dialect.types])
    if home:
        candidates.append(Path(home) / tool)
    with contextlib.suppress(ImportError, ValueError):
        found = importlib.util.find_spec("hls4ml")
        if found is not None and found.submodule_search_locations:
            candidates += [Path(root) / "templates" / wheel for root in found.submodule_search_locations]
    for folder in candidates:
        if (folder / dialect.header).is_file():
            return folder
    raise UsageError(
        f"cosim: {dialect.name}: {dialect.header} must be in a folder of --include, in ${_VARIABLES[dialect.types]} or in an "
        f"installed hls4ml, and it is in none of them; {INSTALL}"
    )


def cosim(
    project: str | Path,
    *,
    targets: Sequence[str] = (),
    include: Sequence[str] = (),
    counters: bool = True,
    jobs: int | None = None,
    progress: Progress | None = None,
    flags: Sequence[str] = FLAGS,
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
    counters
        Whether overflow counters are compiled in and compared.
    jobs
        Compilers at a time; default: the processor's cores.
    flags
        Of the compiler.

    Raises
    ------
    UsageError
        If the folder is no project, a target is not in it, a header or g++ is missing, or the sources cannot be compiled.
    """
    folder = Path(project)
    manifest = read_manifest(folder)
    wanted = tuple(targets) or tuple(manifest["targets"])
    for target in wanted:
        if target not in manifest["targets"]:
            raise UsageError(
                f"cosim: {folder}: has the target(s) {', '.join(manifest['targets'])}, not {target!r}; emit it with --target {target}"
            )
    compiler = shutil.which("g++")
    if compiler is None:
        raise UsageError("cosim: g++ must be installed, and it is not found; install it (apt-get install g++)")
    headers = {target: find_headers(DIALECTS[target], include) for target in wanted}
    reports = []
    defines = ("-DFX_COUNTERS",) if counters else ()
    for target in wanted:
        with tempfile.TemporaryDirectory(prefix="fxnorm-cosim-") as scratch:
            build = Build(
                folder.resolve(), manifest["project"], DIALECTS[target], headers[target], compiler, Path(scratch)
            )
            started = time.perf_counter()
            program = build.compile((*flags, *defines), jobs, progress)
            compiled = time.perf_counter()
            done = build.run(program)
            ended = time.perf_counter()
            flavours, message = _compared(folder, manifest, Path(scratch) / "out", done, counters)
        reports.append(TargetReport(target, compiled - started, ended - compiled, done.returncode, flavours, message))
    return CosimReport(str(manifest["project"]), int(manifest["frames"]), tuple(reports))


def read_manifest(folder: Path) -> dict[str, Any]:
    """Manifest of a project, as far as cosim believes it.

    Raises
    ------
    UsageError
        If there is none, or it is damaged.
    """
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        check_name(manifest["project"], f"{folder / MANIFEST}")
        sound = (
            set(manifest["targets"]) <= set(DIALECTS)
            and all(isinstance(end["port"], str) and isinstance(end["name"], str) for end in manifest["outputs"])
            and all(str(end["port"]) == f"out{index}" for index, end in enumerate(manifest["outputs"]))
            and isinstance(manifest["frames"], int)
        )
    except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
        raise UsageError(
            f"cosim: {folder}: must be a project that `fxnorm emit` made; its {MANIFEST} cannot be read: {error}"
        ) from error
    if not sound:
        raise UsageError(f"cosim: {folder}: its {MANIFEST} is damaged; emit the project again")
    return dict(manifest)


@dataclass(frozen=True)
class Build:
    """One target of a project on its way from sources to a program."""

    folder: Path
    name: str
    dialect: Dialect
    headers: Path
    compiler: str
    scratch: Path

    def compile(self, flags: Sequence[str], jobs: int | None, progress: Progress | None) -> Path:
        """Compile every source by itself, several at a time, and link them.

        Raises
        ------
        UsageError
            With the compiler's first words, if it refuses a source.
        """
        root = self.folder / self.dialect.name
        sources = [*sorted((root / "src").glob("*.cpp")), root / "tb" / f"{self.name}_tb.cpp"]
        includes = ["-isystem", str(self.headers), f"-I{root / 'src'}"]
        if self.dialect.vitis:
            includes.insert(0, f"-I{self.folder / 'sim'}")

        def build(source: Path) -> Path:
            made = self.scratch / f"{source.stem}.o"
            self._run([self.compiler, *flags, *includes, "-c", str(source), "-o", str(made)], source)
            return made

        done = 0
        objects = []
        with ThreadPoolExecutor(jobs or len(os.sched_getaffinity(0))) as pool:
            try:
                for made in pool.map(build, sources):
                    objects.append(str(made))
                    done += 1
                    if progress is not None:
                        progress(self.dialect.name, done, len(sources))
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise
        program = self.scratch / "tb"
        self._run([self.compiler, *objects, "-o", str(program)], root)
        return program

    def run(self, program: Path) -> subprocess.CompletedProcess[str]:
        """Run the testbench, with as much stack as there is: frames are local arrays."""
        out = self.scratch / "out"
        out.mkdir()

        def deepen() -> None:
            _, hard = resource.getrlimit(resource.RLIMIT_STACK)
            resource.setrlimit(resource.RLIMIT_STACK, (hard, hard))

        return subprocess.run(
            [str(program), str(self.folder / "vectors"), str(out)],
            capture_output=True,
            text=True,
            errors="replace",
            cwd=self.scratch,
            preexec_fn=deepen,
            check=False,
        )

    def _run(self, command: list[str], where: Path) -> None:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
        if done.returncode:
            said = next((line for line in done.stderr.splitlines() if "error" in line), done.stderr.strip()[:500])
            raise UsageError(f"cosim: {where}: must compile, and g++ says: {said}; emit the project again")


def _compared(
    folder: Path, manifest: Mapping[str, Any], out: Path, done: subprocess.CompletedProcess[str], counters: bool
) -> tuple[tuple[FlavourReport, ...], str]:
    """Codes and counters that the testbench wrote, against those of the simulator; and what is wrong beside them."""
    said = (done.stderr.strip() or done.stdout.strip()).splitlines()
    makers = {layer["output"]: layer["block"] for layer in manifest["layers"]}
    names = [counter for layer in manifest["layers"] for counter in layer["counters"]]
    flavours = []
    try:
        for flavour in FLAVOURS:
            outputs = tuple(
                _output(folder, out, flavour, end, makers.get(end["value"], "input")) for end in manifest["outputs"]
            )
            wrong = {}
            if counters:
                expected = (folder / "vectors/counts.txt").read_text().split()
                seen = (out / f"{flavour}_counts.txt").read_text().split()
                pairs = zip(names, seen, expected, strict=True)
                wrong = {name: (int(got), int(wanted)) for name, got, wanted in pairs if int(got) != int(wanted)}
            flavours.append(FlavourReport(flavour, outputs, wrong))
    except (OSError, ValueError) as error:
        last = said[-1] if said else str(error)
        return tuple(flavours), f"the testbench broke off with exit code {done.returncode}: {last}"
    differing = any(output.differing for flavour in flavours for output in flavour.outputs)
    if differing != (done.returncode != 0):
        last = said[-1] if said else "nothing"
        return tuple(
            flavours
        ), f"the testbench's exit code is {done.returncode}, which is not what its codes say: {last}"
    return tuple(flavours), ""


def _output(folder: Path, out: Path, flavour: str, end: Mapping[str, Any], layer: str) -> OutputReport:
    port = str(end["port"])
    expected = parse((folder / "vectors" / f"{port}.txt").read_bytes())
    seen = parse((out / f"{flavour}_{port}.txt").read_bytes())
    if seen.shape != expected.shape:
        raise ValueError(f"{flavour}: {port} has the shape {list(seen.shape)}, not {list(expected.shape)}")
    wrong = np.argwhere(seen != expected)
    first = None
    if len(wrong):
        frame, index = (int(number) for number in wrong[0])
        first = (frame, index, int(seen[frame, index]), int(expected[frame, index]))
    return OutputReport(port, str(end["name"]), layer, expected.size, len(wrong), first)
