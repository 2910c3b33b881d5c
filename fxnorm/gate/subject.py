"""What a gate judges: one configuration and its record."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Subject:
    """One run, or one row of a sweep.

    Attributes
    ----------
    name
        Short, for people.
    record
        What `simulate --json` writes; None for a configuration that cannot be run.
    id
        Digest of its options, by which a baseline knows it; see `fxnorm.sweeping.configuration.identity`.
    reason
        Why it cannot be run.
    command
        Command line that reproduces it; "" where there is none.
    seconds
        That it took.
    """

    name: str
    record: Mapping[str, Any] | None
    id: str = ""
    reason: str = ""
    command: str = ""
    seconds: float = 0.0

    @property
    def accuracy(self) -> Mapping[str, float] | None:
        """Share of labels met by "fp32" and by "fixed"; None without labels."""
        return None if self.record is None else self.record.get("accuracy")

    @property
    def outputs(self) -> Mapping[str, Mapping[str, Any]]:
        """Errors by output."""
        return {} if self.record is None else self.record["outputs"]


def overflows(record: Mapping[str, Any]) -> list[tuple[str, int]]:
    """Where something overflowed and how often, the most first: layers, their accumulators and stages."""
    found = []
    for layer in record["layers"]:
        found.append((f"layer {layer['name']!r}", layer["overflow_count"]))
        if "accumulator" in layer:
            found.append((f"accumulator of layer {layer['name']!r}", layer["accumulator"]["overflow_count"]))
        for name, stage in layer.get("stages", {}).items():
            found.append((f"{name} of layer {layer['name']!r}", stage["overflow_count"]))
    return sorted([entry for entry in found if entry[1]], key=lambda entry: -entry[1])


def first_below(record: Mapping[str, Any], limit: float) -> str:
    """The first layer whose SQNR is below a limit, in words; "" where there is none."""
    for layer in record["layers"]:
        ratio = layer["sqnr_db"]
        if ratio is not None and ratio < limit:
            return f"the first layer below it is {layer['name']!r} ({ratio:.1f} dB)"
    return ""


def steepest_fall(record: Mapping[str, Any]) -> str:
    """The layer at which the SQNR falls most below that of all layers before it, in words; "" where it falls nowhere."""
    lowest, worst, words = None, 0.0, ""
    for layer in record["layers"]:
        ratio = layer["sqnr_db"]
        if ratio is None:
            continue
        if lowest is not None and lowest - ratio > worst:
            worst = lowest - ratio
            words = f"the SQNR falls most at layer {layer['name']!r}, from {lowest:.1f} to {ratio:.1f} dB"
        lowest = ratio if lowest is None else min(lowest, ratio)
    return words
