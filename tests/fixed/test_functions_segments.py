from __future__ import annotations

import functools
import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from real_oracle import fitted, onnx_value, rounded, taken_apart

from fxnorm.fixed.format import Format, Overflow, Rounding
from fxnorm.fixed.functions import build
from fxnorm.fixed.reals import FUNCTION_NAMES, real_function
from fxnorm.fixed.segmentation import edge_codes
from fxnorm.fixed.segments import SegmentTable

WORDS = [("q8.8", 0, "q8.8", 0), ("q4.12", 0, "q2.14", 0), ("uq5.9", 3, "q6.6:trn,sat_sym", -2)]
WIDE = [("q16.16", 0, "q16.16", 0), ("q4.28", 0, "q4.28", 0), ("q12.12", -5, "q9.18:rnd_conv,sat", 3)]


@functools.cache
def made(name, x_spelling, x_exponent, y_spelling, y_exponent):
    x, y = Format.parse(x_spelling), Format.parse(y_spelling)
    return build(real_function(name), x, x_exponent - x.fraction_bits, y, y_exponent - y.fraction_bits)


def real_lsb(table, name, code):
    """The real result of a code in output LSBs, from the oracle, clamped to the output's range."""
    value = onnx_value(name, Fraction(code) * Fraction(2) ** table.input_lsb, real_function(name).keywords, bits=300)
    low, high = table.output.lowest_code, table.output.max_code
    if not isinstance(value, Fraction):
        return Fraction(high if value > 0 else low)
    return min(max(value / Fraction(2) ** table.output_lsb, Fraction(low)), Fraction(high))


def plain_run(table, code):
    """The documented datapath for one code, in plain integers."""
    piece = max(i for i, start in enumerate(table.piece_start.tolist()) if start <= code)
    d = code - int(table.piece_origin[piece])
    if table.piece_mirrored[piece]:
        d = -d
    assert d >= 0
    length = 0
    if table.piece_octave[piece]:
        length = d.bit_length()
        if length:
            d -= 1 << (length - 1)
    block = int(table.piece_block[piece]) + length
    shift = int(table.block_shift[block])
    segment = int(table.block_segment[block]) + (d >> shift)
    t = d % (1 << shift)
    bits = table.position_bits
    u = t << (bits - shift) if bits >= shift else t >> (shift - bits)
    rows = table.coefficients.tolist()
    acc = rows[-1][segment]
    for row in rows[-2::-1]:
        assert abs(acc).bit_length() <= table.multiplicand_bits
        acc = row[segment] + (acc * u) // (1 << bits)
        assert abs(acc).bit_length() <= table.accumulator_bits
    y = rounded(taken_apart(Fraction(acc, 1 << table.guard_bits)), table.output.rounding)
    y = min(max(y, table.low), table.high)
    return fitted(y, table.output.width, table.output.signed, str(table.output.overflow))


def interesting_codes(table, count, seed=0):
    form = table.input
    near = np.r_[-3:4, table.piece_start, table.piece_start - 1, form.min_code, form.max_code]
    octaves = np.r_[2 ** np.arange(form.width - 1), 2 ** np.arange(form.width - 1) - 1]
    random = np.random.default_rng(seed).integers(form.min_code, form.max_code, count, endpoint=True)
    codes = np.unique(np.concatenate([near, octaves, -octaves, random]))
    return codes[(codes >= form.min_code) & (codes <= form.max_code)]


@pytest.mark.parametrize("encoding", WORDS, ids=lambda e: e[0])
@pytest.mark.parametrize("name", FUNCTION_NAMES)
def test_words_meet_the_budget_for_every_code_and_the_record_is_true(name, encoding):
    table = made(name, *encoding)
    assert isinstance(table, SegmentTable)
    limit = 1.5 if table.output.rounding is Rounding.TRN else 1.0
    assert table.max_error_lsb <= limit
    codes = np.arange(table.input.min_code, table.input.max_code + 1)
    got, overflow = table.run(codes)
    # float64 finds the worst codes among all; the oracle then judges these and a random few.
    real = np.ldexp(real_function(name).value(np.ldexp(codes.astype(float), table.input_lsb)), -table.output_lsb)
    low, high = table.output.lowest_code, table.output.max_code
    error = np.abs(got - np.clip(real, low, high))
    assert error.max() <= table.max_error_lsb
    assert error.max() >= table.max_error_lsb - 2e-5
    judged = np.r_[np.argsort(error)[-8:], np.random.default_rng(0).integers(0, len(codes), 8)]
    for index in judged:
        assert abs(int(got[index]) - real_lsb(table, name, int(codes[index]))) <= table.max_error_lsb
    # An overflow is counted where, and only where, the result is at an end of the range, give or take the budget.
    assert (error[overflow] <= limit).all()
    assert np.isin(got[overflow], [low, high]).all()
    assert not overflow[(real > low + limit - 0.5) & (real < high - limit + 0.5)].any()
    assert overflow[(real < low - limit - 0.5) | (real > high + limit + 0.5)].all()


@pytest.mark.parametrize("encoding", WIDE, ids=lambda e: e[0])
@pytest.mark.parametrize("name", FUNCTION_NAMES)
@given(data=st.data())
@settings(max_examples=30, deadline=None)
def test_wide_words_meet_the_budget_wherever_one_looks(name, encoding, data):
    table = made(name, *encoding)
    form = table.input
    size = data.draw(st.integers(0, form.width - 1))
    code = data.draw(st.integers(max(form.min_code, -(1 << size)), min(form.max_code, 1 << size)))
    got, _ = table.run(np.array([code]))
    assert abs(int(got[0]) - real_lsb(table, name, code)) <= table.max_error_lsb <= 1.0


@pytest.mark.parametrize("encoding", [*WORDS, *WIDE], ids=lambda e: e[0])
@pytest.mark.parametrize("name", FUNCTION_NAMES)
def test_the_documented_datapath_in_plain_integers_gives_the_same_bits(name, encoding):
    table = made(name, *encoding)
    codes = interesting_codes(table, 200)
    got, overflow = table.run(codes)
    assert list(zip(got.tolist(), overflow.tolist(), strict=True)) == [plain_run(table, n) for n in codes.tolist()]


@pytest.mark.parametrize("overflow", list(Overflow))
@pytest.mark.parametrize("rounding", list(Rounding))
def test_every_mode_of_the_output_is_obeyed(rounding, overflow):
    x, y = Format(14, 4), Format(10, 2, True, rounding, overflow)
    for name in ("tanh", "exp"):
        if overflow is Overflow.WRAP and name == "exp":
            continue
        table = build(real_function(name), x, -10, y, -8)
        codes = interesting_codes(table, 300)
        got, mask = table.run(codes)
        assert list(zip(got.tolist(), mask.tolist(), strict=True)) == [plain_run(table, n) for n in codes.tolist()]
        assert table.max_error_lsb <= (1.5 if rounding in (Rounding.TRN, Rounding.TRN_ZERO) else 1.0)
    if overflow is not Overflow.WRAP:
        assert got[codes == x.max_code] == (0 if overflow is Overflow.SAT_ZERO else y.max_code)
        assert mask[codes == x.max_code]


@pytest.mark.parametrize("width", [14, 20])
def test_a_wrapping_output_that_would_overflow_is_refused(width):
    x, y = Format(width, 4), Format(12, 3, True, Rounding.TRN, Overflow.WRAP)
    with pytest.raises(ValueError, match=r"exp: .* wraps, q3\.9:trn,wrap .* use sat, or more integer bits"):
        build(real_function("exp"), x, -x.fraction_bits, y, -9)


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [("sigmoid", 0, 256), ("tanh", -256, 256), ("erf", -256, 256), ("exp", 0, None), ("softplus", 0, None)],
)
@pytest.mark.parametrize("spelling", ["q6.10", "q10.16"])
def test_results_stay_in_the_function_s_own_range(name, low, high, spelling):
    table = made(name, spelling, 0, "q6.8", 0)
    got, _ = table.run(interesting_codes(table, 5000))
    assert got.min() >= low
    assert high is None or got.max() <= high


@pytest.mark.parametrize("name", ["sigmoid", "log"])
def test_other_budgets_are_met_and_a_tighter_one_needs_more(name):
    x, y = Format(16, 4), Format(16, 5)
    tables = [build(real_function(name), x, -12, y, -11, budget_lsb=budget) for budget in (0.55, 0.75, 1.0, 2.0)]
    for table, budget in zip(tables, (0.55, 0.75, 1.0, 2.0), strict=True):
        assert table.max_error_lsb <= budget
    compared = 0
    for tight, loose in itertools.combinations(tables, 2):
        assert (tight.degree, tight.segments) != (loose.degree, loose.segments)
        if tight.degree == loose.degree:
            compared += 1
            assert tight.segments > loose.segments
    assert compared


def test_what_no_table_can_hold_is_refused_by_name():
    # A tenth of a millionth of an LSB is left for segments and coefficients.
    with pytest.raises(ValueError, match=r"log: no table of at most 65536 words from q4\.28 .* to q4\.28 .* use fewer"):
        build(real_function("log"), Format(32, 4), -28, Format(32, 4), -28, budget_lsb=0.5000001)


@pytest.mark.parametrize("name", ["log", "sqrt", "reciprocal", "pow"])
def test_many_decades_keep_their_relative_precision(name):
    # 2^-40 to 2^-9 in steps of 2^-40, as data from 1e-12 on has them.
    x, y = Format(32, 32, False), Format(24, 12)
    parameters = {"exponent": -0.5} if name == "pow" else {}
    function = real_function(name, parameters)
    y_lsb = {"log": -17, "sqrt": -26, "reciprocal": 17, "pow": -2}[name]
    table = build(function, x, -40, y, y_lsb)
    assert table.max_error_lsb <= 1.0
    for code in [1, 2, 3, 7, 1000, 12345678, (1 << 32) - 1]:
        value = onnx_value(name, Fraction(code, 1 << 40), function.keywords) / Fraction(2) ** y_lsb
        assert abs(int(table.run(np.array([code]))[0][0]) - min(value, Fraction(y.max_code))) <= table.max_error_lsb


@pytest.mark.parametrize(
    ("function", "starts"),
    [
        (real_function("tanh"), [-1000]),
        (real_function("relu"), [-1000, 0]),
        (real_function("log"), [-1000, 1]),
        (real_function("reciprocal"), [-1000, 0, 1]),
        (real_function("thresholded_relu", alpha=1.0), [-1000, 257]),
        (real_function("thresholded_relu", alpha=-1.001), [-1000, -256]),
        (real_function("hard_swish"), [-1000, -768, 768]),
        (real_function("hard_sigmoid", alpha=-0.3, beta=0.0), [-1000, -853, 0]),
        (real_function("hard_sigmoid", alpha=0.3, beta=0.0), [-1000, 0, 854]),
    ],
    ids=str,
)
def test_pieces_begin_at_the_first_code_beyond_an_edge(function, starts):
    assert edge_codes(function, -8, -1000, 1000) == starts
    assert edge_codes(function, -8, 900, 1000) == [900]


def test_evidence_says_what_was_measured():
    assert made("tanh", *WORDS[0]).error_evidence == "measured: every code (65536)"
    assert "bounded" in made("tanh", *WIDE[0]).error_evidence
    assert "measured" in made("tanh", *WIDE[0]).error_evidence


def test_repeated_values_are_looked_up_with_the_same_result():
    table = made("gelu", *WORDS[0])
    codes = np.random.default_rng(1).integers(-32768, 32768, 70000)
    for mine, others in zip(table.run(codes), table.evaluate(codes), strict=True):
        assert np.array_equal(mine, others)


@pytest.mark.parametrize("order", ["C", "F"])
def test_many_values_of_wide_words_keep_their_places(order):
    table = made("gelu", *WIDE[0])
    codes = np.asarray(np.random.default_rng(2).integers(-(1 << 31), 1 << 31, (5, 20000)), order=order)
    got, mask = table.run(codes)
    assert got.shape == mask.shape == codes.shape
    for mine, others in zip((got, mask), table.evaluate(codes), strict=True):
        assert np.array_equal(mine, others)


@st.composite
def encodings(draw):
    def form(width, modes):
        bits = draw(st.integers(0, width))
        return Format(width, bits, draw(st.booleans()), *modes)

    x = form(draw(st.integers(13, 32)), ())
    modes = (draw(st.sampled_from(list(Rounding))), draw(st.sampled_from([m for m in Overflow if m != "wrap"])))
    y = form(draw(st.integers(4, 32)), modes)
    return x, draw(st.integers(-8, 8)) - x.fraction_bits, y, draw(st.integers(-8, 8)) - y.fraction_bits


@given(st.sampled_from([name for name in FUNCTION_NAMES if name != "exp"]), encodings(), st.data())
@settings(max_examples=50, deadline=None)
@example("mish", (Format(27, 25), 6, Format(30, 9), -15), None)  # once a corner too steep for any word
def test_any_formats_at_any_scale_meet_the_budget(name, encoding, data):
    x, x_lsb, y, y_lsb = encoding
    table = build(real_function(name), x, x_lsb, y, y_lsb)
    assert table.max_error_lsb <= (1.5 if y.rounding in (Rounding.TRN, Rounding.TRN_ZERO) else 1.0)
    drawn = st.integers(0, x.width).flatmap(lambda bits: st.integers(-(1 << bits), 1 << bits))
    codes = [256, -1, 255] if data is None else data.draw(st.lists(drawn, min_size=3, max_size=3))
    for code in np.clip(codes, x.min_code, x.max_code).tolist():
        got, mask = table.run(code)
        if not (mask and y.overflow is Overflow.SAT_ZERO):
            assert abs(int(got) - real_lsb(table, name, code)) <= table.max_error_lsb


def test_cost_is_that_of_the_integers():
    table = made("tanh", *WORDS[0])
    for row, bits in zip(table.coefficients, table.coefficient_bits, strict=True):
        assert row.max() < 1 << (bits - 1)
        assert row.min() >= -(1 << (bits - 1))
        assert row.max() >= 1 << (bits - 2) or row.min() < -(1 << (bits - 2))
    assert table.rom_bits == table.segments * sum(table.coefficient_bits)
    assert math.log2(table.segments * (table.degree + 1)) <= 16
