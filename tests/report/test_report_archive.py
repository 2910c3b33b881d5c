from __future__ import annotations

import zipfile
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fxnorm.errors import UsageError
from fxnorm.fixed.format import Format
from fxnorm.kernels.encoding import Encoding
from fxnorm.report.archive import Archive, member_name
from fxnorm.report.files import Delivery

ENCODING = Encoding(Format.parse("q5.3"))


def written(path: Path, chunks: list[tuple[str, np.ndarray]]) -> dict[str, np.ndarray]:
    with Delivery() as delivery:
        archive = Archive(delivery.add("--trace", str(path)))
        for name, codes in chunks:
            archive.append(name, codes, ENCODING)
        archive.finish()
        delivery.deliver()
    with np.load(path, allow_pickle=False) as saved:
        return {name: saved[name] for name in saved.files}


@pytest.mark.parametrize("tail", [(), (3,), (2, 3), (0,), (2, 0, 3)])
def test_chunks_follow_one_another(tmp_path: Path, tail: tuple[int, ...]) -> None:
    generator = np.random.default_rng(0)
    parts = [generator.integers(-128, 128, (count, *tail)) for count in (3, 1, 5)]
    other = generator.integers(-128, 128, (4, 2))
    chunks = [("a", parts[0]), ("b", other), ("a", parts[1]), ("a", parts[2])]
    saved = written(tmp_path / "t.npz", chunks)
    assert list(saved) == ["a.codes", "a.values", "b.codes", "b.values"]
    assert np.array_equal(saved["a.codes"], np.concatenate(parts))
    assert np.array_equal(saved["a.values"], np.concatenate(parts) / 8)
    assert (saved["a.codes"].dtype, saved["a.values"].dtype) == (np.int64, np.float64)
    assert saved["a.codes"].shape == (9, *tail)
    assert np.array_equal(saved["b.codes"], other)


def test_more_codes_than_a_block(tmp_path: Path) -> None:
    codes = np.random.default_rng(0).integers(-128, 128, (3, 70_001))
    saved = written(tmp_path / "t.npz", [("a", codes), ("a", codes[::-1])])
    assert np.array_equal(saved["a.values"], np.concatenate([codes, codes[::-1]]) / 8)


def test_strided_codes_are_saved_in_their_order(tmp_path: Path) -> None:
    codes = np.arange(24).reshape(2, 3, 4).transpose(0, 2, 1)[:, ::2]
    assert np.array_equal(written(tmp_path / "t.npz", [("a", codes)])["a.codes"], codes)


def test_the_file_is_a_sound_archive_that_bears_no_time(tmp_path: Path) -> None:
    written(tmp_path / "t.npz", [("a", np.arange(3))])
    with zipfile.ZipFile(tmp_path / "t.npz") as archive:
        assert archive.testzip() is None
        assert {info.date_time for info in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}


@given(st.text(max_size=20))
@example("/model/fc:0")
@example("../../etc/passwd")
@example("..")
@example("a/../b")
@example("%2E%2E")
@example("a\x00b")
def test_a_members_name_is_the_values_and_harmless(name: str) -> None:
    member = member_name(name)
    assert unquote(member) == name
    assert member.isprintable()
    assert ".." not in member.replace("\\", "/").split("/")


@pytest.mark.parametrize(
    "name", ["conv1", "/model/conv1/Conv_output_0", "model/dense:0", "a b", "é", "50%", "a..b", "x/..y"]
)
def test_an_ordinary_name_stays_as_it_is(name: str) -> None:
    assert member_name(name) == name


def test_a_name_that_no_archive_can_hold(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="too long a name"):
        written(tmp_path / "t.npz", [("n" * 70_000, np.arange(3))])
    assert list(tmp_path.iterdir()) == []
