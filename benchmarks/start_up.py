"""How long commands take to start, from a cold first use on: whole processes, compared with an interpreter that does nothing."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from functools import partial

from benchmarks.measure import Effort, Row, Task, seconds
from benchmarks.models import ROOT

COMMAND = [sys.executable, "-m", "fxnorm.cli"]
DEMO = (
    *("simulate", str(ROOT / "examples" / "digits_conv.onnx"), "--format", "q5.3"),
    *("--data", str(ROOT / "examples" / "digits_conv_test.npz")),
)
IMPORTS = ("fxnorm", "fxnorm.simulation", "numpy", "onnxruntime", "numba")


def rows(effort: Effort) -> Iterator[tuple[str, Task]]:
    """Imports, `--help`, and a simulation whose compiled loops are on disk, or are not yet."""
    runs = min(effort.runs, 7)
    for module in IMPORTS[: 2 if effort.quick else None]:
        yield f"import {module}", partial(_row, f"python -c 'import {module}'", ["-c", f"import {module}"], runs)
    yield "fxnorm --help", partial(_row, "fxnorm --help", [*COMMAND[1:], "--help"], runs, 0.3)
    title = "fxnorm simulate digits_conv, 450 images"
    yield "fxnorm simulate", partial(_row, title, [*COMMAND[1:], *DEMO], min(runs, 5), 3.0)
    if not effort.quick:
        yield "fxnorm simulate, first use", partial(_first_use, title)


def _row(title: str, arguments: list[str], runs: int, limit: float | None = None) -> Row:
    ours = _process(arguments, runs)
    bare = _process(["-c", "pass"], runs)
    target = None if limit is None else (f"under {limit:g} s", ours < limit)
    return Row(title, ours, bare, "python -c pass", target)


def _first_use(title: str) -> Row:
    with tempfile.TemporaryDirectory() as folder:
        cold = _process([*COMMAND[1:], *DEMO], 1, {"NUMBA_CACHE_DIR": folder})
    warm = _process([*COMMAND[1:], *DEMO], 1)
    return Row(f"{title}, the very first time", cold, warm, "the same from then on", None, "measured once")


def _process(arguments: list[str], runs: int, environment: Mapping[str, str] | None = None) -> float:
    """Median seconds of a process of this interpreter."""

    def work() -> None:
        subprocess.run(
            [sys.executable, *arguments],
            check=True,
            cwd=ROOT,
            env={**os.environ, **(environment or {})},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )

    return statistics.median(seconds(work) for _ in range(runs))
