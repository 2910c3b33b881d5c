"""Sweeps that are killed, run out of disk or meet one another: nothing is lost, nothing is computed twice, nothing is damaged."""

from __future__ import annotations

import json
import os
import resource
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from commandline import command, hear_interrupts, run, spawn
from small_sweep import Breaking, Small

from fxnorm.errors import RunError
from fxnorm.sweeping.store import Store
from fxnorm.sweeping.tables import read

DRIVER = Path(__file__).with_name("killed_sweep.py")
FILES = ("results.json", "results.csv")
OPTIONS = ("--width", "4:8", "--normalize", "none,pow2,affine")


@pytest.fixture
def small(tmp_path: Path) -> Small:
    return Small.make(tmp_path)


def words(small: Small, *more: object) -> tuple[object, ...]:
    return ("sweep", small.model, "--data", small.data, *OPTIONS, "-o", small.folder, *more)


def files(folder: Path) -> list[bytes]:
    return [(folder / name).read_bytes() for name in FILES]


def whole(small: Small) -> list[bytes]:
    """What an undisturbed run of the same command writes."""
    folder = small.folder.parent / "undisturbed"
    assert run(*words(Small(small.model, small.data, folder))).code == 0
    return files(folder)


@pytest.mark.slow
def test_killed_at_twenty_moments_and_resumed(small: Small) -> None:
    other = small.folder.parent / "undisturbed"
    arguments = [sys.executable, DRIVER, small.model, small.data, other, small.folder, "20", "7"]
    done = subprocess.run(list(map(str, arguments)), capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    flights, rows = json.loads(done.stdout)
    assert len(flights) == 20
    found = read(small.folder)
    assert len(found.rows) == 180
    assert files(small.folder) == files(other)
    with closing(sqlite3.connect(small.folder / "results.sqlite")) as database:
        attempts = Counter(row[0] for row in database.execute("SELECT configuration FROM attempt"))
        (sound,) = database.execute("PRAGMA integrity_check").fetchone()
    assert sound == "ok"
    # The moments fell into the computing, and it went on in between.
    assert sum(map(len, flights)) >= 5
    assert len(set(rows)) >= 3
    workers = len(os.sched_getaffinity(0))
    # As many as there are workers, the next one, and those whose rows were not yet written.
    assert all(len(flight) <= 2 * workers + 1 for flight in flights)
    # Begun once, and once more for each time that it was in flight when the process was killed.
    again = Counter(one for flight in flights for one in flight)
    assert attempts == {one.id: 1 + again[one.id] for one in found.configurations}


SIZES = (0, 5_000, 40_000, 80_000)


def limited(size: int) -> Any:
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

    return limit


@pytest.mark.parametrize("size", [60_000, *(pytest.param(size, marks=pytest.mark.slow) for size in SIZES)])
def test_no_more_room_for_files(small: Small, size: int) -> None:
    done = spawn(*words(small), preexec_fn=limited(size))
    assert done.code == 2
    assert "cannot be written" in done.message
    kept = read(small.folder).rows if size >= 60_000 else ()
    assert len(kept) < 15
    assert run(*words(small)).code == 0
    assert files(small.folder) == whole(small)
    found = {row.configuration.id: row for row in read(small.folder).rows}
    assert [found[row.configuration.id] for row in kept] == list(kept)


@pytest.mark.slow
def test_a_full_disk(small: Small) -> None:
    disk = small.folder.parent / "disk"
    disk.mkdir()
    sweep = " ".join(f"'{word}'" for word in command(*words(Small(small.model, small.data, disk / "run"))))
    script = (
        f"mount -t tmpfs -o size=96k none '{disk}' || exit 99\n"
        f"{sweep}; echo full $?\n"
        f"cp -r '{disk}/run' '{small.folder.parent}/kept'\n"
        f"mount -o remount,size=8m '{disk}'\n"
        f"{sweep} >/dev/null; echo resumed $?\n"
        f"cp -r '{disk}/run' '{small.folder}'\n"
    )
    done = subprocess.run(
        ["unshare", "--mount", "--map-root-user", "sh", "-c", script],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    if done.returncode == 99 or "unshare" in done.stderr:
        pytest.skip(f"no file system may be mounted here: {done.stderr.strip()[:200]}")
    assert done.stdout.splitlines() == ["full 2", "resumed 0"], done.stdout + done.stderr
    assert "cannot be written" in done.stderr
    kept = read(small.folder.parent / "kept")
    assert 0 < len(kept.rows) < 15
    assert files(small.folder) == whole(small)


def test_a_folder_that_is_being_written_is_refused(small: Small) -> None:
    small.sweep()
    before = {path.name: path.read_bytes() for path in small.folder.iterdir()}
    with Store(small.folder):
        done = run(*words(small))
        assert done.code == 2
        assert f"is being written by process {os.getpid()} on " in done.message
        with pytest.raises(RunError, match="is being written by process"):
            small.sweep()
        assert len(read(small.folder).rows) == 10
    assert {name: (small.folder / name).read_bytes() for name in before if name != "lock"} == {
        name: content for name, content in before.items() if name != "lock"
    }
    assert len(small.sweep().rows) == 10


@pytest.mark.slow
def test_two_runs_at_once_leave_one_table(small: Small) -> None:
    processes = [
        subprocess.Popen(command(*words(small)), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    ended = [(process.communicate(timeout=120)[1], process.returncode) for process in processes]
    codes = sorted(code for _, code in ended)
    assert codes in ([0, 2], [0, 0]), ended  # the second one may come when the first is done
    for text, code in ended:
        assert ("is being written by process" in text) == (code == 2)
    assert files(small.folder) == whole(small)
    with closing(sqlite3.connect(small.folder / "results.sqlite")) as database:
        assert database.execute("SELECT count(*), count(DISTINCT configuration) FROM attempt").fetchone() == (15, 15)


def test_a_lock_ends_with_its_process(small: Small) -> None:
    program = (
        "import sys, time\nfrom fxnorm.sweeping.store import Store\n"
        "store = Store(sys.argv[1])\nprint('locked', flush=True)\ntime.sleep(60)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(small.folder)], stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "locked\n"
        assert run(*words(small)).code == 2
        holder.send_signal(signal.SIGKILL)
        holder.wait(timeout=30)
    assert run(*words(small)).code == 0


@pytest.mark.slow
def test_ctrl_c(small: Small) -> None:
    options = ("--rounding", "rnd,trn,rnd_conv,rnd_zero", "--overflow", "sat,wrap,sat_sym")
    with subprocess.Popen(
        command(*words(small, *options)),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A shell's background job ignores Ctrl-C, and so do its children.
        preexec_fn=hear_interrupts,  # noqa: PLW1509  no other thread runs here
    ) as process:
        until = time.monotonic() + 60
        while time.monotonic() < until:
            try:
                if read(small.folder).rows:
                    break
            except RunError:
                time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (130, "")
    assert err == "fxnorm: error: interrupted\n"
    kept = read(small.folder)
    assert 0 < len(kept.rows) < len(kept.configurations) == 180
    assert len(json.loads((small.folder / "results.json").read_text())["rows"]) == len(kept.rows)


@pytest.mark.parametrize("held", ["notes.txt", "model.onnx"])
def test_a_folder_of_something_else_is_left_alone(small: Small, held: str) -> None:
    small.folder.mkdir()
    (small.folder / held).write_text("precious")
    done = run(*words(small))
    assert done.code == 2
    assert f"{held!r} is in it" in done.message
    assert [path.name for path in small.folder.iterdir()] == [held]


def test_a_file_is_no_folder(small: Small) -> None:
    small.folder.write_text("precious")
    assert "must be a folder" in run(*words(small)).message
    assert small.folder.read_text() == "precious"


@pytest.mark.parametrize(
    "damage",
    [
        "CREATE TABLE other (x)",
        "PRAGMA application_id = 7",
        "PRAGMA user_version = 2",
    ],
)
def test_another_database_is_left_alone(small: Small, damage: str) -> None:
    small.folder.mkdir()
    if "TABLE" not in damage:
        small.sweep()
    with closing(sqlite3.connect(small.folder / "results.sqlite")) as database, database:
        database.execute(damage)
    before = (small.folder / "results.sqlite").read_bytes()
    done = run(*words(small))
    assert done.code == 2
    assert "results.sqlite cannot be used" in done.message
    assert (small.folder / "results.sqlite").read_bytes() == before


def test_a_damaged_database_is_told(small: Small) -> None:
    small.sweep()
    path = small.folder / "results.sqlite"
    path.write_bytes(path.read_bytes()[:5000])
    done = run(*words(small))
    assert done.code == 2
    assert "results.sqlite" in done.message


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written(small: Small) -> None:
    small.folder.mkdir(mode=0o500)
    assert "cannot be written" in run(*words(small)).message


def test_where_no_folder_can_be(small: Small) -> None:
    done = run("sweep", small.model, "--data", small.data, *OPTIONS, "-o", "/proc/fxnorm/run")
    assert done.code == 2
    assert "cannot be written" in done.message


def test_files_beside_the_database_are_made_again(small: Small) -> None:
    small.sweep()
    expected = files(small.folder)
    for name in FILES:
        (small.folder / name).unlink()
    small.sweep()
    assert files(small.folder) == expected
    assert not [path for path in small.folder.iterdir() if path.name.startswith(".")]


def test_files_are_replaced_and_never_written_over(small: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who reads one while it is made anew has the old one, whole."""
    with pytest.raises(ZeroDivisionError):
        small.sweep(lambda study: Breaking(study, 2, ZeroDivisionError()))
    old = files(small.folder)
    for name in FILES:
        os.link(small.folder / name, small.folder.parent / name)

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("os.fsync", full)
        with pytest.raises(RunError, match="No space left on device"):
            small.sweep()
    assert files(small.folder) == old
    assert not [path for path in small.folder.iterdir() if path.name.startswith(".")]
    small.sweep()
    assert files(small.folder) != old
    assert files(small.folder.parent) == old


def test_an_error_on_the_way_is_not_hidden_by_a_full_disk(small: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise RunError("no room")

    monkeypatch.setattr("fxnorm.sweeping.sweep.write_results", full)
    with pytest.raises(ZeroDivisionError):
        small.sweep(lambda study: Breaking(study, 2, ZeroDivisionError()))
