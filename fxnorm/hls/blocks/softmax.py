"""Softmax and its logarithm along one axis: `kernels/softmax.cpp.j2`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fxnorm.fixed.segments import SegmentTable
from fxnorm.hls.block import Block, Port, Refusal, Rom, Rows, Site, literal, unsigned_literal
from fxnorm.hls.blocks.stage import Interval, Stage, stage
from fxnorm.hls.blocks.table import coefficient_roms, segment_roms
from fxnorm.kernels.softmax import LOG_BITS, LogSoftmax, Softmax

Array = np.ndarray


@dataclass(frozen=True, slots=True)
class Scores:
    """z = (x << up where it counts, else 0) + bias.

    Attributes
    ----------
    code_bits, bits
        Widths of signed integers that hold x and z.
    up
        Places.
    keep, bias
        C++ expressions of the entry of score `lane`; "" where all count, or nothing is added.
    roms
        Their tables.
    """

    code_bits: int
    bits: int
    up: int
    keep: str
    bias: str
    roms: tuple[Rom, ...]


@dataclass(frozen=True, slots=True)
class Exponentials:
    """2**P · exp of minus the distance from the maximum: arguments of ``fx::exponential``.

    Attributes
    ----------
    widths
        Arguments of ``fx::exp2_widths``; the first is P.
    roms
        Coefficients.
    limit, log2e, log2e_shift
        As in `Softmax`.
    distance_bits, bits, total_bits
        Widths of unsigned integers that hold a distance, an exponential and their sum.
    """

    widths: tuple[int, ...]
    roms: tuple[Rom, ...]
    limit: str
    log2e: str
    log2e_shift: int
    distance_bits: int
    bits: int
    total_bits: int


@dataclass(frozen=True, slots=True)
class SoftmaxView:
    """What the template writes.

    Attributes
    ----------
    length
        Scores a group.
    scores, exponentials
        The first steps.
    intercepts, slopes, reciprocal_bits
        Table and bits of the reciprocal of their sum.
    product_bits, most, fraction_bits
        Width of an exponential times the reciprocal, the most places that it is moved to the left, and its fraction then.
    accumulator_bits
        Width of it, moved.
    stage
        Rescale of it.
    """

    length: int
    scores: Scores
    exponentials: Exponentials
    intercepts: Rom
    slopes: Rom
    reciprocal_bits: int
    product_bits: int
    most: int
    fraction_bits: int
    accumulator_bits: int
    stage: Stage


@dataclass(frozen=True, slots=True)
class LogSoftmaxView:
    """What the template writes.

    Attributes
    ----------
    length, scores, exponentials
        As in `SoftmaxView`.
    fraction, mantissa_bits, polynomial_bits, widths, roms, guard_bits, rounded_bits, low, high
        The logarithm of a mantissa: its fraction bits, widths of signed integers that hold it and the polynomial, and the polynomial as in
        `fxnorm.hls.blocks.table.TableView`.
    logarithm_bits
        Bits of its result.
    unit, ln2, sum_bits
        P, ln 2, and the width of the logarithm of the sum.
    distance_up, logarithm_up, accumulator_bits
        Places by which distance and logarithm are moved to one step, and the width of their sum.
    hidden, hidden_roms, lowest
        C++ expression of whether score `lane` is hidden ("" where none is), its table, and the code that it gets.
    stage
        Rescale.
    """

    length: int
    scores: Scores
    exponentials: Exponentials
    fraction: int
    mantissa_bits: int
    polynomial_bits: int
    widths: tuple[int, int, int]
    roms: tuple[Rom, ...]
    guard_bits: int
    rounded_bits: int
    low: str
    high: str
    logarithm_bits: int
    unit: int
    ln2: str
    sum_bits: int
    distance_up: int
    logarithm_up: int
    accumulator_bits: int
    hidden: str
    hidden_roms: tuple[Rom, ...]
    lowest: str
    stage: Stage


class _Constants:
    """Tables of what differs from score to score."""

    def __init__(self, site: Site, axis: int) -> None:
        self._site, self._cut = site, Rows(axis).cut(site.inputs[0])
        self.indexed = False

    def entry(self, name: str, values: Array | None, roms: list[Rom]) -> str:
        """C++ expression of the entry of score `lane` of row `row`; "" where there are no values."""
        if values is None:
            return ""
        port: Port = self._site.inputs[0]
        spread = self._cut.stream_order(np.broadcast_to(values, port.shape))
        index = "lane"
        if (spread == spread[:1]).all():
            spread = spread[0]
        else:
            self.indexed = True
            index = f"row * {self._cut.row} + lane"
        rom = Rom.of(self._site, name, spread.astype(np.int64))
        roms.append(rom)
        return rom.read(index)


def build(site: Site) -> Block:
    """Block of a `Softmax`."""
    kernel = site.kernel
    assert isinstance(kernel, Softmax)
    constants = _Constants(site, kernel.axis)
    length = site.inputs[0].shape[kernel.axis]
    scores, exponentials = _scores(site, kernel, constants), _exponentials(site, kernel, length)
    reciprocal = kernel.reciprocal
    quotient = Interval(0, kernel.bound)
    view = SoftmaxView(
        length=length,
        scores=scores,
        exponentials=exponentials,
        intercepts=Rom.of(site, "intercepts", reciprocal.intercepts),
        slopes=Rom.of(site, "slopes", reciprocal.slopes),
        reciprocal_bits=reciprocal.bits,
        product_bits=exponentials.bits + reciprocal.bits + 1,
        # The sum is at least 2**P, so that the reciprocal's exponent is at least its bits and P.
        most=kernel.fraction_bits - reciprocal.bits - kernel.bits,
        fraction_bits=kernel.fraction_bits,
        accumulator_bits=quotient.bits,
        stage=stage(site, kernel.stage, quotient),
    )
    return Block("softmax", f"softmax over {length} scores", view, Rows(kernel.axis, indexed=constants.indexed))


def build_log(site: Site) -> Block:
    """Block of a `LogSoftmax`."""
    kernel = site.kernel
    assert isinstance(kernel, LogSoftmax)
    table = kernel.logarithm
    if not isinstance(table, SegmentTable):
        raise Refusal("a logarithm that is no piecewise polynomial")
    constants = _Constants(site, kernel.axis)
    length = site.inputs[0].shape[kernel.axis]
    hidden_roms: list[Rom] = []
    hidden = constants.entry("hidden", kernel.hidden, hidden_roms)
    scores, exponentials = _scores(site, kernel, constants), _exponentials(site, kernel, length)
    polynomial = Interval.within(1 << table.accumulator_bits)
    rounded = polynomial.rounded(table.guard_bits) | Interval(table.low, table.high)
    places = length.bit_length() + 1
    logarithm = Interval(-(1 << LOG_BITS), (1 << LOG_BITS) + places * kernel.ln2)
    distance = Interval(0, (1 << exponentials.distance_bits) - 1)
    total = -(distance << kernel.shifts[0]) + -(logarithm << kernel.shifts[1])
    view = LogSoftmaxView(
        length=length,
        scores=scores,
        exponentials=exponentials,
        fraction=table.input.width - 1,
        mantissa_bits=table.input.width + 1,
        polynomial_bits=table.accumulator_bits + 1,
        widths=(table.position_bits, table.multiplicand_bits, table.accumulator_bits),
        roms=segment_roms(site, table, "log_"),
        guard_bits=table.guard_bits,
        rounded_bits=rounded.bits,
        low=literal(table.low, rounded.bits),
        high=literal(table.high, rounded.bits),
        logarithm_bits=table.output.width,
        unit=kernel.bits,
        ln2=literal(kernel.ln2),
        sum_bits=logarithm.bits,
        distance_up=kernel.shifts[0],
        logarithm_up=kernel.shifts[1],
        accumulator_bits=total.bits,
        hidden=f"{hidden} != 0" if hidden else "",
        hidden_roms=tuple(hidden_roms),
        lowest=literal(kernel.stage.output.lowest_code),
        stage=stage(site, kernel.stage, total | Interval(0, 0)),
    )
    return Block(
        "log_softmax",
        f"logarithm of softmax over {length} scores",
        view,
        Rows(kernel.axis, indexed=constants.indexed),
    )


def _scores(site: Site, kernel: Softmax | LogSoftmax, constants: _Constants) -> Scores:
    (port,) = site.inputs
    codes = Interval.codes(port.format)
    mask = kernel.mask
    if mask is None:
        return Scores(port.bits, codes.bits, 0, "", "", ())
    roms: list[Rom] = []
    keep = constants.entry("keep", mask.keep, roms)
    bias = constants.entry("bias", mask.bias, roms)
    moved = codes << mask.shift
    values = Interval.within(mask.bound) | moved | Interval(0, 0)
    return Scores(port.bits, values.bits, mask.shift, f"{keep} != 0" if keep else "", bias, tuple(roms))


def _exponentials(site: Site, kernel: Softmax | LogSoftmax, length: int) -> Exponentials:
    (port,) = site.inputs
    mask, table = kernel.mask, kernel.exponential
    reach = 2 * mask.bound if mask is not None else port.format.max_code - port.format.min_code
    return Exponentials(
        widths=(
            table.bits,
            table.segment_bits,
            table.position_bits,
            table.guard_bits,
            table.multiplicand_bits,
            table.accumulator_bits,
        ),
        roms=coefficient_roms(site, table.coefficients),
        limit=unsigned_literal(kernel.limit),
        log2e=unsigned_literal(kernel.log2e),
        log2e_shift=kernel.log2e_shift,
        distance_bits=max(1, reach.bit_length()),
        bits=kernel.bits + 1,
        total_bits=(length << kernel.bits).bit_length(),
    )
