"""Sweeps: their rows are what `simulate` gives, and nothing is computed twice."""

from __future__ import annotations

import csv
import fcntl
import io
import json
import os
import pty
import re
import shlex
import sqlite3
import struct
import subprocess
import termios
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commandline import command, read_json, run
from small_models import dense, samples, save
from small_sweep import Breaking, Counting, Small

import fxnorm as fx
from fxnorm.errors import DataError, PlanError, RunError, UnsupportedError, UsageError
from fxnorm.fixed.format import Format
from fxnorm.output_digest import OutputDigest
from fxnorm.sweeping.results import results_csv, results_record
from fxnorm.sweeping.tables import Run, read

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


@pytest.fixture
def small(tmp_path: Path) -> Small:
    return Small.make(tmp_path)


def reproduced(command: str, *more: object) -> dict[str, Any]:
    words = shlex.split(command)
    assert words[:2] == ["fxnorm", "simulate"]
    done = run(*words[1:], "--json", "-", *more)
    assert done.code == 0, done.err
    found: dict[str, Any] = done.json
    del found["seconds"]
    return found


@pytest.mark.parametrize("name", ["digits_dense", pytest.param("digits_conv", marks=pytest.mark.slow)])
def test_rows_are_what_simulate_gives(tmp_path: Path, name: str) -> None:
    found = fx.sweep(
        EXAMPLES / f"{name}.onnx",
        EXAMPLES / f"{name}_test.npz",
        tmp_path / "run",
        width="4,8",
        normalize="none,affine",
        accumulator="default,q9.6:trn,sat",
        layers=["*Gemm*:calibration=default,mse"] if name == "digits_conv" else [],
    )
    assert len(found.rows) == (16 if name == "digits_conv" else 8)
    for row in found.rows:
        archive = tmp_path / "outputs.npz"
        alone = reproduced(row.configuration.command, "--outputs", archive)
        assert row.record == alone
        assert row.metrics["plan_digest"] == alone["plan"]["digest"]
        with np.load(archive) as arrays:
            digest = OutputDigest()
            digest.add({name.removesuffix(".codes"): arrays[name] for name in arrays.files if ".codes" in name})
        assert row.metrics["outputs_digest"] == digest.whole


def test_a_row_says_what_its_record_says(small: Small) -> None:
    found = small.sweep(accumulator="default,q1.3:trn,sat")
    assert any(row.metrics["overflow_count"] for row in found.rows)
    for row in found.rows:
        assert row.record is not None
        output = row.record["outputs"]["y"]
        assert row.metrics["sqnr_db"] == output["sqnr_db"]
        assert row.metrics["max_abs_error"] == output["max_abs_error"]
        assert row.metrics["agreement"] == output["argmax_agreement"]
        assert row.record["accuracy"] == {"fp32": row.metrics["accuracy_fp32"], "fixed": row.metrics["accuracy"]}
        assert row.metrics["accuracy_fp32"] == 0.9
        assert row.metrics["samples"] == 40
        layers = row.record["layers"]
        counts = [layer["overflow_count"] for layer in layers]
        counts += [layer["accumulator"]["overflow_count"] for layer in layers if "accumulator" in layer]
        assert row.metrics["overflow_count"] == sum(counts)
        shares = [layer["overflow_fraction"] for layer in layers]
        shares += [layer["accumulator"]["overflow_fraction"] for layer in layers if "accumulator" in layer]
        assert row.metrics["overflow_fraction"] == max(shares)
        one = row.configuration
        format_ = Format.parse(one.format)
        assert (one.width, one.integer_bits, one.fraction_bits) == (
            format_.width,
            format_.integer_bits,
            format_.fraction_bits,
        )
        assert row.seconds["total"] >= row.seconds["simulate"] > 0.0
        assert set(row.versions) == {"python", "fxnorm", "numpy", "onnxruntime"}


def test_the_second_time_nothing_is_computed(small: Small) -> None:
    first: list[str] = []
    before = small.sweep(lambda study: Counting(study, first))
    assert len(first) == len(before.rows) == 10
    files = {name: (small.folder / name).read_bytes() for name in ("results.json", "results.csv", "results.sqlite")}
    again: list[str] = []
    after = small.sweep(lambda study: Counting(study, again))
    assert again == []
    assert after == before
    assert files == {name: (small.folder / name).read_bytes() for name in files}


@pytest.mark.parametrize("error", [KeyboardInterrupt(), RuntimeError("boom"), MemoryError()])
def test_after_an_interrupt_the_rest_is_computed_and_no_more(small: Small, error: BaseException) -> None:
    with pytest.raises(type(error)):
        small.sweep(lambda study: Breaking(study, 3, error))
    half = read(small.folder)
    assert (len(half.rows), len(half.configurations)) == (3, 10)
    record = read_json((small.folder / "results.json").read_text())
    assert (len(record["rows"]), record["configurations"]) == (3, 10)
    assert len((small.folder / "results.csv").read_text().splitlines()) == 4
    seen: list[str] = []
    whole = small.sweep(lambda study: Counting(study, seen))
    assert seen == [one.name for one in half.configurations[3:]]
    assert whole.rows[:3] == half.rows
    other = Small(small.model, small.data, small.folder.parent / "other").sweep()
    assert results_record(whole) == results_record(other)
    assert results_csv(whole) == results_csv(other)


def test_the_number_of_workers_changes_nothing(small: Small) -> None:
    found = []
    for workers in (1, 2, 5):
        folder = small.folder.parent / f"run{workers}"
        fx.sweep(small.model, small.data, folder, width="3:5", normalize="none,affine", workers=workers)
        found.append([(folder / name).read_bytes() for name in ("results.json", "results.csv")])
    assert found[0] == found[1] == found[2]


def test_few_configurations_share_the_cores(small: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    from fxnorm.sweeping import executor

    workers: list[int] = []
    original = executor.measure

    def measure(*given: Any, **named: Any) -> Any:
        workers.append(named["workers"])
        return original(*given, **named)

    monkeypatch.setattr(executor, "measure", measure)
    fx.sweep(small.model, small.data, small.folder, formats="q5.3", workers=6)
    fx.sweep(small.model, small.data, small.folder.parent / "two", formats="q5.3,q4.4", workers=6)
    assert workers == [6, 3, 3]


OTHER = {
    "a configuration more": ({"width": "4:9"}, "was asked for other configurations"),
    "another option": ({"width": "4:8", "rounding": "trn"}, "was asked for other configurations"),
    "other data": ({"width": "4:8", "data": "seed"}, "was made with other data"),
    "other data for calibration": ({"width": "4:8", "calibration_data": "seed"}, "other data for calibration"),
    "another model": ({"width": "4:8", "model": "weights"}, "was made for another model"),
    "other shapes": ({"width": "4:8", "model": "batch"}, "inputs of other shapes"),
}


@pytest.mark.parametrize("what", OTHER)
def test_a_folder_belongs_to_one_command(small: Small, what: str) -> None:
    fx.sweep(small.model, small.data, small.folder, width="4:8")
    before = (small.folder / "results.sqlite").read_bytes()
    given, words = OTHER[what]
    chosen: dict[str, Any] = {"model": small.model, "data": small.data, **given}
    if chosen.get("data") == "seed" or "calibration_data" in chosen:
        np.savez(small.folder.parent / "seed.npz", x=samples(40, seed=5))
        chosen.update({key: small.folder.parent / "seed.npz" for key in chosen if chosen[key] == "seed"})
    if chosen["model"] == "weights":
        chosen["model"] = save(dense(weights=np.ones((4, 3), np.float32)), small.folder.parent / "other.onnx")
    if chosen["model"] == "batch":
        chosen["model"] = fx.load(small.model, batch=2)
    with pytest.raises(RunError, match=words):
        fx.sweep(chosen.pop("model"), chosen.pop("data"), small.folder, **chosen)
    assert (small.folder / "results.sqlite").read_bytes() == before


def test_another_version_is_another_run(small: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    small.sweep()
    monkeypatch.setattr("fxnorm.sweeping.sweep.versions", lambda: {"fxnorm": "99.0"})
    with pytest.raises(RunError, match=r"was made by fxnorm \d"):
        small.sweep()


def test_a_run_without_a_result_gives_way(small: Small) -> None:
    with pytest.raises(KeyboardInterrupt):
        small.sweep(lambda study: Breaking(study, 0, KeyboardInterrupt()))
    assert len(read(small.folder).configurations) == 10
    found = small.sweep(format="q5.3,q4.4")
    assert [row.configuration.format for row in found.rows] == ["q5.3", "q5.3", "q4.4", "q4.4"]


def test_what_cannot_be_planned_is_a_row_with_its_reason(small: Small) -> None:
    found = small.sweep(format="q5.3,q-900.908", mean_format="default,q8.8", norm_algorithm="exact,two_pass")
    rows = {row.configuration.name: row for row in found.rows}
    assert len(rows) == 16
    refused = {name: row for name, row in rows.items() if row.status == "refused"}
    reasons = {row.reason for row in refused.values() if row.reason}
    assert any("an accumulator of" in reason for reason in reasons)
    assert any("the exact algorithm has no such stage" in reason for reason in reasons)
    assert {row.record for row in refused.values()} == {None}
    assert {row.status for row in rows.values()} == {"done", "refused"}
    chosen = ("--formats", "q5.3,q-900.908", "--normalize", "none,pow2", "-o", small.folder.parent / "cli")
    done = run("sweep", small.model, "--data", small.data, *chosen)
    assert done.code == 0
    assert "an accumulator of" in done.out
    assert done.err == ""


def test_data_that_one_transform_refuses_is_a_row_with_its_reason(small: Small) -> None:
    found = small.sweep(format="q5.3", normalize="pow2", input_transform="default;log")
    assert [row.status for row in found.rows] == ["done", "refused"]
    assert "log takes positive numbers" in (found.rows[1].reason or "")


def test_a_sweep_of_which_nothing_can_be_run_is_an_error(small: Small) -> None:
    with pytest.raises(PlanError, match=r"none of the 1 configurations can be run; q-900\.908: .*accumulator"):
        small.sweep(format="q-900.908", normalize="none")
    assert "accumulator" in (small.folder / "results.csv").read_text()


def test_wrong_labels_are_an_error_before_any_row(small: Small) -> None:
    np.savez(small.data, x=samples(40), labels=np.full(40, 7))
    with pytest.raises(DataError, match=r"labels: must lie in 0\.\.2"):
        small.sweep()
    assert read(small.folder).rows == ()
    np.savez(small.data, x=samples(40), labels=np.full(40, 2))
    assert len(small.sweep().rows) == 10  # the folder held no result of the other data


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (["--width", "4:8", "--layer", "nothing*:format=q4.4"], 2, "matches no layer"),
        (["--width", "4:8", "--normalize", "none,sometimes"], 2, "must be one of none, pow2, affine, not 'sometimes'"),
        (["--formats", "q5.3", "--integer-bits", "4"], 2, "--integer-bits goes with --width"),
        ([], 2, "--width or --formats must say"),
        (["--width", "8", "--samples", "4"], 2, "--samples and --seed go with random samples"),
        (["--width", "8", "--workers", "0"], 2, "--workers"),
    ],
)
def test_what_is_wrong_for_every_configuration(small: Small, options: list[str], code: int, words: str) -> None:
    done = run("sweep", small.model, "--data", small.data, *options, "-o", small.folder)
    assert done.code == code
    assert words in done.message
    assert not (small.folder / "results.csv").exists()


def test_an_unsupported_network_is_refused_at_once(tmp_path: Path) -> None:
    from onnx import helper
    from small_models import floats, model

    path = save(
        model([helper.make_node("Det", ["x"], ["y"], name="det")], [floats("x", [1, 2, 2])], [floats("y", [1])]),
        tmp_path / "det.onnx",
    )
    done = run("sweep", path, "--width", "4:8", "-o", tmp_path / "run")
    assert done.code == 3
    assert "Det" in done.err
    with pytest.raises(UnsupportedError):
        fx.sweep(path, np.zeros((3, 2, 2), np.float32), tmp_path / "run", formats="q5.3")


def test_a_file_of_options_has_lists_too(small: Small) -> None:
    config = small.folder.parent / "plan.toml"
    config.write_text('format = "q5.3,q4.4"\nnormalize = "none,pow2"\n[layer."dense"]\nrounding = "default,trn"\n')
    base = ("sweep", small.model, "--data", small.data, "--config", config, "-o")
    assert run(*base, small.folder).code == 0
    assert len(read(small.folder).rows) == 8
    assert run(*base, small.folder.parent / "wide", "--width", "6", "--normalize", "affine").code == 0
    wide = read(small.folder.parent / "wide")
    assert [(row.configuration.width, row.configuration.normalize) for row in wide.rows] == [(6, "affine")] * 2
    for row in wide.rows:
        assert row.record == reproduced(row.configuration.command)


def test_random_samples_are_reproduced(small: Small) -> None:
    done = run(
        "sweep", small.model, "--samples", 5, "--seed", 3, "--formats", "q5.3", "-o", small.folder, "--json", "-"
    )
    assert done.code == 0
    assert done.err.startswith("fxnorm: no --data: random input (seed 3, 5 samples)")
    assert done.json == read_json((small.folder / "results.json").read_text())
    (row,) = read(small.folder).rows
    assert row.record == reproduced(row.configuration.command)
    again = run("sweep", small.model, "--samples", 5, "--seed", 4, "--formats", "q5.3", "-o", small.folder)
    assert again.code == 2
    assert "was made with other data" in again.err


def test_the_table(small: Small) -> None:
    chosen = ("--formats", "q5.3,q3.1", "--normalize", "none,pow2", "-o", small.folder)
    done = run("sweep", small.model, "--data", small.data, *chosen)
    lines = done.out.splitlines()
    assert lines[0].endswith("dense.onnx: 4 configurations")
    assert lines[2] == "accuracy of FP32 on 40 labelled samples: 90.0%"
    assert lines[4].split()[:3] == ["format", "normalize", "accuracy"]
    wanted = [[format_, how] for format_ in ("q5.3", "q3.1") for how in ("none", "pow2")]
    assert [line.split()[:2] for line in lines[6:10]] == wanted
    found = read(small.folder)
    assert [line.split()[2] for line in lines[6:10]] == [f"{row.metrics['accuracy']:.1%}" for row in found.rows]


def test_the_csv_is_a_table_of_the_rows(small: Small) -> None:
    found = small.sweep(format="q5.3,q-900.908", layers=["dense:rounding=default,trn"])
    rows = list(csv.DictReader(io.StringIO((small.folder / "results.csv").read_text())))
    assert len(rows) == len(found.rows) == 8
    for text, row in zip(rows, found.rows, strict=True):
        one = row.configuration
        assert (text["name"], text["format"], text["normalize"]) == (one.name, one.format, one.normalize)
        assert text["layer dense:rounding"] == (one.varied["layer dense:rounding"] or "")
        assert (text["status"], text["command"]) == (row.status, one.command)
        for name in ("accuracy", "sqnr_db", "overflow_fraction"):
            value = row.metrics[name]
            assert (float(text[name]) if text[name] else None) == value


def test_a_spreadsheet_computes_nothing_of_a_models_words(tmp_path: Path) -> None:
    path = save(dense(name='=HYPERLINK("http://x")\x1b[2J'), tmp_path / "m.onnx")
    with pytest.raises(PlanError):
        fx.sweep(path, samples(), tmp_path / "run", formats="q-900.908", normalize="none")
    text = (tmp_path / "run" / "results.csv").read_text()
    (row,) = csv.DictReader(io.StringIO(text))
    assert row["reason"].startswith("'=HYPERLINK")
    assert "\x1b" not in text
    assert "\x1b" not in (tmp_path / "run" / "results.json").read_text()


def test_samples_in_memory(small: Small) -> None:
    with np.load(small.data) as arrays:
        given = dict(arrays)
    found = fx.sweep(fx.load(small.model), given, small.folder, formats=["q5.3"], normalize=["none", None])
    assert [row.metrics["accuracy_fp32"] for row in found.rows] == [0.9, 0.9]
    assert [row.configuration.command for row in found.rows] == ["", ""]
    filed = fx.sweep(small.model, small.data, small.folder.parent / "filed", formats=["q5.3"], normalize=["none", None])
    same = ("outputs_digest", "accuracy", "sqnr_db")
    assert [[row.metrics[name] for name in same] for row in found.rows] == [
        [row.metrics[name] for name in same] for row in filed.rows
    ]


def test_separate_samples_for_calibration(small: Small) -> None:
    other = small.folder.parent / "calibration.npz"
    np.savez(other, x=samples(9, seed=8) * 4)
    found = fx.sweep(small.model, small.data, small.folder, width="6", calibration_data=other)
    (row,) = found.rows
    assert found.run["calibration"]["samples"] == 9
    largest = float(np.abs(fx.reference(fx.load(small.model), np.load(other)["x"])["y"]).max())
    assert 2.0 ** (row.configuration.integer_bits - 1) > largest
    assert row.record == reproduced(row.configuration.command)


def test_progress_counts_what_is_left(small: Small) -> None:
    told: list[tuple[str, int, int]] = []
    fx.sweep(small.model, small.data, small.folder, width="4:7", progress=lambda *given: told.append(given), workers=1)
    assert [entry for entry in told if entry[0] == "sweep"] == [("sweep", done, 4) for done in range(1, 5)]
    assert any(entry[0] == "calibrate" for entry in told)


def test_options_have_to_exist(small: Small) -> None:
    with pytest.raises(UsageError, match="there is no option 'normalise'"):
        fx.sweep(small.model, small.data, small.folder, width="8", normalise="none")


def test_what_is_in_the_database_is_what_its_description_says(small: Small) -> None:
    from fxnorm.sweeping import store

    found = small.sweep(format="q5.3,q-900.908")
    with closing(sqlite3.connect(small.folder / "results.sqlite")) as database:
        text = store.__doc__ or ""
        for table in ("configuration", "result"):
            columns = [name for _, name, *_ in database.execute(f"PRAGMA table_info({table})")]
            assert all(name in text for name in columns)
        keys = {key for (key,) in database.execute("SELECT key FROM run")}
        assert keys == {
            "kind",
            "identity",
            "model",
            "data",
            "calibration",
            "axes",
            "reference",
            "command",
            "directory",
            "created",
        }
        assert all(f"\n{key} " in text for key in keys)
        assert database.execute("PRAGMA journal_mode").fetchone() == ("delete",)
        attempts = dict(database.execute("SELECT configuration, count(*) FROM attempt GROUP BY configuration"))
        assert attempts == dict.fromkeys([one.id for one in found.configurations], 1)
        for (text_,) in database.execute("SELECT record FROM result WHERE record IS NOT NULL"):
            json.loads(text_)


def test_reading_what_is_no_run(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"there is no results\.sqlite in it"):
        read(tmp_path)
    (tmp_path / "results.sqlite").write_bytes(b"")
    with pytest.raises(RunError, match="holds no run yet"):
        read(tmp_path)
    (tmp_path / "results.sqlite").write_bytes(b"SQLite format 3\0" + bytes(200))
    with pytest.raises(RunError):
        read(tmp_path)


def test_a_run_is_read_while_it_is_written(small: Small) -> None:
    lengths: list[int] = []

    class Reading(Counting):
        def run(self, configurations: Any, begin: Any) -> Any:
            for found in super().run(configurations, begin):
                lengths.append(len(read(small.folder).rows))
                yield found

    whole: Run = small.sweep(lambda study: Reading(study, []))
    assert lengths == list(range(10))
    assert len(whole.rows) == 10


def test_a_run_knows_how_the_values_of_fp32_lie(small: Small) -> None:
    found = small.sweep().run["reference"]["values"]
    with np.load(small.data) as arrays:
        given = arrays["x"]
    assert set(found) == {"x", "y"}
    assert sum(found["x"]["counts"]) == given.size
    assert found["x"]["low"] <= given.min() <= given.max() <= found["x"]["high"]


def test_a_terminal_shows_what_is_left_and_how_long_it_takes(small: Small) -> None:
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 120, 0, 0))
    chosen = ("--width", "3:12", "--normalize", "none,pow2,affine", "--rounding", "rnd,trn", "-o", small.folder)
    words = command("sweep", small.model, "--data", small.data, *chosen)
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "120"}
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=theirs, text=True, env=environment) as process:
        os.close(theirs)
        shown = b""
        while True:
            try:
                shown += os.read(ours, 4096)
            except OSError:  # the other end is closed
                break
        out, _ = process.communicate(timeout=60)
    os.close(ours)
    text = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", shown.decode(errors="replace"))
    assert process.returncode == 0
    assert re.search(r"sweep .* \d+/60 +(\d+:\d\d:\d\d|-:--:--)", text)
    assert "\x1b" not in out
