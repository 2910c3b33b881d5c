from __future__ import annotations

import functools
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from real_oracle import onnx_value, rounded, taken_apart

from fxnorm.fixed.modes import Rounding
from fxnorm.fixed.reals import FUNCTION_NAMES, INFINITE, correctly_rounded, real_function

FUNCTIONS = [
    *(real_function(name) for name in FUNCTION_NAMES),
    real_function("hard_sigmoid", alpha=1 / 6, beta=0.5),
    real_function("hard_sigmoid", alpha=-0.25, beta=1.0),
    real_function("leaky_relu", alpha=0.25),
    real_function("thresholded_relu", alpha=-0.3),
    real_function("elu", alpha=0.3),
    real_function("elu", alpha=-2.0),
    real_function("celu", alpha=0.125),
    real_function("celu", alpha=3.0),
    real_function("selu", alpha=1.5, gamma=2.0),
    real_function("selu", alpha=1.6732632423543772, gamma=1.0507009873554805),  # a product that float64 rounds
    real_function("swish", alpha=1.702),
    real_function("swish", alpha=-0.5),
    real_function("swish", alpha=0.0),
    *(real_function("pow", exponent=e) for e in (0.0, 1.0, 3.0, -1.0, -2.0, 0.5, 1.5, -0.5, 0.25, 0.3, -1.7, 10.0)),
]

VALUES = st.builds(lambda m, e: m * 2.0**e, st.integers(-(1 << 31), 1 << 31), st.integers(-60, 10))


@functools.cache
def oracle(function, code, input_lsb, output_lsb):
    value = onnx_value(function.name, Fraction(code) * Fraction(2) ** input_lsb, function.keywords)
    if value not in (math.inf, -math.inf):
        value /= Fraction(2) ** output_lsb
    return math.copysign(math.inf, value) if abs(value) >= INFINITE else taken_apart(value)


def expected(function, code, input_lsb, output_lsb, mode):
    bits = oracle(function, code, input_lsb, output_lsb)
    return rounded(bits, mode) if isinstance(bits, tuple) else int(math.copysign(INFINITE, bits))


@pytest.mark.parametrize("function", FUNCTIONS, ids=str)
@pytest.mark.parametrize(("input_lsb", "output_lsb"), [(-3, -3), (-6, -1), (-3, -9), (-7, -20)])
def test_every_8_bit_code_is_rounded_as_the_oracle_says_in_every_mode(function, input_lsb, output_lsb):
    codes = np.arange(-128, 128)
    for mode in Rounding:
        result = correctly_rounded(function, codes, input_lsb, output_lsb, mode)
        assert result.dtype == np.int64
        assert result.tolist() == [expected(function, int(n), input_lsb, output_lsb, mode) for n in codes], mode


@pytest.mark.parametrize("function", FUNCTIONS, ids=str)
@given(data=st.data())
@settings(max_examples=15, deadline=None)
def test_wide_codes_and_odd_scales_are_rounded_as_the_oracle_says(function, data):
    input_lsb = data.draw(st.integers(-40, -20))
    output_lsb = data.draw(st.integers(-45, 3))
    codes = data.draw(st.lists(st.integers(-(1 << 25), 1 << 25), min_size=1, max_size=8))
    mode = data.draw(st.sampled_from(list(Rounding)))
    result = correctly_rounded(function, codes, input_lsb, output_lsb, mode)
    assert result.tolist() == [expected(function, n, input_lsb, output_lsb, mode) for n in codes]


@pytest.mark.parametrize(
    ("function", "first", "output_lsb"),
    [
        (real_function("exp"), 1, -48),
        (real_function("sigmoid"), 1, -50),
        (real_function("mish"), 1, -50),
        # The argument of the exponential is rounded itself, which costs more than the last bit.
        (real_function("gelu_tanh"), -7168, -90),
        (real_function("gelu"), -7168, -84),
        (real_function("swish", alpha=1.702), -20480, -88),
    ],
    ids=str,
)
def test_where_float64_has_no_bits_to_spare_the_last_one_is_right(function, first, output_lsb):
    codes = np.arange(first, first + 1024, 2)
    result = correctly_rounded(function, codes, -10, output_lsb, Rounding.RND)
    assert result.tolist() == [expected(function, int(n), -10, output_lsb, Rounding.RND) for n in codes]


@pytest.mark.parametrize("function", FUNCTIONS, ids=str)
@given(values=st.lists(VALUES, min_size=1, max_size=10))
@settings(max_examples=20, deadline=None)
def test_float64_keeps_its_error_bound(function, values):
    x = np.clip(np.array(values), -24.0, 24.0)
    for place, base, delta, error in zip(x.tolist(), *(part.tolist() for part in function.parts(x)), strict=True):
        true = onnx_value(function.name, Fraction(place), function.keywords)
        if math.isinf(base) or math.isinf(delta):
            assert true == base + delta or abs(true) > Fraction(2) ** 1000
        else:
            assert abs(Fraction(base) + Fraction(delta) - true) <= Fraction(error) + Fraction(1, 1 << 250)
            assert (delta == 0) == (Fraction(base) == true) or error > 0


def exact(name, value, output_lsb, mode, **parameters):
    mantissa, exponent = math.frexp(value)
    code, lsb = int(mantissa * 2.0**53), exponent - 53
    while code and code % 2 == 0:
        code, lsb = code // 2, lsb + 1
    result = correctly_rounded(real_function(name, **parameters), [code], lsb if code else 0, output_lsb, mode)
    return int(result[0])


@pytest.mark.parametrize(
    ("name", "value", "parameters", "rnd", "conv", "zero"),
    [
        ("sqrt", 2.25, {}, 2, 2, 1),
        ("sqrt", 6.25, {}, 3, 2, 2),
        ("reciprocal", 2.0, {}, 1, 0, 0),
        ("reciprocal", -0.4000000059604645, {}, -2, -2, -2),  # -2.49999996
        ("pow", 5.0625, {"exponent": 0.25}, 2, 2, 1),
        ("pow", 6.25, {"exponent": -0.5}, 0, 0, 0),
        ("pow", 0.0625, {"exponent": -0.25}, 2, 2, 2),
        ("pow", 4.0, {"exponent": -0.5}, 1, 0, 0),
        ("leaky_relu", -10.0, {"alpha": 0.25}, -2, -2, -2),
        ("swish", 5.0, {"alpha": 0.0}, 3, 2, 2),
        ("hard_sigmoid", 0.0, {}, 1, 0, 0),
        ("sigmoid", 0.0, {}, 1, 0, 0),
        ("exp", 0.0, {}, 1, 1, 1),
        ("log", 1.0, {}, 0, 0, 0),
    ],
)
def test_results_that_are_exact_are_ties(name, value, parameters, rnd, conv, zero):
    got = [exact(name, value, 0, m, **parameters) for m in (Rounding.RND, Rounding.RND_CONV, Rounding.RND_ZERO)]
    assert got == [rnd, conv, zero]


@pytest.mark.parametrize(
    ("name", "value", "floor"),
    [
        ("sigmoid", 2.0**40, 255),
        ("sigmoid", -(2.0**40), 0),
        ("tanh", 1e6, 255),
        ("tanh", -1e6, -256),
        ("erf", 50.0, 255),
        ("erf", -50.0, -256),
        ("softplus", 2.0**20, 256 << 20),
        ("softplus", -(2.0**20), 0),
        ("softsign", 2.0**80, 255),
        ("elu", -(2.0**60), -256),
        ("celu", -1000.0, -256),
        ("gelu", 1000.0, 255999),
        ("gelu", -1000.0, -1),
        ("gelu_tanh", -(2.0**70), -1),
        ("swish", 2.0**12, (256 << 12) - 1),
        ("swish", -(2.0**12), -1),
        ("mish", 2.0**12, (256 << 12) - 1),
        ("mish", -(2.0**12), -1),
        ("exp", -(2.0**90), 0),
        ("exp", 2.0**-200, 256),
        ("exp", -(2.0**-200), 255),
        ("reciprocal", -(2.0**200), -1),
        ("pow", 2.0**-200, 0),
    ],
)
def test_next_to_an_asymptote_the_floor_is_on_the_right_side(name, value, floor):
    assert exact(name, value, -8, Rounding.TRN) == floor
    # RND_INF of a value that is no tie equals RND, whatever lies 2^-1000 beside the code.
    assert exact(name, value, -8, Rounding.RND_INF) == exact(name, value, -8, Rounding.RND)


def test_points_outside_the_domain():
    assert exact("log", 0.0, -8, Rounding.RND) == -INFINITE
    assert exact("log", -1.0, -8, Rounding.RND) == -INFINITE
    assert exact("sqrt", -1.0, -8, Rounding.RND) == 0
    assert exact("reciprocal", 0.0, -8, Rounding.RND) == INFINITE
    assert exact("pow", -2.0, -8, Rounding.RND, exponent=0.5) == 0
    assert exact("pow", 0.0, -8, Rounding.RND, exponent=-1.0) == INFINITE
    assert exact("pow", 0.0, -8, Rounding.RND, exponent=0.0) == 256
    assert exact("exp", 1000.0, -8, Rounding.RND) == INFINITE


def test_large_results_are_exact_to_the_last_bit_up_to_2_to_the_60():
    # e^41 · 2^0 has 60 bits: seven more than float64 holds.
    assert exact("exp", 41.0, 0, Rounding.TRN) == math.floor(onnx_value("exp", Fraction(41), {}))
    assert exact("exp", 42.0, 0, Rounding.TRN) == INFINITE


@pytest.mark.parametrize(
    ("name", "parameters", "message"),
    [
        ("sinh", {}, "unknown"),
        ("elu", {"beta": 1.0}, "no parameter beta"),
        ("elu", {"alpha": math.nan}, "finite"),
        ("celu", {"alpha": 0.0}, "positive"),
    ],
)
def test_a_function_that_does_not_exist_is_refused(name, parameters, message):
    with pytest.raises(ValueError, match=message):
        real_function(name, parameters)


def test_an_lsb_out_of_reach_is_refused():
    with pytest.raises(ValueError, match="256"):
        correctly_rounded(real_function("tanh"), [1], -257, 0, Rounding.RND)


def test_a_function_is_spelled_with_its_parameters():
    assert str(real_function("elu", alpha=0.5)) == "elu(alpha=0.5)"
    assert real_function("elu", {"alpha": 0.5}) == real_function("elu", alpha=0.5)
