"""Interval analysis is sound: whatever codes a kernel's inputs have inside their intervals, its output lies in the interval found."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import networks
from oracles.cases import CASES, decided
from oracles.drawing import seeds

import fxnorm as fx
from fxnorm.fixed.format import Format, Overflow, Rounding
from fxnorm.kernels.catalog import KERNELS
from fxnorm.kernels.elementwise import ElementwiseOperation
from fxnorm.kernels.encoding import Encoding
from fxnorm.kernels.kernel import Policy
from fxnorm.kernels.linear import LinearOperation, Window
from fxnorm.kernels.matmul import MatMulOperation
from fxnorm.kernels.movement import Lookup
from fxnorm.kernels.pool import PoolOperation
from fxnorm.kernels.stage import Tally
from fxnorm.planning.bounds import bounds
from fxnorm.proofs.ends import settled
from fxnorm.proofs.interval import Interval
from fxnorm.proofs.rules import RULES, output_interval


def test_every_kernel_has_a_rule():
    assert set(RULES) == set(KERNELS)


@st.composite
def intervals(draw, encoding, shape):
    """An interval inside a format's codes: of one pair of ends, of pairs along an axis, or of pairs everywhere."""
    low, high = encoding.format.lowest_code, encoding.format.max_code
    rng = np.random.default_rng(draw(seeds))
    own = tuple(n if draw(st.booleans()) else 1 for n in shape)
    ends = rng.integers(low, high, (2, *own), endpoint=True)
    kind = draw(st.sampled_from(["format", "any", "any", "positive", "point"]))
    if kind == "format":
        return Interval.of_format(shape, encoding.format)
    if kind == "positive":
        ends = np.maximum(ends, 0)
    if kind == "point":
        ends[1] = ends[0]
    return Interval.between(shape, ends.min(axis=0), ends.max(axis=0))


def inside(draw, interval, samples=6):
    """Codes inside an interval, its ends more often."""
    rng = np.random.default_rng(draw(seeds))
    shape = (samples, *interval.shape)
    free = rng.integers(interval.low, interval.high, shape, endpoint=True)
    ends = np.where(rng.random(shape) < 0.5, interval.low, interval.high)
    # All at one end, and each place by itself.
    whole = np.where(rng.random((samples, *(1,) * len(interval.shape))) < 0.3, 1.0, rng.random(shape))
    return np.where(whole < 0.6, ends, free)


@pytest.mark.parametrize("examples", [25, pytest.param(400, marks=pytest.mark.slow)])
@pytest.mark.parametrize("kind", list(CASES))
def test_codes_lie_in_the_interval_that_was_found(kind, examples):
    seen = Counter()

    @given(st.data())
    @settings(max_examples=examples)
    def check(data):
        case = data.draw(CASES[kind](data.draw(st.sampled_from([6, 12, 20]))))
        if case is None:
            return
        if isinstance(case.kernel, Lookup):
            given_intervals = [Interval.of(shape, -1, 1) for shape in case.shapes]
        else:
            given_intervals = [data.draw(intervals(e, s)) for e, s in zip(case.encodings, case.shapes, strict=True)]
        found = output_interval(case.kernel, given_intervals, case.shape)
        codes = [inside(data.draw, interval) for interval in given_intervals]
        assert all(interval.holds(x) for interval, x in zip(given_intervals, codes, strict=True))
        got = case.kernel.run(codes, Tally())
        assert found.shape == got.shape[1:]
        assert found.holds(got), (found.hull, int(got.min()), int(got.max()))
        format_ = case.output.format
        seen["cases"] += 1
        seen[type(case.kernel).__name__] += 1
        seen["narrower"] += found.hull != (format_.min_code, format_.max_code)

    check()
    assert seen["cases"] >= 0.6 * examples, seen
    assert seen["narrower"] >= 0.12 * examples, seen


def test_the_cases_are_of_every_kernel():
    """What the test above draws leaves no class of the catalog out."""
    seen = set()

    @given(st.data())
    @settings(max_examples=6)
    def draw(data):
        for kind in CASES.values():
            case = data.draw(kind(8))
            seen.add(type(case.kernel) if case is not None else None)

    draw()
    assert set(KERNELS) <= seen


@pytest.mark.parametrize("overflow", list(Overflow))
@pytest.mark.parametrize("rounding", list(Rounding))
def test_a_rescale_of_all_intervals_of_six_bits(rounding, overflow):
    """Every interval there is: its results lie in the ends found, which saturation reaches."""
    from fxnorm.kernels.stage import Rescale

    accumulators = np.arange(-32, 32)
    for shift, low, high in ((2, None, None), (3, 0, None), (0, -2, 5)):
        stage = Rescale(Format(3, 3, True, rounding, overflow), shift, 1, low, high, bound=64)
        codes = stage.run(accumulators, Tally())
        a, b = np.array([(i, j) for i in range(64) for j in range(i, 64)]).T
        found_low, found_high = settled(stage, accumulators[a], accumulators[b])
        for i, j, least, most in zip(a, b, found_low, found_high, strict=True):
            part = codes[i : j + 1]
            assert least <= part.min()
            assert part.max() <= most
            if overflow in (Overflow.SAT, Overflow.SAT_SYM):
                assert (least, most) == (part.min(), part.max())


def test_intervals_are_as_narrow_as_they_can_be_where_that_is_easy():
    x = Encoding(Format(8, 5))
    policy = Policy(x.format, x.format, normalize="none")
    ones = Interval.of((1, 2, 4), 0, 127)
    pool = decided(
        PoolOperation("max", Window((2,), (2,), (1,), (0,), (0,)), np.array([1])), [x], [(1, 2, 4)], x, policy
    )
    assert output_interval(pool.kernel, [ones], pool.shape).hull == (0, 127)
    padded = decided(
        PoolOperation("max", Window((2,), (1,), (1,), (1,), (0,)), np.array([1])), [x], [(1, 2, 4)], x, policy
    )
    assert output_interval(padded.kernel, [ones], padded.shape).hull == (0, 127)
    absolute = decided(ElementwiseOperation("abs", (None,)), [x], [(3,)], x, policy)
    assert output_interval(absolute.kernel, [Interval.of((3,), -7, 5)], (3,)).hull == (0, 7)
    dense = decided(LinearOperation(np.array([[1.0, -2.0]]), np.zeros(1)), [x], [(1, 2)], x, policy)
    ends = Interval.between((1, 2), np.array([0, -3]), np.array([4, 1]))
    assert output_interval(dense.kernel, [ends], (1, 1)).hull == (-2, 10)


PLANS = {
    "all kernels": (networks.every_kernel, {"format": "q5.3"}),
    "unsigned": (networks.every_kernel, {"format": "q4.4", "layers": ["scaled:format=uq3.5", "gated:overflow=wrap"]}),
    "accumulators": (
        networks.every_kernel,
        {"format": "q4.4", "accumulator": "q5.5:trn,wrap", "product_format": "q3.6", "normalize": "none"},
    ),
    "saturating": (networks.every_kernel, {"format": "q5.3", "accumulator": "q5.6:rnd,sat_zero"}),
    "affine": (networks.every_kernel, {"format": "q5.3", "normalize": "affine"}),
    "normalizations": (networks.normalizations, {"format": "q4.8"}),
    "staged": (networks.normalizations, {"format": "q4.8", "norm_algorithm": "one_pass"}),
    "masked": (networks.masked, {"format": "q4.6"}),
    "clips": (networks.clipped, {"format": "q4.4", "normalize": "none"}),
}


@pytest.mark.parametrize("name", list(PLANS))
def test_every_value_of_a_network_lies_in_its_interval(name):
    """Ordinary samples, and samples far beyond those of the calibration."""
    make, options = PLANS[name]
    proto = make()
    samples = networks.samples(6) if make is networks.every_kernel else networks.samples(6, proto=proto)
    graph = fx.load(proto)
    plan = fx.plan(graph, fx.calibrate(graph, samples), **options)
    found = bounds(plan).intervals
    for factor in (1.0, 100.0, -100.0):
        scaled = (
            samples * np.float32(factor)
            if not isinstance(samples, dict)
            else {**samples, "image": samples["image"] * np.float32(factor)}
        )
        result = fx.simulate(plan, scaled, trace=True)
        for value, output in result.traces.items():
            codes = output.codes.reshape(-1, *plan.values[value].shape)
            assert found[value].holds(codes), value


@pytest.mark.parametrize("c_shape", [(3, 2), (1,), ()])
def test_a_gemm_of_two_constants_and_a_computed_addend(c_shape):
    """Every sum is one number, rows and columns of the constants both being several; the addend may be a single number."""
    rng = np.random.default_rng(0)
    x = Encoding(Format(32, 8))
    operation = MatMulOperation(5, rng.normal(size=(3, 5)), rng.normal(size=(5, 2)), alpha=0.7, beta=1.3, adds=True)
    y = Encoding(Format(32, 8), 1)
    kernel = operation.decide([x], y, Policy(y.format, Format(16, 4)))
    own = Interval.of_format(c_shape, x.format)
    found = output_interval(kernel, [own], (3, 2))
    codes = rng.integers(x.format.min_code, x.format.max_code, (20, *c_shape), endpoint=True)
    codes.reshape(20, -1)[0], codes.reshape(20, -1)[1] = x.format.min_code, x.format.max_code
    assert found.holds(kernel.run([codes], Tally()))
