"""What a plan makes of each calibration method: scales against brute force on the raw numbers."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

import fxnorm as fx
from fxnorm.calibration import Method
from fxnorm.errors import PlanError, UsageError
from fxnorm.fixed import arith
from fxnorm.fixed.format import Format


def identity_graph(size, count=2):
    """x → Abs → Neg … : values whose numbers are known without running anything."""
    names = ["x", *(f"v{i}" for i in range(count))]
    nodes = [helper.make_node("Neg", [names[i]], [names[i + 1]], name=f"neg{i}") for i in range(count)]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", size])],
        [helper.make_tensor_value_info(names[-1], TensorProto.FLOAT, ["n", size])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    onnx.checker.check_model(model)
    return fx.load(model)


@pytest.fixture(scope="module")
def graph():
    return identity_graph(100)


def heavy_tails(seed=0, samples=300):
    return np.random.default_rng(seed).standard_t(2.5, (samples, 100)).astype(np.float32)


def exponent(plan, name="x"):
    return plan.values[name].encoding.exponent


def quantization_error(x, format_, e):
    codes = arith.encode(x, format_, e)
    return float(((arith.decode(codes, format_, e) - x) ** 2).mean())


@pytest.mark.parametrize("format_", ["q5.3", "q3.1", "uq4.4", "q8.8:trn", "q2.2:rnd_conv,sat_sym"])
def test_mse_picks_the_power_of_two_of_least_squared_error(graph, format_):
    x = heavy_tails()
    chosen = exponent(fx.plan(graph, fx.calibrate(graph, x), format_, calibration="mse"))
    parsed = Format.parse(format_)
    errors = {e: quantization_error(x.astype(np.float64), parsed, e) for e in range(-12, 13)}
    assert errors[chosen] <= min(errors.values()) * 1.01


def test_mse_keeps_what_clipping_would_not_pay_for(graph):
    x = np.random.default_rng(0).uniform(-0.99, 0.99, (50, 100)).astype(np.float32)
    ranges = fx.calibrate(graph, x)
    assert exponent(fx.plan(graph, ranges, "q5.3", calibration="mse")) == exponent(fx.plan(graph, ranges, "q5.3"))


def test_mse_knows_what_a_format_holds_exactly(graph):
    """Whole numbers up to 127 and one of 140: clipping that one costs less than the step that would hold it."""
    x = np.random.default_rng(0).integers(-127, 128, (300, 100)).astype(np.float32)
    assert exponent(fx.plan(graph, fx.calibrate(graph, x), "q8.0", calibration="mse")) == 0
    x[0, 0] = 140.0
    assert exponent(fx.plan(graph, fx.calibrate(graph, x), "q8.0", calibration="mse")) == 0
    assert exponent(fx.plan(graph, fx.calibrate(graph, x), "q8.0")) == 1


@pytest.mark.parametrize("percent", [99.9, 99.0, 90.0, 50.0])
def test_percentile_cuts_half_of_the_rest_off_at_each_end(graph, percent):
    x = heavy_tails()
    ranges = fx.calibrate(graph, x)
    low, high = ranges.interval("x", Method.parse(f"percentile:{percent}"), Format.parse("q5.3"))
    ordered = np.sort(x.reshape(-1))
    cut = round((100 - percent) / 200 * x.size)
    for end, near in ((low, ordered[cut - 2 : cut + 2]), (high, ordered[::-1][cut - 2 : cut + 2])):
        slack = abs(end) / 100
        assert near.min() - slack <= end <= near.max() + slack


def test_the_whole_percentile_is_minimum_and_maximum(graph):
    x = heavy_tails()
    ranges = fx.calibrate(graph, x)
    assert ranges.interval("x", Method.parse("percentile:100"), Format.parse("q5.3")) == (x.min(), x.max())
    assert ranges.of("x") == (x.min(), x.max())


def test_minmax_keeps_an_outlier_and_the_others_may_clip_it(graph):
    x = np.random.default_rng(3).normal(size=(300, 100)).astype(np.float32)
    x[7, 7] = 500.0
    ranges = fx.calibrate(graph, x)
    found = {
        how: exponent(fx.plan(graph, ranges, "q5.3", calibration=how)) for how in ("minmax", "percentile", "entropy")
    }
    assert found["minmax"] == 5  # 500 / 32 is the first power of two that fits 15.875
    assert found["percentile"] == -2  # within ±3.9 but for one number in a thousand
    assert found["entropy"] <= 1  # 500 / 16: no fewer bins than the format has levels


def test_one_pass_serves_every_format_and_method(graph):
    ranges = fx.calibrate(graph, heavy_tails())
    for format_ in ("q5.3", "q8.8", "q2.2"):
        for how in ("minmax", "percentile:99", "mse", "entropy"):
            fresh = fx.plan(graph, fx.calibrate(graph, heavy_tails()), format_, calibration=how)
            assert fx.plan(graph, ranges, format_, calibration=how).digest == fresh.digest


def test_chunks_do_not_matter(graph):
    x = heavy_tails(samples=700)  # several chunks
    ranges = fx.calibrate(graph, x)
    assert ranges.histogram("x").total == x.size
    assert ranges.of("v0") == (-x.max(), -x.min())


def test_a_layer_has_its_own_method(graph):
    x = np.random.default_rng(3).normal(size=(300, 100)).astype(np.float32)
    x[7, 7] = 500.0
    plan = fx.plan(graph, fx.calibrate(graph, x), "q5.3", layers=["neg0:calibration=percentile:99.9"])
    assert exponent(plan, "v0") < exponent(plan, "x") == exponent(plan, "v1")


def test_methods_that_need_a_distribution_say_so(graph):
    ranges = fx.calibrate(graph, heavy_tails(), histograms=False)
    fx.plan(graph, ranges, "q5.3")
    with pytest.raises(PlanError, match="no histogram of x"):
        fx.plan(graph, ranges, "q5.3", calibration="mse")


@pytest.mark.parametrize(
    "text",
    ["", "max", "percentile:", "percentile:0", "percentile:101", "percentile:nan", "mse:1", "minmax:3", "percentile:x"],
)
def test_wrong_methods_are_refused(graph, text):
    ranges = fx.calibrate(graph, np.ones((1, 100), np.float32))
    with pytest.raises(UsageError, match="--calibration"):
        fx.plan(graph, ranges, "q5.3", calibration=text)
    with pytest.raises(UsageError, match="calibration"):
        fx.plan(graph, ranges, "q5.3", layers=[f"neg0:calibration={text}"])


def test_values_that_are_not_finite_have_no_range():
    graph = identity_graph(2)
    low, high = np.float32(-3e38), np.float32(3e38)
    log = helper.make_model(
        helper.make_graph(
            [helper.make_node("Log", ["x"], ["y"], name="log"), helper.make_node("Neg", ["y"], ["z"], name="neg")],
            "g",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 2])],
            [helper.make_tensor_value_info("z", TensorProto.FLOAT, ["n", 2])],
        ),
        opset_imports=[helper.make_opsetid("", 17)],
    )
    assert fx.calibrate(graph, np.array([[low, high]])).of("x") == (low, high)
    nan = fx.load(log)
    with pytest.raises(PlanError, match="finite"):
        fx.plan(nan, fx.calibrate(nan, np.array([[-1.0, 1.0]], np.float32)), "q5.3")
