"""The tree of files of a project: made in memory, the same bytes for the same plan, and written whole or not at all."""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from fxnorm.errors import UsageError
from fxnorm.hls.anonymous import anonymous
from fxnorm.hls.block import Port, Rows, Sliding
from fxnorm.hls.design import Design, Terminal, Unit
from fxnorm.hls.dialect import Dialect
from fxnorm.hls.emitter import Emitter, include, template_folder
from fxnorm.hls.float_words import word_limits
from fxnorm.hls.manifest import MANIFEST, generator_version, make_manifest
from fxnorm.hls.names import check_name
from fxnorm.hls.vectors import Vectors, text
from fxnorm.planning.storage import files as plan_files

_INCLUDE: Final = re.compile(rb'^#include "(fx_\w+\.h)"', re.MULTILINE)
PLAN: Final = "plan"
"""Folder of the plan that a project carries, under generated names."""
LEAST: Final = 256
"""Entries up to which Catapult makes registers of an array unless it is told otherwise."""
_OTHER_HEADERS: Final = frozenset({"fx_types_ac.h", "fx_types_ap.h", "fx_scverify.h", "fx_events.h", "hls_stream.h"})
"""Headers that are no primitives."""


@dataclass(frozen=True)
class Project:
    """Files by their paths in the project, all with / between folders.

    Attributes
    ----------
    name
        Of the project and its top function.
    design
        What it computes.
    frames
        Frames of the testbench.
    files
        Content of every file.
    """

    name: str
    design: Design
    frames: int
    files: Mapping[str, bytes]

    def write(self, folder: str | Path) -> Path:
        """Put the project into a folder, whole or not at all.

        Parameters
        ----------
        folder
            A new folder, an empty one, or an older project, which is replaced.

        Raises
        ------
        UsageError
            If something else is there, or it cannot be written.
        """
        target = check_folder(folder)
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(prefix=f".{target.name}.", dir=target.parent) as scratch:
                fresh = Path(scratch) / "project"
                for path, content in self.files.items():
                    place = fresh / path
                    place.parent.mkdir(parents=True, exist_ok=True)
                    place.write_bytes(content)
                _swap(fresh, target, Path(scratch) / "old")
        except OSError as error:
            raise UsageError(f"-o {target}: the project cannot be written: {error.strerror or error}") from error
        return target


def _swap(fresh: Path, target: Path, aside: Path) -> None:
    """Put a folder in the place of another; if that fails, the other one stays."""
    if not target.exists():
        os.replace(fresh, target)
        return
    os.replace(target, aside)
    try:
        os.replace(fresh, target)
    except BaseException:
        os.replace(aside, target)
        raise
    shutil.rmtree(aside, ignore_errors=True)


def check_folder(folder: str | Path) -> Path:
    """Refuse a folder that a project must not replace.

    Raises
    ------
    UsageError
        If something is there that is no project of fxnorm's.
    """
    target = Path(folder)
    if target.is_symlink() or (target.exists() and not _replaceable(target)):
        raise UsageError(
            f"-o {target}: a project goes into a new folder or replaces an older project, and this is neither; choose another name"
        )
    return target


def _replaceable(folder: Path) -> bool:
    if not folder.is_dir():
        return False
    if not any(folder.iterdir()):
        return True
    try:
        manifest = json.loads((folder / MANIFEST).read_text())
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(manifest, dict) and {"generator", "project", "files"} <= set(manifest)


def make_project(design: Design, name: str, vectors: Vectors, *, estimates: Mapping[str, Any] | None = None) -> Project:
    """Write everything down, in memory.

    Parameters
    ----------
    name
        Of the project and its top function; see `fxnorm.hls.names`.
    vectors
        Frames for the testbench.
    estimates
        What `fxnorm.cost` found, as plain data for the manifest.
    """
    check_name(name, "project")
    files: dict[str, bytes] = {}
    for dialect in design.choices.targets:
        for path, content in _target_files(design, name, dialect).items():
            files[f"{dialect.name}/{path}"] = content
    for end, value in _ends(design):
        files[f"vectors/{end.name}.txt"] = text(vectors.codes[value])
    for port in design.weights:
        files[f"vectors/{port.name}.txt"] = text(port.values)
    counts = [vectors.count(index, own) for index, unit in enumerate(design.units) for own in unit.block.counters]
    files["vectors/counts.txt"] = "".join(f"{count}\n" for count in counts).encode()
    for own in design.ports.values():
        assert own.size  # refused when the design was made
    shared = {"name": name, "streams": design.streams, "dialects": design.choices.targets}
    emitter = Emitter()
    files["sim/Makefile"] = emitter.render(
        "project/sim.mk.j2",
        **shared,
        sources=_sources(design, name),
        targets=[dialect.name for dialect in design.choices.targets],
    )
    if any(dialect.vitis for dialect in design.choices.targets):
        files["sim/hls_stream.h"] = include("hls_stream.h")
    if design.streams:
        files["sim/fx_events.h"] = include("fx_events.h")
    for path, content in plan_files(anonymous(design.plan)).items():
        files[f"{PLAN}/{path}"] = content
    files["README.md"] = emitter.render(
        "project/README.md.j2",
        **shared,
        version=generator_version(),
        units=design.units,
        ends=(*design.inputs, *design.outputs),
        weights=design.weights,
        words=[end.name for end in design.inputs if end.original in word_limits(design.plan)],
    )
    files = dict(sorted(files.items()))
    manifest = make_manifest(design, name, vectors, files, estimates)
    files[MANIFEST] = (json.dumps(manifest, indent=1, ensure_ascii=True) + "\n").encode()
    return Project(name, design, vectors.frames, files)


def _ends(design: Design) -> list[tuple[Terminal, str]]:
    """Inputs and outputs, each with the plan's name of its value."""
    inputs = zip(design.inputs, design.plan.inputs, strict=True)
    outputs = zip(design.outputs, design.plan.outputs.values(), strict=True)
    return [*inputs, *outputs]


def _sources(design: Design, name: str) -> list[str]:
    return [*(f"{unit.name}.cpp" for unit in design.units), f"{name}.cpp", f"{name}_raw.cpp"]


@dataclass(frozen=True, slots=True)
class _Process:
    """A call in the top function."""

    name: str
    wires: tuple[str, ...]
    """Channels, and the port of its weights."""


@dataclass(frozen=True, slots=True)
class _End:
    """An end of the design with what a testbench says of it."""

    name: str
    port: Port
    layer: str


def _target_files(design: Design, name: str, dialect: Dialect) -> dict[str, bytes]:
    emitter = Emitter(dialect)
    makers = {unit.site.output.name: unit.name for unit in design.units}
    inputs = [_End(end.name, end.port, "input") for end in design.inputs]
    outputs = [_End(end.name, end.port, makers.get(end.port.name, "input")) for end in design.outputs]
    given = {end.port.name: end.name for end in design.inputs}
    arrays = {port.name: port.name for port in design.ports.values()}
    shared: dict[str, Any] = {
        "name": name,
        "streams": design.streams,
        "units": design.units,
        "ports": tuple(design.ports.values()),
        "inputs": inputs,
        "outputs": outputs,
        "ends": [*inputs, *outputs],
        "weights": design.weights,
        "counters": design.counters,
        "channels": design.channels,
        "forks": design.forks,
        "processes": _processes(design) if design.streams else [],
        "choices": design.choices,
        "largest": _largest(design),
        "sources": _sources(design, name),
        "vectors": "." if dialect.vitis else "../vectors",
    }
    files: dict[str, bytes] = {}
    files["src/fx_types.h"] = include(f"fx_types_{dialect.types}.h")
    if not dialect.vitis:
        files["src/fx_scverify.h"] = include("fx_scverify.h")
    for unit in design.units:
        own = {"site": unit.site, "b": unit.block, "k": unit.block.view, "streams": design.streams}
        files[f"src/{unit.name}.h"] = emitter.render("kernels/layer.h.j2", **own)
        files[f"src/{unit.name}.cpp"] = emitter.render(f"kernels/{unit.block.template}.cpp.j2", **own)
    for target, template in (
        ("src/types.h", "types.h"),
        ("src/probes.h", "probes.h"),
        (f"src/{name}.h", "top.h"),
        (f"tb/{name}_tb.cpp", "tb.cpp"),
    ):
        files[target] = emitter.render(f"project/{template}.j2", **shared)
    files[f"src/{name}.cpp"] = emitter.render("project/top.cpp.j2", **shared, arrays={**arrays, **given})
    files[f"src/{name}_raw.cpp"] = emitter.render("project/raw.cpp.j2", **shared, arrays=arrays)
    for header in _headers(files.values()):
        files[f"src/{header}"] = include(header)
    scripts = (
        {"hls_config.cfg": "hls_config.cfg", "run_hls.tcl": "run_hls.tcl", "Makefile": "vitis.mk"}
        if dialect.vitis
        else {"directives.tcl": "directives.tcl", "Makefile": "catapult.mk"}
    )
    for target, template in scripts.items():
        files[target] = emitter.render(f"project/{template}.j2", **shared)
    return files


def _largest(design: Design) -> int:
    """Entries of the largest array of registers."""
    sizes = [LEAST]
    for unit in design.units:
        style = unit.block.style
        if isinstance(style, Rows):
            rows = [style.cut(port) for port in (*unit.site.inputs, unit.site.output)]
            sizes += [own.row for own in rows if not design.streams or own.row <= own.lanes]
        elif isinstance(style, Sliding):
            channels = unit.site.inputs[0].shape[1]
            sizes += [channels * style.taps, unit.site.output.shape[1]]
            if design.streams and style.streams:
                sizes.append(channels * style.plane[0].kernel * style.plane[1].reach)
    return max(sizes)


def _weights(unit: Unit) -> tuple[str, ...]:
    return () if unit.block.weights is None else (unit.block.weights.name,)


def _headers(files: Iterable[bytes]) -> list[str]:
    """Primitives that sources include, and those that these include in turn."""
    known = {path.name for path in (template_folder() / "include").glob("*.h")} - _OTHER_HEADERS
    found: set[str] = set()
    fresh = _included(files) & known
    while fresh:
        found |= fresh
        fresh = (_included(include(header) for header in fresh) & known) - found
    return sorted(found)


def _included(files: Iterable[bytes]) -> set[str]:
    return {name.decode() for content in files for name in _INCLUDE.findall(content)}


def _processes(design: Design) -> list[_Process]:
    """Calls of the top function, a producer before its consumers."""
    waiting = [
        *(_Process(unit.name, (*unit.sources, unit.target, *_weights(unit))) for unit in design.units),
        *(_Process(fork.name, (fork.source, *fork.targets)) for fork in design.forks),
    ]
    reads = {unit.name: unit.sources for unit in design.units} | {fork.name: (fork.source,) for fork in design.forks}
    ready = {end.name for end in design.inputs}
    ordered = []
    while waiting:
        process = next(own for own in waiting if set(reads[own.name]) <= ready)
        waiting.remove(process)
        ordered.append(process)
        ready |= set(process.wires)
    return ordered
