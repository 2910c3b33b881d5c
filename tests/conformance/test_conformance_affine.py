"""The node tests that come with onnx with any scale and offset: as near to the expected numbers as powers of two are."""

from __future__ import annotations

import numpy as np
import pytest
from node_cases import NodeRun, Suite, load_suite
from verdict import _data, _real, judge

from fxnorm import api

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")  # onnx's reference implementation overflows at times


@pytest.fixture(scope="module")
def suite() -> Suite:
    return load_suite()


def misses(run: NodeRun, format_: str) -> list[str]:
    """Outputs that are further off than with powers of two, beyond a few LSB; empty where all are as good."""
    graph = api.load(run.model)
    data = {name: _data(array)[None] for name, array in run.data.items() if name in graph.inputs}
    ranges = api.calibrate(graph, data, histograms=False)
    plans = [api.plan(graph, ranges, format_, normalize=normalize) for normalize in ("pow2", "affine")]
    plain, affine = (api.simulate(plan, data) for plan in plans)
    inputs = [plans[1].values[name].encoding.step for name in plans[1].inputs if name not in plans[1].integer_inputs]
    found = []
    for name, array in run.expected.items():
        expected = _real(array)
        lsb = float(max(affine[name].encoding.step, *inputs)) if inputs else float(affine[name].encoding.step)
        errors = [
            np.abs(result[name].values.reshape(expected.shape) - expected).max(initial=0.0)
            for result in (plain, affine)
        ]
        slack = 4 * lsb * max(1, len(plans[1].layers)) + 1e-6 * np.abs(expected).max(initial=0.0)
        if errors[1] > 1.5 * errors[0] + slack:
            found.append(f"{run.name}: {name} is off by {errors[1]:.3g}, with powers of two by {errors[0]:.3g}")
    return found


def runnable(runs: list[NodeRun]) -> list[NodeRun]:
    return [run for run in runs if judge(run).status in {"passed", "limited"}]


def test_some_cases(suite: Suite) -> None:
    chosen = runnable(suite.runs[::25])
    assert len(chosen) > 20
    assert [miss for run in chosen for miss in misses(run, "q16.16")] == []


@pytest.mark.slow
@pytest.mark.parametrize("format_", ["q16.16", "q5.3", "uq8.8:trn"])
def test_every_case(suite: Suite, format_: str) -> None:
    assert [miss for run in runnable(list(suite.runs)) for miss in misses(run, format_)] == []
