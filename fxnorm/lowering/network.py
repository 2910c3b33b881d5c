"""The network between ONNX and the plan: operations in real numbers, with neighbours merged where hardware merges them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from fxnorm.errors import FxnormError
from fxnorm.kernels.kernel import Operation


@dataclass(frozen=True, slots=True)
class Step:
    """One layer of the hardware.

    Attributes
    ----------
    name
        Name of the first ONNX node that it stands for; what `--layer` patterns match and tables print.
    op
        ONNX operators that it stands for, joined by "+".
    operation
        What it computes.
    inputs, output
        Value names; the output keeps its ONNX name, so that its FP32 value can be looked up.
    traced
        Whether the FP32 model has a value of that name (lowering may put further values between).
    range_of
        The FP32 model's value whose range the output's format is to hold, where it has none of its own.
    """

    name: str
    op: str
    operation: Operation
    inputs: tuple[str, ...]
    output: str
    traced: bool = True
    range_of: str | None = None


@dataclass(frozen=True, slots=True)
class Network:
    """Steps in order, and the values between them.

    Attributes
    ----------
    inputs
        Model inputs that steps (or outputs) read.
    outputs
        Model output name → value name.
    shapes
        Shape of every value, samples not counted.
    integers
        Inputs that hold integers (indices), with their NumPy type: they are not normalized.
    """

    steps: tuple[Step, ...]
    inputs: tuple[str, ...]
    outputs: Mapping[str, str]
    shapes: Mapping[str, tuple[int, ...]]
    integers: Mapping[str, np.dtype[np.generic]]


class Refusal(FxnormError):
    """Why one node cannot be lowered; collected, so that the user sees all of them at once."""

    exit_code = 3
