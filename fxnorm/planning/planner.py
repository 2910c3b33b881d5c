"""From network, ranges and options to the plan: the one place where formats and scales are chosen."""

from __future__ import annotations

import numpy as np

from fxnorm.calibration import Method, Ranges
from fxnorm.errors import PlanError, UsageError
from fxnorm.fixed.format import Format, Overflow, Rounding
from fxnorm.graph.graph import Graph
from fxnorm.kernels.encoding import Encoding
from fxnorm.kernels.kernel import Policy
from fxnorm.lowering.lower import lower
from fxnorm.lowering.network import Network
from fxnorm.planning.normalization import fit
from fxnorm.planning.options import Options
from fxnorm.planning.plan import Layer, Plan, PlanValue

INDEX = Format(32, 32, True, Rounding.TRN, Overflow.WRAP)


def make_plan(graph: Graph, ranges: Ranges, options: Options) -> Plan:
    """Decide everything.

    Parameters
    ----------
    graph
        An imported model.
    ranges
        What its values were on calibration data.
    options
        What the user chose.

    Raises
    ------
    UnsupportedError
        If nodes cannot be lowered; it lists all of them.
    UsageError
        If a rule for single layers speaks of no layer.
    PlanError
        If the ranges are another model's, or no path holds a width that follows.
    """
    if ranges.model_sha256 != graph.sha256:
        raise PlanError("calibration: the ranges were taken from another model; calibrate this one")
    network = lower(graph, fold_batchnorm=options.batchnorm == "fold", fuse_patterns=options.patterns == "fuse")
    names = [*network.inputs, *(step.name for step in network.steps)]
    for rule in options.unused(names):
        known = ", ".join(dict.fromkeys(names))
        raise UsageError(f"--layer {rule.pattern!r}: matches no layer; the layers are {known}")
    for rule in options.idle((step.name, step.operation) for step in network.steps):
        raise UsageError(
            f"--layer {rule.pattern}:{rule.key}={rule.value}: no layer of that name has such a stage; "
            "layer, instance, group, RMS, L2 and mean-variance normalization have them, and formats of stages only with two_pass or one_pass"
        )
    encodings = {name: _input_encoding(name, network, ranges, options) for name in network.inputs}
    layers = []
    for step in network.steps:
        policy = options.policy(step.name)
        inputs = tuple(encodings[name] for name in step.inputs)
        output = step.operation.encoding(inputs, policy) or _free_encoding(
            step.output, step.traced, ranges, policy, options.method(step.name)
        )
        try:
            kernel = step.operation.decide(inputs, output, policy)
        except (PlanError, OverflowError, ValueError) as error:
            raise PlanError(f"{step.name} ({step.op}): {error}") from error
        encodings[step.output] = output
        layers.append(Layer(step.name, step.op, kernel, step.inputs, step.output, step.traced))
    return Plan(
        layers=tuple(layers),
        inputs=network.inputs,
        integer_inputs=tuple(network.integers),
        outputs=dict(network.outputs),
        values={name: PlanValue(network.shapes[name], encoding) for name, encoding in encodings.items()},
        model_path=str(graph.path or ""),
        model_sha256=graph.sha256,
        data=ranges.data,
        data_sha256=ranges.data_sha256,
        options=options.record(),
    )


def _input_encoding(name: str, network: Network, ranges: Ranges, options: Options) -> Encoding:
    if name in network.integers:
        return Encoding(INDEX)
    return _free_encoding(name, True, ranges, options.policy(name), options.method(name))


def _free_encoding(name: str, traced: bool, ranges: Ranges, policy: Policy, method: Method) -> Encoding:
    """Encoding whose scale follows from what the value was on calibration data."""
    if policy.normalize == "none":
        return Encoding(policy.format)
    if not traced:
        raise AssertionError(f"{name} was put in by lowering and has no range")
    low, high = ranges.interval(name, method, policy.format)
    if not (np.isfinite(low) and np.isfinite(high)):
        raise PlanError(f"calibration: {name} reaches {low}..{high} in FP32; normalize finite values only")
    return fit(low, high, policy, ranges.histogram(name) if method.name == "mse" else None)
