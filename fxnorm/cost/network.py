"""Estimates of a whole network before synthesis: per layer, and together.

The network's initiation interval is the largest of its layers', for they work side by side; its latency is that of the longest path, each
layer adding its fill: the time until its first output. Where one function calls layer after layer (`io="parallel"`), both are their sum.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from fxnorm.cost.catalog import datapath
from fxnorm.cost.datapath import Datapath
from fxnorm.cost.resources import Resources
from fxnorm.cost.structure import Structure, input_site, sites
from fxnorm.cost.work import Cost
from fxnorm.hls.choices import STREAM, Choices
from fxnorm.planning.plan import Plan

SOURCES = (
    "cycles = vectors · folds (FINN-R, Blott et al. 2018); the interval adds transfers that do not overlap, and weights that come through "
    "ports, a word a cycle; DSP = ⌈a/27⌉·⌈b/18⌉ above 10 bits (AMD UG579), LUTs below (FINN-R); RAMB18 by aspect ratio (AMD UG573); FIFOs, "
    "flip-flops and bus adapters not included"
)


@dataclass(frozen=True, slots=True)
class Estimate:
    """Estimates of one layer.

    Attributes
    ----------
    name, op, kernel
        The layer.
    structure
        "rows", "sliding" or "frame".
    pe, simd
        Outputs at a time, and products of each.
    vectors, folds
        Rows or pixels of a frame, and steps of each.
    cycles, interval
        Cycles of a frame's work; cycles from one frame to the next.
    fill
        Cycles by which the first output comes later than what the layer reads.
    multipliers, multiplier_area
        Multipliers that are built, and Σ a·b over them.
    resources
        DSP blocks, LUTs, block RAMs.
    cost
        Work and memory, independent of folding.
    """

    name: str
    op: str
    kernel: str
    structure: str
    pe: int
    simd: int
    vectors: int
    folds: int
    cycles: int
    interval: int
    fill: int
    multipliers: int
    multiplier_area: int
    resources: Resources
    cost: Cost

    def record(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "name": self.name,
            "op": self.op,
            "kernel": self.kernel,
            "structure": self.structure,
            "pe": self.pe,
            "simd": self.simd,
            "vectors": self.vectors,
            "folds": self.folds,
            "cycles": self.cycles,
            "interval": self.interval,
            "fill": self.fill,
            "multipliers": self.multipliers,
            "multiplier_area": self.multiplier_area,
            **self.resources.record(),
            "cost": self.cost.record(),
        }


@dataclass(frozen=True, slots=True)
class NetworkEstimate:
    """Estimates of a network.

    Attributes
    ----------
    layers
        Nonlinear normalizations of inputs first, then layers in the order in which they run.
    io
        "stream" or "parallel".
    interval, first_output, latency
        Cycles from frame to frame, to the first beat of an output, and to the last one of all outputs.
    resources, cost
        Sums over layers.
    """

    layers: tuple[Estimate, ...]
    io: str
    interval: int
    first_output: int
    latency: int
    resources: Resources
    cost: Cost

    @property
    def multipliers(self) -> int:
        """Multipliers that are built."""
        return sum(own.multipliers for own in self.layers)

    @property
    def multiplier_area(self) -> int:
        """Σ a·b over the multipliers that are built."""
        return sum(own.multiplier_area for own in self.layers)

    def record(self) -> dict[str, Any]:
        """Plain data, for a manifest."""
        return {
            "note": f"estimates before synthesis: {SOURCES}",
            "io": self.io,
            "interval": self.interval,
            "first_output": self.first_output,
            "latency": self.latency,
            "multipliers": self.multipliers,
            "multiplier_area": self.multiplier_area,
            **self.resources.record(),
            "cost": self.cost.record(),
            "layers": [own.record() for own in self.layers],
        }


def plan_cost(plan: Plan) -> Cost:
    """Work and memory of a plan a sample, whatever hardware does it: the sum over layers."""
    found = [datapath(site) for site in sites(plan, Choices.make())]
    found += [datapath(input_site(plan, name)) for name in plan.transforms]
    return _sum([path.cost() for path in found])


def estimate(plan: Plan, parallelism: Sequence[str] = (), *, io: str | None = None) -> NetworkEstimate:
    """Estimate a plan's design.

    Parameters
    ----------
    parallelism
        As `--parallelism` has it: "1", "16", "full", "LAYER=16".
    io
        "stream" or "parallel".

    Raises
    ------
    UsageError
        If a word is unknown, or a layer is named that is not there.
    UnsupportedError
        If a layer has integers that are wider than hardware has them.
    """
    return estimate_design(plan, Choices.make(io=io, parallelism=parallelism))


def estimate_design(plan: Plan, choices: Choices) -> NetworkEstimate:
    """Estimate a plan's design for choices that were made already."""
    own = [Structure.of(site, _path(plan, index, site)) for index, site in enumerate(sites(plan, choices))]
    fronts = {name: Structure.of(site, datapath(site)) for name, site in _fronts(plan).items()}
    timing = _Timing(plan)
    for name, front in fronts.items():
        timing.add(front, (None,), name)
    for layer, structure in zip(plan.layers, own, strict=True):
        timing.add(structure, layer.inputs, layer.output)
    heads = [
        *((name, plan.transforms[name].function, plan.transforms[name].kind, front) for name, front in fronts.items()),
        *(
            (layer.name, layer.op, layer.kernel.kind, structure)
            for layer, structure in zip(plan.layers, own, strict=True)
        ),
    ]
    layers = tuple(
        _layer(name, op, kind, structure, fill)
        for (name, op, kind, structure), fill in zip(heads, timing.fills, strict=True)
    )
    resources = Resources()
    for one in layers:
        resources += one.resources
    cost = _sum([one.cost for one in layers])
    if choices.io == STREAM:
        interval, first, latency = timing.interval, timing.first(), timing.latency()
    else:
        interval = first = latency = sum(one.load + one.cycles for one in (*fronts.values(), *own))
    return NetworkEstimate(layers, choices.io, interval, first, latency, resources, cost)


def _fronts(plan: Plan) -> dict[str, Any]:
    return {name: input_site(plan, name) for name in plan.transforms}


def _path(plan: Plan, index: int, site: Any) -> Datapath:
    """Work of a layer; none where its output has no elements."""
    empty = 0 in plan.values[plan.layers[index].output].shape
    return Datapath(0, 1) if empty else datapath(site)


def _sum(costs: Sequence[Cost]) -> Cost:
    result = Cost()
    for cost in costs:
        result += cost
    return result


def _layer(name: str, op: str, kind: str, own: Structure, fill: int) -> Estimate:
    return Estimate(
        name=name,
        op=op,
        kernel=kind,
        structure=own.kind,
        pe=own.folding.pe,
        simd=own.folding.simd,
        vectors=own.path.vectors,
        folds=own.folding.steps,
        cycles=own.cycles,
        interval=own.interval,
        fill=fill,
        multipliers=own.multipliers,
        multiplier_area=own.multiplier_area,
        resources=own.resources(),
        cost=own.path.cost(),
    )


class _Timing:
    """When each value's first beat comes, and how many cycles a frame of it takes, in a design of streams."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._first: dict[str | None, int] = {None: 1}
        self._rate: dict[str | None, int] = {None: 1}
        self._beats: dict[str | None, int] = {None: 1}
        for name in plan.inputs:
            self._first[name] = self._rate[name] = self._beats[name] = 1
        self.fills: list[int] = []
        self.interval = 1

    def add(self, own: Structure, inputs: Sequence[str | None], output: str) -> None:
        """Take a layer whose inputs are known."""
        rate, start, arrival = own.interval, own.load, 0
        for index, name in enumerate(inputs):
            before, beats = self._rate[name], own.site.inputs[index].layout.beats
            # A beat comes at most every cycle, and no faster than the layers before let it.
            period = max(1, -(-before // beats))
            arrival = max(arrival, self._first[name])
            start = max(start, self._first[name] + (own.needed(index) - 1) * period)
            rate = max(rate, before)
        self._first[output] = start + own.first
        self._rate[output], self._beats[output] = rate, own.site.output.layout.beats
        self.fills.append(self._first[output] - arrival)
        self.interval = max(self.interval, rate)

    def first(self) -> int:
        """Cycle in which the last of the outputs begins."""
        return max((self._first[name] for name in self._plan.outputs.values()), default=0)

    def latency(self) -> int:
        """Cycle in which the last output ends."""
        ends = [
            self._first[name] + (self._beats[name] - 1) * max(1, -(-self._rate[name] // self._beats[name]))
            for name in self._plan.outputs.values()
        ]
        return max(ends, default=0)
