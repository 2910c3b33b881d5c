"""One-node onnxruntime models: float32 convolutions and products, on operands that are integers times powers of two."""

from __future__ import annotations

from typing import Any

import numpy as np

from fxnorm.engine import products
from fxnorm.kernels.linear import Window

Array = np.ndarray


class Session:
    """y = Conv(x, weights) + bias, or y = x · weightsᵀ + bias, in float32 on one thread.

    Parameters
    ----------
    weights
        float32, [o, c / groups, *kernel] with a window, [o, k] without.
    bias
        float32, one an output.
    window, groups
        Geometry of the convolution; None for a product.
    """

    def __init__(self, weights: Array, bias: Array, window: Window | None, groups: int) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4
        # The caller runs one chunk a core; a pool of spinning threads a layer would fight it.
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        proto = _model(weights, bias, window, groups)
        self._session: Any = onnxruntime.InferenceSession(proto, options, providers=["CPUExecutionProvider"])

    def run(self, x: Array) -> Array:
        """Products for float32 input [n, c, *spatial] or [n, k]."""
        return np.asarray(self._session.run(None, {"x": np.ascontiguousarray(x, dtype=np.float32)})[0])


class DoubleProduct:
    """What `Session` computes, in float64, which onnxruntime's convolutions lack: products of columns by BLAS.

    Parameters
    ----------
    weights, bias, window, groups
        As for `Session`, in float64.
    """

    def __init__(self, weights: Array, bias: Array, window: Window | None, groups: int) -> None:
        self._weights, self._window, self._groups = weights, window, groups
        self._bias = bias if window is None else bias.reshape(-1, *(1,) * len(window.kernel))

    def run(self, x: Array) -> Array:
        """Products for input [n, c, *spatial] or [n, k] of any type that holds the codes."""
        window = self._window
        if window is None:
            return np.asarray(x.astype(np.float64) @ self._weights.T + self._bias)
        total = products.convolve_floats(window.pad(x), self._weights, window.strides, window.dilations, self._groups)
        total += self._bias
        return total


def _model(weights: Array, bias: Array, window: Window | None, groups: int) -> bytes:
    from onnx import TensorProto, helper, numpy_helper

    constants = [numpy_helper.from_array(weights, "w"), numpy_helper.from_array(bias, "b")]
    if window is None:
        node = helper.make_node("Gemm", ["x", "w", "b"], ["y"], transB=1)
        shape: list[int | str] = ["n", weights.shape[1]]
    else:
        node = helper.make_node(
            "Conv",
            ["x", "w", "b"],
            ["y"],
            kernel_shape=list(window.kernel),
            strides=list(window.strides),
            dilations=list(window.dilations),
            pads=[*window.pads_begin, *window.pads_end],
            group=groups,
        )
        shape = ["n", weights.shape[1] * groups, *(f"d{axis}" for axis in range(len(window.kernel)))]
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    graph = helper.make_graph([node], "layer", [x], [y], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return bytes(model.SerializeToString())
