"""Inputs and outputs of exported files: every float32 becomes the code that its format gives it, every code its real number."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles.drawing import codes, encodings, formats, seeds
from oracles.onnx_runs import outputs

from fxnorm.exact_onnx.graph import GraphBuilder, Port
from fxnorm.exact_onnx.interface import decoded, parts_of, quantized, transformed
from fxnorm.exact_onnx.numbers import Arithmetic, Inexact, Kind, Number
from fxnorm.fixed.format import Format, Overflow, Rounding
from fxnorm.kernels.encoding import Encoding
from fxnorm.kernels.leading_one import words
from fxnorm.kernels.stage import Tally
from fxnorm.kernels.transform import Transformation

FACTORS = [1.0, 1.0 + 2.0**-52, 2.0 - 2.0**-52, 1.000001]
EDGES = np.array(
    [0.0, -0.0, 1e-45, -1e-45, 1.1754944e-38, 3.4028235e38, -3.4028235e38, 1.0, -1.0, 0.5, 16777216.0], np.float32
)


def through(block, x):
    """Codes of real numbers at both levels of optimization."""
    graph = GraphBuilder(["x", "y"])
    ops = Arithmetic(graph)
    number = ops.words(block(ops, "x"))
    graph.op("Identity", number.name, output="y")
    model = graph.model(
        [Port("x", np.dtype(np.float32), x.shape)],
        [Port("y", np.dtype(np.int64), None)],
        version="0",
        notes={},
        text="",
    )
    got = outputs(model.SerializeToString(), {"x": x})["y"]
    assert got.min() >= number.low
    assert got.max() <= number.high
    return got


def numbers(encoding, rng, count=400):
    """float32 numbers around ties and codes of an encoding, at its ends and far beyond, tiny ones."""
    format_ = encoding.format
    low, high = format_.lowest_code - encoding.zero, format_.max_code - encoding.zero
    near = rng.integers(max(low, -(1 << 22)) - 3, min(high, 1 << 22) + 4, count).astype(np.float64) + rng.choice(
        [0.0, 0.5, 0.25], count
    )
    near[:8] = [low, high, low - 0.5, high + 0.5, low + 0.5, high - 0.5, 0.5, -0.5]
    with np.errstate(over="ignore"):
        x = (near * float(encoding.step)).astype(np.float32)
        neighbours = np.nextafter(x, rng.choice([-np.inf, np.inf], count).astype(np.float32))
        wild = (rng.normal(0, 1, 60) * np.exp2(rng.uniform(-149, 127, 60))).astype(np.float32)
    every = np.concatenate([x, neighbours, wild, EDGES])
    return every[np.isfinite(every)]


def test_every_number_becomes_its_code():
    seen = Counter()

    @given(encodings(2, 32, reach=40), st.booleans(), st.data())
    @settings(max_examples=150)
    def check(encoding, affine, data):
        if affine:
            format_ = encoding.format
            zero = data.draw(
                st.one_of(st.integers(format_.lowest_code, format_.max_code), st.integers(-(1 << 20), 1 << 20))
            )
            factor = data.draw(
                st.one_of(
                    st.floats(1.0, 2.0, exclude_max=True),
                    st.sampled_from(FACTORS),
                )
            )
            encoding = Encoding(format_, encoding.exponent, factor, zero)
        x = numbers(encoding, np.random.default_rng(data.draw(seeds)))
        got = through(lambda ops, name: quantized(ops, encoding, name), x)
        assert np.array_equal(got, encoding.encode(x))
        seen["affine" if affine else "plain"] += 1
        seen[encoding.format.overflow] += 1

    check()
    assert min(seen.values()) >= 15, seen


def test_steps_beyond_float64_are_refused():
    ops = Arithmetic(GraphBuilder(["x"]))
    with pytest.raises(Inexact, match="step"):
        quantized(ops, Encoding(Format(8, 4), -1000), "x")
    with pytest.raises(Inexact, match="too wide"):
        quantized(ops, Encoding(Format(8, 4), 0, 1.5, 1 << 40), "x")


@given(encodings(2, 32, reach=60), st.booleans(), st.data())
@settings(max_examples=80)
def test_every_code_becomes_its_number(encoding, affine, data):
    """The numbers of the simulator, in float32 only where that holds all of them."""
    if affine:
        factor, zero = data.draw(st.floats(1.0, 1.99)), data.draw(st.integers(-(1 << 20), 1 << 20))
        encoding = Encoding(encoding.format, encoding.exponent, factor, zero)
    x = data.draw(codes(encoding.format, (50,)))
    graph = GraphBuilder(["x", "y"])
    ops = Arithmetic(graph)
    name, kind = decoded(ops, encoding, Number("x", Kind.INT64, encoding.format.min_code, encoding.format.max_code))
    graph.op("Identity", name, output="y")
    model = graph.model(
        [Port("x", np.dtype(np.int64), x.shape)], [Port("y", kind.dtype, None)], version="0", notes={}, text=""
    )
    got = outputs(model.SerializeToString(), {"x": x})["y"]
    assert got.dtype == kind.dtype
    assert np.array_equal(got.astype(np.float64), encoding.decode(x))
    assert (kind is Kind.FLOAT32) <= encoding.plain


@given(st.floats(4.0, 8.0, exclude_max=True))
def test_factors_come_apart_exactly(factor):
    from fractions import Fraction

    parts = parts_of(factor)
    assert sum(map(Fraction, parts)) == Fraction(factor)
    assert all((Fraction(part).numerator).bit_length() <= 18 for part in parts)
    assert len(parts) <= 3


FORMATS = [
    (Format(8, 5), 0),
    (Format(16, 8, True, Rounding.RND_CONV, Overflow.SAT_SYM), -2),
    (Format(7, 7, False, Rounding.TRN), 3),
]


@pytest.mark.parametrize("text", ["log", "log2", "log10", "sqrt", "power:0.1", "power:-0.25", "power:3"])
def test_nonlinear_normalizations_of_inputs(text):
    """Numbers over all of float32's decades, its smallest ones among them."""
    rng = np.random.default_rng(len(text))
    with np.errstate(over="ignore"):
        x = np.exp2(rng.uniform(-149, 128, 3000)).astype(np.float32)
    edges = [1.0, 2.0, 0.5, 1e-45, 1.1754942e-38, 3.4028235e38, 1e-12, 1e12]
    edges += [0.0, -0.0] if text in {"sqrt", "power:3"} else []
    x = np.concatenate([x[(x > 0) & np.isfinite(x)], np.float32(edges)])
    for format_, exponent in FORMATS:
        kernel = Transformation.parse(text).decide(Encoding(format_, exponent))
        got = through(lambda ops, name, kernel=kernel: transformed(ops, kernel, name), x)
        assert np.array_equal(got, kernel.run([words(x)], Tally())), format_


@given(formats(2, 24), st.data())
@settings(max_examples=20)
def test_affine_outputs_of_transforms(format_, data):
    """A transform has a rescale like any other: any step and zero."""
    encoding = Encoding(
        format_, data.draw(st.integers(-3, 3)), data.draw(st.floats(1.0, 1.99)), data.draw(st.integers(-50, 50))
    )
    kernel = Transformation.parse("log2").decide(encoding)
    x = np.exp2(np.random.default_rng(data.draw(seeds)).uniform(-40, 40, 200)).astype(np.float32)
    try:
        got = through(lambda ops, name: transformed(ops, kernel, name), x)
    except Inexact:
        return
    assert np.array_equal(got, kernel.run([words(x)], Tally()))
