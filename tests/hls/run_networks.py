"""Compare emitted C++ of whole networks with the simulator, both targets: `make cosim`."""

from __future__ import annotations

import argparse
import hashlib
import json
import resource
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from emission import findings
from networks import NETWORKS, Network

import fxnorm as fx
from fxnorm.data import Data
from fxnorm.graph.graph import Graph
from fxnorm.hls.choices import Choices
from fxnorm.hls.cosim import cosim
from fxnorm.hls.cosim_report import CosimReport
from fxnorm.hls.emit import emit
from fxnorm.planning.options import Options
from fxnorm.study import Study

FORMATS = ("q5.3", "q8.8")
TARGETS = ("vitis", "catapult")
START, END = "<!-- networks: make cosim -->", "<!-- end of networks -->"


@dataclass(frozen=True)
class Job:
    """One design of a network."""

    network: Network
    format: str
    io: str

    @property
    def name(self) -> str:
        """Words by which it is chosen."""
        return f"{self.network.name} {self.format} {self.io}"


def jobs(only: str = "") -> Iterator[Job]:
    """Every network in every format, dense ones also without streams."""
    for network in NETWORKS:
        for format_ in FORMATS:
            for io in ("stream", "parallel") if network.dense else ("stream",):
                job = Job(network, format_, io)
                if only in job.name:
                    yield job


def drawn(network: Network, graph: Graph, path: Path) -> Path:
    """Samples drawn from the range that a network's inputs have, in a file."""
    rng = np.random.default_rng(0)
    shapes = {name: (network.frames, *graph.shape(name)) for name in graph.inputs}
    arrays = {name: rng.uniform(*network.range, shape).astype(np.float32) for name, shape in shapes.items()}
    np.savez(path, **arrays)  # type: ignore[arg-type]
    return path


def emitted(job: Job, folder: Path, targets: str = "all") -> Path:
    """The project of a network."""
    network = job.network
    graph = fx.load(network.model)
    data = Data.open(network.data or drawn(network, graph, folder / "drawn.npz"), graph)
    plan = Study(graph, data, keep=False).plan(Options.make(format=job.format))
    choices = Choices.make(targets, io=job.io)
    emit(plan, folder / network.name, choices, data.head(network.frames), frames=network.frames)
    return folder / network.name


def run(job: Job, folder: Path, targets: str = "all", **options: object) -> CosimReport:
    """Emit a network and compare it."""
    return cosim(emitted(job, folder, targets), **options)  # type: ignore[arg-type]


def digest(project: Path) -> str:
    """Of everything that is compiled, and of what it runs on."""
    files = json.loads((project / "manifest.json").read_text())["files"]
    kept = {
        path: sha
        for path, sha in files.items()
        if path.startswith(("sim/", "vectors/")) or "/src/" in path or "/tb/" in path
    }
    return hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()


def spent() -> float:
    """CPU seconds of compilers and testbenches so far."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def timed(project: Path) -> tuple[CosimReport, dict[str, tuple[float, float]]]:
    """Both targets, every layer, and the CPU seconds that each took to compile and to run."""
    reports, seconds = [], {}
    for target in TARGETS:
        began, compiled = spent(), 0.0

        def progress(name: str, done: int, total: int) -> None:
            nonlocal compiled
            compiled = spent()

        reports.append(cosim(project, targets=[target], layers=True, progress=progress))
        seconds[target] = (compiled - began, spent() - compiled)
    together = replace(reports[0], targets=tuple(own for report in reports for own in report.targets))
    return replace(together, vectors=reports[0].vectors or reports[1].vectors), seconds


def row(job: Job, report: CosimReport, seconds: Mapping[str, tuple[float, float]]) -> str:
    """A line of the table."""
    samples = f"{report.frames} {'labelled' if job.network.data is not None else 'random'}"
    flavours = [flavour for own in report.targets for flavour in own.flavours]
    codes = sum(output.compared for flavour in flavours for output in flavour.outputs)
    layers = len(flavours[0].layers)
    differing = sum(layer.differing for flavour in flavours for layer in flavour.layers)
    compared = sum(layer.compared for flavour in flavours for layer in flavour.layers)
    verdict = "0" if report.passed else f"FAIL ({report.differing})"
    fifos = report.targets[0].fifos or "–"
    compiled, ran = (" / ".join(f"{seconds[target][part]:.0f} s" for target in TARGETS) for part in (0, 1))
    return (
        f"| {job.network.name} | {job.format} | {job.io} | {samples} | {layers} | {fifos} | {codes:,} | {verdict} | {compared:,} | "
        f"{differing} | {compiled} | {ran} |"
    )


HEAD = (
    "| network | format | io | samples | layers | FIFOs | output codes | differ | codes of all layers | differ "
    "| compiling, vitis / catapult | running |\n"
    "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |"
)


class Rows:
    """Rows of earlier runs, each good only for the very project that it was found with."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._held: dict[str, str] = {}
        if path is not None and path.is_file():
            for line in path.read_text(encoding="utf-8").splitlines():
                entry = json.loads(line)
                self._held[entry["project"]] = entry["row"]

    def find(self, project: str) -> str | None:
        """The row of a project's digest."""
        return self._held.get(project)

    def add(self, project: str, text: str) -> None:
        """Keep a row."""
        if self._path is not None:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps({"project": project, "row": text}, ensure_ascii=False) + "\n")


def compared(job: Job, rows: Rows) -> tuple[str, bool]:
    """The row of a network, found now or held, and whether it passed."""
    scratch = Path(tempfile.mkdtemp(prefix="fxnorm-networks-"))
    try:
        project = emitted(job, scratch)
        name = f"{job.name} {digest(project)}"
        held = rows.find(name)
        if held is not None:
            return held, True
        report, seconds = timed(project)
        made = row(job, report, seconds)
        faults = [text for target in TARGETS for text in findings(project, target)]
        print("\n".join(faults), file=sys.stderr, end="")
        if report.passed and not faults:
            rows.add(name, made)
        else:
            print(json.dumps(report.record(), indent=1), file=sys.stderr)
        return made, report.passed and not faults
    finally:
        shutil.rmtree(scratch)


def main() -> int:
    """Print the table; 1 if any code differs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--page", type=Path, help="put the table into this page")
    parser.add_argument("--only", default="", help="networks, formats and structures whose words hold this text")
    parser.add_argument(
        "--rows", type=Path, help="keep rows in this file, and take those that are in it for the same projects"
    )
    arguments = parser.parse_args()
    if arguments.page and arguments.only:
        parser.error("--page needs every network: leave --only out")
    found, passed = [], True
    print(HEAD)
    for job in jobs(arguments.only):
        if not job.network.there:
            print(f"{job.network.name}: left out, {job.network.model} is not there", file=sys.stderr)
            if arguments.page:
                parser.error("--page needs every network")
            continue
        text, sound = compared(job, Rows(arguments.rows))
        found.append(text)
        print(text, flush=True)
        passed = passed and sound
    if arguments.page and passed:
        text = arguments.page.read_text(encoding="utf-8")
        before, after = text.split(START)[0], text.split(END)[1]
        arguments.page.write_text("\n".join([f"{before}{START}", HEAD, *found, f"{END}{after}"]), encoding="utf-8")
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
