"""`fxnorm.search`: the Python interface."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fxnorm.evaluation import Progress
from fxnorm.gate.limits import Limits
from fxnorm.graph.graph import Graph
from fxnorm.searching.deliverables import write_front
from fxnorm.searching.search import Found, Request
from fxnorm.searching.search import search as run_search
from fxnorm.sweeping.alternatives import numbers
from fxnorm.sweeping.cluster import cluster
from fxnorm.sweeping.interface import open_model, open_samples
from fxnorm.sweeping.sweep import Source

Array = np.ndarray


def search(
    model: str | os.PathLike[str] | Graph,
    data: str | os.PathLike[str] | Array | Mapping[str, Array],
    folder: str | os.PathLike[str],
    *,
    width: str | Sequence[int] = "4:16",
    normalize: Sequence[str] = ("pow2",),
    narrower: str | Sequence[int] = (0,),
    integer_bits: int | None = None,
    cost: Sequence[str] = ("full_adders",),
    trials: int = 100,
    seed: int = 0,
    storage: str | None = None,
    workers: int | None = None,
    dask: str | None = None,
    progress: Progress | None = None,
    min_accuracy: float | None = None,
    max_drop: float | None = None,
    min_sqnr: float | None = None,
    min_agreement: float | None = None,
    max_overflow: int | None = None,
    **options: Any,
) -> Found:
    """Look for the cheapest plan that meets a gate: a width, a normalization and an accumulator for every layer.

    Parameters
    ----------
    model, data, folder, workers, dask, progress
        As `fxnorm.sweep` takes them.
    width
        Bits that layers choose from: "4:16", or numbers.
    normalize
        Normalizations that layers choose from.
    narrower
        Bits by which accumulators may be narrower than what is proven never to overflow; 0 among them.
    integer_bits
        Of all formats; by default as many as hold every value of the calibration data.
    cost
        Names of `fxnorm.cost.summary.MEANINGS`; the first decides which plan is the cheapest.
    trials
        Points that Optuna proposes, beside those that follow from sensitivities.
    seed
        The same seed gives the same plans.
    storage
        URL of a database that several machines share.
    min_accuracy, max_drop, min_sqnr, min_agreement, max_overflow
        The gate; at least one of them.
    options
        Other options of every plan.

    Returns
    -------
    Found
        Points, front, and the cheapest plan; the plans of the front are in the folder.

    Raises
    ------
    RunError
        If the folder holds another run, or is being written by another process.
    UsageError, UnsupportedError, DataError, PlanError
        If what is asked for is wrong, or no plan can be made.

    Examples
    --------
    >>> found = fx.search("model.onnx", "samples.npz", "runs/search", width="3:10", max_drop=0.01)  # doctest: +SKIP
    >>> found.best.choice  # doctest: +SKIP
    """
    graph, words = open_model(model)
    source, path = open_samples(graph, data)
    paths = {} if words is None else {"model": words[0]}
    if path is not None:
        paths["data"] = path
    reproducible = None if words is None or path is None else (*words, "--data", path)
    request = Request(
        widths=tuple(numbers("width", width) if isinstance(width, str) else width),
        limits=Limits(min_accuracy, max_drop, min_sqnr, min_agreement, max_overflow),
        costs=tuple(cost),
        integer_bits=integer_bits,
        normalizations=tuple(normalize),
        narrower=tuple(numbers("narrower", narrower) if isinstance(narrower, str) else narrower),
        trials=trials,
        seed=seed,
        options=dict(options),
    )
    with cluster(dask, workers) as executor:
        found, study = run_search(
            Source(graph, source, None, paths=paths, words=reproducible),
            request,
            Path(folder),
            workers=workers,
            storage=storage,
            executor=executor,
            progress=progress,
        )
    write_front(found, study, Path(folder))
    return found
