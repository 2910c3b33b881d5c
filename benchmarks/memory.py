"""Peak memory of whole processes: fxnorm and onnxruntime on one batch, and fxnorm on more and more samples."""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
from collections.abc import Iterator
from functools import partial

from benchmarks.measure import Effort, Growth, Row, Task
from benchmarks.models import ROOT, given, graph_of, onnxruntime_of, path_of, samples_of

NETWORK = "resnet8"
SIZES = (200, 800, 3200)


def rows(effort: Effort) -> Iterator[tuple[str, Task]]:
    """The ratio, and how memory grows."""
    for name, count in (("resnet8", 200), ("ad_autoencoder", 1000), ("dscnn", 500)):
        if name == NETWORK or not effort.quick:
            yield f"memory, {name}", partial(_ratio, name, effort.samples(count))
    yield "memory against samples", partial(_flat, tuple(effort.samples(size) for size in SIZES))


def _ratio(name: str, count: int) -> Row:
    path_of(name)
    ours, theirs = peak("fxnorm", name, count), peak("onnxruntime", name, count)
    return Row(
        f"peak memory: plan and simulate {name}, {count:,} samples, q5.3",
        ours,
        theirs,
        "onnxruntime FP32",
        ("at most 3 ×", ours <= 3 * theirs),
        "whole processes, libraries included",
        "MB",
    )


def _flat(sizes: tuple[int, ...]) -> Growth:
    path_of(NETWORK)
    lines = []
    for size in sizes:
        data = size * 32 * 32 * 3 * 4 / 1e6
        lines.append((f"{size:,}", f"{data:.0f} MB", f"{peak('stream', NETWORK, size):.0f} MB"))
    return Growth(
        f"Peak memory against samples: {NETWORK}, q5.3, samples from a generator of chunks",
        ("samples", "their size", "peak of the process"),
        tuple(lines),
    )


def peak(who: str, name: str, count: int) -> float:
    """Peak resident memory of a process that does the work, in MB."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.memory", who, name, str(count)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return float(done.stdout.split()[-1])


def _work(who: str, name: str, count: int) -> None:
    """What a process does that is measured."""
    if who == "onnxruntime":
        session = onnxruntime_of(path_of(name))
        session.run(None, {session.get_inputs()[0].name: samples_of(name, count)})
        return
    import fxnorm as fx
    from fxnorm.simulation import Simulator

    graph = graph_of(path_of(name))
    if who == "fxnorm":
        samples = samples_of(name, count)
        fx.simulate(fx.plan(graph, fx.calibrate(graph, samples[:50]), "q5.3"), samples)
        return
    head = samples_of(name, 50)
    simulator = Simulator(fx.plan(graph, fx.calibrate(graph, head), "q5.3"))
    size = simulator.chunk_size()
    for start in range(0, count, size):
        simulator.run(given(graph, samples_of(name, min(size, count - start))))


def main() -> None:
    """Do one piece of work and print the peak."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("who", choices=("fxnorm", "onnxruntime", "stream"))
    parser.add_argument("name")
    parser.add_argument("count", type=int)
    arguments = parser.parse_args()
    _work(arguments.who, arguments.name, arguments.count)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3)


if __name__ == "__main__":
    main()
