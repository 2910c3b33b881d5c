"""For tests of one's own: fail where a network in fixed point is not good enough.

>>> from fxnorm.testing import assert_accuracy
>>> def test_the_network_fits_in_eight_bits():
...     assert_accuracy("model.onnx", "samples.npz", format="q5.3", min_accuracy=0.9, max_drop=0.01)
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from fxnorm.errors import UsageError
from fxnorm.gate.baseline import Baseline
from fxnorm.gate.limits import Limits
from fxnorm.gate.subject import Subject
from fxnorm.gate.verdict import judge, refuse_missing_labels
from fxnorm.graph.graph import Graph
from fxnorm.planning.options import Options
from fxnorm.report.record import run_record
from fxnorm.study import Study
from fxnorm.sweeping.configuration import identity
from fxnorm.sweeping.interface import Samples, open_model, open_samples

__all__ = ["assert_accuracy", "study"]

Array = np.ndarray


def study(model: str | os.PathLike[str] | Graph, data: Samples, *, calibration_data: Samples | None = None) -> Study:
    """Open a model and its samples once for many tests, for instance in a fixture of the whole session.

    Parameters
    ----------
    model
        A file, or what `fxnorm.load` gave.
    data, calibration_data
        Files or folders of samples, or arrays with optional ``labels``; by default ranges are taken from the first 256 of `data`.

    Raises
    ------
    FxnormError
        If they cannot be read, or do not fit one another.
    """
    graph, _ = open_model(model)
    calibration = None if calibration_data is None else open_samples(graph, calibration_data)[0]
    return Study(graph, open_samples(graph, data)[0], calibration=calibration)


def assert_accuracy(
    model: str | os.PathLike[str] | Graph | Study,
    data: Samples | None = None,
    *,
    format: str,
    min_accuracy: float | None = None,
    max_drop: float | None = None,
    min_sqnr: float | None = None,
    min_agreement: float | None = None,
    max_overflow: int | None = None,
    baseline: str | os.PathLike[str] | None = None,
    baseline_drop: float | None = None,
    baseline_sqnr_drop: float | None = None,
    baseline_other_model: bool = False,
    layers: Sequence[str] = (),
    **options: Any,
) -> Mapping[str, Any]:
    """Run a network in fixed point and hold it against limits.

    Parameters
    ----------
    model
        A file, what `fxnorm.load` gave, or a `study`, which shares its work among tests.
    data
        Samples as `study` takes them; none with a study.
    format, layers, options
        As for `fxnorm.plan`.
    min_accuracy, max_drop, min_sqnr, min_agreement, max_overflow
        Limits, see `fxnorm.gate.limits.Limits`.
    baseline, baseline_drop, baseline_sqnr_drop, baseline_other_model
        A file of earlier results, and how far behind them the network may fall.

    Returns
    -------
    What `fxnorm simulate --json` writes, without its seconds.

    Raises
    ------
    AssertionError
        If a limit is missed; it says by how much and where.
    FxnormError
        If it cannot be run or judged: no labels, another baseline's model, no limit at all.
    """
    limits = Limits(min_accuracy, max_drop, min_sqnr, min_agreement, max_overflow, baseline_drop, baseline_sqnr_drop)
    if not limits.asks and baseline is None:
        raise UsageError(
            "assert_accuracy: must be told what to assert; give a limit such as min_accuracy, or a baseline"
        )
    if isinstance(model, Study):
        if data is not None:
            raise UsageError("assert_accuracy: a study has its data; leave `data` out")
        shared = model
    elif data is None:
        raise UsageError("assert_accuracy: needs samples; give `data`")
    else:
        shared = study(model, data)
    refuse_missing_labels(limits, shared.data.labels is not None, shared.data.description)
    before = None if baseline is None else Baseline.read(os.fspath(baseline))
    if before is not None:
        before.check(shared.graph.sha256, shared.data.sha256, other_model=baseline_other_model)
    chosen = Options.make(format, layers=layers, **options)
    plan = shared.plan(chosen)
    record = run_record(shared.evaluate(plan), shared.data)
    del record["seconds"]
    name = f"{record['plan']['format']} {record['plan']['normalize']}"
    verdict = judge(limits, [Subject(name, record, id=identity(chosen.record()))], before)
    if not verdict.passed:
        raise AssertionError("\n".join(check.message for check in verdict.violations))
    return record
