"""Attributes of nodes, with their defaults and their types."""

from __future__ import annotations

import numpy as np

from fxnorm.graph.graph import Node
from fxnorm.lowering.network import Refusal


def integer(node: Node, name: str, default: int) -> int:
    """Integer attribute."""
    value = node.attributes.get(name, default)
    if not isinstance(value, int):
        raise Refusal(f"attribute {name} must be an integer, not {value!r}")
    return int(value)


def number(node: Node, name: str, default: float) -> float:
    """Real attribute, as the float32 that the file holds."""
    value = node.attributes.get(name, default)
    if not isinstance(value, int | float) or not np.isfinite(value):
        raise Refusal(f"attribute {name} must be a finite number, not {value!r}")
    return float(value)


def text(node: Node, name: str, default: str) -> str:
    """String attribute."""
    value = node.attributes.get(name, default)
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    if not isinstance(value, str):
        raise Refusal(f"attribute {name} must be a string, not {value!r}")
    return value


def integers(node: Node, name: str, default: tuple[int, ...]) -> tuple[int, ...]:
    """Attribute that is a list of integers."""
    value = node.attributes.get(name)
    if value is None:
        return default
    if not isinstance(value, tuple | list | np.ndarray):
        raise Refusal(f"attribute {name} must be a list of integers, not {value!r}")
    return tuple(int(entry) for entry in value)


def axis(node: Node, rank: int, default: int, name: str = "axis") -> int:
    """Axis attribute, counted from the front."""
    return normalized(integer(node, name, default), rank, name)


def normalized(value: int, rank: int, name: str = "axis") -> int:
    """An axis counted from the front, refused where there is none."""
    if not -rank <= value < max(rank, 1):
        raise Refusal(f"{name} must lie in [{-rank}, {rank}), not {value}")
    return value % rank if rank else 0
