"""What each stage of every normalization layer of a plan costs, on samples."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from fxnorm.errors import PlanError, UsageError
from fxnorm.kernels.norm import Norm, NormOperation
from fxnorm.planning.options import Options
from fxnorm.planning.plan import Layer, Plan
from fxnorm.planning.planner import lowered
from fxnorm.report.attribution import Attribution, attribute
from fxnorm.report.columns import Column, console, print_line, print_table
from fxnorm.report.record import finite
from fxnorm.report.table import decibels
from fxnorm.report.text import labels, printable
from fxnorm.simulation import Simulator

if TYPE_CHECKING:
    from fxnorm.data import Data
    from fxnorm.graph.graph import Graph

Array = np.ndarray

MOST_ELEMENTS: Final = 1 << 18
"""Elements of one layer's output on which it is measured, where somebody has to wait: sums there are Python integers."""


@dataclass(frozen=True)
class LayerAttributions(Mapping[str, Attribution]):
    """Attributions by layer; printing them gives a line each.

    Attributes
    ----------
    layers
        By layer name.
    samples
        On how many samples they were measured.
    """

    layers: Mapping[str, Attribution]
    samples: int

    def __getitem__(self, name: str) -> Attribution:
        return self.layers[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.layers)

    def __len__(self) -> int:
        return len(self.layers)

    def __str__(self) -> str:
        lines = []
        for name, found in self.layers.items():
            costs = ", ".join(f"{stage} {_cost(cost)}" for stage, cost in found.costs_db.items())
            lines.append(f"{printable(name)}: {decibels(found.sqnr_db)} dB; each stage costs: {costs}")
        return "\n".join(lines)


def normalizations(plan: Plan) -> dict[str, Layer]:
    """Layers whose stages can be told apart, by the name of their output."""
    return {layer.output: layer for layer in plan.layers if isinstance(layer.kernel, Norm)}


def enough_samples(plan: Plan) -> int:
    """Samples that keep the largest normalization at `MOST_ELEMENTS`; 1 at least."""
    sizes = [math.prod(plan.values[name].shape) for name in normalizations(plan)]
    return max(1, MOST_ELEMENTS // max([*sizes, 1]))


def attribute_layers(graph: Graph, plan: Plan, inputs: Mapping[str, Array]) -> LayerAttributions:
    """Run a plan and measure what every stage of every normalization layer costs there.

    Parameters
    ----------
    graph
        The model that the plan was made from.
    inputs
        Real numbers (or indices) by name, [samples, *shape], before any transform of the plan.

    Returns
    -------
    By layer name, in the order in which they run; empty where the plan has no such layer.

    Raises
    ------
    PlanError
        If the plan was made from another model.
    """
    if graph.sha256 != plan.model_sha256:
        raise PlanError("attribution: the plan was made from another model; give the one that it was made from")
    found = normalizations(plan)
    if not found:
        return LayerAttributions({}, 0)
    options = dict(plan.options)
    network = lowered(graph, Options.make(options.pop("format"), **options))
    operations = {step.output: step.operation for step in network.steps}
    wanted = {name for layer in found.values() for name in layer.inputs}
    kept: dict[str, list[Array]] = {name: [] for name in wanted}

    def watch(name: str, codes: Array) -> None:
        if name in kept:
            kept[name].append(codes.astype(np.int64))

    Simulator(plan).run(inputs, watch=watch)
    codes = {name: np.concatenate(parts) for name, parts in kept.items()}
    attributions = {}
    for output, layer in found.items():
        kernel, operation = layer.kernel, operations[output]
        assert isinstance(kernel, Norm)
        assert isinstance(operation, NormOperation)
        encodings = [plan.values[name].encoding for name in layer.inputs]
        given = [codes[name] for name in layer.inputs]
        attributions[layer.name] = attribute(kernel, operation, encodings, plan.values[output].encoding, given)
    return LayerAttributions(attributions, len(next(iter(inputs.values()))))


def check_attributable(plan: Plan) -> None:
    """Refuse a plan without layers whose stages can be told apart.

    Raises
    ------
    UsageError
        If there are none.
    """
    if not normalizations(plan):
        raise UsageError(
            "--attribution: the network has no normalization layer with inner stages (layer, instance, group, RMS, L1, L2, "
            "mean-variance normalization); leave it out"
        )


def attribute_data(graph: Graph, plan: Plan, data: Data) -> LayerAttributions:
    """`attribute_layers` on the head of a data set, as much of it as `enough_samples` says."""
    return attribute_layers(graph, plan, data.head(min(enough_samples(plan), data.samples)))


def add_attributions(record: dict[str, Any], attributions: LayerAttributions | None) -> None:
    """Put them into the record of a run, each into that of its layer."""
    if attributions is None:
        return
    found = attribution_records(attributions)
    for layer in record["layers"]:
        if layer["name"] in found and layer["kernel"] == Norm.kind:
            layer["attribution"] = {**found[layer["name"]], "samples": attributions.samples}


def print_attributions(attributions: LayerAttributions | None) -> None:
    """Print them as a table."""
    if attributions is None:
        return
    out = console()
    out.print()
    count = attributions.samples
    print_line(
        out, f"what each stage of a normalization costs in dB, on {count} sample{'s' if count != 1 else ''}", "bold"
    )
    print_table(out, attribution_columns(attributions))


def attribution_records(attributions: LayerAttributions) -> dict[str, dict[str, Any]]:
    """SQNR and costs by layer, as plain data; null where one is not finite."""
    return {
        name: {
            "sqnr_db": finite(found.sqnr_db),
            "costs_db": {stage: finite(cost) for stage, cost in found.costs_db.items()},
        }
        for name, found in attributions.items()
    }


def attribution_columns(attributions: LayerAttributions) -> list[Column]:
    """One row a layer, one column a stage that any of them has."""
    stages = list(dict.fromkeys(stage for found in attributions.values() for stage in found.costs_db))
    # A layer of stages has them in the order of the data; an exact one has fewer.
    longest = max((list(found.costs_db) for found in attributions.values()), key=len, default=[])
    stages.sort(key=lambda stage: longest.index(stage) if stage in longest else -1)
    names, _ = labels(list(attributions))
    costs = [found.costs_db for found in attributions.values()]
    return [
        Column("normalization", names, left=True, name=True),
        Column("SQNR dB", [decibels(found.sqnr_db) for found in attributions.values()]),
        *(Column(stage, [_cost(found[stage]) if stage in found else "" for found in costs]) for stage in stages),
    ]


def _cost(gain: float) -> str:
    if math.isinf(gain):
        return "all" if gain > 0 else "-"
    return f"{round(gain, 1) + 0.0:.1f}"  # no -0.0
