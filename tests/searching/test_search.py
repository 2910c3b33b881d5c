"""A search finds plans that are cheaper than any single width, the same ones with the same seed, and goes on where it was cut off."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from commandline import run

import fxnorm as fx
from fxnorm.errors import UsageError
from fxnorm.searching.allocation import Point, allocations
from fxnorm.searching.front import beats, pareto_front
from fxnorm.searching.search import Found
from fxnorm.searching.space import Group, Space
from fxnorm.sweeping.executor import LocalExecutor
from fxnorm.sweeping.tables import read

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
MODEL, DATA = EXAMPLES / "digits_conv.onnx", EXAMPLES / "digits_conv_test.npz"
DENSE, DENSE_DATA = EXAMPLES / "digits_dense.onnx", EXAMPLES / "digits_dense_test.npz"


def few(folder: Path, count: int = 60) -> Path:
    """Some of the digits: enough to tell plans apart, and quick."""
    with np.load(DENSE_DATA) as arrays:
        path = folder / "few.npz"
        np.savez(path, **{name: arrays[name][:count] for name in arrays.files})
    return path


def digests(found: Found) -> list[tuple[str, float, str]]:
    return [
        (trial.configuration.name, trial.cost["full_adders"], trial.metrics["outputs_digest"]) for trial in found.front
    ]


@pytest.mark.slow
def test_the_convolutional_example_gets_cheaper_than_the_best_single_width(tmp_path: Path) -> None:
    once = fx.search(MODEL, DATA, tmp_path / "once", width="3:9", max_drop=0.01, trials=24, seed=7)
    assert once.best is not None
    assert once.uniform is not None
    assert once.best.cost["full_adders"] < once.uniform.cost["full_adders"]
    assert once.best.metrics["accuracy"] >= once.uniform.metrics["accuracy"]
    again = fx.search(MODEL, DATA, tmp_path / "again", width="3:9", max_drop=0.01, trials=24, seed=7, workers=1)
    assert digests(again) == digests(once)
    assert [trial.configuration.id for trial in again.trials] == [trial.configuration.id for trial in once.trials]


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="needs g++")
def test_a_point_of_the_front_is_a_design(tmp_path: Path) -> None:
    data = few(tmp_path, 20)
    found = fx.search(DENSE, data, tmp_path / "run", width="3:6", min_agreement=0.9, trials=2)
    assert found.best is not None
    front = json.loads((tmp_path / "run" / "front.json").read_text())["front"]
    (plan,) = [entry["plan"] for entry in front if entry["plan_digest"] == found.best.metrics["plan_digest"]]
    emitted = run("emit", plan, "--data", data, "-o", tmp_path / "project")
    assert emitted.code == 0, emitted.err
    compared = run("cosim", tmp_path / "project", "--target", "vitis")
    assert compared.code == 0, compared.err
    assert "vitis: PASS: 20 frames, 0 codes differ" in compared.out


def test_the_front_is_written_as_plans_that_give_what_was_measured(tmp_path: Path) -> None:
    data = few(tmp_path)
    found = fx.search(DENSE, data, tmp_path / "run", width="3:6", min_agreement=0.9, trials=4)
    record = json.loads((tmp_path / "run" / "front.json").read_text())
    assert len(record["front"]) == len(found.front) >= 2
    for entry, trial in zip(record["front"], found.front, strict=True):
        result = run("simulate", entry["plan"], "--data", data, "--json", "-").json
        assert result["plan"]["digest"] == trial.metrics["plan_digest"] == entry["plan_digest"]
        assert result["accuracy"]["fixed"] == trial.metrics["accuracy"]
    for one, other in zip(found.front, found.front[1:], strict=False):
        assert one.cost["full_adders"] < other.cost["full_adders"]
        assert one.quality < other.quality


class Interrupted(Exception):
    pass


def test_an_interrupted_search_comes_to_the_same_end_and_repeats_nothing(tmp_path: Path) -> None:
    from fxnorm.gate.limits import Limits
    from fxnorm.searching.search import Request, search
    from fxnorm.sweeping.interface import open_model, open_samples
    from fxnorm.sweeping.sweep import Source

    graph, words = open_model(DENSE)
    samples, path = open_samples(graph, str(few(tmp_path, 20)))
    source = Source(graph, samples, None, words=(*(words or ()), "--data", str(path)))
    request = Request((3, 5), Limits(min_agreement=0.9), trials=4, seed=3, narrower=(0, 1))
    whole, _ = search(source, request, tmp_path / "whole", workers=1)
    counted = 0

    class Stopping(LocalExecutor):
        def run(self, configurations, begin):  # type: ignore[no-untyped-def]
            nonlocal counted
            for pair in super().run(configurations, begin):
                counted += 1
                if counted % 5 == 0:
                    raise Interrupted
                yield pair

    for _ in range(100):
        try:
            found, _ = search(source, request, tmp_path / "cut", executor=lambda study: Stopping(study, 1))
            break
        except Interrupted:
            continue
    assert counted > 10
    assert digests(found) == digests(whole)
    ids = [row.configuration.id for row in read(tmp_path / "cut").rows]
    assert sorted(ids) == sorted(row.configuration.id for row in read(tmp_path / "whole").rows)
    assert len(set(ids)) == len(ids)
    again, _ = search(source, request, tmp_path / "cut", executor=lambda study: Refusing(study, 1))
    assert digests(again) == digests(whole)


class Refusing(LocalExecutor):
    """Nothing is left to do."""

    def run(self, configurations, begin):  # type: ignore[no-untyped-def]
        assert not list(configurations)
        return super().run(configurations, begin)


def test_narrower_accumulators_saturate_and_are_measured(tmp_path: Path) -> None:
    found = fx.search(
        DENSE,
        few(tmp_path),
        tmp_path / "run",
        width="5:6",
        narrower="0:4",
        min_agreement=0.9,
        trials=6,
        cost=["full_adders"],
    )
    assert found.best is not None
    assert any(value for name, value in found.best.choice.items() if name.startswith("narrower"))
    assert ":accumulator=" in found.best.configuration.command


def test_machines_share_a_database(tmp_path: Path) -> None:
    data, url = few(tmp_path), f"sqlite:///{tmp_path / 'shared.sqlite'}"
    first = fx.search(DENSE, data, tmp_path / "first", width="3:6", min_agreement=0.9, trials=6, storage=url)
    second = fx.search(DENSE, data, tmp_path / "second", width="3:6", min_agreement=0.9, trials=6, storage=url)
    # The second has no proposals left to make, and knows the first one's.
    names = {trial.configuration.name for trial in second.trials}
    assert {t.configuration.id for t in first.front} == {t.configuration.id for t in second.front}
    assert sum(name.startswith("proposal") for name in names) <= len(second.front)
    with pytest.raises(UsageError, match="another space"):
        fx.search(DENSE, data, tmp_path / "third", width="3:7", min_agreement=0.9, trials=6, storage=url)
    with pytest.raises(UsageError, match="--storage: cannot be used"):
        fx.search(DENSE, data, tmp_path / "fourth", width="3:6", min_agreement=0.9, storage="no such thing")


def test_the_command_line(tmp_path: Path) -> None:
    data = few(tmp_path)
    words = ["search", DENSE, "--data", data, "--width", "4:6", "--trials", "2"]
    ran = run(*words, "--min-agreement", "0.9", "-o", tmp_path / "run")
    assert ran.code == 0, ran.err
    assert "cheapest plan that meets the gate" in ran.out
    ran = run(*words, "--min-sqnr", "200", "-o", tmp_path / "never", "--json", "-")
    assert ran.code == 1
    assert ran.json["best"] is None
    assert ran.json["verdict"].startswith("no plan meets the gate")
    for wrong, told in (
        ((), "needs a gate"),
        (("--max-drop", "0.01", "--cost", "beauty"), "--cost: must be one of"),
        (("--max-drop", "0.01", "--narrower", "1:3"), "0 among them"),
        (("--max-drop", "0.01", "--width", "40"), "--width: must be widths from 1 to 32"),
    ):
        ran = run(*words, *wrong, "-o", tmp_path / "wrong")
        assert ran.code == 2
        assert told in ran.message
    ran = run("search", DENSE, "--max-drop", "0.01", "-o", tmp_path / "x")
    assert ran.code == 2
    assert "needs --data" in ran.message


def test_a_front_holds_what_nothing_beats() -> None:
    rng = np.random.default_rng(5)
    points = [(place, tuple(float(n) for n in rng.integers(0, 6, 3))) for place in range(200)]
    front = pareto_front(points)
    numbers = dict(points)
    for place, own in points:
        beaten = any(beats(other, own) for _, other in points)
        first = min(p for p, other in points if other == own)
        assert (place in front) == (not beaten and place == first)
    assert [numbers[place] for place in front] == sorted(numbers[place] for place in front)


def test_bits_go_where_they_buy_the_most() -> None:
    loud, quiet = Group("loud", ("loud",)), Group("quiet", ("quiet",))
    space = Space((loud, quiet), (4, 6, 8), 4, ("pow2",))
    noise = {
        loud: {4: Point(1.0, 80.0), 6: Point(0.06, 90.0), 8: Point(0.004, 100.0)},
        quiet: {4: Point(1e-4, 80.0), 6: Point(6e-6, 90.0), 8: Point(4e-7, 100.0)},
    }
    found = [(int(choice["width:loud"]), int(choice["width:quiet"])) for choice in allocations(space, noise, "pow2")]
    assert found[0] == (4, 4)
    assert found[-1] == (8, 8)
    assert all(a >= b for a, b in found)
    assert (8, 4) in found
