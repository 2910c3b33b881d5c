"""A study shares what plans have in common, and nothing that comes out depends on that."""

from __future__ import annotations

import hashlib
import pickle
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from commandline import run

import fxnorm as fx
from fxnorm import evaluation, expected, study
from fxnorm.data import Data
from fxnorm.errors import DataError, UnsupportedError, UsageError
from fxnorm.expected import Chunk, Expected, Room
from fxnorm.graph.graph import Graph
from fxnorm.kernels.linear import Linear
from fxnorm.output_digest import OutputDigest
from fxnorm.planning.options import Options
from fxnorm.report.record import run_record
from fxnorm.study import Study, data_in_memory

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
MODEL, DATA = EXAMPLES / "digits_conv.onnx", EXAMPLES / "digits_conv_test.npz"
CHOICES = (
    {"format": "q5.3"},
    {"format": "q4.4"},
    {"format": "q5.3", "normalize": "affine"},
    {"format": "q5.3", "normalize": "none", "accumulator": "q9.6:trn,sat"},
    {"format": "q5.3", "batchnorm": "rescale"},
    {"format": "q2.4", "calibration": "mse"},
    {"format": "q5.3", "input_transform": "sqrt"},
)


@pytest.fixture(scope="module")
def graph() -> Graph:
    return fx.load(MODEL)


def measured(graph: Graph, of: Study, options: Options) -> dict[str, object]:
    found = run_record(of.evaluate(of.plan(options), workers=1), of.data)
    return {key: value for key, value in found.items() if key != "seconds"}


def small(graph: Graph, count: int = 60) -> Data:
    with np.load(DATA) as arrays:
        return data_in_memory(graph, {name: arrays[name][:count] for name in arrays.files})


@pytest.mark.parametrize("room", [0, 300_000, 1 << 30])
def test_a_shared_study_gives_what_studies_of_their_own_give(
    graph: Graph, room: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "fxnorm.simulation.CHUNK_SAMPLES", 16
    )  # several chunks, so that the room ends between two of them
    data = small(graph)
    shared = Study(graph, data, histograms=True)
    shared._room.left = room
    for chosen in CHOICES:
        options = Options.make(**chosen)
        assert measured(graph, shared, options) == measured(graph, Study(graph, data, keep=False), options)


def test_threads_may_share_a_study(graph: Graph, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fxnorm.simulation.CHUNK_SAMPLES", 16)
    data = small(graph)
    options = [Options.make(**chosen) for chosen in CHOICES * 2]
    alone = [measured(graph, Study(graph, data), one) for one in options]
    shared = Study(graph, data, histograms=True)
    start = threading.Barrier(4)

    def work(one: Options) -> dict[str, object]:
        if one in options[:4]:
            start.wait(timeout=30)
        return measured(graph, shared, one)

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(work, options[:7])) == alone[:7]


def test_shared_work_is_done_once(graph: Graph, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []

    def counted(module: object, name: str) -> None:
        original = getattr(module, name)

        def call(*given: object, **named: object) -> object:
            calls.append(name)
            return original(*given, **named)

        monkeypatch.setattr(module, name, call)

    counted(study, "lowered")
    counted(study, "calibrate")
    counted(expected.Expected, "_computed")
    shared = Study(graph, small(graph), histograms=True)
    for format_ in ("q5.3", "q4.4", "q3.5", "q6.6"):
        for calibration in ("minmax", "percentile:99"):
            shared.evaluate(shared.plan(Options.make(format_, calibration=calibration)))
    assert calls.count("lowered") == calls.count("calibrate") == 1
    assert calls.count("_computed") == 1  # all samples are one chunk


def test_weights_are_quantized_once_for_a_step(graph: Graph) -> None:
    shared = Study(graph, small(graph))

    def weights(**chosen: str) -> list[np.ndarray]:
        plan = shared.plan(Options.make(**chosen))
        return [layer.kernel.weights for layer in plan.layers if isinstance(layer.kernel, Linear)]

    first = weights(format="q5.3")
    assert len(first) >= 3
    for other in (weights(format="q5.3", accumulator="q9.6"), weights(format="q3.5"), weights(format="q5.3:trn,wrap")):
        assert all(a is b for a, b in zip(first, other, strict=True))
    for different in (weights(format="q5.4"), weights(format="q5.3", normalize="none")):
        assert not any(a is b for a, b in zip(first, different, strict=True))


def test_few_codes_of_weights_are_kept(graph: Graph) -> None:
    shared = Study(graph, small(graph))
    for width in range(4, 14):
        shared.plan(Options.make(f"q2.{width - 2}"))
    network = shared.network(Options.make("q5.3"))
    kept = [len(step.operation.quantized.found) for step in network.steps if hasattr(step.operation, "quantized")]
    assert kept
    assert set(kept) == {4}


def test_room_is_shared_and_kept_to(graph: Graph, monkeypatch: pytest.MonkeyPatch) -> None:
    data = small(graph)
    computed: list[int] = []
    original = Expected._computed

    def compute(self: Expected, number: int, first: int, samples: dict[str, np.ndarray]) -> Chunk:
        computed.append(number)
        return original(self, number, first, samples)

    monkeypatch.setattr(Expected, "_computed", compute)
    room = Room(1)
    chunks = Expected(graph, data, graph.outputs, 20, dict, room=room)
    first, second = list(chunks), list(chunks)
    assert computed == [0, 1, 2, 1, 2]  # the first chunk takes the room, and is kept
    assert room.left < 0
    assert [(chunk.number, chunk.first, chunk.count) for chunk in second] == [(0, 0, 20), (1, 20, 20), (2, 40, 20)]
    for a, b in zip(first, second, strict=True):
        assert all(np.array_equal(a.samples[name], b.samples[name]) for name in a.samples)
        assert all(np.array_equal(a.expected[name], b.expected[name]) for name in a.expected)


def test_parts_add_up_to_the_whole(graph: Graph, monkeypatch: pytest.MonkeyPatch) -> None:
    """To the last bit, whoever computed them: pickled, as another process would send them."""
    monkeypatch.setattr("fxnorm.simulation.CHUNK_SAMPLES", 16)
    data = small(graph, 75)
    for chosen in CHOICES:
        options = Options.make(**chosen)
        whole = Study(graph, data)
        plan = whole.plan(options)
        assert whole.chunks(plan) == 5
        elsewhere = Study(graph, data, keep=False)
        there = {number: pickle.dumps(part) for number, part in zip((1, 3), elsewhere.parts(plan, {1, 3}), strict=True)}
        here = dict(zip((0, 2, 4), whole.parts(plan, [4, 0, 2]), strict=True))
        parts = [here[number] if number in here else pickle.loads(there[number]) for number in range(5)]
        found = run_record(whole.combined(plan, parts), data)
        wanted = run_record(whole.evaluate(plan), data)
        assert {**found, "seconds": None} == {**wanted, "seconds": None}


def test_answers_are_counted_over_all_chunks(graph: Graph, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fxnorm.simulation.CHUNK_SAMPLES", 16)
    data = small(graph, 75)
    shared = Study(graph, data)
    plan = shared.plan(Options.make("q3.1"))
    with np.load(DATA) as arrays:
        image, labels = arrays["image"][:75], arrays["labels"][:75]
    fixed = fx.simulate(plan, image)["logits"].values.argmax(axis=1)
    fp32 = fx.reference(graph, image)["logits"].argmax(axis=1)
    found = shared.evaluate(plan)
    assert found.accuracy == {"fp32": np.mean(fp32 == labels), "fixed": np.mean(fixed == labels)}
    assert 0.5 < found.accuracy["fixed"] < found.accuracy["fp32"]


def test_outputs_have_the_digest_that_their_codes_have(tmp_path: Path) -> None:
    done = run("simulate", MODEL, "--data", DATA, "--format", "q5.3", "--outputs", tmp_path / "o.npz", "--json", "-")
    assert done.code == 0
    with np.load(tmp_path / "o.npz") as arrays:
        for name, output in done.json["outputs"].items():
            codes = arrays[f"{name}.codes"]
            samples = b"".join(hashlib.sha256(row.astype("<i8").tobytes()).digest() for row in codes)
            assert output["codes_sha256"] == hashlib.sha256(samples).hexdigest()


def test_digests_of_parts_are_put_together() -> None:
    codes = np.random.default_rng(3).integers(-8, 8, (9, 2, 3))
    whole, first, second = OutputDigest(), OutputDigest(), OutputDigest()
    whole.add({"y": codes, "z": codes[:, 0]})
    first.add({"y": codes[:4], "z": codes[:4, 0]})
    second.add({"y": codes[4:].astype(np.int8), "z": codes[4:, 0]})
    first.merge(second)
    assert first.whole == whole.whole
    assert [first.of("y"), first.of("z")] == [whole.of("y"), whole.of("z")]
    changed = OutputDigest()
    codes[5, 1, 2] += 1
    changed.add({"y": codes, "z": codes[:, 0]})
    assert changed.of("y") != whole.of("y")
    assert changed.of("z") == whole.of("z")
    turned = OutputDigest()
    turned.add({"z": codes[:, 0]})
    turned.add({"y": codes})
    assert turned.whole == changed.whole
    assert changed.whole != whole.whole


def test_what_no_plan_can_have_is_refused_before_anything_runs(graph: Graph, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluation, "observe", None)
    shared = Study(graph, small(graph))
    with pytest.raises(UsageError, match="matches no layer"):
        shared.check(Options.make("q5.3", layers=["nothing:format=q4.4"]))
    with pytest.raises(UsageError, match="no floating-point input"):
        shared.check(Options.make("q5.3", input_transform="nothing=log"))
    shared.check(Options.make("q5.3"))


def test_data_in_memory_is_checked_as_files_are(graph: Graph) -> None:
    with np.load(DATA) as arrays:
        given = dict(arrays)
    data = data_in_memory(graph, given)
    opened = Data.open(DATA, graph)
    assert data.samples == opened.samples
    assert np.array_equal(data.labels, opened.labels)
    assert (
        data.sha256
        != data_in_memory(
            graph, {**given, "labels": given["labels"]} | {graph.inputs[0]: given[graph.inputs[0]] + 1}
        ).sha256
    )
    with pytest.raises(DataError, match="labels"):
        data_in_memory(graph, {**given, "labels": given["labels"][:-1]})
    with pytest.raises(DataError, match="finite"):
        data_in_memory(graph, np.full((2, *graph.shape(graph.inputs[0])[1:]), np.nan, np.float32))


def test_an_unsupported_network_is_refused_each_time(tmp_path: Path) -> None:
    from onnx import helper
    from small_models import floats, model, save

    path = save(
        model([helper.make_node("Det", ["x"], ["y"], name="det")], [floats("x", [1, 2, 2])], [floats("y", [1])]),
        tmp_path / "det.onnx",
    )
    graph = fx.load(path)
    shared = Study(graph, data_in_memory(graph, np.zeros((3, 2, 2), np.float32)))
    for _ in range(2):
        with pytest.raises(UnsupportedError):
            shared.plan(Options.make("q5.3"))
