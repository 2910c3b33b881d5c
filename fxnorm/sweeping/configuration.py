"""One configuration: the options that decide a plan, and the words for it."""

from __future__ import annotations

import hashlib
import json
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any, Final

from fxnorm.errors import FormatError
from fxnorm.fixed.format import Format
from fxnorm.planning.options import Options
from fxnorm.planning.settings import option_name
from fxnorm.sweeping.alternatives import DEFAULT

_DEFAULTS: Final = {entry.name: entry.default for entry in fields(Options)} | {"layers": []}
_PLAIN_WORDS: Final = (
    "format",
    "rounding",
    "overflow",
    "normalize",
    "calibration",
    "batchnorm",
    "patterns",
    "norm_algorithm",
)
"""Options whose values say by themselves what they are."""
LAYER: Final = "layer "
"""Begins the name of an axis that is a rule for layers."""


@dataclass(frozen=True)
class Configuration:
    """What makes one row of a sweep.

    Attributes
    ----------
    number
        Its place, from 0.
    id
        SHA-256 over the options that differ from their defaults: the same in every run, whatever options are added to the program.
    name
        Short, for people: what varies.
    options
        As `Options.record` has them.
    varied
        Values of the run's axes.
    format, width, integer_bits, fraction_bits, normalize
        Of data.
    command
        Words of a shell's command line that gives the same result; "" where data was in memory.
    reason
        Why it contradicts itself; None where it does not.
    """

    number: int
    id: str
    name: str
    options: Mapping[str, Any]
    varied: Mapping[str, Any]
    format: str
    width: int
    integer_bits: int
    fraction_bits: int
    normalize: str
    command: str
    reason: str | None = None

    @classmethod
    def of(
        cls,
        number: int,
        varied: Mapping[str, Any],
        chosen: Mapping[str, Any],
        made: Options | None,
        reason: str | None,
        reproduce: Callable[[Options], str],
    ) -> Configuration:
        """Build from keyword arguments of `Options.make` and what it made of them.

        Raises
        ------
        FormatError
            If the format of data is none.
        """
        given = {name: value for name, value in chosen.items() if value is not None}
        record = dict(made.record()) if made is not None else {**_DEFAULTS, **given}
        try:
            format_ = Format.parse(record["format"])
        except FormatError as error:
            raise FormatError(f"--formats: {error}") from None
        return cls(
            number=number,
            id=identity(record),
            name=name_of(varied, record["format"]),
            options=record,
            varied=dict(varied),
            format=record["format"],
            width=format_.width,
            integer_bits=format_.integer_bits,
            fraction_bits=format_.fraction_bits,
            normalize=record["normalize"],
            command="" if made is None else reproduce(made),
            reason=reason,
        )

    def made(self) -> Options:
        """The options, ready to plan with."""
        return Options.make(**self.options)


def decisive(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options of a record that differ from their defaults."""
    return {name: value for name, value in options.items() if value != _DEFAULTS.get(name)}


def identity(options: Mapping[str, Any]) -> str:
    """SHA-256 over the options that differ from their defaults."""
    text = json.dumps(decisive(options), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def name_of(varied: Mapping[str, Any], format_: str) -> str:
    """Short name: the format, then what else varies."""
    words = [format_]
    for axis, value in varied.items():
        if axis in ("format", "width", "integer_bits"):
            continue
        label = axis.removeprefix(LAYER) if axis.startswith(LAYER) else axis.replace("_", "-")
        words.append(shown(value) if axis in _PLAIN_WORDS and value is not None else f"{label}={shown(value)}")
    return " ".join(words)


def shown(value: Any) -> str:
    """A value of an axis, in words."""
    return DEFAULT if value is None else str(value)


def command_line(options: Options, inputs: list[str]) -> str:
    """Words of `fxnorm simulate` for some options.

    Parameters
    ----------
    inputs
        Model and data, as words of the command line.
    """
    words = ["fxnorm", "simulate", *inputs]
    for name, value in decisive(options.record()).items():
        for text in value if name == "layers" else [value]:
            words += [option_name(name), text]
    return shlex.join(words)
