"""One process at a time writes a run folder."""

from __future__ import annotations

import fcntl
import os
import socket
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Final

from fxnorm.errors import RunError

LOCK: Final = "lock"


def locked(folder: Path) -> IO[str]:
    """The folder's lock, held until the file is closed; the system lets go of it when the process is gone, however that ends."""
    stream = (folder / LOCK).open("a+", encoding="utf-8")
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        stream.seek(0)
        holder = stream.read(200).strip() or "another process"
        stream.close()
        raise RunError(
            f"{folder}: is being written by {holder}; wait until it is done, or choose another folder"
        ) from None
    except BaseException:
        stream.close()
        raise
    stream.truncate(0)
    stream.write(f"{this_process()} since {now()}\n")
    stream.flush()
    return stream


def this_process() -> str:
    """The process that runs, in words."""
    return f"process {os.getpid()} on {socket.gethostname()}"


def now() -> str:
    """The time, UTC, ISO 8601, to the second."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
