"""Sweeps on a Dask cluster of real processes: the same rows as here, whoever dies on the way."""

from __future__ import annotations

import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from commandline import command, run
from dask_cluster import DaskCluster, end
from small_models import samples
from small_sweep import Small

import fxnorm as fx
from fxnorm.errors import RunError, UsageError
from fxnorm.sweeping import cluster_executor
from fxnorm.sweeping.cluster import Cluster
from fxnorm.sweeping.configuration import Configuration
from fxnorm.sweeping.executor import Begin, Executor
from fxnorm.sweeping.measure import Outcome
from fxnorm.sweeping.tables import Run, read

pytest.importorskip("distributed", reason="Dask is not installed")

FILES = ("results.json", "results.csv")
MANY = {"normalize": "none,pow2,affine", "rounding": "rnd,trn", "overflow": "sat,wrap"}


@pytest.fixture
def small(tmp_path: Path) -> Small:
    return Small.make(tmp_path)


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaskCluster]:
    """A worker of two threads, and one of one."""
    with DaskCluster(tmp_path_factory.mktemp("dask")) as cluster:
        cluster.worker(2)
        cluster.worker(1)
        with Cluster(cluster.address) as there:
            while sum(there.crew()) < 3:
                time.sleep(0.1)
        yield cluster


@pytest.fixture
def alone(tmp_path: Path) -> Iterator[DaskCluster]:
    """A cluster of the test's own, without workers."""
    with DaskCluster(tmp_path / "dask") as cluster:
        yield cluster


def files(folder: Path) -> list[bytes]:
    return [(folder / name).read_bytes() for name in FILES]


def here(small: Small, **grid: object) -> tuple[Small, Run]:
    """The same sweep on this machine, in another folder."""
    other = Small(small.model, small.data, small.folder.parent / "here")
    return other, other.sweep(**grid)


def attempts(folder: Path) -> Counter[str]:
    """How often each configuration was begun."""
    with closing(sqlite3.connect(folder / "results.sqlite")) as database:
        return Counter(row[0] for row in database.execute("SELECT configuration FROM attempt"))


class Meddling:
    """Does something once there are some outcomes."""

    def __init__(self, executor: Executor, after: int, action: Callable[[], object]) -> None:
        self.executor, self.after, self.action = executor, after, action

    def run(
        self, configurations: Sequence[Configuration], begin: Begin
    ) -> Generator[tuple[Configuration, Outcome], None, None]:
        with closing(self.executor.run(configurations, begin)) as outcomes:
            for number, found in enumerate(outcomes, 1):
                yield found
                if number == self.after:
                    self.action()


def meddled(small: Small, there: Cluster, after: int, action: Callable[[], object], **grid: object) -> Run:
    return small.sweep(lambda study: Meddling(there(study), after, action), **grid)  # type: ignore[arg-type,return-value]


@pytest.mark.slow
def test_rows_are_those_of_this_machine(small: Small, pair: DaskCluster) -> None:
    options: dict[str, object] = {
        "format": "q5.3,q1.4,q-900.908",
        "normalize": "none,affine",
        "mean_format": "default,q8.8",
        "norm_algorithm": "exact,two_pass",
        "calibration": "minmax,percentile:99",
        "input_transform": "default;x=log",
        "layers": ["dense:format=default,q2.6"],
    }
    with Cluster(pair.address) as there:
        found = small.sweep(there, **options)  # type: ignore[arg-type]
    other, wanted = here(small, **options)
    assert files(small.folder) == files(other.folder)
    assert [row.record for row in found.rows] == [row.record for row in wanted.rows]
    assert {row.status for row in found.rows} == {"done", "refused"}
    assert set(attempts(small.folder).values()) == {1}


@pytest.mark.slow
def test_few_configurations_share_the_workers_by_samples(
    small: Small, pair: DaskCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = small.data.parent / "files"
    folder.mkdir()
    for name, count in (("a", 600), ("b", 300)):  # chunks of 256 and less, that end where files do
        np.savez(folder / f"{name}.npz", x=samples(count, seed=count), labels=np.arange(count) % 3)
    divided = Small(small.model, folder, small.folder)
    counts: list[int] = []
    submit = cluster_executor.ClusterExecutor._submit

    def noted(self: cluster_executor.ClusterExecutor, one: Configuration, ranges: object, count: int) -> object:
        counts.append(count)
        return submit(self, one, ranges, count)  # type: ignore[arg-type]

    monkeypatch.setattr(cluster_executor.ClusterExecutor, "_submit", noted)
    options = {"format": "q2.4", "normalize": "affine"}
    with Cluster(pair.address) as there:
        found = divided.sweep(there, **options)  # type: ignore[arg-type]
    other, wanted = here(divided, **options)
    assert counts == [3]
    assert files(divided.folder) == files(other.folder)
    assert [row.record for row in found.rows] == [row.record for row in wanted.rows]
    (row,) = found.rows
    assert row.seconds["total"] >= row.seconds["simulate"] > 0.0


@pytest.mark.slow
def test_a_worker_that_is_killed_costs_no_row_and_doubles_none(small: Small, alone: DaskCluster) -> None:
    first = alone.worker()
    alone.worker()
    with Cluster(alone.address) as there:
        while len(there.crew()) < 2:
            time.sleep(0.1)
        found = meddled(small, there, 5, lambda: end(first), **MANY)
    other, wanted = here(small, **MANY)
    assert files(small.folder) == files(other.folder)
    assert len(found.rows) == len(wanted.rows) == 60
    begun = attempts(small.folder)
    # Dask keeps one copy of what was sent, after a while, and where that was with the one who died, what was in flight is begun again.
    assert set(begun.values()) <= {1, 2}
    assert begun.total() <= 60 + 4


@pytest.mark.slow
def test_all_workers_die_and_others_come(small: Small, alone: DaskCluster) -> None:
    first = alone.worker()

    def change() -> None:
        end(first)
        alone.worker()

    with Cluster(alone.address) as there:
        meddled(small, there, 5, change, **MANY)
    other, _ = here(small, **MANY)
    assert files(small.folder) == files(other.folder)
    again = attempts(small.folder)
    assert len(again) == 60
    assert again.total() <= 60 + 4  # those that were lost with what had been sent were begun again


@pytest.mark.slow
def test_a_client_that_is_killed_goes_on(small: Small, pair: DaskCluster) -> None:
    options = ("--width", "4:8", "--normalize", "none,pow2,affine", "--rounding", "rnd,trn", "--overflow", "sat,wrap")
    words = ("sweep", small.model, "--data", small.data, *options, "-o", small.folder)
    with subprocess.Popen(command(*words, "--dask", pair.address)) as client:
        until = time.monotonic() + 60
        while time.monotonic() < until and client.poll() is None:
            try:
                if len(read(small.folder).rows) > 3:
                    break
            except RunError:
                time.sleep(0.01)
        client.send_signal(signal.SIGKILL)
    kept = read(small.folder).rows
    before = attempts(small.folder)
    assert 3 < len(kept) < 60
    done = run(*words, "--dask", pair.address)
    assert done.code == 0, done.err
    whole = read(small.folder)
    assert [row for row in whole.rows if row in kept] == list(kept)
    flight = {one for one in before if one not in {row.configuration.id for row in kept}}
    assert len(flight) <= 3 + 2 + 1
    assert attempts(small.folder) == {one.id: 1 + (one.id in flight) for one in whole.configurations}
    assert run(*words[:-1], small.folder.parent / "here").code == 0
    assert files(small.folder) == files(small.folder.parent / "here")


@pytest.mark.slow
def test_an_interrupt_cancels_what_the_workers_have(small: Small, pair: DaskCluster) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    with Cluster(pair.address) as there:
        with pytest.raises(KeyboardInterrupt):
            meddled(small, there, 5, interrupt, **MANY)
        assert len(read(small.folder).rows) == 5
        until = time.monotonic() + 20
        while left := [key for keys in there.client.processing().values() for key in keys]:
            assert time.monotonic() < until, left
            time.sleep(0.1)
        found = small.sweep(there, **MANY)  # type: ignore[arg-type]
    other, _ = here(small, **MANY)
    assert len(found.rows) == 60
    assert files(small.folder) == files(other.folder)


@pytest.mark.slow
def test_a_search_is_the_same(small: Small, pair: DaskCluster) -> None:
    def search(folder: str, **where: str) -> list[tuple[object, ...]]:
        found = fx.search(
            small.model, small.data, small.folder.parent / folder, width="3:6", trials=4, min_sqnr=15.0, **where
        )
        assert found.best is not None
        return [(found.best.choice, found.best.metrics)] + [(one.choice, one.metrics) for one in found.trials]

    assert search("there", dask=pair.address) == search("here")


DEADLY = """
import os, signal
from fxnorm.sweeping import remote
remote.measure = lambda *given, **named: os.kill(os.getpid(), signal.SIGKILL)
"""
OLDER = """
import importlib.metadata as metadata
known = metadata.Distribution.from_name  # this file may be run twice
metadata.version = lambda name: "0.0.7" if name == "fxnorm" else known(name).version
"""
WITHOUT = """
import importlib.metadata as metadata, sys
def version(name):
    if name == "fxnorm":
        raise metadata.PackageNotFoundError(name)
    return metadata.Distribution.from_name(name).version
metadata.version = version
class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "fxnorm":
            raise ModuleNotFoundError("No module named 'fxnorm'", name="fxnorm")
sys.meta_path.insert(0, Missing())
"""


@pytest.mark.slow
def test_a_configuration_that_kills_its_worker(small: Small, tmp_path: Path) -> None:
    # What was sent stays where it is, so that the one who is left has it too.
    with DaskCluster(tmp_path / "dask", ALLOWED_FAILURES=0, ACTIVE_MEMORY_MANAGER__START=False) as cluster:
        cluster.worker()
        cluster.worker(preload=DEADLY)
        with Cluster(cluster.address) as there:
            while len(there.crew()) < 2:
                time.sleep(0.1)
            with pytest.raises(RunError, match=r"q\d\.\d .* must be computed by some worker, but 1 of them died"):
                small.sweep(there, **MANY)  # type: ignore[arg-type]
    kept = read(small.folder).rows
    assert len(kept) < 60
    small.sweep(**MANY)
    whole = read(small.folder).rows
    assert len(whole) == 60
    assert [row for row in whole if row in kept] == list(kept)


@pytest.mark.slow
def test_what_is_lost_again_and_again_ends_the_sweep(
    small: Small, alone: DaskCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster_executor, "LOSSES", 2)
    alone.worker(preload=DEADLY)
    send = Cluster.send

    def sent(self: Cluster, contents: Mapping[str, bytes]) -> object:
        alone.worker(preload=DEADLY)  # the next one, for when this one has died
        return send(self, contents)

    monkeypatch.setattr(Cluster, "send", sent)
    with (
        Cluster(alone.address) as there,
        pytest.raises(
            RunError, match=r"q\d\.\d must be computed by some worker, but (was lost 2 times|2 of them died)"
        ),
    ):
        small.sweep(there, format="q3.3", normalize="pow2")  # type: ignore[arg-type]
    assert read(small.folder).rows == ()


@pytest.mark.slow
def test_all_workers_die_and_none_comes(small: Small, alone: DaskCluster) -> None:
    only = alone.worker()
    with Cluster(alone.address) as there:
        there.crew()
        there.patience = 1.0
        with pytest.raises(RunError, match=r"has no workers, and none came within 1 s; .* Rows so far are kept"):
            meddled(small, there, 5, lambda: end(only), **MANY)
    assert 5 <= len(read(small.folder).rows) < 60


@pytest.mark.slow
def test_workers_that_would_not_compute_the_same(
    small: Small, alone: DaskCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    older = alone.worker(preload=OLDER)
    done = run("sweep", small.model, "--data", small.data, "--width", "4", "--dask", alone.address, "-o", small.folder)
    assert done.code == 2
    assert f"--dask {alone.address}: worker tcp://127.0.0.1:" in done.message
    assert "must have the versions of this machine, fxnorm " in done.message
    assert "but has fxnorm 0.0.7; install the same there" in done.message
    # One that comes after all others were asked says so with its first task.
    monkeypatch.setattr(Cluster, "check_versions", lambda self: None)
    with Cluster(alone.address) as there, pytest.raises(RunError, match=r"but has fxnorm 0\.0\.7"):
        small.sweep(there)  # type: ignore[arg-type]
    monkeypatch.undo()
    end(older)
    without = alone.worker(preload=WITHOUT)
    with Cluster(alone.address) as there, pytest.raises(RunError, match="but has fxnorm unknown"):
        small.sweep(there)  # type: ignore[arg-type]
    assert read(small.folder).rows == ()
    end(without)
    sound = alone.worker()

    def change() -> None:
        end(sound)
        alone.worker(preload=WITHOUT)

    # Those who come after all others have gone are asked too.
    with Cluster(alone.address) as there, pytest.raises(RunError, match="but has fxnorm unknown"):
        meddled(small, there, 5, change)
    assert len(read(small.folder).rows) >= 5


@pytest.mark.slow
def test_a_scheduler_without_workers_and_one_that_goes(small: Small, alone: DaskCluster) -> None:
    nobody = r"no workers, and none came within 0\.5 s; start some with `dask worker"
    with Cluster(alone.address, patience=0.5) as there, pytest.raises(RunError, match=nobody):
        small.sweep(there)  # type: ignore[arg-type]
    alone.worker()
    with (
        Cluster(alone.address, connect=2.0) as there,
        pytest.raises(RunError, match=r"the scheduler is gone .* rows so far are kept"),
    ):
        meddled(small, there, 5, lambda: end(alone.scheduler), **MANY)
    assert 5 <= len(read(small.folder).rows) < 60
    small.sweep(**MANY)
    assert len(read(small.folder).rows) == 60


@pytest.mark.parametrize("listens", [False, True], ids=["nobody", "somebody else"])
def test_no_scheduler_there(small: Small, monkeypatch: pytest.MonkeyPatch, listens: bool) -> None:
    monkeypatch.setattr("fxnorm.sweeping.cluster.CONNECT", 0.5)
    monkeypatch.setattr(Cluster.__init__, "__kwdefaults__", {"connect": 0.5, "patience": 0.5})
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        if listens:
            other.listen()
        address = f"tcp://127.0.0.1:{other.getsockname()[1]}"
        begun = time.monotonic()
        done = run("sweep", small.model, "--data", small.data, "--width", "4", "--dask", address, "-o", small.folder)
    assert done.code == 2
    assert f"--dask {address}: there must be a Dask scheduler, but none answers within 0.5 s" in done.message
    assert time.monotonic() - begun < 20


def test_what_is_no_address(small: Small) -> None:
    words = ("--data", small.data, "--width", "4", "-o", small.folder)
    for address in ("10.0.0.5:8786", "http://10.0.0.5:8786", "tcp://10.0.0.5", "inproc://1", "tcp://:1", ""):
        done = run("sweep", small.model, *words, "--dask", address)
        assert (done.code, done.message) == (
            2,
            f"--dask: must be the address of a scheduler, tcp://HOST:PORT or tls://HOST:PORT, not {address!r}",
        )
    for name in ("sweep", "search"):
        gate = ("--min-sqnr", "1") if name == "search" else ()
        done = run(name, small.model, *words, *gate, "--workers", "2", "--dask", "tcp://127.0.0.1:1")
        assert done.code == 2
        assert done.message.startswith("--workers: is for the cores of this machine, and --dask is given")
    assert not small.folder.exists()


def test_without_dask(small: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(UsageError, match=r"--dask: needs Dask, .* `pip install 'fxnorm\[dask\]'`"):
        fx.sweep(small.model, small.data, small.folder, width="4", dask="tcp://127.0.0.1:1")


def test_a_finished_sweep_needs_no_cluster(small: Small) -> None:
    words = ("sweep", small.model, "--data", small.data, "--width", "4", "-o", small.folder)
    assert run(*words).code == 0
    assert run(*words, "--dask", "tcp://127.0.0.1:1").code == 0
