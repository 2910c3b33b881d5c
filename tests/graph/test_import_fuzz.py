"""Damaged files raise nothing but fxnorm's own errors, wherever the damage is."""

from __future__ import annotations

import random
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import onnx
import pytest
from graph_models import constant, draw, model, node
from onnx import helper

from fxnorm.errors import FxnormError, ModelError
from fxnorm.graph.onnx_import import load

SHARED = Path(__file__).resolve().parents[2] / ".." / "shared" / "models"


def varied() -> onnx.ModelProto:
    """A small model with something of everything: shape arithmetic, functions, subgraphs, old forms, quantized weights."""
    branch = helper.make_graph(
        [node("Relu", ["c"], ["t"])], "branch", [], [helper.make_tensor_value_info("t", onnx.TensorProto.FLOAT, None)]
    )
    half = helper.make_function(
        "local", "Half", ["a"], ["b"], [constant("h", np.float32(0.5)), node("Mul", ["a", "h"], ["b"])],
        [helper.make_opsetid("", 11)],
    )  # fmt: skip
    nodes = [
        node("DequantizeLinear", ["q", "s", "z"], ["w"]),
        node("Conv", ["x", "w"], ["c"], pads=[1, 1, 1, 1], strides=[1, 2], name="conv"),
        constant("true", np.bool_(True)),
        node("If", ["true"], ["r"], then_branch=branch, else_branch=branch),
        node("Half", ["r"], ["d"], domain="local"),
        node("Softmax", ["d"], ["p"], axis=1),
        node("Resize", ["p", "roi", "scales"], ["u"]),
        node("Shape", ["u"], ["shape"]),
        node("Gather", ["shape", "zero"], ["batch"]),
        node("Unsqueeze", ["batch"], ["first"], axes=[0]),
        node("Concat", ["first", "rest"], ["target"], axis=0),
        node("Reshape", ["u", "target"], ["f"]),
        node("Split", ["f"], ["left", "right"], axis=1),
        node("Pad", ["left", "pads"], ["padded"]),
        node("Neg", ["padded"], ["y"]),
    ]
    constants = {
        "q": np.arange(72, dtype=np.int8).reshape(4, 2, 3, 3),
        "s": np.float32(0.1),
        "z": np.int8(1),
        "roi": np.zeros(0, np.float32),
        "scales": np.float32([1, 1, 2, 1]),
        "zero": np.int64(0),
        "rest": np.array([-1]),
        "pads": np.array([0, 1, 0, 0]),
    }
    return model(
        nodes, {"x": ("n", 2, 4, 4)}, ["y", "right"], constants, opset=11, functions=[half], imports={"local": 1}
    )


def attempt(data: bytes, file: Path) -> bool:
    """Import damaged bytes; whether they were refused."""
    file.write_bytes(data)
    try:
        load(file, known=lambda domain, op, version: op != "Softmax")
    except FxnormError:
        return True
    return False


def test_the_undamaged_model_is_read(tmp_path: Path) -> None:
    assert not attempt(varied().SerializeToString(), tmp_path / "m.onnx")


def cut_short(data: bytes, ends: Iterable[int], file: Path) -> int:
    """Import the first bytes of a model; how often that is refused. What is accepted must be all that matters of it."""
    file.write_bytes(data)
    whole, refused = load(file), 0
    for end in ends:
        file.write_bytes(data[:end])
        try:
            graph = load(file)
        except ModelError:
            refused += 1
        else:
            assert graph.nodes == whole.nodes
            assert all(np.array_equal(graph.constants[name], array) for name, array in whole.constants.items())
    return refused


def test_a_model_cut_short_anywhere_is_refused(tmp_path: Path) -> None:
    data = varied().SerializeToString()
    assert cut_short(data, range(0, len(data), 2), tmp_path / "m.onnx") >= len(data) // 2 - 2


@pytest.mark.parametrize("name", ["sww", "dscnn"])
def test_a_real_model_cut_short_is_refused(name: str, tmp_path: Path) -> None:
    path = SHARED / f"{name}.onnx"
    if not path.exists():
        pytest.skip(f"{path} is not there")
    data = path.read_bytes()
    ends = [*range(0, 200, 3), *range(200, len(data), len(data) // 100), *range(len(data) - 60, len(data))]
    # Cut behind the list of opsets, whose last entry neither model needs, a file is whole.
    assert cut_short(data, ends, tmp_path / "m.onnx") >= len(ends) - 2


@pytest.mark.parametrize("seed", range(3))
def test_flipped_bytes_raise_nothing_else(seed: int, tmp_path: Path) -> None:
    generator = random.Random(seed)
    data = varied().SerializeToString()
    refused = 0
    for _ in range(200):
        damaged = bytearray(data)
        for _ in range(generator.choice([1, 1, 2, 5])):
            damaged[generator.randrange(len(damaged))] = generator.choice(
                [0, 1, 127, 128, 255, generator.randrange(256)]
            )
        refused += attempt(bytes(damaged), tmp_path / "m.onnx")
    assert 20 < refused < 200


def test_flipped_bytes_of_a_real_model_raise_nothing_else(tmp_path: Path) -> None:
    path = SHARED / "dscnn.onnx"
    if not path.exists():
        pytest.skip(f"{path} is not there")
    generator = random.Random(7)
    data = path.read_bytes()
    for _ in range(150):
        damaged = bytearray(data)
        for _ in range(8):
            damaged[generator.randrange(len(damaged))] = generator.randrange(256)
        attempt(bytes(damaged), tmp_path / "m.onnx")


def test_the_damaged_weight_is_what_is_read() -> None:
    """Guards the tests above: the importer reads the bytes it is given."""
    proto = model([node("Add", ["x", "b"], ["y"])], {"x": (1, 3)}, ["y"], {"b": draw((3,))})
    damaged = proto.SerializeToString().replace(draw((3,)).tobytes(), (draw((3,)) + 1).tobytes())
    np.testing.assert_array_equal(load(onnx.ModelProto.FromString(damaged)).constants["b"], draw((3,)) + 1)
