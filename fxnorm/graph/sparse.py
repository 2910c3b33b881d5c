"""Sparse tensors, made dense: onnx-ir does not hold them, and the hardware has no use for them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from fxnorm.errors import ModelError
from fxnorm.graph.model_file import first_line
from fxnorm.graph.tensors import check_tensor, elements

if TYPE_CHECKING:
    import onnx

DENSE_LIMIT: Final = 1 << 28


def densify(graph: onnx.GraphProto) -> None:
    """Turn the sparse initializers and sparse Constants of a graph, and of its subgraphs, into dense ones."""
    for sparse in graph.sparse_initializer:
        graph.initializer.append(_dense(sparse, f"initializer {sparse.values.name!r}"))
    del graph.sparse_initializer[:]
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("sparse_tensor") and node.op_type == "Constant":
                tensor = _dense(attribute.sparse_tensor, f"{node.name} (Constant)")
                attribute.Clear()
                attribute.name, attribute.type = "value", attribute.TENSOR
                attribute.t.CopyFrom(tensor)
            if attribute.HasField("g"):
                densify(attribute.g)
            for inner in attribute.graphs:
                densify(inner)


def _dense(sparse: onnx.SparseTensorProto, where: str) -> onnx.TensorProto:
    import onnx

    count = elements(sparse.dims, where)
    if count > DENSE_LIMIT:
        raise ModelError(f"{where}: a sparse tensor may have at most 2^28 elements, not {count}; store it dense")
    check_tensor(sparse.values, where)
    check_tensor(sparse.indices, where)
    try:
        values, indices = onnx.numpy_helper.to_array(sparse.values), onnx.numpy_helper.to_array(sparse.indices)
        dense = np.zeros(tuple(sparse.dims), values.dtype)
        if indices.ndim == 2:
            indices = np.ravel_multi_index(tuple(indices.T), dense.shape)
        if indices.size and int(indices.min()) < 0:
            raise IndexError("negative index")
        dense.reshape(-1)[indices] = values
    except (ValueError, IndexError, TypeError) as error:
        raise ModelError(
            f"{where}: its indices do not fit its shape {list(sparse.dims)}: {first_line(error)}"
        ) from None
    return onnx.numpy_helper.from_array(dense, sparse.values.name)
