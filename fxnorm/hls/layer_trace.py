"""Codes of every layer of a compiled design against those of the plan: which layer is the first that differs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np

from fxnorm.hls.cosim_report import LayerReport
from fxnorm.hls.layout import layout
from fxnorm.hls.stored import StoredProject
from fxnorm.hls.vectors import run_codes
from fxnorm.planning.plan import Plan

Array = np.ndarray

BUDGET: Final = 10_000_000
"""Codes that a trace may have; frames beyond it are not traced."""


def plan_codes(project: StoredProject, inputs: Mapping[str, Array]) -> dict[str, Array]:
    """Codes of every value of the project's plan, [frames, elements], by generated name.

    Parameters
    ----------
    inputs
        Codes by port, [frames, elements].
    """
    plan = project.plan
    shaped = {
        name: inputs[port].reshape(-1, *plan.values[name].shape)
        for port, name in zip(project.inputs, plan.inputs, strict=True)
    }
    found = run_codes(plan, shaped).codes
    return {name: codes.reshape(len(codes), -1) for name, codes in found.items()}


def traced_frames(plan: Plan, frames: int) -> int:
    """How many frames are traced: all of them, unless that is too much."""
    size = sum(int(np.prod(plan.values[layer.output].shape)) for layer in plan.layers)
    return max(1, min(frames, BUDGET // max(1, size)))


def compare_layers(project: StoredProject, out: Path, flavour: str, expected: Mapping[str, Array]) -> list[LayerReport]:
    """Compare what a testbench traced.

    Parameters
    ----------
    out
        Folder that the testbench wrote.
    expected
        Codes of every value in the traced frames; see `plan_codes`.

    Raises
    ------
    ValueError
        If the trace is damaged or ends too early.
    """
    path = out / f"{flavour}_values.txt"
    entries = np.fromfile(path, np.int64, sep=" ").reshape(-1, 2)
    reports = []
    for layer in project.manifest["layers"]:
        name = layer["output"]
        wanted = expected[name]
        codes = entries[entries[:, 0] == int(name[1:]), 1]
        if codes.size != wanted.size:
            raise ValueError(f"{layer['block']} left {codes.size} codes in the trace, not {wanted.size}")
        seen = codes.reshape(wanted.shape)
        if flavour == "design" and layer["streams"]:
            seen = _of_stream(project, name, seen)
        reports.append(_report(layer, seen, wanted))
    return reports


def _of_stream(project: StoredProject, name: str, codes: Array) -> Array:
    """Frames in the order of their shape, from the order of their stream."""
    value = next(own for own in project.manifest["values"] if own["value"] == name)
    known = project.plan.values[name]
    own = layout(known.shape, known.encoding.format.width, pixels=value["stream"]["order"] == "pixels")
    places = own.stream_order(np.arange(own.size)).reshape(-1)
    ordered = np.empty_like(codes)
    ordered[:, places] = codes
    return ordered


def _report(layer: Mapping[str, Any], seen: Array, wanted: Array) -> LayerReport:
    wrong = np.argwhere(seen != wanted)
    first = None
    if len(wrong):
        frame, index = (int(number) for number in wrong[0])
        first = (frame, index, int(seen[frame, index]), int(wanted[frame, index]))
    return LayerReport(str(layer["block"]), str(layer["name"]), wanted.size, len(wrong), first)
