"""The committed examples are what their documentation says: real digits not trained on, and networks that read them."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
INPUTS = {"dense": ("pixels", (64,)), "conv": ("image", (1, 8, 8))}
SAMPLES = 450

each_example = pytest.mark.parametrize("name", INPUTS)


def load(name: str) -> dict[str, np.ndarray]:
    with np.load(EXAMPLES / f"digits_{name}_test.npz") as archive:
        return dict(archive)


@each_example
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


@each_example
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
    key, _ = INPUTS[name]
    data = load(name)
    session = onnxruntime.InferenceSession(EXAMPLES / f"digits_{name}.onnx", providers=["CPUExecutionProvider"])
    (logits,) = session.run(["logits"], {key: data[key]})
    assert np.mean(logits.argmax(axis=-1) == data["labels"]) >= 0.96


@each_example
def test_the_models_leave_normalization_to_fxnorm(name: str) -> None:
    path = EXAMPLES / f"digits_{name}.onnx"
    model = onnx.load(path)
    operators = Counter(node.op_type for node in model.graph.node)
    assert operators["BatchNormalization"] == 2
    (entry,) = model.graph.input
    assert entry.name == INPUTS[name][0]
    assert entry.type.tensor_type.shape.dim[0].dim_param  # the batch is free


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.onnx")) + sorted(EXAMPLES.glob("*.npz")), ids=lambda p: p.name)
def test_the_files_stay_small(path: Path) -> None:
    assert path.stat().st_size < 200_000
