"""A whole plan as an ONNX file of standard operators: layer by layer, or every reason why not."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from fxnorm.errors import UnsupportedError, UsageError
from fxnorm.exact_onnx import linear, norm, places, pointwise, softmax
from fxnorm.exact_onnx.graph import GraphBuilder, Port
from fxnorm.exact_onnx.interface import decoded, quantized, transformed
from fxnorm.exact_onnx.numbers import Arithmetic, Inexact, Kind, Number
from fxnorm.exact_onnx.value import Value
from fxnorm.kernels import movement
from fxnorm.kernels.divide import Divide
from fxnorm.kernels.elementwise import Elementwise
from fxnorm.kernels.kernel import Kernel
from fxnorm.kernels.linear import Linear
from fxnorm.kernels.local_response import LocalResponse
from fxnorm.kernels.matmul import MatMul
from fxnorm.kernels.norm import Norm
from fxnorm.kernels.norm_statistic import NormInverseDeviation, NormMean
from fxnorm.kernels.pool import Pool, Reduce
from fxnorm.kernels.rescale import ScaleAndShift
from fxnorm.kernels.softmax import LogSoftmax, Softmax
from fxnorm.kernels.table import Function
from fxnorm.planning.plan import Layer, Plan
from fxnorm.proofs.interval import Interval
from fxnorm.proofs.rules import output_interval

if TYPE_CHECKING:
    import onnx

Rule = Callable[[Arithmetic, Any, Sequence[Value], tuple[int, ...]], Number]

RULES: Final[Mapping[type[Kernel], Rule]] = {
    Linear: linear.linear,
    MatMul: linear.matmul,
    Elementwise: pointwise.elementwise,
    Divide: pointwise.divide,
    ScaleAndShift: pointwise.scale,
    Function: pointwise.function,
    Pool: places.pool,
    Reduce: places.reduce,
    Softmax: softmax.softmax,
    LogSoftmax: softmax.log_softmax,
    Norm: norm.norm,
    NormMean: norm.norm_mean,
    NormInverseDeviation: norm.norm_inverse_deviation,
    LocalResponse: norm.local_response,
    movement.Movement: places.move,
    movement.Concat: places.concat,
    movement.Lookup: places.lookup,
}
"""How every kernel becomes operators."""

INEXACT: Final = "part{s} of the plan cannot be exact arithmetic of ONNX operators; give them narrower formats"
CODES: Final = ".codes"
"""What stands behind an output's name where its codes are."""


def export(plan: Plan, path: str | Path) -> Path:
    """Write a plan as an ONNX file, whole or not at all.

    Raises
    ------
    UnsupportedError
        If layers cannot be exact float arithmetic; it lists all of them.
    UsageError
        If the file cannot be written.
    """
    content = exact_model(plan).SerializeToString(deterministic=True)
    target = Path(path)
    scratch = target.parent / f".fxnorm-{secrets.token_hex(8)}"
    try:
        scratch.write_bytes(content)
        os.replace(scratch, target)
    except OSError as error:
        raise UsageError(f"{target}: cannot be written: {error.strerror or error}") from error
    finally:
        scratch.unlink(missing_ok=True)
    return target


def exact_model(plan: Plan) -> onnx.ModelProto:
    """A plan as an ONNX model whose outputs are those of the simulator, bit by bit.

    Inputs are the model's own, float32 (indices int64), their first axis as many samples as there are. An output NAME is real numbers;
    NAME.codes are its codes, int64.

    Raises
    ------
    UnsupportedError
        If layers cannot be exact float arithmetic; it lists all of them.
    """
    return _Export(plan).model()


def export_record(content: bytes) -> dict[str, Any]:
    """What is in an exported file, as plain data: its size and digest, its inputs and outputs."""
    from onnx import ModelProto, helper

    model = ModelProto.FromString(content)

    def ports(values: Any) -> list[dict[str, Any]]:
        found = []
        for value in values:
            tensor = value.type.tensor_type
            shape = [dim.dim_param or dim.dim_value for dim in tensor.shape.dim]
            dtype = str(helper.tensor_dtype_to_np_dtype(tensor.elem_type))
            found.append({"name": value.name, "shape": shape, "dtype": dtype})
        return found

    digest = hashlib.sha256(content).hexdigest()
    return {
        "file": {"nodes": len(model.graph.node), "bytes": len(content), "sha256": digest},
        "inputs": ports(model.graph.input),
        "outputs": ports(model.graph.output),
    }


class _Export:
    """One plan on its way."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.reasons: list[str] = []
        self.kinds: list[dict[str, str]] = []
        names = [name for output in plan.outputs for name in (output, output + CODES)]
        taken = [*plan.inputs, *names]
        for name in sorted({name for name in taken if taken.count(name) > 1}):
            self.reasons.append(f"{name}: inputs and outputs need names of their own, and two have this one")
        self.graph = GraphBuilder(taken)
        self.ops = Arithmetic(self.graph)
        self.values: dict[str, Value] = {}

    def model(self) -> onnx.ModelProto:
        """The model, or the reasons why there is none."""
        plan = self.plan
        for name in plan.inputs:
            self._input(name)
        for index, layer in enumerate(plan.layers):
            self._layer(index, layer)
        outputs = [port for name, value in plan.outputs.items() for port in self._output(name, value)]
        if self.reasons:
            raise UnsupportedError(self.reasons, INEXACT)
        inputs = [Port(name, self._input_type(name), self._outer(name)) for name in plan.inputs]
        try:
            return self.graph.model(
                inputs,
                outputs,
                version=version("fxnorm"),
                notes=self._notes(),
                text="Exact fixed-point arithmetic of a plan of fxnorm.",
            )
        except OverflowError as error:
            raise UnsupportedError([f"plan: an ONNX file holds two gigabytes, not {error}"], INEXACT) from error

    def _input(self, name: str) -> None:
        encoding, shape = self.plan.values[name].encoding, self.plan.values[name].shape
        interval = Interval.of_format(shape, encoding.format)
        with self.graph.section(f"input{self.plan.inputs.index(name)}"):
            try:
                given = self.graph.op("Reshape", name, self.ops.shape([-1, *shape]))
                if name in self.plan.transforms:
                    number = transformed(self.ops, self.plan.transforms[name], given)
                elif name in self.plan.integer_inputs:
                    number = Number(given, Kind.INT64, encoding.format.min_code, encoding.format.max_code)
                else:
                    number = quantized(self.ops, encoding, given)
                self._check(shape)
            except Inexact as reason:
                self.reasons.append(f"{name} (Input): {reason}")
                number = _stand_in(interval)
        self.values[name] = Value(number, shape, interval)

    def _layer(self, index: int, layer: Layer) -> None:
        inputs = [self.values[name] for name in layer.inputs]
        shape = self.plan.values[layer.output].shape
        interval = output_interval(layer.kernel, [value.interval for value in inputs], shape)
        with self.graph.section(f"{index}.{layer.kernel.kind}"):
            try:
                self._check(shape)
                number = RULES[type(layer.kernel)](self.ops, layer.kernel, inputs, shape)
                number = self.ops.within(number, *interval.hull)
            except Inexact as reason:
                self.reasons.append(f"{layer.name} ({layer.op}): {reason}")
                number = _stand_in(interval)
        self.kinds.append({"name": layer.name, "kernel": layer.kernel.kind})
        self.values[layer.output] = Value(number, shape, interval)

    def _check(self, shape: tuple[int, ...]) -> None:
        if 0 in shape:
            raise Inexact("a value without any element has no place in a graph of fixed shapes")

    def _output(self, name: str, value: str) -> list[Port]:
        held, encoding = self.values[value], self.plan.values[value].encoding
        with self.graph.section(f"output{list(self.plan.outputs).index(name)}"):
            try:
                real, kind = decoded(self.ops, encoding, held.number)
            except Inexact as reason:
                self.reasons.append(f"{name} (Output): {reason}")
                return []
            merged = self.ops.shape([-1, *held.shape[1:]])
            self.graph.op("Reshape", real, merged, output=name)
            self.graph.op("Reshape", self.ops.words(held.number).name, merged, output=name + CODES)
        shape = self._outer(value)
        return [Port(name, kind.dtype, shape), Port(name + CODES, np.dtype(np.int64), shape)]

    def _outer(self, value: str) -> tuple[int | str, ...]:
        """Shape outside: samples and the model's own first axis are one."""
        return "samples", *self.plan.values[value].shape[1:]

    def _input_type(self, name: str) -> np.dtype[Any]:
        return np.dtype(np.int64 if name in self.plan.integer_inputs else np.float32)

    def _notes(self) -> dict[str, str]:
        plan = self.plan
        named = [*((name, name) for name in plan.inputs), *plan.outputs.items()]
        encodings = {name: plan.values[value].encoding for name, value in named}
        held = {
            name: {"format": str(encoding.format), "scale": encoding.scale, "offset": encoding.offset}
            for name, encoding in encodings.items()
        }
        return {
            "fxnorm.plan": plan.digest,
            "fxnorm.model": plan.model_sha256,
            "fxnorm.format": plan.format,
            "fxnorm.encodings": json.dumps(held, sort_keys=True),
            "fxnorm.layers": json.dumps(self.kinds),
        }


def _stand_in(interval: Interval) -> Number:
    """What later layers are tried with after one that was refused, so that all refusals are found."""
    low, high = interval.hull
    bound = max(-low, high)
    return Number("", next(kind for kind in Kind if bound <= kind.limit), low, high)
