"""What arithmetic and memory become on an FPGA: DSP blocks, look-up tables and block RAMs, by published rules of thumb.

Numbers are those of AMD's UltraScale+ devices. They come before synthesis and are good for comparisons: what a synthesis tool shares or
merges is not in them, and neither are flip-flops and FIFOs.

Sources
-------
- DSP48E2: 27×18 bits signed (AMD UG579). A wider product is put together from several.
- Small multipliers in LUTs, and how many: M. Blott et al., FINN-R: An End-to-End Deep-Learning Framework for Fast Exploration of Quantized
  Neural Networks, ACM TRETS 2018: (2·⌈(a + b)/6⌉ - 1)·(a + b). So are 300 LUTs of control a layer and 10 % on top.
- LUTs: one a bit of an adder with its carry chain, a 4:1 multiplexer a LUT6, 64×1 bits of memory a LUT6 (AMD UG574).
- RAMB18: 16k×1, 8k×2, 4k×4, 2k×9, 1k×18 or 512×36 bits (AMD UG573).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from fxnorm.cost.work import Additive, Work

LUT_MULTIPLIER_BITS: Final = 10
"""Multipliers whose wider operand has no more bits go into LUTs, as synthesis tools do by default (about)."""
DSP_BITS: Final = (27, 18)
LUT_MEMORY_WORDS: Final = 64
"""Memories of no more words go into LUTs."""
RAM_SHAPES: Final = ((16384, 1), (8192, 2), (4096, 4), (2048, 9), (1024, 18), (512, 36))
LAYER_LUTS: Final = 300
LUT_OVERHEAD: Final = (11, 10)


@dataclass(frozen=True, slots=True)
class Resources(Additive):
    """DSP blocks, LUTs and 18-kbit block RAMs."""

    dsp: int = 0
    lut: int = 0
    bram18: int = 0

    def record(self) -> dict[str, Any]:
        """Plain data."""
        return {"dsp": self.dsp, "lut": self.lut, "bram18": self.bram18}


def multiplier(a: int, b: int) -> Resources:
    """A multiplier of signed integers of `a` and `b` bits."""
    if max(a, b) <= LUT_MULTIPLIER_BITS:
        return Resources(lut=(2 * _ceil(a + b, 6) - 1) * (a + b))
    wide, narrow = DSP_BITS
    return Resources(dsp=min(_ceil(a, wide) * _ceil(b, narrow), _ceil(b, wide) * _ceil(a, narrow)))


def adder(bits: int) -> Resources:
    """An adder: a LUT a bit."""
    return Resources(lut=bits)


def comparator(bits: int) -> Resources:
    """A comparison, two bits a LUT on the carry chain, and a choice between two words, a LUT a bit."""
    return Resources(lut=_ceil(bits, 2) + bits)


def shifter(bits: int, places: int) -> Resources:
    """A shift by 0 to `places`: levels of 4:1 multiplexers."""
    return Resources(lut=bits * _ceil(places.bit_length(), 2))


def memory(words: int, bits: int) -> Resources:
    """A memory that is read at one address a cycle: LUTs where it is shallow, else block RAMs in the shape that takes the fewest."""
    if words == 0 or bits == 0:
        return Resources()
    if words <= LUT_MEMORY_WORDS:
        return Resources(lut=bits)
    return Resources(bram18=min(_ceil(words, deep) * _ceil(bits, wide) for deep, wide in RAM_SHAPES))


def units(work: Work) -> Resources:
    """One unit for each operation."""
    result = Resources()
    for (a, b), count in work.multipliers.items():
        result += multiplier(a, b) * count
    for bits, count in work.adders.items():
        result += adder(bits) * count
    for bits, count in work.comparators.items():
        result += comparator(bits) * count
    for (bits, places), count in work.shifters.items():
        result += shifter(bits, places) * count
    return result


def layer(parts: Resources) -> Resources:
    """A layer made of parts: with its control."""
    numerator, denominator = LUT_OVERHEAD
    return Resources(parts.dsp, LAYER_LUTS + _ceil(parts.lut * numerator, denominator), parts.bram18)


def _ceil(number: int, divisor: int) -> int:
    return -(-number // divisor)
