"""What `cosim` finds, and how it says so: planted faults, the first layer that differs, the smallest input, a testbench without teeth."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from emission import needs_gxx
from planting import changed, compile_once, run
from small_models import dense, samples
from small_networks import plan_of, residual_plan

from fxnorm.errors import PlanError, UsageError
from fxnorm.hls import cosim as cosim_module
from fxnorm.hls.build import find_headers
from fxnorm.hls.choices import Choices
from fxnorm.hls.cosim import cosim
from fxnorm.hls.design import make_design
from fxnorm.hls.dialect import CATAPULT, VITIS
from fxnorm.hls.emit import emit
from fxnorm.hls.vectors import parse


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("emitted") / "net"
    emit(residual_plan(), folder, Choices.make("catapult"), frames=4)
    with pytest.MonkeyPatch.context() as patch:
        compile_once(patch, tmp_path_factory.mktemp("objects"))
        yield folder


@needs_gxx
@pytest.mark.slow
def test_what_is_sound_passes(project: Path) -> None:
    seen: list[tuple[str, int, int]] = []
    report = run(project, layers=True, progress=lambda *entry: seen.append(entry))
    assert report.passed
    assert (report.traced, report.vectors) == (4, "")
    (target,) = report.targets
    blocks = [unit.name for unit in make_design(residual_plan(), Choices.make("catapult")).units]
    for flavour in target.flavours:
        assert [layer.block for layer in flavour.layers] == blocks
        assert all(layer.compared for layer in flavour.layers)
    assert (target.fifos, target.streams, target.shrunk) == (8, "", None)
    assert seen == [("catapult", number, len(seen)) for number in range(1, len(seen) + 1)]
    assert not (project / "smallest").exists()
    assert json.loads(json.dumps(report.record()))["passed"]


# What stands in the file of the layer, what is put there instead, and the layer.
PLANTS = {
    "weight": ("l00_linear.cpp", r"(l00_linear_weights\[\d+\] = \{\s+)-?\d+", r"\g<1>99", "l00_linear"),
    "shift": ("l01_linear.cpp", r"(shift_round<fx::RND, )\d+", r"\g<1>5", "l01_linear"),
    "rounding": ("l02_linear.cpp", r"fx::shift_round<fx::RND,", r"fx::shift_round<fx::TRN,", "l02_linear"),
    "sign": ("l03_elementwise.cpp", r" \+ ", " - ", "l03_elementwise"),
}


@needs_gxx
@pytest.mark.slow
@pytest.mark.parametrize("plant", PLANTS)
def test_a_planted_fault_is_found_where_it_is(project: Path, plant: str) -> None:
    """Both flavours have it; the first layer that differs is its layer, by both of its names; the smallest input still shows it."""
    file, pattern, change, block = PLANTS[plant]
    with changed(project / "catapult/src" / file, pattern, change):
        report = run(project, layers=True)
    assert not report.passed
    assert report.differing
    assert report.vectors == ""
    (target,) = report.targets
    names = {layer["block"]: layer["name"] for layer in json.loads((project / "manifest.json").read_text())["layers"]}
    for flavour in target.flavours:
        first = flavour.first_layer
        assert first is not None
        assert (first.block, first.name) == (block, names[block])
        assert first.first is not None
        assert first.first[2] != first.first[3]
    assert target.shrunk is not None
    assert target.shrunk.frames == 1
    small = parse((project / "smallest/catapult/in0.txt").read_bytes())
    assert small.shape == (1, 144)
    assert np.count_nonzero(small) == target.shrunk.nonzero < 20
    assert parse((project / "smallest/catapult/out0.txt").read_bytes()).shape == (1, 24)


@needs_gxx
@pytest.mark.slow
def test_a_planted_code_is_the_vectors_fault(project: Path) -> None:
    with changed(project / "vectors/out0.txt", r"^-?\d+", "77"):
        report = run(project, layers=True)
    assert not report.passed
    assert report.differing == 2
    assert "vectors/out0.txt is not what the plan gives: frame 0, index 0: 77 instead of" in report.vectors
    assert report.targets[0].shrunk is None


@needs_gxx
@pytest.mark.slow
def test_a_planted_depth_is_a_deadlock(project: Path) -> None:
    """One entry less than needed; every code is still right, for channels of plain C++ never fill up."""
    design = make_design(residual_plan(), Choices.make("catapult"))
    deepest = max(design.channels, key=lambda own: own.least)
    for depth, passes in ((deepest.least - 1, False), (deepest.least, True)):
        with changed(project / "catapult/directives.tcl", rf"({deepest.name}:cns -FIFO_DEPTH )\d+", rf"\g<1>{depth}"):
            report = run(project, layers=True)
        assert report.differing == 0
        assert report.passed is passes
        said = report.targets[0].streams
        assert (f"waits for room in {deepest.name} (full: {depth})" in said) is not passes


@needs_gxx
@pytest.mark.slow
def test_a_testbench_without_teeth_is_found(tmp_path: Path) -> None:
    emit(plan_of(dense(), samples()), tmp_path / "net", Choices.make("catapult"), frames=4)
    with changed(tmp_path / "net/catapult/tb/net_tb.cpp", r"CCS_RETURN\(wrong \? 1 : 0\)", "CCS_RETURN(0)"):
        assert run(tmp_path / "net").passed
        with changed(tmp_path / "net/vectors/out0.txt", r"^-?\d+", "77"):
            report = run(tmp_path / "net")
    assert not report.passed
    assert "exit code is 0, which is not what its codes say" in report.targets[0].message


def test_targets_that_are_not_there(project: Path) -> None:
    with pytest.raises(UsageError, match=r"has the target\(s\) catapult, not 'vitis'; emit it with --target vitis"):
        cosim(project, targets=["vitis"])


def test_a_damaged_plan_is_named(project: Path) -> None:
    with (
        changed(project / "plan/plan.json", '"format": "q5.3"', '"format": "q5.2"'),
        pytest.raises(PlanError, match="its digest does not match"),
    ):
        cosim(project, layers=True)


@pytest.mark.parametrize(
    ("pattern", "change"),
    [
        ('"version": 3', '"version": 1'),
        ('"port": "out0"', '"port": "../out0"'),
        ('"value": "t01"', '"value": "x"'),
        ('"block": "l00_linear"', '"block": "l00 linear"'),
        ('"streams": true', '"streams": 1'),
        ('"frames": 4', '"frames": "4"'),
    ],
)
def test_a_damaged_manifest_is_refused(project: Path, pattern: str, change: str) -> None:
    with changed(project / "manifest.json", pattern, change), pytest.raises(UsageError, match=r"cosim: .*emit"):
        cosim(project)


def test_headers_and_compilers_that_are_not_there(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "ac_fixed.h").touch()
    assert find_headers(CATAPULT, [str(tmp_path)]) == tmp_path
    monkeypatch.setenv("XILINX_HLS", str(tmp_path / "tool"))
    (tmp_path / "tool/include").mkdir(parents=True)
    (tmp_path / "tool/include/ap_fixed.h").touch()
    assert find_headers(VITIS) == tmp_path / "tool/include"
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.delenv("MGC_HOME", raising=False)
    with pytest.raises(UsageError, match=r"catapult: ac_fixed.h must be in a folder of --include, in \$MGC_HOME"):
        cosim(project)
    monkeypatch.setattr(cosim_module.shutil, "which", lambda name: None)
    with pytest.raises(UsageError, match=r"g\+\+ must be installed"):
        cosim(project)
