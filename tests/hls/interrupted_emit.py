"""Emit a plan in a process of its own, to which something happens at its n-th file: `interrupted_emit.py WHAT N PLAN FOLDER`."""

from __future__ import annotations

import errno
import os
import resource
import signal
import sys
from pathlib import Path

from fxnorm.cli import main

KILLED, INTERRUPTED, TERMINATED, FULL, SMALL = "kill", "interrupt", "terminate", "full", "small"


def prepare(what: str, number: int) -> None:
    """Let the n-th file be the last one."""
    if what == SMALL:
        # The kernel itself refuses to write more than so many bytes into a file.
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (number, number))
        return
    signals = {KILLED: signal.SIGKILL, INTERRUPTED: signal.SIGINT, TERMINATED: signal.SIGTERM}
    written = 0
    write = Path.write_bytes

    def write_or_stop(self: Path, data: bytes) -> int:
        nonlocal written
        written += 1
        if written == number:
            write(self, data[: len(data) // 2])
            if what == FULL:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            os.kill(os.getpid(), signals[what])
        return write(self, data)

    Path.write_bytes = write_or_stop  # type: ignore[assignment, method-assign]


if __name__ == "__main__":
    what, number, plan, folder = sys.argv[1:]
    prepare(what, int(number))
    main(["emit", plan, "--frames", "3", "-o", folder])
