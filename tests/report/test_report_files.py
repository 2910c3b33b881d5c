from __future__ import annotations

import os
import stat
import threading
from pathlib import Path

import pytest
from commandline import tree

from fxnorm.errors import UsageError
from fxnorm.report.files import Delivery


def test_files_appear_together_at_the_end(tmp_path: Path) -> None:
    with Delivery() as delivery:
        for name in ("one", "two"):
            delivery.add(f"--{name}", str(tmp_path / name)).write(name)
        assert not (tmp_path / "one").exists()
        delivery.deliver()
        assert (tmp_path / "one").read_text() == "one"
    assert tree(tmp_path) == {"one": b"one", "two": b"two"}
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_nothing_is_left_of_what_failed(tmp_path: Path, error: type[BaseException]) -> None:
    (tmp_path / "old").write_text("old")

    def work() -> None:
        with Delivery() as delivery:
            parcel = delivery.add("--json", str(tmp_path / "old"))
            parcel.write("half")
            (parcel.scratch / "more").write_text("other things")
            raise error

    with pytest.raises(error):
        work()
    assert tree(tmp_path) == {"old": b"old"}
    assert len(list(tmp_path.iterdir())) == 1


def test_if_one_file_cannot_be_made_none_is_delivered(tmp_path: Path) -> None:
    with Delivery() as delivery:
        delivery.add("--one", str(tmp_path / "one")).write("one")
        with pytest.raises(UsageError, match="--two"):
            delivery.add("--two", str(tmp_path / "nowhere" / "two"))
    assert list(tmp_path.iterdir()) == []


def test_a_pipe_is_written_to(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    got = []
    reader = threading.Thread(target=lambda: got.append(pipe.read_text()))
    reader.start()
    with Delivery() as delivery:
        delivery.add("--json", str(pipe)).write("through the pipe")
        delivery.deliver()
    reader.join(10)
    assert got == ["through the pipe"]
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_a_device_may_take_several(tmp_path: Path) -> None:
    with Delivery() as delivery:
        for option in ("--json", "--trace"):
            delivery.add(option, "/dev/null").write("x")
        delivery.deliver()


@pytest.mark.parametrize("target", ["model", "./folder/../model", "link", "folder/new", "folder/deep/new"])
def test_what_is_read_is_not_written(tmp_path: Path, target: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("folder/deep").mkdir(parents=True)
    Path("model").write_text("")
    Path("link").symlink_to("model")
    with Delivery(["model", "folder"]) as delivery, pytest.raises(UsageError, match="reads"):
        delivery.add("--json", target)


def test_a_neighbour_of_what_is_read_may_be_written(tmp_path: Path) -> None:
    (tmp_path / "model").write_text("")
    with Delivery([str(tmp_path / "model")]) as delivery:
        delivery.add("--json", str(tmp_path / "model2")).write("x")
        delivery.deliver()
    assert (tmp_path / "model2").exists()


def test_one_file_by_two_names(tmp_path: Path) -> None:
    (tmp_path / "real").write_text("")
    (tmp_path / "link").symlink_to("real")
    with Delivery() as delivery:
        delivery.add("--json", str(tmp_path / "real"))
        with pytest.raises(UsageError, match="--json writes this file already"):
            delivery.add("--trace", str(tmp_path / "link"))
