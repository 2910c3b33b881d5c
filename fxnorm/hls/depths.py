"""Depths of FIFOs: the least with which a frame passes.

Depths grow from a minimum wherever processes wait for one another because a FIFO is full (T. M. Parks, Bounded Scheduling of Process
Networks, 1995), and are then made smaller again, one FIFO after the other, until one entry less in any of them would stop the design.
More room never does harm, so that what is the least for one FIFO stays the least when others get smaller.

Only FIFOs on parallel paths can be too shallow: a circle of processes that wait for one another never needs to leave a part of the network
that hangs together even where any one process is taken out (a block, in the words of graph theory). Where it leaves such a part through a
process and comes back through it, either the way outside or the way inside is a circle of its own. So each block is looked at alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from fxnorm.errors import DeadlockError
from fxnorm.hls.token_simulation import Simulation, Wait, check, explain
from fxnorm.hls.tokens import Network, Process, selected


@dataclass(frozen=True, slots=True)
class Depths:
    """Depths of all FIFOs, in the order of the network's.

    Attributes
    ----------
    needed
        With these a frame passes; one entry less in a FIFO that is deeper than the minimum stops it.
    chosen
        With slack where FIFOs lie on parallel paths.
    """

    needed: tuple[int, ...]
    chosen: tuple[int, ...]


def find_depths(network: Network, minimum: int = 1, slack: int = 0) -> Depths:
    """Least depths with which a frame passes, and depths with slack.

    Parameters
    ----------
    minimum
        Depth of a FIFO that needs no more; at least 1.
    slack
        Entries more for every FIFO that lies on parallel paths. Pipelines that stop as a whole when they have to wait hold tokens back; the
        shorter path has to hold as many more.

    Raises
    ------
    DeadlockError
        If no depths help.
    """
    depths = [minimum] * len(network.fifos)
    parallel = set()
    for fifos in blocks(network):
        if len(fifos) > 1:
            parallel.update(fifos)
            for fifo, depth in zip(fifos, _block_depths(_part(network, fifos), minimum), strict=True):
                depths[fifo] = depth
    check(network, depths)
    chosen = tuple(depth + slack * (fifo in parallel) for fifo, depth in enumerate(depths))
    return Depths(tuple(depths), chosen)


def _part(network: Network, fifos: Sequence[int]) -> Network:
    """Some FIFOs of a network, and what processes do on them."""
    number = {fifo: place for place, fifo in enumerate(fifos)}
    programs = [(own.name, selected(own.program, number)) for own in network.processes]
    processes = tuple(Process(name, program) for name, program in programs if program)
    return Network(tuple(network.fifos[fifo] for fifo in fifos), processes)


def _block_depths(network: Network, minimum: int) -> list[int]:
    """Least depths of a block: of three ways to grow, the one that ends with the fewest bits."""
    simulation = Simulation(network)
    order = _order(network)
    writers, _ = network.ends()

    def smallest(depths: Sequence[int], fifo: int) -> tuple[int, ...]:
        return depths[fifo] * network.fifos[fifo].bits, fifo

    def late(depths: Sequence[int], fifo: int) -> tuple[int, ...]:
        return -order[writers[fifo]], depths[fifo], fifo

    def early(depths: Sequence[int], fifo: int) -> tuple[int, ...]:
        return order[writers[fifo]], depths[fifo], fifo

    found = []
    for preference in (smallest, late, early):
        depths = _shrunk(simulation, _grown(simulation, minimum, preference), minimum)
        bits = sum(depth * fifo.bits for depth, fifo in zip(depths, network.fifos, strict=True))
        found.append((bits, depths))
    return min(found)[1]


def _grown(
    simulation: Simulation, minimum: int, preference: Callable[[Sequence[int], int], tuple[int, ...]]
) -> list[int]:
    """Depths with which a frame passes, grown where a full FIFO stops it; each step doubles one."""
    network = simulation.network
    tokens = network.tokens()
    depths = [minimum] * len(network.fifos)
    while True:
        outcome = simulation.run(depths)
        if outcome.passed:
            return depths
        circle: tuple[Wait, ...] = simulation.circle(outcome)
        full = [wait.fifo for wait in circle if wait.for_room]
        if not full:
            raise DeadlockError(explain(network, depths, circle))
        fifo = min(full, key=lambda number: preference(depths, number))
        # A FIFO that holds all tokens of a frame is never waited for.
        depths[fifo] = min(2 * depths[fifo], tokens[fifo])


def _shrunk(simulation: Simulation, depths: list[int], minimum: int) -> list[int]:
    """Depths of which none can be less, those that cost most made smaller first."""
    fifos = simulation.network.fifos
    depths = list(depths)
    for fifo in sorted(range(len(depths)), key=lambda number: (minimum - depths[number]) * fifos[number].bits):
        low, high = minimum, depths[fifo]
        while low < high:
            depths[fifo] = (low + high) // 2
            if simulation.run(depths).passed:
                high = depths[fifo]
            else:
                low = depths[fifo] + 1
        depths[fifo] = high
    return depths


def _order(network: Network) -> list[int]:
    """Length of the longest path from an input to each process, as far as paths do not lead back."""
    writers, readers = network.ends()
    order = [0] * len(network.processes)
    for _ in network.processes:
        before = list(order)
        for writer, reader in zip(writers, readers, strict=True):
            order[reader] = max(order[reader], min(order[writer] + 1, len(order)))
        if before == order:
            break
    return order


def blocks(network: Network) -> list[list[int]]:
    """FIFOs of each block of the network (its biconnected components; J. Hopcroft and R. Tarjan, 1973), directions left aside.

    A FIFO that has no parallel path is a block of its own.
    """
    writers, readers = network.ends()
    around: list[list[tuple[int, int]]] = [[] for _ in network.processes]
    for fifo, (writer, reader) in enumerate(zip(writers, readers, strict=True)):
        around[writer].append((fifo, reader))
        around[reader].append((fifo, writer))
    depth = [-1] * len(around)
    lowest = [0] * len(around)
    found: list[list[int]] = []
    edges: list[int] = []
    for root in range(len(around)):
        if depth[root] >= 0:
            continue
        depth[root] = 0
        # A stack of its own: networks are deeper than Python's recursion.
        path = [(root, -1, iter(around[root]))]
        while path:
            process, entry, rest = path[-1]
            for fifo, other in rest:
                if fifo == entry:
                    continue
                if depth[other] < 0:
                    edges.append(fifo)
                    depth[other] = lowest[other] = depth[process] + 1
                    path.append((other, fifo, iter(around[other])))
                    break
                if depth[other] < depth[process]:
                    edges.append(fifo)
                    lowest[process] = min(lowest[process], depth[other])
            else:
                path.pop()
                if path:
                    above = path[-1][0]
                    lowest[above] = min(lowest[above], lowest[process])
                    if lowest[process] >= depth[above]:
                        start = edges.index(entry)
                        found.append(sorted(edges[start:]))
                        del edges[start:]
    return sorted(found)
