"""The exact algorithm against the correctly rounded real result: at most 1 LSB apart, equal in 99 of 100 outputs and more."""

from __future__ import annotations

import re
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from oracles.codes import fitted, power
from oracles.norms import correctly_rounded

from fxnorm.fixed.format import Format, Rounding
from fxnorm.kernels.encoding import Encoding
from fxnorm.kernels.kernel import NormPolicy, Policy
from fxnorm.kernels.norm import NormOperation
from fxnorm.kernels.norm_statistic import NormInverseDeviationOperation
from fxnorm.kernels.stage import Tally

LENGTHS = (1, 2, 3, 7, 48, 64, 96, 384, 768, 3136)
Q5_3, Q8_8 = Format(8, 5), Format(16, 8)
EPSILON = float(np.float32(1e-5))


def sqnr(reference, got):
    noise = float(((got - reference) ** 2).sum())
    return np.inf if noise == 0 else 10 * np.log10(float((reference**2).sum()) / noise)


def in_steps(kernel, count):
    """Scale and bias that a kernel holds, in output steps, an element each."""
    if kernel.scale is None:
        return [power(-kernel.shift - kernel.stage.shift)] * count, [Fraction(0)] * count
    scale = [int(c) << int(s) for c, s in zip(kernel.scale, kernel.scale_shift, strict=True)]
    bias = [int(c) << kernel.bias_shift for c in kernel.bias]
    return [c * power(-kernel.shift - kernel.stage.shift) for c in scale], [
        c * power(-kernel.stage.shift) for c in bias
    ]


def compare(operation, x, output, codes):
    """Codes that the kernel gives and codes correctly rounded, [groups, count] each; both overflowed by the format."""
    kernel = operation.decide([x], output, Policy(output.format, Format(x.format.width, x.format.integer_bits)))
    got = kernel.run([codes], Tally())
    scale, bias = in_steps(kernel, codes.shape[1])
    epsilon = Fraction(operation.epsilon) / Fraction(4) ** x.lsb
    wanted = [
        [
            fitted(code, output.format)[0]
            for code in correctly_rounded(row, operation.form, epsilon, scale, bias, output.format)
        ]
        for row in codes.tolist()
    ]
    return got, np.array(wanted)


def real_normal(codes, x, epsilon):
    values = codes * 2.0**x.lsb
    centered = values - values.mean(axis=1, keepdims=True)
    return centered / np.sqrt((centered**2).mean(axis=1, keepdims=True) + epsilon)


def measured(format_, count, elements):
    """Share of equal outputs, SQNR of the kernel and of the correctly rounded result, for random groups with µ = 2, σ = 1."""
    x = Encoding(format_)
    codes = x.encode(np.random.default_rng(count).normal(2.0, 1.0, (max(3, elements // count), count)))
    got, wanted = compare(NormOperation((count,), (0,), "variance", EPSILON), x, x, codes)
    assert np.abs(got - wanted).max() <= 1
    reference = real_normal(codes, x, EPSILON)
    return (got == wanted).mean(), *(sqnr(reference, result * 2.0**x.lsb) for result in (got, wanted))


def check_accuracy(format_, count, elements):
    equal, exact, correct = measured(format_, count, elements)
    assert equal >= 0.99
    assert exact == correct or abs(exact - correct) < 0.1, (exact, correct)
    rng = np.random.default_rng(count)
    x = Encoding(format_)
    codes = x.encode(rng.normal(2.0, 1.0, (max(3, elements // count), count)))
    constants = {"scale": np.exp(rng.normal(0.0, 0.3, count)), "bias": rng.normal(0.0, 0.5, count)}
    got, wanted = compare(NormOperation((count,), (0,), "variance", EPSILON, **constants), x, x, codes)
    assert np.abs(got - wanted).max() <= 1
    # Two values have two results (but for ε), either of which may lie next to a tie in every group.
    assert (got == wanted).mean() >= (0.99 if count > 2 or format_ in (Q5_3, Q8_8) else 0.97)
    return exact


@pytest.mark.parametrize("format_", [Q5_3, Q8_8], ids=str)
@pytest.mark.parametrize("count", LENGTHS)
def test_random_groups(format_, count):
    """σ = 1, µ = 2, with and without scale and bias; the SQNR is that of the correctly rounded result to 0.1 dB."""
    found = check_accuracy(format_, count, 3000)
    if count >= 48:
        assert found > (27.5 if format_ is Q5_3 else 57.5)


@pytest.mark.slow
@pytest.mark.parametrize("format_", [Q5_3, Q8_8, Format(32, 16), Format(12, 4), Format(4, 3)], ids=str)
@pytest.mark.parametrize("count", LENGTHS)
def test_many_random_groups(format_, count):
    check_accuracy(format_, count, 30_000)


@pytest.mark.slow
def test_the_documented_table_is_what_is_measured():
    page = (Path(__file__).resolve().parents[2] / "docs" / "normalization.md").read_text(encoding="utf-8")
    rows = [line.strip("| ").split(" | ") for line in page.splitlines() if re.match(r"\| \d+ \|", line)]
    assert [int(row[0]) for row in rows] == list(LENGTHS[1:])
    for count, *cells in rows:
        found = []
        for format_ in (Q5_3, Q8_8):
            equal, exact, correct = measured(format_, int(count), 30_000)
            found += [f"{100 * equal:.2f} %", f"{exact:.2f}", f"{correct:.2f}"]
        assert cells == found, count


def stress(format_, count, rng):
    """Groups that break other datapaths, one a row."""
    low, high = format_.lowest_code, format_.max_code
    rows = [np.full(count, value) for value in (0, 1, low, high)]
    for base, outlier in ((0, 1), (0, high), (low, high), (high, low), (high, high - 1), (3, 4)):
        row = np.full(count, base)
        row[rng.integers(0, count)] = outlier
        rows.append(row)
    rows += [rng.choice([low, high], count) for _ in range(2)]
    rows += [high - rng.integers(0, 3, count) for _ in range(2)]
    rows += [low + rng.integers(0, 2, count) for _ in range(2)]
    rows.append(rng.integers(low, high, count, endpoint=True))
    rows.append(np.linspace(low, high, count).astype(np.int64))
    return np.array(rows, np.int64)


@pytest.mark.parametrize("format_", [Q5_3, Q8_8], ids=str)
@pytest.mark.parametrize("count", [1, 2, 3, 7, 48, 96, 768])
@pytest.mark.parametrize("epsilon", [0.0, 1e-12, EPSILON, 0.5])
def test_stress_set(format_, count, epsilon):
    """All equal, one outlier, N no power of two, ε below one code, a large mean with a small deviation, all at the format's limits."""
    x = Encoding(format_)
    codes = stress(format_, count, np.random.default_rng(count))
    # Large x̂ (an outlier among many has √N) must not only saturate: two output scales.
    for output in (x, Encoding(format_, 2)):
        got, wanted = compare(NormOperation((count,), (0,), "variance", epsilon), x, output, codes)
        assert np.abs(got - wanted).max() <= 1
        assert (got == wanted).mean() >= 0.99


@pytest.mark.parametrize("form", ["mean_square", "sum_square", "sum_abs"])
@pytest.mark.parametrize("format_", [Q5_3, Q8_8], ids=str)
@pytest.mark.parametrize("count", [1, 2, 7, 64, 384])
def test_other_forms(form, format_, count):
    """Root mean square, L2 and L1."""
    rng = np.random.default_rng(count)
    x = Encoding(format_)
    few = stress(format_, count, rng)
    codes = np.vstack([few, x.encode(rng.normal(0.5, 2.0, (3000 // count + 20, count)))])
    epsilon = EPSILON if form == "mean_square" else 0.0
    for exponent in (0, -2):
        got, wanted = compare(NormOperation((count,), (0,), form, epsilon), x, Encoding(format_, exponent), codes)
        assert np.abs(got - wanted).max() <= 1
        # Equal values over the sum of them are ties in the stress set.
        assert (got == wanted)[len(few) :].mean() >= 0.99


@pytest.mark.parametrize("rounding", list(Rounding))
@pytest.mark.parametrize("width", [5, 24, 32])
def test_other_widths_and_every_rounding(rounding, width):
    """From 5 bits to the widest data, where sums of squares and their products leave 64 bits."""
    rng = np.random.default_rng(width)
    x = Encoding(Format(width, 4), 1)
    codes = np.vstack([stress(x.format, 60, rng), x.encode(rng.normal(2.0, 4.0, (10, 60)))])
    output = Encoding(Format(width, 4, True, rounding))
    operation = NormOperation(
        (60,), (0,), "variance", EPSILON, scale=np.exp(rng.normal(0, 0.3, 60)), bias=rng.normal(0, 0.5, 60)
    )
    got, wanted = compare(operation, x, output, codes)
    assert np.abs(got - wanted).max() <= 1
    assert (got == wanted).mean() >= 0.98


@pytest.mark.parametrize("format_", [Q5_3, Q8_8], ids=str)
@pytest.mark.parametrize("algorithm", ["exact", "two_pass"])
def test_affine_encodings_are_absorbed(format_, algorithm):
    """Any step and any code of 0, on both sides: within 1 LSB of the real result, and as near as plain encodings come."""
    rng = np.random.default_rng(0)
    scale, bias = np.exp(rng.normal(0, 0.3, 48)), rng.normal(0, 0.5, 48)
    for x_zero, y_zero in ((-40, 17), (-3000, 900), (5, 0)):
        x = Encoding(format_, 0, 1.37, x_zero)
        codes = rng.integers(format_.min_code, format_.max_code, (60, 48), endpoint=True)
        real = x.decode(codes)
        centered = real - real.mean(axis=1, keepdims=True)
        normal = centered / np.sqrt((centered**2).mean(axis=1, keepdims=True) + EPSILON)
        for constants, wanted in (({}, normal), ({"scale": scale, "bias": bias}, normal * scale + bias)):
            output = Encoding(format_, -1, 1.91, y_zero)
            operation = NormOperation((48,), (0,), "variance", EPSILON, **constants)
            kernel = operation.decide([x], output, Policy(format_, Format(20, 4), norm=NormPolicy(algorithm)))
            got = kernel.run([codes], Tally())
            rounded = np.clip(output.round(wanted), format_.min_code, format_.max_code)
            assert np.abs(got - rounded).max() <= 1
            assert (got == rounded).mean() >= (0.98 if algorithm == "exact" else 0.9)


LONG = 30_000


def long_groups(format_, rng):
    """Tiny variances (one code apart, one value apart, one value of few off), an ordinary group, one at the limits."""
    low, high = format_.lowest_code, format_.max_code
    near = np.full(LONG, high - 1)
    near[::2] += 1
    single = np.full(LONG, 100)
    single[LONG // 3] += 1
    few = np.full(LONG, low)
    few[rng.integers(0, LONG, 7)] += 2
    ordinary = np.clip(np.rint(rng.normal(0.3, 0.2, LONG) * high), low, high)
    return np.stack([near, single, few, ordinary, rng.choice([low, high], LONG)]).astype(np.int64)


@pytest.mark.parametrize(
    "form", ["variance", *(pytest.param(f, marks=pytest.mark.slow) for f in ("mean_square", "sum_square", "sum_abs"))]
)
@pytest.mark.parametrize("format_", [Q5_3, Q8_8], ids=str)
def test_thirty_thousand_values_and_tiny_variances(form, format_):
    x = Encoding(format_)
    codes = long_groups(format_, np.random.default_rng(1))
    epsilon = 1e-12 if form in ("variance", "mean_square") else 0.0
    # Steps at which neither ±1 nor an outlier of √30,000 in few is a tie; sums make small results.
    exponent = {"variance": 3, "mean_square": 3, "sum_square": -6, "sum_abs": -14}[form]
    got, wanted = compare(NormOperation((LONG,), (0,), form, epsilon), x, Encoding(format_, exponent), codes)
    assert np.abs(got - wanted).max() <= 1
    assert (got == wanted).mean() >= 0.99
    # Every group comes out as something, the tiny variances too.
    assert all(len(np.unique(row)) > 1 for row in got[:3] if form == "variance")


@pytest.mark.slow
def test_a_group_of_a_million_values_at_32_bits():
    """N = 2^20, all at the limits or random over the whole range: 102 bits of D, and nothing wraps."""
    count = 1 << 20
    rng = np.random.default_rng(0)
    x = Encoding(Format(32, 16))
    codes = np.stack(
        [
            rng.integers(x.format.min_code, x.format.max_code, count, endpoint=True),
            np.where(np.arange(count) % 2, x.format.min_code, x.format.max_code),
        ]
    )
    got, wanted = compare(NormOperation((count,), (0,), "variance", EPSILON), x, Encoding(x.format, -8), codes)
    assert np.abs(got - wanted).max() <= 1
    assert (got == wanted).mean() >= 0.98


@pytest.mark.parametrize("epsilon", [1e-12, EPSILON, 0.3])
def test_inverse_deviations_are_correctly_rounded_to_one_step(epsilon):
    x, output = Encoding(Q8_8), Encoding(Format(16, 12, False, Rounding.RND))
    codes = np.vstack(
        [stress(Q8_8, 48, np.random.default_rng(0)), x.encode(np.random.default_rng(1).normal(2, 1, (20, 48)))]
    )
    operation = NormInverseDeviationOperation(NormOperation((48,), (0,), "variance", epsilon), (1,))
    kernel = operation.decide([x], output, Policy(output.format, Q8_8))
    got = kernel.run([codes], Tally())
    for row, code in zip(codes.tolist(), got[:, 0].tolist(), strict=True):
        variance = Fraction(48 * sum(v * v for v in row) - sum(row) ** 2, 48**2) * power(2 * x.lsb) + Fraction(epsilon)
        real = 1.0 / float(variance) ** 0.5 * 2.0**-output.lsb
        assert abs(code - min(real, output.format.max_code)) <= 1.0


def test_one_pass_loses_what_the_exact_algorithm_keeps():
    """µ = 12, σ = 0.25, F = 3: the mean's rounding is larger than the variance once it is squared."""
    rng = np.random.default_rng(0)
    x = Encoding(Q5_3)
    codes = x.encode(rng.normal(12.0, 0.25, (4000, 64)))
    reference = real_normal(codes, x, EPSILON)
    wide = Format(20, 10, False)
    stages = {"mean": "q5.3:trn", "variance": "uq10.3:trn", "root": "uq2.3"}
    coarse = {name: Format.parse(text) for name, text in stages.items()}
    for norm, decibels, negative in (
        (NormPolicy(), 28.9, 0.0),
        (NormPolicy("two_pass"), 18.0, 0.0),
        (NormPolicy("one_pass"), -6.7, 0.47),
        # Every stage of three fraction bits and truncating: the variance is too large, or (in 4 % of the groups) nothing is left of it.
        (NormPolicy("one_pass", **coarse), 2.74, 0.0),
        (NormPolicy("one_pass", mean=Format(13, 5), variance=wide), 0.3, 0.03),
        (NormPolicy("one_pass", mean=Format(15, 5), variance=wide), 28.9, 0.0),
    ):
        tally = Tally()
        kernel = NormOperation((64,), (0,), "variance", EPSILON).decide([x], x, Policy(x.format, x.format, norm=norm))
        assert sqnr(reference, kernel.run([codes], tally) * 2.0**x.lsb) == pytest.approx(decibels, abs=0.06), norm
        assert tally.stages.get("negative variance", 0) / len(codes) == pytest.approx(negative, abs=0.005), norm
