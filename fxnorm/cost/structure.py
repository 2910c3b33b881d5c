"""How the emitted design is built around a kernel: its values' order, the units at work at a time, and the cycles of a frame."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from fxnorm.cost.datapath import Datapath
from fxnorm.cost.resources import Resources, layer, memory, units
from fxnorm.fixed.format import Format
from fxnorm.hls.block import Axis, Frame, Port, Refusal, Rows, Site, Sliding, Style
from fxnorm.hls.blocks.catalog import BLOCKS
from fxnorm.hls.choices import Choices
from fxnorm.hls.folding import Folding, fold
from fxnorm.hls.layout import image_values, layout
from fxnorm.hls.names import layer_name, value_name
from fxnorm.kernels.kernel import Kernel
from fxnorm.planning.plan import Plan

WORD: Format = Format(32, 32, False)
"""What a nonlinear normalization of an input reads: a float32 word."""


def sites(plan: Plan, choices: Choices) -> list[Site]:
    """Every layer with its values as they travel in the emitted design, and the parallelism that was asked for it.

    Values without elements travel as one: there is nothing to lay out.

    Raises
    ------
    UsageError
        If a layer is named that is not there.
    """
    names = [(own.name, layer_name(index, type(own.kernel).kind)) for index, own in enumerate(plan.layers)]
    choices.check_layers(names)
    shapes = {name: value.shape for name, value in plan.values.items()}
    images: list[str] = []
    ties = []
    for own in plan.layers:
        entry = BLOCKS.get(type(own.kernel))
        if entry is not None and entry.images(own.kernel):
            images += [*own.inputs, own.output]
        if entry is not None and entry.tied:
            ties.append((*own.inputs, own.output))
    pixels = image_values(shapes, images, ties)

    def port(index: int, name: str) -> Port:
        format_ = plan.values[name].encoding.format
        shape = tuple(max(size, 1) for size in shapes[name])
        return Port(value_name(index), format_, shape, layout(shape, format_.width, pixels=name in pixels))

    ports = {name: port(index, name) for index, name in enumerate(plan.values)}
    return [
        Site(
            generated,
            own.kernel,
            tuple(ports[name] for name in own.inputs),
            ports[own.output],
            choices.of_layer(name, generated),
            _weighted(own.kernel) and choices.ported(name, generated),
        )
        for (name, generated), own in zip(names, plan.layers, strict=True)
    ]


def _weighted(kernel: Kernel) -> bool:
    entry = BLOCKS.get(type(kernel))
    return entry is not None and entry.weighted


def input_site(plan: Plan, name: str) -> Site:
    """The nonlinear normalization in front of an input: float32 words in, codes out, one element a cycle."""
    value = plan.values[name]
    shape = tuple(max(size, 1) for size in value.shape)
    ends = (WORD, value.encoding.format)
    source, target = (Port("in", format_, shape, layout(shape, format_.width, pixels=False)) for format_ in ends)
    return Site("input", plan.transforms[name], (source,), target)


@dataclass(frozen=True, slots=True)
class Structure:
    """A kernel in hardware.

    Attributes
    ----------
    site, path
        The kernel and its work.
    style
        What a step works on: rows, windows or frames; see `fxnorm.hls.block`.
    folding
        Units at work.
    load
        Cycles in which its weights come through their port, a word each, before a frame.
    """

    site: Site
    path: Datapath
    style: Style
    folding: Folding
    load: int = 0

    @classmethod
    def of(cls, site: Site, path: Datapath) -> Structure:
        """As the emitter builds it. What it refuses is taken for a frame's worth of folded work."""
        whole = fold(path.outputs, path.inputs, None)
        entry = BLOCKS.get(type(site.kernel))
        if entry is None:
            return cls(site, path, Frame(), fold(path.outputs, path.inputs, site.parallelism))
        try:
            block = entry.build(site).placed(site)
        except Refusal:
            return cls(site, path, Frame(), fold(path.outputs, path.inputs, site.parallelism))
        load = 0 if block.weights is None else block.weights.size
        if getattr(block.style, "pipelined", False):
            return cls(site, path, block.style, whole, load)
        single = Folding(1, 1, path.outputs, path.inputs)
        return cls(site, path, block.style, getattr(block.view, "folding", single), load)

    @property
    def kind(self) -> str:
        """How its values pass: "rows", "sliding" or "frame"."""
        return self.style.kind if self.style.streams else "frame"

    @property
    def steps(self) -> int:
        """Cycles of one vector, each pass counted; 1 where vectors follow one another at an interval of 1."""
        return self.folding.steps * self.path.passes

    @property
    def cycles(self) -> int:
        """Cycles of a frame's work: vectors times folds, as in FINN-R (Blott et al., 2018), times passes."""
        return self.path.vectors * self.steps

    @property
    def interval(self) -> int:
        """Cycles from a frame to the next: the work, and the transfers that do not go on meanwhile.

        Where vectors follow one another at an interval of 1, only the slower one of work and transfers counts.
        """
        return self.load + self._flow

    @property
    def _flow(self) -> int:
        """Cycles of a frame without those of its weights' port."""
        output = self.site.output.layout
        match self.style:
            case Rows(streams=True, pipelined=pipelined):
                beats = [port.layout.row_beats for port in (*self.site.inputs, self.site.output)]
                return (
                    output.rows * self.style.interval(self.site)
                    if pipelined
                    else self.cycles + output.rows * sum(beats)
                )
            case Sliding(streams=True, pipelined=pipelined):
                own = self.site.inputs[0].layout
                places = own.outer * math.prod(axis.padded for axis in self.style.axes)
                scan = places * own.row_beats
                return places * self.style.interval(self.site) if pipelined else self.cycles + scan + output.beats
        return self.cycles + sum(port.layout.beats for port in (*self.site.inputs, self.site.output))

    def needed(self, index: int) -> int:
        """Beats of an input before the first output can be made."""
        own = self.site.inputs[index].layout
        match self.style:
            case Rows(streams=True):
                return own.row_beats
            case Sliding(streams=True):
                return max(_pixels_up_to(self.style.axes), 1) * own.row_beats
        return own.beats

    @property
    def first(self) -> int:
        """Cycles from the last beat that the first output needs to that output."""
        return (self.steps if self.style.streams else self.cycles) + 1

    def resources(self) -> Resources:
        """DSP blocks, LUTs and block RAMs."""
        path, own = self.path, self.folding
        parts = units(path.product) * own.width + units(path.output) * own.pe + units(path.group)
        for work, _ in path.others:
            parts += units(work) * own.pe
        for kept in path.memories:
            match kept.access:
                case "product":
                    parts += memory(-(-kept.words // own.width), kept.bits * own.width)
                case "output":
                    parts += memory(-(-kept.words // own.pe), kept.bits * own.pe)
                case "copy":
                    parts += memory(kept.words, kept.bits) * -(-own.pe // 2)
                case _:
                    parts += memory(kept.words, kept.bits)
        return layer(parts)

    @property
    def multipliers(self) -> int:
        """Multipliers that are built."""
        path, own = self.path, self.folding
        others = sum(work.multiplications for work, _ in path.others)
        single = path.output.multiplications + others
        return path.product.multiplications * own.width + single * own.pe + path.group.multiplications

    @property
    def multiplier_area(self) -> int:
        """Σ a·b over the multipliers that are built."""
        path, own = self.path, self.folding
        others = sum(work.multiplier_area for work, _ in path.others)
        single = path.output.multiplier_area + others
        return path.product.multiplier_area * own.width + single * own.pe + path.group.multiplier_area


def _pixels_up_to(axes: Sequence[Axis]) -> int:
    """Pixels of an image that come no later than the end of the first window, in the order of the image."""
    first, *rest = axes
    inner = math.prod(axis.size for axis in rest)
    last = first.reach - 1 - first.before
    if last < 0:
        return 0
    if last >= first.size:
        return first.size * inner
    return last * inner + (_pixels_up_to(rest) if rest else 1)
