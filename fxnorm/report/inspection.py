"""What is in a model or a plan, and which operators there are."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

from fxnorm.cost import NetworkEstimate
from fxnorm.errors import UnsupportedError
from fxnorm.graph.graph import Graph
from fxnorm.lowering.lower import lower
from fxnorm.lowering.operators import LOWERINGS
from fxnorm.planning.plan import Layer, Plan
from fxnorm.report.columns import Column, console, print_line, print_table
from fxnorm.report.estimates import print_estimates
from fxnorm.report.record import accumulator_record, input_head, layer_head, plan_head, stage_records, value_record
from fxnorm.report.table import headline, number, power, short_op
from fxnorm.report.text import labels

WHOLE_NAME = 300
"""A layer's name is shown up to here, for somebody may want to copy it."""


def model_record(graph: Graph) -> dict[str, Any]:
    """A model as plain data: what goes in and out, its operators, and the layers that a plan of it has, or why it can have none."""
    used = {name for node in graph.nodes for name in node.inputs if name in graph.constants}
    record: dict[str, Any] = {
        "model": {"path": str(graph.path or ""), "sha256": graph.sha256},
        "inputs": [_value(graph, name) for name in graph.inputs],
        "outputs": [_value(graph, name) for name in graph.outputs],
        "nodes": len(graph.nodes),
        "operators": dict(sorted(Counter(node.op for node in graph.nodes).items())),
        "constants": sum(graph.constants[name].size for name in used),
        "layers": [],
        "unsupported": [],
    }
    try:
        network = lower(graph)
    except UnsupportedError as error:
        record["unsupported"] = list(error.reasons)
    else:
        record["layers"] = [
            {"name": step.name, "op": step.op, "output": step.output, "shape": list(network.shapes[step.output])}
            for step in network.steps
        ]
    return record


def _value(graph: Graph, name: str) -> dict[str, Any]:
    value = graph.values[name]
    return {"name": name, "shape": list(value.shape), "dtype": str(value.dtype)}


def print_model(graph: Graph, *, where: str) -> None:
    """Print a model."""
    record = model_record(graph)
    out = console()
    print_line(out, f"{where}: {record['nodes']} nodes, {record['constants']:,} constants", "bold")
    print_line(out, f"SHA-256 {graph.sha256}")
    out.print()
    rows = [(kind[:-1], value) for kind in ("inputs", "outputs") for value in record[kind]]
    columns = [
        Column("", [kind for kind, _ in rows], left=True),
        Column("name", [value["name"] for _, value in rows], left=True, name=True),
        Column("shape", [extent(value["shape"]) for _, value in rows], left=True),
        Column("type", [value["dtype"] for _, value in rows], left=True),
    ]
    print_table(out, columns)
    out.print()
    operators = record["operators"]
    columns = [
        Column("operator", list(operators), left=True, name=True),
        Column("nodes", [str(number) for number in operators.values()]),
        Column("kernel", [LOWERINGS[op].kernel if op in LOWERINGS else "not supported" for op in operators], left=True),
    ]
    print_table(out, columns)
    if record["layers"]:
        layers = record["layers"]
        out.print()
        columns = [
            Column("layer", [layer["name"] for layer in layers], left=True, name=True, longest=WHOLE_NAME),
            Column("op", [short_op(layer["op"]) for layer in layers], left=True, name=True),
            Column("shape", [extent(layer["shape"]) for layer in layers], left=True, rank=1),
        ]
        print_table(out, columns)
    for index, reason in enumerate(record["unsupported"]):
        if index == 0:
            out.print()
        print_line(out, f"not supported: {reason}")


def plan_record(plan: Plan) -> dict[str, Any]:
    """A plan as plain data: the decisions that a person asks for; plan.json in its folder holds all."""
    return {
        "model": {"path": plan.model_path, "sha256": plan.model_sha256},
        "plan": plan_head(plan),
        "options": dict(plan.options),
        "inputs": [{"name": name, **input_head(plan, name), **value_record(plan, name)} for name in plan.inputs],
        "outputs": [{"name": name, **value_record(plan, value)} for name, value in plan.outputs.items()],
        "layers": [_layer(plan, layer) for layer in plan.layers],
    }


def _layer(plan: Plan, layer: Layer) -> dict[str, Any]:
    accumulator = accumulator_record(layer)
    stages = stage_records(layer)
    return {
        **layer_head(plan, layer),
        **({} if accumulator is None else {"accumulator": accumulator}),
        **({"stages": stages} if stages else {}),
    }


def print_plan(plan: Plan, *, where: str, estimates: NetworkEstimate | None = None) -> None:
    """Print a plan, and what its hardware is estimated to take where that is known."""
    out = console()
    record = plan_record(plan)
    print_line(out, f"{where}: {headline(plan)}", "bold")
    print_line(out, f"model {plan.model_path} (SHA-256 {plan.model_sha256[:16]}), calibrated on {plan.data}")
    print_line(out, f"plan {plan.digest}")
    out.print()
    layers = record["layers"]
    names, left_out = labels([layer["name"] for layer in layers])
    rows = record["inputs"] + layers
    accumulators = [row.get("accumulator") for row in rows]
    columns = [
        Column("layer", [*plan.inputs, *names], left=True, name=True),
        Column("op", [short_op(row["op"]) for row in rows], left=True, name=True),
        Column("kernel", [row["kernel"] for row in rows], left=True, rank=3),
        Column("shape", [extent(row["shape"]) for row in rows], left=True, rank=2),
        Column("format", [row["format"] for row in rows], left=True),
        Column("scale", [power(row["scale"]) for row in rows]),
        *([Column("offset", [number(row["offset"]) for row in rows])] if any(row["offset"] for row in rows) else []),
        Column(
            "accumulator", ["" if a is None else a["format"].split(":")[0] for a in accumulators], left=True, rank=1
        ),
        Column("", ["" if a is None else a["proof"] for a in accumulators], left=True, rank=4),
    ]
    print_table(out, columns)
    if left_out:
        print_line(out, f"names are shown without {left_out}; --json has them in full", "dim")
    total = sum(math.prod(layer["shape"]) for layer in layers)
    print_line(out, f"{len(layers)} layers, {total:,} values a sample")
    if estimates is not None:
        out.print()
        print_estimates(out, estimates)


def operator_records() -> list[dict[str, str]]:
    """Every operator as plain data."""
    return [{"op": op, "kernel": operator.kernel, "note": operator.note} for op, operator in sorted(LOWERINGS.items())]


def print_operators() -> None:
    """Print every operator."""
    records = operator_records()
    out = console()
    columns = [
        Column("operator", [record["op"] for record in records], left=True),
        Column("kernel", [record["kernel"] for record in records], left=True),
        Column("note", [record["note"] for record in records], left=True, prose=True),
    ]
    print_table(out, columns)
    print_line(out, f"{len(records)} operators; others are expanded into these where ONNX defines them as functions.")


def extent(shape: list[int]) -> str:
    """A shape as people write it."""
    return "×".join(map(str, shape)) or "scalar"
