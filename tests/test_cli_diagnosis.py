"""Piles, empty range and outliers from the data to the table, the JSON and the histograms of a run; nothing is dropped."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commandline import read_json, run
from onnx import helper
from small_models import floats, model, save

SAMPLES = 4000


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, dict[str, dict[str, Any]], Path]:
    """What is printed of a run of four inputs, one healthy and three that are not, and their records by name."""
    folder = tmp_path_factory.mktemp("diagnosis")
    names = ["healthy", "piled", "empty", "outlying"]
    rng = np.random.default_rng(0)
    data = {name: rng.uniform(-15.9, 15.8, (SAMPLES, 1)) for name in names}
    data["piled"][:200] = 15.875
    data["empty"] /= 20
    data["outlying"] /= 16
    data["outlying"][77] = -15.5
    np.savez(folder / "x.npz", **{name: array.astype(np.float32) for name, array in data.items()})
    inputs = [floats(name, ["N", 1]) for name in names]
    save(model([helper.make_node("Sum", names, ["y"], name="sum")], inputs, [floats("y", ["N", 1])]), folder / "m.onnx")
    options = ("--data", folder / "x.npz", "--format", "q5.3", "--normalize", "none")
    done = run("simulate", folder / "m.onnx", *options, "--json", folder / "r.json", "--trace", folder / "t.npz")
    record = read_json((folder / "r.json").read_text())
    return done.out, {layer["name"]: layer for layer in record["layers"]}, folder / "t.npz"


WANTED = {
    "healthy": [],
    "piled": [("pile at high", 0.05, "5.0% at the high end")],
    "empty": [("empty range", 4.0, "4 bits empty")],
    "outlying": [("outliers", 1 / SAMPLES, "1 outlier, 4 bits beyond the rest")],
}


@pytest.mark.parametrize("name", WANTED)
def test_every_finding_is_in_the_table_and_in_the_json(ran: Any, name: str) -> None:
    out, records, _ = ran
    found = records[name]["diagnosis"]
    assert [finding["problem"] for finding in found] == [problem for problem, _, _ in WANTED[name]]
    line = next(line for line in out.splitlines() if line.startswith(name))
    heading = next(line for line in out.splitlines() if line.startswith("layer"))
    assert "diagnosis" in heading
    for finding, (_, amount, text) in zip(found, WANTED[name], strict=True):
        assert finding["amount"] == pytest.approx(amount, abs=0.005)
        assert finding["text"] == text
        assert line.endswith(text)
        assert line.index(text) == heading.index("diagnosis")


def test_overflow_is_the_first_finding_and_has_a_column_of_its_own(ran: Any) -> None:
    out, records, _ = ran
    first, *others = records["sum"]["diagnosis"]
    assert first["problem"] == "overflow"
    assert first["amount"] == records["sum"]["overflow_fraction"] > 0.1
    assert {finding["problem"] for finding in others} == {"pile at low", "pile at high"}
    line = next(line for line in out.splitlines() if line.startswith("sum"))
    assert f"{records['sum']['overflow_count']:,}" in line


def test_histograms_count_every_value_where_it_lies(ran: Any) -> None:
    _, records, trace = ran
    with np.load(trace) as archive:
        for name, record in records.items():
            codes = archive[f"{record['output']}.codes"].reshape(-1)
            wanted = np.bincount((codes + 128) // 4, minlength=64)
            assert record["histogram"] == wanted.tolist(), name
            assert sum(record["histogram"]) == SAMPLES
        outlier = archive["outlying.codes"].reshape(-1)[77]
    assert outlier == -124  # kept as it was
    assert records["outlying"]["histogram"][1] == 1
    assert records["outlying"]["min"] == -15.5
