"""Sums, products, minima and the like, element by element: `kernels/elementwise.cpp.j2`.

Where all inputs have the output's shape, rows of the stream are computed as they come. Inputs that are spread over the output's axes are
read as whole frames.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fxnorm.hls.block import Block, Refusal, Rom, Site, literal
from fxnorm.hls.blocks.stage import Interval, Stage, stage
from fxnorm.hls.blocks.walk import constant as constant_code
from fxnorm.hls.blocks.walk import walk
from fxnorm.hls.expressions import Loop
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
    places = walk(site)
    roms: list[Rom] = []
    terms, values = [], []
    given = iter(range(len(site.inputs)))
    for place, constant in enumerate(kernel.operands):
        if constant is None:
            index = next(given)
            port = site.inputs[index]
            source, code = f"fx_code(x{index}[{places.input(port.shape)}])", Interval.codes(port.format)
        else:
            source = constant_code(site, places, constant, f"operand{place}", roms)
            code = Interval(int(constant.min(initial=0)), int(constant.max(initial=0)))
        term, value = _term(kernel, place, source, code)
        terms.append(term)
        values.append(value)
    mask = "" if kernel.mask is None else constant_code(site, places, kernel.mask.astype(np.int8), "mask", roms)
    result, inner = _result(kernel, values)
    view = ElementwiseView(
        function=kernel.function,
        nest=places.loops,
        target=places.target,
        terms=tuple(terms),
        bits=result.bits,
        roms=tuple(roms),
        mask=f"{mask} != 0" if mask else "",
        parameters=tuple(literal(number) for number in kernel.parameters),
        parameter_up=kernel.parameters[0] if kernel.function == "prelu" else 0,
        inner_bits=inner.bits,
        stage=stage(site, kernel.stage, result),
    )
    return Block("elementwise", f"{kernel.function} of {len(terms)} operand(s), element by element", view, places.style)


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
