"""Numbers with their units, as the report prints them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

SPACE: Final = "\u00a0"
"""Between a number and its unit: they stay on one line."""
MINUS: Final = "−"
NOTHING: Final = "–"
SUPERSCRIPTS: Final = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def percent(share: float | None, digits: int = 1) -> str:
    """A share; one that is neither 0 nor 1 never looks so."""
    if share is None:
        return NOTHING
    if share == 0.0:
        return f"0{SPACE}%"
    text = f"{100 * share:.{digits}f}"
    if share > 0.0 and float(text) == 0.0:
        return f"<{10**-digits:.{digits}f}{SPACE}%"
    if share < 1.0 and float(text) == 100.0:
        return f">{100 - 10**-digits:.{digits}f}{SPACE}%"
    return f"{_signed(text)}{SPACE}%"


def points(difference: float) -> str:
    """Difference of two shares, in percentage points."""
    text = f"{100 * difference:.1f}".removesuffix(".0")
    text = "0" if text == "-0" else text
    return f"{_signed(text)}{SPACE}point{'' if text == '1' else 's'}"


def decibels(ratio: float | None, unit: bool = True) -> str:
    """A ratio in dB; one that no error makes infinite is "exact"."""
    if ratio is None:
        return NOTHING
    if ratio == math.inf:
        return "exact"
    text = f"{ratio:.1f}"
    text = "0.0" if text == "-0.0" else text
    return _signed(text) + (f"{SPACE}dB" if unit else "")


def number(value: float | None) -> str:
    """A number in at most five figures."""
    if value is None:
        return NOTHING
    if value != 0.0 and float(value).is_integer() and abs(value) < 1e9:
        return _signed(f"{value:,.0f}")
    return _signed(f"{value:.5g}")


def power(scale: float | None) -> str:
    """A scale; a power of two as such."""
    if scale is None:
        return NOTHING
    if scale > 0.0 and math.frexp(scale)[0] == 0.5 and scale != 1.0:
        return f"2{str(math.frexp(scale)[1] - 1).translate(SUPERSCRIPTS)}"
    return number(scale)


def count(times: int) -> str:
    """A number of things."""
    return f"{times:,}"


def plural(times: int, thing: str) -> str:
    """So many things."""
    return f"{times:,} {thing}{'' if times == 1 else 's'}"


def listed(things: Sequence[str]) -> str:
    """a, b and c."""
    if len(things) < 2:
        return "".join(things)
    return f"{', '.join(things[:-1])} and {things[-1]}"


def cost_title(name: str) -> str:
    """Name of a cost, for people."""
    return name.replace("_", " ")


def _signed(text: str) -> str:
    return text.replace("-", MINUS)
