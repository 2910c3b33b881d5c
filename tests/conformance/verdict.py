"""Run a node test in a wide format and judge it by what that format allows.

The format has 32 bits, ranges are those of the case's own inputs, scales are powers of two: the largest number of a tensor has its
leading one in one of the two uppermost value bits, so that one LSB is at most 2^-30 of it. What an output may be off:

======================  ==========================================================================================================
fixed point             `LSBS` of the coarsest LSB among output and data, for every layer that computes: the rounding of the data,
                        of the constants and of the result, and the 1 LSB of a function's table
the expected output     `ROUNDINGS` times half an ULP of its own type for every such layer, for onnx computed it in floating point:
                        of the number itself where a layer has one term, of the largest number where it adds several (what cancels
                        leaves its rounding behind). A normalization is one layer in hardware and `NORM_STEPS` there: mean, variance,
                        root, quotient. Nothing where values are only moved or compared
======================  ==========================================================================================================

An output whose LSB is coarser than its own range and that of the data ask for is wrong as well: precision was thrown away.

Where an operator runs through the body by which onnx defines it and the output is off, every layer of it is judged by itself
(`layerwise`). If all of them are right, the format is what limits the result, not the simulator.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from layerwise import layers_agree
from node_cases import NodeRun, is_integer

from fxnorm import api
from fxnorm.errors import FxnormError, UnsupportedError
from fxnorm.kernels.elementwise import Elementwise
from fxnorm.kernels.kernel import Kernel
from fxnorm.kernels.pool import Pool, Reduce
from fxnorm.kernels.rescale import ScaleAndShift
from fxnorm.simulation import Output

Array = np.ndarray

FORMAT: Final = "q16.16"
WIDTH: Final = 32
LSBS: Final = 2.0
ROUNDINGS: Final = 4.0
NORM_STEPS: Final = 4
# Half an ULP of 1; float64 models are computed in float32.
HALF_ULP: Final = {"float16": 2.0**-11, "bfloat16": 2.0**-8, "float32": 2.0**-24, "float64": 2.0**-24}
# Data and expected outputs that onnx has typed in with four digits: a unit of the last.
TYPED: Final = {"test_averagepool_2d_ceil_last_window_starts_on_pad": 1e-4}

Terms = Literal["none", "one", "several", "norm"]


@dataclass(frozen=True)
class Verdict:
    """What became of a run.

    Attributes
    ----------
    status
        passed; refused, fxnorm says what it does not have; limited, the format cannot hold what is between the layers; wrong, the numbers
        or the shape are, or fxnorm broke off.
    detail
        Reasons of a refusal, one a line; what is wrong otherwise.
    excess
        Largest error as a multiple of the tolerance.
    """

    status: Literal["passed", "refused", "limited", "wrong"]
    detail: str = ""
    excess: float = 0.0


def judge(run: NodeRun) -> Verdict:
    """Import, calibrate, plan, simulate, compare."""
    try:
        return _compare(run)
    except UnsupportedError as error:
        return Verdict("refused", "\n".join(_reasons(run, error.reasons)))
    except FxnormError as error:
        # Tensors without elements cannot be read. Any other operator that fxnorm lowers must be, and then be planned and run.
        empty = any(array.size == 0 for array in run.data.values())
        return Verdict("refused" if empty or not run.lowered else "wrong", _general(str(error)))
    except Exception as error:  # a traceback is the worst answer of all, and must not hide those of the other runs
        return Verdict("wrong", f"breaks off with {type(error).__name__}: {error}")


def _general(text: str) -> str:
    """A message without the names and numbers of one case."""
    text = text.splitlines()[0]
    text = re.sub(r"^calibration: .* reaches .*(inf|nan).* in FP32; ", r"calibration: a value is \1 in FP32; ", text)
    return re.sub(r"^\S+ \((\w+)\): ", r"\1: ", text)


def _reasons(run: NodeRun, reasons: tuple[str, ...]) -> list[str]:
    """Reasons without the names of nodes; with their operator where it is not the one that is tested."""
    texts = []
    for reason in reasons:
        label, _, text = reason.partition("): ")
        operator = label.rpartition(" (")[2]
        named = text == "" or operator == run.operator or f"operator {operator} " in text
        texts.append(reason if text == "" else text if named else f"{operator}: {text}")
    return list(dict.fromkeys(texts))


def _compare(run: NodeRun) -> Verdict:
    graph = api.load(run.model)
    data = {name: _data(array)[None] for name, array in run.data.items() if name in graph.inputs}
    plan = api.plan(graph, api.calibrate(graph, data), FORMAT)
    result = api.simulate(plan, data, trace=True)
    kinds = [_terms(layer.kernel) for layer in plan.layers]
    given = 0.0
    for name in plan.inputs:
        lsb, needed = 2.0 ** plan.values[name].encoding.lsb, _finest_lsb(data[name])
        if name in plan.integer_inputs:
            continue
        if lsb > needed > 0.0:
            return Verdict("wrong", f"input {name} has an LSB of {lsb:.3g} where {needed:.3g} would do")
        given = max(given, lsb)
    finest = max(given, *map(_finest_lsb, (*run.expected.values(), *_constants(run))))
    worst = Verdict("passed")
    for name, array in run.expected.items():
        expected = _real(array)
        if graph.shape(name) != expected.shape:
            return Verdict("wrong", f"{name} has the shape {graph.shape(name)}, not {expected.shape}")
        lsb = 2.0 ** result[name].encoding.lsb
        if lsb > finest > 0.0 and plan.layers:
            return Verdict("wrong", f"{name} has an LSB of {lsb:.3g} where {finest:.3g} would do")
        error = np.abs(result[name].values.reshape(expected.shape) - expected)
        tolerance = _tolerance(kinds, max(lsb, given), expected, HALF_ULP[array.dtype.name]) + TYPED.get(run.name, 0.0)
        excess = float(np.max(error / tolerance, initial=0.0))
        if excess > worst.excess:
            detail = f"{name} is {excess:.3g} times the tolerance off" if excess > 1.0 else ""
            worst = Verdict("wrong" if detail else "passed", detail, excess)
    if worst.status == "wrong" and not run.lowered and len(plan.layers) > 1:

        def allowed(output: Output, expected: Array) -> Array:
            return _tolerance(["several"], 2.0**output.encoding.lsb, expected, HALF_ULP["float32"])

        if layers_agree(graph, result.traces, allowed):
            return Verdict("limited", worst.detail, worst.excess)
    return worst


def _data(array: Array) -> Array:
    return np.asarray(array).astype(np.int64) if is_integer(array) else _real(array)


def _real(array: Array) -> Array:
    return np.asarray(array).astype(np.float64)


def _constants(run: NodeRun) -> list[Array]:
    from onnx import numpy_helper

    arrays = [numpy_helper.to_array(tensor) for tensor in run.model.graph.initializer]
    return [_real(array) for array in arrays if array.dtype.kind in "fV"]


def _finest_lsb(array: Array) -> float:
    """LSB of a tensor whose largest number takes the uppermost value bit but one: rounding up may take the other."""
    largest = float(np.max(np.abs(array), initial=0.0))
    return 2.0 ** float(np.frexp(largest)[1] + 2 - WIDTH) if largest else 0.0


def _tolerance(kinds: list[Terms], lsb: float, expected: Array, half_ulp: float) -> Array:
    layers = max(1, sum(kind != "none" for kind in kinds))
    steps = max(1, sum(NORM_STEPS if kind == "norm" else kind != "none" for kind in kinds))
    if "several" in kinds or "norm" in kinds or kinds.count("one") > 1:
        scale = np.full(expected.shape, np.max(np.abs(expected), initial=0.0))
    else:
        # A type of 16 bits rounds even what is only moved.
        moved = "one" not in kinds and half_ulp <= HALF_ULP["float32"]
        scale = np.zeros(expected.shape) if moved else np.abs(expected)
    return layers * LSBS * lsb + steps * ROUNDINGS * half_ulp * scale


def _terms(kernel: Kernel) -> Terms:
    """How many rounded terms a result has in floating point: none where values are moved, compared or negated."""
    match kernel:
        case Pool(function="max") | Reduce(function="max" | "min"):
            return "none"
        case Elementwise(function="min" | "max" | "select" | "threshold" | "abs"):
            return "none"
        case Elementwise(function="add", operands=(_,)):
            return "none"
        case Elementwise(function="mul" | "prelu"):
            return "one"
        case ScaleAndShift(bias=bias, multiplier=multiplier) if not np.any(bias):
            return "none" if np.all(multiplier == 1) else "one"
    match kernel.kind:
        case "movement" | "concat" | "lookup":
            return "none"
        case "table" | "divide":
            return "one"
        case "norm" | "local_response":
            return "norm"
    return "several"
