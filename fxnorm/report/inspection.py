"""What is in a model or a plan, and which operators there are."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

from fxnorm.errors import UnsupportedError
from fxnorm.fixed.format import Format
from fxnorm.graph.graph import Graph
from fxnorm.lowering.lower import lower
from fxnorm.lowering.operators import LOWERINGS
from fxnorm.planning.plan import Layer, Plan
from fxnorm.report.record import format_record
from fxnorm.report.table import console, headline, power, short
from fxnorm.report.text import printable


def model_record(graph: Graph) -> dict[str, Any]:
    """A model as plain data."""
    weights = {name for node in graph.nodes for name in node.inputs if name in graph.constants}
    return {
        "model": {"path": str(graph.path or ""), "sha256": graph.sha256},
        "inputs": [_value(graph, name) for name in graph.inputs],
        "outputs": [_value(graph, name) for name in graph.outputs],
        "operators": dict(sorted(Counter(node.op for node in graph.nodes).items())),
        "constants": sum(graph.constants[name].size for name in weights),
        "unsupported": unsupported(graph),
    }


def _value(graph: Graph, name: str) -> dict[str, Any]:
    value = graph.values[name]
    return {"name": name, "shape": list(value.shape), "dtype": str(value.dtype)}


def unsupported(graph: Graph) -> list[str]:
    """Why the model cannot be run, one line a node; empty where it can."""
    try:
        lower(graph)
    except UnsupportedError as error:
        return list(error.reasons)
    return []


def print_model(graph: Graph, *, where: str) -> None:
    """Print a model."""
    from rich.table import Table

    record = model_record(graph)
    out = console()
    out.print(
        printable(
            f"{where}: {len(graph.nodes)} nodes, {record['constants']:,} constants, SHA-256 {graph.sha256[:16]}…"
        ),
        soft_wrap=True,
    )
    table = Table(title="inputs and outputs", title_justify="left")
    for heading in ("", "name", "shape", "type"):
        table.add_column(heading)
    for kind in ("inputs", "outputs"):
        for value in record[kind]:
            table.add_row(
                kind[:-1], short(value["name"]), "×".join(map(str, value["shape"])) or "scalar", value["dtype"]
            )
    out.print(table)
    operators = Table(title="operators", title_justify="left")
    for heading in ("operator", "nodes", "kernel"):
        operators.add_column(heading, justify="right" if heading == "nodes" else "left")
    for op, number in record["operators"].items():
        operators.add_row(printable(op), str(number), LOWERINGS[op].kernel if op in LOWERINGS else "not supported")
    out.print(operators)
    for reason in record["unsupported"]:
        out.print(printable(f"not supported: {reason}"), soft_wrap=True)


def plan_record(plan: Plan) -> dict[str, Any]:
    """A plan as plain data: the decisions that a person asks for; plan.json holds all."""
    return {
        "model": {"path": plan.model_path, "sha256": plan.model_sha256},
        "data": {"description": plan.data, "sha256": plan.data_sha256},
        "plan": {"digest": plan.digest, **format_record(Format.parse(plan.format))},
        "options": dict(plan.options),
        "layers": [_layer_record(plan, layer) for layer in plan.layers],
    }


def _layer_record(plan: Plan, layer: Layer) -> dict[str, Any]:
    value = plan.values[layer.output]
    record: dict[str, Any] = {
        "name": layer.name,
        "op": layer.op,
        "kernel": layer.kernel.kind,
        "shape": list(value.shape),
        "format": str(value.encoding.format),
        "scale": value.encoding.scale,
        "offset": value.encoding.offset,
    }
    accumulator = layer.kernel.accumulator_format()
    if accumulator is not None:
        record["accumulator"] = {"format": str(accumulator), "proof": layer.kernel.accumulator_proof()}
    return record


def print_plan(plan: Plan, *, where: str) -> None:
    """Print a plan."""
    from rich.table import Table

    out = console()
    out.print(printable(f"{where}: {headline(plan)}"), soft_wrap=True)
    out.print(
        printable(f"model {plan.model_path} (SHA-256 {plan.model_sha256[:16]}…), calibrated on {plan.data}"),
        soft_wrap=True,
    )
    out.print(f"plan: {plan.digest[:16]}")
    table = Table(title="layers", title_justify="left")
    for heading in ("layer", "op", "kernel", "shape", "format", "scale", "accumulator"):
        table.add_column(heading, overflow="fold")
    for layer in plan.layers:
        record = _layer_record(plan, layer)
        accumulator = record.get("accumulator")
        table.add_row(
            short(layer.name),
            printable(layer.op),
            layer.kernel.kind,
            "×".join(map(str, record["shape"])) or "scalar",
            record["format"],
            power(record["scale"]),
            "" if accumulator is None else f"{accumulator['format'].split(':')[0]}, {accumulator['proof']}",
        )
    out.print(table)
    total = sum(math.prod(plan.values[layer.output].shape) for layer in plan.layers)
    out.print(f"{len(plan.layers)} layers, {total:,} values a sample")


def operator_records() -> list[dict[str, str]]:
    """Every operator as plain data."""
    return [{"op": op, "kernel": operator.kernel, "note": operator.note} for op, operator in sorted(LOWERINGS.items())]


def print_operators() -> None:
    """Print every operator."""
    from rich.table import Table

    table = Table()
    for heading in ("operator", "kernel", "note"):
        table.add_column(heading)
    for record in operator_records():
        table.add_row(record["op"], record["kernel"], record["note"])
    out = console()
    out.print(table)
    out.print(f"{len(LOWERINGS)} operators; others are expanded into these where ONNX defines them as functions.")
