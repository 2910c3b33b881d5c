from __future__ import annotations

import numpy as np
import pytest
from fxpmath import Fxp
from hypothesis import given
from hypothesis import strategies as st

from fxnorm.errors import FormatError
from fxnorm.fixed.arith import INT64_MAX, decode, encode
from fxnorm.fixed.format import Format, Overflow, Rounding
from fxnorm.fixed.fxp import from_fxp, to_fxp

KNOWN_ROUNDINGS = [mode for mode in Rounding if mode is not Rounding.RND_CONV_ODD]


@given(
    st.integers(1, 128),
    st.integers(-5, 140),
    st.booleans(),
    st.sampled_from(KNOWN_ROUNDINGS),
    st.sampled_from([Overflow.WRAP, Overflow.SAT]),
    st.data(),
)
def test_there_and_back(
    width: int, fraction: int, signed: bool, rounding: Rounding, overflow: Overflow, data: st.DataObject
) -> None:
    fmt = Format(width, width - fraction, signed, rounding, overflow)
    numbers = st.integers(fmt.min_code, fmt.max_code) | st.sampled_from([fmt.min_code, fmt.max_code, 0])
    wide = fmt.max_code > INT64_MAX
    codes = np.array(data.draw(st.lists(numbers, min_size=1, max_size=6)), dtype=object if wide else np.int64)
    number = to_fxp(codes, fmt)
    assert number.dtype == fmt.with_modes(Rounding.RND, Overflow.SAT).spell("fxpmath")
    assert [int(code) for code in np.asarray(number.val)] == codes.tolist()
    back, its_format = from_fxp(number)
    assert its_format == fmt
    assert back.dtype == codes.dtype
    assert back.tolist() == codes.tolist()


@pytest.mark.parametrize("signed", [True, False])
@pytest.mark.parametrize("width", [1, 8, 32, 62, 63, 64, 65, 100])
def test_limits_of_every_word_size_survive(width: int, signed: bool) -> None:
    fmt = Format(width, 5, signed)
    codes = np.array([fmt.min_code, fmt.max_code, 0], dtype=object)
    back, its_format = from_fxp(to_fxp(codes, fmt))
    assert its_format == fmt
    assert back.tolist() == codes.tolist()


@pytest.mark.parametrize("shape", [(), (1,), (2, 3)])
def test_values_and_shapes_are_the_same(shape: tuple[int, ...]) -> None:
    fmt = Format.parse("q5.3")
    codes = np.full(shape, -43)
    number = to_fxp(codes, fmt)
    assert np.array_equal(number.get_val(), decode(codes, fmt))
    assert from_fxp(number)[0].shape == shape


@pytest.mark.parametrize("overflow", [Overflow.WRAP, Overflow.SAT])
@pytest.mark.parametrize("rounding", KNOWN_ROUNDINGS)
def test_the_modes_are_obeyed_by_what_fxpmath_does_next(rounding: Rounding, overflow: Overflow) -> None:
    fmt = Format(6, 3, True, rounding, overflow)
    number = to_fxp(np.zeros(400, dtype=np.int64), fmt)
    values = np.arange(-200, 200) / 32
    number.set_val(values)
    assert np.array_equal(from_fxp(number)[0], encode(values, fmt))


def test_fxpmath_defaults_are_not_ours() -> None:
    codes, fmt = from_fxp(Fxp([1.99, -1.99], signed=True, n_word=8, n_frac=3))
    assert fmt == Format(8, 5, True, Rounding.TRN_ZERO, Overflow.SAT)
    assert codes.tolist() == [15, -15]
    assert codes.dtype == np.int64


@pytest.mark.parametrize(("word", "mode"), [("bit_trunc", Rounding.TRN), ("fix", Rounding.TRN_ZERO)])
def test_other_names_of_the_same_modes(word: str, mode: Rounding) -> None:
    assert from_fxp(Fxp([1.5], signed=True, n_word=8, n_frac=3, rounding=word))[1].rounding is mode


@pytest.mark.parametrize(
    "fmt",
    [
        Format(8, 5, rounding=Rounding.RND_CONV_ODD),
        Format(8, 5, overflow=Overflow.SAT_ZERO),
        Format(8, 5, overflow=Overflow.SAT_SYM),
    ],
)
def test_modes_that_fxpmath_lacks_are_refused_by_name(fmt: Format) -> None:
    missing = fmt.rounding if fmt.rounding is not Rounding.RND else fmt.overflow
    with pytest.raises(FormatError, match=f"fxpmath has no .* mode {missing};"):
        to_fxp(np.array([1]), fmt)


def test_numbers_that_are_no_fixed_point_codes_are_refused() -> None:
    with pytest.raises(FormatError, match="not ceil"):
        from_fxp(Fxp([1.5], signed=True, n_word=8, n_frac=3, rounding="ceil"))
    with pytest.raises(FormatError, match="not scaled by 2"):
        from_fxp(Fxp([1.5], signed=True, n_word=8, n_frac=3, scale=2, bias=1))
    with pytest.raises(FormatError, match="must be real"):
        from_fxp(Fxp([1.5 + 1j], signed=True, n_word=8, n_frac=3))
    damaged = Fxp([1.5], signed=True, n_word=8, n_frac=3)
    damaged.val = np.array([300])
    with pytest.raises(FormatError, match="must lie within its dtype fxp-s8/3"):
        from_fxp(damaged)
    damaged.val = np.array([1.5])
    with pytest.raises(FormatError, match="must be integers"):
        from_fxp(damaged)


def test_codes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="within -128 and 127"):
        to_fxp(np.array([128]), Format(8, 5))
    with pytest.raises(ValueError, match="empty"):
        to_fxp(np.array([], dtype=np.int64), Format(8, 5))
