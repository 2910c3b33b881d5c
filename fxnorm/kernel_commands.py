"""What `fxnorm kernel` does: a project of one block."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from fxnorm.emission import emit_estimated
from fxnorm.errors import UsageError
from fxnorm.hls.choices import Choices
from fxnorm.hls.emit import FRAMES
from fxnorm.hls.names import project_name
from fxnorm.hls.project import check_folder
from fxnorm.hls_commands import print_project, project_record
from fxnorm.lone_kernels import LONE_KERNELS, STAGES, SUMS, LoneKernel, Parameters, read_sizes
from fxnorm.planning.options import Options
from fxnorm.planning.settings import option_name
from fxnorm.report.files import Delivery
from fxnorm.report.output import Output

Array = np.ndarray

CALIBRATION: Final = 64
"""Random samples that ranges are taken from."""
PLAIN: Final = "none"
"""Normalization where none is given: ports have the very format that was asked for."""


def kernel(
    *,
    kind: str,
    output: str,
    target: str,
    io: str | None,
    parallelism: tuple[str, ...],
    weight_storage: tuple[str, ...],
    clock: str | None,
    part: str | None,
    technology: str | None,
    frames: int | None,
    json_file: str | None,
    weights: str | None,
    data: str | None,
    seed: int | None,
    sizes: Mapping[str, Any],
    input_format: str | None,
    **chosen: Any,
) -> None:
    """`fxnorm kernel`."""
    if kind not in LONE_KERNELS:
        raise UsageError(f"kernel: KIND must be one of {', '.join(LONE_KERNELS)}, not {kind!r}")
    own = LONE_KERNELS[kind]
    options = _options(kind, own, input_format, chosen)
    numbers = read_sizes(kind, sizes)
    if weights is not None and not own.weighted:
        raise UsageError(f"--weights: kernel {kind} has none")
    choices = Choices.make(
        target, io=io, parallelism=parallelism, weights=weight_storage, clock=clock, part=part, technology=technology
    )
    project_name(output)
    check_folder(output)
    with Delivery([path for path in (weights, data) if path is not None]) as delivery:
        said = Output(json_file, delivery)
        parameters = Parameters(None if weights is None else _arrays(weights), weights or "", seed or 0)
        node = own.make(numbers, parameters)
        parameters.close()
        plan, samples = _planned(node, own, options, data, seed or 0, frames or FRAMES)
        if weights is None and own.weighted:
            said.announce(f"no --weights: parameters are drawn (seed {seed or 0})")
        if data is None:
            said.announce(f"no --data: the testbench gets random codes (seed {seed or 0})")
        project, estimates = emit_estimated(plan, output, choices, samples, frames=frames or FRAMES, seed=seed or 0)
        said.write(project_record(project, output, estimates))
        delivery.deliver()
    said.show(lambda: print_project(project, output, estimates, frames))


def _options(kind: str, own: LoneKernel, input_format: str | None, chosen: Mapping[str, Any]) -> Options:
    """Options of the plan; what this kernel does not have is refused."""
    given = {name: value for name, value in chosen.items() if value is not None}
    if "format" not in given:
        raise UsageError("--format: is missing; give the hardware's format, for example --format q5.3")
    idle = [name for name in given if name in SUMS | STAGES and name not in own.plan_options]
    if idle:
        raise UsageError(f"{option_name(idle[0])}: kernel {kind} has nothing that it could decide")
    rules = () if input_format is None else (f"x:format={input_format}",)
    return Options.make(**{"normalize": PLAIN, **given}, batchnorm="rescale", layers=rules)


def _planned(
    node: Any, own: LoneKernel, options: Options, path: str | None, seed: int, frames: int
) -> tuple[Any, Mapping[str, Array] | None]:
    """The plan, and samples for the testbench where there are some."""
    from fxnorm.data import Data
    from fxnorm.graph.onnx_import import load
    from fxnorm.lowering.operators import known
    from fxnorm.study import Study, data_in_memory

    graph = load(node.model(), known=known)
    if path is not None:
        data = Data.open(path, graph)
        return Study(graph, data, keep=False).plan(options), data.head(frames)
    drawn = np.random.default_rng(seed).normal(size=(CALIBRATION, *node.shape)).astype(np.float32)
    data = data_in_memory(graph, np.abs(drawn) + np.float32(1 / 16) if own.positive else drawn)
    return Study(graph, data, keep=False).plan(options), None


def _arrays(path: str) -> dict[str, Array]:
    try:
        with np.load(path, allow_pickle=False) as stored:
            if not isinstance(stored, np.lib.npyio.NpzFile):
                raise ValueError("it is no .npz")
            return {name: stored[name] for name in stored.files}
    except Exception as error:
        raise UsageError(f"--weights {path}: must be an .npz of arrays, and cannot be read: {error}") from error
