"""Compare emitted C++ of whole networks with the simulator, both targets: `make cosim`."""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from networks import NETWORKS, Network

import fxnorm as fx
from fxnorm.data import Data
from fxnorm.hls.choices import Choices
from fxnorm.hls.cosim import cosim
from fxnorm.hls.cosim_report import CosimReport
from fxnorm.hls.emit import emit
from fxnorm.planning.options import Options
from fxnorm.study import Study

FORMATS = ("q5.3", "q8.8")
START, END = "<!-- networks: make cosim -->", "<!-- end of networks -->"


@dataclass(frozen=True)
class Job:
    """One design of a network."""

    network: Network
    format: str
    io: str


def jobs(only: str = "") -> Iterator[Job]:
    """Every network in every format, dense ones also without streams."""
    for network in NETWORKS:
        for format_ in FORMATS:
            for io in ("stream", "parallel") if network.dense else ("stream",):
                job = Job(network, format_, io)
                if only in f"{network.name} {format_} {io}":
                    yield job


def run(job: Job, folder: Path, targets: str = "all", **options: object) -> CosimReport:
    """Emit a network and compare it."""
    network = job.network
    graph = fx.load(network.model)
    data = Data.open(network.data, graph) if network.data is not None else Data.random(graph, network.frames)
    plan = Study(graph, data, keep=False).plan(Options.make(format=job.format))
    name = network.name
    emit(plan, folder / name, Choices.make(targets, io=job.io), data.head(network.frames), frames=network.frames)
    return cosim(folder / name, **options)  # type: ignore[arg-type]


def row(job: Job, report: CosimReport) -> str:
    """A line of the table."""
    samples = f"{report.frames} {'labelled' if job.network.data is not None else 'random'}"
    codes = sum(output.compared for own in report.targets for flavour in own.flavours for output in flavour.outputs)
    layers = len(report.targets[0].flavours[0].layers)
    seconds = " / ".join(f"{own.compile_seconds:.0f} s" for own in report.targets)
    differing = sum(layer.differing for own in report.targets for flavour in own.flavours for layer in flavour.layers)
    compared = sum(layer.compared for own in report.targets for flavour in own.flavours for layer in flavour.layers)
    verdict = "0" if report.passed else f"FAIL ({report.differing})"
    fifos = report.targets[0].fifos or "–"
    return (
        f"| {job.network.name} | {job.format} | {job.io} | {samples} | {layers} | {fifos} | {codes:,} | {verdict} | {compared:,} | "
        f"{differing} | {seconds} |"
    )


HEAD = (
    "| network | format | io | samples | layers | FIFOs | output codes | differ | codes of all layers | differ "
    "| compiled, vitis / catapult |\n"
    "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |"
)


def main() -> int:
    """Print the table; 1 if any code differs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--page", type=Path, help="put the table into this page")
    parser.add_argument("--only", default="", help="networks, formats and structures whose words hold this text")
    arguments = parser.parse_args()
    if arguments.page and arguments.only:
        parser.error("--page needs every network: leave --only out")
    began, rows, passed = time.monotonic(), [], True
    print(HEAD)
    for job in jobs(arguments.only):
        if not job.network.there:
            print(f"{job.network.name}: left out, {job.network.model} is not there", file=sys.stderr)
            if arguments.page:
                parser.error("--page needs every network")
            continue
        scratch = Path(tempfile.mkdtemp(prefix="fxnorm-networks-"))
        try:
            report = run(job, scratch, layers=True)
        finally:
            shutil.rmtree(scratch)
        rows.append(row(job, report))
        print(rows[-1], flush=True)
        passed = passed and report.passed
    print(f"{time.monotonic() - began:.0f} s")
    if arguments.page and passed:
        text = arguments.page.read_text(encoding="utf-8")
        before, after = text.split(START)[0], text.split(END)[1]
        arguments.page.write_text("\n".join([f"{before}{START}", HEAD, *rows, f"{END}{after}"]), encoding="utf-8")
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
