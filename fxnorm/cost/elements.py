"""Work of kernels that go element by element, and of those that only move data."""

from __future__ import annotations

import math

import numpy as np

from fxnorm.cost.datapath import Datapath
from fxnorm.cost.parts import exponential_work, held, root_work, stage_work, table_work, width
from fxnorm.cost.sums import frame_buffer, stage_tables
from fxnorm.cost.work import NOTHING, WEIGHTS, Memory, Work, add, compare, multiply, shift, total
from fxnorm.hls.block import Site
from fxnorm.hls.blocks.stage import Interval
from fxnorm.kernels.divide import Divide
from fxnorm.kernels.elementwise import Elementwise
from fxnorm.kernels.leading_one import FRACTION, Line
from fxnorm.kernels.movement import Concat, Lookup, Movement
from fxnorm.kernels.movement import Reshape as ReshapeMove
from fxnorm.kernels.rescale import ScaleAndShift
from fxnorm.kernels.table import Function
from fxnorm.kernels.transform import LogTransform, PowerTransform

Array = np.ndarray


def rows(site: Site) -> tuple[int, int]:
    """Vectors and outputs of a kernel that takes values as they travel: rows, and the elements of one."""
    own = site.output.layout
    return own.rows, own.row


def operand_memories(site: Site, constants: tuple[Array | None, ...]) -> tuple[Memory, ...]:
    """Constant operands that are not one number, and inputs that are spread over the output: those are kept as frames."""
    memories = [
        Memory(WEIGHTS, constant.size, held(constant), "output")
        for constant in constants
        if constant is not None and constant.size and (constant != constant.reshape(-1)[0]).any()
    ]
    if any(port.shape != site.output.shape for port in site.inputs):
        memories += [frame_buffer(port) for port in (*site.inputs, site.output)]
    return tuple(memories)


def elementwise(site: Site) -> Datapath:
    """Sums, products, choices: operands brought to one step, the function, the stage."""
    kernel = site.kernel
    assert isinstance(kernel, Elementwise)
    ports = iter(site.inputs)
    parts, reaches = [], []
    for place, constant in enumerate(kernel.operands):
        if constant is None:
            reach = Interval.codes(next(ports).format)
        else:
            reach = Interval(int(constant.min(initial=0)), int(constant.max(initial=0)))
        reach, work = _term(kernel, place, reach)
        reaches.append(reach)
        parts.append(work)
    parts.append(_function(kernel, [reach.bits for reach in reaches]))
    parts.append(stage_work(site, kernel.stage, Interval.within(kernel.bound)))
    vectors, outputs = rows(site)
    memories = operand_memories(site, kernel.operands)
    if kernel.mask is not None:
        memories = (*memories, Memory(WEIGHTS, kernel.mask.size, 1, "output"))
    return Datapath(vectors, outputs, output=total(parts), memories=memories)


def _term(kernel: Elementwise, place: int, reach: Interval) -> tuple[Interval, Work]:
    """((code - zero) · multiplier) << shift."""
    zero, multiplier = kernel.zeros[place], kernel.multipliers[place]
    work = NOTHING
    if zero:
        reach = reach + Interval(-zero, -zero)
        work = work + add(reach.bits)
    if multiplier != 1:
        work = work + multiply(reach.bits, width(multiplier))
        reach = reach * Interval(multiplier, multiplier)
    return reach << kernel.shifts[place], work


def _function(kernel: Elementwise, bits: list[int]) -> Work:
    own = width(kernel.bound)
    match kernel.function:
        case "add":
            return add(own, len(bits) - 1)
        case "mul":
            work, so_far = NOTHING, bits[0]
            for other in bits[1:]:
                work = work + multiply(so_far, other)
                so_far += other
            return work
        case "prelu":
            return multiply(bits[0], bits[1]) + compare(own)
        case "hard_swish":
            inner = max(bits[0], width(max(kernel.parameters))) + 1
            return add(inner) + compare(inner, 2) + multiply(bits[0], width(kernel.parameters[1]))
        case "abs":
            return add(own) + compare(own)
        case _:
            return compare(own, max(len(bits) - 1, 1))


def scale_and_shift(site: Site) -> Datapath:
    """multiplier · x + bias; nothing of it where it is a mere clip."""
    kernel = site.kernel
    assert isinstance(kernel, ScaleAndShift)
    (port,) = site.inputs
    work, memories = NOTHING, list(stage_tables(kernel.stage))
    several = kernel.axis is not None
    magnitudes = np.abs(kernel.multiplier.astype(object))
    if any(int(m) & (int(m) - 1) for m in magnitudes.reshape(-1)):
        work = work + multiply(port.bits, held(kernel.multiplier))
    if np.any(kernel.bias):
        work = work + add(width(kernel.bound))
    if several:
        memories += [
            Memory(WEIGHTS, constant.size, held(constant), "output") for constant in (kernel.multiplier, kernel.bias)
        ]
    vectors, outputs = rows(site)
    return Datapath(
        vectors,
        outputs,
        output=work + stage_work(site, kernel.stage, Interval.within(kernel.bound)),
        memories=tuple(memories),
        accumulator=kernel.accumulator.width,
    )


def function(site: Site) -> Datapath:
    """A table."""
    kernel = site.kernel
    assert isinstance(kernel, Function)
    work, memories = table_work(kernel.table)
    vectors, outputs = rows(site)
    return Datapath(vectors, outputs, output=work, memories=memories)


def divide(site: Site) -> Datapath:
    """A reciprocal, a product, a shift."""
    kernel = site.kernel
    assert isinstance(kernel, Divide)
    port = site.inputs[-1]
    reciprocal, table = root_work(kernel.reciprocal, port.bits)
    dividend = held(kernel.dividend) if kernel.dividend is not None else site.inputs[0].bits
    bits = width(kernel.bound)
    work = compare(port.bits) + reciprocal + multiply(dividend + 1, kernel.reciprocal.bits + 1)
    work = work + shift(bits, kernel.fraction_bits - kernel.reciprocal.bits) + compare(bits)
    vectors, outputs = rows(site)
    return Datapath(
        vectors,
        outputs,
        output=work + stage_work(site, kernel.stage, Interval.within(kernel.bound)),
        memories=(*operand_memories(site, (kernel.dividend,)), Memory(table.kind, table.words, table.bits, "copy")),
    )


def movement(site: Site) -> Datapath:
    """Nothing but a stage; a frame is kept where the order changes."""
    kernel = site.kernel
    assert isinstance(kernel, Movement)
    (port,) = site.inputs
    work = NOTHING if kernel.stage is None else stage_work(site, kernel.stage, Interval.codes(port.format))
    vectors, outputs = rows(site)
    moves = (*kernel.moves, *kernel.filled)
    kept = (
        () if all(isinstance(move, ReshapeMove) for move in moves) else (frame_buffer(port), frame_buffer(site.output))
    )
    return Datapath(vectors, outputs, output=work, memories=kept)


def concat(site: Site) -> Datapath:
    """A stage for every operand that has one, which works for that operand's elements alone."""
    kernel = site.kernel
    assert isinstance(kernel, Concat)
    ports = iter(site.inputs)
    others, memories = [], []
    for constant, own in zip(kernel.operands, kernel.stages, strict=True):
        if constant is not None:
            memories.append(Memory(WEIGHTS, constant.size, held(constant)))
            continue
        port = next(ports)
        if own is not None:
            others.append((stage_work(site, own, Interval.codes(port.format)), port.size))
    vectors, outputs = rows(site)
    memories += [frame_buffer(port) for port in (*site.inputs, site.output)]
    return Datapath(vectors, outputs, others=tuple(others), memories=tuple(memories))


def lookup(site: Site) -> Datapath:
    """A table of rows."""
    kernel = site.kernel
    assert isinstance(kernel, Lookup)
    count = kernel.rows.shape[kernel.axis]
    size = kernel.rows.size // max(count, 1)
    indices = math.prod(site.inputs[0].shape)
    return Datapath(
        vectors=max(indices, 1),
        outputs=size,
        memories=(Memory(WEIGHTS, kernel.rows.size, held(kernel.rows), "output"),),
    )


def _line(line: Line) -> tuple[Work, tuple[Memory, ...]]:
    """t of a float32 word: leading one, table, two products by constants, their sum."""
    table, memories = table_work(line.table)
    work = shift(FRACTION + 1, FRACTION) + table + multiply(9, width(abs(line.octave)))
    work = work + multiply(line.table.output.width + 1, width(abs(line.slope))) + add(width(line.bound))
    return work, memories


def log_transform(site: Site) -> Datapath:
    """Logarithm of an input."""
    kernel = site.kernel
    assert isinstance(kernel, LogTransform)
    work, memories = _line(kernel.line)
    vectors, outputs = rows(site)
    stage = stage_work(site, kernel.stage, Interval.within(kernel.line.bound))
    return Datapath(vectors, outputs, output=work + stage, memories=memories)


def power_transform(site: Site) -> Datapath:
    """Power of an input: its logarithm, and an exponential of that."""
    kernel = site.kernel
    assert isinstance(kernel, PowerTransform)
    work, memories = _line(kernel.line)
    exponential, table = exponential_work(kernel.exponential)
    moved = shift(width(kernel.stage.bound), kernel.high - kernel.low + 2)
    stage = stage_work(site, kernel.stage, Interval.within(kernel.stage.bound))
    vectors, outputs = rows(site)
    work = work + exponential + moved + stage
    return Datapath(vectors, outputs, output=work, memories=(*memories, table))
