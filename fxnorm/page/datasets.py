"""Rows that charts are drawn from, the same for a page and for a file."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

from fxnorm.errors import FormatError
from fxnorm.fixed.format import Format
from fxnorm.page.front import on_front
from fxnorm.page.layers import LayerResult
from fxnorm.page.limits import Criterion
from fxnorm.page.results import Distribution, Results, Row
from fxnorm.page.wording import decibels, percent, plural

Record = dict[str, Any]

MEASURES: Final = ("sqnr", "overflow", "range", "width")
"""What a heat map of the layers can show."""
EXACT: Final = 999.0
"""Stands for an SQNR without any error where only its class is drawn."""
USELESS: Final = 0.2
"""Accuracy below the best one that nobody looks for in a trade-off."""
MOST_NUMBERS: Final = 18
"""Columns of a heat map whose cells have room for numbers."""
LONGEST_COLUMN: Final = 18
"""Characters of a column's name that lies on its side no more."""
SPARSE: Final = 16.0
"""Spans of the data that a format's range may have before it is cut off in a histogram."""


def points(results: Results, limits: Criterion) -> list[Record]:
    """One record a configuration that was run."""
    best = best_of_width(results)
    return [
        {
            "number": row.number,
            "name": row.name,
            "series": row.series,
            "mode": row.normalize,
            "extra": ", ".join(row.extras),
            "format": row.format,
            "width": row.width,
            "accuracy": row.accuracy,
            "agreement": row.agreement,
            "sqnr": finite(row.sqnr_db),
            "sqnr_text": decibels(row.sqnr_db),
            "overflow": row.overflow_fraction,
            "best": row.number in best,
            "passes": limits.met_by(row) if limits else True,
            **{f"cost_{index}": row.cost.get(name) for index, name in enumerate(results.cost_names)},
        }
        for row in results.done
    ]


def best_of_width(results: Results) -> set[int]:
    """Of the configurations of a line that have one width, the best: the line goes through it."""
    best: dict[tuple[str, int], Row] = {}
    for row in results.done:
        key = (row.series, row.width)
        if key not in best or quality(row) > quality(best[key]):
            best[key] = row
    return {row.number for row in best.values()}


def quality(row: Row) -> tuple[float, float]:
    """By accuracy, or where there is none by agreement, then by SQNR."""
    share = row.accuracy if row.accuracy is not None else row.agreement
    return (-1.0 if share is None else share, -math.inf if row.sqnr_db is None else row.sqnr_db)


def front(results: Results, cost: str, metric: str) -> list[Record]:
    """Points of one trade-off.

    Parameters
    ----------
    cost
        One of the results' costs.
    metric
        "accuracy", "agreement" or "sqnr".
    """
    rows = [row for row in results.priced if gain(row, metric) is not None]
    chosen = on_front([(row.cost[cost], gain(row, metric) or 0.0) for row in rows])
    return [
        {
            "number": row.number,
            "name": row.name,
            "series": row.series,
            "mode": row.normalize,
            "format": row.format,
            "cost": row.cost[cost],
            "gain": gain(row, metric),
            "front": on,
        }
        for row, on in zip(rows, chosen, strict=True)
    ]


def gain(row: Row, metric: str) -> float | None:
    """What a configuration is good for."""
    return {"accuracy": row.accuracy, "agreement": row.agreement, "sqnr": finite(row.sqnr_db)}[metric]


def cells(results: Results, rows: Sequence[Row], measure: str) -> list[Record]:
    """One record a layer and a configuration."""
    columns = column_names(rows)
    room = not crowded(columns)
    found = [
        {
            "number": row.number,
            "name": row.name,
            "column": column,
            "key": index,
            "layer": results.layer_names[key],
            **cell(row.by_key[key], measure),
        }
        for column, row in zip(columns, rows, strict=True)
        for index, key in enumerate(results.keys)
        if key in row.by_key
    ]
    return [{**record, "shown": record["text"] if room else ""} for record in found]


def cell(layer: LayerResult, measure: str) -> Record:
    """Value, class and text of one cell; the value decides the class.

    SQNR in dB; share of the values that overflowed; bits of the format that stay empty; bits of the format.
    """
    if measure == "sqnr":
        value = EXACT if layer.sqnr_db == math.inf else layer.sqnr_db
        return {"value": value, "text": decibels(layer.sqnr_db, unit=False)}
    if measure == "overflow":
        share = layer.overflow_fraction
        return {"value": share, "text": "0" if share == 0.0 else percent(share).replace("\u00a0", "")}
    if measure == "width":
        return {"value": layer.width, "text": str(layer.width)}
    return {"value": layer.width - layer.bits_used, "text": f"{layer.bits_used}/{layer.width}"}


def column_names(rows: Sequence[Row]) -> list[str]:
    """Names of configurations side by side, with their widths: the format, where that keeps them apart."""
    if not all(row.uniform for row in rows):
        return [row.name for row in rows]
    formats = [row.format for row in rows]
    names = formats if len(set(formats)) == len(rows) else [row.name for row in rows]
    return [f"{plural(row.width, 'bit')}, {name}" for row, name in zip(rows, names, strict=True)]


def crowded(columns: Sequence[str]) -> bool:
    """Whether a heat map's cells have no room for numbers."""
    return len(columns) > MOST_NUMBERS or any(len(column) > LONGEST_COLUMN for column in columns)


def posture(columns: Sequence[str]) -> dict[str, bool]:
    """Parameters of a heat map: how the names of its columns stand."""
    upright = crowded(columns)
    return {"crowded": upright, "deep": not upright and any(", " in column for column in columns)}


def extent(bins: Sequence[Record], low: float, high: float) -> tuple[float, float]:
    """Ends of a histogram's axis: the data and the format's range, unless that would make a needle of the data."""
    if not bins:
        return low, high
    least, most = bins[0]["from"], bins[-1]["to"]
    span = SPARSE * max(most - least, abs(most), abs(least)) or high - low
    middle = (least + most) / 2.0
    return min(least, max(low, middle - span / 2.0)), max(most, min(high, middle + span / 2.0))


def focus(points: Sequence[Record], metric: str) -> float:
    """Lower end of a trade-off's vertical axis: the front, as far as it is of use, and what is close below it."""
    gains: list[float] = [record["gain"] for record in points if record["front"]]
    if not gains:
        return 0.0
    most = max(gains)
    least = min(gain for gain in gains if metric == "sqnr" or gain >= most - USELESS)
    room = 0.25 * (most - least) or 0.05 * abs(most) or 1.0
    lowest: float = min(record["gain"] for record in points)
    return max(least - room, lowest - 0.2 * room)


def pairs(results: Results, chosen: Mapping[str, Row]) -> list[Record]:
    """SQNR of every layer under the configurations that are compared, by the letters that these have."""
    return [
        {
            "key": index,
            "layer": results.layer_names[key],
            "which": letter,
            "name": row.name,
            "sqnr": finite(row.by_key[key].sqnr_db),
            "text": decibels(row.by_key[key].sqnr_db),
        }
        for letter, row in chosen.items()
        for index, key in enumerate(results.keys)
        if key in row.by_key
    ]


def stored_bins(layer: LayerResult) -> list[Record]:
    """Histogram of codes over the whole range of their format, as stored values."""
    low, high = limits_of(layer.format)
    step = (high - low) / max(len(layer.histogram), 1)
    return [
        {"from": low + index * step, "to": low + (index + 1) * step, "count": count, "height": height(count)}
        for index, count in enumerate(layer.histogram)
    ]


def real_bins(layer: LayerResult, distribution: Distribution | None) -> list[Record]:
    """Histogram of the real numbers: those of FP32 where they are known, else what the codes stand for."""
    if distribution is None:
        scale, offset = layer.scale, layer.offset
        if scale is None or offset is None:
            return []
        return [
            {**record, "from": scale * record["from"] + offset, "to": scale * record["to"] + offset}
            for record in stored_bins(layer)
            if record["count"]
        ]
    step = (distribution.high - distribution.low) / len(distribution.counts)
    return [
        {
            "from": distribution.low + index * step,
            "to": distribution.low + (index + 1) * step,
            "count": count,
            "height": height(count),
        }
        for index, count in enumerate(distribution.counts)
    ]


def height(count: int) -> float:
    """Height of a bar that counts in decades: 0 for none, 1 for one, 2 for ten."""
    return 0.0 if count == 0 else 1.0 + math.log10(count)


def limits_of(format_: str) -> tuple[float, float]:
    """Ends of a format's range: the lowest value, and one step beyond the highest."""
    try:
        parsed = Format.parse(format_, max_width=1024)
        return float(parsed.min_value), float(parsed.max_value + parsed.step)
    except (FormatError, OverflowError):
        return 0.0, 1.0


def finite(number: float | None) -> float | None:
    """A number that can be drawn."""
    return number if number is not None and math.isfinite(number) else None
