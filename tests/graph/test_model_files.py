"""Files that are no models, and weights that lie in other files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from graph_models import draw, model, node
from onnx import TensorProto

from fxnorm.errors import ModelError
from fxnorm.graph.onnx_import import load

W = draw((4, 5), 1)


def good() -> onnx.ModelProto:
    return model([node("MatMul", ["x", "w"], ["y"], name="dense")], {"x": (1, 4)}, ["y"], {"w": W})


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the file is empty"),
        (b"not a model at all", "not an ONNX model"),
        (b"\x89PNG\r\n\x1a\n" + bytes(100), "not an ONNX model"),
        (bytes(1000), "not an ONNX model"),
        (b"PK\x03\x04" + bytes(64), "not an ONNX model"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, content: bytes, message: str) -> None:
    file = tmp_path / "thing.onnx"
    file.write_bytes(content)
    with pytest.raises(ModelError, match=message) as caught:
        load(file)
    assert str(caught.value).startswith(f"{file}: ")


def test_missing_files_and_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"ghost\.onnx: there is no such file"):
        load(tmp_path / "ghost.onnx")
    with pytest.raises(ModelError, match="this is a folder"):
        load(tmp_path)
    with pytest.raises(ModelError, match="cannot be read"):
        load("a\0b")
    with pytest.raises(ModelError, match=r"must be a path, an onnx\.ModelProto or an onnx_ir\.Model, not int"):
        load(7)  # type: ignore[arg-type]


def test_unreadable_files_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> bytes:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(ModelError, match=r"cannot be read: .*Permission denied"):
        load(tmp_path / "secret.onnx")


# External data.


def external(folder: Path, **entries: str) -> Path:
    """A model in a folder whose weight lies in w.bin, and the file's entries changed."""
    (folder / "w.bin").write_bytes(bytes(16) + W.tobytes())
    proto = good()
    tensor = proto.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in {"location": "w.bin", "offset": "16", "length": "80", **entries}.items():
        tensor.external_data.add(key=key, value=value)
    file = folder / "model.onnx"
    file.write_bytes(proto.SerializeToString())
    return file


def test_external_data_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    graph = load(external(tmp_path))
    np.testing.assert_array_equal(graph.constants["w"], W)
    monkeypatch.chdir(tmp_path)
    np.testing.assert_array_equal(load("model.onnx").constants["w"], W)


def test_the_digest_covers_external_data(tmp_path: Path) -> None:
    import hashlib

    file = external(tmp_path)
    first = load(file)
    assert first.sha256 == hashlib.sha256(file.read_bytes() + (tmp_path / "w.bin").read_bytes()).hexdigest()
    (tmp_path / "w.bin").write_bytes(bytes(16) + (W + 1).tobytes())
    assert load(file).sha256 != first.sha256


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({"location": "gone.bin"}, "external data file 'gone.bin' is missing"),
        ({"location": ""}, "no location is given"),
        ({"location": "."}, "external data file '.' is missing"),
        ({"location": "../w.bin"}, "must lie in the model's own folder, but its location is '../w.bin'"),
        ({"location": "sub/../../w.bin"}, "must lie in the model's own folder"),
        ({"location": "..\\w.bin"}, "must lie in the model's own folder"),
        ({"location": "/etc/hostname"}, "must lie in the model's own folder, but its location is '/etc/hostname'"),
        ({"location": "w\0.bin"}, "must lie in the model's own folder"),
        ({"offset": "20"}, "needs bytes 20 to 100 of 'w.bin', which has 96; the file was cut short"),
        ({"offset": "-8"}, "80 from -8 are declared"),
        ({"offset": "many"}, "offset and length of external data must be integers"),
        ({"length": "40"}, r"its shape needs 80 bytes of external data, but 40 from 16 are declared"),
    ],
)
def test_external_data_must_lie_in_the_folder(tmp_path: Path, entries: dict[str, str], message: str) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    (tmp_path / "w.bin").write_bytes(bytes(16) + W.tobytes())
    with pytest.raises(ModelError, match=message) as caught:
        load(external(folder, **entries))
    assert str(caught.value).startswith("initializer 'w': ")


def test_external_data_behind_a_link_out_of_the_folder_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    file = external(folder)
    (folder / "w.bin").rename(tmp_path / "elsewhere.bin")
    (folder / "w.bin").symlink_to(tmp_path / "elsewhere.bin")
    with pytest.raises(ModelError, match="must lie in the model's own folder"):
        load(file)
    (folder / "w.bin").unlink()
    (folder / "w.bin").symlink_to(folder / "w.bin")
    with pytest.raises(ModelError, match="initializer 'w': "):
        load(file)
    (folder / "w.bin").unlink()
    (tmp_path / "elsewhere.bin").rename(folder / "real.bin")
    (folder / "w.bin").symlink_to("real.bin")
    np.testing.assert_array_equal(load(file).constants["w"], W)


def test_external_data_of_a_model_in_memory_is_refused(tmp_path: Path) -> None:
    proto = onnx.load(external(tmp_path), load_external_data=False)
    with pytest.raises(ModelError, match=r"initializer 'w': its data lie in 'w\.bin', but the model came from memory"):
        load(proto)
