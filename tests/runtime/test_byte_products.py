"""Products of bytes: windows as rows against NumPy's views of them, products against integers, at the largest sums that there are."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles.drawing import seeds

from fxnorm.engine import products
from fxnorm.kernels.linear import Window
from fxnorm.runtime import byte_products, columns
from fxnorm.runtime.byte_products import MAX_TAPS, ByteProduct, exact_here
from fxnorm.runtime.columns import Columns

needs_bytes = pytest.mark.skipif(not exact_here(), reason="this processor has no exact dot products of bytes")


def plainly(x, window, limbs, offset, padding):
    """Rows of bytes by way of NumPy's windows: [limbs, outputs, kernel rows · kernel columns · c]."""
    (top, left), (bottom, right) = window.pads_begin, window.pads_end
    widths = ((0, 0), (top, bottom), (left, right), (0, 0))
    u = np.pad(x.astype(np.int64), widths, constant_values=padding) + offset
    view = products.windows(u.transpose(0, 3, 1, 2), window.kernel, window.strides, window.dilations)
    rows = view.transpose(0, 2, 3, 4, 5, 1).reshape(-1, np.prod(window.kernel) * x.shape[3])
    assert rows.min() >= 0
    assert rows.max() < 1 << 8 * limbs
    return np.stack([rows >> 8 * limb & 255 for limb in reversed(range(limbs))])


def test_windows_as_rows():
    seen = {"cases": 0, "pieces": 0, "dilated": 0, "padded": 0, "long": 0}

    @given(st.data())
    @settings(max_examples=150)
    def drawn(data):
        rng = np.random.default_rng(data.draw(seeds))
        pair = st.tuples(st.integers(1, 3), st.integers(1, 3))
        kernel, strides, dilations = data.draw(pair), data.draw(pair), data.draw(pair)
        pads = [data.draw(st.tuples(st.integers(0, 2), st.integers(0, 2))) for _ in range(2)]
        window = Window(kernel, strides, dilations, *pads)
        spatial = [
            max(d * (k - 1) + 1 - a - b, 1) + data.draw(st.integers(0, 4))
            for k, d, a, b in zip(kernel, dilations, *pads, strict=True)
        ]
        channels = data.draw(st.sampled_from([1, 2, 3, 5, 6, 16, 21, 22, 43, 64, 65]))
        limbs = data.draw(st.integers(1, 2))
        width = 8 * limbs if data.draw(st.booleans()) else data.draw(st.integers(8 * limbs - 6, 8 * limbs))
        offset = 1 << width - 1
        dtype = np.int8 if limbs == 1 and data.draw(st.booleans()) else np.int16
        x = rng.integers(-offset, offset, (data.draw(st.integers(1, 3)), *spatial, channels)).astype(dtype)
        padding = int(rng.integers(-offset, offset))
        made = Columns(window, limbs, offset, padding)
        wanted = plainly(x, window, limbs, offset, padding)
        whole = np.empty_like(wanted)
        count = 0
        for place, rows in made.pieces(x):
            assert rows.dtype == np.uint8
            whole[:, place] = rows
            count += 1
        assert np.array_equal(whole, wanted)
        assert wanted.shape[1] == len(x) * np.prod(made.output(*spatial))
        seen["cases"] += 1
        seen["pieces"] += count > 1
        seen["dilated"] += dilations[1] > 1 and kernel[1] > 1
        seen["padded"] += any(map(any, pads))
        seen["long"] += kernel[1] * channels > 64

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(columns, "PIECE", 3000)
        drawn()
    assert min(seen.values()) >= 20, seen


@needs_bytes
@pytest.mark.parametrize("bits", [3, 8, 9, 16])
@pytest.mark.parametrize("taps", [1, 2, 3, 4, 27, 64, 100, 577])
def test_products_are_exact(taps, bits):
    """Random operands, and those whose partial sums reach furthest, for every number of rows and channels that kernels treat apart."""
    rng = np.random.default_rng(taps)
    low, high = -(1 << bits - 1), (1 << bits - 1) - 1
    for channels in (1, 3, 8, 16, 17, 33, 48, 64, 70):
        for weights in (
            rng.integers(low, high, (taps, channels), endpoint=True),
            np.full((taps, channels), low),
            np.full((taps, channels), high),
            rng.choice([low, high], (taps, channels)),
        ):
            product = ByteProduct(weights)
            assert product.limbs == 1 + (max(-weights.min() - 1, weights.max()) > 127)
            for count in (1, 2, 5, 30):
                u = rng.integers(0, 255, (2, count, taps), np.uint8, endpoint=True)
                # The largest and the smallest sum of some channel, pair by pair, and all ones.
                u[0, 0] = 255 * (weights[:, 0] > 0)
                u[1, 0] = 255 * (weights[:, 0] < 0)
                u[0, -1] = 255
                parts = product.run(u).astype(np.int64)
                assert parts.shape == (2, count, product.limbs, channels)
                whole = parts[:, :, 0] if product.limbs == 1 else (parts[:, :, 0] << 8) + parts[:, :, 1]
                assert np.array_equal(whole, u.astype(np.int64) @ weights)


@needs_bytes
def test_the_longest_sums_fit_32_bits():
    for weight in (-128, 127, -32768, 32767):
        weights = np.full((MAX_TAPS, 2), weight)
        parts = ByteProduct(weights).run(np.full((1, 3, MAX_TAPS), 255, np.uint8)).astype(np.int64)
        whole = parts[0, :, 0] if parts.shape[2] == 1 else (parts[0, :, 0] << 8) + parts[0, :, 1]
        assert (whole == 255 * weight * MAX_TAPS).all()
    with pytest.raises(OverflowError, match="32769 products"):
        ByteProduct(np.ones((MAX_TAPS + 1, 1), np.int64))


def test_a_processor_that_saturates_is_found_out(monkeypatch):
    """Sums of pairs that stop at 16 bits, as older processors have them, and a processor without dot products."""

    class Saturating(ByteProduct):
        def run(self, rows):
            exact = rows[..., None].astype(np.int64) * self.weights
            pairs = np.add.reduceat(exact, np.arange(0, exact.shape[2], 2), axis=2)
            return np.clip(pairs, -(1 << 15), (1 << 15) - 1).sum(axis=2, dtype=np.int32)[:, :, None]

        def __init__(self, weights):
            self.weights = weights

    class Exact(Saturating):
        def run(self, rows):
            return (rows.astype(np.int64) @ self.weights).astype(np.int32)[:, :, None]

    from llvmlite import binding

    for features, product, wanted in (
        ({"avx512vnni": True}, Exact, True),
        ({"avxvnni": True}, Exact, True),
        ({"avx512vnni": True}, Saturating, False),
        ({"avx2": True, "avx512vnni": False}, Exact, False),
    ):
        monkeypatch.setattr(binding, "get_host_cpu_features", lambda features=features: features)
        monkeypatch.setattr(byte_products, "ByteProduct", product)
        assert exact_here.__wrapped__() is wanted
