"""Worst cases of sums of products against all inputs there are, tried one by one in Python integers."""

from __future__ import annotations

from collections import Counter
from itertools import permutations, product

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles.codes import fitted, power, rounded
from oracles.drawing import overflows, roundings

from fxnorm.engine.replay import Accumulator
from fxnorm.fixed.format import Format, Overflow
from fxnorm.proofs.sums import Factors, extremes, finals, in_any_order, in_order, overflowing

TWO = st.tuples(st.integers(-6, 6), st.integers(0, 2)).map(lambda pair: [pair[0], sum(pair)])


@st.composite
def sums_of_products(draw):
    """One sum of up to three products, its start, and the values of each factor."""
    k = draw(st.integers(1, 3))
    constant = draw(st.booleans())
    a = [[draw(st.integers(-6, 6))] * 2 if constant else draw(TWO) for _ in range(k)]
    b = [draw(TWO) for _ in range(k)]
    start = draw(st.integers(-20, 20))
    low, high = (np.array([[ends[i] for ends in a]]) for i in (0, 1))
    factors = Factors(
        (low,) if constant else (low, high),
        tuple(np.array([[ends[i] for ends in b]]) for i in (0, 1)),
        np.array([start]),
    )
    values = [[(x, y) for x in range(p[0], p[1] + 1) for y in range(q[0], q[1] + 1)] for p, q in zip(a, b, strict=True)]
    return factors, start, values


@st.composite
def accumulators(draw):
    """An accumulator of few bits, often coarser than its products, and sometimes a format of the products."""
    bits = draw(st.integers(0, 3))
    width = draw(st.integers(4, 9))
    format_ = Format(width, width - bits + draw(st.integers(-1, 2)), True, draw(roundings), draw(overflows))
    if draw(st.booleans()):
        return Accumulator(format_, bits)
    size = draw(st.integers(3, 7))
    return Accumulator(
        format_, bits, Format(size, size - bits + draw(st.integers(-1, 1)), True, draw(roundings), draw(overflows))
    )


def addend(pair, steps):
    """A product as it is added: a fraction in the accumulator's steps."""
    value = pair[0] * pair[1] * power(-steps.product_bits)
    if steps.product is not None:
        code, _ = fitted(rounded(value * power(steps.product.fraction_bits), steps.product.rounding), steps.product)
        value = code * power(-steps.product.fraction_bits)
    return value * power(steps.format.fraction_bits)


def prefixes(start, pairs, steps, clamp=False):
    """Totals after every addition, of an accumulator without ends, or of one that saturates."""
    total, found = start, []
    for pair in pairs:
        total = rounded(total + addend(pair, steps), steps.format.rounding)
        if clamp:
            total = max(steps.format.lowest_code, min(steps.format.max_code, total))
        found.append(total)
    return found


def ends(reach):
    assert len(reach.low) == len(reach.high) == 1
    return int(reach.low[0]), int(reach.high[0])


@given(sums_of_products())
@settings(max_examples=60)
def test_exact_sums_reach_exactly_these_ends(case):
    factors, start, values = case
    inputs = [[a * b for a, b in pairs] for pairs in product(*values)]
    ordered = [
        total for terms in inputs for total in [start, *(start + sum(terms[: i + 1]) for i in range(len(terms)))]
    ]
    assert ends(in_order(factors)) == (min(ordered), max(ordered))
    complete = [start + sum(terms) for terms in inputs]
    assert ends(finals(factors)) == (min(complete), max(complete))
    mixed = [start + sum(order[:i]) for terms in inputs for order in permutations(terms) for i in range(len(terms) + 1)]
    assert ends(in_any_order(factors)) == (min(mixed), max(mixed))


def test_quantized_sums_reach_exactly_these_ends():
    seen = Counter()

    @given(sums_of_products(), accumulators())
    @settings(max_examples=150)
    def check(case, steps):
        factors, start, values = case
        format_ = steps.format
        inputs = list(product(*values))
        ordered = [prefixes(start, pairs, steps) for pairs in inputs]
        everything = [total for totals in ordered for total in (start, *totals)]
        assert ends(in_order(factors, steps)) == (min(everything), max(everything))
        low, high = ends(in_any_order(factors, steps))
        for pairs in inputs[:: max(1, len(inputs) // 40)]:
            for order in permutations(pairs):
                totals = prefixes(start, order, steps)
                assert low <= min(totals)
                assert max(totals) <= high
        assert ends(finals(factors, steps)) == (min(t[-1] for t in ordered), max(t[-1] for t in ordered))
        inside, _ = fitted(start, format_)
        if format_.overflow in (Overflow.SAT, Overflow.SAT_SYM) and inside == start:
            clamped = [prefixes(start, pairs, steps, clamp=True)[-1] for pairs in inputs]
            assert ends(finals(factors, steps, clamp=True)) == (min(clamped), max(clamped))
            seen["clamped"] += 1
        if inside != start:
            return
        first = [
            next((i for i, total in enumerate(totals) if not format_.lowest_code <= total <= format_.max_code), None)
            for totals in ordered
        ]
        earliest = min((step for step in first if step is not None), default=None)
        found = overflowing(factors, steps)
        assert (None if found is None else found.step) == earliest
        seen["fits" if found is None else "overflows"] += 1
        seen["product"] += steps.product is not None
        if found is not None:
            pairs = list(zip(found.a.tolist(), found.b.tolist(), strict=True))
            assert all(pair in choices for pair, choices in zip(pairs, values, strict=True))
            totals = prefixes(start, pairs, steps)
            assert totals[found.step] == found.total
            assert all(format_.lowest_code <= total <= format_.max_code for total in totals[: found.step])

    check()
    assert min(seen.values()) >= 20, seen


def test_products_that_wrap_are_tried_or_said_to_be_unknown():
    """A product format that wraps does not keep the order of numbers: its largest product is somewhere inside."""
    steps = Accumulator(Format(8, 8), 0, Format(4, 4, overflow=Overflow.WRAP))
    found = extremes(Factors((np.array([[3]]),), (np.array([[0]]), np.array([[4]])), np.zeros(1, np.int64)), steps)
    assert (found.low[0, 0], found.high[0, 0]) == (-7, 6)  # 0, 3, 6, 9 → -7, 12 → -4
    assert found.at_high is not None
    assert (found.at_high[0][0, 0], found.at_high[1][0, 0]) == (3, 2)
    wide = Factors((np.array([[3]]),), (np.array([[0]]), np.array([[1 << 30]])), np.zeros(1, np.int64))
    unknown = extremes(wide, steps)
    assert (unknown.low[0, 0], unknown.high[0, 0], unknown.at_low, unknown.at_high) == (-8, 7, None, None)
    assert overflowing(wide, Accumulator(Format(2, 2), 0, steps.product)) is None


@given(st.integers(20, 33), st.integers(20, 33), st.integers(1, 40), st.data())
@settings(max_examples=40)
def test_sums_beyond_64_bits(a_bits, b_bits, k, data):
    rng = np.random.default_rng(data.draw(st.integers(0, 2**31)))
    weights = rng.integers(-(1 << (a_bits - 1)), 1 << (a_bits - 1), (2, k))
    low = -rng.integers(0, 1 << (b_bits - 1), (1, k))
    high = rng.integers(0, 1 << (b_bits - 1), (1, k))
    start = rng.integers(-(1 << 60), 1 << 60, 2)
    reach = finals(Factors((weights,), (low, high), start))
    for row in range(2):
        terms = [(int(w) * int(x), int(w) * int(y)) for w, x, y in zip(weights[row], low[0], high[0], strict=True)]
        assert reach.low[row] == int(start[row]) + sum(min(pair) for pair in terms)
        assert reach.high[row] == int(start[row]) + sum(max(pair) for pair in terms)
