"""Single layers against what models them today: fxpmath, apytypes, NumPy."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import onnx
from onnx import ModelProto, helper

import fxnorm as fx
from benchmarks.measure import Effort, Row, Task, Work, at_most, faster, in_turn
from benchmarks.models import given, network
from fxnorm.planning.plan import Plan
from fxnorm.simulation import Simulator

Array = np.ndarray
LOW, HIGH = -(1 << 16), (1 << 16) - 1
"""Ends of q11.6, in which every addition of the dense layer saturates."""
INPUTS, OUTPUTS = 64, 32


def rows(effort: Effort) -> Iterator[tuple[str, Task]]:
    """Dense layers with a saturating accumulator, layer normalization, softmax: from real numbers to codes, all counters on."""
    slow = effort.at_most(5)
    yield "dense, fxpmath", partial(_dense, "fxpmath", 1000, slow)
    yield "dense, apytypes", partial(_dense, "apytypes", 50, effort)
    yield "dense, NumPy", partial(_dense, "NumPy int64", None, effort)
    yield "layer normalization", partial(_layer_normalization, effort)
    for format_ in ("q5.3", "q8.8"):
        yield f"softmax, {format_}", partial(_softmax, format_, effort)


def _plan(model: ModelProto, samples: Array, format_: str, **options: str) -> tuple[Plan, dict[str, Array]]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "layer.onnx"
        onnx.save(model, path)
        graph = fx.load(path)
    return fx.plan(graph, fx.calibrate(graph, samples), format_, **options), given(graph, samples)


def _dense(name: str, wanted: float | None, effort: Effort) -> Row:
    count = effort.samples(1000)
    rng = np.random.default_rng(1)
    a, b = rng.integers(-128, 128, (count, INPUTS)), rng.integers(-128, 128, (INPUTS, OUTPUTS))
    node = helper.make_node("MatMul", ["x", "w"], ["y"])
    model = network([node], {"w": (b / 8).astype(np.float32)}, (INPUTS,), (OUTPUTS,))
    plan, inputs = _plan(model, (a / 8).astype(np.float32), "q5.3", accumulator="q11.6:trn,sat", normalize="none")
    simulator = Simulator(plan)
    peers = {"fxpmath": _fxpmath, "apytypes": _apytypes, "NumPy int64": _numpy}
    ours, theirs = in_turn(lambda: simulator.run(inputs), peers[name](a, b), effort)
    target = None if wanted is None else faster(wanted, ours, theirs)
    return Row(
        f"dense {count:,}×{INPUTS} · {INPUTS}×{OUTPUTS}, saturating at every addition", ours, theirs, name, target
    )


def _fxpmath(a: Array, b: Array) -> Work:
    """All outputs at a time, as fast as fxpmath can; an addition is set into the accumulator's format after it was made."""
    from fxpmath import Fxp

    x, w = (Fxp(codes / 8, signed=True, n_word=8, n_frac=3) for codes in (a, b))
    start = np.zeros((len(a), b.shape[1]))

    def work() -> Array:
        total = Fxp(start, signed=True, n_word=17, n_frac=6, overflow="saturate", rounding="floor")
        for k in range(a.shape[1]):
            total.set_val((total + x[:, k : k + 1] * w[k : k + 1]).get_val())
        return np.asarray(total.val)

    if not np.array_equal(work(), _saturating(a, b)):
        raise AssertionError("fxpmath computes something else")
    return work


def _apytypes(a: Array, b: Array) -> Work:
    """Its matrix product with an accumulator; 0.5.1 does not saturate there, so that only its time can be compared."""
    from apytypes import APyFixedAccumulatorContext, APyFixedArray, OverflowMode, QuantizationMode

    left, right = (APyFixedArray.from_float(codes / 8, int_bits=5, frac_bits=3) for codes in (a, b))

    def work() -> object:
        with APyFixedAccumulatorContext(
            int_bits=11, frac_bits=6, quantization=QuantizationMode.TRN, overflow=OverflowMode.SAT
        ):
            return left @ right

    return work


def _numpy(a: Array, b: Array) -> Work:
    return lambda: _saturating(a, b)


def _saturating(a: Array, b: Array) -> Array:
    total = np.zeros((len(a), b.shape[1]), np.int64)
    for k in range(a.shape[1]):
        total = np.clip(total + a[:, k : k + 1] * b[k], LOW, HIGH)
    return total


def _layer_normalization(effort: Effort) -> Row:
    count, size = effort.samples(1000), 384
    rng = np.random.default_rng(2)
    values = rng.normal(0, 2, (count, size)).astype(np.float32)
    scale, bias = rng.normal(1, 0.1, size).astype(np.float32), rng.normal(0, 0.1, size).astype(np.float32)
    epsilon = np.float32(1e-5)
    node = helper.make_node("LayerNormalization", ["x", "scale", "bias"], ["y"], epsilon=float(epsilon))
    plan, inputs = _plan(network([node], {"scale": scale, "bias": bias}, (size,), (size,)), values, "q8.8")
    simulator = Simulator(plan)

    def theirs() -> Array:
        centered = values - values.mean(axis=1, keepdims=True)
        variance = (centered * centered).mean(axis=1, keepdims=True)
        return centered / np.sqrt(variance + epsilon) * scale + bias

    ours, other = in_turn(lambda: simulator.run(inputs), theirs, effort)
    return Row(
        f"layer normalization {count:,}×{size}, exact, q8.8", ours, other, "NumPy float32", at_most(4, ours, other)
    )


def _softmax(format_: str, effort: Effort) -> Row:
    count, size = effort.samples(1000), 128
    values = np.random.default_rng(3).normal(0, 2, (count, size)).astype(np.float32)
    model = network([helper.make_node("Softmax", ["x"], ["y"], axis=-1)], {}, (size,), (size,))
    plan, inputs = _plan(model, values, format_)
    simulator = Simulator(plan)

    def theirs() -> Array:
        e = np.exp(values - values.max(axis=1, keepdims=True))
        return np.asarray(e / e.sum(axis=1, keepdims=True))

    ours, other = in_turn(lambda: simulator.run(inputs), theirs, effort)
    return Row(f"softmax {count:,}×{size}, {format_}", ours, other, "NumPy float32", at_most(4, ours, other))
