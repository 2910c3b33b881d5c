"""Samples from files: what fits, in which chunks it arrives, and what is refused, by name."""

from __future__ import annotations

import contextlib
import hashlib
import io
import random
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from fxnorm.data import Data
from fxnorm.errors import DataError
from fxnorm.graph.graph import Graph
from fxnorm.graph.onnx_import import load


def graph_of(inputs: dict[str, tuple[int, tuple[Any, ...]]]) -> Graph:
    """A graph with inputs of element types and shapes."""
    infos = [helper.make_tensor_value_info(name, dtype, shape) for name, (dtype, shape) in inputs.items()]
    nodes = [
        helper.make_node("Abs" if dtype != TensorProto.BOOL else "Not", [name], [f"{name}_out"])
        for name, (dtype, _) in inputs.items()
    ]
    outputs = [helper.make_tensor_value_info(f"{name}_out", dtype, None) for name, (dtype, _) in inputs.items()]
    model = helper.make_model(
        helper.make_graph(nodes, "g", infos, outputs), opset_imports=[helper.make_opsetid("", 21)]
    )
    return load(model)


FLOAT, INT32, INT64, BOOL = TensorProto.FLOAT, TensorProto.INT32, TensorProto.INT64, TensorProto.BOOL
ONE = graph_of({"x": (FLOAT, ("n", 2, 3))})
PAIR = graph_of({"x": (FLOAT, (2, 3)), "i": (INT32, (2,))})
SCALAR = graph_of({"x": (FLOAT, (1, 2)), "s": (FLOAT, ())})


def numbers(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def collected(data: Data, size: int) -> dict[str, np.ndarray]:
    """All chunks put together, after a look at their lengths."""
    chunks = list(data.chunks(size))
    for chunk in chunks:
        (length,) = {len(array) for array in chunk.values()}
        assert 1 <= length <= size
    return {name: np.concatenate([chunk[name] for chunk in chunks]) for name in chunks[0]}


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("size", [1, 4, 7, 100])
def test_archives_are_read_in_chunks(tmp_path: Path, save: Any, size: int) -> None:
    x, labels = numbers(45, 2, 3), np.arange(45) % 5
    file = tmp_path / "x.npz"
    save(file, x=x, labels=labels)
    data = Data.open(file, ONE)
    assert (data.samples, data.description) == (45, str(file))
    assert data.sha256 == hashlib.sha256(file.read_bytes()).hexdigest()
    found = collected(data, size)
    assert list(found) == ["x"]
    assert found["x"].dtype == np.float32
    np.testing.assert_array_equal(found["x"], x.reshape(45, 1, 2, 3))
    np.testing.assert_array_equal(data.labels, labels)


@pytest.mark.parametrize("order", ["C", "F"])
def test_npy_files_are_read_in_chunks(tmp_path: Path, order: str) -> None:
    x = np.asarray(numbers(11, 2, 3), order=order)  # type: ignore[call-overload]
    np.save(tmp_path / "x.npy", x)
    data = Data.open(tmp_path / "x.npy", ONE)
    assert (data.samples, data.labels) == (11, None)
    np.testing.assert_array_equal(collected(data, 4)["x"], x.reshape(11, 1, 2, 3))


def test_folders_are_read_in_the_order_of_names(tmp_path: Path) -> None:
    x, labels = numbers(9, 2, 3), np.arange(9)
    np.savez(tmp_path / "b.npz", x=x[5:], labels=labels[5:])
    np.savez(tmp_path / "a.npz", x=x[:5], labels=labels[:5])
    (tmp_path / "README").write_text("not data")
    data = Data.open(tmp_path, ONE)
    assert data.samples == 9
    np.testing.assert_array_equal(collected(data, 3)["x"][:, 0], x)
    np.testing.assert_array_equal(data.labels, labels)
    digests = "".join(f"{hashlib.sha256((tmp_path / n).read_bytes()).hexdigest()}  {n}\n" for n in ("a.npz", "b.npz"))
    assert data.sha256 == hashlib.sha256(digests.encode()).hexdigest()
    single = tmp_path / "plain"
    single.mkdir()
    np.save(single / "0.npy", x[:2])
    np.save(single / "1.npy", x[2:3])
    assert Data.open(single, ONE).samples == 3


def test_the_head_is_the_first_samples(tmp_path: Path) -> None:
    x = numbers(600, 2, 3)
    np.savez(tmp_path / "x.npz", x=x)
    data = Data.open(tmp_path / "x.npz", ONE)
    for count, expected in ((1, 1), (256, 256), (300, 300), (1000, 600)):
        np.testing.assert_array_equal(data.head(count)["x"], x[:expected, None])


@pytest.mark.parametrize(
    ("graph", "arrays", "samples"),
    [
        (ONE, {"x": (45, 2, 3)}, 45),
        (ONE, {"x": (45, 1, 2, 3)}, 45),
        (PAIR, {"x": (6, 3), "i": (6,)}, 3),
        (PAIR, {"x": (3, 2, 3), "i": (6,)}, 3),
        (PAIR, {"x": (3, 2, 3), "i": (3, 2)}, 3),
        (SCALAR, {"x": (4, 2), "s": (4,)}, 4),
        (SCALAR, {"x": (1, 2), "s": ()}, 1),
    ],
)
def test_the_sample_rule(tmp_path: Path, graph: Graph, arrays: dict[str, tuple[int, ...]], samples: int) -> None:
    made = {name: np.arange(int(np.prod(shape)), dtype=np.int16).reshape(shape) for name, shape in arrays.items()}
    np.savez(tmp_path / "x.npz", **made)
    data = Data.open(tmp_path / "x.npz", graph)
    assert data.samples == samples
    for name, array in collected(data, 2).items():
        assert array.dtype == graph.values[name].dtype
        np.testing.assert_array_equal(array, made[name].reshape(samples, *graph.shape(name)))


@given(
    st.integers(1, 30), st.integers(1, 12), st.sampled_from([np.float16, np.float64, np.uint8, np.int64, ">f4", "bool"])
)
def test_real_numbers_of_any_type_become_float32(
    tmp_path_factory: pytest.TempPathFactory, samples: int, size: int, dtype: Any
) -> None:
    x = (np.abs(numbers(samples, 2, 3, seed=samples)) * 50).astype(dtype)
    file = tmp_path_factory.mktemp("types") / "x.npz"
    np.savez_compressed(file, x=x)
    np.testing.assert_array_equal(collected(Data.open(file, ONE), size)["x"][:, 0], x.astype(np.float32))


def test_labels_count_every_member_of_a_batch(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", x=numbers(6, 3), i=np.zeros(6, np.int32), labels=np.arange(6, dtype=np.uint8))
    labels = Data.open(tmp_path / "x.npz", PAIR).labels
    assert labels is not None
    assert (labels.dtype, labels.tolist()) == (np.int64, [0, 1, 2, 3, 4, 5])


def test_labels_may_be_an_input(tmp_path: Path) -> None:
    graph = graph_of({"labels": (INT64, ("n",))})
    np.savez(tmp_path / "x.npz", labels=np.arange(4))
    data = Data.open(tmp_path / "x.npz", graph)
    assert (data.samples, data.labels) == (4, None)


BAD: dict[str, tuple[Graph, dict[str, Any], str]] = {
    "missing": (
        ONE,
        {"labels": np.arange(3)},
        r"must hold an array for every input \('x'\), but 'x' is missing; it holds 'labels'",
    ),
    "unknown": (
        ONE,
        {"x": numbers(3, 2, 3), "z": numbers(3)},
        "array 'z' is no input of the model; inputs are 'x', and 'labels'",
    ),
    "shape": (
        ONE,
        {"x": numbers(3, 3, 2)},
        r"array 'x': input 'x' needs the shape samples × 2 × 3, but it has \[3, 3, 2\]",
    ),
    "axes": (ONE, {"x": numbers(6)}, r"input 'x' needs the shape samples × 2 × 3, but it has \[6\]"),
    "scalar shape": (
        SCALAR,
        {"x": numbers(2, 2), "s": numbers(2, 1)},
        r"input 's' needs the shape samples, but it has \[2, 1\]",
    ),
    "batch": (
        PAIR,
        {"x": numbers(5, 3), "i": np.zeros(5, int)},
        "takes 2 inputs at a time, and 5 is no multiple of it; try --batch 1",
    ),
    "counts": (SCALAR, {"x": numbers(3, 2), "s": numbers(4)}, "same number of samples, but they have: 'x' 3, 's' 4"),
    "empty": (ONE, {"x": numbers(0, 2, 3)}, r"must hold at least one sample, but its shape is \[0, 2, 3\]"),
    "indices": (
        PAIR,
        {"x": numbers(2, 3), "i": numbers(2)},
        r"input 'i' needs integers \(int32\), but its type is float32",
    ),
    "large indices": (
        PAIR,
        {"x": numbers(2, 3), "i": np.array([0, 2**40])},
        "input 'i' takes int32 numbers, but 1099511627776 is none",
    ),
    "strings": (ONE, {"x": np.full((3, 2, 3), "a")}, r"input 'x' needs real numbers \(float32\), but its type is <U1"),
    "complex": (ONE, {"x": numbers(3, 2, 3) * 1j}, "needs real numbers .* but its type is complex"),
    "dates": (ONE, {"x": np.zeros((3, 2, 3), "M8[s]")}, "needs real numbers .* but its type is datetime64"),
    "records": (ONE, {"x": np.zeros((3, 2, 3), [("a", "f4")])}, "needs real numbers"),
    "objects": (
        ONE,
        {"x": np.array([[None]])},
        "must hold numbers, but holds pickled Python objects, which are never loaded",
    ),
    "booleans": (
        graph_of({"b": (BOOL, ("n", 2))}),
        {"b": numbers(3, 2)},
        r"input 'b' needs booleans \(bool\), but its type is float32",
    ),
    "label count": (
        ONE,
        {"x": numbers(3, 2, 3), "labels": np.arange(4)},
        r"array 'labels': must be 3 class numbers.*shape is \[4\]",
    ),
    "label shape": (
        ONE,
        {"x": numbers(3, 2, 3), "labels": np.eye(3, dtype=int)},
        r"array 'labels': must be 3 class numbers",
    ),
    "label type": (
        ONE,
        {"x": numbers(3, 2, 3), "labels": np.ones(3)},
        r"array 'labels': must be class numbers \(integers\), not float64",
    ),
    "Fortran order": (
        ONE,
        {"x": np.asfortranarray(numbers(4, 2, 3))},
        "must be stored row by row, but is in Fortran order",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_arrays_that_do_not_fit_are_refused_by_name(tmp_path: Path, name: str) -> None:
    graph, arrays, message = BAD[name]
    file = tmp_path / "x.npz"
    np.savez(file, **arrays)
    with pytest.raises(DataError, match=message) as caught:
        collected(Data.open(file, graph), 10)
    assert str(caught.value).startswith(f"{file}: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("value", "kind"), [(np.nan, "NaN"), (np.inf, "infinite"), (-np.inf, "infinite"), (1e300, "infinite")]
)
@pytest.mark.parametrize("size", [2, 100])
def test_numbers_that_are_not_finite_are_refused_with_their_sample(
    tmp_path: Path, value: float, kind: str, size: int
) -> None:
    x = numbers(20, 2, 3).astype(np.float64)
    x[13, 1, 2] = value
    np.savez(tmp_path / "x.npz", x=x)
    data = Data.open(tmp_path / "x.npz", ONE)
    with pytest.raises(DataError, match=f"array 'x': values must be finite, but sample 13 holds {kind}"):
        list(data.chunks(size))


def test_other_files_are_refused(tmp_path: Path) -> None:
    cases = {
        "empty.npz": (b"", "must hold arrays, but the file is empty"),
        "text.npz": (b"x,y\n1,2\n", "must be an .npz or .npy file, but it is neither"),
        "cut.npz": (b"PK\x03\x04" + bytes(50), "not an .npz archive"),
        "cut.npy": (b"\x93NUMPY\x01\x00", "not a .npy file"),
        "new.npy": (b"\x93NUMPY\x09\x00" + bytes(100), ".npy format 9.0 is not read"),
    }
    for name, (content, message) in cases.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(DataError, match=message.replace(".", r"\.")) as caught:
            Data.open(tmp_path / name, ONE)
        assert str(caught.value).startswith(str(tmp_path / name))
    with pytest.raises(DataError, match=r"ghost\.npz: there is no such file"):
        Data.open(tmp_path / "ghost.npz", ONE)
    (tmp_path / "folder").mkdir()
    with pytest.raises(DataError, match=r"folder: the folder must hold \.npz or \.npy files, but there is none"):
        Data.open(tmp_path / "folder", ONE)
    np.save(tmp_path / "x.npy", numbers(2, 3))
    with pytest.raises(DataError, match="one array serves a model of one input, but this model has 'x', 'i'"):
        Data.open(tmp_path / "x.npy", PAIR)
    np.savez(tmp_path / "folder" / "0.npz", x=numbers(2, 2, 3), labels=np.arange(2))
    np.savez(tmp_path / "folder" / "1.npz", x=numbers(2, 2, 3))
    with pytest.raises(DataError, match=r"1\.npz: all files of the folder must have labels or none"):
        Data.open(tmp_path / "folder", ONE)


def test_strange_members_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "x.npz"
    buffer = io.BytesIO()
    np.save(buffer, numbers(2, 2, 3))
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("x.npy", buffer.getvalue())
        archive.writestr("notes.txt", "hello")
    with pytest.raises(DataError, match=r"must hold \.npy arrays only, but it holds 'notes\.txt'"):
        Data.open(file, ONE)
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("x.npy", buffer.getvalue())
        with pytest.warns(UserWarning, match="Duplicate name"):
            archive.writestr("x.npy", buffer.getvalue())
    with pytest.raises(DataError, match="array 'x' is there twice"):
        Data.open(file, ONE)
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("x.npy", buffer.getvalue()[:-8])
    with pytest.raises(
        DataError, match=r"its shape \[2, 2, 3\] needs 48 bytes, but there are 40; the file was cut short"
    ):
        Data.open(file, ONE)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_damaged_archives_raise_nothing_else(tmp_path: Path, save: Any) -> None:
    file = tmp_path / "x.npz"
    save(file, x=np.round(numbers(40, 2, 3)), labels=np.arange(40))
    whole = file.read_bytes()
    generator = random.Random(3)
    refused = 0
    for trial in range(300):
        data = bytearray(whole)
        if trial % 3:
            for _ in range(generator.choice([1, 2, 6])):
                data[generator.randrange(len(data))] = generator.randrange(256)
        else:
            del data[generator.randrange(len(data)) :]
        file.write_bytes(data)
        try:
            collected(Data.open(file, ONE), 7)
        except DataError:
            refused += 1
    assert refused > 150


def test_damaged_npy_files_raise_nothing_else(tmp_path: Path) -> None:
    file = tmp_path / "x.npy"
    np.save(file, numbers(8, 2, 3))
    whole = file.read_bytes()
    generator = random.Random(4)
    for _ in range(300):
        data = bytearray(whole)
        data[generator.randrange(130)] = generator.randrange(256)
        file.write_bytes(data)
        with contextlib.suppress(DataError):
            collected(Data.open(file, ONE), 3)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_memory_does_not_grow_with_the_number_of_samples(tmp_path: Path, save: Any) -> None:
    graph = graph_of({"x": (FLOAT, ("n", 100, 100))})
    file = tmp_path / "x.npz"
    x = np.zeros((400, 100, 100), np.float32)  # 16 MB
    save(file, x=x)
    data = Data.open(file, graph)
    tracemalloc.start()
    count = sum(len(chunk["x"]) for chunk in data.chunks(5))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert count == 400
    assert peak < 2_500_000


def test_random_samples_are_seeded_and_say_so() -> None:
    data = Data.random(ONE, 5, seed=3)
    assert data.samples == 5
    assert data.description == "random input (seed 3, 5 samples): uniform in [-1, 1)"
    assert data.labels is None
    whole = collected(data, 5)["x"]
    assert whole.shape == (5, 1, 2, 3)
    np.testing.assert_array_equal(collected(data, 2)["x"], whole)
    np.testing.assert_array_equal(Data.random(ONE, 9, seed=3).head(5)["x"], whole)
    assert not np.array_equal(Data.random(ONE, 5, seed=4).head(5)["x"], whole)
    assert len({data.sha256, Data.random(ONE, 5, seed=4).sha256, Data.random(ONE, 6, seed=3).sha256}) == 3
    many = Data.random(ONE, 3000).head(3000)["x"]
    assert many.min() >= -1
    assert many.max() < 1
    assert abs(float(many.mean())) < 0.02
    assert float(many.std()) == pytest.approx(3**-0.5, rel=0.02)
    with pytest.raises(DataError, match="at least one sample, not 0"):
        Data.random(ONE, 0)
    with pytest.raises(DataError, match="a chunk must have at least one sample, not 0"):
        list(data.chunks(0))


def test_random_integers_stay_within_the_tables_they_look_up() -> None:
    table = numpy_helper.from_array(numbers(10, 4), "t")
    nodes = [
        helper.make_node("Unsqueeze", ["i", "axis"], ["u"]),
        helper.make_node("Gather", ["t", "u"], ["y"]),
        helper.make_node("Cast", ["j"], ["z"], to=FLOAT),
    ]
    axis = numpy_helper.from_array(np.array([1]), "axis")
    infos = [helper.make_tensor_value_info(name, INT64, ("n", 5)) for name in "ij"]
    outputs = [helper.make_tensor_value_info(name, FLOAT, None) for name in "yz"]
    made = helper.make_graph(nodes, "g", infos, outputs, [table, axis])
    graph = load(helper.make_model(made, opset_imports=[helper.make_opsetid("", 21)]))
    data = Data.random(graph, 200)
    found = data.head(200)
    assert (found["i"].dtype, found["i"].min(), found["i"].max()) == (np.int64, 0, 9)
    assert (found["j"].min(), found["j"].max()) == (0, 127)
    assert data.description.endswith("uniform in [-1, 1), i 0 to 9, j 0 to 127")


def test_random_booleans_are_both() -> None:
    graph = graph_of({"b": (BOOL, ("n", 8))})
    found = Data.random(graph, 10).head(10)["b"]
    assert (found.dtype, found.min(), found.max()) == (np.bool_, False, True)


def test_the_module_is_light() -> None:
    import subprocess
    import sys

    code = "import sys, fxnorm.data; print(sorted({'onnx', 'onnx_ir', 'onnxruntime'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"
