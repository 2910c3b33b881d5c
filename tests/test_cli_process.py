"""The command line as a process: streams that close or fill up, terminals, Ctrl-C."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
from commandline import command, read_json, spawn
from onnx import helper
from small_models import dense, floats, model, samples, save

FORMAT = ("--format", "q5.3")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return save(dense(), tmp_path / "dense.onnx")


def test_json_is_alone_on_standard_output(path: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", samples())
    ran = spawn("simulate", path, *FORMAT, "--data", tmp_path / "x.npy", "--json", "-")
    assert ran.code == 0
    assert ran.json["samples"] == 10
    assert ran.err == ""


def test_an_error_is_one_line_without_a_traceback(tmp_path: Path) -> None:
    ran = spawn("simulate", tmp_path / "gone.onnx", *FORMAT)
    assert ran.code == 2
    assert ran.message.endswith("there is no such file")


@pytest.mark.parametrize("arguments", [("ops",), ("ops", "--json", "-"), ("--help",)])
def test_a_reader_that_goes_away_is_no_error(arguments: tuple[str, ...]) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as stream:
        ran = spawn(*arguments, capture_output=False, stdout=stream, stderr=subprocess.PIPE)
    assert (ran.code, ran.err) == (0, "")


@pytest.mark.parametrize("arguments", [("ops",), ("ops", "--json", "-"), ("--help",)])
def test_a_full_disk_behind_standard_output(arguments: tuple[str, ...]) -> None:
    with open("/dev/full", "w") as stream:
        ran = spawn(*arguments, capture_output=False, stdout=stream, stderr=subprocess.PIPE)
    assert ran.code == 2
    assert ran.err.startswith("fxnorm: error: standard output: ")
    assert ran.err.count("\n") == 1
    assert "No space left" in ran.err


def test_no_standard_output_at_all(path: Path, tmp_path: Path) -> None:
    words = command("simulate", path, *FORMAT, "--json", tmp_path / "run.json")
    done = subprocess.run(["sh", "-c", 'exec "$@" >&-', "sh", *words], capture_output=True, timeout=120, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    assert read_json((tmp_path / "run.json").read_text())["samples"] == 16


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_streams_that_cannot_say_everything(tmp_path: Path, encoding: str) -> None:
    path = save(dense(name="日本 \U0001f642 é"), tmp_path / "ü.onnx")
    environment = {**os.environ, "PYTHONIOENCODING": encoding}
    for arguments in (("simulate", path, *FORMAT), ("inspect", path), ("simulate", str(path) + "€", *FORMAT)):
        done = subprocess.run(command(*arguments), capture_output=True, env=environment, timeout=120, check=False)
        assert done.returncode == (2 if "€" in str(arguments) else 0), done.stderr
        assert b"Traceback" not in done.stderr


def test_a_file_name_that_is_no_text(tmp_path: Path) -> None:
    name = os.fsencode(tmp_path) + b"/\xff\xfe.onnx"
    with open(name, "wb") as stream:
        stream.write(dense().SerializeToString())
    words = [os.fsencode(word) for word in command("simulate")]
    done = subprocess.run([*words, name, b"--format", b"q5.3"], capture_output=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    done = subprocess.run([*words, name, b"--format", b"q5.3", b"--json", b"-"], capture_output=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr


def slow_model(path: Path) -> Path:
    """A model that takes minutes with the samples of `slow_options`."""
    weights = np.random.default_rng(0).normal(size=(64, 64, 3, 3)).astype(np.float32)
    nodes = [
        helper.make_node("Conv", [a, "w"], [b], pads=[1, 1, 1, 1]) for a, b in zip("xabcdefg", "abcdefgh", strict=True)
    ]
    return save(model(nodes, [floats("x", ["N", 64, 64, 64])], [floats("h", ["N", 64, 64, 64])], {"w": weights}), path)


SLOW = ("--samples", "5000", "--accumulator", "q30.1:trn,sat")


@pytest.mark.parametrize("when", ["import", "run"])
def test_ctrl_c(tmp_path: Path, when: str) -> None:
    path = slow_model(tmp_path / "slow.onnx")
    folder = tmp_path / "out"
    folder.mkdir()
    options = ("--json", folder / "run.json", "--trace", folder / "trace.npz")
    with subprocess.Popen(
        command("simulate", path, *FORMAT, *SLOW, *options), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        if when == "import":
            deadline = time.monotonic() + 60
            while not list(folder.iterdir()) and time.monotonic() < deadline:  # the files are promised first
                time.sleep(0.01)
        else:
            assert process.stdout.readline().startswith("no --data")  # printed when the plan is made
            time.sleep(0.3)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err == "fxnorm: error: interrupted\n"
    assert list(folder.iterdir()) == []


def on_terminal(*arguments: object, **environment: str) -> tuple[int, str, str]:
    """Exit code, what a terminal showed of standard error, and standard output in a pipe."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        command(*arguments), stdout=subprocess.PIPE, stderr=theirs, env={**os.environ, "TERM": "xterm", **environment}
    ) as process:
        os.close(theirs)
        shown = b""
        while True:
            try:
                part = os.read(ours, 4096)
            except OSError:  # the other end is closed
                break
            if not part:
                break
            shown += part
        assert process.stdout is not None
        out = process.stdout.read().decode()
    os.close(ours)
    return process.returncode, shown.decode(), out


def test_progress_bars_are_for_terminals_only(tmp_path: Path) -> None:
    # Long enough for bars to be worth showing; standard output stays clean although the bars are alive.
    weights = np.random.default_rng(0).normal(size=(16, 16, 3, 3)).astype(np.float32)
    nodes = [helper.make_node("Conv", ["x", "w"], ["y"], name="conv", pads=[1, 1, 1, 1])]
    proto = model(nodes, [floats("x", ["N", 16, 48, 48])], [floats("y", ["N", 16, 48, 48])], {"w": weights})
    path = save(proto, tmp_path / "m.onnx")
    code, shown, out = on_terminal("simulate", path, *FORMAT, "--samples", "300", "--json", "-")
    assert code == 0
    assert "simulate" in shown
    assert "300/300" in shown
    assert read_json(out)["samples"] == 300
    ran = spawn("simulate", path, *FORMAT, "--samples", "300", "--json", "-")
    assert ran.err.splitlines() == ["fxnorm: no --data: random input (seed 0, 300 samples): uniform in [-1, 1)"]


def test_an_error_on_a_terminal_is_one_line(tmp_path: Path) -> None:
    code, shown, out = on_terminal("simulate", tmp_path / "gone.onnx", *FORMAT)
    assert (code, out) == (2, "")
    assert shown.count("\n") == 1
    assert "\x1b" not in shown
