"""What stages cost, layer by layer: on the command line, in the JSON and in Python, and as the documentation has it."""

from __future__ import annotations

import math
import re
from pathlib import Path

import numpy as np
import onnx
import pytest
from commandline import run
from onnx import TensorProto, helper, numpy_helper
from small_models import dense, samples, save

import fxnorm as fx
from fxnorm.errors import DataError, PlanError
from fxnorm.lowering.lower import lower
from fxnorm.report import layer_attribution
from fxnorm.report.attribution import Attribution, attribute
from fxnorm.report.layer_attribution import LayerAttributions, attribution_columns, attribution_records

ROOT = Path(__file__).resolve().parents[2]


def network(*, computed: bool = False, name: str = "norm") -> onnx.ModelProto:
    """A dense layer, a layer normalization (of a computed scale, if need be), and an L1 normalization."""
    rng = np.random.default_rng(3)
    constants = {"w": rng.normal(size=(6, 8)), "b": rng.normal(0, 0.3, 8)}
    if not computed:
        constants["s"] = np.exp(rng.normal(0, 0.3, 8))
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["h"], name="dense"),
        helper.make_node("LayerNormalization", ["h", "s", "b"], ["n"], name=name),
        helper.make_node("LpNormalization", ["n"], ["y"], name="l1", p=1),
    ]
    inputs = {"x": ["n", 6], **({"s": ["n", 8]} if computed else {})}
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info(key, TensorProto.FLOAT, shape) for key, shape in inputs.items()],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 8])],
        [numpy_helper.from_array(array.astype(np.float32), key) for key, array in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 22)])


def data(computed: bool = False) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(4)
    x = {"x": rng.normal(1, 2, (50, 6)).astype(np.float32)}
    return {**x, "s": rng.normal(1, 0.3, (50, 8)).astype(np.float32)} if computed else x


@pytest.mark.parametrize("normalize", ["pow2", "affine"])
@pytest.mark.parametrize("algorithm", ["exact", "one_pass"])
@pytest.mark.parametrize("computed", [False, True])
def test_it_is_the_attribution_of_every_kernel_on_the_codes_that_it_gets(
    normalize: str, algorithm: str, computed: bool
) -> None:
    graph, x = fx.load(network(computed=computed)), data(computed)
    plan = fx.plan(graph, fx.calibrate(graph, x), "q5.3", normalize=normalize, norm_algorithm=algorithm)
    found = fx.attribute(graph, plan, x)
    assert list(found) == ["norm", "l1"]
    assert found.samples == 50
    operations = {step.output: step.operation for step in lower(graph).steps}
    traces = fx.simulate(plan, x, trace=True).traces
    for layer in plan.layers[1:]:
        codes = [traces[name].codes.reshape(50, *plan.values[name].shape) for name in layer.inputs]
        encodings = [plan.values[name].encoding for name in layer.inputs]
        alone = attribute(layer.kernel, operations[layer.output], encodings, plan.values[layer.output].encoding, codes)
        assert found[layer.name].costs_db == alone.costs_db
        assert found[layer.name].sqnr_db == alone.sqnr_db
    stages = ["mean", "square", "variance", "root"] if algorithm == "one_pass" else ["root"]
    assert list(found["norm"].costs_db) == [*stages, *([] if computed else ["scale"]), "bias", "requantization"]
    # The factor of an affine step is a scale, and its code of 0 a bias.
    assert list(found["l1"].costs_db) == (
        ["root", "requantization"] if normalize == "pow2" else ["root", "scale", "bias", "requantization"]
    )


def test_the_stage_that_was_made_coarse_is_to_blame() -> None:
    graph, x = fx.load(network()), data()
    ranges = fx.calibrate(graph, x)
    wide = {"norm_algorithm": "two_pass", "layers": ["norm:mean-format=q8.1"]}
    costs = fx.attribute(graph, fx.plan(graph, ranges, "q8.16", **wide), x)["norm"].costs_db
    assert max(costs, key=lambda stage: costs[stage]) == "mean"
    assert costs["mean"] > 20


def test_what_is_printed() -> None:
    graph, x = fx.load(network(name="evil\x1b[2J")), data()
    text = str(fx.attribute(graph, fx.plan(graph, fx.calibrate(graph, x), "q5.3"), x))
    first, second = text.splitlines()
    assert re.fullmatch(
        r"evil\ufffd\[2J: \d+\.\d dB; each stage costs: root -?\d+\.\d, .*, requantization \d+\.\d", first
    )
    assert second.startswith("l1: ")
    infinite = LayerAttributions({"a": Attribution(math.inf, {"root": math.inf, "requantization": 30.0})}, 1)
    cells = {column.heading: list(column.cells) for column in attribution_columns(infinite)}
    assert cells == {"normalization": ["a"], "SQNR dB": ["exact"], "root": ["0.0"], "requantization": ["-"]}
    assert attribution_records(infinite)["a"] == {"sqnr_db": None, "costs_db": {"root": 0.0, "requantization": None}}


def test_a_network_without_such_layers(tmp_path: Path) -> None:
    graph = fx.load(dense())
    plan = fx.plan(graph, fx.calibrate(graph, samples()), "q5.3")
    assert len(fx.attribute(graph, plan, samples())) == 0
    save(dense(), tmp_path / "m.onnx")
    done = run("simulate", tmp_path / "m.onnx", "--format", "q5.3", "--attribution", "--json", tmp_path / "r.json")
    assert done.code == 2
    assert "no normalization layer" in done.message
    assert not (tmp_path / "r.json").exists()


def test_wrong_models_and_samples() -> None:
    graph, x = fx.load(network()), data()
    plan = fx.plan(graph, fx.calibrate(graph, x), "q5.3")
    with pytest.raises(PlanError, match="another model"):
        fx.attribute(fx.load(network(name="other")), plan, x)
    with pytest.raises(DataError):
        fx.attribute(graph, plan, {"x": np.zeros((3, 5), np.float32)})


def test_the_command_line_writes_what_python_finds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the first samples, as many as make enough outputs."""
    monkeypatch.setattr(layer_attribution, "MOST_ELEMENTS", 20 * 8 + 7)
    model, x = save(network(), tmp_path / "m.onnx"), data()
    np.savez(tmp_path / "x.npz", **x)
    options = ("--data", tmp_path / "x.npz", "--attribution", "--json", "-")
    layers = run("simulate", model, "--format", "q5.3", "--norm-algorithm", "two_pass", *options).json["layers"]
    written = {layer["name"]: layer["attribution"] for layer in layers if "attribution" in layer}
    graph = fx.load(model)
    plan = fx.plan(graph, fx.calibrate(graph, x), "q5.3", norm_algorithm="two_pass")
    found = fx.attribute(graph, plan, {"x": x["x"][:20]})
    assert written == {name: {**one, "samples": 20} for name, one in attribution_records(found).items()}
    again = run("simulate", fx.save_plan(plan, tmp_path / "plan"), *options).json["layers"]
    assert {layer["name"]: layer["attribution"] for layer in again if "attribution" in layer} == written


def test_the_documented_table_is_what_is_printed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    page = (ROOT / "docs" / "normalization.md").read_text(encoding="utf-8")
    (command,) = re.findall(r"`fxnorm (simulate examples/digits_vit[^`]*)`", page)
    (block,) = re.findall(r"```\n(what each stage.*?)```", page, re.DOTALL)
    assert run(*command.split()).out.endswith(block)
