"""`fxnorm plan`, plans used again, `fxnorm inspect` and `fxnorm ops`."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from commandline import Ran, read_json, run, tree
from onnx import helper
from small_models import dense, floats, model, samples, save

FORMAT = ("--format", "q5.3")
DATA = ("--data", "data.npz")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    save(dense(), Path("m.onnx"))
    np.savez("data.npz", x=samples(), labels=np.arange(10) % 3)
    return tmp_path


def done(*arguments: object) -> Ran:
    ran = run(*arguments)
    assert ran.code == 0, ran.err
    return ran


# Plans


def test_a_plan_runs_as_the_model_did() -> None:
    options = (*FORMAT, "--layer", "dense:format=q4.6", "--rounding", "trn", "--accumulator", "q9.9:trn,sat")
    direct = done("simulate", "m.onnx", *options, *DATA, "--json", "-").json
    made = done("plan", "m.onnx", *options, *DATA, "-o", "plan")
    again = done("simulate", "plan", *DATA, "--json", "-")
    assert again.err == ""
    assert {**again.json, "seconds": 0} == {**direct, "seconds": 0}
    assert direct["plan"]["digest"] in made.out
    assert set(tree(Path("plan"))) == {"plan.json", "arrays.npz"}


def test_a_plan_without_data_says_so_first() -> None:
    made = done("plan", "m.onnx", *FORMAT, "--samples", "5", "-o", "plan")
    assert made.out.splitlines()[0].startswith("no --data: calibrated on random input (seed 0, 5 samples)")
    ran = done("simulate", "plan", "--samples", "5")
    assert ran.err == ""
    assert ran.out.splitlines()[0].startswith("no --data: random input (seed 0, 5 samples)")


def test_calibration_data_make_a_plan_too() -> None:
    one = done("plan", "m.onnx", *FORMAT, *DATA, "-o", "one").out
    two = done("plan", "m.onnx", *FORMAT, "--calibration-data", "data.npz", "-o", "two").out
    assert "no --data" not in two
    assert re.findall("plan [0-9a-f]{64}", one) == re.findall("plan [0-9a-f]{64}", two) != []


def test_a_plan_replaces_an_older_one() -> None:
    done("plan", "m.onnx", *FORMAT, *DATA, "-o", "plan")
    done("plan", "m.onnx", "--format", "q8.8", *DATA, "-o", "plan")
    assert done("inspect", "plan", "--json", "-").json["plan"]["format"] == "q8.8"
    assert sorted(path.name for path in Path().iterdir()) == ["data.npz", "m.onnx", "plan"]


@pytest.mark.parametrize("auto", [(), ("--auto",)])
def test_a_plan_as_json(auto: tuple[str, ...]) -> None:
    direct = done("plan", "m.onnx", *FORMAT, *DATA, *auto, "-o", "one", "--json", "-")
    assert direct.err == ""
    ran = done("plan", "m.onnx", *FORMAT, *DATA, *auto, "-o", "two", "--json", "plan.json")
    record = read_json(Path("plan.json").read_text())
    assert {**record, "seconds": 0} == {**direct.json, "seconds": 0}
    assert record["plan"] == done("inspect", "two", "--json", "-").json["plan"]
    assert ran.out
    random = done("plan", "m.onnx", *FORMAT, *auto, "-o", "three", "--json", "-")
    assert random.err.startswith("fxnorm: no --data: ")
    assert random.json["plan"]


@pytest.mark.parametrize("auto", [(), ("--auto",)])
@pytest.mark.parametrize("target", ["/proc/fxnorm-out", "nowhere/x.json", "data.npz", "m.onnx"])
def test_where_the_json_cannot_go_there_is_no_plan(auto: tuple[str, ...], target: str) -> None:
    before = tree(Path())
    ran = run("plan", "m.onnx", *FORMAT, *DATA, *auto, "-o", "plan", "--json", target)
    assert ran.code == 2
    assert ran.message.startswith("--json")
    assert tree(Path()) == before


def test_where_the_plan_cannot_go_there_is_no_json() -> None:
    before = tree(Path())
    ran = run("plan", "m.onnx", *FORMAT, *DATA, "-o", "/proc/fxnorm/plan", "--json", "plan.json")
    assert ran.code == 2
    assert "plan" in ran.message
    assert tree(Path()) == before


def test_other_data_than_the_plan_was_calibrated_on() -> None:
    done("plan", "m.onnx", *FORMAT, *DATA, "-o", "plan")
    np.savez("other.npz", x=samples(seed=5))
    for options in (("--data", "other.npz"), ()):
        ran = done("simulate", "plan", *options, "--json", "-")
        assert "note: the plan was calibrated on other data than it is run with, on data.npz" in ran.err
        assert ran.json["data"]["sha256"] != ran.json["plan"]["calibration"]["sha256"]
    assert done("simulate", "plan", *DATA).err == ""


def test_the_same_data_by_another_name_are_the_same() -> None:
    done("plan", "m.onnx", *FORMAT, *DATA, "-o", "plan")
    shutil.copy("data.npz", "copy.npz")
    assert done("simulate", "plan", "--data", "copy.npz").err == ""


def test_another_model_than_the_plans() -> None:
    done("plan", "m.onnx", *FORMAT, *DATA, "-o", "plan")
    save(dense(name="other"), Path("other.onnx"))
    message = run("simulate", "plan", *DATA, "--model", "other.onnx").message
    assert "other.onnx is not the model that the plan was made from" in message
    save(dense(name="changed"), Path("m.onnx"))
    ran = run("simulate", "plan", *DATA)
    assert ran.code == 2
    assert "m.onnx is not the model that the plan was made from" in ran.message


def test_a_model_that_has_moved() -> None:
    done("plan", "m.onnx", *FORMAT, *DATA, "-o", "plan")
    Path("m.onnx").rename("moved.onnx")
    ran = run("simulate", "plan", *DATA)
    assert ran.code == 2
    assert "--model" in ran.message
    record = done("simulate", "plan", *DATA, "--model", "moved.onnx", "--json", "-").json
    assert record["model"]["path"] == "moved.onnx"


@pytest.mark.parametrize(
    "option",
    [
        FORMAT,
        ("--weight-format", "q2.6"),
        ("--accumulator", "q9.9"),
        ("--product-format", "q9.9"),
        ("--rounding", "trn"),
        ("--overflow", "sat"),
        ("--normalize", "none"),
        ("--calibration", "minmax"),
        ("--batchnorm", "fold"),
        ("--layer", "dense:format=q4.4"),
        ("--config", "plan.toml"),
        ("--calibration-data", "data.npz"),
    ],
    ids=" ".join,
)
def test_a_plans_decisions_are_not_changed(option: tuple[str, str]) -> None:
    done("plan", "m.onnx", *FORMAT, *DATA, "-o", "plan")
    ran = run("simulate", "plan", *DATA, *option)
    assert ran.code == 2
    assert option[0] in ran.message


def test_every_option_of_a_plan_is_refused_beside_a_plan() -> None:
    from fxnorm.cli import cli

    options = {name for param in cli.commands["plan"].params for name in param.opts if name.startswith("--")}
    others = {
        "--batch",
        "--dim",
        "--data",
        "--samples",
        "--seed",
        "--output",
        "--calibration-data",
        "--config",
        "--json",
        "--auto",
    }
    done("plan", "m.onnx", *FORMAT, *DATA, "-o", "plan")
    for option in options - others:
        assert option in run("simulate", "plan", option, "anything").message


@pytest.mark.parametrize("batch", [1, 2, 5])
def test_a_plan_for_another_batch(batch: int) -> None:
    done("plan", "m.onnx", *FORMAT, *DATA, "--batch", batch, "-o", "plan")
    record = done("simulate", "plan", *DATA, "--json", "-").json
    assert record["samples"] == 10 // batch
    assert (
        record["accuracy"]["fp32"] == done("simulate", "m.onnx", *FORMAT, *DATA, "--json", "-").json["accuracy"]["fp32"]
    )
    assert "--batch" in run("simulate", "plan", *DATA, "--batch", "10").message


def test_files_of_a_plan_are_not_overwritten() -> None:
    done("plan", "m.onnx", *FORMAT, *DATA, "-o", "plan")
    for target in ("plan/plan.json", "plan/new.json"):
        assert "what the command reads" in run("simulate", "plan", *DATA, "--json", target).message


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (lambda plan: plan["values"]["x"]["encoding"].update(exponent=3), "digest"),
        (lambda plan: plan["layers"].pop(), "digest"),
        (lambda plan: plan.update(digest="0" * 64), "digest"),
        (lambda plan: plan.update(version=99), "version"),
        (lambda plan: plan.clear(), "version"),
    ],
)
def test_a_plan_that_was_tampered_with(change: object, word: str) -> None:
    done("plan", "m.onnx", *FORMAT, *DATA, "-o", "plan")
    content = json.loads(Path("plan/plan.json").read_text())
    assert callable(change)
    change(content)
    Path("plan/plan.json").write_text(json.dumps(content))
    for command in (("simulate", "plan", *DATA), ("inspect", "plan")):
        ran = run(*command)
        assert ran.code == 2
        assert word in ran.message


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "[" * 100_000, "\x00"])
def test_a_plan_that_is_damaged(text: str) -> None:
    done("plan", "m.onnx", *FORMAT, *DATA, "-o", "plan")
    Path("plan/plan.json").write_text(text)
    assert run("simulate", "plan", *DATA).code == 2
    assert run("simulate", "plan", *DATA).message


def test_a_plan_whose_arrays_are_others() -> None:
    done("plan", "m.onnx", *FORMAT, *DATA, "-o", "plan")
    save(dense(weights=np.ones((4, 3), np.float32)), Path("m2.onnx"))
    done("plan", "m2.onnx", *FORMAT, *DATA, "-o", "plan2")
    shutil.copy("plan2/arrays.npz", "plan/arrays.npz")
    assert run("simulate", "plan", *DATA).code == 2
    Path("plan/arrays.npz").unlink()
    assert "plan" in run("simulate", "plan", *DATA).message


# inspect


def test_inspect_a_model() -> None:
    record = done("inspect", "m.onnx", "--json", "-").json
    assert record["inputs"] == [{"name": "x", "shape": [1, 4], "dtype": "float32"}]
    assert record["outputs"] == [{"name": "y", "shape": [1, 3], "dtype": "float32"}]
    assert record["operators"] == {"Gemm": 1, "Relu": 1}
    assert record["constants"] == 15
    assert record["layers"] == [{"name": "dense", "op": "Gemm+Relu", "output": "y", "shape": [1, 3]}]
    assert record["unsupported"] == []
    text = done("inspect", "m.onnx").out
    for word in ("m.onnx: 2 nodes, 15 constants", "dense", "Gemm+Relu", "1×4", "float32"):
        assert word in text


def test_inspect_writes_its_json_beside_the_text() -> None:
    ran = done("inspect", "m.onnx", "--json", "model.json")
    assert read_json(Path("model.json").read_text()) == done("inspect", "m.onnx", "--json", "-").json
    assert "dense" in ran.out
    assert "what the command reads" in run("inspect", "m.onnx", "--json", "m.onnx").message


def test_inspect_says_what_is_not_supported() -> None:
    nodes = [helper.make_node("Sin", ["x"], ["a"], name="one"), helper.make_node("Tan", ["a"], ["y"], name="t\x1bo")]
    save(model(nodes, [floats("x", ["N", 4])], [floats("y", ["N", 4])]), Path("u.onnx"))
    record = done("inspect", "u.onnx", "--json", "-").json
    assert [reason.split("(")[1].split(")")[0] for reason in record["unsupported"]] == ["Sin", "Tan"]
    lines = [line for line in done("inspect", "u.onnx").out.splitlines() if line.startswith("not supported")]
    assert [line.split("(")[1].split(")")[0] for line in lines] == ["Sin", "Tan"]
    assert all(line.isprintable() for line in lines)


def test_inspect_with_another_batch() -> None:
    assert done("inspect", "m.onnx", "--batch", "7", "--json", "-").json["inputs"][0]["shape"] == [7, 4]


def test_names_that_inspect_shows_serve_as_patterns() -> None:
    names = [layer["name"] for layer in done("inspect", "m.onnx", "--json", "-").json["layers"]]
    for name in names:
        assert done("simulate", "m.onnx", *FORMAT, "--layer", f"{name}:format=q4.4").out


def test_inspect_a_plan() -> None:
    done("plan", "m.onnx", *FORMAT, *DATA, "-o", "plan")
    record = done("inspect", "plan", "--json", "-").json
    run_ = done("simulate", "plan", *DATA, "--json", "-").json
    assert record["plan"] == run_["plan"]
    assert record["model"] == run_["model"]
    assert record["options"]["format"] == "q5.3"
    for name in ("format", "scale", "offset", "shape", "output", "kernel", "op", "name"):
        assert [layer[name] for layer in record["layers"]] == [layer[name] for layer in run_["layers"][1:]]
    assert record["layers"][0]["accumulator"]["proof"] == "cannot overflow"
    text = done("inspect", "plan").out
    assert record["plan"]["digest"] in text
    assert "cannot overflow" in text


def test_inspect_a_plan_has_no_shapes_to_choose() -> None:
    done("plan", "m.onnx", *FORMAT, *DATA, "-o", "plan")
    for option in (("--batch", "2"), ("--dim", "N=2")):
        assert "--batch" in run("inspect", "plan", *option).message


# ops


def test_ops() -> None:
    from fxnorm.lowering.operators import LOWERINGS

    records = done("ops", "--json", "-").json
    assert [record["op"] for record in records] == sorted(LOWERINGS)
    text = done("ops").out
    for record in records:
        (line,) = [line for line in text.splitlines() if line.split(" ")[0] == record["op"]]
        assert record["kernel"] in line
        assert record["note"] in line
    assert f"{len(records)} operators" in text


def test_ops_writes_its_json_to_a_file() -> None:
    done("ops", "--json", "ops.json")
    assert read_json(Path("ops.json").read_text()) == done("ops", "--json", "-").json


# help


@pytest.mark.parametrize("command", [(), ("simulate",), ("plan",), ("inspect",), ("ops",)])
@pytest.mark.parametrize("option", ["--help", "-h"])
def test_help(command: tuple[str, ...], option: str) -> None:
    assert done(*command, option).out.startswith("Usage: fxnorm")


def test_version() -> None:
    from importlib.metadata import version

    assert done("--version").out.split()[-1] == version("fxnorm")
