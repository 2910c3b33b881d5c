"""Compiled loops on other processors, and where nothing can be kept on disk: the same bits, in processes of their own."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from fxnorm.runtime.byte_products import exact_here

ROOT = Path(__file__).resolve().parents[2]
on_x86 = pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="processors of another family")

PROGRAM = """
import hashlib
import sys
import numpy as np
import fxnorm as fx
from fxnorm.runtime import byte_products, program
from fxnorm.simulation import Simulator
from oracles import networks

engine = sys.argv[1]
if engine == "none":
    # A processor without dot products of bytes chooses for itself.
    byte_products.exact_here.cache_clear()
    from llvmlite import binding
    binding.get_host_cpu_features = lambda: {"sse2": True}
graph = fx.load(networks.every_kernel())
ranges = fx.calibrate(graph, networks.samples(8, seed=1))
given = {name: array[:, None] for name, array in networks.samples(6, seed=2).items()}
digest = hashlib.sha256()
for options in ({"format": "q3.13:rnd_conv,sat_sym"},
                {"format": "q4.4", "accumulator": "q4.8:trn,sat", "normalize": "none"}):
    plan = fx.plan(graph, ranges, **options)
    simulator = Simulator(plan, engine=None if engine == "none" else engine)
    for name, codes in sorted(simulator.run(given).items()):
        digest.update(np.ascontiguousarray(codes).tobytes())
    for name, report in sorted(simulator.reports.items()):
        usage = report.usage
        digest.update(repr((name, usage.overflow, usage.accumulator_overflow, usage.additions)).encode())
print(digest.hexdigest(), simulator.program.engine)
"""


def outcome(engine, cache, environment=(), root=ROOT):
    """Digest of codes and counts, and the engine that was taken."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", PROGRAM, engine],
        env={
            **os.environ,
            "NUMBA_CACHE_DIR": str(cache),
            "PYTHONPATH": f"{root}{os.pathsep}{ROOT / 'tests'}",
            **dict(environment),
        },
        cwd=cache,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


@pytest.fixture(scope="module")
def wanted(tmp_path_factory):
    """By the kernels' own integers."""
    return outcome("integers", tmp_path_factory.mktemp("integers"))[0]


PROCESSORS = {
    "any x86": {"NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": ""},
    "with AVX2": {"NUMBA_CPU_NAME": "haswell", "NUMBA_CPU_FEATURES": "+avx2,+fma"},
}


@pytest.mark.slow
@on_x86
def test_two_processors_that_share_a_home(wanted, tmp_path):
    """Machine code that uses nothing beyond what each has; what one compiled is not run by the other, but found by itself."""
    forms = []
    for processor in ("with AVX2", "any x86", "with AVX2"):
        assert outcome("floats", tmp_path, PROCESSORS[processor]) == [wanted, "floats"]
        forms.append(len(list(tmp_path.rglob("*.nbc"))))
    assert forms == [forms[0], 2 * forms[0], 2 * forms[0]]
    assert forms[0] > 0


@pytest.mark.slow
@on_x86
@pytest.mark.skipif(not exact_here(), reason="this processor has no exact dot products of bytes")
def test_copies_of_vectors_that_a_processor_does_not_have(wanted, tmp_path):
    """The byte engine's copies of 64 bytes, cut into what there is."""
    assert outcome("bytes", tmp_path, PROCESSORS["any x86"]) == [wanted, "bytes"]


@pytest.mark.slow
def test_without_dot_products_of_bytes_floats_are_taken(wanted, tmp_path):
    assert outcome("none", tmp_path) == [wanted, "floats"]


@pytest.mark.slow
def test_nothing_can_be_written(wanted, tmp_path):
    """Neither beside the source nor at home, as in a container whose files cannot be changed."""
    shutil.copytree(ROOT / "fxnorm", tmp_path / "fxnorm", ignore=shutil.ignore_patterns("__pycache__"))
    for folder in ("engine", "runtime"):
        (tmp_path / "fxnorm" / folder / "__pycache__").write_text("a file where a folder would have to be")
    nowhere = {"NUMBA_CACHE_DIR": "/dev/null/cache", "HOME": "/dev/null", "XDG_CACHE_HOME": "/dev/null/cache"}
    assert outcome("none", tmp_path, nowhere, tmp_path) == [wanted, "floats"]
    assert not list(tmp_path.rglob("*.nbc"))
