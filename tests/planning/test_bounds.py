"""Accumulators: worst cases that some input reaches, proofs that stand every attack, witnesses that overflow what they are said to."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import networks
from oracles.cases import CASES, decided, explicit, linear_cases, matmul_cases
from oracles.codes import fitted, power, rounded
from oracles.drawing import codes, overflows, roundings, seeds

import fxnorm as fx
from fxnorm.fixed.format import Format, Overflow, Rounding
from fxnorm.kernels.encoding import Encoding
from fxnorm.kernels.kernel import Policy
from fxnorm.kernels.linear import LinearOperation, Window
from fxnorm.kernels.matmul import MatMul
from fxnorm.kernels.norm import NormOperation
from fxnorm.kernels.stage import Tally
from fxnorm.planning.bounds import Verdict, bounds
from fxnorm.planning.plan import Layer, Plan, PlanValue
from fxnorm.planning.witness import network_input


def plan_of(case):
    """A plan of one layer."""
    names = tuple(f"x{i}" for i in range(len(case.shapes)))
    values = {name: PlanValue(tuple(s), e) for name, s, e in zip(names, case.shapes, case.encodings, strict=True)}
    values["y"] = PlanValue(tuple(case.shape), case.output)
    layer = Layer("layer", "Op", case.kernel, names, "y", False)
    return Plan((layer,), names, (), {"y": "y"}, values, "", "", "", "", {"format": "q5.3"})


def ran(kernel, inputs):
    tally = Tally()
    kernel.run([np.asarray(codes_, np.int64) for codes_ in inputs], tally)
    return tally


def addends(kernel, witness):
    """Products of the named sum, in the order of the contract, as Python integers."""
    if isinstance(kernel, MatMul):
        x = list(witness.inputs)
        a = x.pop(0)[0] if kernel.left is None else kernel.left
        b = x.pop(0)[0] if kernel.right is None else kernel.right
        rows = a.astype(object).reshape(-1, a.shape[-1]) - kernel.zeros[0]
        columns = b if kernel.vector_right else np.moveaxis(b, -2, -1)
        columns = columns.astype(object).reshape(-1, columns.shape[-1]) - kernel.zeros[1]
        row = rows[witness.channel if kernel.left is not None else 0]
        column = columns[witness.channel if kernel.right is not None else 0]
        return 0, [int(p) * int(q) for p, q in zip(row, column, strict=True)]
    weights = kernel.weights[witness.channel]
    x = witness.inputs[0][0]
    start, _ = fitted(int(kernel.bias[witness.channel]), kernel.accumulator)
    if kernel.window is None:
        row = x.reshape(-1, x.shape[-1])[0]
        return start, [int(w) * int(n) for w, n in zip(weights, row, strict=True)]
    window = kernel.window
    first = witness.channel // (len(kernel.weights) // kernel.groups) * weights.shape[0]
    found = []
    for (c, *tap), w in np.ndenumerate(weights):
        at = [
            p * s - b + t * d
            for p, s, b, t, d in zip(
                witness.position, window.strides, window.pads_begin, tap, window.dilations, strict=True
            )
        ]
        inside = all(0 <= i < n for i, n in zip(at, x.shape[2:], strict=True))
        found.append(int(w) * (int(x[(0, first + c, *at)]) if inside else kernel.padding))
    return start, found


def first_overflow(kernel, start, products):
    """Number of the first addition whose sum the accumulator cannot hold, and that sum."""
    accumulator, product = kernel.accumulator, kernel.product
    total = start
    for step, term in enumerate(products):
        value = term * power(-kernel.product_bits)
        if product is not None:
            value = fitted(rounded(value * power(product.fraction_bits), product.rounding), product)[0] * power(
                -product.fraction_bits
            )
        total = rounded(Fraction(total) + value * power(accumulator.fraction_bits), accumulator.rounding)
        if fitted(total, accumulator)[1]:
            return step, total
    return None, total


def attacks(draw, case, samples=24):
    """Inputs that strain sums: drawn codes, and codes at the ends that weights' signs point to, all of them or some."""
    found = []
    for encoding, shape in zip(case.encodings, case.shapes, strict=True):
        rng = np.random.default_rng(draw(seeds))
        low, high = encoding.format.lowest_code, encoding.format.max_code
        free = draw(codes(encoding.format, (samples, *shape)))
        weights = getattr(case.kernel, "weights", None)
        if weights is not None:
            row = weights[rng.integers(len(weights))]
            if case.kernel.window is None:
                signs = np.broadcast_to(row >= 0, shape)
                for sample in range(0, samples, 2):
                    ends = np.where(signs ^ (sample % 4 == 0), high, low)
                    # Turning round somewhere is what makes prefixes larger than sums.
                    cut = rng.integers(0, shape[-1] + 1)
                    free[sample, ..., :cut] = ends[..., :cut]
            else:
                free[::2] = rng.choice([low, high], free[::2].shape)
        found.append(free)
    return found


def check_one(case, draw, seen):
    (found,) = [one for one in bounds(plan_of(case)) if one.part == "accumulator"]
    kernel = case.kernel
    seen[found.verdict] += 1
    seen["clipped bias"] += found.clipped_biases > 0
    if found.verdict is Verdict.WITNESS:
        witness = found.witness
        for encoding, x in zip(case.encodings, witness.inputs, strict=True):
            assert x.min() >= encoding.format.lowest_code
            assert x.max() <= encoding.format.max_code
        assert ran(kernel, witness.inputs).accumulator_overflow > 0
        start, products = addends(kernel, witness)
        assert first_overflow(kernel, start, products) == (witness.addition, witness.total)
        seen["network"] += witness.network is not None
    else:
        assert found.witness is None
        if found.verdict.holds:
            assert ran(kernel, attacks(draw, case)).accumulator_overflow == 0


@st.composite
def tight(draw, x, weight):
    """Accumulators near what a few products reach, some of them rounding, so that proofs and witnesses are both to be found."""
    magnitude = x.integer_bits + weight.integer_bits + draw(st.integers(-2, 5))
    product = x.fraction_bits + weight.fraction_bits
    fraction = product + draw(st.sampled_from([0, 0, 0, 0, -1, -2]))
    width = max(2, magnitude + fraction)
    return Format(width, width - fraction, True, draw(roundings), draw(overflows)), None


@pytest.mark.parametrize("examples", [60, pytest.param(600, marks=pytest.mark.slow)])
@pytest.mark.parametrize("kind", ["linear", "matmul"])
@pytest.mark.parametrize("quantized", [explicit, tight], ids=["any", "tight"])
def test_proofs_stand_and_witnesses_overflow(kind, quantized, examples):
    seen = Counter()
    cases = {"linear": linear_cases, "matmul": matmul_cases}[kind]

    @given(st.data())
    @settings(max_examples=examples)
    def check(data):
        case = data.draw(cases(8, quantized=quantized))
        if case is not None and not case.kernel.exact:
            check_one(case, data.draw, seen)

    check()
    assert seen[Verdict.WITNESS] >= 0.12 * examples, seen
    assert seen["network"] >= 0.06 * examples, seen
    if quantized is tight:
        assert seen[Verdict.FORMAT] + seen[Verdict.ORDER] >= 0.06 * examples, seen
        assert seen[Verdict.OPEN] == 0, seen


def test_one_bit_less_than_the_bound_in_order_overflows():
    """The bound is reached: at its width there is a proof, one bit below a witness, whatever the layer."""
    seen = Counter()

    @given(st.data())
    @settings(max_examples=60)
    def check(data):
        case = data.draw(linear_cases(8, quantized=lambda x, w: st.just((None, None))))
        if case is None:
            return
        (found,) = bounds(plan_of(case))
        assert found.verdict is Verdict.FORMAT
        needed = found.narrowest(found.in_order)
        assert needed.width <= found.narrowest(found.by_interval).width <= found.narrowest(found.by_format).width
        for less in (0, 1):
            width = needed.width - less
            if width < 1:
                return
            format_ = Format(
                width,
                width - needed.fraction_bits,
                True,
                Rounding.TRN,
                data.draw(st.sampled_from([Overflow.SAT, Overflow.WRAP])),
            )
            start = case.kernel.bias
            if less and np.any((start < format_.min_code) | (start > format_.max_code)):
                return  # the bias itself does not fit any more
            narrow = replace(case, kernel=replace(case.kernel, accumulator=format_, exact=False))
            (again,) = bounds(plan_of(narrow))
            assert again.verdict.holds == (less == 0), again
            check_one(narrow, data.draw, seen)

    check()
    assert seen[Verdict.WITNESS] >= 20, seen


def dense(weights, x, accumulator, bias=0.0):
    weights = np.array([weights], np.float64)
    policy = Policy(Format(8, 8), Format(8, 8), accumulator, None, "none")
    return LinearOperation(weights, np.array([bias])).decide([Encoding(x)], Encoding(policy.format), policy)


def test_the_order_of_the_contract_can_be_a_proof():
    """Two large products of opposite sign whose factors are known to be positive: in this order the sum stays small."""
    kernel = dense([3, -3, 3, -3], Format(4, 4, False), Format(7, 7, True, Rounding.TRN, Overflow.SAT))
    shapes = {"x": (1, 4), "half": (1, 4), "y": (1, 1)}
    encodings = {"x": Encoding(Format(4, 4, False)), "half": Encoding(Format(4, 4, False)), "y": Encoding(Format(8, 8))}
    clip = networks_clip(8, 15)
    layers = (Layer("clip", "Clip", clip, ("x",), "half", False), Layer("dense", "Gemm", kernel, ("half",), "y", False))
    values = {name: PlanValue(shape, encodings[name]) for name, shape in shapes.items()}
    plan = Plan(layers, ("x",), (), {"y": "y"}, values, "", "", "", "", {"format": "q8.0"})
    by_layer = {one.layer: one for one in bounds(plan)}
    found = by_layer["dense"]
    # Factors of 8 to 15: any two positive products are 90, which 7 bits do not hold; 45 - 24 + 45 = 66 does not either, but 45 + 45 - 24 …
    assert (found.by_interval.low[0], found.by_interval.high[0]) == (-90, 90)
    assert (found.in_order.low[0], found.in_order.high[0]) == (-42, 66)
    assert found.verdict is Verdict.WITNESS
    wider = replace(kernel, accumulator=Format(8, 8, True, Rounding.TRN, Overflow.SAT))
    plan = replace(plan, layers=(layers[0], replace(layers[1], kernel=wider)))
    assert {one.layer: one.verdict for one in bounds(plan)}["dense"] is Verdict.FORMAT
    unbalanced = replace(
        wider, accumulator=Format(7, 7, True, Rounding.TRN, Overflow.SAT), weights=np.array([[3, -4, 3, -3]], np.int8)
    )
    plan = replace(plan, layers=(layers[0], replace(layers[1], kernel=unbalanced)))
    found = {one.layer: one for one in bounds(plan)}["dense"]
    assert found.in_order.high[0] == 45 - 32 + 45
    assert found.verdict is Verdict.ORDER


def networks_clip(low, high):
    """A layer that leaves codes between two ends."""
    from fxnorm.kernels.rescale import ScaleOperation

    x = Encoding(Format(4, 4, False))
    policy = Policy(x.format, Format(8, 8), normalize="none")
    return ScaleOperation(np.ones(1), np.zeros(1), None, float(low), float(high)).decide([x], x, policy)


def test_a2q_bound_by_hand():
    """‖w‖₁ = 10 and 8-bit inputs: 10 · 2^7 = 1280 needs 11 bits and a sign; unsigned 10 · 2^8 needs one more."""
    for signed, width in ((True, 12), (False, 13)):
        kernel = dense([1, -2, 3, -4], Format(8, 8, signed), None)
        x = Encoding(Format(8, 8, signed))
        values = {"x": PlanValue((1, 4), x), "y": PlanValue((1, 1), Encoding(Format(8, 8)))}
        plan = Plan(
            (Layer("d", "Gemm", kernel, ("x",), "y", False),),
            ("x",),
            (),
            {"y": "y"},
            values,
            "",
            "",
            "",
            "",
            {"format": "q8.0"},
        )
        (found,) = bounds(plan)
        assert found.l1_width == width
        assert found.narrowest(found.by_format).width <= width


def test_a_window_in_the_corner_is_the_worst_where_only_padding_is_large():
    """Codes from 0 to 3 and a padding of 100: only windows at the border reach what the padding brings."""
    from fxnorm.proofs.factors import windows_of
    from fxnorm.proofs.interval import Interval

    window = Window((3,), (1,), (1,), (1,), (1,))
    policy = Policy(Format(8, 8), Format(8, 8), normalize="none")
    x = Encoding(Format(8, 8), zero=100)
    kernel = LinearOperation(np.ones((1, 1, 3)), np.zeros(1), window).decide([x], Encoding(policy.format), policy)
    assert kernel.padding == 100
    found = dict(windows_of(kernel, Interval.of((1, 1, 5), 0, 3), kernel.bias))
    assert set(found) == {(1,), (0,), (4,)}
    assert found[(0,)].b[1][0].tolist() == [100, 3, 3]
    assert found[(1,)].b[1][0].tolist() == [3, 3, 3]


PARTS = {
    "linear": {"accumulator"},
    "matmul": {"accumulator", "total with addend"},
    "scale": {"accumulator"},
    "pool": {"sum"},
    "reduce": {"sum", "sum of squares", "sum of magnitudes"},
    "softmax": {"sum of exponentials"},
    "norm": {"sum", "sum of squares", "deviation", "sum of magnitudes"},
    "statistic": {"sum", "sum of squares", "deviation"},
    "local_response": {"sum of squares"},
}


@pytest.mark.parametrize("kind", list(CASES))
def test_every_kind_of_kernel_has_its_accumulators(kind):
    parts = set()

    @given(st.data())
    @settings(max_examples=40)
    def check(data):
        case = data.draw(CASES[kind](8))
        if case is None:
            return
        for one in bounds(plan_of(case)):
            parts.add(one.part)
            assert np.all(one.by_interval.low >= one.by_format.low)
            assert np.all(one.by_interval.high <= one.by_format.high)
            if one.format is not None and not one.quantized:
                assert one.verdict.holds

    check()
    assert parts == PARTS.get(kind, set())


def reached(kernel, rows):
    """What a kernel's sums come to, by part: for rows of a group each, in Python integers."""
    rows = rows.astype(object)
    total, squares = rows.sum(axis=-1), (rows * rows).sum(axis=-1)
    factor = kernel.moments.factor
    return {
        "sum": total,
        "sum of squares": squares,
        "deviation": factor * squares - (total * total if kernel.moments.centered else 0),
    }


@given(
    st.integers(1, 9),
    st.sampled_from(["variance", "mean_square", "sum_square"]),
    st.integers(3, 12),
    st.booleans(),
    seeds,
)
@settings(max_examples=60)
def test_moments_lie_within_their_bounds_and_reach_them(count, form, width, signed, seed):
    x = Encoding(Format(width, 4, signed))
    operation = NormOperation((count,), (0,), form)
    case = decided(operation, [x], [(1, count)], Encoding(Format(8, 3)), Policy(Format(8, 3), Format(8, 3)))
    low, high = x.format.lowest_code, x.format.max_code
    rng = np.random.default_rng(seed)
    rows = rng.integers(low, high, (50, count), endpoint=True)
    rows[:10] = rng.choice([low, high], (10, count))
    rows[0], rows[1], rows[2] = low, high, np.where(np.arange(count) < count // 2, low, high)
    found = {one.part: one.by_format for one in bounds(plan_of(case))}
    sums = reached(case.kernel, rows)
    assert set(found) == set(sums) - (set() if form == "variance" else {"sum"})
    for part, reach in found.items():
        assert reach.low[0] <= min(sums[part])
        assert max(sums[part]) == reach.high[0] or (part == "sum" and high < 0)


@pytest.mark.parametrize(
    "options",
    [
        {"format": "q5.3", "accumulator": "q6.6:trn,sat"},
        {"format": "q5.3", "accumulator": "q5.4:rnd,wrap", "normalize": "none"},
        {"format": "q5.3", "accumulator": "q4.8", "normalize": "affine"},
    ],
)
def test_witnesses_of_a_network_overflow_in_the_simulator(options):
    proto = networks.dense()
    graph = fx.load(proto)
    plan = fx.plan(graph, fx.calibrate(graph, networks.samples(8, proto=proto)), **options)
    found = fx.bounds(plan)
    first, *_ = found.overflowing
    assert first.layer == plan.layers[0].name
    result = fx.simulate(plan, first.witness.network)
    assert result.reports[plan.layers[0].output].usage.accumulator_overflow > 0
    for one in found.overflowing[1:]:
        assert one.witness.network is None
        layer = next(layer for layer in plan.layers if layer.name == one.layer)
        for name, x in zip(layer.inputs, one.witness.inputs, strict=True):
            assert found.intervals[name].holds(x)
        assert ran(layer.kernel, one.witness.inputs).accumulator_overflow > 0


def test_a_witness_goes_back_through_moves():
    """Reshaped and transposed data is still the network's input; padded data is not."""
    from onnx import helper

    nodes = [
        helper.make_node("Transpose", ["x"], ["t"], perm=[0, 2, 1]),
        helper.make_node("Reshape", ["t", "shape"], ["r"]),
        helper.make_node("Gemm", ["r", "w"], ["y"]),
    ]
    constants = {"shape": np.array([1, 6]), "w": networks.weights(3, 6, 2)}
    proto = networks.model(nodes, [("x", [1, 2, 3])], [("y", [1, 2])], constants)
    graph = fx.load(proto)
    plan = fx.plan(graph, fx.calibrate(graph, networks.samples(5, proto=proto)), "q5.3", accumulator="q3.6")
    (found,) = [one for one in fx.bounds(plan) if one.part == "accumulator"]
    assert found.verdict is Verdict.WITNESS
    assert found.witness.network["x"].shape == (1, 1, 2, 3)
    layer = next(layer for layer in plan.layers if layer.kernel.kind == "linear")
    result = fx.simulate(plan, found.witness.network, trace=True)
    assert np.array_equal(result.traces[layer.inputs[0]].codes, found.witness.inputs[0].reshape(1, 6))
    assert result.reports[layer.output].usage.accumulator_overflow > 0
    changed = replace(found.witness, inputs=(found.witness.inputs[0] + 1000,))
    assert network_input(plan, layer, changed.inputs) is None


@pytest.mark.parametrize("normalize", ["pow2", "affine"])
@pytest.mark.parametrize("make", [networks.every_kernel, networks.dense, networks.clipped, networks.masked])
def test_the_planner_takes_accumulators_that_no_input_overflows(make, normalize):
    """Obeyed at every addition they change no code, for ordinary inputs and for such as are far beyond the calibration."""
    proto = make()
    samples = networks.samples(8) if make is networks.every_kernel else networks.samples(8, proto=proto)
    graph = fx.load(proto)
    plan = fx.plan(graph, fx.calibrate(graph, samples), "q5.3", normalize=normalize)
    found = {one.layer: one for one in fx.bounds(plan) if one.part == "accumulator"}
    saved = 0
    for one in found.values():
        assert one.format == one.narrowest(one.by_interval)
        saved += one.narrowest(one.by_format).width - one.format.width
    assert saved > 0 or make is not networks.every_kernel
    for factor in (1.0, -50.0):
        wild = {
            name: x * np.float32(factor) if x.dtype.kind == "f" else x for name, x in as_mapping(plan, samples).items()
        }
        traces = fx.simulate(plan, wild, trace=True).traces
        for layer in plan.layers:
            if layer.kernel.kind not in {"linear", "matmul"}:
                continue
            inputs = [traces[name].codes.reshape(-1, *plan.values[name].shape) for name in layer.inputs]
            tally = Tally()
            obeyed = replace(layer.kernel, exact=False).run(inputs, tally)
            assert tally.accumulator_overflow == 0
            assert np.array_equal(obeyed, layer.kernel.run(inputs, Tally()))


def as_mapping(plan, samples):
    return samples if isinstance(samples, dict) else {plan.inputs[0]: samples}


def test_an_accumulator_that_was_chosen_is_left_alone():
    proto = networks.dense()
    graph = fx.load(proto)
    plan = fx.plan(graph, fx.calibrate(graph, networks.samples(8, proto=proto)), "q5.3", accumulator="q30.20")
    assert {str(layer.kernel.accumulator) for layer in plan.layers if layer.kernel.kind == "linear"} == {"q30.20"}
