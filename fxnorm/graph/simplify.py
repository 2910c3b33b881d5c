"""One walk over the graph that leaves only what depends on the inputs, with every shape known.

Nodes are visited in order. Each one is brought to its newest form, dropped where it does nothing, folded where it follows from
constants alone, and given the types and shapes of its outputs. Since all this has happened to its inputs before, one walk suffices.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Final

import numpy as np

from fxnorm.errors import ModelError
from fxnorm.graph.folding import RANDOM, evaluate, has_fast_fold, is_uniform
from fxnorm.graph.inference import infer_types, schema
from fxnorm.graph.validation import MAX_ELEMENTS

if TYPE_CHECKING:
    import onnx_ir as ir

Known = Callable[[str, str, int], bool]
Rewrite = Callable[["Simplifier", "ir.Node"], bool]

FOLD_BLIND_LIMIT: Final = 1 << 24  # elements of the inputs of a node whose output size is not known beforehand

_TYPE_ATTRIBUTES: Final = ("to", "dtype", "output_dtype", "stash_type", "softmax_precision")


class Simplifier:
    """The walk, and what the rewrites of single operators need from it.

    Parameters
    ----------
    graph
        Main graph, sorted, with static input shapes; changed in place.
    opsets
        Version of each domain in the result.
    rewrites
        By operator of ONNX's own domain, a function that brings a node into its newest form, or removes it and returns True.
    known
        Tells whether the rest of the program knows an operator; None means that every operator of onnx is.
    declared
        Types and shapes that the file declares, for operators that onnx does not know.
    rebound
        Batch size that the model fixes and the one that replaces it, where they differ.
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
        self.graph = graph
        self.opsets = opsets
        self.known = known
        self.rewrites = rewrites
        self.declared = declared
        self.rebound = rebound
        self.constants: dict[ir.Value, np.ndarray] = {}
        self.nonfinite: dict[ir.Value, str] = {}
        self.expandable: list[ir.Node] = []
        self.unresolved: list[ir.Node] = []
        self._names = {value.name for value in graph.inputs} | set(graph.initializers)
        self._names |= {value.name for node in graph for value in node.outputs}
        self._budget = MAX_ELEMENTS

    def run(self) -> None:
        """Visit every node; afterwards `expandable` and `unresolved` list what could not be finished."""
        for value in list(self.graph.initializers.values()):
            self._load(value)
        for node in self.graph:
            self.visit(node)

    def visit(self, node: ir.Node) -> None:
        """Simplify one node whose inputs have been visited."""
        if all(not value.uses() and not value.is_graph_output() for value in node.outputs):
            self.graph.remove(node, safe=True)
            return
        if any(value is not None and not self.is_resolved(value) for value in node.inputs):
            self.unresolved.append(node)
            return
        rewrite = self.rewrites.get((node.domain, node.op_type))
        if rewrite is not None and rewrite(self, node):
            return
        node.version = self.version(node)
        retype(node)
        self._infer(node)
        if self._is_foldable(node):
            self._fold(node)
        elif not all(self.is_resolved(value) or not value.name for value in node.outputs):
            self.unresolved.append(node)
        if node.graph is not None and self._is_expandable(node):
            self.expandable.append(node)

    # What rewrites use.

    def version(self, node: ir.Node) -> int:
        """Opset version of a node's domain in the result."""
        return self.opsets.get(node.domain, 1)

    def is_resolved(self, value: ir.Value) -> bool:
        """Whether a value is a tensor of known type and shape."""
        import onnx_ir as ir

        return isinstance(value.type, ir.TensorType) and value.shape is not None and value.shape.is_static()

    def shape(self, value: ir.Value) -> tuple[int, ...]:
        """Shape of a value that has been visited."""
        if value.shape is None:
            raise ModelError(f"value {value.name!r}: its shape cannot be found")
        return tuple(int(size) for size in value.shape.numpy())

    def array(self, value: ir.Value | None) -> np.ndarray | None:
        """Array of a constant value, else None."""
        return None if value is None else self.constants.get(value)

    def unique(self, name: str) -> str:
        """A value name that is still free, `name` itself where possible."""
        candidate, count = name, 1
        while candidate in self._names:
            count += 1
            candidate = f"{name}_{count}"
        self._names.add(candidate)
        return candidate

    def constant(self, array: np.ndarray, name: str) -> ir.Value:
        """A new constant of the graph."""
        import onnx_ir as ir

        value = ir.Value(name=self.unique(name))
        return self._register(value, array)

    def before(self, node: ir.Node, new: ir.Node) -> ir.Value:
        """Insert a node with one output before another one, visit it, and return what stands for its output then."""
        import onnx_ir as ir

        output = new.outputs[0]
        output.name = self.unique(output.name or f"{node.name}_input")
        keep = ir.Node("", "Identity", [output])  # holds the place of the user to come while the new node is visited
        self.graph.insert_before(node, new)
        self.visit(new)
        (held,) = keep.inputs
        keep.replace_input_with(0, None)
        if held is None:
            raise ModelError(f"{node.name} ({node.op_type}): cannot be brought to its newest form")
        return held

    def after(self, node: ir.Node, new: ir.Node) -> None:
        """Put a node that reads a node's first output behind it; it takes over the output's name, users and place."""
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
            if name and (value.uses() or value.is_graph_output()):
                value.name = self.unique(f"{name}_folded")
                constant = self._register(ir.Value(name=name), array, origin)
                self._replace_graph_output(value, constant)
                constants[index] = constant
        return self.replace(node, constants)

    def replace(self, node: ir.Node, sources: Sequence[ir.Value | None]) -> bool:
        """Let other values stand for a node's outputs and remove the node; True, for rewrites to return."""
        for index, (output, source) in enumerate(zip(node.outputs, sources, strict=True)):
            if source is None:
                if output.uses() or output.is_graph_output():
                    raise ModelError(f"{node.name} ({node.op_type}): output {output.name!r} has no value at inference")
                continue
            if output.is_graph_output():
                source = self._take_over(node, index, source)
            output.replace_all_uses_with(source)
        self.graph.remove(node, safe=True)
        return True

    def inline(self, node: ir.Node, branch: ir.Graph) -> bool:
        """Put the nodes of a subgraph without inputs in the place of the node that runs it; True, for rewrites to return."""
        outputs = list(branch.outputs)
        for value in list(branch.initializers.values()):
            branch.initializers.pop(value.name or "")
            value.name = self.unique(value.name or "initializer")
            self.graph.register_initializer(value)
            self._load(value)
        nodes = list(branch)
        branch.remove(nodes)
        branch.outputs.clear()
        for inner in nodes:
            for value in inner.outputs:
                if value.name:
                    value.name = self.unique(value.name)
        place = node
        for inner in nodes:
            self.graph.insert_after(place, inner)
            place = inner
        return self.replace(node, outputs)

    def _take_over(self, node: ir.Node, index: int, source: ir.Value) -> ir.Value:
        """Let `source` be a model output under the name of the one it replaces."""
        import onnx_ir as ir

        output = node.outputs[index]
        name = output.name or ""
        array = self.constants.get(source)
        if array is not None:
            output.name = self.unique(f"{name}_replaced")
            new = self._register(ir.Value(name=name), array, self.nonfinite.get(source))
        elif source.is_graph_input() or source.is_graph_output() or source.producer() is None:
            output.name = self.unique(f"{name}_replaced")
            identity = ir.Node("", "Identity", [source], name=f"Identity_{name}", version=self.opsets.get("", 1))
            new = identity.outputs[0]
            new.name, new.type, new.shape = name, source.type, source.shape
            self.graph.insert_after(node, identity)
        else:
            output.name = source.name
            source.name = name
            new = source
        self._replace_graph_output(output, new)
        return new

    def _replace_graph_output(self, old: ir.Value, new: ir.Value) -> None:
        for index, output in enumerate(self.graph.outputs):
            if output is old:
                self.graph.outputs[index] = new

    # Steps of a visit.

    def _load(self, value: ir.Value) -> None:
        """Take an initializer's array; floating-point types become float32."""
        import onnx_ir as ir

        if not value.uses() and not value.is_graph_output():
            self.graph.initializers.pop(value.name or "")
            return
        tensor = value.const_value
        if tensor is None or tensor.dtype == ir.DataType.STRING:
            raise ModelError(f"initializer {value.name!r}: must hold numbers; cut the text processing off the model")
        try:
            array = np.asarray(tensor.numpy())
        except Exception as error:  # onnx-ir raises many kinds for tensors it cannot read
            raise ModelError(f"initializer {value.name!r}: cannot be read: {error}") from error
        self._register(value, array)

    def _register(self, value: ir.Value, array: np.ndarray, origin: str | None = None) -> ir.Value:
        """Make a value a constant of the graph; `origin` names where infinite or NaN elements came from."""
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

    def _infer(self, node: ir.Node) -> None:
        import onnx_ir as ir

        version = self.version(node)
        captured = captured_values(node)
        if schema(node.domain, node.op_type, version) is None:
            found = [self.declared.get(value.name or "") for value in node.outputs]
        elif captured and not all(self.is_resolved(value) for value in captured):
            found = [None for _ in node.outputs]
        else:
            found = infer_types(node, version, self.constants, captured)
        for value, typed in zip(node.outputs, found, strict=True):
            value.type = None if typed is None else typed.type
            value.shape = None if typed is None or typed.shape is None else typed.shape
            if isinstance(value.type, ir.TensorType):
                value.type = ir.TensorType(computed_type(value.type.dtype))
            if self.is_resolved(value):
                count = math.prod(self.shape(value))
                if count > MAX_ELEMENTS or min(self.shape(value), default=1) < 0:
                    raise ModelError(
                        f"{node.name} ({node.op_type}): a value may have at most 2^30 elements, but {value.name!r} "
                        f"would have the shape {list(self.shape(value))}"
                    )

    def _is_foldable(self, node: ir.Node) -> bool:
        if node.op_type in RANDOM or has_subgraph(node):
            return False
        if schema(node.domain, node.op_type, self.version(node)) is None:
            return False
        return all(value is None or value in self.constants for value in node.inputs)

    def _fold(self, node: ir.Node) -> None:
        import onnx_ir as ir

        inputs = [None if value is None else self.constants[value] for value in node.inputs]
        known = self.is_resolved(node.outputs[0])
        if not known and sum(array.size for array in inputs if array is not None) > FOLD_BLIND_LIMIT:
            self.unresolved.append(node)
            return
        if not has_fast_fold(node):
            self._spend(sum(math.prod(self.shape(value)) for value in node.outputs if self.is_resolved(value)), node)
        arrays = evaluate(node, self.version(node), inputs, self.shape(node.outputs[0]) if known else None)
        origin = next((self.nonfinite[value] for value in node.inputs if value in self.nonfinite), None)
        self.fold_to(node, arrays, origin)

    def _spend(self, count: int, node: ir.Node) -> None:
        self._budget -= count
        if self._budget < 0:
            raise ModelError(
                f"{node.name} ({node.op_type}): constants computed while reading may have at most 2^30 elements in all; "
                "store the large ones in the file"
            )

    def _is_expandable(self, node: ir.Node) -> bool:
        definition = schema(node.domain, node.op_type, self.version(node))
        if definition is None or self.known is None or has_subgraph(node):
            return False
        if self.known(node.domain, node.op_type, self.version(node)):
            return False
        return bool(definition.has_function or definition.has_context_dependent_function)


def as_float32(array: np.ndarray) -> np.ndarray:
    """Bring float16, bfloat16 and float64 arrays to float32; leave other types as they are."""
    if array.dtype == np.float32 or not (array.dtype in (np.float16, np.float64) or array.dtype.name == "bfloat16"):
        return array
    with np.errstate(over="ignore"):
        if is_uniform(array):
            return np.broadcast_to(array[(0,) * array.ndim].astype(np.float32), array.shape)
        return array.astype(np.float32)


def is_finite(array: np.ndarray) -> bool:
    """Whether no element is infinite or NaN."""
    if array.dtype != np.float32:
        return True
    if is_uniform(array):
        array = array[(0,) * array.ndim]
    return bool(np.isfinite(array).all())


def computed_type(dtype: ir.DataType) -> ir.DataType:
    """The type in which a value is computed: float16, bfloat16 and float64 become float32."""
    import onnx_ir as ir

    wide = (ir.DataType.FLOAT16, ir.DataType.BFLOAT16, ir.DataType.DOUBLE)
    return ir.DataType.FLOAT if dtype in wide else dtype


def retype(node: ir.Node) -> None:
    """Let attributes that name an element type name the one in which values are computed."""
    import onnx_ir as ir

    for name in _TYPE_ATTRIBUTES:
        attribute = node.attributes.get(name)
        if attribute is not None and attribute.type == ir.AttributeType.INT:
            try:
                dtype = computed_type(ir.DataType(attribute.as_int()))
            except ValueError:
                raise ModelError(
                    f"{node.name} ({node.op_type}): {name} must be an element type, not {attribute.as_int()}"
                ) from None
            node.attributes[name] = ir.AttrInt64(name, int(dtype))


def subgraphs(node: ir.Node) -> list[ir.Graph]:
    """Graphs among a node's attributes."""
    import onnx_ir as ir

    found: list[ir.Graph] = []
    for attribute in node.attributes.values():
        if attribute.type == ir.AttributeType.GRAPH:
            found.append(attribute.as_graph())
        elif attribute.type == ir.AttributeType.GRAPHS:
            found.extend(attribute.as_graphs())
    return found


def has_subgraph(node: ir.Node) -> bool:
    """Whether a node runs graphs of its own (If, Loop, Scan)."""
    return bool(subgraphs(node))


def captured_values(node: ir.Node) -> list[ir.Value]:
    """Values that a node's subgraphs read from outside of them."""
    found: dict[ir.Value, None] = {}
    for graph in subgraphs(node):
        inner = set(graph.inputs) | set(graph.initializers.values())
        inner |= {value for child in graph.all_nodes() for value in child.outputs}
        for deeper in graph.subgraphs():
            inner |= set(deeper.inputs) | set(deeper.initializers.values())
        reads = [value for child in graph.all_nodes() for value in child.inputs] + list(graph.outputs)
        found |= {value: None for value in reads if value is not None and value not in inner}
    return list(found)
