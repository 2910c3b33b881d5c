"""The compiled rescale stage against the one that defines it: every mode, either word length, every count."""

from __future__ import annotations

from fractions import Fraction
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles.codes import OVERFLOWS, ROUNDINGS, fitted, rounded
from oracles.drawing import formats, seeds

from fxnorm.fixed.format import Format, Overflow, Rounding
from fxnorm.kernels.stage import Rescale, Tally
from fxnorm.runtime import integer_stage
from fxnorm.runtime.integer_stage import IntegerStage, comparable, does_nothing, tie_constants

MODES = [(Rounding(r), Overflow(o)) for r, o in product(ROUNDINGS, OVERFLOWS)]


def check(stage, acc, bound, channels=1, **constants):
    """Compare codes and counts; returns how many overflowed, None where there is no compiled form."""
    made = IntegerStage.of(stage, bound, channels, **constants)
    if made is None:
        return None
    scale, offset = (
        np.asarray(constants.get(name, default), object) for name, default in (("scale", 1), ("offset", 0))
    )
    exact, tally = Tally(), Tally()
    wanted = stage.run(acc.astype(object) * scale + offset, exact).astype(np.int64)
    got = made.finish(np.ascontiguousarray(acc), tally)
    assert np.array_equal(got, wanted)
    assert tally.overflow == exact.overflow
    lowest, highest = stage.output.lowest_code, stage.output.max_code
    assert tally.extent == (wanted.min(), wanted.max())
    assert tally.ends == (np.count_nonzero(wanted <= lowest), np.count_nonzero(wanted >= highest))
    return exact.overflow


@pytest.mark.parametrize("right", [0, 1, 2, 5])
@pytest.mark.parametrize("rounding", ROUNDINGS)
def test_ties_are_broken_as_the_mode_says(rounding, right):
    below, above, odd = tie_constants(Rounding(rounding), right)
    for v in range(-(1 << right + 3), (1 << right + 3) + 1):
        constant = (below if v < 0 else above) + ((v >> right) & 1) * odd
        assert (v + constant) >> right == rounded(Fraction(v, 1 << right), rounding), v


@pytest.mark.parametrize(("rounding", "overflow"), MODES)
@pytest.mark.parametrize("width", [5, 8, 16])
def test_every_pair_of_modes(rounding, overflow, width):
    """All accumulators around every end and tie of a small range, in 32 and in 64 bits."""
    lost = 0
    for signed, shift, zero in product((True, False), (-2, 0, 3), (0, 5)):
        stage = Rescale(Format(width, width, signed, rounding, overflow), shift, low=-40000, high=30000, zero=zero)
        around = [
            -(1 << 17),
            -40000 << 3,
            -(1 << width + 3),
            -(1 << width - 1 + 3),
            0,
            1 << width + 2,
            1 << width + 3,
            240000,
        ]
        acc = np.concatenate([np.arange(place - 40, place + 41) for place in around])
        for bound in (1 << 20, 1 << 45):
            found = check(stage, acc, bound)
            # No type of 16 bits holds the codes of an unsigned format of as many.
            assert (found is None) == (width == 16 and not signed)
            lost += found or 0
    assert lost > 100


def test_drawn_stages():
    seen = {"compiled": 0, "int32": 0, "int64": 0, "overflow": 0, "channels": 0, "multipliers": 0, "refused": 0}

    @given(formats(2, 16), st.integers(1, 70), st.data())
    @settings(max_examples=250)
    def drawn(output, channels, data):
        rng = np.random.default_rng(data.draw(seeds))
        bits = data.draw(st.integers(4, 50))
        shifts = rng.integers(
            *sorted(data.draw(st.tuples(st.integers(-6, 30), st.integers(-6, 30)))), channels, endpoint=True
        )
        clip = data.draw(st.sampled_from([(None, None), (0, None), (-7, 90), (None, 10**40), (-(10**40), 5)]))
        stage = Rescale(
            output,
            shifts if data.draw(st.booleans()) else int(shifts[0]),
            low=clip[0],
            high=clip[1],
            bound=1 << bits + 20,
            multiplier=data.draw(st.sampled_from([1, 1, 1, 1, 3, 40_001, rng.integers(1, 1 << 16, channels)])),
            zero=data.draw(st.sampled_from([0, 0, -3, 1000])),
            origin=data.draw(st.sampled_from([0, 0, 17])),
        )
        acc = rng.integers(-(1 << bits), 1 << bits, (data.draw(st.integers(1, 40)), channels), endpoint=True)
        # Most of it near where the output's range ends.
        near = rng.integers(-4, 5, acc.shape) + (
            np.sign(acc) << np.minimum(shifts + output.width - 1, bits - 1).clip(0)
        )
        acc = np.where(rng.random(acc.shape) < 0.4, np.clip(near, -(1 << bits), 1 << bits), acc)
        constants = {}
        if data.draw(st.booleans()):
            constants = {"scale": rng.integers(-9, 10, channels), "offset": rng.integers(-500, 500, channels)}
        if bits < 31 and data.draw(st.booleans()):
            acc = acc.astype(np.int32)
        lost = check(stage, acc, 1 << bits, channels, **constants)
        seen["refused"] += lost is None
        if lost is None:
            return
        made = IntegerStage.of(stage, 1 << bits, channels, **constants)
        seen["compiled"] += 1
        seen[made.stage.right.dtype.name] += 1
        seen["overflow"] += lost > 0
        seen["channels"] += np.ptp(shifts) > 0
        seen["multipliers"] += np.ptp(stage.multiplier) > 0

    drawn()
    assert min(seen["int32"], seen["int64"], seen["overflow"], seen["channels"]) >= 30, seen
    assert seen["multipliers"] >= 10, seen
    assert seen["refused"] <= 100, seen


@pytest.mark.parametrize("block", [1, 3, 64])
def test_blocks_change_nothing(monkeypatch, block):
    rng = np.random.default_rng(0)
    acc = rng.integers(-3000, 3000, (11, 7))
    stage = Rescale(Format(8, 5, True, Rounding.RND_CONV, Overflow.SAT), np.arange(7))
    wanted = IntegerStage.of(stage, 3000, 7).finish(acc, Tally())
    monkeypatch.setattr(integer_stage, "BLOCK", block)
    tally = Tally()
    assert np.array_equal(IntegerStage.of(stage, 3000, 7).finish(acc, tally), wanted)
    assert check(stage, acc, 3000, 7) > 0


def test_what_the_loops_do_not_know_is_refused():
    output = Format(8, 5, True, Rounding.RND, Overflow.SAT)
    assert IntegerStage.of(Rescale(output, 3), 1 << 40) is not None
    assert IntegerStage.of(Rescale(output, 3), 1 << 62) is None
    assert IntegerStage.of(Rescale(output, 3, multiplier=1 << 30), 1 << 40) is None
    assert IntegerStage.of(Rescale(output, 70), 1 << 40) is None
    assert IntegerStage.of(Rescale(output, 3, divisor=5), 100) is None
    assert IntegerStage.of(Rescale(output, 3, low=1 << 62), 100) is None
    assert IntegerStage.of(Rescale(Format(17, 9), 3), 100) is None
    assert not comparable(Rescale(output, divisor=2))
    assert comparable(Rescale(output, np.arange(3), low=0, high=5, multiplier=3, zero=1, origin=2))
    assert does_nothing(Rescale(output))
    assert does_nothing(Rescale(output, np.zeros(3, np.int64)))
    assert not any(
        map(
            does_nothing,
            (Rescale(output, 1), Rescale(output, low=0), Rescale(output, zero=1), Rescale(output, origin=1)),
        )
    )


@pytest.mark.parametrize("places", [(1, 0, 0, 0), (256, 0, 1, 0), (256, 1, 0, 0), (65536, 256, 256, 1)])
def test_limbs_are_put_together(places):
    """Sums of one to four parts, each reaching as far as its limbs do."""
    rng = np.random.default_rng(1)
    of_x, of_w = (2 if places[2] else 1), (2 if places[1] else 1)
    parts = rng.integers(-(1 << 30), 1 << 30, (of_x, 50, of_w, 9)).astype(np.int32)
    whole = sum(
        parts[i if of_x > 1 else 0, :, j if of_w > 1 else 0].astype(object) * place
        for (i, j), place in zip(product((0, 1), (0, 1)), places, strict=True)
    )
    stage = Rescale(Format(12, 6, True, Rounding.RND_CONV, Overflow.SAT), rng.integers(30, 37, 9), bound=1 << 49)
    exact, tally = Tally(), Tally()
    wanted = stage.run(whole, exact)
    out = np.empty((50, 9), np.int16)
    IntegerStage.of(stage, 1 << 49, 9).finish_limbs(parts, places, out, tally)
    assert np.array_equal(out, wanted)
    assert tally.overflow == exact.overflow


def test_codes_of_one_value_by_hand():
    stage = Rescale(Format(4, 2, True, Rounding.RND, Overflow.SAT), 2)
    tally = Tally()
    got = IntegerStage.of(stage, 100).finish(np.array([-100, -30, -29, 0, 1, 2, 29, 30, 100]), tally)
    assert got.tolist() == [-8, -7, -7, 0, 0, 1, 7, 7, 7]
    assert (tally.overflow, tally.ends, tally.extent) == (3, (1, 3), (-8, 7))
    assert [fitted(code, stage.output)[0] for code in (-25, 8, 25)] == [-8, 7, 7]
