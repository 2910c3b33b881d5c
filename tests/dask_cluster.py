"""Schedulers and workers of Dask as real processes on this machine, each in a folder of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


class DaskCluster:
    """A scheduler and its workers; as a context manager, they are ended.

    Parameters
    ----------
    configuration
        Of the scheduler, by the names that Dask's environment variables end with.
    """

    def __init__(self, folder: Path, **configuration: object) -> None:
        self.folder = folder
        self.configuration = {"ALLOWED_FAILURES": 1, **configuration}
        folder.mkdir(parents=True, exist_ok=True)
        self.processes: list[subprocess.Popen[bytes]] = []
        file = folder / "scheduler.json"
        self.scheduler = self._start(
            "scheduler", "--host", "127.0.0.1", "--port", "0", "--scheduler-file", file, "--idle-timeout", "120"
        )
        self.address = str(json.loads(_written(file, self.scheduler))["address"])

    def __enter__(self) -> DaskCluster:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self.processes:
            process.kill()
        for process in self.processes:
            process.wait(timeout=30)

    def worker(self, threads: int = 1, *, preload: str = "", nanny: bool = False) -> subprocess.Popen[bytes]:
        """A worker process; `preload` is Python that it runs first. It is not waited for."""
        number = len(self.processes)
        words: list[object] = [
            self.address,
            "--nthreads",
            threads,
            "--nanny" if nanny else "--no-nanny",
            "--death-timeout",
            "60",
        ]
        if preload:
            file = self.folder / f"preload_{number}.py"
            file.write_text(preload)
            words += ["--preload", file]
        return self._start("worker", *words)

    def _start(self, kind: str, *words: object) -> subprocess.Popen[bytes]:
        place = self.folder / f"{kind}-{len(self.processes)}"
        place.mkdir()
        environment = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            **{f"DASK_DISTRIBUTED__SCHEDULER__{name}": str(value) for name, value in self.configuration.items()},
            "DASK_TEMPORARY_DIRECTORY": str(place),
        }
        with (place / "log").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "dask", kind, "--no-dashboard", *map(str, words)],
                cwd=place, env=environment, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        self.processes.append(process)
        return process


def end(process: subprocess.Popen[bytes]) -> None:
    """Kill -9 a process, and those that it started."""
    os.killpg(process.pid, signal.SIGKILL)
    process.wait(timeout=30)


def _written(file: Path, process: subprocess.Popen[bytes]) -> str:
    until = time.monotonic() + 60
    while time.monotonic() < until:
        if file.exists() and (text := file.read_text()):
            return text
        assert process.poll() is None, "the scheduler ended"
        time.sleep(0.02)
    raise AssertionError("the scheduler did not start")
