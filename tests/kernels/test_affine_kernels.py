"""Kernels between values of any step and any zero: bit for bit their datapath, and within 1 LSB of the real result.

Constants are dyadic numbers that their formats hold, so that the real result of every kernel can be computed in fractions from what
the input codes stand for; only the multiplier's own error and the one rounding are left.
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from oracles.codes import box, each, fitted, limits, rounded, same
from oracles.drawing import codes, dyadics, executed, formats
from oracles.kernels import run

from fxnorm.errors import PlanError
from fxnorm.fixed.format import Format, Overflow, Rounding
from fxnorm.kernels.elementwise import ElementwiseOperation
from fxnorm.kernels.encoding import Encoding
from fxnorm.kernels.kernel import Policy, Reads
from fxnorm.kernels.linear import LinearOperation, Window
from fxnorm.kernels.matmul import MatMulOperation
from fxnorm.kernels.movement import ConcatOperation, MoveOperation, PadValue, Spread, Transpose
from fxnorm.kernels.pool import PoolOperation, ReduceOperation
from fxnorm.kernels.rescale import ScaleOperation
from fxnorm.planning.normalization import Affine

WEIGHTS = Format(8, 4)
factors = st.one_of(st.floats(1.0, 2.0, exclude_max=True), st.sampled_from([1.0, 1.0, 1.5, 4 / 3]))
translating = st.sampled_from([Rounding.RND, Rounding.TRN, Rounding.RND_CONV, Rounding.RND_INF, Rounding.TRN_ZERO])


@st.composite
def affine(draw, reads=Reads.ANY, most=12, exponent=None):
    """An encoding that an operation of that demand can read."""
    format_ = draw(formats(3, most))
    lowest, highest = limits(format_)
    inside = st.integers(lowest, highest)
    zero = draw(inside if reads is Reads.ZERO else st.one_of(inside, st.integers(4 * lowest - 5, 4 * highest + 5)))
    return Encoding(format_, draw(st.integers(-3, 3)) if exponent is None else exponent, draw(factors), zero)


@st.composite
def saturating(draw, low, high, unit=None, most=12):
    """An encoding that holds most of an interval, with the step that a multiplier meets or another."""
    format_ = Format(draw(st.integers(3, most)), 2, draw(st.booleans()), draw(translating), Overflow.SAT)
    span = max(high - low, Fraction(1, 1000))
    cut = draw(st.sampled_from([Fraction(0), Fraction(1, 10), Fraction(-1, 4)]))
    return Affine(draw(st.booleans()), unit).fit(float(low + cut * span), float(high - cut * span), format_)


def real(encoding, array):
    """What codes stand for, in fractions."""
    array = box(array)
    for index in each(array.shape):
        array[index] = (array[index] - encoding.zero) * encoding.step
    return array


def check(kernel, inputs, output, wanted, slack=Fraction(0)):
    """Bit for bit the datapath; and the real result, correctly rounded, give or take the multipliers' error and 1 LSB at most."""
    got, tally = executed(kernel, inputs)
    model = run(kernel, inputs)
    assert same(got, model.codes)
    assert (tally.overflow, tally.additions) == (model.overflow, model.additions)
    assert got.shape == wanted.shape
    lowest, highest = limits(output.format)
    off = 0
    for index in each(got.shape):
        exact = wanted[index] / output.step + output.zero
        nearest = fitted(rounded(exact, output.format.rounding), output.format)[0]
        miss = abs(int(got[index]) - nearest)
        assert miss <= 1 + slack, (index, exact, got[index])
        if lowest <= exact <= highest:
            # Half a unit from the rounding (a whole one where it truncates), half from the multiplier.
            assert abs(int(got[index]) - exact) <= Fraction(3, 2) + slack
        off += miss
    return off


def extremes(wanted):
    values = [wanted[index] for index in each(wanted.shape)]
    return min(values), max(values)


@given(st.data(), st.sampled_from([(1, 0), (2, 1), (1, 2)]), st.sampled_from([1, 2]))
def test_convolutions_pad_with_the_code_of_zero(data, geometry, groups):
    kernel_size, pad = geometry
    window = Window((kernel_size,), (1,), (1,), (pad,), (max(pad - 1, 0),))
    x = data.draw(affine(Reads.ZERO if pad else Reads.ANY))
    weights = data.draw(dyadics((4, 2 // groups, kernel_size), 4, -3))
    bias = data.draw(dyadics((4,), 5, -2))
    inputs = data.draw(codes(x.format, (2, 1, 2, 4)))
    values = real(x, inputs)
    length = 4 + window.pads_begin[0] + window.pads_end[0] - kernel_size + 1
    wanted = np.empty((2, 1, 4, length), dtype=object)
    per_group, outputs = 2 // groups, 4 // groups
    for n, _, o, i in each(wanted.shape):
        total = Fraction(float(bias[o]))
        for c, k in each((per_group, kernel_size)):
            at = i + k - window.pads_begin[0]
            if 0 <= at < 4:
                total += Fraction(float(weights[o, c, k])) * values[n, 0, o // outputs * per_group + c, at]
        wanted[n, 0, o, i] = total
    operation = LinearOperation(weights, bias, window, groups)
    assert operation.reads(0) is (Reads.ZERO if pad else Reads.ANY)
    y = data.draw(saturating(*extremes(wanted), data.draw(st.sampled_from([None, operation.unit([x])]))))
    kernel = operation.decide([x], y, Policy(y.format, WEIGHTS, normalize="affine", multiplier="tensor"))
    assume(_kept(weights, kernel))
    check(kernel, [inputs], y, wanted, slack=_bias_slack(x, y))


def _kept(weights, kernel):
    """Whether codes stand for the weights as they are; beside a bias that is far larger than all products they are coarser."""
    ratios = [
        {Fraction(float(w)) / int(c) if c else w for w, c in zip(row, own, strict=True) if w or c}
        for row, own in zip(weights.reshape(len(weights), -1), kernel.weights.reshape(len(weights), -1), strict=True)
    ]
    return all(len(found) <= 1 for found in ratios)


def _bias_slack(x, y):
    """A bias is rounded to the accumulator's step: half of it, in steps of the output (weights here have steps of 2^-4 at most)."""
    return x.step / 16 / y.step / 2


@given(st.data())
def test_dense_layers_absorb_scale_and_offset(data):
    x = data.draw(affine())
    weights, bias = data.draw(dyadics((3, 5), 4, -3)), data.draw(dyadics((3,), 5, -2))
    inputs = data.draw(codes(x.format, (4, 5)))
    values = real(x, inputs)
    wanted = np.empty((4, 3), dtype=object)
    for n, o in each(wanted.shape):
        wanted[n, o] = Fraction(float(bias[o])) + sum(Fraction(float(weights[o, k])) * values[n, k] for k in range(5))
    operation = LinearOperation(weights, bias)
    y = data.draw(saturating(*extremes(wanted), operation.unit([x])))
    kernel = operation.decide([x], y, Policy(y.format, WEIGHTS, normalize="affine", multiplier="tensor"))
    assert kernel.stage.multiplier < 1 << 16
    assume(_kept(weights, kernel))
    check(kernel, [inputs], y, wanted, slack=_bias_slack(x, y))


@given(st.data(), st.sampled_from(["RND", "TRN"]))
def test_the_step_that_a_multiplier_meets_leaves_one_rounding(data, rounding):
    """With the output's step chosen for the accumulator, results are the correctly rounded real ones, not only near them."""
    x = data.draw(affine(exponent=0))
    weights = data.draw(dyadics((3, 4), 4, -3))
    inputs = data.draw(codes(x.format, (6, 4)))
    values = real(x, inputs)
    wanted = np.empty((6, 3), dtype=object)
    for n, o in each(wanted.shape):
        wanted[n, o] = sum(Fraction(float(weights[o, k])) * values[n, k] for k in range(4))
    operation = LinearOperation(weights, np.zeros(3))
    low, high = extremes(wanted)
    assume(low < high)
    format_ = Format(data.draw(st.integers(4, 12)), 4, True, Rounding[rounding], Overflow.SAT)
    y = Affine(False, operation.unit([x])).fit(float(low), float(high), format_)
    kernel = operation.decide([x], y, Policy(format_, WEIGHTS, normalize="affine", multiplier="tensor"))
    got, _ = executed(kernel, [inputs])
    for index in each(got.shape):
        exact = wanted[index] / y.step + y.zero
        half = Fraction(1, 2) if rounding == "RND" else Fraction(0)
        if abs((exact + half) - round(exact + half)) < Fraction(1, 10**6):
            continue  # the step was rounded to float64: a tie may have moved by that much
        assert int(got[index]) == fitted(rounded(exact, format_.rounding), format_)[0]


@given(st.data(), st.sampled_from([None, "q12.4:trn,wrap", "q9.2:rnd,sat"]))
def test_an_explicit_accumulator_starts_at_the_bias_less_the_zero(data, accumulator):
    x = data.draw(affine(most=8))
    weights, bias = data.draw(dyadics((2, 6), 4, -3)), data.draw(dyadics((2,), 4, -2))
    y = data.draw(affine(most=8))
    explicit = None if accumulator is None else Format.parse(accumulator)
    policy = Policy(y.format, WEIGHTS, accumulator=explicit, normalize="affine", multiplier="tensor")
    kernel = LinearOperation(weights, bias).decide([x], y, policy)
    inputs = data.draw(codes(x.format, (3, 6)))
    got, tally = executed(kernel, [inputs])
    model = run(kernel, [inputs])
    assert same(got, model.codes)
    assert tally.accumulator_overflow == model.accumulator_overflow
    fraction_bits = kernel.accumulator.fraction_bits
    for o in range(2):
        # Weights have a power of two each, found back from the codes.
        (scale,) = {Fraction(float(w)) / int(c) for w, c in zip(weights[o], kernel.weights[o], strict=True) if c} or {
            Fraction(1)
        }
        unit = x.step * scale * Fraction(2) ** (x.format.fraction_bits + WEIGHTS.fraction_bits)
        exact = (Fraction(float(bias[o])) / unit) * 2**fraction_bits
        offset = sum(int(w) for w in kernel.weights[o]) * x.zero
        exact -= offset * Fraction(2) ** (fraction_bits - x.format.fraction_bits - WEIGHTS.fraction_bits)
        assert abs(int(kernel.bias[o]) - exact) <= 1  # bias and offset are rounded once each


@given(st.data(), st.booleans())
def test_products_of_two_values(data, transposed):
    a, b = data.draw(affine(Reads.ZERO, 8)), data.draw(affine(Reads.ZERO, 8))
    operation = MatMulOperation(3)
    assert operation.reads(0) is operation.reads(1) is Reads.ZERO
    left, right = data.draw(codes(a.format, (2, 2, 3))), data.draw(codes(b.format, (2, 3, 2)))
    x, y = real(a, left), real(b, right)
    wanted = np.empty((2, 2, 2), dtype=object)
    for n, i, j in each(wanted.shape):
        wanted[n, i, j] = sum(x[n, i, k] * y[n, k, j] for k in range(3))
    unit = operation.unit([a, b]) if transposed else None
    output = data.draw(saturating(*extremes(wanted), unit))
    kernel = operation.decide([a, b], output, Policy(output.format, WEIGHTS, normalize="affine"))
    check(kernel, [left, right], output, wanted)


@given(st.data())
def test_a_product_with_a_constant(data):
    b = data.draw(affine(Reads.ZERO, 8))
    left = data.draw(dyadics((2, 3), 6, -3))
    right = data.draw(codes(b.format, (2, 3, 2)))
    y = real(b, right)
    wanted = np.empty((2, 2, 2), dtype=object)
    for n, i, j in each(wanted.shape):
        wanted[n, i, j] = sum(Fraction(float(left[i, k])) * y[n, k, j] for k in range(3))
    operation = MatMulOperation(3, left=left)
    output = data.draw(saturating(*extremes(wanted), operation.unit([b])))
    kernel = operation.decide([b], output, Policy(output.format, WEIGHTS, normalize="affine"))
    check(kernel, [right], output, wanted)


FUNCTIONS = {
    "add": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "min": min,
    "max": max,
    "abs": abs,
    "select": None,
}


@given(st.data(), st.sampled_from(sorted(FUNCTIONS)), st.booleans())
def test_elementwise(data, function, related):
    count = 1 if function == "abs" else 2
    encodings = [data.draw(affine(most=9)) for _ in range(count)]
    if related and count == 2:
        encodings[1] = Encoding(encodings[1].format, encodings[1].exponent, encodings[0].factor, encodings[1].zero)
    mask = np.array([True, False, True, True]) if function == "select" else None
    inputs = [data.draw(codes(encoding.format, (3, 4))) for encoding in encodings]
    values = [real(encoding, x) for encoding, x in zip(encodings, inputs, strict=True)]
    wanted = np.empty((3, 4), dtype=object)
    for index in each(wanted.shape):
        operands = [value[index] for value in values]
        wanted[index] = operands[0 if mask[index[1]] else 1] if function == "select" else FUNCTIONS[function](*operands)
    operation = ElementwiseOperation(function, (None,) * count, (1, -1)[:count], mask=mask)
    unit = data.draw(st.sampled_from([None, operation.unit(encodings)]))
    y = data.draw(saturating(*extremes(wanted), unit))
    try:
        kernel = operation.decide(encodings, y, Policy(y.format, WEIGHTS, normalize="affine"))
    except PlanError:
        return
    assert all(m < 1 << 24 for m in kernel.multipliers)
    # Each operand has a multiplier of its own, and the sum perhaps another: half a unit of error each.
    check(kernel, inputs, y, wanted, slack=Fraction(count, 2))


def multipliers(kernel):
    return sum(m != 1 for m in (*kernel.multipliers, kernel.stage.multiplier))


def test_operands_have_as_few_multipliers_as_can_be():
    def encoding(factor, exponent=0):
        return Encoding(Format(8, 5), exponent, factor, 3)

    def needed(function, inputs, output):
        operation = ElementwiseOperation(function, (None,) * len(inputs), (1,) * len(inputs))
        return multipliers(operation.decide(inputs, output, Policy(output.format, WEIGHTS, normalize="affine")))

    assert needed("add", [encoding(1.5), encoding(1.5, 2)], encoding(1.5, 1)) == 0
    assert needed("add", [encoding(1.5), encoding(1.5)], encoding(1.25)) == 1
    assert needed("add", [encoding(1.5), encoding(1.25)], encoding(1.25)) == 1
    assert needed("add", [encoding(1.5), encoding(1.25)], encoding(1.125)) == 2
    assert needed("max", [encoding(1.5), encoding(1.25), encoding(1.25)], encoding(1.125)) == 2
    assert needed("mul", [encoding(1.5), encoding(1.25)], encoding(1.875)) == 0
    assert needed("mul", [encoding(1.5), encoding(1.25)], encoding(1.0)) == 1


@given(st.data(), st.sampled_from(["add", "mul", "max"]))
def test_constant_operands_need_no_multiplier(data, function):
    x = data.draw(affine(most=9))
    constant = data.draw(dyadics((4,), 7, -2))
    inputs = data.draw(codes(x.format, (3, 4)))
    values = real(x, inputs)
    wanted = np.empty((3, 4), dtype=object)
    combine = {"add": lambda a, b: a + b, "mul": lambda a, b: a * b, "max": max}[function]
    for n, i in each(wanted.shape):
        wanted[n, i] = combine(values[n, i], Fraction(float(constant[i])))
    operation = ElementwiseOperation(function, (None, constant), (1, 1))
    y = data.draw(saturating(*extremes(wanted), operation.unit([x])))
    kernel = operation.decide([x], y, Policy(y.format, Format(24, 12), normalize="affine"))
    assert multipliers(kernel) <= 1
    check(kernel, [inputs], y, wanted, slack=Fraction(1, 2))


@given(st.data())
def test_thresholds_compare_distances_from_zero_exactly(data):
    x = data.draw(affine(Reads.ZERO, 8))
    every = np.arange(x.format.lowest_code, x.format.max_code + 1)[None]
    code = data.draw(st.sampled_from(every[0].tolist()))
    alpha = float(x.decode(np.array(code))) * data.draw(st.sampled_from([1.0, 1 + 1e-12, 1 - 1e-12]))
    operation = ElementwiseOperation("threshold", (None,), parameters=(alpha,))
    assert operation.reads(0) is Reads.ZERO
    got, tally = executed(operation.decide([x], x, Policy(x.format, WEIGHTS)), [every])
    kept = [n if (n - x.zero) * x.step > Fraction(alpha) else x.zero for n in every[0].tolist()]
    assert got[0].tolist() == kept
    assert tally.overflow == 0


@given(st.data(), st.integers(1, 64).map(lambda n: n / 32))
def test_leaky_relu(data, slope):
    x = data.draw(affine(most=9))
    inputs = data.draw(codes(x.format, (3, 4)))
    wanted = real(x, inputs)
    for index in each(wanted.shape):
        wanted[index] = wanted[index] if wanted[index] >= 0 else wanted[index] * Fraction(slope)
    operation = ElementwiseOperation("prelu", (None, np.array([slope])))
    y = data.draw(saturating(*extremes(wanted), operation.unit([x])))
    kernel = operation.decide([x], y, Policy(y.format, Format(16, 4), normalize="affine"))
    check(kernel, [inputs], y, wanted)


@given(st.data(), st.sampled_from(["affine", "pow2"]), st.booleans())
def test_scale_and_shift_take_all_steps_into_one_multiplier(data, normalize, per_channel):
    x = data.draw(affine(most=9))
    channels = 3 if per_channel else 1
    scale = data.draw(dyadics((channels,), 6, -4))
    assume(np.all(scale != 0.0))
    shift = data.draw(dyadics((channels,), 6, -2))
    inputs = data.draw(codes(x.format, (2, 3, 2)))
    values = real(x, inputs)
    wanted = np.empty((2, 3, 2), dtype=object)
    for n, c, i in each(wanted.shape):
        k = c if per_channel else 0
        wanted[n, c, i] = Fraction(float(scale[k])) * values[n, c, i] + Fraction(float(shift[k]))
    operation = ScaleOperation(scale, shift, 0 if per_channel else None)
    assume(not operation.is_clip)
    y = data.draw(saturating(*extremes(wanted)))
    kernel = operation.decide([x], y, Policy(y.format, WEIGHTS, normalize=normalize))
    assert kernel.stage.multiplier == 1
    # A multiplier that misses half a unit at the largest distance there is; saturating outputs are cut where it might miss more.
    check(kernel, [inputs], y, wanted, slack=Fraction(1))


@given(st.data(), st.sampled_from([(0.0, None), (0.0, 6.0), (-1.5, 1.5)]))
def test_clips_are_clips_of_real_numbers(data, bounds):
    low, high = bounds
    x = data.draw(affine(most=9))
    inputs = data.draw(codes(x.format, (3, 5)))
    wanted = real(x, inputs)
    for index in each(wanted.shape):
        value = max(wanted[index], Fraction(low))
        wanted[index] = value if high is None else min(value, Fraction(high))
    operation = ScaleOperation(np.ones(1), np.zeros(1), None, low, high)
    y = data.draw(saturating(*extremes(wanted), operation.unit([x])))
    kernel = operation.decide([x], y, Policy(y.format, WEIGHTS, normalize="affine"))
    check(kernel, [inputs], y, wanted)


@given(st.data(), st.booleans())
def test_averages_over_windows_that_reach_beyond_the_data(data, padded):
    """Padding counts as 0 where it counts at all, be it the divisor or only the sum."""
    window = Window((2, 2), (1, 1), (1, 1), (1, 0), (0, 1))
    x = data.draw(affine(Reads.ZERO, 9))
    inputs = data.draw(codes(x.format, (2, 1, 1, 3, 3)))
    values = real(x, inputs)
    counts = np.empty((3, 3), np.int64)
    wanted = np.empty((2, 1, 1, 3, 3), dtype=object)
    for n, b, c, i, j in each(wanted.shape):
        inside = [(i + k - 1, j + m) for k, m in each((2, 2)) if 0 <= i + k - 1 < 3 and 0 <= j + m < 3]
        counts[i, j] = 4 if padded else len(inside)
        wanted[n, b, c, i, j] = sum(values[(n, b, c, *at)] for at in inside) / int(counts[i, j])
    operation = PoolOperation("mean", window, counts.reshape(-1)[:1] if padded else counts)
    assert operation.reads(0) is Reads.ZERO
    y = data.draw(saturating(*extremes(wanted), operation.unit([x])))
    kernel = operation.decide([x], y, Policy(y.format, WEIGHTS, normalize="affine"))
    check(kernel, [inputs], y, wanted)


@given(st.data(), st.sampled_from(["max", "mean"]))
def test_pools_of_data_whose_zero_is_no_code(data, function):
    window = Window((2,), (2,), (1,), (0,), (0,))
    x = data.draw(affine(most=9))
    inputs = data.draw(codes(x.format, (2, 1, 2, 6)))
    values = real(x, inputs)
    wanted = np.empty((2, 1, 2, 3), dtype=object)
    for n, b, c, i in each(wanted.shape):
        pair = values[n, b, c, 2 * i], values[n, b, c, 2 * i + 1]
        wanted[n, b, c, i] = max(pair) if function == "max" else sum(pair) / 2
    operation = PoolOperation(function, window, np.array([2]))
    assert operation.reads(0) is Reads.ANY
    y = data.draw(saturating(*extremes(wanted), operation.unit([x])))
    check(operation.decide([x], y, Policy(y.format, WEIGHTS, normalize="affine")), [inputs], y, wanted)


REDUCTIONS = {
    "sum": sum,
    "mean": lambda v: sum(v) / len(v),
    "max": max,
    "min": min,
    "sum_square": lambda v: sum(n * n for n in v),
    "sum_abs": lambda v: sum(abs(n) for n in v),
}


@given(st.data(), st.sampled_from(sorted(REDUCTIONS)))
def test_reductions(data, function):
    x = data.draw(affine(most=9))
    inputs = data.draw(codes(x.format, (3, 5)))
    values = real(x, inputs)
    wanted = np.empty((3, 1), dtype=object)
    for n in range(3):
        wanted[n, 0] = REDUCTIONS[function](list(values[n]))
    operation = ReduceOperation(function, (0,), True, 5)
    assert operation.reads(0) is Reads.ANY
    y = data.draw(saturating(*extremes(wanted), operation.unit([x])))
    check(operation.decide([x], y, Policy(y.format, WEIGHTS, normalize="affine")), [inputs], y, wanted)


@given(st.data())
def test_moved_data_is_filled_with_the_code_of_zero(data):
    x = data.draw(affine(Reads.ZERO, 8))
    moves = (Spread((1, 2)), PadValue(((0, 0), (1, 2)), 0.0), Transpose((1, 0)))
    operation = MoveOperation(moves)
    assert operation.reads(0) is Reads.ZERO
    policy = Policy(x.format, WEIGHTS, normalize="affine")
    assert operation.encoding([x], policy) == x
    inputs = data.draw(codes(x.format, (2, 2, 3)))
    got, tally = executed(operation.decide([x], x, policy), [inputs])
    wanted = np.zeros((2, 8, 2), dtype=object)
    wanted[:, 1:6:2] = real(x, inputs).transpose(0, 2, 1)
    assert same(real(x, got) / x.step, wanted / x.step)
    assert tally.overflow == 0


@given(st.data())
def test_concatenated_operands_come_to_one_encoding(data):
    encodings = [data.draw(affine(most=9)) for _ in range(2)]
    constant = data.draw(dyadics((1, 3), 5, -2))
    inputs = [data.draw(codes(encoding.format, (2, 2, 3))) for encoding in encodings]
    parts = [real(encoding, x) for encoding, x in zip(encodings, inputs, strict=True)]
    fixed = np.empty((2, 1, 3), dtype=object)
    for n, i, j in each(fixed.shape):
        fixed[n, i, j] = Fraction(float(constant[i, j]))
    wanted = np.concatenate([parts[0], fixed, parts[1]], axis=1)
    operation = ConcatOperation(0, (None, constant, None))
    y = data.draw(saturating(*extremes(wanted)))
    kernel = operation.decide(encodings, y, Policy(y.format, WEIGHTS, normalize="affine"))
    check(kernel, inputs, y, wanted)
    same_again = ConcatOperation(0, (None, None)).decide([y, y], y, Policy(y.format, WEIGHTS))
    assert same_again.stages == (None, None)


@given(st.data(), st.integers(17, 32))
def test_wide_words_have_wide_multipliers(data, width):
    """32 bits of data and a multiplier of 32 bits: Python integers where 64 bits do not hold them, and still one rounding."""
    x = Encoding(Format(width, 8), 0, data.draw(factors), data.draw(st.integers(-(2**20), 2**20)))
    weights = data.draw(dyadics((2, 3), 6, -3))
    inputs = data.draw(codes(x.format, (2, 3)))
    values = real(x, inputs)
    wanted = np.empty((2, 2), dtype=object)
    for n, o in each(wanted.shape):
        wanted[n, o] = sum(Fraction(float(weights[o, k])) * values[n, k] for k in range(3))
    y = Encoding(Format(width, 12), 1, data.draw(factors), data.draw(st.integers(-(2**20), 2**20)))
    policy = Policy(y.format, WEIGHTS, normalize="affine", multiplier="tensor")
    kernel = LinearOperation(weights, np.zeros(2)).decide([x], y, policy)
    assert kernel.stage.multiplier.bit_length() <= width + 1
    check(kernel, [inputs], y, wanted)


@pytest.mark.parametrize(
    "operation",
    [
        ElementwiseOperation("hard_swish", (None,)),
        ElementwiseOperation("prelu", (np.ones(3), None)),
        MatMulOperation(3, alpha=0.3),
    ],
)
def test_what_is_not_scale_invariant_reads_powers_of_two(operation):
    assert operation.reads(0) is Reads.PLAIN
