"""C++ expressions of places in arrays, and the loops that run over them: filters of the templates of kernels."""

from __future__ import annotations

import math
from typing import TypeAlias

from fxnorm.hls.layout import Layout
from fxnorm.hls.site import Port
from fxnorm.hls.style import Axis, Sliding

Loop: TypeAlias = tuple[str, str, int]
"""Label, variable and count."""


def polynomial(*terms: tuple[str, int]) -> str:
    """Sum of variables times constants; a variable "" is one that stands still."""
    parts = [name if step == 1 else f"{name} * {step}" for name, step in terms if name]
    return " + ".join(parts) or "0"


def element(own: Layout, entry: str) -> str:
    """Place in the array of an entry of row (n, p)."""
    n = "n" if own.outer > 1 else ""
    p = "p" if own.inner > 1 else ""
    if own.inner > 1 and not entry.isidentifier():
        entry = f"({entry})"
    return polynomial((n, own.row * own.inner), (entry, own.inner), (p, 1))


def number(own: Layout) -> str:
    """Number of row (n, p)."""
    return polynomial(("n" if own.outer > 1 else "", own.inner), ("p" if own.inner > 1 else "", 1))


def row_loops(own: Layout) -> list[Loop]:
    """Over all rows."""
    loops = [("outer", "n", own.outer), ("inner", "p", own.inner)]
    return [loop for loop in loops if loop[2] > 1]


def beat_loops(own: Layout, label: str) -> list[Loop]:
    """Over all beats, in the order of the stream."""
    loops = [
        (f"{label}_outer", "n", own.outer),
        (f"{label}_inner", "p", own.inner),
        (f"{label}_beats", "beat", own.row_beats),
    ]
    kept = [loop for loop in loops if loop[2] > 1]
    return kept or [(f"{label}_beats", "beat", 1)]


def lane(own: Layout) -> str:
    """Entry of the row that a lane of a beat holds."""
    return "lane" if own.row_beats == 1 else f"beat * {own.lanes} + lane"


def image_loops(own: Layout) -> list[Loop]:
    """Over the images of a batch."""
    return [("images", "n", own.outer)] if own.outer > 1 else []


def tap_place(axis: Axis) -> str:
    """Place in the image of the tap of a window."""
    text = polynomial((f"out_{axis.name}", axis.stride), (f"tap_{axis.name}", axis.dilation))
    return f"{text} - {axis.before}" if axis.before else text


def tap_loops(style: Sliding, channels: int) -> list[Loop]:
    """Over the taps of a window, channels outermost."""
    taps = [(f"taps_{axis.name}", f"tap_{axis.name}", axis.kernel) for axis in style.axes]
    return [("channels", "channel", channels), *taps]


def tap(style: Sliding) -> str:
    """Place of a tap in the window."""
    terms = [("channel", style.taps)]
    left = style.taps
    for axis in style.axes:
        left //= axis.kernel
        terms.append((f"tap_{axis.name}", left))
    return polynomial(*terms)


def in_image(style: Sliding) -> str:
    """Whether a tap lies inside of the image."""
    return " && ".join(f"at_{axis.name} >= 0 && at_{axis.name} < {axis.size}" for axis in style.axes if not axis.inside)


def holds(axis: Axis, place: str) -> str:
    """Whether a place of a padded axis lies inside of the image."""
    parts = []
    if axis.before:
        parts.append(f"{place} >= {axis.before}")
    if axis.after:
        parts.append(f"{place} < {axis.before + axis.size}")
    return " && ".join(parts)


def input_element(style: Sliding, port: Port) -> str:
    """Place in the array of the input of what a tap sees."""
    space = math.prod(axis.size for axis in style.axes)
    channels = port.shape[1]
    terms = [("n" if port.shape[0] > 1 else "", channels * space), ("channel", space)]
    for axis in style.axes:
        space //= axis.size
        terms.append((f"at_{axis.name}", space))
    return polynomial(*terms)


def output_element(style: Sliding, port: Port) -> str:
    """Place in the array of the output of a pixel's channel."""
    space = style.outputs
    terms = [("n" if port.shape[0] > 1 else "", port.shape[1] * space), ("channel", space)]
    return polynomial(*terms, *_pixel_terms(style))


def pixel(style: Sliding) -> str:
    """Number of an output's pixel in its image."""
    return polynomial(*_pixel_terms(style))


def _pixel_terms(style: Sliding) -> list[tuple[str, int]]:
    left = style.outputs
    terms = []
    for axis in style.axes:
        left //= axis.outputs
        terms.append((f"out_{axis.name}", left))
    return terms


def pixel_loops(style: Sliding, port: Port) -> list[Loop]:
    """Over the pixels of the output, images outermost."""
    loops = [(f"outputs_{axis.name}", f"out_{axis.name}", axis.outputs) for axis in style.axes]
    return [*image_loops(port.layout), *loops] if port.shape[0] > 1 else loops


FILTERS = {
    function.__name__: function
    for function in (
        element,
        number,
        row_loops,
        beat_loops,
        lane,
        image_loops,
        tap_place,
        tap_loops,
        tap,
        in_image,
        holds,
        input_element,
        output_element,
        pixel,
        pixel_loops,
    )
}
