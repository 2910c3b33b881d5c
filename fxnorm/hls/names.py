"""Names in emitted files: generated ones, and what is allowed of the few words that a user gives.

No text of a model ever becomes one. What the user names passes a strict pattern, for it stands in C++, Tcl, Make and configuration files.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from fxnorm.errors import UsageError
from fxnorm.hls.reserved import TAKEN, WORDS

LONGEST: Final = 40
_IDENTIFIER: Final = re.compile(r"[A-Za-z](?:_?[A-Za-z0-9])*", re.ASCII)
_PART: Final = re.compile(r"[A-Za-z0-9](?:[-_.]?[A-Za-z0-9])*", re.ASCII)
_CLOCK: Final = re.compile(r"[0-9]{1,6}(?:\.[0-9]{1,6})?", re.ASCII)
_GENERATED: Final = re.compile(r"(?:fx|l\d|t\d|w\d|in\d|out\d|fork|sink|hls|ac|ap|ccs|mc|std)(?:_.*|\d.*)?", re.ASCII)


def layer_name(index: int, kind: str) -> str:
    """Name of a layer's block: l03_linear."""
    return f"l{index:02d}_{kind}"


def value_name(index: int) -> str:
    """Name of a value: t07."""
    return f"t{index:02d}"


def weights_name(layer: str) -> str:
    """Name of the port that a layer's weights come through: w03, of l03_linear."""
    return f"w{layer[1 : layer.index('_')]}"


def check_name(name: str, where: str) -> str:
    """A project's name, which is also that of its top function.

    Raises
    ------
    UsageError
        If it is no identifier, or one that a language or emitted code has.
    """
    if len(name) > LONGEST or not _IDENTIFIER.fullmatch(name):
        raise UsageError(
            f"{where}: a project's name must be 1 to {LONGEST} letters, digits and single underscores, the first a letter "
            f"and the last no underscore, not {_shown(name)}; it becomes the top function"
        )
    lower = name.lower()
    if lower in WORDS or lower in TAKEN or _GENERATED.fullmatch(lower):
        raise UsageError(
            f"{where}: a project's name must not be a word of C++, Verilog or VHDL, nor one of emitted code, as {name!r} is; "
            "choose another"
        )
    return name


def project_name(folder: str | Path, where: str = "-o") -> str:
    """Name of a project from the folder that it goes to."""
    return check_name(Path(folder).name, where)


def check_part(part: str, option: str = "--part", example: str = "xcu250-figd2104-2L-e") -> str:
    """An FPGA part or a technology library.

    Raises
    ------
    UsageError
        If it holds more than letters, digits and single - _ . between them.
    """
    if len(part) > 80 or not _PART.fullmatch(part):
        raise UsageError(
            f"{option}: must be letters, digits and single - _ . between them, at most 80, not {_shown(part)}; "
            f"for instance {example}"
        )
    return part


def check_clock(clock: str) -> str:
    """A clock period in nanoseconds, as written.

    Raises
    ------
    UsageError
        If it is no positive decimal number.
    """
    if not _CLOCK.fullmatch(clock) or not float(clock) > 0:
        raise UsageError(f"--clock: must be the period in nanoseconds, for instance 5 or 3.33, not {_shown(clock)}")
    return clock


def _shown(text: str) -> str:
    return repr(text if len(text) <= LONGEST else f"{text[:LONGEST]}…")
