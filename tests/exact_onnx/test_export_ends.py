"""The proof itself: no tensor of an exported graph, whichever it is, leaves the ends that its exactness rests on."""

from __future__ import annotations

from collections import Counter

import numpy as np
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import helper
from oracles.cases import CASES
from oracles.onnx_runs import merged, plan_of, session
from test_export_kernels import real_inputs

from fxnorm.errors import UnsupportedError
from fxnorm.exact_onnx.export import exact_model
from fxnorm.exact_onnx.numbers import Number


@pytest.fixture
def claims(monkeypatch):
    """Ends of every number that is made, by name; all claims on one name are kept."""
    found = {}
    made = Number.__init__

    def recorded(self, name, kind, low, high):
        made(self, name, kind, low, high)
        found.setdefault(name, []).append((kind, low, high))

    monkeypatch.setattr(Number, "__init__", recorded)
    return found


def watched(plan, claims):
    """The model with every claimed tensor of its main graph as an output."""
    claims.clear()
    model = exact_model(plan)
    outside = {port.name for port in model.graph.output}
    made = [name for node in model.graph.node for name in node.output]
    # Inputs are real numbers before they are codes, and remainders of them are no integers.
    names = [name for name in made if name in claims and name not in outside and not name.startswith("input")]
    for name in names:
        model.graph.output.append(helper.make_tensor_value_info(name, claims[name][-1][0].onnx, None))
    return model.SerializeToString(), names


@pytest.mark.parametrize("examples", [8, pytest.param(60, marks=pytest.mark.slow)])
@pytest.mark.parametrize("kind", list(CASES))
def test_every_tensor_lies_within_its_ends(kind, examples, claims):
    seen = Counter()

    @given(st.data())
    @settings(max_examples=examples)
    def check(data):
        case = data.draw(CASES[kind](data.draw(st.sampled_from([6, 9, 12, 16]))))
        if case is None:
            return
        inputs = real_inputs(case, case.draw_codes(data.draw, samples=4))
        if inputs is None:
            return
        plan = plan_of(case)
        try:
            content, names = watched(plan, claims)
        except UnsupportedError:
            return
        opened = session(content, onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL)
        given_inputs = {name: merged(x, plan.values[name].shape) for name, x in inputs.items()}
        for name, array in zip(names, opened.run(names, given_inputs), strict=True):
            for number_kind, low, high in claims[name]:
                assert array.dtype == number_kind.dtype
                if not array.size:
                    continue
                assert np.all(np.isfinite(array))
                assert np.array_equal(array, np.rint(array)), name
                assert int(array.min()) >= low, (name, int(array.min()), low)
                assert int(array.max()) <= high, (name, int(array.max()), high)
            seen["tensors"] += 1
        seen["cases"] += 1

    check()
    assert seen["cases"] >= 0.5 * examples, seen
    assert seen["tensors"] >= 2 * examples, seen
