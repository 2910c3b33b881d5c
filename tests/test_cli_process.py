"""The command line as a process: streams that close or fill up, terminals, Ctrl-C."""

from __future__ import annotations

import io
import itertools
import os
import pty
import signal
import subprocess
import time
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import numpy as np
import pytest
from commandline import command, hear_interrupts, read_json, spawn
from onnx import helper
from small_models import dense, floats, model, samples, save

from fxnorm.cli import main

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


@pytest.mark.parametrize("arguments", [("ops",), ("ops", "--json", "-"), ("--help",), ("inspect", "--json", "-")])
def test_a_full_disk_behind_standard_output(arguments: tuple[str, ...], path: Path) -> None:
    if arguments[0] == "inspect":  # few words, which stay in the buffer to the end
        arguments = (*arguments, str(path))
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


def test_names_that_the_streams_cannot_say(tmp_path: Path) -> None:
    path = os.fsencode(tmp_path) + b"/\xff\xfe \xe2\x82\xac.onnx"
    with open(path, "wb") as stream:
        stream.write(dense(name="日本 \U0001f642 é").SerializeToString())
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    for code, arguments in ((0, [b"simulate", path]), (2, [b"simulate", path + b"\xff"])):
        words = [*map(os.fsencode, command()), *arguments, b"--format", b"q5.3"]
        done = subprocess.run(words, capture_output=True, env=environment, timeout=120, check=False)
        assert done.returncode == code, done.stderr
        assert b"Traceback" not in done.stderr
        assert done.stdout.isascii()


def slow_model(path: Path) -> Path:
    """A model that is read at once, and takes minutes for a million samples."""
    weights = np.random.default_rng(0).normal(size=(8, 8, 3, 3)).astype(np.float32)
    nodes = [helper.make_node("Conv", [a, "w"], [b], pads=[1, 1, 1, 1]) for a, b in zip("xabc", "abcd", strict=True)]
    return save(model(nodes, [floats("x", ["N", 8, 8, 8])], [floats("d", ["N", 8, 8, 8])], {"w": weights}), path)


SLOW = ("--samples", "1000000")


@pytest.mark.parametrize("when", ["import", "run"])
def test_ctrl_c(tmp_path: Path, when: str) -> None:
    path = slow_model(tmp_path / "slow.onnx")
    folder = tmp_path / "out"
    folder.mkdir()
    options = ("--json", folder / "run.json", "--trace", folder / "trace.npz")
    with subprocess.Popen(
        command("simulate", path, *FORMAT, *SLOW, *options),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=hear_interrupts,  # noqa: PLW1509  no other thread runs here
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
    assert err == "fxnorm: error: interrupted\n"
    assert process.returncode == 130
    assert list(folder.iterdir()) == []


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_progress_bars_are_for_terminals_only(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Standard output stays clean although the bars are alive.
    monkeypatch.setattr("fxnorm.report.progress.PATIENCE", 0.0)
    monkeypatch.setenv("TERM", "xterm")
    note = "no --data: random input (seed 0, 300 samples): uniform in [-1, 1)\n"
    shown: dict[tuple[bool, bool], str] = {}
    for terminal, as_json in itertools.product((True, False), repeat=2):
        out, err = io.StringIO(), Terminal() if terminal else io.StringIO()
        with redirect_stdout(out), redirect_stderr(err), pytest.raises(SystemExit) as done:
            main(["simulate", str(path), *FORMAT, "--samples", "300", *(("--json", "-") if as_json else ())])
        assert done.value.code == 0
        assert read_json(out.getvalue())["samples"] == 300 if as_json else out.getvalue().startswith(note)
        shown[terminal, as_json] = err.getvalue()
    for as_json in (True, False):
        assert "simulate" in shown[True, as_json]
        assert "300/300" in shown[True, as_json]
    assert shown[False, True] == f"fxnorm: {note}"
    assert shown[False, False] == ""


def test_a_short_run_shows_no_bars(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fxnorm.report.progress.PATIENCE", 1e9)
    err = Terminal()
    with redirect_stdout(io.StringIO()), redirect_stderr(err), pytest.raises(SystemExit):
        main(["simulate", str(path), *FORMAT])
    assert err.getvalue() == ""


def test_an_error_on_a_terminal_is_one_line(tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    ran = spawn("simulate", tmp_path / "gone.onnx", *FORMAT, capture_output=False, stderr=theirs)
    os.close(theirs)
    shown = os.read(ours, 4096).decode()
    os.close(ours)
    assert ran.code == 2
    assert shown.count("\n") == 1
    assert "\x1b" not in shown
