"""A plan to a project on disk: everything that can be refused is refused before a file is written."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np

from fxnorm.hls.choices import Choices
from fxnorm.hls.design import make_design
from fxnorm.hls.names import project_name
from fxnorm.hls.project import Project, check_folder, make_project
from fxnorm.hls.vectors import random_codes, run_codes, run_samples
from fxnorm.planning.plan import Plan

Array = np.ndarray

FRAMES: Final = 50
"""Frames for the testbench, where there are so many samples."""


def emit(
    plan: Plan,
    folder: str | Path,
    choices: Choices,
    samples: Mapping[str, Array] | None = None,
    *,
    frames: int = FRAMES,
    seed: int = 0,
    estimates: Callable[[], Mapping[str, Any]] | None = None,
) -> Project:
    """Write a project of C++ for high-level synthesis.

    Parameters
    ----------
    folder
        Where to; its last part names the project and its top function.
    samples
        Real numbers of the plan's inputs, [samples, *shape], for the testbench; None: random codes.
    frames
        At most how many of them.
    seed
        Of random codes.
    estimates
        Asked for what the manifest says of cycles and resources, once it is sure that the plan can be emitted.

    Raises
    ------
    UsageError
        If the folder's name is no name for a top function, or something else is there.
    UnsupportedError
        If the plan has what the hardware or a target cannot; all of it at once.
    """
    name = project_name(folder)
    check_folder(folder)
    design = make_design(plan, choices)
    vectors = (
        run_codes(design.plan, random_codes(design.plan, frames, seed))
        if samples is None
        else run_samples(plan, samples, frames)
    )
    project = make_project(design, name, vectors, estimates=None if estimates is None else estimates())
    project.write(folder)
    return project
