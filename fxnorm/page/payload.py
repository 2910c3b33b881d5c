"""What the page's script reads: rows and layers in few bytes, within a budget."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from fxnorm.page import datasets
from fxnorm.page.layers import LayerResult
from fxnorm.page.limits import Criterion
from fxnorm.page.results import Results, Row
from fxnorm.page.summary import Summary
from fxnorm.page.wording import plural, power

FIRST: Final = 2
"""Configurations that the page begins with."""
DIGITS: Final = 5
"""Significant figures of what is drawn."""


@dataclass
class Strings:
    """Strings by their numbers: formats and proofs come again and again."""

    listed: list[str] = field(default_factory=list)
    numbers: dict[str, int] = field(default_factory=dict)

    def number(self, text: str) -> int:
        """Number of a string, new or not."""
        if text not in self.numbers:
            self.numbers[text] = len(self.listed)
            self.listed.append(text)
        return self.numbers[text]


@dataclass(frozen=True)
class Payload:
    """Data of a page.

    Attributes
    ----------
    content
        What goes into it as JSON.
    left_out
        What did not fit, in words; "" where everything did.
    """

    content: dict[str, Any]
    left_out: str


def payload(results: Results, limits: Criterion, summary: Summary, budget: int) -> Payload:
    """Data of a page.

    Parameters
    ----------
    budget
        Bytes for the layers' details. They are kept for the configurations that matter most, first without histograms.
    """
    strings = Strings()
    order = by_importance(results, limits, summary)
    details, left_out = _details(results, order, strings, budget)
    content = {
        "points": datasets.points(results, limits),
        "series": results.series,
        "layers": [{"name": results.layer_names[key], "op": _op(results, key)} for key in results.keys],
        "distributions": {
            index: [_short(known.low), _short(known.high), *known.counts]
            for index, key in enumerate(results.keys)
            if (known := results.distributions.get(key)) is not None
        },
        "details": details,
        "strings": strings.listed,
        "formats": {text: datasets.limits_of(text) for text in sorted(_formats(results))},
    }
    return Payload(content, left_out)


def by_importance(results: Results, limits: Criterion, summary: Summary) -> list[Row]:
    """Configurations that were run, those first that a reader asks for first."""
    named = [row for row in (summary.choice, summary.other) if row is not None]
    passing = sorted((row for row in results.done if limits.met_by(row)), key=lambda row: row.width)
    rest = sorted(results.done, key=datasets.quality, reverse=True)
    return list({row.number: row for row in [*named, *passing, *rest]}.values())


def _details(results: Results, order: Sequence[Row], strings: Strings, budget: int) -> tuple[dict[int, list[Any]], str]:
    """Layers of as many configurations as fit, with histograms where these fit too."""
    details: dict[int, list[Any]] = {}
    used = 0

    def keep(row: Row, *, histograms: bool) -> bool:
        nonlocal used
        made = _layers(results, row, strings, histograms=histograms)
        cost = size(made) + 8 - (size(details[row.number]) + 8 if row.number in details else 0)
        if used + cost > budget:
            return False
        details[row.number] = made
        used += cost
        return True

    # Whole for the two that the page begins with, then numbers for as many as fit, then histograms for as many of these.
    whole = sum(keep(row, histograms=True) for row in order[:FIRST])
    if whole == len(order[:FIRST]):
        for row in order[FIRST:]:
            if not keep(row, histograms=False):
                break
        for row in order[FIRST : len(details)]:
            if not keep(row, histograms=True):
                break
            whole += 1
    with_histograms = whole
    said = []
    if len(details) < len(order):
        said.append(f"layers of {plural(len(order) - len(details), 'configuration')}")
    if with_histograms < len(details):
        said.append(f"histograms of {plural(len(order) - with_histograms, 'configuration')}")
    return details, " and ".join(said)


def _layers(results: Results, row: Row, strings: Strings, *, histograms: bool) -> list[Any]:
    return [
        None if key not in row.by_key else _layer(row.by_key[key], strings, histograms=histograms)
        for key in results.keys
    ]


def _layer(layer: LayerResult, strings: Strings, *, histograms: bool) -> list[Any]:
    """One layer under one configuration; the order is that of `LAYER` in report.js."""
    accumulator = layer.accumulator
    stages = [f"{name}: {format_}, {plural(count, 'overflow')}" for name, (format_, count) in layer.stages.items()]
    return [
        strings.number(layer.format),
        layer.width,
        None if layer.sqnr_db is None else "exact" if layer.sqnr_db == float("inf") else _short(layer.sqnr_db),
        layer.overflow_count,
        _short(layer.overflow_fraction),
        _short(layer.at_low_fraction),
        _short(layer.at_high_fraction),
        _short(layer.minimum),
        _short(layer.maximum),
        layer.bits_used,
        layer.scale,
        layer.offset,
        power(layer.scale),
        None if accumulator is None else strings.number(accumulator.format),
        None if accumulator is None else accumulator.overflow_count,
        [
            [
                strings.number(one.part),
                one.terms,
                strings.number(one.format),
                one.width,
                *one.needed,
                strings.number(one.words),
            ]
            for one in layer.proofs
        ],
        strings.number("; ".join(stages)),
        strings.number("; ".join(layer.findings)),
        _trimmed(layer.histogram) if histograms else None,
    ]


def _trimmed(histogram: Sequence[int]) -> list[int]:
    """How many parts there are, how many empty ones come first, and the rest up to the last that is not empty."""
    filled = [index for index, count in enumerate(histogram) if count]
    if not filled:
        return [len(histogram), 0]
    return [len(histogram), filled[0], *histogram[filled[0] : filled[-1] + 1]]


def _op(results: Results, key: str) -> str:
    return next((row.by_key[key].op for row in results.done if key in row.by_key), "")


def _formats(results: Results) -> set[str]:
    return {layer.format for row in results.done for layer in row.layers} | {row.format for row in results.done}


def size(content: Any) -> int:
    """Bytes of it as JSON."""
    return len(json.dumps(content, separators=(",", ":")))


def _short(number: float | None) -> float | None:
    return None if number is None else float(f"{number:.{DIGITS}g}")
