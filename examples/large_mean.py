"""What the two usual datapaths of a layer normalization make of a large mean and a small deviation: µ = 12, σ = 0.25 in q5.3.

``python examples/large_mean.py`` prints the table that stands in docs/normalization.md. The data are rounded to q5.3 before FP32 sees
them, so that all that is measured is what the normalization loses.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from onnx import ModelProto, TensorProto, helper, numpy_helper

import fxnorm as fx

FORMAT = "q5.3"
GROUPS = 4000
LENGTHS = (48, 64, 384)
# Name in the table → options of the plan.
DATAPATHS: Mapping[str, Mapping[str, str]] = {
    "exact": {},
    "two_pass": {"norm_algorithm": "two_pass"},
    "one_pass": {"norm_algorithm": "one_pass"},
    "one_pass, all stages of 3 fraction bits and truncating": {
        "norm_algorithm": "one_pass",
        "mean_format": "q5.3:trn",
        "variance_format": "uq10.3:trn",
        "root_format": "uq2.3",
    },
    "one_pass, mean q5.8, variance uq10.10": {
        "norm_algorithm": "one_pass",
        "mean_format": "q5.8",
        "variance_format": "uq10.10",
    },
    "one_pass, mean q5.10, variance uq10.10": {
        "norm_algorithm": "one_pass",
        "mean_format": "q5.10",
        "variance_format": "uq10.10",
    },
}


def network(length: int) -> ModelProto:
    """One layer normalization without scale and bias."""
    graph = helper.make_graph(
        [helper.make_node("LayerNormalization", ["x", "one"], ["y"], name="norm")],
        "large_mean",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", length])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", length])],
        [numpy_helper.from_array(np.ones(length, np.float32), "one")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])


def measured(length: int) -> list[tuple[float, float, float]]:
    """Of every datapath: SQNR in dB, the share of groups with a variance below zero, and that of those whose root overflows."""
    graph = fx.load(network(length))
    x = np.random.default_rng(0).normal(12.0, 0.25, (GROUPS, length))
    x = np.clip(np.rint(x * 8), -128, 127).astype(np.float32) / 8
    ranges, expected = fx.calibrate(graph, x), fx.reference(graph, x)
    found = []
    for options in DATAPATHS.values():
        result = fx.simulate(fx.plan(graph, ranges, FORMAT, normalize="none", **options), x)
        stages = result.reports["y"].usage.stages
        negative, infinite = (stages.get(name, 0) / GROUPS for name in ("negative variance", "root"))
        found.append((fx.compare(expected, result)["y"].sqnr_db, negative, infinite))
    return found


def table() -> str:
    """The table in Markdown; the shares are those of the shortest groups."""
    heading = ["algorithm", *(f"N = {length}" for length in LENGTHS), "variance below 0", "1 / √variance too large"]
    columns = [measured(length) for length in LENGTHS]
    lines = [f"| {' | '.join(heading)} |", "| --- " * len(heading) + "|"]
    for name, (first, *others) in zip(DATAPATHS, zip(*columns, strict=True), strict=True):
        cells = [f"{sqnr:.1f} dB" for sqnr, *_ in (first, *others)] + [f"{share:.1%}" for share in first[1:]]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    print(table())
