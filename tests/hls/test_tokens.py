"""Programs of reads and writes: what they say is what a plain walk over the pixels does."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fxnorm.errors import StreamError
from fxnorm.hls import tokens
from fxnorm.hls.tokens import Fifo, Network, Process, Program, Read, Repeat, Write
from fxnorm.kernels.linear import Window


def one_by_one(program: Program) -> list[tuple[str, int]]:
    """Every event of a program, one token each."""

    def walk(steps: Program) -> Iterator[tuple[str, int]]:
        for step in steps:
            if isinstance(step, Repeat):
                for _ in range(step.times):
                    yield from walk(step.body)
            else:
                yield from [("r" if isinstance(step, Read) else "w", step.fifo)] * step.count

    return list(walk(program))


@st.composite
def geometries(draw: st.DrawFn) -> tuple[tuple[int, ...], Window]:
    """An image and a window on it, with at least one output."""
    axes = []
    for _ in range(draw(st.integers(1, 3))):
        kernel, dilation, stride = draw(st.integers(1, 4)), draw(st.integers(1, 3)), draw(st.integers(1, 4))
        begin, end = draw(st.integers(0, 4)), draw(st.integers(0, 4))
        extent = dilation * (kernel - 1) + 1
        size = draw(st.integers(max(1, extent - begin - end), max(1, extent - begin - end) + 6))
        axes.append((size, kernel, stride, dilation, begin, end))
    sizes, *others = zip(*axes, strict=True)
    return sizes, Window(*others)


@given(geometries(), st.integers(1, 2), st.integers(1, 3))
def test_window_reads_all_pixels_and_writes_outputs_as_soon_as_they_are_complete(
    case: tuple[tuple[int, ...], Window], reads: int, writes: int
) -> None:
    space, window = case
    # Which padded place, in the order of the image, ends each output's window; and which pixels come before it.
    lasts = []
    for place in zip(space, *vars_of(window), strict=True):
        size, kernel, stride, dilation, begin, end = place
        extent = dilation * (kernel - 1) + 1
        lasts.append([n * stride + extent - 1 - begin for n in range((size + begin + end - extent) // stride + 1)])
    pixels = list(itertools.product(*(range(size) for size in space)))
    expected: list[tuple[str, int]] = []
    done = 0
    for last in itertools.product(*lasts):
        upto = sum(pixel <= last for pixel in pixels)
        expected += [("r", 5)] * (reads * (upto - done)) + [("w", 7)] * writes
        done = upto
    expected += [("r", 5)] * (reads * (len(pixels) - done))
    assert one_by_one(tokens.window(5, 7, space, window, reads, writes)) == expected


def vars_of(window: Window) -> tuple[tuple[int, ...], ...]:
    return window.kernel, window.strides, window.dilations, window.pads_begin, window.pads_end


def test_a_padded_window_of_three_writes_after_a_row_and_two_pixels() -> None:
    program = tokens.window(0, 1, (32, 20), Window((3, 3), (1, 1), (1, 1), (1, 1), (1, 1)))
    found = one_by_one(program)
    assert found.index(("w", 1)) == 20 + 2
    assert len(found) == 2 * 32 * 20


def test_large_images_have_small_programs() -> None:
    def size(program: Program) -> int:
        return sum(1 + (size(step.body) if isinstance(step, Repeat) else 0) for step in program)

    strided = Window((7, 7), (2, 2), (1, 1), (3, 3), (3, 3))
    assert size(tokens.window(0, 1, (224, 224), strided)) < 40
    reads, writes = tokens.totals(tokens.window(0, 1, (224, 224), strided))
    assert reads == {0: 224 * 224}
    assert writes == {1: 112 * 112}


def test_rows_join_fork_frame_concat() -> None:
    def spelled(program: Program) -> str:
        return " ".join(f"{kind}{fifo}" for kind, fifo in one_by_one(program))

    assert spelled(tokens.rows([0], [1], 3)) == "r0 w1 r0 w1 r0 w1"
    assert spelled(tokens.rows([0, 1], [2], 2, reads=2)) == "r0 r0 r1 r1 w2 r0 r0 r1 r1 w2"
    assert spelled(tokens.fork(0, [1, 2], 2)) == "r0 w1 w2 r0 w1 w2"
    assert spelled(tokens.frame([(0, 2), (1, 1)], [(2, 3)])) == "r0 r0 r1 w2 w2 w2"
    assert spelled(tokens.concat([(0, 2), (1, 1)], 2, times=2)) == "r0 w2 r0 w2 r1 w2 r0 w2 r0 w2 r1 w2"
    assert spelled(tokens.feed(0, 2)) == "w0 w0"
    assert spelled(tokens.drain(0, 2)) == "r0 r0"


steps = st.recursive(
    st.lists(
        st.builds(Read, st.integers(0, 2), st.integers(0, 3)) | st.builds(Write, st.integers(3, 5), st.integers(0, 3))
    ),
    lambda inner: st.lists(st.builds(Repeat, st.integers(0, 3), inner.map(tuple))),
    max_leaves=6,
).map(tuple)


@given(steps, st.integers(0, 3))
def test_loops_runs_totals_and_selections_agree_with_single_events(program: Program, times: int) -> None:
    single = one_by_one(program)
    assert one_by_one(tuple(tokens.events(program))) == single
    assert all(
        (type(one), one.fifo) != (type(two), two.fifo) for one, two in itertools.pairwise(tokens.events(program))
    )
    assert one_by_one(tokens.repeat(times, program)) == single * times
    reads, writes = tokens.totals(program)
    for fifo in range(6):
        assert (reads[fifo], writes[fifo]) == (single.count(("r", fifo)), single.count(("w", fifo)))
    number = {1: 0, 4: 1}
    kept = [(kind, number[fifo]) for kind, fifo in single if fifo in number]
    assert one_by_one(tokens.selected(program, number)) == kept


FIFO = Fifo("f0", 8)


@pytest.mark.parametrize(
    ("fifos", "processes", "words"),
    [
        ((FIFO,), (Process("a", (Write(0, 2),)),), ["f0", "read by one process", "none"]),
        ((FIFO,), (Process("a", (Read(0, 2),)),), ["f0", "written by one process", "none"]),
        (
            (FIFO,),
            (Process("a", (Write(0),)), Process("b", (Write(0),)), Process("c", (Read(0, 2),))),
            ["f0", "written by one process", "a, b"],
        ),
        ((FIFO,), (Process("a", (Write(0), Read(0))),), ["f0", "from a to itself"]),
        (
            (FIFO,),
            (Process("a", (Write(0, 3),)), Process("b", (Repeat(2, (Read(0),)),))),
            ["f0", "a writes 3", "b reads 2"],
        ),
        (
            (FIFO,),
            (Process("a", (Write(0, 3),)), Process("b", (Repeat(2, (Read(0, 2),)),))),
            ["f0", "a writes 3", "b reads 4"],
        ),
        ((FIFO,), (Process("a", (Write(1, 3),)),), ["a", "numbered from 0 to 0", "1"]),
    ],
)
def test_parts_that_do_not_fit_are_refused(
    fifos: tuple[Fifo, ...], processes: tuple[Process, ...], words: list[str]
) -> None:
    with pytest.raises(StreamError) as caught:
        Network(fifos, processes)
    assert all(word in str(caught.value) for word in words), caught.value
