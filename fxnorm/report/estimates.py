"""Estimates of a design before synthesis, as a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fxnorm.cost import NetworkEstimate
from fxnorm.report.columns import Column, print_line, print_table
from fxnorm.report.table import short_op
from fxnorm.report.text import labels

if TYPE_CHECKING:
    from rich.console import Console


def print_estimates(out: Console, found: NetworkEstimate) -> None:
    """Print a row a layer, and the network below."""
    print_line(out, "Estimates before synthesis", "bold")
    layers = found.layers
    names, _ = labels([own.name for own in layers])
    total = found.resources
    columns = [
        Column("layer", [*names, "all"], left=True, name=True),
        Column("op", [*(short_op(own.op) for own in layers), ""], left=True, name=True, rank=3),
        Column("PE×SIMD", [*(f"{own.pe}×{own.simd}" for own in layers), ""], rank=2),
        Column("cycles", [*(f"{own.interval:,}" for own in layers), f"{found.interval:,}"]),
        Column("fill", [*(f"{own.fill:,}" for own in layers), f"{found.first_output:,}"], rank=1),
        Column("multipliers", [*(f"{own.multipliers:,}" for own in layers), f"{found.multipliers:,}"]),
        Column("area", [*(f"{own.multiplier_area:,}" for own in layers), f"{found.multiplier_area:,}"], rank=2),
        Column("DSP", [*(f"{own.resources.dsp:,}" for own in layers), f"{total.dsp:,}"]),
        Column("LUT", [*(f"{own.resources.lut:,}" for own in layers), f"{total.lut:,}"]),
        Column("BRAM18", [*(f"{own.resources.bram18:,}" for own in layers), f"{total.bram18:,}"]),
        Column(
            "weight bits", [*(f"{own.cost.weight_bits:,}" for own in layers), f"{found.cost.weight_bits:,}"], rank=3
        ),
    ]
    print_table(out, columns)
    print_line(
        out,
        f"a frame every {found.interval:,} cycles, the first one {found.latency:,} cycles after its first input; "
        f"{found.cost.work.multiplications:,} multiplications a sample (multiplier area {found.cost.multiplier_area:,})",
    )
    print_line(
        out,
        "cycles: from one frame to the next; fill: to a layer's first output; area: Σ a·b of the multipliers' widths; "
        "formulas of FINN-R (Blott et al. 2018) and AMD UG573, UG574, UG579; FIFOs and flip-flops are not included",
        "dim",
    )
