"""What a hardware process does on its streams: reads and writes in their order, as run-length programs.

A design of streams is a Kahn process network (G. Kahn, The Semantics of a Simple Language for Parallel Programming, 1974): processes
that read and write FIFOs, block on an empty or full one, and never test for data. What such a network does, and whether it stops, does not
depend on who runs when. Which tokens a layer reads and writes does not depend on the data either, so that a program of reads and writes a
frame says all that depths of FIFOs depend on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from fxnorm.errors import StreamError
from fxnorm.kernels.linear import Window


@dataclass(frozen=True, slots=True)
class Read:
    """Take tokens from a FIFO, one after the other."""

    fifo: int
    count: int = 1


@dataclass(frozen=True, slots=True)
class Write:
    """Put tokens into a FIFO, one after the other."""

    fifo: int
    count: int = 1


@dataclass(frozen=True, slots=True)
class Repeat:
    """Do the same several times."""

    times: int
    body: Program


Step: TypeAlias = Read | Write | Repeat
Program: TypeAlias = tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Process:
    """A process, and what it does for one frame."""

    name: str
    program: Program


@dataclass(frozen=True, slots=True)
class Fifo:
    """A FIFO: its name, and how many bits a token has."""

    name: str
    bits: int = 1


@dataclass(frozen=True, slots=True)
class Network:
    """Processes and the FIFOs between them; programs name a FIFO by its place in `fifos`.

    Inputs and outputs of the design belong to it as processes that only write and only read.

    Raises
    ------
    StreamError
        If a FIFO has not exactly one writer and one reader, if these are one process, or if a frame leaves tokens in it.
    """

    fifos: tuple[Fifo, ...]
    processes: tuple[Process, ...]

    def __post_init__(self) -> None:
        found: tuple[list[list[tuple[str, int]]], ...] = tuple([[] for _ in self.fifos] for _ in range(2))
        for own in self.processes:
            for side, counts in enumerate(totals(own.program)):
                for fifo, count in counts.items():
                    if not 0 <= fifo < len(self.fifos):
                        raise StreamError(f"{own.name}: FIFOs are numbered from 0 to {len(self.fifos) - 1}, not {fifo}")
                    found[side][fifo].append((own.name, count))
        for fifo, readers, writers in zip(self.fifos, *found, strict=True):
            for what, ends in (("read", readers), ("written", writers)):
                if len(ends) != 1:
                    names = ", ".join(name for name, _ in ends) or "none"
                    raise StreamError(f"{fifo.name}: a FIFO is {what} by one process, not by {names}")
            (reader, taken), (writer, put) = readers[0], writers[0]
            if reader == writer:
                raise StreamError(f"{fifo.name}: a FIFO leads from one process to another, not from {reader} to itself")
            if taken != put:
                raise StreamError(
                    f"{fifo.name}: a frame has to leave a FIFO empty, but {writer} writes {put} tokens and {reader} reads {taken}"
                )

    def ends(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Which process writes each FIFO, and which one reads it."""
        writers, readers = [0] * len(self.fifos), [0] * len(self.fifos)
        for number, own in enumerate(self.processes):
            for side, counts in zip((readers, writers), totals(own.program), strict=True):
                for fifo in counts:
                    side[fifo] = number
        return tuple(writers), tuple(readers)

    def tokens(self) -> tuple[int, ...]:
        """How many tokens pass each FIFO in a frame."""
        counts: Counter[int] = Counter()
        for own in self.processes:
            counts.update(totals(own.program)[1])
        return tuple(counts[fifo] for fifo in range(len(self.fifos)))


def totals(program: Program) -> tuple[Counter[int], Counter[int]]:
    """How many tokens a program reads from each FIFO, and how many it writes to each."""
    reads: Counter[int] = Counter()
    writes: Counter[int] = Counter()
    for step in program:
        if isinstance(step, Repeat):
            for outer, inner in zip((reads, writes), totals(step.body), strict=True):
                for fifo, count in inner.items():
                    outer[fifo] += step.times * count
        else:
            (reads if isinstance(step, Read) else writes)[step.fifo] += step.count
    return +reads, +writes


def events(program: Program) -> Iterator[Read | Write]:
    """Reads and writes in their order, loops unrolled, neighbours of one kind on one FIFO put together."""
    last: Read | Write | None = None
    for step in _unrolled(program):
        if last is not None and type(step) is type(last) and step.fifo == last.fifo:
            last = type(step)(step.fifo, last.count + step.count)
        else:
            if last is not None:
                yield last
            last = step
    if last is not None:
        yield last


def _unrolled(program: Program) -> Iterator[Read | Write]:
    for step in program:
        if isinstance(step, Repeat):
            for _ in range(step.times):
                yield from _unrolled(step.body)
        elif step.count:
            yield step


def repeat(times: int, body: Program) -> Program:
    """A loop in its shortest form: nothing, the body itself, or one read or write of many tokens where that is the same."""
    if times <= 0 or not body:
        return ()
    if times == 1:
        return body
    if len(body) == 1:
        step = body[0]
        if isinstance(step, Repeat):
            return (Repeat(times * step.times, step.body),)
        return (type(step)(step.fifo, times * step.count),)
    return (Repeat(times, body),)


def selected(program: Program, number: Mapping[int, int]) -> Program:
    """What a program does on some FIFOs only, which get new numbers."""
    steps: list[Step] = []
    for step in program:
        if isinstance(step, Repeat):
            steps += repeat(step.times, selected(step.body, number))
        elif step.count and step.fifo in number:
            steps.append(type(step)(number[step.fifo], step.count))
    return tuple(steps)


def feed(target: int, beats: int) -> Program:
    """An input of the design."""
    return (Write(target, beats),)


def drain(source: int, beats: int) -> Program:
    """An output of the design."""
    return (Read(source, beats),)


def rows(sources: Sequence[int], targets: Sequence[int], times: int, reads: int = 1, writes: int = 1) -> Program:
    """Rows that have nothing to do with one another: some beats from every source, then some beats to every target.

    With several sources this is a join (a sum of two branches), with several targets a fork.

    Parameters
    ----------
    times
        Rows a frame.
    reads, writes
        Beats of a row: more than one where a row is wider than a stream.
    """
    taken: list[Step] = [Read(fifo, reads) for fifo in sources]
    return repeat(times, (*taken, *(Write(fifo, writes) for fifo in targets)))


def fork(source: int, targets: Sequence[int], beats: int) -> Program:
    """The same token to every target."""
    return rows([source], targets, beats)


def frame(sources: Iterable[tuple[int, int]], targets: Iterable[tuple[int, int]]) -> Program:
    """All tokens in, one source after the other, then all tokens out; pairs of a FIFO and its beats a frame."""
    return (*(Read(fifo, beats) for fifo, beats in sources), *(Write(fifo, beats) for fifo, beats in targets))


def concat(sources: Iterable[tuple[int, int]], target: int, times: int = 1) -> Program:
    """Sources passed on one after the other, beat by beat; pairs of a FIFO and its beats each time."""
    body = [step for fifo, beats in sources for step in repeat(beats, (Read(fifo), Write(target)))]
    return repeat(times, tuple(body))


def window(
    source: int, target: int, space: Sequence[int], geometry: Window, reads: int = 1, writes: int = 1
) -> Program:
    """A window that slides over an image held in line buffers: convolution and pooling.

    The padded image is passed in its order, rows outermost. At a pixel that is there its beats are read; then, where the window that ends
    at this place belongs to an output, the output's beats are written. So the first output of a padded 3×3 window comes after a row and two
    pixels, and pixels that no window needs are read all the same.

    Parameters
    ----------
    space
        Extents of the image, one entry a spatial axis.
    geometry
        Kernel, strides, dilations and padding of the same axes.
    reads, writes
        Beats of one pixel of the input and of the output.
    """
    axes = [
        _axis(*sizes)
        for sizes in zip(
            space,
            geometry.kernel,
            geometry.strides,
            geometry.dilations,
            geometry.pads_begin,
            geometry.pads_end,
            strict=True,
        )
    ]

    def scan(axis: int, inside: bool, ends: bool) -> Program:
        if not inside and not ends:
            return ()
        if axis == len(axes):
            return (*((Read(source, reads),) * inside), *((Write(target, writes),) * ends))
        bodies: dict[tuple[bool, bool], Program] = {}
        places: list[Program] = []
        for real, valid in axes[axis]:
            key = (inside and real, ends and valid)
            if key not in bodies:
                bodies[key] = scan(axis + 1, *key)
            places.append(bodies[key])
        return _folded([body for body in places if body], geometry.strides[axis])

    return scan(0, True, True)


def _axis(size: int, kernel: int, stride: int, dilation: int, pad_begin: int, pad_end: int) -> list[tuple[bool, bool]]:
    """Of every place of a padded axis: whether a pixel is there, and whether a window of the output ends there."""
    extent = dilation * (kernel - 1) + 1
    return [
        (
            pad_begin <= place < pad_begin + size,
            place >= extent - 1 and (place - extent + 1) % stride == 0,
        )
        for place in range(pad_begin + size + pad_end)
    ]


def _folded(bodies: Sequence[Program], longest: int) -> Program:
    """One body after the other, written as loops where up to `longest` of them come again."""
    steps: list[Step] = []
    start = 0
    while start < len(bodies):
        best, covered = 1, 1
        for period in range(1, longest + 1):
            end = start + period
            while end < len(bodies) and bodies[end] == bodies[end - period]:
                end += 1
            whole = (end - start) // period * period
            if whole > period and whole > covered:
                best, covered = period, whole
        body = tuple(step for part in bodies[start : start + best] for step in part)
        steps += repeat(covered // best, body)
        start += covered
    return tuple(steps)
