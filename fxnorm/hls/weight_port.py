"""Weights that come through a port of the design instead of a table in it: what the port holds, and where in the layer's memory it goes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import numpy as np

from fxnorm.hls.expressions import Loop, polynomial
from fxnorm.hls.folding import Folding
from fxnorm.hls.names import weights_name
from fxnorm.hls.rom import native_type
from fxnorm.hls.site import Site

Array = np.ndarray

WIDEST: Final = 64


@dataclass(frozen=True, slots=True)
class WeightPort:
    """A port with the weights of one layer: native integers, row-major in the shape that the model's weights have.

    The layer copies them into a memory of its own before each frame, in the order in which its folds need them. So the order at the port
    is the same for every folding, and nothing stays behind in the layer from one frame to the next.

    Attributes
    ----------
    name
        Generated name: w04.
    memory
        Of the layer: what its core reads.
    bits
        Of a word; the layer is built for every word of so many bits.
    shape
        [outputs, inputs of an output], or [outputs, channels of a group, taps of each axis].
    loops, source, place
        Over all words in their order: where each of them stands, and where it goes.
    width
        Words that the core reads in a cycle.
    values
        Those of the plan.
    """

    name: str
    memory: str
    bits: int
    shape: tuple[int, ...]
    loops: tuple[Loop, ...]
    source: str
    place: str
    width: int
    values: Array = field(repr=False)

    @classmethod
    def of(cls, site: Site, memory: str, weights: Array, bits: int, folding: Folding) -> WeightPort:
        """Port of a layer whose weights are [outputs, ...]."""
        loops, source, place = _copy(folding)
        return cls(weights_name(site.name), memory, bits, weights.shape, loops, source, place, folding.width, weights)

    @property
    def size(self) -> int:
        """Words."""
        return int(self.values.size)

    @property
    def type(self) -> str:
        """Native type of a word."""
        return native_type(self.bits)

    @property
    def parameter(self) -> str:
        """As a parameter of a function that reads the port."""
        return f"const {self.type} {self.name}[{self.size}]"

    @property
    def core_parameter(self) -> str:
        """As a parameter of the core, which reads the memory."""
        return f"const {self.type} {self.memory}[{self.size}]"


def port_bits(weights: Array) -> int | None:
    """Words of a port: the narrowest native integers that hold all weights; None where there are none."""
    low, high = int(weights.min(initial=0)), int(weights.max(initial=0))
    return next((bits for bits in (8, 16, 32, WIDEST) if -(1 << bits - 1) <= low and high < 1 << bits - 1), None)


def _copy(own: Folding) -> tuple[tuple[Loop, ...], str, str]:
    """Loops over weights [outputs, inputs], and places in the order of the folds: [rows, columns, pe, simd]."""
    if own.pe == 1 or own.columns == 1:
        return (("load_weights", "word", own.rows * own.columns * own.width),), "word", "word"
    inputs = own.columns * own.simd
    every = (("row", own.rows), ("pe", own.pe), ("column", own.columns), ("simd", own.simd))
    before = {"row": own.pe * inputs, "pe": inputs, "column": own.simd, "simd": 1}
    after = {"row": own.pe * inputs, "pe": own.simd, "column": own.width, "simd": 1}
    kept = [(name, count) for name, count in every if count > 1]
    source, place = (polynomial(*((name, steps[name]) for name, _ in kept)) for steps in (before, after))
    return tuple((f"load_{name}s", name, count) for name, count in kept), source, place
