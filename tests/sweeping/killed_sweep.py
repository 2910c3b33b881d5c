"""Starts a sweep again and again and kills it -9 at random moments; prints what was in flight each time, as JSON.

Arguments: model, data, folder of an undisturbed run, folder of the killed one, how many kills, seed. It is a program of its own so
that it can fork: what it imports is imported once.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sqlite3
import sys
import time
from contextlib import closing
from pathlib import Path

import fxnorm as fx

GRID = {"width": "3:12", "normalize": "none,pow2,affine", "rounding": "rnd,trn,rnd_conv", "overflow": "sat,wrap"}


def attempts(folder: Path) -> list[tuple[int, str, bool]]:
    """Number, configuration and whether it is done, of all times that a configuration was begun."""
    try:
        with closing(sqlite3.connect(f"file:{folder / 'results.sqlite'}", uri=True)) as database:
            query = "SELECT rowid, configuration, configuration IN (SELECT configuration FROM result) FROM attempt"
            return [(number, one, bool(done)) for number, one, done in database.execute(query)]
    except sqlite3.OperationalError:
        return []  # killed before there was a run


def sweeping(model: str, data: str, folder: str) -> int:
    """Process that sweeps."""
    child = os.fork()
    if child == 0:
        try:
            fx.sweep(model, data, folder, **GRID)  # type: ignore[arg-type]
            os._exit(0)
        except BaseException as error:
            print(repr(error), file=sys.stderr, flush=True)
            os._exit(1)
    return child


def main() -> None:
    model, data, undisturbed, folder, kills, seed = sys.argv[1:7]
    moments = random.Random(int(seed))
    # Everything is loaded here once, so that a moment falls into the sweep and not into the start of a program.
    fx.sweep(model, data, f"{undisturbed}-first", formats="q5.3,uq4.4", normalize="none,pow2,affine")
    begun = time.monotonic()
    assert os.waitpid(sweeping(model, data, undisturbed), 0)[1] == 0
    longest = (time.monotonic() - begun) / 8
    flights: list[list[str]] = []
    rows: list[int] = []
    last = 0
    for _ in range(int(kills)):
        child = sweeping(model, data, folder)
        time.sleep(moments.uniform(0.0, longest))
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        assert os.WIFSIGNALED(status)
        found = attempts(Path(folder))
        flights.append([one for number, one, done in found if number > last and not done])
        rows.append(sum(done for _, _, done in found))
        last = max((number for number, _, _ in found), default=0)
    assert os.waitpid(sweeping(model, data, folder), 0)[1] == 0
    json.dump([flights, rows], sys.stdout)


if __name__ == "__main__":
    main()
