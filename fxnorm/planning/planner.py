"""From network, ranges and options to the plan: the one place where formats and scales are chosen."""

from __future__ import annotations

import numpy as np

from fxnorm.calibration import Method, Ranges
from fxnorm.errors import PlanError, UsageError
from fxnorm.fixed.format import Format, Overflow, Rounding
from fxnorm.graph.graph import Graph
from fxnorm.kernels.encoding import Encoding
from fxnorm.kernels.kernel import Operation, Policy, Reads
from fxnorm.lowering.lower import lower
from fxnorm.lowering.network import Network, Step
from fxnorm.planning.nearest import known
from fxnorm.planning.normalization import Affine, cheapest, fit_power
from fxnorm.planning.options import Options
from fxnorm.planning.plan import Layer, Plan, PlanValue
from fxnorm.proofs.accumulators import narrowed
from fxnorm.proofs.interval import Interval
from fxnorm.proofs.rules import output_interval

INDEX = Format(32, 32, True, Rounding.TRN, Overflow.WRAP)


def make_plan(graph: Graph, ranges: Ranges, options: Options, network: Network | None = None) -> Plan:
    """Decide everything.

    Parameters
    ----------
    graph
        An imported model.
    ranges
        What its values were on calibration data.
    options
        What the user chose.
    network
        What `lowered` made of the graph, where that was done before: it serves any number of plans.

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
    network = network or lowered(graph, options)
    check_rules(network, options)
    demands = _demands(network)
    encodings = {name: _input_encoding(name, network, ranges, options, demands[name]) for name in network.inputs}
    functions = options.transformations([name for name in network.inputs if name not in network.integers])
    transforms = {name: function.decide(encodings[name]) for name, function in functions.items()}
    intervals = {name: Interval.of_format(network.shapes[name], encodings[name].format) for name in network.inputs}
    layers = []
    for step in network.steps:
        policy = options.policy(step.name)
        inputs = tuple(encodings[name] for name in step.inputs)
        output = step.operation.encoding(inputs, policy)
        if output is None:
            method, demand = options.method(step.name), demands[step.output]
            named, traced = step.range_of or step.output, step.traced or step.range_of is not None
            output = _free_encoding(named, traced, ranges, policy, method, demand, step.operation, inputs)
        _check(step, inputs)
        try:
            kernel = step.operation.decide(inputs, output, policy)
        except (PlanError, OverflowError, ValueError) as error:
            raise PlanError(f"{step.name} ({step.op}): {error}") from error
        within = [intervals[name] for name in step.inputs]
        if policy.accumulator is None:
            kernel = narrowed(kernel, within)
        encodings[step.output] = output
        intervals[step.output] = output_interval(kernel, within, network.shapes[step.output])
        layers.append(Layer(step.name, step.op, kernel, step.inputs, step.output, step.traced))
    return Plan(
        layers=tuple(layers),
        inputs=network.inputs,
        integer_inputs=tuple(network.integers),
        transforms=transforms,
        outputs=dict(network.outputs),
        values={name: PlanValue(network.shapes[name], encoding) for name, encoding in encodings.items()},
        model_path=str(graph.path or ""),
        model_sha256=graph.sha256,
        data=ranges.data,
        data_sha256=ranges.data_sha256,
        options=options.record(),
    )


def lowered(graph: Graph, options: Options) -> Network:
    """Network of a graph as the options have it lowered.

    Raises
    ------
    UnsupportedError
        If nodes cannot be lowered; it lists all of them.
    """
    return lower(graph, fold_batchnorm=options.batchnorm == "fold", fuse_patterns=options.patterns == "fuse")


def check_rules(network: Network, options: Options) -> None:
    """Refuse rules for single layers that speak of none, or of what none has.

    Raises
    ------
    UsageError
        For the first of them.
    """
    names = [*network.inputs, *(step.name for step in network.steps)]
    for rule in options.unused(names):
        raise UsageError(f"--layer {rule.pattern!r}: matches no layer; {known(rule.pattern, names)}")
    for rule in options.idle((step.name, step.operation) for step in network.steps):
        if rule.key == "multiplier":
            raise UsageError(
                f"--layer {rule.pattern}:{rule.key}={rule.value}: no layer of that name has output channels with multipliers; dense layers "
                "and convolutions have them, with normalize=affine"
            )
        raise UsageError(
            f"--layer {rule.pattern}:{rule.key}={rule.value}: no layer of that name has such a stage; "
            "layer, instance, group, RMS, L2 and mean-variance normalization have them, "
            "and formats of stages only with two_pass or one_pass"
        )


def _demands(network: Network) -> dict[str, Reads]:
    """Which encodings the readers of every value can take.

    What an operation that only moves or chooses data passes on must suit the readers of its result too: then the data needs no
    rescale in between, neither there nor where it comes from.
    """
    demands = dict.fromkeys((*network.inputs, *(step.output for step in network.steps)), Reads.ANY)
    for step in reversed(network.steps):
        for index, name in enumerate(step.inputs):
            demand = max(demands[name], step.operation.reads(index))
            demands[name] = max(demand, demands[step.output]) if step.operation.passes else demand
    return demands


def _check(step: Step, inputs: tuple[Encoding, ...]) -> None:
    for index, encoding in enumerate(inputs):
        demand = step.operation.reads(index)
        if (demand is Reads.PLAIN and not encoding.plain) or (demand is Reads.ZERO and not encoding.holds_zero):
            raise AssertionError(f"{step.name} ({step.op}): input {index} cannot be read as {encoding}")


def _input_encoding(name: str, network: Network, ranges: Ranges, options: Options, demand: Reads) -> Encoding:
    if name in network.integers:
        return Encoding(INDEX)
    return _free_encoding(name, True, ranges, options.policy(name), options.method(name), demand)


def _free_encoding(
    name: str,
    traced: bool,
    ranges: Ranges,
    policy: Policy,
    method: Method,
    demand: Reads,
    operation: Operation | None = None,
    inputs: tuple[Encoding, ...] = (),
) -> Encoding:
    """Encoding whose scale and offset follow from what the value was on calibration data.

    Parameters
    ----------
    demand
        What its readers can take.
    operation, inputs
        Where the value comes from; None for an input of the model, which is converted outside of the hardware.
    """
    if policy.normalize == "none":
        return Encoding(policy.format)
    if not traced:
        raise AssertionError(f"{name} was put in by lowering and has no range")
    low, high = ranges.interval(name, method, policy.format)
    if not (np.isfinite(low) and np.isfinite(high)):
        raise PlanError(f"calibration: {name} reaches {low}..{high} in FP32; normalize finite values only")
    histogram = ranges.histogram(name) if method.name == "mse" else None
    affine = policy.normalize == "affine" and demand is not Reads.PLAIN and (operation is None or operation.writes_any)
    if not affine:
        return fit_power(low, high, policy.format, histogram)
    unit = None if operation is None else operation.unit(inputs)
    found = Affine(demand is Reads.ZERO, unit).fit(low, high, policy.format, histogram)
    several = operation is not None and unit is None and len(inputs) > 1
    if several:
        passes = operation is not None and operation.passes
        return cheapest(found, (low, high), inputs, zero=demand is Reads.ZERO, passes=passes)
    return found
