"""The accumulators of a plan: what they can reach, how wide they have to be, and why they never overflow or how they do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from fxnorm.fixed.format import Format, Overflow, Rounding
from fxnorm.planning.bounds import AccumulatorBounds, Bounds, Verdict
from fxnorm.planning.plan import Plan
from fxnorm.planning.witness import Witness
from fxnorm.proofs.sums import Reach
from fxnorm.report.columns import Column, console, print_line, print_table
from fxnorm.report.record import plan_head
from fxnorm.report.table import headline
from fxnorm.report.text import labels

WORDS: Final = {
    Verdict.FORMAT: "holds every input of the format",
    Verdict.INTERVAL: "holds every input that occurs",
    Verdict.ORDER: "holds in the order of the contract",
    Verdict.WITNESS: "overflows",
    Verdict.OPEN: "not decided",
}


def accumulators_record(plan: Plan, found: Bounds) -> dict[str, Any]:
    """What `inspect --accumulators --json` writes."""
    return {
        "model": {"path": plan.model_path, "sha256": plan.model_sha256},
        "plan": plan_head(plan),
        "accumulators": [_record(one) for one in found],
        "intervals": {
            name: {"low": interval.hull[0], "high": interval.hull[1]} for name, interval in found.intervals.items()
        },
    }


def _record(one: AccumulatorBounds) -> dict[str, Any]:
    return {
        "name": one.layer,
        "op": one.op,
        "kernel": one.kernel,
        "part": one.part,
        "terms": one.terms,
        "format": None if one.format is None else _shown(one),
        "width": None if one.format is None else one.format.width,
        "fraction_bits": one.fraction_bits,
        "quantized": one.quantized,
        "by_format": _reach(one, one.by_format),
        "by_interval": _reach(one, one.by_interval),
        "in_order": None if one.in_order is None else _reach(one, one.in_order),
        "l1_width": one.l1_width,
        "clipped_biases": one.clipped_biases,
        "verdict": str(one.verdict),
        "proof": WORDS[one.verdict],
        "witness": None if one.witness is None else _witness(one.witness),
    }


def _reach(one: AccumulatorBounds, reach: Reach) -> dict[str, Any]:
    low, high = reach.hull()
    narrowest = one.narrowest(reach)
    return {
        "low": low,
        "high": high,
        "format": _plain(narrowest),
        "width": narrowest.width,
        "channels": {"low": [int(n) for n in reach.low], "high": [int(n) for n in reach.high]},
    }


def _witness(witness: Witness) -> dict[str, Any]:
    """The input itself goes out as flat lists of codes beside their shapes."""
    return {
        "channel": witness.channel,
        "position": list(witness.position),
        "addition": witness.addition,
        "tap": list(witness.tap),
        "total": witness.total,
        "inputs": [{"shape": list(codes.shape[1:]), "codes": codes.reshape(-1).tolist()} for codes in witness.inputs],
        "network": None
        if witness.network is None
        else {name: {"shape": list(x.shape[1:]), "values": _values(x)} for name, x in witness.network.items()},
    }


def _values(x: np.ndarray) -> list[float]:
    return [float(value) for value in x.reshape(-1)]


def print_accumulators(plan: Plan, found: Bounds, *, where: str) -> None:
    """Print them."""
    out = console()
    print_line(out, f"{where}: {headline(plan)}", "bold")
    print_line(out, f"plan {plan.digest}")
    out.print()
    names, left_out = labels([one.layer for one in found])
    narrow = frozenset(row for row, one in enumerate(found) if not one.verdict.holds)
    columns = [
        Column("layer", names, left=True, name=True),
        Column("what", [one.part for one in found], left=True, rank=2),
        Column("terms", [f"{one.terms:,}" for one in found], rank=4),
        Column("in the plan", ["" if one.format is None else _shown(one) for one in found], left=True),
        Column("worst case", [_ends(one.by_interval) for one in found], left=True, rank=3),
        Column("by format", [str(one.narrowest(one.by_format).width) for one in found]),
        Column("by interval", [str(one.narrowest(one.by_interval).width) for one in found]),
        Column(
            "in order",
            ["" if one.in_order is None else str(one.narrowest(one.in_order).width) for one in found],
            rank=1,
        ),
        Column("ℓ1 (A2Q)", ["" if one.l1_width is None else str(one.l1_width) for one in found], rank=1),
        Column("", [WORDS[one.verdict] for one in found], left=True, alert=narrow),
    ]
    print_table(out, columns)
    if left_out:
        print_line(out, f"names are shown without {left_out}; --json has them in full", "dim")
    print_line(
        out,
        "worst case: codes that occur at all, in any order of additions; then the bits that each bound asks for",
        "dim",
    )
    for line in (*_witnesses(found, names), *_summary(found)):
        print_line(out, line)


def _ends(reach: Reach) -> str:
    low, high = reach.hull()
    return f"{low:,} … {high:,}"


def _witnesses(found: Bounds, names: Sequence[str]) -> list[str]:
    lines = []
    for one, name in zip(found, names, strict=True):
        if one.clipped_biases:
            lines.append(f"{name}: the bias of {one.clipped_biases} of its channels does not fit the accumulator")
        witness = one.witness
        if witness is None:
            continue
        place = f" at output position {list(witness.position)}" if witness.position else ""
        tap = f" (weight {list(witness.tap)})" if len(witness.tap) > 1 else ""
        of_network = "an input of the network" if witness.network is not None else "an input of the layer"
        lines.append(
            f"{name}: {of_network} overflows channel {witness.channel}{place} at addition {witness.addition + 1} of "
            f"{one.terms}{tap}, where the sum is {witness.total:,}; --json has it"
        )
    return lines


def _summary(found: Bounds) -> list[str]:
    counts = Counter(one.verdict for one in found)
    words = ((Verdict.WITNESS, "that some input overflows"), (Verdict.OPEN, WORDS[Verdict.OPEN]))
    open_ = [f"{counts[verdict]} {text}" for verdict, text in words if counts[verdict]]
    saved = sum(one.narrowest(one.by_format).width - one.narrowest(one.by_interval).width for one in found)
    safe = sum(counts[verdict] for verdict in Verdict if verdict.holds)
    parts = [f"{len(found)} accumulators: {safe} proven never to overflow", *open_]
    return [f"{', '.join(parts)}; interval analysis saves {saved} bits over the formats alone"]


def _shown(one: AccumulatorBounds) -> str:
    """The plan's format; its modes only where they can matter."""
    assert one.format is not None
    return str(one.format) if one.quantized else _plain(one.format)


def _plain(format_: Format) -> str:
    return str(format_.with_modes(Rounding.RND, Overflow.SAT))
