"""A plan to C++ with estimates of its hardware; `fx.emit` is this from Python."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fxnorm.cost import NetworkEstimate, estimate_design
from fxnorm.hls.choices import ALL, Choices
from fxnorm.hls.emit import FRAMES
from fxnorm.hls.emit import emit as write_project
from fxnorm.hls.float_words import with_words
from fxnorm.hls.project import Project
from fxnorm.planning.plan import Plan


def emit_estimated(
    plan: Plan, folder: str | Path, choices: Choices, samples: Any = None, *, frames: int = FRAMES, seed: int = 0
) -> tuple[Project, NetworkEstimate]:
    """Write a project with estimates in its manifest; see `fxnorm.hls.emit.emit`."""
    found: list[NetworkEstimate] = []

    def estimates() -> dict[str, Any]:
        found.append(estimate_design(with_words(plan), choices))
        return found[0].record()

    project = write_project(plan, folder, choices, samples, frames=frames, seed=seed, estimates=estimates)
    return project, found[0]


def emit(
    plan: Plan,
    folder: str | Path,
    target: str = ALL,
    samples: Any = None,
    *,
    io: str | None = None,
    parallelism: Sequence[str | int] = (),
    weights: Sequence[str] = (),
    clock: str | float | None = None,
    part: str | None = None,
    technology: str | None = None,
    frames: int = FRAMES,
) -> Path:
    """Write a project of C++ for high-level synthesis that computes the bits of a plan.

    Parameters
    ----------
    folder
        Where to: a new folder, or an older project. Its last part names the top function.
    target
        "vitis", "catapult" or "all".
    samples
        An array for a model of one input, or arrays by input name, for the testbench; None: random codes.
    io
        "stream" (default) or "parallel".
    parallelism
        Products a cycle: a number or "full", and "LAYER=N" for single layers.
    weights
        "rom" (default) or "port", and "LAYER=port" for single layers: tables in the design, or arrays at ports of its top function.
    clock
        Period in nanoseconds.
    part, technology
        FPGA of Vitis, library of Catapult.
    frames
        At most how many samples go into the testbench.

    Raises
    ------
    UsageError
        If a choice is none, or the folder must not be replaced.
    UnsupportedError
        If hardware or a target cannot have what the plan says; all of it at once.
    """
    from fxnorm.samples import bind

    choices = Choices.make(
        target,
        io=io,
        parallelism=[str(entry) for entry in parallelism],
        weights=weights,
        clock=None if clock is None else str(clock),
        part=part,
        technology=technology,
    )
    shapes = {name: plan.values[name].shape for name in plan.inputs}
    inputs = None if samples is None else bind(samples, shapes, integers=plan.integer_inputs)
    emit_estimated(plan, folder, choices, inputs, frames=frames)
    return Path(folder)
