"""Small ONNX models in which functions are spelled out, for tests of what is recognized in them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

Array = np.ndarray


class Speller:
    """Writes nodes one after the other; every method returns the name of what it made.

    Parameters
    ----------
    shape
        Of the input `x`.
    opset
        Of the model.
    """

    def __init__(self, *shape: int, opset: int = 18) -> None:
        self.shape = shape
        self.opset = opset
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self.inputs = {"x": shape}
        self.outputs: list[str] = []

    def constant(self, value: Any, dtype: Any = np.float32) -> str:
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(value, dtype), name))
        return name

    def node(self, op: str, *inputs: Any, **attributes: Any) -> str:
        """Numbers and arrays among the inputs become constants."""
        names = [entry if isinstance(entry, str) else self.constant(entry) for entry in inputs]
        output = f"v{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, names, [output], name=f"{op}{len(self.nodes)}", **attributes))
        return output

    def __getattr__(self, op: str) -> Callable[..., str]:
        return lambda *inputs, **attributes: self.node(op, *inputs, **attributes)

    def reduce(self, op: str, x: str, axes: tuple[int, ...], keepdims: int = 1) -> str:
        if self.opset < (13 if op == "ReduceSum" else 18):
            return self.node(op, x, axes=list(axes), keepdims=keepdims)
        return self.node(op, x, self.constant(axes, np.int64), keepdims=keepdims)

    def reshape(self, x: str, *shape: int) -> str:
        return self.node("Reshape", x, self.constant(shape, np.int64))

    def model(self, *outputs: str) -> onnx.ModelProto:
        """The model with the outputs `y0`, `y1`, …"""
        names = [f"y{index}" for index in range(len(outputs))]
        nodes = [*self.nodes]
        nodes += [helper.make_node("Identity", [value], [name]) for value, name in zip(outputs, names, strict=True)]
        graph = helper.make_graph(
            nodes,
            "spelled",
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in self.inputs.items()],
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in names],
            self.constants,
        )
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", self.opset)], ir_version=10)
