"""Integer-valued tensors of an ONNX graph, each with proven ends, so that every operation on them is known to be exact.

A tensor is held as float32 up to 2^24, as float64 up to 2^53, as int64 up to 2^62. Every operation computes the ends of its result from
those of its operands and moves to the next type where that does not hold them; beyond the last one it raises `Inexact`.

Of 64-bit integers only those operators are used that onnxruntime computes in 64 bits: Add, Sub, Mul, Div, Mod, Neg, Abs, comparisons,
Where, MatMul, CumSum, Gather, Cast. Its Min, Max, Clip, Sign and ReduceMax look at 32 of them, and its ReduceSum adds in float64.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Any, Final

import numpy as np

from fxnorm.engine import products
from fxnorm.exact_onnx.graph import GraphBuilder

Array = np.ndarray


class Kind(IntEnum):
    """Element types, each of which holds the integers of the one before."""

    FLOAT32 = 0
    FLOAT64 = 1
    INT64 = 2

    @property
    def dtype(self) -> np.dtype[Any]:
        """NumPy's type."""
        return np.dtype((np.float32, np.float64, np.int64)[self])

    @property
    def limit(self) -> int:
        """Largest magnitude of its exact integers."""
        return (products.FLOAT32_EXACT, products.FLOAT64_EXACT, products.INT64_SAFE)[self]

    @property
    def onnx(self) -> int:
        """Number of the type in ONNX (TensorProto.FLOAT, DOUBLE, INT64)."""
        return (1, 11, 7)[self]


_HALF: Final = 31


class Inexact(Exception):
    """No element type holds a number exactly; the text says which one."""


def smallest(bound: int, what: str, least: Kind = Kind.FLOAT32) -> Kind:
    """First type from `least` on that holds all integers up to a bound.

    Raises
    ------
    Inexact
        If there is none.
    """
    for kind in Kind:
        if kind >= least and bound <= kind.limit:
            return kind
    raise Inexact(f"{what} reaches {_power(bound)}, and 64-bit integers hold no more than 2^62")


def _power(bound: int) -> str:
    return f"2^{bound.bit_length() - 1}"


@dataclass(frozen=True, slots=True)
class Number:
    """A tensor of integers.

    Attributes
    ----------
    name
        In the graph.
    kind
        How it is held.
    low, high
        No element lies outside.
    """

    name: str
    kind: Kind
    low: int
    high: int

    @property
    def bound(self) -> int:
        """Largest magnitude."""
        return max(-self.low, self.high, 0)


Operand = Number | int


class Arithmetic:
    """Operations on numbers; each adds what it takes to a graph."""

    def __init__(self, graph: GraphBuilder) -> None:
        self.graph = graph
        self._before: dict[str, str] = {}

    def constant(self, array: Array | int, kind: Kind = Kind.FLOAT32) -> Number:
        """Integers of any NumPy type, held as `kind` or the next one that holds them."""
        integers = np.asarray(array)
        low, high = (int(integers.min()), int(integers.max())) if integers.size else (0, 0)
        held = smallest(max(-low, high), "a constant", kind)
        return Number(self.graph.constant(integers.astype(held.dtype)), held, low, high)

    def as_kind(self, x: Number, kind: Kind) -> Number:
        """The same numbers in another type.

        Raises
        ------
        Inexact
            If it does not hold them.
        """
        if x.kind is kind:
            return x
        if x.bound > kind.limit:
            raise Inexact(f"a number reaches {_power(x.bound)}, which {kind.name.lower()} does not hold exactly")
        return replace(x, name=self.graph.op("Cast", x.name, to=kind.onnx), kind=kind)

    def compact(self, x: Number) -> Number:
        """The same numbers as codes are held: float32, or float64 where they are wider."""
        return self.as_kind(x, Kind.FLOAT32 if x.bound <= Kind.FLOAT32.limit else Kind.FLOAT64)

    def words(self, x: Number) -> Number:
        """The same numbers as 64-bit integers."""
        return self.as_kind(x, Kind.INT64)

    def add(self, a: Operand, b: Operand) -> Number:
        """a + b."""
        a, b = self._numbers(a, b)
        return self._binary("Add", a, b, a.low + b.low, a.high + b.high)

    def subtract(self, a: Operand, b: Operand) -> Number:
        """a - b."""
        a, b = self._numbers(a, b)
        return self._binary("Sub", a, b, a.low - b.high, a.high - b.low)

    def multiply(self, a: Operand, b: Operand, ends: tuple[int, int] | None = None) -> Number:
        """a · b; `ends` are given where factors are known to come together so that the product stays smaller."""
        a, b = self._numbers(a, b)
        corners = [x * y for x in (a.low, a.high) for y in (b.low, b.high)]
        low, high = (min(corners), max(corners)) if ends is None else ends
        return self._binary("Mul", a, b, low, high)

    def square(self, x: Number) -> Number:
        """x²."""
        kind = smallest(x.bound**2, "a square", x.kind)
        x = self.as_kind(x, kind)
        return Number(self.graph.op("Mul", x.name, x.name), kind, 0, x.bound**2)

    def minimum(self, a: Operand, b: Operand) -> Number:
        """The smaller one."""
        a, b = self._numbers(a, b)
        return self._chosen("Min", "Less", a, b, min(a.low, b.low), min(a.high, b.high))

    def maximum(self, a: Operand, b: Operand) -> Number:
        """The larger one."""
        a, b = self._numbers(a, b)
        return self._chosen("Max", "Greater", a, b, max(a.low, b.low), max(a.high, b.high))

    def _chosen(self, op: str, better: str, a: Number, b: Number, low: int, high: int) -> Number:
        kind = max(a.kind, b.kind)
        if kind is Kind.INT64:
            return replace(self.where(self.compare(better, a, b), a, b), low=low, high=high)
        return Number(self.graph.op(op, self.as_kind(a, kind).name, self.as_kind(b, kind).name), kind, low, high)

    def negate(self, x: Number) -> Number:
        """-x."""
        return Number(self.graph.op("Neg", x.name), x.kind, -x.high, -x.low)

    def magnitude(self, x: Number) -> Number:
        """|x|."""
        return x if x.low >= 0 else Number(self.graph.op("Abs", x.name), x.kind, max(0, -x.high), x.bound)

    def clip(self, x: Number, low: int | None, high: int | None) -> Number:
        """x brought between two ends, either of which may be missing; nothing is done where x lies there anyway."""
        least = low if low is not None and low > x.low else None
        most = high if high is not None and high < x.high else None
        if least is None and most is None:
            return x
        new_low, new_high = x.low, x.high
        if low is not None:
            new_low, new_high = max(new_low, low), max(new_high, low)
        if high is not None:
            new_low, new_high = min(new_low, high), min(new_high, high)
        if least is not None and most is not None and least <= most and self._literally(x, least, most):
            name = self.graph.op("Clip", x.name, *(self._literal(end, x.kind) for end in (least, most)))
            return replace(x, name=name, low=new_low, high=new_high)
        if least is not None:
            x = self.maximum(x, least)
        if most is not None:
            x = self.minimum(x, most)
        return replace(x, low=new_low, high=new_high)

    @staticmethod
    def _literally(x: Number, low: int, high: int) -> bool:
        return x.kind is not Kind.INT64 and max(abs(low), abs(high)) <= x.kind.limit

    def sign(self, x: Number) -> Number:
        """-1, 0 or 1."""
        if x.kind is not Kind.INT64:
            return Number(self.graph.op("Sign", x.name), x.kind, -1, 1)
        positive, negative = (self.truth(self.compare(op, x, 0), x.kind) for op in ("Greater", "Less"))
        return self.subtract(positive, negative)

    def where(self, condition: str, a: Operand, b: Operand) -> Number:
        """a where a condition holds, else b."""
        a, b = self._numbers(a, b)
        kind = max(a.kind, b.kind)
        a, b = self.as_kind(a, kind), self.as_kind(b, kind)
        return Number(self.graph.op("Where", condition, a.name, b.name), kind, min(a.low, b.low), max(a.high, b.high))

    def compare(self, op: str, a: Operand, b: Operand) -> str:
        """Name of the truth of Less, LessOrEqual, Greater, GreaterOrEqual or Equal."""
        a, b = self._numbers(a, b)
        kind = max(a.kind, b.kind)
        return self.graph.op(op, self.as_kind(a, kind).name, self.as_kind(b, kind).name)

    def truth(self, condition: str, kind: Kind) -> Number:
        """1 where a condition holds, else 0."""
        return Number(self.graph.op("Cast", condition, to=kind.onnx), kind, 0, 1)

    def gather(self, table: Array, index: Number, kind: Kind = Kind.INT64, axis: int = 0) -> Number:
        """Entries of a table of integers, at indices from 0 on."""
        held = self.constant(table, kind)
        name = self.graph.op("Gather", held.name, self.words(index).name, axis=axis)
        return replace(held, name=name)

    def total(
        self, x: Number, axes: Sequence[int], count: int, *, keep: bool, ends: tuple[int, int] | None = None
    ) -> Number:
        """Σ x over axes, `count` numbers a sum; partial sums lie between 0 and the ends."""
        low, high = (count * min(x.low, 0), count * max(x.high, 0)) if ends is None else ends
        bound = max(-low, high, x.bound)
        kind = smallest(bound, "a sum", x.kind)
        if bound > Kind.FLOAT64.limit:
            return replace(self._total_of_halves(x, axes, count, keep), low=low, high=high)
        added = self.as_kind(x, min(kind, Kind.FLOAT64))
        name = self.graph.op("ReduceSum", added.name, self.shape(axes), keepdims=int(keep))
        return self.as_kind(Number(name, added.kind, low, high), kind)

    def _total_of_halves(self, x: Number, axes: Sequence[int], count: int, keep: bool) -> Number:
        """Upper and lower halves of 64-bit integers are added apart, in float64."""
        x = self.as_kind(x, Kind.INT64)
        size = self.constant(1 << _HALF, Kind.INT64)
        lower = Number(self.graph.op("Mod", x.name, size.name), Kind.INT64, 0, size.high - 1)
        upper = Number(
            self.graph.op("Div", self.subtract(x, lower).name, size.name), Kind.INT64, x.low >> _HALF, x.high >> _HALF
        )
        if count * max(upper.bound, lower.bound) > Kind.FLOAT64.limit:
            raise Inexact(f"a sum of {count} numbers of up to {_power(x.bound)} is too long to be added exactly")
        sums = [self.as_kind(self.total(half, axes, count, keep=keep), Kind.INT64) for half in (upper, lower)]
        return Number(
            self.graph.op("Add", self.graph.op("Mul", sums[0].name, size.name), sums[1].name), Kind.INT64, 0, 0
        )

    def largest(self, x: Number, axes: Sequence[int], *, keep: bool, op: str = "ReduceMax") -> Number:
        """Maximum over axes, or minimum with ReduceMin."""
        held = self.compact(x) if x.kind is Kind.INT64 else x
        return replace(held, name=self.graph.op(op, held.name, axes=list(axes), keepdims=int(keep)))

    def within(self, x: Number, low: int, high: int) -> Number:
        """The same number with narrower ends, which the caller has proven."""
        return replace(x, low=max(x.low, low), high=min(x.high, high))

    def move(self, op: str, x: Number, *inputs: str, **attributes: Any) -> Number:
        """What an operator makes of x that only moves numbers."""
        return replace(x, name=self.graph.op(op, x.name, *inputs, **attributes))

    def reshape(self, x: Number, shape: Sequence[int]) -> Number:
        """The same numbers in another shape, in which one size may be -1."""
        source = self._before.get(x.name, x.name)
        name = self.graph.op("Reshape", source, self.shape(shape))
        self._before[name] = source
        return replace(x, name=name)

    def shape(self, sizes: Sequence[int]) -> str:
        """Name of a constant list of sizes, axes or places."""
        return self.graph.constant(np.asarray(sizes, np.int64).reshape(-1))

    def _literal(self, value: int, kind: Kind) -> str:
        return self.graph.constant(np.asarray(value, kind.dtype))

    def _numbers(self, a: Operand, b: Operand) -> tuple[Number, Number]:
        first, second = a, b
        if isinstance(first, int):
            assert isinstance(second, Number)
            first = self.constant(first, second.kind)
        if isinstance(second, int):
            second = self.constant(second, first.kind)
        return first, second

    def _binary(self, op: str, a: Number, b: Number, low: int, high: int) -> Number:
        bound = max(-low, high, a.bound, b.bound)
        kind = smallest(
            bound, {"Mul": "a product", "Add": "a sum", "Sub": "a difference"}.get(op, "a number"), max(a.kind, b.kind)
        )
        a, b = self.as_kind(a, kind), self.as_kind(b, kind)
        return Number(self.graph.op(op, a.name, b.name), kind, low, high)
