"""What is told about a name that nobody has."""

from __future__ import annotations

import pytest

from fxnorm.planning.nearest import FEW, NEAREST, known, nearest

BLOCKS = [
    f"/encoder/layers.{n}/{part}/{op}" for n in range(12) for part in ("attention", "mlp") for op in ("MatMul", "Gelu")
]
NAMES = ["tokens", *BLOCKS, "/head/dense/Gemm"]


@pytest.mark.parametrize(
    ("pattern", "best"),
    [
        ("/head/dens/Gemm", "/head/dense/Gemm"),
        ("dense", "/head/dense/Gemm"),
        ("DENSE*", "/head/dense/Gemm"),
        ("gemn", "/head/dense/Gemm"),
        ("token", "tokens"),
        ("/encoder/layers.7/mlp/Gelo", "/encoder/layers.7/mlp/Gelu"),
        ("*/layers.11/mpl/MatMul", "/encoder/layers.11/mlp/MatMul"),
    ],
)
def test_the_best_match_comes_first(pattern: str, best: str) -> None:
    assert nearest(pattern, NAMES)[0] == best


def test_few_names_are_all_told_and_many_are_not() -> None:
    few = [f"layer{n}" for n in range(FEW)]
    assert known("conv", few) == f"the layers are {', '.join(few)}"
    assert known("conv", [*few, *few]) == f"the layers are {', '.join(few)}"
    told = known("gelu", NAMES)
    assert told.startswith(f"of {len(NAMES)} layers the nearest are /encoder/")
    assert told.count(",") == NEAREST - 1
    assert told.endswith("`fxnorm inspect` lists all")
    assert len(told) < 300
    long = [f"layer{n}/{'x' * 150}" for n in range(20)]
    assert known("layer3", long) == f"of 20 layers the nearest is {long[3]}; `fxnorm inspect` lists all"


def test_any_text_will_do() -> None:
    """Wild cards alone, nothing at all, and names as long as a hostile file has them."""
    for pattern in ("*", "", "[!a]", "x" * 10_000):
        assert len(nearest(pattern, [*NAMES, "", "y" * 1_000_000])) == NEAREST
