"""Plans whose nonlinear normalizations of inputs are layers: what hardware gets is the float32 word, as an unsigned integer of 32 bits."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Final

from fxnorm.fixed.format import Format
from fxnorm.kernels.encoding import Encoding
from fxnorm.kernels.transform import LogTransform, PowerTransform, Transformation
from fxnorm.planning.plan import Layer, Plan, PlanValue

WORD: Final = Format(32, 32, False)
LARGEST: Final = 0x7F7F_FFFF
"""Word of the largest finite number."""


@dataclass(frozen=True)
class WordPlan(Plan):
    """A plan that takes words.

    Attributes
    ----------
    origin
        The plan that it was made from; both compute the same, and have one digest.
    """

    origin: Plan | None = None

    @cached_property
    def digest(self) -> str:
        """That of the plan that it was made from."""
        assert self.origin is not None
        return self.origin.digest


def with_words(plan: Plan) -> Plan:
    """The plan with its nonlinear normalizations of inputs as its first layers; the plan itself where it has none.

    An input keeps its name, and is the word; what the normalization makes of it gets a name of its own.
    """
    if not plan.transforms:
        return plan
    made: dict[str, str] = {}
    for name, kernel in plan.transforms.items():
        made[name] = f"{name} ({kernel.function})"
        while made[name] in plan.values:
            made[name] += "'"

    def renamed(name: str) -> str:
        return made.get(name, name)

    values = {renamed(name): value for name, value in plan.values.items()}
    fronts = []
    for name, kernel in plan.transforms.items():
        values[name] = PlanValue(plan.values[name].shape, Encoding(WORD))
        fronts.append(Layer(name, kernel.function, kernel, (name,), made[name], False))
    layers = [replace(own, inputs=tuple(map(renamed, own.inputs))) for own in plan.layers]
    kept = {entry.name: getattr(plan, entry.name) for entry in fields(Plan)}
    changed = {
        "layers": (*fronts, *layers),
        "values": values,
        "outputs": {name: renamed(value) for name, value in plan.outputs.items()},
        "transforms": {},
    }
    return WordPlan(**{**kept, **changed}, origin=plan)


def word_limits(plan: Plan) -> dict[str, tuple[int, int]]:
    """Smallest and largest word that inputs take, by name, for those that are words."""
    limits = {}
    for layer in plan.layers:
        if isinstance(layer.kernel, LogTransform | PowerTransform):
            function = Transformation.parse(layer.kernel.function)
            # Logarithms and powers below 0 have no value at 0; the next word is the smallest number of all.
            limits[layer.inputs[0]] = (0 if function.exponent > 0.0 else 1, LARGEST)
    return limits
