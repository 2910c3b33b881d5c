"""Exact products of unsigned bytes with signed weights: onnxruntime's 8-bit matrix product, on processors that have one.

Processors with dot-product instructions for bytes (VNNI) take four times as many products at a time as in float32 and add them in 32 bits
without rounding or saturating. Older ones may saturate sums of two products: there `exact_here` says no.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final

import numpy as np

Array = np.ndarray

MAX_TAPS: Final = 1 << 15
"""Most products that are added: 2^15 of them, each below 2^16, stay below 2^31."""


class ByteProduct:
    """y = u · weights, exact.

    Parameters
    ----------
    weights
        Integers of 8 or 16 bits, [taps, channels].

    Attributes
    ----------
    limbs
        1, or 2 for weights of more than 8 bits.
    """

    def __init__(self, weights: Array) -> None:
        taps, self._channels = weights.shape
        if taps > MAX_TAPS:
            raise OverflowError(f"{taps} products of bytes do not fit 32 bits")
        self.limbs = 1 if byte_range(weights, 8) else 2
        zeros = None
        held = weights.astype(np.int64)
        if self.limbs == 2:
            # The lower limb is 0 to 255: it is stored less 128, and the product takes that back.
            held = np.concatenate([held >> 8, (held & 255) - 128], axis=1)
            zeros = np.repeat(np.array([0, -128], np.int8), self._channels)
        self._session: Any = _session(held.astype(np.int8), zeros)

    def run(self, rows: Array) -> Array:
        """Sums int32 [limbs of u, rows, limbs of the weights, channels] for bytes [limbs of u, rows, taps]."""
        flat = rows.reshape(-1, rows.shape[-1])
        sums = np.asarray(self._session.run(None, {"u": flat})[0])
        return sums.reshape(rows.shape[0], rows.shape[1], self.limbs, self._channels)


def byte_range(codes: Array, width: int) -> bool:
    """Whether signed integers of a width hold all codes."""
    return not codes.size or (int(codes.min()) >= -1 << (width - 1) and int(codes.max()) < 1 << (width - 1))


@lru_cache(maxsize=1)
def exact_here() -> bool:
    """Whether this processor's product of bytes is exact and fast: it has dot products of bytes, and they neither saturate nor round.

    What is tried are the largest sums that pairs and fours of products can have, of either sign, at row lengths with and without a rest.
    """
    from llvmlite import binding

    features = binding.get_host_cpu_features()
    if not any(features.get(name, False) for name in ("avx512vnni", "avxvnni", "dotprod")):
        return False
    for taps, channels in ((1, 1), (7, 3), (64, 16), (131, 40)):
        for weight in (-128, 127):
            weights = np.full((taps, channels), weight)
            for rows in (1, 5, 64):
                sums = ByteProduct(weights).run(np.full((1, rows, taps), 255, np.uint8))
                if not (sums == 255 * weight * taps).all():
                    return False
    return True


def _session(weights: Array, zeros: Array | None) -> Any:
    import onnxruntime
    from onnx import TensorProto, helper, numpy_helper

    constants = [numpy_helper.from_array(weights, "w")]
    names = ["u", "w"]
    if zeros is not None:
        names += ["", "z"]
        constants.append(numpy_helper.from_array(zeros, "z"))
    u = helper.make_tensor_value_info("u", TensorProto.UINT8, ["n", len(weights)])
    y = helper.make_tensor_value_info("y", TensorProto.INT32, ["n", weights.shape[1]])
    graph = helper.make_graph([helper.make_node("MatMulInteger", names, ["y"])], "layer", [u], [y], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    # The caller runs one piece a core; a pool of spinning threads a layer would fight it.
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
