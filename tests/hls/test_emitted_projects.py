"""Projects: what is in them, that they are the same every time, whole or not there, and free of a model's text."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from emission import differences, needs_gxx
from small_models import dense, samples
from small_networks import plan_of, residual_plan

import fxnorm as fx
from fxnorm.errors import UnsupportedError, UsageError
from fxnorm.hls import project as project_module
from fxnorm.hls.choices import Choices
from fxnorm.hls.design import make_design
from fxnorm.hls.emit import emit
from fxnorm.hls.project import Project, make_project
from fxnorm.hls.vectors import random_codes, run_codes
from fxnorm.planning.plan import Plan

Array = np.ndarray
HOSTILE = (
    'a"b',
    "a{b}${c}",
    "$(touch pwned)",
    "line\nbreak",
    "*/ int x; /*",
    "back\\",
    "module",
    "while",
    "n" * 10_000,
    "ünïcödé",
    "DENSE",
    "dense",
)


def project_of(plan: Plan, name: str = "net", target: str = "all", frames: int = 3, **choices: str) -> Project:
    design = make_design(plan, Choices.make(target, **choices))
    return make_project(design, name, run_codes(plan, random_codes(plan, frames)))


@pytest.fixture(scope="module")
def dense_plan() -> Plan:
    return plan_of(dense(), samples())


def test_layout(dense_plan: Plan) -> None:
    files = project_of(dense_plan).files
    wanted = {
        "README.md",
        "manifest.json",
        "sim/Makefile",
        "sim/hls_stream.h",
        "vectors/in0.txt",
        "vectors/out0.txt",
        "vitis/hls_config.cfg",
        "vitis/run_hls.tcl",
        "vitis/Makefile",
        "vitis/src/net.cpp",
        "vitis/tb/net_tb.cpp",
        "catapult/directives.tcl",
        "catapult/Makefile",
        "catapult/src/l00_linear.cpp",
    }
    assert wanted <= set(files)
    manifest = json.loads(files["manifest.json"])
    assert manifest["plan"]["digest"] == dense_plan.digest
    assert set(manifest["files"]) == set(files) - {"manifest.json"}


def test_the_same_plan_gives_the_same_bytes() -> None:
    first, second = project_of(residual_plan()), project_of(residual_plan())
    assert list(first.files.items()) == list(second.files.items())


def test_targets_share_all_but_the_dialect() -> None:
    files = project_of(residual_plan()).files
    shared = [path.removeprefix("vitis/") for path in files if re.match(r"vitis/src/fx_(?!types)", path)]
    assert len(shared) >= 1
    assert all(files[f"vitis/{path}"] == files[f"catapult/{path}"] for path in shared)
    for own, foreign in (("catapult", rb"\bap_(u?int|u?fixed)"), ("vitis", rb"\bac_(int|fixed|channel)")):
        sources = [files[path] for path in files if re.match(rf"{own}/src/(l|net|types)", path)]
        assert len(sources) > 5
        assert not any(re.search(foreign, content) for content in sources)


@pytest.mark.parametrize("name", HOSTILE)
def test_no_text_of_the_model_leaves_the_manifest(name: str) -> None:
    proto = dense(name=f"node {name}", x=f"in {name}", y=f"out {name}")
    plan = plan_of(proto, {f"in {name}": samples()})
    files = project_of(plan).files
    plain = project_of(plan_of(dense(), samples())).files
    assert [path for path in files if files[path] != plain.get(path)] == ["manifest.json"]
    ends = json.loads(files["manifest.json"])
    assert ends["inputs"][0]["name"] == f"in {name}"


def test_an_interrupted_emit_leaves_what_was_there(
    dense_plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "net"
    project = project_of(dense_plan)
    project.write(target)
    before = {path: path.read_bytes() for path in target.rglob("*") if path.is_file()}

    def interrupt(self: Path, data: bytes) -> int:
        raise KeyboardInterrupt

    for place in (target, tmp_path / "fresh"):
        with monkeypatch.context() as patch:
            patch.setattr(Path, "write_bytes", interrupt)
            with pytest.raises(KeyboardInterrupt):
                project.write(place)
    with monkeypatch.context() as patch:

        def refuse(source: object, to: object) -> None:
            if Path(str(source)).name == "project":
                raise OSError("no")
            real(source, to)  # type: ignore[arg-type]

        real = project_module.os.replace
        patch.setattr(project_module.os, "replace", refuse)
        with pytest.raises(UsageError, match="cannot be written"):
            project.write(target)
    assert {path: path.read_bytes() for path in target.rglob("*") if path.is_file()} == before
    assert [path.name for path in tmp_path.iterdir()] == ["net"]


def test_the_python_interface(dense_plan: Plan, tmp_path: Path) -> None:
    folder = fx.emit(dense_plan, tmp_path / "net", "vitis", samples(9), parallelism=[2, "dense=4"], clock=3.5, frames=6)
    manifest = json.loads((folder / "manifest.json").read_text())
    assert (manifest["frames"], manifest["clock_ns"], manifest["targets"]) == (6, 3.5, ["vitis"])
    assert b"3 steps of 4 product(s)" in (folder / "vitis/src/l00_linear.cpp").read_bytes()
    assert "clock=3.5ns" in (folder / "vitis/hls_config.cfg").read_text()


def test_nothing_but_an_older_project_is_replaced(dense_plan: Plan, tmp_path: Path) -> None:
    choices = Choices.make("catapult")
    for name in ("empty", "net"):
        (tmp_path / name).mkdir()
    emit(dense_plan, tmp_path / "empty", choices, frames=2)
    emit(dense_plan, tmp_path / "empty", choices, frames=2)
    (tmp_path / "net" / "manifest.json").write_text("[]")
    with pytest.raises(UsageError, match="neither; choose another name"):
        emit(dense_plan, tmp_path / "net", choices)
    assert [path.name for path in (tmp_path / "net").iterdir()] == ["manifest.json"]


@pytest.mark.parametrize(
    "name",
    [
        "a b",
        "9lives",
        "while",
        "Module",
        "signal",
        "l00_linear",
        "fx_net",
        "main",
        "x__y",
        "x_",
        "né",
        "$(x)",
        "x\n",
        "n" * 41,
        "",
    ],
)
def test_a_hostile_name_is_refused(dense_plan: Plan, tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="a project's name must"):
        project_of(dense_plan, name)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "choice",
    [
        {"part": "x; rm -rf ."},
        {"part": "xc$(touch pwned)"},
        {"part": "a\nb"},
        {"part": "é"},
        {"part": "x" * 81},
        {"part": "-x"},
        {"technology": "[exec ls]"},
        {"clock": "5ns"},
        {"clock": "0"},
        {"clock": "1e-3"},
        {"clock": "5\n"},
        {"clock": "nan"},
        {"io": "both"},
        {"parallelism": ["0"]},
        {"parallelism": ["two"]},
        {"parallelism": ["=2"]},
        {"parallelism": ["²"]},
    ],
    ids=str,
)
def test_a_hostile_choice_is_refused(choice: dict[str, str]) -> None:
    with pytest.raises(UsageError, match=r"^--\w+"):
        Choices.make("all", **choice)  # type: ignore[arg-type]


def test_a_pattern_that_fits_no_layer_is_refused(dense_plan: Plan) -> None:
    with pytest.raises(UsageError, match="no layer is named 'nobody'"):
        make_design(dense_plan, Choices.make("all", parallelism=["nobody=2"]))


def test_what_cannot_be_emitted_is_refused_at_once(tmp_path: Path) -> None:
    odd = plan_of(dense(), samples(), rounding="rnd_conv_odd")
    with pytest.raises(UnsupportedError, match="vitis cannot have it") as caught:
        emit(odd, tmp_path / "net", Choices.make("all"))
    assert len(caught.value.reasons) == len(odd.values)
    assert not list(tmp_path.iterdir())
    emit(odd, tmp_path / "net", Choices.make("catapult"), frames=1)


def test_a_kernel_without_a_block_is_refused_by_name(dense_plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    class Unknown:
        kind = "unheard"

    layers = tuple(replace(layer, kernel=Unknown()) for layer in dense_plan.layers)  # type: ignore[arg-type]
    with pytest.raises(UnsupportedError, match="'unheard' has no hardware") as caught:
        make_design(replace(dense_plan, layers=layers), Choices.make("all"))
    assert len(caught.value.reasons) == len(layers)


def test_depths_hold_the_longer_branch() -> None:
    """The first sum needs the window of the second convolution, (2, 2) of the first one's output, whose window ends at (3, 3) of 8 × 6.

    That is the input's 22nd pixel. Of those, the sum has taken one itself, and the last one has gone to the convolution only.
    """
    design = make_design(residual_plan(), Choices.make("all"))
    deepest = max(design.channels, key=lambda own: own.least)
    assert deepest.port is design.inputs[0].port
    assert deepest.least == (3 * 6 + 4) - 2
    assert deepest.depth > deepest.least


@needs_gxx
@pytest.mark.parametrize("target", ["vitis", "catapult"])
def test_residual_branches(target: str, tmp_path: Path) -> None:
    vectors = run_codes(residual_plan(), random_codes(residual_plan(), 3))
    assert not differences(residual_plan(), vectors, target, tmp_path)
