"""Reading an ONNX file: bytes, digest, and the tensors that lie in other files.

Nothing here interprets the graph; `fxnorm.graph.validation` does.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from fxnorm.errors import ModelError

if TYPE_CHECKING:
    import onnx
    import onnx_ir as ir

CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class ModelFile:
    """A parsed model, before any check of its graph.

    Attributes
    ----------
    proto
        The model; weights that lie in other files are still there.
    path
        Where it was read from; None when it came from memory.
    sha256
        Digest of the file's bytes. Where weights lie in other files, the digest of the file's bytes followed by those files', in
        the order of their names.
    """

    proto: onnx.ModelProto
    path: Path | None
    sha256: str


def read(source: str | os.PathLike[str] | onnx.ModelProto | ir.Model) -> ModelFile:
    """Read a model from a file or from memory.

    Parameters
    ----------
    source
        Path of an ONNX file, or a model in memory, which is left as it is.

    Raises
    ------
    ModelError
        If there is no such file, it is no ONNX model, or weights in other files are missing, too short or outside its folder.
    """
    if isinstance(source, str | os.PathLike):
        path = Path(source)
        data = _read_bytes(path)
        where = str(path)
    else:
        path = None
        data = _serialize(source)
        where = "model"
    proto = _parse(data, where)
    digest = hashlib.sha256(data)
    external = sorted(_external_files(proto, path))
    for file in external:
        with file.open("rb") as stream:
            while chunk := stream.read(CHUNK):
                digest.update(chunk)
    return ModelFile(proto, path, digest.hexdigest())


def tensors(proto: onnx.ModelProto) -> Iterator[onnx.TensorProto]:
    """Every tensor of a model: initializers and attributes, those of subgraphs and functions included."""
    yield from _graph_tensors(proto.graph)
    for function in proto.functions:
        for node in function.node:
            yield from _node_tensors(node)


def _graph_tensors(graph: onnx.GraphProto) -> Iterator[onnx.TensorProto]:
    yield from graph.initializer
    for sparse in graph.sparse_initializer:
        yield sparse.values
        yield sparse.indices
    for node in graph.node:
        yield from _node_tensors(node)


def _node_tensors(node: onnx.NodeProto) -> Iterator[onnx.TensorProto]:
    for attribute in node.attribute:
        if attribute.HasField("t"):
            yield attribute.t
        yield from attribute.tensors
        if attribute.HasField("sparse_tensor"):
            yield attribute.sparse_tensor.values
            yield attribute.sparse_tensor.indices
        if attribute.HasField("g"):
            yield from _graph_tensors(attribute.g)
        for graph in attribute.graphs:
            yield from _graph_tensors(graph)


def _read_bytes(path: Path) -> bytes:
    if path.is_dir():
        raise ModelError(f"{path}: a model is one ONNX file, but this is a folder; name the .onnx file inside it")
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise ModelError(f"{path}: there is no such file") from None
    except (OSError, ValueError) as error:
        raise ModelError(f"{path}: cannot be read: {error}") from None
    if not data:
        raise ModelError(f"{path}: not an ONNX model: the file is empty")
    return data


def _serialize(model: onnx.ModelProto | ir.Model) -> bytes:
    import onnx
    import onnx_ir as ir

    try:
        if isinstance(model, ir.Model):
            model = ir.to_proto(ir.external_data.load_to_model(model.clone()))
        elif not isinstance(model, onnx.ModelProto):
            raise ModelError(
                f"model: must be a path, an onnx.ModelProto or an onnx_ir.Model, not {type(model).__name__}"
            )
        data: bytes = model.SerializeToString(deterministic=True)
    except ModelError:
        raise
    except Exception as error:  # protobuf and onnx_ir raise many kinds; each means the model in memory is unusable
        raise ModelError(
            f"model: cannot be serialized: {first_line(error)}; above 2 GB, save it with external data"
        ) from error

    return data


def _parse(data: bytes, where: str) -> onnx.ModelProto:
    import onnx

    # Some versions of protobuf come with types.
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped,unused-ignore]

    try:
        proto: onnx.ModelProto = onnx.ModelProto.FromString(data)
    except (DecodeError, ValueError):
        raise ModelError(f"{where}: not an ONNX model: it is another kind of file, damaged or cut short") from None
    if not proto.HasField("graph"):
        raise ModelError(
            f"{where}: not an ONNX model: it holds no graph; it is another kind of file, damaged or cut short"
        )
    return proto


def _external_files(proto: onnx.ModelProto, path: Path | None) -> set[Path]:
    """Check every tensor that lies in another file and return those files."""
    import onnx

    found: set[Path] = set()
    folder = path.absolute().parent if path is not None else None
    for tensor in tensors(proto):
        if tensor.data_location != onnx.TensorProto.EXTERNAL:
            continue
        where = f"initializer {tensor.name!r}"
        entries = {entry.key: entry.value for entry in tensor.external_data}
        location = entries.get("location", "")
        if folder is None:
            raise ModelError(
                f"{where}: its data lie in {location!r}, but the model came from memory; give the path of the model file"
            )
        file = _contained(folder, location, where)
        _check_extent(tensor, entries, file, where)
        found.add(file)
    return found


def _contained(folder: Path, location: str, where: str) -> Path:
    if not location:
        raise ModelError(f"{where}: its data lie in another file, but no location is given; export the model again")
    parts = Path(location.replace("\\", "/"))
    file = folder / parts
    try:
        outside = "\0" in location or parts.is_absolute() or not file.resolve().is_relative_to(folder.resolve())
    except (OSError, RuntimeError):  # a loop of symbolic links
        outside = True
    if outside:
        raise ModelError(
            f"{where}: external data must lie in the model's own folder, but its location is {location!r}; "
            "move the file there and save the model again"
        )
    if not file.is_file():
        raise ModelError(
            f"{where}: its external data file {location!r} is missing from {folder}; put it next to the model"
        )
    return file


def _check_extent(tensor: onnx.TensorProto, entries: dict[str, str], file: Path, where: str) -> None:
    from fxnorm.graph.tensors import stored_bytes

    needed = stored_bytes(tensor, where)
    try:
        offset = int(entries.get("offset") or 0)
        length = int(entries.get("length") or needed)
    except ValueError:
        raise ModelError(
            f"{where}: offset and length of external data must be integers; export the model again"
        ) from None
    if offset < 0 or length != needed:
        raise ModelError(
            f"{where}: its shape needs {needed} bytes of external data, but {length} from {offset} are declared"
        )
    size = file.stat().st_size
    if offset + length > size:
        raise ModelError(
            f"{where}: needs bytes {offset} to {offset + length} of {file.name!r}, which has {size}; the file was cut short"
        )


def first_line(error: BaseException) -> str:
    """First line of what a library says, without the location in its own sources."""
    text = str(error).strip()
    return text.splitlines()[0] if text else type(error).__name__
