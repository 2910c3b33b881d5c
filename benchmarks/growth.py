"""How time grows with samples, width, depth, and the number of formats."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import onnx
from onnx import ModelProto

import fxnorm as fx
from benchmarks.measure import Effort, Growth, Task, in_turn, median
from benchmarks.models import dense_stack, given, graph_of, onnxruntime_of, path_of, samples_of
from fxnorm.data import Data
from fxnorm.planning.options import Options
from fxnorm.simulation import Simulator
from fxnorm.study import Study

Array = np.ndarray


def rows(effort: Effort) -> Iterator[tuple[str, Task]]:
    """A table each."""
    few = effort.at_most(5)
    yield "time against samples", partial(_samples, few)
    yield "time against width", partial(_stacks, "width", [(width, 4) for width in (64, 128, 256, 512, 1024)], few)
    yield "time against depth", partial(_stacks, "depth", [(256, depth) for depth in (2, 4, 8, 16, 32)], few)
    yield "time against formats", partial(_formats, few)


def _samples(effort: Effort) -> Growth:
    path = path_of("resnet8")
    graph = graph_of(path)
    plan = fx.plan(graph, fx.calibrate(graph, samples_of("resnet8", 50)), "q5.3")
    simulator, session = Simulator(plan), onnxruntime_of(path)
    size = simulator.chunk_size()
    lines = []
    for count in map(effort.samples, (25, 50, 100, 200, 400, 800)):
        samples = samples_of("resnet8", count)
        chunks = [samples[start : start + size] for start in range(0, count, size)]
        inputs = [given(graph, chunk) for chunk in chunks]
        ours, theirs = in_turn(
            lambda inputs=inputs: [simulator.run(chunk) for chunk in inputs],  # type: ignore[misc]
            lambda chunks=chunks: [session.run(None, {graph.inputs[0]: x}) for x in chunks],  # type: ignore[misc]
            effort,
        )
        lines.append((f"{count:,}", *_cells(ours, theirs, count)))
    return Growth("Time against samples: resnet8, q5.3", ("samples", *_HEADING, "a sample"), tuple(lines))


_HEADING = ("fxnorm", "onnxruntime FP32", "ratio")


def _cells(ours: float, theirs: float, count: int) -> tuple[str, ...]:
    return f"{ours * 1e3:.2f} ms", f"{theirs * 1e3:.2f} ms", f"{ours / theirs:.2f}", f"{ours / count * 1e6:.0f} µs"


def _stacks(what: str, sizes: list[tuple[int, int]], effort: Effort) -> Growth:
    lines = []
    count = effort.samples(1000)
    for width, depth in sizes[: 2 if effort.quick else None]:
        ours, theirs = _stack(dense_stack(width, depth), width, count, effort)
        additions = count * width * width * depth
        rate = f"{additions / ours / 1e9:.1f}"
        size = width if what == "width" else depth
        lines.append((f"{size:,}", *_cells(ours, theirs, count)[:3], rate))
    fixed = "4 dense layers" if what == "width" else "dense layers of width 256"
    heading = (what, *_HEADING, "GMAC/s")
    return Growth(f"Time against {what}: {fixed}, {count:,} samples, q5.3", heading, tuple(lines))


def _stack(model: ModelProto, width: int, count: int, effort: Effort) -> tuple[float, float]:
    samples = np.random.default_rng(0).normal(0, 1, (count, width)).astype(np.float32)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "stack.onnx"
        onnx.save(model, path)
        graph, session = fx.load(path), onnxruntime_of(path)
    simulator = Simulator(fx.plan(graph, fx.calibrate(graph, samples[:50]), "q5.3"))
    inputs = given(graph, samples)
    return in_turn(lambda: simulator.run(inputs), lambda: session.run(None, {"x": samples}), effort)


def _formats(effort: Effort) -> Growth:
    """One study for all formats: import, FP32 values, statistics and codes of weights are there after the first."""
    count = effort.samples(200)
    images = samples_of("resnet8", count)
    path = path_of("resnet8")
    lines, first = [], 0.0
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "images.npy"
        np.save(data, images)

        def work(formats: int) -> None:
            graph = fx.load(path)
            study = Study(graph, Data.open(data, graph))
            for i in range(formats):
                study.evaluate(study.plan(Options.make(f"q{4 + i % 4}.{2 + i // 4}")))

        for formats in (1, 2, 4) if effort.quick else (1, 5, 10, 20, 40):
            taken = median(lambda formats=formats: work(formats), effort.at_most(1 if formats > 10 else 5))  # type: ignore[misc]
            first = first or taken
            each = "" if formats == 1 else f"{(taken - first) / (formats - 1) * 1e3:.0f} ms"
            lines.append((f"{formats}", f"{taken:.2f} s", each))
    return Growth(
        f"Time against formats: resnet8, {count} images, from the file to errors and counts of every value, in one process",
        ("formats", "time", "each after the first"),
        tuple(lines),
    )
