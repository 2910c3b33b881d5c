"""From a change of format to the next result: fxnorm's plan and simulation against hls4ml's C++, its compile time apart."""

from __future__ import annotations

import json
import statistics
import subprocess
import tempfile
from collections.abc import Iterator
from functools import cache, partial
from pathlib import Path

import onnx
from onnx import TensorProto, helper

import fxnorm as fx
from benchmarks.measure import Effort, Missing, Row, Task, faster, seconds
from benchmarks.models import ROOT, given, path_of, samples_of
from fxnorm.simulation import Simulator

PYTHON = ROOT / ".venv-bench" / "bin" / "python"
FORMATS = ("q5.3", "q5.4", "q6.2", "q6.3", "q4.4", "q5.5", "q7.1", "q4.5", "q6.4", "q5.6", "q4.6")
IMAGES, PREDICTED, RUNS = 200, 2, 5
"""hls4ml predicts few images, for it takes seconds for each; the rest is scaled up."""


def rows(effort: Effort) -> Iterator[tuple[str, Task]]:
    """The whole, and against the compile time alone."""
    yield "hls4ml", partial(_whole, effort)
    yield "hls4ml, compile alone", partial(_compile, effort)


def comparable(source: Path) -> onnx.ModelProto:
    """resnet8 as hls4ml takes it: channels first, a global pool for its average pool, and the scores before the softmax."""
    model = onnx.load(source)
    nodes, last = [], ""
    (transposed,) = (node.output[0] for node in model.graph.node if node.op_type == "Transpose")
    name = model.graph.input[0].name
    for node in model.graph.node:
        if node.op_type == "Transpose":
            continue
        if node.op_type == "Softmax":
            last = node.input[0]
            continue
        made = node
        if node.op_type in ("AveragePool", "Reshape"):
            kind = "GlobalAveragePool" if node.op_type == "AveragePool" else "Flatten"
            made = helper.make_node(kind, node.input[:1], node.output, node.name)
        inputs = [name if value == transposed else value for value in made.input]
        del made.input[:]
        made.input.extend(inputs)
        nodes.append(made)
    graph = helper.make_graph(
        nodes,
        "resnet8",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 3, 32, 32])],
        [helper.make_tensor_value_info(last, TensorProto.FLOAT, [1, 10])],
        list(model.graph.initializer),
    )
    return helper.make_model(graph, opset_imports=model.opset_import, ir_version=8)


@cache
def _hls4ml(runs: int) -> dict[str, float]:
    """Median seconds of each part.

    Raises
    ------
    Missing
        If its environment is not there.
    """
    if not PYTHON.is_file():
        raise Missing("hls4ml is not installed in .venv-bench")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "network.onnx"
        onnx.save(comparable(path_of("resnet8")), path)
        arguments = [str(path), str(PREDICTED), str(runs), folder]
        done = subprocess.run(
            [str(PYTHON), str(ROOT / "benchmarks" / "hls4ml_peer.py"), *arguments],
            check=False,
            capture_output=True,
            text=True,
        )
    if done.returncode:
        raise RuntimeError(f"hls4ml: {' '.join(done.stderr.split()[-30:])}")
    found = json.loads(done.stdout.splitlines()[-1])
    return {part: statistics.median(run[part] for run in found) for part in ("convert", "compile", "predict")}


@cache
def _ours(effort: Effort) -> float:
    """Median seconds from a format to the codes of all images, of a network whose ranges are known."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "network.onnx"
        onnx.save(comparable(path_of("resnet8")), path)
        graph = fx.load(path)
    images = samples_of("resnet8", effort.samples(IMAGES)).transpose(0, 3, 1, 2).copy()
    ranges, inputs = fx.calibrate(graph, images[:50]), given(graph, images)

    def work(format_: str) -> object:
        return Simulator(fx.plan(graph, ranges, format_)).run(inputs)

    for format_ in FORMATS[:2]:
        work(format_)
    return statistics.median(seconds(partial(work, format_)) for format_ in FORMATS[: max(effort.runs, 1)])


def _whole(effort: Effort) -> Row:
    count = effort.samples(IMAGES)
    parts = _hls4ml(1 if effort.quick else RUNS)
    predicted = parts["predict"] * count / PREDICTED
    ours, theirs = _ours(effort), parts["convert"] + parts["compile"] + predicted
    return Row(
        f"a change of format to the next result: plan and simulate resnet8, {count} images",
        ours,
        theirs,
        "hls4ml: convert, compile, predict",
        faster(20, ours, theirs),
        f"hls4ml: convert {parts['convert']:.1f} s, compile {parts['compile']:.1f} s, predict {predicted:.0f} s, "
        f"scaled up from {PREDICTED} images",
    )


def _compile(effort: Effort) -> Row:
    ours, theirs = _ours(effort), _hls4ml(1 if effort.quick else RUNS)["compile"]
    return Row("the same, against hls4ml's compile time alone", ours, theirs, "hls4ml: compile", None)
