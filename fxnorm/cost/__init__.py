"""What a plan costs in hardware: work and memory as plain data that adds up, and estimates of a design before synthesis."""

from fxnorm.cost.network import Estimate, NetworkEstimate, estimate, estimate_design, plan_cost
from fxnorm.cost.resources import Resources
from fxnorm.cost.work import Cost, Memory, Work

__all__ = [
    "Cost",
    "Estimate",
    "Memory",
    "NetworkEstimate",
    "Resources",
    "Work",
    "estimate",
    "estimate_design",
    "plan_cost",
]
