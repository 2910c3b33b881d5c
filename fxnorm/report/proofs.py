"""Proofs of accumulators in short, for the record of a run: how wide each sum has to be, and why it never overflows, or that it can."""

from __future__ import annotations

from typing import Any

from fxnorm.fixed.format import Overflow, Rounding
from fxnorm.planning.bounds import AccumulatorBounds, bounds
from fxnorm.planning.plan import Plan
from fxnorm.proofs.sums import Reach


def proof_records(plan: Plan) -> dict[str, list[dict[str, Any]]]:
    """By layer: every sum in it, with the bits that it needs by each bound of `fxnorm.planning.bounds`."""
    found: dict[str, list[dict[str, Any]]] = {}
    for one in bounds(plan):
        found.setdefault(one.layer, []).append(_record(one))
    return found


def _record(one: AccumulatorBounds) -> dict[str, Any]:
    plain = None if one.format is None else one.format.with_modes(Rounding.RND, Overflow.SAT)
    # Modes are spelled where they are obeyed; elsewhere nothing is rounded and nothing overflows.
    format_ = one.format if one.quantized else plain
    return {
        "part": one.part,
        "terms": one.terms,
        "format": None if format_ is None else str(format_),
        "width": None if format_ is None else format_.width,
        "by_format": _width(one, one.by_format),
        "by_interval": _width(one, one.by_interval),
        "in_order": None if one.in_order is None else _width(one, one.in_order),
        "verdict": str(one.verdict),
    }


def _width(one: AccumulatorBounds, reach: Reach) -> int:
    return one.narrowest(reach).width
