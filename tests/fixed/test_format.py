from __future__ import annotations

import itertools
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fxnorm.errors import FormatError
from fxnorm.fixed.format import (
    MAX_WIDTH,
    Format,
    Overflow,
    Rounding,
    difference_format,
    negate_format,
    product_format,
    shift_format,
    sum_format,
)

VENDOR = (Rounding.TRN, Overflow.WRAP)

formats = st.builds(
    Format,
    width=st.integers(1, MAX_WIDTH),
    integer_bits=st.integers(-2000, 2000),
    signed=st.booleans(),
    rounding=st.sampled_from(Rounding),
    overflow=st.sampled_from(Overflow),
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("q5.3", Format(8, 5)),
        ("uq5.3", Format(8, 5, False)),
        ("q-2.10", Format(8, -2)),
        ("q10.-2", Format(8, 10)),
        ("q0.8", Format(8, 0)),
        ("q1.0", Format(1, 1)),
        ("uq0.1", Format(1, 0, False)),
        ("q16.16", Format(32, 16)),
        ("q5.3:rnd_conv,sat_sym", Format(8, 5, True, Rounding.RND_CONV, Overflow.SAT_SYM)),
        ("q5.3:sat_sym,rnd_conv", Format(8, 5, True, Rounding.RND_CONV, Overflow.SAT_SYM)),
        ("q5.3:trn", Format(8, 5, True, Rounding.TRN, Overflow.SAT)),
        ("q5.3:wrap", Format(8, 5, True, Rounding.RND, Overflow.WRAP)),
        ("  Q5 . 3 : TRN , Wrap ", Format(8, 5, True, *VENDOR)),
        ("ti:q4.3", Format(8, 5)),
        ("ti:uq4.3", Format(7, 4, False)),
        ("TI: q0.15:trn,wrap", Format(16, 1, True, *VENDOR)),
        ("ac_fixed<8,5,true,AC_RND,AC_SAT>", Format(8, 5)),
        (
            "ac_fixed<8,5,false,AC_RND_CONV_ODD,AC_SAT_ZERO>",
            Format(8, 5, False, Rounding.RND_CONV_ODD, Overflow.SAT_ZERO),
        ),
        ("ac_fixed< 8, -2, 1 >", Format(8, -2, True, *VENDOR)),
        ("ac_fixed<8,5>", Format(8, 5, True, *VENDOR)),
        ("ac_fixed<8,5,true,AC_RND>", Format(8, 5, True, Rounding.RND, Overflow.WRAP)),
        ("ac_int<8,true>", Format(8, 8, True, *VENDOR)),
        ("ac_int<8,0>", Format(8, 8, False, *VENDOR)),
        ("ap_fixed<8,5,AP_RND,AP_SAT>", Format(8, 5)),
        ("ap_ufixed<8,5,AP_TRN,AP_WRAP>", Format(8, 5, False, *VENDOR)),
        ("ap_fixed<8,5>", Format(8, 5, True, *VENDOR)),
        ("AP_FIXED<8, 5, AP_RND>", Format(8, 5, True, Rounding.RND, Overflow.WRAP)),
        ("ap_fixed<8,5,AP_RND,AP_WRAP,0>", Format(8, 5, True, Rounding.RND, Overflow.WRAP)),
        ("ap_int<8>", Format(8, 8, True, *VENDOR)),
        ("ap_uint<8>", Format(8, 8, False, *VENDOR)),
        ("fxp-s8/3", Format(8, 5)),
        ("fxp-u8/3", Format(8, 5, False)),
        ("fxp-s8/-2", Format(8, 10)),
        ("fxp-s8/10", Format(8, -2)),
    ],
)
def test_spellings(text: str, expected: Format) -> None:
    assert Format.parse(text) == expected


def test_given_modes_are_the_defaults_of_spellings_without_modes() -> None:
    given_modes = {"rounding": Rounding.TRN_ZERO, "overflow": Overflow.SAT_SYM}
    for text in ("q5.3", "ti:q4.3", "fxp-s8/3"):
        assert Format.parse(text, **given_modes) == Format(8, 5, True, Rounding.TRN_ZERO, Overflow.SAT_SYM)
    assert Format.parse("q5.3:rnd_conv", **given_modes).rounding is Rounding.RND_CONV
    assert Format.parse("q5.3:rnd_conv", **given_modes).overflow is Overflow.SAT_SYM
    assert Format.parse("ap_fixed<8,5>", **given_modes) == Format(8, 5, True, *VENDOR)
    assert Format.parse("ac_fixed<8,5,true>", **given_modes) == Format(8, 5, True, *VENDOR)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("q0.0", "width must be 1 to 32 bits, not 0"),
        ("q5", "needs both its integer and its fraction bits"),
        ("q5.", "needs both"),
        ("q", "needs both"),
        ("q40.40", "width must be 1 to 32 bits, not 80"),
        ("q-3.2", "width must be 1 to 32 bits, not -1"),
        ("uq0.0", "not 0"),
        ("q5.3.1", "needs both"),
        ("q5.3:", "not ''"),
        ("q5.3:rnd,", "not ''"),
        ("q5.3:round", "not 'round'"),
        ("q5.3:rnd,trn", "not 'trn'"),
        ("q5.3:sat,wrap", "not 'wrap'"),
        ("q5.3:rnd,sat,wrap", "not 'wrap'"),
        ("q9999.-9990", "integer bits must lie within ±4096, not 9999"),
        ("s5.3", "no known spelling"),
        ("", "no known spelling"),
        ("5.3", "no known spelling"),
        ("int8", "no known spelling"),
        ("float16", "no known spelling"),
        ("ac_fixed<8>", "needs width and integer bits"),
        ("ac_fixed<>", "needs width and integer bits"),
        ("ac_fixed<8,5,AC_RND>", "sign must be true or false, not 'ac_rnd'"),
        ("ac_fixed<8,5,true,AP_RND>", "AC_RND_CONV_ODD and one overflow of AC_WRAP"),
        ("ac_fixed<8,5,true,AC_SAT>", "in this order, not 'ac_sat'"),
        ("ac_fixed<8,5,true,AC_RND,AC_SAT,0>", "not '0'"),
        ("ac_fixed<8,5,true,RND>", "not 'rnd'"),
        ("ac_ufixed<8,5>", "write the sign as an argument"),
        ("ac_fixed<1 2,5>", "width must be a whole number, not '1 2'"),
        ("ac_fixed<W,5>", "width must be a whole number, not 'w'"),
        ("ac_fixed<8,5", "no known spelling"),
        ("ap_fixed<8,5,true>", "in this order, not 'true'"),
        ("ap_fixed<8,5,AP_RND_CONV_ODD>", "ap_fixed has no rounding mode rnd_conv_odd"),
        ("ap_fixed<8,5,AP_RND,AP_WRAP_SM>", "not 'ap_wrap_sm'"),
        ("ap_fixed<8,5,AP_RND,AP_WRAP,2>", "saturated wrap bits are not supported, not '2'"),
        ("ap_fixed<0,5>", "not 0"),
        ("ap_fixed<64,32>", "width must be 1 to 32 bits, not 64"),
        ("ap_int<8,5>", "an integer type has no '5'"),
        ("fxp-s8", "no known spelling"),
        ("fxp-s8/3-complex", "no known spelling"),
        ("fxp-s64/3", "not 64"),
    ],
)
def test_what_cannot_be_read_is_refused_by_name(text: str, message: str) -> None:
    with pytest.raises(FormatError) as caught:
        Format.parse(text)
    assert str(caught.value).startswith(f"format {text!r}: ")
    assert message in str(caught.value)


def test_accumulators_may_be_wider_when_the_caller_says_so() -> None:
    assert Format.parse("q40.40", max_width=128) == Format(80, 40)
    with pytest.raises(FormatError, match="1 to 128 bits, not 129"):
        Format.parse("q65.64", max_width=128)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0, 0), "width must be 1 to 1024 bits, not 0"),
        ((1025, 0), "not 1025"),
        ((8, 5000), "integer bits"),
        ((8, 5, True, "round"), "'round'"),
        ((8, 5, True, "rnd", "clip"), "'clip'"),
    ],
)
def test_impossible_formats_do_not_exist(arguments: tuple[int, int], message: str) -> None:
    with pytest.raises(FormatError, match=message):
        Format(*arguments)


def test_modes_from_files_are_the_same_modes() -> None:
    fmt = Format(8, 5, True, "rnd_conv", "sat_sym")  # type: ignore[arg-type]
    assert fmt.rounding is Rounding.RND_CONV
    assert fmt.overflow is Overflow.SAT_SYM


@given(formats)
def test_the_canonical_spelling_reads_back(fmt: Format) -> None:
    assert Format.parse(str(fmt), max_width=MAX_WIDTH) == fmt
    assert (":" in str(fmt)) == ((fmt.rounding, fmt.overflow) != (Rounding.RND, Overflow.SAT))


@given(formats, st.sampled_from(["q", "ti", "ac", "ap", "fxpmath"]))
def test_every_spelling_reads_back_or_refuses_a_mode_by_name(fmt: Format, language: str) -> None:
    default = (fmt.rounding, fmt.overflow) == (Rounding.RND, Overflow.SAT)
    lacking = (language == "ap" and fmt.rounding is Rounding.RND_CONV_ODD) or (language == "fxpmath" and not default)
    if lacking:
        with pytest.raises(FormatError, match=str(fmt.rounding)):
            fmt.spell(language)
    else:
        assert Format.parse(fmt.spell(language), max_width=MAX_WIDTH) == fmt


@pytest.mark.parametrize(
    ("fmt", "language", "text"),
    [
        (Format(8, 5), "q", "q5.3"),
        (Format(8, 5, False, *VENDOR), "q", "uq5.3:trn,wrap"),
        (Format(8, 5, True, Rounding.RND_CONV), "q", "q5.3:rnd_conv,sat"),
        (Format(8, 5), "ti", "ti:q4.3"),
        (Format(8, 5, False), "ti", "ti:uq5.3"),
        (Format(8, 5), "ac", "ac_fixed<8,5,true,AC_RND,AC_SAT>"),
        (Format(8, 5, False, *VENDOR), "ap", "ap_ufixed<8,5,AP_TRN,AP_WRAP>"),
        (Format(8, 5), "fxpmath", "fxp-s8/3"),
        (Format(8, 10, False), "fxpmath", "fxp-u8/-2"),
    ],
)
def test_spelled_text(fmt: Format, language: str, text: str) -> None:
    assert fmt.spell(language) == text


def test_an_unknown_language_is_refused() -> None:
    with pytest.raises(ValueError, match="q, ti, ac, ap, fxpmath, not 'vhdl'"):
        Format(8, 5).spell("vhdl")


def test_numbers_of_q5_3() -> None:
    fmt = Format.parse("q5.3")
    assert (fmt.width, fmt.integer_bits, fmt.fraction_bits) == (8, 5, 3)
    assert (fmt.min_value, fmt.max_value, fmt.step) == (-16, Fraction(127, 8), Fraction(1, 8))
    assert fmt.describe() == "W=8 I=5 F=3"


@given(formats)
def test_ranges(fmt: Format) -> None:
    assert fmt.max_code - fmt.min_code + 1 == 2**fmt.width
    assert fmt.min_code == (-(2 ** (fmt.width - 1)) if fmt.signed else 0)
    assert fmt.max_value - fmt.min_value + fmt.step == Fraction(2) ** fmt.integer_bits
    symmetric = fmt.signed and fmt.overflow is Overflow.SAT_SYM and fmt.width > 1
    assert fmt.lowest_code == (-fmt.max_code if symmetric else fmt.min_code)


def test_with_modes_keeps_what_is_not_given() -> None:
    fmt = Format(8, 5, False, Rounding.RND_INF, Overflow.SAT_ZERO)
    assert fmt.with_modes() == fmt
    assert fmt.with_modes(rounding=Rounding.TRN) == Format(8, 5, False, Rounding.TRN, Overflow.SAT_ZERO)
    assert fmt.with_modes(overflow=Overflow.WRAP) == Format(8, 5, False, Rounding.RND_INF, Overflow.WRAP)


small = [
    Format(width, width - fraction, signed)
    for width in (1, 2, 3)
    for fraction in (-2, 0, 1, 4)
    for signed in (True, False)
]


def holds(fmt: Format, value: Fraction) -> bool:
    code = value / fmt.step
    return code.denominator == 1 and fmt.min_code <= code <= fmt.max_code


@pytest.mark.parametrize("a", small, ids=str)
def test_results_are_held_exactly(a: Format) -> None:
    for b in small:
        for i, j in itertools.product(range(a.min_code, a.max_code + 1), range(b.min_code, b.max_code + 1)):
            x, y = i * a.step, j * b.step
            assert holds(sum_format(a, b), x + y)
            assert holds(difference_format(a, b), x - y)
            assert holds(product_format(a, b), x * y)
    for i in range(a.min_code, a.max_code + 1):
        assert holds(negate_format(a), -i * a.step)
        for n in range(-5, 6):
            assert i * shift_format(a, n).step == i * a.step * Fraction(2) ** n


def test_result_types_of_mixed_signs() -> None:
    signed, unsigned = Format(8, 5), Format(8, 5, False)
    assert sum_format(signed, unsigned) == Format(10, 7, True, *VENDOR)
    assert sum_format(unsigned, unsigned) == Format(9, 6, False, *VENDOR)
    assert difference_format(unsigned, unsigned) == Format(9, 6, True, *VENDOR)
    assert product_format(signed, unsigned) == Format(16, 10, True, *VENDOR)
    assert product_format(unsigned, unsigned) == Format(16, 10, False, *VENDOR)
    assert negate_format(unsigned) == Format(9, 6, True, *VENDOR)
    assert shift_format(signed, 3) == Format(8, 8, True, *VENDOR)
