"""Codes in whatever order they lie in memory: what follows a transposition computes on a view of it."""

from __future__ import annotations

import numpy as np
import pytest
from oracles import networks

import fxnorm as fx
from fxnorm.simulation import Simulator


@pytest.mark.parametrize("format_", ["q5.3", "q5.3:rnd_conv,sat", "q4.4:trn,wrap", "q3.13"])
@pytest.mark.parametrize("behind", ["Add", "BatchNormalization", "Relu", "Mul"])
def test_a_layer_behind_a_transposition(behind, format_):
    nodes = [networks.node("Transpose", "x", "t", perm=[0, 3, 1, 2])]
    channels = {name: np.linspace(0.5, 2.0, 5, dtype=np.float32) for name in ("gamma", "beta", "mean", "variance")}
    match behind:
        case "Add" | "Mul":
            nodes.append(networks.node(behind, "t t", "y"))
        case "BatchNormalization":
            nodes.append(networks.node(behind, "t gamma beta mean variance", "y"))
        case "Relu":
            nodes += [networks.node("Add", "t t", "s"), networks.node("Relu", "s", "y")]
    proto = networks.model(
        nodes, [("x", [1, 3, 4, 5])], [("y", [1, 5, 3, 4])], channels if behind == "BatchNormalization" else {}
    )
    graph = fx.load(proto)
    samples = np.random.default_rng(0).normal(0, 20, (50, 3, 4, 5)).astype(np.float32)
    plan = fx.plan(graph, fx.calibrate(graph, samples[:10]), format_, batchnorm="rescale")
    given = {"x": samples[:, None]}
    plain, fast = Simulator(plan, fast=False), Simulator(plan)
    codes = plain.run(given)
    assert np.array_equal(fast.run(given)["y"], codes["y"])
    assert len(np.unique(codes["y"])) > 20
    for name, report in plain.reports.items():
        assert fast.reports[name].usage == report.usage
