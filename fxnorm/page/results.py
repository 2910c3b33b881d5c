"""What a report is made of: configurations of one network with their results, however they were found."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

from fxnorm.page.layers import LayerResult
from fxnorm.report.text import labels, printable, shortened

FORMAT_AXES: Final = ("format", "width", "integer_bits")
"""Axes of a sweep that decide the width; the other ones make lines of their own."""

DEFAULT: Final = "default"
"""Value of an option that is not given."""
LONGEST_LAYER: Final = 48
"""Characters of a layer's name; the beginning, the middle or the end is left out, whichever keeps names apart."""


@dataclass(frozen=True)
class Row:
    """One configuration and what came of it.

    Attributes
    ----------
    number
        Place among the rows, from 0; what the page knows it by.
    name
        Short, for people.
    format, width, integer_bits, fraction_bits, normalize
        Of data.
    varied
        What was varied, as text by option.
    command
        Line for a shell that reproduces it; "" where it is not known.
    refused
        Why it cannot be planned or run; "" where it was run.
    plan_digest, outputs_digest
        "" where not known.
    accuracy_fp32, accuracy
        Share of right labels; None without labels.
    sqnr_db
        Of the worst output; inf without any error.
    agreement
        Smallest share of rows with FP32's arg-max; None where there is none.
    overflow_count, overflow_fraction
        Of all layers together, and the largest share of one layer.
    cost
        In hardware, by name; empty where it cannot be told.
    layers
        Inputs first, then layers in their order.
    uniform
        Whether no rule makes a difference between layers.
    """

    number: int
    name: str
    format: str
    width: int
    integer_bits: int
    fraction_bits: int
    normalize: str
    varied: Mapping[str, str] = field(default_factory=dict)
    command: str = ""
    refused: str = ""
    plan_digest: str = ""
    outputs_digest: str = ""
    samples: int = 0
    accuracy_fp32: float | None = None
    accuracy: float | None = None
    sqnr_db: float | None = None
    max_abs_error: float | None = None
    agreement: float | None = None
    overflow_count: int = 0
    overflow_fraction: float = 0.0
    cost: Mapping[str, float] = field(default_factory=dict)
    layers: tuple[LayerResult, ...] = ()
    uniform: bool = True
    seconds: float | None = None

    @property
    def done(self) -> bool:
        """Whether it was run."""
        return not self.refused

    @cached_property
    def by_key(self) -> Mapping[str, LayerResult]:
        """Layers by the values that they make."""
        return {layer.key: layer for layer in self.layers}

    @property
    def series(self) -> str:
        """Line of a chart to which it belongs: its normalization, and whatever else was varied beside the width."""
        return ", ".join([self.normalize, *self.extras])

    @property
    def extras(self) -> list[str]:
        """What else was varied beside width and normalization, in words, where it is not left at its default."""
        return [
            f"{option.replace('_', ' ')} {value}"
            for option, value in self.varied.items()
            if option not in (*FORMAT_AXES, "normalize") and value != DEFAULT
        ]

    @property
    def drop(self) -> float | None:
        """Accuracy lost against FP32; negative where fixed point is better."""
        if self.accuracy is None or self.accuracy_fp32 is None:
            return None
        return self.accuracy_fp32 - self.accuracy


@dataclass(frozen=True)
class Distribution:
    """How the real numbers of a value lie, in FP32.

    Attributes
    ----------
    low, high
        The smallest and the largest.
    counts
        By equal parts between them.
    """

    low: float
    high: float
    counts: tuple[int, ...]


@dataclass(frozen=True)
class Check:
    """One limit of a gate that a run was held against: the option, the output or layer, whether it was met, and by how much not."""

    rule: str
    where: str
    passed: bool
    text: str


@dataclass(frozen=True)
class Source:
    """Model, data and circumstances; "" or 0 where something is not known. `words` are those of the command, as they were given."""

    model: str
    model_sha256: str
    data: str
    data_sha256: str
    samples: int
    calibration: str = ""
    calibration_sha256: str = ""
    command: str = ""
    words: tuple[str, ...] = ()
    directory: str = ""
    created: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Results:
    """Everything that a report shows.

    Attributes
    ----------
    kind
        "sweep", "search" or "run" (a single one).
    source
        Model and data.
    rows
        Configurations with a result, in order.
    waiting
        How many have none yet.
    distributions
        Of real numbers in FP32, by value; empty where they are not known.
    checks
        Verdict of the gate that a single run had.
    costs
        Names of the costs that a search was for, the one that decides first.
    """

    kind: str
    source: Source
    rows: tuple[Row, ...]
    waiting: int = 0
    distributions: Mapping[str, Distribution] = field(default_factory=dict)
    checks: tuple[Check, ...] = ()
    costs: tuple[str, ...] = ()

    @cached_property
    def done(self) -> tuple[Row, ...]:
        """Configurations that were run."""
        return tuple(row for row in self.rows if row.done)

    @cached_property
    def series(self) -> tuple[str, ...]:
        """Lines of the charts, in order of appearance."""
        return tuple(dict.fromkeys(row.series for row in self.done))

    @cached_property
    def keys(self) -> tuple[str, ...]:
        """Values that any configuration has, in the order of the network."""
        return tuple(merged([[layer.key for layer in row.layers] for row in self.done]))

    @cached_property
    def layer_names(self) -> Mapping[str, str]:
        """A short name for each value, each one once, made fit for print."""
        names: dict[str, str] = {}
        for row in self.done:
            for layer in row.layers:
                names.setdefault(layer.key, layer.name)
        short, _ = labels([printable(names[key]) for key in self.keys])
        return dict(zip(self.keys, distinct(shortened(short, LONGEST_LAYER)), strict=True))

    @cached_property
    def widths(self) -> tuple[int, ...]:
        """Widths that were run, the narrowest first."""
        return tuple(sorted({row.width for row in self.done}))

    @cached_property
    def fp32(self) -> float | None:
        """Accuracy of FP32."""
        return next((row.accuracy_fp32 for row in self.done if row.accuracy_fp32 is not None), None)

    @property
    def searched(self) -> bool:
        """Whether configurations were looked for: layers have widths of their own, and cost decides."""
        return self.kind == "search"

    @cached_property
    def priced(self) -> tuple[Row, ...]:
        """Configurations whose cost is known."""
        return tuple(row for row in self.done if row.cost)

    @cached_property
    def cost_names(self) -> tuple[str, ...]:
        """Costs that all of these have, and that differ between some; those that were asked for first."""
        if not self.priced:
            return ()
        common = [name for name in self.priced[0].cost if all(name in row.cost for row in self.priced)]
        differing = [name for name in common if len({row.cost[name] for row in self.priced}) > 1]
        asked = [name for name in self.costs if name in differing]
        return (*asked, *(name for name in differing if name not in asked))

    @cached_property
    def _by_series(self) -> Mapping[str, tuple[Row, ...]]:
        found: dict[str, list[Row]] = {}
        for row in self.done:
            found.setdefault(row.series, []).append(row)
        order = {
            series: sorted(rows, key=lambda row: (row.width, row.integer_bits, row.number))
            for series, rows in found.items()
        }
        return {series: tuple(rows) for series, rows in order.items()}

    def in_series(self, series: str) -> tuple[Row, ...]:
        """Configurations of a line, the narrowest first."""
        return self._by_series.get(series, ())


def merged(sequences: Sequence[Sequence[str]]) -> list[str]:
    """All entries once, each behind the one that it followed where it was first seen."""
    order: list[str] = []
    seen: set[str] = set()
    for sequence in sequences:
        place = 0
        for entry in sequence:
            if entry in seen:
                place = order.index(entry) + 1
            else:
                order.insert(place, entry)
                seen.add(entry)
                place += 1
    return order


def distinct(names: Sequence[str]) -> list[str]:
    """Names, numbered where one comes again."""
    taken: set[str] = set()
    result = []
    for name in names:
        own, number = name, 2
        while own in taken:
            own, number = f"{name} ({number})", number + 1
        taken.add(own)
        result.append(own)
    return result


def exact(ratio: float | None) -> bool:
    """Whether an SQNR says that there was no error at all."""
    return ratio == math.inf
