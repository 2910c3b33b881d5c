"""Costs are plain data that adds up; FPGA resources of single operations are those of published tables."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fxnorm.cost.resources import Resources, adder, comparator, layer, memory, multiplier, shifter, units
from fxnorm.cost.work import Cost, Work, add, compare, multiply, shift, total

BITS = st.integers(1, 70)
STEPS = st.one_of(
    st.builds(multiply, BITS, BITS),
    st.builds(add, BITS, st.integers(0, 3)),
    st.builds(compare, BITS, st.integers(0, 3)),
    st.builds(shift, BITS, st.integers(0, 9)),
)
WORKS = st.lists(STEPS, max_size=6).map(total)
COSTS = st.builds(
    Cost, WORKS, *(st.integers(0, 99),) * 3, st.dictionaries(st.integers(1, 5), st.integers(1, 3), max_size=2)
)


@given(st.lists(st.tuples(st.sampled_from("masc"), BITS, BITS), max_size=12))
def test_work_counts_what_was_put_in(steps: list[tuple[str, int, int]]) -> None:
    made: dict[str, Callable[[int, int], Work]] = {
        "m": multiply,
        "a": lambda a, b: add(a),
        "s": shift,
        "c": lambda a, b: compare(a),
    }
    work = total(made[kind](a, b) for kind, a, b in steps)
    assert work.multipliers == Counter((max(a, b), min(a, b)) for kind, a, b in steps if kind == "m")
    assert work.adders == Counter(a for kind, a, _ in steps if kind == "a")
    assert work.comparators == Counter(a for kind, a, _ in steps if kind == "c")
    assert work.shifters == Counter((a, b) for kind, a, b in steps if kind == "s")
    assert work.multiplications == sum(kind == "m" for kind, _, _ in steps)
    assert work.multiplier_area == sum(a * b for kind, a, b in steps if kind == "m")
    assert work.additions == sum(kind == "a" for kind, _, _ in steps)


@given(COSTS, COSTS, st.integers(0, 5))
def test_costs_add_up(one: Cost, two: Cost, times: int) -> None:
    assert one + two == two + one
    assert one + Cost() == one
    assert (one + two).multiplier_area == one.multiplier_area + two.multiplier_area
    assert (one + two).weight_bits == one.weight_bits + two.weight_bits
    repeated = Cost()
    for _ in range(times):
        repeated += one
    assert one * times == repeated
    assert json.loads(json.dumps(one.record()))["multiplier_area"] == one.multiplier_area


@given(WORKS, WORKS)
def test_units_of_work_add_up(one: Work, two: Work) -> None:
    assert units(one + two) == units(one) + units(two)


@pytest.mark.parametrize(
    ("a", "b", "wanted"),
    [
        # (2·⌈(a + b)/6⌉ - 1)·(a + b) LUTs
        (8, 8, Resources(lut=5 * 16)),
        (8, 4, Resources(lut=3 * 12)),
        (10, 10, Resources(lut=7 * 20)),
        (2, 1, Resources(lut=3)),
        # one DSP holds 27×18, either way round
        (11, 8, Resources(dsp=1)),
        (27, 18, Resources(dsp=1)),
        (18, 27, Resources(dsp=1)),
        (28, 18, Resources(dsp=2)),
        (19, 19, Resources(dsp=2)),
        (32, 32, Resources(dsp=4)),
        (54, 36, Resources(dsp=4)),
        (64, 17, Resources(dsp=3)),
    ],
)
def test_multipliers(a: int, b: int, wanted: Resources) -> None:
    assert multiplier(a, b) == multiplier(b, a) == wanted


@given(BITS, BITS)
def test_wider_multipliers_never_cost_less(a: int, b: int) -> None:
    """Beyond the step from LUTs to DSPs."""
    one, two = multiplier(a, b), multiplier(a + 1, b)
    assert two.dsp >= one.dsp
    assert two.dsp > 0 or two.lut >= one.lut
    if one.dsp:
        # DSPs hold all partial products.
        assert one.dsp * 27 * 18 >= a * b


@pytest.mark.parametrize(
    ("words", "bits", "wanted"),
    [
        (0, 8, Resources()),
        (64, 8, Resources(lut=8)),
        (65, 8, Resources(bram18=1)),
        (2048, 9, Resources(bram18=1)),
        (2049, 9, Resources(bram18=2)),
        (1024, 18, Resources(bram18=1)),
        (1025, 18, Resources(bram18=2)),
        (512, 36, Resources(bram18=1)),
        (512, 37, Resources(bram18=2)),
        (16384, 1, Resources(bram18=1)),
        (8192, 2, Resources(bram18=1)),
        (4096, 4, Resources(bram18=1)),
        (5000, 8, Resources(bram18=3)),  # three of 2048×9, where 4096×4 would take four
        (512, 2048, Resources(bram18=57)),
    ],
)
def test_memories(words: int, bits: int, wanted: Resources) -> None:
    assert memory(words, bits) == wanted


def finn_bram18(words: int, bits: int) -> int:
    """What FINN estimates for the weights of a layer (MVAU.bram_estimation, after FINN-R)."""
    if bits == 1:
        return math.ceil(words / 16384)
    if bits == 2:
        return math.ceil(words / 8192)
    if bits <= 4:
        return math.ceil(words / 4096) * math.ceil(bits / 4)
    if bits <= 9:
        return math.ceil(words / 2048) * math.ceil(bits / 9)
    if bits <= 18 or words > 512:
        return math.ceil(words / 1024) * math.ceil(bits / 18)
    return math.ceil(words / 512) * math.ceil(bits / 36)


@given(st.integers(65, 40000), st.integers(1, 300))
def test_memories_lie_between_their_bits_and_a_second_opinion(words: int, bits: int) -> None:
    found = memory(words, bits).bram18
    assert math.ceil(words * bits / 18432) <= found <= finn_bram18(words, bits)


def test_other_units() -> None:
    assert adder(20) == Resources(lut=20)
    assert comparator(9) == Resources(lut=5 + 9)
    # 8 places: three levels of 2:1, two of 4:1
    assert shifter(10, 7) == Resources(lut=20)
    assert shifter(10, 8) == Resources(lut=20)
    assert shifter(10, 3) == Resources(lut=10)
    assert layer(Resources(dsp=2, lut=105, bram18=3)) == Resources(dsp=2, lut=300 + 116, bram18=3)
