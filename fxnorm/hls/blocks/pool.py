"""Maxima and means over windows and over whole axes: `kernels/pool.cpp.j2`, `kernels/reduce.cpp.j2`."""

from __future__ import annotations

import math
from dataclasses import dataclass

from fxnorm.hls.block import Block, Frame, Site, Sliding, literal
from fxnorm.hls.blocks.stage import Interval, Stage, stage
from fxnorm.hls.expressions import Loop, polynomial
from fxnorm.hls.folding import Folding
from fxnorm.kernels.kernel import Kernel
from fxnorm.kernels.pool import Pool, Reduce


@dataclass(frozen=True, slots=True)
class PoolView:
    """What the template writes.

    Attributes
    ----------
    maximum
        Whether the largest code of a window is taken; else their sum.
    channels, taps
        Sizes of a window.
    folding
        A channel a step, all its taps at a time.
    code_bits, bits
        Widths of signed integers that hold a code, and the maximum or sum.
    stage
        Rescale of it.
    """

    maximum: bool
    channels: int
    taps: int
    folding: Folding
    code_bits: int
    bits: int
    stage: Stage


@dataclass(frozen=True, slots=True)
class ReduceView:
    """What the template writes.

    Attributes
    ----------
    function
        As in `Reduce`.
    outer, inner
        Loops over results, and over what each takes in.
    source, target
        Place that is read, and place of the result.
    zero
        What is taken off a code; "" for 0.
    code_bits, centred_bits, term_bits, bits
        Widths of signed integers that hold a code, without its zero, as it is taken in, and the result.
    start
        What the result begins at.
    stage
        Rescale of it.
    """

    function: str
    outer: tuple[Loop, ...]
    inner: tuple[Loop, ...]
    source: str
    target: str
    zero: str
    code_bits: int
    centred_bits: int
    term_bits: int
    bits: int
    start: str
    stage: Stage


def slides(kernel: Kernel) -> bool:
    """Windows are those of images."""
    return True


def spatial(kernel: Kernel) -> bool:
    """Whether space is reduced and channels stay, as a global average does."""
    return isinstance(kernel, Reduce) and kernel.axes[:1] == (2,)


def build(site: Site) -> Block:
    """Block of a `Pool`."""
    kernel = site.kernel
    assert isinstance(kernel, Pool)
    (port,) = site.inputs
    codes = Interval.codes(port.format) | Interval(kernel.padding, kernel.padding)
    taps = math.prod(kernel.window.kernel)
    maximum = kernel.function == "max"
    result = codes if maximum else codes * Interval(taps, taps) | codes
    made = stage(site, kernel.stage, result, place="pixel")
    style = Sliding.of(kernel.window, port.shape, kernel.padding, indexed=bool(made.roms))
    channels = port.shape[1]
    view = PoolView(maximum, channels, taps, Folding(1, taps, channels, 1), port.bits, result.bits, made)
    return Block("pool", f"{'maximum' if maximum else 'mean'} of {taps} taps", view, style)


def build_reduce(site: Site) -> Block:
    """Block of a `Reduce`."""
    kernel = site.kernel
    assert isinstance(kernel, Reduce)
    (port,) = site.inputs
    shape = port.shape
    steps = [math.prod(shape[axis + 1 :]) for axis in range(len(shape))]
    kept = [axis for axis in range(len(shape)) if axis not in kernel.axes and shape[axis] > 1]
    taken = [axis for axis in kernel.axes if shape[axis] > 1]
    count = math.prod(shape[axis] for axis in kernel.axes)
    codes = Interval.codes(port.format)
    centred = codes + Interval(-kernel.zero, -kernel.zero)
    term, start = centred, "0"
    match kernel.function:
        case "max" | "min":
            start = f"fx_code(x0[{polynomial(*((f'i{axis}', steps[axis]) for axis in kept))}])"
        case "sum_square":
            term = centred * centred
        case "sum_abs":
            term = centred | -centred
    result = term if kernel.function in {"max", "min"} else (term * Interval(count, count)) | Interval(0, 0)
    left = math.prod(shape[axis] for axis in kept)
    targets = []
    for axis in kept:
        left //= shape[axis]
        targets.append((f"i{axis}", left))
    view = ReduceView(
        function=kernel.function,
        outer=tuple((f"results{axis}", f"i{axis}", shape[axis]) for axis in kept),
        inner=tuple((f"terms{axis}", f"i{axis}", shape[axis]) for axis in taken),
        source=polynomial(*((f"i{axis}", steps[axis]) for axis in sorted([*kept, *taken]))),
        target=polynomial(*targets),
        zero=literal(kernel.zero) if kernel.zero else "",
        code_bits=port.bits,
        centred_bits=centred.bits,
        term_bits=(term | Interval(0, 0)).bits,
        bits=result.bits,
        start=start,
        stage=stage(site, kernel.stage, result),
    )
    return Block("reduce", f"{kernel.function} of {count} values each", view, Frame())
