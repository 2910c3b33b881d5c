"""One walk over the graph that leaves only what depends on the inputs, with every shape known.

Nodes are visited in order. Each one is brought to its newest form, dropped where it does nothing, folded where it
follows from constants alone, and given the types and shapes of its outputs. Since all this has happened to its inputs
before, one walk suffices, however long the shape arithmetic is.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final

from fxnorm.errors import ModelError
from fxnorm.graph.consistency import check_operands
from fxnorm.graph.editor import Editor
from fxnorm.graph.float32 import computed_type, retype
from fxnorm.graph.folding import RANDOM, evaluate, is_free
from fxnorm.graph.inference import check_form, infer_types, schema
from fxnorm.graph.nodes import captured_values, has_subgraph, label
from fxnorm.graph.sequences import is_sequence
from fxnorm.graph.tensors import MAX_ELEMENTS

if TYPE_CHECKING:
    import numpy as np
    import onnx_ir as ir

Known = Callable[[str, str, int], bool]
Rewrite = Callable[["Simplifier", "ir.Node"], bool]

BLIND_LIMIT: Final = 1 << 24
"""Most elements of the inputs of a node that is folded without knowing beforehand how large its output will be."""


class Simplifier(Editor):
    """The walk.

    Parameters
    ----------
    graph
        Main graph, sorted, with static input shapes; changed in place.
    opsets
        Version of each domain in the result.
    rewrites
        By domain and operator, a function that changes a node into its newest form, or removes it and returns True.
    known
        Tells whether the rest of the program knows an operator; None means that it knows all.
    declared
        Types and shapes that the file declares, for operators that onnx does not know.
    rebound
        Batch size that the model fixes and the one that replaces it, where they differ.

    Attributes
    ----------
    expandable
        After `run`, nodes that are not known and that onnx defines by others.
    unresolved
        After `run`, nodes with an output whose type or shape cannot be found.
    """

    def __init__(
        self,
        graph: ir.Graph,
        opsets: Mapping[str, int],
        rewrites: Mapping[tuple[str, str], Rewrite],
        known: Known | None,
        declared: Mapping[str, ir.TypeAndShape],
        rebound: tuple[int, int] | None = None,
    ) -> None:
        super().__init__(graph, opsets[""])
        self.opsets = opsets
        self.known = known
        self.rewrites = rewrites
        self.declared = declared
        self.rebound = rebound
        self.expandable: list[ir.Node] = []
        self.unresolved: list[ir.Node] = []
        self._budget = MAX_ELEMENTS

    def run(self) -> None:
        """Visit every node, those that rewrites add included."""
        import onnx_ir as ir

        for value in self.graph.inputs:
            value.type = ir.TensorType(computed_type(value.dtype or ir.DataType.UNDEFINED))
        for value in list(self.graph.initializers.values()):
            self.load(value)
        for node in self.graph:
            self.visit(node)

    def version(self, node: ir.Node) -> int:
        """Opset version of a node's domain in the result."""
        return self.opsets.get(node.domain, 1)

    def visit(self, node: ir.Node) -> None:
        """Simplify one node whose inputs have been visited."""
        if not any(self.is_used(value) for value in node.outputs):
            self.remove(node)
            return
        if not all(value is None or self.is_resolved(value) or is_sequence(value) for value in node.inputs):
            self.give_up(node)
            return
        check_form(node)
        rewrite = self.rewrites.get((node.domain, node.op_type))
        if rewrite is not None and rewrite(self, node):
            return
        node.version = self.version(node)
        retype(node)
        self._infer(node)
        if self._is_foldable(node):
            self._fold(node)
            return
        if not all(self.is_resolved(value) for value in node.outputs if value.name):
            self.give_up(node)
        if self._is_expandable(node):
            self.expandable.append(node)

    def give_up(self, node: ir.Node) -> bool:
        """Leave a node unresolved; True, for rewrites to return."""
        self.unresolved.append(node)
        return True

    def _infer(self, node: ir.Node) -> None:
        import onnx_ir as ir

        captured = captured_values(node)
        found: list[ir.TypeAndShape | None] = [None] * len(node.outputs)
        if all(self.is_resolved(value) for value in captured):
            try:
                found = infer_types(node, self.version(node), self.constants, captured)
            except ModelError:
                if not has_subgraph(node):
                    raise  # subgraphs keep their older forms, at which inference may stumble
        if schema(node.domain, node.op_type, self.version(node)) is None or node.domain:
            found = [
                typed or self.declared.get(value.name or "") for value, typed in zip(node.outputs, found, strict=True)
            ]
        for value, typed in zip(node.outputs, found, strict=True):
            value.type = None if typed is None else typed.type
            value.shape = None if typed is None else typed.shape
            if isinstance(value.type, ir.TensorType):
                value.type = ir.TensorType(computed_type(value.type.dtype))
            if self.is_resolved(value):
                self._check_size(node, value)
        if all(self.is_resolved(value) for value in node.outputs if value.name):
            check_operands(self, node)

    def _check_size(self, node: ir.Node, value: ir.Value) -> None:
        shape = self.shape(value)
        if min(shape, default=0) < 0:
            raise ModelError(
                f"{label(node)}: its inputs are too small, {value.name!r} would have the shape {list(shape)}"
            )
        if math.prod(shape) > MAX_ELEMENTS:
            raise ModelError(
                f"{label(node)}: a value may have at most 2^30 elements, but {value.name!r} would have the shape {list(shape)}"
            )

    def _is_foldable(self, node: ir.Node) -> bool:
        if node.op_type in RANDOM or has_subgraph(node):
            return False
        if schema(node.domain, node.op_type, self.version(node)) is None:
            return False
        if not all(value is None or value in self.constants for value in node.inputs):
            return False
        if all(self.is_resolved(value) for value in node.outputs if value.name):
            return True
        return sum(self.constants[value].size for value in node.inputs if value is not None) <= BLIND_LIMIT

    def _fold(self, node: ir.Node) -> None:
        inputs: list[np.ndarray | None] = [self.array(value) for value in node.inputs]
        resolved = [value for value in node.outputs if self.is_resolved(value)]
        if not is_free(node, inputs):
            self._budget -= sum(math.prod(self.shape(value)) for value in resolved)
        if self._budget < 0:
            raise ModelError(
                f"{label(node)}: constants that are computed may have at most 2^30 elements in all; store the large ones"
            )
        shape = self.shape(node.outputs[0]) if node.outputs[0] in resolved else None
        arrays = evaluate(node, self.version(node), inputs, shape)
        origins = (self.nonfinite[value] for value in node.inputs if value is not None and value in self.nonfinite)
        self.fold_to(node, arrays, next(origins, None))

    def _is_expandable(self, node: ir.Node) -> bool:
        if self.known is None or has_subgraph(node) or self.known(node.domain, node.op_type, self.version(node)):
            return False
        definition = schema(node.domain, node.op_type, self.version(node))
        return definition is not None and bool(definition.has_function or definition.has_context_dependent_function)
