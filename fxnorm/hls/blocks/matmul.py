"""Matrix products of two values, or of one with a constant on either side: `kernels/matmul.cpp.j2`."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from fxnorm.engine.replay import Accumulator
from fxnorm.hls.block import ACCUMULATOR, OVERFLOW, Block, Frame, Refusal, Rom, Site, literal
from fxnorm.hls.blocks.accumulator import Steps, accumulation
from fxnorm.hls.blocks.stage import Interval, Stage, stage
from fxnorm.hls.expressions import Loop, polynomial
from fxnorm.kernels.matmul import MatMul

Array = np.ndarray


@dataclass(frozen=True, slots=True)
class Factor:
    """An operand: the C++ expression of its code, the widths of the code and of the code less its zero, and the zero ("" for 0)."""

    source: str
    bits: int
    zero: str
    centred_bits: int


@dataclass(frozen=True, slots=True)
class Addend:
    """What a Gemm makes of the accumulator: (acc · alpha << up) + (c · beta << c_up).

    Attributes
    ----------
    alpha, up
        Factor ("" for 1) and places of the accumulator.
    source, bits
        C++ expression of c's code, and its width; "" where there is no c.
    beta, c_up
        Factor ("" for 1) and places of c.
    scaled_bits, moved_bits, addend_bits, total_bits
        Widths of signed integers that hold both products, moved, and their sum.
    """

    alpha: str
    up: int
    source: str
    bits: int
    beta: str
    c_up: int
    scaled_bits: int
    moved_bits: int
    addend_bits: int
    total_bits: int


@dataclass(frozen=True, slots=True)
class MatMulView:
    """What the template writes.

    Attributes
    ----------
    nest
        Loops over the results.
    target
        Place of the result.
    length
        Products a sum.
    left, right
        Operands; their places run with ``term``.
    roms
        Constant operands.
    product_bits, accumulator_bits
        Widths of signed integers that hold a product and the accumulator.
    steps
        How additions are quantized; None: not at all.
    addend
        None where the accumulator is the result.
    stage
        Rescale of the result.
    """

    nest: tuple[Loop, ...]
    target: str
    length: int
    left: Factor
    right: Factor
    roms: tuple[Rom, ...]
    product_bits: int
    accumulator_bits: int
    steps: Steps | None
    addend: Addend | None
    stage: Stage


def build(site: Site) -> Block:
    """Block of a `MatMul`."""
    kernel = site.kernel
    assert isinstance(kernel, MatMul)
    given = iter(range(len(site.inputs)))
    roms: list[Rom] = []
    operands = []
    for name, constant in (("left", kernel.left), ("right", kernel.right)):
        if constant is None:
            index = next(given)
            port = site.inputs[index]
            operands.append((port.shape, f"fx_code(x{index}[{{}}])", Interval.codes(port.format)))
        else:
            rom = Rom.of(site, name, constant)
            roms.append(rom)
            codes = Interval(int(constant.min(initial=0)), int(constant.max(initial=0)))
            operands.append((constant.shape, rom.read("{}"), codes))
    (a_shape, a_text, a_codes), (b_shape, b_text, b_codes) = operands
    if kernel.vector_left:
        a_shape = (1, *a_shape)
    if kernel.vector_right:
        b_shape = (*b_shape, 1)
    batch = np.broadcast_shapes(a_shape[:-2], b_shape[:-2])
    rows, length, columns = a_shape[-2], a_shape[-1], b_shape[-1]
    whole = (*batch, rows, columns)
    left = _factor(a_text, (*a_shape[:-2], rows, 1), length, 1, a_codes, kernel.zeros[0], whole)
    right = _factor(b_text, (*b_shape[:-2], 1, columns), length, columns, b_codes, kernel.zeros[1], whole)
    a, b = (codes + Interval(-zero, -zero) for codes, zero in zip((a_codes, b_codes), kernel.zeros, strict=True))
    product = a * b
    steps, accumulator = None, Interval.within(kernel.bound)
    if not kernel.exact:
        how = Accumulator(kernel.accumulator, kernel.product_bits, kernel.product)
        steps, accumulator = accumulation(how, product), Interval.codes(how.format) | Interval(0, 0)
    addend, total = _addend(site, kernel, accumulator, next(given, None), whole, roms)
    view = MatMulView(
        nest=tuple((f"axis{axis}", f"i{axis}", size) for axis, size in enumerate(whole) if size > 1),
        target=_place(whole, whole),
        length=length,
        left=left,
        right=right,
        roms=tuple(roms),
        product_bits=product.bits,
        accumulator_bits=accumulator.bits,
        steps=steps,
        addend=addend,
        stage=stage(site, kernel.stage, total),
    )
    what = f"matrix product: {math.prod(whole)} sums of {length} products"
    return Block("matmul", what, view, Frame(), (OVERFLOW,) if kernel.exact else (OVERFLOW, ACCUMULATOR))


def _place(shape: tuple[int, ...], whole: tuple[int, ...], steps: tuple[int, ...] | None = None) -> str:
    """Place of an element of a value that is spread over the axes of the result."""
    own = (1,) * (len(whole) - len(shape)) + tuple(shape)
    found = steps or tuple(math.prod(own[axis + 1 :]) for axis in range(len(own)))
    return polynomial(*((f"i{axis}", found[axis]) for axis in range(len(own)) if own[axis] > 1))


def _factor(
    text: str, shape: tuple[int, ...], length: int, step: int, codes: Interval, zero: int, whole: tuple[int, ...]
) -> Factor:
    """Operand whose matrix axes are `shape[-2:]`, one of them 1 where its terms stand, `step` apart."""
    own = (1,) * (len(whole) - len(shape)) + tuple(shape)
    matrix = own[-2] * own[-1] * length
    steps = [matrix * math.prod(own[axis + 1 : -2]) for axis in range(len(own) - 2)]
    # Rows are `length` apart on the left, columns stand side by side on the right.
    steps += [length, 1]
    place = _place(own, whole, tuple(steps))
    term = polynomial(("term", step))
    index = term if place == "0" else f"{place} + {term}"
    centred = codes + Interval(-zero, -zero)
    return Factor(text.format(index), codes.bits, literal(zero) if zero else "", centred.bits)


def _addend(
    site: Site, kernel: MatMul, accumulator: Interval, index: int | None, whole: tuple[int, ...], roms: list[Rom]
) -> tuple[Addend | None, Interval]:
    """A Gemm's factors and addend, and what the result can be."""
    combination = kernel.combination
    if combination is None:
        return None, accumulator
    if kernel.vector_left or kernel.vector_right:
        raise Refusal("a Gemm of vectors")
    scaled = accumulator * Interval(combination.alpha, combination.alpha)
    moved = scaled << combination.shifts[0]
    source, bits, beta, c_up, term = "", 1, "", 0, Interval(0, 0)
    if combination.addend is not None:
        rom = Rom.of(site, "addend", combination.addend)
        roms.append(rom)
        codes = [int(code) for code in combination.addend.reshape(-1).tolist()]
        term = Interval(min(codes, default=0), max(codes, default=0))
        source, bits = rom.read(_place(combination.addend.shape, whole)), rom.bits
    elif index is not None:
        port = site.inputs[index]
        source, bits = f"fx_code(x{index}[{_place(port.shape, whole)}])", port.bits
        beta = literal(combination.beta) if combination.beta != 1 else ""
        c_up = combination.shifts[1]
        term = (Interval.codes(port.format) * Interval(combination.beta, combination.beta)) << c_up
    total = moved + term
    addend = Addend(
        alpha=literal(combination.alpha) if combination.alpha != 1 else "",
        up=combination.shifts[0],
        source=source,
        bits=bits,
        beta=beta,
        c_up=c_up,
        scaled_bits=(scaled | accumulator).bits,
        moved_bits=moved.bits,
        addend_bits=term.bits,
        total_bits=total.bits,
    )
    return addend, total
