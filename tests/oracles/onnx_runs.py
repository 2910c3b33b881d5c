"""Exported files in onnxruntime, at both ends of its graph optimization, against the simulator."""

from __future__ import annotations

import numpy as np
import onnxruntime

import fxnorm as fx
from fxnorm.exact_onnx.export import CODES, exact_model
from fxnorm.planning.plan import Layer, Plan, PlanValue

LEVELS = (
    onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL,
    onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL,
)


def plan_of(case):
    """A plan of one layer; indices are integer inputs."""
    names = tuple(f"x{i}" for i in range(len(case.shapes)))
    values = {name: PlanValue(tuple(s), e) for name, s, e in zip(names, case.shapes, case.encodings, strict=True)}
    values["y"] = PlanValue(tuple(case.shape), case.output)
    layer = Layer("layer", "Op", case.kernel, names, "y", False)
    indices = names if case.kernel.kind == "lookup" else ()
    return Plan((layer,), names, indices, {"y": "y"}, values, "", "", "", "", {"format": "q5.3"})


def session(content, level):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.graph_optimization_level = level
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def merged(array, shape):
    """An array [samples, *shape] as the file takes and gives it."""
    return array.reshape(-1, *shape[1:])


def outputs(content, inputs):
    """Outputs by name at every level, which must be the same bits."""
    found = []
    for level in LEVELS:
        opened = session(content, level)
        names = [output.name for output in opened.get_outputs()]
        found.append(dict(zip(names, opened.run(None, inputs), strict=True)))
    first, second = found
    assert first.keys() == second.keys()
    for name, array in first.items():
        assert array.dtype == second[name].dtype
        assert array.tobytes() == second[name].tobytes(), name
    return first


def agree(plan, inputs):
    """Every code and every real number of the file is the simulator's; inputs are [samples, *shape] by name.

    Returns the codes of all outputs, which are the same for both.
    """
    content = exact_model(plan).SerializeToString()
    got = outputs(content, {name: merged(x, plan.values[name].shape) for name, x in inputs.items()})
    result = fx.simulate(plan, inputs)
    for name, output in result.items():
        assert got[name + CODES].dtype == np.int64
        assert got[name + CODES].shape == output.codes.shape
        assert np.array_equal(got[name + CODES], output.codes), name
        assert np.array_equal(got[name].astype(np.float64), output.values), name
    return {name: got[name + CODES] for name in result}
