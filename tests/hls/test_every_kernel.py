"""A few of every kernel in one design: codes, counters and stream events on both targets, and what must not stand in emitted code.

One compilation checks them all; the slow tests of each kernel draw many more.
"""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import emission
import pytest
import test_divide_block
import test_elementwise_block
import test_linear_block
import test_local_response_block
import test_matmul_block
import test_movement_block
import test_norm_block
import test_pool_block
import test_rescale_block
import test_softmax_block
import test_stage_block
import test_transform_block
from emission import Case, needs_gxx

from fxnorm.hls.blocks.catalog import BLOCKS
from fxnorm.hls.choices import Choices
from fxnorm.hls.static_check import check as static_check
from fxnorm.kernels.catalog import TRANSFORMS

CHOICES = ["l*[02468]_linear=4", "l*3_linear=full"]
PORTS = ["l0[13]_linear=port"]


def draw_all(rng: random.Random, target: str) -> list[Case]:
    """Cases of every kernel that there is, the same ones for the same seed."""
    cases = [test_linear_block.draw_case(rng, target, kind) for kind in test_linear_block.KINDS[:4]]
    cases += [
        test_elementwise_block.draw_case(rng, target, function) for function in test_elementwise_block.FUNCTIONS[:3]
    ]
    cases += [test_stage_block.draw_case(rng, target, number) for number in range(2)]
    cases += test_rescale_block.drawn(rng, target, 2, 2, 0)
    cases += test_pool_block.drawn(rng, target, 3, 2)
    cases += test_divide_block.drawn(rng, target, 1)
    cases += test_matmul_block.drawn(rng, target, 2)
    cases += test_softmax_block.drawn(rng, target, 1)
    cases += test_movement_block.draw(rng, target, 1)
    cases += test_local_response_block.drawn(rng, target, 1)
    cases += test_norm_block.drawn(rng, target, test_norm_block.SOME[1:3])
    cases += test_norm_block.drawn(rng, target, test_norm_block.SOME[:1], statistics=True)
    cases = with_missing(rng, target, cases)
    # A testbench takes as many frames of every input; the last ones hold the ends of formats.
    frames = min(len(codes) for case in cases for codes in case.codes)
    return [replace(case, codes=tuple(codes[-frames:] for codes in case.codes)) for case in cases]


def with_missing(rng: random.Random, target: str, cases: list[Case]) -> list[Case]:
    """More cases of whatever chance has left out; kernels that take float32 words have a test of their own."""
    for _ in range(60):
        missing = set(BLOCKS) - set(TRANSFORMS) - {type(case.kernel) for case in cases}
        if not missing:
            return cases
        more = [
            *test_rescale_block.drawn(rng, target, 1, 1, 0),
            *test_pool_block.drawn(rng, target, 1, 1),
            *test_softmax_block.drawn(rng, target, 1),
            *test_movement_block.draw(rng, target, 1),
            *test_norm_block.drawn(rng, target, test_norm_block.SOME[::2], statistics=True),
        ]
        cases += [case for case in {type(case.kernel): case for case in more}.values() if type(case.kernel) in missing]
    raise AssertionError(f"no case of {missing}")


@needs_gxx
@pytest.mark.parametrize("target", ["vitis", "catapult"])
def test_a_few_of_every_kernel(target: str, tmp_path: Path) -> None:
    cases = draw_all(random.Random(f"every kernel {target}"), target)
    emission.check(
        cases, target, tmp_path, choices=Choices.make(target, parallelism=CHOICES, weights=PORTS), reach=False
    )
    check_sources(tmp_path, target)


def test_every_kernel_is_drawn() -> None:
    """A kernel that becomes hardware and is not among the cases is one that nobody has compared."""
    rng = random.Random("all kernels")
    cases = [*draw_all(rng, "catapult"), *test_transform_block.drawn(rng, "catapult", test_transform_block.TEXTS)]
    assert {type(case.kernel) for case in cases} == set(BLOCKS)


def check_sources(folder: Path, target: str) -> None:
    """No floating point, heap, recursion, unbounded loop, state, division or container in what is synthesized."""
    root = folder / target / "src"
    headers = emission.find_headers(emission.DIALECTS[target])
    found = static_check(sorted(root.glob("*.cpp")), include=[root, folder / "sim"], system=[headers])
    assert not found, "\n".join(map(str, found))
