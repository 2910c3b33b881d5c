"""Every kernel as operators of ONNX: onnxruntime gives the kernel's codes, all of them, whatever it optimizes."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from oracles.cases import CASES
from oracles.onnx_runs import agree, plan_of

from fxnorm.errors import UnsupportedError
from fxnorm.exact_onnx.export import RULES
from fxnorm.kernels.catalog import KERNELS

NOSHRINK = [Phase.generate]


def test_every_kernel_has_a_rule():
    assert set(RULES) == set(KERNELS)


def real_inputs(case, codes):
    """Numbers that become these codes, or None where float32 has none."""
    found = {}
    for index, (encoding, x) in enumerate(zip(case.encodings, codes, strict=True)):
        if case.kernel.kind == "lookup":
            found[f"x{index}"] = x
            continue
        real = encoding.decode(x).astype(np.float32)
        if not np.array_equal(encoding.encode(real), x):
            return None
        found[f"x{index}"] = real
    return found


@pytest.mark.parametrize("examples", [12, pytest.param(100, marks=pytest.mark.slow)])
@pytest.mark.parametrize("kind", list(CASES))
def test_codes_are_those_of_the_simulator(kind, examples):
    seen = Counter()

    @given(st.data())
    @settings(max_examples=examples)
    def check(data):
        width = data.draw(st.sampled_from([6, 9, 12, 16]))
        case = data.draw(CASES[kind](width))
        if case is None:
            seen["refused by the planner"] += 1
            return
        inputs = real_inputs(case, case.draw_codes(data.draw, samples=3))
        if inputs is None:
            seen["no numbers"] += 1
            return
        try:
            agree(plan_of(case), inputs)
        except UnsupportedError as error:
            seen["refused"] += 1
            seen[error.reasons[0]] += 1
            return
        seen["cases"] += 1

    check()
    assert seen["cases"] >= 0.6 * examples, seen
