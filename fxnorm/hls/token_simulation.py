"""Networks of processes run with FIFOs of given depths: whether a frame passes, how full each FIFO gets, and who waits for whom if not.

A bounded FIFO is a Kahn network too (the room in it flows back as tokens), so that whether it stops does not depend on the order in which
processes run: one order decides. One frame decides as well: it leaves every FIFO empty and every process at its start, so that the next one
can pass in the same way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar, cast

import numba
import numpy as np

from fxnorm.errors import DeadlockError, StreamError
from fxnorm.hls.tokens import Fifo, Network, Process, Program, Read, Repeat, Step, Write, events

Array = np.ndarray
F = TypeVar("F", bound=Callable[..., Any])

READ, WRITE, LOOP, END, STOP = range(5)
_ENTRIES: Final = 3


@dataclass(frozen=True, slots=True)
class Wait:
    """A process that waits: for room in a full FIFO, or for data in an empty one."""

    process: int
    fifo: int
    for_room: bool


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one frame.

    Attributes
    ----------
    waits
        Processes that never finish, and what each of them waits for; empty: the frame passed.
    peaks
        Most tokens that each FIFO held, in the order in which this simulation ran the processes; with room for all tokens it is a depth
        that suffices, not the least one.
    """

    waits: tuple[Wait, ...]
    peaks: tuple[int, ...]

    @property
    def passed(self) -> bool:
        """Whether the frame passed."""
        return not self.waits


class Simulation:
    """A network made ready to be run many times.

    Parameters
    ----------
    network
        Processes and FIFOs.
    """

    def __init__(self, network: Network) -> None:
        self.network = network
        self._writers, self._readers = network.ends()
        code: list[tuple[int, int, int]] = []
        starts = []
        for own in network.processes:
            starts.append(len(code))
            _assemble(own.program, code)
            code.append((STOP, 0, 0))
        self._code = np.array(code, dtype=np.int64).reshape(-1, _ENTRIES)
        self._starts = np.array(starts, dtype=np.int64)
        self._ends = np.array([self._writers, self._readers], dtype=np.int64).reshape(2, -1)

    def run(self, depths: Sequence[int]) -> Outcome:
        """One frame through FIFOs of these depths, one entry a FIFO, each at least 1."""
        if len(depths) != len(self.network.fifos) or any(depth < 1 for depth in depths):
            raise ValueError(f"one depth of at least 1 for each of {len(self.network.fifos)} FIFOs, not {list(depths)}")
        places = self._starts.copy()
        waits = np.full(len(places), -1, dtype=np.int64)
        peaks = np.zeros(len(depths), dtype=np.int64)
        _run(self._code, places, waits, self._ends, np.array(depths, dtype=np.int64), peaks)
        stuck = tuple(
            Wait(process, int(fifo), bool(self._code[places[process], 0] == WRITE))
            for process, fifo in enumerate(waits)
            if fifo >= 0
        )
        return Outcome(stuck, tuple(int(peak) for peak in peaks))

    def circle(self, outcome: Outcome) -> tuple[Wait, ...]:
        """Processes that wait for one another, each for the next one and the last for the first; empty where the frame passed."""
        waits = {wait.process: wait for wait in outcome.waits}
        if not waits:
            return ()
        seen: list[int] = []
        process = next(iter(waits))
        while process not in seen:
            # What is waited for has not finished: a frame leaves as many tokens in a FIFO as it takes out.
            seen.append(process)
            wait = waits[process]
            process = (self._readers if wait.for_room else self._writers)[wait.fifo]
        return tuple(waits[name] for name in seen[seen.index(process) :])


def simulate(network: Network, depths: Sequence[int]) -> Outcome:
    """One frame through FIFOs of these depths.

    Parameters
    ----------
    depths
        Tokens that each FIFO holds, at least 1, in the order of `network.fifos`.
    """
    return Simulation(network).run(depths)


def check(network: Network, depths: Sequence[int]) -> None:
    """Refuse depths with which a frame does not pass.

    Raises
    ------
    DeadlockError
        If it does not; the message follows the circle of processes that wait for one another.
    """
    simulation = Simulation(network)
    outcome = simulation.run(depths)
    if not outcome.passed:
        raise DeadlockError(explain(network, depths, simulation.circle(outcome)))


def explain(network: Network, depths: Sequence[int], circle: Sequence[Wait]) -> str:
    """Say who waits for whom, and what would help."""
    parts, full = [], []
    for wait in circle:
        fifo, process = network.fifos[wait.fifo].name, network.processes[wait.process].name
        if wait.for_room:
            full.append(fifo)
            parts.append(f"{process} waits for room in {fifo} (full: {depths[wait.fifo]})")
        else:
            parts.append(f"{process} waits for data in {fifo} (empty)")
    remedy = (
        f"make {' or '.join(full)} deeper"
        if full
        else "no depth helps: these processes read what depends on what they write"
    )
    return f"streams: a frame has to pass, but {', '.join(parts)}; {remedy}"


def logged(log: Mapping[str, Iterable[tuple[str, str, int]]], bits: Mapping[str, int] | None = None) -> Network:
    """Network of processes that do what was seen of them: events of a running design, as they were logged.

    Parameters
    ----------
    log
        Events of every process in their order: "r" or "w", the FIFO's name, and how many tokens.
    bits
        Bits of a token of each FIFO, where they matter.

    Raises
    ------
    StreamError
        If an event is none, or if the processes do not fit together.
    """
    numbers: dict[str, int] = {}
    processes = []
    for name, entries in log.items():
        steps: list[Step] = []
        for kind, fifo, count in entries:
            if kind not in {"r", "w"} or count < 0:
                raise StreamError(f"{name}: an event reads (r) or writes (w) tokens, not ({kind}, {fifo}, {count})")
            number = numbers.setdefault(fifo, len(numbers))
            steps.append(Read(number, count) if kind == "r" else Write(number, count))
        processes.append(Process(name, tuple(events(tuple(steps)))))
    return Network(tuple(Fifo(name, (bits or {}).get(name, 1)) for name in numbers), tuple(processes))


def _assemble(program: Program, code: list[tuple[int, int, int]]) -> None:
    """Instructions: read or write (FIFO, count), loop (times), end of a loop (place of its start)."""
    for step in program:
        if isinstance(step, Repeat):
            if step.times:
                start = len(code)
                code.append((LOOP, step.times, 0))
                _assemble(step.body, code)
                code.append((END, start, 0))
        elif step.count:
            code.append((READ if isinstance(step, Read) else WRITE, step.fifo, step.count))


def _compiled(function: F) -> F:
    return cast(F, numba.njit(nogil=True, cache=True)(function))


@_compiled
def _run(code: Array, places: Array, waits: Array, ends: Array, depths: Array, peaks: Array) -> None:
    """Run every process until it has finished or waits; `places`, `waits` (FIFO or -1) and `peaks` are in and out."""
    held = np.zeros(len(depths), dtype=np.int64)
    left = np.zeros(len(code), dtype=np.int64)
    for line in range(len(code)):
        left[line] = code[line, 2]
    ready = np.arange(len(places))
    count = len(places)
    while count:
        count -= 1
        process = ready[count]
        place = places[process]
        waits[process] = -1
        while True:
            kind, fifo = code[place, 0], code[place, 1]
            if kind == 2:
                left[place] = fifo
                place += 1
            elif kind == 3:
                left[fifo] -= 1
                place = fifo + 1 if left[fifo] > 0 else place + 1
            elif kind == 4:
                break
            else:
                amount = min(left[place], held[fifo] if kind == 0 else depths[fifo] - held[fifo])
                left[place] -= amount
                if kind == 0:
                    held[fifo] -= amount
                else:
                    held[fifo] += amount
                    peaks[fifo] = max(peaks[fifo], held[fifo])
                other = ends[kind, fifo]
                if amount > 0 and waits[other] == fifo:
                    # The process at the other end of this FIFO can go on.
                    waits[other] = -1
                    ready[count] = other
                    count += 1
                if left[place] > 0:
                    waits[process] = fifo
                    break
                left[place] = code[place, 2]
                place += 1
        places[process] = place
