"""What is measured: networks from files, networks of one layer made here, and onnxruntime as its users run it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

import fxnorm as fx
from benchmarks.measure import Missing
from fxnorm.graph.graph import Graph

ROOT = Path(__file__).resolve().parents[1]
MODELS = ROOT.parent / "shared" / "models"
"""Networks of MLPerf Tiny, which are no part of the repository."""
CORES = len(os.sched_getaffinity(0))
Array = np.ndarray

SAMPLES: Mapping[str, tuple[float, float, tuple[int, ...]]] = {
    "resnet8": (0.0, 255.0, (32, 32, 3)),
    "ad_autoencoder": (-80.0, 0.0, (640,)),
    "dscnn": (-120.0, 30.0, (49, 10, 1)),
}
"""Ranges and shapes of inputs."""


def path_of(name: str) -> Path:
    """A network's file.

    Raises
    ------
    Missing
        If it is not there.
    """
    path = MODELS / f"{name}.onnx"
    if not path.is_file():
        raise Missing(f"{name}.onnx is not in ../shared/models")
    return path


@cache
def graph_of(path: Path) -> Graph:
    """An imported model."""
    return fx.load(path)


def samples_of(name: str, count: int) -> Array:
    """Random samples in the range of a network's inputs, float32."""
    low, high, shape = SAMPLES[name]
    return np.random.default_rng(0).uniform(low, high, (count, *shape)).astype(np.float32)


def given(graph: Graph, samples: Array) -> dict[str, Array]:
    """Samples as `Simulator.run` takes them."""
    name = graph.inputs[0]
    return {name: samples.reshape(-1, *graph.shape(name))}


def onnxruntime_of(model: Path | bytes, *, spinning: bool = False) -> Any:
    """A session of onnxruntime on the same cores.

    Parameters
    ----------
    spinning
        Whether its threads wait in busy loops, as they do by default: they would take a core from whatever is measured next.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = CORES
    options.log_severity_level = 4
    options.add_session_config_entry("session.intra_op.allow_spinning", str(int(spinning)))
    source = str(model) if isinstance(model, Path) else model
    return onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])


def network(
    nodes: Sequence[NodeProto], constants: Mapping[str, Array], inputs: tuple[int, ...], outputs: tuple[int, ...]
) -> ModelProto:
    """A model from x [n, *inputs] to y [n, *outputs]."""
    graph = helper.make_graph(
        list(nodes),
        "network",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", *inputs])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", *outputs])],
        [numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def dense_stack(width: int, depth: int) -> ModelProto:
    """Square dense layers with ReLU."""
    rng = np.random.default_rng(depth)
    nodes, constants = [], {}
    for i in range(depth):
        constants[f"w{i}"] = rng.normal(0, (2 / width) ** 0.5, (width, width)).astype(np.float32)
        nodes.append(helper.make_node("MatMul", ["x" if i == 0 else f"r{i - 1}", f"w{i}"], [f"a{i}"]))
        nodes.append(helper.make_node("Relu", [f"a{i}"], ["y" if i == depth - 1 else f"r{i}"]))
    return network(nodes, constants, (width,), (width,))
