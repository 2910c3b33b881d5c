"""Small networks with branches, as plans."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

import numpy as np
from onnx import ModelProto, helper
from small_models import floats, model

import fxnorm as fx
from fxnorm.planning.plan import Plan

Array = np.ndarray


def plan_of(proto: ModelProto, x: Array | Mapping[str, Array], **options: str) -> Plan:
    """A q5.3 plan."""
    graph = fx.load(proto)
    return fx.plan(graph, fx.calibrate(graph, x), format="q5.3", **options)


def residual() -> tuple[ModelProto, Array]:
    """A convolution beside two of them, their sum, and a model input that goes three ways."""
    rng = np.random.default_rng(5)
    constants = {
        "w1": rng.normal(size=(3, 3, 3, 3)).astype(np.float32) / 4,
        "w2": rng.normal(size=(3, 3, 5, 5)).astype(np.float32) / 6,
        "w3": rng.normal(size=(3, 1, 3, 3)).astype(np.float32) / 2,
        "w4": rng.normal(size=(2, 3, 1, 1)).astype(np.float32),
    }
    nodes = [
        helper.make_node("Conv", ["x", "w1"], ["a"], name="one", pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["a"], ["b"], name="relu"),
        helper.make_node("Conv", ["b", "w2"], ["c"], name="two", pads=[2, 2, 2, 2]),
        helper.make_node("Conv", ["x", "w3"], ["d"], name="three", pads=[2, 2, 2, 2], dilations=[2, 2], group=3),
        helper.make_node("Sum", ["x", "c", "d"], ["e"], name="sum"),
        helper.make_node("Conv", ["e", "w4"], ["y"], name="four", strides=[2, 2]),
    ]
    outputs = [floats("y", [1, 2, 4, 3]), floats("e", [1, 3, 8, 6])]
    proto = model(nodes, [floats("x", [1, 3, 8, 6])], outputs, constants)
    return proto, rng.normal(size=(12, 1, 3, 8, 6)).astype(np.float32)


@cache
def residual_plan() -> Plan:
    """Plan of `residual`."""
    proto, x = residual()
    return plan_of(proto, x[:, 0])
