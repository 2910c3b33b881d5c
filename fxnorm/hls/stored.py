"""An emitted project as it lies on disk: its manifest, its vectors, its plan, and the depths that stand in its scripts."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from fxnorm.errors import UsageError
from fxnorm.hls.choices import STREAM
from fxnorm.hls.dialect import DIALECTS, Dialect
from fxnorm.hls.manifest import MANIFEST, VERSION
from fxnorm.hls.names import check_name
from fxnorm.hls.project import PLAN
from fxnorm.hls.vectors import parse
from fxnorm.planning import storage
from fxnorm.planning.plan import Plan

Array = np.ndarray

_PRAGMA = re.compile(r"^#pragma HLS STREAM variable=(\w+) depth=(\d+)\s*$", re.MULTILINE | re.ASCII)
_DIRECTIVE = re.compile(r"^directive set /(\w+)/(\w+):cns -FIFO_DEPTH (\d+)\s*$", re.MULTILINE | re.ASCII)


@dataclass(frozen=True)
class StoredProject:
    """A project on disk.

    Attributes
    ----------
    folder
        Where it is.
    manifest
        As far as it is believed: see `read`.
    """

    folder: Path
    manifest: Mapping[str, Any]

    @classmethod
    def read(cls, folder: str | Path) -> StoredProject:
        """Read a project's manifest.

        Raises
        ------
        UsageError
            If there is none, or it is damaged.
        """
        place = Path(folder)
        try:
            manifest = json.loads((place / MANIFEST).read_text(encoding="utf-8"))
            check_name(manifest["project"], f"{place / MANIFEST}")
            if manifest["version"] != VERSION:
                raise UsageError(
                    f"cosim: {place}: must be of version {VERSION} of projects, not {manifest['version']!r}; emit it again"
                )
            sound = (
                set(manifest["targets"]) <= set(DIALECTS)
                and isinstance(manifest["frames"], int)
                and all(_named(manifest[f"{side}puts"], side, "port") for side in ("in", "out"))
                and _named(manifest["values"], "t", "value", "02d")
                and all(_is_port(port) for port in manifest["weights"])
                and all(_is_layer(layer, index) for index, layer in enumerate(manifest["layers"]))
            )
        except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise UsageError(
                f"cosim: {place}: must be a project that `fxnorm emit` made; its {MANIFEST} cannot be read: {error}"
            ) from error
        if not sound:
            raise UsageError(f"cosim: {place}: its {MANIFEST} is damaged; emit the project again")
        return cls(place, manifest)

    @property
    def name(self) -> str:
        """Of the project and its top function."""
        return str(self.manifest["project"])

    @property
    def streams(self) -> bool:
        """Whether blocks are joined by channels."""
        return bool(self.manifest["io"] == STREAM)

    @property
    def frames(self) -> int:
        """Frames of the vectors, as the manifest has it."""
        return int(self.manifest["frames"])

    @property
    def inputs(self) -> list[str]:
        """Ports."""
        return [str(end["port"]) for end in self.manifest["inputs"]]

    @property
    def outputs(self) -> list[str]:
        """Ports."""
        return [str(end["port"]) for end in self.manifest["outputs"]]

    @property
    def weights(self) -> dict[str, str]:
        """Ports of weights, and the block of each."""
        return {str(port["port"]): str(port["block"]) for port in self.manifest["weights"]}

    @property
    def vectors(self) -> Path:
        """Folder of stimuli and expected codes."""
        return self.folder / "vectors"

    @cached_property
    def plan(self) -> Plan:
        """The plan that the project carries, under generated names.

        Raises
        ------
        PlanError
            If it is missing or damaged.
        """
        return storage.load(self.folder / PLAN)

    def codes(self, port: str) -> Array:
        """Codes of an end of the design, as its vectors have them: int64 [frames, elements].

        Raises
        ------
        UsageError
            If the file is missing or damaged.
        """
        path = self.vectors / f"{port}.txt"
        try:
            return parse(path.read_bytes())
        except (OSError, ValueError) as error:
            raise UsageError(
                f"cosim: {path}: must hold integers, one frame a line: {error}; emit the project again"
            ) from error

    def depths(self, dialect: Dialect) -> dict[str, int]:
        """Depths of FIFOs by name, as the target's tool gets them: from pragmas of the top function, or from the script's directives.

        Raises
        ------
        UsageError
            If the file is missing.
        """
        root = self.folder / dialect.name
        path = root / "src" / f"{self.name}.cpp" if dialect.vitis else root / "directives.tcl"
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, ValueError) as error:
            raise UsageError(
                f"cosim: {path}: must hold the depths of FIFOs: {error}; emit the project again"
            ) from error
        if dialect.vitis:
            return {name: int(depth) for name, depth in _PRAGMA.findall(text)}
        return {name: int(depth) for top, name, depth in _DIRECTIVE.findall(text) if top == self.name}


def _named(entries: Any, prefix: str, key: str, spelling: str = "d") -> bool:
    return all(
        entry[key] == f"{prefix}{index:{spelling}}" and isinstance(entry["name"], str)
        for index, entry in enumerate(entries)
    )


def _is_port(port: Any) -> bool:
    found = re.fullmatch(r"w(\d{2,})", port["port"], re.ASCII)
    return found is not None and bool(re.fullmatch(rf"l{found[1]}_\w+", port["block"], re.ASCII))


def _is_layer(layer: Any, index: int) -> bool:
    return (
        bool(re.fullmatch(rf"l{index:02d}_\w+", layer["block"], re.ASCII))
        and isinstance(layer["name"], str)
        and isinstance(layer["output"], str)
        and isinstance(layer["streams"], bool)
        and all(isinstance(counter, str) for counter in layer["counters"])
    )
