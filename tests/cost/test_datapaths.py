"""Work of every kernel: worked out by hand for small ones, and counted by running them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import helper
from small_models import floats, model, save

import fxnorm as fx
from fxnorm.cost.catalog import DATAPATHS, datapath
from fxnorm.cost.datapath import Datapath
from fxnorm.cost.network import plan_cost
from fxnorm.cost.structure import input_site, sites
from fxnorm.hls.choices import Choices
from fxnorm.kernels.catalog import KERNELS, TRANSFORMS
from fxnorm.kernels.stage import Tally
from fxnorm.planning.plan import Plan
from fxnorm.planning.price import rescale_cost

Array = np.ndarray
EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def test_every_kernel_has_a_cost() -> None:
    assert set(DATAPATHS) == {*KERNELS, *TRANSFORMS}


@dataclass(frozen=True)
class Net:
    """A model of a few nodes, planned."""

    plan: Plan

    def path(self, index: int = -1) -> Datapath:
        return datapath(sites(self.plan, Choices.make())[index])


Make = Callable[..., Net]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    def made(
        nodes: Sequence[tuple[str, Sequence[str], Mapping[str, Any]]],
        shapes: Mapping[str, Sequence[int]],
        constants: Mapping[str, Array] | None = None,
        *,
        samples: Mapping[str, Array] | None = None,
        opset: int = 17,
        **options: Any,
    ) -> Net:
        """Nodes, each the input of the next through `t0`, `t1`, …; the last result is `y`."""
        protos = []
        for index, (op, inputs, attributes) in enumerate(nodes):
            output = "y" if index == len(nodes) - 1 else f"t{index}"
            protos.append(helper.make_node(op, list(inputs), [output], name=f"{op}{index}", **attributes))
        proto = model(protos, [floats(name, shape) for name, shape in shapes.items()], [floats("y", None)], constants)
        proto.opset_import[0].version = opset
        del proto.graph.output[0].type.tensor_type.shape.dim[:]
        proto.graph.output[0].type.tensor_type.ClearField("shape")
        path = save(proto, tmp_path / "net.onnx")
        graph = fx.load(path)
        generator = np.random.default_rng(5)
        given = samples or {
            name: generator.uniform(-2, 2, (16, *shape[1:])).astype(np.float32) for name, shape in shapes.items()
        }
        return Net(fx.plan(graph, fx.calibrate(graph, given), **{"format": "q5.3", **options}))

    return made


ODD = np.array([[0.5, -0.3, 0.9, 0.1], [0.7, 0.2, -0.9, 0.4], [0.3, 0.6, 0.1, -0.8]], np.float32)


def test_dense(make: Make) -> None:
    net = make(
        [("Gemm", ["x", "w", "b"], {"transB": 1})],
        {"x": [1, 4]},
        {"w": ODD, "b": np.array([0.1, 0.2, 0.3], np.float32)},
    )
    path = net.path()
    kernel: Any = net.plan.layers[-1].kernel
    # 3 outputs of 4 products of 8 by 8 bits. An accumulator takes 8 + 8 - 1 bits and two more for four products, and one for the bias.
    assert (path.vectors, path.outputs, path.inputs) == (1, 3, 4)
    assert path.product.multipliers == {(8, 8): 1}
    assert path.product.adders == {kernel.accumulator.width: 1}
    assert path.work.multipliers == {(8, 8): 12}
    assert path.work.multiplier_area == 12 * 64
    cost = path.cost()
    assert cost.weight_bits >= 12 * 8
    assert cost.accumulators == {kernel.accumulator.width: 1}
    assert cost.buffer_bits == cost.table_bits == 0
    # Rounding carry and saturation of every output, unless they cannot be needed.
    assert path.output.additions == 1
    assert sum(path.output.comparators.values()) == 1


def test_unsigned_data_takes_one_more_bit(make: Make) -> None:
    net = make(
        [("Relu", ["x"], {}), ("Gemm", ["t0", "w"], {"transB": 1})],
        {"x": [1, 4]},
        {"w": ODD},
        layers=["Relu0:format=uq5.3"],
    )
    assert net.path().product.multipliers == {(9, 8): 1}


def test_convolution_keeps_rows(make: Make) -> None:
    weights = np.random.default_rng(0).normal(size=(3, 2, 3, 3)).astype(np.float32)
    net = make([("Conv", ["x", "w"], {"pads": [1, 1, 1, 1]})], {"x": [1, 2, 5, 6]}, {"w": weights})
    path = net.path()
    assert (path.vectors, path.outputs, path.inputs) == (30, 3, 18)
    assert path.work.multipliers == {(8, 8): 30 * 3 * 18}
    # Two rows of 6 + 2 pixels of two channels of 8 bits.
    assert path.cost().buffer_bits == 2 * 8 * 2 * 8


def test_convolution_with_dilation_and_groups(make: Make) -> None:
    weights = np.random.default_rng(0).normal(size=(4, 1, 3, 2)).astype(np.float32)
    net = make(
        [("Conv", ["x", "w"], {"dilations": [2, 1], "strides": [1, 2], "group": 4})],
        {"x": [1, 4, 9, 6]},
        {"w": weights},
    )
    path = net.path()
    # Rows: 9 - 4 = 5; columns: (6 - 2) / 2 + 1 = 3. Each output sees one channel.
    assert (path.vectors, path.outputs, path.inputs) == (15, 4, 6)
    # The window reaches over five rows: four are kept.
    assert path.cost().buffer_bits == 4 * 6 * 4 * 8


def test_quantized_accumulator_saturates_every_addition(make: Make) -> None:
    plain = make([("Gemm", ["x", "w"], {"transB": 1})], {"x": [1, 4]}, {"w": ODD}, accumulator="q6.6:trn,wrap").path()
    saturating = make(
        [("Gemm", ["x", "w"], {"transB": 1})], {"x": [1, 4]}, {"w": ODD}, accumulator="q6.6:rnd,sat"
    ).path()
    assert plain.product.comparators == {}
    assert sum(saturating.product.comparators.values()) == 1
    assert saturating.product.additions == plain.product.additions


def test_matrix_product(make: Make) -> None:
    net = make([("MatMul", ["a", "b"], {})], {"a": [1, 2, 5], "b": [1, 5, 3]})
    path = net.path()
    assert (path.vectors, path.outputs, path.inputs) == (2, 3, 5)
    assert path.work.multipliers == {(8, 8): 30}
    assert path.cost().buffer_bits == (2 * 5 + 5 * 3 + 2 * 3) * 8


def test_elementwise(make: Make) -> None:
    added = make([("Add", ["a", "b"], {})], {"a": [1, 2, 5], "b": [1, 2, 5]}).path()
    assert added.work.multiplications == 0
    # One sum an element, and one rounding carry where places are taken off. Another operand is another sum.
    assert added.work.additions in {10, 20}
    wave = np.linspace(-2, 2, 80).reshape(8, 2, 5).astype(np.float32)
    two, three = (
        make(
            [("Sum", list(names), {})],
            {name: [1, 2, 5] for name in names},
            samples=dict.fromkeys(names, wave),
            normalize="none",
        ).path()
        for names in ("ab", "abc")
    )
    # Steps are the same everywhere: nothing is rounded.
    assert (two.work.additions, three.work.additions) == (10, 20)
    product = make([("Mul", ["a", "b"], {})], {"a": [1, 2, 5], "b": [1, 2, 5]}).path()
    assert product.work.multipliers == {(8, 8): 10}
    spread = make([("Mul", ["a", "b"], {})], {"a": [1, 2, 5], "b": [1, 1, 5]}).path()
    assert spread.work.multipliers == {(8, 8): 10}
    assert spread.cost().buffer_bits == (10 + 5 + 10) * 8


def test_scale_and_shift(make: Make) -> None:
    constants = {
        name: np.array(values, np.float32)
        for name, values in {"s": [0.3, 0.7], "b": [0.1, 0.2], "m": [0.0, 0.1], "v": [1.0, 1.3]}.items()
    }
    node: tuple[str, list[str], dict[str, Any]] = ("BatchNormalization", ["x", "s", "b", "m", "v"], {})
    path = make([node], {"x": [1, 2, 3, 3]}, constants).path()
    # Multipliers of 16 bits by default.
    assert path.work.multipliers == {(16, 8): 18}
    assert path.cost().weight_bits >= 2 * 16
    clip = make([("Relu", ["x"], {})], {"x": [1, 4]}).path()
    assert clip.work.multiplications == 0


def test_table(make: Make) -> None:
    path = make([("Sigmoid", ["x"], {})], {"x": [1, 6]}).path()
    assert path.work.multiplications == path.work.additions == 0
    assert path.cost().table_bits == 256 * 8
    wide = make([("Sigmoid", ["x"], {})], {"x": [1, 6]}, format="q8.8").path()
    # A polynomial: as many products as its degree, each element.
    assert wide.work.multiplications in {6, 12, 18}
    assert 0 < wide.cost().table_bits < (1 << 16) * 16 // 20


def test_pooling(make: Make) -> None:
    largest = make([("MaxPool", ["x"], {"kernel_shape": [2, 2], "strides": [2, 2]})], {"x": [1, 3, 4, 6]}).path()
    assert (largest.vectors, largest.outputs, largest.inputs) == (6, 3, 4)
    assert largest.product.comparators == {8: 1}
    assert largest.work.multiplications == 0
    assert largest.cost().buffer_bits == 1 * 6 * 3 * 8
    ninth = make([("AveragePool", ["x"], {"kernel_shape": [3, 3]})], {"x": [1, 2, 4, 4]}).path()
    # Nine codes of 8 bits: 128 · 9 = 1152 takes 11 bits and a sign.
    assert ninth.product.adders == {12: 1}
    # Division by nine: a product with its reciprocal, and one back.
    assert ninth.output.multiplications == 2
    quarter = make([("AveragePool", ["x"], {"kernel_shape": [2, 2]})], {"x": [1, 2, 4, 4]}).path()
    assert quarter.output.multiplications == 0


def test_reductions(make: Make) -> None:
    mean = make([("GlobalAveragePool", ["x"], {})], {"x": [1, 5, 4, 4]}).path()
    assert (mean.outputs, mean.inputs) == (5, 16)
    assert mean.work.multiplications == 0
    squares = make([("ReduceSumSquare", ["x"], {"axes": [2]})], {"x": [1, 5, 4]}).path()
    assert squares.work.multipliers == {(8, 8): 20}


def test_softmax(make: Make) -> None:
    net = make([("Softmax", ["x"], {"axis": -1})], {"x": [1, 3, 10]})
    path = net.path()
    kernel: Any = net.plan.layers[-1].kernel
    assert (path.vectors, path.outputs, path.groups, path.passes) == (3, 10, 3, 3)
    # Each element: log2(e), Horner's rule of the exponential, the reciprocal. Each group: slope, start, correction.
    degree = len(kernel.exponential.coefficients) - 1
    assert path.output.multiplications == 2 + degree
    assert path.group.multiplications == 3
    assert path.work.multiplications == 30 * (2 + degree) + 3 * 3
    # Ten exponentials below 2^P + 1 in a sum: four more bits, and a sign.
    assert path.accumulator == kernel.bits + 1 + 4 + 1
    log = make([("LogSoftmax", ["x"], {"axis": -1})], {"x": [1, 3, 10]}).path()
    assert log.passes == 3
    assert log.groups == 3


def test_layer_normalization(make: Make) -> None:
    constants = {"s": np.full(12, 0.7, np.float32), "b": np.linspace(-1, 1, 12).astype(np.float32)}
    net = make([("LayerNormalization", ["x", "s", "b"], {"axis": -1})], {"x": [1, 5, 12]}, constants)
    path = net.path()
    kernel: Any = net.plan.layers[-1].kernel
    assert (path.vectors, path.outputs, path.groups, path.passes) == (5, 12, 5, 2)
    # Each element: x², 12·x, the scale, the mantissa. Each group: 12·Q, S², and four in the root.
    assert path.output.multiplications == 4
    assert path.output.multipliers[(8, 8)] == 1
    assert path.group.multiplications == 6
    # S is a sum of 12 codes: four bits more.
    assert path.group.multipliers[(12, 12)] == 1
    assert path.accumulator == (12 * 128 * 128).bit_length() + 1
    assert path.cost().table_bits == (2 << kernel.moments.root.constants.index_bits) * (
        kernel.moments.root.constants.start_bits + kernel.moments.root.constants.slope_bits
    )
    # Sixteen values: a product with 16 is a shift.
    constants = {name: np.resize(values, 16) for name, values in constants.items()}
    power = make([("LayerNormalization", ["x", "s", "b"], {"axis": -1})], {"x": [1, 5, 16]}, constants).path()
    assert power.output.multiplications == 3
    assert power.group.multiplications == 5
    alone = make([("LayerNormalization", ["x", "s"], {"axis": -1})], {"x": [1, 5, 12]}, {"s": np.ones(12, np.float32)})
    assert alone.path().output.multiplications in {3, 4}


@pytest.mark.parametrize(("algorithm", "passes"), [("exact", 2), ("one_pass", 2), ("two_pass", 3)])
def test_passes_of_the_algorithms(make: Make, algorithm: str, passes: int) -> None:
    net = make(
        [("LayerNormalization", ["x", "s"], {"axis": -1})],
        {"x": [1, 5, 12]},
        {"s": np.full(12, 0.7, np.float32)},
        norm_algorithm=algorithm,
    )
    assert net.path().passes == passes


def test_statistics_of_a_normalization_as_outputs(tmp_path: Path) -> None:
    """Mean and inverse deviation of a LayerNormalization, in stages."""
    node = helper.make_node("LayerNormalization", ["x", "s"], ["y", "mean", "inverse"], name="norm", axis=-1)
    outputs = [floats("y", [1, 5, 12]), floats("mean", [1, 5, 1]), floats("inverse", [1, 5, 1])]
    proto = model([node], [floats("x", [1, 5, 12])], outputs, {"s": np.full(12, 0.7, np.float32)})
    graph = fx.load(save(proto, tmp_path / "net.onnx"))
    ranges = fx.calibrate(graph, np.random.default_rng(0).normal(size=(9, 5, 12)).astype(np.float32))
    plan = fx.plan(graph, ranges, format="q5.3", norm_algorithm="two_pass")
    paths = {
        type(layer.kernel).__name__: datapath(site)
        for layer, site in zip(plan.layers, sites(plan, Choices.make()), strict=True)
    }
    assert set(paths) == {"Norm", "NormMean", "NormInverseDeviation"}
    mean, inverse = paths["NormMean"], paths["NormInverseDeviation"]
    # A sum of twelve codes a group; the quotient by 12 is a product with its reciprocal and one back.
    assert (mean.outputs, mean.inputs, mean.product.additions) == (5, 12, 1)
    assert mean.work.multiplications == 5 * 2
    # Squares of differences, two passes; a root of four products, the quotients of mean and variance, and one more product.
    assert (inverse.outputs, inverse.inputs, inverse.passes) == (5, 12, 2)
    assert inverse.product.multiplications == 1
    assert inverse.output.multiplications == 4 + 2 * 2 + 1


def test_division(make: Make) -> None:
    generator = np.random.default_rng(1)
    samples = {
        "a": generator.normal(size=(9, 4)).astype(np.float32),
        "b": generator.uniform(0.5, 3, (9, 4)).astype(np.float32),
    }
    path = make([("Div", ["a", "b"], {})], {"a": [1, 4], "b": [1, 4]}, samples=samples).path()
    # Slope, start and correction of the reciprocal, and the product.
    assert path.work.multiplications == 4 * 4


def test_data_movement(make: Make) -> None:
    moved = make([("Transpose", ["x"], {"perm": [0, 2, 1]})], {"x": [1, 3, 4]}).path()
    assert moved.work == type(moved.work)()
    assert moved.cost().buffer_bits == 2 * 12 * 8
    same = make([("Reshape", ["x", "shape"], {})], {"x": [1, 3, 4]}, {"shape": np.array([1, 12])}).path()
    assert same.cost().buffer_bits == 0
    joined = make([("Concat", ["a", "b"], {"axis": 1})], {"a": [1, 3], "b": [1, 4]}).path()
    assert joined.work.multiplications == 0
    assert joined.cost().buffer_bits == (3 + 4 + 7) * 8


def test_local_response(make: Make) -> None:
    path = make([("LRN", ["x"], {"size": 3})], {"x": [1, 6, 2, 2]}).path()
    assert (path.vectors, path.outputs) == (4, 6)
    # x², the weight, the power of a mantissa (Horner) by the power of two, x times that.
    assert path.output.multiplications >= 4


def test_input_transform(make: Make) -> None:
    samples = {"x": np.random.default_rng(2).uniform(0.1, 9, (9, 4)).astype(np.float32)}
    for function in ("log", "sqrt"):
        net = make(
            [("Gemm", ["x", "w"], {"transB": 1})], {"x": [1, 4]}, {"w": ODD}, samples=samples, input_transform=function
        )
        path = datapath(input_site(net.plan, "x"))
        assert path.work.multiplications >= 4 * 2
        assert path.cost().table_bits > 0
        assert plan_cost(net.plan) == path.cost() + net.path().cost()


# Against what runs.


def example_plan(name: str, **options: Any) -> Plan:
    graph = fx.load(EXAMPLES / name)
    data = np.load(EXAMPLES / "digits_conv_test.npz")
    key = next(iter(graph.inputs))
    x = next(value for value in (data[entry] for entry in data.files) if value.ndim > 1)
    shape = graph.values[key].shape[1:]
    chosen = x[:32].reshape(32, *shape).astype(np.float32)
    return fx.plan(graph, fx.calibrate(graph, chosen), **{"format": "q5.3", **options})


@pytest.mark.parametrize("name", ["digits_conv.onnx", "digits_dense.onnx", "digits_vit.onnx"])
def test_additions_are_those_that_the_simulator_counts(name: str) -> None:
    """A kernel's tally counts the additions of its accumulator while it runs."""
    plan = example_plan(name)
    compared = 0
    for layer, site in zip(plan.layers, sites(plan, Choices.make()), strict=True):
        tally = Tally()
        generator = np.random.default_rng(3)
        formats = [plan.values[own].encoding.format for own in layer.inputs]
        inputs = [
            generator.integers(form.min_code, form.max_code + 1, (1, *plan.values[own].shape))
            for own, form in zip(layer.inputs, formats, strict=True)
        ]
        layer.kernel.run(inputs, tally)
        if tally.additions:
            compared += 1
            path = datapath(site)
            products = path.product * (path.vectors * path.outputs * path.inputs)
            assert products.additions == products.multiplications == tally.additions
    assert compared >= 3


@pytest.mark.parametrize("name", ["digits_conv.onnx", "digits_dense.onnx"])
@pytest.mark.parametrize("normalize", ["none", "pow2", "affine"])
def test_multipliers_of_normalization_are_those_of_its_price(name: str, normalize: str) -> None:
    """`rescale_cost` counts what normalization adds; here it is all multiplications but those of weights."""
    plan = example_plan(name, normalize=normalize)
    weights = 0
    for layer, site in zip(plan.layers, sites(plan, Choices.make()), strict=True):
        if type(layer.kernel).kind == "linear":
            path = datapath(site)
            weights += path.vectors * path.outputs * path.inputs
    found = plan_cost(plan).work.multiplications - weights
    assert found == rescale_cost(plan).multiplications
    assert (found > 0) == (normalize == "affine")


def test_costs_of_layers_add_up() -> None:
    plan = example_plan("digits_conv.onnx")
    first = replace(plan, layers=plan.layers[:2])
    rest = replace(plan, layers=plan.layers[2:])
    assert plan_cost(plan) == plan_cost(first) + plan_cost(rest)
