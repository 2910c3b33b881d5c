"""An ONNX graph while it is built: nodes, constants, names. The only module here that knows protobuf."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    import onnx

Array = np.ndarray

OPSET: Final = 17
IR_VERSION: Final = 8
LARGEST_FILE: Final = (1 << 31) - (1 << 20)
"""Bytes that fit into one protobuf, and some room for what is not constants."""


@dataclass(frozen=True, slots=True)
class Port:
    """An input or an output of a graph: its name, element type and shape (texts are free sizes; None: any)."""

    name: str
    dtype: np.dtype[Any]
    shape: tuple[int | str, ...] | None


@dataclass(frozen=True, slots=True)
class _Node:
    """A node: operator, names, attributes; subgraphs among them as (nodes, inputs, outputs)."""

    op: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    name: str
    attributes: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Body:
    """Graph inside a node; it sees the constants of the graph around it."""

    nodes: tuple[_Node, ...]
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]

    @property
    def reads(self) -> set[str]:
        """Names from outside."""
        made = {port.name for port in self.inputs} | {name for node in self.nodes for name in node.outputs}
        return {name for node in self.nodes for name in node.inputs} - made


class GraphBuilder:
    """Collects nodes and constants under names of its own.

    Parameters
    ----------
    reserved
        Names that inputs and outputs have.
    """

    def __init__(self, reserved: Iterable[str] = ()) -> None:
        self._taken = set(reserved)
        self._nodes: list[_Node] = []
        self._constants: dict[str, Array] = {}
        self._known: dict[tuple[str, tuple[int, ...], bytes], str] = {}
        self._prefix = ""
        self._counts: dict[str, int] = {}

    @contextmanager
    def section(self, prefix: str) -> Iterator[None]:
        """Names of nodes inside begin with a word."""
        before, self._prefix = self._prefix, prefix
        try:
            yield
        finally:
            self._prefix = before

    def op(self, op: str, *inputs: str, output: str | None = None, **attributes: Any) -> str:
        """Add a node of one output and return its name; `output` gives it a reserved one."""
        name = self._fresh(op)
        made = name if output is None else output
        self._nodes.append(_Node(op, inputs, (made,), name, attributes))
        return made

    def constant(self, array: Array) -> str:
        """Name of a constant; equal ones are stored once."""
        held = np.ascontiguousarray(array).reshape(array.shape)
        key = held.dtype.str, held.shape, hashlib.sha256(held.tobytes()).digest()
        if key not in self._known:
            name = self._fresh("constant", section="")
            self._known[key] = name
            self._constants[name] = held
        return self._known[key]

    def local(self, word: str) -> str:
        """A name for an input of a body."""
        return self._fresh(word)

    @contextmanager
    def body(self) -> Iterator[list[_Node]]:
        """Nodes added inside go to the list that is given, not to the graph."""
        before, self._nodes = self._nodes, []
        try:
            yield self._nodes
        finally:
            self._nodes = before

    def _fresh(self, word: str, section: str | None = None) -> str:
        prefix = self._prefix if section is None else section
        stem = f"{prefix}/{word}" if prefix else word
        while True:
            count = self._counts.get(stem, 0)
            self._counts[stem] = count + 1
            name = f"{stem}.{count}"
            if name not in self._taken:
                self._taken.add(name)
                return name

    def model(
        self, inputs: Sequence[Port], outputs: Sequence[Port], *, version: str, notes: Mapping[str, str], text: str
    ) -> onnx.ModelProto:
        """Finish: leave out what no output needs, and make the protobuf.

        Raises
        ------
        OverflowError
            If the constants do not fit into one file.
        """
        from onnx import helper, numpy_helper

        nodes = self._needed({port.name for port in outputs})
        used = {name for node in nodes for name in _reads(node)}
        constants = {name: array for name, array in self._constants.items() if name in used}
        size = sum(array.nbytes for array in constants.values())
        if size > LARGEST_FILE:
            raise OverflowError(f"{size} bytes of constants")
        graph = helper.make_graph(
            [_proto(node) for node in nodes],
            "fxnorm",
            [_value(port) for port in inputs],
            [_value(port) for port in outputs],
            [numpy_helper.from_array(array, name) for name, array in constants.items()],
        )
        made = helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION, producer_name="fxnorm"
        )
        made.producer_version = version
        made.doc_string = text
        helper.set_model_props(made, dict(notes))
        return made

    def _needed(self, wanted: set[str]) -> list[_Node]:
        kept = []
        for node in reversed(self._nodes):
            if wanted.intersection(node.outputs):
                kept.append(node)
                wanted = wanted | _reads(node)
        return kept[::-1]


def _reads(node: _Node) -> set[str]:
    bodies = (value for value in node.attributes.values() if isinstance(value, Body))
    return set(node.inputs).union(*(body.reads for body in bodies))


def _proto(node: _Node) -> onnx.NodeProto:
    from onnx import helper

    attributes = {
        name: helper.make_graph(
            [_proto(inner) for inner in value.nodes],
            node.name,
            [_value(port) for port in value.inputs],
            [_value(port) for port in value.outputs],
        )
        if isinstance(value, Body)
        else value
        for name, value in node.attributes.items()
    }
    return helper.make_node(node.op, node.inputs, node.outputs, name=node.name, **attributes)


def _value(port: Port) -> onnx.ValueInfoProto:
    from onnx import helper

    return helper.make_tensor_value_info(port.name, helper.np_dtype_to_tensor_dtype(port.dtype), port.shape)
