"""The Python interface: load, calibrate, plan, simulate, compare."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fxnorm.calibration import Ranges, observe
from fxnorm.evaluation import chunk_size
from fxnorm.graph.graph import Graph
from fxnorm.metrics import Error
from fxnorm.planning import storage
from fxnorm.planning.options import Options
from fxnorm.planning.plan import Plan
from fxnorm.samples import bind
from fxnorm.simulation import Result, merged, simulate

if TYPE_CHECKING:
    import onnx

__all__ = ["Comparison", "calibrate", "compare", "load", "load_plan", "plan", "reference", "save_plan", "simulate"]

Array = np.ndarray
Samples = Array | Mapping[str, Array]


def load(
    source: str | Path | onnx.ModelProto, *, batch: int | None = None, dims: Mapping[str, int] | None = None
) -> Graph:
    """Import an ONNX model.

    Parameters
    ----------
    source
        A file, or a model in memory.
    batch
        Size of the batch axis where it is free or wrong.
    dims
        Sizes of other free dimensions by name.

    Raises
    ------
    ModelError
        If the file is no valid model.
    """
    from fxnorm.graph.onnx_import import load as import_model
    from fxnorm.lowering.operators import known

    return import_model(source, batch=batch, dims=dims or {}, known=known)


def calibrate(graph: Graph, samples: Samples) -> Ranges:
    """Ranges of every value of the FP32 model on samples.

    Parameters
    ----------
    samples
        An array for a model of one input, or arrays by input name; the first axis counts samples.

    Raises
    ------
    DataError
        If the samples do not fit the model's inputs.
    """
    inputs = _bound(graph, samples)
    count = len(next(iter(inputs.values())))
    size = chunk_size(graph)
    chunks = ({name: array[start : start + size] for name, array in inputs.items()} for start in range(0, count, size))
    digest = hashlib.sha256()
    for name in sorted(inputs):
        digest.update(f"{name}:{inputs[name].dtype.str}:{inputs[name].shape};".encode())
        digest.update(np.ascontiguousarray(inputs[name]).tobytes())
    return observe(graph, chunks, data=f"{count} samples from memory", data_sha256=digest.hexdigest())


def plan(
    graph: Graph, ranges: Ranges, format: str, *, layers: tuple[str, ...] | list[str] = (), **options: Any
) -> Plan:
    """Take every fixed-point decision.

    Parameters
    ----------
    format
        Format of data, for example "q5.3".
    layers
        Rules for single layers, "NAME:KEY=VALUE".
    options
        Any other of `fxnorm.planning.options.Options`: weight_format, accumulator, product_format, rounding, overflow, normalize,
        calibration, batchnorm.

    Raises
    ------
    UsageError, FormatError
        If an option is wrong.
    UnsupportedError
        If the model needs what fxnorm does not have.
    """
    from fxnorm.planning.planner import make_plan

    return make_plan(graph, ranges, Options.make(format, layers=layers, **options))


def save_plan(plan: Plan, folder: str | Path) -> Path:
    """Write a plan as a folder, whole or not at all."""
    return storage.save(plan, folder)


def load_plan(folder: str | Path) -> Plan:
    """Read a plan's folder."""
    return storage.load(folder)


def reference(graph: Graph, samples: Samples) -> dict[str, Array]:
    """Outputs of the FP32 model by name, the samples on the first axis."""
    from fxnorm.graph.reference import Reference

    inputs = _bound(graph, samples)
    return {name: merged(array) for name, array in Reference(graph).run(inputs).items()}


@dataclass(frozen=True)
class Comparison(Mapping[str, Error]):
    """Errors of outputs against a reference, by name; printing it gives a line each."""

    errors: Mapping[str, Error]

    def __getitem__(self, name: str) -> Error:
        return self.errors[name]

    def __iter__(self) -> Any:
        return iter(self.errors)

    def __len__(self) -> int:
        return len(self.errors)

    def __str__(self) -> str:
        lines = []
        for name, error in self.errors.items():
            line = f"{name}: SQNR {error.sqnr_db:.1f} dB, max error {error.largest:.4g}, mean error {error.mean_abs_error:.4g}"
            if error.argmax_agreement is not None:
                line += f", arg-max agrees in {error.argmax_agreement:.1%}"
            lines.append(line)
        return "\n".join(lines)


def compare(expected: Mapping[str, Array], result: Result) -> Comparison:
    """Compare a simulation's outputs with FP32.

    Parameters
    ----------
    expected
        Arrays by output name, for example from `reference`.
    """
    errors = {}
    for name, output in result.items():
        error = Error()
        error.add(np.asarray(expected[name]), output.values, decisions=True)
        errors[name] = error
    return Comparison(errors)


def _bound(graph: Graph, samples: Samples) -> dict[str, Array]:
    integers = tuple(name for name in graph.inputs if graph.values[name].dtype.kind in "iub")
    return bind(samples, {name: graph.shape(name) for name in graph.inputs}, integers=integers)
