"""Models of old opsets compute what they always did.

Oracle from opset 7 on: onnxruntime on the model as it is, which has kernels for the old forms. At opset 6, which it no longer runs, the
formulas of that opset's documentation in NumPy.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from graph_models import BOOL, INT64, draw, model, node, run_as_is

from fxnorm.graph.modernize import TARGET
from fxnorm.graph.onnx_import import load
from fxnorm.graph.reference import Reference

Case = tuple[onnx.ModelProto, dict[str, np.ndarray]]


def unary(
    op: str, opset: int, shape: tuple[int, ...], constants: dict[str, Any] | None = None, **attributes: Any
) -> Case:
    """One node that reads x of a shape, and constants."""
    made = model(
        [node(op, ["x", *(constants or {})], ["y"], **attributes)], {"x": shape}, ["y"], constants, opset=opset
    )
    return made, {"x": draw(shape)}


def imported(case: Case) -> dict[str, np.ndarray]:
    """Outputs of the imported model."""
    proto, feeds = case
    graph = load(proto)
    assert {node.version for node in graph.nodes if not node.domain} <= {TARGET}
    assert graph.model.opset_imports[""] == TARGET
    results = Reference(graph).run({name: array[None] for name, array in feeds.items()})
    return {name: array[0] for name, array in results.items()}


IMAGE = (1, 4, 5, 6)
CASES: dict[str, Case] = {
    "clip-6": unary("Clip", 7, IMAGE, min=-0.5, max=0.25),
    "clip-6 one bound": unary("Clip", 10, IMAGE, max=0.25),
    "clip-6 no bound": unary("Clip", 9, IMAGE),
    "pad-2": unary("Pad", 9, IMAGE, pads=[0, 0, 1, 2, 0, 0, 0, 1], value=1.5),
    "pad-2 reflect": unary("Pad", 10, IMAGE, pads=[0, 0, 1, 2, 0, 0, 2, 1], mode="reflect"),
    "slice-1": unary("Slice", 9, IMAGE, starts=[1, -3], ends=[3, 100], axes=[1, 3]),
    "slice-1 without axes": unary("Slice", 7, IMAGE, starts=[0, 1], ends=[1, 4]),
    "squeeze-1": unary("Squeeze", 11, (1, 4, 1, 6), axes=[2]),
    "squeeze-1 all": unary("Squeeze", 11, (1, 4, 1, 6)),
    "unsqueeze-1": unary("Unsqueeze", 11, (4, 6), axes=[0, 3]),
    "reducesum-11": unary("ReduceSum", 11, IMAGE, axes=[1, -1], keepdims=0),
    "reducemean-13": unary("ReduceMean", 13, IMAGE, axes=[2, 3]),
    "reducemean-13 all": unary("ReduceMean", 17, IMAGE, keepdims=0),
    "reducemin-13 at 17": unary("ReduceMin", 17, IMAGE, axes=[-1]),
    "reducesum-11 at 12": unary("ReduceSum", 12, IMAGE, axes=[2]),
    "squeeze-11 at 12": unary("Squeeze", 12, (1, 4, 1, 6), axes=[-2]),
    "reducemax-13": unary("ReduceMax", 13, IMAGE, axes=[1]),
    "reducel2-11": unary("ReduceL2", 11, IMAGE, axes=[1]),
    "softmax-11 axis 1 of 4": unary("Softmax", 11, (2, 3, 4, 2)),
    "softmax-11 last axis": unary("Softmax", 11, (2, 3, 4), axis=2),
    "softmax-11 negative axis": unary("Softmax", 11, (2, 3, 4), axis=-2),
    "softmax-11 axis 0": unary("Softmax", 9, (2, 3, 4), axis=0),
    "softmax-11 one long axis": unary("Softmax", 11, (1, 7, 1, 1)),
    "softmax-11 ones only": unary("Softmax", 11, (3, 1, 1)),
    "logsoftmax-11": unary("LogSoftmax", 12, (2, 3, 4), axis=1),
    "hardmax-11": unary("Hardmax", 11, (2, 3, 4), axis=1),
    "upsample-7": unary("Upsample", 8, IMAGE, scales=[1.0, 1.0, 2.0, 3.0]),
    "upsample-7 linear": unary("Upsample", 7, IMAGE, scales=[1.0, 1.0, 2.0, 2.0], mode="linear"),
    "upsample-9": unary("Upsample", 9, IMAGE, {"s": np.array([1, 1, 2.5, 2], np.float32)}),
    "resize-10": unary("Resize", 10, IMAGE, {"s": np.array([1, 1, 1.7, 0.6], np.float32)}),
    "resize-10 linear": unary("Resize", 10, IMAGE, {"s": np.array([1, 1, 2, 1.5], np.float32)}, mode="linear"),
    "prelu-7": unary("PRelu", 7, IMAGE, {"slope": draw((4, 1, 1), 1)}),
    "globalmean": unary("GlobalAveragePool", 7, IMAGE),
    "averagepool-7": unary("AveragePool", 7, IMAGE, kernel_shape=[2, 3], pads=[1, 1, 0, 1], count_include_pad=1),
    "maxpool-8": unary("MaxPool", 8, IMAGE, kernel_shape=[2, 2], strides=[2, 2]),
    "lrn": unary("LRN", 7, IMAGE, size=3),
    "batchnormalization-7": unary(
        "BatchNormalization", 7, IMAGE, {n: np.abs(draw((4,), i)) + 0.5 for i, n in enumerate("sbmv")}, epsilon=1e-3
    ),
    "batchnormalization-9": unary(
        "BatchNormalization", 9, IMAGE, {n: np.abs(draw((4,), i)) + 0.5 for i, n in enumerate("sbmv")}
    ),
    "groupnormalization-18": unary(
        "GroupNormalization", 18, (2, 6, 3, 3), {"s": draw((3,), 1), "b": draw((3,), 2)}, num_groups=3
    ),
    "gemm-7": unary("Gemm", 7, (3, 4), {"b": draw((5, 4), 1), "c": draw((5,), 2)}, transB=1, alpha=0.5, beta=2.0),
}


def two(op: str, opset: int, outputs: int, **attributes: Any) -> onnx.ModelProto:
    names = [f"y{index}" for index in range(outputs)]
    return model([node(op, ["x"], names, name="node", **attributes)], {"x": IMAGE}, names, opset=opset)


CASES |= {
    "split-2": (two("Split", 11, 2, split=[1, 3], axis=1), {"x": draw(IMAGE)}),
    "split-2 equal": (two("Split", 9, 3, axis=3), {"x": draw(IMAGE)}),
    "split-13 equal": (two("Split", 13, 2, axis=-1), {"x": draw(IMAGE)}),
    "topk-1": (
        model([node("TopK", ["x"], ["y", "i"], k=2)], {"x": (3, 7)}, {"y": None, "i": (INT64, None)}, opset=9),
        {"x": draw((3, 7))},
    ),
    "scatter-9": (
        model(
            [node("Scatter", ["x", "i", "u"], ["y"], axis=1)],
            {"x": (1, 5)},
            ["y"],
            {"i": np.array([[1, 3]]), "u": np.array([[1.5, -2]], np.float32)},
            opset=9,
        ),
        {"x": draw((1, 5))},
    ),
    "dropout-12 with mask": (
        model([node("Dropout", ["x"], ["y", "m"])], {"x": (2, 3)}, {"y": None, "m": (BOOL, None)}, opset=12),
        {"x": draw((2, 3))},
    ),
    "dropout-10": (
        model([node("Dropout", ["x"], ["y"], ratio=0.3)], {"x": (2, 3)}, ["y"], opset=10),
        {"x": draw((2, 3))},
    ),
    "gridsample-16": (
        model(
            [node("GridSample", ["x", "g"], ["y"], mode="bicubic")],
            {"x": (1, 2, 5, 5), "g": (1, 3, 4, 2)},
            ["y"],
            opset=16,
        ),
        {"x": draw((1, 2, 5, 5)), "g": np.tanh(draw((1, 3, 4, 2), 3))},
    ),
    "roialign-10": (
        model(
            [node("RoiAlign", ["x", "r", "b"], ["y"], output_height=2, output_width=2, spatial_scale=0.5)],
            {"x": (1, 2, 8, 8)},
            ["y"],
            {"r": np.array([[1.0, 2.0, 9.0, 11.0]], np.float32), "b": np.array([0])},
            opset=10,
        ),
        {"x": draw((1, 2, 8, 8))},
    ),
    "resize-11 with empty scales": (
        model(
            [
                node(
                    "Resize", ["x", "r", "s", "n"], ["y"], coordinate_transformation_mode="align_corners", mode="linear"
                )
            ],
            {"x": IMAGE},
            ["y"],
            {"r": np.zeros(0, np.float32), "s": np.zeros(0, np.float32), "n": np.array([1, 4, 9, 8])},
            opset=11,
        ),
        {"x": draw(IMAGE)},
    ),
    "resize-11 tf_half_pixel_for_nn": (
        model(
            [
                node(
                    "Resize",
                    ["x", "r", "s"],
                    ["y"],
                    coordinate_transformation_mode="tf_half_pixel_for_nn",
                    nearest_mode="floor",
                )
            ],
            {"x": IMAGE},
            ["y"],
            {"r": np.zeros(0, np.float32), "s": np.array([1, 1, 1.6, 0.7], np.float32)},
            opset=11,
        ),
        {"x": draw(IMAGE)},
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_imported_model_computes_what_the_old_one_does(name: str) -> None:
    proto, feeds = CASES[name]
    expected = run_as_is(proto, feeds)
    found = imported(CASES[name])
    assert found.keys() == expected.keys()
    for output, array in expected.items():
        assert found[output].shape == array.shape
        np.testing.assert_allclose(found[output], array.astype(found[output].dtype), rtol=1e-5, atol=1e-6)


def opset6(op: str, inputs: list[str], constants: dict[str, np.ndarray], **attributes: Any) -> Case:
    made = model([node(op, inputs, ["y"], **attributes)], {"x": IMAGE}, ["y"], constants, opset=6)
    return made, {"x": draw(IMAGE)}


CHANNEL, PLANE = draw((4,), 5), draw((5, 6), 6)
OPSET6: dict[str, tuple[Case, Any]] = {
    "add along an axis": (
        opset6("Add", ["x", "b"], {"b": CHANNEL}, broadcast=1, axis=1),
        lambda x: x + CHANNEL.reshape(4, 1, 1),
    ),
    "sub at a negative axis": (
        opset6("Sub", ["x", "b"], {"b": CHANNEL}, broadcast=1, axis=-3),
        lambda x: x - CHANNEL.reshape(4, 1, 1),
    ),
    "mul by a suffix": (opset6("Mul", ["x", "b"], {"b": PLANE}, broadcast=1), lambda x: x * PLANE),
    "mul at an axis in the middle": (
        opset6("Mul", ["x", "b"], {"b": draw((4, 5), 7)}, broadcast=1, axis=1),
        lambda x: x * draw((4, 5), 7).reshape(4, 5, 1),
    ),
    "div by one number": (opset6("Div", ["x", "b"], {"b": np.float32([4])}, broadcast=1), lambda x: x / 4),
    "pow by one number at an axis": (
        opset6("Pow", ["x", "b"], {"b": np.float32(2)}, broadcast=1, axis=0),
        lambda x: x**2,
    ),
    "add of equal shapes": (opset6("Add", ["x", "x"], {}), lambda x: x + x),
    "prelu with a slope a channel": (
        opset6("PRelu", ["x", "s"], {"s": CHANNEL}),
        lambda x: np.where(x < 0, x * CHANNEL.reshape(4, 1, 1), x),
    ),
    "prelu with one slope": (
        opset6("PRelu", ["x", "s"], {"s": np.float32([0.1])}),
        lambda x: np.where(x < 0, x * 0.1, x),
    ),
    "upsample by height and width": (
        opset6("Upsample", ["x"], {}, height_scale=2.0, width_scale=3.0, mode="nearest"),
        lambda x: x.repeat(2, axis=2).repeat(3, axis=3),
    ),
    "dropout": (opset6("Dropout", ["x"], {}, is_test=1, ratio=0.4), lambda x: x),
    "batch normalization": (
        opset6(
            "BatchNormalization",
            ["x", *"sbmv"],
            {n: np.abs(draw((4,), i)) + 0.5 for i, n in enumerate("sbmv")},
            is_test=1,
            consumed_inputs=[0, 0, 0, 1, 1],
            epsilon=0.01,
        ),
        lambda x: (
            (x - (np.abs(draw((4,), 2)) + 0.5).reshape(4, 1, 1))
            / np.sqrt((np.abs(draw((4,), 3)) + 0.5).reshape(4, 1, 1) + 0.01)
            * (np.abs(draw((4,), 0)) + 0.5).reshape(4, 1, 1)
            + (np.abs(draw((4,), 1)) + 0.5).reshape(4, 1, 1)
        ),
    ),
    "batch normalization of every element": (
        opset6(
            "BatchNormalization",
            ["x", *"sbmv"],
            {n: np.abs(draw(IMAGE[1:], i)) + 0.5 for i, n in enumerate("sbmv")},
            is_test=1,
            spatial=0,
        ),
        lambda x: (
            (x - (np.abs(draw(IMAGE[1:], 2)) + 0.5))
            / np.sqrt(np.abs(draw(IMAGE[1:], 3)) + 0.5 + 1e-5)
            * (np.abs(draw(IMAGE[1:], 0)) + 0.5)
            + (np.abs(draw(IMAGE[1:], 1)) + 0.5)
        ),
    ),
}


@pytest.mark.parametrize("name", OPSET6)
def test_opset_6_computes_what_its_documentation_says(name: str) -> None:
    case, formula = OPSET6[name]
    (found,) = imported(case).values()
    expected = formula(case[1]["x"])
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_opset_6_gemm_broadcasts_its_bias() -> None:
    b, c = draw((4, 5), 1), draw((5,), 2)
    proto = model([node("Gemm", ["x", "b", "c"], ["y"], broadcast=1)], {"x": (3, 4)}, ["y"], {"b": b, "c": c}, opset=6)
    found = imported((proto, {"x": draw((3, 4))}))["y"]
    np.testing.assert_allclose(found, draw((3, 4)) @ b + c, rtol=1e-5)


def test_newer_opsets_than_the_target_are_kept() -> None:
    proto = model([node("Relu", ["x"], ["y"])], {"x": (1, 4)}, ["y"], opset=24)
    graph = load(proto)
    assert graph.nodes[0].version == 24
    assert graph.model.opset_imports[""] == 24
