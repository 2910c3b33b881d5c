"""Batch normalization from ONNX to codes: of rank 2 to 5, fused and unfused, before and behind activations, with and without γ and β."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from spelling import Speller

import fxnorm as fx
from fxnorm.kernels.linear import Linear
from fxnorm.kernels.rescale import ScaleAndShift
from fxnorm.planning.plan import Plan

Array = np.ndarray
RANKS = (2, 3, 4, 5)
CHANNELS = 4
EPSILON = 1e-3


def parameters(kind: str = "any", seed: int = 0) -> dict[str, Array]:
    """γ, β, mean and variance a channel.

    "defaults" are what Keras writes for scale=False and center=False; "exact" ones make factors that are powers of two, so that folding
    rounds nothing in float32.
    """
    rng = np.random.default_rng(seed)
    if kind == "exact":
        deviation = 2.0 ** rng.integers(-2, 3, CHANNELS)
        return {
            "gamma": 2.0 ** rng.integers(-2, 2, CHANNELS) * rng.choice([-1, 1], CHANNELS),
            "beta": rng.integers(-8, 8, CHANNELS) / 8,
            "mean": rng.integers(-8, 8, CHANNELS) / 8,
            "variance": deviation**2,
        }
    found = {
        "gamma": rng.normal(1.0, 0.4, CHANNELS),
        "beta": rng.normal(0.0, 0.6, CHANNELS),
        "mean": rng.normal(0.0, 0.5, CHANNELS),
        "variance": np.exp(rng.normal(0.0, 0.8, CHANNELS)),
    }
    if kind == "defaults":
        found["gamma"], found["beta"] = np.ones(CHANNELS), np.zeros(CHANNELS)
    return found


def weights(rank: int) -> tuple[Array, Array]:
    """Weights with few digits, and a bias, of a dense layer or of a convolution over rank - 2 axes."""
    rng = np.random.default_rng(rank)
    shape = (CHANNELS, 3) if rank == 2 else (CHANNELS, 3, *(3,) * (rank - 2))
    return rng.integers(-8, 8, shape) / 16, rng.integers(-8, 8, CHANNELS) / 8


def shape_of(rank: int, channels: int = 3) -> tuple[int, ...]:
    return (1, channels, *(4,) * (rank - 2))


def linear(s: Speller, x: str, rank: int, array: Array, bias: Array) -> str:
    if rank == 2:
        return s.Gemm(x, array, bias, transB=1)
    return s.Conv(x, array, bias, kernel_shape=[3] * (rank - 2), pads=[1] * 2 * (rank - 2))


def batchnorm(s: Speller, x: str, how: str, given: dict[str, Array], rank: int, epsilon: float = EPSILON) -> str:
    """As a node, or as exporters and hands spell it."""
    gamma, beta, mean, variance = given.values()
    wide = (CHANNELS, *(1,) * (rank - 2))
    factor = gamma / np.sqrt(variance + epsilon)
    match how:
        case "node":
            return s.BatchNormalization(x, gamma, beta, mean, variance, epsilon=epsilon)
        case "multiply and add":
            return s.Add(s.Mul(x, factor.reshape(wide)), (beta - mean * factor).reshape(wide))
        case "subtract, divide, multiply, add":
            centered = s.Sub(x, mean.reshape(wide))
            divided = s.Div(centered, np.sqrt(variance + epsilon).reshape(wide))
            return s.Add(s.Mul(gamma.reshape(wide), divided), beta.reshape(wide))
    raise AssertionError(how)


HOWS = ["node", "multiply and add", "subtract, divide, multiply, add"]


def samples(rank: int, channels: int = 3) -> Array:
    return np.random.default_rng(9).normal(0.3, 1.0, (40, *shape_of(rank, channels)[1:])).astype(np.float32)


def planned(
    model: onnx.ModelProto, x: Array, format_: str = "q8.16", **options: Any
) -> tuple[Plan, float, fx.api.Comparison]:
    graph = fx.load(model)
    plan = fx.plan(graph, fx.calibrate(graph, x), format_, **options)
    found = fx.compare(fx.reference(graph, x), fx.simulate(plan, x))
    return plan, found["y0"].sqnr_db, found


@pytest.mark.parametrize("kind", ["any", "defaults"])
@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize("rank", RANKS)
def test_behind_a_linear_layer_it_goes_into_the_weights(rank: int, how: str, kind: str) -> None:
    """Bias, batch normalization and ReLU are one layer, whatever the spelling, and it computes what FP32 does."""
    s = Speller(*shape_of(rank))
    y = s.Relu(batchnorm(s, linear(s, "x", rank, *weights(rank)), how, parameters(kind), rank))
    plan, sqnr, _ = planned(s.model(y), samples(rank))
    (layer,) = plan.layers
    assert isinstance(layer.kernel, Linear)
    assert layer.kernel.stage.low == 0
    assert sqnr > 80
    for normalize in ("none", "affine"):
        assert planned(s.model(y), samples(rank), normalize=normalize)[1] > 80


@pytest.mark.parametrize("rank", RANKS)
def test_unfused_and_fused_models_are_one_plan(rank: int) -> None:
    """Folded by the exporter or by fxnorm: the same integers, where folding rounds nothing."""
    array, bias = weights(rank)
    given = parameters("exact")
    factor = given["gamma"] / np.sqrt(given["variance"])
    s = Speller(*shape_of(rank))
    fused_weights = array * factor.reshape(-1, *(1,) * (array.ndim - 1))
    fused = s.model(s.Relu(linear(s, "x", rank, fused_weights, (bias - given["mean"]) * factor + given["beta"])))
    x = samples(rank)
    wanted, _, _ = planned(fused, x, "q5.3")
    for how in HOWS:
        s = Speller(*shape_of(rank))
        y = s.Relu(batchnorm(s, linear(s, "x", rank, array, bias), how, given, rank, epsilon=0.0))
        plan, _, _ = planned(s.model(y), x, "q5.3")
        (kernel,), (other,) = ([layer.kernel for layer in p.layers] for p in (plan, wanted))
        assert isinstance(kernel, Linear)
        assert isinstance(other, Linear)
        assert np.array_equal(kernel.weights, other.weights), how
        assert np.array_equal(kernel.bias, other.bias), how
        assert np.array_equal(np.asarray(kernel.stage.shift), np.asarray(other.stage.shift)), how
        graphs = [fx.load(model) for model in (s.model(y), fused)]
        codes = [fx.simulate(p, x)["y0"].codes for p in (plan, wanted)]
        assert np.array_equal(*codes)
        assert np.allclose(*(fx.reference(graph, x)["y0"] for graph in graphs), atol=1e-5)


@pytest.mark.parametrize("kind", ["any", "defaults"])
@pytest.mark.parametrize("rank", RANKS)
def test_kept_as_a_rescale_it_is_a_layer_of_its_own(rank: int, kind: str) -> None:
    """`--batchnorm rescale`: one integer multiplier and one addend a channel, and a ReLU behind in its stage."""
    s = Speller(*shape_of(rank))
    y = s.Relu(batchnorm(s, linear(s, "x", rank, *weights(rank)), "node", parameters(kind), rank))
    plan, sqnr, _ = planned(s.model(y), samples(rank), batchnorm="rescale")
    first, second = (layer.kernel for layer in plan.layers)
    assert isinstance(first, Linear)
    assert isinstance(second, ScaleAndShift)
    assert second.stage.low == 0
    assert np.asarray(second.multiplier).size == CHANNELS
    assert sqnr > 75
    coarse, fine = (planned(s.model(y), samples(rank), "q5.3", batchnorm=how)[1] for how in ("rescale", "fold"))
    assert coarse > fine - 6


@pytest.mark.parametrize(
    ("rank", "activation"),
    [
        *((rank, activation) for rank in RANKS for activation in ("Relu", "Sigmoid", "LeakyRelu", "HardSwish")),
        *((rank, "MaxPool") for rank in RANKS[1:]),
    ],
)
def test_behind_an_activation_it_stays_a_layer(rank: int, activation: str) -> None:
    """Nothing linear is in front: it may not be folded through what is not linear."""
    s = Speller(*shape_of(rank))
    h = linear(s, "x", rank, *weights(rank))
    a = s.MaxPool(h, kernel_shape=[2] * (rank - 2)) if activation == "MaxPool" else getattr(s, activation)(h)
    plan, sqnr, _ = planned(s.model(batchnorm(s, a, "node", parameters(), rank)), samples(rank))
    assert isinstance(plan.layers[-1].kernel, ScaleAndShift)
    assert plan.layers[-1].op == "BatchNormalization"
    assert sqnr > 60


@pytest.mark.parametrize("normalize", ["none", "pow2", "affine"])
@pytest.mark.parametrize("rank", RANKS)
def test_in_front_of_everything(rank: int, normalize: str) -> None:
    """Batch normalization of the input, ReLU, then a padded convolution (the order of pre-activation networks): padding is 0, not β."""
    s = Speller(*shape_of(rank, CHANNELS))
    given = {**parameters(), "beta": np.full(CHANNELS, 3.0)}
    rng = np.random.default_rng(1)
    array = rng.normal(0, 0.3, (2, CHANNELS, *((3,) * (rank - 2))))
    y = linear(s, s.Relu(batchnorm(s, "x", "node", given, rank)), rank, array, np.zeros(2))
    plan, sqnr, _ = planned(s.model(y), samples(rank, CHANNELS), normalize=normalize)
    assert [type(layer.kernel) for layer in plan.layers] == [ScaleAndShift, Linear]
    assert plan.layers[0].op == "BatchNormalization+Relu"
    assert sqnr > 70


@pytest.mark.parametrize("rank", RANKS)
def test_two_in_a_row_are_one(rank: int) -> None:
    s = Speller(*shape_of(rank, CHANNELS))
    y = batchnorm(s, batchnorm(s, "x", "node", parameters(seed=1), rank), "node", parameters(seed=2), rank)
    plan, sqnr, _ = planned(s.model(y), samples(rank, CHANNELS))
    assert len(plan.layers) == 1
    assert sqnr > 80


def test_a_linear_layer_that_somebody_else_reads_keeps_its_weights() -> None:
    s = Speller(*shape_of(4))
    h = linear(s, "x", 4, *weights(4))
    model = s.model(batchnorm(s, h, "node", parameters(), 4), s.Relu(h))
    plan, sqnr, found = planned(model, samples(4))
    assert len(plan.layers) == 3
    assert min(sqnr, found["y1"].sqnr_db) > 70
