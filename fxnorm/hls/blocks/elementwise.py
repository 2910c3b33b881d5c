"""Sums, products, minima and the like, element by element: `kernels/elementwise.cpp.j2`.

Where all inputs have the output's shape, rows of the stream are computed as they come. Inputs that are spread over the output's axes are
read as whole frames.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from fxnorm.hls.block import Block, Frame, Refusal, Rom, Rows, Site, Style, literal
from fxnorm.hls.blocks.stage import Interval, Stage, stage
from fxnorm.hls.expressions import Loop
from fxnorm.hls.layout import Layout
from fxnorm.kernels.elementwise import Elementwise

Array = np.ndarray


@dataclass(frozen=True, slots=True)
class Term:
    """An operand as it is computed with: ((code - zero) · multiplier) << up.

    Attributes
    ----------
    source
        C++ expression of the code.
    bits
        Of a signed integer that holds the code.
    zero, centred_bits
        What is taken off ("" for 0), and the width of the difference.
    multiplier, product_bits
        Factor ("" for 1), and the width of the product.
    up, term_bits
        Places to the left, and the width of the term.
    subtracted
        Whether a sum takes it off.
    """

    source: str
    bits: int
    zero: str
    centred_bits: int
    multiplier: str
    product_bits: int
    up: int
    term_bits: int
    subtracted: bool


@dataclass(frozen=True, slots=True)
class ElementwiseView:
    """What the template writes.

    Attributes
    ----------
    function
        As in `Elementwise`.
    nest
        Loops over the elements that the core computes, outermost first.
    target
        Index of the element of the output.
    terms
        Operands.
    bits
        Of the accumulator.
    roms
        Constant operands and masks.
    mask
        C++ expression, for select.
    parameters, parameter_up
        Constants of the function; places of prelu's positive branch.
    inner_bits
        hard_swish: the width of the sum that is clipped.
    stage
        Rescale of the accumulator.
    """

    function: str
    nest: tuple[Loop, ...]
    target: str
    terms: tuple[Term, ...]
    bits: int
    roms: tuple[Rom, ...]
    mask: str
    parameters: tuple[str, ...]
    parameter_up: int
    inner_bits: int
    stage: Stage


def build(site: Site) -> Block:
    """Block of an `Elementwise`."""
    kernel = site.kernel
    assert isinstance(kernel, Elementwise)
    same = all(port.shape == site.output.shape and _alike(port.layout, site.output.layout) for port in site.inputs)
    walk = _RowWalk(site) if same else _FrameWalk(site)
    roms: list[Rom] = []
    terms, values = [], []
    given = iter(range(len(site.inputs)))
    for place, constant in enumerate(kernel.operands):
        if constant is None:
            index = next(given)
            port = site.inputs[index]
            source, code = f"fx_code(x{index}[{walk.input(port.shape)}])", Interval.codes(port.format)
        else:
            source = _constant(site, walk, constant, f"operand{place}", roms)
            code = Interval(int(constant.min(initial=0)), int(constant.max(initial=0)))
        term, value = _term(kernel, place, source, code)
        terms.append(term)
        values.append(value)
    mask = "" if kernel.mask is None else _constant(site, walk, kernel.mask.astype(np.int8), "mask", roms)
    result, inner = _result(kernel, values)
    view = ElementwiseView(
        function=kernel.function,
        nest=walk.loops,
        target=walk.target,
        terms=tuple(terms),
        bits=result.bits,
        roms=tuple(roms),
        mask=f"{mask} != 0" if mask else "",
        parameters=tuple(literal(number) for number in kernel.parameters),
        parameter_up=kernel.parameters[0] if kernel.function == "prelu" else 0,
        inner_bits=inner.bits,
        stage=stage(site, kernel.stage, result),
    )
    return Block("elementwise", f"{kernel.function} of {len(terms)} operand(s), element by element", view, walk.style)


def _alike(a: Layout, b: Layout) -> bool:
    """Whether elements of two values of one shape pass in the same order."""
    return (a.outer, a.row, a.inner) == (b.outer, b.row, b.inner)


class _RowWalk:
    """Elements of one row; every input has the output's shape."""

    def __init__(self, site: Site) -> None:
        self._layout, self._shape = site.output.layout, site.output.shape
        self.loops: tuple[Loop, ...] = (("lanes", "lane", self._layout.row),)
        self.target = "lane"
        self._indexed = False

    @property
    def style(self) -> Style:
        return Rows(axis=None, indexed=self._indexed, pipelined=True)

    def input(self, shape: tuple[int, ...]) -> str:
        return "lane"

    def constant(self, values: Array) -> tuple[Array, str]:
        """Entries of a table for a constant, and the index of the one that is needed."""
        spread = self._layout.stream_order(np.broadcast_to(values, self._shape))
        if (spread == spread[:1]).all():
            return spread[0], "lane"
        self._indexed = True
        if (spread == spread[:, :1]).all():
            return spread[:, 0], "row"
        return spread, f"row * {self._layout.row} + lane"


class _FrameWalk:
    """All elements of the output, axis by axis; inputs are spread."""

    style: Style = Frame()

    def __init__(self, site: Site) -> None:
        self._shape = site.output.shape
        axes = [axis for axis, size in enumerate(self._shape) if size > 1]
        self.loops: tuple[Loop, ...] = tuple((f"axis{axis}", f"i{axis}", self._shape[axis]) for axis in axes)
        self.target = self.input(self._shape)

    def input(self, shape: tuple[int, ...]) -> str:
        own = (1,) * (len(self._shape) - len(shape)) + tuple(shape)
        parts = []
        for axis, size in enumerate(own):
            if size > 1:
                step = math.prod(own[axis + 1 :])
                parts.append(f"i{axis}" if step == 1 else f"i{axis} * {step}")
        return " + ".join(parts) or "0"

    def constant(self, values: Array) -> tuple[Array, str]:
        return values, self.input(values.shape)


def _constant(site: Site, walk: _RowWalk | _FrameWalk, values: Array, name: str, roms: list[Rom]) -> str:
    """C++ expression of a constant operand's code."""
    if values.size and (values == values.reshape(-1)[0]).all():
        return literal(int(values.reshape(-1)[0]))
    if len(values.shape) > len(site.output.shape):
        raise Refusal(f"a constant of rank {values.ndim} with an output of rank {len(site.output.shape)}")
    entries, index = walk.constant(values)
    rom = Rom.of(site, name, entries)
    roms.append(rom)
    return rom.read(index)


def _term(kernel: Elementwise, place: int, source: str, code: Interval) -> tuple[Term, Interval]:
    zero, multiplier, up = kernel.zeros[place], kernel.multipliers[place], kernel.shifts[place]
    centred = code + Interval(-zero, -zero)
    product = centred * Interval(multiplier, multiplier)
    moved = product << up
    term = Term(
        source,
        code.bits,
        literal(zero) if zero else "",
        centred.bits,
        literal(multiplier) if multiplier != 1 else "",
        product.bits,
        up,
        moved.bits,
        kernel.function == "add" and kernel.signs[place] < 0,
    )
    return term, moved


def _result(kernel: Elementwise, values: list[Interval]) -> tuple[Interval, Interval]:
    """What the accumulator can be, and what lies inside of the function."""
    first, zero = values[0], Interval(0, 0)
    match kernel.function:
        case "add":
            total = zero
            for value, sign in zip(values, kernel.signs, strict=True):
                total = total + (value if sign > 0 else -value)
            return total, zero
        case "mul":
            product = Interval(1, 1)
            for value in values:
                product = product * value
            return product, zero
        case "min" | "max" | "select":
            for value in values[1:]:
                first = first | value
            return first, zero
        case "abs":
            return first | -first | zero, zero
        case "prelu":
            return (first << kernel.parameters[0]) | first * values[1] | zero, zero
        case "threshold":
            bound = Interval(kernel.parameters[0], kernel.parameters[0])
            return first | zero, first | bound
        case "hard_swish":
            three, six = kernel.parameters
            inner = first + Interval(three, three) | Interval(0, six)
            return first * inner, inner
    raise Refusal(f"the function {kernel.function!r} has no hardware")
