"""A plan as a design: its values as ports, its kernels as blocks, and the channels, forks and depths between them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final

from fxnorm.errors import UnsupportedError
from fxnorm.hls import tokens
from fxnorm.hls.block import Block, Port, Refusal, Rows, Site, Sliding, WeightPort
from fxnorm.hls.blocks.catalog import BLOCKS
from fxnorm.hls.choices import STREAM, Choices
from fxnorm.hls.depths import find_depths
from fxnorm.hls.float_words import with_words
from fxnorm.hls.layout import image_values, layout
from fxnorm.hls.names import layer_name, value_name
from fxnorm.planning.plan import Layer, Plan

MINIMUM_DEPTH: Final = 2
SLACK: Final = 2
"""Entries more than a frame needs, for pipelines that stop as a whole."""


@dataclass(frozen=True, slots=True)
class Unit:
    """A block of the design, what it stands for, and its channels."""

    site: Site
    block: Block
    layer: Layer
    sources: tuple[str, ...]
    target: str

    @property
    def name(self) -> str:
        """Generated name."""
        return self.site.name


@dataclass(frozen=True, slots=True)
class Fork:
    """One stream that goes to several places, or to none, as a process of its own."""

    name: str
    port: Port
    source: str
    targets: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Channel:
    """A FIFO inside of the design.

    Attributes
    ----------
    depth
        Entries; 0 until they are found.
    least
        Entries with which a frame just passes.
    """

    name: str
    port: Port
    depth: int = 0
    least: int = 0


@dataclass(frozen=True, slots=True)
class Terminal:
    """An input or an output of the design: its name, what it carries, and its name in the model."""

    name: str
    port: Port
    original: str


@dataclass(frozen=True)
class Design:
    """Everything that is written, but for the words.

    Attributes
    ----------
    plan, choices
        What it was made from.
    ports
        Port of every value, by the value's name in the plan.
    units, forks, channels
        Processes and FIFOs.
    inputs, outputs
        Ends of the design.
    """

    plan: Plan
    choices: Choices
    ports: Mapping[str, Port]
    units: tuple[Unit, ...]
    forks: tuple[Fork, ...]
    channels: tuple[Channel, ...]
    inputs: tuple[Terminal, ...]
    outputs: tuple[Terminal, ...]

    @property
    def streams(self) -> bool:
        """Whether blocks are joined by channels."""
        return self.choices.io == STREAM

    @cached_property
    def weights(self) -> tuple[WeightPort, ...]:
        """Ports of weights, in the order of their layers."""
        return tuple(unit.block.weights for unit in self.units if unit.block.weights is not None)

    @cached_property
    def counters(self) -> tuple[str, ...]:
        """Every counter: l03_linear_overflow."""
        return tuple(f"{unit.name}_{counter}" for unit in self.units for counter in unit.block.counters)

    def network(self) -> tokens.Network:
        """Processes and FIFOs for the token simulation; the design's ends are FIFOs to and from its surroundings."""
        ends = (*self.inputs, *self.outputs)
        wires = [*((end.name, end.port) for end in ends), *((own.name, own.port) for own in self.channels)]
        number = {name: place for place, (name, _) in enumerate(wires)}
        fifos = tuple(tokens.Fifo(name, port.layout.lanes * port.format.width) for name, port in wires)
        processes = [
            *(
                tokens.Process(f"feed_{end.name}", tokens.feed(number[end.name], end.port.layout.beats))
                for end in self.inputs
            ),
            *(tokens.Process(unit.name, _program(unit, number)) for unit in self.units),
            *(
                tokens.Process(
                    fork.name,
                    tokens.fork(number[fork.source], [number[name] for name in fork.targets], fork.port.layout.beats),
                )
                for fork in self.forks
            ),
            *(
                tokens.Process(f"drain_{end.name}", tokens.drain(number[end.name], end.port.layout.beats))
                for end in self.outputs
            ),
        ]
        return tokens.Network(fifos, tuple(processes))


def _program(unit: Unit, number: Mapping[str, int]) -> tokens.Program:
    """Reads and writes of a block for one frame: what the wrapper of its style does."""
    inputs, output = unit.site.inputs, unit.site.output
    sources = [number[name] for name in unit.sources]
    target = number[unit.target]
    match unit.block.style:
        case Rows(streams=True):
            reads = [tokens.Read(fifo, port.layout.row_beats) for fifo, port in zip(sources, inputs, strict=True)]
            return tokens.repeat(output.layout.rows, (*reads, tokens.Write(target, output.layout.row_beats)))
        case Sliding(geometry=geometry, streams=True):
            own, other = inputs[0].layout, output.layout
            space = inputs[0].shape[2:]
            image = tokens.window(sources[0], target, space, geometry, own.row_beats, other.row_beats)
            return tokens.repeat(own.outer, image)
        case _:
            reads_ = [(fifo, port.layout.beats) for fifo, port in zip(sources, inputs, strict=True)]
            return tokens.frame(reads_, [(target, output.layout.beats)])


def make_design(plan: Plan, choices: Choices) -> Design:
    """Turn a plan into a design. Nonlinear normalizations of inputs become layers, so that those inputs are float32 words.

    Raises
    ------
    UnsupportedError
        If a kernel has no block, a block cannot have what the plan says, or a target has no word for a format; all such layers at once.
    UsageError
        If `--parallelism` or `--weights` names a layer that is not there, or that has no weights.
    """
    plan = with_words(plan)
    ports = _ports(plan)
    check_choices(plan, choices)
    refusals = _format_refusals(plan, choices)
    built = []
    for index, layer in enumerate(plan.layers):
        name = layer_name(index, type(layer.kernel).kind)
        entry = BLOCKS.get(type(layer.kernel))
        where = f"{layer.name} ({layer.op})"
        if entry is None:
            refusals.append(f"{where}: the kernel {type(layer.kernel).kind!r} has no hardware yet")
            continue
        inputs = tuple(ports[value] for value in layer.inputs)
        ported = entry.weighted and choices.ported(layer.name, name)
        site = Site(name, layer.kernel, inputs, ports[layer.output], choices.of_layer(layer.name, name), ported)
        try:
            built.append((site, entry.build(site).placed(site), layer))
        except Refusal as refusal:
            refusals.append(f"{where}: {refusal}")
    if refusals:
        raise UnsupportedError(refusals, "layer{s} cannot be emitted")
    return _connected(plan, choices, ports, built)


def check_choices(plan: Plan, choices: Choices) -> None:
    """Refuse words about layers that are not there, or have not what the words are about.

    Raises
    ------
    UsageError
        Naming the pattern.
    """
    names = [(layer.name, layer_name(index, type(layer.kernel).kind)) for index, layer in enumerate(plan.layers)]
    choices.check_layers(names)
    entries = [BLOCKS.get(type(layer.kernel)) for layer in plan.layers]
    choices.check_weights(
        [own for own, entry in zip(names, entries, strict=True) if entry is not None and entry.weighted]
    )


def _ports(plan: Plan) -> dict[str, Port]:
    shapes = {name: value.shape for name, value in plan.values.items()}
    images: list[str] = []
    ties = []
    for layer in plan.layers:
        entry = BLOCKS.get(type(layer.kernel))
        if entry is not None and entry.images(layer.kernel):
            images += [*layer.inputs, layer.output]
        if entry is not None and entry.tied:
            ties.append((*layer.inputs, layer.output))
    pixels = image_values(shapes, images, ties)
    ordered = dict.fromkeys((*plan.inputs, *(layer.output for layer in plan.layers)))
    ports = {}
    for index, name in enumerate(ordered):
        format_ = plan.values[name].encoding.format
        own = layout(shapes[name], format_.width, pixels=name in pixels)
        ports[name] = Port(value_name(index), format_, shapes[name], own)
    return ports


def _format_refusals(plan: Plan, choices: Choices) -> list[str]:
    """Values whose format a target has no word for, and values without elements, which no array can hold."""
    owners = {layer.output: f"{layer.name} ({layer.op})" for layer in plan.layers}
    refusals = []
    for name, value in plan.values.items():
        where = owners.get(name, f"input {name}")
        if 0 in value.shape:
            refusals.append(
                f"{where}: a value of the shape {list(value.shape)} has no elements, and hardware none for it"
            )
        for dialect in choices.targets:
            reason = dialect.refusal(value.encoding.format)
            if reason is not None:
                refusals.append(f"{where}: {dialect.name} cannot have it: {reason}")
    return refusals


def _connected(
    plan: Plan, choices: Choices, ports: Mapping[str, Port], built: list[tuple[Site, Block, Layer]]
) -> Design:
    inputs = tuple(Terminal(f"in{index}", ports[name], name) for index, name in enumerate(plan.inputs))
    outputs = tuple(
        Terminal(f"out{index}", ports[value], name) for index, (name, value) in enumerate(plan.outputs.items())
    )
    readers: dict[str, int] = dict.fromkeys(ports, 0)
    for _, _, layer in built:
        for name in layer.inputs:
            readers[name] += 1
    drains: dict[str, list[str]] = {name: [] for name in ports}
    for end, value in zip(outputs, plan.outputs.values(), strict=True):
        drains[value].append(end.name)
    sources = {name: end.name for name, end in zip(plan.inputs, inputs, strict=True)}
    channels: list[Channel] = []
    forks: list[Fork] = []
    taken: dict[str, list[str]] = {}
    written: dict[str, str] = {}
    for name, port in ports.items():
        ends, count = drains[name], readers[name]
        source = sources.get(name)
        if count + len(ends) == 1 and not (source and ends):
            # One reader: the producer's own channel, or the design's end.
            wire = ends[0] if ends else source or port.name
            if not ends and source is None:
                channels.append(Channel(wire, port))
            taken[name] = [wire]
            written[name] = wire
            continue
        if source is None:
            source = port.name
            channels.append(Channel(source, port))
        branches = [f"{port.name}_{branch}" for branch in range(count)]
        channels += [Channel(branch, port) for branch in branches]
        forks.append(Fork(f"fork_{port.name}", port, source, (*branches, *ends)))
        taken[name], written[name] = branches, source
    left = {name: iter(wires) for name, wires in taken.items()}
    units = [
        Unit(site, block, layer, tuple(next(left[name]) for name in layer.inputs), written[layer.output])
        for site, block, layer in built
    ]
    design = Design(plan, choices, ports, tuple(units), tuple(forks), tuple(channels), inputs, outputs)
    return replace(design, channels=_with_depths(design)) if design.streams else replace(design, channels=(), forks=())


def _with_depths(design: Design) -> tuple[Channel, ...]:
    """Channels as deep as a frame needs them, and a little deeper."""
    network = design.network()
    found = find_depths(network, minimum=MINIMUM_DEPTH, slack=SLACK)
    places = {fifo.name: place for place, fifo in enumerate(network.fifos)}
    return tuple(
        replace(channel, depth=found.chosen[places[channel.name]], least=found.needed[places[channel.name]])
        for channel in design.channels
    )
