"""Plans as folders: plan.json (every decision, readable) and arrays.npz (weights and tables, as integers)."""

from __future__ import annotations

import hashlib
import io
import json
import os
import tempfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np

from fxnorm.errors import FxnormError, PlanError
from fxnorm.fixed.format import Format
from fxnorm.kernels.catalog import KERNELS, PARTS, TRANSFORMS
from fxnorm.kernels.encoding import Encoding
from fxnorm.planning.codec import Decoder, Encoder
from fxnorm.planning.plan import Layer, Plan, PlanValue

# What reading a damaged or hostile file can raise: encrypted members, unknown packings and deep nesting among it.
_UNREADABLE: Final = (OSError, ValueError, zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, KeyError, TypeError)
VERSION: Final = 1
_CLASSES: Final = {cls.__name__: cls for cls in (*KERNELS, *TRANSFORMS, *PARTS, Layer, PlanValue, Encoding, Format)}
# What does not decide a bit: where files lay, and words about them.
_REMARKS: Final = ("model_path", "data")


def _content(plan: Plan, encoder: Encoder) -> dict[str, Any]:
    return {
        "version": VERSION,
        "model_path": plan.model_path,
        "model_sha256": plan.model_sha256,
        "data": plan.data,
        "data_sha256": plan.data_sha256,
        "options": dict(plan.options),
        "inputs": list(plan.inputs),
        "integer_inputs": list(plan.integer_inputs),
        "transforms": {name: encoder.plain(kernel) for name, kernel in plan.transforms.items()},
        "outputs": dict(plan.outputs),
        "values": {name: encoder.plain(value) for name, value in plan.values.items()},
        "layers": encoder.plain(plan.layers),
    }


def _digest(content: dict[str, Any]) -> str:
    decisive = {key: value for key, value in content.items() if key not in _REMARKS}
    return hashlib.sha256(json.dumps(decisive, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def digest(plan: Plan) -> str:
    """SHA-256 over the decisions of a plan; arrays enter by their own digests."""
    return _digest(_content(plan, Encoder(_CLASSES)))


def save(plan: Plan, folder: str | Path) -> Path:
    """Write a plan, whole or not at all.

    Parameters
    ----------
    folder
        A new folder, or an older plan, which is replaced.

    Raises
    ------
    PlanError
        If something else is there, or it cannot be written.
    """
    target = check_folder(folder)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{target.name}.", dir=target.parent) as scratch:
            fresh = Path(scratch) / "plan"
            fresh.mkdir()
            for name, content in files(plan).items():
                (fresh / name).write_bytes(content)
            _swap(fresh, target, Path(scratch) / "old")
    except OSError as error:
        raise PlanError(f"{target}: the plan cannot be written: {error.strerror or error}") from error
    return target


def files(plan: Plan) -> dict[str, bytes]:
    """Files of a plan's folder, by name; the same bytes for the same plan."""
    encoder = Encoder(_CLASSES)
    content = _content(plan, encoder)
    content["digest"] = _digest(content)
    arrays = io.BytesIO()
    np.savez(arrays, **encoder.arrays)  # type: ignore[arg-type]
    text = json.dumps(content, indent=1, ensure_ascii=True) + "\n"
    return {"plan.json": text.encode(), "arrays.npz": arrays.getvalue()}


def _swap(fresh: Path, target: Path, aside: Path) -> None:
    """Put a folder in the place of another; if that fails, the other one stays."""
    if not target.exists():
        os.replace(fresh, target)
        return
    os.replace(target, aside)
    try:
        os.replace(fresh, target)
    except OSError:
        os.replace(aside, target)
        raise


def check_folder(folder: str | Path) -> Path:
    """Refuse a folder that a plan must not replace."""
    target = Path(folder)
    if target.exists() and not _is_ours(target):
        raise PlanError(
            f"{target}: a plan goes into a new folder or replaces an older plan, and this is neither; choose another name"
        )
    return target


def _is_ours(folder: Path) -> bool:
    """Whether a folder holds a plan and nothing else."""
    if not is_plan(folder) or {path.name for path in folder.iterdir()} - {"plan.json", "arrays.npz"}:
        return False
    try:
        content = json.loads((folder / "plan.json").read_text())
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(content, dict) and {"version", "digest", "layers"} <= set(content)


def is_plan(path: str | Path) -> bool:
    """Whether a path is a plan's folder."""
    return (Path(path) / "plan.json").is_file()


def load(folder: str | Path) -> Plan:
    """Read a plan.

    Raises
    ------
    PlanError
        If the folder is no plan, is damaged, or is of another version.
    """
    source = Path(folder)

    def fail(reason: str) -> PlanError:
        return PlanError(f"{source}: the plan cannot be read: {reason}; make it again with `fxnorm plan`")

    try:
        content = json.loads((source / "plan.json").read_text())
        with (source / "arrays.npz").open("rb") as stream, np.load(stream, allow_pickle=False) as stored:
            arrays = {key: stored[key] for key in stored.files}
    except _UNREADABLE as error:
        raise fail(str(error) or type(error).__name__) from error
    if not isinstance(content, dict) or content.get("version") != VERSION:
        raise fail(f"it is not of version {VERSION}")
    claimed = content.pop("digest", None)
    if _digest(content) != claimed:
        raise fail("its digest does not match its content")
    decoder = Decoder(_CLASSES, arrays, fail)
    try:
        plan = Plan(
            layers=decoder.thing(content["layers"]),
            inputs=tuple(content["inputs"]),
            integer_inputs=tuple(content["integer_inputs"]),
            transforms={name: decoder.thing(kernel) for name, kernel in content["transforms"].items()},
            outputs=dict(content["outputs"]),
            values={name: decoder.thing(value) for name, value in content["values"].items()},
            model_path=content["model_path"],
            model_sha256=content["model_sha256"],
            data=content["data"],
            data_sha256=content["data_sha256"],
            options=content["options"],
        )
        _check(plan, fail)
    except (KeyError, TypeError, ValueError, AttributeError, FxnormError) as error:
        if isinstance(error, PlanError):
            raise
        raise fail(str(error)) from error
    return plan


def _check(plan: Plan, fail: Callable[[str], PlanError]) -> None:
    """Refuse a plan whose parts do not belong together."""
    if not all(isinstance(layer, Layer) for layer in plan.layers):
        raise fail("its layers are none")
    if not all(isinstance(value, PlanValue) for value in plan.values.values()):
        raise fail("its values are none")
    made = set(plan.inputs)
    for layer in plan.layers:
        missing = [name for name in layer.inputs if name not in made]
        if missing:
            raise fail(f"layer {layer.name} reads {missing[0]}, which nothing makes before it")
        made.add(layer.output)
    for name in (*plan.outputs.values(), *plan.integer_inputs):
        if name not in made:
            raise fail(f"nothing makes {name}")
    if made != set(plan.values):
        raise fail("its values are not those that its layers make")
