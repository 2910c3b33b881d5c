"""Compiled functions on disk: what several processes write at once, what older source left, and what cannot be written at all."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numba.core import caching

from fxnorm.engine import machine_code
from fxnorm.engine.machine_code import CacheFile, compiled

ROOT = Path(__file__).resolve().parents[2]


class Interrupted(CacheFile):
    """A process whose index was read before others wrote theirs."""

    def _load_index(self):
        return {}


class InterruptedNumbers(caching.IndexDataCacheFile):
    """The same with the files that numba itself keeps."""

    def _load_index(self):
        return {}


def test_a_form_is_never_taken_for_another(tmp_path):
    """Two processes keep different forms of one function, both having read an empty index; whichever index is written last."""
    for last in (0, 1):
        folder = tmp_path / str(last)
        folder.mkdir()
        indices = []
        for key in ("int8", "int16"):
            Interrupted(str(folder), "f", "stamp").save(key, f"code for {key}")
            indices.append((folder / "f.nbi").read_bytes())
        (folder / "f.nbi").write_bytes(indices[last])
        for key in ("int8", "int16"):
            assert CacheFile(str(folder), "f", "stamp").load(key) in (None, f"code for {key}")


def test_numbers_as_names_are_what_goes_wrong(tmp_path):
    """Why there are files of our own: in numba's, code for one type is taken for that of another."""
    InterruptedNumbers(str(tmp_path), "f", "stamp").save("int8", "code for int8")
    index = (tmp_path / "f.nbi").read_bytes()
    InterruptedNumbers(str(tmp_path), "f", "stamp").save("int16", "code for int16")
    (tmp_path / "f.nbi").write_bytes(index)
    assert caching.IndexDataCacheFile(str(tmp_path), "f", "stamp").load("int8") == "code for int16"


def test_older_source_is_neither_read_nor_kept(tmp_path):
    old, new = CacheFile(str(tmp_path), "f", "old"), CacheFile(str(tmp_path), "f", "new")
    old.save("int8", "old code")
    assert old.load("int8") == "old code"
    assert new.load("int8") is None
    new.save("int16", "new code")
    assert new.load("int8") is None
    assert new.load("int16") == "new code"
    assert len(list(tmp_path.glob("*.nbc"))) == 1
    new.save("int8", "new code for int8")
    assert {key: new.load(key) for key in ("int8", "int16")} == {"int8": "new code for int8", "int16": "new code"}


def test_files_that_cannot_be_read_are_compiled_anew(tmp_path):
    cache = CacheFile(str(tmp_path), "f", "stamp")
    cache.save("int8", "code")
    (data,) = tmp_path.glob("*.nbc")
    data.write_bytes(b"cut short")
    assert cache.load("int8") is None
    data.unlink()
    assert cache.load("int8") is None
    (tmp_path / "f.nbi").write_bytes(b"no index")
    assert cache.load("int8") is None
    cache.save("int8", "code again")
    assert cache.load("int8") == "code again"


def double(x):
    return x * 2


@pytest.mark.parametrize("error", [RuntimeError("no locator available"), AttributeError("another version of numba")])
def test_without_a_folder_to_write_to_a_function_is_compiled_all_the_same(monkeypatch, error):
    def nowhere(self, function):
        raise error

    monkeypatch.setattr(machine_code._Cache, "__init__", nowhere)
    assert compiled(double)(21) == 42


def test_without_a_compiler_simulations_are_refused(tmp_path):
    """NUMBA_DISABLE_JIT, which people set while they look for a mistake in functions of their own."""
    model = ROOT / "examples" / "digits_dense.onnx"
    done = subprocess.run(
        [sys.executable, "-m", "fxnorm.cli", "simulate", str(model), "--format", "q5.3"],
        env={**os.environ, "NUMBA_DISABLE_JIT": "1", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "NUMBA_DISABLE_JIT turns off; unset it" in done.stderr
    assert "Traceback" not in done.stderr


PROGRAM = """
import sys
import numpy as np
from fxnorm.fixed.format import Format
from fxnorm.kernels.stage import Rescale, Tally
from fxnorm.runtime.integer_stage import IntegerStage
acc = np.arange(-3000, 3000)
for text in sys.argv[1:]:
    stage = Rescale(Format.parse(text), 3)
    for bound in (3000, 1 << 40):
        wanted, got = stage.run(acc, Tally()), IntegerStage.of(stage, bound).finish(acc, Tally())
        assert np.array_equal(got, wanted), (text, bound)
"""


@pytest.mark.slow
def test_processes_that_compile_at_the_same_time(tmp_path):
    """Each begins with another form of the same functions, in one empty folder; all of them, and a later one, compute what they should."""
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path), "PYTHONPATH": str(ROOT)}
    texts = ["q5.3:rnd,sat", "q8.8:rnd,sat", "q4.4:rnd_conv,wrap", "q3.13:rnd_zero,sat_sym"]

    def start(arguments):
        return subprocess.Popen(
            [sys.executable, "-c", PROGRAM, *arguments], env=environment, stderr=subprocess.PIPE, text=True
        )

    for _ in range(2):
        processes = [start(texts[i:] + texts[:i]) for i in range(len(texts))]
        for process in processes:
            _, errors = process.communicate(timeout=300)
            assert process.returncode == 0, errors
    assert len(list(tmp_path.rglob("*settle*.nbc"))) >= 4


@pytest.mark.slow
def test_compiled_functions_are_found_on_disk(tmp_path):
    """The second process compiles nothing: its cache has a hit for every form."""
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path), "PYTHONPATH": str(ROOT)}
    program = PROGRAM + (
        "from fxnorm.runtime import integer_loops\n"
        "print(sum(integer_loops.finish.stats.cache_hits.values()), sum(integer_loops.finish.stats.cache_misses.values()))\n"
    )
    seen = []
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, "-c", program, "q5.3:rnd,sat"], env=environment, capture_output=True, text=True, check=True
        )
        seen.append(tuple(map(int, done.stdout.split())))
    assert seen == [(0, 2), (2, 0)]
    assert np.all([path.stat().st_size for path in tmp_path.rglob("*.nbc")])


def test_a_full_disk_costs_no_more_than_time(tmp_path, monkeypatch):
    cache = CacheFile(str(tmp_path), "f", "stamp")

    def full(self, name, data):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(CacheFile, "_save_data", full)
    cache.save("int8", "code")
    assert cache.load("int8") is None
