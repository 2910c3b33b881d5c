"""`fxnorm inspect --accumulators`: the table, the JSON, and what goes with a model and what with a plan."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commandline import run
from oracles import networks
from small_models import dense, samples, save

import fxnorm as fx


@pytest.fixture
def model(tmp_path: Path) -> Path:
    np.save(tmp_path / "x.npy", samples())
    return save(dense(), tmp_path / "m.onnx")


def entries(ran: Any) -> list[dict[str, Any]]:
    assert ran.code == 0, ran.err
    return list(ran.json["accumulators"])


def test_a_model_and_its_plan_say_the_same(model: Path) -> None:
    options = ("--format", "q5.3", "--accumulator", "q3.6", "--data", model.parent / "x.npy")
    of_model = run("inspect", model, "--accumulators", *options, "--json", "-")
    assert run("plan", model, *options, "-o", model.parent / "plan").code == 0
    of_plan = run("inspect", model.parent / "plan", "--accumulators", "--json", "-")
    assert entries(of_model) == entries(of_plan)
    (one,) = entries(of_plan)
    assert one["verdict"] == "witness"
    assert one["format"] == "q3.6"
    assert one["width"] == 9
    witness = one["witness"]
    x = np.array(witness["network"]["x"]["values"], np.float32).reshape(1, *witness["network"]["x"]["shape"])
    plan = fx.load_plan(model.parent / "plan")
    result = fx.simulate(plan, x)
    assert result.reports[plan.layers[0].output].usage.accumulator_overflow > 0
    codes = np.array(witness["inputs"][0]["codes"]).reshape(1, *witness["inputs"][0]["shape"])
    assert np.array_equal(fx.simulate(plan, x, trace=True).traces["x"].codes.reshape(codes.shape), codes)


def test_the_table(model: Path) -> None:
    ran = run("inspect", model, "--accumulators", "--format", "q5.3", "--accumulator", "q3.6")
    assert ran.code == 0
    lines = ran.out.splitlines()
    assert lines[0].startswith("no --data: calibrated on random input")
    heading = next(line for line in lines if line.startswith("layer"))
    for word in ("in the plan", "worst case", "by format", "by interval", "in order", "ℓ1 (A2Q)"):
        assert word in heading
    assert any("an input of the network overflows channel" in line for line in lines)
    assert lines[-1].startswith("1 accumulators: 0 proven never to overflow, 1 that some input overflows")
    safe = run("inspect", model, "--accumulators", "--format", "q5.3")
    assert "1 accumulators: 1 proven never to overflow; interval analysis saves" in safe.out


def test_every_verdict_has_words(tmp_path: Path) -> None:
    from fxnorm.planning.bounds import Verdict
    from fxnorm.report.accumulators import WORDS

    assert set(WORDS) == set(Verdict)
    path = save(networks.every_kernel(), tmp_path / "m.onnx")
    found = entries(
        run("inspect", path, "--accumulators", "--format", "q4.4", "--product-format", "q3.6:trn,wrap", "--json", "-")
    )
    assert {one["kernel"] for one in found} >= {"linear", "matmul", "rescale", "pool", "reduce", "softmax"}
    for one in found:
        assert one["proof"] == WORDS[Verdict(one["verdict"])]
        assert one["by_interval"]["width"] <= one["by_format"]["width"]
        channels = one["by_format"]["channels"]
        assert (min(channels["low"]), max(channels["high"])) == (one["by_format"]["low"], one["by_format"]["high"])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--format", "q5.3"), "--format decides a plan"),
        (("--data", "x.npy"), "--data decides a plan"),
        (("--accumulators",), "--format: is missing"),
        (("--accumulators", "--format", "q5.3", "--data", "x.npy", "--calibration-data", "x.npy"), "give one of them"),
        (("--accumulators", "--format", "q5.3", "--data", "x.npy", "--seed", "3"), "--samples and --seed"),
    ],
)
def test_options_that_do_not_go_with_a_model(model: Path, arguments: tuple[str, ...], words: str) -> None:
    ran = run("inspect", model, *arguments)
    assert ran.code == 2
    assert words in ran.message


@pytest.mark.parametrize(
    "option", [("--format", "q5.3"), ("--data", "x.npy"), ("--batch", "2"), ("--dim", "n=2"), ("--accumulator", "q9.9")]
)
def test_options_that_do_not_go_with_a_plan(model: Path, option: tuple[str, str]) -> None:
    plan = model.parent / "plan"
    assert run("plan", model, "--format", "q5.3", "-o", plan).code == 0
    ran = run("inspect", plan, "--accumulators", *option)
    assert ran.code == 2
    assert f"{option[0]} goes with a MODEL" in ran.message


def test_names_are_no_commands_to_a_terminal(tmp_path: Path) -> None:
    path = save(dense(name="evil\x1b[31m"), tmp_path / "m.onnx")
    assert "\x1b" not in run("inspect", path, "--accumulators", "--format", "q5.3", "--accumulator", "q3.6").out
