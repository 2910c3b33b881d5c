"""Whole plans in every engine: one result, one set of counts; real numbers become codes in one pass as they do in many."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import networks
from oracles.codes import ROUNDINGS
from oracles.drawing import seeds

import fxnorm as fx
from fxnorm.fixed import arith
from fxnorm.fixed.format import Format, Overflow, Rounding
from fxnorm.kernels.encoding import Encoding
from fxnorm.kernels.stage import Tally
from fxnorm.runtime import fused, program
from fxnorm.runtime.byte_products import exact_here
from fxnorm.runtime.program import Program
from fxnorm.simulation import Simulator, even_pieces

OPTIONS = {
    "q4.4": {},
    "q5.3 plain": {"format": "q5.3", "normalize": "none"},
    "q2.3 wraps": {"format": "q2.3:trn,wrap", "normalize": "none"},
    "q8.8": {"format": "q8.8"},
    "q3.13": {"format": "q3.13:rnd_conv,sat_sym"},
    "q8.8, weights of 8 bits": {"format": "q8.8:trn_zero,sat", "weight_format": "q4.4"},
    "q4.4, weights of 16 bits": {"format": "q4.4:rnd_inf,sat_zero", "weight_format": "q8.8"},
    "unsigned": {"format": "uq4.4", "normalize": "none"},
    "mixed": {"format": "q5.3", "layers": ["conv:format=q6.10", "pooled:format=q1.5", "joined:format=q10.10"]},
    "wide": {"format": "q8.16"},
    "limbs": {"format": "q16.16"},
    "accumulators": {"format": "q4.4", "accumulator": "q4.5:trn,wrap", "normalize": "none"},
    "affine": {"format": "q5.3", "normalize": "affine"},
    "affine wide": {"format": "uq4.11:rnd_conv,sat", "weight_format": "q2.9", "normalize": "affine"},
}
ENGINES = ["floats", *(["bytes"] if exact_here() else [])]


@pytest.fixture(scope="module")
def graph():
    return fx.load(networks.every_kernel())


@pytest.fixture(scope="module")
def ranges(graph):
    return fx.calibrate(graph, networks.samples(30, seed=1))


def counts(reports):
    return {name: (report.usage, report.usage.histogram.tolist()) for name, report in reports.items()}


@pytest.mark.parametrize("name", list(OPTIONS))
def test_engines_agree(graph, ranges, name):
    plan = fx.plan(graph, ranges, **{"format": "q4.4", "batchnorm": "rescale", **OPTIONS[name]})
    given_samples = {key: array[:, None] for key, array in networks.samples(23, seed=12).items()}
    given_samples["image"] = given_samples["image"] * np.float32(2.0)
    from fxnorm.graph.reference import Reference

    names = [layer.output for layer in plan.layers if layer.traced]
    expected = Reference(graph, names).run(given_samples)
    plain = Simulator(plan, fast=False, histograms=True)
    wanted = plain.run(given_samples, expected)
    for engine in ENGINES:
        simulator = Simulator(plan, engine=engine, histograms=True)
        got = simulator.run(given_samples, expected)
        assert simulator.program.engine == engine
        assert got.keys() == wanted.keys()
        for value, array in wanted.items():
            assert got[value].dtype == np.int64
            assert np.array_equal(got[value], array), (engine, value)
        assert counts(simulator.reports) == counts(plain.reports), engine
        # To the last bit: errors are added up in the order of the samples and not of memory.
        errors = {value: report.error for value, report in simulator.reports.items()}
        assert errors == {value: report.error for value, report in plain.reports.items()}, engine


def test_a_plan_tells_by_which_arithmetic_it_runs(graph, ranges, monkeypatch):
    plan = fx.plan(graph, ranges, "q4.4", batchnorm="rescale")
    paths = Program(plan, engine="floats").paths
    assert set(paths) == {layer.output for layer in plan.layers}
    assert {"floats", "groups", "integers"} == set(paths.values())
    assert set(Program(plan, engine="integers").paths.values()) == {"integers"}
    for exact, engine in ((True, "bytes"), (False, "floats")):
        monkeypatch.setattr(program, "exact_here", lambda exact=exact: exact)
        assert Program(plan).engine == engine


@pytest.mark.skipif(not exact_here(), reason="this processor has no exact dot products of bytes")
@pytest.mark.parametrize("format_", ["q5.3", "q8.8", "q3.13:rnd_conv,sat"])
def test_usual_networks_run_in_bytes_throughout(format_):
    folder = networks.real_models()
    if folder is None:
        pytest.skip("the trained models beside the repository are not there")
    graph = fx.load(folder / "dscnn.onnx")
    samples = np.random.default_rng(0).normal(0, 1, (6, *graph.shape(graph.inputs[0])[1:])).astype(np.float32)
    plan = fx.plan(graph, fx.calibrate(graph, samples), format_)
    simulator, plain = Simulator(plan), Simulator(plan, fast=False)
    assert set(simulator.program.paths.values()) == {"bytes", "groups"}
    given_samples = {graph.inputs[0]: samples[:, None]}
    got, wanted = simulator.run(given_samples), plain.run(given_samples)
    assert all(np.array_equal(got[name], wanted[name]) for name in wanted)
    assert counts(simulator.reports) == counts(plain.reports)


@pytest.mark.parametrize("rounding", [mode for mode in ROUNDINGS if Rounding(mode) in fused.QUICK_ROUNDINGS])
@pytest.mark.parametrize("overflow", ["sat", "sat_sym"])
def test_real_numbers_become_codes_in_one_pass(rounding, overflow):
    """Numbers near every tie and end, tiny ones, subnormal ones, and those beyond all formats."""
    seen = {"overflow": 0, "cases": 0}

    @given(st.integers(2, 24), st.booleans(), st.integers(-120, 120) | st.integers(-4, 4), seeds)
    @settings(max_examples=80)
    def drawn(width, signed, lsb, seed):
        format_ = Format(width, width, signed, Rounding(rounding), Overflow(overflow))
        encoding = Encoding(format_, lsb)
        assert program._quick(encoding)
        rng = np.random.default_rng(seed)
        halves = rng.integers(2 * format_.min_code - 6, 2 * format_.max_code + 7, 300).astype(np.float64) / 2
        with np.errstate(over="ignore", under="ignore"):
            near = np.ldexp(halves, lsb).astype(np.float32)
            real = np.concatenate(
                [
                    near,
                    np.nextafter(near, np.float32(np.inf)),
                    np.nextafter(near, np.float32(-np.inf)),
                    np.float32([0.0, -0.0, 1e-45, -1e-45, 1e-38, -1e-38, 3.4e38, -3.4e38]),
                    rng.normal(0, 1, 50).astype(np.float32)
                    * np.float32(2.0) ** rng.integers(-126, 127, 50).astype(np.float32),
                ]
            ).astype(np.float32)
        real = real[np.isfinite(real)]
        rounded = encoding.round(real)
        wanted = arith.fit(rounded, format_)
        for dtype in (np.float32, *((np.int8,) if width < 8 else (np.int16,) if width < 16 else ())):
            tally = Tally()
            codes = program._quick_codes(encoding, real, dtype, tally)
            assert codes.dtype == dtype
            assert np.array_equal(codes.astype(np.int64), wanted.astype(np.int64))
            assert tally.overflow == np.count_nonzero(arith.overflowed(rounded, format_))
            assert tally.extent == (wanted.min(), wanted.max())
            assert tally.ends == (
                np.count_nonzero(wanted <= format_.lowest_code),
                np.count_nonzero(wanted >= format_.max_code),
            )
        seen["cases"] += 1
        seen["overflow"] += tally.overflow > 0

    drawn()
    assert seen["overflow"] >= 60, seen


@pytest.mark.parametrize("count", [0, 1, 2, 3, 9, 10, 11, 40, 41, 1000])
@pytest.mark.parametrize("largest", [1, 2, 5, 300])
def test_pieces_cover_all_samples_evenly(count, largest):
    pieces = even_pieces(count, largest)
    assert [i for piece in pieces for i in range(count)[piece]] == list(range(count))
    sizes = [len(range(count)[piece]) for piece in pieces]
    assert max(sizes) <= largest
    if count > 1:
        assert len(pieces) >= 2
        assert min(sizes[:-1], default=0) == max(sizes)
