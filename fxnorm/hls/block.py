r"""What a kernel becomes in hardware: a block, all of whose numbers are computed, so that its template only writes them down.

Adding a kernel
---------------
1. ``fxnorm/hls/blocks/NAME.py`` with a function ``build(site: Site) -> Block``. It computes every width, constant table and magic number
   from ``site.kernel`` (with intervals: `fxnorm.hls.blocks.stage.Interval`), and puts them into a frozen view, a dataclass of its own.
   What the block cannot do it refuses with ``Refusal("why")``; whoever builds a project collects all refusals before it writes a file.
2. ``templates/kernels/NAME.cpp.j2``, which begins ``{% extends "kernels/layer.cpp.j2" %}`` and fills two blocks::

       {% block constants %}   ROMs:  {{ m.rom(k.weights) }}
       {% block core %}        the body of the core function, in the loops of ``m.loop``

   It sees ``k`` (the view), ``b`` (the block), ``site`` (name and ports), ``d`` (the dialect) and ``m`` (``kernels/macros.j2``: ``loop``,
   ``rom``, ``stage``). It computes nothing.
3. One line in ``fxnorm/hls/blocks/catalog.py``: the kernel's class, its function, and how its values like to travel.

The core
--------
The layer template makes of the core both functions of a layer, the one on streams and the one on arrays, whose wrappers are written once.
What the core works on is the block's style; ``x0``, ``x1``, … are its inputs, ``y`` is its output, arrays of the tensors' types:

=========  ===================================================================================================================
`Rows`     ``x0[row of input 0]``, … → ``y[row of the output]``; called for every row of one axis (by default the last one; with
           ``axis=None`` however values travel: element by element). With ``indexed``, ``int row`` counts rows. Where values do not
           travel in such rows, whole frames are read and cut into rows.
`Sliding`  ``x0[channel * taps + tap]`` → ``y[channels of the output]``: one window of an image; called for every pixel of the output.
           Padding is filled in. With ``indexed``, ``int pixel`` counts the pixels of an image.
`Frame`    whole values, ``x0[...]``, … → ``y[...]``, row-major in their shapes. Streams are read into arrays and written from them.
=========  ===================================================================================================================

A core has no state but local variables, which it initialises: frames follow one another. Codes go in by ``fx_code(x0[i])`` and out by
``fx_set(y[i], code)``, mostly by ``m.stage(stage, accumulator, target, channel)``, which does a whole `Rescale` and counts its overflow.
Counters are declared in `Block.counters` and counted by ``FX_COUNT({{ site.name }}_overflow, lost)``; they must come to what the
simulator's `Tally` says. ROMs and functions of a layer carry its name: ``{{ site.name }}_weights``, made by ``Rom.of(site, "weights", …)``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Final, TypeAlias

import numpy as np

from fxnorm.fixed.format import Format
from fxnorm.hls.layout import Layout
from fxnorm.kernels.kernel import Kernel
from fxnorm.kernels.linear import Window

Array = np.ndarray

OVERFLOW: Final = "overflow"
ACCUMULATOR: Final = "accumulator_overflow"


class Refusal(Exception):
    """What a block cannot do; becomes a line of an UnsupportedError."""


@dataclass(frozen=True, slots=True)
class Port:
    """A value that a block reads or writes.

    Attributes
    ----------
    name
        Generated name: t07.
    format
        Of its codes.
    shape
        Samples not counted.
    layout
        How it travels in a stream.
    """

    name: str
    format: Format
    shape: tuple[int, ...]
    layout: Layout

    @property
    def type(self) -> str:
        """Type of an element."""
        return f"{self.name}_t"

    @property
    def beat(self) -> str:
        """Type of a beat."""
        return f"{self.name}_beat"

    @property
    def size(self) -> int:
        """Elements."""
        return math.prod(self.shape)

    @property
    def bits(self) -> int:
        """Bits of a signed integer that holds every code."""
        return self.format.width + (not self.format.signed)


@dataclass(frozen=True, slots=True)
class Site:
    """A kernel and its place in a design.

    Attributes
    ----------
    name
        Generated name: l03_linear.
    kernel
        What it computes.
    inputs, output
        The values around it.
    parallelism
        Multiplications (or whatever the block's work is made of) a cycle that are wanted; None: all of them.
    """

    name: str
    kernel: Kernel
    inputs: tuple[Port, ...]
    output: Port
    parallelism: int | None = 1


@dataclass(frozen=True, slots=True)
class Rows:
    """Row by row, independently.

    Attributes
    ----------
    axis
        Axis along which a row runs, in the shapes of all ports; None: as values travel, which takes ports of one shape and layout.
    indexed
        Whether the core gets the number of the row.
    pipelined
        Whether rows follow one another at an interval of 1: the core's loops are unrolled.
    streams
        Whether values travel in just these rows; the design finds out.
    """

    kind: ClassVar[str] = "rows"
    axis: int | None = -1
    indexed: bool = False
    pipelined: bool = False
    streams: bool = True

    def cut(self, port: Port) -> Layout:
        """Rows of a value, as the core takes them."""
        if self.axis is None:
            return port.layout
        shape = port.shape or (1,)
        at = self.axis % len(shape)
        outer, row, inner = math.prod(shape[:at]), shape[at], math.prod(shape[at + 1 :])
        return Layout(outer, row, inner, row, port.layout.pixels)


@dataclass(frozen=True, slots=True)
class Axis:
    """One axis of space under a window; `Sliding.axes` has one or two of them in a stream, any number on arrays."""

    name: str
    size: int
    kernel: int
    stride: int
    dilation: int
    before: int
    after: int

    @property
    def reach(self) -> int:
        """Places from the first tap to the last one, both included."""
        return (self.kernel - 1) * self.dilation + 1

    @property
    def padded(self) -> int:
        """Size with the padding."""
        return self.before + self.size + self.after

    @property
    def outputs(self) -> int:
        """Places of the window."""
        return (self.padded - self.reach) // self.stride + 1

    @property
    def inside(self) -> bool:
        """Whether every tap lies inside of the image wherever the window is: nothing to compare."""
        return not self.before and not self.after


@dataclass(frozen=True, slots=True)
class Sliding:
    """A window of taps that slides over images.

    Attributes
    ----------
    axes
        Of space. Three of them stream as a frame, for line buffers of planes are seldom worth their memory.
    geometry
        The same, as the kernel has it.
    padding
        Code that stands around the image.
    indexed
        Whether the core gets the number of the output's pixel.
    pipelined
        Whether pixels follow one another at an interval of 1.
    streams
        Whether there are line buffers; else a whole frame is read.
    """

    kind: ClassVar[str] = "sliding"
    axes: tuple[Axis, ...]
    geometry: Window
    padding: int
    indexed: bool = False
    pipelined: bool = False
    streams: bool = True

    @classmethod
    def of(
        cls, window: Window, shape: tuple[int, ...], padding: int, *, indexed: bool = False, pipelined: bool = False
    ) -> Sliding:
        """Style of a window over values of a shape [batch, channels, *space]."""
        names = ("d", "h", "w")[-len(shape[2:]) :]
        sizes = zip(
            names if len(names) == len(shape) - 2 else [f"a{axis}" for axis in range(len(shape) - 2)],
            shape[2:],
            window.kernel,
            window.strides,
            window.dilations,
            window.pads_begin,
            window.pads_end,
            strict=True,
        )
        axes = tuple(Axis(*entry) for entry in sizes)
        return cls(axes, window, padding, indexed, pipelined, streams=len(axes) <= 2)

    @property
    def taps(self) -> int:
        """Taps of the window."""
        return math.prod(axis.kernel for axis in self.axes)

    @property
    def plane(self) -> tuple[Axis, Axis]:
        """Rows and columns of the image; a sequence is an image of one row."""
        if len(self.axes) == 2:
            return self.axes[0], self.axes[1]
        return Axis("h", 1, 1, 1, 1, 0, 0), self.axes[0]

    @property
    def inside(self) -> bool:
        """Whether there is no padding."""
        return all(axis.inside for axis in self.axes)

    @property
    def outputs(self) -> int:
        """Places of the window in an image."""
        return math.prod(axis.outputs for axis in self.axes)


@dataclass(frozen=True, slots=True)
class Frame:
    """Whole values."""

    kind: ClassVar[str] = "frame"
    streams: ClassVar[bool] = False


Style: TypeAlias = Rows | Sliding | Frame


@dataclass(frozen=True, slots=True)
class Rom:
    """A table of integers, a `static const` array of native integers.

    Attributes
    ----------
    name
        Of the array.
    bits
        Signed integer that holds every entry.
    values
        Entries in C order.
    """

    name: str
    bits: int
    values: tuple[int, ...] = field(repr=False)

    @classmethod
    def of(cls, site: Site, name: str, values: Array, bits: int | None = None) -> Rom:
        """Table of a layer; the width is the narrowest one where none is given."""
        entries = tuple(int(value) for value in np.asarray(values).reshape(-1).tolist())
        narrowest = max((signed_bits(value) for value in entries), default=1)
        return cls(f"{site.name}_{name}", max(bits or 1, narrowest), entries)

    @property
    def words(self) -> tuple[tuple[str, str, tuple[str, ...]], ...]:
        """Arrays that hold it: C type, suffix of the name, entries as literals; above 64 bits the words of entries, the lowest first."""
        if self.bits <= 64:
            return ((native_type(self.bits), "", tuple(_native(value, self.bits) for value in self.values)),)
        count = -(-self.bits // 64)
        parts = []
        for word in range(count - 1):
            parts.append(
                (
                    "unsigned long long",
                    f"_{word}",
                    tuple(f"{value >> 64 * word & _WORD:#x}ULL" for value in self.values),
                )
            )
        top = tuple(_native(value >> 64 * (count - 1), 64) for value in self.values)
        parts.append(("long long", f"_{count - 1}", top))
        return tuple(parts)

    def read(self, index: str) -> str:
        """C++ expression of an entry, an fx_int of `bits` bits."""
        if self.bits <= 64:
            return f"fx_int<{self.bits}>({self.name}[{index}])"
        top = len(self.words) - 1
        text = f"fx_int<64>({self.name}_{top}[{index}])"
        for word in range(top - 1, -1, -1):
            width = self.bits if word == 0 else 64 * (top - word + 1)
            text = f"fx_append<{width}>({text}, {self.name}_{word}[{index}])"
        return text


_WORD: Final = (1 << 64) - 1
_NATIVE: Final = ((8, "signed char"), (16, "short"), (32, "int"), (64, "long long"))


def native_type(bits: int) -> str:
    """Smallest native signed type of so many bits, at most 64."""
    return next(kind for limit, kind in _NATIVE if bits <= limit)


def signed_bits(value: int) -> int:
    """Width of the narrowest signed integer that holds a number."""
    return (~value if value < 0 else value).bit_length() + 1


def _native(value: int, bits: int) -> str:
    if bits <= 32:
        return str(value) if value != -(1 << 31) else "-2147483647 - 1"
    return f"{value}LL" if value != -(1 << 63) else "-9223372036854775807LL - 1"


def literal(value: int, bits: int | None = None) -> str:
    """C++ expression of a constant, an fx_int of some bits (the narrowest where none are given)."""
    width = max(bits or 1, signed_bits(value))
    if width <= 64:
        return f"fx_int<{width}>({_native(value, width)})"
    low = value & _WORD
    return f"fx_append<{width}>({literal(value >> 64, width - 64)}, {low:#x}ULL)"


def unsigned_literal(value: int) -> str:
    """C++ expression of a constant that is not negative, an fx_uint of the fewest bits."""
    width = max(1, value.bit_length())
    inner = literal(value) if width > 63 else str(value) if width < 32 else f"{value}LL"
    return f"fx_uint<{width}>({inner})"


@dataclass(frozen=True, slots=True)
class Block:
    """A layer of a design, ready to be written.

    Attributes
    ----------
    template
        Name below ``kernels/``: "linear" for ``kernels/linear.cpp.j2``.
    summary
        What it computes, in generated words: the first line of its file.
    view
        What the template writes down.
    style
        What the core works on.
    counters
        What it counts: of OVERFLOW, ACCUMULATOR and the names of inner stages.
    """

    template: str
    summary: str
    view: Any
    style: Style
    counters: tuple[str, ...] = (OVERFLOW,)

    def placed(self, site: Site) -> Block:
        """The block, with frames cut into rows where its values do not travel in the rows that it works on."""
        style = self.style
        if not isinstance(style, Rows):
            return self

        def sizes(own: Layout) -> tuple[int, int, int]:
            return own.outer, own.row, own.inner

        ports = (*site.inputs, site.output)
        fits = all(sizes(style.cut(port)) == sizes(port.layout) for port in ports)
        return self if fits else replace(self, style=replace(style, streams=False))
