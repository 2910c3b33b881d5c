"""Logarithms, roots and powers of inputs: bit for bit the documented datapath, and at most 0.55 LSB from the real function anywhere."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import blocks
from oracles.codes import same
from oracles.drawing import executed, formats
from oracles.kernels import finish

from fxnorm.errors import DataError, PlanError, UsageError
from fxnorm.fixed.format import Format, Overflow, Rounding
from fxnorm.kernels.encoding import Encoding, fitting_exponent
from fxnorm.kernels.leading_one import leading_one, words
from fxnorm.kernels.transform import LogTransform, Transformation

Array = np.ndarray
TEXTS = ["log", "log2", "log10", "sqrt", "power:0.1", "power:-0.25", "power:3", "power:1"]
EDGES = [1.0, 2.0, 0.5, 1e-45, 1.1754942e-38, 1.17549435e-38, 3.4028235e38, 9.0, 1e-12, 1e12, 0.99999994, 1.0000001]


def numbers(count: int, seed: int, low: float = -149.0, high: float = 128.0) -> Array:
    """float32 numbers, evenly over octaves, and the edges."""
    rng = np.random.default_rng(seed)
    with np.errstate(over="ignore"):
        x = np.exp2(rng.uniform(low, high, count)).astype(np.float32)
    return np.concatenate([x[(x > 0) & np.isfinite(x)], np.float32(EDGES)])


def real(text: str, x: Array) -> Array:
    wide = x.astype(np.float64)
    function = Transformation.parse(text)
    if function.name == "power":
        return np.power(wide, function.exponent)
    return {"log": np.log, "log2": np.log2, "log10": np.log10}[function.name](wide)


def line(kernel, number: float) -> int:
    """t = e · octave + ln(m) · slope of one number, with e and m by frexp."""
    mantissa, exponent = math.frexp(number)
    address = math.floor(math.ldexp(mantissa, 1 + kernel.line.places))
    logarithm, _ = blocks.table(kernel.line.table, address)
    return (exponent - 1) * kernel.line.octave + logarithm * kernel.line.slope


def model(kernel, x: Array):
    """The datapath in Python integers, one number after the other."""
    accumulators = np.empty(x.shape, dtype=object)
    for index, number in np.ndenumerate(x.astype(np.float64)):
        if isinstance(kernel, LogTransform):
            accumulators[index] = line(kernel, float(number))
            continue
        if number == 0.0:
            accumulators[index] = 0
            continue
        t = line(kernel, float(number)) // 2**kernel.shift
        unit = 2**kernel.exponential.bits
        whole = -(-t // unit)
        fraction = whole * unit - t
        value = unit if fraction == 0 else blocks.exp2(kernel.exponential, fraction)
        if whole < kernel.low:
            accumulators[index] = 0
        else:
            accumulators[index] = value * 2 ** (min(whole, kernel.high) - kernel.low + 2)
    return finish(kernel.stage, accumulators)


@settings(max_examples=60, deadline=None)
@given(
    formats(3, 20),
    st.sampled_from(TEXTS),
    st.integers(-6, 6),
    st.floats(1.0, 1.999),
    st.integers(-40, 40),
    st.integers(0, 99),
)
def test_the_datapath_bit_for_bit(format_, text, reach, factor, zero, seed):
    x = numbers(60, seed)
    exponent = reach + 7 - format_.integer_bits
    encoding = Encoding(format_, exponent, *((factor, zero) if seed % 2 else ()))
    try:
        kernel = Transformation.parse(text).decide(encoding)
    except PlanError:
        return
    zeros = np.float32([0.0]) if Transformation.parse(text).exponent > 0 else np.float32([])
    x = np.concatenate([x, zeros])
    got, tally = executed(kernel, [words(x)])
    expected = model(kernel, x)
    assert same(got, expected.codes)
    assert tally.overflow == expected.overflow


def fitted(text: str, x: Array, format_: Format) -> Encoding:
    """The encoding that a plan would choose."""
    y = real(text, x)
    return Encoding(format_, fitting_exponent(float(y.min()), float(y.max()), format_))


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("width", [4, 8, 12, 16, 24])
def test_every_decade_of_float32_is_as_good_as_rounded_once(text: str, width: int) -> None:
    low, high = (-40.0, 40.0) if text == "power:3" else (-149.0, 127.9)
    x = numbers(4000, width, low, high)
    x = x[(x >= 2.0**low) & (x <= 2.0**high)]
    encoding = fitted(text, x, Format(width, 5))
    got, _ = executed(Transformation.parse(text).decide(encoding), [words(x)])
    assert np.abs(got - real(text, x) * 2.0**-encoding.lsb).max() <= 0.55


@pytest.mark.parametrize("width", [28, 31])
def test_wide_formats(width: int) -> None:
    x = numbers(4000, width)
    for text, allowed in (("log", 0.55), ("log10", 0.55)):
        encoding = Encoding(Format(width, 8))
        got, _ = executed(Transformation.parse(text).decide(encoding), [words(x)])
        assert np.abs(got - real(text, x) * 2.0**-encoding.lsb).max() <= allowed
    encoding = fitted("sqrt", x, Format(width, 8))
    got, _ = executed(Transformation.parse("sqrt").decide(encoding), [words(x)])
    exact = real("sqrt", x) * 2.0**-encoding.lsb
    assert np.abs(got - exact).max() <= 0.55 + 2.0**-26 * exact.max()


def test_leading_ones_of_all_kinds_of_words() -> None:
    x = np.concatenate([numbers(5000, 1), np.float32(2.0) ** np.arange(-149, 128, dtype=np.float32), np.float32([0.0])])
    mantissa, exponent, zero = leading_one(words(x))
    assert zero.tolist() == (x == 0).tolist()
    assert ((mantissa >= 1 << 23) & (mantissa < 1 << 24)).all()
    again = np.ldexp(mantissa.astype(np.float64), (exponent - 23).astype(int))
    assert np.array_equal(again[~zero], x.astype(np.float64)[~zero])


def test_exact_powers_are_exact() -> None:
    """Powers of two, and squares of whole numbers: no rounding but that of the format."""
    x = np.float32(4.0) ** np.arange(-6, 7, dtype=np.float32)
    got, _ = executed(Transformation.parse("sqrt").decide(Encoding(Format(16, 8, False))), [words(x)])
    assert np.array_equal(got / 256.0, np.sqrt(x))
    whole = np.arange(1, 250, dtype=np.float32)
    got, _ = executed(Transformation.parse("sqrt").decide(Encoding(Format(16, 10))), [words(whole * whole)])
    assert np.array_equal(got / 64.0, whole)
    got, _ = executed(Transformation.parse("log2").decide(Encoding(Format(16, 9))), [words(x)])
    assert np.array_equal(got / 128.0, np.log2(x))
    got, _ = executed(Transformation.parse("log").decide(Encoding(Format(16, 9))), [words(np.float32([1.0]))])
    assert got[0] == 0


@pytest.mark.parametrize("text", ["sqrt", "power:3"])
def test_the_zero_with_a_sign_is_zero(text: str) -> None:
    kernel = Transformation.parse(text).decide(Encoding(Format(8, 5)))
    codes, tally = executed(kernel, [words(np.float32([0.0, -0.0, 1.0]))])
    assert codes.tolist() == [0, 0, 8]
    assert tally.overflow == 0


def test_results_beyond_the_format_saturate_and_are_counted() -> None:
    x = np.float32([1e30, 1e-30, 0.0, 4.0])
    kernel = Transformation.parse("sqrt").decide(Encoding(Format(8, 5)))
    got, tally = executed(kernel, [words(x)])
    assert got.tolist() == [127, 0, 0, 16]
    assert tally.overflow == 1
    wrapping = Transformation.parse("log2").decide(Encoding(Format(4, 4, True, Rounding.TRN, Overflow.WRAP)))
    got, tally = executed(wrapping, [words(np.float32([2.0**9]))])
    assert (got.tolist(), tally.overflow) == ([-7], 1)


@pytest.mark.parametrize("text", ["ln", "", "power", "power:", "power:0", "power:nan", "power:1000", "sqrt:2", "log:2"])
def test_other_spellings_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match=re.escape(repr(text))):
        Transformation.parse(text)


@pytest.mark.parametrize(
    ("text", "value", "message"),
    [
        ("log", 0.0, "positive numbers, not 0"),
        ("log", -1.5, "positive numbers, not -1.5"),
        ("sqrt", -2.0, "from 0 on, not -2"),
        ("power:-1", 0.0, "positive numbers, not 0"),
        ("power:3", 1e20, "too large for float32"),
    ],
)
def test_numbers_without_a_function_are_refused(text: str, value: float, message: str) -> None:
    with pytest.raises(DataError, match=message) as raised:
        Transformation.parse(text).real(np.float32([1.0, value]), "input 'stress'")
    assert str(raised.value).startswith("input 'stress': ")


def test_a_step_that_is_too_fine_is_refused() -> None:
    with pytest.raises(PlanError, match="finer than can be computed"):
        Transformation.parse("log").decide(Encoding(Format(32, 2)))


@pytest.mark.parametrize("text", TEXTS)
def test_a_function_reads_its_own_name(text: str) -> None:
    function = Transformation.parse(text)
    assert Transformation.parse(str(function)) == function
