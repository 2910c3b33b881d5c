"""Checks of a model as it was read, before anything is computed from it.

Whatever passes here can be handed to onnx-ir and to onnx's own inference without surprises: every name is declared once, every tensor
has the number of bytes its shape asks for, and no attribute divides by zero.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final

from fxnorm.errors import ModelError
from fxnorm.graph.graph import printable
from fxnorm.graph.tensors import check_tensor

if TYPE_CHECKING:
    import onnx

OLDEST_OPSET: Final = 6
MAX_NODES: Final = 1_000_000
MAX_DEPTH: Final = 100
_POSITIVE: Final = frozenset(
    {"strides", "kernel_shape", "dilations", "group", "blocksize", "num_groups", "num_outputs"}
)
_ATTRIBUTE_LIMIT: Final = 1 << 31
_EQUATION: Final = re.compile(r"[A-Za-z.,>\s-]*")


def validate(proto: onnx.ModelProto) -> None:
    """Check a model's structure; normalize the name of ONNX's own domain and name nodes that have no name.

    Raises
    ------
    ModelError
        Naming the first offender.
    """
    _check_text("model", *(opset.domain for imports in _imports(proto) for opset in imports))
    _check_opsets(proto)
    names = [value.name for value in proto.graph.output]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise ModelError(f"model: output {twice!r} is listed twice; export it again")
    declared = {value.name: value for value in proto.graph.input}
    for value in proto.graph.output:
        if value.name in declared:
            value.CopyFrom(declared[value.name])  # the input's shape is the one that counts
    if not names:
        raise ModelError("model: a model needs at least one output, but this one has none; export it again")
    functions = {(function.domain, function.name) for function in proto.functions}
    for function in proto.functions:
        where = f"function {function.name!r}"
        _check_text(where, function.name, function.domain, function.overload, *function.attribute, *function.output)
        _check_text(where, *function.input, *(attribute.name for attribute in function.attribute_proto))
        _check_nodes(function.node, set(function.input), where)
        known = {*function.input, *(name for node in function.node for name in node.output)}
        _check_declared(function.output, known, where)
    _check_graph(proto.graph, frozenset(), "graph")
    _check_expansion(proto, functions)


def _check_opsets(proto: onnx.ModelProto) -> None:
    import onnx

    if proto.ir_version > onnx.IR_VERSION:
        raise ModelError(
            f"model: IR version {proto.ir_version} is newer than the installed onnx knows ({onnx.IR_VERSION}); upgrade onnx"
        )
    if not proto.opset_import:
        raise ModelError(
            "model: no opset is declared; it is damaged, or older than opset 6: export it again at opset 13 or later"
        )
    owners: list[onnx.ModelProto | onnx.FunctionProto] = [proto, *proto.functions]
    for owner in owners:
        for opset in owner.opset_import:
            if opset.domain == "ai.onnx":
                opset.domain = ""
            if opset.domain == "":
                _check_opset(opset.version)
        nodes = owner.graph.node if isinstance(owner, onnx.ModelProto) else owner.node
        used = next((node for node in nodes if node.domain in ("", "ai.onnx")), None)
        if used is not None and all(opset.domain for opset in owner.opset_import):
            raise ModelError(f"{label(used)}: the model must declare the opset of its operators; export it again")


def _imports(proto: onnx.ModelProto) -> list[Sequence[onnx.OperatorSetIdProto]]:
    return [proto.opset_import, *(function.opset_import for function in proto.functions)]


def _check_text(where: str, *texts: object) -> None:
    """Refuse text that is not UTF-8: protobuf hands it out as bytes."""
    for text in texts:
        if not isinstance(text, str):
            raise ModelError(f"{where}: all names must be UTF-8 text, but one is {text!r}; the model is damaged")


def _check_opset(version: int) -> None:
    import onnx

    newest = onnx.defs.onnx_opset_version()
    if version < OLDEST_OPSET:
        raise ModelError(
            f"model: opset {version} is too old, {OLDEST_OPSET} to {newest} are read; export it again at opset 13 or later"
        )
    if version > newest:
        raise ModelError(
            f"model: opset {version} is newer than the installed onnx knows ({newest}); upgrade onnx, or export the model "
            f"again at opset {newest}"
        )


def _check_graph(graph: onnx.GraphProto, outer: frozenset[str], where: str) -> None:
    declared: set[str] = set()
    for value in (*graph.input, *graph.output, *graph.value_info):
        _check_text(where, value.name, *(dim.dim_param for dim in value.type.tensor_type.shape.dim))
    for value in graph.input:
        if not value.name:
            raise ModelError(f"{where}: every input needs a name")
        if value.name in declared:
            raise ModelError(f"{where}: input {value.name!r} is declared twice; export the model again")
        declared.add(value.name)
    for tensor in graph.initializer:
        _check_text(where, tensor.name)
        check_tensor(tensor, f"initializer {tensor.name!r}")
    names = [t.name for t in graph.initializer] + [s.values.name for s in graph.sparse_initializer]
    if "" in names:
        raise ModelError(f"{where}: every initializer needs a name")
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise ModelError(f"{where}: initializer {twice!r} is declared twice; export the model again")
    declared.update(names)
    known = _check_nodes(graph.node, declared, where, outer)
    _check_declared([value.name for value in graph.output], known | outer, where)


def _check_nodes(
    nodes: Sequence[onnx.NodeProto], declared: set[str], where: str, outer: frozenset[str] = frozenset()
) -> frozenset[str]:
    """Check names, attributes and order of nodes; return every name that they and `declared` define."""
    producers: dict[str, int] = {}
    for index, node in enumerate(nodes):
        _check_text(where, node.name, node.op_type, node.domain, node.overload, *node.input, *node.output)
        if node.domain == "ai.onnx":
            node.domain = ""
        if not node.name:
            node.name = f"{node.op_type}_{next((name for name in node.output if name), index)}"
        for name in node.output:
            if not name:
                continue
            if name in declared or name in producers:
                raise ModelError(
                    f"{label(node)}: output {name!r} is already the name of another value; export the model again"
                )
            producers[name] = index
    known = frozenset(declared) | frozenset(producers)
    for node in nodes:
        _check_declared([name for name in node.input if name], known | outer, label(node))
        _check_attributes(node, known | outer)
    _check_acyclic(nodes, producers, where)
    return known


def _check_declared(names: Iterable[str], known: Iterable[str], where: str) -> None:
    for name in names:
        if name not in known:
            raise ModelError(
                f"{where}: nothing in the model makes the value {name!r} that it uses; the model is damaged"
            )


def _check_acyclic(nodes: Sequence[onnx.NodeProto], producers: dict[str, int], where: str) -> None:
    import graphlib

    if all(producers.get(name, -1) < index for index, node in enumerate(nodes) for name in _reads(node)):
        return  # already in order, the usual case
    depends = {
        index: {producers[name] for name in _reads(node) if name in producers} for index, node in enumerate(nodes)
    }
    try:
        graphlib.TopologicalSorter(depends).prepare()
    except graphlib.CycleError as error:
        loop = [label(nodes[index]) for index in error.args[1]]
        shown = " → ".join(loop if len(loop) <= 6 else [*loop[:3], "…", *loop[-2:]])
        raise ModelError(f"{where}: nodes must not depend on themselves, but these form a cycle: {shown}") from None


def _reads(node: onnx.NodeProto) -> set[str]:
    """Names that a node reads, those that its subgraphs take from outside included."""
    names = {name for name in node.input if name}
    for attribute in node.attribute:
        for graph in (*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs):
            own = {value.name for value in graph.input} | {tensor.name for tensor in graph.initializer}
            own |= {name for inner in graph.node for name in inner.output}
            names |= {value.name for value in graph.output} - own
            for inner in graph.node:
                names |= _reads(inner) - own
    return names


def _check_attributes(node: onnx.NodeProto, known: frozenset[str]) -> None:
    import onnx

    seen: set[str] = set()
    for attribute in node.attribute:
        where = f"{label(node)}: attribute {attribute.name!r}"
        _check_text(label(node), attribute.name, attribute.ref_attr_name)
        _check_strings(attribute, where)
        if attribute.name in seen:
            raise ModelError(f"{where} is given twice; export the model again")
        seen.add(attribute.name)
        if attribute.type == onnx.AttributeProto.UNDEFINED and not attribute.ref_attr_name:
            raise ModelError(f"{where} has no type; the model is damaged")
        numbers = [*attribute.ints, *([attribute.i] if attribute.type == onnx.AttributeProto.INT else [])]
        if attribute.name in _POSITIVE and any(number < 1 for number in numbers):
            raise ModelError(f"{where} must be positive, not {numbers if attribute.ints else numbers[0]}")
        if attribute.name in (_POSITIVE | {"pads"}) and any(abs(number) >= _ATTRIBUTE_LIMIT for number in numbers):
            raise ModelError(f"{where} must stay below 2^31, not {numbers}")
        for tensor in (*([attribute.t] if attribute.HasField("t") else []), *attribute.tensors):
            check_tensor(tensor, where)
        for graph in (*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs):
            _check_graph(graph, known, where)


def _check_strings(attribute: onnx.AttributeProto, where: str) -> None:
    for text in (attribute.s, *attribute.strings):
        try:
            decoded = text.decode()
        except UnicodeDecodeError:
            raise ModelError(f"{where} must be UTF-8 text, not {text!r}; the model is damaged") from None
        if attribute.name == "equation" and not _EQUATION.fullmatch(decoded):
            raise ModelError(f"{where} must be an Einstein sum of letters, not {decoded!r}")


def _check_expansion(proto: onnx.ModelProto, functions: set[tuple[str, str]]) -> None:
    """Refuse functions that call themselves, and those that would grow beyond all bounds when they are expanded."""
    calls = {
        (function.domain, function.name): [(node.domain, node.op_type) for node in function.node]
        for function in proto.functions
    }
    sizes: dict[tuple[str, str], int] = {}

    def size(key: tuple[str, str], above: tuple[tuple[str, str], ...]) -> int:
        if key not in calls:
            return 1
        if key in above or len(above) > MAX_DEPTH:
            raise ModelError(
                f"function {key[1]!r}: a function must not call itself, nor nest deeper than {MAX_DEPTH}; export the model again"
            )
        if key not in sizes:
            sizes[key] = sum(size(call, (*above, key)) for call in calls[key])
        return sizes[key]

    total = sum(size((node.domain, node.op_type), ()) for node in proto.graph.node)
    total = max([total, *(size(key, ()) for key in functions)])
    if total > MAX_NODES:
        raise ModelError(f"model: at most {MAX_NODES} nodes are read, but its functions expand to {total}")


def label(node: onnx.NodeProto) -> str:
    """How messages name a node."""
    return printable(f"{node.name} ({node.op_type})")
