"""What a project says of itself, the one place where the model's names stand: digests, names, formats, layouts, depths, estimates."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Final

from fxnorm.hls.design import Design
from fxnorm.hls.float_words import word_limits
from fxnorm.hls.layout import Layout
from fxnorm.hls.site import Port
from fxnorm.hls.vectors import Vectors

MANIFEST: Final = "manifest.json"
VERSION: Final = 3


def make_manifest(
    design: Design, name: str, vectors: Vectors, files: Mapping[str, bytes], estimates: Mapping[str, Any] | None
) -> dict[str, Any]:
    """Plain data of a manifest.

    Parameters
    ----------
    files
        Every other file of the project, by path.
    estimates
        Cycles and resources before synthesis, as plain data.
    """
    plan = design.plan
    words = word_limits(plan)
    return {
        "generator": f"fxnorm {generator_version()}",
        "version": VERSION,
        "project": name,
        "plan": {"digest": plan.digest, "format": plan.format},
        "model": {"sha256": plan.model_sha256},
        "targets": [dialect.name for dialect in design.choices.targets],
        **design.choices.record(),
        "frames": vectors.frames,
        "inputs": [
            {
                "port": end.name,
                "value": end.port.name,
                "name": end.original,
                "holds": "float32" if end.original in words else "codes",
            }
            for end in design.inputs
        ],
        "outputs": [{"port": end.name, "value": end.port.name, "name": end.original} for end in design.outputs],
        "weights": weight_ports(design),
        "values": [_value(port, original, design, plan) for original, port in design.ports.items()],
        "layers": [
            {
                "block": unit.name,
                "name": unit.layer.name,
                "op": unit.layer.op,
                "kernel": type(unit.site.kernel).kind,
                "inputs": [port.name for port in unit.site.inputs],
                "output": unit.site.output.name,
                "counters": [f"{unit.name}_{counter}" for counter in unit.block.counters],
                "style": unit.block.style.kind,
                "streams": design.streams and unit.block.style.streams,
            }
            for unit in design.units
        ],
        "channels": [
            {"name": own.name, "value": own.port.name, "depth": own.depth, "least": own.least}
            for own in design.channels
        ],
        "estimates": dict(estimates) if estimates is not None else None,
        "files": {path: hashlib.sha256(content).hexdigest() for path, content in files.items()},
    }


def weight_ports(design: Design) -> list[dict[str, Any]]:
    """Which port of the top function holds which layer's weights, and in which order."""
    return [
        {
            "port": port.name,
            "block": unit.name,
            "name": unit.layer.name,
            "type": port.type,
            "shape": list(port.shape),
            "words": port.size,
            "order": "row-major in the shape: output by output, one word a weight",
            "file": f"vectors/{port.name}.txt",
        }
        for unit in design.units
        if (port := unit.block.weights) is not None
    ]


def _value(port: Port, original: str, design: Design, plan: Any) -> dict[str, Any]:
    encoding = plan.values[original].encoding
    own: Layout = port.layout
    record: dict[str, Any] = {
        "value": port.name,
        "name": original,
        "format": str(port.format),
        "scale": encoding.scale,
        "offset": encoding.offset,
        "shape": list(port.shape),
    }
    if design.streams:
        record["stream"] = {"order": "pixels" if own.pixels else "rows", "beats": own.beats, "lanes": own.lanes}
    return record


def generator_version() -> str:
    """Version of this package."""
    try:
        return version("fxnorm")
    except PackageNotFoundError:  # run from a checkout that is not installed
        return "unknown"
