"""Proofs in the record of a run: those of the bounds, in few words."""

from __future__ import annotations

import json

import numpy as np
import pytest
from commandline import run
from small_models import dense, samples, save

import fxnorm as fx
from fxnorm.fixed.format import Format
from fxnorm.planning.bounds import bounds
from fxnorm.report.proofs import proof_records


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("proofs")
    np.savez(folder / "data.npz", x=samples(20))
    return save(dense(), folder / "dense.onnx"), folder / "data.npz"


def plan_of(files, **options):
    graph = fx.load(files[0])
    return fx.plan(graph, fx.calibrate(graph, np.load(files[1])["x"]), format="q5.3", **options)


@pytest.mark.parametrize("accumulator", [None, "q10.6:trn,wrap", "q20.8:sat"])
def test_they_are_those_of_the_bounds(files, accumulator):
    plan = plan_of(files, accumulator=accumulator)
    found = [(name, record) for name, records in proof_records(plan).items() for record in records]
    known = list(bounds(plan))
    assert len(found) == len(known) > 0
    for (name, record), one in zip(found, known, strict=True):
        assert (name, record["part"], record["terms"], record["verdict"]) == (
            one.layer,
            one.part,
            one.terms,
            str(one.verdict),
        )
        assert record["by_format"] >= record["by_interval"] >= (record["in_order"] or 0)
        low, high = one.by_interval.hull()
        needed = Format(record["by_interval"], record["by_interval"] - one.fraction_bits)
        assert needed.min_code <= low <= high <= needed.max_code
        assert record["format"] is None or Format.parse(record["format"], max_width=128).width == record["width"]


def test_a_narrow_accumulator_is_said_to_overflow_and_a_wide_one_not(files):
    (narrow,) = proof_records(plan_of(files, accumulator="q4.3:trn,wrap")).popitem()[1]
    assert (narrow["verdict"], narrow["format"]) == ("witness", "q4.3:trn,wrap")
    assert narrow["by_interval"] > narrow["width"]
    (own,) = proof_records(plan_of(files)).popitem()[1]
    assert own["verdict"] in ("format", "interval", "order")
    assert own["width"] >= min(own["by_interval"], own["in_order"])


def test_every_layer_of_a_record_has_them(files):
    record = run("simulate", files[0], "--data", files[1], "--format", "q5.3", "--json", "-").json
    plan = plan_of(files)
    assert [layer["proofs"] for layer in record["layers"]] == [
        [],  # an input adds nothing up
        *(json.loads(json.dumps(proof_records(plan).get(layer.name, []))) for layer in plan.layers),
    ]
    assert any(layer["proofs"] for layer in record["layers"])
