"""Networks planned with any scale and offset: what is absorbed where, and what it gains."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import fxnorm as fx
from fxnorm.kernels.elementwise import Elementwise
from fxnorm.kernels.linear import Linear
from fxnorm.planning.normalization import SLACK, Affine, fit_power
from fxnorm.planning.price import Cost, rescale_cost
from fxnorm.simulation import Simulator

RNG = np.random.default_rng(7)


def network(nodes, inputs, outputs, **constants):
    """An imported model from nodes (op, inputs, output, attributes), with shapes by name."""
    made = [helper.make_node(op, names, [output], name=output, **attributes) for op, names, output, attributes in nodes]
    graph = helper.make_graph(
        made,
        "g",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", *shape]) for name, shape in inputs.items()],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", *shape]) for name, shape in outputs.items()],
        [
            numpy_helper.from_array(np.asarray(a, np.int64 if a.dtype.kind == "i" else np.float32), n)
            for n, a in constants.items()
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    onnx.checker.check_model(model)
    return fx.load(model)


def run(graph, x, format_="q5.3", **options):
    plan = fx.plan(graph, fx.calibrate(graph, x), format_, **options)
    return plan, fx.simulate(plan, x, trace=True)


def sqnr(graph, x, result):
    return {name: error.sqnr_db for name, error in fx.compare(fx.reference(graph, x), result).items()}


def encoding(plan, name):
    return plan.values[name].encoding


# The example: a layer gives 128 to 256, the multipliers hold ±16.


@pytest.fixture(scope="module")
def far_from_zero():
    """x in [0, 1] → 128 + 128·x → back to [0, 1]."""
    graph = network(
        [
            ("Gemm", ["x", "w0", "b0"], "layer", {}),
            ("Gemm", ["layer", "w1", "b1"], "next", {}),
        ],
        {"x": [1]},
        {"next": [1], "layer": [1]},
        w0=np.array([[128.0]]),
        b0=np.array([128.0]),
        w1=np.array([[1 / 128]]),
        b1=np.array([-1.0]),
    )
    return graph, np.linspace(0, 1, 256, dtype=np.float32)[:, None]


def test_without_normalization_everything_saturates(far_from_zero):
    graph, x = far_from_zero
    plan, result = run(graph, x, normalize="none")
    assert np.all(result["layer"].codes == 127)
    assert result.reports["layer"].usage.overflow == 256
    assert encoding(plan, "layer").offset == 0.0


def test_the_relationship_of_the_numbers_is_kept(far_from_zero):
    graph, x = far_from_zero
    plan, result = run(graph, x, normalize="affine")
    codes = result["layer"].codes.reshape(-1)
    assert result.reports["layer"].usage.overflow == 0
    assert (codes[0], codes[-1]) == (-128, 127)  # -16 to 15.875: the whole range of the hardware
    assert np.all(np.diff(codes) >= 0)  # order
    real = 128 + 128 * x.reshape(-1).astype(np.float64)
    step = float(encoding(plan, "layer").step)
    distances = codes[:, None] - codes[None, :]
    assert (
        np.abs(distances * step - (real[:, None] - real[None, :])).max() <= 1.51 * step
    )  # distances: half a step each, and the input's own
    assert len(np.unique(codes)) >= 250
    assert result["layer"].values.reshape(-1) == pytest.approx(real, abs=1.01 * step)
    assert encoding(plan, "layer").scale == pytest.approx(4.0, rel=0.01)
    assert encoding(plan, "layer").offset == pytest.approx(192.0, rel=0.01)


def test_offsets_gain_what_powers_of_two_cannot(far_from_zero):
    graph, x = far_from_zero
    found = {how: sqnr(graph, x, run(graph, x, normalize=how)[1]) for how in ("none", "pow2", "affine")}
    assert found["none"]["layer"] < 10
    assert found["pow2"]["layer"] == pytest.approx(44, abs=2)
    assert found["affine"]["layer"] == pytest.approx(61, abs=2)
    # The next layer takes the offset off again: what is left is the resolution of what it was given.
    assert found["none"]["next"] < 3
    assert found["pow2"]["next"] < found["affine"]["next"] - 15
    assert found["affine"]["next"] > 35


# What absorbs what


def residual():
    """Convolutions with padding, a residual addition, pooling, a classifier: everything a small network has."""
    return network(
        [
            ("Conv", ["x", "w0", "b0"], "conv0", {"pads": [1, 1, 1, 1]}),
            ("Relu", ["conv0"], "relu0", {}),
            ("Conv", ["relu0", "w1", "b1"], "conv1", {"pads": [1, 1, 1, 1]}),
            ("Add", ["conv1", "relu0"], "sum", {}),
            ("Relu", ["sum"], "relu1", {}),
            ("MaxPool", ["relu1"], "pool", {"kernel_shape": [2, 2], "strides": [2, 2]}),
            (
                "AveragePool",
                ["pool"],
                "average",
                {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1], "count_include_pad": 1},
            ),
            ("GlobalAveragePool", ["average"], "mean", {}),
            ("Flatten", ["mean"], "flat", {}),
            ("Gemm", ["flat", "w2", "b2"], "logits", {}),
        ],
        {"x": [2, 8, 8]},
        {"logits": [4]},
        w0=RNG.normal(size=(6, 2, 3, 3)) / 4,
        b0=RNG.normal(size=6),
        w1=RNG.normal(size=(6, 6, 3, 3)) / 7,
        b1=RNG.normal(size=6) + 2,
        w2=RNG.normal(size=(6, 4)),
        b2=RNG.normal(size=4),
    )


@pytest.fixture(scope="module")
def images():
    return RNG.normal(size=(40, 2, 8, 8)).astype(np.float32) * 2 + 3


@pytest.fixture(scope="module")
def graph():
    return residual()


@pytest.mark.parametrize("format_", ["q5.3", "q8.8", "uq5.3", "q3.3:trn", "q5.3:rnd_conv,sat_sym"])
@pytest.mark.parametrize("extra", [{}, {"batchnorm": "rescale"}])
def test_a_network_runs_in_any_format_and_loses_little(graph, images, format_, extra):
    plan, result = run(graph, images, format_, normalize="affine", **extra)
    width = encoding(plan, "logits").format.width
    assert sqnr(graph, images, result)["logits"] > 5.0 * width - 15
    assert all(plan.values[name].encoding.holds_zero for name in ("x", "relu0", "pool"))
    assert not encoding(plan, "logits").plain


def test_fast_arithmetic_changes_no_bit(graph, images):
    plan, fast = run(graph, images, normalize="affine")
    slow = Simulator(plan, fast=False)
    codes = slow.run({"x": images[:, None] if plan.values["x"].shape[0] == 1 else images})
    assert np.array_equal(codes["logits"].reshape(-1), fast["logits"].codes.reshape(-1))
    for name, report in slow.reports.items():
        assert report.usage.overflow == fast.reports[name].usage.overflow
        assert (report.usage.low, report.usage.high) == (fast.reports[name].usage.low, fast.reports[name].usage.high)


def test_chosen_and_moved_data_keeps_its_encoding(graph, images):
    plan, _ = run(graph, images, normalize="affine")
    assert encoding(plan, "pool") == encoding(plan, "relu1")
    assert encoding(plan, "flat") == encoding(plan, "mean")


def test_padding_pads_with_the_code_of_zero(graph, images):
    plan, _ = run(graph, images, normalize="affine")
    kernels = {layer.output: layer.kernel for layer in plan.layers}
    assert kernels["relu0"].padding == encoding(plan, "x").zero
    assert kernels["average"].padding == encoding(plan, "pool").zero


def test_multipliers_have_sixteen_bits_and_meet_the_step(graph, images):
    for how in ("tensor", "channel"):
        plan, _ = run(graph, images, normalize="affine", multiplier=how)
        for layer in plan.layers:
            stage = getattr(layer.kernel, "stage", None)
            if isinstance(layer.kernel, Linear):
                multipliers = np.atleast_1d(stage.multiplier)
                assert len(multipliers) == (1 if how == "tensor" else len(layer.kernel.weights))
                assert ((multipliers > 1) & (multipliers < 1 << 16)).all()
                assert stage.zero == plan.values[layer.output].encoding.zero


def test_what_cannot_absorb_an_offset_is_given_a_power_of_two():
    graph = network(
        [
            ("Gemm", ["x", "w"], "hidden", {}),
            ("Relu", ["hidden"], "relu", {}),
            ("Reshape", ["relu", "shape"], "moved", {}),
            ("Sigmoid", ["moved"], "table", {}),
            ("Gemm", ["x", "w"], "other", {}),
            ("Add", ["other", "table"], "sum", {}),
            ("Softmax", ["sum"], "softmax", {}),
        ],
        {"x": [4]},
        {"softmax": [4]},
        w=RNG.normal(size=(4, 4)) + 1,
        shape=np.array([-1, 4]),
    )
    x = (RNG.normal(size=(50, 4)) + 2).astype(np.float32)
    plan, result = run(graph, x, normalize="affine")
    plain = {name for name, value in plan.values.items() if value.encoding.plain}
    # The table's input and what is only moved on the way to it, the softmax's input, and what tables make.
    assert {"relu", "table", "sum", "softmax"} <= plain
    assert not {"x", "other"} & plain
    assert sqnr(graph, x, result)["softmax"] > 25


def test_one_layer_may_have_its_own_normalization(graph, images):
    plan, result = run(graph, images, layers=["conv1:normalize=affine"])
    # The addition behind the second convolution is a layer of its own: the convolution's output alone is affine.
    assert [name for name, value in plan.values.items() if not value.encoding.plain] == ["conv1"]
    mixed, _ = run(graph, images, normalize="affine", layers=["sum*:normalize=none", "x:normalize=pow2"])
    assert encoding(mixed, "relu1").exponent == 0
    assert encoding(mixed, "x").plain
    assert sqnr(graph, images, result)["logits"] > 20


def test_an_addition_takes_the_factor_of_an_operand_where_it_may(graph, images):
    plan, _ = run(graph, images, normalize="affine")
    kernel = next(layer.kernel for layer in plan.layers if isinstance(layer.kernel, Elementwise))
    assert sum(m != 1 for m in (*kernel.multipliers, kernel.stage.multiplier)) <= 2


def joined(ratio, normalize):
    """Two dense layers whose ranges have some ratio, added up and put side by side: the plan, and its kernels by output."""
    rng = np.random.default_rng(3)
    graph = network(
        [
            ("Gemm", ["x", "w0"], "a", {}),
            ("Gemm", ["x", "w1"], "b", {}),
            ("Add", ["a", "b"], "sum", {}),
            ("Concat", ["a", "b"], "both", {"axis": 1}),
        ],
        {"x": [6]},
        {"sum": [5], "both": [10]},
        w0=rng.normal(size=(6, 5)),
        w1=rng.normal(size=(6, 5)) * ratio,
    )
    x = rng.normal(0.5, 1.0, (200, 6)).astype(np.float32)
    ranges = fx.calibrate(graph, x)
    plan = fx.plan(graph, ranges, "q5.3", normalize=normalize)
    return (
        plan,
        ranges,
        {layer.output: layer.kernel for layer in plan.layers},
        fx.compare(fx.reference(graph, x), fx.simulate(plan, x)),
    )


@pytest.mark.parametrize("ratio", [0.01, 0.3, 0.7, 0.95, 1.0, 1.1, 1.6, 2.0, 3.0, 50.0])
def test_operands_come_to_a_common_scale_at_the_least_cost(ratio):
    """As few multipliers as the steps allow, and no step more than 1 dB coarser than the range asks for."""
    plan, ranges, kernels, errors = joined(ratio, "affine")
    a, b, total, both = (encoding(plan, name) for name in ("a", "b", "sum", "both"))
    for name in ("sum", "both"):
        best = Affine(False).fit(*ranges.of(name), total.format)
        assert best.step <= encoding(plan, name).step * (1 + 2**-15) <= best.step * SLACK * (1 + 2**-14)
    # An addition needs a multiplier an operand whose factor is not the result's own (one behind the sum where both are alike).
    needed = 1 if a.factor == b.factor != total.factor else (a.factor != total.factor) + (b.factor != total.factor)
    used = sum(m != 1 for m in (*kernels["sum"].multipliers, kernels["sum"].stage.multiplier))
    assert used == needed
    # Where a result could have taken an operand's factor within 1 dB, it has.
    shared = min(Affine(False, Fraction(e.factor), bits=1).fit(*ranges.of("sum"), total.format).step for e in (a, b))
    assert (total.factor in (a.factor, b.factor)) == (shared <= total.step * SLACK)
    # A concatenation leaves an operand that spans it, within 1 dB, as it is.
    low, high = ranges.of("both")

    def spans(e):
        ends = ((code - e.zero) * e.step for code in (e.format.lowest_code, e.format.max_code))
        return next(ends) <= low and high <= next(ends)

    best = Affine(False).fit(low, high, total.format)
    assert (both in (a, b)) == any(spans(e) and e.step <= best.step * SLACK for e in (a, b))
    assert [stage is None for stage in kernels["both"].stages] == [both == a, both == b]
    assert errors["sum"].sqnr_db > 30
    assert errors["both"].sqnr_db > 30


@pytest.mark.parametrize("ratio", [0.01, 0.3, 1.0, 3.0, 50.0])
def test_powers_of_two_come_to_a_common_scale_by_shifts_alone(ratio):
    plan, ranges, kernels, errors = joined(ratio, "pow2")
    assert rescale_cost(plan) == Cost(0, 0, 0, 0)
    for name in ("sum", "both"):
        assert encoding(plan, name) == fit_power(*ranges.of(name), encoding(plan, name).format)
        assert errors[name].sqnr_db > 30
    larger = max((encoding(plan, name) for name in "ab"), key=lambda e: e.step)
    assert encoding(plan, "both") == larger
    assert sum(stage is not None for stage in kernels["both"].stages) == sum(
        encoding(plan, name) != larger for name in "ab"
    )


def test_a_concatenation_leaves_the_operand_that_decides_its_range():
    graph = network(
        [
            ("Gemm", ["x", "w0"], "large", {}),
            ("Gemm", ["x", "w1"], "small", {}),
            ("Concat", ["large", "small"], "both", {"axis": 1}),
            ("Gemm", ["both", "w2"], "y", {}),
        ],
        {"x": [4]},
        {"y": [3]},
        w0=RNG.normal(size=(4, 4)) * 3,
        w1=RNG.normal(size=(4, 4)) / 8,
        w2=RNG.normal(size=(8, 3)),
    )
    x = (RNG.normal(size=(60, 4)) + 2).astype(np.float32)
    plan, result = run(graph, x, normalize="affine")
    assert encoding(plan, "both") == encoding(plan, "large") != encoding(plan, "small")
    kernel = next(layer.kernel for layer in plan.layers if layer.output == "both")
    assert [stage is None for stage in kernel.stages] == [True, False]
    assert sqnr(graph, x, result)["y"] > 25


def test_attention_products_of_two_values():
    graph = network(
        [
            ("MatMul", ["x", "wq"], "q", {}),
            ("MatMul", ["x", "wk"], "k", {}),
            ("Transpose", ["k"], "kt", {"perm": [0, 2, 1]}),
            ("MatMul", ["q", "kt"], "scores", {}),
            ("Softmax", ["scores"], "attention", {"axis": -1}),
            ("MatMul", ["attention", "x"], "y", {}),
        ],
        {"x": [5, 4]},
        {"y": [5, 4]},
        wq=RNG.normal(size=(4, 4)),
        wk=RNG.normal(size=(4, 4)),
    )
    x = (RNG.normal(size=(40, 5, 4)) + 1).astype(np.float32)
    found = {}
    for how in ("pow2", "affine"):
        plan, result = run(graph, x, normalize=how)
        found[how] = sqnr(graph, x, result)["y"]
    assert encoding(plan, "q").holds_zero
    assert encoding(plan, "scores").plain
    assert found["affine"] > found["pow2"] - 1


@pytest.mark.parametrize(("calibration", "least"), [("percentile:99.9", 20), ("mse", 20), ("entropy", 8)])
def test_every_calibration_serves_affine_plans(graph, images, calibration, least):
    plan, result = run(graph, images, normalize="affine", calibration=calibration)
    assert encoding(plan, "relu0").holds_zero
    assert sqnr(graph, images, result)["logits"] > least


def test_an_explicit_accumulator_is_obeyed_with_offsets(graph, images):
    plan, result = run(graph, images, normalize="affine", accumulator="q16.8:trn,sat")
    convolution = next(layer.kernel for layer in plan.layers if layer.output == "relu0")
    assert str(convolution.accumulator) == "q16.8:trn,sat"
    assert sqnr(graph, images, result)["logits"] > 15
    narrow, result = run(graph, images, normalize="affine", accumulator="q5.6:trn,wrap")
    assert result.reports["relu0"].usage.accumulator_overflow > 0
    assert sqnr(graph, images, result)["logits"] < 10
    assert narrow.digest != plan.digest


def test_a_plan_is_saved_and_read_with_its_steps(graph, images, tmp_path):
    plan, result = run(graph, images, normalize="affine")
    fx.save_plan(plan, tmp_path / "plan")
    again = fx.load_plan(tmp_path / "plan")
    assert again.digest == plan.digest
    assert {n: v.encoding for n, v in again.values.items()} == {n: v.encoding for n, v in plan.values.items()}
    assert np.array_equal(fx.simulate(again, images)["logits"].codes, result["logits"].codes)


def test_indices_stay_as_they_are():
    table = RNG.normal(size=(10, 4))
    nodes = [
        helper.make_node("Gather", ["table", "i"], ["row"], name="row"),
        helper.make_node("Gemm", ["row", "w"], ["y"], name="y"),
    ]
    model = helper.make_model(
        helper.make_graph(
            nodes,
            "g",
            [helper.make_tensor_value_info("i", TensorProto.INT64, ["n"])],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 2])],
            [
                numpy_helper.from_array(table.astype(np.float32), "table"),
                numpy_helper.from_array(RNG.normal(size=(4, 2)).astype(np.float32), "w"),
            ],
        ),
        opset_imports=[helper.make_opsetid("", 17)],
    )
    graph = fx.load(model)
    plan, result = run(graph, np.arange(10), normalize="affine")
    assert encoding(plan, "i").plain
    assert encoding(plan, "row").plain
    assert not encoding(plan, "y").plain
    assert sqnr(graph, np.arange(10), result)["y"] > 25


def test_constant_and_zero_data():
    graph = network(
        [("Gemm", ["x", "w", "b"], "y", {})], {"x": [2]}, {"y": [2]}, w=np.zeros((2, 2)), b=np.array([5.0, 5.0])
    )
    plan, result = run(graph, np.zeros((3, 2), np.float32), normalize="affine")
    assert np.all(np.abs(result["y"].values - 5.0) <= float(encoding(plan, "y").step))
