"""Samples in memory follow the rules of samples in files."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import helper
from small_models import dense, floats, integers, model, samples, save

from fxnorm.data import Data
from fxnorm.errors import DataError
from fxnorm.graph.onnx_import import load
from fxnorm.samples import bind, bind_to

SHAPES = {"x": (1, 4)}


def two_inputs() -> Any:
    nodes = [
        helper.make_node("Gather", ["table", "i"], ["row"]),
        helper.make_node("Add", ["row", "x"], ["y"]),
    ]
    table = np.ones((5, 2), np.float32)
    proto = model(nodes, [integers("i", ["N"]), floats("x", ["N", 2])], [floats("y", ["N", 2])], {"table": table})
    return load(proto)


@pytest.mark.parametrize(
    ("given_shape", "own_shape", "count"),
    [
        ((10, 4), (1, 4), 10),
        ((10, 1, 4), (1, 4), 10),
        ((6, 4), (2, 4), 3),
        ((3, 2, 4), (2, 4), 3),
        ((1, 1), (1, 1), 1),
        ((7, 1), (1,), 7),
        ((7,), (1,), 7),
        ((6,), (3,), 2),
        ((7,), (), 7),
        ((), (), 1),
    ],
)
def test_the_sample_rule(given_shape: tuple[int, ...], own_shape: tuple[int, ...], count: int) -> None:
    x = np.arange(np.prod(given_shape, dtype=int), dtype=np.float32).reshape(given_shape)
    bound = bind(x, {"x": own_shape})["x"]
    assert bound.shape == (count, *own_shape)
    assert np.array_equal(bound.ravel(), x.ravel())
    assert bound.dtype == np.float32


@given(st.data())
def test_memory_and_files_agree(data: st.DataObject) -> None:
    shape = data.draw(st.lists(st.integers(0, 6), max_size=3).map(tuple))
    dtype = data.draw(st.sampled_from([np.float32, np.float64, np.int8, np.bool_, np.complex64]))
    x = np.ones(shape, dtype)
    graph = load(dense(batch=data.draw(st.sampled_from(["N", 2]))))
    with tempfile.TemporaryDirectory() as folder:
        np.save(f"{folder}/x.npy", x)
        try:
            wanted: Any = Data.open(f"{folder}/x.npy", graph).head(99)["x"]
        except DataError:
            wanted = None
    try:
        got: Any = bind_to(graph, x)["x"]
    except DataError:
        got = None
    assert (wanted is None) == (got is None)
    if wanted is not None:
        assert wanted.dtype == got.dtype
        assert np.array_equal(wanted, got)


@pytest.mark.parametrize(
    "x",
    [
        samples().tolist(),
        samples().astype(np.float64),
        samples().astype(np.float16),
        np.ones((10, 4), np.int8),
        np.ones((10, 4), bool),
        samples()[::-1],
        np.asfortranarray(samples()),
    ],
    ids=lambda x: type(x).__name__ + str(getattr(x, "dtype", "")),
)
def test_any_real_numbers_will_do(x: Any) -> None:
    bound = bind(x, SHAPES)["x"]
    assert bound.dtype == np.float32
    assert np.array_equal(bound, np.asarray(x, np.float32).reshape(10, 1, 4))


def test_arrays_by_name_with_labels(tmp_path: Path) -> None:
    np.savez(tmp_path / "d.npz", x=samples(), labels=np.arange(10))
    with np.load(tmp_path / "d.npz") as saved:
        assert list(bind(saved, SHAPES)) == ["x"]
        assert list(bind(dict(saved), SHAPES)) == ["x"]
    assert bind({"labels": samples()}, {"labels": (1, 4)})["labels"].shape == (10, 1, 4)


def test_inputs_of_a_graph_keep_their_types() -> None:
    bound = bind_to(two_inputs(), {"i": np.array([0, 4], np.uint8), "x": np.zeros((2, 2))})
    assert {name: (array.dtype, array.shape) for name, array in bound.items()} == {
        "i": (np.dtype(np.int64), (2, 1)),
        "x": (np.dtype(np.float32), (2, 1, 2)),
    }


@pytest.mark.parametrize(
    ("x", "words"),
    [
        (samples()[:, :3], ("samples × 4", "[10, 3]")),
        (samples()[0, 0], ("samples × 4", "[]")),
        (samples()[:0], ("at least one",)),
        ({}, ("'x'", "missing", "nothing")),
        ({"z": samples()}, ("'x'", "missing", "'z'")),
        ({"x": samples(), "z": samples()}, ("'z'", "no input")),
        (samples().astype(str), ("numbers", "<U")),
        (np.array([None]), ("numbers", "object")),
        ([[1.0, 2.0], [1.0]], ("array",)),
        (samples() * 1j, ("numbers", "complex")),
        (np.array([[0, 1, 2, np.nan]]), ("finite", "sample 0", "NaN")),
        (np.array([[0, 1, 2, 3], [0, 0, -np.inf, 0]]), ("finite", "sample 1", "infinite")),
        (np.full((1, 4), 1e39), ("finite", "float32")),
    ],
    ids=str,
)
def test_samples_that_do_not_fit(x: Any, words: tuple[str, ...]) -> None:
    with pytest.raises(DataError) as caught:
        bind(x, SHAPES)
    message = str(caught.value)
    assert message.startswith("samples")
    for word in words:
        assert word in message


def test_a_batch_that_samples_do_not_fill() -> None:
    with pytest.raises(DataError, match="2 inputs at a time"):
        bind(samples(5), {"x": (2, 4)})


def test_one_array_for_two_inputs() -> None:
    with pytest.raises(DataError, match="'i', 'x'"):
        bind_to(two_inputs(), samples())


def test_inputs_of_different_numbers_of_samples() -> None:
    with pytest.raises(DataError, match=r"'i' 3, 'x' 2"):
        bind_to(two_inputs(), {"i": np.zeros(3, int), "x": np.zeros((2, 2))})


@pytest.mark.parametrize("indices", [np.zeros(2), np.array([0.0, 1.5]), np.array(["a", "b"])])
def test_indices_are_integers(indices: Any) -> None:
    with pytest.raises(DataError, match=r"integers|numbers"):
        bind_to(two_inputs(), {"i": indices, "x": np.zeros((2, 2))})
    with pytest.raises(DataError, match=r"integers|numbers"):
        bind(indices, {"i": (1,)}, integers=("i",))


def test_data_in_files_serve_the_same_model(tmp_path: Path) -> None:
    graph = load(save(dense(), tmp_path / "m.onnx"))
    np.save(tmp_path / "x.npy", samples())
    assert np.array_equal(Data.open(tmp_path / "x.npy", graph).head(99)["x"], bind_to(graph, samples())["x"])
