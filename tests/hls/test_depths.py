"""Depths of FIFOs against a plain simulation that runs processes in random order, one token at a time."""

from __future__ import annotations

import itertools
import random
from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fxnorm.errors import DeadlockError, StreamError
from fxnorm.hls import tokens
from fxnorm.hls.depths import blocks, find_depths
from fxnorm.hls.token_simulation import Simulation, check, logged, simulate
from fxnorm.hls.tokens import Fifo, Network, Process, Program, Read, Repeat, Step, Write
from fxnorm.kernels.linear import Window


def single_events(program: Program) -> list[tuple[str, int]]:
    found: list[tuple[str, int]] = []
    for step in program:
        if isinstance(step, Repeat):
            found += single_events(step.body) * step.times
        else:
            found += [("r" if isinstance(step, Read) else "w", step.fifo)] * step.count
    return found


def brute_force(network: Network, depths: list[int], seed: int, frames: int = 1) -> dict[str, tuple[str, int]]:
    """Processes that are stuck at the end, and at which event: queues of objects, one random process a step."""
    pick = random.Random(seed)
    queues: list[deque[int]] = [deque() for _ in network.fifos]
    todo = {own.name: deque(single_events(own.program) * frames) for own in network.processes}

    def can(name: str) -> bool:
        if not todo[name]:
            return False
        kind, fifo = todo[name][0]
        return bool(queues[fifo]) if kind == "r" else len(queues[fifo]) < depths[fifo]

    while ready := [name for name in todo if can(name)]:
        kind, fifo = todo[pick.choice(ready)].popleft()
        if kind == "r":
            queues[fifo].popleft()
        else:
            queues[fifo].append(1)
    return {name: rest[0] for name, rest in todo.items() if rest}


@st.composite
def networks(draw: st.DrawFn) -> Network:
    """Processes in a row, FIFOs from earlier ones to later ones, every process with its events in any order and in loops."""
    count = draw(st.integers(2, 5))
    pairs = st.tuples(st.integers(0, count - 2), st.integers(1, count - 1)).filter(lambda pair: pair[0] < pair[1])
    edges = draw(st.lists(pairs, min_size=1, max_size=7))
    loops = [draw(st.integers(1, 3)) for _ in range(count)]
    steps: list[list[Step]] = [[] for _ in range(count)]
    for fifo, (writer, reader) in enumerate(edges):
        # So many tokens that both ends can do them in their loops.
        whole = draw(st.integers(1, 2)) * loops[writer] * loops[reader]
        for end, kind in ((writer, Write), (reader, Read)):
            rest = whole // loops[end]
            while rest:
                part = draw(st.integers(1, rest))
                steps[end].append(kind(fifo, part))
                rest -= part
    processes = []
    for number in range(count):
        body = tuple(draw(st.permutations(steps[number])))
        if body:
            processes.append(Process(f"p{number}", (Repeat(loops[number], body),)))
    fifos = tuple(Fifo(f"f{number}", draw(st.integers(1, 64))) for number in range(len(edges)))
    return Network(fifos, tuple(processes))


@given(networks(), st.data())
def test_simulation_agrees_with_random_schedules(network: Network, data: st.DataObject) -> None:
    depths = [data.draw(st.integers(1, 6)) for _ in network.fifos]
    outcome = simulate(network, depths)
    found = {network.processes[wait.process].name: ("w" if wait.for_room else "r", wait.fifo) for wait in outcome.waits}
    for seed in range(3):
        assert brute_force(network, depths, seed) == found
    assert bool(brute_force(network, depths, 0, frames=3)) == (not outcome.passed)
    assert all(peak <= depth for peak, depth in zip(outcome.peaks, depths, strict=True))


@given(networks(), st.integers(1, 3), st.integers(0, 2))
def test_depths_pass_and_one_entry_less_stops(network: Network, minimum: int, slack: int) -> None:
    depths = find_depths(network, minimum, slack)
    assert brute_force(network, list(depths.needed), 1, frames=2) == {}
    parallel = {fifo for fifos in blocks(network) if len(fifos) > 1 for fifo in fifos}
    for fifo, depth in enumerate(depths.needed):
        assert depth >= minimum
        assert depths.chosen[fifo] == depth + slack * (fifo in parallel)
        if depth > minimum:
            less = list(depths.needed)
            less[fifo] -= 1
            assert brute_force(network, less, 2)
            with pytest.raises(DeadlockError):
                check(network, less)


@given(networks(), st.data())
def test_the_circle_is_one(network: Network, data: st.DataObject) -> None:
    depths = [data.draw(st.integers(1, 2)) for _ in network.fifos]
    simulation = Simulation(network)
    outcome = simulation.run(depths)
    circle = simulation.circle(outcome)
    assert bool(circle) == (not outcome.passed)
    stuck = brute_force(network, depths, 0)
    for wait, after in zip(circle, (*circle[1:], *circle[:1]), strict=True):
        name, other = network.processes[wait.process].name, network.processes[after.process]
        assert stuck[name] == ("w" if wait.for_room else "r", wait.fifo)
        assert ("r" if wait.for_room else "w", wait.fifo) in single_events(other.program)


@given(networks())
def test_blocks_are_the_edges_that_share_a_circle(network: Network) -> None:
    writers, readers = network.ends()
    ends = list(zip(writers, readers, strict=True))
    together = {(fifo, fifo) for fifo in range(len(ends))}
    for size in range(2, len(ends) + 1):
        for chosen in itertools.combinations(range(len(ends)), size):
            # A simple circle: connected, and every process that it touches has two of its edges.
            touched = [process for fifo in chosen for process in ends[fifo]]
            if any(touched.count(process) != 2 for process in touched):
                continue
            reached, grown = {touched[0]}, True
            while grown:
                more = {end for fifo in chosen for end in ends[fifo] if reached & set(ends[fifo])}
                grown = not more <= reached
                reached |= more
            if reached == set(touched):
                together |= {(one, two) for one in chosen for two in chosen}
    found = blocks(network)
    assert sorted(fifo for block in found for fifo in block) == list(range(len(ends)))
    assert {(one, two) for block in found for one in block for two in block} == together


THREE = Window((3, 3), (1, 1), (1, 1), (1, 1), (1, 1))


def residual(height: int, width: int, skip_first: bool = False, layers: int = 1) -> Network:
    """A fork, one or more padded 3×3 convolutions on one side, nothing on the other, and their sum."""
    pixels = height * width
    names = ["in", "skip", *(f"long{number}" for number in range(layers + 1)), "out"]
    skip, first, out = 1, 2, layers + 3
    targets = [skip, first] if skip_first else [first, skip]
    convolutions = [
        Process(f"conv{number}", tokens.window(first + number, first + number + 1, (height, width), THREE))
        for number in range(layers)
    ]
    return Network(
        tuple(Fifo(name, 8) for name in names),
        (
            Process("source", tokens.feed(0, pixels)),
            Process("fork", tokens.fork(0, targets, pixels)),
            *convolutions,
            Process("sum", tokens.rows([first + layers, skip], [out], pixels)),
            Process("sink", tokens.drain(out, pixels)),
        ),
    )


@pytest.mark.parametrize("width", [5, 32])
def test_a_branch_around_a_padded_convolution_needs_a_row_and_two_pixels(width: int) -> None:
    # The convolution's first pixel comes after width + 2 were read. All of them have gone into the short side by then, but for the last
    # one where the fork serves the long side first.
    assert find_depths(residual(9, width, skip_first=True)).needed == (1, width + 2, 1, 1, 1)
    assert find_depths(residual(9, width)).needed == (1, width + 1, 1, 1, 1)


def test_branches_around_several_convolutions_need_the_sum_of_their_rows() -> None:
    one, two, three = (find_depths(residual(40, 32, layers=count)).needed[1] for count in (1, 2, 3))
    assert two - one == three - two == 32 + 1


def test_slack_goes_to_parallel_paths_only() -> None:
    depths = find_depths(residual(9, 32), minimum=2, slack=3)
    # A FIFO of two between fork and convolution holds one of the pixels as well as the convolution does.
    assert depths.needed == (2, 33, 2, 2, 2)
    assert depths.chosen == (2, 36, 5, 5, 2)


def test_a_whole_frame_on_one_side_needs_a_whole_frame_on_the_other() -> None:
    fifos = tuple(Fifo(name, 8) for name in ("in", "skip", "a", "b", "out"))
    network = Network(
        fifos,
        (
            Process("source", tokens.feed(0, 60)),
            Process("fork", tokens.fork(0, [1, 2], 60)),
            Process("turn", tokens.frame([(2, 60)], [(3, 60)])),
            Process("sum", tokens.rows([1, 3], [4], 60)),
            Process("sink", tokens.drain(4, 60)),
        ),
    )
    # The sum takes the first token of the short side before it waits for the long one.
    assert find_depths(network).needed == (1, 59, 1, 1, 1)


def test_depth_goes_where_a_token_has_fewer_bits() -> None:
    """A skip through a strided 1×1 layer can wait before it or behind it, where there are fewer pixels."""
    stride = Window((3, 3), (2, 2), (1, 1), (1, 1), (1, 1))
    point = Window((1, 1), (2, 2), (1, 1), (0, 0), (0, 0))

    def network(before: int, after: int) -> Network:
        names = ["in", "long", "deep", "back", "skip", "small", "out"]
        bits = [before, before, after, after, before, after, after]
        return Network(
            tuple(Fifo(name, size) for name, size in zip(names, bits, strict=True)),
            (
                Process("source", tokens.feed(0, 1024)),
                Process("fork", tokens.fork(0, [1, 4], 1024)),
                Process("conv1", tokens.window(1, 2, (32, 32), stride)),
                Process("conv2", tokens.window(2, 3, (16, 16), THREE)),
                Process("point", tokens.window(4, 5, (32, 32), point)),
                Process("sum", tokens.rows([3, 5], [6], 256)),
                Process("sink", tokens.drain(6, 256)),
            ),
        )

    narrow, wide = find_depths(network(8, 16)), find_depths(network(8, 800))
    assert narrow.needed[4] == 1
    assert narrow.needed[5] > 1
    assert wide.needed[5] == 1
    assert wide.needed[4] > narrow.needed[5]


def test_too_shallow_is_refused_with_the_circle() -> None:
    network = residual(9, 32)
    with pytest.raises(DeadlockError) as caught:
        check(network, [1, 32, 1, 1, 1])
    text = str(caught.value)
    assert "fork waits for room in skip (full: 32)" in text
    assert "sum waits for data in long1 (empty)" in text
    assert "conv0 waits for data in long0 (empty)" in text
    assert text.endswith("make skip deeper")
    assert "sink" not in text
    check(network, [1, 33, 1, 1, 1])


def test_a_circle_that_no_depth_helps_is_refused() -> None:
    network = Network(
        (Fifo("there"), Fifo("back")),
        (Process("one", (Read(1), Write(0))), Process("two", (Read(0), Write(1)))),
    )
    with pytest.raises(DeadlockError, match="no depth helps"):
        find_depths(network)


def test_depths_that_are_none_are_refused() -> None:
    for depths in ([1, 1], [1, 33, 1, 1, 0]):
        with pytest.raises(ValueError, match="one depth of at least 1"):
            simulate(residual(9, 32), depths)


def test_logged_events_are_replayed() -> None:
    network = residual(6, 7)
    log = {
        own.name: [(kind, network.fifos[fifo].name, 1) for kind, fifo in single_events(own.program)]
        for own in network.processes
    }
    replayed = logged(log, {"skip": 8})
    number = {fifo.name: place for place, fifo in enumerate(replayed.fifos)}
    depths = [1] * 5
    depths[number["skip"]] = 8
    assert simulate(replayed, depths).passed
    depths[number["skip"]] = 7
    with pytest.raises(DeadlockError, match="fork waits for room in skip"):
        check(replayed, depths)
    assert replayed.fifos[number["skip"]].bits == 8


@pytest.mark.parametrize(
    ("log", "words"),
    [
        ({"a": [("w", "f", 2)], "b": [("r", "f", 1)]}, "a writes 2 tokens and b reads 1"),
        ({"a": [("x", "f", 2)]}, "a: an event reads"),
        ({"a": [("w", "f", -1)]}, "a: an event reads"),
    ],
)
def test_logs_that_do_not_fit_are_refused(log: dict[str, list[tuple[str, str, int]]], words: str) -> None:
    with pytest.raises(StreamError, match=words):
        logged(log)


def test_a_deep_network_of_large_images() -> None:
    """34 layers of 3×3 with a skip around each two, 224×224 pixels, in seconds."""
    fifos: list[Fifo] = [Fifo("in", 64)]
    processes = [Process("source", tokens.feed(0, 224 * 224))]

    def new(name: str) -> int:
        fifos.append(Fifo(name, 64))
        return len(fifos) - 1

    current = 0
    for block in range(17):
        long, middle, end, skip, out = (new(f"{name}{block}") for name in ("long", "middle", "end", "skip", "out"))
        processes += [
            Process(f"fork{block}", tokens.fork(current, [long, skip], 224 * 224)),
            Process(f"one{block}", tokens.window(long, middle, (224, 224), THREE)),
            Process(f"two{block}", tokens.window(middle, end, (224, 224), THREE)),
            Process(f"sum{block}", tokens.rows([end, skip], [out], 224 * 224)),
        ]
        current = out
    processes.append(Process("sink", tokens.drain(current, 224 * 224)))
    found = find_depths(Network(tuple(fifos), tuple(processes))).needed
    assert {depth for fifo, depth in zip(fifos, found, strict=True) if fifo.name.startswith("skip")} == {2 * 225}
    assert {depth for fifo, depth in zip(fifos, found, strict=True) if not fifo.name.startswith("skip")} == {1}
