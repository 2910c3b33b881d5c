"""Results from a run's folder and from a file, whole and damaged."""

from __future__ import annotations

import copy
import json
import math
import sqlite3

import numpy as np
import pytest
from commandline import run
from hypothesis import given, settings
from hypothesis import strategies as st
from page_results import DATA, MODEL, swept

import fxnorm as fx
from fxnorm.errors import DataError, FxnormError
from fxnorm.gate.limits import Limits
from fxnorm.page.limits import criterion
from fxnorm.page.markdown import markdown
from fxnorm.page.payload import payload
from fxnorm.page.plain import Entry
from fxnorm.page.reading import read
from fxnorm.page.records import outputs_digest, read_record
from fxnorm.page.summary import summarize
from fxnorm.sweeping import tables
from fxnorm.sweeping.measure import overflows


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return swept(tmp_path_factory.mktemp("reading"), "--width", "4,8", "--accumulator", "default,q8.4:trn,wrap")


@pytest.fixture(scope="module")
def record(tmp_path_factory):
    place = tmp_path_factory.mktemp("record") / "run.json"
    done = run(
        "simulate",
        MODEL,
        "--data",
        DATA,
        "--format",
        "q3.2",
        "--accumulator",
        "q6.4:wrap",
        "--min-sqnr",
        "99",
        "--json",
        place,
    )
    assert done.code == 1
    return place


def test_rows_are_those_of_the_folder(folder):
    found, stored = read(str(folder)), tables.read(folder)
    assert (found.kind, found.waiting, len(found.rows)) == ("sweep", 0, 4)
    for own, kept in zip(found.rows, stored.rows, strict=True):
        one = kept.configuration
        assert (own.number, own.name, own.format, own.normalize) == (one.number, one.name, one.format, one.normalize)
        assert (own.width, own.integer_bits, own.fraction_bits) == (one.width, one.integer_bits, one.fraction_bits)
        assert own.command == one.command
        for metric, value in kept.metrics.items():
            assert getattr(own, metric) == value, metric
        assert [layer.key for layer in own.layers] == [layer["output"] for layer in kept.record["layers"]]
        for layer, plain in zip(own.layers, kept.record["layers"], strict=True):
            exact = plain["sqnr_db"] is None and plain["max_abs_error"] == 0.0
            assert layer.sqnr_db == (math.inf if exact else plain["sqnr_db"])
            assert (layer.overflow_count, layer.bits_used) == (plain["overflow_count"], plain["bits_used"])
            assert list(layer.histogram) == plain["histogram"]
            assert [proof.needed for proof in layer.proofs] == [
                (one["by_format"], one["by_interval"], one["in_order"]) for one in plain["proofs"]
            ]
    assert found.series == ("pow2", "pow2, accumulator q8.4:trn,wrap")
    assert [row.varied["accumulator"] for row in found.rows][:2] == ["default", "q8.4:trn,wrap"]
    assert found.source.model_sha256 == stored.run["model"]["sha256"]
    assert found.source.words == tuple(stored.run["command"])


def test_a_single_run_is_that_of_its_file(record):
    found, plain = read(str(record)), json.loads(record.read_text())
    (row,) = found.rows
    assert found.kind == "run"
    assert (row.accuracy, row.accuracy_fp32) == (plain["accuracy"]["fixed"], plain["accuracy"]["fp32"])
    assert row.sqnr_db == min(output["sqnr_db"] for output in plain["outputs"].values())
    assert (row.overflow_count, row.overflow_fraction) == overflows(plain)
    assert [check.passed for check in found.checks] == [False]
    assert "99 dB" in found.checks[0].text


def test_the_digest_of_a_single_runs_outputs_is_a_sweeps(folder, record):
    plain = json.loads(record.read_text())
    row = next(row for row in tables.read(folder).rows if row.configuration.varied["accumulator"] is None)
    assert outputs_digest(Entry(row.record["outputs"], "outputs")) == row.metrics["outputs_digest"]
    assert outputs_digest(Entry(plain["outputs"], "outputs")) == read(str(record)).rows[0].outputs_digest != ""
    del plain["outputs"]["logits"]["codes_sha256"]
    assert outputs_digest(Entry(plain["outputs"], "outputs")) == ""


def paths(thing, path=()):
    """Places of everything in a JSON document."""
    yield path
    if isinstance(thing, dict):
        for key, value in thing.items():
            yield from paths(value, (*path, key))
    elif isinstance(thing, list):
        for index, value in enumerate(thing[:3]):
            yield from paths(value, (*path, index))


def replaced(document, path, value):
    changed = copy.deepcopy(document)
    if not path:
        return value
    place = changed
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    return changed


STRANGE = st.sampled_from(
    [
        None,
        True,
        -1,
        0,
        1.5,
        1e308,
        10**400,
        "",
        "x",
        "\x00\ud800",
        "q5.3",
        [],
        [1],
        [{}],
        {},
        {"a": 1},
        {"": None},
        "q999999.1",
    ]
)


@settings(max_examples=400)
@given(value=STRANGE, choice=st.data())
def test_a_damaged_file_is_refused_or_shown_but_never_a_crash(record, value, choice):
    document = json.loads(record.read_text())
    path = choice.draw(st.sampled_from(list(paths(document))))
    changed = replaced(document, path, value)
    try:
        found = read_record(Entry.parse(json.dumps(changed), "run.json"))
    except DataError as refused:
        message = str(refused)
    else:
        message = ""
    if message:
        assert message.startswith("run.json")
        return
    limits = criterion(found, Limits())
    json.dumps(payload(found, limits, summarize(found, limits), 10**6).content, allow_nan=False)
    text = markdown(found, limits)
    assert text.isprintable() or all(c.isprintable() or c in "\n\u00a0" for c in text)


@pytest.mark.parametrize(
    ("table", "column", "value", "said"),
    [
        ("result", "record", "{", "cannot be read"),
        ("result", "record", '{"layers": 3}', "'layers' must be a list, not 3"),
        ("result", "record", '{"layers": [{"format": "q0.0"}]}', "format"),
        ("result", "cost", '{"area": "much"}', "'area' must be a number, not a string"),
        ("result", "versions", "[1]", "versions"),
        ("result", "accuracy", "much", "'accuracy' must be a number, not a string"),
        ("configuration", "width", "wide", "'width' must be a whole number, not a string"),
        ("configuration", "varied", "[", "cannot be read"),
        ("run", "value", "{", "cannot be read"),
    ],
)
def test_a_damaged_folder_is_refused(folder, tmp_path, table, column, value, said):
    copied = tmp_path / "run"
    copied.mkdir()
    (copied / tables.DATABASE).write_bytes((folder / tables.DATABASE).read_bytes())
    database = sqlite3.connect(copied / tables.DATABASE)
    with database:
        database.execute(f"UPDATE {table} SET {column} = ?", (value,))
    database.close()
    with pytest.raises(FxnormError) as caught:
        read(str(copied))
    assert said in str(caught.value)
    assert str(caught.value).startswith(str(copied))


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("none.json", None, "cannot be read: No such file or directory"),
        ("text.json", b"{", "must be JSON"),
        ("bytes.json", b"\xff\xfe", "it is no UTF-8 text"),
        ("list.json", b"[]", "must be an object, not a list"),
        ("deep.json", b"[" * 100_000, "must be JSON"),
        ("other.json", b'{"layers": []}', "must be what `simulate --json` writes"),
        (
            "infinite.json",
            b'{"plan": {"format": "q5.3"}, "layers": [], "outputs": {"y": {"sqnr_db": Infinity}}}',
            "'sqnr_db' must be a finite number",
        ),
    ],
)
def test_what_is_no_result_is_refused(tmp_path, name, content, said):
    place = tmp_path / name
    if content is not None:
        place.write_bytes(content)
    with pytest.raises(DataError) as caught:
        read(str(place))
    assert said in str(caught.value)


def test_a_folder_without_a_run_is_refused(tmp_path):
    with pytest.raises(FxnormError, match="no run folder"):
        read(str(tmp_path))


def test_a_folder_knows_how_the_real_numbers_lie(folder):
    found = read(str(folder))
    graph = fx.load(MODEL)
    with np.load(DATA) as stored:
        samples = {name: stored[name][:256] for name in graph.inputs}
    values = fx.reference(graph, samples)
    for name, array in values.items():
        known = found.distributions[graph.outputs[list(values).index(name)]]
        # The last bits of FP32 depend on how many samples are run together.
        assert (known.low, known.high) == pytest.approx((float(array.min()), float(array.max())), rel=1e-5)
        assert sum(known.counts) == array.size
    assert set(found.distributions) == set(found.keys)


def test_distributions_must_be_whole(folder, tmp_path):
    copied = tmp_path / "run"
    copied.mkdir()
    (copied / tables.DATABASE).write_bytes((folder / tables.DATABASE).read_bytes())
    for stored, accepted in (
        ({"values": {"logits": {"low": -1.0, "high": 2.0, "counts": [1, 2]}}}, True),
        ({"values": {"logits": {"low": 3.0, "high": 2.0, "counts": [1, 2]}}}, False),
        ({"values": {"logits": {"low": 1.0, "high": 2.0, "counts": [-1]}}}, False),
        ({"values": {"logits": {"low": 1.0, "counts": [1]}}}, False),
        ({"values": {"logits": {"low": 1.0, "high": 2.0, "counts": [1] * 97}}}, False),
    ):
        database = sqlite3.connect(copied / tables.DATABASE)
        with database:
            database.execute("INSERT OR REPLACE INTO run VALUES ('reference', ?)", (json.dumps(stored),))
        database.close()
        if accepted:
            assert read(str(copied)).distributions["logits"].counts == (1, 2)
        else:
            with pytest.raises(DataError, match="make the file again"):
                read(str(copied))
