"""`fxnorm.sweep`: the Python interface."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fxnorm.evaluation import Progress
from fxnorm.graph.graph import Graph
from fxnorm.study import data_in_memory
from fxnorm.sweeping.cluster import cluster
from fxnorm.sweeping.grid import Grid
from fxnorm.sweeping.sweep import Source
from fxnorm.sweeping.sweep import sweep as run_sweep
from fxnorm.sweeping.tables import Run

if TYPE_CHECKING:
    from fxnorm.data import Data

Array = np.ndarray
Samples = str | os.PathLike[str] | Array | Mapping[str, Array]


def sweep(
    model: str | os.PathLike[str] | Graph,
    data: Samples,
    folder: str | os.PathLike[str],
    *,
    formats: str | Sequence[str] | None = None,
    width: str | int | Sequence[int] | None = None,
    integer_bits: str | int | Sequence[int] | None = None,
    layers: Sequence[str] = (),
    calibration_data: Samples | None = None,
    workers: int | None = None,
    dask: str | None = None,
    progress: Progress | None = None,
    **options: str | Sequence[str | None],
) -> Run:
    """Run a network in many fixed-point configurations and compare each with FP32.

    Results go into a run folder, a row at a time; the same call goes on where it was interrupted.

    Parameters
    ----------
    model
        A file, or what `fxnorm.load` gave.
    data
        A file or folder of samples, or arrays as `fxnorm.calibrate` takes them, with optional ``labels``.
    folder
        The run folder: new, or one that the same call made.
    formats
        Formats of data: "q3.3,q4.4", or a list of them.
    width, integer_bits
        Instead of formats: widths of signed ones, "4:16" or numbers; and their integer bits, by default those that hold every value of
        the calibration data.
    layers
        Rules for layers with alternatives, "conv*:format=q5.3,q8.8".
    calibration_data
        Samples for calibration; by default the first 256 of `data`.
    workers
        Configurations at a time; by default the processor's cores.
    dask
        Address of the scheduler of a Dask cluster that computes instead, ``tcp://HOST:PORT``.
    progress
        Called with "sweep" (or "calibrate"), what is done and how much there is to do.
    options
        Any other option of a plan with its alternatives, for example ``normalize=["none", "pow2"]``; every combination is a
        configuration.

    Returns
    -------
    Run
        All rows, see `fxnorm.sweeping.tables`.

    Raises
    ------
    RunError
        If the folder holds another run, or is being written by another process.
    UsageError, UnsupportedError, DataError
        If something is wrong for every configuration.

    Examples
    --------
    >>> run = fx.sweep("model.onnx", "samples.npz", "runs/first", width="4:16", normalize=["none", "pow2"])  # doctest: +SKIP
    >>> {row.configuration.name: row.metrics["accuracy"] for row in run.rows}  # doctest: +SKIP
    """
    grid = Grid.read({"format": formats, "layers": layers, **options}, width, integer_bits)
    graph, words = open_model(model)
    paths = {} if words is None else {"model": words[0]}
    source, path = open_samples(graph, data)
    calibration, other = (None, None) if calibration_data is None else open_samples(graph, calibration_data)
    for name, found in (("data", path), ("calibration", other)):
        if found is not None:
            paths[name] = found
    if words is None or path is None or (calibration is not None and other is None):
        reproducible = None
    else:
        reproducible = (*words, "--data", path, *(() if other is None else ("--calibration-data", other)))
    with cluster(dask, workers) as executor:
        return run_sweep(
            Source(graph, source, calibration, paths=paths, words=reproducible),
            grid,
            Path(folder),
            workers=workers,
            executor=executor,
            progress=progress,
        )


def open_model(model: str | os.PathLike[str] | Graph) -> tuple[Graph, tuple[str, ...] | None]:
    """The network, and the words of a command line for it; None for one that was loaded in ways that cannot be known here."""
    if isinstance(model, Graph):
        return model, None
    from fxnorm.graph.onnx_import import load
    from fxnorm.lowering.operators import known

    path = os.fspath(model)
    return load(path, known=known), (f"./{path}" if path.startswith("-") else path,)


def open_samples(graph: Graph, samples: Any) -> tuple[Data, str | None]:
    """Samples of a file, a folder or in memory, and the path, where there is one."""
    from fxnorm.data import Data

    if isinstance(samples, str | os.PathLike):
        path = os.fspath(samples)
        return Data.open(path, graph), path
    return data_in_memory(graph, samples), None
