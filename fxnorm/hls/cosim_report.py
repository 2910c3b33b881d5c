"""What became of a project in plain C++: targets, flavours, outputs, layers, FIFOs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

First: TypeAlias = tuple[int, int, int, int]
"""Frame, index, the code that came, the code expected."""


def _first(first: First | None) -> dict[str, int] | None:
    return None if first is None else dict(zip(("frame", "index", "code", "expected"), first, strict=True))


@dataclass(frozen=True)
class OutputReport:
    """One output of one flavour: codes compared, codes that differ, and the first of them."""

    port: str
    name: str
    layer: str
    compared: int
    differing: int
    first: First | None

    def record(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "port": self.port,
            "name": self.name,
            "layer": self.layer,
            "compared": self.compared,
            "differing": self.differing,
            "first": _first(self.first),
        }


@dataclass(frozen=True)
class LayerReport:
    """One layer of one flavour: its block, its name in the model, codes compared, codes that differ, and the first of them."""

    block: str
    name: str
    compared: int
    differing: int
    first: First | None

    def record(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "block": self.block,
            "name": self.name,
            "compared": self.compared,
            "differing": self.differing,
            "first": _first(self.first),
        }


@dataclass(frozen=True)
class FlavourReport:
    """The design's own function, or the plain one on native integers.

    Attributes
    ----------
    flavour
        "design" or "raw".
    outputs
        Every output.
    counters
        Overflow counters that differ: what came, and what was expected.
    layers
        Every layer in the plan's order, where they were asked for.
    """

    flavour: str
    outputs: tuple[OutputReport, ...]
    counters: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    layers: tuple[LayerReport, ...] = ()

    @property
    def first_layer(self) -> LayerReport | None:
        """The first layer that differs."""
        return next((layer for layer in self.layers if layer.differing), None)

    @property
    def passed(self) -> bool:
        """Whether nothing differs."""
        differing = [own.differing for own in self.outputs] + [own.differing for own in self.layers]
        return not (any(differing) or self.counters)

    def record(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "flavour": self.flavour,
            "outputs": [output.record() for output in self.outputs],
            "counters": {name: list(pair) for name, pair in self.counters.items()},
            "layers": [layer.record() for layer in self.layers],
        }


@dataclass(frozen=True)
class Shrunk:
    """A smaller input that shows a difference as well: its folder, its frames, and how many of its codes are not zero."""

    folder: str
    frames: int
    nonzero: int
    codes: int

    def record(self) -> dict[str, Any]:
        """Plain data."""
        return {"folder": self.folder, "frames": self.frames, "nonzero": self.nonzero, "codes": self.codes}


@dataclass(frozen=True)
class TargetReport:
    """What one target did.

    Attributes
    ----------
    target
        Name of the dialect.
    compile_seconds, run_seconds
        Wall-clock time.
    exit_code
        Of the testbench.
    flavours
        By flavour; empty where the program broke off.
    message
        What it said last, where it broke off or its verdict is not the one that its codes give; "" otherwise.
    streams
        Why the logged events do not pass FIFOs of the emitted depths; "" where they do, or where there are no FIFOs.
    fifos
        FIFOs whose depths were tried.
    shrunk
        A smaller input that differs, where codes do.
    """

    target: str
    compile_seconds: float
    run_seconds: float
    exit_code: int
    flavours: tuple[FlavourReport, ...]
    message: str
    streams: str = ""
    fifos: int = 0
    shrunk: Shrunk | None = None

    @property
    def differing(self) -> int:
        """Codes that differ, over all outputs of all flavours."""
        return sum(output.differing for flavour in self.flavours for output in flavour.outputs)

    @property
    def passed(self) -> bool:
        """Whether every code and every counter is the one expected, and a frame passes the FIFOs."""
        sound = all(flavour.passed for flavour in self.flavours)
        return self.exit_code == 0 and sound and not self.message and not self.streams

    def record(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "target": self.target,
            "passed": self.passed,
            "compile_seconds": self.compile_seconds,
            "run_seconds": self.run_seconds,
            "message": self.message,
            "streams": self.streams,
            "fifos": self.fifos,
            "flavours": [flavour.record() for flavour in self.flavours],
            "shrunk": None if self.shrunk is None else self.shrunk.record(),
        }


@dataclass(frozen=True)
class CosimReport:
    """What became of all targets of a project.

    Attributes
    ----------
    project
        Its name.
    frames
        Frames that were run.
    traced
        Frames of which every layer was compared; 0 where layers were not asked for.
    targets
        By target.
    vectors
        What is wrong with the weights for ports, or with the expected codes themselves; "" where nothing is, or where there was no
        reason to look.
    """

    project: str
    frames: int
    targets: tuple[TargetReport, ...]
    traced: int = 0
    vectors: str = ""

    @property
    def passed(self) -> bool:
        """Whether all of them passed."""
        return all(target.passed for target in self.targets) and not self.vectors

    @property
    def differing(self) -> int:
        """Codes that differ."""
        return sum(target.differing for target in self.targets)

    def record(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "project": self.project,
            "frames": self.frames,
            "traced_frames": self.traced,
            "passed": self.passed,
            "vectors": self.vectors,
            "targets": [target.record() for target in self.targets],
        }
