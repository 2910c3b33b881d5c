"""Arrays of nodes whose inputs are all constant.

What the operators of shape arithmetic do is done in NumPy without copies (a weight of 100 million equal elements stays one number);
everything else is left to onnx's reference implementation.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Final

import numpy as np

from fxnorm.errors import ModelError
from fxnorm.graph.model_file import first_line
from fxnorm.graph.nodes import label

if TYPE_CHECKING:
    import onnx_ir as ir

Arrays = Sequence[np.ndarray | None]

RANDOM: Final = frozenset(
    {"RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "Bernoulli", "Multinomial"}
)


def evaluate(node: ir.Node, version: int, inputs: Arrays, shape: tuple[int, ...] | None) -> list[np.ndarray]:
    """Compute the outputs of a node from constant inputs.

    Parameters
    ----------
    node, version
        The node and the opset version of its domain.
    inputs
        Arrays in the order of the node's inputs; None for inputs that are left out.
    shape
        Shape of the first output where it is known.

    Raises
    ------
    ModelError
        If the node cannot be computed.
    """
    fold = _FOLDS.get(node.op_type) if node.domain == "" else None
    try:
        if fold is not None:
            return [fold(node, inputs, shape)]
        return _by_reference(node, version, inputs)
    except ModelError:
        raise
    except Exception as error:  # operators of the reference implementation raise anything
        raise ModelError(f"{label(node)}: cannot be computed from its constants: {first_line(error)}") from error


def is_free(node: ir.Node, inputs: Arrays) -> bool:
    """Whether computing a node takes no memory, because the result is a view."""
    if node.domain or node.op_type not in _FOLDS:
        return False
    return node.op_type in _VIEWS or all(array is None or array.size <= 1 or is_uniform(array) for array in inputs[:1])


def reshaped(array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Reshape without copying arrays whose elements are all one stored number."""
    if is_uniform(array):
        return np.broadcast_to(
            array.reshape(-1)[:1].reshape(()) if array.size == 1 else array[(0,) * array.ndim], shape
        )
    return array.reshape(shape)


def is_uniform(array: np.ndarray) -> bool:
    """Whether an array of several elements is one stored number, broadcast."""
    return array.size > 1 and all(
        stride == 0 for stride, size in zip(array.strides, array.shape, strict=True) if size > 1
    )


def constant_node(node: ir.Node) -> np.ndarray:
    """Array of a Constant node, whichever attribute it uses."""
    for name, attribute in node.attributes.items():
        match name:
            case "value":
                return np.asarray(attribute.as_tensor().numpy())
            case "value_int":
                return np.asarray(attribute.as_int(), dtype=np.int64)
            case "value_ints":
                return np.asarray(attribute.as_ints(), dtype=np.int64)
            case "value_float":
                return np.asarray(attribute.as_float(), dtype=np.float32)
            case "value_floats":
                return np.asarray(attribute.as_floats(), dtype=np.float32)
    given = ", ".join(node.attributes) or "no attribute"
    raise ModelError(f"{label(node)}: only numeric constants can be computed, this one has {given}")


_VIEWS: Final = frozenset({"Constant", "ConstantOfShape", "Expand", "Identity", "Transpose"})


def _by_reference(node: ir.Node, version: int, inputs: Arrays) -> list[np.ndarray]:
    import onnx
    import onnx_ir as ir
    from onnx.reference import ReferenceEvaluator

    proto = ir.serde.serialize_node(node)
    for index, name in enumerate(proto.output):
        if not name:
            proto.output[index] = f"unused_{index}"
    feeds = {}
    for index, array in enumerate(inputs):
        proto.input[index] = "" if array is None else f"input_{index}"
        if array is not None:
            feeds[f"input_{index}"] = array
    graph = onnx.helper.make_graph(
        [proto],
        "constant",
        [
            onnx.helper.make_tensor_value_info(n, int(ir.DataType.from_numpy(a.dtype)), a.shape)
            for n, a in feeds.items()
        ],
        [onnx.ValueInfoProto(name=name) for name in proto.output],
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid(node.domain, version)])
    with np.errstate(all="ignore"):
        results = ReferenceEvaluator(model).run(None, feeds)
    return [np.asarray(result) for result in results]


def _given(array: np.ndarray | None) -> np.ndarray:
    if array is None:
        raise ModelError("an input that the operator needs is left out")
    return array


def _reshape(node: ir.Node, inputs: Arrays, shape: tuple[int, ...] | None) -> np.ndarray:
    if shape is None:
        raise ModelError(f"{label(node)}: its output shape does not follow from its inputs")
    return reshaped(_given(inputs[0]), shape)


def _expand(node: ir.Node, inputs: Arrays, shape: tuple[int, ...] | None) -> np.ndarray:
    array, target = _given(inputs[0]), tuple(int(size) for size in _given(inputs[1]))
    return np.broadcast_to(array, np.broadcast_shapes(array.shape, target))


def _transpose(node: ir.Node, inputs: Arrays, shape: tuple[int, ...] | None) -> np.ndarray:
    permutation = node.attributes.get("perm")
    return np.transpose(_given(inputs[0]), None if permutation is None else permutation.as_ints())


def _constant_of_shape(node: ir.Node, inputs: Arrays, shape: tuple[int, ...] | None) -> np.ndarray:
    value = node.attributes.get("value")
    fill = np.float32(0) if value is None else np.asarray(value.as_tensor().numpy()).reshape(-1)[0]
    return np.broadcast_to(fill, tuple(int(size) for size in _given(inputs[0])))


def _cast(node: ir.Node, inputs: Arrays, shape: tuple[int, ...] | None) -> np.ndarray:
    import onnx_ir as ir

    dtype = ir.DataType(node.attributes["to"].as_int()).numpy()
    array = _given(inputs[0])
    if is_uniform(array):
        return np.broadcast_to(array[(0,) * array.ndim].astype(dtype), array.shape)
    with np.errstate(all="ignore"):
        return array.astype(dtype)


def _constant(node: ir.Node, inputs: Arrays, shape: tuple[int, ...] | None) -> np.ndarray:
    return constant_node(node)


def _identity(node: ir.Node, inputs: Arrays, shape: tuple[int, ...] | None) -> np.ndarray:
    return _given(inputs[0])


_FOLDS: Mapping[str, Callable[[ir.Node, Arrays, tuple[int, ...] | None], np.ndarray]] = {
    "Cast": _cast,
    "Constant": _constant,
    "ConstantOfShape": _constant_of_shape,
    "Expand": _expand,
    "Flatten": _reshape,
    "Identity": _identity,
    "Reshape": _reshape,
    "Squeeze": _reshape,
    "Transpose": _transpose,
    "Unsqueeze": _reshape,
}
