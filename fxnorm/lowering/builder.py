"""The network while it is built, and the two ways in which a new layer melts into the one before it."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from fxnorm.graph.graph import Graph, Node
from fxnorm.kernels.elementwise import ElementwiseOperation
from fxnorm.kernels.kernel import Operation
from fxnorm.kernels.linear import LinearOperation
from fxnorm.kernels.matmul import MatMulOperation
from fxnorm.kernels.norm import NormOperation
from fxnorm.kernels.pool import ReduceOperation
from fxnorm.kernels.rescale import ScaleOperation
from fxnorm.lowering.network import Refusal, Step

Array = np.ndarray

CLIPPED = (LinearOperation, MatMulOperation, ElementwiseOperation, ScaleOperation, ReduceOperation, NormOperation)


def snapped(factor: float) -> float:
    """The power of two that a factor is within float32's precision; else the factor."""
    mantissa, exponent = math.frexp(factor)
    near = round(mantissa * 2) / 2
    return math.ldexp(near, exponent) if abs(mantissa - near) <= 2e-7 and near else factor


class Builder:
    """Collects steps; see the lowerings of one family a module.

    Parameters
    ----------
    graph
        What is lowered.
    fold_batchnorm
        Whether a BatchNormalization behind a linear layer goes into its weights.
    """

    def __init__(self, graph: Graph, *, fold_batchnorm: bool = True) -> None:
        self.graph = graph
        self.fold_batchnorm = fold_batchnorm
        self.steps: dict[str, Step] = {}
        self.shapes: dict[str, tuple[int, ...]] = {name: graph.shape(name) for name in graph.inputs}
        self._same: dict[str, str] = {}
        self._extra = 0

    # Reading the graph

    def value(self, name: str) -> str:
        """Name under which a value is computed."""
        while name in self._same:
            name = self._same[name]
        return name

    def shape(self, name: str) -> tuple[int, ...]:
        """Shape of a value, samples not counted."""
        resolved = self.value(name)
        return self.shapes[resolved] if resolved in self.shapes else self.graph.shape(name)

    def constant(self, node: Node, index: int) -> Array | None:
        """Constant input of a node; None where it is absent or computed."""
        if index >= len(node.inputs) or not node.inputs[index]:
            return None
        return self.graph.constant(node.inputs[index])

    def required(self, node: Node, index: int, what: str) -> Array:
        """Constant input of a node, refused where it is computed."""
        array = self.constant(node, index)
        if array is None:
            raise Refusal(f"{what} must be constant, not computed")
        return array

    def optional(self, node: Node, index: int, what: str) -> Array | None:
        """Constant input of a node or None where it is left out; refused where it is computed."""
        if index >= len(node.inputs) or not node.inputs[index]:
            return None
        return self.required(node, index, what)

    def is_float(self, name: str) -> bool:
        """Whether the FP32 model holds a value as floating point."""
        return self.graph.values[name].dtype.kind == "f"

    def require_float(self, node: Node, index: int = 0) -> None:
        """Refuse arithmetic on indices and flags that come from the data."""
        name = node.inputs[index]
        if not self.is_float(name):
            raise Refusal(f"input {index} must be floating point, not {self.graph.values[name].dtype}")

    def operands(self, node: Node, start: int = 0) -> tuple[tuple[Array | None, ...], tuple[str, ...]]:
        """Inputs of a node from one on: float64 constants, None where one is computed, and the names of those that are."""
        constants: list[Array | None] = []
        names = []
        for index in range(start, len(node.inputs)):
            constant = self.constant(node, index)
            if constant is None:
                self.require_float(node, index)
                names.append(node.inputs[index])
            constants.append(None if constant is None else constant.astype(np.float64))
        return tuple(constants), tuple(names)

    # Building

    def same(self, name: str, source: str) -> None:
        """Declare a value to be another one."""
        self._same[name] = source

    def add(self, node: Node, operation: Operation, inputs: tuple[str, ...], output: str | None = None) -> str:
        """Append a step that makes a value of the node (by default its first output)."""
        name = output if output is not None else node.outputs[0]
        self.shapes[name] = self.graph.shape(name)
        self.steps[name] = Step(node.name, node.op, operation, tuple(self.value(i) for i in inputs), name)
        return name

    def between(
        self,
        node: Node,
        operation: Operation,
        inputs: tuple[str, ...],
        shape: tuple[int, ...],
        range_of: str | None = None,
    ) -> str:
        """Append a step whose output the FP32 model does not have; see `Step.range_of`."""
        self._extra += 1
        name = f"{node.outputs[0]}/{self._extra}"
        while name in self.graph.values:
            name += "'"
        self.shapes[name] = shape
        names = tuple(self.value(i) for i in inputs)
        self.steps[name] = Step(node.name, node.op, operation, names, name, traced=False, range_of=range_of)
        return name

    # Melting together

    def producer(self, name: str) -> Step | None:
        """Step that makes a value and may be changed: nobody else reads the value."""
        step = self.steps.get(self.value(name))
        return step if step is not None and self._readers(step.output) == 1 else None

    def _readers(self, name: str) -> int:
        if name not in self.graph.values:
            return 1  # made by lowering for one consumer
        count = int(name in self.graph.outputs)
        for node in self.graph.consumers.get(name, ()):
            if self._same.get(node.outputs[0]) == name:
                count += self._readers(node.outputs[0])
            else:
                count += sum(1 for i in node.inputs if i == name)
        return count

    def _melt(self, step: Step, node: Node, operation: Operation) -> None:
        del self.steps[step.output]
        output = node.outputs[0]
        self.shapes[output] = self.graph.shape(output)
        self.steps[output] = replace(step, op=f"{step.op}+{node.op}", operation=operation, output=output, traced=True)

    def scale(self, node: Node, x: str, scale: Array, shift: Array, axis: int | None, *, fold: bool = True) -> None:
        """y = scale·x + shift: into the linear or rescale layer before, where there is one, else as a layer of its own.

        Parameters
        ----------
        scale, shift
            float64, both one a channel, or both of length 1.
        axis
            Axis of the channels; None where there is one scale for all.
        fold
            Whether the layer before may take it in.
        """
        step = self.host(x, axis) if fold else None
        if step is None and fold and axis is None and not np.any(shift):
            step = self.product(x)
        match step.operation if step is not None else None:
            case LinearOperation() as before:
                assert step is not None
                self._melt(step, node, self._scaled(before, scale, shift))
            case MatMulOperation() as before:
                assert step is not None
                self._melt(step, node, replace(before, alpha=snapped(before.alpha * float(scale[0]))))
            case ScaleOperation() as before:
                assert step is not None
                joint = axis if before.axis is None else before.axis
                merged = replace(before, scale=before.scale * scale, shift=before.shift * scale + shift, axis=joint)
                self._melt(step, node, merged)
            case _:
                self.add(node, ScaleOperation(scale, shift, axis), (x,))

    def host(self, x: str, axis: int | None) -> Step | None:
        """Step whose weights or multipliers can take in a factor and a bias per entry of an axis; None where there is none."""
        step = self.producer(x)
        if step is None:
            return None
        match step.operation:
            case LinearOperation(low=None, high=None, window=window):
                own = 1 if window is not None else len(self.shape(x)) - 1
                return step if axis in (None, own) else None
            case ScaleOperation(low=None, high=None, axis=own):
                return step if own is None or axis in (None, own) else None
        return None

    def product(self, x: str) -> Step | None:
        """Product of two values that can take in a factor, one for all; None where there is none."""
        step = self.producer(x)
        match step.operation if step is not None else None:
            case MatMulOperation(low=None, high=None, adds=False):
                return step
        return None

    def unscaled(self, x: str) -> tuple[str, float]:
        """What a value is a multiple of, and the factor, where nobody else reads the multiple; itself and 1 elsewhere."""
        step = self.producer(x)
        match step.operation if step is not None else None:
            case ScaleOperation(axis=None, low=None, high=None) as scaling if not np.any(scaling.shift):
                assert step is not None
                if float(scaling.scale[0]) != 0.0:
                    del self.steps[step.output]
                    return step.inputs[0], float(scaling.scale[0])
        return x, 1.0

    @staticmethod
    def _scaled(before: LinearOperation, scale: Array, shift: Array) -> LinearOperation:
        channels = before.weights.shape[0]
        factors = np.broadcast_to(scale, (channels,)).reshape(-1, *(1,) * (before.weights.ndim - 1))
        return replace(before, weights=before.weights * factors, bias=before.bias * scale + shift)

    def clip(self, node: Node, x: str, low: float | None, high: float | None) -> None:
        """y = min(max(x, low), high): into the stage of the layer before, where it has one to itself, else as a layer of its own."""
        step = self.producer(x)
        before = step.operation if step is not None else None
        if step is not None and isinstance(before, CLIPPED):
            lows = [bound for bound in (before.low, low) if bound is not None]
            highs = [bound for bound in (before.high, high) if bound is not None]
            nested = not (before.low is not None and high is not None and high < before.low)
            nested = nested and not (before.high is not None and low is not None and low > before.high)
            if nested:
                self._melt(step, node, replace(before, low=max(lows, default=None), high=min(highs, default=None)))
                return
        self.add(node, ScaleOperation(np.ones(1), np.zeros(1), None, low, high), (x,))

    def clip_own(self, step: Step, low: float, high: float) -> None:
        """Clip the output of a step that was just added for the same node."""
        assert isinstance(step.operation, CLIPPED)
        self.steps[step.output] = replace(step, operation=replace(step.operation, low=low, high=high))
