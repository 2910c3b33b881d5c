"""Studies that travel as bytes, and evaluations in parts: the same outcomes as those of the study that was sent."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from small_models import dense, samples, save

import fxnorm as fx
from fxnorm.data import Data
from fxnorm.errors import DataError
from fxnorm.planning.options import Options
from fxnorm.study import Study
from fxnorm.sweeping import remote
from fxnorm.sweeping.configuration import Configuration
from fxnorm.sweeping.grid import Grid, configurations, fitting_bits
from fxnorm.sweeping.measure import Outcome, measure
from fxnorm.sweeping.remote import Job, assembled, decisive_versions, measured, measured_slice
from fxnorm.sweeping.sent import Failure, Sent, packed_ranges, packed_study


@pytest.fixture(autouse=True)
def no_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is asked of a worker of Dask."""
    monkeypatch.setattr(remote, "_checkpoint", lambda: lambda: None)
    remote._STUDIES.clear()
    remote._RANGES.clear()


def study(folder: Path, counts: tuple[int, ...] = (600, 40, 300), **arrays: np.ndarray) -> Study:
    """A study on some files of samples."""
    model = save(dense(), folder / "dense.onnx")
    data = folder / "files"
    data.mkdir()
    for number, count in enumerate(counts):
        np.savez(data / f"{number}.npz", x=samples(count, seed=number), labels=np.arange(count) % 3)
    graph = fx.load(model)
    return Study(graph, Data.open(data, graph), histograms=True)


def asked(given: Study, **options: str) -> list[Configuration]:
    grid = Grid.read({"normalize": "none,affine", **options}, None if "format" in options else "3,7")
    base = Options.make("q5.3")
    bits = fitting_bits([(given.network(base), given.ranges(base))]) if grid.fits() else None
    return configurations(grid, lambda _: "", given.check, bits)


def without_seconds(outcome: object) -> Outcome:
    assert isinstance(outcome, Outcome), outcome
    return replace(outcome, seconds={})


def job(one: Configuration, content: Sent, ranges: Sent) -> Job:
    return Job(one, content.digest, ranges.digest, decisive_versions())


def test_outcomes_are_those_of_the_study_that_was_sent(tmp_path: Path) -> None:
    first = study(tmp_path)
    those = asked(first, accumulator="default,q1.3:trn,sat")
    wanted = [without_seconds(measure(first, one)) for one in those]
    content = packed_study(first)
    ranges = [packed_ranges(first.ranges(one.made())) for one in those]
    shutil.rmtree(tmp_path / "files")
    (tmp_path / "dense.onnx").unlink()
    for one, those_ranges, outcome in zip(those, ranges, wanted, strict=True):
        given = (content.content, those_ranges.content, job(one, content, those_ranges))
        assert without_seconds(measured(*given)) == outcome
        for count in (1, 2, 3, 5, 6, 9):  # chunks: 256, 256, 88, 40, 256, 44
            slices = [measured_slice(*given, index, count) for index in range(count)]
            assert without_seconds(assembled(*given, slices)) == outcome
    assert len(remote._STUDIES) == 1
    assert outcome.metrics["overflow_count"] > 0


def test_ranges_are_those_that_were_sent(tmp_path: Path) -> None:
    """Not those that the samples would give: they may have been taken from others."""
    first = study(tmp_path)
    other = Study(first.graph, first.data, calibration=Data.random(first.graph, 20, 3), histograms=True)
    (one,) = asked(first, format="q2.4", normalize="affine")
    content = packed_study(first)
    digests = []
    for each in (first, other, first):
        ranges = packed_ranges(each.ranges(one.made()))
        given = (content.content, ranges.content, job(one, content, ranges))
        whole = without_seconds(measured(*given))
        assert whole == without_seconds(measure(each, one))
        assert whole == without_seconds(assembled(*given, [measured_slice(*given, i, 2) for i in range(2)]))
        digests.append(whole.metrics["plan_digest"])
    assert digests[0] == digests[2] != digests[1]


def test_errors_come_back_as_they_are(tmp_path: Path) -> None:
    first = study(tmp_path)
    plain, transformed = asked(first, format="q2.4", normalize="none", input_transform="default;x=log")
    ranges = packed_ranges(first.ranges(plain.made()))
    # Labels that no output can have: wrong for every configuration, but for one whose normalization of inputs may be to blame.
    assert first.data.labels is not None
    first.data = replace(first.data, labels=first.data.labels + 7)
    content = packed_study(first)
    for one in (plain, transformed):
        given = (content.content, ranges.content, job(one, content, ranges))
        slices = [measured_slice(*given, index, 3) for index in range(3)]
        for found in (measured(*given), assembled(*given, slices)):
            if one is plain:
                with pytest.raises(DataError, match="labels: must lie in") as error:
                    measure(first, one)
                assert found == Failure(str(error.value), True)
            else:
                assert without_seconds(found).reason is not None
                assert without_seconds(found).status == "refused"


def test_plans_that_cannot_be_are_refused_likewise(tmp_path: Path) -> None:
    first = study(tmp_path, (30,))
    _, one = asked(first, format="q2.4,q-900.908", normalize="none")
    ranges = packed_ranges(first.ranges(one.made()))
    content = packed_study(first)
    given = (content.content, ranges.content, job(one, content, ranges))
    wanted = without_seconds(measure(first, one))
    assert "an accumulator of" in str(wanted.reason)
    assert without_seconds(measured(*given)) == wanted
    slices = [measured_slice(*given, index, 2) for index in range(2)]
    assert without_seconds(assembled(*given, slices)) == wanted


def test_a_worker_keeps_a_few_studies(tmp_path: Path) -> None:
    digests = []
    for number in range(3):
        folder = tmp_path / str(number)
        folder.mkdir()
        first = study(folder, (10 + number,))
        (one,) = asked(first, format="q2.4", normalize="none")
        content, ranges = packed_study(first), packed_ranges(first.ranges(one.made()))
        digests.append(content.digest)
        given = (content.content, ranges.content, job(one, content, ranges))
        assert without_seconds(measured(*given)) == without_seconds(measure(first, one))
        kept = remote._STUDIES[content.digest]
        measured(*given)
        assert remote._STUDIES[content.digest] is kept
    assert list(remote._STUDIES) == digests[-remote.STUDIES :]
