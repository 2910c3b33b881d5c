"""Normalization kernels from their documented datapaths, one group and one integer at a time, every intermediate number an exact fraction.

Nothing is floored with a sticky bit here: x̂ · scale + bias is a fraction, and it is rounded once.
"""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np

from oracles import blocks
from oracles.codes import box, each, fitted, power, rounded
from oracles.kernels import Outcome


def reciprocal_root(block, n):
    """Mantissa and exponent of 1/√n: leading one at an even place, a straight line from a table, one Newton step, rounded half up."""
    bits = block.bits
    index_bits, start_bits, position_bits, inner_bits = (bits + 3) // 4, (bits + 1) // 2 + 5, bits + 3, bits + 5
    slope_bits = start_bits - index_bits
    place = n.bit_length() - 1
    odd = place % 2
    m = n * 2**position_bits // 2**place
    index, rest = divmod(m - 2**position_bits, 2 ** (position_bits - index_bits))
    t = rest // 2 ** (position_bits - index_bits - slope_bits)
    index += odd * 2**index_bits
    r0 = int(block.intercepts[index]) - int(block.slopes[index]) * t // 2**slope_bits
    root = m * 2**odd * r0 // 2 ** (position_bits + start_bits - inner_bits)
    p = root * r0 // 2**start_bits
    r1 = r0 * 2 ** (inner_bits - start_bits) + r0 * (2**inner_bits - p) // 2 ** (start_bits + 1)
    drop = inner_bits - bits
    return min((r1 + 2 ** (drop - 1)) // 2**drop, 2**bits - 1), place // 2 + bits


class Counts(dict):
    """What stages before the last one could not hold."""

    def add(self, name, lost):
        self[name] = self.get(name, 0) + bool(lost)


def converted(name, value, rescale, counts):
    """Code of a number of the stage's input steps in the stage's format."""
    code, lost = fitted(
        rounded(Fraction(value) / int(rescale.divisor) / power(rescale.shift), rescale.output.rounding), rescale.output
    )
    counts.add(name, lost)
    return code


def exact(moments, group):
    """x̂ of every code of a group, the reciprocal deviation itself, and whether that is infinite."""
    total = sum(group) if moments.centered else 0
    deviation = moments.factor * sum(x * x for x in group) - total**2
    radicand = max(deviation * 2**moments.fraction_bits + moments.epsilon, moments.least)
    mantissa, exponent = reciprocal_root(moments.root, radicand)
    root = mantissa * power(moments.fraction_bits // 2 - exponent)
    return (
        [(moments.factor * x - total) * root for x in group],
        moments.factor * root,
        deviation == 0 and moments.epsilon == 0,
    )


def staged(moments, group, counts):
    """x̂ of every code of a group, the reciprocal deviation in the data's fixed-point units, the mean's code, by way of formats."""
    x_step, mean_step = moments.shifts
    mean = converted("mean", sum(group), moments.mean_stage, counts) if moments.centered else 0
    centered = [x * 2**x_step - mean * 2**mean_step for x in group]
    base = group if moments.one_pass else centered
    squares = [converted("square", c * c, moments.square, counts) for c in base]
    variance = converted("variance", sum(squares), moments.variance, counts)
    if moments.one_pass and moments.centered:
        variance -= converted("variance", mean * mean, moments.squared_mean, counts)
    if variance < 0:
        counts.add("negative variance", True)
    radicand = (max(variance, 0) + moments.epsilon) * 2**moments.odd
    format_ = moments.root_format
    if radicand == 0:
        code, lost = (0 if str(format_.overflow) == "sat_zero" else format_.max_code), True
    else:
        mantissa, exponent = reciprocal_root(moments.root, radicand)
        code, lost = fitted(rounded(mantissa * power(-exponent - moments.root_shift), format_.rounding), format_)
    counts.add("root", lost)
    root = code * power(-format_.fraction_bits)
    step = power(format_.fraction_bits - moments.exponent)  # of a centered code, in fixed-point units of the data
    return [c * step * root for c in centered], root, mean


def magnitudes(moments, group):
    """x̂ of every code of a group."""
    mantissa, exponent = blocks.reciprocal(moments.reciprocal, max(sum(abs(x) for x in group), 1))
    return [x * mantissa * power(-exponent) for x in group]


def groups(rows, axes):
    """Index tuples of every group of rows with a layout."""
    outer = [1 if axis - 1 in axes else n for axis, n in enumerate(rows.shape)]
    inner = [n if axis - 1 in axes else 1 for axis, n in enumerate(rows.shape)]
    for base in each(outer):
        yield [tuple(b + i for b, i in zip(base, step, strict=True)) for step in each(inner)]


def normalized(moments, group, counts):
    """x̂ of every code of a group, by whatever moments there are."""
    match type(moments).__name__:
        case "ExactMoments":
            return exact(moments, group)[0]
        case "StagedMoments":
            return staged(moments, group, counts)[0]
    return magnitudes(moments, group)


def operand(constant, shift, shape, given, x, layout):
    """Codes of a scale or bias for every element of the rows, moved to the left; None where there is none."""
    rows = x.reshape(-1, *layout)
    if constant is not None:
        spread = np.broadcast_to(box(constant), rows.shape)
        places = np.broadcast_to(np.asarray(shift, dtype=object), rows.shape)
    elif shape is not None:
        codes = next(given)
        samples = len(codes)
        spread = np.broadcast_to(codes.reshape(samples, *shape), (samples, len(rows) // samples, *layout)).reshape(
            rows.shape
        )
        places = np.broadcast_to(np.asarray(shift, dtype=object), rows.shape)
    else:
        return None
    return {index: int(spread[index]) * 2 ** int(places[index]) for index in each(rows.shape)}


def finish(stage, real):
    """Code of a number in the stage's input steps, and whether it overflowed."""
    code = rounded(real / power(stage.shift), stage.output.rounding)
    if stage.low is not None:
        code = max(code, stage.low)
    if stage.high is not None:
        code = min(code, stage.high)
    return fitted(code, stage.output)


def norm(kernel, inputs):
    """(a·x − center) · scale · root + bias, rounded once; outcome and inner counts."""
    given = iter([box(codes) for codes in inputs])
    x = next(given)
    rows = x.reshape(-1, *kernel.layout)
    scale = operand(kernel.scale, kernel.scale_shift, kernel.scale_shape, given, x, kernel.layout)
    bias = operand(kernel.bias, kernel.bias_shift, kernel.bias_shape, given, x, kernel.layout)
    counts, lost = Counts(), 0
    out = np.empty(rows.shape, dtype=object)
    for group in groups(rows, kernel.axes):
        for index, value in zip(group, normalized(kernel.moments, [rows[i] for i in group], counts), strict=True):
            real = value * (1 if scale is None else scale[index]) * power(-kernel.shift) + (
                0 if bias is None else bias[index]
            )
            out[index], changed = finish(kernel.stage, real)
            lost += changed
    return Outcome(out.reshape(x.shape), lost), counts


def norm_mean(kernel, inputs):
    """The mean's own code, rescaled."""
    rows = box(inputs[0]).reshape(-1, *kernel.layout)
    counts, codes, lost = Counts(), [], 0
    for group in groups(rows, kernel.axes):
        mean = converted("mean", sum(rows[i] for i in group), kernel.moments.mean_stage, counts)
        code, changed = finish(kernel.stage, Fraction(mean))
        codes.append(code)
        lost += changed
    return Outcome(np.array(codes, dtype=object).reshape(len(inputs[0]), *kernel.shape), lost), counts


def inverse_deviation(kernel, inputs):
    """The reciprocal root times a over the step of the codes."""
    rows = box(inputs[0]).reshape(-1, *kernel.layout)
    counts, codes, lost = Counts(), [], 0
    for group in groups(rows, kernel.axes):
        members = [rows[i] for i in group]
        if type(kernel.moments).__name__ == "ExactMoments":
            _, root, infinite = exact(kernel.moments, members)
            real = root * power(-kernel.shift)
            if infinite:
                real = Fraction((kernel.stage.output.max_code + 2) * 4)
        else:
            _, root, _ = staged(kernel.moments, members, counts)
            real = root * power(kernel.moments.root_format.fraction_bits - kernel.moments.exponent - kernel.shift)
        code, changed = finish(kernel.stage, real)
        codes.append(code)
        lost += changed
    return Outcome(np.array(codes, dtype=object).reshape(len(inputs[0]), *kernel.shape), lost), counts


def local_response(kernel, inputs):
    """x times the power of weight · Q + offset."""
    x = box(inputs[0])
    out = np.empty(x.shape, dtype=object)
    lost = 0
    for index in each(x.shape):
        sample, batch, channel, *place = index
        window = range(max(0, channel - kernel.before), min(x.shape[2] - 1, channel + kernel.after) + 1)
        total = sum(x[(sample, batch, c, *place)] ** 2 for c in window)
        base = max(kernel.weight * total + kernel.offset, 1)
        k = base.bit_length() - 1
        u, _ = blocks.table(kernel.power, base * 2**kernel.bits // 2**k)
        at = max(k - kernel.first, 0)
        mantissa = u * int(kernel.mantissas[at]) // 2**kernel.bits
        out[index], changed = finish(
            kernel.stage, x[index] * mantissa * power(-int(kernel.exponents[at]) - kernel.shift)
        )
        lost += changed
    return Outcome(out, lost)


def correctly_rounded(group, form, epsilon, scale, bias, output, precision=160):
    """Codes of the real normalization of a group, rounded once by the format's mode, before any overflow.

    Parameters
    ----------
    group
        Integers.
    form
        One of the kernel's forms.
    epsilon
        ε in squared units of the integers.
    scale, bias
        Fractions in output steps, one an element.
    """
    n = len(group)
    total = sum(group)
    squares = sum(x * x for x in group)
    numerators, radicand = {
        "variance": ([n * x - total for x in group], n * squares - total**2 + epsilon * n * n),
        "mean_square": ([n * x for x in group], n * squares + epsilon * n * n),
        "sum_square": (group, Fraction(squares)),
        "sum_abs": (group, Fraction(sum(map(abs, group))) ** 2),
    }[form]
    radicand = Fraction(radicand)
    if radicand == 0:
        return [rounded(b, output.rounding) for b in bias]
    # 1/√(p/q) = q/√(p·q): rational where p·q is a square, else to many digits, and then no tie is possible.
    product = radicand.numerator * radicand.denominator
    root = math.isqrt(product)
    inverse = (
        Fraction(radicand.denominator, root)
        if root * root == product
        else Fraction(radicand.denominator << precision, math.isqrt(product << 2 * precision))
    )
    return [rounded(a * inverse * s + b, output.rounding) for a, s, b in zip(numerators, scale, bias, strict=True)]
