"""Results to make reports of: made up where a test says which, and those of a real sweep."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import replace
from pathlib import Path
from typing import Any

from commandline import run

from fxnorm.gate.limits import Limits
from fxnorm.page.layers import Accumulator, LayerResult, Proof
from fxnorm.page.limits import Criterion
from fxnorm.page.results import Distribution, Results, Row, Source
from fxnorm.sweeping import tables

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
MODEL = EXAMPLES / "digits_dense.onnx"
DATA = EXAMPLES / "digits_dense_test.npz"
NO_LIMIT = Criterion(Limits(), False)
HOSTILE = (
    "<script>alert(1)</script>",
    "</script><script>alert(2)</script>",
    "<!--<script>",
    "\"'><img src=x onerror=alert(3)>",
    "${alert(4)} {{ 7 * 7 }} {% raw %}",
    "a|b `c` *d* [e](javascript:alert(5)) www.example.org @someone $x$",
    "\u202egnp.exe\u2066\u200b\x00\x1b[31m\r\n\u2028",
    "image",
    "__proto__",
    "\ud800",
)
"""Names that a model may have: each tries something on whatever shows it."""


def layer(key: str = "y", **given: Any) -> LayerResult:
    """A layer without any trouble."""
    made = LayerResult(
        key=key,
        name=key,
        op="Gemm",
        kernel="linear",
        format="q5.3",
        width=8,
        scale=0.5,
        offset=0.0,
        sqnr_db=30.0,
        overflow_count=0,
        overflow_fraction=0.0,
        at_low_fraction=0.0,
        at_high_fraction=0.0,
        minimum=-15.0,
        maximum=15.0,
        bits_used=8,
        histogram=tuple(range(64)),
        accumulator=Accumulator("q12.6", "cannot overflow", 0),
        proofs=(Proof("accumulator", 16, "q12.6", 18, (18, 17, 16), True, "any codes"),),
    )
    return replace(made, **given)


def row(number: int = 0, width: int = 8, normalize: str = "pow2", **given: Any) -> Row:
    """A configuration of a width, with half of its bits before the point."""
    format_ = f"q{width // 2}.{width - width // 2}"
    made = Row(
        number=number,
        name=f"{format_} {normalize}",
        format=format_,
        width=width,
        integer_bits=width // 2,
        fraction_bits=width - width // 2,
        normalize=normalize,
        varied={"width": str(width), "normalize": normalize},
        command=f"fxnorm simulate model.onnx --format {format_}",
        plan_digest="ab" * 32,
        outputs_digest="cd" * 32,
        samples=100,
        accuracy_fp32=0.95,
        accuracy=0.9,
        sqnr_db=6.0 * width,
        max_abs_error=0.25,
        agreement=0.98,
        cost={"area": 10.0 * width, "bits": 3.0 * width},
        layers=(layer(format=format_, width=width, bits_used=width),),
        seconds=0.1,
    )
    return replace(made, **given)


def results(*rows: Row, **given: Any) -> Results:
    """Rows with a source."""
    source = Source("folder/model.onnx", "12" * 32, "data.npz", "34" * 32, 100, command="fxnorm sweep", created="2026")
    made = Results("sweep", source, tuple(replace(one, number=index) for index, one in enumerate(rows)))
    return replace(made, **given)


def grid() -> Results:
    """Five widths by three normalizations, with distributions; one configuration was refused."""
    names = ("input", "conv1", "conv2", "dense")
    rows = []
    for width in range(4, 9):
        for place, normalize in enumerate(("none", "pow2", "affine")):
            layers = tuple(
                layer(
                    f"value {index}",
                    name=name,
                    format=f"q{width // 2}.{width - width // 2}",
                    width=width,
                    bits_used=width - index % 3,
                    sqnr_db=6.0 * width + 3.0 * place - index,
                    overflow_count=100 * (normalize == "none"),
                    overflow_fraction=0.01 * (normalize == "none"),
                )
                for index, name in enumerate(names)
            )
            rows.append(row(0, width, normalize, accuracy=0.5 + 0.03 * width + 0.05 * place, layers=layers))
    rows.append(row(0, 9, "affine", refused="too wide"))
    known = {f"value {index}": Distribution(-3.0, 9.0, tuple(range(12))) for index in range(len(names) - 1)}
    return replace(results(*rows, waiting=2), distributions=known)


def make_hostile(folder: Path) -> None:
    """Put hostile names into every text of a run's folder that comes from a model or a command line."""
    database = sqlite3.connect(folder / tables.DATABASE)
    with database:
        for place, (id_, text) in enumerate(database.execute("SELECT configuration, record FROM result").fetchall()):
            record = json.loads(text)
            for index, entry in enumerate(record["layers"]):
                name = HOSTILE[(place + index) % len(HOSTILE)]
                entry.update(name=HOSTILE[index % len(HOSTILE)], op=name, kernel=name)
                entry["diagnosis"] = [{"problem": "outliers", "amount": 1.0, "text": name}]
                entry["stages"] = {name: {"format": "q4.4", "overflow_count": 1}}
                for proof in entry["proofs"]:
                    proof["part"] = name
            name = HOSTILE[place % len(HOSTILE)]
            varied = json.dumps({"width": 8, "normalize": "pow2", HOSTILE[1]: name})
            database.execute(
                "UPDATE result SET record = ?, versions = ? WHERE configuration = ?",
                (json.dumps(record), json.dumps({name: name}), id_),
            )
            database.execute(
                "UPDATE configuration SET name = ?, varied = ?, command = ? WHERE id = ?",
                (name.encode("utf-8", "replace").decode(), varied, HOSTILE[3], id_),
            )
        first = database.execute("SELECT configuration FROM result LIMIT 1").fetchone()
        database.execute(
            "UPDATE result SET status = 'refused', reason = ?, record = NULL, cost = NULL WHERE configuration = ?",
            (HOSTILE[4], *first),
        )
        database.execute(
            "UPDATE result SET cost = ? WHERE cost IS NOT NULL AND rowid % 2", (json.dumps({HOSTILE[3]: 1.0}),)
        )
        database.execute(
            "UPDATE result SET cost = ? WHERE cost IS NOT NULL AND NOT rowid % 2", (json.dumps({HOSTILE[3]: 2.0}),)
        )
        run_ = {
            "model": {"path": f"/tmp/{HOSTILE[0]}", "sha256": HOSTILE[2]},
            "directory": HOSTILE[6],
            "command": list(HOSTILE),
            "created": HOSTILE[5],
        }
        database.executemany(
            "UPDATE run SET value = ? WHERE key = ?", [(json.dumps(value), key) for key, value in run_.items()]
        )
    database.close()


def criterion(**limits: Any) -> Criterion:
    """A gate."""
    return Criterion(Limits(**limits), True)


def swept(folder: Path, *options: object) -> Path:
    """A real sweep of the digits' dense network."""
    place = folder / "run"
    words = options or ("--width", "4:9", "--normalize", "none,pow2,affine")
    done = run("sweep", MODEL, "--data", DATA, *words, "-o", place)
    assert done.code == 0, done.err
    return place
