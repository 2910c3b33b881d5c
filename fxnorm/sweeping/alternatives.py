"""Lists of alternatives, as an option of the command line has them."""

from __future__ import annotations

import re
from typing import Final

from fxnorm.errors import UsageError
from fxnorm.fixed.format import Overflow, Rounding

DEFAULT: Final = "default"
"""The word for an option that is not given."""
MOST: Final = 1000
"""Numbers that one range may stand for."""

_MODES: Final = frozenset(str(mode) for kind in (Rounding, Overflow) for mode in kind)
_RANGE: Final = re.compile(r"(-?\d{1,4})(?::(-?\d{1,4})(?::(\d{1,4}))?)?", re.ASCII)


def alternatives(text: str, *, separator: str = ",") -> list[str]:
    """Split a list of alternatives.

    They are separated by commas, or by semicolons where there is one: then commas belong to them. A comma in angle brackets separates
    nothing, nor does one before a mode of a format that has modes: ``q5.3:trn,wrap,q4.4`` are two formats.

    Parameters
    ----------
    separator
        ";" for options whose values have commas as a matter of course.

    Returns
    -------
    At least one; not one of them twice.
    """
    if ";" in text or separator == ";":
        parts = text.split(";")
    else:
        parts = []
        depth = 0
        for piece in text.split(","):
            belongs = depth > 0 or (bool(parts) and ":" in parts[-1] and piece.strip() in _MODES)
            if belongs:
                parts[-1] += f",{piece}"
            else:
                parts.append(piece)
            depth += piece.count("<") - piece.count(">")
    return list(dict.fromkeys(part.strip() for part in parts))


def numbers(option: str, text: str) -> list[int]:
    """Read a list of numbers and ranges: ``8``, ``4:16`` (both ends included), ``4:16:2``, ``4,6,8:12``.

    Raises
    ------
    UsageError
        If it is no such list, or a range is empty or very long.
    """
    found: list[int] = []
    for part in text.split(","):
        match = _RANGE.fullmatch(part.strip())
        if match is None:
            raise UsageError(
                f"{option}: must be numbers or ranges such as 8, 4:16 or 4:16:2, separated by commas, not {part!r}"
            )
        first = int(match[1])
        last = first if match[2] is None else int(match[2])
        step = 1 if match[3] is None else int(match[3])
        if step == 0 or last < first:
            raise UsageError(f"{option}: a range must go up, from its first number to its last, not {part!r}")
        if (last - first) // step >= MOST:
            raise UsageError(f"{option}: a range must hold at most {MOST} numbers, not {part!r}")
        found += range(first, last + 1, step)
    return list(dict.fromkeys(found))
