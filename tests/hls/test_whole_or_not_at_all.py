"""Emission is deterministic; a process that dies while it emits, or finds no room, leaves the old project or none."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import interrupted_emit
import pytest
from commandline import command, hear_interrupts, run, tree
from interrupted_emit import FULL, INTERRUPTED, KILLED, SMALL, TERMINATED
from small_models import dense, samples
from small_networks import plan_of, residual_plan

import fxnorm as fx
from fxnorm.hls.stored import StoredProject

ROOT = Path(__file__).resolve().parents[2]


def emitted(plan: Path, place: Path, hash_seed: str) -> dict[str, bytes]:
    """The files of a project that a process of its own wrote."""
    words = command("emit", plan, "--frames", 3, "-o", place)
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    return tree(place)


def test_two_processes_write_the_same_bytes(tmp_path: Path) -> None:
    """With another seed of hashes, which is another order of sets, and into another folder."""
    fx.save_plan(residual_plan(), tmp_path / "plan")
    first, second = (emitted(tmp_path / "plan", tmp_path / seed / "net", seed) for seed in ("1", "2718"))
    assert len(first) > 30
    assert first == second


def emit_with(what: str, number: int, folder: Path) -> subprocess.CompletedProcess[str]:
    words = [
        sys.executable,
        interrupted_emit.__file__,
        what,
        str(number),
        str(folder / "plan"),
        str(folder / "out/net"),
    ]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    return subprocess.run(
        words,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        env=environment,
        preexec_fn=hear_interrupts,
    )


CODES = {KILLED: -9, TERMINATED: -15, INTERRUPTED: 130, FULL: 2, SMALL: 2}
CASES = [(KILLED, 1), (INTERRUPTED, 1), (TERMINATED, 7), (FULL, 1), (SMALL, 0), (FULL, 25)]
FAST = [(KILLED, 20), (INTERRUPTED, 30), (SMALL, 1000)]


@pytest.mark.parametrize(("what", "number"), [*FAST, *(pytest.param(*case, marks=pytest.mark.slow) for case in CASES)])
def test_an_interrupted_emit_leaves_no_half_project(what: str, number: int, tmp_path: Path) -> None:
    """Where there was none, and where there was an older one."""
    fx.save_plan(plan_of(dense(), samples()), tmp_path / "plan")
    place = tmp_path / "out/net"
    place.parent.mkdir()
    for older in (False, True):
        if older:
            done = run("emit", tmp_path / "plan", "--frames", 2, "--target", "vitis", "-o", place)
            assert done.code == 0, done.err
        before = tree(place)
        stopped = emit_with(what, number, tmp_path)
        assert stopped.returncode == CODES[what], stopped.stderr
        assert place.exists() is older
        assert tree(place) == before
        if what in (FULL, SMALL):
            assert "the project cannot be written: " in stopped.stderr
        assert "Traceback" not in stopped.stderr
        if what not in (KILLED, TERMINATED):
            # Who can still act takes away what is half done.
            assert [path.name for path in place.parent.iterdir()] == ["net"] * older
    # The same command then writes the whole project.
    done = run("emit", tmp_path / "plan", "--frames", 3, "-o", place)
    assert done.code == 0, done.err
    assert StoredProject.read(place).frames == 3
    assert (place / "catapult").is_dir()
