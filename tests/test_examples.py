"""The committed examples are what their documentation says: real digits not trained on, and networks that read them."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
INPUTS = {"dense": ("pixels", (64,)), "conv": ("image", (1, 8, 8))}  # of the archives of test images
# Network → archive that it shares with others, and the normalization that it leaves to fxnorm.
NETWORKS = {
    "dense": ("dense", "BatchNormalization", 2),
    "conv": ("conv", "BatchNormalization", 2),
    "vit": ("conv", "LayerNormalization", 5),
    "groupnorm": ("conv", "GroupNormalization", 2),
    "instancenorm": ("conv", "InstanceNormalization", 2),
}
SAMPLES = 450

each_archive = pytest.mark.parametrize("name", INPUTS)
each_example = pytest.mark.parametrize("name", NETWORKS)


def load(name: str) -> dict[str, np.ndarray]:
    with np.load(EXAMPLES / f"digits_{name}_test.npz") as archive:
        return dict(archive)


@each_archive
def test_data_are_raw_labelled_pixels(name: str) -> None:
    key, shape = INPUTS[name]
    data = load(name)
    assert set(data) == {key, "labels"}
    assert data[key].shape == (SAMPLES, *shape)
    assert data[key].dtype == np.float32
    assert data["labels"].shape == (SAMPLES,)
    assert data["labels"].dtype == np.int64
    assert set(data["labels"]) == set(range(10))
    assert (data[key].min(), data[key].max()) == (0, 16)
    assert np.array_equal(data[key], np.round(data[key]))


@each_archive
def test_data_are_the_digits_of_scikit_learn(name: str) -> None:
    key, _ = INPUTS[name]
    data, digits = load(name), load_digits()
    ours = Counter(
        (image.astype(np.uint8).tobytes(), int(label)) for image, label in zip(data[key], data["labels"], strict=True)
    )
    theirs = Counter(
        (row.astype(np.uint8).tobytes(), int(label)) for row, label in zip(digits.data, digits.target, strict=True)
    )
    assert ours <= theirs
    per_class = np.bincount(data["labels"]) / np.bincount(digits.target)
    assert np.abs(per_class - SAMPLES / len(digits.target)).max() < 0.01  # stratified


def test_data_are_the_split_that_the_script_makes() -> None:
    digits = load_digits()
    _, rows = train_test_split(np.arange(len(digits.target)), test_size=SAMPLES, stratify=digits.target, random_state=0)
    for name, (key, _) in INPUTS.items():
        data = load(name)
        assert np.array_equal(data[key].reshape(SAMPLES, 64), digits.data[rows])
        assert np.array_equal(data["labels"], digits.target[rows])


@each_example
def test_fp32_accuracy(name: str) -> None:
    archive, _, _ = NETWORKS[name]
    key, _ = INPUTS[archive]
    data = load(archive)
    session = onnxruntime.InferenceSession(EXAMPLES / f"digits_{name}.onnx", providers=["CPUExecutionProvider"])
    (logits,) = session.run(["logits"], {key: data[key]})
    accuracy = float(np.mean(logits.argmax(axis=-1) == data["labels"]))
    assert accuracy >= 0.96
    documented = re.search(rf"^\| {name} \| ([0-9.]+) % \|$", (EXAMPLES / "README.md").read_text(), re.MULTILINE)
    assert documented is not None
    assert documented[1] == f"{100 * accuracy:.2f}"


@each_example
def test_the_models_leave_normalization_to_fxnorm(name: str) -> None:
    archive, normalization, count = NETWORKS[name]
    model = onnx.load(EXAMPLES / f"digits_{name}.onnx")
    operators = Counter(node.op_type for node in model.graph.node)
    assert operators[normalization] == count
    (entry,) = model.graph.input
    assert entry.name == INPUTS[archive][0]
    assert entry.type.tensor_type.shape.dim[0].dim_param  # the batch is free


def test_the_transformer_spells_its_attention() -> None:
    operators = Counter(node.op_type for node in onnx.load(EXAMPLES / "digits_vit.onnx").graph.node)
    assert operators["Softmax"] == 2
    assert operators["MatMul"] == 2 * (4 + 2 + 2)  # four projections, two products of values, two dense layers a block
    assert operators["Attention"] == 0


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.onnx")), ids=lambda p: p.name)
def test_no_file_names_a_folder_of_the_machine_that_made_it(path: Path) -> None:
    content = path.read_bytes()
    assert b"site-packages" not in content
    assert not re.search(rb"/[a-z]+/[^\x00-\x1f]*\.py", content)


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.onnx")) + sorted(EXAMPLES.glob("*.npz")), ids=lambda p: p.name)
def test_the_files_stay_small(path: Path) -> None:
    assert path.stat().st_size < 200_000
