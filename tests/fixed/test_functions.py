from __future__ import annotations

import math
from dataclasses import fields, replace
from fractions import Fraction

import numpy as np
import pytest
from real_oracle import fitted, onnx_value, rounded, taken_apart

from fxnorm.fixed.format import Format, Overflow, Rounding
from fxnorm.fixed.functions import DIRECT_WIDTH, DirectTable, build
from fxnorm.fixed.reals import FUNCTION_NAMES, INFINITE, real_function
from fxnorm.fixed.segments import SegmentTable

ENCODINGS = [
    ("q5.3", 0, "q5.3", 0),
    ("q3.5", 1, "uq3.5:trn,sat", 0),
    ("uq4.4", -3, "q2.6:rnd_conv,sat_sym", 2),
    ("q8.0", -3, "q6.2:rnd_inf,sat_zero", -1),
    ("q4.4", 0, "q4.4:trn_zero,wrap", 0),
    ("q1.0", 0, "q1.7:rnd_min_inf,wrap", 0),
]


def encode(spelling, exponent):
    form = Format.parse(spelling)
    return form, exponent - form.fraction_bits


def direct_entry(function, code, x_lsb, y, y_lsb):
    """Code, overflow and clamped real result of one entry, from the oracle alone."""
    value = onnx_value(function.name, Fraction(code) * Fraction(2) ** x_lsb, function.keywords)
    if not isinstance(value, Fraction) or abs(value / Fraction(2) ** y_lsb) >= INFINITE:
        end = y.max_code if value > 0 else -y.max_code if y.overflow is Overflow.SAT_SYM and y.signed else y.min_code
        return 0 if y.overflow is Overflow.SAT_ZERO else end, True
    return fitted(rounded(taken_apart(value / Fraction(2) ** y_lsb), y.rounding), y.width, y.signed, str(y.overflow))


@pytest.mark.parametrize("name", FUNCTION_NAMES)
@pytest.mark.parametrize(("x_spelling", "x_exponent", "y_spelling", "y_exponent"), ENCODINGS)
def test_every_entry_is_correctly_rounded_and_fitted(name, x_spelling, x_exponent, y_spelling, y_exponent):
    (x, x_lsb), (y, y_lsb) = encode(x_spelling, x_exponent), encode(y_spelling, y_exponent)
    function = real_function(name)
    table = build(function, x, x_lsb, y, y_lsb)
    assert isinstance(table, DirectTable)
    codes = np.arange(x.min_code, x.max_code + 1)
    expected = [direct_entry(function, int(n), x_lsb, y, y_lsb) for n in codes]
    got, overflow = table.run(codes)
    assert list(zip(got.tolist(), overflow.tolist(), strict=True)) == expected
    assert got.min() >= y.min_code
    assert got.max() <= y.max_code


@pytest.mark.parametrize("name", FUNCTION_NAMES)
def test_12_bit_tables_are_correctly_rounded(name):
    (x, x_lsb), (y, y_lsb) = encode("q4.8", 0), encode("q2.14", 1)
    function = real_function(name)
    table = build(function, x, x_lsb, y, y_lsb)
    codes = np.unique(np.r_[-2048, 2047, -4:5, np.random.default_rng(5).integers(-2048, 2048, 100)])
    got, overflow = table.run(codes)
    expected = [direct_entry(function, int(n), x_lsb, y, y_lsb) for n in codes]
    assert list(zip(got.tolist(), overflow.tolist(), strict=True)) == expected


@pytest.mark.parametrize("rounding", list(Rounding))
@pytest.mark.parametrize("overflow", list(Overflow))
def test_every_pair_of_modes(rounding, overflow):
    x, y = Format(6, 3), Format(5, 2, True, rounding, overflow)
    for name in ("exp", "log", "reciprocal", "hard_swish", "abs"):
        function = real_function(name)
        table = build(function, x, -3, y, -3)
        expected = [direct_entry(function, n, -3, y, -3) for n in range(x.min_code, x.max_code + 1)]
        got, mask = table.run(np.arange(x.min_code, x.max_code + 1))
        assert list(zip(got.tolist(), mask.tolist(), strict=True)) == expected, name


@pytest.mark.parametrize("rounding", list(Rounding))
def test_the_recorded_error_is_that_of_the_worst_entry(rounding):
    x, y = Format(9, 4), Format(9, 3, True, rounding)
    for name in ("sigmoid", "exp", "relu", "reciprocal"):
        function = real_function(name)
        table = build(function, x, -5, y, -6)
        worst = Fraction(0)
        for n in range(x.min_code, x.max_code + 1):
            value = onnx_value(name, Fraction(n, 32), {})
            clamped = min(max(value * 64, y.min_code), y.max_code) if isinstance(value, Fraction) else y.max_code
            worst = max(worst, abs(clamped - int(table.run(n)[0])))
        assert worst <= table.max_error_lsb <= worst + Fraction(2, 10**5)


def test_shapes_and_dtypes_are_kept():
    table = build(real_function("tanh"), Format(8, 5), -3, Format(8, 2), -6)
    codes = np.arange(-60, 60, dtype=np.int8).reshape(3, 40)
    got, mask = table.run(codes)
    assert got.shape == mask.shape == (3, 40)
    assert (got.dtype, mask.dtype) == (np.int64, np.bool_)
    assert np.array_equal(table.run(codes.astype(object))[0], got)
    assert table.run(np.zeros((0, 4), dtype=np.int64))[0].shape == (0, 4)


@pytest.mark.parametrize("width", [8, 16])
def test_codes_that_the_format_does_not_have_are_refused(width):
    form = Format(width, 4)
    table = build(real_function("tanh"), form, -form.fraction_bits, form, -form.fraction_bits)
    for code in (form.max_code + 1, form.min_code - 1):
        with pytest.raises(ValueError, match="codes must be those of"):
            table.run(np.array([0, code]))
    with pytest.raises(TypeError, match="integers"):
        table.run(np.array([0.5]))


def test_the_kind_of_table_follows_from_the_input_width():
    y = Format(8, 2)
    assert isinstance(build(real_function("tanh"), Format(DIRECT_WIDTH, 4), -8, y, -6), DirectTable)
    assert isinstance(build(real_function("tanh"), Format(DIRECT_WIDTH + 1, 4), -9, y, -6), SegmentTable)


def test_what_cannot_be_built_is_refused_with_its_name():
    with pytest.raises(ValueError, match=r"tanh: the input format must have at most 32 bits, not 40"):
        build(real_function("tanh"), Format(40, 8), -32, Format(8, 4), -4)
    with pytest.raises(ValueError, match=r"tanh: the error budget must be above 0.5 LSB"):
        build(real_function("tanh"), Format(8, 4), -4, Format(8, 4), -4, budget_lsb=0.5)
    with pytest.raises(ValueError, match="256"):
        build(real_function("tanh"), Format(8, 4), -400, Format(8, 4), -4)


@pytest.mark.parametrize("width", [8, 14])
def test_tables_survive_being_taken_apart_and_compare_by_content(width):
    form = Format(width, 4, True, Rounding.RND_CONV)
    table = build(real_function("elu", alpha=0.5), form, -form.fraction_bits, form, -form.fraction_bits)
    content = {item.name: getattr(table, item.name) for item in fields(table)}
    for value in content.values():
        assert isinstance(value, int | float | str) or (isinstance(value, np.ndarray) and value.dtype.kind in "iu")
    again = type(table)(**{k: v.copy() if isinstance(v, np.ndarray) else v for k, v in content.items()})
    assert again == table
    assert hash(again) == hash(table)
    assert again != "table"
    codes = np.arange(form.min_code, form.max_code + 1)
    for mine, others in zip(again.run(codes), table.run(codes), strict=True):
        assert np.array_equal(mine, others)
    for key, value in content.items():
        if isinstance(value, np.ndarray):
            other = value.copy()
            other.flat[0] += 1
            assert replace(table, **{key: other}) != table
    assert replace(table, max_error_lsb=math.pi) != table
