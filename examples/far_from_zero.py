"""A layer gives 128 to 256, and the multipliers hold -16 to 16: what becomes of the numbers under each normalization.

``python examples/far_from_zero.py`` prints the table that stands in docs/normalization-of-ranges.md. The network is two dense layers
of one weight: 128 + 128·x for x from 0 to 1, and back to x.
"""

from __future__ import annotations

import numpy as np
from onnx import ModelProto, TensorProto, helper, numpy_helper

import fxnorm as fx

FORMAT = "q5.3"
SAMPLES = 256


def network() -> ModelProto:
    constants = {"w0": [[128.0]], "b0": [128.0], "w1": [[1 / 128]], "b1": [-1.0]}
    nodes = [
        helper.make_node("Gemm", ["x", "w0", "b0"], ["layer"], name="layer"),
        helper.make_node("Gemm", ["layer", "w1", "b1"], ["next"], name="next"),
    ]
    graph = helper.make_graph(
        nodes,
        "far_from_zero",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 1])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 1]) for name in ("layer", "next")],
        [numpy_helper.from_array(np.array(value, np.float32), name) for name, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])


def table() -> str:
    graph = fx.load(network())
    x = np.linspace(0.0, 1.0, SAMPLES, dtype=np.float32)[:, None]
    ranges = fx.calibrate(graph, x)
    expected = fx.reference(graph, x)
    lines = [
        "| `--normalize` | scale | offset | fixed-point numbers | codes used | saturated | SQNR | SQNR of the next layer |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for normalize in ("none", "pow2", "affine"):
        plan = fx.plan(graph, ranges, FORMAT, normalize=normalize)
        result = fx.simulate(plan, x)
        layer = result["layer"]
        held = layer.codes * 2.0**-layer.format.fraction_bits
        overflow = result.reports["layer"].usage.overflow / SAMPLES
        errors = fx.compare(expected, result)
        lines.append(
            f"| `{normalize}` | {layer.encoding.scale:.4g} | {layer.encoding.offset:.4g} | {held.min():g} to {held.max():g} | "
            f"{len(np.unique(layer.codes))} | {overflow:.0%} | {errors['layer'].sqnr_db:.1f} dB | {errors['next'].sqnr_db:.1f} dB |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    print(table())
