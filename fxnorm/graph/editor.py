"""Changes of a graph that keep its names: replacing a node, folding it into constants, putting another before or behind it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from fxnorm.errors import ModelError
from fxnorm.graph.float32 import as_float32, is_finite
from fxnorm.graph.model_file import first_line
from fxnorm.graph.nodes import label, subgraphs

if TYPE_CHECKING:
    import onnx_ir as ir


class Editor(ABC):
    """A graph that is being changed, and the arrays of its constants.

    Parameters
    ----------
    graph
        Main graph of a model; changed in place.
    opset
        Version of ONNX's own domain that new nodes have.

    Attributes
    ----------
    constants
        Array of every constant; floating-point types are float32.
    nonfinite
        Constants that hold infinite or NaN elements, each with the name of the constant that brought them in.
    """

    def __init__(self, graph: ir.Graph, opset: int) -> None:
        self.graph = graph
        self.opset = opset
        self.constants: dict[ir.Value, np.ndarray] = {}
        self.nonfinite: dict[ir.Value, str] = {}
        self._names = {value.name for value in graph.inputs} | set(graph.initializers)
        self._names |= {value.name for node in graph.all_nodes() for value in node.outputs}

    @abstractmethod
    def visit(self, node: ir.Node) -> None:
        """Simplify one node whose inputs have been visited."""

    def is_resolved(self, value: ir.Value) -> bool:
        """Whether a value is a tensor of known type and shape."""
        import onnx_ir as ir

        if not isinstance(value.type, ir.TensorType) or value.type.dtype == ir.DataType.UNDEFINED:
            return False
        return value.shape is not None and value.shape.is_static()

    def is_used(self, value: ir.Value) -> bool:
        """Whether a node or a model output reads a value."""
        return bool(value.uses()) or value.is_graph_output()

    def shape(self, value: ir.Value) -> tuple[int, ...]:
        """Shape of a value that has been visited."""
        if value.shape is None:
            raise ModelError(f"value {value.name!r}: its shape must be known, but cannot be found")
        return tuple(int(size) for size in value.shape.numpy())

    def array(self, value: ir.Value | None) -> np.ndarray | None:
        """Array of a constant, else None."""
        return None if value is None else self.constants.get(value)

    def unique(self, name: str) -> str:
        """Reserve a value name: `name` itself, or with a number where it is taken."""
        candidate, count = name, 1
        while candidate in self._names:
            count += 1
            candidate = f"{name}_{count}"
        self._names.add(candidate)
        return candidate

    def constant(self, array: np.ndarray, name: str) -> ir.Value:
        """Add a constant to the graph."""
        import onnx_ir as ir

        return self.register(ir.Value(name=self.unique(name)), array)

    def load(self, value: ir.Value) -> None:
        """Take an initializer's array, or drop the initializer where nothing reads it."""
        if not self.is_used(value):
            self.graph.initializers.pop(value.name or "")
            return
        self.register(value, _stored_array(value))

    def register(self, value: ir.Value, array: np.ndarray, origin: str | None = None) -> ir.Value:
        """Make a value a constant of the graph; `origin` names the constant that brought infinite or NaN elements in."""
        import onnx_ir as ir

        array = as_float32(array)
        dtype = ir.DataType.from_numpy(array.dtype)
        value.const_value = ir.Tensor(array, dtype=dtype, name=value.name)
        value.type = ir.TensorType(dtype)
        value.shape = ir.Shape(array.shape)
        if not value.is_initializer():
            self.graph.register_initializer(value)
        self.constants[value] = array
        if not is_finite(array):
            self.nonfinite[value] = origin or value.name or ""
        return value

    def remove(self, node: ir.Node) -> None:
        """Remove a node whose outputs nothing reads, and let go of what its subgraphs read."""
        for graph in subgraphs(node):
            for inner in graph.all_nodes():
                for index in range(len(inner.inputs)):
                    inner.replace_input_with(index, None)
        self.graph.remove(node, safe=True)

    def insert(
        self,
        node: ir.Node,
        op: str,
        inputs: Sequence[ir.Value | None],
        attributes: Sequence[ir.Attr] = (),
        outputs: int = 1,
    ) -> list[ir.Value]:
        """Insert a node before another one, visit it, and return what stands for its outputs then."""
        import onnx_ir as ir

        new = ir.Node("", op, inputs, attributes, num_outputs=outputs, name=f"{node.name}_{op}", version=self.opset)
        for value in new.outputs:
            value.name = self.unique(new.name or op)
        reader = ir.Node("", "Identity", new.outputs)  # reads the new values while their users-to-come do not yet
        self.graph.insert_before(node, new)
        self.visit(new)
        found = [value for value in reader.inputs if value is not None]
        for index in range(outputs):
            reader.replace_input_with(index, None)
        if len(found) < outputs or not all(self.is_resolved(value) for value in found):
            raise ModelError(
                f"{label(node)}: cannot be brought to its newest form; export at opset {self.opset} or later"
            )
        return found

    def after(self, node: ir.Node, new: ir.Node) -> None:
        """Put a node that reads a node's first output behind it; it takes over that output's name, users and place."""
        old = node.outputs[0]
        name = old.name or ""
        old.name = self.unique(f"{name}_inner")
        new.outputs[0].name = name
        self._replace_graph_output(old, new.outputs[0])
        for user, index in list(old.uses()):
            if user is not new:
                user.replace_input_with(index, new.outputs[0])
        self.graph.insert_after(node, new)

    def fold_to(self, node: ir.Node, arrays: Sequence[np.ndarray], origin: str | None = None) -> bool:
        """Let constants stand for a node's outputs and remove the node; True, for rewrites to return."""
        import onnx_ir as ir

        constants: list[ir.Value | None] = [None] * len(node.outputs)
        for index, (value, array) in enumerate(zip(node.outputs, arrays, strict=False)):
            name = value.name
            if name and self.is_used(value):
                value.name = self.unique(f"{name}_folded")
                constants[index] = self.register(ir.Value(name=name), array, origin)
                self._replace_graph_output(value, constants[index])
        return self.replace(node, constants)

    def replace(self, node: ir.Node, sources: Sequence[ir.Value | None]) -> bool:
        """Let other values stand for a node's outputs and remove the node; True, for rewrites to return."""
        for output, source in zip(node.outputs, sources, strict=True):
            if not self.is_used(output):
                continue
            if source is None:
                raise ModelError(f"{label(node)}: output {output.name!r} is used, but has no value at inference")
            stand_in = self._output_stand_in(node, output, source) if output.is_graph_output() else source
            output.replace_all_uses_with(stand_in)
        self.remove(node)
        return True

    def inline(self, node: ir.Node, branch: ir.Graph) -> bool:
        """Put the nodes of a subgraph without inputs in the place of the node that runs it; True, for rewrites to return."""
        outputs = list(branch.outputs)
        branch.outputs.clear()
        for value in list(branch.initializers.values()):
            branch.initializers.pop(value.name or "")
            value.name = self.unique(value.name or "initializer")
            self.register(value, _stored_array(value))
        nodes = list(branch)
        branch.remove(nodes)
        for value in (value for inner in nodes for value in inner.outputs if value.name):
            value.name = self.unique(value.name or "")
        self.graph.insert_after(node, nodes)
        return self.replace(node, outputs)

    def _output_stand_in(self, node: ir.Node, output: ir.Value, source: ir.Value) -> ir.Value:
        """Value that is a model output under the name of `output`, and equal to `source`."""
        import onnx_ir as ir

        name = output.name or ""
        array = self.constants.get(source)
        if array is not None:
            output.name = self.unique(f"{name}_replaced")
            new = self.register(ir.Value(name=name), array, self.nonfinite.get(source))
        elif source.is_graph_input() or source.is_graph_output():
            output.name = self.unique(f"{name}_replaced")
            identity = ir.Node("", "Identity", [source], name=f"Identity_{name}", version=self.opset)
            new = identity.outputs[0]
            new.name = name
            self.graph.insert_after(node, identity)
        else:
            output.name, source.name = source.name, name
            new = source
        self._replace_graph_output(output, new)
        return new

    def _replace_graph_output(self, old: ir.Value, new: ir.Value | None) -> None:
        for index, output in enumerate(self.graph.outputs):
            if output is old and new is not None:
                self.graph.outputs[index] = new


def _stored_array(value: ir.Value) -> np.ndarray:
    import onnx_ir as ir

    tensor = value.const_value
    if tensor is None or tensor.dtype == ir.DataType.STRING:
        raise ModelError(f"initializer {value.name!r}: must hold numbers; cut the text processing off the model")
    try:
        return np.asarray(tensor.numpy())
    except Exception as error:  # onnx-ir raises many kinds for tensors it cannot read
        raise ModelError(f"initializer {value.name!r}: cannot be read: {first_line(error)}") from error
