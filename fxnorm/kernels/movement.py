"""Data movement: nothing is computed, codes only change places."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import ClassVar

import numpy as np

from fxnorm.errors import DataError
from fxnorm.kernels.encoding import Encoding, encode_constant
from fxnorm.kernels.kernel import Kernel, Operation, Policy, Reads
from fxnorm.kernels.linear import narrow
from fxnorm.kernels.stage import Rescale, Tally, stage_for

Array = np.ndarray


@dataclass(frozen=True, slots=True)
class Reshape:
    """Same order, other shape."""

    shape: tuple[int, ...]

    def apply(self, x: Array) -> Array:
        """Move codes of shape [samples, *shape]."""
        return x.reshape(x.shape[0], *self.shape)


@dataclass(frozen=True, slots=True)
class Transpose:
    """Axes in another order."""

    order: tuple[int, ...]

    def apply(self, x: Array) -> Array:
        """Move codes of shape [samples, *shape]."""
        return x.transpose(0, *(axis + 1 for axis in self.order))


@dataclass(frozen=True, slots=True)
class Slice:
    """Every step-th index of one axis, `count` of them from `start` on; the step may be negative."""

    axis: int
    start: int
    step: int
    count: int

    def apply(self, x: Array) -> Array:
        """Move codes of shape [samples, *shape]."""
        stop: int | None = self.start + self.step * self.count
        if stop is not None and stop < 0:
            stop = None
        chosen = slice(self.start, stop, self.step) if self.count else slice(0, 0)
        return x[(slice(None),) * (self.axis + 1) + (chosen,)]


@dataclass(frozen=True, eq=False)
class Take:
    """Listed indices of one axis; the index array's shape replaces the axis."""

    axis: int
    indices: Array

    def apply(self, x: Array) -> Array:
        """Move codes of shape [samples, *shape]."""
        return np.take(x, self.indices, axis=self.axis + 1)


@dataclass(frozen=True, slots=True)
class Pad:
    """Codes of one kind around the data: (before, after) an axis."""

    widths: tuple[tuple[int, int], ...]
    code: int

    def apply(self, x: Array) -> Array:
        """Move codes of shape [samples, *shape]."""
        return np.pad(x, ((0, 0), *self.widths), constant_values=self.code)


@dataclass(frozen=True, slots=True)
class Spread:
    """Zeros between neighbours: factor - 1 of them along each axis (the input side of a transposed convolution); `code` stands for 0."""

    factors: tuple[int, ...]
    code: int = 0

    def apply(self, x: Array) -> Array:
        """Move codes of shape [samples, *shape]."""
        shape = tuple((n - 1) * f + 1 if n else 0 for n, f in zip(x.shape[1:], self.factors, strict=True))
        result = np.full((x.shape[0], *shape), self.code, x.dtype)
        result[(slice(None), *(slice(None, None, f) for f in self.factors))] = x
        return result


@dataclass(frozen=True, slots=True)
class Broadcast:
    """Axes of length 1 repeated to a shape of the same rank."""

    shape: tuple[int, ...]

    def apply(self, x: Array) -> Array:
        """Move codes of shape [samples, *shape]."""
        return np.broadcast_to(x, (x.shape[0], *self.shape))


Move = Reshape | Transpose | Slice | Take | Pad | Spread | Broadcast


@dataclass(frozen=True, eq=False)
class Movement(Kernel):
    """Moves, one after the other, and between them a change of format where one was asked for.

    Attributes
    ----------
    moves
        In the order in which they happen.
    stage
        Rescale where the output's encoding differs from the input's; None: the codes stay as they are.
    filled
        Moves behind the stage: from the first pad on, whose filler is a code of the output.
    """

    kind: ClassVar[str] = "movement"
    moves: tuple[Move, ...]
    stage: Rescale | None
    filled: tuple[Move, ...] = ()

    def run(self, inputs: Sequence[Array], tally: Tally) -> Array:
        """Input [samples, *shape]."""
        x = inputs[0]
        for move in self.moves:
            x = move.apply(x)
        x = x if self.stage is None else self.stage.run(x, tally)
        for move in self.filled:
            x = move.apply(x)
        return x


@dataclass(frozen=True, slots=True)
class PadValue:
    """A pad whose filler is still a real number."""

    widths: tuple[tuple[int, int], ...]
    value: float


@dataclass(frozen=True, eq=False)
class MoveOperation(Operation):
    """Moves in real numbers.

    Attributes
    ----------
    moves
        In the order in which they happen.
    keeps
        Whether the codes stay as they are, whatever format the layer has: indices, and data that is moved for the operation behind.
    """

    moves: tuple[Move | PadValue, ...]
    keeps: bool = False

    def encoding(self, inputs: Sequence[Encoding], policy: Policy) -> Encoding | None:
        """Moved data keeps its encoding, unless other values are padded in or another format is wanted."""
        pads = any(isinstance(move, PadValue) and move.value != 0.0 for move in self.moves)
        return inputs[0] if self.keeps or not (pads or policy.format != inputs[0].format) else None

    def reads(self, index: int) -> Reads:
        """Zeros that are put between or around data must be among its codes."""
        zeros = any(isinstance(m, Spread) or (isinstance(m, PadValue) and m.value == 0.0) for m in self.moves)
        return Reads.ZERO if zeros else Reads.ANY

    @property
    def writes_any(self) -> bool:
        """A stage can bring the data into any encoding."""
        return True

    @property
    def passes(self) -> bool:
        """Data is moved."""
        return True

    def unit(self, inputs: Sequence[Encoding]) -> Fraction:
        """That of the input."""
        return Fraction(inputs[0].factor)

    def decide(self, inputs: Sequence[Encoding], output: Encoding, policy: Policy) -> Movement:
        """Fillers become codes of the output, and are put in once the data has its encoding."""
        moves: list[Move] = []
        filled: list[Move] = []
        for move in self.moves:
            if isinstance(move, Spread):
                zero = output.zero if filled else inputs[0].zero
                (filled if filled else moves).append(Spread(move.factors, zero))
            elif isinstance(move, PadValue):
                filled.append(Pad(move.widths, int(output.encode(np.array([move.value]))[0])))
            else:
                (filled if filled else moves).append(move)
        return Movement(tuple(moves), change(inputs[0], output), tuple(filled))


def change(x: Encoding, output: Encoding) -> Rescale | None:
    """Stage that takes codes from one encoding to another; None where they are the same."""
    if x == output:
        return None
    bound = max(-x.format.min_code, x.format.max_code, x.limit)
    return stage_for(output, x.place, bound, x.factor, origin=x.zero)


@dataclass(frozen=True, eq=False)
class Concat(Kernel):
    """Operands one behind the other along an axis, each brought to the output's encoding.

    Attributes
    ----------
    axis
        Axis of the output's shape.
    operands
        Codes of the operands that are constant; None where one is an input.
    stages
        Rescale of each operand; None where its codes stay as they are.
    """

    kind: ClassVar[str] = "concat"
    axis: int
    operands: tuple[Array | None, ...]
    stages: tuple[Rescale | None, ...]

    def run(self, inputs: Sequence[Array], tally: Tally) -> Array:
        """Inputs [samples, *shape]."""
        given = iter(inputs)
        samples = inputs[0].shape[0]
        parts = []
        for constant, stage in zip(self.operands, self.stages, strict=True):
            x = (
                next(given)
                if constant is None
                else np.broadcast_to(constant.astype(np.int64), (samples, *constant.shape))
            )
            parts.append(x if stage is None else stage.run(x, tally))
        return np.concatenate(parts, axis=self.axis + 1)


@dataclass(frozen=True, eq=False)
class ConcatOperation(Operation):
    """Concatenation in real numbers; operands are float64 constants or None for inputs."""

    axis: int
    operands: tuple[Array | None, ...]

    def encoding(self, inputs: Sequence[Encoding], policy: Policy) -> Encoding | None:
        """Operands of one encoding keep it; otherwise the range of the whole decides."""
        same = len(set(inputs)) == 1 and all(operand is None for operand in self.operands)
        return inputs[0] if same and policy.format == inputs[0].format else None

    def reads(self, index: int) -> Reads:
        """Every operand can have a stage."""
        return Reads.ANY

    @property
    def writes_any(self) -> bool:
        """Every operand can have a stage."""
        return True

    @property
    def passes(self) -> bool:
        """Data is moved."""
        return True

    def decide(self, inputs: Sequence[Encoding], output: Encoding, policy: Policy) -> Concat:
        """Constants are encoded as the output is, and inputs rescaled to it."""
        given = iter(inputs)
        constants: list[Array | None] = []
        stages: list[Rescale | None] = []
        for operand in self.operands:
            constants.append(None if operand is None else narrow(output.encode(operand)))
            stages.append(change(next(given), output) if operand is None else None)
        return Concat(self.axis, tuple(constants), tuple(stages))


@dataclass(frozen=True, eq=False)
class Lookup(Kernel):
    """Rows of a constant table, chosen by indices that are data (an embedding).

    Attributes
    ----------
    rows
        Codes of the table.
    axis
        Axis of the table that is indexed.
    """

    kind: ClassVar[str] = "lookup"
    rows: Array
    axis: int

    def run(self, inputs: Sequence[Array], tally: Tally) -> Array:
        """Input: indices [samples, *shape]; negative ones count from the end, as in ONNX."""
        indices = inputs[0]
        length = self.rows.shape[self.axis]
        if indices.size and not (-length <= int(indices.min()) and int(indices.max()) < length):
            raise DataError(
                f"lookup: indices must lie in [-{length}, {length}), not {int(indices.min())}..{int(indices.max())}"
            )
        rows = np.take(self.rows, indices, axis=self.axis).astype(np.int64)
        return np.moveaxis(rows, self.axis, 0) if self.axis else rows


@dataclass(frozen=True, eq=False)
class LookupOperation(Operation):
    """An embedding in real numbers: the table, float64, and the axis that indices choose from."""

    rows: Array
    axis: int = 0

    def encoding(self, inputs: Sequence[Encoding], policy: Policy) -> Encoding | None:
        """The table's own encoding, in the format of data: what is looked up is not rounded again."""
        return encode_constant(self.rows, policy.format, policy.normalize)[1]

    def decide(self, inputs: Sequence[Encoding], output: Encoding, policy: Policy) -> Lookup:
        """Encode the table."""
        return Lookup(narrow(output.encode(self.rows)), self.axis)
