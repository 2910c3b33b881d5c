"""What a search may choose: a width for every group of layers, and, where asked for, normalization and the bits of accumulators."""

from __future__ import annotations

import glob
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from fxnorm.fixed.format import Format, Overflow, Rounding
from fxnorm.kernels.linear import Linear
from fxnorm.kernels.matmul import MatMul
from fxnorm.lowering.network import Network
from fxnorm.planning.options import Options
from fxnorm.planning.plan import Plan

Choice: TypeAlias = Mapping[str, int | str]
"""One point of the space: parameter → value."""

WIDTH: Final = "width"
NORMALIZE: Final = "normalize"
NARROWER: Final = "narrower"


@dataclass(frozen=True, slots=True)
class Group:
    """Layers that share a format: one that computes, and those behind it that only move or choose its data.

    Attributes
    ----------
    name
        Of the layer that computes.
    layers
        Names of all.
    """

    name: str
    layers: tuple[str, ...]


@dataclass(frozen=True)
class Space:
    """All points.

    Attributes
    ----------
    groups
        In the order in which layers run.
    widths
        Bits of formats, ascending.
    integer_bits
        Of all formats, the sign among them; with scales that travel with the data they do not matter.
    normalizations
        Modes that groups choose from; with one there is nothing to choose.
    narrower
        Bits by which accumulators of dense layers and convolutions may be narrower than what is proven never to overflow; they saturate
        then. (0,): they are all exact.
    base
        Options that all points share.
    """

    groups: tuple[Group, ...]
    widths: tuple[int, ...]
    integer_bits: int
    normalizations: tuple[str, ...]
    narrower: tuple[int, ...] = (0,)
    base: Mapping[str, object] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        network: Network,
        widths: Sequence[int],
        integer_bits: int,
        normalizations: Sequence[str],
        narrower: Sequence[int] = (0,),
        base: Mapping[str, object] | None = None,
    ) -> Space:
        """Space of a network."""
        return cls(
            groups_of(network),
            tuple(sorted(set(widths))),
            integer_bits,
            tuple(dict.fromkeys(normalizations)),
            tuple(sorted(set(narrower))),
            base or {},
        )

    @property
    def parameters(self) -> dict[str, tuple[int | str, ...]]:
        """Values of every parameter: "width:conv1" → (4, 5, 6)."""
        found: dict[str, tuple[int | str, ...]] = {}
        for group in self.groups:
            found[f"{WIDTH}:{group.name}"] = self.widths
            if len(self.normalizations) > 1:
                found[f"{NORMALIZE}:{group.name}"] = self.normalizations
            if len(self.narrower) > 1:
                found[f"{NARROWER}:{group.name}"] = self.narrower
        return found

    def uniform(self, width: int, normalize: str) -> dict[str, int | str]:
        """Point of one width and one normalization everywhere, with exact accumulators."""
        fixed: dict[str, int | str] = {WIDTH: width, NORMALIZE: normalize, NARROWER: 0}
        return {name: fixed[name.partition(":")[0]] for name in self.parameters}

    def options(self, choice: Choice, accumulators: Mapping[str, Format] | None = None) -> Options:
        """Options of a point.

        Parameters
        ----------
        accumulators
            Exact accumulators by layer, as `exact_accumulators` finds them in the plan without rules for accumulators.
        """
        rules: list[str] = []
        width, normalize = self._most(choice, WIDTH), self._most(choice, NORMALIZE) or self.normalizations[0]
        given = self.base.get("layers") or ()
        assert isinstance(given, tuple | list)
        for group in self.groups:
            own = {
                "format": self.format(int(choice[f"{WIDTH}:{group.name}"])),
                "normalize": str(choice.get(f"{NORMALIZE}:{group.name}", normalize)),
            }
            shared = {"format": self.format(int(width)), "normalize": str(normalize)}
            for key, value in own.items():
                if value != shared[key]:
                    rules += [f"{glob.escape(layer)}:{key}={value}" for layer in group.layers]
            less = int(choice.get(f"{NARROWER}:{group.name}", 0))
            if less and accumulators is not None and group.name in accumulators:
                exact = accumulators[group.name]
                narrow = Format(exact.width - less, exact.integer_bits - less, True, Rounding.TRN, Overflow.SAT)
                rules.append(f"{glob.escape(group.name)}:accumulator={narrow}")
        chosen = {**self.base, "normalize": str(normalize), "layers": [*given, *rules]}
        return Options.make(self.format(int(width)), **Options.without_idle_multiplier(chosen))

    def format(self, width: int) -> str:
        """Format of a width."""
        return f"q{self.integer_bits}.{width - self.integer_bits}"

    def needs_accumulators(self, choice: Choice) -> bool:
        """Whether some accumulator is narrower than its proof."""
        return any(name.startswith(NARROWER) and value for name, value in choice.items())

    def _most(self, choice: Choice, what: str) -> int | str:
        """The value that most groups have, the largest of those: what a plan has as its default, so that few rules are needed."""
        values = [value for name, value in choice.items() if name.partition(":")[0] == what]
        if what == WIDTH:
            # Inputs have the plan's format, and nothing may lose more than the widest layer asked for does.
            return max(values)
        return max(dict.fromkeys(values), key=values.count) if values else ""


def groups_of(network: Network) -> tuple[Group, ...]:
    """Layers that share a format. What only moves a network's input shares its format, which is the plan's."""
    makers: dict[str, str] = {}
    members: dict[str, list[str]] = {}
    for step in network.steps:
        follows = step.operation.passes and step.inputs
        name = makers.get(step.inputs[0], "") if follows else step.name
        makers[step.output] = name
        if name:
            members.setdefault(name, [])
            if step.name not in members[name]:
                members[name].append(step.name)
    return tuple(Group(name, tuple(layers)) for name, layers in members.items())


def exact_accumulators(plan: Plan) -> dict[str, Format]:
    """Accumulators of dense layers, convolutions and matrix products that are proven never to overflow, by layer."""
    return {
        layer.name: layer.kernel.accumulator
        for layer in plan.layers
        if isinstance(layer.kernel, Linear | MatMul) and layer.kernel.exact
    }
