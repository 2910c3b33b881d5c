"""multiplier · x + bias, a channel at a time: `kernels/rescale.cpp.j2`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fxnorm.hls.block import Block, Rom, Rows, Site, Style, literal
from fxnorm.hls.blocks.stage import Interval, Stage, stage
from fxnorm.kernels.kernel import Kernel
from fxnorm.kernels.rescale import ScaleAndShift

Array = np.ndarray


@dataclass(frozen=True, slots=True)
class RescaleView:
    """What the template writes.

    Attributes
    ----------
    count
        Elements of a row.
    multiplier, bias
        C++ expressions of the integers of an element.
    roms
        Their tables, where they differ by channels.
    code_bits, accumulator_bits
        Widths of signed integers that hold a code and the accumulator.
    stage
        Rescale of the accumulator.
    """

    count: int
    multiplier: str
    bias: str
    roms: tuple[Rom, ...]
    code_bits: int
    accumulator_bits: int
    stage: Stage


def by_channel(kernel: Kernel) -> bool:
    """Whether channels that images have side by side have constants of their own."""
    return isinstance(kernel, ScaleAndShift) and kernel.axis == 1


def build(site: Site) -> Block:
    """Block of a `ScaleAndShift`."""
    kernel = site.kernel
    assert isinstance(kernel, ScaleAndShift)
    (port,) = site.inputs
    style: Style = Rows(kernel.axis, pipelined=True)
    row = port.layout.row if kernel.axis is None else port.shape[kernel.axis]
    codes = Interval.codes(port.format)
    accumulator = Interval(0, 0)
    for multiplier, bias in zip(kernel.multiplier.tolist(), kernel.bias.tolist(), strict=True):
        accumulator = accumulator | codes * Interval(multiplier, multiplier) + Interval(bias, bias)
    roms: list[Rom] = []
    view = RescaleView(
        count=row,
        multiplier=_constant(site, "multiplier", kernel.multiplier, roms),
        bias=_constant(site, "bias", kernel.bias, roms),
        roms=tuple(roms),
        code_bits=port.bits,
        accumulator_bits=accumulator.bits,
        stage=stage(site, kernel.stage, accumulator),
    )
    what = "one scale and shift for all" if kernel.axis is None else f"scale and shift of {row} channel(s)"
    return Block("rescale", what, view, style)


def _constant(site: Site, name: str, values: Array, roms: list[Rom]) -> str:
    """C++ expression of the constant of channel `lane`; a number where all have the same."""
    if len(set(values.tolist())) == 1:
        return literal(int(values[0]))
    rom = Rom.of(site, name, values)
    roms.append(rom)
    return rom.read("lane")
