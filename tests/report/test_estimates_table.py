"""`fxnorm inspect PLAN`: estimates before synthesis, as a table and as JSON."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from commandline import Ran, run
from small_models import dense, samples, save

import fxnorm as fx
from fxnorm.cost import estimate
from fxnorm.errors import UnsupportedError
from fxnorm.planning import storage
from fxnorm.planning.plan import Plan


@pytest.fixture(autouse=True)
def plan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Plan:
    monkeypatch.chdir(tmp_path)
    save(dense(), Path("m.onnx"))
    np.savez("data.npz", x=samples())
    assert run("plan", "m.onnx", "--format", "q5.3", "--data", "data.npz", "-o", "plan").code == 0
    return storage.load("plan")


def done(*arguments: object) -> Ran:
    ran = run(*arguments)
    assert ran.code == 0, ran.err
    return ran


def test_the_record_is_the_estimate(plan: Plan) -> None:
    record = done("inspect", "plan", "--json", "-").json["estimates"]
    assert record == estimate(plan).record()
    # Four inputs, three outputs, one product a cycle; one beat in, one out.
    assert (record["layers"][0]["cycles"], record["interval"]) == (12, 14)
    assert record["note"].startswith("estimates before synthesis")
    full = done("inspect", "plan", "--json", "-", "--parallelism", "full").json["estimates"]
    assert (full["layers"][0]["cycles"], full["multipliers"]) == (1, 12)
    assert done("inspect", "plan", "--json", "-", "--io", "parallel").json["estimates"]["io"] == "parallel"
    own = done("inspect", "plan", "--json", "-", "--parallelism", "dense=4").json["estimates"]
    assert own["layers"][0]["simd"] == 4


def test_the_table_says_that_it_estimates(plan: Plan) -> None:
    found = estimate(plan, ["4"])
    text = done("inspect", "plan", "--parallelism", "4").out
    part = text[text.index("Estimates before synthesis") :]
    (row,) = (line for line in part.splitlines() if line.startswith("dense"))
    own = found.layers[0]
    assert [f"{own.pe}×{own.simd}", f"{own.interval}", f"{own.fill}", f"{own.multipliers}"] == row.split()[2:6]
    assert f"{own.resources.lut:,}" in row
    assert f"a frame every {found.interval:,} cycles, the first one {found.latency:,} cycles after" in part


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("inspect", "m.onnx", "--parallelism", "4"), "--parallelism and --io go with a PLAN"),
        (("inspect", "m.onnx", "--io", "stream"), "--parallelism and --io go with a PLAN"),
        (("inspect", "plan", "--parallelism", "0"), "positive integer or full"),
        (("inspect", "plan", "--parallelism", "conv=2"), "no layer is named 'conv'"),
        (("inspect", "plan", "--io", "sideways"), "stream or parallel"),
    ],
)
def test_what_cannot_be_estimated_is_refused(arguments: tuple[str, ...], words: str) -> None:
    ran = run(*arguments)
    assert ran.code == 2
    assert words in ran.message


def test_integers_wider_than_hardware_are_said(plan: Plan) -> None:
    (layer,) = plan.layers
    kernel = replace(layer.kernel, stage=replace(layer.kernel.stage, shift=layer.kernel.stage.shift - 2000))  # type: ignore[attr-defined, type-var]
    wide = replace(plan, layers=(replace(layer, kernel=kernel),))
    with pytest.raises(UnsupportedError, match="1 layer cannot be estimated"):
        estimate(wide)
    fx.save_plan(wide, "wide")
    ran = done("inspect", "wide")
    assert "no estimates: 1 layer cannot be estimated" in ran.out
    assert "Estimates before synthesis" not in ran.out
    assert done("inspect", "wide", "--json", "-").json["estimates"] is None
