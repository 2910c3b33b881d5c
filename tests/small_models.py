"""ONNX models of a few nodes, and samples for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

Array = np.ndarray


def floats(name: str, shape: Sequence[int | str | None]) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)


def integers(name: str, shape: Sequence[int | str | None]) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.INT64, shape)


def model(
    nodes: Sequence[onnx.NodeProto],
    inputs: Sequence[onnx.ValueInfoProto],
    outputs: Sequence[onnx.ValueInfoProto],
    constants: Mapping[str, Array] | None = None,
) -> onnx.ModelProto:
    initializers = [numpy_helper.from_array(np.asarray(array), name) for name, array in (constants or {}).items()]
    graph = helper.make_graph(nodes, "graph", inputs, outputs, initializers)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def dense(
    *, name: str = "dense", x: str = "x", y: str = "y", weights: Array | None = None, batch: int | str = "N"
) -> onnx.ModelProto:
    """Four inputs, three classes: Gemm and Relu."""
    generator = np.random.default_rng(0)
    weights = generator.normal(size=(4, 3)).astype(np.float32) if weights is None else weights
    bias = generator.normal(size=3).astype(np.float32)
    nodes = [
        helper.make_node("Gemm", [x, "weights", "bias"], ["hidden"], name=name),
        helper.make_node("Relu", ["hidden"], [y], name="relu"),
    ]
    return model(nodes, [floats(x, [batch, 4])], [floats(y, [batch, 3])], {"weights": weights, "bias": bias})


def save(proto: onnx.ModelProto, path: Path) -> Path:
    path.write_bytes(proto.SerializeToString())
    return path


def samples(count: int = 10, *, seed: int = 1) -> Array:
    """Inputs of `dense`."""
    return np.random.default_rng(seed).normal(size=(count, 4)).astype(np.float32)
