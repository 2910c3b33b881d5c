"""Interchange with ``fxpmath.Fxp``, both ways and bit by bit.

Codes are handed over as raw integers: nothing is converted to real numbers and back, so neither fxpmath's rounding nor
its overflow handling touches them.  The modes of a format become those of the Fxp's config, which fxpmath obeys in
whatever is computed with it later:

=============  ==================  ====================================================
fxnorm         fxpmath             note
=============  ==================  ====================================================
TRN            ``floor``           read also from ``bit_trunc``, which is the same
TRN_ZERO       ``trunc``           fxpmath's default; read also from ``fix``, the same
RND            ``nearest_posinf``
RND_ZERO       ``nearest_zero``
RND_INF        ``nearest_away``
RND_MIN_INF    ``nearest_neginf``
RND_CONV       ``around``
WRAP, SAT      ``wrap``, ``saturate``
=============  ==================  ====================================================

What the other side lacks is refused by name: RND_CONV_ODD, SAT_ZERO and SAT_SYM here, ``ceil`` there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast

import numpy as np

from fxnorm.errors import FormatError
from fxnorm.fixed.arith import INT64_MAX, Codes
from fxnorm.fixed.format import Format, Overflow, Rounding
from fxnorm.fixed.rounding import as_codes

if TYPE_CHECKING:
    from fxpmath.objects import Fxp

_TO_ROUNDING: Final = {
    Rounding.TRN: "floor",
    Rounding.TRN_ZERO: "trunc",
    Rounding.RND: "nearest_posinf",
    Rounding.RND_ZERO: "nearest_zero",
    Rounding.RND_INF: "nearest_away",
    Rounding.RND_MIN_INF: "nearest_neginf",
    Rounding.RND_CONV: "around",
}
_TO_OVERFLOW: Final = {Overflow.WRAP: "wrap", Overflow.SAT: "saturate"}

_FROM_ROUNDING: Final = {name: mode for mode, name in _TO_ROUNDING.items()} | {
    "bit_trunc": Rounding.TRN,
    "fix": Rounding.TRN_ZERO,
}
_FROM_OVERFLOW: Final = {name: mode for mode, name in _TO_OVERFLOW.items()}


def to_fxp(codes: Codes, format: Format) -> Fxp:
    """Return an ``fxpmath.Fxp`` with the same bits, sizes and modes.

    Parameters
    ----------
    codes
        Integers of any shape, within the range of `format`.
    format
        Their format.

    Raises
    ------
    FormatError
        If fxpmath has no such rounding or overflow mode; choose another one by `Format.with_modes`.
    ValueError
        If a code lies outside the format, or if there are none (fxpmath cannot hold an empty array).
    """
    from fxpmath import objects  # slow to import, and only this conversion needs it

    if format.rounding not in _TO_ROUNDING:
        raise FormatError(
            f"format {format}: fxpmath has no rounding mode {format.rounding}; "
            f"convert with one of {', '.join(_TO_ROUNDING)}"
        )
    if format.overflow not in _TO_OVERFLOW:
        raise FormatError(
            f"format {format}: fxpmath has no overflow mode {format.overflow}; "
            f"convert with one of {', '.join(_TO_OVERFLOW)}"
        )
    x = as_codes(codes)
    if not x.size:
        raise ValueError("an fxpmath.Fxp cannot hold an empty array")
    if x.min() < format.min_code or x.max() > format.max_code:
        raise ValueError(f"codes must lie within {format.min_code} and {format.max_code} of {format}")
    make: Any = objects.Fxp  # untyped
    number: Any = make(
        x,
        signed=format.signed,
        n_word=format.width,
        n_frac=format.fraction_bits,
        raw=True,
        rounding=_TO_ROUNDING[format.rounding],
        overflow=_TO_OVERFLOW[format.overflow],
    )
    if not np.array_equal(np.asarray(number.val, dtype=object), x.astype(object)):
        # fxpmath 0.4.10 turns unsigned 64-bit arrays with codes above 2^63 into floats on the way in.
        number.val = x.astype(object)
        number.real = number.get_val()
    return cast("Fxp", number)


def from_fxp(number: Fxp) -> tuple[Codes, Format]:
    """Return the codes and the format of an ``fxpmath.Fxp``.

    Returns
    -------
    Codes
        int64 if the format fits into 64 bits, else Python integers; the shape of `number`.
    Format
        Sizes from its dtype, modes from its config.

    Raises
    ------
    FormatError
        If it is complex or scaled, or if its config has a rounding that fixed-point hardware lacks (``ceil``).
    """
    source: Any = number  # its attributes are untyped
    raw = np.asarray(source.val)
    if source.vdtype is complex or np.iscomplexobj(raw):
        raise FormatError("fxpmath.Fxp: the number must be real, not complex; convert its real and imaginary parts")
    if source.scaled:
        raise FormatError(
            f"fxpmath.Fxp: the number must be unscaled, not scaled by {source.scale} with bias {source.bias}; "
            "a format is bits only, so keep the scale beside it"
        )
    if source.config.rounding not in _FROM_ROUNDING:
        raise FormatError(
            f"fxpmath.Fxp: the rounding must be one of {', '.join(_FROM_ROUNDING)}, not {source.config.rounding}; "
            "set another one in its config"
        )
    format = Format(
        int(source.n_word),
        int(source.n_word) - int(source.n_frac),
        bool(source.signed),
        _FROM_ROUNDING[source.config.rounding],
        _FROM_OVERFLOW[source.config.overflow],
    )
    codes = _exact_integers(raw)
    if codes.size and (codes.min() < format.min_code or codes.max() > format.max_code):
        raise FormatError(f"fxpmath.Fxp: raw values must lie within its dtype {source.dtype}; set its value again")
    return (codes.astype(np.int64) if format.max_code <= INT64_MAX else codes), format


def _exact_integers(raw: Codes) -> Codes:
    """Return raw values as Python integers; fxpmath leaves NumPy integers, floats or objects, by the word size."""
    if raw.dtype.kind in "iu":
        return raw.astype(object)
    codes = np.asarray(_to_int(raw.astype(object)), dtype=object)
    if not np.array_equal(codes, raw):
        raise FormatError("fxpmath.Fxp: raw values must be integers, but some are not; set its value again")
    return codes


_to_int = np.frompyfunc(int, 1, 1)
