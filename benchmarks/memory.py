"""Peak memory of whole processes: fxnorm and onnxruntime on one batch, and fxnorm on more and more samples."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np

import fxnorm as fx
from benchmarks.measure import Effort, Growth, Missing, Row, Task
from benchmarks.models import CORES, ROOT, graph_of, path_of, samples_of

BATCHES = (("resnet8", 200), ("ad_autoencoder", 1000), ("dscnn", 500))
SIZES = (200, 800, 3200)

RUN_ONNXRUNTIME = """
import numpy, onnxruntime
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = {cores}
session = onnxruntime.InferenceSession({model!r}, options)
session.run(None, {{session.get_inputs()[0].name: numpy.load({samples!r})}})
"""
RUN_PLAN = """
import numpy
import fxnorm as fx
fx.simulate(fx.load_plan({plan!r}), numpy.load({samples!r}))
"""
RUN_MODEL = """
import numpy
import fxnorm as fx
samples = numpy.load({samples!r})
graph = fx.load({model!r})
fx.simulate(fx.plan(graph, fx.calibrate(graph, samples[:50]), "q5.3"), samples)
"""
RUN_COMMAND = """
import sys
from fxnorm.cli import main
sys.argv = ["fxnorm", "simulate", {model!r}, "--format", "q5.3", "--data", {samples!r}]
sys.stdout = sys.stderr
try:
    main()
except SystemExit as end:
    assert not end.code
sys.stdout = sys.__stdout__
"""
PEAK = """
print(next(line for line in open("/proc/self/status") if line.startswith("VmHWM")).split()[1])
"""


def rows(effort: Effort) -> Iterator[tuple[str, Task]]:
    """The ratios, with a plan at hand and from the model on, and how memory grows."""
    for name, count in BATCHES[: 1 if effort.quick else None]:
        for whole in (False, True):
            yield f"memory, {name}", partial(_ratio, name, effort.samples(count), whole)
    yield "memory against samples", partial(_flat, tuple(effort.samples(size) for size in SIZES))


def _ratio(name: str, count: int, whole: bool) -> Row:
    path = path_of(name)
    samples = samples_of(name, count)
    graph = graph_of(path)
    with tempfile.TemporaryDirectory() as folder:
        data, plan = Path(folder) / "samples.npy", Path(folder) / "plan"
        np.save(data, samples)
        fx.save_plan(fx.plan(graph, fx.calibrate(graph, samples[:50]), "q5.3"), plan)
        names = {"model": str(path), "samples": str(data), "plan": str(plan), "cores": CORES}
        program = RUN_MODEL if whole else RUN_PLAN
        ours, theirs = peak(program.format(**names)), peak(RUN_ONNXRUNTIME.format(**names))
        np.save(data, samples[:1])
        empty = peak(program.format(**names)), peak(RUN_ONNXRUNTIME.format(**names))
    work = "calibrate, plan and simulate" if whole else "simulate a plan of"
    return Row(
        f"peak memory: {work} {name}, {count:,} samples, q5.3",
        ours,
        theirs,
        "onnxruntime FP32",
        ("at most 3 ×", ours <= 3 * theirs),
        f"with one sample {empty[0]:.0f} and {empty[1]:.0f} MB",
        "MB",
    )


def _flat(sizes: tuple[int, ...]) -> Growth:
    """The whole command, with all comparisons."""
    path = path_of("resnet8")
    lines = []
    with tempfile.TemporaryDirectory() as folder:
        for size in sizes:
            data = Path(folder) / f"{size}.npy"
            np.save(data, samples_of("resnet8", size))
            found = peak(RUN_COMMAND.format(model=str(path), samples=str(data)))
            lines.append((f"{size:,}", f"{data.stat().st_size / 1e6:.1f} MB", f"{found:.0f} MB"))
    return Growth(
        "Peak memory against samples: `fxnorm simulate resnet8.onnx --format q5.3 --data X.npy`, FP32 comparison included",
        ("samples", "their size", "peak of the process"),
        tuple(lines),
    )


def peak(program: str) -> float:
    """Largest resident memory of a process that runs a program, in MB.

    Raises
    ------
    Missing
        Where the system does not tell.
    """
    if not Path("/proc/self/status").is_file():
        raise Missing("this system does not tell the peak memory of a process")
    done = subprocess.run([sys.executable, "-c", program + PEAK], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr[-300:])
    return int(done.stdout.split()[-1]) * 1024 / 1e6
