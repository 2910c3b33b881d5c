"""The node tests that come with onnx, through the simulator; and that the judge of them sees what is wrong."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from layerwise import layers_agree
from node_cases import NodeRun, Suite, load_suite
from operator_table import markdown
from verdict import HALF_ULP, _real, _tolerance, judge

from fxnorm import api
from fxnorm.lowering.operators import LOWERINGS

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")  # onnx's reference implementation overflows at times

PAGE = Path(__file__).resolve().parents[2] / "docs" / "operators.md"
# Operators of which onnx has no case that is finite and holds numbers of a width that samples can have.
WITHOUT_PASSING_CASES = {"Cast"}


@pytest.fixture(scope="module")
def suite() -> Suite:
    return load_suite()


@pytest.fixture(scope="module")
def named(suite: Suite) -> dict[str, NodeRun]:
    return {run.name: run for run in suite.runs}


def test_the_suite_is_there(suite: Suite) -> None:
    assert sum(run.lowered for run in suite.runs) > 500
    assert {run.operator for run in suite.runs if run.lowered} == set(LOWERINGS)
    assert {"test_edge_pad", "test_reflect_pad", "test_wrap_pad", "test_gather_1[integers]"} <= {
        run.name for run in suite.runs
    }


@pytest.mark.parametrize("operator", sorted(LOWERINGS))
def test_some_cases_of_an_operator(suite: Suite, operator: str) -> None:
    runs = suite.of(operator)
    verdicts = {run.name: judge(run) for run in runs[:: max(1, len(runs) // 2)]}
    assert {name: verdict for name, verdict in verdicts.items() if verdict.status not in {"passed", "refused"}} == {}
    assert all(verdict.detail for verdict in verdicts.values() if verdict.status == "refused")


@pytest.mark.slow
def test_every_case_and_the_page(suite: Suite) -> None:
    results = [(run, judge(run)) for run in suite.runs]
    assert {run.name: verdict for run, verdict in results if verdict.status == "wrong"} == {}
    assert [run.name for run, verdict in results if verdict.status == "refused" and not verdict.detail.strip()] == []
    assert {run.operator for run, verdict in results if verdict.status == "limited"} <= {"ReduceLogSumExp"}
    passed = {run.operator for run, verdict in results if run.lowered and verdict.status == "passed"}
    assert passed >= set(LOWERINGS) - WITHOUT_PASSING_CASES
    page = PAGE.read_text(encoding="utf-8")
    (version,) = re.findall(r"come with onnx (\S+),", page)
    if version != onnx.__version__:
        pytest.skip(
            f"docs/operators.md was made with onnx {version}, not {onnx.__version__}: its numbers were not compared"
        )
    assert page == markdown(suite, results), "docs/operators.md is not current: run `make conformance`"


# What the judge must see


def changed(run: NodeRun, factor: float) -> NodeRun:
    """The run with its largest expected number off by a part of it."""
    (name,) = run.expected
    array = np.array(run.expected[name])
    index = np.unravel_index(np.argmax(np.abs(array)), array.shape)
    array[index] *= 1.0 + factor
    return replace(run, expected={name: array})


@pytest.mark.parametrize(
    ("name", "factor"),
    [
        ("test_transpose_default", 2.0**-23),
        ("test_maxpool_2d_default", 2.0**-23),
        ("test_exp", 2.0**-20),
        ("test_matmul_2d[first]", 2.0**-20),
        ("test_matmul_2d[all]", 2.0**-20),
        ("test_softmax_axis_1", 2.0**-20),
        ("test_gemm_all_attributes[all]", 2.0**-20),
    ],
)
def test_the_judge_sees_an_error(named: dict[str, NodeRun], name: str, factor: float) -> None:
    assert judge(named[name]).status == "passed"
    assert judge(changed(named[name], factor)).status == "wrong"


def test_the_judge_sees_another_shape(named: dict[str, NodeRun]) -> None:
    run = named["test_transpose_default"]
    expected = {name: array.T for name, array in run.expected.items()}
    assert "shape" in judge(replace(run, expected=expected)).detail


def test_the_judge_sees_thrown_away_precision(named: dict[str, NodeRun], monkeypatch: pytest.MonkeyPatch) -> None:
    from fxnorm.planning import planner

    fitting = planner._free_encoding

    def coarse(*arguments: object) -> object:
        encoding = fitting(*arguments)  # type: ignore[arg-type]
        return replace(encoding, exponent=encoding.exponent + 3)

    monkeypatch.setattr(planner, "_free_encoding", coarse)
    assert "would do" in judge(named["test_exp"]).detail


def test_the_judge_does_not_take_a_breakdown_for_a_refusal(
    named: dict[str, NodeRun], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*arguments: object, **options: object) -> None:
        raise KeyError("y")

    monkeypatch.setattr(api, "plan", broken)
    verdict = judge(named["test_exp"])
    assert verdict.status == "wrong"
    assert "KeyError" in verdict.detail


@pytest.mark.parametrize(
    "name", ["test_reduce_log_sum_exp_keepdims_example", "test_softplus_expanded_ver18", "test_rotary_embedding"]
)
def test_layers_are_judged_one_by_one(named: dict[str, NodeRun], name: str) -> None:
    run = named[name]
    graph = api.load(run.model)
    data = {key: _real(array)[None] for key, array in run.data.items() if key in graph.inputs}
    plan = api.plan(graph, api.calibrate(graph, data), "q16.16")
    traces = api.simulate(plan, data, trace=True).traces

    def allowed(output, expected):  # type: ignore[no-untyped-def]
        return _tolerance(["several"], 2.0**output.encoding.lsb, expected, HALF_ULP["float32"])

    assert layers_agree(graph, traces, allowed)
    for key in _between(plan.layers, graph.values):
        codes = np.array(traces[key].codes)
        codes.flat[0] += 5000 if codes.flat[0] < 0 else -5000
        assert not layers_agree(graph, {**traces, key: replace(traces[key], codes=codes)}, allowed)


def _between(layers: tuple[object, ...], values: object) -> Iterator[str]:
    outputs = [layer.output for layer in layers if layer.output in values]  # type: ignore[attr-defined, operator]
    yield from {outputs[0], outputs[len(outputs) // 2], outputs[-1]}
