"""Witnesses: inputs that overflow an accumulator which was chosen too narrow, each a layer's input and, where it is near, the network's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from fxnorm.engine import replay
from fxnorm.kernels.linear import Linear
from fxnorm.kernels.matmul import MatMul
from fxnorm.kernels.movement import Move, Movement, Pad, Spread
from fxnorm.planning.plan import Layer, Plan
from fxnorm.proofs.accumulators import quantized_steps
from fxnorm.proofs.factors import matmul_factors, windows_of
from fxnorm.proofs.interval import Interval
from fxnorm.proofs.sums import Overflowing, in_order, overflowing

Array = np.ndarray


@dataclass(frozen=True, eq=False)
class Witness:
    """An input that overflows an accumulator.

    Attributes
    ----------
    channel
        Output channel (of a matrix product: row of a constant on the left, column of one on the right).
    position
        Output position of a convolution; () elsewhere.
    addition
        Number of the addition that overflows first, from 0.
    tap
        Where in the weights of the channel its factor stands: input channel of the group, kernel row, kernel column; (k,) elsewhere.
    total
        Code of the sum there, which the accumulator cannot hold.
    inputs
        Codes of the layer's inputs, int64 [1, *shape]; each lies in the interval of its value.
    network
        Real numbers of the network's inputs that become these codes, float32 [1, *shape] by name; None where the layer lies deeper.
    """

    channel: int
    position: tuple[int, ...]
    addition: int
    tap: tuple[int, ...]
    total: int
    inputs: tuple[Array, ...]
    network: Mapping[str, Array] | None = None


@dataclass(frozen=True, eq=False)
class Search:
    """What was found.

    Attributes
    ----------
    proven
        Whether no input overflows the accumulator in the order of the contract.
    witness
        An input that does; None where there is none, or none is known.
    """

    proven: bool
    witness: Witness | None


def search(kernel: Linear | MatMul, inputs: Sequence[Interval]) -> Search:
    """Look for an input that overflows an accumulator which is quantized at every addition.

    Parameters
    ----------
    inputs
        Intervals of the kernel's inputs; the witness lies inside.
    """
    steps = quantized_steps(kernel)
    assert steps is not None
    return _in_linear(kernel, inputs[0], steps) if isinstance(kernel, Linear) else _in_matmul(kernel, inputs, steps)


def _in_linear(kernel: Linear, x: Interval, steps: replay.Accumulator) -> Search:
    for position, factors in windows_of(kernel, x, steps.start(kernel.bias)):
        held = in_order(factors, steps).fits(steps.format)
        if held.all():
            continue
        channel = int(np.argmin(held))
        found = overflowing(factors.rows(slice(channel, channel + 1)), steps)
        return Search(False, None if found is None else _linear_witness(kernel, x, channel, position, found))
    return Search(True, None)


def _linear_witness(
    kernel: Linear, x: Interval, channel: int, position: tuple[int, ...], found: Overflowing
) -> Witness:
    codes = _filled(x, kernel.padding)
    shape = kernel.weights.shape[1:]
    if kernel.window is None:
        codes[..., :] = found.b
    else:
        first = channel // (len(kernel.weights) // kernel.groups) * shape[0]
        window = kernel.window
        for k, (c, *tap) in enumerate(np.ndindex(*shape)):
            at = tuple(
                place * stride - before + index * dilation
                for place, stride, before, index, dilation in zip(
                    position, window.strides, window.pads_begin, tap, window.dilations, strict=True
                )
            )
            if all(0 <= index < size for index, size in zip(at, x.shape[2:], strict=True)):
                codes[(0, 0, first + c, *at)] = found.b[k]
    where = tuple(int(index) for index in np.unravel_index(found.step, shape))
    return Witness(channel, position, found.step, where, found.total, (codes,))


def _in_matmul(kernel: MatMul, inputs: Sequence[Interval], steps: replay.Accumulator) -> Search:
    factors = matmul_factors(kernel, inputs)
    held = in_order(factors, steps).fits(steps.format)
    if held.all():
        return Search(True, None)
    channel = int(np.argmin(held))
    found = overflowing(factors.rows(slice(channel, channel + 1)), steps)
    if found is None:
        return Search(False, None)
    # Every row of the left operand and every column of the right one: the sum is the same wherever they meet.
    columns = kernel.right is not None and len(factors.a[0]) > 1
    left, right = (found.b, found.a) if columns else (found.a, found.b)
    given = list(inputs)
    codes = []
    if kernel.left is None:
        codes.append(_filled(given.pop(0), 0))
        codes[-1][...] = left + kernel.zeros[0]
    if kernel.right is None:
        codes.append(_filled(given.pop(0), 0))
        codes[-1][...] = (right if kernel.vector_right else right[:, None]) + kernel.zeros[1]
    codes += [_filled(interval, 0) for interval in given]
    return Search(False, Witness(channel, (), found.step, (found.step,), found.total, tuple(codes)))


def _filled(interval: Interval, code: int) -> Array:
    """A code at every place of a sample, or the one next to it that the interval has."""
    return np.broadcast_to(np.clip(code, interval.low, interval.high), interval.shape)[None].astype(np.int64)


def network_input(plan: Plan, layer: Layer, codes: Sequence[Array]) -> dict[str, Array] | None:
    """Real numbers of the network's inputs that become a layer's inputs; None where more than moves lies between.

    Returns
    -------
    float32 [1, *shape] by input name.
    """
    found: dict[str, Array] = {
        name: np.full(plan.values[name].shape, _resting(plan, name), np.int64) for name in plan.inputs
    }
    set_: dict[str, Array] = {name: np.zeros(codes_.shape, np.bool_) for name, codes_ in found.items()}
    for name, wanted in zip(layer.inputs, codes, strict=True):
        traced = _origin(plan, name)
        if traced is None:
            return None
        source, places = traced
        flat, taken = found[source].reshape(-1), set_[source].reshape(-1)
        values = wanted.reshape(-1)
        if np.any(taken[places] & (flat[places] != values)):
            return None
        flat[places], taken[places] = values, True
        if not np.array_equal(flat[places], values):  # one place was moved to several that want different codes
            return None
    return _decoded(plan, found)


def _resting(plan: Plan, name: str) -> int:
    encoding = plan.values[name].encoding
    return int(np.clip(encoding.zero, encoding.format.lowest_code, encoding.format.max_code))


def _origin(plan: Plan, name: str) -> tuple[str, Array] | None:
    """The network's input that a value only is moved from, and for each of the value's places that of the input."""
    makers = {layer.output: layer for layer in plan.layers}
    moves: list[Move] = []
    while name in makers:
        kernel = makers[name].kernel
        if not isinstance(kernel, Movement) or kernel.stage is not None:
            return None
        moves = [*kernel.moves, *kernel.filled, *moves]
        name = makers[name].inputs[0]
    if name in plan.transforms or name in plan.integer_inputs or any(isinstance(move, Pad | Spread) for move in moves):
        return None
    shape = plan.values[name].shape
    places = np.arange(int(np.prod(shape, dtype=np.int64))).reshape(1, *shape)
    for move in moves:
        places = move.apply(places)
    return name, places.reshape(-1)


def _decoded(plan: Plan, found: Mapping[str, Array]) -> dict[str, Array] | None:
    """The real numbers of codes, if they are still these codes as float32."""
    result = {}
    for name, codes in found.items():
        if name in plan.transforms:
            return None
        encoding = plan.values[name].encoding
        if name in plan.integer_inputs:
            result[name] = np.zeros((1, *codes.shape), np.int64)
            continue
        with np.errstate(over="ignore"):
            real = encoding.decode(codes).astype(np.float32)
        if not np.isfinite(real).all() or not np.array_equal(encoding.encode(real), codes):
            return None
        result[name] = real[None]
    return result
