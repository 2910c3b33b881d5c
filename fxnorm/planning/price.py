"""What normalization costs in hardware beyond shifts: multipliers and adders of the rescales in a plan."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

from fxnorm.kernels.elementwise import Elementwise
from fxnorm.kernels.movement import Concat
from fxnorm.kernels.stage import Rescale
from fxnorm.planning.plan import Layer, Plan


@dataclass(frozen=True, slots=True)
class Cost:
    """What normalization costs beyond shifts.

    Attributes
    ----------
    multipliers, adders
        Layers that have one at least.
    multiplications, additions
        How many there are a sample.
    """

    multipliers: int
    adders: int
    multiplications: int
    additions: int


def rescale_cost(plan: Plan) -> Cost:
    """Multipliers and adders that normalization needs in a plan; those that layers have anyway are not counted."""
    multipliers = adders = multiplications = additions = 0
    for layer in plan.layers:
        products, sums = _layer_cost(plan, layer)
        multipliers += products > 0
        adders += sums > 0
        multiplications += products
        additions += sums
    return Cost(multipliers, adders, multiplications, additions)


def _layer_cost(plan: Plan, layer: Layer) -> tuple[int, int]:
    """Multiplications and additions of one layer, a sample."""
    kernel, size = layer.kernel, _size(plan, layer.output)
    if isinstance(kernel, Concat):
        # Operands have stages of their own.
        computed = [own for own, constant in zip(kernel.stages, kernel.operands, strict=True) if constant is None]
        found = [(own, _size(plan, name)) for own, name in zip(computed, layer.inputs, strict=True) if own is not None]
    else:
        found = [(stage, size) for stage in stages(kernel)]
    products = sum(count * stage.multiplies for stage, count in found)
    sums = sum(count * (stage.zero != 0 or stage.origin != 0) for stage, count in found)
    if isinstance(kernel, Elementwise):
        products += size * sum(multiplier != 1 for multiplier in kernel.multipliers)
        sums += size * any(zero != 0 for zero in kernel.zeros)
    return products, sums


def _size(plan: Plan, value: str) -> int:
    return math.prod(plan.values[value].shape)


def stages(thing: Any) -> Iterator[Rescale]:
    """Every rescale stage in a kernel."""
    if isinstance(thing, Rescale):
        yield thing
    elif isinstance(thing, tuple):
        for entry in thing:
            yield from stages(entry)
    elif is_dataclass(thing) and not isinstance(thing, type):
        for field in fields(thing):
            yield from stages(getattr(thing, field.name))
