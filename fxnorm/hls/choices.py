"""What a user chooses about a design beside its numbers: structure, parallelism, clock and part."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Final

from fxnorm.errors import UsageError
from fxnorm.hls.dialect import DIALECTS, Dialect
from fxnorm.hls.names import check_clock, check_part

STREAM: Final = "stream"
PARALLEL: Final = "parallel"
IO: Final = (STREAM, PARALLEL)
ALL: Final = "all"
ROM: Final = "rom"
PORT: Final = "port"
WEIGHTS: Final = (ROM, PORT)
DEFAULT_CLOCK: Final = "5"
DEFAULT_PART: Final = "xcu250-figd2104-2L-e"
DEFAULT_TECHNOLOGY: Final = "nangate-45nm_beh"


@dataclass(frozen=True, slots=True)
class Choices:
    """Checked choices.

    Attributes
    ----------
    targets
        Dialects, in the order of `DIALECTS`.
    io
        "stream": blocks with channels between them; "parallel": one function on arrays.
    parallelism
        Products a cycle of a layer; None: all of them.
    layers
        The same for single layers: patterns of the model's or the design's names, the last one that fits counts.
    weights, weights_of
        Whether weights are tables in the design ("rom") or come through a port of it ("port"), and the same for single layers.
    clock
        Period in nanoseconds, as written.
    part, technology
        FPGA of Vitis; library of Catapult.
    """

    targets: tuple[Dialect, ...]
    io: str = STREAM
    parallelism: int | None = 1
    layers: tuple[tuple[str, int | None], ...] = ()
    weights: str = ROM
    weights_of: tuple[tuple[str, str], ...] = ()
    clock: str = DEFAULT_CLOCK
    part: str = DEFAULT_PART
    technology: str = DEFAULT_TECHNOLOGY

    @classmethod
    def make(
        cls,
        target: str = ALL,
        *,
        io: str | None = None,
        parallelism: Sequence[str] = (),
        weights: Sequence[str] = (),
        clock: str | None = None,
        part: str | None = None,
        technology: str | None = None,
    ) -> Choices:
        """Read choices as the command line has them.

        Parameters
        ----------
        parallelism
            "1", "16", "full", or "LAYER=16".
        weights
            "rom", "port", or "LAYER=port".

        Raises
        ------
        UsageError
            If a word is unknown, or holds what must not stand in a script.
        """
        if target != ALL and target not in DIALECTS:
            raise UsageError(f"--target: must be {', '.join(DIALECTS)} or {ALL}, not {target!r}")
        chosen = io if io is not None else STREAM
        if chosen not in IO:
            raise UsageError(f"--io: must be {' or '.join(IO)}, not {chosen!r}")
        whole: int | None = 1 if chosen == STREAM else None
        layers = []
        for text in parallelism:
            name, number = _entry("--parallelism", text, "N")
            if name:
                layers.append((name, _number(text, number)))
            else:
                whole = _number(text, number)
        storage, weights_of = ROM, []
        for text in weights:
            name, word = _entry("--weights", text, PORT)
            if word not in WEIGHTS:
                raise UsageError(f"--weights {text!r}: must be {' or '.join(WEIGHTS)}, or LAYER= one of them")
            if name:
                weights_of.append((name, word))
            else:
                storage = word
        return cls(
            tuple(dialect for dialect in DIALECTS.values() if target in (ALL, dialect.name)),
            chosen,
            whole,
            tuple(layers),
            storage,
            tuple(weights_of),
            check_clock(clock if clock is not None else DEFAULT_CLOCK),
            check_part(part if part is not None else DEFAULT_PART),
            check_part(
                technology if technology is not None else DEFAULT_TECHNOLOGY, "--technology", DEFAULT_TECHNOLOGY
            ),
        )

    def of_layer(self, *names: str) -> int | None:
        """Products a cycle of the layer that has these names."""
        wanted = self.parallelism
        for pattern, number in self.layers:
            if _fits(pattern, names):
                wanted = number
        return wanted

    def ported(self, *names: str) -> bool:
        """Whether the weights of the layer that has these names come through a port, if it has any."""
        wanted = self.weights
        for pattern, word in self.weights_of:
            if _fits(pattern, names):
                wanted = word
        return wanted == PORT

    def check_layers(self, names: Sequence[Sequence[str]]) -> None:
        """Refuse a pattern that fits no layer.

        Raises
        ------
        UsageError
            Naming it.
        """
        for option, patterns in (("--parallelism", self.layers), ("--weights", self.weights_of)):
            for pattern, _ in patterns:
                if not any(_fits(pattern, own) for own in names):
                    raise UsageError(f"{option}: no layer is named {pattern!r}; `fxnorm inspect` lists them")

    def check_weights(self, names: Sequence[Sequence[str]]) -> None:
        """Refuse words about weights that mean none of these layers, which are those that have weights.

        Raises
        ------
        UsageError
            Naming the pattern.
        """
        for pattern, _ in self.weights_of:
            if not any(_fits(pattern, own) for own in names):
                raise UsageError(
                    f"--weights: layer {pattern!r} has no weights that could come through a port; only dense layers and convolutions have"
                )
        if self.weights == PORT and not names:
            raise UsageError(
                "--weights port: the plan has no dense layer and no convolution, and no other layer's weights come through a port; "
                "leave it out"
            )

    def record(self) -> Mapping[str, Any]:
        """Plain data for the manifest."""
        return {
            "io": self.io,
            "parallelism": "full" if self.parallelism is None else self.parallelism,
            "clock_ns": float(self.clock),
            "part": self.part,
            "technology": self.technology,
        }


def _fits(pattern: str, names: Sequence[str]) -> bool:
    return any(pattern == name or fnmatchcase(name, pattern) for name in names)


def _entry(option: str, text: str, example: str) -> tuple[str, str]:
    """The layer's name, "" where there is none, and the word for it."""
    name, equals, word = text.rpartition("=")
    if equals and not name:
        raise UsageError(f"{option} {text!r}: the layer's name is missing; write LAYER={example}")
    return name, word


def _number(text: str, number: str) -> int | None:
    if number == "full":
        return None
    if not (number.isascii() and number.isdecimal() and 0 < len(number) <= 9 and int(number) > 0):
        raise UsageError(f"--parallelism {text!r}: must be a positive integer or full, or LAYER= one of them")
    return int(number)
