"""examples/ci, as far as it can be run without the services: the YAML is read, inputs handed over, the shell's lines run."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from junit_rules import check_junit

import fxnorm as fx
from fxnorm.data import Data
from fxnorm.gate.baseline import Baseline

ROOT = Path(__file__).resolve().parents[1]
CI = ROOT / "examples" / "ci"
INPUT = re.compile(r"\$\{\{\s*inputs\.(\w+)\s*\}\}")
KNOWN_ACTIONS = {"actions/checkout@v4", "actions/setup-python@v5", "actions/upload-artifact@v4"}


def load(name: str) -> Any:
    content = yaml.safe_load((CI / name).read_text(encoding="utf-8"))
    if True in content:  # YAML 1.1 reads the key `on` as a truth value; GitHub does not
        content["on"] = content.pop(True)
    return content


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """A checkout with the examples, and programs by the names that scripts call them: `fxnorm`, and a `python` that only notes installs."""
    place = tmp_path / "workspace"
    place.mkdir()
    (place / "examples").symlink_to(ROOT / "examples")
    programs = tmp_path / "bin"
    programs.mkdir()
    words = {
        "fxnorm": f'exec "{sys.executable}" -c "from fxnorm.cli import main; main()" "$@"',
        "python": f'printf "%s\\n" "$*" >> "{tmp_path}/installed"',
    }
    for name, line in words.items():
        (programs / name).write_text(f"#!/bin/sh\n{line}\n")
        (programs / name).chmod(0o755)
    return place


def shell(workspace: Path, script: str, *, bash: bool, **variables: str) -> subprocess.CompletedProcess[str]:
    programs = workspace.parent / "bin"
    environment = {**os.environ, "PATH": f"{programs}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT), **variables}
    words = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c"] if bash else ["sh", "-e", "-c"]
    return subprocess.run(
        [*words, script], cwd=workspace, env=environment, capture_output=True, text=True, timeout=120, check=False
    )


def run_action(workspace: Path, given: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """The steps of the composite action, one after the other, as the runner has them run."""
    action = load("action.yml")
    inputs = {name: str(entry.get("default", "")) for name, entry in action["inputs"].items()}
    assert set(given) <= set(inputs)
    assert {name for name, entry in action["inputs"].items() if entry.get("required")} <= set(given)
    inputs.update(given)
    done = None
    for step in action["runs"]["steps"]:
        assert step["shell"] == "bash"
        assert "${{" not in step["run"], "what is put into a script is run by it"
        variables = {name: INPUT.sub(lambda found: inputs[found[1]], text) for name, text in step["env"].items()}
        assert not any("${{" in text for text in variables.values())
        summary = str(workspace / "step-summary.md")
        done = shell(workspace, step["run"], bash=True, GITHUB_STEP_SUMMARY=summary, **variables)
        if done.returncode:
            break
    assert done is not None
    return done


def test_the_action_is_one_that_github_takes() -> None:
    action = load("action.yml")
    assert set(action) == {"name", "description", "inputs", "runs"}
    assert action["runs"]["using"] == "composite"
    for entry in action["inputs"].values():
        assert set(entry) <= {"description", "required", "default"}
        assert entry.get("required") or "default" in entry
    for step in action["runs"]["steps"]:
        assert set(step) == {"name", "shell", "env", "run"}


def jobs() -> dict[str, list[dict[str, Any]]]:
    workflow = load("workflow.yml")
    assert set(workflow) == {"name", "on", "permissions", "jobs"}
    assert workflow["permissions"] == {"contents": "read"}
    assert set(workflow["on"]) == {"pull_request", "schedule"}
    for job in workflow["jobs"].values():
        assert set(job) <= {"runs-on", "steps", "if"}
        for step in job["steps"]:
            assert ("uses" in step) != ("run" in step)
            assert "uses" not in step or step["uses"] in KNOWN_ACTIONS | {"./.github/actions/fxnorm"}
    return {name: job["steps"] for name, job in workflow["jobs"].items()}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["eight-bits", "widths"])
def test_the_jobs_of_the_workflow_pass(name: str, workspace: Path) -> None:
    steps = jobs()[name]
    (own,) = [step for step in steps if step["uses"].startswith("./")]
    done = run_action(workspace, own["with"])
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("::notice file=examples/digits_conv.onnx,") == 1
    assert "::error" not in done.stdout
    assert (workspace / "step-summary.md").read_text().startswith("## ✅ examples/digits\\_conv.onnx: gate passed")
    assert check_junit((workspace / "fxnorm-junit.xml").read_text()).get("failures") == "0"
    assert (workspace.parent / "installed").read_text() == "-m pip install fxnorm\n"
    (upload,) = [step for step in steps if "upload-artifact" in step["uses"]]
    for pattern in upload["with"]["path"].split():
        assert list(workspace.glob(pattern)), pattern
    assert upload["if"] == "always()"


def test_every_job_of_the_workflow_is_run_here() -> None:
    assert set(jobs()) == {"eight-bits", "widths"}


def test_the_action_fails_where_the_gate_does(workspace: Path) -> None:
    arguments = (
        "examples/digits_conv.onnx --data examples/digits_conv_test.npz --format q5.3 --normalize none --max-drop 0.01"
    )
    (workspace / "step-summary.md").write_text("# Before\n")
    done = run_action(workspace, {"arguments": arguments})
    assert done.returncode == 1
    assert "--max-drop: the accuracy may lie 1.00 points below FP32's 98.89%" in done.stderr
    assert "::error file=examples/digits_conv.onnx,title=fxnorm gate%3A --max-drop::q5.3 none: " in done.stdout
    assert (workspace / "step-summary.md").read_text().startswith("# Before\n## ❌ ")
    assert check_junit((workspace / "fxnorm-junit.xml").read_text()).get("failures") == "1"
    assert (workspace / "fxnorm-results.json").exists()


def test_words_of_the_action_may_hold_anything(workspace: Path) -> None:
    done = run_action(
        workspace,
        {"arguments": "no such; model $(touch hacked)\n--format\nq5.3\n--min-sqnr\n1", "package": "x; touch hacked"},
    )
    assert done.returncode == 2
    assert "no such; model $(touch hacked): there is no such file" in done.stderr
    assert not (workspace / "hacked").exists()
    assert (workspace.parent / "installed").read_text() == "-m pip install x; touch hacked\n"


@pytest.mark.slow
def test_the_job_of_gitlab(workspace: Path) -> None:
    content = load("gitlab-ci.yml")
    job = content["fixed-point"]
    assert set(job) == {"image", "variables", "before_script", "script", "artifacts"}
    script = "\n".join([*job["before_script"], *job["script"]])
    done = shell(workspace, script, bash=False, **job["variables"])
    assert done.returncode == 0, done.stderr
    for path in job["artifacts"]["paths"]:
        assert (workspace / path).is_file(), path
    assert job["artifacts"]["when"] == "always"
    check_junit((workspace / job["artifacts"]["reports"]["junit"]).read_text())
    failing = shell(workspace, script.replace("--min-sqnr 25", "--min-sqnr 99"), bash=False, **job["variables"])
    assert failing.returncode == 1
    assert check_junit((workspace / "fxnorm-junit.xml").read_text()).get("failures") == "4"


@pytest.mark.slow
def test_the_tests_for_pytest(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-n",
        "0",
        "-p",
        "no:cacheprovider",
        "--junitxml",
        str(tmp_path / "j.xml"),
        str(CI),
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout
    assert "5 passed" in done.stdout


def test_the_table_of_files_is_complete() -> None:
    listed = set(re.findall(r"`([\w.-]+\.(?:yml|py))`", (CI / "README.md").read_text()))
    assert {path.name for path in CI.iterdir() if path.suffix in (".yml", ".py")} <= listed


@pytest.mark.parametrize("path", sorted((ROOT / "examples" / "baselines").glob("*.json")), ids=lambda path: path.stem)
def test_baselines_are_those_of_the_examples(path: Path) -> None:
    """What `make sweep` compares with was made with the model and the data that are here."""
    graph = fx.load(ROOT / "examples" / f"{path.stem}.onnx")
    samples = "digits_dense_test.npz" if path.stem == "digits_dense" else "digits_conv_test.npz"
    baseline = Baseline.read(path)
    baseline.check(graph.sha256, Data.open(ROOT / "examples" / samples, graph).sha256)
    assert len(baseline.entries) == 27
    assert all(entry.accuracy is not None for entry in baseline.entries.values())


def test_make_sweep_has_a_baseline_for_every_model() -> None:
    makefile = (ROOT / "Makefile").read_text()
    (swept,) = re.findall(r"^SWEPT := (.*)$", makefile, re.MULTILINE)
    models = {path.stem for path in (ROOT / "examples").glob("*.onnx")}
    assert set(swept.split()) == models == {path.stem for path in (ROOT / "examples" / "baselines").glob("*.json")}
