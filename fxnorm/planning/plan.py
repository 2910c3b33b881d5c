"""The plan: every fixed-point decision, frozen. Simulator, emitter, cost model and reports only read it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from fxnorm.kernels.encoding import Encoding
from fxnorm.kernels.kernel import Kernel
from fxnorm.kernels.movement import Movement
from fxnorm.kernels.softmax import LogSoftmax
from fxnorm.kernels.transform import LogTransform, PowerTransform, Transformation, transformed


@dataclass(frozen=True, slots=True)
class Layer:
    """A kernel and its place in the network.

    Attributes
    ----------
    name
        Name of the first ONNX node that it stands for.
    op
        The ONNX operators that it stands for, joined by "+".
    kernel
        What the hardware does.
    inputs, output
        Value names.
    traced
        Whether the FP32 model has a value named as the output.
    """

    name: str
    op: str
    kernel: Kernel
    inputs: tuple[str, ...]
    output: str
    traced: bool


@dataclass(frozen=True, slots=True)
class PlanValue:
    """One value between kernels: its shape (samples not counted) and how it is held."""

    shape: tuple[int, ...]
    encoding: Encoding


@dataclass(frozen=True)
class Plan:
    """How the hardware computes one network.

    Attributes
    ----------
    layers
        In the order in which they run.
    inputs
        Values that a sample gives.
    integer_inputs
        Those of them that are indices: taken as they are.
    transforms
        Nonlinear normalizations by input: kernels that make its codes of float32 words; other inputs are rounded into their format.
    outputs
        Model output name → value name.
    values
        Every value.
    model_path, model_sha256
        The model that it was made from.
    data, data_sha256
        The calibration data: what it was, in words, and its digest.
    options
        What the user chose, as plain data.
    """

    layers: tuple[Layer, ...]
    inputs: tuple[str, ...]
    integer_inputs: tuple[str, ...]
    outputs: Mapping[str, str]
    values: Mapping[str, PlanValue]
    model_path: str
    model_sha256: str
    data: str
    data_sha256: str
    options: Mapping[str, Any]
    transforms: Mapping[str, LogTransform | PowerTransform] = field(default_factory=dict)

    @cached_property
    def digest(self) -> str:
        """SHA-256 over every decision; the model's path and the words about the data are not part of it."""
        from fxnorm.planning.storage import digest

        return digest(self)

    def transformed(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """What the model gets of inputs as they are measured: the FP32 model has no transforms of its own.

        Raises
        ------
        DataError
            If a number has no logarithm, root or power.
        """
        functions = {name: Transformation.parse(kernel.function) for name, kernel in self.transforms.items()}
        return transformed(inputs, functions)

    @cached_property
    def floors(self) -> Mapping[str, float]:
        """Values whose lowest number also stands for all below it, down to minus infinity: logarithms of what a mask hides, moved or not.

        What FP32 gives there counts as that number.
        """
        found: dict[str, float] = {}
        for layer in self.layers:
            hides = isinstance(layer.kernel, LogSoftmax) and layer.kernel.hidden is not None
            moves = isinstance(layer.kernel, Movement) and layer.kernel.stage is None
            if hides or (moves and layer.inputs[0] in found):
                encoding = self.values[layer.output].encoding
                found[layer.output] = float(encoding.decode(np.array(encoding.format.lowest_code)))
        return found

    @property
    def format(self) -> str:
        """The data format that was asked for, as text."""
        return str(self.options["format"])
