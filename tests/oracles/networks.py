"""Small networks made in memory: one that has every kernel, and plain ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

OPSET = 21


def model(nodes, inputs, outputs, constants):
    """ModelProto of nodes; inputs are (name, shape) or (name, shape, type), outputs (name, shape)."""
    declared = [
        helper.make_tensor_value_info(name, rest[0] if rest else TensorProto.FLOAT, shape)
        for name, shape, *rest in inputs
    ]
    results = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in outputs]
    held = [numpy_helper.from_array(np.ascontiguousarray(array), name) for name, array in constants.items()]
    graph = helper.make_graph(nodes, "network", declared, results, held)
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)])
    proto.ir_version = 10
    onnx.checker.check_model(proto, full_check=True)
    return proto


def node(op, inputs, output, **attributes):
    """Node named after its output."""
    return helper.make_node(op, inputs.split(), [output], name=output, **attributes)


def weights(seed, *shape, scale=1.0):
    """Normal random weights in float32."""
    return np.random.default_rng(seed).normal(0.0, scale, shape).astype(np.float32)


def dense(seed=0, inputs=6, hidden=5, outputs=3):
    """Two dense layers with a ReLU between."""
    return model(
        [
            node("Gemm", "x w1 b1", "hidden"),
            node("Relu", "hidden", "active"),
            node("Gemm", "active w2 b2", "scores"),
        ],
        [("x", [1, inputs])],
        [("scores", [1, outputs])],
        {
            "w1": weights(seed, inputs, hidden),
            "b1": weights(seed + 1, hidden),
            "w2": weights(seed + 2, hidden, outputs),
            "b2": weights(seed + 3, outputs),
        },
    )


def every_kernel():
    """A network with two inputs, an image and four token numbers, in which every kernel has a layer."""
    nodes = [
        node("Conv", "image wc bc", "conv", kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
        node("BatchNormalization", "conv gamma beta mean variance", "norm"),
        node("Relu", "norm", "relu"),
        node("MaxPool", "relu", "pooled", kernel_shape=[2, 2], strides=[2, 2]),
        node("AveragePool", "relu", "averaged", kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1]),
        node("Add", "pooled averaged", "sum"),
        node("Mul", "sum per_channel", "scaled"),
        node("Sigmoid", "scaled", "gate"),
        node("Mul", "gate sum", "gated"),
        node("Abs", "pooled", "size"),
        node("Add", "size one", "divisor"),
        node("Div", "gated divisor", "quotient"),
        node("Pad", "quotient pads filler", "padded"),
        node("Concat", "padded ring", "joined", axis=1),
        node("Transpose", "joined", "turned", perm=[0, 2, 3, 1]),
        node("Slice", "turned starts ends axes steps", "sliced"),
        node("ReduceMean", "sliced two", "row", keepdims=0),
        node("Gather", "table tokens", "embedded", axis=0),
        node("MatMul", "row embedded_t", "attention"),
        node("Transpose", "embedded", "embedded_t", perm=[0, 2, 1]),
        node("Softmax", "attention", "weights", axis=-1),
        node("MatMul", "weights embedded", "context"),
        node("ReduceMax", "context one_axis", "best", keepdims=0),
        node("LogSoftmax", "best", "log"),
        node("Gemm", "best wd bd", "scores"),
    ]
    order = {n.name: n for n in nodes}
    names = [n.name for n in nodes]
    names.insert(names.index("attention"), names.pop(names.index("embedded_t")))
    constants = {
        "wc": weights(1, 3, 2, 3, 3, scale=0.4),
        "bc": weights(2, 3, scale=0.2),
        "gamma": np.array([1.0, 0.5, 2.0], np.float32),
        "beta": np.array([0.0, 0.3, -0.2], np.float32),
        "mean": np.array([0.1, -0.1, 0.0], np.float32),
        "variance": np.array([1.0, 0.6, 2.0], np.float32),
        "per_channel": np.array([0.7, -1.3, 2.1], np.float32).reshape(1, 3, 1, 1),
        "one": np.array(1.0, np.float32),
        "pads": np.array([0, 0, 1, 0, 0, 0, 0, 1], np.int64),
        "filler": np.array(0.5, np.float32),
        "ring": weights(3, 1, 1, 4, 4, scale=0.5),
        "starts": np.array([2, 0], np.int64),
        "ends": np.array([-100, 4], np.int64),
        "axes": np.array([1, 2], np.int64),
        "steps": np.array([-1, 2], np.int64),
        "two": np.array([2], np.int64),
        "one_axis": np.array([1], np.int64),
        "table": weights(4, 7, 4),
        "wd": weights(5, 4, 3),
        "bd": weights(6, 3, scale=0.3),
    }
    return model(
        [order[name] for name in names],
        [("image", [1, 2, 6, 6]), ("tokens", [1, 4], TensorProto.INT64)],
        [("scores", [1, 3]), ("log", [1, 4])],
        constants,
    )


def normalizations():
    """Layer normalization with its statistics, local response and L2 normalization of one image."""
    return model(
        [
            helper.make_node(
                "LayerNormalization", ["x", "gamma", "beta"], ["norm", "mean", "inverse"], name="norm", axis=2
            ),
            node("LRN", "norm", "local", size=3),
            node("LpNormalization", "local", "length", axis=1, p=1),
        ],
        [("x", [1, 4, 3, 4])],
        [("length", [1, 4, 3, 4]), ("mean", [1, 4, 1, 1]), ("inverse", [1, 4, 1, 1])],
        {"gamma": weights(7, 3, 4), "beta": weights(8, 3, 4)},
    )


def masked():
    """Attention weights of three places that see themselves and what came before them."""
    future = np.triu(np.full((3, 3), -np.inf, np.float32), 1)
    return model(
        [
            node("MatMul", "x w", "scores"),
            node("Add", "scores future", "causal"),
            node("Softmax", "causal", "weights", axis=-1),
            node("MatMul", "weights x", "y"),
        ],
        [("x", [1, 3, 4])],
        [("y", [1, 3, 4])],
        {"w": weights(12, 4, 3), "future": future},
    )


def clipped():
    """Convolutions behind each other whose clips have the largest floats for "no limit", as exporters write them."""
    largest = np.array(np.finfo(np.float32).max, np.float32)
    return model(
        [
            node("Conv", "x w b", "conv", kernel_shape=[3]),
            node("Clip", "conv lowest six", "upper"),
            node("Conv", "upper v", "wide", kernel_shape=[2]),
            node("Clip", "wide zero highest", "y"),
        ],
        [("x", [1, 2, 8])],
        [("y", [1, 2, 5])],
        {
            "w": weights(9, 3, 2, 3),
            "b": weights(10, 3),
            "v": weights(11, 2, 3, 2),
            "lowest": -largest,
            "highest": largest,
            "six": np.array(1.5, np.float32),
            "zero": np.array(0.0, np.float32),
        },
    )


def samples(count, seed=0, proto=None):
    """Inputs of `every_kernel` (or of a network whose one input is x)."""
    rng = np.random.default_rng(seed)
    if proto is None:
        return {
            "image": rng.normal(0, 1, (count, 2, 6, 6)).astype(np.float32),
            "tokens": rng.integers(0, 7, (count, 4)),
        }
    shape = [d.dim_value for d in proto.graph.input[0].type.tensor_type.shape.dim]
    return rng.normal(0, 1, (count * shape[0], *shape[1:])).astype(np.float32)


def real_models():
    """The folder of trained models beside the repository, or None."""
    folder = Path(__file__).resolve().parents[2] / ".." / "shared" / "models"
    return folder if folder.is_dir() else None
