"""Whole networks against onnxruntime FP32 and a NumPy int64 model of the same plan."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np

import fxnorm as fx
from benchmarks import int64_model
from benchmarks.measure import Effort, Row, Task, at_most, in_turn, median
from benchmarks.models import ROOT, given, graph_of, onnxruntime_of, path_of, samples_of
from fxnorm.planning.plan import Plan
from fxnorm.simulation import Simulator

Array = np.ndarray
CASES = (
    ("resnet8", 200, "q5.3", 1.5),
    ("ad_autoencoder", 1000, "q5.3", 1.5),
    ("dscnn", 500, "q5.3", 2.0),
    ("resnet8", 200, "q8.8", 4.0),
)
"""Network, samples, format, and how many times onnxruntime's time it may take."""


def rows(effort: Effort) -> Iterator[tuple[str, Task]]:
    """The targets; then without a target: the trained examples, 16-bit networks, and NumPy."""
    for name, count, format_, limit in CASES:
        yield f"{name}, {format_}", partial(_target, name, effort.samples(count), format_, limit, effort)
    yield "resnet8, narrow accumulators", partial(_narrow, effort.samples(200), effort)
    yield "spinning threads", partial(_spinning, effort.samples(200), effort)
    for name, count in (("ad_autoencoder", 1000), ("dscnn", 500)):
        yield f"{name}, q8.8", partial(_target, name, effort.samples(count), "q8.8", None, effort)
    for name in ("digits_dense", "digits_conv"):
        yield name, partial(_example, name, effort)
    for name, count in (("ad_autoencoder", 100), ("resnet8", 8)):
        yield f"{name} in NumPy int64", partial(_against_numpy, name, effort.samples(count), effort.at_most(5))


def _against_onnxruntime(path: Path, samples: Array, format_: str, limit: float | None, effort: Effort) -> Row:
    graph = graph_of(path)
    plan = fx.plan(graph, fx.calibrate(graph, samples[:50]), format_)
    simulator, session, inputs = Simulator(plan), onnxruntime_of(path), given(graph, samples)
    ours, theirs = in_turn(lambda: simulator.run(inputs), lambda: session.run(None, {graph.inputs[0]: samples}), effort)
    target = None if limit is None else at_most(limit, ours, theirs)
    return Row(f"{path.stem}, {len(samples):,} samples, {format_}", ours, theirs, "onnxruntime FP32", target)


def _target(name: str, count: int, format_: str, limit: float | None, effort: Effort) -> Row:
    return _against_onnxruntime(path_of(name), samples_of(name, count), format_, limit, effort)


def _spinning(count: int, effort: Effort) -> Row:
    """onnxruntime with itself: each way by itself, since threads that spin would slow the other one down."""
    path, samples = path_of("resnet8"), samples_of("resnet8", count)
    times = []
    for spinning in (True, False):
        session = onnxruntime_of(path, spinning=spinning)
        given_samples = {session.get_inputs()[0].name: samples}
        times.append(median(lambda session=session, inputs=given_samples: session.run(None, inputs), effort))  # type: ignore[misc]
        del session
    return Row(
        f"onnxruntime FP32 itself, its threads spinning: resnet8, {count} samples",
        *times,
        "onnxruntime FP32, not spinning",
    )


def _example(name: str, effort: Effort) -> Row:
    with np.load(ROOT / "examples" / f"{name}_test.npz") as data:
        samples = next(data[key] for key in data.files if key != "labels").astype(np.float32)
    return _against_onnxruntime(ROOT / "examples" / f"{name}.onnx", samples, "q5.3", None, effort)


def narrow_plan(path: Path, images: Array) -> Plan:
    """q5.3 with saturating accumulators, each two bits narrower than the narrowest that cannot overflow."""
    graph = graph_of(path)
    ranges = fx.calibrate(graph, images)
    exact = fx.plan(graph, ranges, "q5.3")
    rules = []
    for layer in exact.layers:
        accumulator = layer.kernel.accumulator_format() if layer.kernel.kind == "linear" else None
        if accumulator is not None:
            narrow = f"q{accumulator.integer_bits - 2}.{accumulator.fraction_bits}:trn,sat"
            rules.append(f"{layer.name}:accumulator={narrow}")
    return fx.plan(graph, ranges, "q5.3", layers=rules)


def _narrow(count: int, effort: Effort) -> Row:
    path, images = path_of("resnet8"), samples_of("resnet8", count)
    graph = graph_of(path)
    plan = narrow_plan(path, images[:50])
    simulator, session, inputs = Simulator(plan), onnxruntime_of(path), given(graph, images)
    simulator.run(inputs)
    reports = simulator.take().values()
    additions = sum(report.usage.additions for report in reports)
    lost = sum(report.usage.accumulator_overflow for report in reports)
    ours, theirs = in_turn(
        lambda: simulator.run(inputs), lambda: session.run(None, {graph.inputs[0]: images}), effort.at_most(5)
    )
    rate = additions / ours / 1e9
    return Row(
        f"resnet8, {count} samples, q5.3, every accumulator saturating and two bits too narrow",
        ours,
        theirs,
        "onnxruntime FP32",
        ("at least 0.5 GMAC/s", rate >= 0.5),
        f"{rate:.2f} GMAC/s; {lost:,} of {additions:,} additions saturate",
    )


def _against_numpy(name: str, count: int, effort: Effort) -> Row:
    path, samples = path_of(name), samples_of(name, count)
    graph = graph_of(path)
    plan = fx.plan(graph, fx.calibrate(graph, samples), "q5.3")
    simulator, inputs = Simulator(plan), given(graph, samples)
    codes = int64_model.run(plan, inputs)
    for value, array in simulator.run(inputs).items():
        if not np.array_equal(codes[value], array):
            raise AssertionError(f"{name}: {value} differs from the model in NumPy")
    ours, theirs = in_turn(lambda: simulator.run(inputs), lambda: int64_model.run(plan, inputs), effort)
    return Row(
        f"{name}, {count} samples, q5.3", ours, theirs, "NumPy int64", None, "same codes, which NumPy does not count"
    )
