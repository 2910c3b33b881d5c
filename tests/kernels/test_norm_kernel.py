"""Normalization kernels, bit for bit against plain integers, for all three algorithms."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import norms
from oracles.codes import same
from oracles.drawing import codes, decided, encodings, executed, formats, policies, reals, seeds

from fxnorm.errors import PlanError
from fxnorm.fixed.format import Format, Overflow, Rounding
from fxnorm.kernels import mantissa, norm_exact
from fxnorm.kernels.encoding import Encoding
from fxnorm.kernels.kernel import NormPolicy, Policy, Reads
from fxnorm.kernels.norm import FORMS, NormOperation
from fxnorm.kernels.norm_statistic import NormInverseDeviationOperation, NormMeanOperation
from fxnorm.kernels.stage import Tally

LAYOUTS = [
    ((5,), (0,)),
    ((7,), (0,)),
    ((1,), (0,)),
    ((2, 3), (1,)),
    ((3, 2), (0,)),
    ((2, 2, 3), (1, 2)),
    ((2, 3, 2), (0, 2)),
    ((48,), (0,)),
    ((300,), (0,)),
    ((2, 150), (0, 1)),
]
EPSILONS = [0.0, 1e-12, float(np.float32(1e-5)), 0.37, 900.0]


# So wide that the radicand of a long group leaves 64 bits, and its compact form does not.
middling = st.builds(
    lambda width, fraction, exponent: Encoding(Format(width, width - fraction), exponent),
    *map(st.integers, (14, 0, -3), (18, 16, 3)),
)


@st.composite
def stage_policies(draw, algorithm=None):
    """Algorithm and formats of its stages, some of them the usual ones."""
    chosen = {name: draw(st.none() | formats(2, 44)) for name in ("mean", "square", "variance", "root")}
    return NormPolicy(algorithm or draw(st.sampled_from(["two_pass", "one_pass"])), **chosen)


@st.composite
def groups_of_codes(draw, format_, shape):
    """Codes of every kind, and the stress set: equal values, one outlier, a large mean with a small deviation, the format's ends."""
    x = draw(codes(format_, shape))
    rng = np.random.default_rng(draw(seeds))
    flat = x.reshape(-1, shape[-1])
    lowest, highest = format_.lowest_code, format_.max_code
    for row in flat:
        match int(rng.integers(0, 8)):
            case 0:
                row[:] = row[0]
            case 1:
                row[:] = rng.choice([0, 1, lowest])
                row[rng.integers(0, len(row))] = highest
            case 2:
                row[:] = highest - rng.integers(0, 3, len(row))
            case 3:
                row[:] = np.where(rng.random(len(row)) < 0.5, lowest, highest)
            case 4:
                row[:] = 0
    return np.clip(x, lowest, highest)


@st.composite
def operands(draw, layout, rows):
    """Nothing, a constant that broadcasts against the layout, or an input: constant, its shape with rows in front, its encoding."""
    shape = tuple(n if draw(st.booleans()) else 1 for n in layout)
    match draw(st.sampled_from(["none", "constant", "constant", "input"])):
        case "constant":
            return draw(reals(shape)), None, None
        case "input":
            return None, (draw(st.sampled_from([1, rows])), *shape), draw(encodings(2, 32))
    return None, None, None


@st.composite
def cases(draw, algorithm="exact"):
    """A kernel and its inputs; None where the planner refuses the widths."""
    exact = algorithm == "exact"
    long = draw(st.integers(0, 3)) == 0
    layout, axes = draw(st.sampled_from(LAYOUTS[-3:] if long else LAYOUTS))
    rows = draw(st.integers(1, 2))
    form = draw(st.sampled_from(FORMS if exact else FORMS[:3]))
    x = draw(middling if long else encodings(2, 32))
    scale, scale_shape, scale_encoding = draw(operands(layout, rows))
    bias, bias_shape, bias_encoding = draw(operands(layout, rows))
    low, high = draw(st.sampled_from([(None, None), (None, None), (0.0, None), (-0.5, 0.75)]))
    constants = {"scale": scale, "scale_shape": scale_shape, "bias": bias, "bias_shape": bias_shape}
    operation = NormOperation(layout, axes, form, draw(st.sampled_from(EPSILONS)), **constants, low=low, high=high)
    policy = draw(policies(draw(formats(2, 17 if long else 32))))
    if not exact:
        policy = replace(policy, norm=draw(stage_policies(algorithm)))
    largest = [0 if scale is None else int(np.frexp(np.abs(scale).max(initial=0.0))[1])]
    largest += [
        encoding.exponent + encoding.format.integer_bits for encoding in (scale_encoding, bias_encoding) if encoding
    ]
    output = Encoding(policy.format, max(largest) + draw(st.integers(-3, 4)) - policy.format.integer_bits)
    if draw(st.booleans()):
        if operation.reads(0) is Reads.ANY:
            x = replace(x, factor=draw(st.floats(1.0, 1.99)), zero=draw(st.integers(-300, 300)))
        if operation.writes_any:
            output = replace(output, factor=draw(st.floats(1.0, 1.99)), zero=draw(st.integers(-300, 300)))
    given_encodings = [x, *(encoding for encoding in (scale_encoding, bias_encoding) if encoding is not None)]
    kernel = decided(operation, given_encodings, output, policy)
    if kernel is None:
        return None
    inputs = [draw(groups_of_codes(x.format, (2, rows, *layout)))]
    for shape, encoding in ((scale_shape, scale_encoding), (bias_shape, bias_encoding)):
        if encoding is not None:
            inputs.append(draw(codes(encoding.format, (2, *shape))))
    return kernel, inputs


@pytest.fixture
def paths(monkeypatch):
    """Which arithmetic the products and the reciprocal roots went through."""
    seen = Counter()
    split = mantissa.Product._split
    root = norm_exact.ExactMoments._reciprocal_root

    run = mantissa.Product.run

    def watched_run(self, a, m, shift):
        result = run(self, a, m, shift)
        assert max((abs(int(value)) for value in result.flat), default=0) <= self.bound
        return result

    def watched_split(self, a, m, shift):
        found = split(self, a, m, shift)
        limbs = 0 if found is None else found[1] // found[0] + 1 if found[0] else 1
        seen["product: " + ("wide", "direct", "2 limbs", "3 limbs")[limbs]] += 1
        return found

    def watched_root(self, deviation):
        seen["root: " + ("direct" if self.bound < 1 << 62 else "compact" if self._is_compact else "wide")] += 1
        return root(self, deviation)

    monkeypatch.setattr(mantissa.Product, "run", watched_run)
    monkeypatch.setattr(mantissa.Product, "_split", watched_split)
    monkeypatch.setattr(norm_exact.ExactMoments, "_reciprocal_root", watched_root)
    return seen


def check_norm(kernel, inputs):
    got, tally = executed(kernel, inputs)
    wanted, counts = norms.norm(kernel, inputs)
    assert same(got, wanted.codes)
    assert tally.overflow == wanted.overflow
    assert {name: count for name, count in tally.stages.items() if count} == {
        name: count for name, count in counts.items() if count
    }
    return wanted, counts


def check_bounds(kernel, inputs):
    """What 64 bits are trusted with lies within the bounds that say so."""
    rows = inputs[0].reshape(-1, *kernel.layout)
    moments = kernel.moments
    center = np.zeros((len(rows), *(1,) * (rows.ndim - 1)), np.int64)
    if isinstance(moments, norm_exact.ExactMoments):
        center, deviation = moments.sums(rows, kernel.axes)
        largest = max(int(d) for d in deviation.flat)
        assert largest <= kernel.accumulator_format().max_code
        assert (largest << moments.fraction_bits) + moments.epsilon <= moments.bound
    numerator = moments.numerator(rows.astype(object), center)
    assert max(abs(int(n)) for n in numerator.flat) <= moments.numerator_bound


def test_the_exact_algorithm_follows_its_datapath(paths):
    seen = Counter()

    @given(st.data())
    @settings(max_examples=180)
    def check(data):
        case = data.draw(cases())
        seen["refused"] += case is None
        if case is None:
            return
        wanted, counts = check_norm(*case)
        assert not counts
        check_bounds(*case)
        seen["cases"] += 1
        seen["overflow"] += wanted.overflow > 0

    check()
    assert seen["cases"] > 150, seen
    assert seen["overflow"] > 30, seen
    assert min(paths[name] for name in ("product: direct", "product: 2 limbs", "product: wide")) > 10, paths
    assert min(paths[name] for name in ("root: direct", "root: compact", "root: wide")) > 10, paths


@pytest.mark.parametrize("algorithm", ["two_pass", "one_pass"])
def test_the_staged_algorithms_follow_their_datapaths(algorithm):
    seen = Counter()

    @given(st.data())
    @settings(max_examples=90)
    def check(data):
        case = data.draw(cases(algorithm))
        seen["refused"] += case is None
        if case is None:
            return
        _, counts = check_norm(*case)
        seen.update(name for name, count in counts.items() if count)
        seen["cases"] += 1

    check()
    assert seen["cases"] > 75, seen
    assert all(seen[name] > 3 for name in ("mean", "square", "variance", "root")), seen
    assert algorithm == "two_pass" or seen["negative variance"] > 3, seen


@given(st.data())
@settings(max_examples=80)
def test_mean_and_inverse_deviation_follow_their_datapaths(data):
    layout, axes = data.draw(st.sampled_from(LAYOUTS))
    x = data.draw(encodings(2, 32))
    policy = data.draw(policies(data.draw(formats(2, 32))))
    policy = replace(policy, norm=data.draw(st.just(NormPolicy()) | stage_policies()))
    operation = NormOperation(layout, axes, "variance", data.draw(st.sampled_from(EPSILONS)))
    kept = tuple(1 if axis in axes else n for axis, n in enumerate(layout))
    inputs = data.draw(groups_of_codes(x.format, (2, 3, *layout)))
    output = Encoding(policy.format, data.draw(st.integers(-8, 8)))
    kernel = NormInverseDeviationOperation(operation, (3, *kept)).decide([x], output, policy)
    got, tally = executed(kernel, [inputs])
    wanted, counts = norms.inverse_deviation(kernel, [inputs])
    assert same(got, wanted.codes)
    assert tally.overflow == wanted.overflow
    assert sum(tally.stages.values()) == sum(counts.values())
    axes_of_shape = tuple(axis + 1 for axis in axes)
    kernel = NormMeanOperation(operation, axes_of_shape, (3, *kept)).decide([x], output, policy)
    got, tally = executed(kernel, [inputs])
    if policy.norm.algorithm == "exact":
        assert kernel.kind == "reduce"
        assert got.shape == (2, 3, *kept)
        return
    wanted, counts = norms.norm_mean(kernel, [inputs])
    assert same(got, wanted.codes)
    assert (tally.overflow, tally.stages.get("mean", 0)) == (wanted.overflow, counts.get("mean", 0))


def test_products_with_mantissas_round_as_the_exact_number_does(paths):
    """Every path of the product, with small and large shifts together, against fractions, in every mode."""

    @given(st.data())
    @settings(max_examples=200)
    def check(data):
        rng = np.random.default_rng(data.draw(seeds))
        rounding = data.draw(st.sampled_from(list(Rounding)))
        split = data.draw(st.booleans())  # so wide that the mantissa must be, and only the mantissa
        factor_bits = data.draw(st.integers(44, 55) if split else st.integers(2, 70) | st.integers(25, 58))
        mantissa_bits = data.draw(st.integers(18, 36) if split else st.integers(4, 45) | st.integers(36, 45))
        factors = [int(rng.integers(0, 1 << 62)) << 32 for _ in range(16)]
        factors = [f % (1 << int(rng.integers(1, factor_bits + 1))) * (-1) ** i for i, f in enumerate(factors)]
        mantissas = [(int(rng.integers(0, 1 << 62)) % (1 << mantissa_bits)) | 1 << (mantissa_bits - 1) for _ in factors]
        least = data.draw(st.sampled_from([0, 10] if split else [-5, -5, 20]))
        shifts = rng.integers(least, data.draw(st.sampled_from([least + 9, 200])), len(factors)).tolist()
        # A few that would be ties but for one bit far below.
        dropped = data.draw(st.integers(2, 9))
        places = [0, 0, 1, *rng.integers(0, factor_bits, 3).tolist()]
        factors[:6] = [(1 << place) * (-1) ** i for i, place in enumerate(places)]
        mantissas[:6] = [1 << (mantissa_bits - 1) | 1] * 6
        shifts[:6] = [max(place + mantissa_bits - dropped, least) for place in places]
        factors[6:8] = [(1 << factor_bits) - 1, 1 - (1 << factor_bits)]
        mantissas[6:8] = [(1 << mantissa_bits) - 1] * 2
        shifts[6:8] = [factor_bits + mantissa_bits - 20] * 2
        # What comes together must stay within the bound, as in a kernel, where small shifts come with small factors.
        bound_bits = data.draw(st.sampled_from([20, 40, 60] if split else [20, 60, 75]))
        triples = [
            (f, m, s)
            for f, m, s in zip(factors, mantissas, shifts, strict=True)
            if abs(norms.Fraction(f * m) / norms.power(s)) < 1 << bound_bits
        ]
        if not triples:
            return
        a, m, s = zip(*triples, strict=True)
        bounds = (1 << factor_bits) - 1, (1 << mantissa_bits) - 1, 1 << bound_bits
        product = mantissa.Product(*bounds, mantissa.needs_sticky(rounding))
        held = np.array(a, dtype=np.int64 if factor_bits < 63 else object)
        got = product.run(held, np.array(m, dtype=np.int64), np.array(s, dtype=np.int64))
        wanted = [norms.rounded(norms.Fraction(f * q) * norms.power(-p - dropped), rounding) for f, q, p in triples]
        assert [norms.rounded(norms.Fraction(int(g)) * norms.power(-dropped), rounding) for g in got] == wanted

    check()
    assert all(paths[f"product: {path}"] > 4 for path in ("direct", "wide", "2 limbs", "3 limbs")), paths


@pytest.mark.parametrize("factor_bits", [30, 50, 58])
def test_products_of_small_factors_go_to_the_left_exactly(factor_bits):
    """Wide mantissas beside small shifts: none may be moved out of the word."""
    for bits in range(4, 46):
        for shift in range(-14, 5):
            product = mantissa.Product((1 << factor_bits) - 1, (1 << bits) - 1, 1 << 60, True)
            m = (1 << bits) - 1
            got = product.run(np.array([1, -1, 0]), np.array([m] * 3), np.array([shift] * 3))
            wanted = [norms.Fraction(a * m) * norms.power(-shift) / 4 for a in (1, -1, 0)]
            assert [norms.rounded(norms.Fraction(int(g), 4), "rnd_conv") for g in got] == [
                norms.rounded(real, "rnd_conv") for real in wanted
            ]


@given(
    st.integers(1, 400),
    st.integers(8, 18),
    st.floats(0.0, 1e3) | st.sampled_from(EPSILONS),
    st.integers(-20, 4),
    st.integers(4, 27),
    st.data(),
)
@settings(max_examples=100)
def test_compact_radicands_have_the_roots_of_whole_ones(count, width, epsilon, lsb, bits, data):
    """Sums of squares of every size, the smallest above all, where bits of ε behind the point count."""
    moments = norm_exact.ExactMoments.decide(
        Format(width, width),
        norms.power(lsb),
        count,
        norms.Fraction(epsilon),
        bits,
        centered=True,
        mean=True,
        alone=False,
    )
    if not moments._is_compact:
        return
    rng = np.random.default_rng(data.draw(seeds))
    largest = (moments.bound - moments.epsilon) >> moments.fraction_bits
    drawn = [int(rng.integers(0, min(largest, 1 << int(places)) + 1)) for places in rng.integers(0, 62, 40)]
    deviations = np.array([0, 1, 2, 3, largest, *drawn])
    wide = replace(moments, bound=max(moments.bound, 1 << 62))
    got, exponents = wide._reciprocal_root(deviations)
    for deviation, root, exponent in zip(deviations.tolist(), got, exponents, strict=True):
        wanted, place = norms.reciprocal_root(
            moments.root, max((deviation << moments.fraction_bits) + moments.epsilon, moments.least)
        )
        assert (int(root), int(exponent)) == (wanted, place - moments.fraction_bits // 2)


def test_groups_of_equal_values_give_the_bias():
    x = Encoding(Format(8, 5))
    bias = np.array([-3.0, 0.5, 15.875, 1.0625])
    for epsilon, form in (
        (0.0, "variance"),
        (1e-12, "variance"),
        (0.0, "sum_square"),
        (0.0, "sum_abs"),
        (0.0, "mean_square"),
    ):
        kernel = NormOperation((4,), (0,), form, epsilon, scale=np.full(4, 2.0), bias=bias).decide(
            [x], x, Policy(x.format, x.format)
        )
        equal = [0] if form != "variance" else [-128, -1, 0, 1, 127]
        got, tally = executed(kernel, [np.array([[value] * 4 for value in equal])])
        assert got.tolist() == [[-24, 4, 127, 9]] * len(equal)  # 1.0625 is 8.5 steps: rounded up
        assert tally.overflow == 0


def test_deviations_of_nothing_overflow_and_are_counted():
    x = Encoding(Format(8, 5))
    operation = NormInverseDeviationOperation(NormOperation((4,), (0,), "variance", 0.0), (1,))
    for overflow, code in ((Overflow.SAT, 127), (Overflow.SAT_ZERO, 0), (Overflow.SAT_SYM, 127)):
        format_ = Format(8, 5, True, Rounding.RND, overflow)
        for norm in (NormPolicy(), NormPolicy("two_pass")):
            got, tally = executed(
                operation.decide([x], Encoding(format_), Policy(format_, format_, norm=norm)), [np.full((1, 4), 5)]
            )
            assert got.tolist() == [[code]] or norm.algorithm != "exact"
            assert tally.overflow + tally.stages.get("root", 0) >= 1


def test_inner_stages_are_obeyed_literally():
    """Worked by hand: codes 0, 1, 2, 8 in q8.0 (mean 2.75), every stage in whole numbers, the root with two fraction bits."""
    x = Encoding(Format(8, 8))
    whole = Format(16, 16, False, Rounding.TRN, Overflow.SAT)
    norm = NormPolicy("two_pass", Format(8, 8, True, Rounding.TRN), whole, whole, Format(8, 6, False, Rounding.TRN))
    output = Encoding(Format(16, 8, True, Rounding.TRN))
    kernel = NormOperation((4,), (0,), "variance").decide([x], output, Policy(output.format, x.format, norm=norm))
    got, tally = executed(kernel, [np.array([[0, 1, 2, 8]])])
    # mean 2, squares 4 1 0 36, variance 41 / 4 → 10, 1 / √10 = 0.316 → 0.25: (x − 2) / 4
    assert got.tolist() == [[-128, -64, 0, 384]]
    assert not any(tally.stages.values())
    # In one pass: squares 0 1 4 64, their mean 69 / 4 → 17, less 2² → 13, 1 / √13 = 0.277 → 0.25.
    kernel = NormOperation((4,), (0,), "variance").decide(
        [x], output, Policy(output.format, x.format, norm=replace(norm, algorithm="one_pass"))
    )
    got, _ = executed(kernel, [np.array([[0, 1, 2, 8]])])
    assert got.tolist() == [[-128, -64, 0, 384]]
    # A variance of three bits holds up to 7: 1 / √7 = 0.378 → 0.25, and one overflow is counted.
    small = replace(
        norm, variance=Format(3, 3, False, Rounding.TRN, Overflow.SAT), root=Format(8, 4, False, Rounding.TRN)
    )
    kernel = NormOperation((4,), (0,), "variance").decide([x], output, Policy(output.format, x.format, norm=small))
    got, tally = executed(kernel, [np.array([[0, 1, 2, 8]])])
    assert got.tolist() == [[-192, -96, 0, 576]]  # 1 / √7 = 0.378 → 6/16
    assert tally.stages == {"mean": 0, "square": 0, "variance": 1, "root": 0}


def test_usual_formats_of_stages():
    x = Format(8, 5, True, Rounding.RND_CONV, Overflow.SAT_SYM)
    formats_ = norm_formats(x)
    assert [str(formats_[name]) for name in ("mean", "square", "variance", "root")] == [
        "q5.3:rnd_conv,sat_sym",
        "uq10.6:rnd_conv,sat_sym",
        "uq10.6:rnd_conv,sat_sym",
        "uq4.12:rnd_conv,sat_sym",
    ]


def norm_formats(x):
    operation = NormOperation((4,), (0,), "variance", 1e-5)
    return operation.decide([Encoding(x)], Encoding(x), Policy(x, x, norm=NormPolicy("two_pass"))).inner_formats()


@given(formats(2, 32), st.integers(1, 9), st.data())
def test_usual_formats_lose_nothing_but_by_rounding(x, count, data):
    """No square, variance or reciprocal deviation of codes overflows but one over zero."""
    operation = NormOperation((count,), (0,), "variance", 0.0)
    policy = Policy(
        x.with_modes(overflow=Overflow.SAT),
        Format(8, 4),
        norm=NormPolicy(data.draw(st.sampled_from(["two_pass", "one_pass"]))),
    )
    kernel = operation.decide([Encoding(x)], Encoding(policy.format), policy)
    inputs = data.draw(groups_of_codes(x, (6, count)))
    tally = Tally()
    moments = kernel.moments
    moments.moments(inputs, (0,), tally)
    assert tally.stages["mean"] == tally.stages["square"] == tally.stages["variance"] == 0
    mean = moments.mean(inputs, (0,), Tally())
    flat = np.all(moments.numerator(inputs, mean) ** 2 == 0, axis=1) if policy.norm.algorithm == "two_pass" else None
    if flat is not None and policy.format.rounding is not Rounding.TRN and x.fraction_bits >= 0:
        assert tally.stages["root"] <= max(int(flat.sum()), 0) + np.count_nonzero(
            moments.numerator(inputs, mean).var(axis=1) < 1
        )


def test_what_no_reciprocal_root_can_hold_is_refused_by_name():
    wrapping = Format(32, 2, True, Rounding.RND, Overflow.WRAP)
    x = Encoding(Format(32, 16))
    operation = NormOperation((1 << 16,), (0,), "variance", 1e-5, scale=np.full(1, 2.0**12))
    with pytest.raises(PlanError, match="reciprocal root of more than 40 bits"):
        operation.decide([x], Encoding(wrapping), Policy(wrapping, Format(32, 16)))


def test_widths_beyond_two_limbs_are_refused():
    wide = Encoding(Format(40, 20))
    with pytest.raises(OverflowError, match="40 bits"):
        NormOperation((4,), (0,), "variance").decide([wide], wide, Policy(wide.format, Format(8, 4)))


@pytest.mark.parametrize("width", [63, 64, 65, 128])
def test_an_unsigned_mean_of_any_width_wraps(width):
    """A mean of -5 in a stage that has no codes below 0: 2^width - 5, and one overflow."""
    x = Encoding(Format(8, 8))
    stage = Format(width, width, False, Rounding.RND, Overflow.WRAP)
    operation = NormMeanOperation(NormOperation((4,), (0,), "variance"), (1,), (1,))
    output = Encoding(Format(8, 8, True, Rounding.RND, Overflow.WRAP))
    kernel = operation.decide([x], output, Policy(output.format, x.format, norm=NormPolicy("two_pass", stage)))
    got, tally = executed(kernel, [np.full((1, 4), -5)])
    assert got.tolist() == [[-5]]
    assert tally.stages == {"mean": 1}
    assert tally.overflow == 1
