"""Softmax, its logarithm and normalizations in compiled loops: the codes and counts of the kernel's own integers."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles.drawing import codes, decided, encodings, formats, reals, seeds
from oracles.fast_forms import agrees, counted

from fxnorm.fixed.format import Format, Overflow, Rounding
from fxnorm.kernels.encoding import Encoding
from fxnorm.kernels.kernel import NormPolicy, Policy
from fxnorm.kernels.mask import RealMask
from fxnorm.kernels.norm import FORMS, NormOperation
from fxnorm.kernels.softmax import SoftmaxOperation
from fxnorm.kernels.stage import Tally
from fxnorm.runtime import groups, integer_stage

WIDTHS = st.sampled_from([4, 8, 8, 12, 16, 16])


def outcome(seen, kernel, given_codes, inputs, output):
    """Compare, and note which forms there were and how much overflowed."""
    found, usage = agrees(kernel, given_codes, inputs, output)
    seen.update(found)
    seen["cases"] += 1
    seen["overflowing"] += usage.overflow > 0


@pytest.mark.parametrize("log", [False, True], ids=["softmax", "log_softmax"])
def test_softmax(log):
    seen = Counter()

    @given(st.data())
    @settings(max_examples=60 if log else 100)
    def drawn(data):
        draw = data.draw
        shape, axis = draw(
            st.sampled_from([((5,), 0), ((1, 4), 1), ((3, 2), 0), ((1,), 0), ((2, 3, 2), 1), ((2, 150), 1)])
        )
        width = draw(WIDTHS)
        x = draw(encodings(max(2, width - 1), width))
        format_ = draw(formats(3, 8 if log else draw(WIDTHS)))
        y = Encoding(format_, draw(st.integers(-3, 2)) - format_.integer_bits + (4 if log else 0))
        mask = None
        if draw(st.integers(0, 2)) == 0:
            bias = draw(reals(shape))
            hidden = np.random.default_rng(draw(seeds)).random(shape) < 0.2
            hidden[tuple(0 if place == axis else slice(None) for place in range(len(shape)))] = False
            bias = np.where(hidden, -np.inf, bias) if draw(st.booleans()) else bias
            mask = RealMask(None, bias)
        operation = SoftmaxOperation(axis, shape[axis], log, mask)
        kernel = decided(operation, [x], y, Policy(format_, Format(8, 4)))
        if kernel is None:
            return
        outcome(seen, kernel, [draw(codes(x.format, (2, *shape)))], [x.format], y.format)
        seen["masked"] += mask is not None

    drawn()
    assert seen["groups"] >= 0.5 * seen["cases"] >= 25, seen
    assert seen["overflowing"] >= 10, seen
    assert seen["masked"] >= 10, seen


LAYOUTS = [
    ((7,), (0,)),
    ((1,), (0,)),
    ((2, 3), (1,)),
    ((3, 2), (0,)),
    ((2, 2, 3), (1, 2)),
    ((2, 3, 2), (0, 2)),
    ((48,), (0,)),
    ((300,), (0,)),
]


@pytest.mark.parametrize("word", [61, 38])
def test_normalizations(word, monkeypatch):
    """With words of fewer bits, most products are taken in two parts."""
    monkeypatch.setattr(groups, "WORD_BITS", word)
    seen = Counter()

    @given(st.data())
    @settings(max_examples=100)
    def drawn(data):
        draw = data.draw
        layout, axes = draw(st.sampled_from(LAYOUTS))
        width = draw(WIDTHS)
        x = draw(encodings(max(2, width - 1), width))
        form = draw(st.sampled_from(FORMS))
        scale, bias = (
            draw(reals(tuple(n if draw(st.booleans()) else 1 for n in layout))) if draw(st.booleans()) else None
            for _ in range(2)
        )
        clip = draw(st.sampled_from([(None, None), (None, None), (0.0, None), (-0.5, 0.75)]))
        epsilon = draw(st.sampled_from([0.0, 1e-12, 1e-5, 0.37]))
        operation = NormOperation(layout, axes, form, epsilon, scale=scale, bias=bias, low=clip[0], high=clip[1])
        format_ = draw(formats(3, draw(WIDTHS)))
        top = 0 if scale is None else int(np.frexp(np.abs(scale).max())[1])
        y = Encoding(format_, top + draw(st.integers(-2, 3)) - format_.integer_bits)
        if draw(st.integers(0, 3)) == 0 and form == "variance":
            x = replace(x, factor=draw(st.floats(1.0, 1.99)), zero=draw(st.integers(-300, 300)))
            y = replace(y, factor=draw(st.floats(1.0, 1.99)), zero=draw(st.integers(-300, 300)))
        policy = Policy(
            format_, draw(formats(3, 16)), norm=NormPolicy(draw(st.sampled_from(["exact"] * 5 + ["two_pass"])))
        )
        kernel = decided(operation, [x], y, policy)
        if kernel is None:
            return
        rows = draw(codes(x.format, (2, draw(st.integers(1, 2)), *layout)))
        if draw(st.booleans()):
            rows[0] = rows[0].flat[0]  # nothing deviates
        outcome(seen, kernel, [rows], [x.format], y.format)
        bits = kernel.product.factor_bound.bit_length() + kernel.product.mantissa_bound.bit_length()
        seen["two parts"] += word < bits <= 61
        seen["sticky"] += kernel.product.sticky

    drawn()
    assert seen["groups"] >= 0.5 * seen["cases"] >= 40, seen
    assert min(seen["overflowing"], seen["sticky"]) >= 20, seen
    assert word == 61 or seen["two parts"] >= 20, seen


@pytest.mark.parametrize("rounding", [Rounding.RND, Rounding.RND_CONV])
@pytest.mark.parametrize("width", [8, 16])
def test_a_layer_normalization_of_the_usual_size(width, rounding):
    """Groups of 384, some longer than a block, codes everywhere in the format."""
    rng = np.random.default_rng(0)
    format_ = Format(width, width // 2, True, rounding, Overflow.SAT)
    scale, bias = rng.uniform(0.5, 2.0, 384), rng.normal(0, 1, 384)
    kernel = NormOperation((384,), (0,), "variance", 1e-5, scale=scale, bias=bias).decide(
        [Encoding(format_)], Encoding(format_), Policy(format_, format_)
    )
    x = np.clip(np.rint(rng.normal(3, 1, (20, 384)) * 2 ** (width // 2 - 1)), format_.min_code, format_.max_code)
    fast, wanted = Tally(), Tally()
    codes_ = kernel.run([x.astype(np.int64)], wanted)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(integer_stage, "BLOCK", 100)
        got = groups.compiled(kernel)([x.astype(np.int64)], fast)
    bits = kernel.product.factor_bound.bit_length() + kernel.product.mantissa_bound.bit_length()
    assert (bits > 61) == (width == 16)  # the product in two parts, and in one
    assert np.array_equal(got, codes_)
    assert counted(got, fast, format_) == counted(codes_, wanted, format_)
    assert len(np.unique(codes_)) > 40


def test_what_64_bits_do_not_hold_has_no_compiled_form():
    wide = Format(24, 4)
    kernel = SoftmaxOperation(0, 5, False).decide([Encoding(wide)], Encoding(wide, -4), Policy(wide, wide))
    assert groups.compiled(kernel) is None
    format_ = Format(32, 8)
    kernel = NormOperation((5,), (0,), "variance", 1e-5).decide(
        [Encoding(format_)], Encoding(Format(16, 4)), Policy(format_, format_)
    )
    assert groups.compiled(kernel) is None or kernel.product.factor_bound < 1 << 61
    given_scale = NormOperation((5,), (0,), "variance", 1e-5, scale_shape=(5,))
    narrow = Encoding(Format(8, 4))
    kernel = given_scale.decide([narrow, narrow], narrow, Policy(narrow.format, narrow.format))
    assert groups.compiled(kernel) is None
