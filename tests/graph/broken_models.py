"""Models that must be refused, each with what its message must name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
from graph_models import INT64, constant, draw, model, node
from onnx import TensorProto, helper, numpy_helper

W = draw((4, 5), 1)


def good() -> onnx.ModelProto:
    return model([node("MatMul", ["x", "w"], ["y"], name="dense")], {"x": (1, 4)}, ["y"], {"w": W})


def changed(change: Callable[[onnx.ModelProto], Any]) -> onnx.ModelProto:
    made = good()
    change(made)
    return made


def one(op: str, inputs: list[str], constants: dict[str, Any] | None = None, **attributes: Any) -> onnx.ModelProto:
    """A model of one node that reads x and constants."""
    return model([node(op, inputs, ["y"], name="it", **attributes)], {"x": (1, 4, 6, 6)}, ["y"], constants)


def shared_name(name: str) -> onnx.ModelProto:
    nodes = [node("Relu", ["x"], ["a"], name="first"), node("Neg", ["x"], [name], name="second")]
    return model([*nodes, node("Add", ["a", name], ["y"])], {"x": (1, 4)}, ["y"], {"w": W})


def self_calling() -> onnx.ModelProto:
    body = helper.make_function(
        "local", "Loop", ["a"], ["b"], [node("Loop", ["a"], ["b"], domain="local")], [helper.make_opsetid("local", 1)]
    )
    return model(
        [node("Loop", ["x"], ["y"], domain="local")], {"x": (1,)}, ["y"], functions=[body], imports={"local": 1}
    )


def exploding() -> onnx.ModelProto:
    """Ten functions that call the next one ten times each: 10^10 nodes."""
    functions = []
    for level in range(10):
        inner = f"F{level + 1}" if level < 9 else "Relu"
        chain = [node(inner, [f"v{i}"], [f"v{i + 1}"], domain="local" if level < 9 else "") for i in range(10)]
        imports = [helper.make_opsetid("local", 1), helper.make_opsetid("", 21)]
        functions.append(helper.make_function("local", f"F{level}", ["v0"], ["v10"], chain, imports))
    return model(
        [node("F0", ["x"], ["y"], domain="local")], {"x": (1,)}, ["y"], functions=functions, imports={"local": 1}
    )


def weight(array: Any) -> onnx.ModelProto:
    return model([node("MatMul", ["x", "w"], ["y"], name="dense")], {"x": (1, 4)}, ["y"], {"w": array})


def poisoned(value: float) -> np.ndarray:
    array = W.copy()
    array[2, 3] = value
    return array


def set_opset(version: int) -> Callable[[onnx.ModelProto], None]:
    def change(made: onnx.ModelProto) -> None:
        made.opset_import[0].version = version

    return change


def shorten_weight(made: onnx.ModelProto) -> None:
    made.graph.initializer[0].raw_data = made.graph.initializer[0].raw_data[:-4]


def typed_weight(made: onnx.ModelProto) -> None:
    tensor = made.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.float_data.extend([1.0] * 19)


def negative_dimension(made: onnx.ModelProto) -> None:
    made.graph.initializer[0].dims[0] = -4


def huge_weight(made: onnx.ModelProto) -> None:
    made.graph.initializer[0].dims[0] = 1 << 40


def unknown_type(made: onnx.ModelProto) -> None:
    made.graph.initializer[0].data_type = 99


def undefined_input(made: onnx.ModelProto) -> None:
    made.graph.input[0].type.tensor_type.elem_type = 0


def no_shape(made: onnx.ModelProto) -> None:
    made.graph.input[0].type.tensor_type.ClearField("shape")


NEWEST = onnx.defs.onnx_opset_version()
STRINGS = TensorProto.STRING
BROKEN: dict[str, tuple[onnx.ModelProto, str]] = {
    "no graph": (onnx.ModelProto(ir_version=8), "model: not an ONNX model: it holds no graph"),
    "no inputs": (model([constant("y", W)], {}, ["y"]), "model: must have at least one input"),
    "no outputs": (model([node("Relu", ["x"], ["y"])], {"x": (1,)}, []), "model: a model needs at least one output"),
    "too old": (changed(set_opset(5)), f"model: opset 5 is too old, 6 to {NEWEST} are read"),
    "too new": (changed(set_opset(NEWEST + 1)), f"model: opset {NEWEST + 1} is newer than the installed onnx knows"),
    "no opset": (changed(lambda m: m.ClearField("opset_import")), "model: no opset is declared"),
    "only another domain": (
        changed(lambda m: setattr(m.opset_import[0], "domain", "ai.onnx.ml")),
        r"dense \(MatMul\): the model must declare the opset",
    ),
    "IR version": (changed(lambda m: setattr(m, "ir_version", 99)), "model: IR version 99 is newer"),
    "undeclared input": (
        model([node("Add", ["x", "ghost"], ["y"], name="add")], {"x": (1, 4)}, ["y"]),
        r"add \(Add\): nothing in the model makes the value 'ghost'",
    ),
    "undeclared output": (
        model([node("Relu", ["x"], ["y"])], {"x": (1, 4)}, ["ghost"]),
        "graph: nothing in the model makes the value 'ghost'",
    ),
    "duplicate value": (shared_name("a"), r"second \(Neg\): output 'a' is already the name of another value"),
    "value named as a weight": (shared_name("w"), r"second \(Neg\): output 'w' is already the name of another value"),
    "value named as an input": (shared_name("x"), r"second \(Neg\): output 'x' is already the name of another value"),
    "duplicate initializer": (
        changed(lambda m: m.graph.initializer.append(m.graph.initializer[0])),
        "initializer 'w' is declared twice",
    ),
    "duplicate input": (changed(lambda m: m.graph.input.append(m.graph.input[0])), "input 'x' is declared twice"),
    "cycle": (
        model([node("Add", ["x", "b"], ["a"], name="p"), node("Relu", ["a"], ["b"], name="q")], {"x": (1,)}, ["b"]),
        r"form a cycle: .*(p \(Add\) → q \(Relu\)|q \(Relu\) → p \(Add\))",
    ),
    "self-loop": (
        model([node("Relu", ["a"], ["a"], name="me")], {"x": (1,)}, ["a"]),
        r"form a cycle: me \(Relu\) → me \(Relu\)",
    ),
    "function that calls itself": (self_calling(), "function 'Loop': a function must not call itself"),
    "functions that explode": (
        exploding(),
        "model: at most 1000000 nodes are read, but its functions expand to 10000000000",
    ),
    "bytes of a weight": (
        changed(shorten_weight),
        r"initializer 'w': its shape \[4, 5\] needs 80 bytes, but it holds 76",
    ),
    "numbers of a weight": (
        changed(typed_weight),
        r"initializer 'w': its shape \[4, 5\] needs 20 numbers, but it holds 19",
    ),
    "negative dimension": (changed(negative_dimension), r"initializer 'w': dimensions must not be negative.*\[-4, 5\]"),
    "absurd weight": (changed(huge_weight), "initializer 'w': a tensor may have at most 2\\^30 elements"),
    "unknown element type": (changed(unknown_type), "initializer 'w': element type 99 is not a number"),
    "untyped input": (changed(undefined_input), "input 'x': must be a tensor with an element type"),
    "input without a shape": (changed(no_shape), "input 'x': its number of dimensions must be known"),
    "input of no entries": (
        model([node("Relu", ["x"], ["y"])], {"x": (1, 0)}, ["y"]),
        "input 'x': dimension 1 must be positive, not 0",
    ),
    "input of negative size": (
        model([node("Relu", ["x"], ["y"])], {"x": (1, -3)}, ["y"]),
        "input 'x': dimension 1 must be positive, not -3",
    ),
    "absurd input": (
        model([node("Relu", ["x"], ["y"])], {"x": (1, 1 << 40)}, ["y"]),
        "input 'x': a tensor may have at most 2\\^30 elements",
    ),
    "sequence input": (
        changed(
            lambda m: m.graph.input[0].type.sequence_type.elem_type.tensor_type.MergeFrom(
                onnx.TypeProto.Tensor(elem_type=1)
            )
        ),
        "input 'x': must be a tensor",
    ),
    "string input": (
        model([node("Identity", ["x"], ["y"])], {"x": (STRINGS, (1,))}, {"y": (STRINGS, None)}),
        "input 'x': must hold numbers, not strings",
    ),
    "string weight": (
        model(
            [node("Gather", ["names", "x"], ["y"], name="labels")],
            {"x": (INT64, (1,))},
            {"y": (STRINGS, None)},
            {"names": np.array(["cat", "dog"])},
        ),
        "initializer 'names': must hold numbers",
    ),
    "NaN weight": (
        weight(poisoned(np.nan)),
        r"initializer 'w': weights must be finite numbers, but it holds NaN.*dense \(MatMul\)",
    ),
    "infinite weight": (
        weight(poisoned(-np.inf)),
        r"initializer 'w': .* infinite values, which dense \(MatMul\) reads",
    ),
    "weight beyond float32": (weight(poisoned(1).astype(np.float64) * 1e300), "initializer 'w': .* infinite values"),
    "NaN behind other nodes": (
        model(
            [node("Transpose", ["v"], ["t"]), node("Identity", ["t"], ["w"]), node("MatMul", ["x", "w"], ["y"])],
            {"x": (1, 5)},
            ["y"],
            {"v": poisoned(np.nan)},
        ),
        "initializer 'v': .* NaN values, which MatMul_y",
    ),
    "NaN mask": (one("Add", ["x", "m"], {"m": np.float32(np.nan)}), "initializer 'm': .* NaN values"),
    "infinite bias": (
        one("Conv", ["x", "w", "b"], {"w": draw((2, 4, 1, 1)), "b": np.float32([0, np.inf])}),
        r"initializer 'b': .* infinite values, which it \(Conv\)",
    ),
    "infinite attribute": (
        one("LeakyRelu", ["x"], alpha=float("inf")),
        r"it \(LeakyRelu\): attribute 'alpha' must be a finite number",
    ),
    "NaN attribute": (one("Elu", ["x"], alpha=float("nan")), r"it \(Elu\): attribute 'alpha' must be a finite number"),
    "stride 0": (
        one("MaxPool", ["x"], kernel_shape=[2, 2], strides=[0, 1]),
        r"it \(MaxPool\): attribute 'strides' must be positive, not \[0, 1\]",
    ),
    "group 0": (
        one("Conv", ["x", "w"], {"w": draw((2, 4, 1, 1))}, group=0),
        r"it \(Conv\): attribute 'group' must be positive, not 0",
    ),
    "blocksize 0": (
        one("DepthToSpace", ["x"], blocksize=0),
        r"it \(DepthToSpace\): attribute 'blocksize' must be positive",
    ),
    "attribute of another opset": (
        one("ReduceMean", ["x"], axes=[1]),
        r"it \(ReduceMean\): has no attribute 'axes' in opset 21",
    ),
    "attribute of another type": (
        one("Softmax", ["x"], axis=1.5),
        r"it \(Softmax\): attribute 'axis' must be of type INT, not FLOAT",
    ),
    "attribute missing": (one("Concat", ["x", "x"]), r"it \(Concat\): the attribute 'axis' must be given"),
    "too many inputs": (one("Relu", ["x", "x"]), r"it \(Relu\): must have 1 to 1 inputs in opset 21, not 2"),
    "too few inputs": (one("Add", ["x"]), r"it \(Add\): must have 2 to 2 inputs in opset 21, not 1"),
    "shapes that do not fit": (
        one("MatMul", ["x", "w"], {"w": W}),
        r"it \(MatMul\): its inputs or attributes do not fit",
    ),
    "wrong perm": (one("Transpose", ["x"], perm=[0, 1, 1, 2]), r"it \(Transpose\): perm must order the 4 axes"),
    "Reshape to another size": (
        one("Reshape", ["x", "s"], {"s": np.array([7, 7])}),
        r"it \(Reshape\): .* 144 elements and cannot become",
    ),
    "absurd ConstantOfShape": (
        model(
            [
                node("ConstantOfShape", ["s"], ["c"], name="big"),
                node("ReduceSum", ["c"], ["r"]),
                node("Add", ["x", "r"], ["y"]),
            ],
            {"x": (1,)},
            ["y"],
            {"s": np.array([10**6, 10**6])},
        ),
        r"big \(ConstantOfShape\): a value may have at most 2\^30 elements.*\[1000000, 1000000\]",
    ),
    "negative ConstantOfShape": (
        model(
            [node("ConstantOfShape", ["s"], ["c"], name="big"), node("Add", ["x", "c"], ["y"])],
            {"x": (1,)},
            ["y"],
            {"s": np.array([-5])},
        ),
        r"big \(ConstantOfShape\)",
    ),
    "absurd Range": (
        model(
            [node("Range", ["a", "b", "c"], ["r"], name="range"), node("Gather", ["x", "r"], ["y"])],
            {"x": (1,)},
            ["y"],
            {"a": np.int64(0), "b": np.int64(10**12), "c": np.int64(1)},
        ),
        r"range \(Range\): a tensor may have at most 2\^30",
    ),
    "endless Range": (
        model(
            [node("Range", ["a", "b", "c"], ["r"], name="range"), node("Gather", ["x", "r"], ["y"])],
            {"x": (1,)},
            ["y"],
            {"a": np.int64(0), "b": np.int64(4), "c": np.int64(0)},
        ),
        r"range \(Range\): delta must not be 0",
    ),
    "absurd Expand of data": (
        one("Expand", ["x", "s"], {"s": np.array([1 << 20, 4, 1 << 10, 6])}),
        r"it \(Expand\): ",
    ),
    "training batch normalization": (
        model(
            [node("BatchNormalization", ["x", *"sbmv"], ["y", "mean", "var", "sm", "sv"], name="bn")],
            {"x": (1, 4, 2)},
            ["y", "mean"],
            {name: np.abs(draw((4,))) for name in "sbmv"},
            opset=9,
        ),
        r"bn \(BatchNormalization\): must be in inference mode",
    ),
    "pool beyond its input": (one("MaxPool", ["x"], kernel_shape=[9, 9]), r"it \(MaxPool\): its inputs are too small"),
    "channels of a weight": (
        one("Conv", ["x", "w"], {"w": draw((2, 3, 1, 1))}),
        r"it \(Conv\): a weight of shape \[2, 3, 1, 1\] in 1 groups takes 3 channels, but the input has the shape \[1, 4, 6, 6\]",
    ),
    "groups of a weight": (
        one("Conv", ["x", "w"], {"w": draw((3, 2, 1, 1))}, group=2),
        r"it \(Conv\): a weight of shape",
    ),
    "bias of a weight": (
        one("Conv", ["x", "w", "b"], {"w": draw((2, 4, 1, 1)), "b": draw((3,))}),
        r"it \(Conv\): input 2 must have one entry for each of 2 channels, but its shape is \[3\]",
    ),
    "kernel_shape of a weight": (
        one("Conv", ["x", "w"], {"w": draw((2, 4, 1, 1))}, kernel_shape=[3, 3]),
        r"it \(Conv\): kernel_shape must be that of the weight, \[1, 1\], not \[3, 3\]",
    ),
    "C of a Gemm": (
        model([node("Gemm", ["x", "w", "c"], ["y"], name="it")], {"x": (2, 4)}, ["y"], {"w": W, "c": draw((3,))}),
        r"it \(Gemm\): C must broadcast to \[2, 5\], but its shape is \[3\]",
    ),
    "slope of PRelu": (
        one("PRelu", ["x", "s"], {"s": draw((3, 1, 1))}),
        r"it \(PRelu\): an input of shape \[3, 1, 1\]",
    ),
    "scale of InstanceNormalization": (
        one("InstanceNormalization", ["x", "s", "b"], {"s": draw((3,)), "b": draw((4,))}),
        r"it \(InstanceNormalization\): input 1 must have one entry for each of 4 channels",
    ),
    "channels of DepthToSpace": (
        one("DepthToSpace", ["x"], blocksize=3),
        r"it \(DepthToSpace\): 4 channels are no multiple of",
    ),
    "index of Gather": (
        one("Gather", ["x", "i"], {"i": np.array([4])}, axis=1),
        r"it \(Gather\): indices must lie within the 4",
    ),
    "Einstein sum": (
        model([node("Einsum", ["x"], ["y"], name="e", equation="ij->\x01j")], {"x": (1, 2)}, ["y"]),
        r"e \(Einsum\): attribute 'equation' must be an Einstein sum",
    ),
    "sparse index": (
        changed(
            lambda m: m.graph.sparse_initializer.append(
                helper.make_sparse_tensor(
                    numpy_helper.from_array(np.float32([1]), "s"), numpy_helper.from_array(np.array([99]), "i"), [2, 2]
                )
            )
        ),
        r"initializer 's': its indices do not fit its shape \[2, 2\]",
    ),
}
