"""Whole networks: every layer against its model, every count against the codes, and no bit that depends on chunks."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from oracles import networks
from oracles.codes import fitted, power, rounded, same
from oracles.kernels import MODELS, run

import fxnorm as fx
from fxnorm import simulation
from fxnorm.errors import DataError
from fxnorm.simulation import Simulator

PLANS = {
    "q4.4": {},
    "q5.3 plain": {"format": "q5.3", "normalize": "none"},
    "q2.3 wraps": {"format": "q2.3:trn,wrap", "normalize": "none"},
    "q3.13": {"format": "q3.13:rnd_conv,sat_sym"},
    "uneven": {
        "format": "q3.5:rnd_zero,sat_zero",
        "weight_format": "q2.3",
        "layers": ["conv:format=q6.1", "pooled:format=q1.5"],
    },
    "accumulators": {"format": "q4.4", "accumulator": "q4.5:trn,wrap", "normalize": "none"},
    "affine": {"format": "q5.3", "normalize": "affine"},
    "affine wide": {"format": "uq4.12:rnd_conv,sat", "weight_format": "q2.9", "normalize": "affine"},
    "products": {
        "format": "q4.4",
        "product_format": "q3.6:rnd,sat",
        "accumulator": "q4.6:rnd_inf,sat",
        "normalize": "none",
    },
}


@pytest.fixture(scope="module")
def graph():
    return fx.load(networks.every_kernel())


@pytest.fixture(scope="module")
def ranges(graph):
    return fx.calibrate(graph, networks.samples(30, seed=1))


def make(graph, ranges, name):
    """One of `PLANS`."""
    return fx.plan(graph, ranges, **{"format": "q4.4", "batchnorm": "rescale", **PLANS[name]})


def counts(reports):
    """Everything that was counted, by value."""
    return {name: (report.usage, report.usage.histogram.tolist()) for name, report in reports.items()}


def agrees_layer_by_layer(plan, samples):
    """Run with traces and hold every layer against its model; returns the result."""
    result = fx.simulate(plan, samples, trace=True)
    traced = {name: output.codes.reshape(-1, *plan.values[name].shape) for name, output in result.traces.items()}
    for layer in plan.layers:
        wanted = run(layer.kernel, [traced[name] for name in layer.inputs])
        usage = result.reports[layer.output].usage
        assert same(traced[layer.output], wanted.codes), layer.name
        assert usage.overflow == wanted.overflow, layer.name
        assert usage.accumulator_overflow == wanted.accumulator_overflow, layer.name
        if wanted.additions:
            assert usage.additions == wanted.additions, layer.name
    return result


@pytest.mark.parametrize("name", list(PLANS))
def test_every_layer_is_its_model_on_what_the_layers_before_gave(graph, ranges, name):
    plan = make(graph, ranges, name)
    assert {type(layer.kernel).__name__ for layer in plan.layers} == set(MODELS)
    result = agrees_layer_by_layer(plan, networks.samples(4, seed=2))
    lost = sum(report.usage.accumulator_overflow for report in result.reports.values())
    assert (lost > 0) == (name in ("accumulators", "products"))
    lost = sum(report.usage.overflow for report in result.reports.values())
    assert lost > {"q2.3 wraps": 20, "uneven": 0, "accumulators": 0, "products": 0}.get(name, -1)


@pytest.mark.parametrize("name", list(PLANS))
def test_inputs_are_encoded_once_rounded_and_their_overflows_counted(graph, ranges, name):
    plan = make(graph, ranges, name)
    given = networks.samples(20, seed=3)
    given["image"] *= 8  # beyond what calibration saw
    result = fx.simulate(plan, given, trace=True)
    encoding = plan.values["image"].encoding
    numbers = (Fraction(float(value)) / encoding.step + encoding.zero for value in given["image"].ravel())
    wanted = [fitted(rounded(number, encoding.format.rounding), encoding.format) for number in numbers]
    assert result.traces["image"].codes.ravel().tolist() == [code for code, _ in wanted]
    assert result.reports["image"].usage.overflow == sum(lost for _, lost in wanted) > 0
    assert np.array_equal(result.traces["tokens"].codes, given["tokens"])
    assert result.reports["tokens"].usage.overflow == 0


@pytest.mark.parametrize("size", [1, 3, 7, 13])
@pytest.mark.parametrize("name", ["q4.4", "q2.3 wraps", "products"])
def test_chunks_change_no_bit_and_no_count(graph, ranges, name, size, monkeypatch):
    plan, given = make(graph, ranges, name), networks.samples(13, seed=4)
    whole, untraced = fx.simulate(plan, given, trace=True), fx.simulate(plan, given)
    assert counts(untraced.reports) == counts(whole.reports)
    assert not untraced.traces
    assert Simulator(plan).chunk_size() >= 13
    monkeypatch.setattr(simulation, "CHUNK_SAMPLES", size)
    assert Simulator(plan).chunk_size() == size
    parts = fx.simulate(plan, given, trace=True)
    assert counts(parts.reports) == counts(whole.reports)
    assert list(parts.traces) == list(whole.traces)
    for traced in whole.traces:
        assert np.array_equal(parts.traces[traced].codes, whole.traces[traced].codes), traced
    for output in whole:
        assert np.array_equal(parts[output].codes, whole[output].codes)
        assert np.array_equal(untraced[output].codes, whole[output].codes)


@pytest.mark.parametrize("name", list(PLANS))
def test_faster_arithmetic_and_threads_change_no_bit_and_no_count(graph, ranges, name, monkeypatch):
    """The kernels' own integers, the fast paths, and pieces of samples on several threads: one result, one set of counts."""
    plan = make(graph, ranges, name)
    given = {key: array[:, None] for key, array in networks.samples(40, seed=12).items()}
    given["image"] = given["image"] * np.float32(2.0)
    slow = Simulator(plan, fast=False, histograms=True)
    wanted = slow.run(given)
    for size, workers in ((1 << 19, 1), (1200, 3)):
        monkeypatch.setattr(simulation, "PIECE_ELEMENTS", size)
        fast = Simulator(plan, workers=workers, histograms=True)
        got = fast.run(given)
        assert got.keys() == wanted.keys()
        for value, codes in wanted.items():
            assert np.array_equal(got[value], codes), value
        assert counts(fast.reports) == counts(slow.reports)
    assert simulation.piece_size(plan) < 10


@pytest.mark.parametrize("format_", ["q4.4", "q5.3:rnd_conv,sat_sym", "q3.9:trn,sat", "q6.6:rnd_inf,wrap"])
def test_limits_as_large_as_a_float_can_be(format_):
    """Clips at ±3.4e38 beyond any code, fused into layers on fast and on slow paths."""
    proto = networks.clipped()
    graph = fx.load(proto)
    given = networks.samples(30, proto=proto)
    plan = fx.plan(graph, fx.calibrate(graph, given), format_)
    result = agrees_layer_by_layer(plan, given)
    slow = Simulator(plan, fast=False)
    wanted = slow.run({"x": given[:, None]})
    assert np.array_equal(result["y"].codes, np.concatenate(list(wanted["y"])))
    assert counts(slow.reports) == counts(result.reports)


@pytest.mark.parametrize("layer_format", ["q2.4", "uq4.4", "q3.5", "q6.2", "q4.4:rnd,sat_sym"])
@pytest.mark.parametrize("layer", ["pooled", "best", "turned", "joined", "embedded_t", "norm"])
def test_a_layer_of_a_format_of_its_own_saturates_into_it(graph, ranges, layer, layer_format):
    """Layers that only choose or move data have to round and saturate where their format is another one, on every path."""
    plan = fx.plan(
        graph, ranges, "q4.4", normalize="none", batchnorm="rescale", layers=[f"{layer}:format={layer_format}"]
    )
    given = networks.samples(6, seed=13)
    given["image"] *= 4
    result = agrees_layer_by_layer(plan, given)
    codes, format_ = (
        result.traces[layer if layer != "norm" else "relu"].codes,
        plan.values[layer if layer != "norm" else "relu"].encoding.format,
    )
    assert str(format_).startswith(layer_format.split(":")[0])
    assert format_.lowest_code <= codes.min() <= codes.max() <= format_.max_code


def test_a_bias_that_cancels_the_product_of_a_rescale(tmp_path):
    """x · 0.8 - 26,000 of data near 32,000: the product needs one bit more than the sum, on fast paths as well."""
    proto = networks.model(
        [networks.node("BatchNormalization", "x gamma beta mean variance", "y", epsilon=0.0)],
        [("x", [1, 3, 50])],
        [("y", [1, 3, 50])],
        {
            "gamma": np.array([0.8, 1.0, -0.7], np.float32),
            "beta": np.array([-180.0, -255.0, 130.0], np.float32),
            "mean": np.zeros(3, np.float32),
            "variance": np.ones(3, np.float32),
        },
    )
    graph = fx.load(proto)
    rng = np.random.default_rng(0)
    given = (rng.integers(0, 511, (200, 3, 50)) / 1.0).astype(np.float32)
    for bits in (8, 9, 10, 11, 12):
        plan = fx.plan(
            graph, fx.calibrate(graph, given), f"uq{bits}.0", weight_format=f"q2.{bits}", layers=["y:format=q10.10"]
        )
        fast, slow = Simulator(plan), Simulator(plan, fast=False)
        batch = {"x": given.reshape(200, 1, 3, 50)}
        assert np.array_equal(fast.run(batch)["y"], slow.run(batch)["y"]), bits
        assert counts(fast.reports) == counts(slow.reports)


def test_chunks_shrink_where_values_are_large(graph, ranges, monkeypatch):
    plan = make(graph, ranges, "q4.4")
    elements = sum(int(np.prod(value.shape)) for value in plan.values.values())
    monkeypatch.setattr(simulation, "CHUNK_ELEMENTS", 3 * elements)
    assert Simulator(plan).chunk_size() == 3
    monkeypatch.setattr(simulation, "CHUNK_ELEMENTS", elements // 2)
    assert Simulator(plan).chunk_size() == 1


def test_samples_together_are_samples_alone(graph, ranges):
    plan, given = make(graph, ranges, "q5.3 plain"), networks.samples(6, seed=5)
    together = fx.simulate(plan, given)
    sums: dict[str, list[int]] = {name: [0, 0, 0, 0] for name in plan.values}
    for n in range(6):
        alone = fx.simulate(plan, {name: array[n : n + 1] for name, array in given.items()})
        for output in together:
            assert np.array_equal(alone[output].codes, together[output].codes[n : n + 1])
        for value, report in alone.reports.items():
            usage = report.usage
            for i, count in enumerate((usage.count, usage.overflow, usage.at_limit, usage.accumulator_overflow)):
                sums[value][i] += count
    for value, report in together.reports.items():
        usage = report.usage
        assert [usage.count, usage.overflow, usage.at_limit, usage.accumulator_overflow] == sums[value]


@pytest.mark.parametrize("name", ["q4.4", "q2.3 wraps", "uneven"])
def test_reports_are_what_the_traces_show(graph, ranges, name, monkeypatch):
    monkeypatch.setattr(simulation, "CHUNK_SAMPLES", 4)
    plan = make(graph, ranges, name)
    result = fx.simulate(plan, networks.samples(9, seed=6), trace=True)
    assert set(result.traces) == set(result.reports) == set(plan.values)
    assert set(plan.values) == {*plan.inputs, *(layer.output for layer in plan.layers)}
    for value, output in result.traces.items():
        usage, format_ = result.reports[value].usage, output.format
        codes = output.codes
        assert codes.dtype == np.int64
        assert usage.count == codes.size == 9 * int(np.prod(plan.values[value].shape))
        assert (usage.low, usage.high) == (codes.min(), codes.max())
        assert usage.at_low == np.count_nonzero(codes == format_.lowest_code)
        assert usage.at_high == np.count_nonzero(codes == format_.max_code)
        assert usage.at_limit == usage.at_low + usage.at_high
        assert format_.lowest_code <= codes.min() <= codes.max() <= format_.max_code
        width = usage.bits_used(format_.signed)
        assert width <= format_.width
        held = [(-(2 ** (w - 1)) if format_.signed else 0, 2 ** (w - format_.signed) - 1) for w in (width, width - 1)]
        assert held[0][0] <= codes.min() <= codes.max() <= held[0][1]
        assert width <= format_.signed or not held[1][0] <= codes.min() <= codes.max() <= held[1][1]
    for output, value in plan.outputs.items():
        assert np.array_equal(result[output].codes, result.traces[value].codes)


def test_values_are_codes_times_their_step(graph, ranges):
    plan = make(graph, ranges, "q3.13")
    result = fx.simulate(plan, networks.samples(3, seed=7), trace=True)
    for output in result.traces.values():
        step = float(power(output.encoding.lsb))
        assert np.array_equal(output.values, output.codes * step)
        assert output.format is output.encoding.format


@pytest.mark.parametrize("size", [2, 256])
def test_errors_against_a_reference_are_those_of_numpy(graph, ranges, size):
    """The reference is taken in chunk by chunk; what is reported is the error over everything."""
    plan, given = make(graph, ranges, "q4.4"), networks.samples(7, seed=8)
    bound = {"image": given["image"][:, None], "tokens": given["tokens"][:, None]}
    from fxnorm.graph.reference import Reference

    names = [layer.output for layer in plan.layers if layer.traced]
    expected = Reference(graph, names).run(bound)
    simulator, seen = Simulator(plan), {}
    for start in range(0, 7, size):
        chunk, wanted = ({k: v[start : start + size] for k, v in d.items()} for d in (bound, expected))
        simulator.run(chunk, wanted, lambda name, codes: seen.setdefault(name, []).append(codes))
    outputs = set(plan.outputs.values())
    for name in names:
        r = expected[name].astype(np.float64)
        v = np.concatenate(seen[name]) * float(power(plan.values[name].encoding.lsb))
        error = simulator.reports[name].error
        assert error.count == r.size
        assert error.sqnr_db == pytest.approx(10 * np.log10(np.sum(r**2) / np.sum((v - r) ** 2)), abs=1e-9)
        assert error.largest == np.abs(v - r).max()
        assert error.mean_abs_error == pytest.approx(np.abs(v - r).mean(), rel=1e-12)
        assert error.cosine == pytest.approx(np.vdot(r, v) / np.sqrt(np.vdot(r, r) * np.vdot(v, v)), abs=1e-12)
        agreement = np.mean(r.argmax(-1) == v.argmax(-1)) if name in outputs else None
        assert error.argmax_agreement == agreement
    assert simulator.reports["tokens"].error is None


def test_compare_is_the_error_of_the_outputs(graph, ranges):
    plan, given = make(graph, ranges, "q4.4"), networks.samples(11, seed=9)
    expected, result = fx.reference(graph, given), fx.simulate(plan, given)
    comparison = fx.compare(expected, result)
    assert list(comparison) == list(result) == ["scores", "log"]
    for name, error in comparison.items():
        r, v = expected[name].astype(np.float64), result[name].values
        assert error.sqnr_db == pytest.approx(10 * np.log10(np.sum(r**2) / np.sum((v - r) ** 2)))
        assert error.argmax_agreement == np.mean(r.argmax(-1) == v.argmax(-1))
        assert f"{name}: SQNR {error.sqnr_db:.1f} dB" in str(comparison)


def test_wider_formats_come_closer_to_the_reference(graph, ranges):
    given = networks.samples(20, seed=10)
    expected = fx.reference(graph, given)
    found = [
        fx.compare(expected, fx.simulate(fx.plan(graph, ranges, text), given))["scores"].sqnr_db
        for text in ("q3.3", "q4.8", "q4.14", "q8.20")
    ]
    assert found == sorted(found)
    assert found[-1] > 85


@pytest.mark.parametrize(("width", "name"), [(8, "q4.4"), (8, "q5.3 plain"), (16, "q3.13")])
def test_to_fxp_gives_the_same_numbers(graph, ranges, width, name):
    plan = make(graph, ranges, name)
    plan = plan if name != "q3.13" else fx.plan(graph, ranges, "q3.13")
    for output in fx.simulate(plan, networks.samples(5, seed=11)).values():
        number = output.to_fxp()
        assert number.n_word == width
        assert np.array_equal(np.asarray(number.val, np.int64), output.codes)
        # Fixed-point numbers: the scale of the normalization is not part of them.
        assert np.array_equal(np.asarray(number.get_val()) * output.encoding.scale, output.values)


@pytest.mark.parametrize("index", [7, -8, 1 << 31, 1 << 40, -(1 << 40)])
def test_an_index_outside_of_the_table_is_refused(graph, ranges, index):
    plan, given = make(graph, ranges, "q4.4"), networks.samples(2)
    given["tokens"][1, 2] = index
    with pytest.raises(DataError, match=str(index)):
        fx.simulate(plan, given)


def test_indices_count_from_the_end_where_they_are_negative(graph, ranges):
    plan, given = make(graph, ranges, "q4.4"), networks.samples(3)
    same_tokens = {**given, "tokens": given["tokens"] - 7}
    one, other = fx.simulate(plan, given), fx.simulate(plan, same_tokens)
    assert np.array_equal(one["scores"].codes, other["scores"].codes)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"tokens": np.zeros((2, 4))}, "tokens.*integers.*float64"),
        ({"image": np.full((2, 2, 6, 6), np.nan)}, "image.*finite"),
        ({"image": np.full((2, 2, 6, 6), np.inf)}, "image.*finite"),
        ({"image": np.zeros((2, 2, 6, 6), complex)}, "image.*real numbers, not complex128"),
        ({"image": np.zeros((2, 2, 6, 7))}, r"image.* 2 × 6 × 6.*\[2, 2, 6, 7\]"),
        ({"image": np.zeros((3, 2, 6, 6))}, "same number"),
        ({"other": np.zeros(3)}, "'other'.*'image', 'tokens'"),
        ({"image": None}, "image.*real numbers, not object"),
        ({"image": np.zeros((0, 2, 6, 6)), "tokens": np.zeros((0, 4), int)}, "at least one"),
    ],
)
def test_samples_that_do_not_fit_are_refused(graph, ranges, change, message):
    plan = make(graph, ranges, "q4.4")
    with pytest.raises(DataError, match=message):
        fx.simulate(plan, {**networks.samples(2), **change})


def test_one_array_serves_a_model_of_one_input_only(graph, ranges):
    with pytest.raises(DataError, match="give a mapping"):
        fx.simulate(make(graph, ranges, "q4.4"), np.zeros((2, 2, 6, 6)))
    proto = networks.dense()
    one = fx.load(proto)
    given = networks.samples(5, proto=proto)
    plan = fx.plan(one, fx.calibrate(one, given), "q4.4")
    flat = fx.simulate(plan, given)["scores"].codes
    assert flat.shape == (5, 3)
    assert np.array_equal(fx.simulate(plan, given[:, None])["scores"].codes, flat)
    assert np.array_equal(fx.simulate(plan, {"x": given})["scores"].codes, flat)
    with pytest.raises(DataError, match="'x'"):
        fx.simulate(plan, {})


LONG = [pytest.param(file, marks=pytest.mark.slow) for file in ("sww.onnx", "dscnn.onnx", "resnet8.onnx")]


@pytest.mark.parametrize("file", ["ad_autoencoder.onnx", *LONG])
@pytest.mark.parametrize("format_", ["q5.3", "q16.16"])
def test_trained_models_layer_by_layer(file, format_):
    """One sample of every trained model: each layer against plain Python integers, accumulators included."""
    folder = networks.real_models()
    if folder is None:
        pytest.skip("the trained models beside the repository are not there")
    graph = fx.load(folder / file)
    (name,) = graph.inputs
    shape = graph.shape(name)
    rng = np.random.default_rng(0)
    calibration = rng.random((8 * shape[0], *shape[1:])).astype(np.float32)
    plan = fx.plan(graph, fx.calibrate(graph, calibration), format_)
    agrees_layer_by_layer(plan, calibration[: shape[0]])
