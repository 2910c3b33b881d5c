"""Segment tables sized from an error budget: search, integer coefficients, and the error that came of them.

How the budget is spent, in output LSBs.  With ``allowed`` what the final rounding leaves of it, a table of degree k
with g guard bits loses at most ``(k + 1) · 2^-g`` in integers: k + 1 coefficients are rounded (half a unit of 2^-g
each), k floors lose half a unit around their mean, which is added to the constant term, and half a unit is given to
the dropped bits of the position.  g is the smallest that keeps this below 0.35 · allowed; the fit gets the rest.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from fxnorm.fixed.fitting import RESIDUAL_MARGIN, Block, Floats, Spans, Target, polynomials
from fxnorm.fixed.format import Format, Overflow, Rounding
from fxnorm.fixed.reals import RealFunction, correctly_rounded
from fxnorm.fixed.rounding import shift_round
from fxnorm.fixed.segmentation import Interval, Piece, Search, cost, edge_codes, extremes, intervals, sample_codes
from fxnorm.fixed.segments import SegmentTable
from fxnorm.fixed.words import Words, horner_bits

ROM_WORDS: Final = 1 << 16
"""Most coefficients that a table may have."""

_CORNER: Final = 8.0  # the coefficients of a cubic exceed its values by about this factor at most
_INTEGER_SHARE: Final = 0.35
_DSP_BITS: Final = 8192  # ROM bits that cost as much as one DSP: an 18 Kb block RAM is worth about two
_EXHAUSTIVE_WIDTH: Final = 16
_RANDOM_SAMPLES: Final = 1 << 15
_NEAR_ZERO: Final = 1024
_DEGREES: Final = (1, 2, 3)


def budget_limit(function: RealFunction, output: Format, budget_lsb: float) -> float:
    """Return the largest error in output LSBs that a budget allows.

    Raises
    ------
    ValueError
        If the budget is 0.5 or less, which the final rounding alone takes.
    """
    if not 0.5 < budget_lsb < math.inf:
        raise ValueError(
            f"{function}: the error budget must be above 0.5 LSB, which the final rounding takes, not {budget_lsb}"
        )
    return budget_lsb + rounding_error(output.rounding) - 0.5


def rounding_error(rounding: Rounding) -> float:
    """Return what rounding alone can err, in LSB."""
    return 1.0 if rounding in (Rounding.TRN, Rounding.TRN_ZERO) else 0.5


def real_results(function: RealFunction, codes: Floats, input_lsb: int, output_lsb: int) -> Floats:
    """Return the real function of codes in output LSBs, in float64."""
    base, delta, _ = function.parts(np.ldexp(codes, input_lsb))
    with np.errstate(over="ignore"):
        return np.ldexp(base, -output_lsb) + np.ldexp(delta, -output_lsb)


def code_errors(
    function: RealFunction, codes: Words, input_lsb: int, results: Words, output: Format, output_lsb: int
) -> Floats:
    """Return the errors of results before overflow, in output LSBs, both sides clamped to the output's range."""
    real = real_results(function, codes.astype(np.float64), input_lsb, output_lsb)
    low, high = output.lowest_code, output.max_code
    return np.abs(np.clip(results, low, high) - np.clip(real, low, high))


def rounded_up(error: float) -> float:
    """Round a measured error up, to 10^-5 LSB, which also covers the float64 it was measured with."""
    return math.ceil(error * 1e5 + 0.5) / 1e5


def evidence(count: int) -> str:
    """Say that every code was measured."""
    return f"measured: every code ({count})"


@dataclass(frozen=True)
class _Request:
    """What a table is asked to compute."""

    function: RealFunction
    input: Format
    input_lsb: int
    output: Format
    output_lsb: int

    def target(self, codes: Floats) -> Floats:
        return real_results(self.function, codes, self.input_lsb, self.output_lsb)

    @property
    def low(self) -> int:
        """One below the lowest code: every result from there on is clamped, and counted as an overflow."""
        return self.output.lowest_code - 1

    @property
    def high(self) -> int:
        return self.output.max_code + 1


def build_segments(
    function: RealFunction,
    input_format: Format,
    input_lsb: int,
    output_format: Format,
    output_lsb: int,
    budget_lsb: float,
) -> SegmentTable:
    """Return the cheapest segment table within a budget; see `fxnorm.fixed.functions.build`."""
    request = _Request(function, input_format, input_lsb, output_format, output_lsb)
    limit = budget_limit(function, output_format, budget_lsb)
    edges = edge_codes(function, input_lsb, input_format.min_code, input_format.max_code)
    samples = sample_codes(input_format.min_code, input_format.max_code, edges)
    places = intervals(request.target, edges, samples, request.low, request.high)
    _refuse_wrap(request, places)
    low, high = _range(request, places, samples)
    reached = math.inf
    for candidate in sorted(_candidates(request, places, limit), key=lambda candidate: candidate.cost):
        table = _assemble(request, candidate, low, high)
        if table is not None and table.max_error_lsb <= limit:
            return table
        reached = reached if table is None else min(reached, table.max_error_lsb)
    best = "none of them comes near" if math.isinf(reached) else f"the best reaches {reached} LSB"
    raise ValueError(
        f"{function}: no table of at most {ROM_WORDS} words from {input_format} (LSB 2^{input_lsb}) to "
        f"{output_format} (LSB 2^{output_lsb}) meets an error of {limit} LSB; {best}; use fewer fraction bits"
    )


def _refuse_wrap(request: _Request, places: list[Interval]) -> None:
    """Refuse what has no meaning to the bit: the low bits of results that are approximated, not computed."""
    outside = [place for place in places if place.level is not None]
    if request.output.overflow is Overflow.WRAP and outside:
        where = ", ".join(f"{place.start} to {place.stop - 1}" for place in outside)
        raise ValueError(
            f"{request.function}: a function of {request.input.width} bits must not leave the range of an output that "
            f"wraps, {request.output} (LSB 2^{request.output_lsb}), but codes {where} of {request.input} "
            f"(LSB 2^{request.input_lsb}) do; use sat, or more integer bits"
        )


def _range(request: _Request, places: list[Interval], samples: Words) -> tuple[int, int]:
    """Return the lowest and the highest correctly rounded result, at most one LSB outside the output's range."""
    codes = [code for place in places if place.level is None for code in extremes(request.target, place, samples)]
    rounded = correctly_rounded(
        request.function, codes, request.input_lsb, request.output_lsb, request.output.rounding
    ).tolist()
    results = [*rounded, *(place.level for place in places if place.level is not None)]
    return max(min(results), request.low), min(max(results), request.high)


@dataclass(frozen=True)
class _Candidate:
    """Pieces for one degree, and what they cost in ROM bits."""

    pieces: list[Piece]
    degree: int
    guard_bits: int
    tolerance: float
    integer_error: float
    cost: float


def _candidates(request: _Request, places: list[Interval], limit: float) -> Iterator[_Candidate]:
    """Search segments of every degree; a degree that cannot be cheaper than those before is given up early."""
    allowed = limit - rounding_error(request.output.rounding)
    best = math.inf
    for degree in _DEGREES:
        guard = max(math.ceil(math.log2((degree + 1) / (_INTEGER_SHARE * allowed))), 0)
        integer_error = (degree + 1) * 2.0**-guard
        tolerance = 0.999 * (allowed - integer_error) / RESIDUAL_MARGIN
        word = request.output.width + guard
        multipliers = degree * math.ceil(word / 27) * math.ceil(min(word, request.input.width) / 18) * _DSP_BITS
        room = min(ROM_WORDS // (degree + 1), int(min((best - multipliers) / ((degree + 1) * word), ROM_WORDS)))
        if room <= 0:
            continue
        search = Search(request.target, degree, tolerance, room, _CORNER * (request.high - request.low))
        pieces: list[Piece] = []
        for place in places:
            found = search.divide(place)
            if found is None:
                break
            pieces += found
        else:
            segments = sum(piece.segments for piece in pieces)
            if segments * (degree + 1) <= ROM_WORDS:
                price = cost(pieces) * (degree + 1) * word + multipliers
                best = min(best, price)
                yield _Candidate(pieces, degree, guard, tolerance, integer_error, price)


def _assemble(request: _Request, candidate: _Candidate, low: int, high: int) -> SegmentTable | None:
    """Turn pieces into integers and find the error; None where 64-bit words cannot hold the datapath."""
    pieces, guard = candidate.pieces, candidate.guard_bits
    blocks = [block for piece in pieces for block in piece.blocks]
    real, residual = _coefficients(request.target, candidate)
    slope = np.abs(real[1:] * np.arange(1, len(real))[:, None]).sum(axis=0)
    sloped = slope.max(initial=0.0)
    if np.abs(real).max() * 2.0**guard > 2.0**58:
        return None
    coefficients = np.rint(np.ldexp(real, guard)).astype(np.int64)
    floors = (coefficients[1:] != 0).sum(axis=0)
    coefficients[0] = np.rint(np.ldexp(real[0], guard) + floors / 2).astype(np.int64)
    shifts = np.repeat([block.shift for block in blocks], [block.segments for block in blocks])
    # The dropped bits of the position may cost half a unit of the accumulator.
    position_bits = int(min(shifts[floors > 0].max(initial=0), math.ceil(math.log2(max(sloped, 1))) + guard + 1))
    try:
        table = _table(request, candidate, coefficients, position_bits, low, high)
        _ = table.product_split
    except OverflowError:
        return None
    bound = float(residual.max()) * RESIDUAL_MARGIN + candidate.integer_error + rounding_error(request.output.rounding)
    return _measured(request, table, blocks, bound)


def _coefficients(target: Target, candidate: _Candidate) -> tuple[Floats, Floats]:
    """Return real coefficients of shape (degree + 1, segments) and the error of every segment."""
    blocks = [block for piece in candidate.pieces if piece.level is None for block in piece.blocks]
    columns, errors = np.zeros((candidate.degree + 1, 0)), np.zeros(0)
    if blocks:
        columns, errors = polynomials(target, Spans.of(blocks), candidate.degree, candidate.tolerance)
    saturated = [piece.level is not None for piece in candidate.pieces for _ in range(piece.segments)]
    result = np.zeros((candidate.degree + 1, len(saturated)))
    result[:, ~np.array(saturated)] = columns
    result[0, saturated] = [piece.level for piece in candidate.pieces if piece.level is not None]
    return result, errors if blocks else np.zeros(1)


def _table(
    request: _Request,
    candidate: _Candidate,
    coefficients: Words,
    position_bits: int,
    low: int,
    high: int,
) -> SegmentTable:
    pieces = candidate.pieces
    multiplicand_bits, accumulator_bits = horner_bits(coefficients)
    blocks = [block for piece in pieces for block in piece.blocks]
    first_block = np.cumsum([0, *(len(piece.blocks) for piece in pieces)])
    first_segment = np.cumsum([0, *(block.segments for block in blocks)])
    skipped = [piece.blocks[0].base.bit_length() if piece.octave else 0 for piece in pieces]

    def words(values: list[int]) -> Words:
        return np.array(values, dtype=np.int64)

    return SegmentTable(
        function=str(request.function),
        input_format=str(request.input),
        output_format=str(request.output),
        input_lsb=request.input_lsb,
        output_lsb=request.output_lsb,
        piece_start=words([piece.start for piece in pieces]),
        piece_origin=words([piece.blocks[0].origin for piece in pieces]),
        piece_mirrored=words([piece.blocks[0].mirrored for piece in pieces]),
        piece_octave=words([piece.octave for piece in pieces]),
        piece_block=words([int(first) - skip for first, skip in zip(first_block, skipped, strict=False)]),
        block_shift=words([block.shift for block in blocks]),
        block_segment=words([int(first) - block.offset for first, block in zip(first_segment, blocks, strict=False)]),
        coefficients=coefficients,
        position_bits=position_bits,
        guard_bits=candidate.guard_bits,
        multiplicand_bits=multiplicand_bits,
        accumulator_bits=accumulator_bits,
        low=low,
        high=high,
        max_error_lsb=math.inf,
        error_evidence="",
    )


def _measured(request: _Request, table: SegmentTable, blocks: list[Block], bound: float) -> SegmentTable:
    """Return the table with its error: measured on every code up to 16 bits, else bounded and sampled."""
    first, last = request.input.min_code, request.input.max_code
    every = request.input.width <= _EXHAUSTIVE_WIDTH
    codes = np.arange(first, last + 1, dtype=np.int64) if every else _error_samples(first, last, blocks)
    accumulator = table.accumulate(codes)
    results = np.clip(shift_round(accumulator, table.guard_bits, request.output.rounding), table.low, table.high)
    error = rounded_up(
        float(
            code_errors(request.function, codes, request.input_lsb, results, request.output, request.output_lsb).max()
        )
    )
    if every:
        return replace(table, max_error_lsb=error, error_evidence=evidence(len(codes)))
    return replace(
        table,
        max_error_lsb=max(error, rounded_up(bound)),
        error_evidence=(
            f"bounded: fit at {4 * (table.degree + 1) + 1} points of every segment with a margin of {RESIDUAL_MARGIN}, "
            f"rounding of coefficients, positions and result in the worst case; measured: {error} over {len(codes)} "
            f"codes (5 of every segment with its ends, all within ±{_NEAR_ZERO}, 4096 by octaves, "
            f"{_RANDOM_SAMPLES} random)"
        ),
    )


def _error_samples(first: int, last: int, blocks: list[Block]) -> Words:
    spans = Spans.of(blocks)
    places = spans.codes(np.array([-1.0, -0.5, 0.0, 0.5, 1.0])).ravel().astype(np.int64)
    near = np.arange(-_NEAR_ZERO, _NEAR_ZERO + 1)
    octaves = np.geomspace(1, max(-first, last), 4096).astype(np.int64)
    chosen = np.random.default_rng(0).integers(first, last, _RANDOM_SAMPLES, endpoint=True)
    codes = np.unique(np.concatenate([places, near, near + first, near + last, octaves, -octaves, chosen]))
    return codes[(codes >= first) & (codes <= last)]
