"""What is to be computed: an ONNX model, simplified, with every shape known.

A `Graph` is specialized to one batch of the model: free dimensions are bound, shape arithmetic is folded away, functions are
expanded. The simulator runs many such batches at once by putting one more axis, the *samples*, in front of every value.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import onnx_ir as ir

Attribute = int | float | str | tuple[int, ...] | tuple[float, ...] | tuple[str, ...] | np.ndarray


@dataclass(frozen=True, slots=True)
class Value:
    """One tensor between two nodes.

    Attributes
    ----------
    name
        The ONNX name.
    shape
        Every dimension, the model's own batch dimension included; () for a scalar.
    dtype
        NumPy type of the FP32 model's value (float16 and bfloat16 models are computed in float32).
    """

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[np.generic]


@dataclass(frozen=True, slots=True)
class Node:
    """One operator.

    Attributes
    ----------
    op, domain, version
        ONNX operator type, its domain ("" is ai.onnx) and the opset version by which its attributes are to be read.
    name
        A name that is unique in the graph: the model's own where it has one, else made from op and output.
    inputs
        Value names; "" where an optional input is left out.
    outputs
        Value names; "" where an optional output is left out.
    attributes
        Those the model gives; defaults are the reader's business.
    """

    op: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Attribute] = field(default_factory=dict)
    version: int = 0
    domain: str = ""

    def __str__(self) -> str:
        return printable(f"{self.name} ({self.op})")


@dataclass(frozen=True)
class Graph:
    """A model ready to be planned.

    Attributes
    ----------
    nodes
        In an order in which every value is made before it is used.
    inputs, outputs
        Names of the values that a sample gives and the model returns.
    values
        Every value by name, constants included.
    constants
        Initializers and everything that follows from them alone, as arrays.
    path, sha256
        The file and its digest ("" and the digest of the serialized model when it came from memory).
    batch
        Size of the first axis of every input when they share it and it is the batch (1 if the model leaves it free); None where inputs
        have no axis in common.
    free_batch
        Whether the model leaves that axis free, so that the reference may run any number of samples at once.
    model
        The simplified model, for the FP32 reference.
    """

    nodes: tuple[Node, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    values: Mapping[str, Value]
    constants: Mapping[str, np.ndarray]
    path: Path | None
    sha256: str
    batch: int | None
    free_batch: bool
    model: ir.Model

    def shape(self, name: str) -> tuple[int, ...]:
        """Shape of a value."""
        return self.values[name].shape

    def constant(self, name: str) -> np.ndarray | None:
        """Array of a constant, or None where the value depends on the inputs (or is absent)."""
        return self.constants.get(name)

    @cached_property
    def producers(self) -> Mapping[str, Node]:
        """Node that makes each value."""
        return {output: node for node in self.nodes for output in node.outputs if output}

    @cached_property
    def consumers(self) -> Mapping[str, tuple[Node, ...]]:
        """Nodes that read each value; a model output has an additional reader that is not listed."""
        readers: dict[str, list[Node]] = {}
        for node in self.nodes:
            for name in dict.fromkeys(node.inputs):
                if name:
                    readers.setdefault(name, []).append(node)
        return {name: tuple(nodes) for name, nodes in readers.items()}


def printable(text: str) -> str:
    """Text from a model as it may go to a terminal: characters that would steer it are escaped."""
    return text if text.isprintable() else text.encode("unicode_escape").decode("ascii")
