"""The spellings of a fixed-point format, read and written.

=========================================  =================================================================
spelling                                   meaning
=========================================  =================================================================
``q5.3``, ``uq5.3``                        ARM: 5 integer bits including the sign, 3 fraction bits; unsigned
``q-2.10``, ``q10.-2``                     all bits below 2^-2; steps of 4
``q5.3:rnd_conv,sat_sym``                  with rounding and overflow, in either order, or one of them
``ti:q4.3``                                Texas Instruments: the sign is not counted; this is ``q5.3``
``ac_fixed<8,5,true,AC_RND,AC_SAT>``       Algorithmic C; also ``ac_int<8,true>``
``ap_fixed<8,5,AP_RND,AP_SAT>``            AMD; also ``ap_ufixed``, ``ap_int<8>`` and ``ap_uint<8>``
``fxp-s8/3``, ``fxp-u8/3``                 fxpmath's dtype: width and fraction bits
=========================================  =================================================================

Case does not matter, nor does white space around the punctuation.  A vendor spelling without modes has the vendor's
defaults (TRN, WRAP); the others say nothing about modes, and get RND and SAT unless the caller gives other ones.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from fxnorm.errors import FormatError
from fxnorm.fixed.modes import Overflow, Rounding

LANGUAGES: Final = ("q", "ti", "ac", "ap", "fxpmath")

_DEFAULT: Final = (Rounding.RND, Overflow.SAT)
_EXAMPLES: Final = "write for instance q5.3, uq5.3:trn,wrap, ac_fixed<8,5,true,AC_RND,AC_SAT> or fxp-s8/3"
_ROUNDINGS: Final = frozenset(mode.value for mode in Rounding)
_OVERFLOWS: Final = frozenset(mode.value for mode in Overflow)
_AC_ONLY: Final = frozenset({Rounding.RND_CONV_ODD})

_PUNCTUATION: Final = re.compile(r"\s*([<>,:./])\s*")
_Q: Final = re.compile(r"(ti:)?(u?)q(-?\d{1,5})\.(-?\d{1,5})(?::(.*))?")
_Q_ALMOST: Final = re.compile(r"(ti:)?u?q[-\d.]*(:.*)?")
_FXPMATH: Final = re.compile(r"fxp-([su])(\d{1,5})/(-?\d{1,5})")
_VENDOR: Final = re.compile(r"(a[cp])_(u?)(fixed|int)<([^<>]*)>")
_SIGNS: Final = {"true": True, "1": True, "false": False, "0": False}


class Fields(NamedTuple):
    """What a spelling says, in the order of `Format`'s arguments; the sizes are not checked yet."""

    width: int
    integer_bits: int
    signed: bool
    rounding: Rounding
    overflow: Overflow


def parse_fields(text: str, *, rounding: Rounding | None = None, overflow: Overflow | None = None) -> Fields:
    """Read a spelling; `Format.parse` says what the arguments mean.

    Raises
    ------
    FormatError
        If the text is no spelling of a format, or if it names a mode that its language lacks.
    """
    modes = (rounding or _DEFAULT[0], overflow or _DEFAULT[1])
    plain = _PUNCTUATION.sub(r"\1", text.strip()).lower()
    if match := _Q.fullmatch(plain):
        ti, unsigned, integer, fraction, suffix = match.groups()
        sign_bit = 1 if ti and not unsigned else 0
        if suffix is not None:
            modes = _modes(text, suffix.split(","), "", modes)
        bits = int(integer) + sign_bit, int(fraction)
        return Fields(sum(bits), bits[0], not unsigned, *modes)
    if match := _FXPMATH.fullmatch(plain):
        width, fraction_bits = int(match[2]), int(match[3])
        return Fields(width, width - fraction_bits, match[1] == "s", *modes)
    if match := _VENDOR.fullmatch(plain):
        return _vendor(text, match)
    if _Q_ALMOST.fullmatch(plain):
        raise FormatError(
            f"format {text!r}: the q notation needs both its integer and its fraction bits, with a point between; "
            "write for instance q5.3 for 5 integer bits with the sign and 3 fraction bits"
        )
    raise FormatError(f"format {text!r}: this is no known spelling of a fixed-point format; {_EXAMPLES}")


def spell_fields(fmt: Fields, language: str) -> str:
    """Write a spelling; `Format.spell` says how.

    Raises
    ------
    FormatError
        If the language has no word for one of the modes.
    """
    fraction_bits = fmt.width - fmt.integer_bits
    if language in ("q", "ti"):
        prefix = "ti:" if language == "ti" else ""
        integer = fmt.integer_bits - (1 if prefix and fmt.signed else 0)
        modes = "" if (fmt.rounding, fmt.overflow) == _DEFAULT else f":{fmt.rounding},{fmt.overflow}"
        return f"{prefix}{'' if fmt.signed else 'u'}q{integer}.{fraction_bits}{modes}"
    if language == "ac":
        sign = "true" if fmt.signed else "false"
        return f"ac_fixed<{fmt.width},{fmt.integer_bits},{sign},AC_{fmt.rounding.name},AC_{fmt.overflow.name}>"
    if language == "ap":
        if fmt.rounding in _AC_ONLY:
            raise FormatError(
                f"format {spell_fields(fmt, 'q')}: ap_fixed has no rounding mode {fmt.rounding}; "
                "choose another one, or use ac_fixed"
            )
        name = "ap_fixed" if fmt.signed else "ap_ufixed"
        return f"{name}<{fmt.width},{fmt.integer_bits},AP_{fmt.rounding.name},AP_{fmt.overflow.name}>"
    if language == "fxpmath":
        if (fmt.rounding, fmt.overflow) != _DEFAULT:
            raise FormatError(
                f"format {spell_fields(fmt, 'q')}: an fxpmath dtype has no place for the modes "
                f"{fmt.rounding},{fmt.overflow}; "
                "spell it with with_modes(RND, SAT), and set the modes in fxpmath's config"
            )
        return f"fxp-{'s' if fmt.signed else 'u'}{fmt.width}/{fraction_bits}"
    raise ValueError(f"the language must be one of {', '.join(LANGUAGES)}, not {language!r}")


def _vendor(text: str, match: re.Match[str]) -> Fields:
    family, unsigned, kind, inside = match.groups()
    arguments = inside.split(",")
    takes_sign = family == "ac"  # ac writes the sign as an argument, ap in the name
    names = ["width"] + ["integer bits"] * (kind == "fixed")
    if takes_sign and unsigned:
        raise FormatError(f"format {text!r}: ac types have no unsigned name; write the sign as an argument, false")
    sizes = arguments[: len(names)]
    rest = arguments[len(names) :]
    if len(sizes) < len(names):
        raise FormatError(f"format {text!r}: {family}_{unsigned}{kind} needs {' and '.join(names)}; {_EXAMPLES}")
    for name, size in zip(names, sizes, strict=True):
        if not re.fullmatch(r"-?\d{1,5}", size):
            raise FormatError(f"format {text!r}: the {name} must be a whole number, not {size!r}; {_EXAMPLES}")
    signed = not unsigned
    if takes_sign and rest:
        sign = rest.pop(0)
        if sign not in _SIGNS:
            raise FormatError(f"format {text!r}: the sign must be true or false, not {sign!r}; {_EXAMPLES}")
        signed = _SIGNS[sign]
    modes = (Rounding.TRN, Overflow.WRAP)
    if kind == "fixed":
        if family == "ap" and len(rest) == 3:
            if rest[2] != "0":
                raise FormatError(f"format {text!r}: saturated wrap bits are not supported, not {rest[2]!r}; write 0")
            rest = rest[:2]
        modes = _modes(text, rest, f"{family}_", modes, ordered=True)
    elif rest:
        raise FormatError(f"format {text!r}: an integer type has no {rest[0]!r}; {_EXAMPLES}")
    return Fields(int(sizes[0]), int(sizes[-1]), signed, *modes)


def _modes(
    text: str, words: list[str], prefix: str, default: tuple[Rounding, Overflow], *, ordered: bool = False
) -> tuple[Rounding, Overflow]:
    """Read mode names; in a vendor type the rounding comes first, after a ``:`` the order is free."""
    rounding: Rounding | None = None
    overflow: Overflow | None = None
    for place, word in enumerate(words):
        name = word.removeprefix(prefix) if word.startswith(prefix) else ""
        if rounding is None and name in _ROUNDINGS and not (ordered and place != 0):
            rounding = Rounding(name)
            if prefix == "ap_" and rounding in _AC_ONLY:
                raise FormatError(f"format {text!r}: ap_fixed has no rounding mode {rounding}; only ac_fixed has it")
        elif overflow is None and name in _OVERFLOWS and not (ordered and place != 1):
            overflow = Overflow(name)
        else:
            raise FormatError(
                f"format {text!r}: a mode must be one rounding of {_names(prefix, *Rounding)} and one overflow "
                f"of {_names(prefix, *Overflow)}{', in this order' if ordered else ''}, not {word!r}"
            )
    return rounding or default[0], overflow or default[1]


def _names(prefix: str, *modes: Rounding | Overflow) -> str:
    known = [mode for mode in modes if not (prefix == "ap_" and mode in _AC_ONLY)]
    return ", ".join((prefix + mode).upper() if prefix else str(mode) for mode in known)
