"""A decided kernel of any kind, drawn: with the encodings and shapes of its inputs, so that codes for it can be drawn too."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from hypothesis import strategies as st

from fxnorm.errors import PlanError
from fxnorm.fixed.format import Format
from fxnorm.kernels import movement
from fxnorm.kernels.divide import DivideOperation
from fxnorm.kernels.elementwise import FUNCTIONS, ElementwiseOperation
from fxnorm.kernels.encoding import Encoding
from fxnorm.kernels.kernel import NormPolicy, Policy
from fxnorm.kernels.linear import LinearOperation, Window
from fxnorm.kernels.local_response import LocalResponseOperation
from fxnorm.kernels.mask import RealMask
from fxnorm.kernels.matmul import MatMulOperation
from fxnorm.kernels.norm import FORMS, NormOperation
from fxnorm.kernels.norm_statistic import NormInverseDeviationOperation, NormMeanOperation
from fxnorm.kernels.pool import PoolOperation, ReduceOperation
from fxnorm.kernels.rescale import ScaleOperation
from fxnorm.kernels.softmax import SoftmaxOperation
from fxnorm.kernels.stage import Tally
from fxnorm.kernels.table import FunctionOperation
from oracles.drawing import (
    codes,
    encodings,
    formats,
    near,
    overflows,
    policies,
    reals,
    roundings,
    seeds,
    top,
)

INDEX = Format(32, 32)


@dataclass
class Case:
    """A kernel, and the encoding and shape (samples not counted) of each of its inputs and of its output."""

    kernel: object
    encodings: list
    shapes: list
    output: Encoding
    shape: tuple

    def draw_codes(self, draw, samples=2):
        """Codes that the formats hold; indices that the table has."""
        if isinstance(self.kernel, movement.Lookup):
            length = self.kernel.rows.shape[self.kernel.axis]
            rng = np.random.default_rng(draw(seeds))
            return [rng.integers(-length, length, (samples, *shape)) for shape in self.shapes]
        return [
            draw(codes(encoding.format, (samples, *shape)))
            for encoding, shape in zip(self.encodings, self.shapes, strict=True)
        ]


def decided(operation, inputs, shapes, output, policy):
    """Case of an operation, or None where the planner refuses it."""
    try:
        kernel = operation.decide(inputs, output, policy)
    except (PlanError, OverflowError, ValueError):
        return None
    zeros = [np.zeros((1, *shape), np.int64) for shape in shapes]
    return Case(kernel, list(inputs), [tuple(shape) for shape in shapes], output, kernel.run(zeros, Tally()).shape[1:])


def affine(draw, encoding, zero_in_codes=True):
    """Sometimes any step and any zero."""
    if draw(st.integers(0, 3)):
        return encoding
    lowest, highest = encoding.format.lowest_code, encoding.format.max_code
    reach = 0 if zero_in_codes else 300
    return replace(encoding, factor=draw(st.floats(1.0, 1.99)), zero=draw(st.integers(lowest - reach, highest + reach)))


@st.composite
def windows(draw, most_rank=3):
    """A window, the spatial shape that it goes over."""
    rank = draw(st.sampled_from([1, 2, 2, most_rank]))
    kernel = tuple(draw(st.integers(1, 3)) for _ in range(rank))
    strides = tuple(draw(st.integers(1, 3)) for _ in range(rank))
    dilations = tuple(draw(st.integers(1, 2)) for _ in range(rank))
    begins = tuple(draw(st.integers(0, 2)) for _ in range(rank))
    ends = tuple(draw(st.integers(0, 2)) for _ in range(rank))
    extents = [d * (k - 1) + 1 for k, d in zip(kernel, dilations, strict=True)]
    spatial = tuple(max(e - a - b, 1) + draw(st.integers(0, 3)) for e, a, b in zip(extents, begins, ends, strict=True))
    return Window(kernel, strides, dilations, begins, ends), spatial


@st.composite
def explicit(draw, x, weight):
    """Accumulator and product format of a policy: both None, or near what sums reach."""
    kind = draw(st.sampled_from(["exact", "exact", "accumulator", "both", "product"]))
    if kind == "exact":
        return None, None
    magnitude = x.integer_bits + weight.integer_bits + draw(st.integers(-8, 2))
    product = x.fraction_bits + weight.fraction_bits
    fraction = product + draw(st.sampled_from([0, 0, 0, -1, -3, 2]))
    width = max(2, magnitude + fraction)
    accumulator = Format(width, width - fraction, True, draw(roundings), draw(overflows))
    bits = max(2, width + draw(st.integers(-4, 2)))
    quantized = Format(bits, bits - fraction - draw(st.integers(-2, 1)), True, draw(roundings), draw(overflows))
    return (None if kind == "product" else accumulator), (None if kind == "accumulator" else quantized)


@st.composite
def linear_cases(draw, most=12, quantized=None):
    """Dense layers and convolutions, with accumulators of every kind."""
    x, weight = draw(encodings(2, most)), draw(formats(2, most))
    accumulator, product = draw(explicit(x.format, weight)) if quantized is None else draw(quantized(x.format, weight))
    if draw(st.integers(0, 2)) == 0:
        k, o = draw(st.integers(1, 9)), draw(st.integers(1, 4))
        shape, weight_shape, window, groups = (draw(st.integers(1, 2)), k), (o, k), None, 1
    else:
        window, spatial = draw(windows())
        groups, per_group, outputs = draw(st.sampled_from([(1, 2, 3), (1, 1, 2), (2, 2, 4), (3, 1, 3), (2, 1, 4)]))
        shape, weight_shape = (1, groups * per_group, *spatial), (outputs, per_group, *window.kernel)
    x = affine(draw, x)
    weights, bias = draw(reals(weight_shape)), draw(reals(weight_shape[:1], draw(st.sampled_from([2, 6]))))
    policy = Policy(draw(formats(2, most)), weight, accumulator, product, draw(st.sampled_from(["none", "pow2"])))
    low, high = draw(st.sampled_from([(None, None), (0.0, None), (0.0, 6.0), (-1.0, 1.0)]))
    y = affine(draw, near(draw, top(x) + 2, policy.format), False)
    if draw(st.integers(0, 2)) == 0:
        policy = replace(policy, normalize="affine")
    return decided(LinearOperation(weights, bias, window, groups, low, high), [x], [shape], y, policy)


LAYOUTS = [
    ((2, 3), (3, 2), 3),
    ((2, 2, 3), (3, 4), 3),
    ((3, 4), (2, 4, 1), 4),
    ((2, 1, 2, 3), (3, 3, 2), 3),
    ((5,), (5, 2), 5),
    ((2, 3, 5), (5,), 5),
    ((4,), (4,), 4),
]


@st.composite
def matmul_cases(draw, most=12, quantized=None):
    """Products of two values or of one with a constant, with and without a Gemm's factors and addend."""
    a_shape, b_shape, k = draw(st.sampled_from(LAYOUTS))
    a, b = draw(encodings(2, most)), draw(encodings(2, most))
    constant = draw(st.sampled_from([None, None, "left", "right"]))
    weight = draw(formats(2, most))
    left = draw(reals(a_shape)) if constant == "left" else None
    right = draw(reals(b_shape)) if constant == "right" else None
    kinds = weight if left is not None else a.format, weight if right is not None else b.format
    accumulator, product = draw((quantized or explicit)(*kinds))
    policy = Policy(draw(formats(2, most)), weight, accumulator, product)
    alpha, adds = draw(st.sampled_from([1.0, 1.0, 0.25, 0.3, -1.5])), draw(st.integers(0, 2)) == 0
    c = draw(encodings(2, most))
    c_shape = draw(st.sampled_from([(), (1,)]))
    addend = draw(reals(c_shape)) if adds and draw(st.booleans()) else None
    operation = MatMulOperation(
        k, left, right, len(a_shape) == 1, len(b_shape) == 1, alpha, draw(st.sampled_from([1.0, 0.7])), adds, addend
    )
    if operation.reads(0) == 1:
        a, b = affine(draw, a), affine(draw, b)
    given = [(e, shape) for e, shape, fixed in ((a, a_shape, left), (b, b_shape, right)) if fixed is None]
    if adds and addend is None:
        given.append((c, c_shape))
    inputs, shapes = [e for e, _ in given], [shape for _, shape in given]
    y = affine(draw, near(draw, sum(map(top, inputs[:2])), policy.format), False)
    return decided(operation, inputs, shapes, y, policy)


COUNTS = {"abs": 1, "threshold": 1, "hard_swish": 1, "prelu": 2, "select": 2}
SHAPES = [((2, 3), (2, 3)), ((3, 1, 2), (2, 2)), ((4,), ()), ((1, 3), (2, 1)), ((), ())]


@st.composite
def elementwise_cases(draw, most=12, function=None):
    """One of the functions of aligned operands."""
    function = function or draw(st.sampled_from(FUNCTIONS))
    count = COUNTS.get(function, draw(st.integers(1, 3)))
    shapes = draw(st.sampled_from(SHAPES)) if count > 1 else [draw(st.sampled_from([(2, 3), (), (1, 4)]))]
    shapes = [*shapes, shapes[0]][:count]
    constant = [False] + [draw(st.booleans()) for _ in range(count - 1)]
    if count > 1 and function != "prelu" and draw(st.booleans()):
        constant.reverse()
    policy = draw(policies(draw(formats(2, most)), most))
    operation = ElementwiseOperation(
        function,
        tuple(draw(reals(shape)) if fixed else None for fixed, shape in zip(constant, shapes, strict=True)),
        tuple(draw(st.sampled_from([1, -1])) for _ in range(count)) if function == "add" else (),
        divisor=draw(st.integers(1, 7)) if function == "add" else 1,
        parameters=(draw(st.floats(-8, 8, width=32)),) if function == "threshold" else (),
        mask=np.asarray(np.random.default_rng(draw(seeds)).random(np.broadcast_shapes(*shapes)) < 0.5)
        if function == "select"
        else None,
        low=draw(st.sampled_from([None, None, 0.0])),
    )
    given = [shape for shape, fixed in zip(shapes, constant, strict=True) if not fixed]
    inputs = [draw(encodings(2, most)) for _ in given]
    inputs = [affine(draw, e) if operation.reads(i) < 2 else e for i, e in enumerate(inputs)]
    place = sum(map(top, inputs)) if function == "mul" else max(map(top, inputs))
    return decided(operation, inputs, given, affine(draw, near(draw, place, policy.format), False), policy)


@st.composite
def divide_cases(draw, most=12):
    """Quotients, of a constant now and then."""
    a, b = draw(encodings(2, most)), draw(encodings(2, most))
    dividend = draw(reals((2, 3))) if draw(st.integers(0, 3)) == 0 else None
    policy = draw(policies(draw(formats(2, most)), most))
    shapes = [(2, 3), draw(st.sampled_from([(2, 3), (3,), ()]))]
    inputs = [a, b] if dividend is None else [b]
    y = near(draw, top(a) - top(b) + 2, policy.format)
    return decided(DivideOperation(dividend), inputs, shapes[-len(inputs) :], y, policy)


@st.composite
def scale_cases(draw, most=12):
    """Scale and shift a channel, clips among them."""
    axis = draw(st.sampled_from([None, 0, 1]))
    shape = (3, 3, 2)
    count = 1 if axis is None else 3
    clip = draw(st.integers(0, 3)) == 0
    scale, shift = (np.ones(count), np.zeros(count)) if clip else (draw(reals((count,))), draw(reals((count,))))
    x = affine(draw, draw(encodings(2, most)), False)
    policy = draw(policies(draw(formats(2, most)), most))
    low, high = draw(st.sampled_from([(None, None), (0.0, None), (0.0, 6.0), (-0.5, 0.75)]))
    y = affine(draw, near(draw, top(x), policy.format), False)
    return decided(ScaleOperation(scale, shift, axis, low, high), [x], [shape], y, policy)


@st.composite
def table_cases(draw, most=12):
    """Functions of one value."""
    name = draw(st.sampled_from(["sigmoid", "tanh", "exp", "relu", "softsign", "reciprocal", "log", "gelu"]))
    x = draw(encodings(2, min(most, 12)))
    y = near(draw, min(top(x), 2), draw(formats(2, most)))
    return decided(FunctionOperation(name), [x], [(2, 3)], y, Policy(y.format, Format(8, 4)))


@st.composite
def pool_cases(draw, most=12):
    """Maxima and means over windows."""
    window, spatial = draw(windows())
    function = draw(st.sampled_from(["max", "mean"]))
    x = affine(draw, draw(encodings(2, most)))
    counts = np.array([int(np.prod(window.kernel))])
    if function == "mean" and draw(st.booleans()):
        inside = np.ones(1, np.int64)
        for axis, size in enumerate(spatial):
            inside = np.multiply.outer(inside, np.maximum(_inside(window, axis, size), 1))
        counts = inside[0]
    y = affine(draw, near(draw, top(x), draw(formats(2, most)), 2), False)
    return decided(PoolOperation(function, window, counts), [x], [(1, 2, *spatial)], y, Policy(y.format, Format(8, 4)))


def _inside(window, axis, size):
    """How many taps of each window along an axis are data."""
    reach = window.dilations[axis] * (window.kernel[axis] - 1) + 1
    count = (size + window.pads_begin[axis] + window.pads_end[axis] - reach) // window.strides[axis] + 1
    taps = [
        [
            o * window.strides[axis] - window.pads_begin[axis] + t * window.dilations[axis]
            for t in range(window.kernel[axis])
        ]
        for o in range(count)
    ]
    return np.array([sum(0 <= place < size for place in row) for row in taps])


@st.composite
def reduce_cases(draw, most=12):
    """Reductions over axes."""
    function = draw(st.sampled_from(["sum", "mean", "max", "min", "sum_square", "sum_abs"]))
    shape = (2, 3, 4)
    axes = draw(st.sampled_from([(0,), (1, 2), (0, 1, 2), (2,)]))
    x = affine(draw, draw(encodings(2, most)))
    count = int(np.prod([shape[axis] for axis in axes]))
    place = top(x) * (2 if function == "sum_square" else 1)
    y = affine(draw, near(draw, place, draw(formats(2, most))), False)
    operation = ReduceOperation(function, axes, draw(st.booleans()), count, low=draw(st.sampled_from([None, 0.0])))
    return decided(operation, [x], [shape], y, Policy(y.format, Format(8, 4)))


@st.composite
def softmax_cases(draw, most=12, log=None):
    """Softmax and its logarithm, masked now and then."""
    log = draw(st.booleans()) if log is None else log
    shape, axis = draw(st.sampled_from([((5,), 0), ((1, 4), 1), ((3, 2), 0), ((1,), 0), ((2, 3, 2), 1)]))
    x, format_ = draw(encodings(2, most)), draw(formats(2, most))
    mask = None
    if draw(st.booleans()):
        rng = np.random.default_rng(draw(seeds))
        bias = np.where(rng.random(shape) < 0.3, -np.inf, rng.choice([0.0, 0.5, -3.0, -40.0], shape))
        bias = np.where(np.isneginf(bias).all(axis=axis, keepdims=True), 0.0, bias)
        mask = RealMask(rng.random(shape) < 0.7, bias)
    y = Encoding(format_, draw(st.integers(-3, 2)) - format_.integer_bits + (4 if log else 0))
    operation = SoftmaxOperation(axis, shape[axis], log, mask)
    return decided(operation, [x], [shape], y, Policy(format_, Format(8, 4)))


NORM_LAYOUTS = [((5,), (0,)), ((1,), (0,)), ((2, 3), (1,)), ((3, 2), (0,)), ((2, 3, 2), (0, 2)), ((48,), (0,))]
EPSILONS = [0.0, 1e-12, float(np.float32(1e-5)), 0.37, 900.0]


@st.composite
def norm_policies(draw, algorithms=("exact", "exact", "two_pass", "one_pass")):
    """An algorithm, and formats of some of its stages."""
    algorithm = draw(st.sampled_from(algorithms))
    if algorithm == "exact":
        return NormPolicy()
    stages = {name: draw(st.none() | formats(2, 24)) for name in ("mean", "square", "variance", "root")}
    return NormPolicy(algorithm, **stages)


@st.composite
def norm_cases(draw, most=12, algorithms=("exact", "exact", "two_pass", "one_pass")):
    """Normalizations of every form and algorithm, with scales and biases that are constants or inputs."""
    layout, axes = draw(st.sampled_from(NORM_LAYOUTS))
    rows = draw(st.integers(1, 2))
    policy = draw(policies(draw(formats(2, most)), most))
    policy = replace(policy, norm=draw(norm_policies(algorithms)))
    form = draw(st.sampled_from(FORMS))
    x = draw(encodings(2, most))
    parts, given, shapes = {}, [x], [(rows, *layout)]
    for name in ("scale", "bias"):
        shape = tuple(n if draw(st.booleans()) else 1 for n in layout)
        match draw(st.sampled_from(["none", "constant", "input"])):
            case "constant":
                parts[name] = draw(reals(shape))
            case "input":
                parts[f"{name}_shape"] = (draw(st.sampled_from([1, rows])), *shape)
                given.append(draw(encodings(2, most)))
                shapes.append(parts[f"{name}_shape"])
    low, high = draw(st.sampled_from([(None, None), (0.0, None), (-0.5, 0.75)]))
    operation = NormOperation(layout, axes, form, draw(st.sampled_from(EPSILONS)), **parts, low=low, high=high)
    place = max([0, *map(top, given[1:])]) + draw(st.integers(-1, 4))
    y = Encoding(policy.format, place - policy.format.integer_bits)
    if form == "variance":
        given[0] = affine(draw, x, False)
    if operation.writes_any:
        y = affine(draw, y, False)
    return decided(operation, given, shapes, y, policy)


@st.composite
def statistic_cases(draw, most=12, inverse=None):
    """Mean and inverse deviation as values of their own."""
    layout, axes = draw(st.sampled_from(NORM_LAYOUTS))
    inverse = draw(st.booleans()) if inverse is None else inverse
    policy = draw(policies(draw(formats(2, most)), most))
    algorithms = ("exact", "two_pass", "one_pass") if inverse else ("two_pass", "one_pass")
    policy = replace(policy, norm=draw(norm_policies(algorithms)))
    operation = NormOperation(layout, axes, "variance", draw(st.sampled_from(EPSILONS)))
    kept = tuple(1 if axis in axes else n for axis, n in enumerate(layout))
    if inverse:
        statistic = NormInverseDeviationOperation(operation, (2, *kept))
    else:
        statistic = NormMeanOperation(operation, tuple(axis + 1 for axis in axes), (2, *kept))
    y = Encoding(policy.format, draw(st.integers(-6, 4)))
    return decided(statistic, [draw(encodings(2, most))], [(2, *layout)], y, policy)


@st.composite
def local_response_cases(draw, most=12):
    """Local response normalization."""
    x = draw(encodings(2, most))
    width = draw(st.sampled_from([width for width in (6, 8, 12, 16) if width <= max(most, 6)]))
    policy = draw(policies(replace(draw(formats(2, 6)), width=width)))
    channels, size = draw(st.integers(1, 6)), draw(st.integers(1, 7))
    operation = LocalResponseOperation(
        channels,
        size,
        draw(st.sampled_from([0.0, float(np.float32(1e-4)), 0.3, 50.0])),
        draw(st.sampled_from([0.75, 1.0, -0.5])),
        draw(st.sampled_from([1.0, 2.0, 1e-3])),
    )
    y = Encoding(policy.format, draw(st.integers(-4, 4)))
    return decided(operation, [x], [(1, channels, 2)], y, policy)


@st.composite
def moves(draw, shape):
    """One move of a shape, and the shape behind it."""
    rank = len(shape)
    axis = draw(st.integers(0, rank - 1))
    length = shape[axis]
    match draw(st.sampled_from(["reshape", "transpose", "slice", "take", "pad", "spread", "broadcast"])):
        case "reshape":
            total = int(np.prod(shape))
            divisor = draw(st.sampled_from([d for d in range(1, total + 1) if total % d == 0]))
            new = draw(st.sampled_from([(total,), (divisor, total // divisor), (divisor, 1, total // divisor, 1)]))
            return movement.Reshape(new), new
        case "transpose":
            order = tuple(draw(st.permutations(range(rank))))
            return movement.Transpose(order), tuple(shape[a] for a in order)
        case "slice":
            step = draw(st.sampled_from([1, 2, 3, -1, -2, -3]))
            start = draw(st.integers(0, length - 1))
            room = (length - 1 - start) // step if step > 0 else start // -step
            count = draw(st.integers(1, room + 1))
            return movement.Slice(axis, start, step, count), (*shape[:axis], count, *shape[axis + 1 :])
        case "take":
            form = draw(st.sampled_from([(1,), (3,), (2, 2), ()]))
            indices = np.random.default_rng(draw(seeds)).integers(0, length, form)
            return movement.Take(axis, np.asarray(indices)), (*shape[:axis], *form, *shape[axis + 1 :])
        case "pad":
            widths = tuple((draw(st.integers(0, 1)), draw(st.integers(0, 2))) for _ in shape)
            after = tuple(n + sum(w) for n, w in zip(shape, widths, strict=True))
            return movement.Pad(widths, draw(st.integers(0, 1))), after
        case "spread":
            factors = tuple(draw(st.integers(1, 2)) for _ in shape)
            return movement.Spread(factors), tuple((n - 1) * f + 1 for n, f in zip(shape, factors, strict=True))
        case _:
            new = tuple(draw(st.integers(1, 3)) if n == 1 else n for n in shape)
            return movement.Broadcast(new), new


@st.composite
def movement_cases(draw, most=12):
    """Chains of moves, with a change of format in between now and then."""
    start = shape = draw(st.sampled_from([(4,), (2, 3), (1, 2, 3), (2, 1, 2, 2)]))
    count, behind = draw(st.integers(1, 3)), draw(st.integers(0, 2))
    chain = []
    for _ in range(count + behind):
        if len(shape) == 0 or np.prod(shape) > 200:
            break
        move, shape = draw(moves(shape))
        chain.append(move)
    x = draw(encodings(3, most))
    y = affine(draw, draw(encodings(3, most)), False) if draw(st.booleans()) else x
    kernel = movement.Movement(tuple(chain[:count]), movement.change(x, y), tuple(chain[count:]))
    return Case(kernel, [x], [start], y, shape)


@st.composite
def concat_cases(draw, most=12):
    """Operands one behind the other, constants among them."""
    axis = draw(st.integers(0, 1))
    shapes = [(2, 3), (2, 3), (2, 3)]
    sizes = [draw(st.integers(1, 3)) for _ in shapes]
    shapes = [
        tuple(size if i == axis else n for i, n in enumerate(shape)) for shape, size in zip(shapes, sizes, strict=True)
    ]
    fixed = [False, draw(st.booleans()), draw(st.booleans())]
    operands = tuple(draw(reals(shape)) if constant else None for constant, shape in zip(fixed, shapes, strict=True))
    given = [shape for shape, constant in zip(shapes, fixed, strict=True) if not constant]
    inputs = [affine(draw, draw(encodings(2, most)), False) for _ in given]
    y = affine(draw, near(draw, top(inputs[0]), draw(formats(2, most))), False)
    return decided(movement.ConcatOperation(axis, operands), inputs, given, y, Policy(y.format, Format(8, 4)))


@st.composite
def lookup_cases(draw, most=12):
    """Rows of a table."""
    shape = (4, 3)
    y = draw(encodings(2, most))
    operation = movement.LookupOperation(draw(reals(shape)), draw(st.integers(0, 1)))
    return decided(
        operation, [Encoding(INDEX)], [draw(st.sampled_from([(2,), (), (2, 2)]))], y, Policy(y.format, y.format)
    )


CASES = {
    "linear": linear_cases,
    "matmul": matmul_cases,
    "elementwise": elementwise_cases,
    "divide": divide_cases,
    "scale": scale_cases,
    "table": table_cases,
    "pool": pool_cases,
    "reduce": reduce_cases,
    "softmax": softmax_cases,
    "norm": norm_cases,
    "statistic": statistic_cases,
    "local_response": local_response_cases,
    "movement": movement_cases,
    "concat": concat_cases,
    "lookup": lookup_cases,
}
"""Strategies of cases by name; together they draw every class of the catalog. Each takes the widest format."""
