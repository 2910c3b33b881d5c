"""Models of one node, for a kernel by itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

Array = np.ndarray

INPUT: Final = "x"
OUTPUT: Final = "y"
OPSET: Final = 24


@dataclass(frozen=True)
class OneNode:
    """A node, its input and its constants.

    Attributes
    ----------
    op
        ONNX operator.
    shape
        Of its one input, `INPUT`, the batch axis included.
    constants
        Its other inputs, in their order, by name; None: left out.
    attributes
        Of the node.
    name
        Of the node.
    """

    op: str
    shape: tuple[int, ...]
    constants: Mapping[str, Array | None] = field(default_factory=dict)
    attributes: Mapping[str, Any] = field(default_factory=dict)
    name: str = "kernel"

    def model(self) -> Any:
        """The model: an `onnx.ModelProto`."""
        from onnx import TensorProto, helper, numpy_helper

        given = {name: array for name, array in self.constants.items() if array is not None}
        inputs = [INPUT, *(name if name in given else "" for name in self.constants)]
        node = helper.make_node(self.op, inputs, [OUTPUT], name=self.name, **self.attributes)
        graph = helper.make_graph(
            [node],
            self.name,
            [helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, self.shape)],
            [helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, None)],
            [numpy_helper.from_array(np.asarray(array, np.float32), name) for name, array in given.items()],
        )
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)])
