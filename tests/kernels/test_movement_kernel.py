"""Data movement and look-up: every code arrives at its place, and at no other."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles.codes import power, quantized, same
from oracles.drawing import codes, encodings, executed, formats, reals, seeds, top
from oracles.kernels import run

from fxnorm.errors import DataError
from fxnorm.fixed.format import Format
from fxnorm.kernels import movement
from fxnorm.kernels.encoding import Encoding
from fxnorm.kernels.kernel import Policy
from fxnorm.kernels.stage import Tally


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
            new = draw(
                st.sampled_from(
                    [
                        (total,),
                        (divisor, total // divisor),
                        (1, divisor, total // divisor),
                        (divisor, 1, total // divisor, 1),
                    ]
                )
            )
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
            return movement.Pad(widths, draw(st.integers(-8, 7))), tuple(
                n + sum(w) for n, w in zip(shape, widths, strict=True)
            )
        case "spread":
            factors = tuple(draw(st.integers(1, 2)) for _ in shape)
            return movement.Spread(factors), tuple((n - 1) * f + 1 for n, f in zip(shape, factors, strict=True))
        case _:
            new = tuple(draw(st.integers(1, 3)) if n == 1 else n for n in shape)
            return movement.Broadcast(new), new


def test_chains_of_moves():
    seen = dict.fromkeys(("Reshape", "Transpose", "Slice", "Take", "Pad", "Spread", "Broadcast"), 0)

    @given(
        st.sampled_from([(4,), (2, 3), (1, 2, 3), (2, 1, 2, 2)]),
        st.integers(1, 4),
        st.integers(0, 2),
        encodings(5, 16),
        st.data(),
    )
    @settings(max_examples=150)
    def check(shape, count, behind, x, data):
        chain, start = [], shape
        for _ in range(count + behind):
            if len(shape) == 0 or np.prod(shape) > 200:
                break
            move, shape = data.draw(moves(shape))
            chain.append(move)
            seen[type(move).__name__] += 1
        y = data.draw(encodings(5, 16)) if data.draw(st.booleans()) else x
        kernel = movement.Movement(tuple(chain[:count]), movement.change(x, y), tuple(chain[count:]))
        inputs = data.draw(codes(x.format, (2, *start)))
        got, tally = executed(kernel, [inputs])
        wanted = run(kernel, [inputs])
        assert got.shape == (2, *shape)
        assert same(got, wanted.codes)
        assert tally.overflow == wanted.overflow

    check()
    assert min(seen.values()) >= 15, seen


@given(encodings(4, 16), st.floats(-40, 40, width=32), st.data())
def test_a_filler_is_a_number_of_the_output(x, value, data):
    """Padding with a value that the input could not hold: what is stored is that value, rounded once, and data is rescaled."""
    y = Encoding(data.draw(formats(4, 16)), top(x) + data.draw(st.integers(-2, 6)))
    operation = movement.MoveOperation((movement.PadValue(((1, 2),), value), movement.Transpose((0,))))
    kernel = operation.decide([x], y, Policy(y.format, Format(8, 4)))
    inputs = data.draw(codes(x.format, (2, 3)))
    got, tally = executed(kernel, [inputs])
    filler = quantized(_fraction(value), y.format, y.lsb)[0]
    body = [[quantized(int(n) * power(x.lsb), y.format, y.lsb)[0] for n in row] for row in inputs]
    assert got.tolist() == [[filler, *row, filler, filler] for row in body]
    assert tally.overflow == run(kernel, [inputs]).overflow


def _fraction(value):
    from fractions import Fraction

    return Fraction(float(value))


def test_moved_data_keeps_its_encoding_and_padded_data_does_not():
    x = Encoding(Format(8, 4), 2)
    keep = Policy(x.format, x.format)
    assert movement.MoveOperation((movement.Reshape((4,)),)).encoding([x], keep) == x
    assert movement.MoveOperation((movement.PadValue(((1, 1),), 0.0),)).encoding([x], keep) == x
    assert movement.MoveOperation((movement.PadValue(((1, 1),), 3.0),)).encoding([x], keep) is None
    assert movement.MoveOperation((movement.Reshape((4,)),)).encoding([x], Policy(Format(7, 4), x.format)) is None
    assert movement.ConcatOperation(0, (None, None)).encoding([x, x], keep) == x
    assert movement.ConcatOperation(0, (None, None)).encoding([x, Encoding(Format(8, 4), 1)], keep) is None


@given(
    st.sampled_from([((5, 3), 0), ((2, 4), 1), ((2, 3, 2), 1), ((6,), 0)]),
    st.sampled_from([(), (3,), (2, 2)]),
    formats(2, 32),
    st.data(),
)
@settings(max_examples=80)
def test_looked_up_rows(table, form, format_, data):
    shape, axis = table
    rows = data.draw(reals(shape))
    policy = Policy(format_, Format(8, 4), normalize=data.draw(st.sampled_from(["none", "pow2"])))
    operation = movement.LookupOperation(rows, axis)
    y = operation.encoding([], policy)
    kernel = operation.decide([], y, policy)
    length = shape[axis]
    indices = np.random.default_rng(data.draw(seeds)).integers(-length, length, (3, *form))
    got, _ = executed(kernel, [indices])
    assert same(got, run(kernel, [indices]).codes)
    for sample in range(3):
        taken = np.take(rows, indices[sample], axis=axis)
        assert got[sample].shape == taken.shape
        for index in np.ndindex(*taken.shape):
            assert int(got[(sample, *index)]) == quantized(_fraction(taken[index]), y.format, y.lsb)[0]


@pytest.mark.parametrize("index", [4, -5, 1 << 40])
def test_an_index_outside_of_the_table_is_refused_by_name(index):
    policy = Policy(Format(8, 4), Format(8, 4))
    operation = movement.LookupOperation(np.ones((4, 2)))
    kernel = operation.decide([], operation.encoding([], policy), policy)
    with pytest.raises(DataError, match=rf"\[-4, 4\), not .*{index}"):
        kernel.run([np.array([[0, index]])], Tally())
