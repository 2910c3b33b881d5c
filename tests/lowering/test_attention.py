"""Whole attention blocks: masks leave the scores alone, scale factors cost nothing, causality holds to the bit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto
from spelling import Speller

import fxnorm as fx
from fxnorm.errors import PlanError, UnsupportedError
from fxnorm.kernels.matmul import MatMul
from fxnorm.kernels.softmax import Softmax
from fxnorm.planning.plan import Plan
from fxnorm.simulation import Simulator

Array = np.ndarray
EXPORTED = Path(__file__).resolve().parents[1] / "data" / "exported"

TOKENS, WIDTH, HEADS = 6, 8, 2
DEPTH = WIDTH // HEADS
CAUSAL = np.tril(np.ones((TOKENS, TOKENS), bool))
PADDED = np.arange(TOKENS) < 4
LOW = [-1e4, -1e9, float(np.finfo(np.float32).min), -np.inf]


def sqnr(expected: Array, found: Array) -> float:
    return float(10 * np.log10(np.sum(expected**2) / np.sum((found - expected) ** 2)))


def linear(s: Speller, x: str, rows: int, columns: int, seed: int) -> str:
    rng = np.random.default_rng(seed)
    product = s.MatMul(x, rng.normal(0, rows**-0.5 * 1.5, (rows, columns)))
    return s.Add(product, rng.normal(0, 0.2, columns))


def heads(s: Speller, x: str, tokens: int = TOKENS) -> str:
    return s.Transpose(s.reshape(x, -1, tokens, HEADS, DEPTH), perm=[0, 2, 1, 3])


def masked(s: Speller, scores: str, how: str, low: float, hides: Array) -> str:
    """Scores with a mask as exporters write it."""
    bias = np.where(hides, low, 0.0)
    match how:
        case "add":
            return s.Add(scores, bias)
        case "add, other order, with more axes":
            return s.Add(bias[None, None], scores)
        case "subtract":
            return s.Sub(scores, -bias)
        case "where":
            return s.Where(s.constant(~hides, bool), scores, low)
        case "where, the other way":
            return s.Where(s.constant(hides, bool), low, scores)
        case "add and bound":
            return s.Max(s.Add(scores, bias), float(np.finfo(np.float32).min))
        case "multiply and subtract":
            return s.Sub(s.Mul(scores, (~hides).astype(np.float32)), -bias)
        case "windows":
            # A bias of positions, then one mask for each of two windows, in a shape of its own.
            near = s.Add(scores, np.linspace(-1, 1, TOKENS * TOKENS).reshape(TOKENS, TOKENS))
            split = s.reshape(near, 1, -1, HEADS, TOKENS, TOKENS)
            return s.reshape(s.Add(split, bias[None, None]), -1, HEADS, TOKENS, TOKENS)
    raise AssertionError(how)


def attention(how: str = "none", low: float = -1e9, hides: Array | None = None, scale: str = "div") -> onnx.ModelProto:
    """Self-attention of two heads with projections, as a model [1, tokens, width] → the same."""
    s = Speller(1, TOKENS, WIDTH)
    q, k, v = (heads(s, linear(s, "x", WIDTH, WIDTH, seed)) for seed in (1, 2, 3))
    kt = s.Transpose(k, perm=[0, 1, 3, 2])
    root = DEPTH**0.25
    match scale:
        case "div":
            scores = s.Div(s.MatMul(q, kt), root**2)
        case "mul before":
            scores = s.MatMul(s.Mul(q, 1 / root**2), kt)
        case "both":
            scores = s.MatMul(s.Mul(q, 1 / root), s.Mul(kt, 1 / root))
        case "odd":
            scores = s.Mul(s.MatMul(q, kt), 0.3)
    if how != "none":
        assert hides is not None
        scores = masked(s, scores, how, low, hides)
    mixed = s.MatMul(s.Softmax(scores, axis=-1), v)
    joined = s.reshape(s.Transpose(mixed, perm=[0, 2, 1, 3]), -1, TOKENS, WIDTH)
    return s.model(linear(s, joined, WIDTH, WIDTH, 4))


def tokens(samples: int = 24) -> Array:
    return np.random.default_rng(7).normal(0, 1, (samples, 1, TOKENS, WIDTH)).astype(np.float32)


def planned(model: onnx.ModelProto, x: Any, format_: str = "q8.8", **options: Any) -> tuple[Plan, float]:
    """Plan, and how well it computes what the model does."""
    graph = fx.load(model)
    plan = fx.plan(graph, fx.calibrate(graph, x), format_, **options)
    found = fx.simulate(plan, x)["y0"].values
    return plan, sqnr(fx.reference(graph, x)["y0"].astype(np.float64), found)


def largest(plan: Plan) -> float:
    """Largest number that any value of a plan can hold."""
    return max(value.encoding.scale * 2.0 ** (value.encoding.format.integer_bits - 1) for value in plan.values.values())


HOWS = [
    "add",
    "add, other order, with more axes",
    "subtract",
    "where",
    "where, the other way",
    "add and bound",
    "multiply and subtract",
    "windows",
]


@pytest.mark.parametrize("low", LOW)
@pytest.mark.parametrize("how", HOWS)
def test_masks_leave_the_scores_alone(how: str, low: float) -> None:
    """Every spelling and every low number: the mask is in the softmax, no value has room for it, and precision is that of no mask."""
    plan, quality = planned(attention(how, low, ~CAUSAL), tokens())
    (softmax,) = (layer.kernel for layer in plan.layers if isinstance(layer.kernel, Softmax))
    assert softmax.mask is not None
    assert softmax.mask.keep is not None
    assert np.array_equal(np.broadcast_to(softmax.mask.keep, (1, HEADS, TOKENS, TOKENS))[0, 0], CAUSAL)
    assert largest(plan) <= 64
    assert quality > 60
    assert not {"Where", "Max"} & {layer.op for layer in plan.layers}


@pytest.mark.parametrize("how", ["add", "where"])
@pytest.mark.parametrize("format_", ["q5.3", "q8.8"])
def test_nothing_of_the_future_is_seen(how: str, format_: str) -> None:
    """Bit for bit: what comes later, be it as large as the format holds, changes no code of what comes before."""
    x = tokens(8)
    graph = fx.load(attention(how, -1e9, ~CAUSAL))
    plan = fx.plan(graph, fx.calibrate(graph, x), format_)
    before = fx.simulate(plan, x)["y0"].codes
    other = x.copy()
    other[:, :, 3:] = 1e3 * np.sign(other[:, :, 3:])
    after = fx.simulate(plan, other)["y0"].codes
    assert np.array_equal(before[:, :3], after[:, :3])
    assert not np.array_equal(before[:, 3:], after[:, 3:])


@pytest.mark.parametrize("shape", [(TOKENS,), (1, 1, 1, TOKENS), (1, HEADS, 1, TOKENS)])
def test_padding_masks(shape: tuple[int, ...]) -> None:
    """One row for all tokens: not to be taken for a bias per channel, and nothing of padding is seen."""
    x = tokens(8)
    graph = fx.load(attention("add", -1e4, np.broadcast_to(~PADDED, shape)))
    plan = fx.plan(graph, fx.calibrate(graph, x), "q8.8")
    result = fx.simulate(plan, x)["y0"]
    assert sqnr(fx.reference(graph, x)["y0"].astype(np.float64), result.values) > 60
    assert largest(plan) <= 64
    other = x.copy()
    other[:, :, 4:] *= -3
    assert np.array_equal(result.codes[:, :4], fx.simulate(plan, other)["y0"].codes[:, :4])


def test_a_mask_of_two_kinds_at_once() -> None:
    s = Speller(1, TOKENS, WIDTH)
    q, k = (heads(s, linear(s, "x", WIDTH, WIDTH, seed)) for seed in (1, 2))
    scores = s.Div(s.MatMul(q, s.Transpose(k, perm=[0, 1, 3, 2])), 2.0)
    scores = s.Add(s.Add(s.Where(s.constant(CAUSAL, bool), scores, -1e9), np.where(PADDED, 0, -1e4)), 0.25)
    plan, quality = planned(s.model(s.Softmax(scores, axis=-1)), tokens())
    (softmax,) = (layer.kernel for layer in plan.layers if isinstance(layer.kernel, Softmax))
    expected = CAUSAL & PADDED
    assert np.array_equal(np.broadcast_to(softmax.mask.keep, (1, HEADS, TOKENS, TOKENS))[0, 1], expected)
    assert quality > 60


@pytest.mark.parametrize("filler", [-2.0, 0.5])
def test_a_filler_that_hides_nothing(filler: float) -> None:
    """Where(…, scores, -2) puts a number in the place of scores, which has its share."""
    plan, quality = planned(attention("where", filler, ~CAUSAL), tokens())
    (softmax,) = (layer.kernel for layer in plan.layers if isinstance(layer.kernel, Softmax))
    assert "Where" not in {layer.op for layer in plan.layers}
    assert np.array_equal(np.broadcast_to(softmax.mask.keep, (1, HEADS, TOKENS, TOKENS))[0, 0], CAUSAL)
    assert quality > 60


@pytest.mark.parametrize("scale", ["div", "mul before", "both", "odd"])
@pytest.mark.parametrize("normalize", ["pow2", "affine"])
def test_scale_factors_are_folded(scale: str, normalize: str) -> None:
    """1/√d on the product, on an operand or half on either is part of the product; a power of two costs no multiplier."""
    plan, quality = planned(attention(scale=scale), tokens(), normalize=normalize)
    operators = [layer.op for layer in plan.layers]
    assert not {"Mul", "Div"} & set(operators)
    scores = next(layer.kernel for layer in plan.layers if isinstance(layer.kernel, MatMul))
    if normalize == "pow2":
        assert (scores.combination is None) == (scale != "odd")
    assert quality > 60


@pytest.mark.parametrize("low", LOW)
def test_cross_attention(low: float) -> None:
    """Queries of one input, keys and values of another, a mask over the second."""
    s = Speller(1, 4, WIDTH)
    s.inputs["memory"] = (1, TOKENS, WIDTH)
    q = heads(s, linear(s, "x", WIDTH, WIDTH, 1), 4)
    k, v = (heads(s, linear(s, "memory", WIDTH, WIDTH, seed)) for seed in (2, 3))
    scores = s.Add(s.Div(s.MatMul(q, s.Transpose(k, perm=[0, 1, 3, 2])), 2.0), np.where(PADDED, 0.0, low))
    mixed = s.MatMul(s.Softmax(scores, axis=-1), v)
    model = s.model(s.reshape(s.Transpose(mixed, perm=[0, 2, 1, 3]), -1, 4, WIDTH))
    rng = np.random.default_rng(3)
    x = {
        "x": rng.normal(0, 1, (16, 1, 4, WIDTH)).astype(np.float32),
        "memory": rng.normal(0, 1, (16, 1, TOKENS, WIDTH)).astype(np.float32),
    }
    plan, quality = planned(model, x)
    assert quality > 60
    assert largest(plan) <= 64


def test_one_projection_for_all_three_split_behind() -> None:
    s = Speller(1, TOKENS, WIDTH)
    qkv = linear(s, "x", WIDTH, 3 * WIDTH, 1)
    split = s.Transpose(s.reshape(qkv, -1, TOKENS, 3, HEADS, DEPTH), perm=[2, 0, 3, 1, 4])
    q, k, v = (s.Gather(split, s.constant(index, np.int64), axis=0) for index in range(3))
    scores = s.Add(s.Mul(s.MatMul(q, s.Transpose(k, perm=[0, 1, 3, 2])), 0.5), np.where(CAUSAL, 0, -np.inf))
    mixed = s.MatMul(s.Softmax(scores, axis=-1), v)
    model = s.model(s.reshape(s.Transpose(mixed, perm=[0, 2, 1, 3]), -1, TOKENS, WIDTH))
    assert planned(model, tokens())[1] > 60


def test_embeddings_and_positions() -> None:
    """Integer tokens look rows up, positions are added, and attention reads the sum."""
    s = Speller(1, TOKENS)
    rng = np.random.default_rng(5)
    row = s.Gather(s.constant(rng.normal(0, 1, (11, WIDTH))), "x", axis=0)
    x = s.Add(row, rng.normal(0, 0.5, (TOKENS, WIDTH)))
    scores = s.Div(s.MatMul(x, s.Transpose(x, perm=[0, 2, 1])), WIDTH**0.5)
    model = s.model(s.MatMul(s.Softmax(s.Add(scores, np.where(CAUSAL, 0, -1e9)), axis=-1), x))
    model.graph.input[0].type.tensor_type.elem_type = TensorProto.INT64
    words = rng.integers(0, 11, (20, 1, TOKENS))
    assert planned(model, words)[1] > 60
    assert planned(model, words, "q5.3")[1] > 20


def test_rotary_positions() -> None:
    """x·cos + (−second half, first half)·sin, as language models write it."""
    s = Speller(1, TOKENS, WIDTH)
    angles = np.arange(TOKENS)[:, None] * 100.0 ** (-np.arange(DEPTH // 2) / (DEPTH // 2))[None]
    cosine, sine = (np.tile(f(angles), 2) for f in (np.cos, np.sin))

    def rotated(x: str) -> str:
        first = s.Slice(x, s.constant([0], np.int64), s.constant([DEPTH // 2], np.int64), s.constant([3], np.int64))
        second = s.Slice(
            x, s.constant([DEPTH // 2], np.int64), s.constant([DEPTH], np.int64), s.constant([3], np.int64)
        )
        return s.Add(s.Mul(x, cosine), s.Mul(s.Concat(s.Neg(second), first, axis=3), sine))

    q, k = (rotated(heads(s, linear(s, "x", WIDTH, WIDTH, seed))) for seed in (1, 2))
    scores = s.Div(s.MatMul(q, s.Transpose(k, perm=[0, 1, 3, 2])), 2.0)
    assert planned(s.model(s.Softmax(scores, axis=-1)), tokens())[1] > 60


@pytest.mark.parametrize("causal", [0, 1])
@pytest.mark.parametrize("mask", ["none", "bool", "float"])
def test_the_attention_operator(causal: int, mask: str) -> None:
    """Opset 23, through its function body; a constant mask goes where a spelled one goes."""
    s = Speller(1, TOKENS, WIDTH, opset=23)
    q, k, v = (linear(s, "x", WIDTH, WIDTH, seed) for seed in (1, 2, 3))
    inputs = [q, k, v]
    if mask == "bool":
        inputs.append(s.constant(np.broadcast_to(PADDED, (TOKENS, TOKENS)), bool))
    elif mask == "float":
        inputs.append(s.constant(np.where(PADDED, 0.25, -1e9) * np.ones((TOKENS, 1))))
    y = s.Attention(*inputs, q_num_heads=HEADS, kv_num_heads=HEADS, is_causal=causal)
    plan, quality = planned(s.model(y), tokens())
    assert quality > 60
    assert largest(plan) <= 64
    (softmax,) = (layer.kernel for layer in plan.layers if isinstance(layer.kernel, Softmax))
    hides = ~CAUSAL if causal else np.zeros((TOKENS, TOKENS), bool)
    hides = hides if mask == "none" else hides | ~PADDED
    keep = np.ones((), bool) if softmax.mask is None or softmax.mask.keep is None else softmax.mask.keep
    assert np.array_equal(np.broadcast_to(keep, (1, HEADS, TOKENS, TOKENS))[0, 0], ~hides)


def test_masks_written_out_for_every_head_stay_small() -> None:
    hides = np.broadcast_to(~CAUSAL, (1, HEADS, TOKENS, TOKENS)).copy()
    plan, _ = planned(attention("add", -1e9, hides), tokens())
    (softmax,) = (layer.kernel for layer in plan.layers if isinstance(layer.kernel, Softmax))
    assert softmax.mask.keep.shape == (1, 1, TOKENS, TOKENS)


def test_the_trained_transformer() -> None:
    """As spelled and with patterns fused, far better than 30 dB at q8.8; its accuracy at q5.3 is in docs/accuracy.md."""
    examples = Path(__file__).resolve().parents[2] / "examples"
    with np.load(examples / "digits_conv_test.npz") as archive:
        images = archive["image"][:120]
    graph = fx.load(examples / "digits_vit.onnx")
    expected = fx.reference(graph, images)["logits"].astype(np.float64)
    for how in ("fuse", "keep"):
        plan = fx.plan(graph, fx.calibrate(graph, images), "q8.8", patterns=how)
        assert sqnr(expected, fx.simulate(plan, images)["logits"].values) > 65
        operators = [layer.op for layer in plan.layers]
        assert operators.count("Gelu") == (2 if how == "fuse" else 0)
        assert operators.count("MatMul+Div") == 2  # the factor of the scores, folded either way


@pytest.mark.parametrize("how", ["add", "where", "windows"])
def test_masks_are_saved_and_run_fast_without_a_bit_changed(how: str, tmp_path: Path) -> None:
    x = tokens(10)
    graph = fx.load(attention(how, -1e9, ~CAUSAL, scale="odd"))
    plan = fx.plan(graph, fx.calibrate(graph, x), "q5.3")
    expected = fx.simulate(plan, x)["y0"].codes
    again = fx.load_plan(fx.save_plan(plan, tmp_path / "plan"))
    assert again.digest == plan.digest
    assert np.array_equal(fx.simulate(again, x)["y0"].codes, expected)
    slow = Simulator(plan, fast=False).run({"x": x})[plan.outputs["y0"]]
    assert np.array_equal(slow.reshape(expected.shape), expected)


def test_a_bias_of_a_dense_layer_stays_in_it() -> None:
    s = Speller(1, 8)
    logits = s.Add(s.MatMul("x", np.random.default_rng(0).normal(0, 1, (8, 5))), np.linspace(-1, 1, 5))
    x = np.random.default_rng(1).normal(0, 1, (20, 1, 8)).astype(np.float32)
    plan, _ = planned(s.model(s.Softmax(logits, axis=-1)), x)
    assert plan.layers[-1].kernel.mask is None
    assert plan.layers[0].op == "MatMul+Add"


def test_classes_that_are_masked_out() -> None:
    s = Speller(1, 8)
    logits = s.MatMul("x", np.random.default_rng(0).normal(0, 1, (8, 5)))
    y = s.Softmax(s.Add(logits, np.array([0, 0, -1e9, 0, -1e9])), axis=-1)
    x = np.random.default_rng(1).normal(0, 1, (20, 1, 8)).astype(np.float32)
    graph = fx.load(s.model(y))
    plan = fx.plan(graph, fx.calibrate(graph, x), "q8.8")
    found = fx.simulate(plan, x)["y0"]
    assert not found.codes[:, [2, 4]].any()
    assert sqnr(fx.reference(graph, x)["y0"].astype(np.float64), found.values) > 60


def test_scores_that_somebody_else_reads_are_left() -> None:
    s = Speller(1, TOKENS, WIDTH)
    q, k = (heads(s, linear(s, "x", WIDTH, WIDTH, seed)) for seed in (1, 2))
    scores = s.Add(s.MatMul(q, s.Transpose(k, perm=[0, 1, 3, 2])), np.where(CAUSAL, 0.0, -4.0))
    graph = fx.load(s.model(s.Softmax(scores, axis=-1), scores))
    plan = fx.plan(graph, fx.calibrate(graph, tokens()), "q8.8")
    assert plan.layers[-1].kernel.mask is None


def test_a_row_that_is_hidden_is_refused() -> None:
    hides = ~CAUSAL
    hides[2] = True
    graph = fx.load(attention("add", -1e9, hides))
    fx.plan(graph, fx.calibrate(graph, tokens()), "q8.8")  # −1e9 everywhere is no mask: the row is shared out
    s = Speller(1, TOKENS, TOKENS)
    y = s.Softmax(s.Add("x", np.where(hides, -np.inf, 0.0)), axis=-1)
    graph = fx.load(s.model(y))
    x = np.zeros((3, 1, TOKENS, TOKENS), np.float32)
    with pytest.raises(PlanError, match=r"hides every position of a group|nan"):
        fx.plan(graph, fx.calibrate(graph, x), "q8.8", normalize="none")


def computed(kind: str) -> onnx.ModelProto:
    """Padding masks as exporters compute them from an input."""
    s = Speller(1, TOKENS, WIDTH)
    s.inputs["mask"] = (1, TOKENS)
    q, k = (heads(s, linear(s, "x", WIDTH, WIDTH, seed)) for seed in (1, 2))
    scores = s.Div(s.MatMul(q, s.Transpose(k, perm=[0, 1, 3, 2])), 2.0)
    wide = s.Unsqueeze("mask", s.constant([1, 2], np.int64))
    if kind == "where":
        scores = s.Where(s.Cast(wide, to=TensorProto.BOOL), scores, -1e9)
    else:
        scores = s.Add(scores, s.Mul(s.Sub(1.0, s.Cast(wide, to=TensorProto.FLOAT)), -1e4))
    model = s.model(s.Softmax(scores, axis=-1))
    if kind != "float":
        model.graph.input[1].type.tensor_type.elem_type = TensorProto.INT64
    return model


@pytest.mark.parametrize("kind", ["integer", "float", "where"])
def test_computed_masks_are_refused_by_name(kind: str) -> None:
    from fxnorm.lowering.lower import lower

    with pytest.raises(UnsupportedError, match=r"mask|condition must be constant|cast to floating") as raised:
        lower(fx.load(computed(kind)))
    if kind != "where":
        assert "'mask'" in str(raised.value)
        assert "as a constant" in str(raised.value)


@pytest.mark.parametrize("how", ["fuse", "keep"])
@pytest.mark.parametrize(
    "name",
    [
        "torch_script_encoder_opset16",
        "torch_script_encoder_opset17",
        "torch_dynamo_encoder_opset18",
        "torch_dynamo_encoder_opset23",
    ],
)
def test_exported_encoders(name: str, how: str) -> None:
    with np.load(EXPORTED / f"{name}.npz") as archive:
        words, expected = archive["input.tokens"], archive["output.scores"]
    graph = fx.load(EXPORTED / f"{name}.onnx")
    plan = fx.plan(graph, fx.calibrate(graph, words), "q8.8", patterns=how)
    assert sqnr(expected, fx.simulate(plan, words)["scores"].values) > 60
