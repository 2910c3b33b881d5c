"""Rounding, overflow and the rescale stage as operators of ONNX, in all modes.

In floating point a number over a power of two is exact as it is, and one operator rounds it (Floor, Ceil, Round, which goes to even). In
64-bit integers, and where something else than a power of two divides, the floor is kept and one is added where the mode asks for it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np

from fxnorm.exact_onnx.numbers import Arithmetic, Inexact, Kind, Number, smallest
from fxnorm.fixed.format import Format, Overflow, Rounding
from fxnorm.kernels.stage import Rescale
from fxnorm.proofs.ends import settled

Array = np.ndarray

MOST_PLACES: Final = {Kind.FLOAT32: 100, Kind.FLOAT64: 900}
"""Powers of two by which numbers of a type may be scaled and stay normal ones."""
# Modes that do the same everywhere on the line, so that an integer may be added before or after.
_SAME_EVERYWHERE: Final = (Rounding.TRN, Rounding.RND, Rounding.RND_MIN_INF)
# Modes that look at the sign.
_SIGNED: Final = {
    Rounding.TRN_ZERO: ("Floor", 0.0),
    Rounding.RND_ZERO: ("Ceil", -0.5),
    Rounding.RND_INF: ("Floor", 0.5),
}
# Operator, what is added before, and what is added after.
_PLAIN: Final = {
    Rounding.TRN: ("Floor", 0.0, 0),
    Rounding.RND: ("Floor", 0.5, 0),
    Rounding.RND_MIN_INF: ("Ceil", -0.5, 0),
    Rounding.RND_CONV: ("Round", 0.0, 0),
    Rounding.RND_CONV_ODD: ("Round", -1.0, 1),
}


def stage(ops: Arithmetic, rescale: Rescale, acc: Number) -> Number:
    """Codes of accumulators, as small as they can be held; see `fxnorm.kernels.stage.Rescale`.

    Parameters
    ----------
    rescale
        What differs from channel to channel has a shape that broadcasts against the accumulator, samples counted.

    Raises
    ------
    Inexact
        If no type holds a step.
    """
    places = np.asarray(rescale.shift, np.int64)
    if rescale.origin:
        acc = ops.subtract(acc, rescale.origin)
    if isinstance(rescale.multiplier, int):
        acc = ops.multiply(acc, rescale.multiplier) if rescale.multiplier != 1 else acc
    else:
        acc = ops.multiply(acc, _constant(ops, np.asarray(rescale.multiplier, dtype=object), acc.kind))
    # Below a quarter of a unit all numbers of one sign round alike: no further shift makes a difference.
    places = np.minimum(places, acc.bound.bit_length() + 2)
    divides = not (isinstance(rescale.divisor, int) and rescale.divisor == 1)
    kind = None if divides else _float_kind(rescale, acc, places)
    if kind is None:
        return finish(ops, rescale, _in_integers(ops, rescale, acc, places, divides))
    return finish(ops, rescale, _in_floats(ops, rescale, ops.as_kind(acc, kind), places))


def finish(ops: Arithmetic, rescale: Rescale, rounded: Number) -> Number:
    """The activation's clip and the overflow of the output's format, of numbers that are rounded.

    Codes of up to 53 bits become floating point again.
    """
    format_ = rescale.output
    low, high, lowest, highest = rescale.low, rescale.high, format_.lowest_code, format_.max_code
    if format_.overflow in (Overflow.SAT, Overflow.SAT_SYM):
        # Two limits one after the other are one.
        low = lowest if low is None else min(max(low, lowest), highest)
        high = highest if high is None else min(max(high, lowest), highest)
        fitted = ops.clip(rounded, low, high)
    else:
        if format_.overflow is Overflow.SAT_ZERO:
            # What lies beyond the format is all the same: limits need be no further out.
            low = None if low is None else min(low, highest + 1)
            high = None if high is None else max(high, lowest - 1)
        fitted = fit(ops, ops.clip(rounded, low, high), format_)
    return ops.compact(fitted) if fitted.bound <= Kind.FLOAT64.limit else fitted


def fit(ops: Arithmetic, x: Number, format_: Format) -> Number:
    """Integers brought into the range of a format by its overflow mode."""
    lowest, highest = format_.lowest_code, format_.max_code
    if lowest <= x.low and x.high <= highest:
        return x
    if format_.overflow in (Overflow.SAT, Overflow.SAT_SYM):
        return ops.clip(x, lowest, highest)
    if format_.overflow is Overflow.SAT_ZERO:
        inside = ops.graph.op("And", ops.compare("GreaterOrEqual", x, lowest), ops.compare("LessOrEqual", x, highest))
        return ops.within(ops.where(inside, x, 0), min(lowest, 0), max(highest, 0))
    moved = ops.subtract(x, format_.min_code)
    turns = floor_by(ops, moved, np.asarray(1 << format_.width, dtype=object))[0]
    wrapped = ops.subtract(x, ops.multiply(turns, 1 << format_.width))
    return replace(wrapped, low=format_.min_code, high=highest)


def float_rounding(rounding: Rounding) -> tuple[float, int]:
    """What is added to a scaled number before it is rounded, and to the integer behind; 0 for modes that look at the sign."""
    if rounding in _SIGNED:
        return 0.0, 0
    _, before, after = _PLAIN[rounding]
    return before, after


def round_scaled(ops: Arithmetic, scaled: str, rounding: Rounding, kind: Kind) -> str:
    """Name of the rounded numbers of scaled ones to which the first part of `float_rounding` was added, its second part not yet."""
    graph = ops.graph
    if rounding not in _SIGNED:
        return graph.op(_PLAIN[rounding][0], scaled)
    operator, half = _SIGNED[rounding]
    magnitude = graph.op("Abs", scaled)
    if half:
        magnitude = graph.op("Add", magnitude, graph.constant(np.asarray(half, kind.dtype)))
    return graph.op("Mul", graph.op("Sign", scaled), graph.op(operator, magnitude))


def needed_bound(rescale: Rescale, bound: int, places: Array) -> int:
    """Largest integer, at the finest step there is, of an accumulator that is scaled, moved and rounded in floating point."""
    right, left = max(int(places.max()), 0), max(-int(places.min()), 0)
    zero = abs(rescale.zero)
    return max(bound + ((zero + 1) << right), 2 * ((bound << left) + zero + 1))


def _float_kind(rescale: Rescale, acc: Number, places: Array) -> Kind | None:
    """Floating-point type that holds every step, or None."""
    needed = needed_bound(rescale, acc.bound, places)
    for kind in (Kind.FLOAT32, Kind.FLOAT64):
        if acc.kind <= kind and needed <= kind.limit and int(np.abs(places).max()) <= MOST_PLACES[kind]:
            return kind
    return None


def _in_floats(ops: Arithmetic, rescale: Rescale, acc: Number, places: Array) -> Number:
    graph, kind = ops.graph, acc.kind
    rounding = rescale.output.rounding
    scaled = acc.name
    if places.any():
        scaled = graph.op("Mul", scaled, graph.constant(np.ldexp(1.0, -places).astype(kind.dtype)))
    dropped = bool((places > 0).any())
    before, after = float_rounding(rounding) if dropped else (0.0, 0)
    if rescale.zero or before:
        scaled = graph.op("Add", scaled, graph.constant(np.asarray(rescale.zero + before, kind.dtype)))
    name = round_scaled(ops, scaled, rounding, kind) if dropped else scaled
    low, high = scaled_ends(rescale, acc, places)
    rounded = Number(name, kind, low - after, high - after)
    return ops.add(rounded, after) if after else rounded


def scaled_ends(rescale: Rescale, acc: Number, places: Array) -> tuple[int, int]:
    """Ends of the rounded numbers: those of an exact rescale at both ends and all shifts."""
    wide = replace(
        rescale, low=None, high=None, origin=0, multiplier=1, output=Format(1000, 1000, True, rescale.output.rounding)
    )
    shifts = np.array([int(places.min()), int(places.max())])
    low, high = (np.array([end, end], dtype=object) for end in (acc.low, acc.high))
    low, high = settled(wide, low, high, shifts)
    return int(low.min()), int(high.max())


def _in_integers(ops: Arithmetic, rescale: Rescale, acc: Number, places: Array, divides: bool) -> Number:
    rounding, zero = rescale.output.rounding, rescale.zero
    right, left = np.maximum(places, 0), np.maximum(-places, 0)
    divisor = np.asarray(np.asarray(rescale.divisor, dtype=object) * _powers(right), dtype=object)
    if np.any(left):
        acc = ops.multiply(acc, _constant(ops, _powers(left), acc.kind))
    before = zero != 0 and rounding not in _SAME_EVERYWHERE
    if before:
        acc = ops.add(acc, _constant(ops, np.asarray(zero * divisor, dtype=object), acc.kind))
    if divides or np.any(right):
        acc = divide_round(ops, acc, divisor, rounding)
    return acc if before or not zero else ops.add(acc, zero)


def _powers(places: Array) -> Array:
    """2^places, Python integers."""
    return np.asarray(2 ** np.asarray(places, dtype=object), dtype=object)


def divide_round(ops: Arithmetic, x: Number, divisor: Array, rounding: Rounding) -> Number:
    """x / divisor, rounded; the divisors are positive integers that broadcast against x."""
    floor, rest, held = floor_by(ops, x, divisor)
    return carried(ops, floor, rest, held, x, rounding)


def floor_by(ops: Arithmetic, x: Number, divisor: Array) -> tuple[Number, Number, Number]:
    """Floor of a quotient by constants, the remainder, and the divisors as a number of the same type."""
    largest, least = int(divisor.max()), int(divisor.min())
    # The quotient of two floats is rounded; below this bound none is rounded up to an integer.
    kind = smallest(x.bound + 2 * largest, "a dividend", x.kind)
    x, by = ops.as_kind(x, kind), _constant(ops, divisor, kind)
    return *_floors(ops, x, by, least, largest), by


def floor_by_number(ops: Arithmetic, x: Number, by: Number) -> tuple[Number, Number]:
    """Floor of a quotient by positive 64-bit integers, and the remainder."""
    return _floors(ops, ops.words(x), by, by.low, by.high)


def _floors(ops: Arithmetic, x: Number, by: Number, least: int, largest: int) -> tuple[Number, Number]:
    graph, kind = ops.graph, x.kind
    low, high = min(x.low // least, x.low // largest), max(x.high // least, x.high // largest)
    if kind is Kind.INT64:
        rest = Number(graph.op("Mod", x.name, by.name), kind, 0, largest - 1)
        whole = graph.op("Sub", x.name, rest.name) if x.low < 0 else x.name
        return Number(graph.op("Div", whole, by.name), kind, low, high), rest
    floor = graph.op("Floor", graph.op("Div", x.name, by.name))
    rest = Number(graph.op("Sub", x.name, graph.op("Mul", floor, by.name)), kind, 0, largest - 1)
    return Number(floor, kind, low, high), rest


def carried(ops: Arithmetic, floor: Number, rest: Number, by: Number, x: Number, rounding: Rounding) -> Number:
    """The floor of x / by, and one more where a mode asks for it."""
    if rounding is Rounding.TRN:
        return floor
    graph = ops.graph
    if rounding is Rounding.TRN_ZERO:
        carry = graph.op("And", ops.compare("Less", x, 0), ops.compare("Greater", rest, 0))
    else:
        kind = smallest(2 * by.high, "twice a divisor", rest.kind)
        twice = ops.as_kind(rest, kind)
        twice = Number(graph.op("Add", twice.name, twice.name), kind, 0, 2 * by.high)
        if rounding is Rounding.RND:
            carry = ops.compare("GreaterOrEqual", twice, by)
        else:
            carry = ops.compare("Greater", twice, by)
            if rounding is not Rounding.RND_MIN_INF:
                tie = graph.op("And", ops.compare("Equal", twice, by), _goes_up(ops, floor, x, rounding))
                carry = graph.op("Or", carry, tie)
    return ops.add(floor, ops.truth(carry, floor.kind))


def _goes_up(ops: Arithmetic, floor: Number, x: Number, rounding: Rounding) -> str:
    """Which ties go to the upper neighbour."""
    if rounding is Rounding.RND_ZERO:
        return ops.compare("Less", x, 0)
    if rounding is Rounding.RND_INF:
        return ops.compare("GreaterOrEqual", x, 0)
    _, odd, _ = floor_by(ops, floor, np.asarray(2, dtype=object))
    return ops.compare("Equal", odd, 1 if rounding is Rounding.RND_CONV else 0)


def _constant(ops: Arithmetic, integers: Array, kind: Kind) -> Number:
    """Python integers of any size as a constant.

    Raises
    ------
    Inexact
        If no type holds them.
    """
    largest = max((abs(int(n)) for n in integers.reshape(-1)), default=0)
    if largest > Kind.INT64.limit:
        raise Inexact(
            f"a power of two of 2^{largest.bit_length() - 1} is needed, and 64-bit integers hold no more than 2^62"
        )
    return ops.constant(integers.astype(np.int64), kind)
