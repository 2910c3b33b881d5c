"""A plan under generated names: what a project carries, so that its codes can be computed anew, without a word of the model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from fxnorm.hls.names import layer_name, value_name
from fxnorm.planning.plan import Plan


def value_names(plan: Plan) -> dict[str, str]:
    """Generated name of every value: the inputs first, then what layers make, in their order."""
    ordered = dict.fromkeys((*plan.inputs, *(layer.output for layer in plan.layers)))
    return {name: value_name(index) for index, name in enumerate(ordered)}


def anonymous(plan: Plan) -> Plan:
    """The same kernels and formats; names of values, layers, inputs and outputs are those of emitted files."""
    names = value_names(plan)

    def renamed(values: Sequence[str]) -> tuple[str, ...]:
        return tuple(names[name] for name in values)

    layers = []
    for index, layer in enumerate(plan.layers):
        kind = type(layer.kernel).kind
        layers.append(
            replace(
                layer,
                name=layer_name(index, kind),
                op=kind,
                inputs=renamed(layer.inputs),
                output=names[layer.output],
            )
        )
    return Plan(
        layers=tuple(layers),
        inputs=renamed(plan.inputs),
        integer_inputs=renamed(plan.integer_inputs),
        outputs={f"out{index}": names[value] for index, value in enumerate(plan.outputs.values())},
        values={names[name]: value for name, value in plan.values.items()},
        model_path="",
        model_sha256="",
        data="",
        data_sha256="",
        options={"format": plan.format},
        transforms={names[name]: kernel for name, kernel in plan.transforms.items()},
    )
