"""Every kernel's datapath once more, from its documentation, in plain Python integers: slow, and easy to read.

A model takes a decided kernel and its input codes, samples on the first axis, and returns an `Outcome`. The accumulators of linear
layers and matrix products are always run step by step, those that are said to be exact as well.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import prod

import numpy as np

from oracles import blocks
from oracles.codes import box, each, fitted, limits, mapped, power, rounded


@dataclass
class Outcome:
    """Output codes and counts."""

    codes: np.ndarray
    overflow: int = 0
    accumulator_overflow: int = 0
    additions: int = 0


def run(kernel, inputs):
    """Output of a kernel."""
    return MODELS[type(kernel).__name__](kernel, [box(codes) for codes in inputs])


def stage(rescale, accumulator, spread=None):
    """overflow(clip(round((accumulator - origin) · multiplier / (divisor · 2**shift) + zero))) of every element.

    `spread` is the shape in which what channels have of their own broadcasts. Returns codes and how many of them overflowed.
    """
    lost = 0

    def one(acc, places, factor, divisor):
        nonlocal lost
        scaled = Fraction((acc - rescale.origin) * int(factor)) / int(divisor) / power(places)
        code = rounded(scaled + rescale.zero, rescale.output.rounding)
        if rescale.low is not None:
            code = max(code, rescale.low)
        if rescale.high is not None:
            code = min(code, rescale.high)
        code, changed = fitted(code, rescale.output)
        lost += changed
        return code

    own = [np.asarray(numbers, dtype=object) for numbers in (rescale.shift, rescale.multiplier)]
    if spread is not None:
        own = [numbers.reshape(spread) if numbers.ndim else numbers for numbers in own]
    codes = mapped(one, accumulator, *own, rescale.divisor)
    assert codes.shape == accumulator.shape
    return codes, lost


def finish(rescale, accumulator, spread=None, shape=None):
    """Outcome of a kernel that ends with its stage."""
    codes, lost = stage(rescale, accumulator, spread)
    return Outcome(codes if shape is None else codes.reshape(shape), lost)


def accumulate(start, terms, accumulator, product_bits, product=None):
    """One accumulator over its products: final code, overflowed additions.

    `start` is brought into the accumulator's range by its overflow mode; every product is quantized to the product format where there
    is one, and the sum to the accumulator's format after each addition.
    """
    total, _ = fitted(start, accumulator)
    lost = 0
    if product is None and product_bits == accumulator.fraction_bits:  # nothing to round: plain integers, for speed
        for term in terms:
            total, changed = fitted(total + term, accumulator)
            lost += changed
        return total, lost
    for term in terms:
        value = Fraction(term) * power(-product_bits)
        if product is not None:
            code, _ = fitted(rounded(value * power(product.fraction_bits), product.rounding), product)
            value = code * power(-product.fraction_bits)
        exact = total + value * power(accumulator.fraction_bits)
        total, changed = fitted(rounded(exact, accumulator.rounding), accumulator)
        lost += changed
    return total, lost


class _Sums:
    """Accumulators of one kernel."""

    def __init__(self, kernel):
        self.kernel = kernel
        self.lost = self.additions = 0

    def total(self, start, terms):
        """Accumulator code after all products."""
        kernel = self.kernel
        terms = list(terms)
        self.additions += len(terms)
        code, lost = accumulate(start, terms, kernel.accumulator, kernel.product_bits, kernel.product)
        self.lost += lost
        return code

    def outcome(self, accumulator, spread, shape):
        """Rescaled accumulators."""
        done = finish(self.kernel.stage, accumulator, spread, shape)
        return Outcome(done.codes, done.overflow, self.lost, self.additions)


def linear(kernel, inputs):
    """Dense layer or convolution; input channel outermost, then kernel row, then kernel column."""
    (x,) = inputs
    weights, bias = box(kernel.weights), box(kernel.bias)
    sums = _Sums(kernel)
    if kernel.window is None:
        rows = x.reshape(-1, x.shape[-1])
        acc = np.empty((len(rows), len(bias)), dtype=object)
        for row, o in each(acc.shape):
            acc[row, o] = sums.total(bias[o], (weights[o, k] * rows[row, k] for k in range(x.shape[-1])))
        return sums.outcome(acc, None, (*x.shape[:-1], len(bias)))
    window = kernel.window
    frames = x.reshape(-1, *x.shape[2:])
    spatial = frames.shape[2:]
    output = tuple(
        (n + a + b - d * (k - 1) - 1) // s + 1
        for n, k, s, d, a, b in zip(
            spatial, window.kernel, window.strides, window.dilations, window.pads_begin, window.pads_end, strict=True
        )
    )
    per_group, outputs_per_group = weights.shape[1], len(bias) // kernel.groups

    def terms(n, o, position):
        first = o // outputs_per_group * per_group
        for c in range(per_group):
            for tap in each(window.kernel):
                at = [
                    p * s + t * d - a
                    for p, s, t, d, a in zip(
                        position, window.strides, tap, window.dilations, window.pads_begin, strict=True
                    )
                ]
                inside = all(0 <= i < length for i, length in zip(at, spatial, strict=True))
                yield weights[(o, c, *tap)] * (frames[(n, first + c, *at)] if inside else kernel.padding)

    acc = np.empty((len(frames), len(bias), *output), dtype=object)
    for index in each(acc.shape):
        n, o, *position = index
        acc[index] = sums.total(bias[o], terms(n, o, position))
    spread = (-1, *(1,) * len(output))
    return sums.outcome(acc, spread, (*x.shape[:2], *acc.shape[1:]))


def aligned(*arrays):
    """Samples first, the other axes from the last one, as ONNX broadcasts each sample."""
    rank = max(array.ndim for array in arrays)
    return [array.reshape(len(array), *(1,) * (rank - array.ndim), *array.shape[1:]) for array in arrays]


def operands(constants, inputs):
    """Operands in order, constants as one sample."""
    given = iter(inputs)
    return [next(given) if constant is None else box(constant)[None] for constant in constants]


def matmul(kernel, inputs):
    """Matrix product, k ascending; then, for a Gemm, factors and addend."""
    used = sum(constant is None for constant in (kernel.left, kernel.right))
    a, b = operands((kernel.left, kernel.right), inputs[:used])
    a = a[..., None, :] if kernel.vector_left else a
    b = b[..., :, None] if kernel.vector_right else b
    a, b = (
        mapped(lambda code, zero=zero: code - zero, codes)
        for codes, zero in zip(aligned(a, b), kernel.zeros, strict=True)
    )
    batch = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    a, b = np.broadcast_to(a, (*batch, *a.shape[-2:])), np.broadcast_to(b, (*batch, *b.shape[-2:]))
    sums = _Sums(kernel)
    acc = np.empty((*batch, a.shape[-2], b.shape[-1]), dtype=object)
    for *where, m, n in each(acc.shape):
        acc[(*where, m, n)] = sums.total(0, (a[(*where, m, k)] * b[(*where, k, n)] for k in range(a.shape[-1])))
    gemm = kernel.combination
    if gemm is not None:
        up, c_up = gemm.shifts
        if gemm.addend is not None:
            acc = mapped(lambda total, c: total * gemm.alpha * 2**up + c, *aligned(acc, box(gemm.addend)[None]))
        elif len(inputs) > used:
            acc = mapped(
                lambda total, c: total * gemm.alpha * 2**up + c * gemm.beta * 2**c_up, *aligned(acc, inputs[used])
            )
        else:
            acc = mapped(lambda total: total * gemm.alpha * 2**up, acc)
    shape = list(acc.shape)
    if kernel.vector_right:
        del shape[-1]
    if kernel.vector_left:
        del shape[-1 if kernel.vector_right else -2]
    return sums.outcome(acc, None, tuple(shape))


def elementwise(kernel, inputs):
    """f of operands that are moved to the left first."""
    terms = [
        mapped(lambda code, zero=zero, m=m: (code - zero) * m, codes)
        for codes, zero, m in zip(
            aligned(*operands(kernel.operands, inputs)), kernel.zeros, kernel.multipliers, strict=True
        )
    ]
    if kernel.function == "select":
        mask = np.asarray(kernel.mask, dtype=object)[None]
        terms = aligned(mask, *terms)
        return finish(
            kernel.stage, mapped(lambda m, a, b: a << kernel.shifts[0] if m else b << kernel.shifts[1], *terms)
        )
    p = kernel.parameters

    def one(*raw):
        values = [code * 2**shift for code, shift in zip(raw, kernel.shifts, strict=True)]
        first = values[0]
        match kernel.function:
            case "add":
                return sum(sign * value for sign, value in zip(kernel.signs, values, strict=True))
            case "mul":
                return prod(values)
            case "min":
                return min(values)
            case "max":
                return max(values)
            case "abs":
                return abs(first)
            case "prelu":
                return first * 2 ** p[0] if first >= 0 else first * values[1]
            case "threshold":
                return first if first > p[0] else 0
            case "hard_swish":
                return first * min(max(first + p[0], 0), p[1])
        raise AssertionError(kernel.function)

    return finish(kernel.stage, mapped(one, *terms))


def divide(kernel, inputs):
    """a times the reciprocal of b, all reciprocals brought to one exponent; beyond every code where b is zero."""
    a, b = aligned(*operands((kernel.dividend, None), inputs))

    def one(n, d):
        if d == 0:
            return (n > 0) * kernel.bound - (n < 0) * kernel.bound
        mantissa, exponent = blocks.reciprocal(kernel.reciprocal, abs(d))
        return (n if d > 0 else -n) * mantissa * 2 ** (kernel.fraction_bits - exponent)

    return finish(kernel.stage, mapped(one, a, b))


def scale_and_shift(kernel, inputs):
    """multiplier · x + bias, one of each a channel."""
    (x,) = inputs
    spread = [1] * x.ndim
    if kernel.axis is not None:
        spread[kernel.axis + 1] = -1
    multiplier, bias = box(kernel.multiplier).reshape(spread), box(kernel.bias).reshape(spread)
    acc = mapped(lambda code, m, b: code * m + b, x, multiplier, bias)
    return finish(kernel.stage, acc, spread)


def function(kernel, inputs):
    """A table."""
    lost = 0

    def one(code):
        nonlocal lost
        y, changed = blocks.table(kernel.table, code)
        lost += changed
        return y

    codes = mapped(one, inputs[0])
    return Outcome(codes, lost)


def pool(kernel, inputs):
    """Maximum or mean over windows; padding counts as its code."""
    (x,) = inputs
    window = kernel.window
    frames = x.reshape(-1, *x.shape[2:])
    spatial = frames.shape[2:]
    geometry = list(
        zip(spatial, window.kernel, window.strides, window.dilations, window.pads_begin, window.pads_end, strict=True)
    )
    output = tuple((n + a + b - d * (k - 1) - 1) // s + 1 for n, k, s, d, a, b in geometry)
    acc = np.empty((*frames.shape[:2], *output), dtype=object)
    for index in each(acc.shape):
        n, c, *position = index
        seen = []
        for tap in each(window.kernel):
            at = [p * s + t * d - a for p, t, (_, _, s, d, a, _) in zip(position, tap, geometry, strict=True)]
            inside = all(0 <= i < length for i, length in zip(at, spatial, strict=True))
            seen.append(frames[(n, c, *at)] if inside else kernel.padding)
        acc[index] = max(seen) if kernel.function == "max" else sum(seen)
    return finish(kernel.stage, acc, shape=(*x.shape[:2], *acc.shape[1:]))


def reduce(kernel, inputs):
    """One number over whole axes."""
    (x,) = inputs
    axes = [axis + 1 for axis in kernel.axes]
    kept = tuple(1 if axis in axes else n for axis, n in enumerate(x.shape))
    groups = {index: [] for index in each(kept)}
    for index in each(x.shape):
        groups[tuple(0 if axis in axes else i for axis, i in enumerate(index))].append(x[index] - kernel.zero)
    how = {
        "max": max,
        "min": min,
        "sum": sum,
        "mean": sum,
        "sum_square": lambda codes: sum(code * code for code in codes),
        "sum_abs": lambda codes: sum(abs(code) for code in codes),
    }[kernel.function]
    acc = np.empty(kept, dtype=object)
    for index, codes in groups.items():
        acc[index] = how(codes)
    if not kernel.keep:
        acc = acc.reshape([n for axis, n in enumerate(x.shape) if axis not in axes])
    return finish(kernel.stage, acc)


def _softmax_groups(kernel, x):
    """Index tuples of each group, with its distances from the maximum and its exponentials."""
    axis = kernel.axis + 1
    for outer in each([1 if a == axis else n for a, n in enumerate(x.shape)]):
        group = [(*outer[:axis], i, *outer[axis + 1 :]) for i in range(x.shape[axis])]
        top = max(x[index] for index in group)
        distances = [top - x[index] for index in group]
        yield group, distances, [_exponential(kernel, d) for d in distances]


def _exponential(kernel, d):
    if d == 0:
        return 2**kernel.bits
    t = min(d, kernel.limit) * kernel.log2e // 2**kernel.log2e_shift
    whole, fraction = divmod(t, 2**kernel.bits)
    return blocks.exp2(kernel.exponential, fraction) // 2**whole if whole <= kernel.bits else 0


def softmax(kernel, inputs):
    """e · (1 / Σ e), of scores on which the mask was put."""
    (x,) = inputs
    if kernel.mask is not None:
        x = _masked(kernel.mask, x)
    acc = np.empty(x.shape, dtype=object)
    for group, _, exponentials in _softmax_groups(kernel, x):
        mantissa, exponent = blocks.reciprocal(kernel.reciprocal, sum(exponentials))
        for index, e in zip(group, exponentials, strict=True):
            acc[index] = e * mantissa * 2 ** (kernel.fraction_bits - exponent)
    return finish(kernel.stage, acc)


def _masked(mask, x):
    """Scores moved to the step of the biases, zeros where they do not count, biases added: in Python integers, one by one."""
    z = np.empty(x.shape, dtype=object)
    counts = None if mask.keep is None else np.broadcast_to(mask.keep, x.shape[1:])
    bias = None if mask.bias is None else np.broadcast_to(mask.bias, x.shape[1:])
    for index in each(x.shape):
        value = int(x[index]) * 2**mask.shift if counts is None or counts[index[1:]] else 0
        z[index] = value + (0 if bias is None else int(bias[index[1:]]))
    return z


def log_softmax(kernel, inputs):
    """-d - ln Σ e, of scores on which the mask was put; the lowest code where it hides them."""
    (x,) = inputs
    if kernel.mask is not None:
        x = _masked(kernel.mask, x)
    acc = np.empty(x.shape, dtype=object)
    fraction = kernel.logarithm.input.fraction_bits
    for group, distances, exponentials in _softmax_groups(kernel, x):
        total = sum(exponentials)
        place = total.bit_length() - 1
        mantissa, _ = blocks.table(kernel.logarithm, total * 2**fraction // 2**place)
        logarithm = mantissa + (place - kernel.bits) * kernel.ln2
        for index, d in zip(group, distances, strict=True):
            acc[index] = -d * 2 ** kernel.shifts[0] - logarithm * 2 ** kernel.shifts[1]
    if kernel.hidden is None:
        return finish(kernel.stage, acc)
    hidden = np.broadcast_to(kernel.hidden, x.shape[1:])
    for index in each(x.shape):
        acc[index] = 0 if hidden[index[1:]] else acc[index]
    found = finish(kernel.stage, acc)
    for index in each(x.shape):
        if hidden[index[1:]]:
            found.codes[index] = limits(kernel.stage.output)[0]
    return found


def _sources(move, shape):
    """Output shape of a move (samples not counted), and a function from an output index to an input index or a filler code."""
    match type(move).__name__:
        case "Reshape":
            strides = [prod(move.shape[axis + 1 :]) for axis in range(len(move.shape))]

            def source(index):
                flat = sum(i * s for i, s in zip(index, strides, strict=True))
                back = []
                for n in reversed(shape):
                    flat, i = divmod(flat, n)
                    back.append(i)
                return tuple(reversed(back))

            return move.shape, source
        case "Transpose":
            return tuple(shape[a] for a in move.order), lambda index: tuple(
                index[move.order.index(a)] for a in range(len(shape))
            )
        case "Slice":
            out = (*shape[: move.axis], move.count, *shape[move.axis + 1 :])
            a = move.axis
            return out, lambda index: (*index[:a], move.start + move.step * index[a], *index[a + 1 :])
        case "Take":
            a, rank = move.axis, move.indices.ndim
            out = (*shape[:a], *move.indices.shape, *shape[a + 1 :])
            return out, lambda index: (*index[:a], int(move.indices[index[a : a + rank]]), *index[a + rank :])
        case "Pad":
            out = tuple(n + sum(width) for n, width in zip(shape, move.widths, strict=True))

            def padded(index):
                at = tuple(i - width[0] for i, width in zip(index, move.widths, strict=True))
                return at if all(0 <= i < n for i, n in zip(at, shape, strict=True)) else move.code

            return out, padded
        case "Spread":
            out = tuple((n - 1) * f + 1 if n else 0 for n, f in zip(shape, move.factors, strict=True))

            def spread(index):
                hit = all(i % f == 0 for i, f in zip(index, move.factors, strict=True))
                return tuple(i // f for i, f in zip(index, move.factors, strict=True)) if hit else move.code

            return out, spread
        case "Broadcast":
            return move.shape, lambda index: tuple(i if n > 1 else 0 for i, n in zip(index, shape, strict=True))
    raise AssertionError(move)


def moved(move, x):
    """One move."""
    shape, source = _sources(move, x.shape[1:])
    out = np.empty((len(x), *shape), dtype=object)
    for sample, *index in each(out.shape):
        found = source(tuple(index))
        out[(sample, *index)] = x[(sample, *found)] if isinstance(found, tuple) else found
    return out


def movement(kernel, inputs):
    """Moves one after the other, perhaps a stage, and the moves from the first filler on."""
    (x,) = inputs
    for move in kernel.moves:
        x = moved(move, x)
    done = Outcome(x) if kernel.stage is None else finish(kernel.stage, x)
    for move in kernel.filled:
        done.codes = moved(move, done.codes)
    return done


def concat(kernel, inputs):
    """Operands one behind the other."""
    samples = len(inputs[0])
    parts, lost = [], 0
    for operand, rescale in zip(operands(kernel.operands, inputs), kernel.stages, strict=True):
        x = np.broadcast_to(operand, (samples, *operand.shape[1:]))
        if rescale is not None:
            x, count = stage(rescale, x)
            lost += count
        parts.append(x)
    axis = kernel.axis + 1
    shape = list(parts[0].shape)
    shape[axis] = sum(part.shape[axis] for part in parts)
    out = np.empty(shape, dtype=object)
    offset = 0
    for part in parts:
        for index in each(part.shape):
            out[(*index[:axis], index[axis] + offset, *index[axis + 1 :])] = part[index]
        offset += part.shape[axis]
    return Outcome(out, lost)


def lookup(kernel, inputs):
    """Rows of a table; negative indices count from the end."""
    (indices,) = inputs
    rows, a = box(kernel.rows), kernel.axis
    before, length, after = rows.shape[:a], rows.shape[a], rows.shape[a + 1 :]
    out = np.empty((len(indices), *before, *indices.shape[1:], *after), dtype=object)
    for place in each(out.shape):
        sample, first, inner, last = (
            place[0],
            place[1 : a + 1],
            place[a + 1 : a + indices.ndim],
            place[a + indices.ndim :],
        )
        out[place] = rows[(*first, indices[(sample, *inner)] % length, *last)]
    return Outcome(out)


MODELS = {
    "Linear": linear,
    "MatMul": matmul,
    "Elementwise": elementwise,
    "Divide": divide,
    "ScaleAndShift": scale_and_shift,
    "Function": function,
    "Pool": pool,
    "Reduce": reduce,
    "Softmax": softmax,
    "LogSoftmax": log_softmax,
    "Movement": movement,
    "Concat": concat,
    "Lookup": lookup,
}
