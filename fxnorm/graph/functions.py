"""Expansion of functions: those a model brings along, and those by which onnx defines an operator that is not known otherwise."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from fxnorm.errors import ModelError
from fxnorm.graph.inference import function_proto
from fxnorm.graph.model_file import first_line
from fxnorm.graph.nodes import opset

if TYPE_CHECKING:
    import onnx
    import onnx_ir as ir


def stamp_versions(model: ir.Model) -> None:
    """Record with every node the opset version by which it is to be read, so that bodies of different opsets can be mixed."""
    owners: list[ir.Graph | ir.Function] = [model.graph, *model.functions.values()]
    for owner in owners:
        for node in owner.all_nodes():
            if node.version is None:
                node.version = owner.opset_imports.get(node.domain) or model.opset_imports.get(node.domain)


def inline_functions(model: ir.Model) -> None:
    """Put the body of every function of the model in the place of its calls.

    Raises
    ------
    ModelError
        If a body cannot be put there.
    """
    from onnx_ir.passes.common import InlinePass

    if not model.functions:
        return
    for function in model.functions.values():
        _separate_outputs(function)
    stamp_versions(model)
    imports = dict(model.graph.opset_imports)
    for function in model.functions.values():
        imports = {**function.opset_imports, **imports}
    model.graph.opset_imports.update(imports)
    for function in model.functions.values():
        function.opset_imports.update({domain: imports[domain] for domain in function.opset_imports})
    try:
        InlinePass()(model)
    except Exception as error:  # the pass raises ValueError, PreconditionError and what its cloner wraps
        raise ModelError(
            f"functions: cannot be expanded: {first_line(error)}; export the model with its functions inlined"
        ) from error
    model.functions.clear()


def _separate_outputs(function: ir.Function) -> None:
    """Give every output of a function a value of its own, so that inlining does not rename what the caller passes in."""
    import onnx_ir as ir

    taken: set[ir.Value] = set(function.inputs)
    for index, value in enumerate(function.outputs):
        if value in taken:
            identity = ir.Node("", "Identity", [value], name="Identity", version=function.opset_imports.get(""))
            identity.outputs[0].name = f"{value.name}_{index}"
            function.append(identity)
            function.outputs[index] = identity.outputs[0]
        taken.add(value)


def expand_operators(model: ir.Model, nodes: Sequence[ir.Node]) -> None:
    """Put the operators by which onnx defines an operator in the place of each of these nodes.

    Parameters
    ----------
    model
        The model that they are in.
    nodes
        Nodes of operators that have such a definition; types and shapes of their inputs are known.
    """
    import onnx_ir as ir

    for number, node in enumerate(nodes):
        proto = function_proto(node, opset(node))
        if proto is None:
            continue
        node.overload = f"expanded_{number}"
        proto.domain, proto.name, proto.overload = node.domain, node.op_type, node.overload
        for inner in proto.node:
            inner.name = f"{node.name}/{inner.op_type}"
        _match_outputs(proto, node)
        function = ir.serde.deserialize_function(proto)
        model.functions[function.identifier()] = function
    inline_functions(model)


def _match_outputs(proto: onnx.FunctionProto, node: ir.Node) -> None:
    """Let a definition have the outputs that a node asks for; those it does not ask for may be missing from it."""
    made = {*proto.input, *(name for inner in proto.node for name in inner.output)}
    outputs = [name if name in made else proto.output[0] for name in proto.output[: len(node.outputs)]]
    del proto.output[:]
    proto.output.extend(outputs)
    for index, value in enumerate(node.outputs):
        value.name = value.name or f"{node.name}_unused_{index}"
