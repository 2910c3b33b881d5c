"""Accumulators obeyed at every addition, proven output by output: the codes and counts of the kernel's own step-by-step run."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles.drawing import codes, formats, near, reals, seeds, top
from oracles.fast_forms import agrees
from test_fast_kernels import affine, planes

from fxnorm.fixed.format import Format, Overflow, Rounding
from fxnorm.kernels.encoding import Encoding
from fxnorm.kernels.kernel import Policy
from fxnorm.kernels.linear import LinearOperation
from fxnorm.runtime import replayed
from fxnorm.runtime.byte_products import exact_here

needs_bytes = pytest.mark.skipif(not exact_here(), reason="this processor has no exact dot products of bytes")
MODES = ["sat", "sat", "sat_sym", "wrap"]


def narrowed(operation, x, y, weights, bits, mode):
    """The kernel with an accumulator so many bits narrower than the narrowest that cannot overflow."""
    policy = Policy(y.format, weights, normalize="none")
    widest = operation.decide([x], y, policy).accumulator
    narrow = replace(
        widest, width=max(2, widest.width - bits), integer_bits=widest.integer_bits - min(bits, widest.width - 2)
    )
    narrow = replace(narrow, rounding=Rounding.TRN, overflow=Overflow(mode))
    return operation.decide([x], y, replace(policy, accumulator=narrow))


@needs_bytes
@pytest.mark.parametrize("alone", [0, 2, 8, 10**6])
@pytest.mark.parametrize("convolution", [False, True])
def test_proofs_and_replays_change_nothing(convolution, alone, monkeypatch):
    """Whether outputs are replayed one by one, in rows, or as it comes."""
    monkeypatch.setattr(replayed, "ALONE", alone)
    seen = Counter()

    @given(st.data())
    @settings(max_examples=70)
    def drawn(data):
        draw = data.draw
        x = draw(affine(Encoding(draw(formats(2, 8)), draw(st.integers(-2, 2)))))
        channels = draw(st.sampled_from([1, 3, 17]))
        if convolution:
            window, spatial = draw(planes())
            if any((*window.pads_begin, *window.pads_end)) and not x.format.lowest_code <= x.zero <= x.format.max_code:
                return
            inputs = draw(st.sampled_from([1, 2, 5]))
            weights = draw(reals((channels, inputs, *window.kernel)))
            operation = LinearOperation(weights, draw(reals((channels,), 6)), window)
            shape = (2, 1, inputs, *spatial)
        else:
            taps = draw(st.sampled_from([1, 3, 16, 70]))
            operation = LinearOperation(draw(reals((channels, taps))), draw(reals((channels,), 6)))
            shape = (3, 2, taps)
        y = draw(affine(near(draw, top(x) + 2, draw(formats(3, 12)))))
        kernel = narrowed(operation, x, y, draw(formats(2, 8)), draw(st.integers(1, 4)), draw(st.sampled_from(MODES)))
        given_codes = [draw(codes(x.format, shape))]
        found, usage = agrees(kernel, given_codes, [x.format], y.format)
        seen["cases"] += 1
        seen["bytes"] += "bytes" in found and not kernel.exact
        seen["overflowing"] += "bytes" in found and usage.accumulator_overflow > 0
        seen["proven"] += "bytes" in found and usage.accumulator_overflow == 0

    drawn()
    assert min(seen[name] for name in ("bytes", "overflowing", "proven")) >= 5, seen


@needs_bytes
def test_only_what_is_not_proven_is_replayed(monkeypatch):
    """One channel of two can overflow, and only for some rows: the others never enter a loop."""
    asked = []
    plain = replayed.settle_rows.py_func

    def watched(rows, offset, order, weights, start, sums, ends, alone):
        before = sums[0].copy()
        count = plain(rows, offset, order, weights, start, sums, ends, alone)
        asked.append((before != sums[0]).any(axis=1))
        return count

    monkeypatch.setattr(replayed, "settle_rows", watched)
    x = Encoding(Format.parse("q5.3"))
    weights = np.zeros((2, 16))
    weights[0], weights[1, 0] = 3.0, 1.0
    operation = LinearOperation(weights, np.zeros(2))
    policy = Policy(x.format, x.format, Format.parse("q6.6:trn,sat"), normalize="none")
    kernel = operation.decide([x], Encoding(Format.parse("q5.3"), 4), policy)
    rows = np.zeros((4, 1, 16), np.int64)
    rows[1, 0, 0] = 127
    rows[2], rows[3] = 127, -128
    found, usage = agrees(kernel, [rows], [x.format], Format.parse("q5.3"))
    assert "bytes" in found
    assert usage.accumulator_overflow > 0
    assert asked
    assert all(changed.tolist() == [False, True, True, True] for changed in asked)


@needs_bytes
@settings(max_examples=40)
@given(seeds, st.sampled_from(MODES), st.integers(1, 90))
def test_largest_operands(seed, mode, taps):
    """-128 by -128, as far as they go: weights whose magnitude takes a second byte."""
    rng = np.random.default_rng(seed)
    x = Encoding(Format(8, 8, bool(rng.integers(2))))
    weights = rng.choice([-128.0, 127.0], (3, taps))
    operation = LinearOperation(weights, rng.integers(-200, 200, 3).astype(float))
    y = Encoding(Format.parse("q8.0"), 8)
    kernel = narrowed(operation, x, y, Format(8, 8), int(rng.integers(1, 5)), mode)
    given_codes = rng.choice([x.format.min_code, x.format.max_code], (5, 1, taps))
    found, _ = agrees(kernel, [given_codes], [x.format], y.format)
    assert "bytes" in found


@pytest.mark.parametrize(
    ("accumulator", "weights", "data"),
    [
        ("q6.6:trn,sat_zero", "q5.3", "q5.3"),
        ("q6.5:trn,sat", "q5.3", "q5.3"),
        ("q6.6:trn,sat", "q5.8", "q5.3"),
        ("q6.11:trn,sat", "q5.3", "q5.8"),
        ("q30.6:trn,sat", "q5.3", "q5.3"),
    ],
)
def test_what_runs_as_it_is_defined(accumulator, weights, data):
    """Zeroing, rounding and wide accumulators, and operands of more than a byte."""
    x = Encoding(Format.parse(data))
    policy = Policy(x.format, Format.parse(weights), Format.parse(accumulator, max_width=64), normalize="none")
    kernel = LinearOperation(np.full((2, 4), 3.3), np.zeros(2)).decide([x], x, policy)
    assert replayed.replayed(replace(kernel, exact=False), x.format) is None
