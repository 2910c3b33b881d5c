"""The Python interface: load, calibrate, plan, simulate, compare, attribute, advise."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fxnorm.calibration import Ranges, observe
from fxnorm.errors import DataError, PlanError, UsageError
from fxnorm.evaluation import chunk_size
from fxnorm.graph.graph import Graph
from fxnorm.kernels.transform import transformed
from fxnorm.metrics import Error
from fxnorm.planning import storage
from fxnorm.planning.options import Options
from fxnorm.planning.plan import Plan
from fxnorm.samples import bind_to
from fxnorm.simulation import Result, merged, simulate
from fxnorm.stored_samples import LABELS

if TYPE_CHECKING:
    import onnx

    from fxnorm.advice import Advice
    from fxnorm.planning.bounds import Bounds
    from fxnorm.report.layer_attribution import LayerAttributions

__all__ = [
    "Comparison",
    "advise",
    "attribute",
    "bounds",
    "calibrate",
    "compare",
    "load",
    "load_plan",
    "plan",
    "reference",
    "save_plan",
    "simulate",
]

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


def calibrate(graph: Graph, samples: Samples, *, histograms: bool = True, input_transform: str | None = None) -> Ranges:
    """Ranges and distributions of every value of the FP32 model on samples.

    Parameters
    ----------
    samples
        An array for a model of one input, or arrays by input name; the first axis counts samples.
    histograms
        Whether distributions are kept, which every `calibration` but "minmax" needs; without them it is faster.
    input_transform
        Nonlinear normalization of inputs, as the plan is to have it: "log", "sqrt", "power:P", or "NAME=log".

    Raises
    ------
    DataError
        If the samples do not fit the model's inputs.
    """
    held = _Held(_model_inputs(graph, samples, input_transform))
    return observe(
        graph,
        held.chunks(chunk_size(graph)),
        data=held.description,
        data_sha256=held.digest(),
        histograms=histograms,
    )


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
        calibration, batchnorm, patterns, input_transform.

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


def reference(graph: Graph, samples: Samples, *, input_transform: str | None = None) -> dict[str, Array]:
    """Outputs of the FP32 model by name, the samples on the first axis; for `input_transform` see `calibrate`."""
    from fxnorm.graph.reference import Reference

    inputs = _model_inputs(graph, samples, input_transform)
    return {name: merged(array) for name, array in Reference(graph).run(inputs).items()}


@dataclass(frozen=True)
class _Held:
    """Samples in memory, [samples, *shape] by input name."""

    inputs: Mapping[str, Array]

    @property
    def samples(self) -> int:
        return len(next(iter(self.inputs.values())))

    @property
    def description(self) -> str:
        return f"{self.samples} samples from memory"

    def chunks(self, size: int) -> Iterator[dict[str, Array]]:
        for start in range(0, self.samples, size):
            yield {name: array[start : start + size] for name, array in self.inputs.items()}

    def digest(self) -> str:
        digest = hashlib.sha256()
        for name in sorted(self.inputs):
            digest.update(f"{name}:{self.inputs[name].dtype.str}:{self.inputs[name].shape};".encode())
            digest.update(np.ascontiguousarray(self.inputs[name]).tobytes())
        return digest.hexdigest()


def attribute(graph: Graph, plan: Plan, samples: Samples) -> LayerAttributions:
    """What every inner stage (mean, square, variance, root, scale, bias, requantization) of each normalization layer costs, in dB.

    One stage at a time is replaced by its exact real value; what the layer's SQNR gains by that, against the exact real result for the
    same input codes, is what the stage costs.

    Parameters
    ----------
    graph
        The model that the plan was made from.
    samples
        As for `simulate`; some hundred suffice.

    Returns
    -------
    An `Attribution` (`sqnr_db`, `costs_db`) by layer name, empty where there is no such layer; printing it gives a line each.

    Raises
    ------
    PlanError
        If the plan was made from another model.
    DataError
        If the samples do not fit the model's inputs.
    """
    from fxnorm.report.layer_attribution import attribute_layers

    return attribute_layers(graph, plan, bind_to(graph, samples))


def advise(
    graph: Graph,
    ranges: Ranges,
    samples: Samples,
    format: str,
    *,
    labels: Array | None = None,
    layers: tuple[str, ...] | list[str] = (),
    **options: Any,
) -> Advice:
    """Measure none, pow2, affine and a mix of them, and say which one this network should get.

    Parameters
    ----------
    ranges
        With histograms, as `calibrate` takes them by default.
    samples
        What is run.
    format, layers, options
        As for `plan`, but without `normalize`.
    labels
        Right class of every sample (of every answer, where a sample gives several); then accuracy is measured too. By default the
        array ``labels`` among the samples, if there is one.

    Returns
    -------
    `trials` (normalization, plan, error, accuracy, cost in multipliers of each), `layers` (what each one should get, and why), `chosen`
    (the trial that is recommended) and `reason`; printing it says all that.

    Raises
    ------
    UsageError, PlanError
        If an option is wrong, or the ranges have no histograms.
    DataError
        If samples or labels do not fit the model.
    """
    from fxnorm.advice import advise as measure
    from fxnorm.data import Data

    if "normalize" in options:
        raise UsageError("advise: it finds the normalization itself; leave `normalize` out")
    if not ranges.histograms:
        raise PlanError(
            "advise: the ranges have no histograms, by which layers are judged; calibrate with histograms=True"
        )
    if labels is None and isinstance(samples, Mapping) and LABELS not in graph.inputs and LABELS in samples:
        labels = samples[LABELS]
    held = _Held(bind_to(graph, samples))
    answers = None if labels is None else np.asarray(labels)
    if answers is not None and (answers.ndim != 1 or answers.dtype.kind not in "iu"):
        raise DataError(f"labels: must be one row of integers, not {answers.dtype} of shape {list(answers.shape)}")
    data = Data(held.description, held.digest(), answers, (held,))
    # The trials overrule the normalization; with this one every option goes that goes with one of them.
    return measure(graph, ranges, data, Options.make(format, layers=layers, normalize="affine", **options))


def bounds(plan: Plan) -> Bounds:
    """What every accumulator of a plan can reach, how wide it has to be, and whether one that was chosen narrower overflows.

    Returns
    -------
    Bounds
        See `fxnorm.planning.bounds`; an entry an accumulator, in the order of the layers.
    """
    from fxnorm.planning.bounds import bounds as bound

    return bound(plan)


def _model_inputs(graph: Graph, samples: Samples, input_transform: str | None) -> dict[str, Array]:
    """Samples as the FP32 model gets them."""
    inputs = bind_to(graph, samples)
    if input_transform is None:
        return inputs
    floating = [name for name in graph.inputs if graph.values[name].dtype.kind == "f"]
    return transformed(inputs, Options("q5.3", input_transform=input_transform).transformations(floating))


@dataclass(frozen=True)
class Comparison(Mapping[str, Error]):
    """Errors of outputs against a reference, by name; printing it gives a line each."""

    errors: Mapping[str, Error]

    def __getitem__(self, name: str) -> Error:
        return self.errors[name]

    def __iter__(self) -> Iterator[str]:
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

    Raises
    ------
    DataError
        If an output is missing or has another shape.
    """
    errors = {}
    for name, output in result.items():
        # Sample by sample, as the plan has it: the samples' axis is none over which an arg-max means anything.
        shape = result.plan.values[result.plan.outputs[name]].shape
        if name not in expected:
            raise DataError(
                f"compare: output {name!r} is missing; only {', '.join(map(repr, expected)) or 'nothing'} is given"
            )
        wanted = np.asarray(expected[name])
        if wanted.shape != output.codes.shape:
            raise DataError(
                f"compare: output {name!r} must have the shape {list(output.codes.shape)}, not {list(wanted.shape)}; "
                "give what `reference` made of the same samples"
            )
        floor = result.plan.floors.get(result.plan.outputs[name])
        wanted = wanted if floor is None else np.maximum(wanted, floor)
        error = Error()
        error.add(wanted.reshape(-1, *shape), output.values.reshape(-1, *shape), decisions=bool(shape))
        errors[name] = error
    return Comparison(errors)
