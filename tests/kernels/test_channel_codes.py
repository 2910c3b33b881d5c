"""Codes of a constant that are kept for the next plan are the codes that it would get anew."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from fxnorm.fixed.format import Format
from fxnorm.kernels.encoding import ChannelCodes, encode_channels

FORMATS = st.builds(Format, st.integers(2, 10), st.integers(-3, 6), st.booleans())
ASKED = st.tuples(FORMATS, st.sampled_from(["none", "pow2"]), st.none() | st.integers(-12, 4))


@given(st.lists(ASKED, min_size=1, max_size=12), st.integers(0, 5))
def test_whatever_was_asked_before(asked: list[tuple[Format, str, int | None]], seed: int) -> None:
    weights = np.random.default_rng(seed).normal(size=(3, 4)).astype(np.float32) * np.array(
        [[0.1], [3.0], [0.0]], np.float32
    )
    kept = ChannelCodes()
    for format_, normalize, floor in asked:
        floors = None if floor is None else np.full(3, floor)
        codes, exponents = kept.encode(weights, format_, normalize, floors)
        wanted, wanted_exponents = encode_channels(weights, format_, normalize, floors)
        assert np.array_equal(codes, wanted)
        assert codes.dtype == wanted.dtype
        assert np.array_equal(exponents, wanted_exponents)
        assert len(kept.found) <= kept.kept
