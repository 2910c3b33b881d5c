"""What a core works on: rows, windows of images, or whole values; see `fxnorm.hls.block`."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, TypeAlias

from fxnorm.hls.layout import Layout
from fxnorm.hls.site import Port, Site
from fxnorm.kernels.linear import Window


def _widest(site: Site) -> int:
    """Beats of the longest row or pixel: a stream gives and takes one of them a cycle."""
    return max(port.layout.row_beats for port in (*site.inputs, site.output))


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

    @staticmethod
    def interval(site: Site) -> int:
        """Cycles from a row to the next where rows are pipelined."""
        return _widest(site)

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

    @staticmethod
    def interval(site: Site) -> int:
        """Cycles from a pixel to the next where pixels are pipelined."""
        return _widest(site)

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
