"""Costs of a plan as a few numbers by name: what tables, charts and searches compare plans by."""

from __future__ import annotations

from typing import Final

from fxnorm.cost.network import estimate
from fxnorm.planning.plan import Plan
from fxnorm.planning.price import rescale_cost

MEANINGS: Final = {
    "full_adders": "full adders of all multiplications (a·b each) and additions of a sample",
    "multiplier_area": "Σ a·b over all multiplications of a sample",
    "memory_bits": "weights, tables and line buffers",
    "weight_bits": "weights and biases",
    "dsp": "DSP blocks, estimated for one product a cycle and layer",
    "lut": "LUTs, estimated likewise",
    "bram18": "18-kbit block RAMs, estimated likewise",
    "interval": "cycles from frame to frame, estimated likewise",
    "latency": "cycles to the last output, estimated likewise",
    "rescale_multiplications": "multiplications of a sample that normalization needs beyond shifts",
    "rescale_additions": "additions of a sample that normalization needs",
}
"""What every number counts."""


def summary(plan: Plan) -> dict[str, float]:
    """Costs by the names of `MEANINGS`, in that order.

    Raises
    ------
    UnsupportedError
        If a layer has integers that are wider than hardware has them.
    """
    design, rescale = estimate(plan), rescale_cost(plan)
    cost = design.cost
    adders = sum(bits * count for bits, count in cost.work.adders.items())
    found = (
        cost.multiplier_area + adders,
        cost.multiplier_area,
        cost.weight_bits + cost.table_bits + cost.buffer_bits,
        cost.weight_bits,
        design.resources.dsp,
        design.resources.lut,
        design.resources.bram18,
        design.interval,
        design.latency,
        rescale.multiplications,
        rescale.additions,
    )
    return dict(zip(MEANINGS, (float(number) for number in found), strict=True))
