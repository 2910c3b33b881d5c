"""Import of ONNX models: from a file to a `Graph` in which every shape is known and only what depends on the inputs is left.

The order of things: read and check the file (`model_file`, `validation`); inline its functions (`functions`); bind the free
dimensions of the inputs (`binding`); walk over the graph once, bringing each node to its newest form and folding what is
constant (`simplify`, `rewrites`, `modernize`, `folding`, `inference`); describe what is left (`freeze`).
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

from fxnorm.errors import FxnormError, ModelError, UnsupportedError, UsageError

if TYPE_CHECKING:
    import onnx
    import onnx_ir as ir

    from fxnorm.graph.binding import Binding
    from fxnorm.graph.graph import Graph
    from fxnorm.graph.model_file import ModelFile
    from fxnorm.graph.simplify import Known, Simplifier

MAX_ROUNDS: Final = 16
"""How deeply operators may be defined by other operators."""


def load(
    source: str | os.PathLike[str] | onnx.ModelProto | ir.Model,
    *,
    batch: int | None = None,
    dims: Mapping[str, int] | None = None,
    outputs: Sequence[str] | None = None,
    known: Known | None = None,
) -> Graph:
    """Import an ONNX model of opset 6 or later.

    Parameters
    ----------
    source
        Path of the file, or a model in memory, which is left as it is.
    batch
        Size of the first dimension of the inputs. Default: the model's own; 1 where the model leaves it free.
    dims
        Sizes of other free dimensions, by name.
    outputs
        Names of the model outputs to keep. Default: all.
    known
        ``known(domain, op, version)`` tells whether an operator can be lowered. One that is not known is expanded
        where onnx defines it by other operators. Default: every operator is known.

    Returns
    -------
    Graph
        Of opset 21 or, where the model's is newer, the model's own. float16, bfloat16 and float64 become float32.

    Raises
    ------
    ModelError
        If the file is no sound ONNX model, its shapes do not fit together, or a weight is infinite or NaN. Infinite
        bounds of Clip, Min and Max and infinite entries of masks (operands of Add, Sub and Where, the value of Pad) are
        accepted.
    UnsupportedError
        If the shape of a value depends on the data, or an operator is unknown.
    UsageError
        If `batch`, `dims` or `outputs` name what the model does not have.
    """
    import onnx_ir as ir

    from fxnorm.graph.model_file import first_line, read
    from fxnorm.graph.sparse import densify
    from fxnorm.graph.validation import validate

    try:
        file = read(source)
        validate(file.proto)
        densify(file.proto.graph)
        model = ir.from_proto(file.proto)
        if file.path is not None:
            ir.external_data.set_base_dir(model.graph, str(file.path.absolute().parent))
        return _import(model, file, batch, dims or {}, outputs, known)
    except FxnormError:
        raise
    except RecursionError:
        raise ModelError("model: is nested too deeply to be read; export it again") from None
    except (ir.serde.SerdeError, ir.passes.PassError) as error:
        raise ModelError(f"model: cannot be read: {first_line(error)}") from error


def _import(
    model: ir.Model,
    file: ModelFile,
    batch: int | None,
    dims: Mapping[str, int],
    outputs: Sequence[str] | None,
    known: Known | None,
) -> Graph:
    from onnx_ir.passes import common

    from fxnorm.graph.binding import bind_inputs
    from fxnorm.graph.freeze import check_finite, freeze
    from fxnorm.graph.functions import inline_functions, stamp_versions
    from fxnorm.graph.modernize import TARGET

    graph = model.graph
    common.RemoveInitializersFromInputsPass()(model)
    if not graph.inputs:
        raise ModelError("model: must have at least one input that is not a constant; export it again")
    _keep_outputs(graph, outputs)
    stamp_versions(model)
    inline_functions(model)
    graph.sort()
    common.RemoveUnusedNodesPass()(model)
    binding = bind_inputs(graph, batch, dims)
    batches = _fixed_batches(graph, binding)
    graph.opset_imports[""] = max(TARGET, graph.opset_imports.get("", TARGET))
    walk = _simplify(model, binding, known)
    common.RemoveUnusedNodesPass()(model)
    check_finite(walk)
    _check_batches(walk, batches, binding)
    common.RemoveUnusedOpsetsPass()(model)
    graph.opset_imports.setdefault("", TARGET)
    model.ir_version = max(model.ir_version or 0, 10)
    return freeze(model, file, binding, walk)


def _fixed_batches(graph: ir.Graph, binding: Binding) -> list[str]:
    """Outputs whose first dimension the file fixes at the batch that is to be replaced."""
    if binding.rebound is None:
        return []
    old = binding.rebound[0]
    return [
        value.name or ""
        for value in graph.outputs
        if value.shape is not None and len(value.shape) and value.shape[0] == old
    ]


def _check_batches(walk: Simplifier, names: Sequence[str], binding: Binding) -> None:
    """Refuse a new batch that does not reach the outputs, because the model fixes the old one somewhere within."""
    for value in walk.graph.outputs:
        if value.name in names and binding.rebound is not None and walk.shape(value)[:1] != (binding.rebound[1],):
            old, new = binding.rebound
            raise ModelError(
                f"output {value.name!r}: the batch of {old} that the model fixes cannot be replaced by {new}, the output would "
                f"have the shape {list(walk.shape(value))}; export the model with a free batch"
            )


def _keep_outputs(graph: ir.Graph, outputs: Sequence[str] | None) -> None:
    if outputs is None:
        return
    by_name = {value.name: value for value in graph.outputs}
    for name in outputs:
        if name not in by_name:
            raise UsageError(
                f"output {name!r}: the model has no such output; it has: {', '.join(str(n) for n in by_name)}"
            )
    if not outputs:
        raise UsageError("outputs: at least one must be kept")
    kept = [by_name[name] for name in dict.fromkeys(outputs)]
    graph.outputs.clear()
    graph.outputs.extend(kept)


def _simplify(model: ir.Model, binding: Binding, known: Known | None) -> Simplifier:
    """Walk over the graph until no operator is left that onnx defines by others and that is not known."""
    from fxnorm.graph.functions import expand_operators
    from fxnorm.graph.rewrites import REWRITES
    from fxnorm.graph.simplify import Simplifier

    graph = model.graph
    declared = _declared_types(graph, binding)
    for _ in range(MAX_ROUNDS):
        walk = Simplifier(graph, model.opset_imports, REWRITES, known, declared, binding.rebound)
        walk.run()
        if not walk.expandable:
            break
        expand_operators(model, walk.expandable)
    if walk.unresolved or walk.expandable:
        raise UnsupportedError(_unsupported(walk, known))
    return walk


def _unsupported(walk: Simplifier, known: Known | None) -> list[str]:
    """Why a graph could not be resolved: the operators at fault, and every other one that is not known."""
    from fxnorm.graph.inference import schema
    from fxnorm.graph.nodes import label

    reasons: dict[str, str] = {}
    for node in walk.graph:
        name, version = label(node), walk.version(node)
        if schema(node.domain, node.op_type, version) is None:
            where = f"of domain {node.domain}" if node.domain else f"in opset {version}"
            reasons[name] = f"{name}: there is no such operator {where}"
        elif known is not None and not known(node.domain, node.op_type, version):
            reasons[name] = f"{name}: the operator is not supported"
        elif node in walk.unresolved and all(value is None or walk.is_resolved(value) for value in node.inputs):
            what = "does not give tensors" if _gives_no_tensor(node) else "gives a shape that depends on the data"
            reasons[name] = f"{name}: {what}"
    if not reasons:
        reasons = {label(node): f"{label(node)}: what it reads cannot be computed" for node in walk.unresolved}
    return list(reasons.values())


def _gives_no_tensor(node: ir.Node) -> bool:
    import onnx_ir as ir

    return any(value.type is not None and not isinstance(value.type, ir.TensorType) for value in node.outputs)


def _declared_types(graph: ir.Graph, binding: Binding) -> dict[str, ir.TypeAndShape]:
    """What the file says of its values, with free dimensions bound; nothing where another batch than the file's is asked for."""
    import onnx_ir as ir

    if binding.rebound is not None:
        return {}
    found = {}
    for node in graph:
        for value in node.outputs:
            if value.name and value.type is not None and value.shape is not None:
                sizes = [_declared_size(size, axis, binding) for axis, size in enumerate(value.shape)]
                found[value.name] = ir.TypeAndShape(value.type, ir.Shape(sizes))
    return found


def _declared_size(size: int | ir.SymbolicDim, axis: int, binding: Binding) -> int | str | None:
    if isinstance(size, int):
        return size
    if size.value is None:
        return binding.batch if axis == 0 and binding.free_batch else None
    return binding.symbols.get(size.value, size.value)
