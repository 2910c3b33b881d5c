"""From real numbers to codes at the inputs of the graph, and back at its outputs.

Real numbers are float32; what a format rounds is their exact value over the step. float64 holds everything that matters of it: a float32
has 24 bits, so that what is lost where a half is added lies far from every tie.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Final

import numpy as np

from fxnorm.exact_onnx.numbers import Arithmetic, Inexact, Kind, Number
from fxnorm.exact_onnx.rounding import MOST_PLACES, carried, fit, float_rounding, round_scaled, stage
from fxnorm.exact_onnx.words import drop, exp2, low_bits, power, table
from fxnorm.fixed.format import Overflow
from fxnorm.kernels.encoding import Encoding
from fxnorm.kernels.leading_one import FRACTION, LEAST_EXPONENT, Line
from fxnorm.kernels.transform import LogTransform, PowerTransform

_PART_BITS: Final = 18
"""Bits of each of three parts of a factor, so that a code of 32 bits times one of them is exact."""
_AFFINE_WIDTH: Final = 32
_TINY: Final = 2.0**-20
_APART: Final = 2
"""Places by which factors are kept away from 1: onnxruntime takes a multiplication by 1.000001 for none at all, and leaves it out."""


def quantized(ops: Arithmetic, encoding: Encoding, real: str) -> Number:
    """Codes of float32 numbers.

    Raises
    ------
    Inexact
        If float64 cannot tell how some number rounds.
    """
    wide = ops.graph.op("Cast", real, to=Kind.FLOAT64.onnx)
    if abs(encoding.place) > MOST_PLACES[Kind.FLOAT64]:
        raise Inexact(f"a step of 2^{encoding.place} does not leave float64 numbers normal")
    plain = encoding.plain
    scaled = _by_power(ops, wide, -encoding.place if plain else _APART - encoding.place)
    return ops.compact(_plain(ops, encoding, scaled) if plain else _affine(ops, encoding, scaled))


def _by_power(ops: Arithmetic, real: str, places: int, kind: Kind = Kind.FLOAT64) -> str:
    """Numbers times 2^places."""
    if not places:
        return real
    return ops.graph.op("Mul", real, ops.graph.constant(np.asarray(math.ldexp(1.0, places), kind.dtype)))


def _plain(ops: Arithmetic, encoding: Encoding, scaled: str) -> Number:
    graph, format_ = ops.graph, encoding.format
    before, after = float_rounding(format_.rounding)
    if before:
        scaled = graph.op("Add", scaled, graph.constant(np.asarray(before)))
    name = round_scaled(ops, scaled, format_.rounding, Kind.FLOAT64)
    if after:
        name = graph.op("Add", name, graph.constant(np.asarray(float(after))))
    if format_.overflow is Overflow.WRAP:
        # Numbers beyond 2^53 are multiples of 2^30: they wrap exactly all the same.
        size, least = float(1 << format_.width), float(format_.min_code)
        turns = graph.op("Floor", graph.op("Div", graph.op("Sub", name, _real(ops, least)), _real(ops, size)))
        name = graph.op("Sub", name, graph.op("Mul", turns, _real(ops, size)))
        return Number(name, Kind.FLOAT64, format_.min_code, format_.max_code)
    # Whatever is beyond the format is so after this, too.
    low, high = format_.lowest_code - 1, format_.max_code + 1
    held = graph.op("Clip", name, _real(ops, float(low)), _real(ops, float(high)))
    return fit(ops, Number(held, Kind.FLOAT64, low, high), format_)


def _affine(ops: Arithmetic, encoding: Encoding, scaled: str) -> Number:
    """round(v / factor + zero), both 2^_APART times larger: a floor that is tried, and mended by the exact remainder."""
    graph, format_ = ops.graph, encoding.format
    factor = math.ldexp(encoding.factor, _APART)
    if format_.overflow is Overflow.WRAP:
        # Whole turns change nothing; the remainder of a float64 division is exact.
        low, high = -(1 << format_.width) - 1, (1 << format_.width) + 1
        v = graph.op("Mod", scaled, _real(ops, math.ldexp(factor, format_.width)), fmod=1)
    else:
        low, high = format_.lowest_code - encoding.zero - 2, format_.max_code - encoding.zero + 2
        v = graph.op("Clip", scaled, _real(ops, low * factor), _real(ops, high * factor))
    if max(-low, high) >= 1 << _AFFINE_WIDTH + 1:
        raise Inexact(f"a code of {format_.width} bits with the zero {encoding.zero} is too wide for float64")
    # Of a number below a quarter of a step the sign is all that counts, and far fewer bits are needed for it.
    tiny = graph.op("Less", graph.op("Abs", v), _real(ops, _TINY))
    v = graph.op("Where", tiny, graph.op("Mul", graph.op("Sign", v), _real(ops, _TINY)), v)
    tried = Number(graph.op("Floor", graph.op("Div", v, _real(ops, factor))), Kind.FLOAT64, low - 1, high + 1)
    rest = v
    for part in parts_of(factor):
        rest = graph.op("Sub", rest, graph.op("Mul", tried.name, _real(ops, part)))
    # One off at most.
    below = ops.truth(graph.op("Less", rest, _real(ops, 0.0)), Kind.FLOAT64)
    above = ops.truth(graph.op("GreaterOrEqual", rest, _real(ops, factor)), Kind.FLOAT64)
    floor = ops.subtract(ops.add(tried, above), below)
    back = graph.op("Mul", ops.subtract(below, above).name, _real(ops, factor))
    turned = graph.op("Add", rest, back)
    floor = ops.add(floor, encoding.zero)
    # A remainder and its divisor, as if they were integers: only their order counts.
    fraction = Number(turned, Kind.FLOAT64, 0, 1)
    by = Number(_real(ops, factor), Kind.FLOAT64, 1, 8)
    rounded = carried(ops, floor, fraction, by, floor, format_.rounding)
    return fit(ops, rounded, format_)


def parts_of(factor: float) -> list[float]:
    """A factor in [4, 8) as numbers of few bits each that add up to it exactly."""
    parts, rest = [], Fraction(factor)
    places = _PART_BITS - 1 - _APART
    while rest:
        part = Fraction(math.floor(rest * 2**places), 2**places)
        parts.append(float(part))
        rest -= part
        places += _PART_BITS
    return [part for part in parts if part]


def _real(ops: Arithmetic, value: float) -> str:
    return ops.graph.constant(np.asarray(value, np.float64))


def decoded(ops: Arithmetic, encoding: Encoding, codes: Number) -> tuple[str, Kind]:
    """Name and type of the real numbers of codes: float32 where that holds all of them, else the float64 that fxnorm gives.

    Raises
    ------
    Inexact
        If the step is beyond what float64 holds.
    """
    graph, words = ops.graph, ops.words(codes)
    if abs(encoding.place) > MOST_PLACES[Kind.FLOAT64] or abs(encoding.zero) >= Kind.FLOAT64.limit // 2:
        raise Inexact(f"a step of 2^{encoding.place} with the zero {encoding.zero} is beyond float64")
    distance = ops.subtract(words, encoding.zero) if encoding.zero else words
    narrow = (
        encoding.plain and distance.bound <= Kind.FLOAT32.limit and abs(encoding.place) <= MOST_PLACES[Kind.FLOAT32]
    )
    kind = Kind.FLOAT32 if narrow else Kind.FLOAT64
    name, places = ops.as_kind(distance, kind).name, encoding.place
    if encoding.factor != 1.0:
        name = graph.op("Mul", name, graph.constant(np.asarray(math.ldexp(encoding.factor, _APART), kind.dtype)))
        places -= _APART
    return _by_power(ops, name, places, kind), kind


def transformed(ops: Arithmetic, kernel: LogTransform | PowerTransform, real: str) -> Number:
    """Codes of a nonlinear normalization of float32 numbers; see `fxnorm.kernels.transform`."""
    t, zero = _line(ops, kernel.line, real)
    if isinstance(kernel, LogTransform):
        return stage(ops, kernel.stage, t)
    t, bits = drop(ops, t, kernel.shift), kernel.exponential.bits
    # 2^t = 2^whole · 2^-f
    fraction = low_bits(ops, ops.negate(t), bits)
    whole = ops.negate(drop(ops, ops.negate(t), bits))
    value = ops.where(ops.compare("Equal", fraction, 0), 1 << bits, exp2(ops, kernel.exponential, fraction))
    whole = ops.clip(whole, kernel.low - 1, kernel.high)
    up = power(ops, ops.maximum(ops.subtract(whole, kernel.low - 2), 0))
    if kernel.stage.bound > Kind.INT64.limit:
        raise Inexact(
            f"a power reaches 2^{kernel.stage.bound.bit_length() - 1}, and 64-bit integers hold no more than 2^62"
        )
    wide = ops.multiply(value, up, (0, kernel.stage.bound))
    nothing = ops.graph.op("Or", zero, ops.compare("Less", whole, kernel.low))
    return stage(ops, kernel.stage, ops.where(nothing, 0, wide))


def _line(ops: Arithmetic, line: Line, real: str) -> tuple[Number, str]:
    """t = e · octave + ln(m) · slope of every number, and the name of where it is zero."""
    graph = ops.graph
    wide = graph.op("Cast", real, to=Kind.FLOAT64.onnx)
    zero = graph.op("Equal", wide, _real(ops, 0.0))
    # The smallest float32 becomes 1, and so does 0; then halves take the exponent apart.
    y = graph.op("Where", zero, _real(ops, 1.0), graph.op("Mul", wide, _real(ops, math.ldexp(1.0, -LEAST_EXPONENT))))
    exponent: Number | None = None
    for places in (256, 128, 64, 32, 16, 8, 4, 2, 1):
        upper = graph.op("GreaterOrEqual", y, _real(ops, math.ldexp(1.0, places)))
        y = graph.op("Where", upper, graph.op("Mul", y, _real(ops, math.ldexp(1.0, -places))), y)
        step = ops.multiply(ops.truth(upper, Kind.INT64), places)
        exponent = step if exponent is None else ops.add(exponent, step)
    assert exponent is not None
    exponent = ops.add(ops.within(exponent, 0, 127 - LEAST_EXPONENT), LEAST_EXPONENT)
    scaled = graph.op("Mul", y, _real(ops, math.ldexp(1.0, FRACTION)))
    mantissa = ops.words(Number(scaled, Kind.FLOAT64, 1 << FRACTION, (1 << (FRACTION + 1)) - 1))
    logarithm = ops.words(table(ops, line.table, drop(ops, mantissa, FRACTION - line.places)))
    return ops.add(ops.multiply(exponent, line.octave), ops.multiply(logarithm, line.slope)), zero
